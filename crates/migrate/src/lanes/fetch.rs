//! Asking the old server for messages: FETCH after FETCH under way, and what to do when it does
//! not give what it was asked for. Knows nothing of the target.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use angarium_imap::client::{Code, Event, Response, Status, Untagged, reader, write};
use bytes::Bytes;

use super::limits::{Daily, Rate};
use super::pieces::Outlet;
use super::quirks::{BodyItem, Quirks};
use super::throttle::{self, Advice, LONGEST_WAIT};
use crate::error::{MoveError, Result};
use crate::session::Session;
use crate::session::flood::Flood;
use crate::source::{Meta, Piece};

/// Most messages of one FETCH where nothing else is said.
pub(crate) const MESSAGES: usize = 200;
/// Most octets of one FETCH where nothing else is said, by the sizes the server told.
pub(crate) const OCTETS: u64 = 8 * 1024 * 1024;
/// FETCH commands under way at once, so that the old server never waits for a round trip.
const COMMANDS_AHEAD: usize = 8;
/// Octets asked for and not answered yet, beyond the command being answered.
const OCTETS_AHEAD: u64 = 16 * 1024 * 1024;
/// Longest set of UIDs in one command, octets: RFC 2683 warns of servers with short lines.
const LONGEST_SET: usize = 4_000;
/// Octets of a body kept while its UID is not known.
const MOST_HELD: usize = 16 * 1024 * 1024;
/// How often in a row a server may ask for patience.
const PATIENCE: u32 = 10;
/// Messages passed over in silence that are asked for one by one.
const MOST_ALONE: usize = 500;

/// How one mailbox is asked.
pub(crate) struct Asking<'a> {
    /// What was listed.
    pub(crate) metas: &'a [Meta],
    /// How bodies are asked for at first.
    pub(crate) item: BodyItem,
    /// The rate to keep to.
    pub(crate) rate: Option<&'a Rate>,
    /// The day's budget to keep to.
    pub(crate) daily: Option<&'a Daily>,
    /// Where to look up and note what the server cannot do.
    pub(crate) quirks: Option<&'a Quirks>,
}

/// Where a reader says that it stopped asking before the end, and until when (seconds, UTC).
#[derive(Debug, Default)]
pub(crate) struct Parked(Mutex<Option<(u64, String)>>);

impl Parked {
    fn set(&self, until: u64, reason: String) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((until, reason));
    }

    /// The error, if a reader has stopped.
    pub(crate) fn take(&self) -> Option<MoveError> {
        let taken = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        taken.map(|(until, reason)| MoveError::Parked { until, reason })
    }
}

/// Messages in batches of at most `most` messages and `octets` octets (a larger one goes alone),
/// each short enough to be written as one set.
pub(crate) fn batches(
    metas: &[Meta],
    wanted: &[usize],
    most: usize,
    octets: u64,
) -> Vec<Vec<usize>> {
    let mut all: Vec<Vec<usize>> = Vec::new();
    let (mut bytes, mut set, mut last) = (0_u64, 0, 0_u32);
    for &index in wanted {
        let (size, uid) = metas.get(index).map_or((0, 0), |m| (m.size, m.uid));
        // Eleven: a UID and its comma. A run is one range however long it is.
        let more = if uid == last.wrapping_add(1) { 0 } else { 22 };
        match all.last_mut() {
            Some(batch)
                if batch.len() < most.max(1)
                    && bytes.saturating_add(size) <= octets
                    && set + more <= LONGEST_SET =>
            {
                batch.push(index);
                set += more;
            }
            _ => {
                all.push(vec![index]);
                (bytes, set) = (0, 22);
            }
        }
        bytes = bytes.saturating_add(size);
        last = uid;
    }
    all
}

/// Messages a command did not bring.
struct Refused {
    indexes: Vec<usize>,
    status: Status,
    code: Option<Code>,
    reason: String,
}

/// Streams the messages of the batches into `out`, each once; what the server does not give
/// becomes [`Piece::Failed`].
pub(crate) async fn run(
    session: &mut Session,
    asking: &Asking<'_>,
    batches: Vec<Vec<usize>>,
    out: &Outlet,
) -> Result<()> {
    let parked = Parked::default();
    run_or_park(session, asking, batches, out, &parked).await
}

/// As [`run`]; when the day's budget ends, what was asked for still comes and `parked` is told.
pub(crate) async fn run_or_park(
    session: &mut Session,
    asking: &Asking<'_>,
    batches: Vec<Vec<usize>>,
    out: &Outlet,
    parked: &Parked,
) -> Result<()> {
    let uid_of = |i: &usize| Some((asking.metas.get(*i)?.uid, *i));
    let mut stream = Stream {
        by_uid: batches.iter().flatten().filter_map(uid_of).collect(),
        asking,
        out,
        parked,
        early: HashMap::new(),
        gathering: None,
        only: None,
        seen: false,
        stopped: false,
    };
    let mut item = asking.quirks.and_then(|q| q.known().item).unwrap_or(asking.item);
    let mut refused = stream.pass(session, item, &batches, true).await?;
    let mut patience = PATIENCE;
    while !refused.is_empty() && !stream.stopped {
        if let Some(groups) = wait_for(&refused, &mut patience).await? {
            refused = stream.pass(session, item, &groups, false).await?;
            continue;
        }
        if let Some(other) = stream.other_item(session, item, &refused).await? {
            item = other;
            let groups: Vec<Vec<usize>> = refused.into_iter().map(|r| r.indexes).collect();
            refused = stream.pass(session, item, &groups, false).await?;
            continue;
        }
        let groups = stream.smaller(refused).await;
        refused = stream.pass(session, item, &groups, false).await?;
    }
    Ok(())
}

/// Sleeps when the server asked for patience; answers what to ask for again then.
async fn wait_for(refused: &[Refused], patience: &mut u32) -> Result<Option<Vec<Vec<usize>>>> {
    let waits = refused.iter().filter(|r| r.status != Status::Ok);
    let wait = waits
        .filter_map(|r| match throttle::advice(r.code.as_ref(), &r.reason) {
            Advice::Wait(wait) => Some((wait, &r.reason)),
            _ => None,
        })
        .max_by_key(|(wait, _)| *wait);
    let Some((wait, reason)) = wait else { return Ok(None) };
    if wait > LONGEST_WAIT {
        return Err(parked_for(wait, reason));
    }
    if *patience == 0 {
        return Ok(None);
    }
    *patience -= 1;
    tokio::time::sleep(wait).await;
    Ok(Some(refused.iter().map(|r| r.indexes.clone()).collect()))
}

/// A server that wants to be left alone for longer than is slept through.
pub(crate) fn parked_for(wait: std::time::Duration, reason: &str) -> MoveError {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let until = now.as_secs().saturating_add(wait.as_secs().min(366 * 86_400));
    MoveError::Parked { until, reason: reason.chars().take(300).collect() }
}

struct Stream<'a> {
    /// Messages not seen yet, by UID.
    by_uid: HashMap<u32, usize>,
    asking: &'a Asking<'a>,
    out: &'a Outlet,
    parked: &'a Parked,
    /// Commands that ended before one that was sent earlier.
    early: HashMap<String, (Status, Option<Code>, String)>,
    gathering: Option<Gathering>,
    /// The UID asked for, where the command being answered asks for one only.
    only: Option<u32>,
    /// Any message has come.
    seen: bool,
    /// The day's budget has ended.
    stopped: bool,
}

enum Gathering {
    /// Pieces of a body that is passed on.
    Passing,
    /// A body nobody asked for (or a second time): dropped.
    Dropping,
    /// The UID comes after the body.
    Holding(Vec<Bytes>, usize),
}

impl Stream<'_> {
    /// Asks for every batch; answers what did not come. `turns`: these are the batches dealt out.
    async fn pass(
        &mut self,
        session: &mut Session,
        item: BodyItem,
        batches: &[Vec<usize>],
        turns: bool,
    ) -> Result<Vec<Refused>> {
        let mut refused = Vec::new();
        let mut tags: Vec<(String, u64)> = Vec::new();
        let mut ahead = 0;
        for (done, batch) in batches.iter().enumerate() {
            while !self.stopped
                && tags.len() < batches.len()
                && (tags.len() <= done
                    || (tags.len() < done + COMMANDS_AHEAD && ahead < OCTETS_AHEAD))
            {
                let next = batches.get(tags.len()).map(Vec::as_slice).unwrap_or_default();
                let Some(sent) = self.ask(session, item, next).await? else { break };
                ahead += sent.1;
                tags.push(sent);
            }
            let Some((tag, octets)) = tags.get(done).cloned() else { break };
            self.only = match batch.as_slice() {
                [one] => self.asking.metas.get(*one).map(|m| m.uid),
                _ => None,
            };
            let (status, code, text) = self.until(session, &tag).await?;
            ahead = ahead.saturating_sub(octets);
            let left = |i: &&usize| {
                self.asking.metas.get(**i).is_some_and(|m| self.by_uid.contains_key(&m.uid))
            };
            let indexes: Vec<usize> = batch.iter().filter(left).copied().collect();
            if !indexes.is_empty() {
                let reason = if status == Status::Ok { "the message is gone".into() } else { text };
                refused.push(Refused { indexes, status, code, reason });
            }
            if turns {
                self.out.turn();
            }
        }
        Ok(refused)
    }

    /// Sends the FETCH of a batch, its tag and octets; `None` when the day's budget is used up.
    async fn ask(
        &mut self,
        session: &mut Session,
        item: BodyItem,
        batch: &[usize],
    ) -> Result<Option<(String, u64)>> {
        let metas = || batch.iter().filter_map(|i| self.asking.metas.get(*i));
        let octets = metas().fold(0_u64, |sum, m| sum.saturating_add(m.size));
        if let Some(daily) = self.asking.daily {
            match daily.take(octets).await {
                Ok(()) => {}
                Err(MoveError::Parked { until, reason }) => {
                    self.parked.set(until, reason);
                    self.stopped = true;
                    return Ok(None);
                }
                Err(e) => return Err(e),
            }
        }
        let mut uids: Vec<u32> = metas().map(|m| m.uid).collect();
        uids.sort_unstable();
        let tag = session.next_tag();
        let line = format!("{tag} UID FETCH {} (UID {})\r\n", write::set(&uids), item.text());
        session.write.write(line.as_bytes()).await?;
        session.write.flush().await?;
        Ok(Some((tag, octets)))
    }

    /// Another way to ask, when nothing has come by this one: found by asking for one message.
    async fn other_item(
        &mut self,
        session: &mut Session,
        item: BodyItem,
        refused: &[Refused],
    ) -> Result<Option<BodyItem>> {
        // Courier says NO to what it does not know, as others say BAD; so it may also be the message.
        let way = |r: &&Refused| r.status == Status::Bad || r.status == Status::No;
        let first = refused.iter().find(way).and_then(|r| r.indexes.first());
        let Some(&first) = first else { return Ok(None) };
        if self.seen || self.asking.quirks.is_none() {
            return Ok(None);
        }
        let mut item = item;
        while let Some(next) = item.next() {
            item = next;
            let left = self.pass(session, item, &[vec![first]], false).await?;
            if left.is_empty() && self.seen {
                if let Some(quirks) = self.asking.quirks {
                    quirks.known().item = Some(item);
                }
                return Ok(Some(item));
            }
        }
        Ok(None)
    }

    /// What to ask for next: halves of what was refused, one by one what was passed over in
    /// silence. What was refused alone has failed.
    async fn smaller(&mut self, refused: Vec<Refused>) -> Vec<Vec<usize>> {
        let mut groups = Vec::new();
        let mut alone = MOST_ALONE;
        for mut one in refused {
            one.indexes.retain(|i| {
                self.asking.metas.get(*i).is_some_and(|m| self.by_uid.contains_key(&m.uid))
            });
            let count = one.indexes.len();
            if one.status == Status::Ok && count > 1 && count <= alone {
                alone -= count;
                groups.extend(one.indexes.into_iter().map(|i| vec![i]));
            } else if one.status != Status::Ok && count > 1 {
                let half = one.indexes.split_off(count / 2);
                groups.extend([one.indexes, half]);
            } else {
                for index in one.indexes {
                    if let Some(meta) = self.asking.metas.get(index) {
                        self.by_uid.remove(&meta.uid);
                    }
                    let reason = format!("the old server does not give it: {}", one.reason);
                    self.out.send(Piece::Failed { index, reason }).await;
                }
            }
        }
        groups
    }

    /// Passes on what comes until the command ends; how it ended.
    async fn until(
        &mut self,
        session: &mut Session,
        tag: &str,
    ) -> Result<(Status, Option<Code>, String)> {
        if let Some(ended) = self.early.remove(tag) {
            return Ok(ended);
        }
        let mut flood = Flood::new(session.side);
        loop {
            let event = session.next_event().await?;
            // What was asked for may be of any size; all else has an end.
            if !matches!(self.gathering, Some(Gathering::Passing)) {
                flood.heard(&event)?;
            }
            match event {
                Event::BodyBegin { uid, size, .. } => self.begin(uid.or(self.only), size).await,
                Event::BodyData(data) => self.data(data).await,
                Event::BodyEnd(fetch) => self.end(fetch.uid.or(self.only)).await,
                Event::Response(Response::Untagged(Untagged::Fetch(fetch))) => {
                    let body = fetch.others.iter().find(|(n, _)| n == reader::INLINE_BODY);
                    if let Some((_, body)) = body {
                        let uid = fetch.uid.or(self.only);
                        self.begin(uid, body.len() as u64).await;
                        self.data(body.clone()).await;
                        self.end(uid).await;
                    }
                }
                Event::Response(Response::Tagged { tag: got, status, code, text })
                    if got == tag =>
                {
                    return Ok((status, code, text));
                }
                Event::Response(Response::Tagged { tag, status, code, text })
                    if self.early.len() < COMMANDS_AHEAD =>
                {
                    self.early.insert(tag, (status, code, text));
                }
                Event::Response(Response::Untagged(Untagged::Status {
                    status: Status::Bye,
                    text,
                    ..
                })) => return Err(MoveError::Lost { side: session.side, reason: text }),
                Event::Response(_) => {}
            }
        }
    }

    async fn data(&mut self, data: Bytes) {
        if let Some(rate) = self.asking.rate {
            rate.take(data.len() as u64).await;
        }
        match &mut self.gathering {
            Some(Gathering::Passing) => self.out.send(Piece::Data(data)).await,
            Some(Gathering::Holding(held, octets)) if *octets + data.len() <= MOST_HELD => {
                *octets += data.len();
                held.push(data);
            }
            // Too large to be kept: it is asked for alone, and then the UID is known.
            held @ Some(Gathering::Holding(..)) => *held = Some(Gathering::Dropping),
            _ => {}
        }
    }

    async fn begin(&mut self, uid: Option<u32>, size: u64) {
        self.gathering = Some(match uid {
            None => Gathering::Holding(Vec::new(), 0),
            Some(uid) => match self.by_uid.remove(&uid) {
                None => Gathering::Dropping,
                Some(index) => {
                    self.seen = true;
                    self.out.send(Piece::Begin { index, size }).await;
                    Gathering::Passing
                }
            },
        });
    }

    async fn end(&mut self, uid: Option<u32>) {
        match self.gathering.take() {
            Some(Gathering::Passing) => self.out.send(Piece::End).await,
            Some(Gathering::Holding(held, octets)) => {
                let Some(index) = uid.and_then(|uid| self.by_uid.remove(&uid)) else { return };
                self.seen = true;
                self.out.send(Piece::Begin { index, size: octets as u64 }).await;
                for data in held {
                    self.out.send(Piece::Data(data)).await;
                }
                self.out.send(Piece::End).await;
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meta(uid: u32, size: u64) -> Meta {
        Meta { uid, size, flags: "".into(), date: "".into() }
    }

    #[test]
    fn batches_are_bounded_by_count_and_by_octets() {
        let metas: Vec<Meta> =
            (1..=500).map(|n| meta(n, if n == 3 { OCTETS } else { 10 })).collect();
        let wanted: Vec<usize> = (0..500).collect();
        let found = batches(&metas, &wanted, MESSAGES, OCTETS);
        assert_eq!(found[0], [0, 1]);
        assert_eq!(found[1], [2]);
        assert!(found.iter().all(|b| b.len() <= MESSAGES));
        assert_eq!(found.iter().map(Vec::len).sum::<usize>(), 500);
        assert_eq!(batches(&metas, &wanted, 1, OCTETS).len(), 500);
        assert_eq!(batches(&metas, &[], 1, OCTETS).len(), 0);
    }

    #[test]
    fn a_set_of_scattered_uids_stays_a_short_line() {
        let metas: Vec<Meta> = (0..10_000).map(|n| meta(3_000_000_000 + n * 7, 1)).collect();
        let wanted: Vec<usize> = (0..10_000).collect();
        for batch in batches(&metas, &wanted, 10_000, OCTETS) {
            let uids: Vec<u32> = batch.iter().map(|i| metas[*i].uid).collect();
            assert!(write::set(&uids).len() <= LONGEST_SET);
        }
        // A run is one range.
        let metas: Vec<Meta> = (1..=5_000).map(|n| meta(n, 1)).collect();
        let wanted: Vec<usize> = (0..5_000).collect();
        assert_eq!(batches(&metas, &wanted, 10_000, OCTETS).len(), 1);
    }
}
