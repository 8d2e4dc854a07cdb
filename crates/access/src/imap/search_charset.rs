//! Search text in the charset a command names (RFC 9051 section 6.4.4), brought to UTF-8 before
//! anything else looks at it. It must never know what is searched.

use angarium_imap::types::SearchKey;
use angarium_message::decode::{CHARSETS, knows_charset, text_in};

use super::answer::{Answer, Note};

/// The key with all its text in UTF-8.
///
/// # Errors
/// NO with BADCHARSET for a charset nobody knows, BAD for text that is not in the one named.
pub(super) fn decoded(key: SearchKey, charset: Option<&str>) -> Result<SearchKey, Answer> {
    let Some(charset) = charset else { return Ok(key) };
    if matches!(charset, "UTF-8" | "UTF8" | "US-ASCII" | "ASCII") {
        return Ok(key);
    }
    if !knows_charset(charset.as_bytes()) {
        let list = CHARSETS.join(" ");
        return Err(Answer::no("This charset is not offered for searching")
            .note(Note::Text(format!("BADCHARSET ({list})"))));
    }
    convert(key, charset.as_bytes())
}

fn convert(key: SearchKey, charset: &[u8]) -> Result<SearchKey, Answer> {
    let boxed = |key: Box<SearchKey>| convert(*key, charset).map(Box::new);
    Ok(match key {
        SearchKey::ContainsOctets(field, octets) => match text_in(charset, &octets) {
            Some(text) => SearchKey::Contains(field, text),
            None => return Err(Answer::bad("Search text is not in the charset of the command")),
        },
        SearchKey::And(keys) => SearchKey::And(
            keys.into_iter().map(|key| convert(key, charset)).collect::<Result<_, _>>()?,
        ),
        SearchKey::Or(one, two) => SearchKey::Or(boxed(one)?, boxed(two)?),
        SearchKey::Not(key) => SearchKey::Not(boxed(key)?),
        SearchKey::Fuzzy(key) => SearchKey::Fuzzy(boxed(key)?),
        other => other,
    })
}
