//! The records of the journal: facts, decided before they are written, so that applying them
//! again gives the same index (design, decision 2). One operation is one frame, and one frame is
//! a list of records; the bytes of new messages follow as parts of the frame.
//!
//! ```text
//! meta of a frame:  { kind u8, length, body }*        kinds and bodies as below
//! ```

pub(crate) mod code;
mod directory;
pub(crate) mod files;
pub(crate) mod parts;

use angarium_objects::value::Dictionary;
use angarium_store::{
    AccountId, AccountRecord, BodyId, Digest, DomainObject, DomainRecord, Flags, InternalDate,
    MailboxId, MailboxRecord, ModSeq, Origin, PopId, QueueId, QueuedRecipient, RecipientStep, Uid,
};
use bytes::Bytes;

use code::{Decoded, Get, Malformed, Put};

/// A body stored by this frame: its bytes are the frame's part number `part`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct NewBody {
    pub(crate) id: BodyId,
    pub(crate) part: u32,
    pub(crate) size: u64,
    pub(crate) digest: Digest,
    pub(crate) summary: Bytes,
}

/// The body a message or queue entry refers to.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum BodyRef {
    New(NewBody),
    /// Stored before, in this shard or (by its id) in another.
    Known {
        id: BodyId,
        size: u64,
        digest: Digest,
    },
}

impl BodyRef {
    pub(crate) fn id(&self) -> BodyId {
        match self {
            Self::New(new) => new.id,
            Self::Known { id, .. } => *id,
        }
    }

    pub(crate) fn size(&self) -> u64 {
        match self {
            Self::New(new) => new.size,
            Self::Known { size, .. } => *size,
        }
    }

    pub(crate) fn digest(&self) -> Digest {
        match self {
            Self::New(new) => new.digest,
            Self::Known { digest, .. } => *digest,
        }
    }
}

/// One message of an append.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Arrival {
    pub(crate) uid: Uid,
    pub(crate) flags: Flags,
    pub(crate) internal_date: InternalDate,
    pub(crate) save_date: i64,
    pub(crate) original_uid: u32,
    pub(crate) origin: Option<Origin>,
    pub(crate) pop_id: Option<PopId>,
    pub(crate) body: BodyRef,
}

/// A message accepted for delivery.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct QueueEntry {
    pub(crate) id: QueueId,
    pub(crate) return_path: String,
    pub(crate) facts: Dictionary,
    pub(crate) recipients: Vec<QueuedRecipient>,
    pub(crate) accepted: i64,
    pub(crate) priority: i8,
    pub(crate) body: BodyRef,
}

/// A fact.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Record {
    /// Room for an account's mail.
    AccountMade { account: AccountId },
    /// All its mail is gone.
    AccountPurged { account: AccountId },
    /// Mailboxes removed (with their messages), made or changed (attributes, never counters of
    /// one that is there).
    Mailboxes { account: AccountId, removed: Vec<MailboxId>, put: Vec<MailboxRecord> },
    /// Messages of a mailbox below this are not recent any more: alone, as a whole mailbox would
    /// carry its annotations along each time a session leaves it.
    Recent { account: AccountId, mailbox: MailboxId, first: Uid },
    /// Messages came.
    Appended { account: AccountId, mailbox: MailboxId, modseq: ModSeq, arrivals: Vec<Arrival> },
    /// Flags changed to these.
    Flags { account: AccountId, mailbox: MailboxId, modseq: ModSeq, changed: Vec<(Uid, Flags)> },
    /// Messages were copied: source UID, new UID.
    Copied {
        account: AccountId,
        from: MailboxId,
        to: MailboxId,
        modseq: ModSeq,
        save_date: i64,
        pairs: Vec<(Uid, Uid)>,
    },
    /// Messages went away.
    Expunged { account: AccountId, mailbox: MailboxId, modseq: ModSeq, uids: Vec<Uid> },
    /// Messages were given unique ids of POP.
    PopIds { account: AccountId, mailbox: MailboxId, ids: Vec<(Uid, PopId)> },
    /// Files and directories of an account went (of what came or changed, the old row too), came
    /// or changed.
    Files { account: AccountId, removed: Vec<String>, put: Vec<files::FileRow> },
    /// Deliveries of these queue entries need not be remembered any more.
    OriginsForgotten { queues: Vec<QueueId> },
    /// Another shard refers to a body of this one.
    Held { body: BodyId, holder: u32 },
    /// And does no longer.
    Released { body: BodyId, holder: u32 },
    /// This shard has given a foreign body back.
    Returned { body: BodyId },
    /// A body lies here now (compaction).
    Relocated { body: NewBody },
    /// A message was accepted.
    Enqueued { entry: QueueEntry },
    /// This delivery has queued a message.
    QueuedBy { origin: Origin },
    /// Recipients went on; `ended` when the entry leaves the queue.
    Settled { id: QueueId, steps: Vec<RecipientStep>, ended: bool },
    /// Queue ids below this may have been given out.
    QueueIdsReserved { below: u64 },
    /// A server-wide dictionary.
    Settings { name: String, version: u64, value: Dictionary },
    /// A domain was made or changed.
    Domain { record: DomainRecord },
    /// A domain has another name.
    DomainRenamed { from: String, to: String },
    /// A domain, its objects and accounts are gone.
    DomainRemoved { name: String },
    /// A forwarder, group or list.
    Object { domain: String, name: String, object: DomainObject },
    /// A forwarder, group or list is gone.
    ObjectRemoved { domain: String, name: String },
    /// An account was made, changed or renamed.
    Account { record: AccountRecord },
    /// An account is gone.
    AccountRemoved { account: AccountId },
    /// A piece of a checkpoint: rows of one index table as they stood at its position.
    CheckpointRows { checkpoint: u64, number: u32, table: u8, rows: Bytes },
    /// A checkpoint is whole: the index stood so at this position.
    CheckpointDone { checkpoint: u64, pieces: u32, segment: u64, offset: u64 },
}

/// Largest meta section of a frame, octets.
pub(crate) const MAX_META: usize = 256 * 1024 * 1024;

/// Records as the meta section of one frame.
pub(crate) fn encode(records: &[Record]) -> Vec<u8> {
    let mut out = Put::new();
    for record in records {
        let mut put = Put::new();
        let kind = put_record(&mut put, record);
        out.u8(kind);
        out.bytes(&put.bytes);
    }
    out.bytes
}

/// The records of a frame.
pub(crate) fn decode(meta: &[u8]) -> Decoded<Vec<Record>> {
    let mut get = Get::new(meta);
    let mut all = Vec::new();
    while !get.is_empty() {
        let kind = get.u8()?;
        let mut body = Get::new(get.bytes()?);
        all.push(get_record(kind, &mut body)?);
        if !body.is_empty() {
            return Err(Malformed);
        }
    }
    Ok(all)
}

fn put_new_body(put: &mut Put, body: &NewBody) {
    put.uint(body.id.0);
    put.uint(u64::from(body.part));
    put.uint(body.size);
    put.raw(&body.digest);
    put.bytes(&body.summary);
}

fn get_new_body(get: &mut Get<'_>) -> Decoded<NewBody> {
    Ok(NewBody {
        id: BodyId(get.uint()?),
        part: get.u32()?,
        size: get.uint()?,
        digest: get.array()?,
        summary: Bytes::copy_from_slice(get.bytes()?),
    })
}

fn put_body(put: &mut Put, body: &BodyRef) {
    match body {
        BodyRef::New(new) => {
            put.u8(1);
            put_new_body(put, new);
        }
        BodyRef::Known { id, size, digest } => {
            put.u8(2);
            put.uint(id.0);
            put.uint(*size);
            put.raw(digest);
        }
    }
}

fn get_body(get: &mut Get<'_>) -> Decoded<BodyRef> {
    Ok(match get.u8()? {
        1 => BodyRef::New(get_new_body(get)?),
        2 => BodyRef::Known { id: BodyId(get.uint()?), size: get.uint()?, digest: get.array()? },
        _ => return Err(Malformed),
    })
}

fn put_arrival(put: &mut Put, a: &Arrival) {
    put.uint(u64::from(a.uid.0));
    put.flags(&a.flags);
    put.date(a.internal_date);
    put.int(a.save_date);
    put.uint(u64::from(a.original_uid));
    match a.origin {
        None => put.bool(false),
        Some(origin) => {
            put.bool(true);
            put.uint(origin.queue.0);
            put.uint(u64::from(origin.recipient));
        }
    }
    put_body(put, &a.body);
}

fn get_arrival(get: &mut Get<'_>) -> Decoded<Arrival> {
    Ok(Arrival {
        uid: Uid(get.u32()?),
        flags: get.flags()?,
        internal_date: get.date()?,
        save_date: get.int()?,
        original_uid: get.u32()?,
        origin: if get.bool()? {
            Some(Origin { queue: QueueId(get.uint()?), recipient: get.u32()? })
        } else {
            None
        },
        body: get_body(get)?,
        pop_id: None,
    })
}

/// An arrival of record kind 21.
fn put_known_arrival(put: &mut Put, a: &Arrival) {
    put_arrival(put, a);
    put.optional_text(a.pop_id.as_deref());
}

fn get_known_arrival(get: &mut Get<'_>) -> Decoded<Arrival> {
    let arrival = get_arrival(get)?;
    Ok(Arrival { pop_id: get.optional_text()?.map(PopId::from), ..arrival })
}

fn put_record(put: &mut Put, record: &Record) -> u8 {
    match record {
        Record::AccountMade { account } => {
            put.uint(account.0);
            1
        }
        Record::AccountPurged { account } => {
            put.uint(account.0);
            2
        }
        Record::Mailboxes { account, removed, put: changed } => {
            put.uint(account.0);
            put.list(removed, |put, id| put.uint(id.0));
            if changed.iter().any(|m| m.kept_numbers.is_some()) {
                put.list(changed, Put::kept_mailbox);
                return 20;
            }
            // Kind 3 where it says all: it is shorter, and what older versions wrote.
            if changed.iter().all(|m| m.annotations.is_empty()) {
                put.list(changed, Put::mailbox);
                return 3;
            }
            put.list(changed, Put::annotated_mailbox);
            17
        }
        Record::Recent { account, mailbox, first } => {
            put.uint(account.0);
            put.uint(mailbox.0);
            put.uint(u64::from(first.0));
            18
        }
        Record::Appended { account, mailbox, modseq, arrivals } => {
            put_place(put, *account, *mailbox, *modseq);
            if arrivals.iter().any(|a| a.pop_id.is_some()) {
                put.list(arrivals, put_known_arrival);
                return 21;
            }
            put.list(arrivals, put_arrival);
            4
        }
        Record::Flags { account, mailbox, modseq, changed } => {
            put_place(put, *account, *mailbox, *modseq);
            put.list(changed, |put, (uid, flags)| {
                put.uint(u64::from(uid.0));
                put.flags(flags);
            });
            5
        }
        Record::Copied { account, from, to, modseq, save_date, pairs } => {
            put_place(put, *account, *from, *modseq);
            put.uint(to.0);
            put.int(*save_date);
            put.deltas(pairs.iter().map(|(from, _)| from.0));
            put.deltas(pairs.iter().map(|(_, to)| to.0));
            6
        }
        Record::Expunged { account, mailbox, modseq, uids } => {
            put_place(put, *account, *mailbox, *modseq);
            put.deltas(uids.iter().map(|uid| uid.0));
            7
        }
        Record::PopIds { account, mailbox, ids } => {
            put.uint(account.0);
            put.uint(mailbox.0);
            put.list(ids, |put, (uid, id)| {
                put.uint(u64::from(uid.0));
                put.text(id);
            });
            22
        }
        Record::Files { account, removed, put: rows } => {
            put.uint(account.0);
            put.list(removed, |put, path| put.text(path));
            put.list(rows, files::put_row);
            23
        }
        Record::OriginsForgotten { queues } => {
            put.list(queues, |put, id| put.uint(id.0));
            9
        }
        Record::Held { body, holder } => {
            put.uint(body.0);
            put.uint(u64::from(*holder));
            10
        }
        Record::Released { body, holder } => {
            put.uint(body.0);
            put.uint(u64::from(*holder));
            11
        }
        Record::Returned { body } => {
            put.uint(body.0);
            12
        }
        Record::Relocated { body } => {
            put_new_body(put, body);
            13
        }
        Record::Enqueued { entry } => {
            put.uint(entry.id.0);
            put.text(&entry.return_path);
            put.dictionary(&entry.facts);
            put.list(&entry.recipients, Put::recipient);
            put.int(entry.accepted);
            put_body(put, &entry.body);
            // Kind 14 where it says all: it is what older versions wrote.
            if entry.priority == 0 {
                return 14;
            }
            put.int(i64::from(entry.priority));
            19
        }
        Record::QueuedBy { origin } => {
            put.uint(origin.queue.0);
            put.uint(u64::from(origin.recipient));
            24
        }
        Record::Settled { id, steps, ended } => {
            put.uint(id.0);
            put.list(steps, Put::step);
            put.bool(*ended);
            15
        }
        Record::QueueIdsReserved { below } => {
            put.uint(*below);
            16
        }
        other => directory::put_record(put, other),
    }
}

fn put_place(put: &mut Put, account: AccountId, mailbox: MailboxId, modseq: ModSeq) {
    put.uint(account.0);
    put.uint(mailbox.0);
    put.uint(modseq.0);
}

fn get_place(get: &mut Get<'_>) -> Decoded<(AccountId, MailboxId, ModSeq)> {
    Ok((AccountId(get.uint()?), MailboxId(get.uint()?), ModSeq(get.uint()?)))
}

fn get_record(kind: u8, get: &mut Get<'_>) -> Decoded<Record> {
    Ok(match kind {
        1 => Record::AccountMade { account: AccountId(get.uint()?) },
        2 => Record::AccountPurged { account: AccountId(get.uint()?) },
        3 => Record::Mailboxes {
            account: AccountId(get.uint()?),
            removed: get.list(|get| get.uint().map(MailboxId))?,
            put: get.list(Get::mailbox)?,
        },
        17 => Record::Mailboxes {
            account: AccountId(get.uint()?),
            removed: get.list(|get| get.uint().map(MailboxId))?,
            put: get.list(Get::annotated_mailbox)?,
        },
        20 => Record::Mailboxes {
            account: AccountId(get.uint()?),
            removed: get.list(|get| get.uint().map(MailboxId))?,
            put: get.list(Get::kept_mailbox)?,
        },
        21 => {
            let (account, mailbox, modseq) = get_place(get)?;
            Record::Appended { account, mailbox, modseq, arrivals: get.list(get_known_arrival)? }
        }
        22 => Record::PopIds {
            account: AccountId(get.uint()?),
            mailbox: MailboxId(get.uint()?),
            ids: get.list(|get| Ok((Uid(get.u32()?), get.text()?.into())))?,
        },
        23 => Record::Files {
            account: AccountId(get.uint()?),
            removed: get.list(Get::text)?,
            put: get.list(files::get_row)?,
        },
        18 => Record::Recent {
            account: AccountId(get.uint()?),
            mailbox: MailboxId(get.uint()?),
            first: Uid(get.u32()?),
        },
        4 => {
            let (account, mailbox, modseq) = get_place(get)?;
            Record::Appended { account, mailbox, modseq, arrivals: get.list(get_arrival)? }
        }
        5 => {
            let (account, mailbox, modseq) = get_place(get)?;
            let changed = get.list(|get| Ok((Uid(get.u32()?), get.flags()?)))?;
            Record::Flags { account, mailbox, modseq, changed }
        }
        6 => {
            let (account, from, modseq) = get_place(get)?;
            let to = MailboxId(get.uint()?);
            let save_date = get.int()?;
            let (sources, targets) = (get.deltas()?, get.deltas()?);
            if sources.len() != targets.len() {
                return Err(Malformed);
            }
            let pairs = sources.into_iter().map(Uid).zip(targets.into_iter().map(Uid)).collect();
            Record::Copied { account, from, to, modseq, save_date, pairs }
        }
        7 => {
            let (account, mailbox, modseq) = get_place(get)?;
            let uids = get.deltas()?.into_iter().map(Uid).collect();
            Record::Expunged { account, mailbox, modseq, uids }
        }
        9 => Record::OriginsForgotten { queues: get.list(|get| get.uint().map(QueueId))? },
        10 => Record::Held { body: BodyId(get.uint()?), holder: get.u32()? },
        11 => Record::Released { body: BodyId(get.uint()?), holder: get.u32()? },
        12 => Record::Returned { body: BodyId(get.uint()?) },
        13 => Record::Relocated { body: get_new_body(get)? },
        14 | 19 => Record::Enqueued {
            entry: QueueEntry {
                id: QueueId(get.uint()?),
                return_path: get.text()?,
                facts: get.dictionary()?,
                recipients: get.list(Get::recipient)?,
                accepted: get.int()?,
                body: get_body(get)?,
                priority: get.priority()?,
            },
        },
        24 => Record::QueuedBy {
            origin: Origin { queue: QueueId(get.uint()?), recipient: get.u32()? },
        },
        15 => Record::Settled {
            id: QueueId(get.uint()?),
            steps: get.list(Get::step)?,
            ended: get.bool()?,
        },
        16 => Record::QueueIdsReserved { below: get.uint()? },
        other => return directory::get_record(other, get),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn records_come_back_as_they_were_written() {
        let arrival = Arrival {
            uid: Uid(7),
            flags: Flags::with_keywords(angarium_store::FlagBits::SEEN, ["a", "B"]),
            internal_date: InternalDate { seconds: -5, zone_minutes: -90 },
            save_date: 12,
            original_uid: 7,
            origin: Some(Origin { queue: QueueId(9), recipient: 1 }),
            pop_id: None,
            body: BodyRef::New(NewBody {
                id: BodyId(1 << 48),
                part: 0,
                size: 10,
                digest: [3; 32],
                summary: Bytes::from_static(b"s"),
            }),
        };
        let mailbox = MailboxRecord::new(MailboxId(1), "a", true, angarium_store::UidValidity(1));
        let annotations = [("x".to_owned(), Bytes::from_static(b"\0"))].into_iter().collect();
        let kept_numbers = Some(angarium_store::KeptNumbers {
            foreign_until: ModSeq(1 << 62),
            own_from: Uid(u32::MAX),
        });
        let all = vec![
            Record::Appended {
                account: AccountId(1),
                mailbox: MailboxId(2),
                modseq: ModSeq(3),
                arrivals: vec![arrival.clone()],
            },
            Record::Appended {
                account: AccountId(1),
                mailbox: MailboxId(2),
                modseq: ModSeq(3),
                arrivals: vec![
                    Arrival { pop_id: Some("0001u".into()), ..arrival.clone() },
                    arrival,
                ],
            },
            Record::PopIds {
                account: AccountId(1),
                mailbox: MailboxId(2),
                ids: vec![(Uid(3), "a.b".into()), (Uid(u32::MAX), "~".into())],
            },
            Record::Copied {
                account: AccountId(1),
                from: MailboxId(2),
                to: MailboxId(3),
                modseq: ModSeq(4),
                save_date: 1,
                pairs: vec![(Uid(9), Uid(1)), (Uid(4), Uid(2))],
            },
            Record::QueueIdsReserved { below: u64::MAX },
            Record::QueuedBy { origin: Origin { queue: QueueId(1 << 40), recipient: 9 } },
            Record::Files {
                account: AccountId(1),
                removed: vec!["a/b".to_owned()],
                put: vec![
                    files::FileRow { path: "d".into(), modified: -1, size: 0, pieces: None },
                    files::FileRow {
                        path: "d/e".into(),
                        modified: 9,
                        size: 1 << 40,
                        pieces: Some(vec![files::FilePiece::Kept(BodyId(7))]),
                    },
                ],
            },
            Record::Recent { account: AccountId(1), mailbox: MailboxId(2), first: Uid(u32::MAX) },
            Record::Mailboxes {
                account: AccountId(1),
                removed: vec![MailboxId(9)],
                put: vec![mailbox.clone(), MailboxRecord { annotations, ..mailbox.clone() }],
            },
            Record::Mailboxes {
                account: AccountId(1),
                removed: Vec::new(),
                put: vec![mailbox.clone(), MailboxRecord { kept_numbers, ..mailbox }],
            },
        ];
        assert_eq!(decode(&encode(&all)), Ok(all));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]
        #[test]
        fn any_bytes_are_decoded_or_refused_without_panic(bytes in any::<Vec<u8>>()) {
            let _ = decode(&bytes);
        }
    }
}
