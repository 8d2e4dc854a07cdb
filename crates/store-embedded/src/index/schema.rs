//! The tables of a shard's index, how a connection to it is set up, and its first and only row of
//! state: the journal position it has reached and the numbers that are given out next.
//!
//! | table | a row is |
//! |---|---|
//! | `state` | the position reached, the next numbers |
//! | `mail_accounts` | an account with mail here, the last validity it used |
//! | `mailboxes` | a mailbox with its counters |
//! | `messages` | a message, packed (see `mail_rows`) |
//! | `vanished` | UIDs that went at a MODSEQ |
//! | `origins` | a delivery that was appended |
//! | `bodies` | where a body lies, with its summary |
//! | `more_refs` | references to a body beyond the first |
//! | `holds` | another shard refers to a body of this one (counted as one reference) |
//! | `borrowed` | a body of another shard and how often it is referred to here |
//! | `queue`, `queue_states` | an entry; the state of a recipient that has moved on |
//! | `account_files` | a file or directory that an account keeps beside its mail |
//! | `segments` | octets of live bodies in a segment |
//! | `settings`, `domains`, `domain_aliases`, `objects`, `accounts`, `removed_accounts` | the directory (shard 0) |
//! | `object_counts` | how many names of a kind a domain has, kept by triggers on `objects` |

use std::path::Path;

use angarium_store::StoreError;
use rusqlite::{Connection, OpenFlags};

use super::{Counters, one, sql};
use crate::journal::Position;

/// The version of the tables; another one means the index is made again from the journal.
pub(crate) const INDEX_VERSION: i64 = 1;

/// SQLite before this could lose a committed transaction when a checkpoint met a writer.
const OLDEST_SQLITE: i32 = 3_051_003;

/// Statements kept prepared by a connection.
const STATEMENTS: usize = 128;

const TABLES: &str = "
CREATE TABLE state(id INTEGER PRIMARY KEY, segment INTEGER NOT NULL, offset INTEGER NOT NULL,
  sequence INTEGER NOT NULL, next_body INTEGER NOT NULL, next_mailbox INTEGER NOT NULL,
  queue_ids_below INTEGER NOT NULL);
INSERT INTO state VALUES(1, 0, 0, 1, 1, 1, 1);
CREATE TABLE mail_accounts(id INTEGER PRIMARY KEY, validity INTEGER NOT NULL);
CREATE TABLE mailboxes(id INTEGER PRIMARY KEY, account INTEGER NOT NULL, name TEXT NOT NULL,
  selectable INTEGER NOT NULL, uid_validity INTEGER NOT NULL, uid_next INTEGER NOT NULL,
  modseq INTEGER NOT NULL, messages INTEGER NOT NULL, unseen INTEGER NOT NULL,
  deleted INTEGER NOT NULL, size INTEGER NOT NULL, first_recent INTEGER NOT NULL,
  attributes BLOB NOT NULL);
CREATE INDEX mailboxes_by_name ON mailboxes(account, name);
CREATE TABLE messages(mailbox INTEGER NOT NULL, uid INTEGER NOT NULL, modseq INTEGER NOT NULL,
  flags INTEGER NOT NULL, keywords TEXT, packed BLOB NOT NULL,
  PRIMARY KEY(mailbox, uid)) WITHOUT ROWID;
CREATE TABLE vanished(mailbox INTEGER NOT NULL, modseq INTEGER NOT NULL, uids BLOB NOT NULL,
  PRIMARY KEY(mailbox, modseq)) WITHOUT ROWID;
CREATE TABLE origins(queue INTEGER NOT NULL, recipient INTEGER NOT NULL, account INTEGER NOT NULL,
  PRIMARY KEY(queue, recipient, account)) WITHOUT ROWID;
CREATE TABLE bodies(id INTEGER PRIMARY KEY, segment INTEGER NOT NULL, offset INTEGER NOT NULL,
  size INTEGER NOT NULL, crc INTEGER NOT NULL, digest BLOB NOT NULL, summary BLOB NOT NULL);
CREATE TABLE more_refs(body INTEGER PRIMARY KEY, refs INTEGER NOT NULL);
CREATE TABLE holds(body INTEGER NOT NULL, holder INTEGER NOT NULL,
  PRIMARY KEY(body, holder)) WITHOUT ROWID;
CREATE TABLE borrowed(body INTEGER PRIMARY KEY, refs INTEGER NOT NULL);
CREATE TABLE queue(id INTEGER PRIMARY KEY, body INTEGER NOT NULL, recipients INTEGER NOT NULL,
  packed BLOB NOT NULL);
CREATE TABLE queue_states(id INTEGER NOT NULL, recipient INTEGER NOT NULL, ended INTEGER NOT NULL,
  packed BLOB NOT NULL, PRIMARY KEY(id, recipient)) WITHOUT ROWID;
CREATE TABLE segments(number INTEGER PRIMARY KEY, live INTEGER NOT NULL);
CREATE TABLE settings(name TEXT PRIMARY KEY, version INTEGER NOT NULL,
  value BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE domains(name TEXT PRIMARY KEY, packed BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE domain_aliases(name TEXT PRIMARY KEY, domain TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE objects(domain TEXT NOT NULL, name TEXT NOT NULL, packed BLOB NOT NULL,
  PRIMARY KEY(domain, name)) WITHOUT ROWID;
CREATE TABLE accounts(id INTEGER PRIMARY KEY, domain TEXT NOT NULL, packed BLOB NOT NULL);
CREATE INDEX accounts_by_domain ON accounts(domain);
CREATE TABLE removed_accounts(id INTEGER PRIMARY KEY);
";

/// Finds the few messages that are kept back from some who look at a mailbox
/// (`FlagBits::KEPT_BACK`, 384); it costs the others nothing.
const KEPT_BACK: &str = "CREATE INDEX IF NOT EXISTS messages_kept_back ON messages(mailbox)
  WHERE flags & 384 != 0";

/// Finds the recipients of a large queue entry that still wait; it costs small ones nothing.
const STILL_WAITING: &str = "CREATE INDEX IF NOT EXISTS queue_states_waiting ON queue_states(id)
  WHERE ended=0";

/// Finds forwarders, groups and lists among many accounts: the first octet of an object tells its kind.
const PLAIN_OBJECTS: &str = "CREATE INDEX IF NOT EXISTS objects_plain ON objects(domain, name)
  WHERE substr(packed,1,1)>x'02'";

/// The files of accounts: `pieces` are the ids of the bodies, or NULL for a directory.
const ACCOUNT_FILES: &str = "CREATE TABLE IF NOT EXISTS account_files(account INTEGER NOT NULL,
  path TEXT NOT NULL, modified INTEGER NOT NULL, size INTEGER NOT NULL, pieces BLOB,
  PRIMARY KEY(account, path)) WITHOUT ROWID";

/// Counts what `objects` has, from what is there and from then on. `number+1` needs the upsert: an
/// OR clause in a trigger would give way to that of the statement which fires it.
const OBJECT_COUNTS: &str = "
CREATE TABLE object_counts(domain TEXT NOT NULL, kind BLOB NOT NULL, number INTEGER NOT NULL,
  PRIMARY KEY(domain, kind)) WITHOUT ROWID;
INSERT INTO object_counts SELECT domain, substr(packed,1,1), count(*) FROM objects GROUP BY 1, 2;
CREATE TRIGGER objects_come AFTER INSERT ON objects BEGIN
  INSERT INTO object_counts VALUES(new.domain, substr(new.packed,1,1), 1)
    ON CONFLICT(domain, kind) DO UPDATE SET number=number+1;
END;
CREATE TRIGGER objects_go AFTER DELETE ON objects BEGIN
  UPDATE object_counts SET number=number-1 WHERE domain=old.domain AND kind=substr(old.packed,1,1);
END;
CREATE TRIGGER objects_change AFTER UPDATE ON objects BEGIN
  UPDATE object_counts SET number=number-1 WHERE domain=old.domain AND kind=substr(old.packed,1,1);
  INSERT INTO object_counts VALUES(new.domain, substr(new.packed,1,1), 1)
    ON CONFLICT(domain, kind) DO UPDATE SET number=number+1;
END;
";

/// What came after the first tables of this version: made where it is missing.
fn add_newer(db: &Connection) -> rusqlite::Result<()> {
    db.execute_batch(KEPT_BACK)?;
    db.execute_batch(STILL_WAITING)?;
    db.execute_batch(PLAIN_OBJECTS)?;
    db.execute_batch(ACCOUNT_FILES)?;
    let counted: bool = db.query_row(
        "SELECT EXISTS(SELECT 1 FROM sqlite_schema WHERE name='object_counts')",
        [],
        |row| row.get(0),
    )?;
    if counted { Ok(()) } else { db.execute_batch(OBJECT_COUNTS) }
}

/// The tables by number, as checkpoints name them, with their columns in order. Numbers are
/// stored and must never change. `bodies` and `segments` are made from the frames themselves.
pub(crate) const CHECKPOINT_TABLES: &[(u8, &str, &str)] = &[
    (1, "state", "id"),
    (2, "mail_accounts", "id"),
    (3, "mailboxes", "id"),
    (4, "messages", "mailbox, uid"),
    (5, "vanished", "mailbox, modseq"),
    (6, "origins", "queue, recipient, account"),
    (7, "more_refs", "body"),
    (8, "holds", "body, holder"),
    (9, "borrowed", "body"),
    (10, "queue", "id"),
    (11, "queue_states", "id, recipient"),
    (12, "settings", "name"),
    (13, "domains", "name"),
    (14, "domain_aliases", "name"),
    (15, "objects", "domain, name"),
    (16, "accounts", "id"),
    (17, "removed_accounts", "id"),
    (18, "account_files", "account, path"),
];

/// Refuses an SQLite that could lose mail.
pub(crate) fn check_library() -> Result<(), StoreError> {
    if rusqlite::version_number() < OLDEST_SQLITE {
        return Err(StoreError::Invalid(format!(
            "SQLite {} is too old; 3.51.3 or newer is needed",
            rusqlite::version()
        )));
    }
    Ok(())
}

/// Opens the index for its writer and makes the tables if it is new. `Ok(None)` if it is of
/// another version or cannot be read as an index: then it must be made again.
pub(crate) fn open_writer(path: &Path) -> Result<Option<Connection>, StoreError> {
    let db = Connection::open(path).map_err(sql)?;
    match set_up_writer(&db) {
        Ok(true) => Ok(Some(db)),
        Ok(false) => Ok(None),
        Err(error) if is_unreadable(&error) => Ok(None),
        Err(error) => Err(sql(error)),
    }
}

fn is_unreadable(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(rusqlite::ErrorCode::DatabaseCorrupt | rusqlite::ErrorCode::NotADatabase)
    )
}

fn set_up_writer(db: &Connection) -> rusqlite::Result<bool> {
    db.set_prepared_statement_cache_capacity(STATEMENTS);
    db.pragma_update(None, "page_size", 4096)?;
    db.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    db.pragma_update(None, "synchronous", "NORMAL")?;
    db.pragma_update(None, "wal_autocheckpoint", 0)?;
    db.pragma_update(None, "cache_size", -16_384)?;
    db.pragma_update(None, "temp_store", "MEMORY")?;
    // A row that is replaced counts as one that goes and one that comes.
    db.pragma_update(None, "recursive_triggers", true)?;
    db.busy_timeout(std::time::Duration::from_secs(10))?;
    let version: i64 = db.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if version == 0 {
        let tables: i64 =
            db.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
        if tables != 0 {
            return Ok(false);
        }
        db.execute_batch("BEGIN")?;
        db.execute_batch(TABLES)?;
        add_newer(db)?;
        db.pragma_update(None, "user_version", INDEX_VERSION)?;
        db.execute_batch("COMMIT")?;
        return Ok(true);
    }
    if version == INDEX_VERSION {
        db.execute_batch("BEGIN")?;
        add_newer(db)?;
        db.execute_batch("COMMIT")?;
    }
    Ok(version == INDEX_VERSION)
}

/// Opens the index for reading.
pub(crate) fn open_reader(path: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(path, flags).map_err(sql)?;
    db.set_prepared_statement_cache_capacity(STATEMENTS);
    let set_up = || {
        db.pragma_update(None, "query_only", true)?;
        db.pragma_update(None, "cache_size", -4096)?;
        db.pragma_update(None, "mmap_size", 1i64 << 30)?;
        db.busy_timeout(std::time::Duration::from_secs(10))
    };
    set_up().map_err(sql)?;
    Ok(db)
}

/// The row of state.
pub(crate) fn state(db: &Connection) -> Result<(Counters, Position), StoreError> {
    let row = one(
        db,
        "SELECT segment, offset, sequence, next_body, next_mailbox, queue_ids_below FROM state",
        [],
        |row| {
            let position = Position { segment: row.get(0)?, offset: row.get(1)? };
            let counters = Counters {
                sequence: row.get(2)?,
                next_body: row.get(3)?,
                next_mailbox: row.get(4)?,
                queue_ids_below: row.get(5)?,
            };
            Ok((counters, position))
        },
    )?;
    row.ok_or_else(|| super::misfit("no state"))
}

/// Opens the index only to move its log into the database.
pub(crate) fn open_checkpointer(path: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(path, flags).map_err(sql)?;
    db.pragma_update(None, "synchronous", "NORMAL").map_err(sql)?;
    Ok(db)
}
