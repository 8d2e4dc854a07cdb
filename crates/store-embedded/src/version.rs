//! The `VERSION` file of a base directory: which format it has and how many shards. Opening a
//! newer format is refused; an older one is brought forward by steps, each of which may be
//! repeated after a crash.
//!
//! ```text
//! angarium-base
//! format 5
//! shards 4
//! created-by angarium 0.1.0
//! ```
//!
//! | format | what it brought |
//! |---|---|
//! | 1 | |
//! | 2 | annotations of mailboxes: record kind 17, a trailing part of a mailbox's attributes; what is recent alone: record kind 18 |
//! | 3 | recipients of queued mail that are held: step 5; queued mail with a priority: record kind 19, a trailing part of the packed entry |
//! | 4 | numbers of another server: record kinds 20 to 22, trailing parts of a mailbox's attributes and of a message; mailing lists: kind 5 of an object |
//! | 5 | files of accounts: record kind 23, table 18 of a checkpoint; deliveries that queue a message: record kind 24 |

use std::io::Write;
use std::path::Path;

use angarium_store::{Result, StoreError};

use crate::files::Files;
use crate::writer::unavailable;

/// The format this version writes.
pub(crate) const FORMAT: u32 = 5;
/// Most shards of a base.
pub(crate) const MAX_SHARDS: u32 = 64;
const NAME: &str = "VERSION";
const FIRST_LINE: &str = "angarium-base";

/// Reads the number of shards, making the file for a new base.
pub(crate) fn open(base: &Path, wanted: u32, files: &dyn Files) -> Result<u32> {
    match read(base)? {
        Some((format, shards)) => {
            if bring_forward(format)? {
                write(base, shards, files).map_err(|error| unavailable(&error))?;
            }
            Ok(shards)
        }
        None => {
            if base.join("shard-0").exists() {
                return Err(StoreError::Damaged(format!(
                    "{} has shards but no {NAME} file",
                    base.display()
                )));
            }
            let shards = wanted.clamp(1, MAX_SHARDS);
            write(base, shards, files).map_err(|error| unavailable(&error))?;
            Ok(shards)
        }
    }
}

/// Format and shards of a base; `None` if there is no file.
pub(crate) fn read(base: &Path) -> Result<Option<(u32, u32)>> {
    let text = match std::fs::read_to_string(base.join(NAME)) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unavailable(&error)),
    };
    let number = |word: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(word));
        line.and_then(|rest| rest.trim().parse::<u32>().ok())
    };
    let damaged = || StoreError::Damaged(format!("{}/{NAME} cannot be read", base.display()));
    if text.lines().next() != Some(FIRST_LINE) {
        return Err(damaged());
    }
    let format = number("format ").ok_or_else(damaged)?;
    let shards = number("shards ").filter(|n| (1..=MAX_SHARDS).contains(n));
    match shards {
        Some(shards) => Ok(Some((format, shards))),
        // A newer format may say it in another way; that is told first.
        None => bring_forward(format).and(Err(damaged())),
    }
}

/// The forward steps from an older format; true when the file must be written anew. Up to 5
/// nothing stored changes: what a format adds is written as it comes up, and an older version,
/// which would lose it, refuses the base from now on.
fn bring_forward(format: u32) -> Result<bool> {
    match format {
        FORMAT => Ok(false),
        1..=4 => Ok(true),
        newer if newer > FORMAT => Err(StoreError::Invalid(format!(
            "the base directory has format {newer}, this version knows up to {FORMAT}: \
             a newer Angarium wrote it"
        ))),
        other => Err(StoreError::Damaged(format!("there never was a base format {other}"))),
    }
}

fn write(base: &Path, shards: u32, files: &dyn Files) -> std::io::Result<()> {
    let text = format!(
        "{FIRST_LINE}\nformat {FORMAT}\nshards {shards}\ncreated-by angarium {}\n",
        env!("CARGO_PKG_VERSION")
    );
    let unnamed = base.join("VERSION.new");
    let mut file = std::fs::File::create(&unnamed)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    files.rename(&unnamed, &base.join(NAME))?;
    files.sync_directory(base)
}
