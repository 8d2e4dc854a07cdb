//! Verification: both sides read in full and compared by content digest, flags and dates. Order
//! and UIDs do not count; how often an equal message is there does.

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;

use crate::date_filter::{DateFilter, seconds_of};
use crate::error::{MoveError, Result};
use crate::plan::Planned;
use crate::resume;
use crate::session::Session;
use crate::source::{self, Meta};

/// Differences named in full; beyond this only their number is told.
const NAMED: usize = 10_000;

/// One difference between the two sides.
#[derive(Clone, Debug, Serialize)]
pub struct Difference {
    /// Mailbox at the old server.
    pub mailbox: String,
    /// UID there, or at the new server for a message that is only there.
    pub uid: Option<u32>,
    /// What is different.
    pub what: String,
}

/// What a verification found.
#[derive(Clone, Debug, Default, Serialize)]
pub struct VerifyReport {
    /// Mailboxes compared.
    pub mailboxes: u64,
    /// Messages at the old server that were compared.
    pub messages: u64,
    /// Octets read on both sides.
    pub bytes: u64,
    /// Number of differences.
    pub differences: u64,
    /// The first of them by name.
    pub named: Vec<Difference>,
    /// Messages only at the new server (arrived since, no difference in a move).
    pub only_at_target: u64,
    /// Wall time.
    pub seconds: f64,
}

impl VerifyReport {
    pub(crate) fn differ(&mut self, mailbox: &str, uid: Option<u32>, what: String) {
        self.differences += 1;
        if self.named.len() < NAMED {
            self.named.push(Difference { mailbox: mailbox.to_owned(), uid, what });
        }
    }

    /// The report for people.
    #[must_use]
    pub fn text(&self) -> String {
        let mut out = String::new();
        for difference in &self.named {
            let uid = difference.uid.map(|u| format!(" UID {u}")).unwrap_or_default();
            out.push_str(&format!("DIFFERENT {}{uid}: {}\n", difference.mailbox, difference.what));
        }
        out.push_str(&format!(
            "verified {} messages ({} octets on both sides) in {} mailboxes in {:.1} s: \
             {} differences",
            self.messages, self.bytes, self.mailboxes, self.seconds, self.differences
        ));
        if self.only_at_target > 0 {
            out.push_str(&format!(", {} messages only at the new server", self.only_at_target));
        }
        out.push('\n');
        out
    }
}

/// One message as it counts: digest, flags in one spelling, date in seconds.
struct Counted {
    uid: u32,
    digest: blake3::Hash,
    flags: String,
    date: Option<i64>,
    date_text: Box<str>,
}

/// Compares one mailbox.
pub(crate) async fn mailbox(
    source: &mut Session,
    target: &mut Session,
    planned: &Planned,
    filter: DateFilter,
    report: &mut VerifyReport,
) -> Result<()> {
    report.mailboxes += 1;
    let theirs = read_all(target, &planned.target_wire);
    let ours = read_all(source, &planned.source_wire);
    let (ours, theirs) = tokio::try_join!(ours, theirs)?;
    let Some((ours, our_bytes, unreadable)) = ours else {
        report.differ(&planned.source, None, "cannot be opened at the old server".into());
        return Ok(());
    };
    let Some((theirs, their_bytes, lost_there)) = theirs else {
        report.differ(&planned.source, None, "is not at the new server".into());
        return Ok(());
    };
    for uid in unreadable {
        report.differ(&planned.source, Some(uid), "cannot be read at the old server".into());
    }
    for uid in lost_there {
        let what = format!("UID {uid} at the new server cannot be read there");
        report.differ(&planned.source, None, what);
    }
    let wanted: Vec<&Counted> = ours
        .iter()
        .filter(|m| filter.takes((!m.date_text.is_empty()).then_some(&*m.date_text)))
        .collect();
    report.messages += wanted.len() as u64;
    report.bytes += our_bytes + their_bytes;
    compare(&planned.source, &wanted, &theirs, report);
    Ok(())
}

/// Matches equal content first with equal flags and date, then names what is left.
fn compare(name: &str, ours: &[&Counted], theirs: &[Counted], report: &mut VerifyReport) {
    let mut there: HashMap<blake3::Hash, Vec<&Counted>> = HashMap::new();
    for message in theirs {
        there.entry(message.digest).or_default().push(message);
    }
    let mut left = Vec::new();
    for message in ours {
        let exact = there.get_mut(&message.digest).and_then(|all| {
            let at = all.iter().position(|t| t.flags == message.flags && t.date == message.date)?;
            Some(all.swap_remove(at))
        });
        if exact.is_none() {
            left.push(*message);
        }
    }
    for message in left {
        let Some(other) = there.get_mut(&message.digest).and_then(Vec::pop) else {
            let what = "is not at the new server with these octets".to_owned();
            report.differ(name, Some(message.uid), what);
            continue;
        };
        if other.flags != message.flags {
            let what = format!(
                "flags are ({}) at the old server and ({}) at the new one (UID {})",
                message.flags, other.flags, other.uid
            );
            report.differ(name, Some(message.uid), what);
        }
        if other.date != message.date {
            let what = format!(
                "arrived \"{}\" at the old server and \"{}\" at the new one (UID {})",
                message.date_text, other.date_text, other.uid
            );
            report.differ(name, Some(message.uid), what);
        }
    }
    // What is left there is new mail, unless its content is that of a message here: then it came
    // across twice.
    let known: std::collections::HashSet<blake3::Hash> = ours.iter().map(|m| m.digest).collect();
    for message in there.into_values().flatten() {
        if known.contains(&message.digest) {
            let what = "is at the new server more often than at the old one".to_owned();
            report.differ(name, Some(message.uid), what);
        } else {
            report.only_at_target += 1;
        }
    }
}

type Read = (Vec<Counted>, u64, Vec<u32>);

async fn read_all(session: &mut Session, wire: &[u8]) -> Result<Option<Read>> {
    let selected = match source::select(session, wire, false).await {
        Ok(selected) => selected,
        Err(MoveError::Refused { .. }) => return Ok(None),
        Err(e) => return Err(e),
    };
    let mut all = Vec::new();
    let mut unreadable = Vec::new();
    let mut bytes = 0;
    let mut first = 1;
    while first <= selected.exists {
        let last = selected.exists.min(first.saturating_add(source::WINDOW - 1));
        let metas = source::list(session, first, last).await?;
        let digests: BTreeMap<usize, blake3::Hash> =
            resume::digests(session, &metas).await?.into_iter().collect();
        for (index, meta) in metas.iter().enumerate() {
            match digests.get(&index) {
                Some(digest) => {
                    bytes += meta.size;
                    all.push(counted(meta, *digest));
                }
                None => unreadable.push(meta.uid),
            }
        }
        first = last + 1;
    }
    Ok(Some((all, bytes, unreadable)))
}

fn counted(meta: &Meta, digest: blake3::Hash) -> Counted {
    let mut flags: Vec<String> = meta.flags.split(' ').map(one_spelling).collect();
    flags.retain(|f| !f.is_empty());
    flags.sort();
    flags.dedup();
    Counted {
        uid: meta.uid,
        digest,
        flags: flags.join(" "),
        date: seconds_of(&meta.date),
        date_text: meta.date.clone(),
    }
}

/// Flags compare without regard to case, and the two spellings of one flag are one.
fn one_spelling(flag: &str) -> String {
    let lower = flag.to_ascii_lowercase();
    match lower.as_str() {
        "forwarded" => "$forwarded".into(),
        "$mdn" => "$mdnsent".into(),
        "junk" => "$junk".into(),
        "nonjunk" | "notjunk" | "$nonjunk" => "$notjunk".into(),
        _ => lower,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(uid: u32, content: &str, flags: &str, date: i64) -> Counted {
        Counted {
            uid,
            digest: blake3::hash(content.as_bytes()),
            flags: flags.into(),
            date: Some(date),
            date_text: date.to_string().into(),
        }
    }

    fn differences(ours: &[Counted], theirs: &[Counted]) -> VerifyReport {
        let mut report = VerifyReport::default();
        compare("INBOX", &ours.iter().collect::<Vec<_>>(), theirs, &mut report);
        report
    }

    #[test]
    fn equal_copies_count_and_order_does_not() {
        let ours = [message(1, "a", "", 1), message(2, "a", "\\seen", 1), message(3, "b", "", 2)];
        let theirs = [message(9, "b", "", 2), message(8, "a", "\\seen", 1), message(7, "a", "", 1)];
        assert_eq!(differences(&ours, &theirs).differences, 0);
        let report = differences(&ours, &theirs[..2]);
        assert_eq!(report.differences, 1);
        assert_eq!(report.named[0].uid, Some(1));
    }

    #[test]
    fn a_message_that_came_across_twice_is_a_difference() {
        let ours = [message(1, "a", "", 1)];
        let theirs = [message(1, "a", "", 1), message(2, "a", "", 1)];
        let report = differences(&ours, &theirs);
        assert_eq!((report.differences, report.only_at_target), (1, 0));
    }

    #[test]
    fn flags_and_dates_are_differences_and_newcomers_are_not() {
        let ours = [message(1, "a", "\\seen", 1), message(2, "b", "", 5)];
        let theirs = [message(1, "a", "", 1), message(2, "b", "", 6), message(3, "new", "", 9)];
        let report = differences(&ours, &theirs);
        assert_eq!(report.differences, 2);
        assert_eq!(report.only_at_target, 1);
        assert!(report.named[0].what.contains("flags"));
        assert!(report.named[1].what.contains("arrived"));
    }
}
