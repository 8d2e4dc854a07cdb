//! Lists of network addresses in the text form of the guides: one entry a line, `192.0.2.1`,
//! `192.0.2.10-192.0.2.99`, `192.0.2.0/24`, the same for IPv6; `!` in front makes an exception, `;`
//! begins a comment. Of the entries an address is in, the narrowest counts; of two equally narrow
//! ones the later.
//!
//! A list is read once and then asked by bisection. It takes 40 bytes for each piece, at most two
//! pieces for each entry, beside its text. It must never know what a list is for.

use std::fmt;
use std::net::IpAddr;

use thiserror::Error;

/// Most entries of a list.
pub const MAX_ENTRIES: usize = 20_000;
/// Longest text of a list, in octets.
pub const MAX_TEXT: usize = 900 * 1024;

/// Why a list is not taken.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("line {line}: {why}")]
pub struct ListError {
    /// Counted from 1.
    pub line: usize,
    /// What is wrong.
    pub why: String,
}

/// The entry an address was found in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Match<'a> {
    /// Line of the list, counted from 1.
    pub line: usize,
    /// The line as it was written.
    pub text: &'a str,
}

/// Addresses from `first` to `last`, inclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Range {
    first: u128,
    last: u128,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    range: Range,
    line: usize,
    except: bool,
}

/// A piece of the number line in which one entry counts.
#[derive(Clone, Copy, Debug)]
struct Piece {
    range: Range,
    line: u32,
    except: bool,
}

/// A list of addresses.
#[derive(Clone, Default)]
pub struct AddressList {
    text: String,
    four: Vec<Piece>,
    six: Vec<Piece>,
}

impl fmt::Debug for AddressList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AddressList").field("text", &self.text).finish_non_exhaustive()
    }
}

/// The text of an entry without its comment.
pub(super) fn entry_text(line: &str) -> &str {
    line.split(';').next().unwrap_or_default().trim()
}

impl AddressList {
    /// Reads a list.
    ///
    /// # Errors
    /// The first line that is wrong.
    pub fn read(text: &str) -> Result<Self, ListError> {
        let error = |line: usize, why: &str| ListError { line: line + 1, why: why.to_owned() };
        if text.len() > MAX_TEXT {
            return Err(error(0, "the list is too long"));
        }
        let (mut four, mut six) = (Vec::new(), Vec::new());
        for (number, line) in text.lines().enumerate() {
            let (except, entry) = match entry_text(line).strip_prefix('!') {
                Some(rest) => (true, rest.trim()),
                None => (false, entry_text(line)),
            };
            if entry.is_empty() {
                if except {
                    return Err(error(number, "an exception names no address"));
                }
                continue;
            }
            let (range, is_four) = range(entry).map_err(|why| error(number, why))?;
            if four.len() + six.len() >= MAX_ENTRIES {
                return Err(error(number, "the list has too many entries"));
            }
            let all = if is_four { &mut four } else { &mut six };
            all.push(Entry { range, line: number + 1, except });
        }
        Ok(Self { text: text.to_owned(), four: flatten(four), six: flatten(six) })
    }

    /// The text it was read from.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// True when no address is in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.four.is_empty() && self.six.is_empty()
    }

    /// The entry that puts an address on the list.
    #[must_use]
    pub fn find(&self, ip: IpAddr) -> Option<Match<'_>> {
        let line = self.line(ip)?;
        let text = self.text.lines().nth(line.saturating_sub(1)).unwrap_or_default().trim();
        Some(Match { line, text })
    }

    fn line(&self, ip: IpAddr) -> Option<usize> {
        let (pieces, number) = match ip.to_canonical() {
            IpAddr::V4(ip) => (&self.four, u128::from(u32::from(ip))),
            IpAddr::V6(ip) => (&self.six, u128::from(ip)),
        };
        let at = pieces.partition_point(|piece| piece.range.last < number);
        let piece = pieces.get(at).filter(|p| p.range.first <= number && !p.except)?;
        usize::try_from(piece.line).ok()
    }

    /// True when an address is on the list.
    #[must_use]
    pub fn contains(&self, ip: IpAddr) -> bool {
        self.line(ip).is_some()
    }
}

/// An address as people write it, also in brackets.
#[must_use]
pub fn address(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let text = match text.strip_prefix('[') {
        Some(inner) => inner.strip_suffix(']')?,
        None => text,
    };
    let bare = text.get(..5).filter(|p| p.eq_ignore_ascii_case("IPv6:"));
    let text = if bare.is_some() { text.get(5..)? } else { text };
    text.trim().parse::<IpAddr>().ok().map(|ip| ip.to_canonical())
}

fn number(ip: IpAddr) -> (u128, bool) {
    match ip {
        IpAddr::V4(ip) => (u128::from(u32::from(ip)), true),
        IpAddr::V6(ip) => (u128::from(ip), false),
    }
}

/// Reads an entry; the flag says that it is of IPv4.
fn range(entry: &str) -> Result<(Range, bool), &'static str> {
    const NO_ADDRESS: &str = "this is not an IP address, a range or a network";
    if let Some((network, length)) = entry.rsplit_once('/') {
        let (number, is_four) = number(address(network).ok_or(NO_ADDRESS)?);
        let bits: u32 = if is_four { 32 } else { 128 };
        let length: u32 = length.trim().parse().map_err(|_| NO_ADDRESS)?;
        let free = bits.checked_sub(length).ok_or("the network's length is too large")?;
        let mask = 1_u128.checked_shl(free).map_or(u128::MAX, |size| size - 1);
        let first = number & !mask;
        return Ok((Range { first, last: first | mask }, is_four));
    }
    if let Some((first, last)) = entry.split_once('-') {
        let (first, is_four) = number(address(first).ok_or(NO_ADDRESS)?);
        let (last, also_four) = number(address(last).ok_or(NO_ADDRESS)?);
        if is_four != also_four {
            return Err("the ends of a range are of the same kind");
        }
        if last < first {
            return Err("the range ends before it begins");
        }
        return Ok((Range { first, last }, is_four));
    }
    let (number, is_four) = number(address(entry).ok_or(NO_ADDRESS)?);
    Ok((Range { first: number, last: number }, is_four))
}

/// Cuts overlapping entries into pieces in which one of them counts, in ascending order.
fn flatten(mut entries: Vec<Entry>) -> Vec<Piece> {
    use std::collections::BTreeSet;
    // Where something begins or ends behind.
    let mut cuts: Vec<u128> = entries.iter().map(|e| e.range.first).collect();
    cuts.extend(entries.iter().filter_map(|e| e.range.last.checked_add(1)));
    cuts.sort_unstable();
    cuts.dedup();
    entries.sort_by_key(|e| e.range.first);
    let mut pieces: Vec<Piece> = Vec::new();
    // Entries that hold the present address: the narrowest first, the later of equals first.
    let mut open: BTreeSet<(u128, usize, usize)> = BTreeSet::new();
    let mut by_end: BTreeSet<(u128, usize)> = BTreeSet::new();
    let mut next = 0;
    let key = |at: usize, e: &Entry| (e.range.last - e.range.first, usize::MAX - e.line, at);
    for (index, first) in cuts.iter().copied().enumerate() {
        while let Some((last, at)) = by_end.first().copied().filter(|(last, _)| *last < first) {
            by_end.remove(&(last, at));
            if let Some(entry) = entries.get(at) {
                open.remove(&key(at, entry));
            }
        }
        while let Some(entry) = entries.get(next).filter(|e| e.range.first <= first) {
            open.insert(key(next, entry));
            by_end.insert((entry.range.last, next));
            next += 1;
        }
        let Some(entry) = open.first().and_then(|(_, _, at)| entries.get(*at)) else { continue };
        let last = cuts.get(index + 1).map_or(u128::MAX, |next| next - 1).min(entry.range.last);
        let line = u32::try_from(entry.line).unwrap_or(u32::MAX);
        match pieces.last_mut() {
            Some(before)
                if before.line == line && before.range.last.checked_add(1) == Some(first) =>
            {
                before.range.last = last;
            }
            _ => pieces.push(Piece { range: Range { first, last }, line, except: entry.except }),
        }
    }
    pieces
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn addresses_ranges_and_networks_are_read_as_the_guides_write_them() {
        let list = AddressList::read(
            "; the house\n192.0.2.1 ; the printer\n\n[192.0.2.10]-192.0.2.99\n  198.51.100.0/24\n\
             2001:db8::/32\n[IPv6:2001:db9::5]\n",
        )
        .unwrap();
        for inside in ["192.0.2.1", "192.0.2.10", "192.0.2.50", "192.0.2.99", "198.51.100.7"] {
            assert!(list.contains(ip(inside)), "{inside}");
        }
        assert!(list.contains(ip("2001:db8:1::1")) && list.contains(ip("2001:db9::5")));
        assert!(list.contains(ip("::ffff:192.0.2.1")), "IPv4 behind an IPv6 socket");
        for outside in ["192.0.2.2", "192.0.2.100", "198.51.101.0", "2001:db9::6", "::1"] {
            assert!(!list.contains(ip(outside)), "{outside}");
        }
        let found = list.find(ip("192.0.2.1")).unwrap();
        assert_eq!((found.line, found.text), (2, "192.0.2.1 ; the printer"));
    }

    #[test]
    fn the_narrowest_entry_counts_and_exceptions_are_entries_too() {
        let list = AddressList::read(
            "10.0.0.0/8\n!10.1.0.0/16\n10.1.2.0/24\n!10.1.2.3\n10.9.9.9\n!10.9.9.9\n",
        )
        .unwrap();
        for (address, inside) in [
            ("10.0.0.1", true),
            ("10.1.0.1", false),
            ("10.1.2.2", true),
            ("10.1.2.3", false),
            ("10.1.2.4", true),
            ("10.2.0.0", true),
            ("10.9.9.9", false),
            ("11.0.0.0", false),
        ] {
            assert_eq!(list.contains(ip(address)), inside, "{address}");
        }
        let all = AddressList::read("0.0.0.0/0\n::/0\n!::1").unwrap();
        assert!(all.contains(ip("255.255.255.255")) && all.contains(ip("ffff::")));
        assert!(!all.contains(ip("::1")));
    }

    #[test]
    fn a_wrong_line_is_named_and_long_lists_are_refused() {
        for (text, line) in [
            ("192.0.2.1\nhere", 2),
            ("192.0.2.9-192.0.2.1", 1),
            ("192.0.2.1-::1", 1),
            ("192.0.2.0/33", 1),
            ("\n\n!", 3),
            ("[192.0.2.1", 1),
            ("192.0.2.0/-1", 1),
        ] {
            assert_eq!(AddressList::read(text).unwrap_err().line, line, "{text}");
        }
        let many: String = (0..=MAX_ENTRIES)
            .map(|n| format!("10.{}.{}.{}\n", n >> 16, (n >> 8) & 255, n & 255))
            .collect();
        assert!(AddressList::read(&many).is_err());
        assert!(AddressList::read(&";".repeat(MAX_TEXT + 1)).is_err());
    }

    proptest! {
        /// The pieces say the same as looking at every entry.
        #[test]
        fn bisection_finds_what_a_walk_finds(
            entries in proptest::collection::vec((0_u8..=255, 0_u8..=255, any::<bool>()), 0..12),
            asked in 0_u8..=255,
        ) {
            let mut text = String::new();
            let mut best: Option<(u8, bool)> = None;
            for (a, b, except) in entries {
                let (first, last) = (a.min(b), a.max(b));
                let sign = if except { "!" } else { "" };
                text.push_str(&format!("{sign}192.0.2.{first}-192.0.2.{last}\n"));
                if (first..=last).contains(&asked)
                    && best.is_none_or(|(width, _)| last - first <= width)
                {
                    best = Some((last - first, except));
                }
            }
            let list = AddressList::read(&text).unwrap();
            let inside = best.is_some_and(|(_, except)| !except);
            prop_assert_eq!(list.contains(ip(&format!("192.0.2.{asked}"))), inside);
        }

        #[test]
        fn no_text_breaks_the_reader(text in ".{0,200}") {
            let _ = AddressList::read(&text);
        }
    }
}
