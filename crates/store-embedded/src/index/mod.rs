//! The index of one shard: a SQLite file that is a view of the journal. [`IndexTx`] is the one
//! way in for writing: the writer decides on what it reads here and applies records here, in one
//! transaction together with the journal position they reach; recovery applies the same records
//! by the same functions. Must never write what is not a consequence of a record.

pub(crate) mod apply_directory;
pub(crate) mod apply_mail;
pub(crate) mod apply_queue;
pub(crate) mod directory_rows;
pub(crate) mod file_rows;
pub(crate) mod mail_rows;
pub(crate) mod references;
pub(crate) mod schema;
pub(crate) mod sweep;

use std::collections::HashMap;

use angarium_store::timetable;
use angarium_store::{AccountId, BodyId, Change, MailboxId, MailboxRecord, QueueId, StoreError};
use rusqlite::{Connection, OptionalExtension, Params, Row};

use crate::journal::Position;
use crate::journal::frame::PartPlace;
use crate::record::Record;

/// Mailboxes kept in the writer's memory; beyond it the clean ones are forgotten.
const HOT_MAILBOXES: usize = 20_000;

/// What an error of the index means to the caller: try later.
pub(crate) fn sql(error: rusqlite::Error) -> StoreError {
    StoreError::Unavailable(format!("index: {error}"))
}

/// An index that does not fit a record that is applied to it, or holds what it should not.
pub(crate) fn misfit(what: &str) -> StoreError {
    StoreError::Damaged(format!("the index does not fit the journal: {what}"))
}

/// What applying a record means outside the index; acted on after the commit.
#[derive(Debug)]
pub(crate) enum Effect {
    /// To be told on the feed.
    Change(Change),
    /// An entry came into the queue.
    Queued { id: QueueId, entry: timetable::Entry },
    /// Recipients of an entry stand now so.
    Rescheduled { id: QueueId, standings: Vec<(u32, timetable::Standing)> },
    /// An entry left the queue.
    Unqueued { id: QueueId },
    /// Nothing here refers to this foreign body any more.
    Unborrowed { body: BodyId },
    /// Queue ids below this are reserved.
    Reserved { below: u64 },
}

/// Numbers that go with the position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Counters {
    pub(crate) sequence: u64,
    pub(crate) next_body: u64,
    pub(crate) next_mailbox: u64,
    pub(crate) queue_ids_below: u64,
}

pub(crate) struct HotMailbox {
    pub(crate) account: AccountId,
    pub(crate) record: MailboxRecord,
    pub(crate) dirty: bool,
}

/// What the writer keeps in memory of the index between transactions.
pub(crate) struct Hot {
    pub(crate) shard: u32,
    pub(crate) counters: Counters,
    pub(crate) mailboxes: HashMap<MailboxId, HotMailbox>,
    /// Changes of the live octets of segments.
    pub(crate) live: HashMap<u64, i64>,
}

impl Hot {
    pub(crate) fn load(shard: u32, index: &Connection) -> Result<(Self, Position), StoreError> {
        let (counters, position) = schema::state(index)?;
        let hot = Self { shard, counters, mailboxes: HashMap::new(), live: HashMap::new() };
        Ok((hot, position))
    }

    /// Forgets everything after a transaction that was rolled back.
    pub(crate) fn reset(&mut self, counters: Counters) {
        self.counters = counters;
        self.mailboxes.clear();
        self.live.clear();
    }
}

/// Where a frame that is applied lies.
pub(crate) struct Place<'a> {
    pub(crate) segment: u64,
    pub(crate) parts: &'a [PartPlace],
}

/// An index inside a write transaction.
pub(crate) struct IndexTx<'a> {
    pub(crate) db: &'a Connection,
    pub(crate) hot: &'a mut Hot,
    pub(crate) effects: Vec<Effect>,
    /// Somebody listens to changes.
    pub(crate) heard: bool,
}

impl<'a> IndexTx<'a> {
    pub(crate) fn begin(
        db: &'a Connection,
        hot: &'a mut Hot,
        heard: bool,
    ) -> Result<Self, StoreError> {
        if hot.mailboxes.len() > HOT_MAILBOXES {
            hot.mailboxes.clear();
        }
        db.prepare_cached("BEGIN IMMEDIATE").and_then(|mut s| s.execute([])).map_err(sql)?;
        Ok(Self { db, hot, effects: Vec::new(), heard })
    }

    /// Goes on in a transaction that was begun.
    pub(crate) fn inside(db: &'a Connection, hot: &'a mut Hot) -> Self {
        Self { db, hot, effects: Vec::new(), heard: false }
    }

    /// Writes the position and commits.
    pub(crate) fn commit(&mut self, position: Position) -> Result<Vec<Effect>, StoreError> {
        self.flush()?;
        let c = self.hot.counters;
        self.run(
            "UPDATE state SET segment=?1, offset=?2, sequence=?3, next_body=?4, next_mailbox=?5,
             queue_ids_below=?6 WHERE id=1",
            (
                position.segment,
                position.offset,
                c.sequence,
                c.next_body,
                c.next_mailbox,
                c.queue_ids_below,
            ),
        )?;
        self.run("COMMIT", [])?;
        Ok(std::mem::take(&mut self.effects))
    }

    /// Undoes everything since `begin`.
    pub(crate) fn rollback(self, counters: Counters) {
        if let Err(error) = self.db.execute_batch("ROLLBACK") {
            // SQLite has already rolled back by itself, as it does on a full disk.
            tracing::debug!("rollback of the index: {error}");
        }
        self.hot.reset(counters);
    }

    /// Writes what is kept in memory into the rows.
    pub(crate) fn flush(&mut self) -> Result<(), StoreError> {
        for hot in self.hot.mailboxes.values_mut().filter(|m| m.dirty) {
            mail_rows::update_counters(self.db, &hot.record)?;
            hot.dirty = false;
        }
        for (segment, change) in self.hot.live.drain() {
            self.db
                .prepare_cached(
                    "INSERT INTO segments(number, live) VALUES(?1, ?2)
                     ON CONFLICT(number) DO UPDATE SET live = live + excluded.live",
                )
                .and_then(|mut s| s.execute((segment, change)))
                .map_err(sql)?;
        }
        Ok(())
    }

    /// Applies the records of one frame.
    pub(crate) fn apply(
        &mut self,
        records: &[Record],
        place: &Place<'_>,
    ) -> Result<(), StoreError> {
        let mut rest = records;
        while let Some((record, mut later)) = rest.split_first() {
            match later.split_first() {
                Some((next, after)) if self.moved(record, next)? => later = after,
                _ => self.apply_one(record, place)?,
            }
            rest = later;
        }
        Ok(())
    }

    fn apply_one(&mut self, record: &Record, place: &Place<'_>) -> Result<(), StoreError> {
        match record {
            Record::AccountMade { account } => self.account_made(*account),
            Record::AccountPurged { account } => self.account_purged(*account),
            Record::Mailboxes { account, removed, put } => {
                self.mailboxes_put(*account, removed, put)
            }
            Record::Recent { account, mailbox, first } => self.recent(*account, *mailbox, *first),
            Record::Appended { account, mailbox, modseq, arrivals } => {
                self.appended(*account, *mailbox, *modseq, arrivals, place)
            }
            Record::Flags { account, mailbox, modseq, changed } => {
                self.flags_changed(*account, *mailbox, *modseq, changed)
            }
            Record::Copied { account, from, to, modseq, save_date, pairs } => {
                self.copied(*account, *from, *to, *modseq, *save_date, pairs)
            }
            Record::Expunged { account, mailbox, modseq, uids } => {
                self.expunged(*account, *mailbox, *modseq, uids)
            }
            Record::PopIds { account, mailbox, ids } => self.pop_ids_given(*account, *mailbox, ids),
            Record::Files { account, removed, put } => {
                self.files_changed(*account, removed, put, place)
            }
            Record::OriginsForgotten { queues } => self.origins_forgotten(queues),
            Record::Held { body, holder } => self.held(*body, *holder),
            Record::Released { body, holder } => self.released(*body, *holder),
            Record::Returned { body } => self.returned(*body),
            Record::Relocated { body } => self.relocated(body, place),
            Record::Enqueued { entry } => self.enqueued(entry, place),
            Record::QueuedBy { origin } => self.queued_by(*origin),
            Record::Settled { id, steps, ended } => self.settled(*id, steps, *ended),
            Record::QueueIdsReserved { below } => {
                let known = &mut self.hot.counters.queue_ids_below;
                *known = (*known).max(*below);
                self.effects.push(Effect::Reserved { below: *below });
                Ok(())
            }
            Record::CheckpointRows { .. } | Record::CheckpointDone { .. } => Ok(()),
            directory => self.apply_directory(directory),
        }
    }

    pub(crate) fn tell(&mut self, change: impl FnOnce() -> Change) {
        if self.heard {
            let change = change();
            self.effects.push(Effect::Change(change));
        }
    }

    /// Runs a statement; answers the number of rows.
    pub(crate) fn run(&self, text: &str, params: impl Params) -> Result<usize, StoreError> {
        self.db.prepare_cached(text).and_then(|mut s| s.execute(params)).map_err(sql)
    }

    /// One row or none.
    pub(crate) fn one<T>(
        &self,
        text: &str,
        params: impl Params,
        read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>, StoreError> {
        one(self.db, text, params, read)
    }

    /// All rows.
    pub(crate) fn all<T>(
        &self,
        text: &str,
        params: impl Params,
        read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, StoreError> {
        all(self.db, text, params, read)
    }
}

/// One row or none.
pub(crate) fn one<T>(
    db: &Connection,
    text: &str,
    params: impl Params,
    read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
) -> Result<Option<T>, StoreError> {
    db.prepare_cached(text).and_then(|mut s| s.query_row(params, read).optional()).map_err(sql)
}

/// All rows.
pub(crate) fn all<T>(
    db: &Connection,
    text: &str,
    params: impl Params,
    read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
) -> Result<Vec<T>, StoreError> {
    let mut statement = db.prepare_cached(text).map_err(sql)?;
    let rows = statement.query_map(params, read).map_err(sql)?;
    rows.collect::<rusqlite::Result<Vec<T>>>().map_err(sql)
}
