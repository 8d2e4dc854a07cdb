//! One account moved by POP: from a POP server into a mail server by SMTP, LMTP or IMAP, message by
//! message on two connections, with the next one fetched while one is given away.
//!
//! Flags are lost by the nature of it, and arrival dates but by IMAP: the new server sees mail
//! arriving. Knows nothing of command lines.

mod appending;
mod delivery;
mod letter;
mod login;
mod report;
pub(crate) mod source;
mod state;
mod target;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

pub use report::{FailedLetter, PopReport};
pub use target::{Recipient, Way};

use crate::endpoint::Endpoint;
use crate::error::{MoveError, Result};
use crate::login::Credentials;
use crate::progress::{LiveCounts, Progress, Show};
use letter::Letter;
use source::Source;
use state::{Counts, Name, State, take};
use target::{Fate, Target};

/// Messages fetched and not given away yet; each takes up to 1 MiB of memory.
const LETTERS_AHEAD: usize = 4;
/// RETR commands sent ahead to a server that takes them.
const REQUESTS_AHEAD: usize = 8;
/// First wait before a lost connection is made anew; it doubles each time.
const FIRST_WAIT: Duration = Duration::from_millis(500);
/// Longest such wait.
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// Most remarks kept of one account.
const MAX_REMARKS: usize = 1_000;

/// Everything that describes the move of one account.
#[derive(Clone, Debug)]
pub struct PopMove {
    /// The old server.
    pub source: Endpoint,
    /// Who logs in there.
    pub login: Credentials,
    /// Where messages go.
    pub target: Recipient,
    /// Delete at the old server what the new one has taken.
    pub delete: bool,
    /// Time-out of every wait for a server.
    pub timeout: Duration,
    /// How often a lost connection is made anew without a message getting through in between.
    pub retries: u32,
    /// Where it is noted what was brought over, if it is.
    pub journal: Option<PathBuf>,
    /// What a person sees.
    pub show: Show,
    /// Where the run's numbers can be read while it works.
    pub counts: LiveCounts,
}

/// One message of the old server's list.
#[derive(Clone, Debug)]
struct Listed {
    number: u32,
    octets: Option<u64>,
    uid: Option<String>,
}

/// What the fetching half hands over.
enum Fetched {
    Letter(Listed, Name, Box<Letter>),
    Refused(Listed, String, bool),
}

/// What lasts over lost connections.
struct Work<'a> {
    state: State,
    /// What was refused in this run is not tried again in it.
    given_up: Counts,
    target: Option<Target>,
    report: &'a mut PopReport,
    progress: Progress,
    /// The maildrop was listed once; counts are of the first time.
    listed: bool,
}

impl PopMove {
    /// Copies the account. The report tells what was done even if the run ended early.
    ///
    /// # Errors
    /// What ended the run; messages that could not be copied are in the report.
    pub async fn run(&self, report: &mut PopReport) -> Result<()> {
        let begun = Instant::now();
        let outcome = Box::pin(self.rounds(report)).await;
        report.seconds = begun.elapsed().as_secs_f64();
        outcome
    }

    async fn rounds(&self, report: &mut PopReport) -> Result<()> {
        let state = match &self.journal {
            Some(path) => State::open(path)?,
            None => State::none(),
        };
        let progress = Progress::new(self.show, self.counts.clone());
        let mut work =
            Work { state, given_up: Counts::new(), target: None, report, progress, listed: false };
        let mut failed = 0;
        let mut wait = FIRST_WAIT;
        let outcome = loop {
            let before = work.report.copied;
            match Box::pin(self.round(&mut work)).await {
                Ok(()) => break Ok(()),
                // Once it worked, a server that is not there is one that comes back.
                Err(error @ (MoveError::Lost { .. } | MoveError::Connect { .. }))
                    if work.listed || matches!(error, MoveError::Lost { .. }) =>
                {
                    if work.report.copied > before {
                        (failed, wait) = (0, FIRST_WAIT);
                    }
                    failed += 1;
                    if failed > self.retries {
                        break Err(error);
                    }
                    work.progress.say(&format!("{error}; trying again"));
                    work.remark(format!("{error}; the connection was made anew"));
                    tokio::time::sleep(wait).await;
                    wait = (wait * 2).min(LONGEST_WAIT);
                }
                Err(error) => break Err(error),
            }
        };
        if let Some(target) = work.target.take() {
            target.quit().await;
        }
        work.progress.finish();
        outcome
    }

    /// One session at the old server, as far as it goes.
    async fn round(&self, work: &mut Work<'_>) -> Result<()> {
        let mut source = Source::open(&self.source, &self.login, self.timeout).await?;
        if work.target.is_none() {
            work.target = Some(Target::open(&self.target, self.timeout).await?);
        }
        work.progress.say(&format!("connected to {} and {}", self.source, self.target.endpoint));
        let listed = list(&mut source).await?;
        let by_content = listed.iter().any(|one| one.uid.is_none());
        let first = !std::mem::replace(&mut work.listed, true);
        let plan = work.plan(&listed, first);
        let limit = work.target.as_ref().and_then(Target::size_limit);
        if first {
            work.report.found = listed.len() as u64;
            work.progress.expect(listed.len() as u64);
            work.progress.passed_over(plan.there.len() as u64);
            if by_content && !listed.is_empty() {
                work.remark(
                    "the old server has no unique ids (UIDL): messages are known by their content, \
                     and each run reads all of them"
                        .into(),
                );
            }
        }
        let mut confirmed = plan.there;
        let (give, queue) = mpsc::channel(LETTERS_AHEAD);
        let fetching = fetch(&mut source, plan.wanted, limit, give);
        let giving = self.give_all(work, queue, &mut confirmed, by_content && first);
        // Whatever the old server gave before it broke is given away: both are waited for.
        let (fetched, given) = tokio::join!(fetching, giving);
        given?;
        fetched?;
        if self.delete && !confirmed.is_empty() {
            let deleted = source.delete(&confirmed).await?;
            if source.quit().await {
                work.report.deleted += deleted;
            } else {
                work.remark(
                    "the old server did not confirm the end of the session: messages may not be \
                     deleted there; the next run deletes them"
                        .into(),
                );
            }
        } else {
            source.quit().await;
        }
        Ok(())
    }

    async fn give_all(
        &self,
        work: &mut Work<'_>,
        mut queue: mpsc::Receiver<Fetched>,
        confirmed: &mut Vec<u32>,
        count_there: bool,
    ) -> Result<()> {
        // By content it is known only now what was there; each of several equal ones counts.
        let mut there = work.state.got().clone();
        while let Some(fetched) = queue.recv().await {
            let (listed, name, mut letter) = match fetched {
                Fetched::Letter(listed, name, letter) => (listed, name, letter),
                Fetched::Refused(listed, reason, later) => {
                    work.fail(listed, None, reason, later);
                    continue;
                }
            };
            if let Name::Sum(_) = name {
                if take(&mut there, &name.key()) {
                    confirmed.push(listed.number);
                    work.progress.passed_over(1);
                    work.report.already_there += u64::from(count_there);
                    continue;
                }
                if work.given_up.contains_key(&name.key()) {
                    continue;
                }
            }
            match self.give(work, &listed, &name, &mut letter).await? {
                Fate::Taken => {
                    confirmed.push(listed.number);
                    work.report.copied += 1;
                    work.report.bytes += letter.facts.size;
                    work.progress.copied(1, letter.facts.size);
                }
                Fate::Refused { later, reason } => {
                    *work.given_up.entry(name.key()).or_default() += 1;
                    work.fail(listed, Some(&letter), reason, later);
                }
            }
        }
        Ok(())
    }

    /// Gives one message, on a new connection if the old one broke.
    async fn give(
        &self,
        work: &mut Work<'_>,
        listed: &Listed,
        name: &Name,
        letter: &mut Letter,
    ) -> Result<Fate> {
        if work.state.is_doubtful(&name.key()) {
            work.remark(format!(
                "message {} ({}) was on its way when an earlier run ended: it may be there twice",
                listed.number,
                letter.facts.shown()
            ));
        }
        let mut failed = 0;
        let mut wait = FIRST_WAIT;
        loop {
            if work.target.as_ref().is_some_and(|t| t.is_used_up() || t.is_spent())
                && let Some(old) = work.target.take()
                && !old.is_spent()
            {
                old.quit().await;
            }
            let error = match self.give_once(work, listed, name, letter).await {
                Err(error @ (MoveError::Lost { .. } | MoveError::Connect { .. })) => error,
                other => return other,
            };
            work.target = None;
            failed += 1;
            if failed > self.retries {
                return Err(error);
            }
            work.remark(format!(
                "{error}; message {} was sent again and may be there twice",
                listed.number
            ));
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(LONGEST_WAIT);
        }
    }

    async fn give_once(
        &self,
        work: &mut Work<'_>,
        listed: &Listed,
        name: &Name,
        letter: &mut Letter,
    ) -> Result<Fate> {
        let target = match &mut work.target {
            Some(target) => target,
            none => none.insert(Target::open(&self.target, self.timeout).await?),
        };
        let trouble = target.trouble(letter);
        work.state.trying(name)?;
        let fate = target.give(letter).await?;
        match &fate {
            Fate::Taken => {
                work.state.taken(name)?;
                if let Some(trouble) = trouble {
                    work.remark(format!(
                        "message {} ({}) {trouble}",
                        listed.number,
                        letter.facts.shown()
                    ));
                }
            }
            Fate::Refused { .. } => work.state.not_taken(name)?,
        }
        Ok(fate)
    }
}

/// What is to be done in a session.
struct Plan {
    wanted: Vec<Listed>,
    /// Numbers of messages the new server has.
    there: Vec<u32>,
}

impl Work<'_> {
    fn plan(&mut self, listed: &[Listed], first: bool) -> Plan {
        let mut got = self.state.got().clone();
        let mut given_up = self.given_up.clone();
        let mut plan = Plan { wanted: Vec::new(), there: Vec::new() };
        for one in listed {
            match one.uid.clone().map(|uid| Name::Uid(uid).key()) {
                Some(key) if take(&mut got, &key) => {
                    plan.there.push(one.number);
                    self.report.already_there += u64::from(first);
                }
                Some(key) if take(&mut given_up, &key) => {}
                _ => plan.wanted.push(one.clone()),
            }
        }
        plan
    }

    fn fail(&mut self, listed: Listed, letter: Option<&Letter>, reason: String, later: bool) {
        if let (None, Some(uid)) = (letter, &listed.uid) {
            *self.given_up.entry(Name::Uid(uid.clone()).key()).or_default() += 1;
        }
        self.report.failed.push(FailedLetter {
            number: listed.number,
            uid: listed.uid,
            octets: listed.octets,
            shown: letter.map(|letter| letter.facts.shown()).unwrap_or_default(),
            reason,
            later,
        });
    }

    fn remark(&mut self, text: String) {
        if self.report.remarks.len() < MAX_REMARKS {
            self.report.remarks.push(text);
        }
    }
}

async fn list(source: &mut Source) -> Result<Vec<Listed>> {
    let sizes = source.sizes().await?;
    let mut ids: std::collections::HashMap<u32, String> =
        source.unique_ids().await?.unwrap_or_default().into_iter().collect();
    Ok(sizes
        .into_iter()
        .map(|(number, octets)| Listed { number, octets: Some(octets), uid: ids.remove(&number) })
        .collect())
}

/// Fetches all that is wanted, asking ahead where the server takes it.
async fn fetch(
    source: &mut Source,
    wanted: Vec<Listed>,
    limit: Option<u64>,
    give: mpsc::Sender<Fetched>,
) -> Result<()> {
    let ahead = if source.pipelines() { REQUESTS_AHEAD } else { 1 };
    let mut asked = std::collections::VecDeque::with_capacity(ahead);
    let mut wanted = wanted.into_iter();
    loop {
        while asked.len() < ahead {
            let Some(one) = wanted.next() else { break };
            // Sizes are told loosely; what is clearly too large need not travel.
            if let (Some(limit), Some(octets)) = (limit, one.octets)
                && octets / 2 > limit
            {
                let reason = format!("larger than the {limit} octets the new server takes (SIZE)");
                if give.send(Fetched::Refused(one, reason, false)).await.is_err() {
                    return Ok(());
                }
                continue;
            }
            source.request(one.number).await?;
            asked.push_back(one);
        }
        let Some(one) = asked.pop_front() else { return Ok(()) };
        let fetched = match source.receive(one.octets).await? {
            Ok(letter) => {
                let name = match &one.uid {
                    Some(uid) => Name::Uid(uid.clone()),
                    None => Name::Sum(letter.digest().to_hex().to_string()),
                };
                Fetched::Letter(one, name, Box::new(letter))
            }
            Err(refusal) => {
                let reason = format!("the old server does not give it: {refusal}");
                Fetched::Refused(one, reason, refusal.is_temporary())
            }
        };
        // Nobody takes it: the other half broke and says why.
        if give.send(fetched).await.is_err() {
            return Ok(());
        }
    }
}
