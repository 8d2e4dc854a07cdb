//! From the bytes of one complete command, lines and literals joined, to a [`Request`].
//!
//! One file for each family of commands. Nothing here waits for more input, remembers a session
//! or knows which command is allowed when. Every list, number and nesting is bounded; what is
//! not understood is a [`Refusal`] with a text that helps whoever reads a client's log.

mod access;
mod append;
mod cursor;
mod fetch;
mod list;
mod mailbox;
mod message;
mod metadata;
mod multi_search;
mod notify;
mod numbers;
mod refusal;
mod search;
mod session;
mod sort;
mod url;

pub(crate) use append::{
    End as AppendEnd, Item as AppendItem, Place as AppendPlace, Stretch as AppendStretch,
    is_append, stretch as append_stretch,
};
pub use cursor::is_atom_char;
pub(crate) use cursor::{Cursor, is_astring_char, undo_base64};
pub(crate) use fetch::section_text;
pub use refusal::{Refusal, Verdict};

use crate::types::{Command, KEEP_IDS, Request, Tag};
use cursor::Parse;
use refusal::Fault;

/// True for a byte that may be part of a flag's name.
pub(crate) fn is_flag_char(byte: u8) -> bool {
    is_atom_char(byte)
}

/// What the session has agreed with its client that changes how bytes are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// UTF8=ACCEPT or IMAP4rev2 is enabled: mailbox names are UTF-8, `&` means itself.
    pub utf8: bool,
}

/// Decodes one command.
///
/// `bytes` is everything from the tag to before the last line end, with each literal's octets
/// following its `{n}` and line end.
///
/// # Errors
/// A [`Refusal`] naming the tag, if there was one, and what is wrong.
pub fn command(bytes: &[u8], options: Options) -> Result<Request, Refusal> {
    let mut cursor = Cursor::new(bytes, options);
    let tag = match tag(&mut cursor) {
        Ok(tag) => tag,
        Err(fault) => return Err(fault.into_refusal(None)),
    };
    match untagged(&mut cursor) {
        Ok(command) => Ok(Request { tag, command }),
        Err(fault) => Err(fault.into_refusal(Some(tag))),
    }
}

/// The tag and the space after it.
fn tag(cursor: &mut Cursor<'_>) -> Parse<Tag> {
    if cursor.at_end() {
        return Err(Fault::bad("Empty line"));
    }
    let text = cursor.take_while(|b| is_astring_char(b) && b != b'+');
    let tag = Tag::new(text).ok_or(Fault::bad("A command starts with a tag"))?;
    if cursor.at_end() {
        return Err(Fault::bad("Command missing after the tag"));
    }
    match cursor.eat(b' ') {
        true => Ok(tag),
        false => Err(Fault::bad("A command starts with a tag and a space")),
    }
}

/// The command after the tag.
fn untagged(cursor: &mut Cursor<'_>) -> Parse<Command> {
    let mut name = Name::read(cursor)?;
    let mut uid = false;
    if name.is("UID") {
        cursor.space()?;
        uid = true;
        name = Name::read(cursor)?;
    }
    let name = name.as_str();
    let command = match name {
        _ if uid => message::uid(name, cursor)?,
        _ => match session::decode(name, cursor)? {
            Some(command) => Some(command),
            None => match mailbox::decode(name, cursor)? {
                Some(command) => Some(command),
                None => match message::decode(name, cursor)? {
                    Some(command) => Some(command),
                    None => match access::decode(name, cursor)? {
                        Some(command) => Some(command),
                        None if name == "NOTIFY" => Some(notify::decode(cursor)?),
                        None if name == KEEP_IDS => Some(numbers::decode(cursor)?),
                        None => match metadata::decode(name, cursor)? {
                            Some(command) => Some(command),
                            None => url::decode(name, cursor)?,
                        },
                    },
                },
            },
        },
    };
    let Some(command) = command else {
        let prefix = if uid { "UID " } else { "" };
        return Err(Fault::bad(format!("Unknown command {prefix}{name}")));
    };
    if !cursor.at_end() {
        let prefix = if uid { "UID " } else { "" };
        return Err(Fault::bad(format!("Unexpected text after the arguments of {prefix}{name}")));
    }
    Ok(command)
}

/// A command's name in upper case, without allocating.
struct Name {
    bytes: [u8; Self::MAX],
    length: usize,
}

impl Name {
    const MAX: usize = 20;

    fn read(cursor: &mut Cursor<'_>) -> Parse<Self> {
        let word = cursor.take_while(is_atom_char);
        if word.is_empty() {
            return Err(Fault::bad("Command missing after the tag"));
        }
        let mut bytes = [0; Self::MAX];
        let Some(space) = bytes.get_mut(..word.len()) else {
            return Err(Fault::bad("Unknown command"));
        };
        space.copy_from_slice(word);
        space.make_ascii_uppercase();
        Ok(Self { bytes, length: word.len() })
    }

    fn as_str(&self) -> &str {
        self.bytes.get(..self.length).and_then(|b| std::str::from_utf8(b).ok()).unwrap_or_default()
    }

    fn is(&self, name: &str) -> bool {
        self.as_str() == name
    }
}
