//! The text form of a journal: one line a fact, fields separated by tabs. Pure: knows no file.
//!
//! Form 2 (`angarium-move 2`), where ID numbers the mailbox so that lines of several mailboxes may
//! stand in any order:
//!
//! | line | fields |
//! |---|---|
//! | `box` | ID, source name, source UIDVALIDITY, target name, target UIDVALIDITY |
//! | `flags` | number, flags separated by spaces |
//! | `msg` | ID, source UID, target UID (0: not told), number of its flags at the source or `-` |
//! | `send` | ID, least target UID it may get, source UIDs about to be sent (`*`: any) |
//! | `sure` | ID: what became of everything sent so far is known |
//! | `gone` | ID, source UIDs that are to be forgotten |
//! | `same` | ID, what was asked for, source UIDNEXT, MESSAGES, HIGHESTMODSEQ when all of it was done |
//! | `object` | ID, the old server's own identifier of the mailbox as 32 hexadecimal digits |
//! | `drop` | ID: the mailbox is to be forgotten |
//!
//! Form 1 had `box` with source name, validity, target name, validity, UIDNEXT at the beginning, and
//! under it `msg` with source UID and target UID.

use angarium_imap::client::write;

/// The first line of a journal of the form written today.
pub(super) const FIRST_LINE: &str = "angarium-move\t2";
/// The first line of the form before.
pub(super) const FIRST_LINE_1: &str = "angarium-move\t1";
/// Longest line read, octets; a longer one is none of ours.
pub(super) const MAX_LINE: u64 = 32 * 1024 * 1024;
/// Most numbers taken from one set.
const MAX_SET: usize = 4_000_000;

/// One mailbox in both places.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct BoxKey {
    /// Name at the old server.
    pub(crate) source: String,
    /// UIDVALIDITY there.
    pub(crate) source_validity: u32,
    /// Name at the new server.
    pub(crate) target: String,
    /// UIDVALIDITY there.
    pub(crate) target_validity: u32,
}

/// Stands for the identifier that a server gives a mailbox and leaves it under every name
/// (MAILBOXID, RFC 8474).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ObjectId(u128);

impl ObjectId {
    /// Of an identifier as it was told.
    pub(crate) fn of(told: &str) -> Self {
        let mut first = [0; 16];
        let hash = blake3::hash(told.as_bytes());
        first.iter_mut().zip(hash.as_bytes()).for_each(|(to, from)| *to = *from);
        Self(u128::from_be_bytes(first))
    }
}

/// What the source was like when everything asked for was done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Same {
    /// Stands for the options that decide what is to be done.
    pub(crate) what: String,
    /// UIDNEXT of the source.
    pub(crate) uid_next: u32,
    /// MESSAGES of the source.
    pub(crate) messages: u32,
    /// HIGHESTMODSEQ of the source, 0 where it does not tell.
    pub(crate) modseq: u64,
}

/// Source UIDs under way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Sent {
    /// Any.
    Any,
    /// These, ascending.
    These(Vec<u32>),
}

/// One line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Line {
    Box(u32, BoxKey),
    Flags(u32, String),
    Msg { id: u32, source: u32, target: u32, flags: Option<u32> },
    Send { id: u32, floor: u32, uids: Sent },
    Sure(u32),
    Gone(u32, Vec<u32>),
    Same(u32, Same),
    Object(u32, ObjectId),
    Drop(u32),
    Empty,
}

impl Line {
    /// Reads a line of form 2, without its end; `None` if it is none.
    pub(super) fn read(text: &str) -> Option<Self> {
        let fields: Vec<&str> = text.split('\t').collect();
        let id = || fields.get(1)?.parse::<u32>().ok();
        Some(match fields.as_slice() {
            ["box", _, source, source_validity, target, target_validity] => Self::Box(
                id()?,
                BoxKey {
                    source: unescaped(source),
                    source_validity: source_validity.parse().ok()?,
                    target: unescaped(target),
                    target_validity: target_validity.parse().ok()?,
                },
            ),
            ["flags", _, flags] => Self::Flags(id()?, unescaped(flags)),
            ["msg", _, source, target, flags] => Self::Msg {
                id: id()?,
                source: source.parse().ok()?,
                target: target.parse().ok()?,
                flags: if *flags == "-" { None } else { Some(flags.parse().ok()?) },
            },
            ["send", _, floor, "*"] => {
                Self::Send { id: id()?, floor: floor.parse().ok()?, uids: Sent::Any }
            }
            ["send", _, floor, set] => Self::Send {
                id: id()?,
                floor: floor.parse().ok()?,
                uids: Sent::These(numbers(set)?),
            },
            ["sure", _] => Self::Sure(id()?),
            ["gone", _, set] => Self::Gone(id()?, numbers(set)?),
            ["same", _, what, next, messages, modseq] => Self::Same(
                id()?,
                Same {
                    what: unescaped(what),
                    uid_next: next.parse().ok()?,
                    messages: messages.parse().ok()?,
                    modseq: modseq.parse().ok()?,
                },
            ),
            ["object", _, object] => {
                Self::Object(id()?, ObjectId(u128::from_str_radix(object, 16).ok()?))
            }
            ["drop", _] => Self::Drop(id()?),
            [""] => Self::Empty,
            _ => return None,
        })
    }

    /// The line with its end.
    pub(super) fn text(&self) -> String {
        match self {
            Self::Box(id, key) => format!(
                "box\t{id}\t{}\t{}\t{}\t{}\n",
                escaped(&key.source),
                key.source_validity,
                escaped(&key.target),
                key.target_validity
            ),
            Self::Flags(number, flags) => format!("flags\t{number}\t{}\n", escaped(flags)),
            Self::Msg { id, source, target, flags: Some(flags) } => {
                format!("msg\t{id}\t{source}\t{target}\t{flags}\n")
            }
            Self::Msg { id, source, target, flags: None } => {
                format!("msg\t{id}\t{source}\t{target}\t-\n")
            }
            Self::Send { id, floor, uids: Sent::Any } => format!("send\t{id}\t{floor}\t*\n"),
            Self::Send { id, floor, uids: Sent::These(uids) } => {
                format!("send\t{id}\t{floor}\t{}\n", write::set(uids))
            }
            Self::Sure(id) => format!("sure\t{id}\n"),
            Self::Gone(id, uids) => format!("gone\t{id}\t{}\n", write::set(uids)),
            Self::Same(id, same) => format!(
                "same\t{id}\t{}\t{}\t{}\t{}\n",
                escaped(&same.what),
                same.uid_next,
                same.messages,
                same.modseq
            ),
            Self::Object(id, object) => format!("object\t{id}\t{:032x}\n", object.0),
            Self::Drop(id) => format!("drop\t{id}\n"),
            Self::Empty => "\n".to_owned(),
        }
    }
}

/// One line of form 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum OldLine {
    /// A mailbox, and UIDNEXT of the target before anything was copied.
    Box(BoxKey, u32),
    /// A message of the mailbox named last.
    Msg(u32, u32),
}

impl OldLine {
    pub(super) fn read(text: &str) -> Option<Self> {
        let fields: Vec<&str> = text.split('\t').collect();
        match fields.as_slice() {
            ["box", source, source_validity, target, target_validity, next] => Some(Self::Box(
                BoxKey {
                    source: unescaped(source),
                    source_validity: source_validity.parse().ok()?,
                    target: unescaped(target),
                    target_validity: target_validity.parse().ok()?,
                },
                next.parse().ok()?,
            )),
            ["msg", source, target] => Some(Self::Msg(source.parse().ok()?, target.parse().ok()?)),
            _ => None,
        }
    }
}

/// The numbers of a set as [`write::set`] makes it.
fn numbers(set: &str) -> Option<Vec<u32>> {
    let mut all = Vec::new();
    for part in set.split(',').filter(|part| !part.is_empty()) {
        let (low, high) = part.split_once(':').unwrap_or((part, part));
        let (low, high): (u32, u32) = (low.parse().ok()?, high.parse().ok()?);
        let more = usize::try_from(high.checked_sub(low)?).ok()?;
        if all.len().saturating_add(more) >= MAX_SET {
            return None;
        }
        all.extend(low..=high);
    }
    Some(all)
}

fn escaped(name: &str) -> String {
    name.replace('%', "%25").replace('\t', "%09").replace('\n', "%0A").replace('\r', "%0D")
}

fn unescaped(name: &str) -> String {
    name.replace("%0D", "\r").replace("%0A", "\n").replace("%09", "\t").replace("%25", "%")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_read_as_it_was_written() {
        let key = BoxKey {
            source: "a\tb%0A\n".into(),
            source_validity: 7,
            target: "Entwürfe".into(),
            target_validity: u32::MAX,
        };
        let same = Same { what: "x y".into(), uid_next: 9, messages: 8, modseq: u64::MAX };
        for line in [
            Line::Box(3, key),
            Line::Flags(1, "\\Seen $Junk".into()),
            Line::Flags(0, String::new()),
            Line::Msg { id: 3, source: 1, target: 0, flags: None },
            Line::Msg { id: 3, source: 1, target: 2, flags: Some(4) },
            Line::Send { id: 3, floor: 5, uids: Sent::Any },
            Line::Send { id: 3, floor: 5, uids: Sent::These(vec![1, 2, 3, 9]) },
            Line::Sure(3),
            Line::Gone(3, vec![4, 5]),
            Line::Same(3, same),
            Line::Drop(3),
            Line::Empty,
        ] {
            let text = line.text();
            assert_eq!(Line::read(text.strip_suffix('\n').unwrap()), Some(line), "{text}");
        }
    }

    #[test]
    fn nonsense_is_no_line() {
        for text in ["msg\t1\t2", "msg\t1\t2\tx\t-", "gone\t1\t9:1", "send\t1\t1\t1:99999999", "?"]
        {
            assert_eq!(Line::read(text), None, "{text}");
        }
    }
}
