//! What all sessions together know of each mailbox: which UID is which message, who acknowledged
//! it, who may have removed it, and every set of flags seen with a MODSEQ. Its clock orders what
//! one session saw before another asked. It must never know the protocol.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Mutex, PoisonError};

use super::faults::{Fault, fault};
use super::view::Flags;

/// Most sets of flags remembered of one message.
const MOST_STATES: usize = 64;

/// Messages of a mailbox kept in full, before those long gone are buried.
const MOST_MESSAGES: usize = 20_000;

/// Ticks of the clock after which a message is long gone.
const LONG: u64 = 2_000_000;

/// One message.
#[derive(Clone, Debug, Default)]
struct Message {
    token: Option<String>,
    /// When it was acknowledged.
    acked: Option<u64>,
    /// When somebody was first told that it is gone.
    gone: Option<u64>,
    /// Somebody asked for something that may remove it.
    doomed: bool,
    /// It may bear `\Deleted`, and so may its copies.
    deleted: bool,
    /// A MOVE of it was acknowledged.
    moved: bool,
    /// Largest MODSEQ anybody was told.
    modseq: u64,
    states: BTreeMap<u64, Flags>,
}

/// One mailbox.
#[derive(Clone, Debug, Default)]
struct Mailbox {
    validity: Option<u32>,
    /// Smallest UID a new message may get.
    floor: u32,
    highest: u64,
    messages: BTreeMap<u32, Message>,
    /// UIDs of messages gone so long ago that nothing else of them is kept.
    buried: BTreeSet<u32>,
    counted: u64,
}

impl Mailbox {
    fn bury(&mut self, clock: u64) {
        if self.messages.len() <= MOST_MESSAGES {
            return;
        }
        let Self { messages, buried, .. } = self;
        messages.retain(|uid, message| {
            let long = message.gone.is_some_and(|gone| gone + LONG < clock && message.doomed);
            if long {
                buried.insert(*uid);
            }
            !long
        });
    }
}

#[derive(Debug, Default)]
struct Inner {
    clock: u64,
    mailboxes: HashMap<String, Mailbox>,
    /// UIDVALIDITY and floor of mailboxes that were deleted.
    graves: HashMap<String, (u32, u32)>,
    /// Messages sent whose answer was never read: they may be there, once.
    maybe: BTreeSet<String>,
    /// Messages cut off in their middle.
    never: BTreeSet<String>,
}

impl Inner {
    fn mailbox(&mut self, key: &str) -> &mut Mailbox {
        self.mailboxes.entry(key.to_owned()).or_default()
    }

    fn message(&mut self, key: &str, uid: u32) -> &mut Message {
        self.mailbox(key).messages.entry(uid).or_default()
    }
}

/// What is known before a command is sent, to be held against its answer.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Before {
    /// The time.
    pub(super) clock: u64,
    /// Smallest UID a new message may get.
    pub(super) floor: u32,
    /// Largest MODSEQ seen.
    pub(super) highest: u64,
}

/// The ledger.
#[derive(Debug, Default)]
pub(super) struct Ledger(Mutex<Inner>);

impl Ledger {
    fn with<T>(&self, act: impl FnOnce(&mut Inner) -> T) -> T {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        inner.clock += 1;
        act(&mut inner)
    }

    /// What is known of a mailbox now.
    pub(super) fn before(&self, key: &str) -> Before {
        self.with(|inner| {
            let clock = inner.clock;
            let mailbox = inner.mailbox(key);
            Before { clock, floor: mailbox.floor, highest: mailbox.highest }
        })
    }

    /// UIDVALIDITY was told.
    pub(super) fn validity(&self, key: &str, told: u32) -> Result<(), Fault> {
        self.with(|inner| {
            let grave = inner.graves.get(key).copied();
            let mailbox = inner.mailbox(key);
            if let Some(known) = mailbox.validity.filter(|known| *known != told) {
                return Err(fault("status", format!("UIDVALIDITY of {key}: {known} to {told}")));
            }
            mailbox.validity = Some(told);
            match grave {
                Some((old, floor)) if told < old || (told == old && mailbox.floor < floor) => {
                    let text = format!("{key} was deleted with UIDVALIDITY {old}, is {told}");
                    Err(fault("uid-reused", text))
                }
                _ => Ok(()),
            }
        })
    }

    /// UIDNEXT and HIGHESTMODSEQ were told in answer to a command sent after `before`.
    pub(super) fn counters(
        &self,
        key: &str,
        before: Before,
        next: Option<u32>,
        highest: Option<u64>,
    ) -> Result<(), Fault> {
        self.with(|inner| {
            let mailbox = inner.mailbox(key);
            if let Some(next) = next {
                if next < before.floor {
                    let text = format!("UIDNEXT {next} of {key}, known up to {}", before.floor);
                    return Err(fault("status", text));
                }
                mailbox.floor = mailbox.floor.max(next);
            }
            if let Some(highest) = highest {
                if highest < before.highest {
                    let text = format!("HIGHESTMODSEQ {highest} of {key} after {}", before.highest);
                    return Err(fault("status", text));
                }
                mailbox.highest = mailbox.highest.max(highest);
            }
            Ok(())
        })
    }

    /// A message was acknowledged at this UID.
    pub(super) fn acked(
        &self,
        key: &str,
        uid: u32,
        token: &str,
        before: Before,
        doomed: bool,
    ) -> Result<(), Fault> {
        self.with(|inner| {
            let clock = inner.clock;
            let mailbox = inner.mailbox(key);
            mailbox.floor = mailbox.floor.max(uid.saturating_add(1));
            if uid < before.floor {
                let text = format!("{token} got UID {uid} in {key}, known to {}", before.floor);
                return Err(fault("uid-reused", text));
            }
            let message = inner.message(key, uid);
            message.doomed |= doomed;
            message.deleted |= doomed;
            if message.acked.replace(clock).is_some() {
                return Err(fault("uid-reused", format!("UID {uid} of {key} was given twice")));
            }
            named(message, key, uid, token)
        })
    }

    /// A session read which message a UID is.
    pub(super) fn named(&self, key: &str, uid: u32, token: &str) -> Result<(), Fault> {
        self.with(|inner| {
            if inner.never.contains(token) {
                return Err(fault("lost", format!("{token} was cut off and is there")));
            }
            let mailbox = inner.mailbox(key);
            mailbox.floor = mailbox.floor.max(uid.saturating_add(1));
            named(inner.message(key, uid), key, uid, token)
        })
    }

    /// Token of a message.
    pub(super) fn token(&self, key: &str, uid: u32) -> Option<String> {
        self.with(|inner| inner.message(key, uid).token.clone())
    }

    /// A message was seen with these flags and MODSEQ.
    pub(super) fn seen(
        &self,
        key: &str,
        uid: u32,
        flags: Option<&Flags>,
        modseq: u64,
    ) -> Result<(), Fault> {
        self.with(|inner| {
            let mailbox = inner.mailbox(key);
            mailbox.highest = mailbox.highest.max(modseq);
            let message = inner.message(key, uid);
            message.modseq = message.modseq.max(modseq);
            let Some(flags) = flags.filter(|_| message.gone.is_none()) else { return Ok(()) };
            if let Some(other) = message.states.get(&modseq).filter(|other| *other != flags) {
                let text =
                    format!("UID {uid} of {key} at MODSEQ {modseq}: {other:?} and {flags:?}");
                return Err(fault("flags", text));
            }
            message.states.insert(modseq, flags.clone());
            if message.states.len() > MOST_STATES {
                message.states.pop_first();
            }
            Ok(())
        })
    }

    /// Largest MODSEQ anybody was told of a message.
    pub(super) fn modseq(&self, key: &str, uid: u32) -> u64 {
        self.with(|inner| inner.message(key, uid).modseq)
    }

    /// Something will be asked that may remove these; with `deleted` it sets `\Deleted`.
    pub(super) fn doom(&self, key: &str, uids: &[u32], deleted: bool) {
        self.with(|inner| {
            for uid in uids {
                let message = inner.message(key, *uid);
                message.doomed = true;
                message.deleted |= deleted;
            }
        });
    }

    /// True when something was asked that may remove it, or nobody has been told that it is to
    /// stay: a MOVE that comes too late withdraws its copies.
    pub(super) fn is_doomed(&self, key: &str, uid: u32) -> bool {
        self.with(|inner| {
            let buried = inner.mailbox(key).buried.contains(&uid);
            let message = inner.message(key, uid);
            buried || message.doomed || message.acked.is_none()
        })
    }

    /// True when somebody may have set `\Deleted` on it.
    pub(super) fn is_deleted(&self, key: &str, uid: u32) -> bool {
        self.with(|inner| {
            inner.mailbox(key).buried.contains(&uid) || inner.message(key, uid).deleted
        })
    }

    /// A session was told that a message is gone.
    pub(super) fn gone(&self, key: &str, uid: u32) -> Result<(), Fault> {
        self.with(|inner| {
            let clock = inner.clock;
            let mailbox = inner.mailbox(key);
            mailbox.bury(clock);
            if mailbox.buried.contains(&uid) {
                return Ok(());
            }
            let message = mailbox.messages.entry(uid).or_default();
            message.gone.get_or_insert(clock);
            message.states.clear();
            if message.acked.is_some() && !message.doomed {
                let text = format!("UID {uid} of {key} ({:?}) is gone", message.token);
                return Err(fault("gone-unasked", text));
            }
            Ok(())
        })
    }

    /// A client that comes back was told that a message is gone; it may never have been.
    pub(super) fn gone_meanwhile(&self, key: &str, uid: u32) -> Result<(), Fault> {
        let known = self.with(|inner| inner.mailbox(key).messages.contains_key(&uid));
        if known { self.gone(key, uid) } else { Ok(()) }
    }

    /// A MOVE of a message was acknowledged.
    pub(super) fn moved(&self, key: &str, uid: u32) -> Result<(), Fault> {
        self.with(|inner| {
            let clock = inner.clock;
            let message = inner.message(key, uid);
            message.gone.get_or_insert(clock);
            if std::mem::replace(&mut message.moved, true) {
                return Err(fault("moved-twice", format!("UID {uid} of {key}")));
            }
            Ok(())
        })
    }

    /// What a mailbox opened after `before` shows, all of it.
    pub(super) fn opened(&self, key: &str, before: Before, uids: &[u32]) -> Result<(), Fault> {
        let shown: BTreeSet<u32> = uids.iter().copied().collect();
        self.with(|inner| {
            let mailbox = inner.mailbox(key);
            if let Some(uid) = shown.intersection(&mailbox.buried).next() {
                return Err(fault("came-back", format!("UID {uid} of {key}, long gone")));
            }
            for (uid, message) in &mailbox.messages {
                let there = shown.contains(uid);
                let text = || format!("UID {uid} of {key}: {message:?}");
                if there && message.gone.is_some_and(|gone| gone < before.clock) {
                    return Err(fault("came-back", text()));
                }
                let acked = message.acked.is_some_and(|acked| acked < before.clock);
                if !there && acked && !message.doomed {
                    return Err(fault("lost", text()));
                }
            }
            Ok(())
        })
    }

    /// A message was sent whose answer will not be read; with `never` not even wholly.
    pub(super) fn unanswered(&self, token: &str, never: bool) {
        self.with(|inner| {
            let set = if never { &mut inner.never } else { &mut inner.maybe };
            set.insert(token.to_owned());
        });
    }

    /// A mailbox was renamed.
    pub(super) fn renamed(&self, from: &str, to: &str) {
        self.with(|inner| {
            if let Some(mailbox) = inner.mailboxes.remove(from) {
                let grave = (mailbox.validity.unwrap_or(0), mailbox.floor);
                inner.graves.insert(from.to_owned(), grave);
                inner.mailboxes.insert(to.to_owned(), mailbox);
            }
        });
    }

    /// A mailbox was deleted.
    pub(super) fn deleted(&self, key: &str) {
        self.with(|inner| {
            if let Some(Mailbox { validity: Some(validity), floor, .. }) =
                inner.mailboxes.remove(key)
            {
                inner.graves.insert(key.to_owned(), (validity, floor));
            }
        });
    }

    /// The counter message of a mailbox was raised by one.
    pub(super) fn raised(&self, key: &str) {
        self.with(|inner| inner.mailbox(key).counted += 1);
    }

    /// How often it was.
    pub(super) fn count(&self, key: &str) -> u64 {
        self.with(|inner| inner.mailbox(key).counted)
    }

    /// At the very end: what a mailbox holds, UID and token, is exactly what it must.
    pub(super) fn settle(&self, key: &str, found: &BTreeMap<u32, String>) -> Result<(), Fault> {
        self.with(|inner| {
            let maybe = inner.maybe.clone();
            let mailbox = inner.mailbox(key);
            for (uid, message) in &mailbox.messages {
                let text = || format!("UID {uid} of {key}: {message:?}");
                let there = found.contains_key(uid);
                if there && (message.gone.is_some() || message.moved) {
                    return Err(fault("came-back", text()));
                }
                if !there && message.acked.is_some() && !message.doomed {
                    return Err(fault("lost", text()));
                }
                // A MOVE that came too late may withdraw what it never acknowledged.
                if message.gone.is_some() && message.acked.is_some() && !message.doomed {
                    return Err(fault("gone-unasked", text()));
                }
            }
            let mut unacknowledged = BTreeSet::new();
            for (uid, token) in found {
                let message = mailbox.messages.entry(*uid).or_default();
                if message.token.as_ref().is_some_and(|known| known != token) {
                    let text = format!("UID {uid} of {key} is {token}, was {:?}", message.token);
                    return Err(fault("uid-reused", text));
                }
                if message.acked.is_none()
                    && (!maybe.contains(token) || !unacknowledged.insert(token.clone()))
                {
                    let text = format!("UID {uid} of {key} is {token}, which nobody put there");
                    return Err(fault("lost", text));
                }
            }
            Ok(())
        })
    }
}

fn named(message: &mut Message, key: &str, uid: u32, token: &str) -> Result<(), Fault> {
    match &message.token {
        Some(known) if known != token => {
            let text = format!("UID {uid} of {key} is {token} and {known}");
            Err(fault(if message.acked.is_some() { "copyuid" } else { "uid-reused" }, text))
        }
        _ => {
            message.token = Some(token.to_owned());
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule<T>(outcome: Result<T, Fault>) -> Option<&'static str> {
        outcome.err().map(|fault| fault.rule)
    }

    #[test]
    fn uids_are_given_once_and_name_one_message() {
        let ledger = Ledger::default();
        let before = ledger.before("A");
        assert_eq!(rule(ledger.acked("A", 4, "t", before, false)), None);
        assert_eq!(rule(ledger.acked("A", 4, "u", before, false)), Some("uid-reused"));
        let before = ledger.before("A");
        assert_eq!(rule(ledger.acked("A", 3, "u", before, false)), Some("uid-reused"));
        assert_eq!(rule(ledger.named("A", 4, "u")), Some("copyuid"));
        ledger.unanswered("half", true);
        assert_eq!(rule(ledger.named("A", 9, "half")), Some("lost"));
    }

    #[test]
    fn what_nobody_removed_stays_and_what_went_stays_away() {
        let ledger = Ledger::default();
        let before = ledger.before("A");
        for uid in 1..=3 {
            assert_eq!(rule(ledger.acked("A", uid, &uid.to_string(), before, false)), None);
        }
        assert_eq!(rule(ledger.gone("A", 1)), Some("gone-unasked"));
        ledger.doom("A", &[1, 2], true);
        assert_eq!(rule(ledger.gone("A", 2)), None);
        let later = ledger.before("A");
        assert_eq!(rule(ledger.opened("A", later, &[3])), None);
        assert_eq!(rule(ledger.opened("A", later, &[2, 3])), Some("came-back"));
        assert_eq!(rule(ledger.opened("A", later, &[])), Some("lost"));
        assert_eq!(rule(ledger.moved("A", 2)), None);
        assert_eq!(rule(ledger.moved("A", 2)), Some("moved-twice"));
        let found = |uids: &[u32]| uids.iter().map(|uid| (*uid, uid.to_string())).collect();
        assert_eq!(rule(ledger.settle("A", &found(&[3]))), None);
        assert_eq!(rule(ledger.settle("A", &found(&[]))), Some("lost"));
        assert_eq!(rule(ledger.settle("A", &found(&[2, 3]))), Some("came-back"));
        assert_eq!(rule(ledger.settle("A", &found(&[3, 4]))), Some("lost"));
    }

    #[test]
    fn one_modseq_has_one_set_of_flags_and_counters_never_fall() {
        let ledger = Ledger::default();
        let (none, seen) = (Flags::new(), Flags::from(["\\Seen".to_owned()]));
        assert_eq!(rule(ledger.seen("A", 1, Some(&none), 5)), None);
        assert_eq!(rule(ledger.seen("A", 1, Some(&seen), 6)), None);
        assert_eq!(rule(ledger.seen("A", 1, Some(&seen), 5)), Some("flags"));
        let before = ledger.before("A");
        assert_eq!(rule(ledger.counters("A", before, None, Some(5))), Some("status"));
        assert_eq!(rule(ledger.counters("A", before, Some(9), Some(6))), None);
        let before = ledger.before("A");
        assert_eq!(rule(ledger.counters("A", before, Some(8), None)), Some("status"));
        assert_eq!(rule(ledger.validity("A", 3)), None);
        assert_eq!(rule(ledger.validity("A", 4)), Some("status"));
        ledger.deleted("A");
        assert_eq!(rule(ledger.validity("A", 2)), Some("uid-reused"));
    }
}
