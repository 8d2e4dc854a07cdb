//! What looks at a whole message before it is accepted: who really sent it, filters, signatures.
//!
//! The door in ([`crate::submit`]) and the receivers ask every inspector that wants the message, in
//! their order; what they found goes in front of it. A message that nobody wants to see is not held
//! for anybody. It must never know a protocol.

use std::net::IpAddr;
use std::sync::{Arc, PoisonError, RwLock};

use angarium_accounts::{Actor, QueueId};
use async_trait::async_trait;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::submit::{Recipient, Source};

/// Octets of all messages that are held for inspection at a time.
const HELD: usize = 256 << 20;

/// Octets of one message that are held; of a larger one only so much is shown.
const HELD_ONE: usize = 64 << 20;

/// Octets that are reserved at a time.
const UNIT: usize = 64 * 1024;

/// Octets of header lines that one inspector may add.
const MAX_LINES: usize = 64 * 1024;

/// A message that has arrived whole and is not accepted yet.
#[derive(Clone, Copy)]
pub struct Arrived<'a> {
    /// Its number.
    pub id: QueueId,
    /// Where it came from.
    pub source: Source,
    /// The client, for mail that came over the network.
    pub peer: Option<IpAddr>,
    /// What the client called itself.
    pub hello: &'a str,
    /// It came over TLS.
    pub tls: bool,
    /// The client is one of ours: an own address, or it authenticated.
    pub trusted: bool,
    /// Who authenticated.
    pub actor: Option<&'a Actor>,
    /// Return path, empty for `<>`.
    pub return_path: &'a str,
    /// The recipients, with their routes.
    pub recipients: &'a [Recipient],
    /// Name of this server.
    pub host: &'a str,
    /// Seconds since 1970.
    pub now: i64,
    /// The message without the trace lines of this server.
    pub message: &'a [u8],
    /// False if more of the message follows: it is too large to be shown whole.
    pub whole: bool,
    /// The lines that inspectors before this one have put in front, the last one's first.
    pub found: &'a str,
}

/// What is known of a message before its first octet has come.
#[derive(Clone, Copy, Debug)]
pub struct Outline {
    /// Where it comes from.
    pub source: Source,
    /// The client, for mail that comes over the network.
    pub peer: Option<IpAddr>,
    /// The client is one of ours: an own address, or it authenticated.
    pub trusted: bool,
}

/// What becomes of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Verdict {
    /// It may go on.
    #[default]
    Accept,
    /// *Never*: refused with this enhanced status (5.x.x) and text.
    Refuse {
        /// Such as `(5, 7, 1)`.
        status: (u8, u8, u8),
        /// Why, for the sender.
        text: String,
    },
    /// *Later*: refused for now.
    Later {
        /// Such as `(4, 7, 1)`.
        status: (u8, u8, u8),
        /// Why, for the sender.
        text: String,
    },
    /// Accepted and dropped; the text is for the log.
    Discard(String),
}

/// What an inspector found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Findings {
    /// Header lines to be put in front of the message, each ended by CRLF.
    pub lines: String,
    /// What becomes of the message.
    pub verdict: Verdict,
    /// Where it goes in the accounts of local recipients, instead of INBOX.
    pub mailbox: Option<String>,
    /// What is to be changed in it.
    pub changed: Option<Box<Changed>>,
}

/// What a filter changed in a message and its envelope; `None` is as it was.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Changed {
    /// The whole message as it goes on.
    pub message: Option<Vec<u8>>,
    /// The return path.
    pub return_path: Option<String>,
    /// The recipients, at least one.
    pub recipients: Option<Vec<Recipient>>,
}

impl Changed {
    /// Lays a later change over this one.
    fn then(&mut self, later: Self) {
        self.message = later.message.or_else(|| self.message.take());
        self.return_path = later.return_path.or_else(|| self.return_path.take());
        self.recipients = later.recipients.or_else(|| self.recipients.take());
    }

    /// Makes the changes to an envelope.
    pub(crate) fn envelope(self, return_path: &mut String, recipients: &mut Vec<Recipient>) {
        if let Some(new) = self.return_path {
            *return_path = new;
        }
        if let Some(new) = self.recipients {
            *recipients = new;
        }
    }
}

/// Looks at messages.
#[async_trait]
pub trait Inspector: Send + Sync {
    /// The name in logs.
    fn name(&self) -> &'static str;
    /// Whether messages of this kind are looked at. Asked for every message before it comes: it
    /// answers at once, from memory.
    fn wants(&self, _outline: &Outline) -> bool {
        true
    }
    /// Looks at one message. What goes wrong inside is told by the verdict.
    async fn inspect(&self, arrived: &Arrived<'_>) -> Findings;
}

/// When an inspector's turn is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Turn {
    /// Who sent it: what it finds, others may use.
    Authenticity,
    /// Filters.
    Filter,
    /// What signs the message as it goes on.
    Sign,
}

/// Inspectors with their turns, in order.
type All = Vec<(Turn, Arc<dyn Inspector>)>;

/// The inspectors of a server. Cheap to clone; all clones have the same.
#[derive(Clone)]
pub struct Inspectors {
    all: Arc<RwLock<Arc<All>>>,
    room: Arc<Semaphore>,
}

impl Default for Inspectors {
    fn default() -> Self {
        Self { all: Arc::default(), room: Arc::new(Semaphore::new(HELD / UNIT)) }
    }
}

impl Inspectors {
    /// Adds one; those of the same turn are asked in the order they came.
    pub fn add(&self, turn: Turn, inspector: Arc<dyn Inspector>) {
        let mut all = self.all.write().unwrap_or_else(PoisonError::into_inner);
        let mut new = All::clone(&all);
        new.push((turn, inspector));
        new.sort_by_key(|(turn, _)| *turn);
        *all = Arc::new(new);
    }

    /// Those that want to see a message, if any does.
    #[must_use]
    pub fn wanting(&self, outline: &Outline) -> Option<Inspection> {
        let all = Arc::clone(&self.all.read().unwrap_or_else(PoisonError::into_inner));
        let inspectors: Vec<_> =
            all.iter().filter(|(_, one)| one.wants(outline)).map(|(_, one)| one.clone()).collect();
        (!inspectors.is_empty()).then(|| Inspection {
            inspectors,
            room: Arc::clone(&self.room),
            held: None,
            units: 0,
        })
    }
}

/// A message's way past the inspectors that want it.
pub struct Inspection {
    inspectors: Vec<Arc<dyn Inspector>>,
    room: Arc<Semaphore>,
    held: Option<OwnedSemaphorePermit>,
    units: usize,
}

impl Inspection {
    /// Reserves room for a message of so many octets; false if it must be shown as far as it has
    /// come, because it is too large or too many others are held.
    pub fn reserve(&mut self, octets: usize) -> bool {
        let units = octets.div_ceil(UNIT);
        if octets > HELD_ONE {
            return false;
        }
        let Some(more) = units.checked_sub(self.units).filter(|more| *more > 0) else {
            return true;
        };
        let Ok(count) = u32::try_from(more) else { return false };
        let Ok(permit) = Arc::clone(&self.room).try_acquire_many_owned(count) else {
            return false;
        };
        match &mut self.held {
            Some(held) => held.merge(permit),
            None => self.held = Some(permit),
        }
        self.units = units;
        true
    }

    /// Asks all in turn, up to the first that does not accept. The lines of the last stand first.
    pub async fn run(&self, arrived: &Arrived<'_>) -> Findings {
        let mut all = Findings::default();
        for inspector in &self.inspectors {
            let mut seen = Arrived { found: &all.lines, ..*arrived };
            if let Some(changed) = &all.changed {
                seen.message = changed.message.as_deref().unwrap_or(seen.message);
                seen.return_path = changed.return_path.as_deref().unwrap_or(seen.return_path);
                seen.recipients = changed.recipients.as_deref().unwrap_or(seen.recipients);
            }
            let found = inspector.inspect(&seen).await;
            if found.lines.len() > MAX_LINES {
                let name = inspector.name();
                tracing::error!(target: "ENQUEUER", "[{}] {name} adds too much", arrived.id);
            } else {
                all.lines.insert_str(0, &found.lines);
            }
            all.mailbox = all.mailbox.or(found.mailbox);
            match (&mut all.changed, found.changed) {
                (Some(before), Some(later)) => before.then(*later),
                (before @ None, later) => *before = later,
                (Some(_), None) => {}
            }
            if found.verdict != Verdict::Accept {
                let (name, verdict) = (inspector.name(), &found.verdict);
                tracing::info!(target: "ENQUEUER", "[{}] {name}: {verdict:?}", arrived.id);
                all.verdict = found.verdict;
                break;
            }
        }
        all
    }
}

/// What a message's envelope says, kept while it comes.
#[derive(Clone)]
pub(crate) struct Context {
    pub(crate) id: QueueId,
    pub(crate) source: Source,
    pub(crate) peer: Option<IpAddr>,
    pub(crate) hello: String,
    pub(crate) tls: bool,
    pub(crate) trusted: bool,
    pub(crate) actor: Option<Arc<Actor>>,
    pub(crate) return_path: String,
    pub(crate) recipients: Vec<Recipient>,
    pub(crate) host: String,
    pub(crate) now: i64,
}

impl Context {
    pub(crate) fn arrived<'a>(&'a self, message: &'a [u8], whole: bool) -> Arrived<'a> {
        Arrived {
            id: self.id,
            source: self.source,
            peer: self.peer,
            hello: &self.hello,
            tls: self.tls,
            trusted: self.trusted,
            actor: self.actor.as_deref(),
            return_path: &self.return_path,
            recipients: &self.recipients,
            host: &self.host,
            now: self.now,
            message,
            whole,
            found: "",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_for_inspection_is_bounded_for_one_and_for_all() {
        struct Sees;
        #[async_trait]
        impl Inspector for Sees {
            fn name(&self) -> &'static str {
                "sees"
            }
            fn wants(&self, outline: &Outline) -> bool {
                !outline.trusted
            }
            async fn inspect(&self, _: &Arrived<'_>) -> Findings {
                Findings::default()
            }
        }
        let inspectors = Inspectors::default();
        let mut outline = Outline { source: Source::Smtp, peer: None, trusted: false };
        assert!(inspectors.wanting(&outline).is_none(), "nobody is there");
        inspectors.add(Turn::Filter, Arc::new(Sees));
        outline.trusted = true;
        assert!(inspectors.wanting(&outline).is_none(), "nobody wants it");
        outline.trusted = false;
        let mut one = inspectors.wanting(&outline).unwrap();
        assert!(!one.reserve(HELD_ONE + 1) && one.reserve(1) && one.reserve(HELD_ONE));
        let mut others = Vec::new();
        for _ in 1..HELD / HELD_ONE {
            others.push(inspectors.wanting(&outline).unwrap());
            assert!(others.last_mut().unwrap().reserve(HELD_ONE));
        }
        let mut late = inspectors.wanting(&outline).unwrap();
        assert!(!late.reserve(1));
        drop(one);
        assert!(late.reserve(1));
    }
}
