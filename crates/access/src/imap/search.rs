//! SEARCH and ESEARCH (RFC 4731, 5182, 9394). Messages that memory decides cost nothing; for the
//! others summaries, then headers, then bodies are read in bounded batches. It must never know
//! how a condition is tested.

use angarium_accounts::BodyId;
use angarium_accounts::mailboxes::{MailError, Reader, Row, batches};
use angarium_imap::encode::{self, Esearch};
use angarium_imap::types::{PartialRange, Search, SearchReturn, Tag, UidSet};
use angarium_message::summary::SummaryView;
use tokio::io::{AsyncRead, AsyncWrite};

use super::answer::{Answer, Outcome};
use super::fetch::{bodies, heads, summaries};
use super::search_keys::{Facts, Key};
use super::search_text::Texts;
use super::session::Session;

/// Messages whose summaries are looked at in one go.
const BATCH: usize = 500;
/// Octets of headers or bodies read in one go.
const BATCH_BYTES: u64 = 2 << 20;
/// The text of larger messages is not searched.
const MAX_SEARCHED: u64 = 64 << 20;

/// A message the metadata alone did not decide.
#[derive(Clone, Copy)]
struct Candidate<'a> {
    sequence: u32,
    row: Row<'a>,
    recent: bool,
}

impl<'a> Candidate<'a> {
    fn facts<'f>(&self) -> Facts<'f>
    where
        'a: 'f,
    {
        Facts { row: self.row, recent: self.recent, summary: None, head: None, texts: None }
    }
}

/// Decides the candidates that memory could not decide; answers (sequence, UID, MODSEQ) of those
/// that meet the condition.
async fn read_and_test(
    reader: &Reader,
    key: &Key,
    candidates: &[Candidate<'_>],
) -> Result<Vec<(u32, u32, u64)>, MailError> {
    let mut found = Vec::new();
    let mut take = |candidate: &Candidate<'_>| {
        found.push((candidate.sequence, candidate.row.uid().0, candidate.row.modseq().0));
    };
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

async fn search_bodies<'a>(
    reader: &Reader,
    key: &Key,
    candidates: &[&Candidate<'a>],
) -> Result<Vec<Candidate<'a>>, MailError> {
    let mut found = Vec::new();
    let mut rest = candidates;
    for run in batches(candidates.iter().map(|c| c.row.size()), BATCH, BATCH_BYTES) {
        let (here, later) = rest.split_at(run.min(rest.len()));
        rest = later;
        if here.iter().any(|c| c.row.size() > MAX_SEARCHED) {
            tracing::debug!("a message is too large to be searched");
            continue;
        }
        let ids: Vec<BodyId> = here.iter().map(|c| c.row.body()).collect();
        let stored = summaries(reader, &ids).await?;
        for ((candidate, body), summary) in here.iter().zip(bodies(reader, &ids).await?).zip(stored)
        {
            let (Some(body), Some(summary)) = (body, summary) else { continue };
            let Ok(view) = SummaryView::new(&summary) else { continue };
            let texts = Texts::of(&body);
            let head = body.get(..angarium_message::header::header_length(&body));
            let facts =
                Facts { summary: Some(&view), head, texts: Some(&texts), ..candidate.facts() };
            if key.test(&facts) == Some(true) {
                found.push(**candidate);
            }
        }
        tokio::task::yield_now().await;
    }
    Ok(found)
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Session<S> {
    pub(super) async fn search(&mut self, tag: &Tag, search: Search) -> Outcome {
        let reader = self.mail()?.accounts().reader();
        let now = self.context.accounts.now();
        let has_modseq = search.key.has_modseq();
        self.enabled.condstore |= has_modseq;
        let saves = search.returns.as_ref().is_some_and(|r| r.save);
        let selected = self.selected()?;
        let key = Key::prepare(&search.key, &selected.view, now);
        if saves {
            // What fails leaves nothing behind (RFC 5182 section 2.1).
            selected.view.save(UidSet::new());
        }
        let key = key?;
        let shared = selected.shared();
        let mut found: Vec<(u32, u32, u64)> = Vec::new();
        let mut candidates: Vec<Candidate<'_>> = Vec::new();
        for row in shared.table.iter() {
            let Some(sequence) = selected.view.sequence_of(row.uid().0) else { continue };
            let recent = selected.view.is_recent(row.uid().0);
            let candidate = Candidate { sequence, row, recent };
            match key.test(&candidate.facts()) {
                Some(true) => found.push((sequence, row.uid().0, row.modseq().0)),
                Some(false) => {}
                None => candidates.push(candidate),
            }
        }
        if !candidates.is_empty() {
            found.extend(self.working(read_and_test(&reader, &key, &candidates)).await??);
            found.sort_unstable();
        }
        let modseq = found.iter().map(|f| f.2).max().filter(|_| has_modseq);
        let numbers: Vec<u32> = found.iter().map(|f| if search.uid { f.1 } else { f.0 }).collect();
        if saves && let Some(returns) = &search.returns {
            let uids: Vec<u32> = found.iter().map(|f| f.1).collect();
            self.selected()?.view.save(saved(returns, &uids));
        }
        let returns = match search.returns {
            Some(returns) => returns,
            None if self.enabled.rev2 => SearchReturn { all: true, ..SearchReturn::default() },
            None => {
                encode::search(self.connection.out(), numbers, modseq);
                return Ok(Answer::ok("completed"));
            }
        };
        self.tell_found(tag, search.uid, &returns, &numbers, modseq);
        Ok(Answer::ok("completed"))
    }

    fn tell_found(
        &mut self,
        tag: &Tag,
        uid: bool,
        returns: &SearchReturn,
        numbers: &[u32],
        modseq: Option<u64>,
    ) {
        let tells = returns.min || returns.max || returns.all || returns.count;
        if !tells && returns.partial.is_none() && returns.save {
            // SAVE alone answers nothing.
            return;
        }
        let all: UidSet = numbers.iter().copied().collect();
        let page = returns.partial.map(|range| {
            let set: UidSet = page(numbers, range).iter().copied().collect();
            (range, set)
        });
        let result = Esearch {
            uid,
            min: returns.min.then(|| numbers.first().copied()).flatten(),
            max: returns.max.then(|| numbers.last().copied()).flatten(),
            count: returns.count.then(|| u32::try_from(numbers.len()).unwrap_or(u32::MAX)),
            all: returns.all.then_some(&all),
            partial: page.as_ref().map(|(range, set)| (*range, set)),
            modseq: modseq.filter(|_| !numbers.is_empty()),
        };
        encode::esearch(self.connection.out(), tag, &result);
    }
}

/// What SAVE keeps (RFC 5182 section 2.4).
fn saved(returns: &SearchReturn, uids: &[u32]) -> UidSet {
    if returns.all || returns.count || !(returns.min || returns.max) {
        return uids.iter().copied().collect();
    }
    let min = uids.first().filter(|_| returns.min);
    let max = uids.last().filter(|_| returns.max);
    min.into_iter().chain(max).copied().collect()
}

/// The results at these positions.
fn page(numbers: &[u32], range: PartialRange) -> &[u32] {
    let length = numbers.len();
    let first = usize::try_from(range.first.max(1)).unwrap_or(usize::MAX);
    let last = usize::try_from(range.last).unwrap_or(usize::MAX);
    let (from, to) = if range.from_end {
        (length.saturating_sub(last), length.saturating_sub(first - 1))
    } else {
        ((first - 1).min(length), last.min(length))
    };
    numbers.get(from..to).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_counts_from_either_end() {
        let numbers = [10, 20, 30, 40];
        let at = |first, last, from_end| page(&numbers, PartialRange { first, last, from_end });
        assert_eq!(at(1, 2, false), [10, 20]);
        assert_eq!(at(3, 9, false), [30, 40]);
        assert_eq!(at(5, 9, false), [] as [u32; 0]);
        assert_eq!(at(1, 2, true), [30, 40]);
        assert_eq!(at(4, 9, true), [10]);
        assert_eq!(at(6, 9, true), [] as [u32; 0]);
    }
}
