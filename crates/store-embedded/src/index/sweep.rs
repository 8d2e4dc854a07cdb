//! Many messages of a mailbox at once: rows of neighbouring UIDs are read, changed and removed by
//! ranges, the others one by one with a statement that stays prepared. What comes out is the same
//! either way; only the time differs. Must never know why they are wanted.

use angarium_store::{BodyId, FlagBits, Flags, MailboxId, MessageEntry, ModSeq, StoreError, Uid};
use rusqlite::{Connection, Row};

use super::mail_rows::{self, KeywordSets};
use super::references::home;
use super::{IndexTx, misfit, one, sql};

/// UIDs (or ids) that are this dense, one in so many, are read in one sweep.
const DENSE: u64 = 4;

/// Which columns of messages are read.
#[derive(Clone, Copy)]
enum Columns {
    /// `uid, modseq, flags, keywords`
    Flags,
    /// `packed` too
    All,
}

fn ascending(uids: &[Uid]) -> bool {
    uids.is_sorted_by(|a, b| a < b)
}

/// Hands over the rows of those of the UIDs that exist, in the order given.
fn each_row(
    db: &Connection,
    mailbox: MailboxId,
    uids: &[Uid],
    columns: Columns,
    mut take: impl FnMut(&Row<'_>) -> rusqlite::Result<()>,
) -> Result<(), StoreError> {
    let (Some(first), Some(last)) = (uids.first(), uids.last()) else { return Ok(()) };
    let span = u64::from(last.0.saturating_sub(first.0));
    if uids.len() < 2 || !ascending(uids) || span / DENSE >= uids.len() as u64 {
        let text = match columns {
            Columns::Flags => {
                "SELECT uid, modseq, flags, keywords FROM messages WHERE mailbox=?1 AND uid=?2"
            }
            Columns::All => {
                "SELECT uid, modseq, flags, keywords, packed FROM messages
                 WHERE mailbox=?1 AND uid=?2"
            }
        };
        let mut statement = db.prepare_cached(text).map_err(sql)?;
        for uid in uids {
            let mut rows = statement.query((mailbox.0, uid.0)).map_err(sql)?;
            if let Some(row) = rows.next().map_err(sql)? {
                take(row).map_err(sql)?;
            }
        }
        return Ok(());
    }
    let text = match columns {
        Columns::Flags => {
            "SELECT uid, modseq, flags, keywords FROM messages
             WHERE mailbox=?1 AND uid BETWEEN ?2 AND ?3 ORDER BY uid"
        }
        Columns::All => {
            "SELECT uid, modseq, flags, keywords, packed FROM messages
             WHERE mailbox=?1 AND uid BETWEEN ?2 AND ?3 ORDER BY uid"
        }
    };
    let mut statement = db.prepare_cached(text).map_err(sql)?;
    let mut rows = statement.query((mailbox.0, first.0, last.0)).map_err(sql)?;
    let mut wanted = uids.iter().peekable();
    while let Some(row) = rows.next().map_err(sql)? {
        let here = Uid(row.get(0).map_err(sql)?);
        while wanted.next_if(|uid| **uid < here).is_some() {}
        match wanted.peek() {
            None => break,
            Some(uid) if **uid == here => take(row).map_err(sql)?,
            Some(_) => {}
        }
    }
    Ok(())
}

/// Flags and MODSEQ of those of the UIDs that exist, in the order given.
pub(crate) fn flags(
    db: &Connection,
    mailbox: MailboxId,
    uids: &[Uid],
) -> Result<Vec<(Uid, Flags, ModSeq)>, StoreError> {
    let mut sets = KeywordSets::default();
    let mut found = Vec::with_capacity(uids.len());
    each_row(db, mailbox, uids, Columns::Flags, |row| {
        found.push(mail_rows::read_flags(row, &mut sets)?);
        Ok(())
    })?;
    Ok(found)
}

/// Those of the UIDs that exist, whole, in the order given.
pub(crate) fn entries(
    db: &Connection,
    mailbox: MailboxId,
    uids: &[Uid],
) -> Result<Vec<MessageEntry>, StoreError> {
    let mut sets = KeywordSets::default();
    let mut found = Vec::with_capacity(uids.len());
    each_row(db, mailbox, uids, Columns::All, |row| {
        found.push(mail_rows::read_message(row, &mut sets)?);
        Ok(())
    })?;
    Ok(found)
}

/// How many messages a range holds, and how many of them are unseen and deleted.
struct Counted {
    messages: usize,
    unseen: u32,
    deleted: u32,
}

fn counted(
    db: &Connection,
    mailbox: MailboxId,
    first: Uid,
    last: Uid,
) -> Result<Counted, StoreError> {
    let text =
        "SELECT count(*), coalesce(sum(flags & ?4 = 0), 0), coalesce(sum(flags & ?5 <> 0), 0)
                FROM messages WHERE mailbox=?1 AND uid BETWEEN ?2 AND ?3";
    let (seen, deleted) = (FlagBits::SEEN.0, FlagBits::DELETED.0);
    let found = one(db, text, (mailbox.0, first.0, last.0, seen, deleted), |row| {
        Ok(Counted { messages: row.get(0)?, unseen: row.get(1)?, deleted: row.get(2)? })
    })?;
    found.ok_or_else(|| misfit("a count of nothing"))
}

fn neighbours(a: Uid, b: Uid) -> bool {
    a.0.checked_add(1) == Some(b.0)
}

impl IndexTx<'_> {
    /// Sets flags of messages that exist; answers how many of them were unseen and deleted before.
    pub(crate) fn set_flags(
        &self,
        mailbox: MailboxId,
        modseq: ModSeq,
        changed: &[(Uid, Flags)],
    ) -> Result<(u32, u32), StoreError> {
        let mut before = (0, 0);
        for alike in changed.chunk_by(|a, b| a.0 < b.0 && a.1 == b.1) {
            if self.set_range(mailbox, modseq, alike, &mut before)? {
                continue;
            }
            // Other messages lie between them.
            for run in alike.chunk_by(|a, b| neighbours(a.0, b.0)) {
                if !self.set_range(mailbox, modseq, run, &mut before)? {
                    return Err(misfit("flags of no message"));
                }
            }
        }
        Ok(before)
    }

    /// Sets the flags of all messages of a range, if these are all it holds.
    fn set_range(
        &self,
        mailbox: MailboxId,
        modseq: ModSeq,
        alike: &[(Uid, Flags)],
        before: &mut (u32, u32),
    ) -> Result<bool, StoreError> {
        let (Some((first, flags)), Some((last, _))) = (alike.first(), alike.last()) else {
            return Ok(true);
        };
        let counted = counted(self.db, mailbox, *first, *last)?;
        if counted.messages != alike.len() {
            return Ok(false);
        }
        self.run(
            "UPDATE messages SET modseq=?4, flags=?5, keywords=?6
             WHERE mailbox=?1 AND uid BETWEEN ?2 AND ?3",
            (mailbox.0, first.0, last.0, modseq.0, flags.bits.0, mail_rows::keywords_column(flags)),
        )?;
        before.0 += counted.unseen;
        before.1 += counted.deleted;
        Ok(true)
    }

    /// Removes the rows of messages that exist (ascending UIDs), nothing of what they refer to.
    pub(crate) fn remove_rows(&self, mailbox: MailboxId, uids: &[Uid]) -> Result<(), StoreError> {
        let (Some(first), Some(last)) = (uids.first(), uids.last()) else { return Ok(()) };
        let text = "DELETE FROM messages WHERE mailbox=?1 AND uid BETWEEN ?2 AND ?3";
        let mut statement = self.db.prepare_cached(text).map_err(sql)?;
        if ascending(uids) && counted(self.db, mailbox, *first, *last)?.messages == uids.len() {
            return statement.execute((mailbox.0, first.0, last.0)).map(drop).map_err(sql);
        }
        for run in uids.chunk_by(|a, b| neighbours(*a, *b)) {
            if let (Some(first), Some(last)) = (run.first(), run.last()) {
                statement.execute((mailbox.0, first.0, last.0)).map_err(sql)?;
            }
        }
        Ok(())
    }

    /// Takes one more reference to each of these bodies.
    pub(crate) fn add_references(
        &mut self,
        bodies: impl Iterator<Item = BodyId>,
    ) -> Result<(), StoreError> {
        let text =
            "INSERT INTO more_refs VALUES(?1, 1) ON CONFLICT(body) DO UPDATE SET refs = refs + 1";
        let mut statement = self.db.prepare_cached(text).map_err(sql)?;
        for body in bodies {
            if home(body) == self.hot.shard {
                statement.execute([body.0]).map_err(sql)?;
            } else {
                self.add_reference(body)?;
            }
        }
        Ok(())
    }

    /// Gives one reference to each of these bodies back.
    pub(crate) fn drop_references(&mut self, mut bodies: Vec<BodyId>) -> Result<(), StoreError> {
        bodies.sort_unstable();
        let (Some(first), Some(last)) = (bodies.first().copied(), bodies.last().copied()) else {
            return Ok(());
        };
        let dense = bodies.is_sorted_by(|a, b| a < b)
            && home(first) == self.hot.shard
            && home(last) == self.hot.shard
            && (last.0 - first.0) / DENSE < bodies.len() as u64;
        if bodies.len() < 2 || !dense {
            return bodies.into_iter().try_for_each(|body| self.drop_reference(body));
        }
        let text = "SELECT body, refs FROM more_refs WHERE body BETWEEN ?1 AND ?2 ORDER BY body";
        let counts: Vec<(u64, u64)> =
            self.all(text, (first.0, last.0), |row| Ok((row.get(0)?, row.get(1)?)))?;
        // Copies of bodies that exist once more, and nothing else between.
        if counts.iter().copied().eq(bodies.iter().map(|body| (body.0, 1))) {
            let text = "DELETE FROM more_refs WHERE body BETWEEN ?1 AND ?2";
            return self.run(text, (first.0, last.0)).map(drop);
        }
        let mut copy =
            self.db.prepare_cached("DELETE FROM more_refs WHERE body=?1").map_err(sql)?;
        let mut counts = counts.into_iter().peekable();
        for body in bodies {
            while counts.next_if(|(other, _)| *other < body.0).is_some() {}
            if counts.peek() == Some(&(body.0, 1)) {
                copy.execute([body.0]).map_err(sql)?;
            } else {
                self.drop_reference(body)?;
            }
        }
        Ok(())
    }
}
