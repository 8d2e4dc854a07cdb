//! The workers: so many accounts at a time, each a move of its own; one that fails never stops the
//! others, and what may succeed later is tried once more at the end.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::{Id, JoinSet};

use super::asking::Asking;
use super::list::Row;
use super::mover::Mover;
use super::outcome::{Outcome, State};
use super::report::AccountsReport;
use super::rows::{Rows, Wanted};
use super::table::{Running, Table, Telling};
use crate::error::Result;
use crate::progress::LiveCounts;

/// Most accounts at a time, whatever is asked for.
pub(crate) const MOST_JOBS: usize = 200;
/// How often the table is drawn anew.
const TICK: Duration = Duration::from_millis(250);
/// Wait before what failed is tried once more.
const BEFORE_RETRY: Duration = Duration::from_secs(1);

/// Everything that describes the move of a list.
#[derive(Clone, Debug)]
pub struct Crew {
    /// How one account is moved.
    pub mover: Mover,
    /// The list.
    pub list: PathBuf,
    /// A column of the list with the old server of each account.
    pub server_column: Option<String>,
    /// Accounts at a time.
    pub jobs: usize,
    /// How often what failed is tried again at the end.
    pub retries: u32,
    /// What is told while it goes on.
    pub telling: Telling,
    /// Where names are asked about whose login was refused.
    pub asking: Asking,
}

/// What goes on at the moment.
struct Work {
    tasks: JoinSet<Outcome>,
    running: HashMap<Id, Running>,
    report: AccountsReport,
    /// Outcomes that are tried again, by line.
    again: HashMap<u64, Outcome>,
    table: Table,
    interrupted: bool,
    asking: Arc<Asking>,
}

impl Crew {
    /// Moves all accounts of the list.
    ///
    /// # Errors
    /// `Usage` or `File` if the list cannot be read; everything else is in the report.
    pub async fn run(&self) -> Result<AccountsReport> {
        let begun = Instant::now();
        let wanted = Wanted {
            path: self.list.clone(),
            passwords: !self.mover.has_password_for_all(),
            server: self.server_column.clone(),
        };
        let mut rows = Rows::open(&wanted, None)?;
        let mut report = AccountsReport::new(self.mover.source(), self.mover.target());
        report.remarks.extend(rows.remark().map(str::to_owned));
        let mut work = Work {
            tasks: JoinSet::new(),
            running: HashMap::new(),
            report,
            again: HashMap::new(),
            table: Table::new(self.telling, rows.expected()),
            interrupted: false,
            asking: Arc::new(self.asking.clone()),
        };
        let mover = Arc::new(self.mover.clone());
        for attempt in 0..=self.retries {
            let last = attempt == self.retries;
            work.pass(&mover, &mut rows, self.jobs.clamp(1, MOST_JOBS), last).await?;
            if work.interrupted || work.again.is_empty() {
                break;
            }
            work.table.say(&format!("trying {} accounts again", work.again.len()));
            tokio::time::sleep(BEFORE_RETRY).await;
            let only: HashSet<u64> = work.again.keys().copied().collect();
            rows = Rows::open(&wanted, Some(only))?;
        }
        let Work { mut report, table, again, .. } = work;
        // The list was changed meanwhile, or the run was interrupted: what is known counts.
        for (_, outcome) in again {
            report.add(outcome);
        }
        table.end();
        report.seconds = begun.elapsed().as_secs_f64();
        report.sort();
        Ok(report)
    }
}

impl Work {
    /// All rows once; unless it is the `last` pass, what may succeed later is kept for the next.
    async fn pass(
        &mut self,
        mover: &Arc<Mover>,
        rows: &mut Rows,
        jobs: usize,
        last: bool,
    ) -> Result<()> {
        let mut tick = tokio::time::interval(TICK);
        let mut more = true;
        let interrupt = tokio::signal::ctrl_c();
        tokio::pin!(interrupt);
        loop {
            while more && self.tasks.len() < jobs {
                match rows.next()? {
                    None => more = false,
                    Some(Ok(row)) => self.start(mover, row),
                    Some(Err(outcome)) => self.finished(*outcome, true),
                }
            }
            if self.tasks.is_empty() {
                return Ok(());
            }
            tokio::select! {
                joined = self.tasks.join_next_with_id() => {
                    let outcome = match joined {
                        None => continue,
                        Some(Ok((id, outcome))) => {
                            self.running.remove(&id);
                            outcome
                        }
                        Some(Err(error)) => {
                            let Some(ended) = self.running.remove(&error.id()) else { continue };
                            let mut outcome = ended.outcome;
                            outcome.state = State::Failed;
                            let advice = "this is a fault of the program: please report it";
                            outcome.trouble("the account".into(), "the worker broke".into(), advice);
                            outcome
                        }
                    };
                    self.finished(outcome, last);
                }
                _ = tick.tick() => self.table.draw(&self.running),
                _ = &mut interrupt => {
                    self.interrupted = true;
                    self.tasks.abort_all();
                    for (_, running) in self.running.drain() {
                        let mut outcome = running.outcome;
                        outcome.state = State::Interrupted;
                        outcome.copied = running.live.get().messages;
                        self.report.add(outcome);
                    }
                    self.report.interrupted = true;
                    return Ok(());
                }
            }
        }
    }

    fn start(&mut self, mover: &Arc<Mover>, row: Row) {
        let live = LiveCounts::default();
        let running = Running { outcome: Outcome::new(&row), live: live.clone() };
        let (mover, asking) = (mover.clone(), self.asking.clone());
        let handle = self.tasks.spawn(async move { mover.run(&row, live, &asking).await });
        self.running.insert(handle.id(), running);
    }

    fn finished(&mut self, outcome: Outcome, last: bool) {
        let outcome = match self.again.remove(&outcome.line) {
            Some(earlier) => outcome.after(&earlier),
            None => outcome,
        };
        if outcome.later && !last {
            self.table.postponed(&outcome);
            self.again.insert(outcome.line, outcome);
            return;
        }
        self.table.finished(&outcome);
        self.report.add(outcome);
    }
}
