//! FETCH: macros, items, sections, modifiers.

use smallvec::{SmallVec, smallvec};

use super::cursor::{Cursor, Parse, utf8};
use super::refusal::Fault;
use super::search;
use crate::types::{Fetch, FetchItem, OctetRange, Section, SectionText};

/// Longest header field name, in bytes.
const MAX_FIELD_NAME: usize = 512;

/// `FETCH set items [(modifiers)]`
pub(super) fn decode(cursor: &mut Cursor<'_>, uid: bool) -> Parse<Fetch> {
    cursor.space()?;
    let set = cursor.sequence_set()?;
    cursor.space()?;
    let items = items(cursor)?;
    let mut fetch = Fetch { uid, set, items, changed_since: None, vanished: false, partial: None };
    if cursor.eat(b' ') {
        modifiers(cursor, &mut fetch)?;
    }
    if fetch.vanished && (!uid || fetch.changed_since.is_none()) {
        return Err(Fault::bad("VANISHED needs UID FETCH and CHANGEDSINCE"));
    }
    Ok(fetch)
}

pub(super) fn items(cursor: &mut Cursor<'_>) -> Parse<SmallVec<[FetchItem; 6]>> {
    if !cursor.eat(b'(') {
        if let Some(items) = all_macro(cursor) {
            return Ok(items);
        }
        return Ok(smallvec![item(cursor)?]);
    }
    let mut items = SmallVec::new();
    loop {
        if items.len() >= Fetch::MAX_ITEMS {
            return Err(Fault::bad("Too many items to fetch"));
        }
        items.push(item(cursor)?);
        if cursor.eat(b')') {
            return Ok(items);
        }
        cursor.space()?;
    }
}

fn all_macro(cursor: &mut Cursor<'_>) -> Option<SmallVec<[FetchItem; 6]>> {
    use FetchItem::{Body, Envelope, Flags, InternalDate, Size};
    if cursor.eat_word("ALL") {
        Some(smallvec![Flags, InternalDate, Size, Envelope])
    } else if cursor.eat_word("FAST") {
        Some(smallvec![Flags, InternalDate, Size])
    } else if cursor.eat_word("FULL") {
        Some(smallvec![Flags, InternalDate, Size, Envelope, Body])
    } else {
        None
    }
}

/// One item. Names are letters, digits and dots; `[` belongs to the section.
fn item(cursor: &mut Cursor<'_>) -> Parse<FetchItem> {
    let word = cursor.take_while(|b| b.is_ascii_alphanumeric() || b == b'.');
    let mut upper = [0; 16];
    let Some(name) = upper.get_mut(..word.len()) else {
        return Err(Fault::bad("Unknown item to fetch"));
    };
    name.copy_from_slice(word);
    name.make_ascii_uppercase();
    let bracket = cursor.peek() == Some(b'[');
    Ok(match (&*name, bracket) {
        (b"UID", false) => FetchItem::Uid,
        (b"FLAGS", false) => FetchItem::Flags,
        (b"INTERNALDATE", false) => FetchItem::InternalDate,
        (b"RFC822.SIZE", false) => FetchItem::Size,
        (b"ENVELOPE", false) => FetchItem::Envelope,
        (b"BODY", false) => FetchItem::Body,
        (b"BODYSTRUCTURE", false) => FetchItem::BodyStructure,
        (b"RFC822", false) => FetchItem::Rfc822,
        (b"RFC822.HEADER", false) => FetchItem::Rfc822Header,
        (b"RFC822.TEXT", false) => FetchItem::Rfc822Text,
        (b"MODSEQ", false) => FetchItem::ModSeq,
        (b"EMAILID", false) => FetchItem::EmailId,
        (b"THREADID", false) => FetchItem::ThreadId,
        (b"SAVEDATE", false) => FetchItem::SaveDate,
        (b"PREVIEW", false) => FetchItem::Preview { lazy: cursor.eat_text(" (LAZY)") },
        (b"BODY" | b"BODY.PEEK", true) => {
            let peek = name.len() > 4;
            let section = section(cursor)?;
            FetchItem::Section { section, peek, partial: partial(cursor)? }
        }
        (b"BINARY" | b"BINARY.PEEK", true) => {
            let peek = name.len() > 6;
            let part = binary_part(cursor)?;
            FetchItem::Binary { part, peek, partial: partial(cursor)? }
        }
        (b"BINARY.SIZE", true) => FetchItem::BinarySize { part: binary_part(cursor)? },
        _ => return Err(Fault::bad("Unknown item to fetch")),
    })
}

/// Part numbers with dots between; a dot that ends them is taken too.
fn part_numbers(cursor: &mut Cursor<'_>) -> Parse<SmallVec<[u32; 4]>> {
    let mut part = SmallVec::new();
    while cursor.peek().is_some_and(|b| b.is_ascii_digit()) {
        if part.len() >= Section::MAX_DEPTH {
            return Err(Fault::bad("Part number too deep"));
        }
        part.push(cursor.positive()?);
        if !cursor.eat(b'.') {
            break;
        }
    }
    Ok(part)
}

/// `[1.2.HEADER.FIELDS (…)]`
fn section(cursor: &mut Cursor<'_>) -> Parse<Section> {
    cursor.expect(b'[', "Section expected")?;
    let part = part_numbers(cursor)?;
    if cursor.eat(b']') {
        return Ok(Section { part, text: None });
    }
    let word = cursor.take_while(|b| b.is_ascii_alphabetic() || b == b'.');
    let is = |name: &str| word.eq_ignore_ascii_case(name.as_bytes());
    let text = if is("HEADER") {
        SectionText::Header
    } else if is("TEXT") {
        SectionText::Text
    } else if is("MIME") && !part.is_empty() {
        SectionText::Mime
    } else if is("HEADER.FIELDS") {
        SectionText::HeaderFields(field_names(cursor)?)
    } else if is("HEADER.FIELDS.NOT") {
        SectionText::HeaderFieldsNot(field_names(cursor)?)
    } else {
        return Err(Fault::bad("Unknown section"));
    };
    cursor.expect(b']', "Section not closed")?;
    Ok(Section { part, text: Some(text) })
}

/// A section's text without its brackets, as it stands in a URL; nothing if it is none.
pub(crate) fn section_text(text: &str, options: super::Options) -> Option<Section> {
    let bracketed = format!("[{text}]");
    let mut cursor = Cursor::new(bracketed.as_bytes(), options);
    let section = section(&mut cursor).ok()?;
    cursor.at_end().then_some(section)
}

fn field_names(cursor: &mut Cursor<'_>) -> Parse<Vec<Box<str>>> {
    cursor.space()?;
    cursor.expect(b'(', "List of header fields expected")?;
    let mut names = Vec::new();
    loop {
        if names.len() >= Fetch::MAX_FIELDS {
            return Err(Fault::bad("Too many header fields"));
        }
        let name = cursor.astring()?;
        if name.is_empty() || name.len() > MAX_FIELD_NAME {
            return Err(Fault::bad("Header field name empty or too long"));
        }
        names.push(utf8(name)?.into_boxed_str());
        if cursor.eat(b')') {
            return Ok(names);
        }
        cursor.space()?;
    }
}

fn binary_part(cursor: &mut Cursor<'_>) -> Parse<SmallVec<[u32; 4]>> {
    cursor.expect(b'[', "Section expected")?;
    let part = part_numbers(cursor)?;
    cursor.expect(b']', "Section not closed")?;
    Ok(part)
}

/// `<offset.count>`
fn partial(cursor: &mut Cursor<'_>) -> Parse<Option<OctetRange>> {
    if !cursor.eat(b'<') {
        return Ok(None);
    }
    let offset = cursor.number64()?;
    cursor.expect(b'.', "Partial fetches are <offset.count>")?;
    let count = cursor.number64()?;
    cursor.expect(b'>', "Partial fetches are <offset.count>")?;
    if count == 0 || offset >> 63 != 0 || count >> 63 != 0 {
        return Err(Fault::bad("Partial fetch out of range"));
    }
    Ok(Some(OctetRange { offset, count }))
}

fn modifiers(cursor: &mut Cursor<'_>, fetch: &mut Fetch) -> Parse<()> {
    cursor.expect(b'(', "Modifiers of FETCH expected")?;
    loop {
        if fetch.changed_since.is_none() && cursor.eat_word("CHANGEDSINCE") {
            cursor.space()?;
            fetch.changed_since = Some(cursor.modseq()?);
        } else if !fetch.vanished && cursor.eat_word("VANISHED") {
            fetch.vanished = true;
        } else if fetch.partial.is_none() && cursor.eat_word("PARTIAL") {
            cursor.space()?;
            fetch.partial = Some(search::partial_range(cursor)?);
        } else {
            return Err(Fault::bad("Unknown or repeated modifier of FETCH"));
        }
        if cursor.eat(b')') {
            return Ok(());
        }
        cursor.space()?;
    }
}
