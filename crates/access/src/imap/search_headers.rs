//! Subject, addresses and date of all messages of an open mailbox, folded and kept in memory after
//! the first search that needs them, so that the next ones read nothing. A derived copy of the
//! summaries, bounded by mailbox, and over all mailboxes by the registry. It must never know what
//! is looked for.

use std::sync::{Arc, Mutex, PoisonError};

use angarium_accounts::BodyId;
use angarium_accounts::mailboxes::{MailError, Row, Shared};
use angarium_message::search::fold;
use angarium_message::summary::SummaryView;

use super::fetch::summaries;
use super::search::Mailbox;

/// Octets kept of one mailbox.
const MAILBOX_MAX: usize = 64 << 20;
/// Octets of folded text of one message; one with more is looked at in its summary.
const MESSAGE_MAX: usize = 4096;
/// Summaries read in one go.
const BATCH: usize = 1000;
/// Of a mailbox with this many times the messages that are looked at, nothing is gathered.
const FEW: usize = 4;

/// What is kept by an open mailbox.
#[derive(Default)]
pub(super) struct HeaderTexts(Mutex<Option<Arc<Columns>>>);

/// One message.
#[derive(Clone, Copy)]
struct Entry {
    uid: u32,
    /// Where the texts end: subject, from, to, cc; they begin where those before end.
    ends: [u32; 4],
    sent: Option<(i64, i16)>,
    /// The texts are all there is.
    complete: bool,
}

/// The messages ascending by UID and their texts one behind the other.
#[derive(Default)]
pub(super) struct Columns {
    entries: Vec<Entry>,
    texts: String,
}

/// The folded texts of one message.
#[derive(Clone, Copy)]
pub(super) struct Headers<'a> {
    pub(super) subject: &'a str,
    pub(super) from: &'a str,
    pub(super) to: &'a str,
    pub(super) cc: &'a str,
    /// Seconds and zone of the Date field.
    pub(super) sent: Option<(i64, i16)>,
}

impl Columns {
    /// The texts of a message, if they are known and whole.
    pub(super) fn get(&self, uid: u32) -> Option<Headers<'_>> {
        let at = self.entries.binary_search_by_key(&uid, |entry| entry.uid).ok()?;
        let entry = self.entries.get(at).filter(|entry| entry.complete)?;
        let start = at.checked_sub(1).and_then(|at| self.entries.get(at)).map_or(0, |e| e.ends[3]);
        let [subject, from, to, cc] = entry.ends;
        let text = |from: u32, to: u32| self.texts.get(from as usize..to as usize);
        Some(Headers {
            subject: text(start, subject)?,
            from: text(subject, from)?,
            to: text(from, to)?,
            cc: text(to, cc)?,
            sent: entry.sent,
        })
    }

    fn last(&self) -> u32 {
        self.entries.last().map_or(0, |entry| entry.uid)
    }

    fn octets(&self) -> usize {
        self.texts.len() + self.entries.len() * size_of::<Entry>()
    }

    fn push(&mut self, uid: u32, summary: Option<&SummaryView<'_>>) {
        let mut entry = Entry { uid, ends: [0; 4], sent: None, complete: false };
        if let Some(summary) = summary {
            let texts = [summary.subject(), summary.from(), summary.to(), summary.cc()];
            let long = texts.iter().map(|text| text.len()).sum::<usize>() > MESSAGE_MAX;
            entry.complete = summary.complete() && !long;
            entry.sent = summary.sent_date().map(|date| (date, summary.sent_zone()));
            for (text, end) in texts.into_iter().zip(&mut entry.ends) {
                if entry.complete {
                    self.texts.push_str(&fold(text));
                }
                *end = u32::try_from(self.texts.len()).unwrap_or(u32::MAX);
            }
        } else {
            entry.ends = [u32::try_from(self.texts.len()).unwrap_or(u32::MAX); 4];
        }
        self.entries.push(entry);
    }

    /// A copy to be added to, without what has gone.
    fn copied(&self, shared: &Shared) -> Self {
        let stale = self.entries.len() > 2 * shared.table.len() + 1000;
        if stale {
            return Self::default();
        }
        Self { entries: self.entries.clone(), texts: self.texts.clone() }
    }
}

/// The texts of a mailbox of which `looked_at` messages are asked about; nothing if it is not
/// worth gathering them or there are too many.
///
/// # Errors
/// What the store says.
pub(super) async fn columns(
    mailbox: &Mailbox<'_>,
    looked_at: usize,
) -> Result<Option<Arc<Columns>>, MailError> {
    let Mailbox { reader, registry, open, shared } = *mailbox;
    let place = open.companion::<HeaderTexts>();
    let known = place.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let last = known.as_ref().map_or(0, |columns| columns.last());
    let new: Vec<Row<'_>> = shared.table.iter().filter(|row| row.uid().0 > last).collect();
    if new.is_empty() {
        return Ok(known);
    }
    if known.is_none() && looked_at.saturating_mul(FEW) < shared.table.len() {
        return Ok(None);
    }
    let mut made = known.map_or_else(Columns::default, |columns| columns.copied(shared));
    let last = made.last();
    let rows: Vec<Row<'_>> = shared.table.iter().filter(|row| row.uid().0 > last).collect();
    for batch in rows.chunks(BATCH) {
        let ids: Vec<BodyId> = batch.iter().map(|row| row.body()).collect();
        for (row, stored) in batch.iter().zip(summaries(reader, &ids).await?) {
            let view = stored.as_ref().and_then(|bytes| SummaryView::new(bytes).ok());
            made.push(row.uid().0, view.as_ref());
        }
        if made.octets() > MAILBOX_MAX {
            return Ok(None);
        }
        tokio::task::yield_now().await;
    }
    made.texts.shrink_to_fit();
    let made = Arc::new(made);
    *place.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&made));
    registry.weigh::<HeaderTexts>(open, made.octets());
    Ok(Some(made))
}
