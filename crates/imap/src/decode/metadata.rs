//! GETMETADATA and SETMETADATA (RFC 5464), and the entries of LIST-METADATA (RFC 9590).

use super::cursor::{Cursor, Parse, utf8};
use super::mailbox::argument;
use super::refusal::Fault;
use crate::types::{Command, GetMetadata, MetadataDepth, SetMetadata};

pub(super) fn decode(name: &str, cursor: &mut Cursor<'_>) -> Parse<Option<Command>> {
    Ok(Some(match name {
        "GETMETADATA" => get(cursor)?,
        "SETMETADATA" => set(cursor)?,
        _ => return Ok(None),
    }))
}

/// `GETMETADATA [(options)] mailbox entries`; options behind the mailbox are taken too, as in the
/// RFC's own examples.
fn get(cursor: &mut Cursor<'_>) -> Parse<Command> {
    let mut get = GetMetadata {
        mailbox: String::new(),
        max_size: None,
        depth: MetadataDepth::Entry,
        entries: Vec::new(),
    };
    if cursor.rest().starts_with(b" (") {
        cursor.space()?;
        options(cursor, &mut get)?;
    }
    get.mailbox = argument(cursor)?;
    cursor.space()?;
    if matches!(cursor.rest(), [b'(', b'M' | b'm' | b'D' | b'd', ..]) {
        options(cursor, &mut get)?;
        cursor.space()?;
    }
    get.entries = entries(cursor)?;
    Ok(Command::GetMetadata(Box::new(get)))
}

fn options(cursor: &mut Cursor<'_>, get: &mut GetMetadata) -> Parse<()> {
    cursor.expect(b'(', "List of options expected")?;
    loop {
        if get.max_size.is_none() && cursor.eat_word("MAXSIZE") {
            cursor.space()?;
            get.max_size = Some(cursor.number64()?);
        } else if cursor.eat_word("DEPTH") {
            cursor.space()?;
            get.depth = match cursor.upper_atom("0, 1 or infinity expected")?.as_str() {
                "0" => MetadataDepth::Entry,
                "1" => MetadataDepth::Children,
                "INFINITY" => MetadataDepth::All,
                _ => return Err(Fault::bad("DEPTH is 0, 1 or infinity")),
            };
        } else {
            return Err(Fault::bad("Unknown option; MAXSIZE and DEPTH are known"));
        }
        if cursor.eat(b')') {
            return Ok(());
        }
        cursor.space()?;
    }
}

/// `entry` or `(entry entry …)`.
pub(super) fn entries(cursor: &mut Cursor<'_>) -> Parse<Vec<String>> {
    if !cursor.eat(b'(') {
        return Ok(vec![entry(cursor)?]);
    }
    let mut all = Vec::new();
    loop {
        if all.len() >= GetMetadata::MAX_ENTRIES {
            return Err(Fault::bad("Too many entries"));
        }
        all.push(entry(cursor)?);
        if cursor.eat(b')') {
            return Ok(all);
        }
        cursor.space()?;
    }
}

/// `SETMETADATA mailbox (entry value …)`; NIL removes.
fn set(cursor: &mut Cursor<'_>) -> Parse<Command> {
    let mailbox = argument(cursor)?;
    cursor.space()?;
    cursor.expect(b'(', "List of entries and values expected")?;
    let mut entries = Vec::new();
    loop {
        if entries.len() >= GetMetadata::MAX_ENTRIES {
            return Err(Fault::no(Some("METADATA TOOMANY"), "Too many entries"));
        }
        let name = entry(cursor)?;
        cursor.space()?;
        entries.push((name, cursor.nstring()?.map(|value| value.into_owned())));
        if cursor.eat(b')') {
            return Ok(Command::SetMetadata(Box::new(SetMetadata { mailbox, entries })));
        }
        cursor.space()?;
    }
}

/// An entry's name in lower case: `/private/…` or `/shared/…` in printable ASCII, no wildcards, no
/// empty level (RFC 5464 section 3.2).
fn entry(cursor: &mut Cursor<'_>) -> Parse<String> {
    let mut name = utf8(cursor.astring()?)?;
    name.make_ascii_lowercase();
    let mut levels = name.split('/');
    let rooted = levels.next() == Some("") && matches!(levels.next(), Some("private" | "shared"));
    if !rooted {
        return Err(Fault::bad("An entry begins with /private or /shared"));
    }
    let plain = name.bytes().all(|b| matches!(b, b' '..=b'~') && !matches!(b, b'*' | b'%'));
    if !plain || levels.any(str::is_empty) || name.len() > GetMetadata::MAX_NAME {
        return Err(Fault::bad("This is no name of an entry"));
    }
    Ok(name)
}
