//! GETMETADATA and SETMETADATA (RFC 5464): what is asked about annotations.

/// GETMETADATA (RFC 5464 section 4.2). Entry names are in lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GetMetadata {
    /// Which mailbox, UTF-8; empty for the server.
    pub mailbox: String,
    /// MAXSIZE: larger values are left out and told as LONGENTRIES, octets.
    pub max_size: Option<u64>,
    /// DEPTH.
    pub depth: MetadataDepth,
    /// 1 to [`GetMetadata::MAX_ENTRIES`] entries.
    pub entries: Vec<String>,
}

impl GetMetadata {
    /// Most entries taken in one command, SETMETADATA's too.
    pub const MAX_ENTRIES: usize = 256;
    /// Longest entry name, in bytes.
    pub const MAX_NAME: usize = 512;
}

/// How far below the entries asked for GETMETADATA looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum MetadataDepth {
    /// `0`: these entries.
    #[default]
    Entry,
    /// `1`: and those right below them.
    Children,
    /// `infinity`: and all below them.
    All,
}

impl MetadataDepth {
    /// True when `name` is asked for by asking for `entry`.
    #[must_use]
    pub fn reaches(self, entry: &str, name: &str) -> bool {
        let Some(rest) = name.strip_prefix(entry) else { return false };
        let Some(below) = rest.strip_prefix('/') else { return rest.is_empty() };
        match self {
            Self::Entry => false,
            Self::Children => !below.contains('/'),
            Self::All => true,
        }
    }
}

/// SETMETADATA (RFC 5464 section 4.3). Entry names are in lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetMetadata {
    /// Which mailbox, UTF-8; empty for the server.
    pub mailbox: String,
    /// Entries with their new values, any octets; `None` (NIL) removes.
    pub entries: Vec<(String, Option<Vec<u8>>)>,
}
