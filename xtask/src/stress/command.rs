//! The commands of the stress client and what must be remembered of each until its answer. It
//! must never know a connection.

use std::collections::BTreeMap;

use super::ledger::Before;
use super::view::Flags;

/// A mailbox: its name among all sessions and how this session's account calls it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) key: String,
    pub(super) name: String,
    /// Only this session uses it.
    pub(super) own: bool,
}

/// How STORE changes flags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    Add,
    Remove,
    Replace,
}

impl Change {
    /// Its word.
    pub(super) fn sign(self) -> &'static str {
        match self {
            Self::Add => "+",
            Self::Remove => "-",
            Self::Replace => "",
        }
    }

    /// What it makes of flags.
    pub(super) fn apply(self, flags: &mut Flags, given: &Flags) {
        match self {
            Self::Add => flags.extend(given.iter().cloned()),
            Self::Remove => flags.retain(|flag| !given.contains(flag)),
            Self::Replace => flags.clone_from(given),
        }
    }
}

/// A STORE on its way.
#[derive(Clone, Debug)]
pub(super) struct Store {
    pub(super) uid: bool,
    pub(super) uids: Vec<u32>,
    pub(super) change: Change,
    pub(super) flags: Flags,
    pub(super) silent: bool,
    pub(super) unchanged_since: Option<u64>,
    /// Messages somebody had seen with a later MODSEQ than that before it was sent.
    pub(super) later: Vec<u32>,
    /// It raises the counter message.
    pub(super) raising: bool,
}

/// What SEARCH must find among the messages whose answer is certain.
#[derive(Clone, Debug)]
pub(super) struct Search {
    pub(super) uid: bool,
    /// UID and whether it matches.
    pub(super) expected: BTreeMap<u32, bool>,
    pub(super) esearch: bool,
    pub(super) save: bool,
}

/// A COPY or MOVE on its way.
#[derive(Clone, Debug)]
pub(super) struct Copy {
    pub(super) uid: bool,
    pub(super) uids: Vec<u32>,
    pub(super) to: Place,
    pub(super) moving: bool,
    pub(super) before: Before,
}

/// What a command is, for its answer.
#[derive(Clone, Debug)]
pub(super) enum Kind {
    /// Nothing to look at; news may come.
    Plain(&'static str),
    Logout,
    Select {
        place: Place,
        read_only: bool,
        resync: bool,
        before: Before,
    },
    /// CLOSE or UNSELECT
    Leave,
    Append {
        to: Place,
        tokens: Vec<String>,
        doomed: bool,
        before: Before,
    },
    Fetch {
        uid: bool,
        uids: Vec<u32>,
        /// First and last sequence number asked for where UIDs are not known yet.
        unknown: Option<(usize, usize)>,
        vanished: bool,
        /// After QRESYNC: flags that must be told again, up to this MODSEQ.
        verify: Option<(BTreeMap<u32, Flags>, u64)>,
        /// The whole mailbox right after it was opened.
        opened: Option<Before>,
    },
    Store(Store),
    Search(Search),
    Copy(Copy),
    Expunge {
        uids: Option<Vec<u32>>,
    },
    Status {
        place: Place,
        before: Before,
    },
    Idle,
    Create(Place),
    Delete(Place),
    Rename(Place, Place),
    /// `UID FETCH $`
    Saved,
}

impl Kind {
    /// Sequence numbers stand while it is answered.
    pub(super) fn numbers_stand(&self) -> bool {
        match self {
            Self::Fetch { uid, .. } => !uid,
            Self::Store(store) => !store.uid,
            Self::Search(search) => !search.uid,
            _ => false,
        }
    }

    /// Its name for counting.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Plain(name) => name,
            Self::Logout => "LOGOUT",
            Self::Select { resync: true, .. } => "SELECT (QRESYNC)",
            Self::Select { read_only: true, .. } => "EXAMINE",
            Self::Select { .. } => "SELECT",
            Self::Leave => "CLOSE",
            Self::Append { .. } => "APPEND",
            Self::Fetch { vanished: true, .. } => "FETCH (VANISHED)",
            Self::Fetch { uid: true, .. } => "UID FETCH",
            Self::Fetch { .. } => "FETCH",
            Self::Store(Store { raising: true, .. }) => "STORE (raising)",
            Self::Store(Store { unchanged_since: Some(_), .. }) => "STORE (UNCHANGEDSINCE)",
            Self::Store(Store { uid: true, .. }) => "UID STORE",
            Self::Store(_) => "STORE",
            Self::Search(Search { save: true, .. }) => "SEARCH (SAVE)",
            Self::Search(Search { uid: true, .. }) => "UID SEARCH",
            Self::Search(_) => "SEARCH",
            Self::Copy(Copy { moving: true, uid: true, .. }) => "UID MOVE",
            Self::Copy(Copy { moving: true, .. }) => "MOVE",
            Self::Copy(Copy { uid: true, .. }) => "UID COPY",
            Self::Copy(_) => "COPY",
            Self::Expunge { uids: None } => "EXPUNGE",
            Self::Expunge { .. } => "UID EXPUNGE",
            Self::Status { .. } => "STATUS",
            Self::Idle => "IDLE",
            Self::Create(_) => "CREATE",
            Self::Delete(_) => "DELETE",
            Self::Rename(..) => "RENAME",
            Self::Saved => "FETCH $",
        }
    }
}

/// A command: what follows its tag, without the line end, and what it is.
#[derive(Clone, Debug)]
pub(super) struct Command {
    pub(super) text: Vec<u8>,
    pub(super) kind: Kind,
}

/// A command.
pub(super) fn command(text: impl Into<Vec<u8>>, kind: Kind) -> Command {
    Command { text: text.into(), kind }
}

/// Numbers as a set, runs as ranges.
pub(super) fn set(numbers: &[u32]) -> String {
    let mut ranges: Vec<(u32, u32)> = Vec::new();
    for number in numbers {
        match ranges.last_mut() {
            Some((_, last)) if last.checked_add(1) == Some(*number) => *last = *number,
            _ => ranges.push((*number, *number)),
        }
    }
    let parts: Vec<String> = ranges
        .iter()
        .map(
            |(first, last)| {
                if first == last { first.to_string() } else { format!("{first}:{last}") }
            },
        )
        .collect();
    parts.join(",")
}

/// Flags between parentheses.
pub(super) fn listed(flags: &Flags) -> String {
    format!("({})", flags.iter().map(String::as_str).collect::<Vec<_>>().join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_of_numbers_become_ranges() {
        assert_eq!(set(&[1, 2, 3, 7, 9, 10]), "1:3,7,9:10");
        assert_eq!(set(&[]), "");
    }
}
