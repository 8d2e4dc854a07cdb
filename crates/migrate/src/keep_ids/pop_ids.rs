//! POP's unique ids of the old server, found out for messages that IMAP names by UID: by the way
//! the server makes them, or by holding what POP lists against what IMAP lists. Pure: must never
//! know a connection.

use std::collections::HashSet;

use crate::error::{MoveError, Result};

/// Longest id taken (RFC 1939 section 7).
const MAX_ID: usize = 70;

/// How a server makes its ids of UIDVALIDITY (`%v`) and UID (`%u`), spelled as in Dovecot's
/// `pop3_uidl_format`: `%08Xu` is the UID as eight digits, base 16, capitals.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Format {
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    /// UID or else UIDVALIDITY; digits at least, base 16, capitals.
    Number {
        uid: bool,
        width: usize,
        hex: bool,
        capitals: bool,
    },
}

impl Format {
    /// Reads a format, or the name of a server with its usual one: `dovecot`, `cyrus`,
    /// `communigate`, `courier`.
    ///
    /// # Errors
    /// `Usage`, for what stands for no number, and a format without `%u`.
    pub fn parse(text: &str) -> Result<Self> {
        let spelled = match text.to_ascii_lowercase().as_str() {
            "dovecot" => "%08Xu%08Xv",
            "cyrus" => "%v.%u",
            "communigate" => "%v-%u",
            "courier" => "UID%u-%v",
            _ => text,
        };
        let wrong = || {
            MoveError::Usage(format!(
                "{text}: write dovecot, cyrus, communigate, courier or a format such as %08Xu%08Xv"
            ))
        };
        let mut parts = Vec::new();
        let mut rest = spelled;
        while let Some((before, after)) = rest.split_once('%') {
            if !before.is_empty() {
                parts.push(Part::Text(before.to_owned()));
            }
            let digits = after.bytes().take_while(u8::is_ascii_digit).count();
            let (width, after) = after.split_at(digits);
            let width = if width.is_empty() { 0 } else { width.parse().map_err(|_| wrong())? };
            let mut letters = after.chars();
            let mut letter = letters.next().ok_or_else(wrong)?;
            let (hex, capitals) = (matches!(letter, 'x' | 'X'), letter == 'X');
            if hex {
                letter = letters.next().ok_or_else(wrong)?;
            }
            let uid = match letter {
                'u' => true,
                'v' => false,
                _ => return Err(wrong()),
            };
            if width > MAX_ID {
                return Err(wrong());
            }
            parts.push(Part::Number { uid, width, hex, capitals });
            rest = letters.as_str();
        }
        if !rest.is_empty() {
            parts.push(Part::Text(rest.to_owned()));
        }
        let counts = parts.iter().any(|part| matches!(part, Part::Number { uid: true, .. }));
        if counts && spelled.bytes().all(|b| b.is_ascii_graphic()) {
            Ok(Self { parts })
        } else {
            Err(wrong())
        }
    }

    /// The id of a message; `None` if it is longer than an id can be.
    #[must_use]
    pub fn id(&self, uid_validity: u32, uid: u32) -> Option<String> {
        let mut id = String::new();
        for part in &self.parts {
            match part {
                Part::Text(text) => id.push_str(text),
                Part::Number { uid: of_uid, width, hex, capitals } => {
                    let (number, width) = (if *of_uid { uid } else { uid_validity }, *width);
                    id.push_str(&match (*hex, *capitals) {
                        (false, _) => format!("{number:0width$}"),
                        (true, true) => format!("{number:0width$X}"),
                        (true, false) => format!("{number:0width$x}"),
                    });
                }
            }
        }
        (id.len() <= MAX_ID).then_some(id)
    }
}

/// A message as POP lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Listed {
    pub(crate) number: u32,
    pub(crate) size: u64,
    pub(crate) id: String,
}

/// What can be said without looking into messages.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Matched {
    /// UID and id.
    pub(crate) sure: Vec<(u32, String)>,
    /// Places in both lists that have to be compared by content: of `pop`, and of `imap`.
    pub(crate) doubtful: (Vec<usize>, Vec<usize>),
    /// All pairs by order, to be believed if a few of them prove right by content.
    pub(crate) by_order: bool,
}

/// Holds both lists, each in the mailbox's order, against each other. `imap` is UID and size. A
/// program of POP never fetches a message whose id it knows, so nothing is guessed: what the sizes
/// of all messages do not say must be said by their content.
pub(crate) fn matched(imap: &[(u32, u64)], pop: &[Listed]) -> Matched {
    let mut found = Matched::default();
    // What came between the two lists stands at the end of the longer one.
    if imap.iter().zip(pop).all(|((_, size), listed)| *size == listed.size) {
        found.sure =
            imap.iter().zip(pop).map(|((uid, _), listed)| (*uid, listed.id.clone())).collect();
        return found;
    }
    // Servers count line ends in two ways; the order is the same all the same.
    found.by_order = imap.len() == pop.len();
    let theirs: HashSet<u64> = pop.iter().map(|listed| listed.size).collect();
    let ours: HashSet<u64> = imap.iter().map(|(_, size)| *size).collect();
    let both = |size: u64| theirs.contains(&size) && ours.contains(&size);
    let places = |sizes: &mut dyn Iterator<Item = u64>| {
        sizes.enumerate().filter(|(_, size)| both(*size)).map(|(at, _)| at).collect()
    };
    found.doubtful.0 = places(&mut pop.iter().map(|listed| listed.size));
    found.doubtful.1 = places(&mut imap.iter().map(|(_, size)| *size));
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_made_as_servers_make_them() {
        let made = |format: &str| Format::parse(format).unwrap().id(1_700_000_000, 10).unwrap();
        assert_eq!(made("dovecot"), "0000000A6553F100");
        assert_eq!(made("%08xu%08xv"), "0000000a6553f100");
        assert_eq!(made("Cyrus"), "1700000000.10");
        assert_eq!(made("communigate"), "1700000000-10");
        assert_eq!(made("%u"), "10");
        for wrong in ["", "%v", "%f", "%", "%9", "%08Xz", "a b%u", "%999u"] {
            assert!(Format::parse(wrong).is_err(), "{wrong}");
        }
        assert_eq!(Format::parse("%70u%70v").unwrap().id(1, 1), None);
    }

    fn listed(all: &[(u64, &str)]) -> Vec<Listed> {
        let number = |at: usize| at as u32 + 1;
        all.iter()
            .enumerate()
            .map(|(at, (size, id))| Listed { number: number(at), size: *size, id: (*id).into() })
            .collect()
    }

    #[test]
    fn two_lists_of_the_same_sizes_are_the_same() {
        let pop = listed(&[(10, "a"), (10, "b"), (30, "c")]);
        let found = matched(&[(1, 10), (5, 10), (9, 30)], &pop);
        assert_eq!(found.sure, [(1, "a".into()), (5, "b".into()), (9, "c".into())]);
        assert!(!found.by_order && found.doubtful.0.is_empty());
    }

    #[test]
    fn what_came_between_the_lists_stands_at_the_end() {
        let pop = listed(&[(10, "a"), (10, "b"), (30, "new")]);
        assert_eq!(matched(&[(1, 10), (5, 10)], &pop).sure, [(1, "a".into()), (5, "b".into())]);
    }

    #[test]
    fn what_sizes_do_not_say_is_left_to_the_content() {
        let pop = listed(&[(10, "a"), (40, "gone"), (10, "b"), (30, "c")]);
        let found = matched(&[(1, 10), (9, 30), (11, 50)], &pop);
        assert!(found.sure.is_empty() && !found.by_order);
        assert_eq!(found.doubtful, (vec![0, 2, 3], vec![0, 1]));
    }

    #[test]
    fn sizes_counted_in_another_way_are_not_taken_for_a_match() {
        let pop = listed(&[(11, "a"), (10, "b")]);
        let found = matched(&[(1, 10), (2, 9)], &pop);
        assert!(found.by_order && found.sure.is_empty());
    }
}
