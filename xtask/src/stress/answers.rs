//! What each command's answer is held against when it ends. It must never send anything.

use std::collections::{BTreeMap, BTreeSet};

use super::command::{Change, Copy, Kind, Place, Search, Store};
use super::faults::{Fault, fault};
use super::ledger::Before;
use super::message;
use super::reader::{Condition, Node, numbers};
use super::session::{Gathered, Kept, Session};
use super::view::{Flags, Slot};

/// The flags among the items of a FETCH.
fn flags_of(items: &[(String, Node)]) -> Option<Flags> {
    let (_, node) = items.iter().find(|(name, _)| name == "FLAGS")?;
    let names = node.members().iter().map(Node::text);
    Some(names.filter(|name| !name.eq_ignore_ascii_case("\\Recent")).collect())
}

impl Session<'_> {
    /// A command has ended.
    pub(super) fn completed(
        &mut self,
        tag: &str,
        kind: Kind,
        condition: Condition,
        told: Gathered,
    ) -> Result<(), Fault> {
        let ok = condition == Condition::Ok;
        if ok
            && let Some(highest) = told.number("HIGHESTMODSEQ")
            && let Some(selected) = self.selected.as_mut()
            && !matches!(kind, Kind::Select { .. })
        {
            selected.highest = selected.highest.max(highest);
        }
        match kind {
            Kind::Plain("NOOP") if ok => self.nothing_missed(),
            Kind::Select { place, resync, before, .. } => {
                if !ok {
                    self.selected = None;
                    return Ok(());
                }
                self.opened(&place, before, &told)?;
                if resync { self.resynchronised(&place, &told) } else { Ok(()) }
            }
            Kind::Leave => {
                if ok {
                    self.selected = None;
                }
                Ok(())
            }
            Kind::Append { to, tokens, doomed, before } => {
                if ok {
                    return self.appended(&to, &tokens, doomed, before, &told);
                }
                for token in &tokens {
                    self.shared.ledger.unanswered(token, true);
                }
                Ok(())
            }
            Kind::Fetch { uid, uids, unknown, verify, opened, .. } => {
                for uid in &told.earlier {
                    self.judged(self.shared.ledger.gone_meanwhile(&self.key(), *uid))?;
                }
                // Of messages gone meanwhile a server may tell nothings (RFC 2180 section 4.1).
                if told.code("EXPUNGEISSUED").is_none() {
                    self.read_items(&told)?;
                }
                if ok {
                    self.all_told(uid, &uids, unknown, &told);
                }
                if let Some((flags, highest)) = verify {
                    self.verified(&flags, highest, &told)?;
                }
                match opened {
                    Some(before) if ok => self.whole(before),
                    _ => Ok(()),
                }
            }
            Kind::Store(store) => self.stored(&store, ok, &told),
            Kind::Search(search) if ok => self.searched(tag, &search, &told),
            Kind::Saved if ok => self.saved_told(&told),
            Kind::Copy(copy) if ok => self.copied(&copy, &told),
            Kind::Expunge { uids } if ok => self.expunged(uids.as_deref()),
            Kind::Status { place, before } if ok => {
                let items = told.status.unwrap_or_default();
                let value = |name: &str| items.iter().find(|(n, _)| n == name).map(|(_, v)| *v);
                let narrow = |v: u64| u32::try_from(v).unwrap_or(u32::MAX);
                if let Some(validity) = value("UIDVALIDITY") {
                    self.judged(self.shared.ledger.validity(&place.key, narrow(validity)))?;
                }
                let (next, highest) = (value("UIDNEXT").map(narrow), value("HIGHESTMODSEQ"));
                self.judged(self.shared.ledger.counters(&place.key, before, next, highest))
            }
            Kind::Create(place) if ok => {
                self.side.push(place.key);
                Ok(())
            }
            Kind::Delete(place) if ok => {
                self.shared.ledger.deleted(&place.key);
                self.kept.remove(&place.key);
                self.side.retain(|name| *name != place.key);
                Ok(())
            }
            Kind::Rename(from, to) if ok => {
                self.shared.ledger.renamed(&from.key, &to.key);
                self.kept.remove(&from.key);
                self.side.retain(|name| *name != from.key);
                self.side.push(to.key);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn nothing_missed(&mut self) -> Result<(), Fault> {
        let slots = self.selected.as_mut().map(|s| s.view.slots.iter_mut()).into_iter().flatten();
        let untold = slots.filter_map(|s| std::mem::take(&mut s.untold).then_some(s.uid)).last();
        if let Some(uid) = untold {
            self.broken("untold", format!("UID {uid} is there and a STORE did not tell it"))?;
        }
        let missed = self.view().and_then(|view| view.slots.iter().position(|slot| slot.missed));
        match missed {
            Some(at) => self.broken("unanswered", format!("{} is there and was not told", at + 1)),
            None => Ok(()),
        }
    }

    fn opened(&mut self, place: &Place, before: Before, told: &Gathered) -> Result<(), Fault> {
        let validity = told.number("UIDVALIDITY").and_then(|v| u32::try_from(v).ok());
        let next = told.number("UIDNEXT").and_then(|v| u32::try_from(v).ok());
        let highest = told.number("HIGHESTMODSEQ");
        let Some(validity) = validity else {
            return self.broken("status", "SELECT tells no UIDVALIDITY");
        };
        if let Some(selected) = self.selected.as_mut() {
            selected.validity = validity;
            selected.highest = highest.unwrap_or(0);
        }
        self.judged(self.shared.ledger.validity(&place.key, validity))?;
        self.judged(self.shared.ledger.counters(&place.key, before, next, highest))
    }

    /// What the client knew, with what it was told, is the mailbox as it is now.
    fn resynchronised(&mut self, place: &Place, told: &Gathered) -> Result<(), Fault> {
        for uid in &told.earlier {
            self.judged(self.shared.ledger.gone_meanwhile(&place.key, *uid))?;
        }
        let Some(kept) = self.kept.get(&place.key).cloned() else { return Ok(()) };
        let Some(selected) = self.selected.as_mut() else { return Ok(()) };
        if kept.validity != selected.validity {
            return Ok(());
        }
        let view = &mut selected.view;
        let left: Vec<_> =
            kept.messages.into_iter().filter(|(uid, _)| !told.earlier.contains(uid)).collect();
        let mut wrong = None;
        if left.len() > view.slots.len() {
            wrong = Some(format!("{} are left, {} are there", left.len(), view.slots.len()));
        }
        for (slot, (uid, (flags, modseq))) in view.slots.iter_mut().zip(left) {
            if slot.uid != 0 && slot.uid != uid {
                wrong = Some(format!("UID {} stands where {uid} should", slot.uid));
                break;
            }
            *slot = Slot {
                uid,
                flags: Some(slot.flags.take().unwrap_or(flags)),
                modseq: modseq.max(slot.modseq),
                missed: false,
                untold: false,
                named: true,
            };
        }
        wrong.map_or(Ok(()), |text| self.broken("qresync", text))
    }

    fn appended(
        &self,
        to: &Place,
        tokens: &[String],
        doomed: bool,
        before: Before,
        told: &Gathered,
    ) -> Result<(), Fault> {
        let code = told.code("APPENDUID").unwrap_or_default();
        let validity = code.get(1).and_then(|v| v.parse().ok());
        let uids = code.get(2).and_then(|set| numbers(set));
        let (Some(validity), Some(uids)) = (validity, uids) else {
            return self.broken("appenduid", "there is none");
        };
        self.judged(self.shared.ledger.validity(&to.key, validity))?;
        if uids.len() != tokens.len() {
            self.broken("appenduid", format!("{} for {}", uids.len(), tokens.len()))?;
        }
        for (uid, token) in uids.iter().zip(tokens) {
            self.judged(self.shared.ledger.acked(&to.key, *uid, token, before, doomed))?;
        }
        Ok(())
    }

    /// Tokens and octets among what was fetched.
    fn read_items(&mut self, told: &Gathered) -> Result<(), Fault> {
        let key = self.key();
        for (uid, items) in told.fetched.iter().filter(|(uid, _)| *uid != 0) {
            for (name, node) in items {
                if name.starts_with("BODY[HEADER.FIELDS") {
                    let Some(token) = node.bytes().and_then(message::token_in) else {
                        self.broken("body", format!("UID {uid} has no token"))?;
                        continue;
                    };
                    self.judged(self.shared.ledger.named(&key, *uid, &token))?;
                    if let Some(slot) = self.selected.as_mut().and_then(|s| s.view.slot(*uid)) {
                        slot.named = true;
                    }
                    continue;
                }
                let whole = || self.shared.ledger.token(&key, *uid).map(|t| message::bytes(&t));
                let right = match name.as_str() {
                    "BODY[]" | "RFC822" => {
                        whole().is_none_or(|body| node.bytes() == Some(body.as_slice()))
                    }
                    "RFC822.SIZE" => whole().is_none_or(|b| node.text() == b.len().to_string()),
                    "ENVELOPE" => {
                        let subject = node.members().get(1).map(Node::text);
                        let token = self.shared.ledger.token(&key, *uid);
                        token.is_none_or(|token| subject == Some(format!("stress {token}")))
                    }
                    partial if partial.starts_with("BODY[]<") => {
                        let digits = partial.trim_start_matches("BODY[]<").trim_end_matches('>');
                        let from = digits.parse().unwrap_or(usize::MAX);
                        let part = node.bytes().unwrap_or_default();
                        whole().is_none_or(|b| b.get(from..).unwrap_or_default().starts_with(part))
                    }
                    _ => true,
                };
                if !right {
                    self.broken("body", format!("{name} of UID {uid}"))?;
                }
            }
        }
        Ok(())
    }

    /// Messages that were asked for and not told ought to be gone.
    fn all_told(
        &mut self,
        by_uid: bool,
        uids: &[u32],
        unknown: Option<(usize, usize)>,
        told: &Gathered,
    ) {
        // News of a message is no answer to a UID command, which names its UID.
        let answers =
            told.fetched.iter().filter(|(_, i)| !by_uid || i.iter().any(|(name, _)| name == "UID"));
        let heard: BTreeSet<u32> = answers.map(|(uid, _)| *uid).collect();
        let Some(selected) = self.selected.as_mut() else { return };
        for uid in uids.iter().filter(|uid| !heard.contains(uid)) {
            if let Some(slot) = selected.view.slot(*uid) {
                slot.missed = true;
            }
        }
        let Some((first, last)) = unknown else { return };
        let range = first.saturating_sub(1)..last.min(selected.view.slots.len());
        for slot in selected.view.slots.get_mut(range).unwrap_or_default() {
            slot.missed |= slot.uid == 0 || slot.flags.is_none() || !slot.named;
        }
    }

    /// After QRESYNC: what was known up to the MODSEQ of the SELECT is what is fetched.
    fn verified(
        &self,
        flags: &BTreeMap<u32, Flags>,
        highest: u64,
        told: &Gathered,
    ) -> Result<(), Fault> {
        for (uid, items) in &told.fetched {
            let modseq = items.iter().find(|(name, _)| name == "MODSEQ");
            let modseq = modseq.and_then(|(_, n)| n.members().first()?.text().parse::<u64>().ok());
            let (Some(modseq), Some(now), Some(known)) = (modseq, flags_of(items), flags.get(uid))
            else {
                continue;
            };
            if modseq <= highest && now != *known {
                let text = format!("UID {uid}: {known:?} was kept, {now:?} is so since {modseq}");
                self.broken("qresync", text)?;
            }
        }
        Ok(())
    }

    /// The whole of a mailbox that was just opened.
    fn whole(&self, before: Before) -> Result<(), Fault> {
        let Some(view) = self.view() else { return Ok(()) };
        let uids: Vec<u32> = view.slots.iter().map(|slot| slot.uid).collect();
        if uids.contains(&0) {
            return Ok(());
        }
        self.judged(self.shared.ledger.opened(&self.key(), before, &uids))
    }

    fn stored(&mut self, store: &Store, ok: bool, told: &Gathered) -> Result<(), Fault> {
        let own = self.selected.as_ref().is_some_and(|s| s.place.own);
        let Some(selected) = self.selected.as_mut() else { return Ok(()) };
        if !ok {
            // What was done of it is not known.
            for uid in &store.uids {
                if let Some(slot) = selected.view.slot(*uid) {
                    slot.flags = None;
                }
            }
            return Ok(());
        }
        let modified = told.code("MODIFIED").and_then(|code| numbers(code.get(1)?));
        let mut modified: BTreeSet<u32> = modified.unwrap_or_default().into_iter().collect();
        if !store.uid {
            let at = |n: &u32| selected.view.slots.get(usize::try_from(*n).ok()?.checked_sub(1)?);
            modified = modified.iter().filter_map(|n| Some(at(n)?.uid)).collect();
        }
        let mut made = 0;
        for uid in &store.uids {
            let Some(slot) = selected.view.slot(*uid) else { continue };
            if modified.contains(uid) {
                continue;
            }
            let heard = told.fetched.iter().rev().filter(|(heard, _)| heard == uid);
            let heard: Option<Flags> = heard.filter_map(|(_, items)| flags_of(items)).next();
            if !store.silent && heard.is_none() {
                // What a conditional STORE leaves as it is need not be told.
                slot.untold |= store.unchanged_since.is_none();
                slot.flags = None;
                continue;
            }
            made += 1;
            if store.later.contains(uid) && !self.shared.ledger.is_doomed(&selected.place.key, *uid)
            {
                let text = format!("UID {uid} since {:?}", store.unchanged_since);
                return self.broken("lost-update", text);
            }
            if let Some(heard) = heard.filter(|_| own) {
                let right = match store.change {
                    Change::Add => store.flags.is_subset(&heard),
                    Change::Remove => store.flags.is_disjoint(&heard),
                    Change::Replace => store.flags == heard,
                };
                if !right {
                    return self.broken("store", format!("UID {uid} has {heard:?}"));
                }
            }
        }
        if store.raising && made == 1 {
            self.shared.ledger.raised(&self.key());
        }
        Ok(())
    }

    fn searched(&mut self, tag: &str, search: &Search, told: &Gathered) -> Result<(), Fault> {
        let mut found = told.search.clone();
        if search.esearch {
            let Some((heard, uid, items)) = &told.esearch else {
                return self.broken("search", "no ESEARCH");
            };
            if heard != tag || *uid != search.uid {
                return self.broken("search", format!("ESEARCH for {heard}, UIDs {uid}"));
            }
            let item = |name: &str| items.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str());
            let all = item("ALL").map_or(Some(Vec::new()), numbers);
            let Some(all) = all else { return Err(fault("bad", "ALL is no set")) };
            let number = |name: &str| item(name).and_then(|v| v.parse::<usize>().ok());
            let end = |n: Option<&u32>| n.and_then(|n| usize::try_from(*n).ok());
            if number("COUNT").is_some_and(|count| count != all.len())
                || (number("MIN").is_some() && number("MIN") != end(all.iter().min()))
                || (number("MAX").is_some() && number("MAX") != end(all.iter().max()))
            {
                return self.broken("search", format!("{items:?} does not fit together"));
            }
            found = Some(all);
        }
        let Some(selected) = self.selected.as_ref() else { return Ok(()) };
        let slots = &selected.view.slots;
        let mut uids = BTreeSet::new();
        for number in found.unwrap_or_default() {
            if search.uid {
                uids.insert(number);
                continue;
            }
            let at = usize::try_from(number).unwrap_or(0);
            let Some(slot) = at.checked_sub(1).and_then(|at| slots.get(at)) else {
                return self.broken("number", format!("SEARCH found {number} of {}", slots.len()));
            };
            uids.insert(slot.uid);
        }
        let last = slots.last().map_or(0, |slot| slot.uid);
        if let Some(beyond) = uids.range(last.saturating_add(1)..).next()
            && slots.iter().all(|slot| slot.uid != 0)
            && !self.shared.ledger.is_doomed(&selected.place.key, *beyond)
        {
            return self.broken("search", format!("UID {beyond} has not been told"));
        }
        for (uid, matches) in &search.expected {
            let there = slots.iter().any(|slot| slot.uid == *uid && !slot.missed);
            if there && uids.contains(uid) != *matches {
                // It may be gone and not yet told.
                if self.shared.ledger.is_doomed(&selected.place.key, *uid) && *matches {
                    continue;
                }
                return self.broken("search", format!("UID {uid} should be found: {matches}"));
            }
        }
        if search.save {
            self.saved = Some(uids);
        }
        Ok(())
    }

    fn saved_told(&self, told: &Gathered) -> Result<(), Fault> {
        let Some(saved) = &self.saved else { return Ok(()) };
        let sized = told.fetched.iter().filter(|(_, i)| i.iter().any(|(n, _)| n == "RFC822.SIZE"));
        let heard: BTreeSet<u32> = sized.map(|(uid, _)| *uid).collect();
        if let Some(extra) = heard.difference(saved).next() {
            return self.broken("search", format!("$ holds UID {extra}, which was not found"));
        }
        for uid in saved.difference(&heard) {
            let there = self.view().is_some_and(|view| view.sequence(*uid).is_some());
            if there && !self.shared.ledger.is_doomed(&self.key(), *uid) {
                return self.broken("search", format!("$ does not hold UID {uid}"));
            }
        }
        Ok(())
    }

    fn copied(&mut self, copy: &Copy, told: &Gathered) -> Result<(), Fault> {
        let key = self.key();
        let mut sources = Vec::new();
        if let Some(code) = told.code("COPYUID") {
            let validity = code.get(1).and_then(|v| v.parse().ok());
            let from = code.get(2).and_then(|set| numbers(set));
            let to = code.get(3).and_then(|set| numbers(set));
            let (Some(validity), Some(from), Some(to)) = (validity, from, to) else {
                return self.broken("copyuid", format!("{code:?}"));
            };
            if from.len() != to.len() || from.iter().any(|uid| !copy.uids.contains(uid)) {
                return self.broken("copyuid", format!("{code:?} for {:?}", copy.uids));
            }
            let ledger = &self.shared.ledger;
            self.judged(ledger.validity(&copy.to.key, validity))?;
            for (from, to) in from.iter().zip(&to) {
                let token = ledger.token(&key, *from).unwrap_or_default();
                // Copies keep `\Deleted`.
                let doomed = ledger.is_deleted(&key, *from);
                self.judged(ledger.acked(&copy.to.key, *to, &token, copy.before, doomed))?;
            }
            sources = from;
        }
        for uid in &copy.uids {
            let copied = sources.contains(uid);
            if copied && copy.moving {
                self.judged(self.shared.ledger.moved(&key, *uid))?;
            }
            let Some(slot) = self.selected.as_mut().and_then(|s| s.view.slot(*uid)) else {
                continue;
            };
            if !copied {
                slot.missed = true;
            } else if copy.moving {
                self.broken("expunge", format!("UID {uid} was moved and is still there"))?;
            }
        }
        Ok(())
    }

    fn expunged(&self, uids: Option<&[u32]>) -> Result<(), Fault> {
        let Some(selected) = self.selected.as_ref().filter(|s| s.place.own) else { return Ok(()) };
        let deleted = |slot: &&Slot| {
            slot.flags.as_ref().is_some_and(|flags| flags.contains("\\Deleted"))
                && uids.is_none_or(|uids| uids.contains(&slot.uid))
        };
        match selected.view.slots.iter().find(deleted) {
            Some(slot) => self.broken("expunge", format!("UID {} is still there", slot.uid)),
            None => Ok(()),
        }
    }

    /// Keeps what is known of the open mailbox for QRESYNC.
    pub(super) fn keep(&mut self) {
        let Some(selected) = self.selected.as_ref() else { return };
        let key = selected.place.key.clone();
        let mut messages = BTreeMap::new();
        for slot in &selected.view.slots {
            let Some(flags) = slot.flags.clone().filter(|_| slot.named && slot.uid != 0) else {
                self.kept.remove(&key);
                return;
            };
            messages.insert(slot.uid, (flags, slot.modseq));
        }
        if !self.qresync || selected.highest == 0 {
            self.kept.remove(&key);
            return;
        }
        let (validity, highest) = (selected.validity, selected.highest);
        self.kept.insert(key, Kept { validity, highest, messages });
    }
}
