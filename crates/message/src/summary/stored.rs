//! The stored form of a summary: versioned, compact, readable in place. FETCH copies the
//! envelope and the body structure straight out of it.
//!
//! Form of version 1: version byte, flag byte, `header_size`, then (if flagged) date and zone,
//! then the lengths of ten fields, then the bytes of the fields. Numbers are little-endian
//! base-128 (seven bits a byte, high bit means more), signed ones zigzag.
//!
//! It must never know how a summary is made.

use super::Summary;

const VERSION: u8 = 1;
const FLAG_DATE: u8 = 1;
const FLAG_ATTACHMENTS: u8 = 2;
const FLAG_COMPLETE: u8 = 4;
const FIELDS: usize = 10;

/// Why a stored summary cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SummaryError {
    /// Written by a newer release, or not a summary at all.
    #[error("unknown summary version {0}")]
    Version(u8),
    /// Cut short or damaged.
    #[error("damaged summary")]
    Damaged,
}

pub(super) fn encode(summary: &Summary) -> Vec<u8> {
    let references = summary.references.join(" ");
    let fields: [&[u8]; FIELDS] = [
        &summary.envelope,
        &summary.bodystructure,
        summary.preview.as_bytes(),
        summary.subject.as_bytes(),
        summary.from.as_bytes(),
        summary.to.as_bytes(),
        summary.cc.as_bytes(),
        summary.message_id.as_bytes(),
        summary.in_reply_to.as_bytes(),
        references.as_bytes(),
    ];
    let total: usize = fields.iter().map(|f| f.len()).sum();
    let mut out = Vec::with_capacity(total + 48);
    out.push(VERSION);
    let mut flags = 0;
    if summary.sent_date.is_some() {
        flags |= FLAG_DATE;
    }
    if summary.has_attachments {
        flags |= FLAG_ATTACHMENTS;
    }
    if summary.complete {
        flags |= FLAG_COMPLETE;
    }
    out.push(flags);
    put(&mut out, u64::from(summary.header_size));
    if let Some(date) = summary.sent_date {
        put(&mut out, zigzag(date));
        put(&mut out, zigzag(i64::from(summary.sent_zone)));
    }
    for field in fields {
        put(&mut out, field.len() as u64);
    }
    for field in fields {
        out.extend_from_slice(field);
    }
    out
}

fn put(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push((number as u8 & 0x7f) | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn take(bytes: &[u8], at: &mut usize) -> Result<u64, SummaryError> {
    let mut number = 0u64;
    for shift in (0..64).step_by(7) {
        let byte = *bytes.get(*at).ok_or(SummaryError::Damaged)?;
        *at += 1;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(number);
        }
    }
    Err(SummaryError::Damaged)
}

fn zigzag(number: i64) -> u64 {
    ((number << 1) ^ (number >> 63)) as u64
}

fn unzigzag(number: u64) -> i64 {
    ((number >> 1) as i64) ^ -((number & 1) as i64)
}

/// A stored summary read in place: nothing is copied or parsed beyond the table of lengths.
/// A text that is not UTF-8 (damage that a checksum did not see) reads as empty here and fails
/// in [`Summary::decode`].
#[derive(Debug, Clone, Copy)]
pub struct SummaryView<'a> {
    header_size: u32,
    flags: u8,
    sent_date: Option<i64>,
    sent_zone: i16,
    fields: [&'a [u8]; FIELDS],
}

impl<'a> SummaryView<'a> {
    /// Looks at stored bytes; fails if they are damaged or of an unknown version.
    pub fn new(bytes: &'a [u8]) -> Result<SummaryView<'a>, SummaryError> {
        let version = *bytes.first().ok_or(SummaryError::Damaged)?;
        if version != VERSION {
            return Err(SummaryError::Version(version));
        }
        let flags = *bytes.get(1).ok_or(SummaryError::Damaged)?;
        let mut at = 2;
        let header_size =
            u32::try_from(take(bytes, &mut at)?).map_err(|_| SummaryError::Damaged)?;
        let (mut sent_date, mut sent_zone) = (None, 0);
        if flags & FLAG_DATE != 0 {
            sent_date = Some(unzigzag(take(bytes, &mut at)?));
            sent_zone = i16::try_from(unzigzag(take(bytes, &mut at)?))
                .map_err(|_| SummaryError::Damaged)?;
        }
        let mut lengths = [0usize; FIELDS];
        for length in &mut lengths {
            *length = usize::try_from(take(bytes, &mut at)?).map_err(|_| SummaryError::Damaged)?;
        }
        let mut fields: [&[u8]; FIELDS] = [&[]; FIELDS];
        let mut rest = bytes.get(at..).ok_or(SummaryError::Damaged)?;
        for (field, length) in fields.iter_mut().zip(lengths) {
            let (head, tail) = rest.split_at_checked(length).ok_or(SummaryError::Damaged)?;
            *field = head;
            rest = tail;
        }
        Ok(SummaryView { header_size, flags, sent_date, sent_zone, fields })
    }

    fn text(&self, index: usize) -> &'a str {
        self.fields.get(index).and_then(|f| std::str::from_utf8(f).ok()).unwrap_or("")
    }

    /// Octets of the header with the empty line that ends it.
    pub fn header_size(&self) -> u32 {
        self.header_size
    }

    /// The ENVELOPE list in wire form.
    pub fn envelope(&self) -> &'a [u8] {
        self.fields[0]
    }

    /// The BODYSTRUCTURE in wire form, with extension data.
    pub fn bodystructure(&self) -> &'a [u8] {
        self.fields[1]
    }

    /// The preview text.
    pub fn preview(&self) -> &'a str {
        self.text(2)
    }

    /// The decoded subject.
    pub fn subject(&self) -> &'a str {
        self.text(3)
    }

    /// The decoded `From` addresses.
    pub fn from(&self) -> &'a str {
        self.text(4)
    }

    /// The decoded `To` addresses.
    pub fn to(&self) -> &'a str {
        self.text(5)
    }

    /// The decoded `Cc` addresses.
    pub fn cc(&self) -> &'a str {
        self.text(6)
    }

    /// The message identifier without angle brackets, or nothing.
    pub fn message_id(&self) -> &'a str {
        self.text(7)
    }

    /// The first identifier of `In-Reply-To`, without angle brackets, or nothing.
    pub fn in_reply_to(&self) -> &'a str {
        self.text(8)
    }

    /// The identifiers of `References`.
    pub fn references(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        self.text(9).split(' ').filter(|id| !id.is_empty())
    }

    /// The `Date` field in seconds since 1970, if it can be read.
    pub fn sent_date(&self) -> Option<i64> {
        self.sent_date
    }

    /// Minutes east of UTC written in `Date`.
    pub fn sent_zone(&self) -> i16 {
        self.sent_zone
    }

    /// Whether a part looks like an attachment.
    pub fn has_attachments(&self) -> bool {
        self.flags & FLAG_ATTACHMENTS != 0
    }

    /// Whether the texts are whole (see [`Summary::complete`]).
    pub fn complete(&self) -> bool {
        self.flags & FLAG_COMPLETE != 0
    }

    /// A copy that owns its fields; fails if a text is damaged.
    pub fn to_summary(&self) -> Result<Summary, SummaryError> {
        if self.fields.iter().skip(2).any(|text| std::str::from_utf8(text).is_err()) {
            return Err(SummaryError::Damaged);
        }
        Ok(Summary {
            header_size: self.header_size,
            envelope: self.envelope().to_vec(),
            bodystructure: self.bodystructure().to_vec(),
            subject: self.subject().to_owned(),
            from: self.from().to_owned(),
            to: self.to().to_owned(),
            cc: self.cc().to_owned(),
            message_id: self.message_id().to_owned(),
            in_reply_to: self.in_reply_to().to_owned(),
            references: self.references().map(str::to_owned).collect(),
            sent_date: self.sent_date,
            sent_zone: self.sent_zone,
            preview: self.preview().to_owned(),
            has_attachments: self.has_attachments(),
            complete: self.complete(),
        })
    }
}
