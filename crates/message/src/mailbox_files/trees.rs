//! The small files that stand beside mailboxes: lists of UIDs and keywords as Dovecot and Courier
//! write them, lists of subscriptions. What cannot be read is passed over.

use std::collections::HashMap;

/// Longest name taken from a list, octets.
const NAME_MAX: usize = 4096;

/// `dovecot-uidlist` or `courierimapuiddb`: which UID each message's file has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UidList {
    /// UIDVALIDITY, never 0.
    pub validity: Option<u32>,
    /// The UID the next message would get.
    pub next: Option<u32>,
    /// UIDs by the name of the file without flags.
    pub uids: HashMap<Vec<u8>, u32>,
}

impl UidList {
    /// Reads the file: version 1 (`1 validity next`, lines `uid name`) or version 3
    /// (`3 Vvalidity Nnext …`, lines `uid extensions :name`).
    #[must_use]
    pub fn parse(text: &[u8]) -> Self {
        let mut list = Self::default();
        let mut lines = text.split(|b| *b == b'\n').map(<[u8]>::trim_ascii_end);
        let Some(head) = lines.next().and_then(|head| std::str::from_utf8(head).ok()) else {
            return list;
        };
        let mut words = head.split_ascii_whitespace();
        let new = match words.next() {
            Some("3") => true,
            Some("1") => false,
            _ => return list,
        };
        if new {
            for word in words {
                match word.split_at_checked(1) {
                    Some(("V", number)) => list.validity = number.parse().ok(),
                    Some(("N", number)) => list.next = number.parse().ok(),
                    _ => {}
                }
            }
        } else {
            list.validity = words.next().and_then(|word| word.parse().ok());
            list.next = words.next().and_then(|word| word.parse().ok());
        }
        list.validity = list.validity.filter(|validity| *validity > 0);
        for line in lines {
            let Some(at) = line.iter().position(|b| *b == b' ') else { continue };
            let (uid, rest) = line.split_at(at);
            let Some(uid) = std::str::from_utf8(uid).ok().and_then(|t| t.parse::<u32>().ok())
            else {
                continue;
            };
            let name = if new {
                let Some(at) = memchr::memmem::find(rest, b" :") else { continue };
                rest.get(at + 2..).unwrap_or_default()
            } else {
                rest.get(1..).unwrap_or_default()
            };
            let flags = name.iter().position(|b| *b == b':').unwrap_or(name.len());
            let name = name.get(..flags).unwrap_or_default();
            if uid > 0 && !name.is_empty() && name.len() <= NAME_MAX {
                list.uids.insert(name.to_vec(), uid);
            }
        }
        list
    }
}

/// `dovecot-keywords`: the keywords that letters in file names stand for, by their numbers.
#[must_use]
pub fn keywords(text: &[u8]) -> HashMap<u8, String> {
    let text = String::from_utf8_lossy(text);
    let lines = text.lines().filter_map(|line| line.trim_end().split_once(' '));
    lines
        .filter_map(|(number, name)| Some((number.parse().ok()?, name.to_owned())))
        .filter(|(number, name): &(u8, String)| *number < 26 && !name.is_empty())
        .collect()
}

/// A list of subscriptions: a name a line, levels told apart by `delimiter`; or, headed `V` and a
/// number as Dovecot writes it now, by tabulators. Answers levels as written.
#[must_use]
pub fn subscriptions(text: &[u8], delimiter: char) -> Vec<Vec<String>> {
    let text = String::from_utf8_lossy(text);
    let mut lines = text.lines().map(str::trim_end).filter(|line| !line.is_empty()).peekable();
    let new = lines.next_if(|line| line.starts_with("V\t")).is_some();
    let delimiter = if new { '\t' } else { delimiter };
    lines
        .filter(|line| line.len() <= NAME_MAX)
        .map(|line| line.split(delimiter).map(str::to_owned).collect())
        .collect()
}
