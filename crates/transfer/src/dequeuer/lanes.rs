//! The active part of the queue in memory: which queues deliver now, which wait for a channel,
//! which wait after a failure, and whose turn it is.
//!
//! Pure: it starts nothing; what it answers is to be done by its caller. It must never know a
//! module or the store.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use angarium_store::{QueueName, QueuedMessage};

use crate::deliver::Channels;

/// Parts that wait in one lane for each of its channels; beyond that they stay in the store.
const WAITING_PER_CHANNEL: usize = 4;

/// Parts of a module in memory for each of its channels.
const PARTS_PER_CHANNEL: usize = 4;

/// Recipients of one message in one queue, to be delivered together.
#[derive(Clone, Debug)]
pub(super) struct Part {
    pub(super) message: Arc<QueuedMessage>,
    pub(super) recipients: Vec<u32>,
    pub(super) name: QueueName,
}

/// What is to be done with a part that came.
pub(super) enum Admission {
    /// Begin it.
    Begin(Part),
    /// It waits; with `crowded` the store should keep the rest of the queue.
    Waits { crowded: bool },
    /// Its queue waits after a failure: back to the store.
    Back(Part),
}

/// How a queue stands that is more than empty and well.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LaneState {
    /// Deliveries under way.
    pub running: usize,
    /// Failures of the whole queue one after the other.
    pub failures: u32,
    /// After a failure: not before this.
    pub blocked_until: Option<i64>,
    /// What the failure said.
    pub error: String,
}

#[derive(Default)]
struct Lane {
    state: LaneState,
    waiting: VecDeque<Part>,
    crowded: bool,
    in_ring: bool,
}

#[derive(Default)]
struct ModuleLanes {
    running: usize,
    parts: usize,
    /// Lanes that could begin something if the module had a channel.
    ring: VecDeque<QueueName>,
    /// The store may have more that is due.
    more: bool,
}

/// All lanes.
#[derive(Default)]
pub(super) struct Lanes {
    lanes: HashMap<QueueName, Lane>,
    modules: HashMap<String, ModuleLanes>,
}

impl Lane {
    /// Deliveries it may have at a time: after a failure one probes.
    fn width(&self, channels: Channels) -> usize {
        if self.state.failures > 0 { 1 } else { channels.per_queue.max(1) }
    }

    fn is_idle(&self) -> bool {
        self.state.running == 0
            && self.waiting.is_empty()
            && self.state.failures == 0
            && !self.crowded
            && !self.in_ring
    }
}

impl Lanes {
    /// A part came from the store.
    pub(super) fn add(&mut self, part: Part, channels: Channels, now: i64) -> Admission {
        let lane = self.lanes.entry(part.name.clone()).or_default();
        if lane.state.blocked_until.is_some_and(|until| until > now) {
            return Admission::Back(part);
        }
        let module = self.modules.entry(part.name.module.clone()).or_default();
        module.parts += 1;
        let width = lane.width(channels);
        if lane.waiting.is_empty()
            && lane.state.running < width
            && module.running < channels.total.max(1)
        {
            lane.state.running += 1;
            module.running += 1;
            return Admission::Begin(part);
        }
        let name = part.name.clone();
        lane.waiting.push_back(part);
        if lane.state.running < width && !lane.in_ring {
            lane.in_ring = true;
            module.ring.push_back(name);
        }
        let crowded = !lane.crowded && lane.waiting.len() >= width * WAITING_PER_CHANNEL;
        lane.crowded |= crowded;
        Admission::Waits { crowded }
    }

    /// A part ended. Answers true when the queue is crowded no more: the store may give again.
    pub(super) fn ended(&mut self, name: &QueueName, channels: Channels) -> bool {
        if let Some(module) = self.modules.get_mut(&name.module) {
            module.running = module.running.saturating_sub(1);
            module.parts = module.parts.saturating_sub(1);
        }
        let Some(lane) = self.lanes.get_mut(name) else { return false };
        lane.state.running = lane.state.running.saturating_sub(1);
        if !lane.waiting.is_empty() && !lane.in_ring {
            lane.in_ring = true;
            if let Some(module) = self.modules.get_mut(&name.module) {
                module.ring.push_back(name.clone());
            }
        }
        let eased = lane.crowded && lane.waiting.len() <= lane.width(channels);
        if eased {
            lane.crowded = false;
        }
        if lane.is_idle() {
            self.lanes.remove(name);
        }
        eased
    }

    /// The next part of a module that may begin.
    pub(super) fn next(
        &mut self,
        module: &str,
        channels: impl Fn(&QueueName) -> Channels,
        now: i64,
    ) -> Option<Part> {
        let of = self.modules.get_mut(module)?;
        for _ in 0..of.ring.len() {
            let name = of.ring.pop_front()?;
            let Some(lane) = self.lanes.get_mut(&name) else { continue };
            lane.in_ring = false;
            let channels = channels(&name);
            if of.running >= channels.total.max(1) {
                lane.in_ring = true;
                of.ring.push_front(name);
                return None;
            }
            let blocked = lane.state.blocked_until.is_some_and(|until| until > now);
            if blocked || lane.state.running >= lane.width(channels) {
                continue;
            }
            if let Some(part) = lane.waiting.pop_front() {
                lane.state.running += 1;
                of.running += 1;
                if !lane.waiting.is_empty() && lane.state.running < lane.width(channels) {
                    lane.in_ring = true;
                    of.ring.push_back(name);
                }
                return Some(part);
            }
            if lane.is_idle() {
                self.lanes.remove(&name);
            }
        }
        None
    }

    /// No host of a queue could be spoken to. Answers until when it waits, and its parts that go
    /// back to the store; several that fail at the same time count once.
    pub(super) fn failed(
        &mut self,
        name: &QueueName,
        now: i64,
        wait: impl FnOnce(u32) -> i64,
        error: &str,
    ) -> (i64, Vec<Part>) {
        let lane = self.lanes.entry(name.clone()).or_default();
        if let Some(until) = lane.state.blocked_until.filter(|until| *until > now) {
            return (until, Vec::new());
        }
        let until = now.saturating_add(wait(lane.state.failures).max(1));
        lane.state.failures = lane.state.failures.saturating_add(1);
        lane.state.blocked_until = Some(until);
        error.clone_into(&mut lane.state.error);
        lane.crowded = false;
        (until, self.take_waiting(name))
    }

    /// A host of a queue answered. True when it had failed before.
    pub(super) fn succeeded(&mut self, name: &QueueName) -> bool {
        let Some(lane) = self.lanes.get_mut(name) else { return false };
        let had = lane.state.failures > 0;
        lane.state = LaneState { running: lane.state.running, ..LaneState::default() };
        if lane.is_idle() {
            self.lanes.remove(name);
        }
        had
    }

    /// The parts of a queue that wait go back to the store.
    pub(super) fn take_waiting(&mut self, name: &QueueName) -> Vec<Part> {
        let Some(lane) = self.lanes.get_mut(name) else { return Vec::new() };
        let parts: Vec<Part> = lane.waiting.drain(..).collect();
        lane.crowded = false;
        if let Some(module) = self.modules.get_mut(&name.module) {
            module.parts = module.parts.saturating_sub(parts.len());
        }
        parts
    }

    /// Messages of a module the store may give now; none left means that there may be more.
    pub(super) fn room(&mut self, module: &str, channels: Channels) -> usize {
        let most = channels.total.max(1).saturating_mul(PARTS_PER_CHANNEL);
        let of = self.modules.entry(module.to_owned()).or_default();
        let room = most.saturating_sub(of.parts);
        of.more = room == 0;
        room
    }

    /// The store gave less than there was room for, or as much.
    pub(super) fn more(&mut self, module: &str, more: bool) {
        self.modules.entry(module.to_owned()).or_default().more = more;
    }

    /// True when a module waited for room and has some again.
    pub(super) fn wants_more(&self, module: &str, channels: Channels) -> bool {
        let most = channels.total.max(1).saturating_mul(PARTS_PER_CHANNEL);
        self.modules.get(module).is_some_and(|of| of.more && of.parts <= most / 2)
    }

    /// How a queue stands.
    pub(super) fn state(&self, name: &QueueName) -> LaneState {
        self.lanes.get(name).map(|lane| lane.state.clone()).unwrap_or_default()
    }

    /// Whether the store keeps the rest of a queue because enough of it is here.
    pub(super) fn is_crowded(&self, name: &QueueName) -> bool {
        self.lanes.get(name).is_some_and(|lane| lane.crowded)
    }

    /// The queues that wait after a failure.
    pub(super) fn blocked(&self) -> Vec<QueueName> {
        let failed = |lane: &Lane| lane.state.failures > 0;
        self.lanes.iter().filter(|(_, lane)| failed(lane)).map(|(name, _)| name.clone()).collect()
    }

    /// Parts of all modules in memory.
    pub(super) fn parts(&self) -> usize {
        self.modules.values().map(|module| module.parts).sum()
    }
}

#[cfg(test)]
mod tests {
    use angarium_store::QueueId;

    use super::*;

    const FOUR: Channels = Channels { total: 4, per_queue: 2, recipients: 1000 };

    fn part(id: u64, queue: &str) -> Part {
        let message = QueuedMessage {
            id: QueueId(id),
            return_path: String::new(),
            facts: Default::default(),
            body: angarium_store::BodyId(1),
            size: 1,
            summary: Default::default(),
            recipients: Vec::new(),
            accepted: 0,
            priority: 0,
        };
        let name = QueueName::new("SMTP", queue);
        Part { message: Arc::new(message), recipients: vec![0], name }
    }

    fn begins(lanes: &mut Lanes, id: u64, queue: &str) -> bool {
        matches!(lanes.add(part(id, queue), FOUR, 0), Admission::Begin(_))
    }

    fn next(lanes: &mut Lanes) -> Option<(u64, String)> {
        lanes.next("SMTP", |_| FOUR, 0).map(|part| (part.message.id.0, part.name.queue))
    }

    #[test]
    fn a_queue_takes_its_channels_and_no_more_and_a_module_too() {
        let mut lanes = Lanes::default();
        assert!(begins(&mut lanes, 1, "a") && begins(&mut lanes, 2, "a"));
        assert!(!begins(&mut lanes, 3, "a"));
        assert!(begins(&mut lanes, 4, "b") && begins(&mut lanes, 5, "c"));
        assert!(!begins(&mut lanes, 6, "d"), "four channels are taken");
        assert_eq!(next(&mut lanes), None);
        lanes.ended(&QueueName::new("SMTP", "c"), FOUR);
        assert_eq!(next(&mut lanes), Some((6, "d".into())));
        lanes.ended(&QueueName::new("SMTP", "a"), FOUR);
        assert_eq!(next(&mut lanes), Some((3, "a".into())));
        assert_eq!(next(&mut lanes), None);
    }

    #[test]
    fn a_huge_queue_waits_its_turn() {
        let mut lanes = Lanes::default();
        for id in 0..8 {
            begins(&mut lanes, id, "huge");
        }
        assert!(begins(&mut lanes, 50, "b") && begins(&mut lanes, 51, "c"));
        assert!(!begins(&mut lanes, 60, "small"));
        lanes.ended(&QueueName::new("SMTP", "huge"), FOUR);
        let first = next(&mut lanes).unwrap();
        lanes.ended(&QueueName::new("SMTP", "b"), FOUR);
        let second = next(&mut lanes).unwrap();
        assert!([first.1, second.1].contains(&"small".to_owned()));
    }

    #[test]
    fn a_failure_blocks_the_whole_queue_one_probes_and_a_success_opens_it() {
        let mut lanes = Lanes::default();
        let a = QueueName::new("SMTP", "a");
        for id in 0..4 {
            begins(&mut lanes, id, "a");
        }
        let (until, back) = lanes.failed(&a, 0, |n| 100 + i64::from(n), "no answer");
        assert_eq!((until, back.len()), (100, 2));
        // The other one that was under way fails with it, and counts no more.
        assert_eq!(lanes.failed(&a, 0, |_| 9999, "no answer").0, 100);
        lanes.ended(&a, FOUR);
        lanes.ended(&a, FOUR);
        assert!(matches!(lanes.add(part(9, "a"), FOUR, 99), Admission::Back(_)));
        assert!(matches!(lanes.add(part(9, "a"), FOUR, 100), Admission::Begin(_)));
        assert!(matches!(lanes.add(part(10, "a"), FOUR, 100), Admission::Waits { .. }));
        assert_eq!(lanes.failed(&a, 100, |n| 100 + i64::from(n), "still").0, 201);
        lanes.ended(&a, FOUR);
        assert!(matches!(lanes.add(part(9, "a"), FOUR, 201), Admission::Begin(_)));
        assert!(lanes.succeeded(&a) && !lanes.succeeded(&a));
        assert!(matches!(lanes.add(part(10, "a"), FOUR, 201), Admission::Begin(_)));
        assert!(lanes.blocked().is_empty());
    }

    #[test]
    fn what_is_idle_is_forgotten_and_what_waits_is_bounded() {
        let mut lanes = Lanes::default();
        let a = QueueName::new("SMTP", "a");
        let mut crowded = 0;
        for id in 0..20 {
            if let Admission::Waits { crowded: true } = lanes.add(part(id, "a"), FOUR, 0) {
                crowded += 1;
            }
        }
        assert_eq!((crowded, lanes.parts()), (1, 20));
        assert_eq!(lanes.room("SMTP", FOUR), 0);
        let mut eased = 0;
        for _ in 0..20 {
            eased += usize::from(lanes.ended(&a, FOUR));
            next(&mut lanes);
        }
        assert_eq!((eased, lanes.parts()), (1, 0));
        next(&mut lanes);
        assert!(lanes.lanes.is_empty() && lanes.wants_more("SMTP", FOUR));
    }
}
