//! Sections of a message as FETCH BODY[…] names them (RFC 9051 6.4.5.1).
//!
//! It must never know how a section is written in a command.

use std::borrow::Cow;
use std::ops::Range;

use crate::header;
use crate::structure::{Inside, Part};

/// What is wanted of the message, or of the part a path leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What<'n> {
    /// Everything: the message, or the body of the part.
    Whole,
    /// The header of the message, or of the message that the part holds.
    Header,
    /// Of that header the fields of these names, then an empty line.
    HeaderFields(&'n [&'n str]),
    /// Of that header all fields but those of these names, then an empty line.
    HeaderFieldsNot(&'n [&'n str]),
    /// What follows that header.
    Text,
    /// The MIME header of the part; only with a path.
    Mime,
}

impl Part {
    /// The part a path of numbers (from 1) leads to, seen from this message. A message that is
    /// no multipart has part 1: its body.
    pub fn at(&self, path: &[u32]) -> Option<&Part> {
        let mut part = self;
        let mut container = Some(self);
        for number in path {
            let around = container?;
            let index = usize::try_from(*number).ok()?.checked_sub(1)?;
            part = match around.inside {
                Inside::Multipart => around.children.get(index)?,
                _ if index == 0 => around,
                _ => return None,
            };
            container = match part.inside {
                Inside::Multipart => Some(part),
                Inside::Message => part.children.first(),
                Inside::Leaf => None,
            };
        }
        Some(part)
    }

    /// Where a section lies in the message, if it is one piece of it (all but header fields).
    /// Nothing if there is no such section.
    pub fn locate(&self, path: &[u32], what: &What<'_>) -> Option<Range<usize>> {
        let part = self.at(path)?;
        let message = match (path.is_empty(), part.inside) {
            (true, _) => Some(part),
            (false, Inside::Message) => part.children.first(),
            (false, _) => None,
        };
        match what {
            What::Whole if path.is_empty() => Some(part.header.start..part.body.end),
            What::Whole => Some(part.body.clone()),
            What::Mime if path.is_empty() => None,
            What::Mime => Some(part.header.clone()),
            What::Header | What::HeaderFields(_) | What::HeaderFieldsNot(_) => {
                Some(message?.header.clone())
            }
            What::Text => Some(message?.body.clone()),
        }
    }

    /// The bytes of a section; nothing if there is no such section.
    pub fn section<'m>(
        &self,
        message: &'m [u8],
        path: &[u32],
        what: &What<'_>,
    ) -> Option<Cow<'m, [u8]>> {
        let bytes = message.get(self.locate(path, what)?)?;
        Some(match what {
            What::HeaderFields(names) => Cow::Owned(header::filter(bytes, names, true)),
            What::HeaderFieldsNot(names) => Cow::Owned(header::filter(bytes, names, false)),
            _ => Cow::Borrowed(bytes),
        })
    }
}
