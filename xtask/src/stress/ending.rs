//! Before and after the random part: the shared mailboxes with their counter messages, and the
//! reckoning at the end. It must never know how a session chose what it did.

use std::collections::BTreeMap;
use std::sync::PoisonError;
use std::time::Duration;

use super::choice::{BITS, counter};
use super::command::{Kind, command};
use super::faults::{Fault, fault};
use super::message;
use super::reader::Condition;
use super::refused;
use super::session::Session;
use super::view::Flags;

/// How long a server has to finish what cut connections left it.
const SETTLING: Duration = Duration::from_millis(500);

/// What a session sees when all is quiet.
pub(super) struct Final {
    session: usize,
    key: String,
    messages: BTreeMap<u32, Flags>,
}

impl Session<'_> {
    fn must(&mut self, text: String, kind: Kind, what: &str) -> Result<(), Fault> {
        let ends = self.run(vec![command(text, kind)])?;
        if ends.last() == Some(&Condition::Ok) { Ok(()) } else { Err(refused(what)) }
    }

    /// Makes the shared mailboxes, each with its counter message as the first.
    pub(super) fn prepare(&mut self) -> Result<(), Fault> {
        self.come()?;
        let options = self.shared.options.clone();
        for at in 0..options.mailboxes {
            let place = self.shared.place(self.number, at);
            // What an earlier run left.
            self.run(vec![command(format!("DELETE \"{}\"", place.name), Kind::Plain("DELETE"))])?;
            self.refused.clear();
            self.must(
                format!("CREATE \"{}\"", place.name),
                Kind::Plain("CREATE"),
                "a shared mailbox",
            )?;
            if let Some(second) = &options.second_user {
                let text = format!("SETACL \"{}\" \"{second}\" lrswitex", place.name);
                self.must(text, Kind::Plain("SETACL"), "sharing")?;
            }
            let token = format!("s{}-counter-{at}z", options.seed);
            let body = message::bytes(&token);
            let before = self.shared.ledger.before(&place.key);
            if !self.can("LITERAL+") && !self.can("LITERAL-") {
                return Err(fault("connection", "the server has neither LITERAL+ nor LITERAL-"));
            }
            let mut text =
                format!("APPEND \"{}\" {{{}+}}\r\n", place.name, body.len()).into_bytes();
            text.extend_from_slice(&body);
            let kind = Kind::Append { to: place, tokens: vec![token], doomed: false, before };
            if self.run(vec![command(text, kind)])?.last() != Some(&Condition::Ok) {
                return Err(refused("APPEND"));
            }
        }
        Ok(())
    }

    /// All is quiet: the flags this session was told are those it fetches; its view is handed in.
    pub(super) fn settle(&mut self) -> Result<(), Fault> {
        std::thread::sleep(SETTLING);
        if self.wire.is_none() {
            self.come()?;
        }
        if self.selected.is_none() {
            let place = self.shared.place(self.number, self.number % self.shared.options.mailboxes);
            self.open(place, true)?;
        }
        self.look()?;
        for name in self.side.clone() {
            let place = super::command::Place { key: name.clone(), name, own: true };
            self.open(place.clone(), true)?;
            let found = self.look()?;
            let named = found
                .keys()
                .map(|uid| (*uid, self.shared.ledger.token(&place.key, *uid).unwrap_or_default()));
            self.judged(self.shared.ledger.settle(&place.key, &named.collect()))?;
        }
        Ok(())
    }

    /// Holds the view against a fresh FETCH.
    fn look(&mut self) -> Result<BTreeMap<u32, Flags>, Fault> {
        self.run(vec![command("NOOP", Kind::Plain("NOOP"))])?;
        self.learn(None)?;
        let told = self.seen();
        let count = self.view().map_or(0, super::view::View::len);
        if told.len() != count {
            self.broken("unanswered", format!("{} of {count} messages are known", told.len()))?;
        }
        if count > 0 {
            let kind = Kind::Fetch {
                uid: false,
                uids: told.keys().copied().collect(),
                unknown: None,
                vanished: false,
                verify: None,
                opened: None,
            };
            self.run(vec![command("FETCH 1:* (UID FLAGS)", kind)])?;
        }
        let fetched = self.seen();
        for (uid, flags) in &told {
            if fetched.get(uid) != Some(flags) {
                let text = format!("UID {uid} was told {flags:?}, is {:?}", fetched.get(uid));
                self.broken("flags", text)?;
            }
        }
        let mut finals = self.shared.finals.lock().unwrap_or_else(PoisonError::into_inner);
        let (session, key) = (self.number, self.key());
        finals.push(Final { session, key, messages: fetched.clone() });
        Ok(fetched)
    }

    fn seen(&self) -> BTreeMap<u32, Flags> {
        let slots = self.view().map(|view| view.slots.as_slice()).unwrap_or_default();
        let known = slots.iter().filter(|slot| slot.uid != 0 && !slot.missed);
        known.filter_map(|slot| Some((slot.uid, slot.flags.clone()?))).collect()
    }

    /// Every view, a fresh look and the ledger agree on every shared mailbox.
    pub(super) fn conclude(&mut self) -> Result<(), Fault> {
        self.wire = None;
        self.come()?;
        for at in 0..self.shared.options.mailboxes {
            let place = self.shared.place(self.number, at);
            let key = place.key.clone();
            self.open(place, true)?;
            let kind = Kind::Fetch {
                uid: true,
                uids: Vec::new(),
                unknown: None,
                vanished: false,
                verify: None,
                opened: None,
            };
            self.run(vec![command("UID FETCH 1:* (FLAGS RFC822.SIZE BODY.PEEK[])", kind)])?;
            let fresh = self.seen();
            let named = fresh
                .keys()
                .map(|uid| (*uid, self.shared.ledger.token(&key, *uid).unwrap_or_default()));
            self.judged(self.shared.ledger.settle(&key, &named.collect()))?;
            let first = fresh.first_key_value().map(|(_, flags)| counter(flags));
            let count = self.shared.ledger.count(&key) % (1 << BITS);
            if first != Some(count) {
                let text = format!("{key} was raised to {count} and is at {first:?}");
                self.broken("lost-update", text)?;
            }
            let finals = std::mem::take(
                &mut *self.shared.finals.lock().unwrap_or_else(PoisonError::into_inner),
            );
            let (here, others): (Vec<_>, Vec<_>) = finals.into_iter().partition(|f| f.key == key);
            *self.shared.finals.lock().unwrap_or_else(PoisonError::into_inner) = others;
            for one in here {
                if one.messages != fresh {
                    let text = format!(
                        "session {} sees {:?}, a fresh look {fresh:?}",
                        one.session, one.messages
                    );
                    self.broken("flags", text)?;
                }
            }
        }
        Ok(())
    }
}
