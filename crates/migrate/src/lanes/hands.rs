//! What all lanes of a run share: limits, what was learnt of the servers, readers with nothing to
//! do, and the things a postmaster should hear in the end.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use super::limits::Daily;
use super::quirks::Quirks;
use crate::error::{Result, Side};
use crate::options::pace::Pace;
use crate::options::sides::Sides;
use crate::session::Session;

/// Octets of messages that may be in memory at once, all connections of a run together.
const BYTE_BUDGET: usize = 64 * 1024 * 1024;
/// Remarks kept word for word; beyond this only their number is told.
const MOST_NOTES: usize = 1_000;

/// Shared by all lanes of a run.
pub(crate) struct Hands {
    /// Limits and sizes.
    pub(crate) pace: Pace,
    /// The day's budget, if there is one.
    pub(crate) daily: Option<Daily>,
    /// What was learnt.
    pub(crate) quirks: Quirks,
    sides: Sides,
    /// Largest message the target takes, where it tells.
    append_limit: Mutex<Option<u64>>,
    /// Logged-in sessions at the source with nothing to do.
    idle: Mutex<Vec<Session>>,
    /// Sessions at the source that may still be opened.
    unopened: AtomicUsize,
    notes: Mutex<(Vec<String>, u64)>,
}

impl Hands {
    /// `unopened`: sessions at the source beyond one for each lane.
    pub(crate) fn new(sides: Sides, pace: Pace, daily: Option<Daily>, unopened: usize) -> Self {
        Self {
            pace,
            daily,
            quirks: Quirks::default(),
            sides,
            append_limit: Mutex::new(None),
            idle: Mutex::new(Vec::new()),
            unopened: AtomicUsize::new(unopened),
            notes: Mutex::default(),
        }
    }

    /// Octets of messages one reader may have on their way.
    pub(crate) fn octets_ahead(&self) -> usize {
        BYTE_BUDGET / self.pace.connections.max(1)
    }

    /// Largest message the target takes, where it tells.
    pub(crate) fn append_limit(&self) -> Option<u64> {
        *self.append_limit.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The target told of a limit; the least one counts.
    pub(crate) fn limit_messages(&self, octets: u64) {
        let mut limit = self.append_limit.lock().unwrap_or_else(PoisonError::into_inner);
        *limit = Some(limit.map_or(octets, |known| known.min(octets)));
    }

    /// True when both accounts are at one server: what it calls a message means the same in both.
    pub(crate) fn is_one_server(&self) -> bool {
        let (old, new) = (&self.sides.source.0, &self.sides.target.0);
        old.host == new.host && old.port == new.port && old.tunnel == new.tunnel
    }

    /// A new connection with login.
    pub(crate) async fn open(&self, side: Side) -> Result<Session> {
        let (endpoint, credentials) = match side {
            Side::Source => &self.sides.source,
            Side::Target => &self.sides.target,
        };
        Box::pin(Session::open(side, endpoint, credentials, self.pace.timeout)).await
    }

    /// Connections to both sides, both made at once. When both fail the old server is named.
    pub(crate) async fn open_pair(&self) -> Result<(Session, Session)> {
        let (source, target) = tokio::join!(self.open(Side::Source), self.open(Side::Target));
        Ok((source?, target?))
    }

    /// A session at the source nobody needs now: an idle one, or a new one while that is allowed.
    pub(crate) async fn borrow_reader(&self) -> Option<Session> {
        if let Some(idle) = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop() {
            return Some(idle);
        }
        let one_less = |n: usize| n.checked_sub(1);
        self.unopened.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less).ok()?;
        // A server that gives no more connections is not asked again.
        self.open(Side::Source).await.ok()
    }

    /// Gives a session back that is still good.
    pub(crate) fn give_back(&self, reader: Session) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(reader);
    }

    /// Takes what nobody needs any more.
    pub(crate) fn take_idle(&self) -> Vec<Session> {
        std::mem::take(&mut *self.idle.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A line for the report; the same one counts once.
    pub(crate) fn note(&self, line: String) {
        let mut notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        if notes.0.contains(&line) {
            return;
        }
        if notes.0.len() < MOST_NOTES {
            notes.0.push(line);
        } else {
            notes.1 += 1;
        }
    }

    /// The lines for the report.
    pub(crate) fn remarks(&self) -> Vec<String> {
        let notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        let mut out = notes.0.clone();
        if notes.1 > 0 {
            out.push(format!("and {} more of this kind", notes.1));
        }
        out.extend(self.quirks.remarks());
        out
    }
}
