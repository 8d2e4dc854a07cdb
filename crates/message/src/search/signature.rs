//! The signature of a message: a filter over the pieces of three and four characters in its
//! readable text, header and body apart. It says for certain that a text is *not* in a message,
//! and never that it is.
//!
//! Stored form of version 1: version byte, flag byte (1: the header, 2: the body was too much to
//! say anything of), octets of the header's filter as a little-endian base-128 number, the
//! header's filter, the body's filter. A piece sets one bit; the filter's size follows the number
//! of different pieces, so that about a third of its bits are set whatever the message.
//!
//! It must never know which messages it stands for.

use super::text::ReadableText;

/// Octets of a signature at most.
pub const SIGNATURE_MAX: usize = 2 * FILTER_MAX + 8;

const VERSION: u8 = 1;
const HEADER_UNREADABLE: u8 = 1;
const BODY_UNREADABLE: u8 = 2;
/// Octets of one filter at most; a text with more different pieces must be read.
const FILTER_MAX: usize = 32 * 1024;
/// Bits for each different piece, in halves.
const HALF_BITS: usize = 5;
/// Different pieces of one filter.
const PIECES_MAX: usize = FILTER_MAX * 8 * 2 / HALF_BITS;
/// Pieces gathered before doubles are thrown out.
const GATHERED: usize = 4 * PIECES_MAX;
/// Pieces of a needle that are looked at.
const PROBED: usize = 96;

/// Where a text is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Place {
    /// The header of the message.
    Header,
    /// The body.
    Body,
    /// Either.
    Anywhere,
}

/// A text that is looked for, ready to be held against many signatures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    place: Place,
    pieces: Vec<u32>,
}

impl Probe {
    /// Prepares a folded text ([`super::fold`]).
    pub fn new(place: Place, folded: &str) -> Probe {
        let mut found = Vec::new();
        pieces(folded, |piece| {
            if found.len() < PROBED {
                found.push(piece);
            }
            found.len() < PROBED
        });
        Probe { place, pieces: found }
    }

    /// Whether the probe can rule anything out; too short a text cannot.
    pub fn is_useful(&self) -> bool {
        !self.pieces.is_empty()
    }

    /// False if the text is certainly not in the message of this signature. A signature that
    /// cannot be read rules nothing out.
    pub fn may_be_in(&self, signature: &[u8]) -> bool {
        let Some((flags, header, body)) = parts(signature) else { return true };
        let in_header = || flags & HEADER_UNREADABLE != 0 || self.may_pass(header);
        let in_body = || flags & BODY_UNREADABLE != 0 || self.may_pass(body);
        match self.place {
            Place::Header => in_header(),
            Place::Body => in_body(),
            Place::Anywhere => in_header() || in_body(),
        }
    }

    fn may_pass(&self, filter: &[u8]) -> bool {
        let bits = filter.len() as u64 * 8;
        self.pieces.iter().all(|piece| {
            let at = position(*piece, bits);
            filter.get((at / 8) as usize).is_some_and(|octet| octet & (1 << (at % 8)) != 0)
        })
    }
}

/// The signature of a text.
pub fn signature(text: &ReadableText) -> Vec<u8> {
    let header = filter(std::iter::once(text.header()));
    let body = filter(text.body());
    let mut flags = 0;
    if header.is_none() {
        flags |= HEADER_UNREADABLE;
    }
    if body.is_none() {
        flags |= BODY_UNREADABLE;
    }
    let (header, body) = (header.unwrap_or_default(), body.unwrap_or_default());
    let mut out = Vec::with_capacity(header.len() + body.len() + 6);
    out.extend([VERSION, flags]);
    let mut length = header.len();
    while length >= 0x80 {
        out.push(length as u8 | 0x80);
        length >>= 7;
    }
    out.push(length as u8);
    out.extend_from_slice(&header);
    out.extend_from_slice(&body);
    out
}

/// The signature of a message that must always be read.
pub fn unreadable() -> Vec<u8> {
    vec![VERSION, HEADER_UNREADABLE | BODY_UNREADABLE, 0]
}

/// Flags, header filter, body filter.
fn parts(signature: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&version, rest) = signature.split_first()?;
    let (&flags, mut rest) = rest.split_first()?;
    if version != VERSION {
        return None;
    }
    let mut length = 0usize;
    for shift in [0, 7, 14] {
        let (&octet, tail) = rest.split_first()?;
        rest = tail;
        length |= usize::from(octet & 0x7f) << shift;
        if octet & 0x80 == 0 {
            let (header, body) = rest.split_at_checked(length)?;
            return Some((flags, header, body));
        }
    }
    None
}

/// The filter over the pieces of some texts; nothing if there are too many.
fn filter<'t>(texts: impl Iterator<Item = &'t str>) -> Option<Vec<u8>> {
    let mut gathered: Vec<u32> = Vec::new();
    for text in texts {
        let mut many = false;
        pieces(text, |piece| {
            gathered.push(piece);
            if gathered.len() >= GATHERED {
                gathered.sort_unstable();
                gathered.dedup();
                many = gathered.len() > PIECES_MAX;
            }
            !many
        });
        if many {
            return None;
        }
    }
    gathered.sort_unstable();
    gathered.dedup();
    if gathered.len() > PIECES_MAX {
        return None;
    }
    let mut filter = vec![0u8; (gathered.len() * HALF_BITS).div_ceil(16)];
    let bits = filter.len() as u64 * 8;
    for piece in gathered {
        let at = position(piece, bits);
        if let Some(octet) = filter.get_mut((at / 8) as usize) {
            *octet |= 1 << (at % 8);
        }
    }
    Some(filter)
}

/// The bit of a piece in a filter of so many.
fn position(piece: u32, bits: u64) -> u64 {
    (u64::from(piece) * bits) >> 32
}

/// A character of a script that says in one or two characters what others say in a word.
fn is_dense(c: char) -> bool {
    c >= '\u{0e00}'
}

/// Tells the pieces of a text, while more are wanted: every three and every four characters in a
/// row, and every one and every two of dense scripts.
fn pieces(text: &str, mut tell: impl FnMut(u32) -> bool) {
    // The last three characters, and how many there were.
    let (mut a, mut b, mut c, mut seen) = ('\0', '\0', '\0', 0usize);
    for d in text.chars() {
        let three = u64::from(u32::from(b)) << 42 | u64::from(u32::from(c)) << 21 | u64::from(d);
        if seen >= 2 && !tell(mixed(three)) {
            return;
        }
        if seen >= 3 && !tell(mixed(three ^ (u64::from(a) + 1).wrapping_mul(FOURTH))) {
            return;
        }
        if is_dense(d) && !tell(mixed(u64::from(d) | ALONE)) {
            return;
        }
        if seen >= 1 && is_dense(c) && is_dense(d) && !tell(mixed(three & ((1 << 42) - 1) | PAIR)) {
            return;
        }
        (a, b, c) = (b, c, d);
        seen += 1;
    }
}

const FOURTH: u64 = 0xd6e8_feb8_6659_fd93;
/// Told apart from a piece of three that begins with NUL.
const PAIR: u64 = 1 << 63;
const ALONE: u64 = 3 << 62;

fn mixed(piece: u64) -> u32 {
    let once = piece.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    ((once ^ (once >> 32)).wrapping_mul(0xff51_afd7_ed55_8ccd) >> 32) as u32
}

#[cfg(test)]
mod tests {
    use super::super::fold;
    use super::*;
    use proptest::prelude::*;

    fn message(subject: &str, body: &str) -> Vec<u8> {
        let head = "Content-Type: text/plain; charset=utf-8\r\n";
        format!("Subject: {subject}\r\n{head}\r\n{body}").into_bytes()
    }

    fn may(signature: &[u8], place: Place, text: &str) -> bool {
        Probe::new(place, &fold(text)).may_be_in(signature)
    }

    #[test]
    fn header_and_body_are_ruled_out_apart() {
        let made = signature(&ReadableText::of(&message("Harvest", "Apples and pears")));
        assert!(may(&made, Place::Header, "HARVEST") && may(&made, Place::Body, "pears"));
        assert!(!may(&made, Place::Body, "harvest") && !may(&made, Place::Header, "apples"));
        assert!(may(&made, Place::Anywhere, "harvest") && may(&made, Place::Anywhere, "apples"));
        assert!(!may(&made, Place::Anywhere, "plums"));
        // Too short to say.
        assert!(may(&made, Place::Body, "zz") && !Probe::new(Place::Body, "zz").is_useful());
    }

    #[test]
    fn two_characters_of_a_dense_script_can_be_ruled_out() {
        let made = signature(&ReadableText::of(&message("x", "東京都庁からのお知らせ")));
        assert!(may(&made, Place::Body, "東京") && may(&made, Place::Body, "知"));
        let others = ["大阪", "京東", "名古", "古屋", "神戸", "横浜", "札幌", "福岡"];
        let ruled_out = others.iter().filter(|text| !may(&made, Place::Body, text)).count();
        assert!(ruled_out >= 6, "{ruled_out}");
    }

    #[test]
    fn too_much_text_must_be_read_and_costs_little() {
        // ABU-47
        let mut state = 1u64;
        let noise: String = (0..3_000_000)
            .map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                char::from(b' ' + (state >> 58) as u8)
            })
            .collect();
        let made = signature(&ReadableText::of(&message("small", &noise)));
        assert!(made.len() < 200, "{}", made.len());
        assert!(may(&made, Place::Body, "nowhere") && !may(&made, Place::Header, "nowhere"));
        assert!(may(&unreadable(), Place::Header, "x y z"));
        assert!(may(b"", Place::Body, "nowhere") && may(&[9, 0, 0], Place::Body, "nowhere"));
    }

    #[test]
    fn most_needles_that_are_not_there_are_ruled_out() {
        let words = ["order", "invoice", "meeting", "tomorrow", "harvest", "shipping", "garden"];
        let body: String = (0..600).map(|n| format!("{} {n} ", words[n % 7])).collect();
        let made = signature(&ReadableText::of(&message("x", &body)));
        let needles = (0..2000u32).map(|n| {
            let mut state = n.wrapping_mul(2_654_435_761);
            (0..5)
                .map(|_| {
                    state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    char::from(b'a' + (state >> 24) as u8 % 26)
                })
                .collect::<String>()
        });
        let wrong = needles.filter(|n| !body.contains(n) && may(&made, Place::Body, n)).count();
        assert!(wrong <= 20, "{wrong} of 2000 must be read for nothing");
    }

    proptest! {
        #[test]
        fn what_is_there_is_never_ruled_out(text in "\\PC{0,80}", from in 0usize..80, to in 0usize..80) {
            let read = ReadableText::of(&message("x", &text));
            let made = signature(&read);
            for whole in read.body() {
                let chars: Vec<char> = whole.chars().collect();
                let (from, to) = (from.min(chars.len()), to.min(chars.len()));
                let needle: String = chars.get(from..to).unwrap_or_default().iter().collect();
                prop_assert!(Probe::new(Place::Body, &needle).may_be_in(&made));
                prop_assert!(Probe::new(Place::Anywhere, &needle).may_be_in(&made));
            }
        }
    }
}
