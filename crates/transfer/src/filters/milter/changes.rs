//! What a filter wants changed in a message and its envelope, and how the message looks then.
//!
//! Pure. What a filter says is not trusted to be well formed: a field's name must be one, a value
//! never begins a new field or ends the header.

/// Most changes of one filter to one message.
pub const MAX_CHANGES: usize = 10_000;
/// Longest value of a field, in octets.
const MAX_VALUE: usize = 64 * 1024;

/// A change to the header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HeaderChange {
    /// A new field at the end.
    Add {
        /// Its name.
        name: Vec<u8>,
        /// Its value.
        value: Vec<u8>,
    },
    /// A new field at this place; 0 and 1 are the top.
    Insert {
        /// The place.
        at: u32,
        /// Its name.
        name: Vec<u8>,
        /// Its value.
        value: Vec<u8>,
    },
    /// Another value of the n-th field of this name, counted from 1; an empty one removes it.
    Change {
        /// Which.
        nth: u32,
        /// Its name.
        name: Vec<u8>,
        /// Its new value.
        value: Vec<u8>,
    },
}

/// All that a filter wants changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// In their order.
    pub header: Vec<HeaderChange>,
    /// Another body.
    pub body: Option<Vec<u8>>,
    /// Another return path, without brackets.
    pub from: Option<String>,
    /// More recipients, without brackets.
    pub more: Vec<String>,
    /// Recipients that are to go, without brackets.
    pub less: Vec<String>,
    /// To be set aside, for this reason.
    pub quarantine: Option<String>,
}

/// A field with its line end, as it stands in the message.
struct Field {
    raw: Vec<u8>,
}

impl Field {
    fn is(&self, name: &[u8]) -> bool {
        let colon = self.raw.iter().position(|b| *b == b':').unwrap_or(0);
        self.raw.get(..colon).unwrap_or_default().trim_ascii_end().eq_ignore_ascii_case(name)
    }
}

/// A message's fields, raw, and its body with the empty line in front.
fn split(message: &[u8]) -> (Vec<Field>, &[u8]) {
    let mut fields: Vec<Field> = Vec::new();
    let mut rest = message;
    while !rest.is_empty() && !rest.starts_with(b"\r\n") {
        let end = rest.iter().position(|b| *b == b'\n').map_or(rest.len(), |at| at + 1);
        let (line, after) = rest.split_at_checked(end).unwrap_or((rest, &[]));
        match fields.last_mut() {
            Some(last) if line.first().is_some_and(|b| matches!(b, b' ' | b'\t')) => {
                last.raw.extend_from_slice(line);
            }
            _ => fields.push(Field { raw: line.to_vec() }),
        }
        rest = after;
    }
    (fields, rest)
}

/// Name and value of a field.
pub type NameAndValue = (Vec<u8>, Vec<u8>);

/// The name and value of each field, the value as it stands behind the colon, its folds with bare
/// line feeds as filters want them; then the body.
#[must_use]
pub fn fields(message: &[u8]) -> (Vec<NameAndValue>, &[u8]) {
    let (fields, rest) = split(message);
    let parts = fields.into_iter().filter_map(|field| {
        let colon = field.raw.iter().position(|b| *b == b':')?;
        let name = field.raw.get(..colon)?.trim_ascii_end().to_vec();
        let value = field.raw.get(colon.checked_add(1)?..)?.trim_ascii_end();
        let value: Vec<u8> =
            value.iter().copied().filter(|b| !matches!(b, b'\r' | b'\0')).collect();
        Some((name, value))
    });
    (parts.collect(), rest.strip_prefix(b"\r\n").unwrap_or(rest))
}

/// A field as it is written; `None` if its name is none.
fn field(name: &[u8], value: &[u8], spaced: bool) -> Option<Vec<u8>> {
    let legal = |b: &u8| (33..=126).contains(b) && *b != b':';
    if name.is_empty() || name.len() > 256 || !name.iter().all(legal) {
        return None;
    }
    let value = value.get(..MAX_VALUE).unwrap_or(value);
    let mut raw = [name, b":"].concat();
    if !spaced && !value.is_empty() {
        raw.push(b' ');
    }
    let mut lines = value.split(|b| *b == b'\n').map(|line| {
        line.iter().copied().filter(|b| !matches!(b, b'\r' | b'\0')).collect::<Vec<u8>>()
    });
    raw.extend(lines.next().unwrap_or_default());
    for line in lines {
        // A line of blanks would end the header for careless readers.
        if line.trim_ascii().is_empty() {
            continue;
        }
        raw.extend_from_slice(b"\r\n");
        if !matches!(line.first(), Some(b' ' | b'\t')) {
            raw.push(b'\t');
        }
        raw.extend(line);
    }
    raw.extend_from_slice(b"\r\n");
    Some(raw)
}

impl Changes {
    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.header.len() + self.more.len() + self.less.len()
    }

    /// The lines that are only put in front of a message, if that is all that changes in it;
    /// `spaced` says that values bring the blank behind the colon.
    #[must_use]
    pub fn only_in_front(&self, spaced: bool) -> Option<String> {
        if self.body.is_some() {
            return None;
        }
        let mut lines = String::new();
        for change in &self.header {
            let HeaderChange::Insert { at: 0 | 1, name, value } = change else { return None };
            if let Some(raw) = field(name, value, spaced) {
                lines.insert_str(0, &String::from_utf8(raw).ok()?);
            }
        }
        Some(lines)
    }

    /// The message with the changes made.
    #[must_use]
    pub fn apply(&self, message: &[u8], spaced: bool) -> Vec<u8> {
        let (mut fields, rest) = split(message);
        for change in &self.header {
            match change {
                HeaderChange::Add { name, value } => {
                    fields.extend(field(name, value, spaced).map(|raw| Field { raw }));
                }
                HeaderChange::Insert { at, name, value } => {
                    let at = usize::try_from(*at).unwrap_or(usize::MAX).saturating_sub(1);
                    if let Some(raw) = field(name, value, spaced) {
                        fields.insert(at.min(fields.len()), Field { raw });
                    }
                }
                HeaderChange::Change { nth, name, value } => {
                    let nth = usize::try_from(*nth).unwrap_or(usize::MAX).saturating_sub(1);
                    let mut found = fields.iter().enumerate().filter(|(_, f)| f.is(name));
                    let place = found.nth(nth).map(|(place, _)| place);
                    let new = field(name, value, spaced).filter(|_| !value.is_empty());
                    match (place, new) {
                        (Some(place), Some(raw)) => {
                            if let Some(old) = fields.get_mut(place) {
                                old.raw = raw;
                            }
                        }
                        (Some(place), None) if value.is_empty() => {
                            fields.remove(place);
                        }
                        (None, Some(raw)) => fields.push(Field { raw }),
                        _ => {}
                    }
                }
            }
        }
        let mut whole = Vec::with_capacity(message.len().saturating_add(1024));
        for mut field in fields {
            if !field.raw.ends_with(b"\r\n") {
                field.raw.extend_from_slice(b"\r\n");
            }
            whole.append(&mut field.raw);
        }
        match &self.body {
            Some(body) => {
                whole.extend_from_slice(b"\r\n");
                whole.extend_from_slice(&with_line_ends(body));
            }
            None => whole.extend_from_slice(rest),
        }
        whole
    }
}

/// A body with CRLF line ends, the last line ended.
fn with_line_ends(body: &[u8]) -> Vec<u8> {
    let mut text = Vec::with_capacity(body.len().saturating_add(64));
    let lines = body.split_inclusive(|b| *b == b'\n');
    for line in lines {
        let bare = line.strip_suffix(b"\n").unwrap_or(line);
        let bare = bare.strip_suffix(b"\r").unwrap_or(bare);
        text.extend(bare.iter().map(|b| if *b == b'\r' { b' ' } else { *b }));
        text.extend_from_slice(b"\r\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MESSAGE: &[u8] =
        b"Received: one\r\n\tfolded\r\nSubject: x\r\nReceived: two\r\n\r\nbody\r\n";

    fn text(bytes: &[u8]) -> String {
        String::from_utf8(bytes.to_vec()).unwrap()
    }

    #[test]
    fn fields_are_added_inserted_changed_and_removed() {
        let changes = Changes {
            header: vec![
                HeaderChange::Add { name: b"X-End".to_vec(), value: b"1".to_vec() },
                HeaderChange::Insert { at: 0, name: b"X-Top".to_vec(), value: b"a\n b".to_vec() },
                HeaderChange::Insert { at: 3, name: b"X-Mid".to_vec(), value: b"m".to_vec() },
                HeaderChange::Change { nth: 1, name: b"SUBJECT".to_vec(), value: b"***".to_vec() },
                HeaderChange::Change { nth: 2, name: b"received".to_vec(), value: Vec::new() },
                HeaderChange::Change { nth: 1, name: b"X-New".to_vec(), value: b"n".to_vec() },
                HeaderChange::Change { nth: 9, name: b"X-No".to_vec(), value: Vec::new() },
            ],
            ..Changes::default()
        };
        assert_eq!(
            text(&changes.apply(MESSAGE, false)),
            "X-Top: a\r\n b\r\nReceived: one\r\n\tfolded\r\nX-Mid: m\r\nSUBJECT: ***\r\n\
             X-End: 1\r\nX-New: n\r\n\r\nbody\r\n"
        );
        assert_eq!(changes.only_in_front(false), None);
        let (fields, body) = fields(MESSAGE);
        assert_eq!(fields[0], (b"Received".to_vec(), b" one\n\tfolded".to_vec()));
        assert_eq!((fields.len(), body), (3, &b"body\r\n"[..]));
    }

    #[test]
    fn a_filter_cannot_forge_fields_or_end_the_header() {
        let insert = |name: &str, value: &str| HeaderChange::Insert {
            at: 1,
            name: name.into(),
            value: value.into(),
        };
        let changes = Changes {
            header: vec![
                insert("X", "a\r\nEvil: 1\n\n\r\nbody"),
                insert("Bad name", "1"),
                insert("Bad\r\nEvil", "1"),
                insert("", "1"),
            ],
            ..Changes::default()
        };
        assert_eq!(changes.only_in_front(false).unwrap(), "X: a\r\n\tEvil: 1\r\n\tbody\r\n");
        let changes = Changes { body: Some(b"new\nbody".to_vec()), ..Changes::default() };
        assert_eq!(
            text(&changes.apply(MESSAGE, false)).rsplit_once("\r\n\r\n").unwrap().1,
            "new\r\nbody\r\n"
        );
    }

    proptest! {
        #[test]
        fn without_changes_a_message_stays_as_it_is(lines in "([ -~]{0,12}\r\n){0,8}") {
            prop_assert_eq!(Changes::default().apply(lines.as_bytes(), true), lines.as_bytes());
        }

        #[test]
        fn no_bytes_break_it(message in proptest::collection::vec(any::<u8>(), 0..200), name in proptest::collection::vec(any::<u8>(), 0..9)) {
            let header = vec![
                HeaderChange::Change { nth: 1, name: name.clone(), value: message.clone() },
                HeaderChange::Insert { at: 2, name, value: message.clone() },
            ];
            let changes = Changes { header, body: Some(message.clone()), ..Changes::default() };
            let _ = (changes.apply(&message, false), fields(&message));
        }
    }
}
