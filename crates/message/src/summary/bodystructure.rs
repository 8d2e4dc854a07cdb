//! BODYSTRUCTURE in wire form (RFC 9051 7.5.2), written while the parts go by.
//!
//! It must never know what a message says, only how it is put together.

use super::envelope;
use crate::content::{self, Parameter};
use crate::header::Head;
use crate::walk::{Closing, Kind, Opening};
use crate::wire;

/// Octets of structure after which no further part is described; what follows belongs to the
/// last one. One header (1 MiB at most) may go beyond.
const STRUCTURE_MAX: usize = 1024 * 1024;

struct Frame {
    /// Where this part begins in the structure.
    start: usize,
    /// Where the size is put in once it is known (it stands before what is inside).
    size_at: usize,
    /// Where the text behind this part begins in `tails`.
    tail: usize,
    kind: Kind,
    is_text: bool,
}

/// Writes the structure from openings and closings.
#[derive(Default)]
pub(super) struct StructureWriter {
    out: Vec<u8>,
    /// What stands behind the parts that are open, one after the other.
    tails: Vec<u8>,
    frames: Vec<Frame>,
}

impl StructureWriter {
    pub(super) fn full(&self) -> bool {
        self.out.len() > STRUCTURE_MAX
    }

    pub(super) fn finish(self) -> Vec<u8> {
        self.out
    }

    pub(super) fn open(&mut self, part: &Opening<'_>) {
        let out = &mut self.out;
        if self.frames.last().is_some_and(|frame| frame.kind == Kind::Message) {
            out.push(b' ');
            envelope::write(out, part.head);
            out.push(b' ');
        }
        let (start, tail) = (out.len(), self.tails.len());
        let content = &part.content;
        let tails = &mut self.tails;
        if part.kind == Kind::Multipart {
            out.push(b'(');
            tails.push(b' ');
            wire::lower(tails, &content.subtype);
            tails.push(b' ');
            parameters(tails, &content.parameters);
        } else {
            out.push(b'(');
            wire::lower(out, &content.kind);
            out.push(b' ');
            wire::lower(out, &content.subtype);
            out.push(b' ');
            let start = out.len();
            parameters(out, &content.parameters);
            if content.is_kind("text") && !names_charset(&content.parameters) {
                assume_charset(out, start);
            }
            out.push(b' ');
            single_fields(out, part.head);
            tails.push(b' ');
            match part.head.md5 {
                Some(md5) => wire::string(tails, md5.trim_ascii()),
                None => wire::nil(tails),
            }
        }
        extensions(tails, part.head);
        self.frames.push(Frame {
            start,
            size_at: self.out.len(),
            tail,
            kind: part.kind,
            is_text: content.is_kind("text"),
        });
    }

    pub(super) fn close(&mut self, part: Closing) {
        let Some(frame) = self.frames.pop() else { return };
        let out = &mut self.out;
        match frame.kind {
            Kind::Leaf => {
                out.push(b' ');
                wire::number(out, part.size);
                if frame.is_text {
                    out.push(b' ');
                    wire::number(out, part.lines);
                }
            }
            Kind::Message => {
                let mut size = Vec::with_capacity(21);
                size.push(b' ');
                wire::number(&mut size, part.size);
                out.splice(frame.size_at..frame.size_at, size);
                out.push(b' ');
                wire::number(out, part.lines);
            }
            Kind::Multipart if part.children == 0 => {
                // No part was found between boundaries that never came: it is one text.
                out.truncate(frame.start);
                out.extend_from_slice(b"(\"text\" \"plain\" ");
                let params = out.len();
                wire::nil(out);
                assume_charset(out, params);
                out.extend_from_slice(b" NIL NIL \"7bit\" ");
                wire::number(out, part.size);
                out.push(b' ');
                wire::number(out, part.lines);
                out.extend_from_slice(b" NIL NIL NIL NIL)");
                self.tails.truncate(frame.tail);
                return;
            }
            Kind::Multipart => {}
        }
        out.extend_from_slice(self.tails.get(frame.tail..).unwrap_or_default());
        out.push(b')');
        self.tails.truncate(frame.tail);
    }
}

fn parameters(out: &mut Vec<u8>, list: &[Parameter<'_>]) {
    if list.is_empty() {
        return wire::nil(out);
    }
    out.push(b'(');
    for (at, parameter) in list.iter().enumerate() {
        if at > 0 {
            out.push(b' ');
        }
        wire::lower(out, &parameter.name);
        out.push(b' ');
        wire::string(out, &parameter.value);
    }
    out.push(b')');
}

fn names_charset(list: &[Parameter<'_>]) -> bool {
    list.iter().any(|p| p.name.split(|b| *b == b'*').next().is_some_and(is_charset))
}

fn is_charset(name: &[u8]) -> bool {
    name.eq_ignore_ascii_case(b"charset")
}

/// Text that names no charset is US-ASCII (RFC 2046 4.1.2), and clients are used to being told.
/// The parameters written from `start` on get it as their last.
fn assume_charset(out: &mut Vec<u8>, start: usize) {
    if out.len() == start + b"NIL".len() {
        out.truncate(start);
        out.push(b'(');
    } else {
        out.pop();
        out.push(b' ');
    }
    out.extend_from_slice(b"\"charset\" \"us-ascii\")");
}

/// Id, description and encoding of a part that is no multipart.
fn single_fields(out: &mut Vec<u8>, head: &Head<'_>) {
    wire::field(out, head.id);
    out.push(b' ');
    wire::field(out, head.description);
    out.push(b' ');
    match head.encoding.and_then(content::word) {
        Some(word) => wire::lower(out, word),
        None => out.extend_from_slice(b"\"7bit\""),
    }
}

/// Disposition, language and location.
fn extensions(out: &mut Vec<u8>, head: &Head<'_>) {
    out.push(b' ');
    match head.disposition.and_then(content::disposition) {
        Some((word, list)) => {
            out.push(b'(');
            wire::lower(out, word);
            out.push(b' ');
            parameters(out, &list);
            out.push(b')');
        }
        None => wire::nil(out),
    }
    out.push(b' ');
    let languages = head.language.map(content::words).unwrap_or_default();
    if languages.is_empty() {
        wire::nil(out);
    } else {
        for (at, language) in languages.iter().enumerate() {
            out.push(if at == 0 { b'(' } else { b' ' });
            wire::string(out, language);
        }
        out.push(b')');
    }
    out.push(b' ');
    wire::field(out, head.location);
}

/// The non-extensible BODY form of a BODYSTRUCTURE: what stands behind the basic fields of each
/// part is left out (RFC 9051 6.4.5). The input must be one written here; anything else comes
/// back as far as it could be read.
pub fn without_extensions(structure: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(structure.len());
    let mut at = 0;
    // For each open list: how many fields are still kept, or nothing for lists kept whole.
    let mut lists: Vec<Level> = Vec::new();
    while let Some(&byte) = structure.get(at) {
        match byte {
            b'(' => {
                let inner = structure.get(at + 1);
                let level = match lists.last_mut() {
                    None => Level::part(inner),
                    Some(level) => level.enter(inner),
                };
                level.write(&mut out, b"(");
                lists.push(level);
                at += 1;
            }
            b')' => {
                if let Some(level) = lists.pop() {
                    level.write(&mut out, b")");
                }
                at += 1;
            }
            b' ' => at += 1,
            _ => {
                let end = at + string_length(structure.get(at..).unwrap_or_default());
                let text = structure.get(at..end).unwrap_or_default();
                if let Some(level) = lists.last_mut() {
                    level.string(&mut out, text);
                }
                at = end.max(at + 1);
            }
        }
        spaces(&mut out, &lists, structure.get(at).copied(), byte);
    }
    out
}

/// What a list of the structure is, and how far it has been read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Level {
    /// A single part: fields read, and fields kept (seven, eight for text, ten for messages).
    Single { read: u8, keep: u8 },
    /// A multipart: whether its subtype has been read.
    Multi { named: bool },
    /// Parameters, envelope: kept whole.
    Whole,
    /// Extension data: left out whole.
    Dropped,
}

impl Level {
    fn part(inner: Option<&u8>) -> Level {
        if inner == Some(&b'(') {
            Level::Multi { named: false }
        } else {
            Level::Single { read: 0, keep: 7 }
        }
    }

    fn kept(self) -> bool {
        match self {
            Level::Single { read, keep } => read < keep,
            Level::Multi { named } => !named,
            Level::Whole => true,
            Level::Dropped => false,
        }
    }

    /// A list begins inside this one.
    fn enter(&mut self, inner: Option<&u8>) -> Level {
        let kept = self.kept();
        match self {
            Level::Multi { named: false } => Level::part(inner),
            Level::Single { read, keep } => {
                *read = read.saturating_add(1);
                match (*read, *keep) {
                    _ if !kept => Level::Dropped,
                    // The message inside a message: its envelope is the eighth field.
                    (9, 10) => Level::part(inner),
                    _ => Level::Whole,
                }
            }
            Level::Whole => Level::Whole,
            Level::Multi { named: true } | Level::Dropped => Level::Dropped,
        }
    }

    fn string(&mut self, out: &mut Vec<u8>, text: &[u8]) {
        let kept = self.kept();
        if kept {
            out.extend_from_slice(text);
        }
        match self {
            Level::Multi { named } => *named = true,
            Level::Single { read, keep } => {
                if *read == 0 && text == b"\"text\"" {
                    *keep = 8;
                } else if *read == 0 && text == b"\"message\"" {
                    // Settled by the subtype.
                    *keep = 9;
                } else if *read == 1 && *keep == 9 {
                    let whole = text == b"\"rfc822\"" || text == b"\"global\"";
                    *keep = if whole { 10 } else { 7 };
                }
                *read = read.saturating_add(1);
            }
            _ => {}
        }
    }

    fn write(self, out: &mut Vec<u8>, mark: &[u8]) {
        if !matches!(self, Level::Dropped) {
            out.extend_from_slice(mark);
        }
    }
}

/// A space belongs between two kept things of one list.
fn spaces(out: &mut Vec<u8>, lists: &[Level], next: Option<u8>, last: u8) {
    let Some(level) = lists.last() else { return };
    if last != b'(' && next == Some(b' ') && level.kept() {
        out.push(b' ');
    }
}

/// Octets of the atom, quoted string or literal this text begins with.
fn string_length(text: &[u8]) -> usize {
    match text.first() {
        Some(b'"') => {
            let mut at = 1;
            while let Some(&byte) = text.get(at) {
                at += 1;
                match byte {
                    b'\\' => at += 1,
                    b'"' => break,
                    _ => {}
                }
            }
            at.min(text.len())
        }
        Some(b'{') => {
            let Some(end) = memchr::memchr(b'}', text) else { return text.len() };
            let digits = text.get(1..end).and_then(|d| std::str::from_utf8(d).ok());
            let length: usize = digits.and_then(|d| d.parse().ok()).unwrap_or(0);
            end.saturating_add(3).saturating_add(length).min(text.len())
        }
        _ => text.iter().position(|b| matches!(b, b' ' | b'(' | b')')).unwrap_or(text.len()),
    }
}
