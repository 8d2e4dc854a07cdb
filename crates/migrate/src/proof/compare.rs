//! Two manifests compared: order and UIDs do not count; how often an equal message is there does.
//! Memory stays bounded for mailboxes of any size: a large one is compared in slices of the
//! digests, the files read once a slice.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;

use crate::error::{MoveError, Result};
use crate::proof::manifest::{Digest, Entry, Kind, Line, Reader};
use crate::verify::VerifyReport;

/// Most messages of both sides held at once, about 150 octets each.
const MOST_HELD: u64 = 200_000;

/// One difference, for whoever wants to mend it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// The message is not at the new server.
    Missing(Entry),
    /// It is there with other flags.
    Flags {
        /// At the old server.
        old: Entry,
        /// At the new one.
        new: Entry,
    },
    /// It is there with another date.
    Date {
        /// At the old server.
        old: Entry,
        /// At the new one.
        new: Entry,
    },
    /// It is there with another size (only told when the manifests are of listings).
    Size {
        /// At the old server.
        old: Entry,
        /// At the new one.
        new: Entry,
    },
    /// It is at the new server more often than at the old one.
    Double(Entry),
}

/// What a manifest holds, by the names mailboxes are joined by.
#[derive(Debug, Default)]
struct Contents {
    mailboxes: BTreeMap<String, Held>,
}

/// One mailbox of it: its name on that side, how much, and UIDs that could not be read.
#[derive(Debug, Default)]
struct Held {
    name: String,
    messages: u64,
    octets: u64,
    unreadable: Vec<u32>,
}

/// Compares two manifests. `found` hears of each difference that can be mended, with the name its
/// mailbox is joined by.
///
/// # Errors
/// `File` for a manifest that cannot be read, `Usage` for two whose digests are of different
/// things.
pub fn manifests(
    old: &Path,
    new: &Path,
    mut found: impl FnMut(&str, &Finding),
) -> Result<VerifyReport> {
    let (kind, ours) = contents(old)?;
    let (their_kind, theirs) = contents(new)?;
    if kind != their_kind {
        return Err(MoveError::Usage(
            "one manifest is of contents, the other of listings: they cannot be compared".into(),
        ));
    }
    let mut report = VerifyReport::default();
    for (joined, held) in &ours.mailboxes {
        report.mailboxes += 1;
        for uid in &held.unreadable {
            report.differ(&held.name, Some(*uid), "cannot be read at the old server".into());
        }
        let Some(there) = theirs.mailboxes.get(joined) else {
            report.differ(&held.name, None, "is not at the new server".into());
            continue;
        };
        for uid in &there.unreadable {
            let what = format!("UID {uid} at the new server cannot be read there");
            report.differ(&held.name, None, what);
        }
        report.messages += held.messages;
        report.bytes += held.octets + there.octets;
    }
    for slice in slices(&ours, &theirs) {
        let mut one = load(old, &slice)?;
        let mut other = load(new, &slice)?;
        for joined in &slice.names {
            let Some(held) = ours.mailboxes.get(*joined) else { continue };
            if !theirs.mailboxes.contains_key(*joined) {
                continue;
            }
            let (here, there) = (one.remove(*joined), other.remove(*joined));
            let newcomers = compare(
                here.unwrap_or_default(),
                there.unwrap_or_default(),
                kind,
                &mut |finding| {
                    tell(&held.name, finding, &mut report);
                    found(joined, finding);
                },
            );
            report.only_at_target += newcomers;
        }
    }
    Ok(report)
}

/// Which messages of which mailboxes are compared together.
struct Slice<'a> {
    names: HashSet<&'a str>,
    /// By the first octet of the digest: this part of so many.
    part: u16,
    parts: u16,
}

impl<'a> Slice<'a> {
    fn whole(name: &'a str) -> Self {
        Self { names: HashSet::from([name]), part: 0, parts: 1 }
    }

    fn takes(&self, digest: &Digest) -> bool {
        let first = u32::from(digest.first().copied().unwrap_or(0));
        first * u32::from(self.parts) / 256 == u32::from(self.part)
    }
}

fn slices<'a>(ours: &'a Contents, theirs: &Contents) -> Vec<Slice<'a>> {
    let mut all: Vec<Slice<'a>> = Vec::new();
    let mut held = u64::MAX;
    for (joined, mailbox) in &ours.mailboxes {
        let count = mailbox.messages + theirs.mailboxes.get(joined).map_or(0, |h| h.messages);
        if count > MOST_HELD {
            let parts = u16::try_from(count.div_ceil(MOST_HELD)).unwrap_or(256).min(256);
            all.extend((0..parts).map(|part| Slice { part, parts, ..Slice::whole(joined) }));
            held = u64::MAX;
            continue;
        }
        match all.last_mut() {
            Some(slice) if held.saturating_add(count) <= MOST_HELD => {
                slice.names.insert(joined);
                held += count;
            }
            _ => {
                all.push(Slice::whole(joined));
                held = count;
            }
        }
    }
    all
}

fn contents(path: &Path) -> Result<(Kind, Contents)> {
    let mut reader = Reader::open(path)?;
    let mut all = Contents::default();
    let mut current = String::new();
    while let Some(line) = reader.next_line()? {
        match line {
            Line::Mailbox(name, joined) => {
                let held = all.mailboxes.entry(joined.clone()).or_default();
                // Several mailboxes that became one are told by all their names.
                if held.name.is_empty() {
                    held.name = name;
                } else if held.name != name && held.name.len() < 1000 {
                    held.name = format!("{} + {name}", held.name);
                }
                current = joined;
            }
            Line::Message(entry) => {
                if let Some(held) = all.mailboxes.get_mut(&current) {
                    held.messages += 1;
                    held.octets = held.octets.saturating_add(entry.size);
                }
            }
            Line::Unreadable(uid) => {
                if let Some(held) = all.mailboxes.get_mut(&current) {
                    held.unreadable.push(uid);
                }
            }
        }
    }
    Ok((reader.kind, all))
}

fn load(path: &Path, slice: &Slice<'_>) -> Result<HashMap<String, Vec<Entry>>> {
    let mut reader = Reader::open(path)?;
    let mut all: HashMap<String, Vec<Entry>> = HashMap::new();
    let mut current: Option<String> = None;
    while let Some(line) = reader.next_line()? {
        match line {
            Line::Mailbox(_, joined) => {
                current = slice.names.contains(joined.as_str()).then_some(joined);
            }
            Line::Message(entry) if slice.takes(&entry.digest) => {
                if let Some(joined) = &current {
                    match all.get_mut(joined) {
                        Some(list) => list.push(entry),
                        None => drop(all.insert(joined.clone(), vec![entry])),
                    }
                }
            }
            _ => {}
        }
    }
    Ok(all)
}

/// Matches equal messages first with equal flags and date, then tells what is left. Answers how
/// many are only at the new server.
fn compare(
    ours: Vec<Entry>,
    theirs: Vec<Entry>,
    kind: Kind,
    tell: &mut dyn FnMut(&Finding),
) -> u64 {
    let known: HashSet<Digest> = ours.iter().map(|m| m.digest).collect();
    let mut there: HashMap<Digest, Vec<Entry>> = HashMap::new();
    for message in theirs {
        there.entry(message.digest).or_default().push(message);
    }
    let same = |a: &Entry, b: &Entry| {
        a.flags == b.flags && a.date == b.date && (kind == Kind::Content || a.size == b.size)
    };
    let mut left = Vec::new();
    for message in ours {
        let exact = there.get_mut(&message.digest).and_then(|all| {
            let at = all.iter().position(|t| same(t, &message))?;
            Some(all.swap_remove(at))
        });
        if exact.is_none() {
            left.push(message);
        }
    }
    for old in left {
        let Some(new) = there.get_mut(&old.digest).and_then(Vec::pop) else {
            tell(&Finding::Missing(old));
            continue;
        };
        if kind == Kind::Listing && old.size != new.size {
            tell(&Finding::Size { old: old.clone(), new: new.clone() });
        }
        if old.flags != new.flags {
            tell(&Finding::Flags { old: old.clone(), new: new.clone() });
        }
        if old.date != new.date {
            tell(&Finding::Date { old, new });
        }
    }
    // What is left there is new mail, unless its content is that of a message here: then it came
    // across twice.
    let mut newcomers = 0;
    for message in there.into_values().flatten() {
        if known.contains(&message.digest) {
            tell(&Finding::Double(message));
        } else {
            newcomers += 1;
        }
    }
    newcomers
}

fn tell(name: &str, finding: &Finding, report: &mut VerifyReport) {
    let (uid, what) = match finding {
        Finding::Missing(old) => {
            report.missing += 1;
            (old.uid, "is not at the new server with these octets".to_owned())
        }
        Finding::Flags { old, new } => (
            old.uid,
            format!(
                "flags are ({}) at the old server and ({}) at the new one (UID {})",
                old.flags, new.flags, new.uid
            ),
        ),
        Finding::Date { old, new } => (
            old.uid,
            format!(
                "arrived {} at the old server and {} at the new one (UID {})",
                moment(old.date),
                moment(new.date),
                new.uid
            ),
        ),
        Finding::Size { old, new } => (
            old.uid,
            format!(
                "has {} octets at the old server and {} at the new one (UID {})",
                old.size, new.size, new.uid
            ),
        ),
        Finding::Double(new) => {
            (new.uid, "is at the new server more often than at the old one (UID there)".to_owned())
        }
    };
    report.differ(name, Some(uid), what);
}

fn moment(date: Option<i64>) -> String {
    match date.and_then(|seconds| jiff::Timestamp::from_second(seconds).ok()) {
        Some(moment) => moment.to_string(),
        None => "at no time it tells".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proof::manifest::Writer;

    fn entry(uid: u32, content: &str, flags: &str, date: i64) -> Entry {
        Entry {
            digest: *blake3::hash(content.as_bytes()).as_bytes(),
            size: content.len() as u64,
            date: Some(date),
            flags: flags.into(),
            uid,
        }
    }

    fn written(folder: &Path, name: &str, boxes: &[(&str, &str, &[Entry])]) -> std::path::PathBuf {
        let path = folder.join(name);
        let mut writer = Writer::create(&path, Kind::Content).unwrap();
        for (name, joined, entries) in boxes {
            writer.add(&Line::Mailbox((*name).into(), (*joined).into())).unwrap();
            for entry in *entries {
                writer.add(&Line::Message(entry.clone())).unwrap();
            }
        }
        writer.finish().unwrap();
        path
    }

    fn compared(ours: &[Entry], theirs: &[Entry]) -> (VerifyReport, Vec<Finding>) {
        let folder = tempfile::tempdir().unwrap();
        let old = written(folder.path(), "old", &[("a.b", "a/b", ours)]);
        let new = written(folder.path(), "new", &[("a/b", "a/b", theirs)]);
        let mut findings = Vec::new();
        let report = manifests(&old, &new, |_, finding| findings.push(finding.clone())).unwrap();
        (report, findings)
    }

    #[test]
    fn equal_copies_count_and_order_does_not() {
        let ours = [entry(1, "a", "", 1), entry(2, "a", "\\seen", 1), entry(3, "b", "", 2)];
        let theirs = [entry(9, "b", "", 2), entry(8, "a", "\\seen", 1), entry(7, "a", "", 1)];
        assert_eq!(compared(&ours, &theirs).0.differences, 0);
        let (report, findings) = compared(&ours, &theirs[..2]);
        assert_eq!((report.differences, report.missing), (1, 1));
        assert_eq!(report.named[0].uid, Some(1));
        assert_eq!(report.named[0].mailbox, "a.b");
        assert!(matches!(&findings[..], [Finding::Missing(e)] if e.uid == 1));
    }

    #[test]
    fn a_message_that_came_across_twice_is_a_difference() {
        let ours = [entry(1, "a", "", 1)];
        let theirs = [entry(1, "a", "", 1), entry(2, "a", "", 1)];
        let report = compared(&ours, &theirs).0;
        assert_eq!((report.differences, report.only_at_target), (1, 0));
    }

    #[test]
    fn flags_and_dates_are_differences_and_newcomers_are_not() {
        let ours = [entry(1, "a", "\\seen", 1), entry(2, "b", "", 5)];
        let theirs = [entry(1, "a", "", 1), entry(2, "b", "", 6), entry(3, "new", "", 9)];
        let report = compared(&ours, &theirs).0;
        assert_eq!(report.differences, 2);
        assert_eq!(report.only_at_target, 1);
        let what: Vec<&str> = report.named.iter().map(|d| d.what.as_str()).collect();
        assert!(what[0].contains("flags") && what[1].contains("1970-01-01T00:00:05Z"), "{what:?}");
    }

    #[test]
    fn mailboxes_that_became_one_are_compared_as_one_and_missing_ones_are_told() {
        let folder = tempfile::tempdir().unwrap();
        let (a, b) = ([entry(1, "a", "", 1)], [entry(1, "b", "", 1)]);
        let both = [a[0].clone(), b[0].clone()];
        let boxes: [(&str, &str, &[Entry]); 3] =
            [("x", "one", &a), ("y", "one", &b), ("z", "none", &b)];
        let old = written(folder.path(), "old", &boxes);
        let new = written(folder.path(), "new", &[("one", "one", &both)]);
        let report = manifests(&old, &new, |_, _| {}).unwrap();
        assert_eq!(report.differences, 1);
        assert!(report.named[0].what.contains("is not at the new server"));
        assert_eq!(report.mailboxes, 2);
    }

    #[test]
    fn a_large_mailbox_is_compared_in_slices_with_the_same_outcome() {
        let ours: Vec<Entry> =
            (1..=110_000).map(|n| entry(n, &n.to_string(), "", i64::from(n))).collect();
        let mut theirs = ours.clone();
        theirs.remove(77_776);
        theirs.push(entry(1, "newcomer", "", 0));
        theirs[3].flags = "\\seen".into();
        let (report, findings) = compared(&ours, &theirs);
        assert_eq!((report.differences, report.only_at_target), (2, 1));
        assert!(findings.iter().any(|f| matches!(f, Finding::Missing(e) if e.uid == 77_777)));
        let (first, last) = (
            Slice { parts: 3, ..Slice::whole("") },
            Slice { part: 2, parts: 3, ..Slice::whole("") },
        );
        assert!(first.takes(&[0; 32]) && last.takes(&[255; 32]) && !first.takes(&[255; 32]));
    }
}
