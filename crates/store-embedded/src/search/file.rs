//! The file of a shard's search: its tables, who reads and who writes, and what is done with one
//! that is of another version, damaged, or speaks of bodies that the journal never had.
//!
//! | table | a row is |
//! |---|---|
//! | `state` | the last body looked through, and its checksum |
//! | `signatures` | a body's signature |
//! | `looked` | bodies of an account whose words were taken in, 65,536 ids a row, as a set |
//! | `words` | a word in an account's messages |
//! | `postings` | a block of bodies with the word, and where in them |

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use angarium_store::{BodyId, Result, StoreError};
use rusqlite::{Connection, ErrorCode};

use crate::index::{one, sql};
use crate::reader::{Readers, closed};
use crate::recovery::remove_index;

/// The version of tables and signatures; a file of another one is made anew.
const VERSION: i64 = 1;
const NAME: &str = "search.sqlite";

const TABLES: &str = "
CREATE TABLE state(id INTEGER PRIMARY KEY, body INTEGER NOT NULL, crc INTEGER NOT NULL);
INSERT INTO state VALUES(1, 0, 0);
CREATE TABLE signatures(body INTEGER PRIMARY KEY, signature BLOB NOT NULL);
CREATE TABLE looked(account INTEGER NOT NULL, high INTEGER NOT NULL, low BLOB NOT NULL,
  PRIMARY KEY(account, high)) WITHOUT ROWID;
CREATE TABLE words(id INTEGER PRIMARY KEY, account INTEGER NOT NULL, word TEXT NOT NULL);
CREATE UNIQUE INDEX words_by_text ON words(account, word);
CREATE TABLE postings(word INTEGER NOT NULL, part INTEGER NOT NULL, block BLOB NOT NULL,
  PRIMARY KEY(word, part)) WITHOUT ROWID;
";

/// How far the bodies of a shard have been looked through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Watermark {
    pub(crate) body: BodyId,
    /// Checksum of that body: ids that were given out again after a loss are found out by it.
    pub(crate) crc: u32,
}

/// The search file of an open shard.
pub(crate) struct SearchFile {
    path: PathBuf,
    pub(crate) readers: Arc<Readers>,
    /// Nothing once the store is closed.
    writer: Mutex<Option<Connection>>,
    /// It was found damaged and is not used until the next start.
    broken: AtomicBool,
}

/// Removes the file of a shard; it is made again by itself.
pub(crate) fn remove(shard: &Path) -> Result<()> {
    remove_index(&shard.join(NAME))
}

/// Holds a file that nobody has open against the index of its shard and removes it if it cannot
/// be relied on; answers what was wrong with it.
pub(crate) fn verify(shard: &Path, index: &Connection) -> Result<Option<String>> {
    let path = shard.join(NAME);
    if !path.exists() {
        return Ok(None);
    }
    let looked = Connection::open(&path).and_then(|db| {
        let told: String = db.pragma_query_value(None, "quick_check", |row| row.get(0))?;
        Ok((db, told))
    });
    let wrong = match looked {
        Ok((db, told)) if told == "ok" => match fits(&db, index) {
            Ok(true) => return Ok(None),
            Ok(false) => "speaks of bodies that are not there".to_owned(),
            Err(error) => error.to_string(),
        },
        Ok((_, told)) => told,
        Err(error) => error.to_string(),
    };
    remove(shard)?;
    Ok(Some(wrong))
}

/// False if the file knows more bodies than the shard ever had, or another one by the same id.
fn fits(db: &Connection, index: &Connection) -> Result<bool> {
    let mark = watermark(db)?;
    if mark == Watermark::default() {
        return Ok(true);
    }
    let text = "SELECT next_body FROM state";
    let next: Option<u64> = one(index, text, [], |row| row.get(0))?;
    let number = mark.body.0 & ((1 << 48) - 1);
    if next.is_none_or(|next| number >= next) {
        return Ok(false);
    }
    let crc: Option<u32> =
        one(index, "SELECT crc FROM bodies WHERE id=?1", [mark.body.0], |row| row.get(0))?;
    Ok(crc.is_none_or(|crc| crc == mark.crc))
}

pub(crate) fn watermark(db: &Connection) -> Result<Watermark> {
    let row = one(db, "SELECT body, crc FROM state WHERE id=1", [], |row| {
        Ok(Watermark { body: BodyId(row.get(0)?), crc: row.get(1)? })
    })?;
    row.ok_or_else(|| StoreError::Damaged("a search file without state".to_owned()))
}

impl SearchFile {
    /// Opens the file of a shard whose index is up to date, making it anew if it is not there or
    /// cannot be relied on.
    pub(crate) fn open(shard: &Path, index: &Connection) -> Result<Self> {
        let path = shard.join(NAME);
        let usable = match set_up(&path) {
            Ok(db) => fits(&db, index).unwrap_or(false).then_some(db),
            Err(error) => {
                tracing::info!("{} is made anew: {error}", path.display());
                None
            }
        };
        let writer = match usable {
            Some(db) => db,
            None => {
                remove_index(&path)?;
                set_up(&path).map_err(sql)?
            }
        };
        Ok(Self {
            readers: Arc::new(Readers::new(path.clone())),
            path,
            writer: Mutex::new(Some(writer)),
            broken: AtomicBool::new(false),
        })
    }

    /// Writes in one transaction.
    pub(crate) fn write<T>(&self, work: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let db = writer.as_ref().ok_or_else(closed)?;
        let written = db.execute_batch("BEGIN IMMEDIATE").map_err(sql).and_then(|()| {
            let done = work(db)?;
            db.execute_batch("COMMIT").map_err(sql)?;
            Ok(done)
        });
        if let Err(error) = &written {
            if !db.is_autocommit()
                && let Err(error) = db.execute_batch("ROLLBACK")
            {
                tracing::debug!("rollback of a search file: {error}");
            }
            self.failed(error);
        }
        written
    }

    /// Notes that the file failed. A damaged one is removed, so that the next start makes it anew.
    pub(crate) fn failed(&self, error: &StoreError) {
        let check = || -> rusqlite::Result<String> {
            let db = Connection::open(&self.path)?;
            db.pragma_query_value(None, "quick_check(1)", |row| row.get(0))
        };
        let damaged = match check() {
            Ok(told) => told != "ok",
            Err(error) => matches!(
                error.sqlite_error_code(),
                Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)
            ),
        };
        if damaged && !self.broken.swap(true, Ordering::Relaxed) {
            tracing::error!("{} is damaged and will be made anew: {error}", self.path.display());
            if let Err(error) = remove_index(&self.path) {
                tracing::error!("{} stays: {error}", self.path.display());
            }
        } else if !damaged {
            tracing::warn!("{}: {error}", self.path.display());
        }
    }

    /// False until the next start, once it was found damaged.
    pub(crate) fn is_usable(&self) -> bool {
        !self.broken.load(Ordering::Relaxed)
    }

    pub(crate) fn close(&self) {
        self.readers.close();
        self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

/// Opens the file for writing and makes its tables if it is new.
fn set_up(path: &Path) -> rusqlite::Result<Connection> {
    let db = Connection::open(path)?;
    db.set_prepared_statement_cache_capacity(32);
    db.pragma_update(None, "page_size", 4096)?;
    db.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    // No sync with a commit: what a failing machine loses is made again.
    db.pragma_update(None, "synchronous", "NORMAL")?;
    db.pragma_update(None, "cache_size", -8_192)?;
    db.pragma_update(None, "temp_store", "MEMORY")?;
    db.busy_timeout(std::time::Duration::from_secs(10))?;
    let version: i64 = db.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let tables: i64 = db.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if version == 0 && tables == 0 {
        db.execute_batch("BEGIN")?;
        db.execute_batch(TABLES)?;
        db.pragma_update(None, "user_version", VERSION)?;
        db.execute_batch("COMMIT")?;
        return Ok(db);
    }
    if version != VERSION {
        return Err(rusqlite::Error::InvalidParameterName(format!("it has version {version}")));
    }
    Ok(db)
}
