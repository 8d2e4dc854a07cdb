//! The text of APPEND and REPLACE around the octets of their messages (RFC 9051 section 6.3.12,
//! RFC 3502, RFC 4469, RFC 8508, RFC 9755); the octets themselves stream past in `flow::server`.
//!
//! The text is read in stretches: from the tag, or from behind some octets, up to the next
//! literal or the end of the line. Whoever asks remembers the [`Place`] where a stretch begins.

use smallvec::SmallVec;

use super::cursor::{Cursor, Parse, utf8};
use super::refusal::Fault;
use super::{Options, Refusal};
use crate::types::{AppendNumbers, DateTime, Flag, Replaces, STAR, Tag};
use crate::url;

/// What stands before a message.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Announced {
    pub(crate) flags: SmallVec<[Flag; 4]>,
    pub(crate) date: Option<DateTime>,
    /// Numbers of another server it brings along.
    pub(crate) numbers: Option<Box<AppendNumbers>>,
    /// `UTF8 (` was opened and must be closed after the message.
    pub(crate) wrapped: bool,
    /// `CATENATE (` was opened: parts follow.
    pub(crate) catenate: bool,
}

/// Where a stretch begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// At the tag.
    Head,
    /// Behind the octets of a message.
    AfterMessage {
        /// It came inside `UTF8 (`.
        wrapped: bool,
    },
    /// Behind the octets of a TEXT part.
    AfterText,
}

/// One thing said in a stretch.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Item {
    /// The command begins.
    Start { tag: Tag, mailbox: String, replaces: Option<Replaces> },
    /// A message is announced.
    Message(Announced),
    /// A part of a message that is stored already.
    Url(String),
    /// The message made of parts ends.
    MessageEnd,
}

/// What a stretch ends with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The literal is a message.
    Message,
    /// The literal is a TEXT part.
    Text,
    /// The literal belongs to the text, to be received like any other: the stretch goes on, and
    /// its items are to be read again when it is whole.
    String,
    /// The command is whole.
    Line,
}

/// A stretch as read.
#[derive(Debug)]
pub(crate) struct Stretch {
    pub(crate) items: Vec<Item>,
    pub(crate) end: End,
}

/// How these bytes begin: with a tag and which command.
fn command_of(command: &[u8]) -> Option<(&[u8], bool, bool)> {
    let space = command.iter().position(|&b| b == b' ')?;
    let rest = command.get(space + 1..)?;
    let is = |word: &[u8]| rest.get(..word.len()).is_some_and(|w| w.eq_ignore_ascii_case(word));
    for (word, replace, uid) in
        [(&b"APPEND "[..], false, false), (b"REPLACE ", true, false), (b"UID REPLACE ", true, true)]
    {
        if is(word) {
            return rest.get(word.len()..).map(|rest| (rest, replace, uid));
        }
    }
    None
}

/// True when these bytes begin with a tag and APPEND, REPLACE or UID REPLACE.
pub(crate) fn is_append(command: &[u8]) -> bool {
    command_of(command).is_some()
}

/// Reads one stretch; `literal` says that a literal's mark (left out of `text`) follows it.
pub(crate) fn stretch(
    text: &[u8],
    place: Place,
    literal: bool,
    options: Options,
) -> Result<Stretch, Refusal> {
    let mut cursor = Cursor::new(text, options);
    let mut tag = None;
    let mut reader = Reader { literal, items: Vec::new(), replacing: false };
    let end = match place {
        Place::Head => match super::tag(&mut cursor) {
            Err(fault) => Err(fault),
            Ok(known) => {
                tag = Some(known.clone());
                reader.head(&mut cursor, text, known)
            }
        },
        Place::AfterMessage { wrapped } => reader.after_message(&mut cursor, wrapped),
        Place::AfterText => reader.after_part(&mut cursor),
    };
    match end {
        Ok(end) => Ok(Stretch { items: reader.items, end }),
        Err(fault) => Err(fault.into_refusal(tag)),
    }
}

struct Reader {
    literal: bool,
    items: Vec<Item>,
    replacing: bool,
}

impl Reader {
    /// `APPEND mailbox …` or `[UID] REPLACE number mailbox …`
    fn head(&mut self, cursor: &mut Cursor<'_>, text: &[u8], tag: Tag) -> Parse<End> {
        let Some((rest, replace, uid)) = command_of(text) else {
            return Err(Fault::bad("Command missing after the tag"));
        };
        cursor.advance(cursor.rest().len().saturating_sub(rest.len()));
        let mut replaces = None;
        if replace {
            let number = if cursor.eat(b'*') { STAR } else { cursor.positive()? };
            replaces = Some(Replaces { uid, number });
            self.replacing = true;
            cursor.space()?;
        }
        if cursor.at_end() && self.literal {
            return Ok(End::String);
        }
        let mailbox = cursor.mailbox()?;
        cursor.space()?;
        self.items.push(Item::Start { tag, mailbox, replaces });
        self.message(cursor)
    }

    /// `[(flags) ] ["date" ] [XKEEPIDS (…) ]` and the literal, `UTF8 (` and the literal, or `CATENATE (…)`.
    fn message(&mut self, cursor: &mut Cursor<'_>) -> Parse<End> {
        let mut message = Announced {
            flags: SmallVec::new(),
            date: None,
            numbers: None,
            wrapped: false,
            catenate: false,
        };
        if cursor.peek() == Some(b'(') {
            message.flags = cursor.flag_list()?;
            cursor.space()?;
        }
        if cursor.peek() == Some(b'"') {
            let text = cursor.string()?;
            let date = DateTime::parse(&text);
            message.date = Some(
                date.ok_or(Fault::bad("Date-time expected, as \"17-Jul-1996 02:44:25 -0700\""))?,
            );
            cursor.space()?;
        }
        message.numbers = super::numbers::append(cursor)?;
        if cursor.eat_text("CATENATE (") {
            message.catenate = true;
            self.items.push(Item::Message(message));
            return self.part(cursor);
        }
        if cursor.eat_text("UTF8 (") {
            message.wrapped = true;
        }
        if !cursor.at_end() || !self.literal {
            return Err(Fault::bad("A literal with the message expected"));
        }
        self.items.push(Item::Message(message));
        Ok(End::Message)
    }

    /// Nothing, or the next message.
    fn after_message(&mut self, cursor: &mut Cursor<'_>, wrapped: bool) -> Parse<End> {
        if wrapped {
            cursor.expect(b')', "`)` expected after the message")?;
        }
        if cursor.at_end() && !self.literal {
            return Ok(End::Line);
        }
        if !self.literal && !cursor.rest().starts_with(b" ") {
            return Err(Fault::bad("Unexpected text after the message"));
        }
        cursor.space()?;
        // A widely used Python library puts two spaces between messages.
        cursor.eat(b' ');
        self.message(cursor)
    }

    /// `TEXT` and a literal, or `URL` and a string.
    fn part(&mut self, cursor: &mut Cursor<'_>) -> Parse<End> {
        loop {
            if cursor.eat_word("TEXT") {
                cursor.space()?;
                if !cursor.at_end() || !self.literal {
                    return Err(Fault::bad("A literal expected after TEXT"));
                }
                return Ok(End::Text);
            }
            if !cursor.eat_word("URL") {
                return Err(Fault::bad("TEXT or URL expected in CATENATE"));
            }
            cursor.space()?;
            if cursor.at_end() && self.literal {
                return Ok(End::String);
            }
            let text = utf8(cursor.astring()?)?;
            if text.len() > url::MAX_URL {
                return Err(Fault::bad("URL too long"));
            }
            self.items.push(Item::Url(text));
            if let Some(end) = self.closing(cursor)? {
                return Ok(end);
            }
        }
    }

    /// Behind a TEXT part: the next part, or the end of the message.
    fn after_part(&mut self, cursor: &mut Cursor<'_>) -> Parse<End> {
        match self.closing(cursor)? {
            Some(end) => Ok(end),
            None => self.part(cursor),
        }
    }

    /// `)` and what follows the message, or the space before the next part.
    fn closing(&mut self, cursor: &mut Cursor<'_>) -> Parse<Option<End>> {
        if cursor.eat(b')') {
            self.items.push(Item::MessageEnd);
            return self.after_message(cursor, false).map(Some);
        }
        cursor.expect(b' ', "CATENATE not closed")?;
        Ok(None)
    }
}
