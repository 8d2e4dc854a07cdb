//! Message flags: a few well-known bits and any number of keywords.

use std::sync::Arc;

/// The well-known flags as bits (`reference/mailboxes.md` section 5). Bit values are stored and
/// must never change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FlagBits(pub u32);

impl FlagBits {
    /// `\Seen`
    pub const SEEN: Self = Self(1);
    /// `\Answered`
    pub const ANSWERED: Self = Self(1 << 1);
    /// `\Flagged`
    pub const FLAGGED: Self = Self(1 << 2);
    /// `\Deleted`
    pub const DELETED: Self = Self(1 << 3);
    /// `\Draft`
    pub const DRAFT: Self = Self(1 << 4);
    /// `$Forwarded` (also spelled `Forwarded`)
    pub const FORWARDED: Self = Self(1 << 5);
    /// `$MDNSent` (also spelled `$MDN`)
    pub const MDN_SENT: Self = Self(1 << 6);
    /// `$Hidden`
    pub const HIDDEN: Self = Self(1 << 7);
    /// `$Service`
    pub const SERVICE: Self = Self(1 << 8);
    /// `$Media`
    pub const MEDIA: Self = Self(1 << 9);
    /// `$Junk`
    pub const JUNK: Self = Self(1 << 10);
    /// `$NotJunk`
    pub const NOT_JUNK: Self = Self(1 << 11);
    /// `$Phishing`
    pub const PHISHING: Self = Self(1 << 12);

    /// Messages with one of these are kept from some or all who look at a mailbox, so that its
    /// counters are not what everybody sees.
    pub const KEPT_BACK: Self = Self(Self::HIDDEN.0 | Self::SERVICE.0);

    /// True when every bit of `other` is set here.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
    /// Both sets together.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
    /// This set without the bits of `other`.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }
}

/// A user keyword as first written: an IMAP atom of 1 to 128 bytes, compared without regard to
/// ASCII case. Well-known keywords are bits, never keywords.
pub type Keyword = Arc<str>;

/// Some of all flags there could be, such as those that somebody may change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlagPart {
    /// These well-known flags.
    pub bits: FlagBits,
    /// All other keywords, or none of them.
    pub keywords: bool,
}

impl FlagPart {
    /// All flags.
    pub const ALL: Self = Self { bits: FlagBits(u32::MAX), keywords: true };
}

/// All flags of one message. Keywords are sorted, without doubles (ASCII case folded), at most
/// [`Flags::MAX_KEYWORDS`]; `None` means no keywords, so that the common case costs no pointer
/// chase.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Flags {
    /// The well-known flags.
    pub bits: FlagBits,
    /// The other keywords, shared between the messages that have the same ones.
    pub keywords: Option<Arc<[Keyword]>>,
}

impl Flags {
    /// Most keywords one message may have.
    pub const MAX_KEYWORDS: usize = 128;

    /// Flags made of bits alone.
    #[must_use]
    pub const fn of(bits: FlagBits) -> Self {
        Self { bits, keywords: None }
    }

    /// Flags with keywords in any order and with doubles; brings them into the stored form.
    #[must_use]
    pub fn with_keywords<I, S>(bits: FlagBits, keywords: I) -> Self
    where
        I: IntoIterator<Item = S>,
        S: Into<Keyword>,
    {
        let mut all: Vec<Keyword> = keywords.into_iter().map(Into::into).collect();
        all.sort_by_key(|k| k.to_ascii_lowercase());
        all.dedup_by(|a, b| a.eq_ignore_ascii_case(b));
        all.truncate(Self::MAX_KEYWORDS);
        Self { bits, keywords: if all.is_empty() { None } else { Some(all.into()) } }
    }

    /// The keywords, possibly none.
    #[must_use]
    pub fn keywords(&self) -> &[Keyword] {
        self.keywords.as_deref().unwrap_or(&[])
    }

    /// True when the message has this keyword.
    #[must_use]
    pub fn has_keyword(&self, keyword: &str) -> bool {
        self.keywords().iter().any(|k| k.eq_ignore_ascii_case(keyword))
    }

    /// These flags with those of `other` added.
    #[must_use]
    pub fn plus(&self, other: &Self) -> Self {
        let bits = self.bits.union(other.bits);
        if other.keywords.is_none() {
            return Self { bits, keywords: self.keywords.clone() };
        }
        Self::with_keywords(bits, self.keywords().iter().chain(other.keywords()).cloned())
    }

    /// These flags without those of `other`.
    #[must_use]
    pub fn minus(&self, other: &Self) -> Self {
        let bits = self.bits.without(other.bits);
        if self.keywords.is_none() || other.keywords.is_none() {
            return Self { bits, keywords: self.keywords.clone() };
        }
        let left = self.keywords().iter().filter(|k| !other.has_keyword(k)).cloned();
        Self::with_keywords(bits, left)
    }

    /// These flags without what lies outside `part`.
    #[must_use]
    pub fn within(&self, part: FlagPart) -> Self {
        Self {
            bits: FlagBits(self.bits.0 & part.bits.0),
            keywords: if part.keywords { self.keywords.clone() } else { None },
        }
    }

    /// These flags without what lies inside `part`.
    #[must_use]
    pub fn outside(&self, part: FlagPart) -> Self {
        self.within(FlagPart { bits: FlagBits(!part.bits.0), keywords: !part.keywords })
    }

    /// True when both say the same, however the keywords are capitalised.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        let (ours, theirs) = (self.keywords(), other.keywords());
        self.bits == other.bits
            && ours.len() == theirs.len()
            && ours.iter().zip(theirs).all(|(a, b)| a.eq_ignore_ascii_case(b))
    }
}
