//! The tag of a command, and text that must never be shown.

use smallvec::SmallVec;
use std::fmt;

/// The tag a client gave its command: 1 to [`Tag::MAX`] ASTRING characters without `+`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Tag(SmallVec<[u8; 20]>);

impl Tag {
    /// Longest tag taken, in bytes.
    pub const MAX: usize = 128;

    /// A tag, if these bytes are one (RFC 9051 section 9, `tag`).
    #[must_use]
    pub fn new(bytes: &[u8]) -> Option<Self> {
        let fits = !bytes.is_empty() && bytes.len() <= Self::MAX;
        let legal = bytes.iter().all(|&b| crate::decode::is_astring_char(b) && b != b'+');
        (fits && legal).then(|| Self(SmallVec::from_slice(bytes)))
    }

    /// The tag as it goes back on the wire.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The tag as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.as_str())
    }
}

/// A password or an answer in a SASL exchange: shown to nobody, in no log (ABU-68).
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Secret(Vec<u8>);

impl Secret {
    /// Hides these bytes.
    #[must_use]
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// The bytes themselves.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(***)")
    }
}
