//! The announcements inside APPEND (RFC 9051 section 6.3.12, RFC 3502, RFC 9755); the messages
//! themselves stream past in `flow::server`.

use smallvec::SmallVec;

use super::cursor::{Cursor, Parse};
use super::refusal::Fault;
use super::{Options, Refusal};
use crate::types::{DateTime, Flag, Tag};

/// What stands before a message.
#[derive(Debug)]
pub(crate) struct Announced {
    pub(crate) flags: SmallVec<[Flag; 4]>,
    pub(crate) date: Option<DateTime>,
    /// `UTF8 (` was opened and must be closed after the message.
    pub(crate) wrapped: bool,
}

/// An APPEND up to its first message.
#[derive(Debug)]
pub(crate) struct AppendHead {
    pub(crate) tag: Tag,
    pub(crate) mailbox: String,
    pub(crate) message: Announced,
}

/// What a literal at the end of an APPEND's line is.
#[derive(Debug)]
pub(crate) enum AppendLine {
    /// The first message.
    Message(AppendHead),
    /// The mailbox name, to be received like any literal.
    MailboxLiteral,
}

/// True when these bytes begin with a tag and APPEND.
pub(crate) fn is_append(command: &[u8]) -> bool {
    let Some(space) = command.iter().position(|&b| b == b' ') else { return false };
    command.get(space + 1..space + 8).is_some_and(|w| w.eq_ignore_ascii_case(b"APPEND "))
}

/// Reads an APPEND up to where a literal's mark begins (the mark left out).
pub(crate) fn head(command: &[u8], options: Options) -> Result<AppendLine, Refusal> {
    let mut cursor = Cursor::new(command, options);
    let tag = super::tag(&mut cursor).map_err(|fault| fault.into_refusal(None))?;
    cursor.advance("APPEND ".len());
    if cursor.at_end() {
        return Ok(AppendLine::MailboxLiteral);
    }
    let read = |cursor: &mut Cursor<'_>| -> Parse<(String, Announced)> {
        let mailbox = cursor.mailbox()?;
        cursor.space()?;
        Ok((mailbox, announced(cursor)?))
    };
    match read(&mut cursor) {
        Ok((mailbox, message)) => Ok(AppendLine::Message(AppendHead { tag, mailbox, message })),
        Err(fault) => Err(fault.into_refusal(Some(tag))),
    }
}

/// Reads what follows a message: nothing, or the next announcement (the literal's mark left out).
pub(crate) fn next(
    text: &[u8],
    wrapped: bool,
    literal: bool,
    tag: &Tag,
    options: Options,
) -> Result<Option<Announced>, Refusal> {
    let mut cursor = Cursor::new(text, options);
    let read = |cursor: &mut Cursor<'_>| -> Parse<Option<Announced>> {
        if wrapped {
            cursor.expect(b')', "`)` expected after the message")?;
        }
        if cursor.at_end() && !literal {
            return Ok(None);
        }
        if !literal {
            return Err(Fault::bad("Unexpected text after the message"));
        }
        cursor.space()?;
        // A widely used Python library puts two spaces between messages.
        cursor.eat(b' ');
        announced(cursor).map(Some)
    };
    read(&mut cursor).map_err(|fault| fault.into_refusal(Some(tag.clone())))
}

/// `[(flags) ] ["date" ] [UTF8 (]`, then the end.
fn announced(cursor: &mut Cursor<'_>) -> Parse<Announced> {
    let mut message = Announced { flags: SmallVec::new(), date: None, wrapped: false };
    if cursor.peek() == Some(b'(') {
        message.flags = cursor.flag_list()?;
        cursor.space()?;
    }
    if cursor.peek() == Some(b'"') {
        let text = cursor.string()?;
        let date = DateTime::parse(&text);
        message.date =
            Some(date.ok_or(Fault::bad("Date-time expected, as \"17-Jul-1996 02:44:25 -0700\""))?);
        cursor.space()?;
    }
    if cursor.eat_text("UTF8 (") {
        message.wrapped = true;
    } else if cursor.eat_word("CATENATE") {
        return Err(Fault::no(Some("CANNOT"), "CATENATE is not offered"));
    }
    if !cursor.at_end() {
        return Err(Fault::bad("A literal with the message expected"));
    }
    Ok(message)
}
