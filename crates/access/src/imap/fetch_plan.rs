//! What a FETCH needs to read and how one message's answer is put together from it. Knows no
//! storage and no connection: bytes in, bytes out.

use std::borrow::Cow;

use angarium_accounts::mailboxes::Row;
use angarium_imap::encode::FetchWriter;
use angarium_imap::types::{DateTime, Fetch, FetchItem, OctetRange, Section, SectionText};
use angarium_message::decode::TransferEncoding;
use angarium_message::header;
use angarium_message::section::What;
use angarium_message::structure::Part;
use angarium_message::summary::SummaryView;

use super::capability::Enabled;
use super::flags;
use super::search_keys::thread_of;

/// What must be read of each message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Needs {
    /// The stored summary.
    pub(super) summary: bool,
    /// The header.
    pub(super) head: bool,
    /// All bytes.
    pub(super) body: bool,
    /// All bytes, taken apart.
    pub(super) parts: bool,
}

/// One FETCH, looked at once.
pub(super) struct Plan {
    pub(super) items: Vec<FetchItem>,
    pub(super) needs: Needs,
    pub(super) sets_seen: bool,
    flags_asked: bool,
    /// Answers name messages by UID alone (RFC 9586).
    pub(super) uid_only: bool,
}

/// What an item needs.
fn needs(item: &FetchItem) -> Needs {
    let none = Needs::default();
    match item {
        FetchItem::Envelope
        | FetchItem::Body
        | FetchItem::BodyStructure
        | FetchItem::ThreadId
        | FetchItem::Preview { .. } => Needs { summary: true, ..none },
        FetchItem::Rfc822Header => Needs { summary: true, head: true, ..none },
        FetchItem::Rfc822 | FetchItem::Rfc822Text => Needs { body: true, ..none },
        FetchItem::Section { section, .. } if section.part.is_empty() => match &section.text {
            None | Some(SectionText::Text) => Needs { body: true, ..none },
            Some(SectionText::Mime) => none,
            Some(_) => Needs { summary: true, head: true, ..none },
        },
        FetchItem::Section { .. } => Needs { body: true, parts: true, ..none },
        FetchItem::Binary { part, .. } | FetchItem::BinarySize { part } if part.is_empty() => {
            Needs { body: true, ..none }
        }
        FetchItem::Binary { .. } | FetchItem::BinarySize { .. } => {
            Needs { body: true, parts: true, ..none }
        }
        _ => none,
    }
}

impl Plan {
    pub(super) fn of(fetch: &Fetch, enabled: Enabled) -> Self {
        let mut items: Vec<FetchItem> = fetch.items.iter().cloned().collect();
        if fetch.uid && !enabled.uid_only && !items.contains(&FetchItem::Uid) {
            items.insert(0, FetchItem::Uid);
        }
        if enabled.condstore && fetch.changed_since.is_some() && !items.contains(&FetchItem::ModSeq)
        {
            items.push(FetchItem::ModSeq);
        }
        let mut all = Needs::default();
        for item in &items {
            let one = needs(item);
            all.summary |= one.summary;
            all.head |= one.head;
            all.body |= one.body;
            all.parts |= one.parts;
        }
        // Where the whole message is read anyway, its header is too.
        if all.body {
            all.head = false;
            let wants = |i: &FetchItem| {
                let one = needs(i);
                one.summary && !one.head
            };
            all.summary = items.iter().any(wants);
        }
        Self {
            needs: all,
            sets_seen: items.iter().any(FetchItem::sets_seen),
            flags_asked: items.contains(&FetchItem::Flags),
            uid_only: enabled.uid_only,
            items,
        }
    }

    /// Begins the answer for a message.
    pub(super) fn answer<'a>(
        &self,
        out: &'a mut Vec<u8>,
        message: &Message<'_>,
    ) -> FetchWriter<'a> {
        match self.uid_only {
            true => FetchWriter::uid_only(out, message.row.uid().0),
            false => FetchWriter::new(out, message.sequence),
        }
    }

    /// True when large messages can be sent piece by piece.
    pub(super) fn can_stream(&self) -> bool {
        self.needs.body && !self.needs.parts
    }
}

/// One message of a FETCH with what was read of it.
#[derive(Clone, Copy)]
pub(super) struct Message<'a> {
    pub(super) sequence: u32,
    pub(super) row: Row<'a>,
    pub(super) recent: bool,
    /// Its flags were changed by this very command and must be told.
    pub(super) tell_flags: bool,
}

/// What was read of a message.
#[derive(Clone, Copy, Default)]
pub(super) struct Read<'a> {
    pub(super) summary: Option<SummaryView<'a>>,
    /// The header alone, when that is all that was needed.
    pub(super) head: Option<&'a [u8]>,
    pub(super) body: Option<&'a [u8]>,
    pub(super) part: Option<&'a Part>,
}

/// The octets of a range.
pub(super) fn cut(bytes: &[u8], range: Option<OctetRange>) -> &[u8] {
    let Some(range) = range else { return bytes };
    let from = usize::try_from(range.offset).unwrap_or(usize::MAX).min(bytes.len());
    let count = usize::try_from(range.count).unwrap_or(usize::MAX);
    let to = from.saturating_add(count).min(bytes.len());
    bytes.get(from..to).unwrap_or_default()
}

fn what<'n>(text: Option<&SectionText>, names: &'n [&'n str]) -> What<'n> {
    match text {
        None => What::Whole,
        Some(SectionText::Header) => What::Header,
        Some(SectionText::Text) => What::Text,
        Some(SectionText::Mime) => What::Mime,
        Some(SectionText::HeaderFields(_)) => What::HeaderFields(names),
        Some(SectionText::HeaderFieldsNot(_)) => What::HeaderFieldsNot(names),
    }
}

/// The bytes of a section, `None` if there is no such section.
fn section<'r>(section: &Section, read: &Read<'r>) -> Option<Cow<'r, [u8]>> {
    let empty: &[Box<str>] = &[];
    let names = match &section.text {
        Some(SectionText::HeaderFields(names) | SectionText::HeaderFieldsNot(names)) => {
            names.as_slice()
        }
        _ => empty,
    };
    let names: Vec<&str> = names.iter().map(|n| &**n).collect();
    if !section.part.is_empty() {
        let what = what(section.text.as_ref(), &names);
        return read.part?.section(read.body?, &section.part, &what);
    }
    let header = || match (read.head, read.body) {
        (Some(head), _) => Some(head),
        (None, Some(body)) => body.get(..header::header_length(body)),
        (None, None) => None,
    };
    Some(match &section.text {
        None => Cow::Borrowed(read.body?),
        Some(SectionText::Header) => Cow::Borrowed(header()?),
        Some(SectionText::HeaderFields(_)) => Cow::Owned(header::filter(header()?, &names, true)),
        Some(SectionText::HeaderFieldsNot(_)) => {
            Cow::Owned(header::filter(header()?, &names, false))
        }
        Some(SectionText::Text) => {
            let body = read.body?;
            Cow::Borrowed(body.get(header::header_length(body)..).unwrap_or_default())
        }
        Some(SectionText::Mime) => return None,
    })
}

/// The decoded octets of a part; `Err` when its encoding is not known.
fn binary<'r>(path: &[u32], read: &Read<'r>) -> Result<Option<Cow<'r, [u8]>>, UnknownEncoding> {
    let Some(body) = read.body else { return Ok(None) };
    if path.is_empty() {
        return Ok(Some(Cow::Borrowed(body)));
    }
    let Some(part) = read.part.and_then(|root| root.at(path)) else { return Ok(None) };
    if part.encoding == TransferEncoding::Unknown {
        return Err(UnknownEncoding);
    }
    Ok(Some(part.content_of(body)))
}

/// A part's transfer encoding is not known (RFC 3516 section 4.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct UnknownEncoding;

impl Message<'_> {
    /// Writes one item that needs no octets of the message.
    fn plain_item(&self, answer: &mut FetchWriter<'_>, item: &FetchItem, joined: &[u8]) {
        let row = self.row;
        match item {
            FetchItem::Uid => answer.uid(row.uid().0),
            FetchItem::Flags => answer.flags_joined(joined),
            FetchItem::InternalDate => {
                let date = row.internal_date();
                answer.internal_date(DateTime {
                    seconds: date.seconds,
                    zone_minutes: date.zone_minutes,
                });
            }
            FetchItem::Size => answer.size(row.size()),
            FetchItem::ModSeq => answer.modseq(row.modseq().0),
            FetchItem::EmailId => answer.email_id(&format!("E{}", row.body().0)),
            FetchItem::SaveDate => {
                answer.save_date(Some(DateTime { seconds: row.save_date(), zone_minutes: 0 }));
            }
            _ => {}
        }
    }

    /// Writes one item; answers false when a part's encoding is not known.
    pub(super) fn item(
        &self,
        answer: &mut FetchWriter<'_>,
        item: &FetchItem,
        joined: &[u8],
        read: &Read<'_>,
    ) -> bool {
        match item {
            FetchItem::Envelope => {
                if let Some(summary) = read.summary {
                    answer.envelope(summary.envelope());
                }
            }
            FetchItem::BodyStructure => {
                if let Some(summary) = read.summary {
                    answer.body_structure(summary.bodystructure());
                }
            }
            FetchItem::Body => {
                if let Some(summary) = read.summary {
                    answer.body(summary.bodystructure());
                }
            }
            FetchItem::ThreadId => {
                let id = read.summary.map(|s| thread_of(&s, self.row.body()));
                answer.thread_id(id.as_deref());
            }
            FetchItem::Preview { .. } => answer.preview(read.summary.map(|s| s.preview())),
            FetchItem::Rfc822 => answer.octets(item, read.body),
            FetchItem::Rfc822Header => {
                let header = Section { text: Some(SectionText::Header), ..Section::default() };
                answer.octets(item, section(&header, read).as_deref());
            }
            FetchItem::Rfc822Text => {
                let text = Section { text: Some(SectionText::Text), ..Section::default() };
                answer.octets(item, section(&text, read).as_deref());
            }
            FetchItem::Section { section: wanted, partial, .. } => {
                let bytes = section(wanted, read);
                answer.octets(item, bytes.as_deref().map(|b| cut(b, *partial)));
            }
            FetchItem::Binary { part, partial, .. } => match binary(part, read) {
                Ok(bytes) => answer.octets(item, bytes.as_deref().map(|b| cut(b, *partial))),
                Err(UnknownEncoding) => {
                    answer.octets(item, None);
                    return false;
                }
            },
            FetchItem::BinarySize { part } => match binary(part, read) {
                Ok(bytes) => answer.binary_size(part, bytes.map_or(0, |b| b.len() as u64)),
                Err(UnknownEncoding) => return false,
            },
            plain => self.plain_item(answer, plain, joined),
        }
        true
    }

    /// Writes the whole answer for the message; answers false when a part's encoding is not known.
    pub(super) fn write(
        &self,
        out: &mut Vec<u8>,
        plan: &Plan,
        joined: &mut Joined,
        read: &Read<'_>,
    ) -> bool {
        let joined = joined.of(self);
        let mut answer = plan.answer(out, self);
        let mut known = true;
        for item in &plan.items {
            known &= self.item(&mut answer, item, joined, read);
        }
        if self.tell_flags && !plan.flags_asked {
            answer.flags_joined(joined);
        }
        answer.finish();
        known
    }

    /// Must its flags be told although they were not asked for?
    pub(super) fn owes_flags(&self, plan: &Plan) -> bool {
        self.tell_flags && !plan.flags_asked
    }
}

/// The joined names of flags, remembered from message to message: neighbours mostly agree.
#[derive(Default)]
pub(super) struct Joined {
    names: Vec<u8>,
    of: Option<(u32, bool)>,
}

impl Joined {
    pub(super) fn of(&mut self, message: &Message<'_>) -> &[u8] {
        let plain = message.row.keywords().is_empty();
        let key = (message.row.bits().0, message.recent);
        if !(plain && self.of == Some(key)) {
            self.names.clear();
            flags::join_row(&mut self.names, message.row, message.recent);
            self.of = plain.then_some(key);
        }
        &self.names
    }
}
