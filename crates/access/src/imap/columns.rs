//! What SORT and THREAD compare, of all messages of a mailbox, as columns of numbers: reckoned
//! from the summaries once, extended when messages come, shared by all sessions. Messages are
//! never parsed for it. It must never know a command.

use std::sync::Arc;

use angarium_accounts::mailboxes::{MailError, OpenMailbox, Reader, Registry, Shared};
use angarium_accounts::{BodyId, Uid};
use angarium_message::collation::casemap;
use angarium_message::subject::base_subject;
use angarium_message::summary::SummaryView;
use angarium_message::summary::people::people;
use angarium_message::thread::NONE;
use bytes::Bytes;
use tokio::sync::{Mutex, OwnedMutexGuard};

use super::fetch::summaries;
use super::strings::{Names, Strings};

/// Summaries read in one go.
const BATCH: usize = 1000;
/// References kept of all messages of a mailbox together; of further messages only the first and
/// the last count (ABU-27).
const REFERENCES_KEPT: usize = 2_000_000;
/// Longest text that is compared, in bytes; what follows does not count.
const COMPARED_MAX: usize = 1000;
/// Messages that went away before the columns are made anew, beside as many as are there.
const GONE_BEFORE_RENEWING: usize = 1024;

/// Which columns are wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Wants {
    /// Date and subject.
    pub(super) subjects: bool,
    /// Identifiers and references.
    pub(super) links: bool,
    /// Addresses.
    pub(super) people: bool,
}

impl Wants {
    fn without(self, other: Self) -> Self {
        Self {
            subjects: self.subjects && !other.subjects,
            links: self.links && !other.links,
            people: self.people && !other.people,
        }
    }

    fn and(self, other: Self) -> Self {
        Self {
            subjects: self.subjects || other.subjects,
            links: self.links || other.links,
            people: self.people || other.people,
        }
    }

    pub(super) fn any(self) -> bool {
        self != Self::default()
    }
}

/// The columns of a mailbox. Rows are ascending by UID.
#[derive(Default)]
pub(super) struct Columns {
    held: Wants,
    /// Somebody began to fill them and did not come to the end: they are of no use.
    unfinished: bool,
    uids: Vec<u32>,
    pub(super) sent: Vec<Option<i64>>,
    pub(super) subjects: Vec<u32>,
    pub(super) replies: Vec<bool>,
    pub(super) subject_texts: Strings,
    pub(super) ids: Vec<u32>,
    reference_ends: Vec<usize>,
    references: Vec<u32>,
    names: Names,
    /// From, To, Cc, DisplayFrom, DisplayTo.
    pub(super) people: [Vec<u32>; 5],
    pub(super) people_texts: Strings,
}

/// As much of a text as is compared.
fn compared(text: &str) -> String {
    let mut end = text.len().min(COMPARED_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    casemap(text.get(..end).unwrap_or_default())
}

impl Columns {
    /// The row of each of these ascending UIDs.
    pub(super) fn rows(&self, uids: impl IntoIterator<Item = u32>) -> Vec<usize> {
        let mut at = 0;
        let row = |uid| {
            // Neighbours are the rule; else the rest is searched.
            if self.uids.get(at) != Some(&uid) {
                let rest = self.uids.get(at..).unwrap_or_default();
                at += rest.partition_point(|known| *known < uid);
            }
            let found = if self.uids.get(at) == Some(&uid) { at } else { usize::MAX };
            at = at.saturating_add(usize::from(found != usize::MAX));
            found
        };
        uids.into_iter().map(row).collect()
    }

    /// The references of a row, by number.
    pub(super) fn references(&self, row: usize) -> &[u32] {
        let start = row.checked_sub(1).and_then(|before| self.reference_ends.get(before));
        let end = self.reference_ends.get(row).copied().unwrap_or(0);
        self.references.get(start.copied().unwrap_or(0)..end).unwrap_or_default()
    }

    /// How many identifiers have numbers.
    pub(super) fn identifiers(&self) -> usize {
        self.names.len()
    }

    fn add(&mut self, wants: Wants, summary: Option<&SummaryView<'_>>) {
        if wants.subjects {
            self.sent.push(summary.and_then(SummaryView::sent_date));
            let base = base_subject(summary.map_or("", |s| s.subject()));
            let number = self.subject_texts.number(&compared(&base.text));
            self.subjects.push(number);
            self.replies.push(base.is_reply);
        }
        if wants.links {
            self.add_links(summary);
        }
        if wants.people {
            let found = people(summary.map_or(&[], |s| s.envelope()));
            let texts = [
                found.from.mailbox(),
                found.to.mailbox(),
                found.cc.mailbox(),
                found.from.display(),
                found.to.display(),
            ];
            for (column, text) in self.people.iter_mut().zip(texts) {
                column.push(self.people_texts.number(&compared(&text)));
            }
        }
    }

    fn add_links(&mut self, summary: Option<&SummaryView<'_>>) {
        let id = summary.map_or("", |s| s.message_id());
        self.ids.push(if id.is_empty() { NONE } else { self.names.number(id) });
        if let Some(summary) = summary {
            let begin = self.references.len();
            if begin < REFERENCES_KEPT {
                for id in summary.references() {
                    self.references.push(self.names.number(id));
                }
            } else if let Some(first) = summary.references().next() {
                self.references.push(self.names.number(first));
                if let Some(last) = summary.references().skip(1).last() {
                    self.references.push(self.names.number(last));
                }
            }
            let answered = summary.in_reply_to();
            if self.references.len() == begin && !answered.is_empty() {
                self.references.push(self.names.number(answered));
            }
        }
        self.reference_ends.push(self.references.len());
    }

    fn bytes(&self) -> usize {
        let people: usize = self.people.iter().map(Vec::capacity).sum();
        let words = self.uids.capacity()
            + self.subjects.capacity()
            + self.ids.capacity()
            + self.references.capacity()
            + people;
        words * 4
            + self.sent.capacity() * 16
            + self.replies.capacity()
            + self.reference_ends.capacity() * 8
            + self.subject_texts.bytes()
            + self.people_texts.bytes()
            + self.names.bytes()
    }

    /// Reads these messages into the wanted columns; one whose body is `None` has gone.
    async fn read(
        &mut self,
        reader: &Reader,
        wants: Wants,
        bodies: &[Option<BodyId>],
    ) -> Result<(), MailError> {
        let batch = |at: usize| -> Option<&[Option<BodyId>]> {
            let rest = bodies.get(at..).filter(|rest| !rest.is_empty())?;
            rest.get(..BATCH.min(rest.len()))
        };
        let ask = |batch: &[Option<BodyId>]| {
            let (reader, ids) = (reader.clone(), batch.iter().flatten().copied().collect());
            tokio::spawn(read_summaries(reader, ids))
        };
        let mut at = 0;
        let mut next = batch(at).map(ask);
        while let (Some(here), Some(asked)) = (batch(at), next.take()) {
            at += here.len();
            let read = asked.await.map_err(|e| MailError::Unavailable(e.to_string()))??;
            // The next ones are read while these are looked at.
            next = batch(at).map(ask);
            let mut read = read.iter();
            for body in here {
                let bytes = if body.is_some() { read.next() } else { None };
                let bytes = bytes.and_then(Option::as_ref);
                let view = bytes.and_then(|bytes| SummaryView::new(bytes).ok());
                self.add(wants, view.as_ref());
            }
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    /// Brings the columns up to date with a mailbox.
    async fn refresh(
        &mut self,
        reader: &Reader,
        shared: &Shared,
        wants: Wants,
    ) -> Result<(), MailError> {
        let was = self.unfinished;
        if self.uids.len() > shared.table.len() * 2 + GONE_BEFORE_RENEWING {
            *self = Self { unfinished: was, ..Self::default() };
        }
        let missing = wants.without(self.held);
        if missing.any() && !self.uids.is_empty() {
            let bodies: Vec<Option<BodyId>> =
                self.uids.iter().map(|uid| Some(shared.table.get(Uid(*uid))?.body())).collect();
            self.read(reader, missing, &bodies).await?;
        }
        self.held = self.held.and(wants);
        let from = self.uids.last().copied().unwrap_or(0).saturating_add(1);
        let (uids, bodies): (Vec<u32>, Vec<Option<BodyId>>) =
            shared.table.iter_from(Uid(from)).map(|row| (row.uid().0, Some(row.body()))).unzip();
        if !uids.is_empty() {
            let held = self.held;
            self.uids.extend(uids);
            self.read(reader, held, &bodies).await?;
        }
        Ok(())
    }
}

async fn read_summaries(reader: Reader, ids: Vec<BodyId>) -> Result<Vec<Option<Bytes>>, MailError> {
    summaries(&reader, &ids).await
}

/// The columns that are kept beside a mailbox, brought up to date for these messages (ascending
/// UIDs). For a few messages of many that were never looked at, columns of their own.
pub(super) async fn columns(
    reader: &Reader,
    registry: &Registry,
    open: &Arc<OpenMailbox>,
    shared: &Shared,
    uids: &[Uid],
    wants: Wants,
) -> Result<OwnedMutexGuard<Columns>, MailError> {
    let kept: Arc<Mutex<Columns>> = open.companion();
    let mut columns = kept.lock_owned().await;
    if columns.unfinished {
        *columns = Columns::default();
    }
    let last = columns.uids.last().copied().unwrap_or(0);
    let unknown = match wants.without(columns.held).any() {
        true => shared.table.len(),
        false => shared.table.iter_from(Uid(last.saturating_add(1))).count(),
    };
    if unknown > uids.len().saturating_mul(4) && unknown > BATCH {
        let mut own = Columns { held: wants, ..Columns::default() };
        let rows = shared.table.select(uids);
        own.uids = rows.iter().map(|row| row.uid().0).collect();
        let bodies: Vec<Option<BodyId>> = rows.iter().map(|row| Some(row.body())).collect();
        own.read(reader, wants, &bodies).await?;
        return Ok(Arc::new(Mutex::new(own)).lock_owned().await);
    }
    if unknown > 0 {
        columns.unfinished = true;
        columns.refresh(reader, shared, wants).await?;
        columns.unfinished = false;
        registry.weigh::<Mutex<Columns>>(open, columns.bytes());
    }
    Ok(columns)
}

#[cfg(test)]
mod tests {
    use super::*;
    use angarium_message::summary::Summary;

    #[test]
    fn references_without_end_stay_within_their_bound() {
        let mut columns = Columns::default();
        let wants = Wants { links: true, ..Wants::default() };
        for n in 0..25_000 {
            let references: Vec<String> = (0..100).map(|r| format!("{}.{r}@x", n % 3000)).collect();
            let summary = Summary { references, ..Summary::default() }.encode();
            columns.add(wants, SummaryView::new(&summary).ok().as_ref());
        }
        assert!(columns.references.len() <= REFERENCES_KEPT + 2 * 25_000);
        assert_eq!(columns.references(0).len(), 100);
        assert_eq!(columns.references(24_999).len(), 2, "the first and the last");
        let first = columns.references(24_000)[0];
        assert_eq!(columns.references(24_999 - 999)[0], first);
        assert_eq!(columns.references(25_000), [] as [u32; 0]);
    }

    #[test]
    fn rows_are_found_with_gaps_on_either_side() {
        let columns = Columns { uids: vec![1, 2, 5, 9], ..Columns::default() };
        assert_eq!(columns.rows([1, 2, 5, 9]), [0, 1, 2, 3]);
        assert_eq!(columns.rows([2, 3, 9, 10]), [1, usize::MAX, 3, usize::MAX]);
    }
}
