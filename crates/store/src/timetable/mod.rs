//! The queue's timetable in memory, for every edition: who is due when, whose turn it is, what is
//! leased, and what each queue holds. Filled at start and kept after each commit; leases, parked
//! queues and hastened ones end with the process.
//!
//! Nothing here is looked for: a queue is found by its due time, a message by its turn, the facts
//! of a queue are counters. It must never know a clock or what a message says.

mod moves;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::ops::Bound::{Excluded, Unbounded};

use crate::ids::QueueId;
use crate::queue::{NewQueued, QueueFacts, QueueName, QueuedRecipient, RecipientState};

/// Octets of a last error that are kept of a queue.
const ERROR_LENGTH: usize = 300;

/// What was leased.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The message.
    pub id: QueueId,
    /// Where it lies; the edition's own number.
    pub place: u32,
    /// The recipients, ascending.
    pub recipients: Vec<u32>,
}

/// A message as the timetable needs it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    /// Where it lies; the edition's own number.
    pub place: u32,
    /// When it was accepted.
    pub accepted: i64,
    /// Size in octets.
    pub size: u64,
    /// Higher goes first.
    pub priority: i8,
    /// Module, queue, due time (`None`: settled) and last error of each recipient.
    pub recipients: Vec<Standing>,
}

/// Where a recipient stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Its queue.
    pub queue: QueueName,
    /// When it is due; `None` when it is settled.
    pub due: Option<i64>,
    /// What the last try said, if it is to be tried again.
    pub error: Option<String>,
}

impl Standing {
    /// Of a recipient.
    #[must_use]
    pub fn of(recipient: &QueuedRecipient) -> Self {
        let queue = QueueName::new(&recipient.module, &recipient.queue);
        let (due, error) = match &recipient.state {
            RecipientState::Waiting { not_before, last_error, .. } => {
                let error = (!last_error.is_empty()).then(|| last_error.clone());
                (Some(*not_before), error)
            }
            // What was said of a recipient that is settled is not said of its queue.
            RecipientState::Done | RecipientState::Failed { .. } => (None, None),
        };
        Self { queue, due, error }
    }
}

impl Entry {
    /// Of a message that is being queued.
    #[must_use]
    pub fn of(new: &NewQueued, place: u32, size: u64) -> Self {
        let recipients = new.recipients.iter().map(Standing::of).collect();
        Self { place, accepted: new.accepted, size, priority: new.priority, recipients }
    }
}

/// A message that is in the timetable.
struct Kept {
    place: u32,
    accepted: i64,
    size: u64,
    priority: i8,
    /// Recipients that are not settled.
    left: u32,
    slots: Vec<Slot>,
}

/// One recipient.
#[derive(Clone, Copy)]
struct Slot {
    line: usize,
    due: Option<i64>,
    leased_until: Option<i64>,
}

/// Higher priority first, then earlier due.
type Turn = (i16, i64, QueueId, u32);

/// One queue.
struct Line {
    name: QueueName,
    /// Not due before this.
    parked: i64,
    /// Recipients that are not due yet, as far as is known.
    later: BTreeSet<(i64, QueueId, u32)>,
    /// Recipients that are due.
    ready: BTreeSet<Turn>,
    /// Where it stands in its module's agenda.
    agenda: Option<i64>,
    in_ring: bool,
    /// Unsettled recipients of each message.
    messages: BTreeMap<QueueId, u32>,
    recipients: u64,
    held: u64,
    size: u64,
    error: String,
}

/// The queues of one module.
#[derive(Default)]
struct Module {
    /// When queues fall due.
    agenda: BTreeSet<(i64, usize)>,
    /// Queues with something due, in turn.
    ring: VecDeque<usize>,
}

/// The timetable.
#[derive(Default)]
pub struct Timetable {
    entries: BTreeMap<QueueId, Kept>,
    lines: Vec<Option<Line>>,
    free: Vec<usize>,
    names: BTreeMap<QueueName, usize>,
    modules: HashMap<String, Module>,
    leases: BTreeSet<(i64, QueueId, u32)>,
    steps: u64,
}

impl Timetable {
    /// A message came.
    pub fn add(&mut self, id: QueueId, entry: Entry) {
        let Entry { place, accepted, size, priority, recipients } = entry;
        let mut slots = Vec::with_capacity(recipients.len());
        for standing in &recipients {
            // A settled recipient has no queue to wait in.
            let line = match standing.due {
                Some(_) => self.line(&standing.queue),
                None => usize::MAX,
            };
            slots.push(Slot { line, due: None, leased_until: None });
        }
        self.entries.insert(id, Kept { place, accepted, size, priority, left: 0, slots });
        for (index, standing) in (0u32..).zip(recipients) {
            self.place(id, index, standing.due);
            self.say(id, index, standing.error.as_deref());
        }
    }

    /// Recipients went on: where they stand now. Their leases end.
    pub fn reschedule(&mut self, id: QueueId, standings: Vec<(u32, Standing)>) {
        for (index, standing) in standings {
            self.steps += 1;
            if self.slot(id, index).is_none() {
                continue;
            }
            if standing.due.is_none() {
                self.say(id, index, standing.error.as_deref());
                self.take(id, index);
                continue;
            }
            self.take(id, index);
            let line = self.line(&standing.queue);
            if let Some(slot) = self.slot(id, index) {
                slot.line = line;
            }
            self.place(id, index, standing.due);
            self.say(id, index, standing.error.as_deref());
        }
    }

    /// A message left.
    pub fn remove(&mut self, id: QueueId) {
        let count = self.entries.get(&id).map_or(0, |kept| kept.slots.len());
        for (index, _) in (0u32..).zip(0..count) {
            self.take(id, index);
        }
        self.entries.remove(&id);
    }

    /// Leases the due recipients of up to `limit` messages, of one module or of all. Queues take
    /// turns, a message each; within one, higher priority goes first, then what was due earlier.
    /// With a message go all its due recipients of these modules.
    pub fn lease(
        &mut self,
        module: Option<&str>,
        now: i64,
        limit: usize,
        until: i64,
    ) -> Vec<Lease> {
        self.end_leases(now);
        let modules: Vec<String> = match module {
            Some(name) => vec![name.to_owned()],
            None => self.modules.keys().cloned().collect(),
        };
        for name in &modules {
            self.wake_lines(name, now);
        }
        let mut leases = Vec::new();
        // Modules take turns as well.
        while leases.len() < limit {
            let before = leases.len();
            for name in &modules {
                if leases.len() < limit
                    && let Some((id, _)) = self.next_turn(name, now)
                {
                    let only = module.is_some().then_some(name.as_str());
                    leases.extend(self.lease_due(id, only, now, until));
                }
            }
            if leases.len() == before {
                break;
            }
        }
        leases
    }

    /// Leases the due recipients of one message that are in no parked queue.
    pub fn lease_one(&mut self, id: QueueId, now: i64, until: i64) -> Option<Lease> {
        self.end_leases(now);
        self.lease_due(id, None, now, until)
    }

    /// Leases from one queue, parked or not.
    pub fn lease_queue(
        &mut self,
        name: &QueueName,
        now: i64,
        limit: usize,
        until: i64,
    ) -> Vec<Lease> {
        self.end_leases(now);
        let Some(line) = self.names.get(name).copied() else { return Vec::new() };
        self.ripen(line, now);
        let mut leases = Vec::new();
        while leases.len() < limit {
            let turn = self.lines.get(line).and_then(Option::as_ref).and_then(|l| l.ready.first());
            let Some((_, _, id, _)) = turn.copied() else { break };
            let Some(lease) = self.lease_in(id, line, until) else { break };
            leases.push(lease);
        }
        leases
    }

    /// Leases up to `limit` messages of a queue that have reached one of these ages (seconds since
    /// they were accepted) and have not been tried since. Parked or not, held ones excepted.
    pub fn lease_aged(
        &mut self,
        name: &QueueName,
        ages: &[i64],
        now: i64,
        limit: usize,
        until: i64,
    ) -> Vec<Lease> {
        self.end_leases(now);
        let Some(line) = self.names.get(name).copied() else { return Vec::new() };
        self.ripen(line, now);
        let reached = |accepted: i64, due: i64| {
            ages.iter().any(|age| {
                let at = accepted.saturating_add(*age);
                due <= at && at <= now
            })
        };
        let Some(Some(of)) = self.lines.get(line) else { return Vec::new() };
        let mut chosen = Vec::new();
        let mut last = None;
        for (_, due, id, _) in &of.ready {
            if chosen.len() >= limit {
                break;
            }
            let accepted = self.entries.get(id).map_or(i64::MAX, |kept| kept.accepted);
            if last != Some(*id) && reached(accepted, *due) && !chosen.contains(id) {
                chosen.push(*id);
                last = Some(*id);
            }
        }
        chosen.into_iter().filter_map(|id| self.lease_in(id, line, until)).collect()
    }

    /// Leases every waiting recipient of a message that nobody has, due or not, held or not.
    pub fn claim(&mut self, id: QueueId, now: i64, until: i64) -> Option<Lease> {
        self.end_leases(now);
        let kept = self.entries.get(&id)?;
        let place = kept.place;
        let free = |slot: &Slot| slot.due.is_some() && slot.leased_until.is_none();
        let recipients: Vec<u32> =
            (0u32..).zip(&kept.slots).filter(|(_, s)| free(s)).map(|(i, _)| i).collect();
        if recipients.is_empty() {
            return None;
        }
        for index in &recipients {
            self.lend(id, *index, until);
        }
        Some(Lease { id, place, recipients })
    }

    /// Ends leases; the recipients are as they were.
    pub fn give_back(&mut self, id: QueueId, recipients: &[u32]) {
        for index in recipients {
            if let Some(due) =
                self.slot(id, *index).and_then(|slot| slot.leased_until.and(slot.due))
            {
                self.put(id, *index, due);
            }
        }
    }

    /// A queue is not due before this; in the past: no longer.
    pub fn park(&mut self, name: &QueueName, until: i64) {
        let line = if until == i64::MIN {
            let Some(line) = self.names.get(name).copied() else { return };
            line
        } else {
            self.line(name)
        };
        if let Some(Some(of)) = self.lines.get_mut(line) {
            of.parked = until;
        }
        self.note(line);
        self.drop_if_empty(line);
    }

    /// What waits in a queue is due now at the latest; what is held stays so. Answers the number
    /// of messages in the queue.
    pub fn hasten(&mut self, name: &QueueName, now: i64) -> u64 {
        let Some(line) = self.names.get(name).copied() else { return 0 };
        let Some(Some(of)) = self.lines.get_mut(line) else { return 0 };
        let after = (now, QueueId(u64::MAX), u32::MAX);
        let early = of.later.split_off(&after);
        for (_, id, index) in early {
            if let Some(slot) = self
                .entries
                .get_mut(&id)
                .and_then(|kept| kept.slots.get_mut(usize::try_from(index).ok()?))
            {
                slot.due = Some(now);
            }
            of.later.insert((now, id, index));
        }
        let messages = of.messages.len() as u64;
        self.note(line);
        messages
    }

    /// When the next recipient falls due; leased ones count at their lease's end, those in parked
    /// queues when the queue is open again.
    #[must_use]
    pub fn next_due(&self) -> Option<i64> {
        let lease = self.leases.first().map(|(until, _, _)| *until);
        let agenda = self.modules.values().filter_map(|m| m.agenda.first().map(|(at, _)| *at));
        let ready = self.modules.values().filter_map(|module| {
            module.ring.iter().find_map(|line| {
                let of = self.lines.get(*line)?.as_ref().filter(|of| of.parked == i64::MIN)?;
                of.ready.first().map(|(_, due, _, _)| *due)
            })
        });
        lease.into_iter().chain(agenda).chain(ready).min()
    }

    /// Where a message lies.
    #[must_use]
    pub fn place_of(&self, id: QueueId) -> Option<u32> {
        self.entries.get(&id).map(|kept| kept.place)
    }

    /// Ids above `after`, ascending.
    #[must_use]
    pub fn list(&self, after: QueueId, limit: usize) -> Vec<QueueId> {
        self.entries.range((Excluded(after), Unbounded)).take(limit).map(|(id, _)| *id).collect()
    }

    /// Recipients of a message that are not settled.
    #[must_use]
    pub fn waiting(&self, id: QueueId) -> u32 {
        self.entries.get(&id).map_or(0, |kept| kept.left)
    }

    /// Number of messages.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.entries.len() as u64
    }

    /// What is known of a queue; `None` if nothing waits in it.
    #[must_use]
    pub fn facts(&self, name: &QueueName) -> Option<QueueFacts> {
        self.facts_of(*self.names.get(name)?)
    }

    /// The queues after a name, in the order of their names.
    #[must_use]
    pub fn queues(&self, after: Option<&QueueName>, limit: usize) -> Vec<QueueFacts> {
        let start = after.map_or(Unbounded, Excluded);
        let lines = self.names.range((start, Unbounded)).map(|(_, line)| *line);
        lines.filter_map(|line| self.facts_of(line)).take(limit).collect()
    }

    /// Messages of a queue with ids above `after`, ascending.
    #[must_use]
    pub fn queue_messages(&self, name: &QueueName, after: QueueId, limit: usize) -> Vec<QueueId> {
        let line = self.names.get(name).and_then(|line| self.lines.get(*line)?.as_ref());
        let Some(line) = line else { return Vec::new() };
        line.messages.range((Excluded(after), Unbounded)).take(limit).map(|(id, _)| *id).collect()
    }

    /// The modules that have queues.
    #[must_use]
    pub fn modules(&self) -> Vec<String> {
        self.modules.keys().cloned().collect()
    }

    /// How many single moves were made since the start: what is done must grow with what is
    /// asked, and tests look at it.
    #[must_use]
    pub fn steps(&self) -> u64 {
        self.steps
    }
}
