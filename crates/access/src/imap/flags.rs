//! Flags between the wire and the store: which keyword is a well-known bit, how flags are named.
//! It must never know messages.

use angarium_accounts::mailboxes::Row;
use angarium_accounts::{FlagBits, Flags, Keyword};
use angarium_imap::types::{Flag, SystemFlag};

/// Well-known bits and their first names, in the order they are shown.
const NAMES: [(FlagBits, &str); 13] = [
    (FlagBits::ANSWERED, "\\Answered"),
    (FlagBits::FLAGGED, "\\Flagged"),
    (FlagBits::DELETED, "\\Deleted"),
    (FlagBits::SEEN, "\\Seen"),
    (FlagBits::DRAFT, "\\Draft"),
    (FlagBits::FORWARDED, "$Forwarded"),
    (FlagBits::MDN_SENT, "$MDNSent"),
    (FlagBits::HIDDEN, "$Hidden"),
    (FlagBits::SERVICE, "$Service"),
    (FlagBits::MEDIA, "$Media"),
    (FlagBits::JUNK, "$Junk"),
    (FlagBits::NOT_JUNK, "$NotJunk"),
    (FlagBits::PHISHING, "$Phishing"),
];

/// Other spellings (`reference/mailboxes.md` section 5).
const ALIASES: [(&str, FlagBits); 2] =
    [("Forwarded", FlagBits::FORWARDED), ("$MDN", FlagBits::MDN_SENT)];

/// Keywords named in FLAGS and PERMANENTFLAGS at most.
pub(super) const SHOWN_KEYWORDS: usize = 256;

fn keyword_bit(keyword: &str) -> Option<FlagBits> {
    let named = NAMES.iter().find(|(_, name)| name.eq_ignore_ascii_case(keyword));
    named.map(|(bit, _)| *bit).or_else(|| {
        ALIASES.iter().find(|(name, _)| name.eq_ignore_ascii_case(keyword)).map(|(_, bit)| *bit)
    })
}

/// A flag as the store knows it; nothing for `\Recent` and flags nobody stores.
pub(super) enum Known<'a> {
    Bit(FlagBits),
    Keyword(&'a str),
    Recent,
    Never,
}

pub(super) fn known(flag: &Flag) -> Known<'_> {
    match flag {
        Flag::System(SystemFlag::Seen) => Known::Bit(FlagBits::SEEN),
        Flag::System(SystemFlag::Answered) => Known::Bit(FlagBits::ANSWERED),
        Flag::System(SystemFlag::Flagged) => Known::Bit(FlagBits::FLAGGED),
        Flag::System(SystemFlag::Deleted) => Known::Bit(FlagBits::DELETED),
        Flag::System(SystemFlag::Draft) => Known::Bit(FlagBits::DRAFT),
        Flag::System(SystemFlag::Recent) => Known::Recent,
        Flag::Keyword(word) => match keyword_bit(word) {
            Some(bit) => Known::Bit(bit),
            None => Known::Keyword(word),
        },
        Flag::Extension(_) => Known::Never,
    }
}

/// A list of flags as it is stored; `\Recent` and unknown system flags are left out.
pub(super) fn stored(flags: &[Flag]) -> Flags {
    let mut bits = FlagBits(0);
    let mut keywords: Vec<Keyword> = Vec::new();
    for flag in flags {
        match known(flag) {
            Known::Bit(bit) => bits = bits.union(bit),
            Known::Keyword(word) => keywords.push(word.into()),
            Known::Recent | Known::Never => {}
        }
    }
    Flags::with_keywords(bits, keywords)
}

/// Appends the flags of a message, joined by spaces.
pub(super) fn join(out: &mut Vec<u8>, bits: FlagBits, keywords: &[Keyword], recent: bool) {
    let from = out.len();
    let mut add = |name: &str| {
        if out.len() > from {
            out.push(b' ');
        }
        out.extend_from_slice(name.as_bytes());
    };
    if bits.0 != 0 {
        for (bit, name) in NAMES {
            if bits.contains(bit) {
                add(name);
            }
        }
    }
    if recent {
        add("\\Recent");
    }
    for keyword in keywords {
        add(keyword);
    }
}

/// As [`join`] for a row.
pub(super) fn join_row(out: &mut Vec<u8>, row: Row<'_>, recent: bool) {
    join(out, row.bits(), row.keywords(), recent);
}

/// Names for FLAGS: the system flags, well-known keywords, and those in use.
pub(super) fn names<'k>(keywords: &'k [Keyword]) -> Vec<&'k str> {
    let mut all: Vec<&'k str> = NAMES.iter().map(|(_, name)| *name).collect();
    all.extend(keywords.iter().map(|k| &**k));
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn well_known_keywords_are_bits_however_they_are_spelled() {
        let flag = |text: &str| Flag::parse(text).unwrap();
        let stored = stored(&[
            flag("\\seen"),
            flag("$mdn"),
            flag("forwarded"),
            flag("Work"),
            flag("\\Recent"),
            flag("\\Odd"),
        ]);
        let bits = FlagBits::SEEN.union(FlagBits::MDN_SENT).union(FlagBits::FORWARDED);
        assert_eq!(stored, Flags::with_keywords(bits, ["Work"]));
        let mut out = Vec::new();
        join(&mut out, stored.bits, stored.keywords(), true);
        assert_eq!(out, b"\\Seen $Forwarded $MDNSent \\Recent Work");
    }
}
