//! Message flags as they travel: system flags and keywords.

/// A system flag of RFC 9051 section 2.3.2; `\Recent` belongs to IMAP4rev1 only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SystemFlag {
    /// `\Seen`
    Seen,
    /// `\Answered`
    Answered,
    /// `\Flagged`
    Flagged,
    /// `\Deleted`
    Deleted,
    /// `\Draft`
    Draft,
    /// `\Recent`; never settable by a client
    Recent,
}

impl SystemFlag {
    /// Every system flag.
    pub const ALL: [Self; 6] =
        [Self::Seen, Self::Answered, Self::Flagged, Self::Deleted, Self::Draft, Self::Recent];

    /// The name on the wire, with its backslash.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Seen => "\\Seen",
            Self::Answered => "\\Answered",
            Self::Flagged => "\\Flagged",
            Self::Deleted => "\\Deleted",
            Self::Draft => "\\Draft",
            Self::Recent => "\\Recent",
        }
    }
}

/// One flag of a command or an answer.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Flag {
    /// One of the six.
    System(SystemFlag),
    /// A keyword such as `$Forwarded` or `work`, as written; an atom of 1 to
    /// [`Flag::MAX_KEYWORD`] bytes, compared without regard to ASCII case.
    Keyword(Box<str>),
    /// Another flag with a backslash, without it (`flag-extension`); no server of today stores
    /// these.
    Extension(Box<str>),
}

impl Flag {
    /// Longest keyword taken, in bytes.
    pub const MAX_KEYWORD: usize = 128;
    /// Most flags taken in one list.
    pub const MAX_LIST: usize = 256;

    /// The flag these characters name (with a backslash for system flags).
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let legal = |atom: &str| {
            !atom.is_empty()
                && atom.len() <= Self::MAX_KEYWORD
                && atom.bytes().all(crate::decode::is_flag_char)
        };
        let Some(name) = text.strip_prefix('\\') else {
            return legal(text).then(|| Self::Keyword(text.into()));
        };
        let system = SystemFlag::ALL.into_iter().find(|f| f.name().eq_ignore_ascii_case(text));
        match system {
            Some(flag) => Some(Self::System(flag)),
            None => legal(name).then(|| Self::Extension(name.into())),
        }
    }
}
