//! What was sent to one account and what was acknowledged, held against what can be read.
//!
//! Everything is entered before it is sent and again when it is acknowledged, so that at any
//! moment the ledger knows what must be there, what may be there and what must not. It must never
//! know a socket.

use std::collections::{BTreeMap, BTreeSet};

/// Digest of a message's bytes.
pub type Digest = [u8; 32];

/// Header field that names a message.
pub const ID_FIELD: &str = "X-Crash-Id: ";

/// One message as read.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Its UID.
    pub uid: u32,
    /// Its flags without `\Recent`.
    pub flags: BTreeSet<String>,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

impl Seen {
    /// The name in its header.
    #[must_use]
    pub fn id(&self) -> Option<&str> {
        identity(&self.bytes)
    }
}

/// The name in a message's header.
#[must_use]
pub fn identity(bytes: &[u8]) -> Option<&str> {
    let mut lines = bytes.split(|byte| *byte == b'\n').take_while(|line| line != b"\r");
    let line = lines.find_map(|line| line.strip_prefix(ID_FIELD.as_bytes()))?;
    std::str::from_utf8(line).ok().map(str::trim)
}

/// A mailbox as read.
#[derive(Clone, Debug, Default)]
pub struct MailboxSeen {
    /// UIDVALIDITY.
    pub validity: u32,
    /// UIDNEXT.
    pub uid_next: u32,
    /// The messages in the order they were read.
    pub messages: Vec<Seen>,
}

/// An account as read: its mailboxes by name.
pub type AccountSeen = BTreeMap<String, MailboxSeen>;

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// An acknowledged message is not there.
    Lost,
    /// A message is there more than once.
    Twice,
    /// A message has other bytes than were sent.
    Damaged,
    /// A message is in a mailbox where nobody put it.
    Misplaced,
    /// A message has flags nobody gave it, or has lost acknowledged ones.
    Flags,
    /// UIDs do not ascend, were reused or lost their validity.
    Uids,
    /// Of messages appended together only some are there.
    Partial,
    /// An acknowledged removal was undone.
    Revived,
    /// A message nobody sent.
    Unknown,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Problem {
    /// What.
    pub kind: Kind,
    /// Where.
    pub text: String,
}

/// How sure it is that a message is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Sent, not acknowledged: there at most once.
    Attempted,
    /// Acknowledged: there exactly once.
    Certain,
    /// Its removal was sent, not acknowledged: there at most once.
    Leaving,
    /// Its removal was acknowledged: not there.
    Gone,
}

#[derive(Debug)]
struct Expected {
    stage: Stage,
    length: usize,
    digest: Digest,
    /// False when the server may have put fields in front (SMTP).
    exact: bool,
    places: BTreeSet<String>,
    flags: Vec<BTreeSet<String>>,
}

#[derive(Debug, Default)]
struct UidHistory {
    validity: Option<u32>,
    /// Which message each UID was, ever.
    owners: BTreeMap<u32, String>,
    /// UIDNEXT when last read: a UID not known by then is at or above it.
    floor: u32,
}

/// A message to be entered.
#[derive(Clone, Debug)]
pub struct Sent<'a> {
    /// Its name.
    pub id: &'a str,
    /// The bytes sent.
    pub bytes: &'a [u8],
    /// False when the server may put header fields in front.
    pub exact: bool,
    /// The mailbox.
    pub mailbox: &'a str,
    /// Its flags.
    pub flags: BTreeSet<String>,
}

/// The ledger of one account.
#[derive(Debug, Default)]
pub struct Ledger {
    messages: BTreeMap<String, Expected>,
    mailboxes: BTreeMap<String, UidHistory>,
    /// Messages sent in one MULTIAPPEND that was not acknowledged.
    groups: Vec<Vec<String>>,
}

impl Ledger {
    /// A message is about to be sent.
    pub fn attempt(&mut self, sent: Sent<'_>) {
        let expected = Expected {
            stage: Stage::Attempted,
            length: sent.bytes.len(),
            digest: blake3::hash(sent.bytes).into(),
            exact: sent.exact,
            places: BTreeSet::from([sent.mailbox.to_owned()]),
            flags: vec![sent.flags],
        };
        self.messages.insert(sent.id.to_owned(), expected);
    }

    /// Messages are about to be sent as one.
    pub fn attempt_together(&mut self, ids: Vec<String>) {
        self.groups.push(ids);
    }

    /// A message was acknowledged.
    pub fn acknowledge(&mut self, id: &str) {
        if let Some(expected) = self.messages.get_mut(id) {
            expected.stage = Stage::Certain;
        }
        self.groups.retain(|group| !group.iter().any(|one| one == id));
    }

    /// The server named the UID of a message. A second message of the same UID is a problem that
    /// the next look reports.
    pub fn learn_uid(&mut self, mailbox: &str, uid: u32, id: &str) {
        let history = self.mailboxes.entry(mailbox.to_owned()).or_default();
        history.owners.entry(uid).or_insert_with(|| id.to_owned());
    }

    /// A move is about to be asked for.
    pub fn attempt_move(&mut self, id: &str, to: &str) {
        if let Some(expected) = self.messages.get_mut(id) {
            expected.places.insert(to.to_owned());
        }
    }

    /// A move was acknowledged; it also shows that the message was there.
    pub fn acknowledge_move(&mut self, id: &str, to: &str) {
        if let Some(expected) = self.messages.get_mut(id) {
            expected.places = BTreeSet::from([to.to_owned()]);
            expected.stage = Stage::Certain;
        }
    }

    /// A change of flags is about to be asked for: they are the old ones or these.
    pub fn attempt_flags(&mut self, id: &str, flags: BTreeSet<String>) {
        if let Some(expected) = self.messages.get_mut(id) {
            expected.flags.push(flags);
        }
    }

    /// The last change of flags was acknowledged.
    pub fn acknowledge_flags(&mut self, id: &str) {
        if let Some(expected) = self.messages.get_mut(id) {
            let last = expected.flags.pop();
            expected.flags = last.into_iter().collect();
        }
    }

    /// The flags a message has, when they are certain.
    #[must_use]
    pub fn flags(&self, id: &str) -> Option<&BTreeSet<String>> {
        match self.messages.get(id)?.flags.as_slice() {
            [only] => Some(only),
            _ => None,
        }
    }

    /// A removal is about to be asked for.
    pub fn attempt_removal(&mut self, id: &str) {
        if let Some(expected) = self.messages.get_mut(id) {
            expected.stage = Stage::Leaving;
            let mut deleted = expected.flags.clone();
            for flags in &mut deleted {
                flags.insert("\\Deleted".to_owned());
            }
            expected.flags.extend(deleted);
        }
    }

    /// A removal was acknowledged.
    pub fn acknowledge_removal(&mut self, id: &str) {
        if let Some(expected) = self.messages.get_mut(id) {
            expected.stage = Stage::Gone;
        }
    }

    /// Number of acknowledged messages that are not there (yet).
    #[must_use]
    pub fn missing(&self, seen: &AccountSeen) -> usize {
        let there: BTreeSet<&str> =
            seen.values().flat_map(|m| &m.messages).filter_map(Seen::id).collect();
        let certain = self.messages.iter().filter(|(_, e)| e.stage == Stage::Certain);
        certain.filter(|(id, _)| !there.contains(id.as_str())).count()
    }

    /// Everything that is wrong with what was read.
    #[must_use]
    pub fn problems(&self, seen: &AccountSeen) -> Vec<Problem> {
        let mut found = Vec::new();
        let mut places: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (name, mailbox) in seen {
            self.uid_problems(name, mailbox, &mut found);
            for message in &mailbox.messages {
                let known = message.id().and_then(|id| self.messages.get_key_value(id));
                let Some((id, expected)) = known else {
                    let text = format!("{name} {}: {:?}", message.uid, message.id());
                    found.push(Problem { kind: Kind::Unknown, text });
                    continue;
                };
                places.entry(id).or_default().push(name);
                expected.problems(name, message, id, &mut found);
            }
        }
        for (id, expected) in &self.messages {
            let times = places.get(id.as_str()).map_or(0, Vec::len);
            let kind = match (expected.stage, times) {
                (Stage::Certain, 0) => Kind::Lost,
                (Stage::Gone, 1..) => Kind::Revived,
                (_, 2..) => Kind::Twice,
                _ => continue,
            };
            let text = format!("{id} in {:?} of {:?}", places.get(id.as_str()), expected.places);
            found.push(Problem { kind, text });
        }
        for group in &self.groups {
            let there = group.iter().filter(|id| places.contains_key(id.as_str())).count();
            if there != 0 && there != group.len() {
                let text = format!("{there} of {group:?}");
                found.push(Problem { kind: Kind::Partial, text });
            }
        }
        found
    }

    fn uid_problems(&self, name: &str, mailbox: &MailboxSeen, found: &mut Vec<Problem>) {
        let mut wrong = |text: String| found.push(Problem { kind: Kind::Uids, text });
        if !mailbox.messages.is_sorted_by(|a, b| a.uid < b.uid) {
            wrong(format!("{name}: UIDs do not ascend"));
        }
        let last = mailbox.messages.iter().map(|message| message.uid).max().unwrap_or(0);
        if mailbox.uid_next <= last {
            wrong(format!("{name}: UIDNEXT {} with UID {last}", mailbox.uid_next));
        }
        let Some(history) = self.mailboxes.get(name) else { return };
        if history.validity.is_some_and(|before| before != mailbox.validity) {
            wrong(format!("{name}: UIDVALIDITY {} was {:?}", mailbox.validity, history.validity));
        }
        if mailbox.uid_next < history.floor {
            wrong(format!("{name}: UIDNEXT {} was {}", mailbox.uid_next, history.floor));
        }
        if let Some((uid, id)) = history.owners.last_key_value()
            && mailbox.uid_next <= *uid
        {
            wrong(format!("{name}: UIDNEXT {} after UID {uid} of {id}", mailbox.uid_next));
        }
        for message in &mailbox.messages {
            let owner = history.owners.get(&message.uid).map(String::as_str);
            if owner.is_some() && owner != message.id() {
                wrong(format!("{name} {}: {:?} was {owner:?}", message.uid, message.id()));
            }
            if owner.is_none() && message.uid < history.floor {
                wrong(format!("{name} {}: new below {}", message.uid, history.floor));
            }
        }
    }

    /// Takes what was read as what is: what may have been there and was, is certain now.
    pub fn settle(&mut self, seen: &AccountSeen) {
        let mut there = BTreeSet::new();
        for (name, mailbox) in seen {
            let history = self.mailboxes.entry(name.clone()).or_default();
            history.validity = Some(mailbox.validity);
            history.floor = mailbox.uid_next;
            for message in &mailbox.messages {
                let Some(id) = message.id() else { continue };
                history.owners.insert(message.uid, id.to_owned());
                there.insert(id.to_owned());
                if let Some(expected) = self.messages.get_mut(id) {
                    expected.stage = Stage::Certain;
                    expected.places = BTreeSet::from([name.clone()]);
                    expected.flags = vec![message.flags.clone()];
                }
            }
        }
        for (id, expected) in &mut self.messages {
            // A message that was only attempted may still be on its way through the queue.
            if expected.stage != Stage::Attempted && !there.contains(id) {
                expected.stage = Stage::Gone;
            }
        }
        self.groups.clear();
    }
}

impl Expected {
    fn problems(&self, name: &str, message: &Seen, id: &str, found: &mut Vec<Problem>) {
        let mut wrong = |kind, text: String| {
            let text = format!("{name} {} {id}: {text}", message.uid);
            found.push(Problem { kind, text });
        };
        let extra = message.bytes.len().checked_sub(self.length);
        let own = extra.and_then(|extra| message.bytes.get(extra..)).unwrap_or_default();
        if *blake3::hash(own).as_bytes() != self.digest || (self.exact && extra != Some(0)) {
            let (length, sent) = (message.bytes.len(), self.length);
            wrong(Kind::Damaged, format!("{length} octets, {sent} were sent"));
        }
        if !self.places.contains(name) {
            wrong(Kind::Misplaced, format!("belongs into {:?}", self.places));
        }
        if !self.flags.contains(&message.flags) {
            wrong(Kind::Flags, format!("{:?} instead of {:?}", message.flags, self.flags));
        }
    }
}

#[cfg(test)]
mod tests;
