//! FETCH answers, piece by piece. Knows neither where the pieces come from nor which were asked.

use super::answer::flag_list;
use super::text::{literal_head, nstring, number, string};
use crate::types::{DateTime, FetchItem, OctetRange, Section, SectionText};

/// One `* n FETCH (…)` being written; [`FetchWriter::finish`] closes it.
///
/// Every method appends one item. Bytes made earlier (envelope, structure) are copied as they are.
#[derive(Debug)]
pub struct FetchWriter<'a> {
    out: &'a mut Vec<u8>,
    first: bool,
}

impl<'a> FetchWriter<'a> {
    /// Begins the answer for the message with this sequence number.
    #[must_use]
    pub fn new(out: &'a mut Vec<u8>, sequence: u32) -> Self {
        out.extend_from_slice(b"* ");
        number(out, u64::from(sequence));
        out.extend_from_slice(b" FETCH (");
        Self { out, first: true }
    }

    /// Begins the answer for a message to a session that enabled UIDONLY (RFC 9586):
    /// `* uid UIDFETCH (…)`.
    #[must_use]
    pub fn uid_only(out: &'a mut Vec<u8>, uid: u32) -> Self {
        out.extend_from_slice(b"* ");
        number(out, u64::from(uid));
        out.extend_from_slice(b" UIDFETCH (");
        Self { out, first: true }
    }

    fn label(&mut self, label: &[u8]) {
        if !self.first {
            self.out.push(b' ');
        }
        self.first = false;
        self.out.extend_from_slice(label);
    }

    /// `UID n`
    pub fn uid(&mut self, uid: u32) {
        self.label(b"UID ");
        number(self.out, u64::from(uid));
    }

    /// `FLAGS (…)`, names with their backslashes.
    pub fn flags<'f>(&mut self, names: impl IntoIterator<Item = &'f str>) {
        self.label(b"FLAGS ");
        flag_list(self.out, names);
    }

    /// `FLAGS (…)` from names already joined by spaces, without parentheses.
    pub fn flags_joined(&mut self, names: &[u8]) {
        self.label(b"FLAGS (");
        self.out.extend_from_slice(names);
        self.out.push(b')');
    }

    /// `INTERNALDATE "…"`
    pub fn internal_date(&mut self, date: DateTime) {
        self.label(b"INTERNALDATE \"");
        self.out.extend_from_slice(&date.format());
        self.out.push(b'"');
    }

    /// `SAVEDATE "…"`, or NIL where the mailbox does not keep it (RFC 8514)
    pub fn save_date(&mut self, date: Option<DateTime>) {
        self.label(b"SAVEDATE ");
        nstring(self.out, date.map(DateTime::format).as_ref().map(<[u8; 26]>::as_slice));
    }

    /// `RFC822.SIZE n`
    pub fn size(&mut self, octets: u64) {
        self.label(b"RFC822.SIZE ");
        number(self.out, octets);
    }

    /// `ENVELOPE (…)` from its wire form.
    pub fn envelope(&mut self, wire: &[u8]) {
        self.label(b"ENVELOPE ");
        self.out.extend_from_slice(wire);
    }

    /// `BODYSTRUCTURE (…)` from its wire form.
    pub fn body_structure(&mut self, wire: &[u8]) {
        self.label(b"BODYSTRUCTURE ");
        self.out.extend_from_slice(wire);
    }

    /// `BODY (…)` from the wire form of BODYSTRUCTURE, extension data left out.
    pub fn body(&mut self, structure: &[u8]) {
        self.label(b"BODY ");
        super::structure::body_without_extensions(self.out, structure);
    }

    /// `MODSEQ (n)`
    pub fn modseq(&mut self, modseq: u64) {
        self.label(b"MODSEQ (");
        number(self.out, modseq);
        self.out.push(b')');
    }

    /// `PREVIEW "…"`; `None` says that none is at hand (RFC 8970 section 3.1)
    pub fn preview(&mut self, text: Option<&str>) {
        self.label(b"PREVIEW ");
        nstring(self.out, text.map(str::as_bytes));
    }

    /// `EMAILID (id)` (RFC 8474)
    pub fn email_id(&mut self, id: &str) {
        self.label(b"EMAILID (");
        self.out.extend_from_slice(id.as_bytes());
        self.out.push(b')');
    }

    /// `THREADID (id)` or `THREADID NIL` (RFC 8474)
    pub fn thread_id(&mut self, id: Option<&str>) {
        self.label(b"THREADID ");
        match id {
            Some(id) => flag_list(self.out, [id]),
            None => self.out.extend_from_slice(b"NIL"),
        }
    }

    /// `BINARY.SIZE[…] n`
    pub fn binary_size(&mut self, part: &[u32], octets: u64) {
        self.label(b"BINARY.SIZE[");
        part_numbers(self.out, part);
        self.out.extend_from_slice(b"] ");
        number(self.out, octets);
    }

    /// A `BODY[…]`, `BINARY[…]` or `RFC822…` item with its octets (already cut to the range
    /// asked), or NIL for a part that is not there.
    pub fn octets(&mut self, item: &FetchItem, octets: Option<&[u8]>) {
        match octets {
            Some(octets) => {
                let binary =
                    matches!(item, FetchItem::Binary { .. }) && memchr::memchr(0, octets).is_some();
                self.octets_head(item, octets.len() as u64, binary);
                self.out.extend_from_slice(octets);
            }
            None => {
                self.label(b"");
                item_name(self.out, item);
                self.out.extend_from_slice(b" NIL");
            }
        }
    }

    /// As [`FetchWriter::octets`] for octets that are sent by other means: writes everything up
    /// to them; exactly `size` octets must follow in the stream before the next item.
    pub fn octets_head(&mut self, item: &FetchItem, size: u64, binary: bool) {
        self.label(b"");
        item_name(self.out, item);
        self.out.push(b' ');
        literal_head(self.out, size, binary);
    }

    /// An item of any name with a string.
    pub fn text(&mut self, label: &str, value: &[u8]) {
        self.label(label.as_bytes());
        self.out.push(b' ');
        string(self.out, value);
    }

    /// The bytes written to, for octets announced by [`FetchWriter::octets_head`].
    pub fn out(&mut self) -> &mut Vec<u8> {
        self.out
    }

    /// Goes on with an answer begun by another writer on the same bytes, after at least one item.
    #[must_use]
    pub fn resume(out: &'a mut Vec<u8>) -> Self {
        Self { out, first: false }
    }

    /// Closes the answer.
    pub fn finish(self) {
        self.out.extend_from_slice(b")\r\n");
    }
}

/// Appends the name under which an item is answered, such as `BODY[1.MIME]<0>`.
pub fn item_name(out: &mut Vec<u8>, item: &FetchItem) {
    let fixed: &[u8] = match item {
        FetchItem::Section { section, partial, .. } => {
            out.extend_from_slice(b"BODY[");
            section_name(out, section);
            return close_section(out, *partial);
        }
        FetchItem::Binary { part, partial, .. } => {
            out.extend_from_slice(b"BINARY[");
            part_numbers(out, part);
            return close_section(out, *partial);
        }
        FetchItem::BinarySize { part } => {
            out.extend_from_slice(b"BINARY.SIZE[");
            part_numbers(out, part);
            return close_section(out, None);
        }
        FetchItem::Uid => b"UID",
        FetchItem::Flags => b"FLAGS",
        FetchItem::InternalDate => b"INTERNALDATE",
        FetchItem::Size => b"RFC822.SIZE",
        FetchItem::Envelope => b"ENVELOPE",
        FetchItem::Body => b"BODY",
        FetchItem::BodyStructure => b"BODYSTRUCTURE",
        FetchItem::Rfc822 => b"RFC822",
        FetchItem::Rfc822Header => b"RFC822.HEADER",
        FetchItem::Rfc822Text => b"RFC822.TEXT",
        FetchItem::ModSeq => b"MODSEQ",
        FetchItem::Preview { .. } => b"PREVIEW",
        FetchItem::EmailId => b"EMAILID",
        FetchItem::ThreadId => b"THREADID",
        FetchItem::SaveDate => b"SAVEDATE",
    };
    out.extend_from_slice(fixed);
}

fn close_section(out: &mut Vec<u8>, partial: Option<OctetRange>) {
    out.push(b']');
    if let Some(range) = partial {
        out.push(b'<');
        number(out, range.offset);
        out.push(b'>');
    }
}

fn part_numbers(out: &mut Vec<u8>, part: &[u32]) {
    for (i, &n) in part.iter().enumerate() {
        if i > 0 {
            out.push(b'.');
        }
        number(out, u64::from(n));
    }
}

/// Appends a section without its brackets.
pub(crate) fn section_name(out: &mut Vec<u8>, section: &Section) {
    part_numbers(out, &section.part);
    let Some(text) = &section.text else { return };
    if !section.part.is_empty() {
        out.push(b'.');
    }
    let (word, names): (&[u8], &[Box<str>]) = match text {
        SectionText::Header => (b"HEADER", &[]),
        SectionText::Text => (b"TEXT", &[]),
        SectionText::Mime => (b"MIME", &[]),
        SectionText::HeaderFields(names) => (b"HEADER.FIELDS", names),
        SectionText::HeaderFieldsNot(names) => (b"HEADER.FIELDS.NOT", names),
    };
    out.extend_from_slice(word);
    for (i, name) in names.iter().enumerate() {
        out.extend_from_slice(if i == 0 { b" (" } else { b" " });
        super::text::astring(out, name.as_bytes());
    }
    if !names.is_empty() {
        out.push(b')');
    }
}
