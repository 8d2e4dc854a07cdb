//! The lanes of a run: several connections to each server, each lane copying one mailbox after
//! another, with everything that goes wrong on the way and can be mended: connections made again,
//! servers that want fewer of them or some patience.

pub(crate) mod carry;
pub(crate) mod fetch;
pub(crate) mod hands;
pub mod limits;
pub(crate) mod pieces;
pub(crate) mod pipeline;
pub(crate) mod prepare;
pub(crate) mod quirks;
pub(crate) mod room;
pub(crate) mod throttle;

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::task::JoinSet;

use crate::copy::{CopyStyle, Work};
use crate::error::{MoveError, Result};
use crate::journal::Journal;
use crate::keep_ids::MailboxIds;
use crate::plan::Planned;
use crate::progress::Progress;
use crate::report::MailboxReport;
use crate::session::Session;
use hands::Hands;
use prepare::Ready;
use throttle::Advice;

/// A lane's two connections.
pub(crate) type Pair = (Session, Session);

/// Everything the lanes of one run work on.
pub(crate) struct Crew {
    /// What is shared by everything that carries.
    pub(crate) hands: Hands,
    /// What earlier runs did, and where this one notes what it does.
    pub(crate) journal: Journal,
    /// How mailboxes are copied.
    pub(crate) style: CopyStyle,
    /// What a person sees.
    pub(crate) progress: Progress,
    jobs: Vec<(Planned, Ready)>,
    board: Mutex<Board>,
    /// Lanes that have connections.
    at_work: AtomicUsize,
}

/// What is still to do and what is done.
#[derive(Default)]
struct Board {
    queue: VecDeque<usize>,
    reports: Vec<Option<MailboxReport>>,
    /// Why nothing more is begun.
    stopped: Option<Stop>,
}

enum Stop {
    /// The rest is listed as not reached, with these words.
    Full(String),
    /// The run ends with this error.
    Parked(MoveError),
}

impl Crew {
    /// Connections to both sides for this run's style.
    async fn open_pair(&self) -> Result<Pair> {
        let (mut source, target) = self.hands.open_pair().await?;
        if self.style.sync.deletes.is_some() {
            source.enable_vanished().await?;
        }
        Ok((source, target))
    }

    /// A crew for these mailboxes.
    pub(crate) fn new(
        hands: Hands,
        journal: Journal,
        style: CopyStyle,
        progress: Progress,
        jobs: Vec<(Planned, Ready)>,
    ) -> Self {
        // The largest first: so the lanes end at about the same time.
        let mut queue: Vec<usize> = (0..jobs.len()).collect();
        let weight = |n: &usize| {
            let state = jobs.get(*n).and_then(|(_, ready)| ready.source).unwrap_or_default();
            (state.octets.unwrap_or(0), state.messages)
        };
        queue.sort_by_key(|n| std::cmp::Reverse(weight(n)));
        let reports = jobs.iter().map(|_| None).collect();
        let board = Board { queue: queue.into(), reports, stopped: None };
        let (board, at_work) = (Mutex::new(board), AtomicUsize::new(0));
        Self { hands, journal, style, progress, jobs, board, at_work }
    }

    fn board(&self) -> MutexGuard<'_, Board> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Leaves out the mailboxes of which `done` has a report already.
    pub(crate) fn pass_over(
        &self,
        done: fn(&Journal, &Planned, &Ready, &CopyStyle, Option<u64>) -> Option<MailboxReport>,
    ) {
        let mut board = self.board();
        let most = self.hands.pace.max_size;
        for (n, (planned, ready)) in self.jobs.iter().enumerate() {
            let Some(report) = done(&self.journal, planned, ready, &self.style, most) else {
                continue;
            };
            self.progress.passed_over(report.found);
            board.queue.retain(|job| *job != n);
            if let Some(place) = board.reports.get_mut(n) {
                *place = Some(report);
            }
        }
    }

    /// Mailboxes that are still to be copied.
    pub(crate) fn waiting(&self) -> usize {
        self.board().queue.len()
    }

    fn next(&self) -> Option<usize> {
        let mut board = self.board();
        if board.stopped.is_some() || self.style.stop.is_asked() {
            None
        } else {
            board.queue.pop_front()
        }
    }

    fn stop(&self, why: Stop) {
        self.board().stopped.get_or_insert(why);
    }

    /// The reports in the order of the plan; what was not reached says so.
    pub(crate) fn reports(&self) -> Vec<MailboxReport> {
        let mut board = self.board();
        let reports = std::mem::take(&mut board.reports);
        let why = match &board.stopped {
            Some(Stop::Full(why)) => why.clone(),
            _ => "the run ended before".to_owned(),
        };
        let named = self.jobs.iter().zip(reports);
        named
            .map(|((planned, _), report)| {
                report.unwrap_or_else(|| MailboxReport {
                    source: planned.source.clone(),
                    target: planned.target.clone(),
                    error: Some(format!("not reached: {why}")),
                    ..MailboxReport::default()
                })
            })
            .collect()
    }
}

/// How long a server may take to do what it was sent before a connection was given up.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// Lanes worth having for so many mailboxes.
pub(crate) fn lanes_for(connections: usize, mailboxes: usize) -> usize {
    connections.min(mailboxes).max(1)
}

/// Works until everything is done. `first` are the connections there are already; a pair that is
/// open in the end comes back.
///
/// # Errors
/// What ends the whole run.
pub(crate) async fn work(crew: Arc<Crew>, first: Pair, lanes: usize) -> Result<Option<Pair>> {
    let mut all = JoinSet::new();
    crew.at_work.store(1, Ordering::Relaxed);
    all.spawn(lane(crew.clone(), Some(first)));
    for _ in 1..lanes {
        all.spawn(lane(crew.clone(), None));
    }
    let (mut open, mut failed) = (None, None);
    while let Some(joined) = all.join_next().await {
        let done = joined
            .unwrap_or_else(|e| Err(MoveError::Usage(format!("a fault of this program: {e}"))));
        match done {
            Ok(target) => open = open.or(target),
            Err(e) => {
                failed.get_or_insert(e);
                all.abort_all();
            }
        }
    }
    let source = crew.hands.take_idle().pop();
    if let Some(e) = failed {
        return Err(e);
    }
    let mut board = crew.board();
    if matches!(board.stopped, Some(Stop::Parked(_)))
        && let Some(Stop::Parked(e)) = board.stopped.take()
    {
        return Err(e);
    }
    Ok(source.zip(open))
}

/// Copies one mailbox after the other. In the end the session at the source reads for the other
/// lanes; the one at the target comes back.
async fn lane(crew: Arc<Crew>, pair: Option<Pair>) -> Result<Option<Session>> {
    let mut pair = match pair {
        Some(pair) => pair,
        None => match crew.open_pair().await {
            Ok(pair) => {
                crew.at_work.fetch_add(1, Ordering::Relaxed);
                pair
            }
            // The others do its work.
            Err(e) => {
                crew.hands.note(format!("fewer connections than asked for: {e}"));
                return Ok(None);
            }
        },
    };
    while let Some(job) = crew.next() {
        match Box::pin(mailbox(&crew, job, pair)).await? {
            Some(open) => pair = open,
            None => return Ok(None),
        }
    }
    let (source, target) = pair;
    crew.hands.give_back(source);
    Ok(Some(target))
}

/// Copies one mailbox, connecting again as often as it takes; `None` when this lane's connections
/// are gone and the other lanes do without it.
async fn mailbox(crew: &Crew, job: usize, mut pair: Pair) -> Result<Option<Pair>> {
    let Some((planned, ready)) = crew.jobs.get(job) else { return Ok(Some(pair)) };
    let mut progress = crew.progress.of_mailbox();
    let mut losses = 0;
    let mut ready = ready.clone();
    loop {
        let before = progress.here();
        let mut work = Work {
            source: &mut pair.0,
            target: &mut pair.1,
            hands: &crew.hands,
            journal: &crew.journal,
            progress: &mut progress,
            style: &crew.style,
            ready: &ready,
            ids: MailboxIds::default(),
        };
        let lost = match Box::pin(work.copy(planned)).await {
            Ok(report) => {
                crew.finish(job, report, progress.here());
                return Ok(Some(pair));
            }
            Err(e @ MoveError::Lost { .. }) => e,
            Err(e @ MoveError::Parked { .. }) => {
                crew.stop(Stop::Parked(e));
                return Ok(Some(pair));
            }
            Err(e @ MoveError::Refused { .. }) => {
                if carry::is_full(&e) {
                    crew.stop(Stop::Full(e.to_string()));
                }
                let report = failed_report(planned, &e);
                crew.finish(job, report, progress.here());
                return Ok(Some(pair));
            }
            Err(e) => return Err(e),
        };
        if progress.here() != before {
            losses = 0;
        }
        // What STATUS said before is old now. What is on its way to the target arrives before
        // anybody looks there for it.
        ready = Ready::default();
        let (_, target) = pair;
        Box::pin(target.end(LAST_WORDS)).await;
        match again(crew, lost, &mut losses).await? {
            Some(open) => pair = open,
            None => {
                crew.board().queue.push_front(job);
                return Ok(None);
            }
        }
    }
}

fn failed_report(planned: &Planned, error: &MoveError) -> MailboxReport {
    MailboxReport {
        source: planned.source.clone(),
        target: planned.target.clone(),
        error: Some(error.to_string()),
        ..MailboxReport::default()
    }
}

impl Crew {
    /// Notes a mailbox that is done; `here` is what all attempts at it copied together.
    fn finish(&self, job: usize, mut report: MailboxReport, here: (u64, u64)) {
        if here.0 > report.copied {
            report.already_there = report.already_there.saturating_sub(here.0 - report.copied);
            (report.copied, report.bytes) = here;
        }
        if let Some(place) = self.board().reports.get_mut(job) {
            *place = Some(report);
        }
    }
}

/// Connects again after a loss, patiently; `None` when this lane should end instead.
async fn again(crew: &Crew, mut lost: MoveError, losses: &mut u32) -> Result<Option<Pair>> {
    loop {
        // Learnt something about the target: that is no loss, and nobody has to be waited for.
        let at_once = crew.hands.quirks.known().take_learnt();
        if !at_once {
            *losses += 1;
            if *losses > crew.hands.pace.retries {
                return Err(lost);
            }
            let mut wait = throttle::backoff(*losses, throttle::chance());
            match throttle::advice(None, &lost.to_string()) {
                Advice::Final => {}
                Advice::Wait(told) if told > throttle::LONGEST_WAIT => {
                    return Err(fetch::parked_for(told, &lost.to_string()));
                }
                Advice::Wait(told) => wait = wait.max(told),
                Advice::Fewer => {
                    if crew.at_work.fetch_sub(1, Ordering::Relaxed) > 1 {
                        crew.hands.note(format!("fewer connections than before: {lost}"));
                        return Ok(None);
                    }
                    crew.at_work.fetch_add(1, Ordering::Relaxed);
                }
            }
            crew.progress.say(&format!("{lost}; connecting again in {:.1} s", wait.as_secs_f64()));
            tokio::time::sleep(wait).await;
        }
        match crew.open_pair().await {
            Ok(pair) => return Ok(Some(pair)),
            Err(e @ (MoveError::Connect { .. } | MoveError::Lost { .. })) => lost = e,
            Err(e @ MoveError::Login { .. }) => {
                // A refused login is final, unless the server speaks of time or of numbers.
                if throttle::advice(None, &e.to_string()) == Advice::Final {
                    return Err(e);
                }
                lost = e;
            }
            Err(e) => return Err(e),
        }
    }
}
