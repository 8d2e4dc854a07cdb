//! Comings and goings of a session: connecting, opening a mailbox anew or with what was kept of
//! it, leaving it, and cutting the connection. It must never judge an answer.

use std::collections::BTreeMap;

use super::command::{Kind, Place, command, set};
use super::faults::{Fault, fault};
use super::message;
use super::reader::Condition;
use super::session::Session;
use super::view::Flags;

impl Session<'_> {
    /// Connects, logs in and enables what it likes.
    pub(super) fn come(&mut self) -> Result<(), Fault> {
        self.pending.clear();
        self.gathered = super::session::Gathered::default();
        self.selected = None;
        (self.condstore, self.qresync) = (false, false);
        let options = &self.shared.options;
        let wire = super::wire::Wire::connect(&options.host, options.port);
        self.wire = Some(wire.map_err(|text| fault("connection", text))?);
        let (user, password) = self.shared.login(self.number);
        self.step(super::session::PATIENCE)?;
        let login = format!("LOGIN \"{user}\" \"{password}\"");
        let ends = self.run(vec![
            command(login, Kind::Plain("LOGIN")),
            command("CAPABILITY", Kind::Plain("CAPABILITY")),
        ])?;
        if ends.iter().any(|end| *end != Condition::Ok) {
            return Err(fault("connection", "the log-in was refused"));
        }
        if self.can("QRESYNC") && self.dice.below(10) < 6 {
            self.run(vec![command("ENABLE QRESYNC", Kind::Plain("ENABLE"))])?;
            (self.condstore, self.qresync) = (true, true);
        } else if self.can("CONDSTORE") && self.can("ENABLE") && self.dice.below(2) == 0 {
            self.run(vec![command("ENABLE CONDSTORE", Kind::Plain("ENABLE"))])?;
            self.condstore = true;
        }
        Ok(())
    }

    pub(super) fn select(&mut self) -> Result<(), Fault> {
        let place = self.somewhere();
        let read_only = self.dice.below(6) == 0;
        self.open(place, read_only)
    }

    /// Opens a mailbox, with QRESYNC when it was kept, and reads all of it.
    pub(super) fn open(&mut self, place: Place, read_only: bool) -> Result<(), Fault> {
        self.keep();
        let word = if read_only { "EXAMINE" } else { "SELECT" };
        let mut text = format!("{word} \"{}\"", place.name);
        let before = self.shared.ledger.before(&place.key);
        let kept = self.kept.get(&place.key).filter(|_| self.qresync).cloned();
        let resync = kept.is_some();
        if let Some(kept) = kept {
            let uids: Vec<u32> = kept.messages.keys().copied().collect();
            let known = if self.dice.below(2) == 0 && !uids.is_empty() {
                format!(" {}", set(&uids))
            } else {
                String::new()
            };
            text.push_str(&format!(" (QRESYNC ({} {}{known}))", kept.validity, kept.highest));
        }
        let ends =
            self.run(vec![command(text, Kind::Select { place, read_only, resync, before })])?;
        if ends.last() != Some(&Condition::Ok) {
            return Err(fault("bad", "the mailbox cannot be opened"));
        }
        if resync {
            self.verify()?;
        }
        self.learn(Some(before))
    }

    /// After QRESYNC: fetches all flags to hold them against what was kept and told.
    fn verify(&mut self) -> Result<(), Fault> {
        let Some(selected) = self.selected.as_ref() else { return Ok(()) };
        let slots = &selected.view.slots;
        let flags: BTreeMap<u32, Flags> =
            slots.iter().filter_map(|slot| Some((slot.uid, slot.flags.clone()?))).collect();
        if slots.is_empty() {
            return Ok(());
        }
        let text = format!("FETCH 1:{} (UID FLAGS MODSEQ)", slots.len());
        let kind = Kind::Fetch {
            uid: false,
            uids: slots.iter().map(|slot| slot.uid).filter(|uid| *uid != 0).collect(),
            unknown: None,
            vanished: false,
            verify: Some((flags, selected.highest)),
            opened: None,
        };
        self.run(vec![command(text, kind)]).map(drop)
    }

    pub(super) fn leave(&mut self) -> Result<(), Fault> {
        self.keep();
        let word =
            if self.can("UNSELECT") && self.dice.below(2) == 0 { "UNSELECT" } else { "CLOSE" };
        self.run(vec![command(word, Kind::Leave)]).map(drop)
    }

    /// Breaks the connection inside or right after the octets of an APPEND.
    pub(super) fn cut(&mut self) -> Result<(), Fault> {
        if !self.can("LITERAL+") {
            return Ok(());
        }
        let to = self.somewhere();
        let token = self.token();
        let body = message::bytes(&token);
        let half = self.dice.below(2) == 0;
        self.shared.ledger.unanswered(&token, half);
        let mut bytes = format!("cut APPEND \"{}\" {{{}+}}\r\n", to.name, body.len()).into_bytes();
        let sent = if half { body.len() / 2 } else { body.len() };
        bytes.extend_from_slice(body.get(..sent).unwrap_or_default());
        if !half {
            bytes.extend_from_slice(b"\r\n");
        }
        self.keep();
        self.send(&bytes)?;
        *self.counts.entry("cut in APPEND").or_default() += 1;
        self.selected = None;
        self.wire = None;
        Ok(())
    }

    /// Goes away, with or without a word.
    pub(super) fn go(&mut self) -> Result<(), Fault> {
        self.keep();
        if self.dice.below(2) == 0 {
            self.run(vec![command("LOGOUT", Kind::Logout)])?;
        }
        self.selected = None;
        self.wire = None;
        Ok(())
    }
}
