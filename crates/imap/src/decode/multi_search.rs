//! ESEARCH over several mailboxes (RFC 7377) and CANCELUPDATE (RFC 5267).

use super::cursor::{Cursor, Parse, utf8};
use super::refusal::Fault;
use super::search;
use crate::types::{Command, MultiSearch, SearchSource};

/// `ESEARCH [IN (sources)] [RETURN (…)] [CHARSET name] keys`
pub(super) fn decode(cursor: &mut Cursor<'_>) -> Parse<MultiSearch> {
    let before = cursor.clone();
    cursor.space()?;
    let mut sources = Vec::new();
    if cursor.eat_word("IN") {
        cursor.space()?;
        sources = list(cursor)?;
    } else {
        *cursor = before;
    }
    Ok(MultiSearch { sources, search: search::decode(cursor, true)? })
}

fn list(cursor: &mut Cursor<'_>) -> Parse<Vec<SearchSource>> {
    cursor.expect(b'(', "List of mailboxes expected after IN")?;
    let mut sources = Vec::new();
    loop {
        source(cursor, &mut sources)?;
        if sources.len() > MultiSearch::MAX_SOURCES {
            return Err(Fault::coded("LIMIT", "Too many mailboxes to search"));
        }
        if cursor.eat(b')') {
            return Ok(sources);
        }
        cursor.space()?;
    }
}

/// One word with its mailboxes.
fn source(cursor: &mut Cursor<'_>, sources: &mut Vec<SearchSource>) -> Parse<()> {
    let of_name: fn(String) -> SearchSource =
        match cursor.upper_atom("Word for mailboxes expected, such as personal")?.as_str() {
            "SELECTED" => {
                sources.push(SearchSource::Selected);
                return Ok(());
            }
            "INBOXES" => {
                sources.push(SearchSource::Inboxes);
                return Ok(());
            }
            "PERSONAL" => {
                sources.push(SearchSource::Personal);
                return Ok(());
            }
            "SUBSCRIBED" => {
                sources.push(SearchSource::Subscribed);
                return Ok(());
            }
            "SUBTREE" => SearchSource::Subtree,
            "SUBTREE-ONE" => SearchSource::SubtreeOne,
            "MAILBOXES" => SearchSource::Mailbox,
            _ => return Err(Fault::bad("Unknown word for mailboxes")),
        };
    cursor.space()?;
    if !cursor.eat(b'(') {
        sources.push(of_name(cursor.mailbox()?));
        return Ok(());
    }
    loop {
        if sources.len() > MultiSearch::MAX_SOURCES {
            return Err(Fault::coded("LIMIT", "Too many mailboxes to search"));
        }
        sources.push(of_name(cursor.mailbox()?));
        if cursor.eat(b')') {
            return Ok(());
        }
        cursor.space()?;
    }
}

/// `CANCELUPDATE "tag" …`
pub(super) fn cancel_update(cursor: &mut Cursor<'_>) -> Parse<Vec<String>> {
    let mut tags = Vec::new();
    while !cursor.at_end() || tags.is_empty() {
        if tags.len() >= Command::MAX_CANCELLED {
            return Err(Fault::coded("LIMIT", "Too many tags"));
        }
        cursor.space()?;
        tags.push(utf8(cursor.string()?)?);
    }
    Ok(tags)
}
