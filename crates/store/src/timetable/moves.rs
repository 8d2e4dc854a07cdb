//! The single moves of the timetable: where a recipient waits, whose turn comes, which queues are
//! awake. It must never know why.

use std::collections::{BTreeMap, BTreeSet};

use super::{ERROR_LENGTH, Lease, Line, Slot, Timetable};
use crate::ids::QueueId;
use crate::queue::{HELD, QueueFacts, QueueName};

impl Timetable {
    pub(super) fn facts_of(&self, line: usize) -> Option<QueueFacts> {
        let of = self.lines.get(line)?.as_ref()?;
        let (oldest, _) = of.messages.first_key_value()?;
        let later = of.later.first().map(|(due, _, _)| *due);
        let ready = of.ready.first().map(|(_, due, _, _)| *due);
        let next = [later, ready].into_iter().flatten().min();
        Some(QueueFacts {
            name: of.name.clone(),
            messages: of.messages.len() as u64,
            recipients: of.recipients,
            held: of.held,
            size: of.size,
            oldest: self.entries.get(oldest).map_or(0, |kept| kept.accepted),
            next_due: next.map(|due| due.max(of.parked)),
            last_error: of.error.clone(),
        })
    }

    pub(super) fn slot(&mut self, id: QueueId, index: u32) -> Option<&mut Slot> {
        self.entries.get_mut(&id)?.slots.get_mut(usize::try_from(index).ok()?)
    }

    /// The line of a queue, made if it is not there.
    pub(super) fn line(&mut self, name: &QueueName) -> usize {
        if let Some(line) = self.names.get(name) {
            return *line;
        }
        let line = Line {
            name: name.clone(),
            parked: i64::MIN,
            later: BTreeSet::new(),
            ready: BTreeSet::new(),
            agenda: None,
            in_ring: false,
            messages: BTreeMap::new(),
            recipients: 0,
            held: 0,
            size: 0,
            error: String::new(),
        };
        let number = match self.free.pop() {
            Some(number) => number,
            None => {
                self.lines.push(None);
                self.lines.len() - 1
            }
        };
        if let Some(room) = self.lines.get_mut(number) {
            *room = Some(line);
        }
        self.names.insert(name.clone(), number);
        self.modules.entry(name.module.clone()).or_default();
        number
    }

    pub(super) fn say(&mut self, id: QueueId, index: u32, error: Option<&str>) {
        let Some(error) = error else { return };
        let Some(line) = self.slot(id, index).map(|slot| slot.line) else { return };
        if let Some(Some(of)) = self.lines.get_mut(line) {
            let end = error.floor_char_boundary(ERROR_LENGTH);
            of.error = error.get(..end).unwrap_or_default().to_owned();
        }
    }

    /// Puts a recipient that is in no place into its line.
    pub(super) fn place(&mut self, id: QueueId, index: u32, due: Option<i64>) {
        let Some(due) = due else { return };
        let Some(kept) = self.entries.get_mut(&id) else { return };
        let size = kept.size;
        let Some(slot) = usize::try_from(index).ok().and_then(|i| kept.slots.get_mut(i)) else {
            return;
        };
        slot.due = Some(due);
        let line = slot.line;
        kept.left = kept.left.saturating_add(1);
        if let Some(Some(of)) = self.lines.get_mut(line) {
            let count = of.messages.entry(id).or_insert(0);
            if *count == 0 {
                of.size = of.size.saturating_add(size);
            }
            *count = count.saturating_add(1);
            of.recipients = of.recipients.saturating_add(1);
        }
        self.put(id, index, due);
    }

    /// Puts a recipient that is counted and not leased any more where its time says.
    pub(super) fn put(&mut self, id: QueueId, index: u32, due: i64) {
        self.steps += 1;
        let Some(slot) = self.slot(id, index) else { return };
        let (line, lent) = (slot.line, slot.leased_until.take());
        if let Some(until) = lent {
            self.leases.remove(&(until, id, index));
        }
        if let Some(Some(of)) = self.lines.get_mut(line) {
            if due == HELD {
                of.held = of.held.saturating_add(1);
            } else {
                of.later.insert((due, id, index));
            }
        }
        self.note(line);
    }

    /// Takes a recipient out of its line for good.
    pub(super) fn take(&mut self, id: QueueId, index: u32) {
        self.steps += 1;
        let Some(kept) = self.entries.get(&id) else { return };
        let size = kept.size;
        let Some(slot) = usize::try_from(index).ok().and_then(|i| kept.slots.get(i)).copied()
        else {
            return;
        };
        if slot.due.is_none() {
            return;
        }
        self.withdraw(id, index);
        if let Some(kept) = self.entries.get_mut(&id) {
            kept.left = kept.left.saturating_sub(1);
        }
        if let Some(slot) = self.slot(id, index) {
            slot.due = None;
        }
        if let Some(Some(of)) = self.lines.get_mut(slot.line) {
            of.recipients = of.recipients.saturating_sub(1);
            if let Some(count) = of.messages.get_mut(&id) {
                *count = count.saturating_sub(1);
                if *count == 0 {
                    of.messages.remove(&id);
                    of.size = of.size.saturating_sub(size);
                }
            }
        }
        self.note(slot.line);
        self.drop_if_empty(slot.line);
    }

    /// Takes a recipient from where it waits: leased, held, later or ready.
    pub(super) fn withdraw(&mut self, id: QueueId, index: u32) {
        let Some(kept) = self.entries.get_mut(&id) else { return };
        let turn = -i16::from(kept.priority);
        let Some(slot) = usize::try_from(index).ok().and_then(|i| kept.slots.get_mut(i)) else {
            return;
        };
        let (line, Some(due), lent) = (slot.line, slot.due, slot.leased_until.take()) else {
            return;
        };
        if let Some(until) = lent {
            self.leases.remove(&(until, id, index));
        } else if let Some(Some(of)) = self.lines.get_mut(line) {
            if due == HELD {
                of.held = of.held.saturating_sub(1);
            } else if !of.later.remove(&(due, id, index)) {
                of.ready.remove(&(turn, due, id, index));
            }
        }
    }

    /// Lends a recipient.
    pub(super) fn lend(&mut self, id: QueueId, index: u32, until: i64) {
        self.steps += 1;
        self.withdraw(id, index);
        let Some(slot) = self.slot(id, index) else { return };
        slot.leased_until = Some(until);
        let line = slot.line;
        self.leases.insert((until, id, index));
        self.note(line);
    }

    /// Leases the due recipients of a message.
    pub(super) fn lease_due(
        &mut self,
        id: QueueId,
        module: Option<&str>,
        now: i64,
        until: i64,
    ) -> Option<Lease> {
        let kept = self.entries.get(&id)?;
        let place = kept.place;
        let is_due = |slot: &Slot| {
            let due = slot.leased_until.is_none() && slot.due.is_some_and(|due| due <= now);
            due && self.lines.get(slot.line).and_then(Option::as_ref).is_some_and(|line| {
                line.parked <= now && module.is_none_or(|module| line.name.module == module)
            })
        };
        let recipients: Vec<u32> =
            (0u32..).zip(&kept.slots).filter(|(_, slot)| is_due(slot)).map(|(i, _)| i).collect();
        if recipients.is_empty() {
            return None;
        }
        for index in &recipients {
            self.lend(id, *index, until);
        }
        Some(Lease { id, place, recipients })
    }

    /// Leases the ready recipients of a message in one line.
    pub(super) fn lease_in(&mut self, id: QueueId, line: usize, until: i64) -> Option<Lease> {
        let kept = self.entries.get(&id)?;
        let place = kept.place;
        let turn = -i16::from(kept.priority);
        let of = self.lines.get(line)?.as_ref()?;
        let recipients: Vec<u32> = (0u32..)
            .zip(&kept.slots)
            .filter(|(index, slot)| {
                slot.line == line
                    && slot.due.is_some_and(|due| of.ready.contains(&(turn, due, id, *index)))
            })
            .map(|(index, _)| index)
            .collect();
        if recipients.is_empty() {
            return None;
        }
        for index in &recipients {
            self.lend(id, *index, until);
        }
        Some(Lease { id, place, recipients })
    }

    pub(super) fn end_leases(&mut self, now: i64) {
        while let Some((until, id, index)) = self.leases.first().copied() {
            if until > now {
                break;
            }
            self.leases.remove(&(until, id, index));
            match self.slot(id, index).and_then(|slot| slot.due) {
                Some(due) => self.put(id, index, due),
                None => continue,
            }
        }
    }

    /// Moves the lines of a module that fall due into its ring.
    pub(super) fn wake_lines(&mut self, module: &str, now: i64) {
        loop {
            let first = self.modules.get(module).and_then(|m| m.agenda.first().copied());
            let Some((at, line)) = first.filter(|(at, _)| *at <= now) else { return };
            if let Some(of) = self.modules.get_mut(module) {
                of.agenda.remove(&(at, line));
            }
            if let Some(Some(of)) = self.lines.get_mut(line) {
                of.agenda = None;
                if of.parked <= now {
                    of.parked = i64::MIN;
                }
            }
            self.ripen(line, now);
        }
    }

    /// Moves what is due in a line to its ready ones.
    pub(super) fn ripen(&mut self, line: usize, now: i64) {
        let Some(Some(of)) = self.lines.get_mut(line) else { return };
        while let Some((due, id, index)) = of.later.first().copied() {
            if due > now {
                break;
            }
            self.steps += 1;
            of.later.remove(&(due, id, index));
            let priority = self.entries.get(&id).map_or(0, |kept| kept.priority);
            of.ready.insert((-i16::from(priority), due, id, index));
        }
        self.note(line);
    }

    /// The message whose turn it is in a module.
    pub(super) fn next_turn(&mut self, module: &str, now: i64) -> Option<(QueueId, usize)> {
        loop {
            let line = self.modules.get_mut(module)?.ring.pop_front()?;
            let Some(Some(of)) = self.lines.get_mut(line) else { continue };
            of.in_ring = false;
            if of.parked > now {
                self.note(line);
                continue;
            }
            let Some((turn, due, id, index)) = of.ready.first().copied() else {
                self.drop_if_empty(line);
                continue;
            };
            if due > now {
                // The clock went back.
                of.ready.remove(&(turn, due, id, index));
                of.later.insert((due, id, index));
                self.note(line);
                continue;
            }
            // To the end of the ring, if something is left after this one.
            of.in_ring = true;
            self.modules.get_mut(module)?.ring.push_back(line);
            return Some((id, line));
        }
    }

    /// Brings a line's place in its module's agenda and ring up to date.
    pub(super) fn note(&mut self, line: usize) {
        let Some(Some(of)) = self.lines.get_mut(line) else { return };
        let Some(module) = self.modules.get_mut(&of.name.module) else { return };
        // What is ready in a parked line waits for the line.
        let ready_later = (!of.ready.is_empty() && of.parked != i64::MIN).then_some(of.parked);
        let later = of.later.first().map(|(due, _, _)| (*due).max(of.parked));
        let at = [ready_later, later].into_iter().flatten().min().filter(|at| *at != HELD);
        if at != of.agenda {
            if let Some(old) = of.agenda.take() {
                module.agenda.remove(&(old, line));
            }
            if let Some(at) = at {
                module.agenda.insert((at, line));
                of.agenda = Some(at);
            }
        }
        if !of.in_ring && !of.ready.is_empty() && of.parked == i64::MIN {
            of.in_ring = true;
            module.ring.push_back(line);
        }
    }

    /// A queue nobody waits in and nobody parked is forgotten.
    pub(super) fn drop_if_empty(&mut self, line: usize) {
        let Some(Some(of)) = self.lines.get(line) else { return };
        if !of.messages.is_empty() || of.parked != i64::MIN || of.in_ring {
            return;
        }
        self.names.remove(&of.name);
        if let Some(room) = self.lines.get_mut(line) {
            *room = None;
        }
        self.free.push(line);
    }
}
