//! Flags that changed since they were looked at last: told apart three ways, by what the old server
//! said then and says now, so that what somebody changed at the new server stays as it is.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use angarium_imap::client::write;

use crate::error::Result;
use crate::journal::{MailboxJournal, Pair};
use crate::session::Session;
use crate::source;

/// Messages of one STORE.
const STORE_MESSAGES: usize = 1_000;
/// Messages whose flags are listed at once.
const LISTED: u32 = 10_000;

/// What becomes of flags that differ (`--syncFlags`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum FlagPolicy {
    /// What changed at the old server is changed at the new one, and nothing else.
    #[default]
    Changes,
    /// The new server gets exactly the flags of the old one.
    Source,
    /// Flags are set when a message is copied and never again.
    None,
}

/// Flags to set and to take away, each once, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Change {
    pub(crate) add: String,
    pub(crate) remove: String,
}

impl Change {
    /// From one set of flags to another; flags are compared without regard to case.
    pub(crate) fn between(old: &str, new: &str) -> Self {
        Self { add: without(new, old), remove: without(old, new) }
    }

    /// Only what is to be added, and what both have.
    pub(crate) fn missing(there: &str, wanted: &str) -> (Self, String) {
        let add = without(wanted, there);
        let both = without(wanted, &add);
        (Self { add, remove: String::new() }, both)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.add.is_empty() && self.remove.is_empty()
    }
}

/// The flags of `all` that are not in `others`.
fn without(all: &str, others: &str) -> String {
    let others: BTreeSet<String> = others.split(' ').map(str::to_ascii_lowercase).collect();
    let left: BTreeSet<&str> = all
        .split(' ')
        .filter(|flag| !flag.is_empty() && !flag.eq_ignore_ascii_case("\\Recent"))
        .filter(|flag| !others.contains(&flag.to_ascii_lowercase()))
        .collect();
    left.into_iter().collect::<Vec<_>>().join(" ")
}

/// A change, and the flags at the source that it comes from.
type Wanted = (Change, Arc<str>);

/// Changes of one mailbox, gathered: the same change is asked for once. What the source said is
/// noted in the journal only when the target has it.
#[derive(Debug, Default)]
pub(crate) struct FlagWork {
    /// By change and by the flags of now: UIDs at the target and at the source.
    groups: BTreeMap<Wanted, Vec<(u32, u32)>>,
    count: u64,
}

impl FlagWork {
    /// This message is to be changed and has flags `now` at the source.
    pub(crate) fn put(&mut self, pair: Pair, change: Change, now: &str) {
        if pair.target == 0 || change.is_empty() {
            return;
        }
        self.groups.entry((change, now.into())).or_default().push((pair.target, pair.source));
        self.count += 1;
    }

    /// Messages to be changed.
    pub(crate) fn len(&self) -> u64 {
        self.count
    }

    /// Adds what another has gathered.
    pub(crate) fn absorb(&mut self, other: Self) {
        for (key, mut messages) in other.groups {
            self.groups.entry(key).or_default().append(&mut messages);
        }
        self.count += other.count;
    }

    /// Changes them at the target. Answers how many were changed and what was refused, in words.
    ///
    /// # Errors
    /// `Refused` if the mailbox cannot be opened, `Lost`, `File`.
    pub(crate) async fn apply(
        self,
        target: &mut Session,
        wire: &[u8],
        known: &mut MailboxJournal,
    ) -> Result<(u64, Vec<String>)> {
        if self.groups.is_empty() {
            return Ok((0, Vec::new()));
        }
        source::select(target, wire, true).await?;
        let mut refused = Vec::new();
        let mut failed = 0;
        for ((change, now), mut messages) in self.groups {
            messages.sort_unstable();
            for part in messages.chunks(STORE_MESSAGES) {
                let uids: Vec<u32> = part.iter().map(|(target, _)| *target).collect();
                let set = write::set(&uids);
                let both = [("+", &change.add), ("-", &change.remove)];
                let both: Vec<_> = both.into_iter().filter(|(_, f)| !f.is_empty()).collect();
                let lines: Vec<Vec<u8>> = both
                    .iter()
                    .map(|(sign, flags)| {
                        format!("UID STORE {set} {sign}FLAGS.SILENT ({flags})").into_bytes()
                    })
                    .collect();
                for (answer, (sign, flags)) in target.pipeline(&lines).await?.iter().zip(both) {
                    if !answer.is_ok() {
                        failed += part.len() as u64;
                        let count = part.len();
                        let why = &answer.text;
                        refused.push(format!("flags {sign}{flags} of {count} messages: {why}"));
                    }
                }
                // Also what was refused: it would be refused each time.
                let seen: Vec<(u32, u32, &str)> =
                    part.iter().map(|(target, source)| (*source, *target, &*now)).collect();
                known.confirmed(&seen)?;
            }
        }
        super::leave(target, wire, true).await?;
        Ok((self.count.saturating_sub(failed), refused))
    }
}

/// Makes the flags of the target those the source had when it was looked at last
/// (`--syncFlags=source`): what has to change.
///
/// # Errors
/// `Refused` if the mailbox cannot be opened, `Lost`.
pub(crate) async fn unequal(
    target: &mut Session,
    wire: &[u8],
    known: &MailboxJournal,
) -> Result<FlagWork> {
    let mut wanted: Vec<_> = known.pairs().iter().filter(|pair| pair.target != 0).collect();
    wanted.sort_unstable_by_key(|pair| pair.target);
    let mut work = FlagWork::default();
    let selected = source::select(target, wire, false).await?;
    let mut first = 1;
    while first <= selected.exists {
        let last = selected.exists.min(first.saturating_add(LISTED - 1));
        for meta in source::list(target, first, last).await? {
            let Ok(at) = wanted.binary_search_by_key(&meta.uid, |pair| pair.target) else {
                continue;
            };
            let Some(pair) = wanted.get(at) else { continue };
            if let Some(flags) = known.flags_of(*pair) {
                work.put(*pair, Change::between(&meta.flags, &flags), &flags);
            }
        }
        first = last + 1;
    }
    super::leave(target, wire, false).await?;
    Ok(work)
}

/// One line to set flags, for messages named by UID.
pub(crate) fn marking(uids: &[u32]) -> Vec<u8> {
    format!("UID STORE {} +FLAGS.SILENT (\\Deleted)", write::set(uids)).into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(old: &str, new: &str) -> (String, String) {
        let change = Change::between(old, new);
        (change.add, change.remove)
    }

    #[test]
    fn what_changed_at_the_old_server_is_told_from_what_did_not() {
        assert_eq!(change("\\Seen", "\\Seen"), (String::new(), String::new()));
        assert_eq!(change("", "\\Seen $x"), ("$x \\Seen".into(), String::new()));
        assert_eq!(change("\\Seen \\Flagged", "\\seen"), (String::new(), "\\Flagged".into()));
        assert_eq!(change("a", "b \\Recent"), ("b".into(), "a".into()));
        let (change, both) = Change::missing("\\Seen mine", "\\Flagged \\Seen");
        assert_eq!((&*change.add, &*change.remove, &*both), ("\\Flagged", "", "\\Seen"));
    }

    #[test]
    fn equal_changes_are_one_and_messages_without_a_uid_are_none() {
        let mut work = FlagWork::default();
        let pair = |target| Pair::new(7, target, None);
        work.put(pair(1), Change::between("", "\\Seen"), "\\Seen");
        work.put(pair(2), Change::between("", "\\Seen"), "\\Seen");
        work.put(pair(0), Change::between("", "\\Seen"), "\\Seen");
        work.put(pair(3), Change::between("x", "x"), "x");
        assert_eq!(work.len(), 2);
        assert_eq!(work.groups.len(), 1);
    }
}
