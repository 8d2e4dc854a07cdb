//! A whole message as a tree of parts with exact positions, from the same walk that makes the
//! summary, so that BODYSTRUCTURE and BODY[…] always agree.
//!
//! It must never copy bodies: positions point into the message.

use std::borrow::Cow;
use std::ops::Range;

use crate::content::{self, ContentType, Parameter};
use crate::decode::{self, TransferEncoding};
use crate::encoded_word;
use crate::walk::{Closing, Kind, Opening, Visitor, Walker};

/// What a part has inside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Inside {
    /// Content.
    Leaf,
    /// Parts: at least one.
    Multipart,
    /// One message, the only child.
    Message,
}

/// One part of a message; the message itself is the root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Octets of the header, the empty line that ends it included.
    pub header: Range<usize>,
    /// Octets of the body, without the line end that belongs to the boundary behind it.
    pub body: Range<usize>,
    /// Line feeds in the body.
    pub lines: u64,
    /// What is inside.
    pub inside: Inside,
    /// The type as reported in BODYSTRUCTURE.
    pub content: ContentType<'static>,
    /// How the body is encoded.
    pub encoding: TransferEncoding,
    /// The parts inside, in their order.
    pub children: Vec<Part>,
}

impl Part {
    /// Takes a whole message apart. Never fails; bounds are those of the crate
    /// ([`crate::PARTS_MAX`], [`crate::DEPTH_MAX`], [`crate::HEADER_MAX`]).
    pub fn of(message: &[u8]) -> Part {
        let mut scanner = StructureScanner::new();
        scanner.push(message);
        scanner.finish()
    }

    /// The header block in the message this part is of.
    pub fn header_of<'m>(&self, message: &'m [u8]) -> &'m [u8] {
        message.get(self.header.clone()).unwrap_or_default()
    }

    /// The body in the message this part is of, as it was sent.
    pub fn body_of<'m>(&self, message: &'m [u8]) -> &'m [u8] {
        message.get(self.body.clone()).unwrap_or_default()
    }

    /// The body with its transfer encoding undone (BINARY of RFC 9051); with an unknown
    /// encoding as it was sent.
    pub fn content_of<'m>(&self, message: &'m [u8]) -> Cow<'m, [u8]> {
        decode::content(self.body_of(message), self.encoding)
    }

    /// The text of a text part in UTF-8; nothing for other parts.
    pub fn text_of(&self, message: &[u8]) -> Option<String> {
        if self.inside != Inside::Leaf || !self.content.is_kind("text") {
            return None;
        }
        let bytes = self.content_of(message);
        Some(decode::charset(self.content.parameter("charset"), &bytes).into_owned())
    }

    /// The file name a sender gave this part, decoded; from Content-Disposition, else from the
    /// type's `name`.
    pub fn file_name(&self, message: &[u8]) -> Option<String> {
        let field = crate::header::find(self.header_of(message), "content-disposition");
        let named = field
            .and_then(|f| content::disposition(f.value))
            .and_then(|(_, list)| encoded_word::parameter(&list, "filename"));
        let parameters: &[Parameter<'_>] = &self.content.parameters;
        named.or_else(|| encoded_word::parameter(parameters, "name"))
    }

    /// This part and all inside it, in the order of the message.
    pub fn walk(&self) -> impl Iterator<Item = &Part> {
        let mut left = vec![self];
        std::iter::from_fn(move || {
            let part = left.pop()?;
            left.extend(part.children.iter().rev());
            Some(part)
        })
    }
}

/// Takes a message apart that is pushed in piece by piece, so that a large one need not be in
/// memory as a whole: the tree says which of its bytes are wanted.
pub struct StructureScanner {
    walker: Walker<Planter>,
}

impl Default for StructureScanner {
    fn default() -> StructureScanner {
        StructureScanner::new()
    }
}

impl std::fmt::Debug for StructureScanner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StructureScanner").finish_non_exhaustive()
    }
}

impl StructureScanner {
    /// A scanner that has seen nothing.
    pub fn new() -> StructureScanner {
        StructureScanner { walker: Walker::new(Planter::default()) }
    }

    /// Takes the next bytes of the message.
    pub fn push(&mut self, bytes: &[u8]) {
        self.walker.push(bytes);
    }

    /// Ends the message.
    pub fn finish(self) -> Part {
        self.walker.finish().0.root.unwrap_or_else(|| Part {
            header: 0..0,
            body: 0..0,
            lines: 0,
            inside: Inside::Leaf,
            content: ContentType::assumed(),
            encoding: TransferEncoding::Identity,
            children: Vec::new(),
        })
    }
}

/// Grows the tree.
#[derive(Default)]
struct Planter {
    open: Vec<Part>,
    root: Option<Part>,
}

fn position(at: u64) -> usize {
    usize::try_from(at).unwrap_or(usize::MAX)
}

impl Visitor for Planter {
    fn open(&mut self, part: &Opening<'_>) {
        let body_start = position(part.body_start);
        self.open.push(Part {
            header: position(part.header_start)..body_start,
            body: body_start..body_start,
            lines: 0,
            inside: match part.kind {
                Kind::Leaf => Inside::Leaf,
                Kind::Multipart => Inside::Multipart,
                Kind::Message => Inside::Message,
            },
            content: part.content.clone().into_owned(),
            encoding: TransferEncoding::of(part.head.encoding),
            children: Vec::new(),
        });
    }

    fn body(&mut self, _: &[u8]) {}

    fn close(&mut self, closing: Closing) {
        let Some(mut part) = self.open.pop() else { return };
        part.body.end = position(closing.body_end);
        part.lines = closing.lines;
        if closing.kind == Kind::Multipart && closing.children == 0 {
            part.inside = Inside::Leaf;
            part.content = ContentType::bare("text", "plain");
            part.encoding = TransferEncoding::Identity;
        }
        match self.open.last_mut() {
            Some(parent) => parent.children.push(part),
            None => self.root = Some(part),
        }
    }
}
