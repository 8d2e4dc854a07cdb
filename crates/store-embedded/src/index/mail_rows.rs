//! Rows of mailboxes and messages: how they are packed, read and written. Used by the writer
//! inside its transaction and by readers outside.
//!
//! A message's `packed` column: internal date, save date, size, body, original UID as numbers of
//! `record::code`, then the 32 octets of the digest, then POP's unique id if another server gave
//! one. Keywords are text with spaces between (a
//! keyword has none), `NULL` for none.

use std::collections::HashMap;
use std::sync::Arc;

use angarium_store::{
    AccountId, BodyId, Flags, Keyword, MailboxId, MailboxRecord, MessageEntry, ModSeq, StoreError,
    Uid, UidValidity,
};
use rusqlite::types::Type;
use rusqlite::{Connection, Row};

use super::{all, misfit, one, sql};
use crate::record::code::{Decoded, Get, Put};

macro_rules! select_mailbox {
    ($rest:literal) => {
        concat!(
            "SELECT id, account, name, selectable, uid_validity, uid_next, modseq, messages, ",
            "unseen, deleted, size, first_recent, attributes FROM mailboxes ",
            $rest
        )
    };
}

fn bad_column(column: usize) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, Type::Blob, "cannot be read".into())
}

/// Account and mailbox of a row of `select_mailbox`.
fn read_mailbox(row: &Row<'_>) -> rusqlite::Result<(AccountId, MailboxRecord)> {
    let mut record = MailboxRecord {
        id: MailboxId(row.get(0)?),
        name: row.get(2)?,
        selectable: row.get(3)?,
        uid_validity: UidValidity(row.get(4)?),
        uid_next: Uid(row.get(5)?),
        highest_modseq: ModSeq(row.get(6)?),
        messages: row.get(7)?,
        unseen: row.get(8)?,
        deleted: row.get(9)?,
        size: row.get(10)?,
        first_recent: Uid(row.get(11)?),
        class: String::new(),
        special_use: String::new(),
        acl: Default::default(),
        annotations: Default::default(),
        kept_numbers: None,
    };
    let packed = row.get_ref(12)?.as_blob()?;
    let mut packed = Get::new(packed);
    packed.attributes(&mut record).map_err(|_| bad_column(12))?;
    // Written only where there are any, since format 2.
    if !packed.is_empty() {
        record.annotations = packed.annotations().map_err(|_| bad_column(12))?;
    }
    // Behind the annotations, even if there are none, since format 4.
    if !packed.is_empty() {
        record.kept_numbers = Some(packed.kept_numbers().map_err(|_| bad_column(12))?);
    }
    Ok((AccountId(row.get(1)?), record))
}

/// A mailbox by its id.
pub(crate) fn mailbox(
    db: &Connection,
    id: MailboxId,
) -> Result<Option<(AccountId, MailboxRecord)>, StoreError> {
    let text = select_mailbox!("WHERE id=?1");
    one(db, text, [id.0], read_mailbox)
}

/// All mailboxes of an account by name.
pub(crate) fn mailboxes(
    db: &Connection,
    account: AccountId,
) -> Result<Vec<MailboxRecord>, StoreError> {
    let text = select_mailbox!("WHERE account=?1 ORDER BY name");
    all(db, text, [account.0], |row| read_mailbox(row).map(|(_, record)| record))
}

/// A mailbox of an account by its name.
pub(crate) fn mailbox_named(
    db: &Connection,
    account: AccountId,
    name: &str,
) -> Result<Option<MailboxRecord>, StoreError> {
    let text = select_mailbox!("WHERE account=?1 AND name=?2");
    one(db, text, (account.0, name), |row| read_mailbox(row).map(|(_, record)| record))
}

/// The names below a name lie between these two.
fn below(name: &str) -> (String, String) {
    // `0` comes after the separator.
    (format!("{name}/"), format!("{name}0"))
}

/// All mailboxes of an account below a name.
pub(crate) fn mailboxes_below(
    db: &Connection,
    account: AccountId,
    name: &str,
) -> Result<Vec<MailboxRecord>, StoreError> {
    let (first, end) = below(name);
    let text = select_mailbox!("WHERE account=?1 AND name>=?2 AND name<?3 ORDER BY name");
    all(db, text, (account.0, first, end), |row| read_mailbox(row).map(|(_, record)| record))
}

/// True when a mailbox for which `counts` says true is below a name.
pub(crate) fn is_parent(
    db: &Connection,
    account: AccountId,
    name: &str,
    counts: impl Fn(MailboxId) -> bool,
) -> Result<bool, StoreError> {
    let (first, end) = below(name);
    let mut statement = db
        .prepare_cached("SELECT id FROM mailboxes WHERE account=?1 AND name>=?2 AND name<?3")
        .map_err(sql)?;
    let mut rows = statement.query((account.0, first, end)).map_err(sql)?;
    while let Some(row) = rows.next().map_err(sql)? {
        if counts(MailboxId(row.get(0).map_err(sql)?)) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The mailboxes of an account that hold messages with a flag of `FlagBits::KEPT_BACK`.
pub(crate) fn kept_back(db: &Connection, account: AccountId) -> Result<Vec<MailboxId>, StoreError> {
    // The term is that of the index `messages_kept_back`, or SQLite does not use it.
    let text = "SELECT DISTINCT mailbox FROM messages WHERE flags & 384 != 0
                AND mailbox IN (SELECT id FROM mailboxes WHERE account=?1)";
    all(db, text, [account.0], |row| row.get(0).map(MailboxId))
}

/// Writes a whole mailbox.
pub(crate) fn put_mailbox(
    db: &Connection,
    account: AccountId,
    m: &MailboxRecord,
) -> Result<(), StoreError> {
    let mut attributes = Put::new();
    attributes.attributes(m);
    if !m.annotations.is_empty() || m.kept_numbers.is_some() {
        attributes.annotations(&m.annotations);
    }
    if let Some(kept) = m.kept_numbers {
        attributes.kept_numbers(kept);
    }
    db.prepare_cached(
        "INSERT OR REPLACE INTO mailboxes VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13)",
    )
    .and_then(|mut s| {
        s.execute((
            m.id.0,
            account.0,
            &m.name,
            m.selectable,
            m.uid_validity.0,
            m.uid_next.0,
            m.highest_modseq.0,
            m.messages,
            m.unseen,
            m.deleted,
            m.size,
            m.first_recent.0,
            &attributes.bytes,
        ))
    })
    .map_err(sql)?;
    Ok(())
}

/// Writes what changes with messages and with sessions that look at them.
pub(crate) fn update_counters(db: &Connection, m: &MailboxRecord) -> Result<(), StoreError> {
    db.prepare_cached(
        "UPDATE mailboxes SET uid_next=?2, modseq=?3, messages=?4, unseen=?5, deleted=?6, size=?7,
         first_recent=?8 WHERE id=?1",
    )
    .and_then(|mut s| {
        s.execute((
            m.id.0,
            m.uid_next.0,
            m.highest_modseq.0,
            m.messages,
            m.unseen,
            m.deleted,
            m.size,
            m.first_recent.0,
        ))
    })
    .map_err(sql)?;
    Ok(())
}

/// The constant part of a message.
fn pack(put: &mut Put, entry: &MessageEntry) {
    put.bytes.clear();
    put.date(entry.internal_date);
    put.int(entry.save_date);
    put.uint(entry.size);
    put.uint(entry.body.0);
    put.uint(u64::from(entry.original_uid));
    put.raw(&entry.digest);
    // Written only where there is one, since format 4.
    if let Some(id) = &entry.pop_id {
        put.text(id);
    }
}

fn unpack(packed: &[u8], entry: &mut MessageEntry) -> Decoded<()> {
    let mut get = Get::new(packed);
    entry.internal_date = get.date()?;
    entry.save_date = get.int()?;
    entry.size = get.uint()?;
    entry.body = BodyId(get.uint()?);
    entry.original_uid = get.u32()?;
    entry.digest = get.array()?;
    if !get.is_empty() {
        entry.pop_id = Some(get.text()?.into());
    }
    Ok(())
}

/// Keywords as a column.
pub(crate) fn keywords_column(flags: &Flags) -> Option<String> {
    let words = flags.keywords();
    if words.is_empty() { None } else { Some(words.join(" ")) }
}

/// Shares equal keyword sets between the messages that are read together.
#[derive(Default)]
pub(crate) struct KeywordSets(HashMap<String, Arc<[Keyword]>>);

impl KeywordSets {
    fn get(&mut self, text: &str) -> Arc<[Keyword]> {
        if let Some(known) = self.0.get(text) {
            return known.clone();
        }
        let set: Arc<[Keyword]> = text.split(' ').map(Keyword::from).collect();
        self.0.insert(text.to_owned(), set.clone());
        set
    }
}

/// Columns `uid, modseq, flags, keywords`.
pub(crate) fn read_flags(
    row: &Row<'_>,
    sets: &mut KeywordSets,
) -> rusqlite::Result<(Uid, Flags, ModSeq)> {
    let keywords = match row.get_ref(3)? {
        rusqlite::types::ValueRef::Null => None,
        text => Some(sets.get(text.as_str()?)),
    };
    let bits = angarium_store::FlagBits(row.get(2)?);
    Ok((Uid(row.get(0)?), Flags { bits, keywords }, ModSeq(row.get(1)?)))
}

/// Columns `uid, modseq, flags, keywords, packed` as a message.
pub(crate) fn read_message(
    row: &Row<'_>,
    sets: &mut KeywordSets,
) -> rusqlite::Result<MessageEntry> {
    let (uid, flags, modseq) = read_flags(row, sets)?;
    let mut entry = MessageEntry {
        uid,
        flags,
        modseq,
        internal_date: Default::default(),
        save_date: 0,
        size: 0,
        body: BodyId(0),
        digest: [0; 32],
        original_uid: 0,
        pop_id: None,
    };
    unpack(row.get_ref(4)?.as_blob()?, &mut entry).map_err(|_| bad_column(4))?;
    Ok(entry)
}

/// The messages of a mailbox changed after a MODSEQ (0 for all), ascending.
pub(crate) fn messages(
    db: &Connection,
    mailbox: MailboxId,
    since: ModSeq,
    expected: usize,
) -> Result<Vec<MessageEntry>, StoreError> {
    let mut sets = KeywordSets::default();
    let mut statement = db
        .prepare_cached(
            "SELECT uid, modseq, flags, keywords, packed FROM messages
             WHERE mailbox=?1 AND modseq>?2 ORDER BY uid",
        )
        .map_err(sql)?;
    let mut rows = statement.query((mailbox.0, since.0)).map_err(sql)?;
    let mut found = Vec::with_capacity(expected);
    while let Some(row) = rows.next().map_err(sql)? {
        found.push(read_message(row, &mut sets).map_err(sql)?);
    }
    Ok(found)
}

/// Writes new messages.
pub(crate) fn put_messages(
    db: &Connection,
    mailbox: MailboxId,
    entries: &[MessageEntry],
) -> Result<(), StoreError> {
    let text = "INSERT INTO messages(mailbox, uid, modseq, flags, keywords, packed)
                VALUES(?1,?2,?3,?4,?5,?6)";
    let mut statement = db.prepare_cached(text).map_err(sql)?;
    let mut put = Put { bytes: Vec::with_capacity(64) };
    for entry in entries {
        pack(&mut put, entry);
        statement
            .execute((
                mailbox.0,
                entry.uid.0,
                entry.modseq.0,
                entry.flags.bits.0,
                keywords_column(&entry.flags),
                &put.bytes,
            ))
            .map_err(sql)?;
    }
    Ok(())
}

/// Writes the constant part of messages that are there anew.
pub(crate) fn update_packed(
    db: &Connection,
    mailbox: MailboxId,
    entries: &[MessageEntry],
) -> Result<(), StoreError> {
    let text = "UPDATE messages SET packed=?3 WHERE mailbox=?1 AND uid=?2";
    let mut statement = db.prepare_cached(text).map_err(sql)?;
    let mut put = Put { bytes: Vec::with_capacity(128) };
    for entry in entries {
        pack(&mut put, entry);
        statement.execute((mailbox.0, entry.uid.0, &put.bytes)).map_err(sql)?;
    }
    Ok(())
}

/// The UIDs that went away after a MODSEQ, ascending.
pub(crate) fn vanished(
    db: &Connection,
    mailbox: MailboxId,
    since: ModSeq,
) -> Result<Vec<Uid>, StoreError> {
    let rows = all(
        db,
        "SELECT uids FROM vanished WHERE mailbox=?1 AND modseq>?2",
        (mailbox.0, since.0),
        |row| Ok(Get::new(row.get_ref(0)?.as_blob()?).deltas()),
    )?;
    let mut uids = Vec::new();
    for row in rows {
        uids.extend(row.map_err(|_| misfit("a row of vanished UIDs"))?.into_iter().map(Uid));
    }
    uids.sort_unstable();
    uids.dedup();
    Ok(uids)
}

/// Tells the body of every message with the account it is in.
pub(crate) fn bodies_by_account(
    db: &Connection,
    mut tell: impl FnMut(AccountId, BodyId),
) -> Result<(), StoreError> {
    let mut sets = KeywordSets::default();
    let text = "SELECT uid, messages.modseq, flags, keywords, packed, account
                FROM messages JOIN mailboxes ON mailboxes.id=mailbox";
    let mut statement = db.prepare(text).map_err(sql)?;
    let mut rows = statement.query([]).map_err(sql)?;
    while let Some(row) = rows.next().map_err(sql)? {
        let entry = read_message(row, &mut sets).map_err(sql)?;
        tell(AccountId(row.get(5).map_err(sql)?), entry.body);
    }
    Ok(())
}

/// The bodies all messages refer to, with repetitions.
pub(crate) fn bodies(db: &Connection) -> Result<Vec<BodyId>, StoreError> {
    let mut sets = KeywordSets::default();
    all(db, "SELECT uid, modseq, flags, keywords, packed FROM messages", [], |row| {
        read_message(row, &mut sets).map(|entry| entry.body)
    })
}
