//! How the records of the directory and of checkpoints are spelled: kinds from 32. Spellings are
//! stored and must never change but by a new kind.

use angarium_store::AccountId;
use bytes::Bytes;

use super::Record;
use super::code::{Decoded, Get, Malformed, Put};

pub(super) fn put_record(put: &mut Put, record: &Record) -> u8 {
    match record {
        Record::Settings { name, version, value } => {
            put.text(name);
            put.uint(*version);
            put.dictionary(value);
            32
        }
        Record::Domain { record } => {
            put.domain(record);
            33
        }
        Record::DomainRenamed { from, to } => {
            put.text(from);
            put.text(to);
            34
        }
        Record::DomainRemoved { name } => {
            put.text(name);
            35
        }
        Record::Object { domain, name, object } => {
            put.text(domain);
            put.text(name);
            put.object(object);
            36
        }
        Record::ObjectRemoved { domain, name } => {
            put.text(domain);
            put.text(name);
            37
        }
        Record::Account { record } => {
            put.account(record);
            38
        }
        Record::AccountRemoved { account } => {
            put.uint(account.0);
            39
        }
        Record::CheckpointRows { checkpoint, number, table, rows } => {
            put.uint(*checkpoint);
            put.uint(u64::from(*number));
            put.u8(*table);
            put.bytes(rows);
            64
        }
        Record::CheckpointDone { checkpoint, pieces, segment, offset } => {
            put.uint(*checkpoint);
            put.uint(u64::from(*pieces));
            put.uint(*segment);
            put.uint(*offset);
            65
        }
        // Spelled by `put_record`; 0 is no kind, so a mistake here is refused when read.
        _ => 0,
    }
}

pub(super) fn get_record(kind: u8, get: &mut Get<'_>) -> Decoded<Record> {
    Ok(match kind {
        32 => {
            Record::Settings { name: get.text()?, version: get.uint()?, value: get.dictionary()? }
        }
        33 => Record::Domain { record: get.domain()? },
        34 => Record::DomainRenamed { from: get.text()?, to: get.text()? },
        35 => Record::DomainRemoved { name: get.text()? },
        36 => Record::Object { domain: get.text()?, name: get.text()?, object: get.object()? },
        37 => Record::ObjectRemoved { domain: get.text()?, name: get.text()? },
        38 => Record::Account { record: get.account()? },
        39 => Record::AccountRemoved { account: AccountId(get.uint()?) },
        64 => Record::CheckpointRows {
            checkpoint: get.uint()?,
            number: get.u32()?,
            table: get.u8()?,
            rows: Bytes::copy_from_slice(get.bytes()?),
        },
        65 => Record::CheckpointDone {
            checkpoint: get.uint()?,
            pieces: get.u32()?,
            segment: get.uint()?,
            offset: get.uint()?,
        },
        _ => return Err(Malformed),
    })
}
