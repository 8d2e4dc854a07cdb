//! Keeping two accounts alike: what an earlier run did, what changed since, and what is at the new
//! server although no journal says so. Decides and asks; carrying messages is the lanes' work.

pub(crate) mod changes;
pub(crate) mod deletions;
pub(crate) mod entries;
pub(crate) mod flags;
pub(crate) mod matching;
pub(crate) mod renamed;
pub(crate) mod settle;

use crate::error::Result;
use crate::session::Session;

pub use deletions::Valve;
pub use flags::FlagPolicy;

/// What is brought up to date beside new messages.
#[derive(Clone, Debug, Default)]
pub struct SyncStyle {
    /// `--syncFlags`
    pub flags: FlagPolicy,
    /// `--syncDeletes`, and how much it may delete.
    pub deletes: Option<Valve>,
    /// `--copyAll`: do not look what the target has already.
    pub copy_all: bool,
    /// `--dryRun`
    pub dry_run: bool,
}

/// Leaves a mailbox without expunging anything in it, so that its news does not come between
/// later answers.
pub(crate) async fn leave(session: &mut Session, wire: &[u8], writable: bool) -> Result<()> {
    if session.has("UNSELECT") || session.has("IMAP4REV2") {
        session.command(b"UNSELECT").await?;
        return Ok(());
    }
    // CLOSE expunges what is open for writing, and nothing else.
    if !writable || session.with_names("EXAMINE", &[wire]).await?.is_ok() {
        session.command(b"CLOSE").await?;
    }
    Ok(())
}
