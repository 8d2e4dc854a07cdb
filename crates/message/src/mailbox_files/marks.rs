//! Message flags as mailbox files write them: letters of the old server's separator line and of its
//! file names, of Maildir names, and of the `Status` fields. It must never know what the store
//! calls them.

use std::fmt;

/// A set of flags (`reference/mailboxes.md` section 5).
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Marks(pub u16);

/// The letters of the separator line in their fixed order.
const LETTERS: [(u8, Marks); Marks::WIDTH] = [
    (b'S', Marks::SEEN),
    (b'A', Marks::ANSWERED),
    (b'F', Marks::FLAGGED),
    (b'D', Marks::DELETED),
    (b'T', Marks::DRAFT),
    (b'R', Marks::RECENT),
    (b'W', Marks::REDIRECTED),
    (b'M', Marks::MDN),
    (b'H', Marks::HIDDEN),
    (b'V', Marks::SERVICE),
    (b'L', Marks::MEDIA),
    (b'J', Marks::JUNK),
];

impl Marks {
    /// Read.
    pub const SEEN: Self = Self(1);
    /// Answered.
    pub const ANSWERED: Self = Self(1 << 1);
    /// Flagged.
    pub const FLAGGED: Self = Self(1 << 2);
    /// To be removed.
    pub const DELETED: Self = Self(1 << 3);
    /// Not finished.
    pub const DRAFT: Self = Self(1 << 4);
    /// No session has seen it yet.
    pub const RECENT: Self = Self(1 << 5);
    /// Forwarded or redirected.
    pub const REDIRECTED: Self = Self(1 << 6);
    /// A receipt was sent or refused.
    pub const MDN: Self = Self(1 << 7);
    /// Hidden from users without the right to administer the mailbox.
    pub const HIDDEN: Self = Self(1 << 8);
    /// Taken from every view.
    pub const SERVICE: Self = Self(1 << 9);
    /// Audio, video or fax.
    pub const MEDIA: Self = Self(1 << 10);
    /// Junk.
    pub const JUNK: Self = Self(1 << 11);

    /// Letters of the fixed-width form.
    pub const WIDTH: usize = 12;
    /// The marks that `Status` and `X-Status` speak of.
    pub const OF_STATUS: Self =
        Self(Self::SEEN.0 | Self::ANSWERED.0 | Self::FLAGGED.0 | Self::DELETED.0 | Self::DRAFT.0);

    /// True when every mark of `other` is set here.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Both sets together.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// This set without the marks of `other`.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// All positions, a letter or `-`, so that a change of flags moves no octet.
    #[must_use]
    pub fn letters(self) -> [u8; Self::WIDTH] {
        LETTERS.map(|(letter, mark)| if self.contains(mark) { letter } else { b'-' })
    }

    /// Letters in any order and number, `-` passed over; nothing when another letter stands there.
    #[must_use]
    pub fn of_letters(text: &[u8]) -> Option<Self> {
        text.iter().try_fold(Self::default(), |all, letter| {
            if *letter == b'-' {
                return Some(all);
            }
            let (_, mark) = LETTERS.iter().find(|(known, _)| known == letter)?;
            Some(all.with(*mark))
        })
    }

    /// What a `Status` or `X-Status` field says: `R` read, `A` answered, `F` flagged, `D` deleted,
    /// `T` draft; `O` (seen in a list) and unknown letters say nothing.
    #[must_use]
    pub fn of_status(value: &[u8]) -> Self {
        value.iter().fold(Self::default(), |all, letter| {
            all.with(match letter {
                b'R' => Self::SEEN,
                b'A' => Self::ANSWERED,
                b'F' => Self::FLAGGED,
                b'D' => Self::DELETED,
                b'T' => Self::DRAFT,
                _ => Self::default(),
            })
        })
    }
}

impl fmt::Debug for Marks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.letters()))
    }
}
