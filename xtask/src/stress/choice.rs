//! What a session does next, from its dice: commands, batches of commands, and comings and
//! goings. It must never judge an answer.

use std::collections::BTreeMap;
use std::time::Duration;

use super::command::{Change, Command, Copy, Kind, Place, Search, Store, command, listed, set};
use super::faults::Fault;
use super::message;
use super::session::Session;
use super::view::{Flags, Slot};

/// A shared mailbox is thinned out above this many messages.
const MANY: usize = 120;

/// Flags anybody may set anywhere. `\Deleted` is among them by its own dice.
const FLAGS: [&str; 7] =
    ["\\Seen", "\\Flagged", "\\Answered", "\\Draft", "$Forwarded", "$Junk", "together"];

/// Bits of the counter message.
pub(super) const BITS: usize = 6;

impl Session<'_> {
    /// Does one thing.
    pub(super) fn act(&mut self) -> Result<(), Fault> {
        if self.wire.is_none() {
            return self.come();
        }
        if self.selected.is_none() {
            return match self.dice.below(10) {
                0..=6 => self.select(),
                7 => self.side(),
                8 => self.status(),
                _ => self.append(),
            };
        }
        match self.dice.below(100) {
            0..=2 => self.select(),
            3 => self.leave(),
            4 => self.side(),
            5..=7 => self.status(),
            8..=15 => self.append(),
            16..=19 => self.idle(),
            20..=23 => self.raise(),
            24..=27 => self.save(),
            28..=30 => self.remove(),
            31 => self.cut(),
            32 => self.go(),
            33..=36 => self.fetch_changes(),
            37..=62 => self.batch(),
            63..=70 => self.noop(),
            _ => {
                let one = self.one(true);
                self.play(one)
            }
        }
    }

    fn noop(&mut self) -> Result<(), Fault> {
        self.play(vec![command("NOOP", Kind::Plain("NOOP"))])
    }

    /// Runs commands and learns what is new.
    fn play(&mut self, commands: Vec<Command>) -> Result<(), Fault> {
        if !commands.is_empty() {
            self.run(commands)?;
        }
        self.learn(None)
    }

    /// Asks for what has not been told of the messages in view.
    pub(super) fn learn(&mut self, opened: Option<super::ledger::Before>) -> Result<(), Fault> {
        let mut opened = opened;
        // Each round can meet newer messages; after a few the rest waits for the next time.
        for _ in 0..4 {
            let Some(view) = self.view() else { return Ok(()) };
            let known = if opened.is_some() { 0 } else { view.known() };
            let last = view.len();
            if known == last {
                return Ok(());
            }
            if view.slots.iter().any(|slot| slot.missed) {
                self.run(vec![command("NOOP", Kind::Plain("NOOP"))])?;
                continue;
            }
            let modseq = if self.condstore { " MODSEQ" } else { "" };
            let text = format!(
                "FETCH {}:{last} (UID FLAGS{modseq} BODY.PEEK[HEADER.FIELDS (X-STRESS)])",
                known + 1
            );
            let kind = Kind::Fetch {
                uid: false,
                uids: Vec::new(),
                unknown: Some((known + 1, last)),
                vanished: false,
                verify: None,
                opened: opened.take(),
            };
            self.run(vec![command(text, kind)])?;
        }
        Ok(())
    }

    /// One of the mailboxes it may open.
    pub(super) fn somewhere(&mut self) -> Place {
        if !self.side.is_empty() && self.dice.below(5) == 0 {
            let at = self.dice.below(self.side.len());
            let name = self.side.get(at).cloned().unwrap_or_default();
            return Place { key: name.clone(), name, own: true };
        }
        let at = self.dice.below(self.shared.options.mailboxes);
        self.shared.place(self.number, at)
    }

    fn status(&mut self) -> Result<(), Fault> {
        let place = self.somewhere();
        // Of the open mailbox a client should not ask it, and may be told what it knows already.
        if place.key == self.key() {
            return Ok(());
        }
        let modseq = if self.can("CONDSTORE") { " HIGHESTMODSEQ" } else { "" };
        // Some turn CONDSTORE on with it (RFC 7162 section 3.1).
        self.condstore |= !modseq.is_empty();
        let text =
            format!("STATUS \"{}\" (MESSAGES UNSEEN UIDNEXT UIDVALIDITY{modseq})", place.name);
        let before = self.shared.ledger.before(&place.key);
        self.play(vec![command(text, Kind::Status { place, before })])
    }

    fn side(&mut self) -> Result<(), Fault> {
        self.made += 1;
        // A name no earlier run has left behind.
        let run = std::process::id();
        let (prefix, number) = (&self.shared.options.prefix, self.number);
        let new = format!("{prefix}Side-{run}-{number}-{}", self.made);
        let new = Place { key: new.clone(), name: new, own: true };
        let at = self.dice.below(self.side.len());
        let open = self.key();
        let old = self.side.get(at).filter(|name| **name != open).cloned();
        let old = old.map(|name| Place { key: name.clone(), name, own: true });
        let one = match (old, self.dice.below(3)) {
            (Some(old), 0) => {
                command(format!("DELETE \"{}\"", old.name), Kind::Delete(old.clone()))
            }
            (Some(old), 1) => {
                let text = format!("RENAME \"{}\" \"{}\"", old.name, new.name);
                command(text, Kind::Rename(old, new))
            }
            _ if self.side.len() < 3 => {
                command(format!("CREATE \"{}\"", new.name), Kind::Create(new.clone()))
            }
            _ => return Ok(()),
        };
        self.play(vec![one])
    }

    pub(super) fn token(&mut self) -> String {
        self.made += 1;
        format!("s{}-{}-{}z", self.shared.options.seed, self.number, self.made)
    }

    fn append(&mut self) -> Result<(), Fault> {
        let to = self.somewhere();
        let many = if self.can("MULTIAPPEND") && self.dice.below(3) == 0 { 3 } else { 1 };
        let tokens: Vec<String> = (0..many).map(|_| self.token()).collect();
        let doomed = self.dice.below(12) == 0;
        let flags = match self.dice.below(3) {
            _ if doomed => "(\\Deleted) ",
            0 => "(\\Seen $Forwarded) ",
            1 => "\"20-Nov-2026 10:00:00 +0100\" ",
            _ => "",
        };
        let before = self.shared.ledger.before(&to.key);
        let mut text = format!("APPEND \"{}\"", to.name).into_bytes();
        if many == 1 && self.dice.below(2) == 0 || !self.can("LITERAL+") {
            return self.append_waiting(to, tokens, flags, doomed);
        }
        for token in &tokens {
            let body = message::bytes(token);
            text.extend_from_slice(format!(" {flags}{{{}+}}\r\n", body.len()).as_bytes());
            text.extend_from_slice(&body);
        }
        self.play(vec![command(text, Kind::Append { to, tokens, doomed, before })])
    }

    /// APPEND with a literal that waits to be asked for.
    fn append_waiting(
        &mut self,
        to: Place,
        tokens: Vec<String>,
        flags: &str,
        doomed: bool,
    ) -> Result<(), Fault> {
        let Some(token) = tokens.first().cloned() else { return Ok(()) };
        let tokens = vec![token.clone()];
        let body = message::bytes(&token);
        let before = self.shared.ledger.before(&to.key);
        let tag = self.tag();
        let line = format!("{tag} APPEND \"{}\" {flags}{{{}}}\r\n", to.name, body.len());
        self.send(line.as_bytes())?;
        *self.counts.entry("APPEND (waiting)").or_default() += 1;
        self.pending.push_back((tag, Kind::Append { to, tokens, doomed, before }));
        while !self.gathered.went_on && !self.pending.is_empty() {
            self.step(super::session::PATIENCE)?;
        }
        if !self.pending.is_empty() {
            self.send(&[&body, &b"\r\n"[..]].concat())?;
        }
        while !self.pending.is_empty() {
            self.step(super::session::PATIENCE)?;
        }
        self.learn(None)
    }

    fn idle(&mut self) -> Result<(), Fault> {
        if !self.can("IDLE") {
            return Ok(());
        }
        let tag = self.tag();
        *self.counts.entry("IDLE").or_default() += 1;
        self.send(format!("{tag} IDLE\r\n").as_bytes())?;
        self.pending.push_back((tag, Kind::Idle));
        while !self.gathered.went_on && !self.pending.is_empty() {
            self.step(super::session::PATIENCE)?;
        }
        let within = Duration::from_millis(self.dice.next() % 150);
        self.listen(within)?;
        self.send(b"DONE\r\n")?;
        while !self.pending.is_empty() {
            self.step(super::session::PATIENCE)?;
        }
        self.learn(None)
    }

    /// The counter message of a shared mailbox is raised by one, whoever else tries the same.
    fn raise(&mut self) -> Result<(), Fault> {
        let Some(selected) = self.selected.as_ref() else { return Ok(()) };
        let first = selected.view.slots.first();
        if selected.place.own || selected.read_only || !self.condstore {
            return Ok(());
        }
        let Some(Slot { uid, flags: Some(flags), modseq, .. }) = first else { return Ok(()) };
        let (uid, modseq) = (*uid, *modseq);
        if uid == 0 || modseq == 0 {
            return Ok(());
        }
        let flags = counter_flags(counter(flags) + 1);
        let text = format!("UID STORE {uid} (UNCHANGEDSINCE {modseq}) FLAGS {}", listed(&flags));
        let later = self.later(&[uid], modseq);
        let store = Store {
            uid: true,
            uids: vec![uid],
            change: Change::Replace,
            flags,
            silent: false,
            unchanged_since: Some(modseq),
            later,
            raising: true,
        };
        self.play(vec![command(text, Kind::Store(store))])
    }

    /// Those that somebody has seen changed later than this.
    fn later(&self, uids: &[u32], modseq: u64) -> Vec<u32> {
        let key = self.key();
        let later = uids.iter().filter(|uid| self.shared.ledger.modseq(&key, **uid) > modseq);
        later.copied().collect()
    }

    /// A search that is kept, and what it holds.
    fn save(&mut self) -> Result<(), Fault> {
        if !self.can("SEARCHRES") {
            return Ok(());
        }
        let Some((key, expected)) = self.criterion(true) else { return Ok(()) };
        let search = Search { uid: true, expected, esearch: true, save: true };
        let text = format!("UID SEARCH RETURN (SAVE ALL COUNT MIN MAX) {key}");
        self.run(vec![
            command(text, Kind::Search(search)),
            command("UID FETCH $ (UID RFC822.SIZE)", Kind::Saved),
        ])?;
        self.learn(None)
    }

    fn fetch_changes(&mut self) -> Result<(), Fault> {
        let Some(selected) = self.selected.as_ref().filter(|_| self.qresync) else {
            return Ok(());
        };
        let since = selected.highest.saturating_sub(self.dice.clone().next() % 50).max(1);
        let text = format!("UID FETCH 1:* (FLAGS) (CHANGEDSINCE {since} VANISHED)");
        let kind = Kind::Fetch {
            uid: true,
            uids: Vec::new(),
            unknown: None,
            vanished: true,
            verify: None,
            opened: None,
        };
        self.play(vec![command(text, kind)])
    }

    fn remove(&mut self) -> Result<(), Fault> {
        let Some(selected) = self.selected.as_ref() else { return Ok(()) };
        if selected.read_only {
            return Ok(());
        }
        let many = selected.view.len() > MANY;
        let mut commands = Vec::new();
        let Some(uids) = self.pick(if many { MANY / 2 } else { 6 }) else { return Ok(()) };
        self.shared.ledger.doom(&self.key(), &uids, true);
        let uid = self.dice.below(2) == 0;
        commands.push(self.store_of(&uids, uid, Change::Add, &["\\Deleted"], None));
        if self.dice.below(2) == 0 && self.can("UIDPLUS") {
            let text = format!("UID EXPUNGE {}", set(&uids));
            commands.push(command(text, Kind::Expunge { uids: Some(uids) }));
        } else {
            commands.push(command("EXPUNGE", Kind::Expunge { uids: None }));
        }
        self.play(commands)
    }

    /// Neighbouring messages that are wholly known, never the counter message.
    fn pick(&mut self, most: usize) -> Option<Vec<u32>> {
        let selected = self.selected.as_ref()?;
        let first = usize::from(!selected.place.own);
        let known = selected.view.known();
        let count = known.checked_sub(first).filter(|count| *count > 0)?;
        let from = first + self.dice.below(count);
        let to = (from + 1 + self.dice.below(most)).min(known);
        let slots = self.selected.as_ref()?.view.slots.get(from..to)?;
        Some(slots.iter().map(|slot| slot.uid).collect())
    }

    /// Messages as a set of sequence numbers or of UIDs.
    fn named(&self, uids: &[u32], uid: bool) -> String {
        if uid {
            return set(uids);
        }
        let view = self.view();
        let numbers = uids.iter().filter_map(|uid| view?.sequence(*uid));
        let numbers: Vec<u32> = numbers.filter_map(|n| u32::try_from(n).ok()).collect();
        set(&numbers)
    }

    fn store_of(
        &mut self,
        uids: &[u32],
        uid: bool,
        change: Change,
        flags: &[&str],
        unchanged_since: Option<u64>,
    ) -> Command {
        let flags: Flags = flags.iter().map(|flag| (*flag).to_owned()).collect();
        let silent = self.dice.below(2) == 0;
        let since = unchanged_since.map(|n| format!("(UNCHANGEDSINCE {n}) ")).unwrap_or_default();
        let text = format!(
            "{}STORE {} {since}{}FLAGS{} {}",
            if uid { "UID " } else { "" },
            self.named(uids, uid),
            change.sign(),
            if silent { ".SILENT" } else { "" },
            listed(&flags)
        );
        let later = unchanged_since.map(|n| self.later(uids, n)).unwrap_or_default();
        let uids = uids.to_vec();
        let store =
            Store { uid, uids, change, flags, silent, unchanged_since, later, raising: false };
        command(text, Kind::Store(store))
    }

    fn random_store(&mut self, uid: bool) -> Option<Command> {
        let selected = self.selected.as_ref()?;
        if selected.read_only {
            return None;
        }
        let (own, first) =
            (selected.place.own, selected.place == self.shared.place(self.number, 0));
        let uids = self.pick(8)?;
        let keyword = format!("k{}", self.number);
        let mut flags = Vec::new();
        for _ in 0..=self.dice.below(2) {
            flags.push(FLAGS.get(self.dice.below(FLAGS.len())).copied().unwrap_or("\\Seen"));
        }
        let mut change = if self.dice.below(2) == 0 { Change::Add } else { Change::Remove };
        // Replacing takes other sessions' keywords away, so it has its places.
        if (own || first) && self.dice.below(4) == 0 {
            change = Change::Replace;
        } else if self.dice.below(3) == 0 {
            flags.push(&keyword);
        }
        if self.dice.below(12) == 0 {
            flags.push("\\Deleted");
            if change != Change::Remove {
                self.shared.ledger.doom(&self.key(), &uids, true);
            }
        }
        let modseq = self.selected.as_mut()?.view.slot(*uids.first()?)?.modseq;
        let since = (self.condstore && modseq > 0 && self.dice.below(4) == 0).then_some(modseq);
        Some(self.store_of(&uids, uid, change, &flags, since))
    }

    fn random_fetch(&mut self, uid: bool) -> Option<Command> {
        let read_only = self.selected.as_ref()?.read_only;
        let uids = self.pick(12)?;
        let items = match self.dice.below(9) {
            0 => "FLAGS",
            1 => "(UID FLAGS RFC822.SIZE INTERNALDATE)",
            2 => "BODY.PEEK[]",
            3 => "(UID ENVELOPE BODYSTRUCTURE)",
            4 => "BODY.PEEK[]<10.50>",
            5 => "(BODY.PEEK[HEADER] RFC822.SIZE)",
            6 if !read_only => "BODY[]",
            7 => "(UID FLAGS BODY.PEEK[HEADER.FIELDS (X-STRESS)])",
            _ => "FULL",
        };
        let word = if uid { "UID FETCH" } else { "FETCH" };
        let text = format!("{word} {} {items}", self.named(&uids, uid));
        let kind =
            Kind::Fetch { uid, uids, unknown: None, vanished: false, verify: None, opened: None };
        Some(command(text, kind))
    }

    /// A criterion and what is certain about it; with `flags` also one on flags, which nothing
    /// sent in the same batch may change.
    fn criterion(&mut self, flags: bool) -> Option<(String, BTreeMap<u32, bool>)> {
        let uids = self.pick(20)?;
        let (ledger, place) = (&self.shared.ledger, self.selected.as_ref()?.place.clone());
        let first = place == self.shared.place(self.number, 0);
        let token = ledger.token(&place.key, *uids.first()?)?;
        let slots: Vec<Slot> = self.view()?.slots.iter().filter(|s| s.named).cloned().collect();
        let keyword = format!("k{}", self.number);
        let all = |judge: &dyn Fn(&Slot) -> Option<bool>| -> BTreeMap<u32, bool> {
            slots.iter().filter_map(|slot| Some((slot.uid, judge(slot)?))).collect()
        };
        let has = |slot: &Slot, flag: &str| slot.flags.as_ref().map(|flags| flags.contains(flag));
        let is = |slot: &Slot| ledger.token(&place.key, slot.uid).map(|t| t == token);
        let size = self.dice.below(2_500);
        let dice = self.dice.below(10);
        let named = set(&uids);
        Some(match dice {
            0 => (format!("UID {named}"), all(&|slot| Some(uids.contains(&slot.uid)))),
            1 => (format!("HEADER X-STRESS {token}"), all(&is)),
            2 => (format!("SUBJECT \"stress {token}\""), all(&is)),
            3 => (format!("TEXT {token}"), all(&is)),
            4 => (
                format!("LARGER {size}"),
                all(&|slot| {
                    let token = ledger.token(&place.key, slot.uid)?;
                    Some(message::bytes(&token).len() > size)
                }),
            ),
            5 => (
                format!("OR UID {named} NOT SUBJECT {token}"),
                all(&|slot| Some(uids.contains(&slot.uid) || !is(slot)?)),
            ),
            6 if flags && place.own => ("UNSEEN".to_owned(), all(&|s| Some(!has(s, "\\Seen")?))),
            7 if flags && place.own => ("FLAGGED".to_owned(), all(&|s| has(s, "\\Flagged"))),
            8 if flags && !first => {
                (format!("NOT KEYWORD {keyword}"), all(&|slot| Some(!has(slot, &keyword)?)))
            }
            _ if flags && !first => (format!("KEYWORD {keyword}"), all(&|s| has(s, &keyword))),
            _ => ("ALL".to_owned(), all(&|_| Some(true))),
        })
    }

    fn random_search(&mut self, uid: bool, flags: bool) -> Option<Command> {
        let (key, expected) = self.criterion(flags)?;
        let esearch = self.can("ESEARCH") && self.dice.below(2) == 0;
        let options = if esearch { "RETURN (ALL MIN MAX COUNT) " } else { "" };
        let word = if uid { "UID SEARCH" } else { "SEARCH" };
        let kind = Kind::Search(Search { uid, expected, esearch, save: false });
        Some(command(format!("{word} {options}{key}"), kind))
    }

    fn random_copy(&mut self) -> Option<Command> {
        let read_only = self.selected.as_ref()?.read_only;
        let uids = self.pick(4)?;
        let to = self.somewhere();
        let moving = self.can("MOVE") && self.dice.below(2) == 0 && !read_only;
        let uid = self.dice.below(2) == 0;
        let before = self.shared.ledger.before(&to.key);
        if to.key == self.key() && moving {
            return None;
        }
        if moving {
            self.shared.ledger.doom(&self.key(), &uids, false);
        }
        let word =
            format!("{}{}", if uid { "UID " } else { "" }, if moving { "MOVE" } else { "COPY" });
        let text = format!("{word} {} \"{}\"", self.named(&uids, uid), to.name);
        Some(command(text, Kind::Copy(Copy { uid, uids, to, moving, before })))
    }

    /// One command on messages; `alone` when nothing else is on the way.
    fn one(&mut self, alone: bool) -> Vec<Command> {
        let uid = self.dice.below(2) == 0;
        let chosen = match self.dice.below(10) {
            0..=3 => self.random_fetch(uid),
            4..=6 => self.random_store(uid),
            7 | 8 => self.random_search(uid, alone),
            _ if alone => self.random_copy(),
            _ => None,
        };
        chosen.into_iter().collect()
    }

    /// Commands in one go: those with sequence numbers first, as long as the numbers stand
    /// (RFC 9051 section 5.5), then others.
    fn batch(&mut self) -> Result<(), Fault> {
        let mut commands = Vec::new();
        for _ in 0..1 + self.dice.below(6) {
            commands.extend(self.one(false));
        }
        commands.sort_by_key(|one| !one.kind.numbers_stand());
        if self.dice.below(2) == 0 {
            commands.push(command("NOOP", Kind::Plain("NOOP")));
        }
        // A set of sequence numbers in it needs all numbers to stand until then.
        let standing = commands.iter().all(|one| one.kind.numbers_stand());
        if self.dice.below(4) == 0
            && let Some(copy) = self.random_copy()
            && (standing || matches!(&copy.kind, Kind::Copy(copy) if copy.uid))
        {
            commands.push(copy);
        }
        self.play(commands)
    }
}

/// Flags of the counter message at a count.
pub(super) fn counter_flags(count: u64) -> Flags {
    let bits = (0..BITS).filter(|bit| count >> bit & 1 == 1);
    bits.map(|bit| format!("bit{bit}")).collect()
}

/// The count in the flags of the counter message.
pub(super) fn counter(flags: &Flags) -> u64 {
    let bits = (0..BITS).filter(|bit| flags.contains(&format!("bit{bit}")));
    bits.map(|bit| 1_u64 << bit).sum()
}
