//! Commands about messages of the selected mailbox, with and without UID: dispatch, STORE, COPY
//! and MOVE; the large ones have files of their own.

use smallvec::smallvec;

use super::cursor::{Cursor, Parse};
use super::refusal::Fault;
use super::{fetch, multi_search, search, sort};
use crate::types::{Command, Copy, Encryption, Flag, Store, StoreMode};

/// Largest certificate taken, in octets (ABU-31).
const MAX_CERTIFICATE: usize = 64 << 10;

pub(super) fn decode(name: &str, cursor: &mut Cursor<'_>) -> Parse<Option<Command>> {
    Ok(Some(match name {
        "ESEARCH" => Command::MultiSearch(Box::new(multi_search::decode(cursor)?)),
        "CANCELUPDATE" => Command::CancelUpdate(multi_search::cancel_update(cursor)?),
        _ => return either(name, cursor, false),
    }))
}

/// What follows `UID`.
pub(super) fn uid(name: &str, cursor: &mut Cursor<'_>) -> Parse<Option<Command>> {
    if name == "EXPUNGE" {
        cursor.space()?;
        return Ok(Some(Command::Expunge(Some(cursor.sequence_set()?))));
    }
    either(name, cursor, true)
}

fn either(name: &str, cursor: &mut Cursor<'_>, uid: bool) -> Parse<Option<Command>> {
    Ok(Some(match name {
        "FETCH" => Command::Fetch(Box::new(fetch::decode(cursor, uid)?)),
        "STORE" => Command::Store(Box::new(store(cursor, uid)?)),
        "SEARCH" => Command::Search(Box::new(search::decode(cursor, uid)?)),
        "SORT" => Command::SortThread(Box::new(sort::sort(cursor, uid)?)),
        "THREAD" => Command::SortThread(Box::new(sort::thread(cursor, uid)?)),
        "COPY" => Command::Copy(Box::new(copy(cursor, uid, true)?)),
        "MOVE" => Command::Move(Box::new(copy(cursor, uid, false)?)),
        _ => return Ok(None),
    }))
}

/// `STORE set [(UNCHANGEDSINCE n)] [+-]FLAGS[.SILENT] flags`
fn store(cursor: &mut Cursor<'_>, uid: bool) -> Parse<Store> {
    cursor.space()?;
    let set = cursor.sequence_set()?;
    cursor.space()?;
    let mut unchanged_since = None;
    if cursor.eat(b'(') {
        if !cursor.eat_word("UNCHANGEDSINCE") {
            return Err(Fault::bad("Unknown modifier of STORE; UNCHANGEDSINCE is known"));
        }
        cursor.space()?;
        unchanged_since = Some(cursor.modseq()?);
        cursor.expect(b')', "Modifiers of STORE not closed")?;
        cursor.space()?;
    }
    let mode = match cursor.peek() {
        Some(b'+') => StoreMode::Add,
        Some(b'-') => StoreMode::Remove,
        _ => StoreMode::Replace,
    };
    if mode != StoreMode::Replace {
        cursor.advance(1);
    }
    let silent = cursor.eat_word("FLAGS.SILENT");
    if !silent && !cursor.eat_word("FLAGS") {
        return Err(Fault::bad("FLAGS or FLAGS.SILENT, with + or - before it or not, expected"));
    }
    cursor.space()?;
    let flags = if cursor.peek() == Some(b'(') {
        cursor.flag_list()?
    } else {
        let mut flags = smallvec![cursor.flag()?];
        while cursor.eat(b' ') {
            if flags.len() >= Flag::MAX_LIST {
                return Err(Fault::coded("LIMIT", "Too many flags"));
            }
            flags.push(cursor.flag()?);
        }
        flags
    };
    Ok(Store { uid, set, unchanged_since, mode, silent, flags })
}

/// `COPY set mailbox [ENCRYPTED certificate]`, `MOVE set mailbox`
fn copy(cursor: &mut Cursor<'_>, uid: bool, may_encrypt: bool) -> Parse<Copy> {
    cursor.space()?;
    let set = cursor.sequence_set()?;
    cursor.space()?;
    let mailbox = cursor.mailbox()?;
    let mut encryption = None;
    if may_encrypt && cursor.eat(b' ') {
        if !cursor.eat_word("ENCRYPTED") {
            return Err(Fault::bad("Unexpected text after the mailbox; ENCRYPTED is known"));
        }
        cursor.space()?;
        encryption = Some(certificate(cursor)?);
    }
    Ok(Copy { uid, set, mailbox, encryption })
}

fn certificate(cursor: &mut Cursor<'_>) -> Parse<Encryption> {
    if cursor.eat(b'*') {
        return Ok(Encryption::Own);
    }
    let bytes = match cursor.peek() {
        Some(b'"' | b'{') => {
            let text = cursor.string()?;
            let joined: Vec<u8> =
                text.iter().copied().filter(|b| !b.is_ascii_whitespace()).collect();
            super::cursor::undo_base64(&joined).ok_or(Fault::bad("Base64 expected"))?
        }
        _ => cursor.base64()?,
    };
    if bytes.is_empty() || bytes.len() > MAX_CERTIFICATE {
        return Err(Fault::bad("Certificate empty or too large"));
    }
    Ok(Encryption::Certificate(bytes))
}
