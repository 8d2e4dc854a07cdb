//! Carrying the messages of one window from the old server to the new one: several connections
//! read, one writes in their order, and what is refused is tried in every way that might help.

use std::future::Future;
use std::pin::Pin;
use std::task::Poll;

use angarium_imap::client::Code;

use super::fetch::{self, Asking, Parked};
use super::hands::Hands;
use super::pieces::{self, Pieces};
use super::quirks::BodyItem;
use super::throttle::{self, Advice, LONGEST_WAIT};
use crate::copy::CopyStyle;
use crate::error::{MoveError, Result};
use crate::keep_ids::MailboxIds;
use crate::plan::Planned;
use crate::session::Session;
use crate::source::{self, Meta};
use crate::target::{self, AppendStyle, LeaveOut, Outcome, Passed, Refusal, Told};

/// Octets to be carried for which another reader is worth its connection.
const WORTH_A_READER: u64 = 8 * 1024 * 1024;
/// Refused messages tried in every way first, before the others of a window.
const SAMPLE: usize = 16;
/// Keywords tried one by one.
const MOST_KEYWORDS: usize = 16;
/// How often in a row the target may ask for patience.
const PATIENCE: u32 = 10;

/// The messages of one window.
pub(crate) struct Load<'a> {
    /// The mailbox in both places.
    pub(crate) planned: &'a Planned,
    /// UIDVALIDITY of the source mailbox, which further readers must see as well.
    pub(crate) validity: u32,
    /// What was listed.
    pub(crate) metas: &'a [Meta],
    /// What of it is to be carried, indexes in their order.
    pub(crate) wanted: &'a [usize],
    /// How.
    pub(crate) style: &'a CopyStyle,
    /// Numbers the messages bring along.
    pub(crate) ids: &'a MailboxIds,
}

/// Carries a window: the source mailbox is open in `source`, `told` hears of what the target has
/// confirmed. Every message ends in the outcome, done or failed with the reason.
///
/// # Errors
/// `Lost`; `Parked`; `Refused` when the account is over its quota. What was confirmed before is
/// confirmed.
pub(crate) async fn carry(
    source: &mut Session,
    target: &mut Session,
    hands: &Hands,
    load: &Load<'_>,
    told: &mut Told<'_>,
) -> Result<Outcome> {
    let mut outcome = Outcome::default();
    let mut wanted = Vec::with_capacity(load.wanted.len());
    for &index in load.wanted {
        let size = load.metas.get(index).map_or(0, |m| m.size);
        if let Some(most) = hands.pace.max_size.filter(|most| size > *most) {
            outcome.left_out.push((index, format!("{size} octets, more than {most} (--maxSize)")));
        } else if let Some(most) = hands.append_limit().filter(|most| size > *most) {
            let reason = format!("{size} octets; the new server takes no more than {most}");
            outcome.failed.push((index, reason));
        } else {
            wanted.push(index);
        }
    }
    for (index, reason) in &outcome.left_out {
        if let Some(meta) = load.metas.get(*index) {
            hands.note(format!("left out: {} UID {}: {reason}", load.planned.source, meta.uid));
        }
    }
    if wanted.is_empty() {
        return Ok(outcome);
    }
    let mut way = Way { source, target, hands, load, told, outcome, readers: Vec::new() };
    let carried = way.all(&wanted).await;
    let Way { readers, outcome, .. } = way;
    // Readers of a broken run may be in the middle of an answer: those are dropped.
    if carried.is_ok() {
        readers.into_iter().for_each(|reader| hands.give_back(reader));
    }
    carried.map(|()| outcome)
}

struct Way<'a, 'b> {
    source: &'a mut Session,
    target: &'a mut Session,
    hands: &'a Hands,
    load: &'a Load<'a>,
    told: &'a mut Told<'b>,
    outcome: Outcome,
    /// Further connections with the mailbox open.
    readers: Vec<Session>,
}

impl Way<'_, '_> {
    async fn all(&mut self, wanted: &[usize]) -> Result<()> {
        self.borrow_readers(wanted).await;
        let refused = self.patiently(wanted, self.load.style.by_one).await?;
        if refused.is_empty() {
            return Ok(());
        }
        // A batch falls as a whole, and one refusal may stand for many: a few are tried in every
        // way, then the others as a whole again with what was learnt, then one by one.
        let (mut sample, mut rest) = (refused, Vec::new());
        if sample.len() > SAMPLE {
            rest = sample.split_off(SAMPLE);
        }
        let tried = sample.len();
        let failed = self.in_every_way(sample, rest.is_empty()).await?;
        if failed == tried || rest.len() < SAMPLE {
            self.in_every_way(rest, false).await?;
            return Ok(());
        }
        let indexes: Vec<usize> = rest.iter().map(|r| r.index).collect();
        let rest = self.patiently(&indexes, self.load.style.by_one).await?;
        self.in_every_way(rest, true).await?;
        Ok(())
    }

    /// Further readers where there is enough to carry; fewer, or none, is no fault.
    async fn borrow_readers(&mut self, wanted: &[usize]) {
        let octets: u64 =
            wanted.iter().filter_map(|i| self.load.metas.get(*i)).map(|m| m.size).sum();
        let worth = usize::try_from(octets / WORTH_A_READER).unwrap_or(usize::MAX);
        let most = worth.min(self.hands.pace.connections.saturating_sub(1));
        let wire = &self.load.planned.source_wire;
        while self.readers.len() < most {
            let Some(mut reader) = self.hands.borrow_reader().await else { return };
            let opened = source::select(&mut reader, wire, false).await;
            match opened {
                Ok(selected) if selected.uid_validity == self.load.validity => {
                    self.readers.push(reader);
                }
                _ => return,
            }
        }
    }

    /// One pass, again for those the target asked patience for.
    async fn patiently(&mut self, wanted: &[usize], by_one: bool) -> Result<Vec<Refusal>> {
        let mut wanted = wanted.to_vec();
        let mut refused = Vec::new();
        for round in 0..=PATIENCE {
            let mut longest = None;
            let mut again = Vec::new();
            for refusal in self.pass(&wanted, by_one, LeaveOut::default()).await? {
                let advice = throttle::advice(refusal.code.as_ref(), &refusal.reason);
                match advice {
                    Advice::Wait(wait) if round < PATIENCE => {
                        if wait > LONGEST_WAIT {
                            return Err(fetch::parked_for(wait, &refusal.reason));
                        }
                        longest = longest.max(Some(wait));
                        again.push(refusal.index);
                    }
                    _ => refused.push(refusal),
                }
            }
            let Some(wait) = longest else { break };
            tokio::time::sleep(wait).await;
            wanted = again;
        }
        Ok(refused)
    }

    /// Tries refused messages one by one: as they are, then without what the target may dislike.
    /// `whole`: these are all messages of the batches that fell. Answers how many have failed for
    /// good.
    async fn in_every_way(&mut self, refused: Vec<Refusal>, whole: bool) -> Result<usize> {
        let count = refused.len();
        if count == 0 {
            return Ok(0);
        }
        let indexes: Vec<usize> = refused.iter().map(|r| r.index).collect();
        let mut left = self.patiently(&indexes, true).await?;
        if left.is_empty() && count > 1 && whole {
            // Every message of whole batches is welcome alone.
            self.hands.quirks.known().refute_multi();
        }
        let mut hopeless: Vec<Refusal> = Vec::new();
        left.retain(|r| {
            let keep = !is_final(r.code.as_ref());
            if !keep {
                hopeless.push(r.clone());
            }
            keep
        });
        if self.target.has("BINARY") {
            // It may announce what it does not take of messages with NUL.
            let plain = LeaveOut { binary: true, ..LeaveOut::default() };
            self.without(&mut left, plain, |_| true).await?;
        }
        for keyword in self.keywords(&left) {
            let leave_out = LeaveOut { keyword: Some(keyword.clone()), ..LeaveOut::default() };
            let has = |flags: &str| flags.split(' ').any(|f| f.eq_ignore_ascii_case(&keyword));
            let done = self.without(&mut left, leave_out, |m| has(&m.flags)).await?;
            if done > 0 {
                let mut known = self.hands.quirks.known();
                known.refuse_keyword(&keyword);
                let shown: String = keyword.chars().take(60).collect();
                known.changed(&format!("the new server refuses the flag {shown}: left out"), done);
            }
        }
        let keywords = LeaveOut { keywords: true, ..LeaveOut::default() };
        let done = self.without(&mut left, keywords, |m| has_keywords(&m.flags)).await?;
        self.hands.quirks.known().changed("the new server refuses the keywords: left out", done);
        let dated = left.len();
        let date = LeaveOut { date: true, ..LeaveOut::default() };
        let done = self.without(&mut left, date, |m| !m.date.is_empty()).await?;
        {
            let mut known = self.hands.quirks.known();
            known.changed("the new server refuses the date of arrival: left out", done);
            // Several, and none with its date: it takes no dates at all.
            known.no_dates |= done > 1 && done == dated as u64 && dated == count;
        }
        let bare = LeaveOut { flags: true, date: true, ..LeaveOut::default() };
        let done = self.without(&mut left, bare, |_| true).await?;
        self.hands.quirks.known().changed("taken only without flags and date of arrival", done);
        left.extend(hopeless);
        let failed = left.len();
        let told = left.into_iter().map(|r| (r.index, words(&r)));
        self.outcome.failed.extend(told);
        Ok(failed)
    }

    /// The keywords of messages, the most frequent first, those worth trying.
    fn keywords(&self, left: &[Refusal]) -> Vec<String> {
        let mut found: Vec<(usize, String)> = Vec::new();
        for meta in left.iter().filter_map(|r| self.load.metas.get(r.index)) {
            for flag in meta.flags.split(' ').filter(|f| !f.is_empty() && !f.starts_with('\\')) {
                let at = found.iter().position(|(_, known)| known.eq_ignore_ascii_case(flag));
                if let Some((times, _)) = at.and_then(|at| found.get_mut(at)) {
                    *times += 1;
                } else if found.len() < 10 * MOST_KEYWORDS {
                    found.push((1, flag.to_owned()));
                }
            }
        }
        found.sort_by_key(|(times, _)| std::cmp::Reverse(*times));
        found.into_iter().take(MOST_KEYWORDS).map(|(_, keyword)| keyword).collect()
    }

    /// Tries those of `left` it concerns without something; the number that came across so.
    async fn without(
        &mut self,
        left: &mut Vec<Refusal>,
        leave_out: LeaveOut,
        concerns: impl Fn(&Meta) -> bool,
    ) -> Result<u64> {
        let concerned = |r: &&Refusal| self.load.metas.get(r.index).is_some_and(&concerns);
        let wanted: Vec<usize> = left.iter().filter(concerned).map(|r| r.index).collect();
        if wanted.is_empty() {
            return Ok(0);
        }
        let still = self.pass(&wanted, true, leave_out).await?;
        let still: std::collections::HashSet<usize> = still.into_iter().map(|r| r.index).collect();
        let failed: std::collections::HashSet<usize> =
            self.outcome.failed.iter().map(|(index, _)| *index).collect();
        let tried: std::collections::HashSet<usize> = wanted.into_iter().collect();
        left.retain(|r| !tried.contains(&r.index) || still.contains(&r.index));
        Ok((tried.len() - tried.intersection(&still).count() - tried.intersection(&failed).count())
            as u64)
    }

    /// One pass over `wanted`: everything read and written; what the target refused.
    async fn pass(
        &mut self,
        wanted: &[usize],
        by_one: bool,
        leave_out: LeaveOut,
    ) -> Result<Vec<Refusal>> {
        if wanted.is_empty() {
            return Ok(Vec::new());
        }
        // UIDs that are kept rise.
        let mut wanted = wanted.to_vec();
        wanted.sort_unstable();
        let wanted = wanted.as_slice();
        let numbers = self.load.ids.pass(self.target, self.load.planned, by_one).await?;
        let (pace, style) = (&self.hands.pace, self.load.style);
        let most = if style.fetch.by_one { 1 } else { pace.batch };
        let batches = fetch::batches(self.load.metas, wanted, most, pace.batch_bytes);
        let asking = Asking {
            metas: self.load.metas,
            item: if style.fetch.rfc822 { BodyItem::Rfc822Peek } else { BodyItem::Peek },
            rate: pace.rate.as_deref(),
            daily: self.hands.daily.as_ref(),
            quirks: Some(&self.hands.quirks),
        };
        let append = AppendStyle {
            mailbox: self.load.planned.target_wire.clone(),
            by_one,
            fold_at: style.fold_at,
            batch: pace.batch,
            batch_bytes: pace.batch_bytes,
            leave_out,
            quirks: &self.hands.quirks,
            numbers: &numbers,
        };
        let parked = Parked::default();
        let readers = batches.len().min(if by_one { 1 } else { 1 + self.readers.len() });
        let sessions = std::iter::once(&mut *self.source).chain(self.readers.iter_mut());
        let mut dealt: Vec<Vec<Vec<usize>>> = vec![Vec::new(); readers];
        for (n, batch) in batches.into_iter().enumerate() {
            if let Some(hand) = dealt.get_mut(n % readers) {
                hand.push(batch);
            }
        }
        let (mut reading, mut inlets): (Vec<Reading<'_>>, Vec<pieces::Inlet>) = Default::default();
        for (session, hand) in sessions.zip(dealt) {
            let (outlet, inlet) = pieces::way(self.hands.octets_ahead());
            inlets.push(inlet);
            let (asking, parked) = (&asking, &parked);
            reading.push(Box::pin(async move {
                fetch::run_or_park(session, asking, hand, &outlet, parked).await
            }));
        }
        let pieces = Pieces::new(inlets);
        let writing =
            target::append_all(self.target, self.load.metas, &append, pieces, &mut *self.told);
        // Whichever breaks first ends both and is the cause that is told.
        let ((), passed) = tokio::try_join!(all_of(reading), Box::pin(writing))?;
        self.load.ids.passed(&numbers);
        let Passed { done, refused, failed, uid_validity } = passed;
        self.outcome.done.extend(done);
        self.outcome.failed.extend(failed);
        self.outcome.uid_validity = uid_validity.or(self.outcome.uid_validity);
        match parked.take() {
            Some(parked) => Err(parked),
            None => Ok(refused),
        }
    }
}

type Reading<'a> = Pin<Box<dyn Future<Output = Result<()>> + Send + 'a>>;

/// Drives all of them at once; the first error ends them.
async fn all_of(mut futures: Vec<Reading<'_>>) -> Result<()> {
    std::future::poll_fn(move |context| {
        let mut failed = None;
        futures.retain_mut(|future| match future.as_mut().poll(context) {
            Poll::Pending => true,
            Poll::Ready(done) => {
                failed = failed.take().or(done.err());
                false
            }
        });
        match failed {
            Some(e) => Poll::Ready(Err(e)),
            None if futures.is_empty() => Poll::Ready(Ok(())),
            None => Poll::Pending,
        }
    })
    .await
}

fn has_keywords(flags: &str) -> bool {
    flags.split(' ').any(|f| !f.is_empty() && !f.starts_with('\\'))
}

/// True for a refusal that has nothing to do with flags or dates.
fn is_final(code: Option<&Code>) -> bool {
    match code {
        Some(Code::Other(name, _)) => matches!(name.as_str(), "TOOBIG" | "LIMIT" | "NOPERM"),
        Some(Code::TryCreate | Code::OverQuota) => true,
        _ => false,
    }
}

/// A refusal for the report: the code, where it says more than the text.
fn words(refusal: &Refusal) -> String {
    let text: String = refusal.reason.chars().filter(|c| !c.is_control()).take(500).collect();
    match &refusal.code {
        Some(Code::Other(name, _)) if name.len() <= 40 => format!("[{name}] {text}"),
        _ => text,
    }
}

/// True for the error that ends a whole run because nothing more fits into the account.
pub(crate) fn is_full(error: &MoveError) -> bool {
    matches!(error, MoveError::Refused { side: crate::error::Side::Target, what, .. } if what == "APPEND")
}
