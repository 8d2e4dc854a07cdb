//! A header block as fields: iterate, find, unfold, decode.
//!
//! It must never know what a field means.

use std::borrow::Cow;

use memchr::memchr;

use crate::encoded_word;

/// One piece of a header block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field<'a> {
    /// The name as written, without the colon; empty for a line that is no field.
    pub name: &'a [u8],
    /// What stands behind the colon, folds included, without the last line end.
    pub value: &'a [u8],
    /// All of it, name, folds and last line end.
    pub raw: &'a [u8],
}

impl<'a> Field<'a> {
    /// Whether this is the field of that name (ASCII case does not count).
    pub fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name.as_bytes())
    }

    /// The value without folds, trimmed.
    pub fn unfolded(&self) -> Cow<'a, [u8]> {
        unfold(self.value)
    }

    /// The value as readable text: unfolded, encoded words decoded (RFC 2047).
    pub fn text(&self) -> String {
        encoded_word::decode_text(self.value)
    }
}

/// The pieces of a header block in their order, up to the empty line or the end. Lines that are
/// no field come with an empty name, so that the pieces put together are the block.
pub fn pieces(block: &[u8]) -> Pieces<'_> {
    Pieces { rest: block }
}

/// The fields of a header block, broken lines left out.
pub fn fields(block: &[u8]) -> impl Iterator<Item = Field<'_>> {
    pieces(block).filter(|field| !field.name.is_empty())
}

/// The first field of that name.
pub fn find<'a>(block: &'a [u8], name: &str) -> Option<Field<'a>> {
    fields(block).find(|field| field.is(name))
}

/// Octets of the header with the empty line that ends it; all of it if there is none.
pub fn header_length(message: &[u8]) -> usize {
    let mut at = 0;
    while let Some(rest) = message.get(at..) {
        if rest.starts_with(b"\n") {
            return at + 1;
        }
        if rest.starts_with(b"\r\n") {
            return at + 2;
        }
        match memchr(b'\n', rest) {
            Some(end) => at += end + 1,
            None => break,
        }
    }
    message.len()
}

/// Keeps (or, with `keep` false, leaves out) the fields of these names, and ends with an empty
/// line: HEADER.FIELDS and HEADER.FIELDS.NOT of RFC 9051 6.4.5.
pub fn filter(block: &[u8], names: &[&str], keep: bool) -> Vec<u8> {
    let mut out = Vec::with_capacity(block.len() + 2);
    for piece in pieces(block) {
        let named = names.iter().any(|name| !name.is_empty() && piece.is(name));
        if named == keep {
            out.extend_from_slice(piece.raw);
            if !piece.raw.ends_with(b"\n") {
                out.extend_from_slice(b"\r\n");
            }
        }
    }
    out.extend_from_slice(b"\r\n");
    out
}

/// A value on one line: folds removed (RFC 5322 2.2.3), surrounding white space too.
pub fn unfold(value: &[u8]) -> Cow<'_, [u8]> {
    let value = value.trim_ascii();
    if memchr::memchr2(b'\r', b'\n', value).is_none() {
        return Cow::Borrowed(value);
    }
    Cow::Owned(value.iter().copied().filter(|b| !matches!(b, b'\r' | b'\n')).collect())
}

/// Iterator over the pieces of a header block.
#[derive(Debug, Clone)]
pub struct Pieces<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Pieces<'a> {
    type Item = Field<'a>;

    fn next(&mut self) -> Option<Field<'a>> {
        let rest = self.rest;
        if rest.is_empty() || rest.starts_with(b"\n") || rest.starts_with(b"\r\n") {
            self.rest = &[];
            return None;
        }
        let mut end = 0;
        loop {
            let tail = rest.get(end..).unwrap_or_default();
            match memchr(b'\n', tail) {
                Some(length) => end += length + 1,
                None => {
                    end = rest.len();
                    break;
                }
            }
            if !matches!(rest.get(end), Some(b' ' | b'\t')) {
                break;
            }
        }
        let (raw, tail) = rest.split_at_checked(end)?;
        self.rest = tail;
        Some(split_field(raw))
    }
}

fn split_field(raw: &[u8]) -> Field<'_> {
    let text = raw.strip_suffix(b"\n").unwrap_or(raw);
    let text = text.strip_suffix(b"\r").unwrap_or(text);
    let nothing = Field { name: &[], value: text, raw };
    let Some((name, value)) = memchr(b':', text).and_then(|at| text.split_at_checked(at)) else {
        return nothing;
    };
    // White space before the colon is an old form (RFC 5322 4.5).
    let name = name.trim_ascii_end();
    if name.is_empty() || !name.iter().all(|b| matches!(b, 33..=126)) {
        return nothing;
    }
    Field { name, value: value.get(1..).unwrap_or_default(), raw }
}

/// The fields the house looks at, gathered in one pass; values are raw. The first field of a
/// name counts, address fields are added up.
#[derive(Debug, Default)]
pub(crate) struct Head<'a> {
    pub(crate) content_type: Option<&'a [u8]>,
    pub(crate) encoding: Option<&'a [u8]>,
    pub(crate) id: Option<&'a [u8]>,
    pub(crate) description: Option<&'a [u8]>,
    pub(crate) md5: Option<&'a [u8]>,
    pub(crate) disposition: Option<&'a [u8]>,
    pub(crate) language: Option<&'a [u8]>,
    pub(crate) location: Option<&'a [u8]>,
    pub(crate) date: Option<&'a [u8]>,
    pub(crate) subject: Option<&'a [u8]>,
    pub(crate) message_id: Option<&'a [u8]>,
    pub(crate) in_reply_to: Option<&'a [u8]>,
    pub(crate) references: Option<&'a [u8]>,
    pub(crate) from: Values<'a>,
    pub(crate) sender: Values<'a>,
    pub(crate) reply_to: Values<'a>,
    pub(crate) to: Values<'a>,
    pub(crate) cc: Values<'a>,
    pub(crate) bcc: Values<'a>,
}

/// Fields of one name considered at most.
const SAME_NAME_MAX: usize = 64;

/// The values of all fields of one name.
#[derive(Debug, Default)]
pub(crate) struct Values<'a> {
    first: Option<&'a [u8]>,
    more: Vec<&'a [u8]>,
}

impl<'a> Values<'a> {
    fn add(&mut self, value: &'a [u8]) {
        if self.first.is_none() {
            self.first = Some(value);
        } else if self.more.len() < SAME_NAME_MAX {
            self.more.push(value);
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &'a [u8]> + '_ {
        self.first.iter().chain(&self.more).copied()
    }
}

impl<'a> Head<'a> {
    pub(crate) fn of(block: &'a [u8]) -> Head<'a> {
        let mut head = Head::default();
        for field in pieces(block) {
            head.take(&field);
        }
        head
    }

    fn take(&mut self, field: &Field<'a>) {
        let is = |name: &[u8]| field.name.eq_ignore_ascii_case(name);
        // The length decides first: most fields of a header are of no interest here.
        let slot = match field.name.len() {
            2 if is(b"to") => return self.to.add(field.value),
            2 if is(b"cc") => return self.cc.add(field.value),
            3 if is(b"bcc") => return self.bcc.add(field.value),
            4 if is(b"from") => return self.from.add(field.value),
            6 if is(b"sender") => return self.sender.add(field.value),
            8 if is(b"reply-to") => return self.reply_to.add(field.value),
            4 if is(b"date") => &mut self.date,
            7 if is(b"subject") => &mut self.subject,
            10 if is(b"message-id") => &mut self.message_id,
            10 if is(b"references") => &mut self.references,
            10 if is(b"content-id") => &mut self.id,
            11 if is(b"in-reply-to") => &mut self.in_reply_to,
            11 if is(b"content-md5") => &mut self.md5,
            12 if is(b"content-type") => &mut self.content_type,
            16 if is(b"content-language") => &mut self.language,
            16 if is(b"content-location") => &mut self.location,
            19 if is(b"content-description") => &mut self.description,
            19 if is(b"content-disposition") => &mut self.disposition,
            25 if is(b"content-transfer-encoding") => &mut self.encoding,
            _ => return,
        };
        if slot.is_none() {
            *slot = Some(field.value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folded_fields_are_one_field() {
        let block = b"Subject: a\r\n b\r\nX-Y : c\r\njunk line\r\nTo:d\r\n\r\nBody: no";
        let names: Vec<_> = fields(block).map(|f| f.name.to_vec()).collect();
        assert_eq!(names, [b"Subject".to_vec(), b"X-Y".to_vec(), b"To".to_vec()]);
        assert_eq!(&*find(block, "subject").unwrap().unfolded(), b"a b");
        assert_eq!(header_length(block), block.len() - 8);
    }

    #[test]
    fn pieces_put_together_are_the_block() {
        let block = b" first\nFrom x: y\nA: b\n\tc\nd\r\n";
        let whole: Vec<u8> = pieces(block).flat_map(|p| p.raw.to_vec()).collect();
        assert_eq!(whole, block);
    }

    #[test]
    fn header_fields_can_be_kept_or_left_out() {
        let block = b"A: 1\r\nB: 2\r\n 3\r\nC: 4\r\n\r\n";
        assert_eq!(filter(block, &["b", "c"], true), b"B: 2\r\n 3\r\nC: 4\r\n\r\n");
        assert_eq!(filter(block, &["b"], false), b"A: 1\r\nC: 4\r\n\r\n");
        assert_eq!(filter(block, &["x"], true), b"\r\n");
    }
}
