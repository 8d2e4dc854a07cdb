//! Which messages of a view meet a condition: what SEARCH, SORT, THREAD and ESEARCH begin with.
//! Messages that memory decides cost nothing; for the others summaries, then headers, then bodies
//! are read in bounded batches. It must never know how a condition is tested or what is answered.

use std::collections::VecDeque;
use std::sync::Arc;

use angarium_accounts::mailboxes::{
    MailError, OpenMailbox, Reader, Registry, Row, Shared, batches,
};
use angarium_accounts::{BodyId, Sifted, Uid};
use angarium_imap::view::View;
use angarium_message::header::header_length;
use angarium_message::summary::SummaryView;
use bytes::Bytes;

use super::fetch::{bodies, heads, summaries};
use super::search_keys::{Facts, Key};
use super::search_text::{BodyTexts, Held};
use super::{search_fuzzy, search_sift};

/// Messages whose summaries are looked at in one go.
const BATCH: usize = 500;
/// Octets of headers or bodies read in one go.
const BATCH_BYTES: u64 = 2 << 20;
/// Runs of whole messages that one search reads and looks through at the same time.
const RUNS_UNDER_WAY: usize = 2;
/// The text of larger messages is not searched.
const MAX_SEARCHED: u64 = 64 << 20;

/// Messages looked at before others get their turn.
const SLICE: usize = 16_384;

/// A message that meets the condition, as the session sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Found {
    pub(super) sequence: u32,
    pub(super) uid: u32,
    pub(super) modseq: u64,
    /// How well it meets the words of FUZZY, 1 to 100 (RFC 6203).
    pub(super) relevancy: u8,
}

impl Found {
    /// The number an answer names it by.
    pub(super) fn number(self, uid: bool) -> u32 {
        if uid { self.uid } else { self.sequence }
    }
}

/// Where messages are and what is known of them.
pub(super) struct Mailbox<'a> {
    pub(super) reader: &'a Reader,
    pub(super) registry: &'a Registry,
    pub(super) open: &'a Arc<OpenMailbox>,
    pub(super) shared: &'a Shared,
}

/// The messages of a view of a mailbox that meet a condition, ascending; messages that the view
/// does not know do not count.
pub(super) async fn find(
    mailbox: &Mailbox<'_>,
    view: &View,
    key: &mut Key,
) -> Result<Vec<Found>, MailError> {
    let Mailbox { reader, open, shared, .. } = *mailbox;
    let visible = |row: &Row<'_>| view.sequence_of(row.uid().0).is_some();
    let bodies = shared.table.iter().filter(visible).map(|row| row.body());
    search_fuzzy::look_up(reader, open.account(), bodies, key).await?;
    let (mut found, mut candidates) = by_metadata(shared.table.iter(), view, key).await;
    if !candidates.is_empty() {
        let take = |candidate: &Candidate<'_>| found.push(candidate.found());
        let sifted = search_sift::sift(mailbox, key, candidates, take);
        candidates = Box::pin(sifted).await?;
        found.extend(Box::pin(read_and_test(reader, key, &candidates)).await?);
        found.sort_unstable();
    }
    if key.has_fuzzy() {
        for one in &mut found {
            let row = shared.table.get(Uid(one.uid));
            one.relevancy = row.map_or(one.relevancy, |row| search_fuzzy::relevancy(key, row));
        }
    }
    Ok(found)
}

/// As [`find`], among these few messages alone (ascending UIDs): they are read where that is
/// needed. Not for keys with words in any form.
pub(super) async fn find_among(
    mailbox: &Mailbox<'_>,
    view: &View,
    key: &Key,
    uids: &[Uid],
) -> Result<Vec<Found>, MailError> {
    let rows = mailbox.shared.table.select(uids).into_iter();
    let (mut found, candidates) = by_metadata(rows, view, key).await;
    if !candidates.is_empty() {
        found.extend(Box::pin(read_and_test(mailbox.reader, key, &candidates)).await?);
        found.sort_unstable();
    }
    Ok(found)
}

/// The messages that memory decides, and those that it does not.
async fn by_metadata<'t>(
    rows: impl Iterator<Item = Row<'t>> + Send,
    view: &View,
    key: &Key,
) -> (Vec<Found>, Vec<Candidate<'t>>) {
    let (mut found, mut candidates) = (Vec::new(), Vec::new());
    for (at, row) in rows.enumerate() {
        if at % SLICE == SLICE - 1 {
            tokio::task::yield_now().await;
        }
        let uid = row.uid().0;
        let Some(sequence) = view.sequence_of(uid) else { continue };
        let candidate = Candidate { sequence, row, recent: view.is_recent(uid), sifted: None };
        match key.test(&candidate.facts()) {
            Some(true) => found.push(candidate.found()),
            Some(false) => {}
            None => candidates.push(candidate),
        }
    }
    (found, candidates)
}

/// A message the metadata alone did not decide.
#[derive(Clone, Copy)]
pub(super) struct Candidate<'a> {
    pub(super) sequence: u32,
    pub(super) row: Row<'a>,
    pub(super) recent: bool,
    /// What the store told of the texts looked for.
    pub(super) sifted: Option<Sifted>,
}

impl<'a> Candidate<'a> {
    pub(super) fn facts<'f>(&self) -> Facts<'f>
    where
        'a: 'f,
    {
        Facts {
            row: self.row,
            recent: self.recent,
            sifted: self.sifted,
            headers: None,
            summary: None,
            head: None,
            held: None,
        }
    }

    fn found(&self) -> Found {
        Found {
            sequence: self.sequence,
            uid: self.row.uid().0,
            modseq: self.row.modseq().0,
            relevancy: search_fuzzy::EXACT,
        }
    }
}

/// Decides the candidates that memory could not decide; answers those that meet the condition.
async fn read_and_test(
    reader: &Reader,
    key: &Key,
    candidates: &[Candidate<'_>],
) -> Result<Vec<Found>, MailError> {
    let mut found = Vec::new();
    if key.asks_bodies_alone() {
        let all: Vec<&Candidate<'_>> = candidates.iter().collect();
        let met = search_bodies(reader, key, &all).await?;
        return Ok(met.iter().map(Candidate::found).collect());
    }
    let mut pace = search_sift::Pace::of(key);
    let mut take = |candidate: &Candidate<'_>| found.push(candidate.found());
    for batch in candidates.chunks(BATCH) {
        let ids: Vec<BodyId> = batch.iter().map(|c| c.row.body()).collect();
        let stored = summaries(reader, &ids).await?;
        let views: Vec<Option<SummaryView<'_>>> = stored
            .iter()
            .map(|one| one.as_ref().and_then(|bytes| SummaryView::new(bytes).ok()))
            .collect();
        let mut open: Vec<(&Candidate<'_>, &SummaryView<'_>)> = Vec::new();
        for (candidate, view) in batch.iter().zip(&views) {
            let Some(view) = view else { continue };
            let facts = Facts { summary: Some(view), ..candidate.facts() };
            match key.test(&facts) {
                Some(true) => take(candidate),
                Some(false) => {}
                None => open.push((candidate, view)),
            }
            pace.step().await;
        }
        let mut rest = open.as_slice();
        let sizes = open.iter().map(|(_, view)| u64::from(view.header_size()));
        let mut undecided: Vec<&Candidate<'_>> = Vec::new();
        for run in batches(sizes, BATCH, BATCH_BYTES) {
            let (here, later) = rest.split_at(run.min(rest.len()));
            rest = later;
            let wanted: Vec<(BodyId, u32)> =
                here.iter().map(|(c, view)| (c.row.body(), view.header_size())).collect();
            for ((candidate, view), head) in here.iter().zip(heads(reader, &wanted).await?) {
                let Some(head) = head else { continue };
                let facts = Facts { summary: Some(view), head: Some(&head), ..candidate.facts() };
                match key.test(&facts) {
                    Some(true) => take(candidate),
                    Some(false) => {}
                    None => undecided.push(candidate),
                }
                pace.step().await;
            }
        }
        for candidate in search_bodies(reader, key, &undecided).await? {
            take(&candidate);
        }
        tokio::task::yield_now().await;
    }
    found.sort_unstable();
    Ok(found)
}

/// Reads whole messages and looks through them, a few runs at a time, where decoding does not keep
/// other sessions waiting.
async fn search_bodies<'a>(
    reader: &Reader,
    key: &Key,
    candidates: &[&Candidate<'a>],
) -> Result<Vec<Candidate<'a>>, MailError> {
    let mut rest = candidates;
    let mut runs = Vec::new();
    for run in batches(candidates.iter().map(|c| c.row.size()), BATCH, BATCH_BYTES) {
        let (here, later) = rest.split_at(run.min(rest.len()));
        rest = later;
        if here.iter().any(|c| c.row.size() > MAX_SEARCHED) {
            tracing::debug!("a message is too large to be searched");
        } else {
            runs.push(here);
        }
    }
    let texts = Arc::new(key.body_texts());
    let with_summaries = !key.asks_bodies_alone();
    let mut runs = runs.into_iter();
    let mut under_way = VecDeque::new();
    let mut found = Vec::new();
    loop {
        while under_way.len() < RUNS_UNDER_WAY
            && let Some(here) = runs.next()
        {
            let ids = here.iter().map(|c| c.row.body()).collect();
            let looked = look_through(reader.clone(), Arc::clone(&texts), ids, with_summaries);
            under_way.push_back((here, tokio::spawn(looked)));
        }
        let Some((here, looked)) = under_way.pop_front() else { return Ok(found) };
        let looked = looked.await.map_err(|e| MailError::Unavailable(e.to_string()))??;
        for (candidate, message) in here.iter().zip(looked) {
            let Some(message) = message else { continue };
            let summary = message.summary.as_ref().and_then(|s| SummaryView::new(s).ok());
            let facts = Facts {
                summary: summary.as_ref(),
                head: Some(&message.head),
                held: Some(message.held),
                ..candidate.facts()
            };
            if key.test(&facts) == Some(true) {
                found.push(**candidate);
            }
        }
    }
}

/// What was seen of a message that was read whole.
struct Looked {
    summary: Option<Bytes>,
    head: Bytes,
    held: Held,
}

/// Reads messages and looks for texts in them; those that went away meanwhile are `None`.
async fn look_through(
    reader: Reader,
    texts: Arc<BodyTexts>,
    ids: Vec<BodyId>,
    with_summaries: bool,
) -> Result<Vec<Option<Looked>>, MailError> {
    let mut known = vec![None; ids.len()];
    if with_summaries {
        known = summaries(&reader, &ids).await?;
    }
    let read = bodies(&reader, &ids).await?;
    let look = move || -> Vec<Option<Looked>> {
        let each = read.into_iter().zip(known).map(|(body, summary)| {
            let body = body?;
            let head = body.slice(..header_length(&body).min(body.len()));
            Some(Looked { summary, head, held: texts.held_by(&body) })
        });
        each.collect()
    };
    let looked = tokio::task::spawn_blocking(look).await;
    looked.map_err(|e| MailError::Unavailable(e.to_string()))
}
