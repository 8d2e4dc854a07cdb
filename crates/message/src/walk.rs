//! The one walk through a message that everything else is built on: bytes are pushed in, parts
//! are opened and closed with exact positions. Any split of the bytes gives the same walk, and
//! memory is bounded by the constants here.
//!
//! It must never know what is made of the parts.

use memchr::{memchr, memchr_iter};

use crate::content::{self, ContentType};
use crate::header::Head;

/// Parts a message can have; what comes after belongs to the last one.
pub const PARTS_MAX: usize = 10_000;

/// How deep parts are looked into; a deeper multipart is text, a deeper message a sequence of
/// octets.
pub const DEPTH_MAX: usize = 100;

/// Octets of one header that are considered; its size is counted in full.
pub const HEADER_MAX: usize = 1024 * 1024;

/// Octets of a boundary (RFC 2046 allows 70); a longer one bounds nothing.
pub const BOUNDARY_MAX: usize = 250;

/// Octets of one line looked at while boundaries are searched. A longer line is no boundary.
const LINE_KEEP: usize = 2048;

/// How a part is to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Nothing inside.
    Leaf,
    /// Parts between boundaries. With no part found it is one text.
    Multipart,
    /// One message: exactly one part inside.
    Message,
}

/// A part whose header has been read.
pub(crate) struct Opening<'a> {
    pub(crate) kind: Kind,
    pub(crate) head: &'a Head<'a>,
    /// The type as it is to be reported: what cannot be read as declared is text or octets.
    pub(crate) content: ContentType<'a>,
    pub(crate) header_start: u64,
    pub(crate) body_start: u64,
    /// How many parts are around this one.
    pub(crate) depth: usize,
}

/// A part whose end has been found.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Closing {
    pub(crate) kind: Kind,
    pub(crate) body_end: u64,
    pub(crate) size: u64,
    /// Line feeds in the body.
    pub(crate) lines: u64,
    /// Parts directly inside.
    pub(crate) children: u32,
}

/// What is told of the walk.
pub(crate) trait Visitor {
    /// A part begins. The first one is the message itself.
    fn open(&mut self, part: &Opening<'_>);
    /// Bytes of the body of the leaf opened last; the line end before a boundary comes too.
    /// Between boundaries, lines longer than 2 KiB are cut.
    fn body(&mut self, bytes: &[u8]);
    /// The part opened last and not yet closed ends.
    fn close(&mut self, part: Closing);
    /// Whether no further part is wanted.
    fn full(&self) -> bool {
        false
    }
}

enum State {
    /// In the header of a part.
    Header,
    /// In a body, with boundaries to look for.
    Lines,
    /// In a body that goes to the end.
    Bulk,
}

struct Frame {
    kind: Kind,
    body_start: u64,
    feeds_before: u64,
    boundary: Vec<u8>,
    digest: bool,
    closed: bool,
    children: u32,
}

/// The walk.
pub(crate) struct Walker<V> {
    visitor: V,
    state: State,
    /// Bytes seen, line feeds seen.
    position: u64,
    feeds: u64,
    /// Octets of the line end before the current line.
    line_end: u64,
    /// The beginning of a line that is not complete yet, its full length so far, its last byte.
    line: Vec<u8>,
    line_length: u64,
    last: u8,
    header_start: u64,
    head: Vec<u8>,
    head_line: usize,
    frames: Vec<Frame>,
    parts: usize,
    /// Multiparts whose boundary is still looked for.
    bounded: usize,
}

impl<V: Visitor> Walker<V> {
    pub(crate) fn new(visitor: V) -> Walker<V> {
        Walker {
            visitor,
            state: State::Header,
            position: 0,
            feeds: 0,
            line_end: 0,
            line: Vec::new(),
            line_length: 0,
            last: 0,
            header_start: 0,
            head: Vec::new(),
            head_line: 0,
            frames: Vec::new(),
            parts: 0,
            bounded: 0,
        }
    }

    pub(crate) fn push(&mut self, mut data: &[u8]) {
        while !data.is_empty() {
            if matches!(self.state, State::Bulk) {
                self.position += data.len() as u64;
                self.feeds += memchr_iter(b'\n', data).count() as u64;
                self.give(data);
                return;
            }
            let complete = memchr(b'\n', data);
            let length = complete.map_or(data.len(), |at| at + 1);
            let Some((piece, rest)) = data.split_at_checked(length) else { return };
            self.piece(piece, complete.is_some());
            data = rest;
        }
    }

    /// Ends the message and gives back the visitor and the message's size.
    pub(crate) fn finish(mut self) -> (V, u64) {
        if self.line_length > 0 {
            let line = std::mem::take(&mut self.line);
            self.end_line(&line, self.line_length, 0);
        }
        self.open_pending(self.position);
        while let Some(frame) = self.frames.pop() {
            self.close(&frame, self.position, self.feeds);
        }
        (self.visitor, self.position)
    }

    /// A piece of a line, or all of it.
    fn piece(&mut self, piece: &[u8], complete: bool) {
        self.position += piece.len() as u64;
        if matches!(self.state, State::Header) {
            let space = HEADER_MAX.saturating_sub(self.head.len());
            self.head.extend_from_slice(piece.get(..space).unwrap_or(piece));
        }
        let length = self.line_length + piece.len() as u64;
        let before_last =
            piece.len().checked_sub(2).and_then(|at| piece.get(at)).copied().unwrap_or(self.last);
        self.last = piece.last().copied().unwrap_or(0);
        if !complete {
            self.keep(piece);
            self.line_length = length;
            return;
        }
        let line_end = if length > 1 && before_last == b'\r' { 2 } else { 1 };
        self.feeds += 1;
        if self.line_length == 0 {
            self.end_line(piece.get(..LINE_KEEP).unwrap_or(piece), length, line_end);
        } else {
            self.keep(piece);
            let mut line = std::mem::take(&mut self.line);
            self.end_line(&line, length, line_end);
            line.clear();
            self.line = line;
        }
        self.line_length = 0;
    }

    fn keep(&mut self, piece: &[u8]) {
        let space = LINE_KEEP.saturating_sub(self.line.len());
        self.line.extend_from_slice(piece.get(..space).unwrap_or(piece));
    }

    /// A whole line, of which `line` is the beginning, has been seen and counted.
    fn end_line(&mut self, line: &[u8], length: u64, line_end: u64) {
        let found = self.boundary_of(line, length);
        let line_start = self.position - length;
        if let Some((level, last)) = found {
            let feeds = self.feeds - u64::from(line_end > 0);
            if matches!(self.state, State::Header) {
                self.head.truncate(self.head_line);
            }
            // The line end before a boundary belongs to it, in a header too.
            let end = line_start.saturating_sub(self.line_end).max(self.header_start);
            self.open_pending(end);
            self.boundary(level, last, line_start, feeds);
        } else if matches!(self.state, State::Header) {
            self.head_line = self.head.len();
            if length == line_end {
                self.open_part(self.position);
            }
        } else {
            self.give(line);
        }
        self.line_end = line_end;
    }

    fn give(&mut self, bytes: &[u8]) {
        if self.frames.last().is_some_and(|frame| frame.kind == Kind::Leaf) {
            self.visitor.body(bytes);
        }
    }

    /// Which open multipart this line separates or ends.
    fn boundary_of(&self, line: &[u8], length: u64) -> Option<(usize, bool)> {
        if self.bounded == 0 || length > LINE_KEEP as u64 {
            return None;
        }
        let text = line.strip_prefix(b"--")?.trim_ascii_end();
        for (level, frame) in self.frames.iter().enumerate().rev() {
            if frame.kind != Kind::Multipart || frame.closed {
                continue;
            }
            if let Some(rest) = text.strip_prefix(frame.boundary.as_slice())
                && (rest.is_empty() || rest == b"--")
            {
                return Some((level, !rest.is_empty()));
            }
        }
        None
    }

    fn boundary(&mut self, level: usize, last: bool, line_start: u64, feeds: u64) {
        if !last && (self.parts >= PARTS_MAX || self.visitor.full()) {
            self.state = State::Bulk;
            return;
        }
        let mut end = line_start.saturating_sub(self.line_end);
        let mut feeds_at_end = feeds - u64::from(self.line_end > 0);
        while self.frames.len() > level + 1 {
            let Some(frame) = self.frames.pop() else { break };
            if frame.body_start > end {
                // The empty line that ended its header is the line end before the boundary:
                // it stays with the header, and so with all that is around it.
                end = line_start;
                feeds_at_end = feeds;
            }
            self.close(&frame, end, feeds_at_end);
        }
        if !last {
            self.begin_header(self.position);
            return;
        }
        if let Some(frame) = self.frames.last_mut() {
            frame.closed = true;
            self.bounded -= 1;
        }
        self.state = if self.bounded == 0 { State::Bulk } else { State::Lines };
    }

    fn begin_header(&mut self, start: u64) {
        self.state = State::Header;
        self.header_start = start;
        self.head.clear();
        self.head_line = 0;
    }

    /// Opens what has begun but whose header is cut off here.
    fn open_pending(&mut self, at: u64) {
        while matches!(self.state, State::Header) {
            self.open_part(at);
        }
    }

    fn open_part(&mut self, body_start: u64) {
        let block = std::mem::take(&mut self.head);
        let head = Head::of(&block);
        let in_digest = self.frames.last().is_some_and(|frame| frame.digest);
        let (kind, content, boundary) = self.read_as(&head, in_digest);
        if let Some(frame) = self.frames.last_mut() {
            frame.children = frame.children.saturating_add(1);
        }
        self.parts += 1;
        let opening = Opening {
            kind,
            head: &head,
            content,
            header_start: self.header_start,
            body_start,
            depth: self.frames.len(),
        };
        self.visitor.open(&opening);
        self.frames.push(Frame {
            kind,
            body_start,
            feeds_before: self.feeds,
            digest: kind == Kind::Multipart && opening.content.is("multipart", "digest"),
            boundary,
            closed: false,
            children: 0,
        });
        drop(opening);
        self.head = block;
        match kind {
            Kind::Message => return self.begin_header(body_start),
            Kind::Multipart => self.bounded += 1,
            Kind::Leaf => {}
        }
        self.state = if self.bounded == 0 { State::Bulk } else { State::Lines };
    }

    /// Decides how a part is read: as declared where that is possible.
    fn read_as<'h>(&self, head: &Head<'h>, in_digest: bool) -> (Kind, ContentType<'h>, Vec<u8>) {
        let declared = head.content_type.and_then(content::content_type);
        let content = match declared {
            Some(content) => content,
            None if in_digest && head.content_type.is_none() => {
                ContentType::bare("message", "rfc822")
            }
            None => ContentType::assumed(),
        };
        let deep = self.frames.len() >= DEPTH_MAX;
        if content.is_kind("multipart") {
            let boundary = content.parameter("boundary").unwrap_or_default().trim_ascii_end();
            if deep || boundary.is_empty() || boundary.len() > BOUNDARY_MAX {
                return (Kind::Leaf, ContentType::bare("text", "plain"), Vec::new());
            }
            let boundary = boundary.to_vec();
            return (Kind::Multipart, content, boundary);
        }
        if content.is("message", "rfc822") || content.is("message", "global") {
            if deep || self.parts + 1 >= PARTS_MAX {
                let octets = ContentType::bare("application", "octet-stream");
                return (Kind::Leaf, octets, Vec::new());
            }
            return (Kind::Message, content, Vec::new());
        }
        (Kind::Leaf, content, Vec::new())
    }

    fn close(&mut self, frame: &Frame, end: u64, feeds: u64) {
        if frame.kind == Kind::Multipart && !frame.closed {
            self.bounded -= 1;
        }
        let body_end = end.max(frame.body_start);
        self.visitor.close(Closing {
            kind: frame.kind,
            body_end,
            size: body_end - frame.body_start,
            lines: feeds.saturating_sub(frame.feeds_before),
            children: frame.children,
        });
    }
}
