//! The push scanner: bytes of a message in any pieces, one summary at the end.
//!
//! It must never keep a body: memory is bounded by the constants of the walk, the structure and
//! the preview.

use super::bodystructure::StructureWriter;
use super::preview::Excerpt;
use super::{REFERENCES_MAX, Summary, TEXT_MAX, envelope};
use crate::address::{self, ADDRESSES_MAX, Item};
use crate::content::{self, find};
use crate::header::{Head, Values};
use crate::walk::{Closing, Kind, Opening, Visitor, Walker};
use crate::{date, encoded_word, identifier};

/// Makes a [`Summary`] from a message that is pushed in piece by piece. Any split of the same
/// bytes gives the same summary.
pub struct Scanner {
    walker: Walker<Maker>,
}

impl Default for Scanner {
    fn default() -> Scanner {
        Scanner::new()
    }
}

impl std::fmt::Debug for Scanner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scanner").finish_non_exhaustive()
    }
}

impl Scanner {
    /// A scanner that has seen nothing.
    pub fn new() -> Scanner {
        Scanner { walker: Walker::new(Maker::default()) }
    }

    /// Takes the next bytes of the message.
    pub fn push(&mut self, bytes: &[u8]) {
        self.walker.push(bytes);
    }

    /// Ends the message.
    pub fn finish(self) -> Summary {
        let (maker, _) = self.walker.finish();
        let mut summary = maker.summary;
        summary.bodystructure = maker.structure.finish();
        summary.preview = maker.preview.unwrap_or_default();
        summary
    }
}

#[derive(Default)]
struct Maker {
    summary: Summary,
    structure: StructureWriter,
    /// The text being gathered, if the innermost leaf is one.
    excerpt: Option<Excerpt>,
    preview: Option<String>,
    /// Whether the preview is of plain text and settled.
    settled: bool,
}

impl Visitor for Maker {
    fn open(&mut self, part: &Opening<'_>) {
        if part.depth == 0 {
            self.take_header(part);
        }
        self.structure.open(part);
        self.excerpt = None;
        let disposition = part.head.disposition.and_then(content::disposition);
        let attached = is_attachment(part, disposition.as_ref());
        if attached {
            self.summary.has_attachments = true;
        } else if part.kind == Kind::Leaf && !self.settled {
            self.excerpt = Excerpt::of(&part.content, part.head)
                .filter(|excerpt| self.preview.is_none() || excerpt.is_plain());
        }
    }

    fn body(&mut self, bytes: &[u8]) {
        if let Some(excerpt) = &mut self.excerpt {
            excerpt.push(bytes);
        }
    }

    fn close(&mut self, part: Closing) {
        if let Some(excerpt) = self.excerpt.take() {
            let text = excerpt.text(part.size);
            if !text.is_empty() {
                self.settled = excerpt.is_plain();
                self.preview = Some(text);
            }
        }
        self.structure.close(part);
    }

    fn full(&self) -> bool {
        self.structure.full()
    }
}

/// Whether a reader would call this part an attachment.
fn is_attachment(
    part: &Opening<'_>,
    disposition: Option<&(&[u8], Vec<content::Parameter<'_>>)>,
) -> bool {
    let content = &part.content;
    let signature = content.subtype.to_ascii_lowercase().ends_with(b"signature");
    if part.kind == Kind::Multipart || signature {
        return false;
    }
    if let Some((word, parameters)) = disposition {
        if word.eq_ignore_ascii_case(b"attachment") {
            return true;
        }
        let named = parameters.iter().any(|p| starts_with(&p.name, b"filename"));
        let shown = content.is_kind("text") || content.is_kind("image") || part.head.id.is_some();
        return named && !shown;
    }
    if part.depth == 0 {
        return !content.is_kind("text") && part.kind == Kind::Leaf;
    }
    if part.kind == Kind::Message {
        return true;
    }
    let named = content.parameters.iter().any(|p| starts_with(&p.name, b"name"));
    named && part.head.id.is_none() && find(&content.parameters, "charset").is_none()
}

fn starts_with(text: &[u8], start: &[u8]) -> bool {
    text.get(..start.len()).is_some_and(|head| head.eq_ignore_ascii_case(start))
}

impl Maker {
    fn take_header(&mut self, part: &Opening<'_>) {
        let head: &Head<'_> = part.head;
        let summary = &mut self.summary;
        summary.complete = true;
        summary.header_size = u32::try_from(part.body_start).unwrap_or(u32::MAX);
        summary.envelope = Vec::with_capacity(512);
        envelope::write(&mut summary.envelope, head);
        let subject = head.subject.map(encoded_word::decode_text).unwrap_or_default();
        summary.subject = bounded(subject, &mut summary.complete);
        summary.from = addresses(&head.from, &mut summary.complete);
        summary.to = addresses(&head.to, &mut summary.complete);
        summary.cc = addresses(&head.cc, &mut summary.complete);
        let first = |value: Option<&[u8]>| value.and_then(|v| identifier::list(v, 1).pop());
        summary.message_id = first(head.message_id).unwrap_or_default();
        summary.in_reply_to = first(head.in_reply_to).unwrap_or_default();
        summary.references =
            head.references.map(|v| identifier::list(v, REFERENCES_MAX)).unwrap_or_default();
        if let Some(moment) = head.date.and_then(date::parse) {
            summary.sent_date = Some(moment.seconds);
            summary.sent_zone = moment.zone;
        }
    }
}

/// Cuts a text that is too long at a character, and says so.
fn bounded(mut text: String, complete: &mut bool) -> String {
    if text.len() > TEXT_MAX {
        let mut end = TEXT_MAX;
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
        *complete = false;
    }
    text
}

/// The addresses as text: `Name <local@domain>, local@domain`.
fn addresses(values: &Values<'_>, complete: &mut bool) -> String {
    let mut out = String::new();
    let mut left = ADDRESSES_MAX;
    let mut cut = false;
    for value in values.iter() {
        address::parse(value, &mut left, |item| {
            if out.len() > TEXT_MAX {
                cut = true;
                return;
            }
            let (name, local, domain) = match item {
                Item::Mailbox { name, local, domain, .. } => (name, local, domain),
                Item::GroupStart(name) => (name, &[][..], &[][..]),
                Item::GroupEnd => return,
            };
            if !out.is_empty() {
                out.push_str(", ");
            }
            if !name.is_empty() {
                out.push_str(&encoded_word::decode_text(name));
            }
            if local.is_empty() && domain.is_empty() {
                return;
            }
            out.push_str(if name.is_empty() { "" } else { " <" });
            out.push_str(&String::from_utf8_lossy(local));
            if !domain.is_empty() {
                out.push('@');
                out.push_str(&String::from_utf8_lossy(domain));
            }
            out.push_str(if name.is_empty() { "" } else { ">" });
        });
    }
    if cut || left == 0 {
        *complete = false;
    }
    bounded(out, complete)
}
