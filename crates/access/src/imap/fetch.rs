//! FETCH: reads what a plan needs in bounded batches and streams the answers. One store call a
//! batch, none for what is in memory. It must never know how an item looks.

use angarium_accounts::mailboxes::{MailError, MailRights, Reader, Shared, batches};
use angarium_accounts::{
    BodyId, FlagBits, FlagChange, FlagUpdate, Flags, HeadLength, ModSeq, Top, Uid,
};
use angarium_imap::encode::{self, FetchWriter};
use angarium_imap::types::{Fetch, FetchItem, OctetRange, SectionText, UidSet};
use angarium_imap::view::Resolved;
use angarium_message::structure::Part;
use angarium_message::summary::{Summary, SummaryView};
use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite};

use super::answer::{Answer, Halt, Outcome};
use super::fetch_plan::{Joined, Message, Plan, Read};
use super::session::Session;
use crate::connection::ConnectionError;

/// Messages in one request to the store.
const BATCH: usize = 200;
/// Octets of bodies in one request to the store. What is read is still in the processor's cache
/// when it is written.
const BATCH_BYTES: u64 = 512 << 10;
/// Messages in the first request for summaries: something is on its way soon.
const FIRST_TOPS: usize = 64;
/// Messages in the later ones.
const TOPS: usize = 1024;
/// Octets of summaries and headers in one request to the store; one message may go beyond.
const TOPS_BYTES: usize = 512 << 10;
/// Larger messages are sent piece by piece.
const STREAM_FROM: u64 = 2 << 20;
/// Octets of such a piece.
const PIECE: u64 = 256 << 10;
/// Larger messages are not taken apart: their parts answer NIL.
const MAX_TAKEN_APART: u64 = 256 << 20;

/// Reads the summaries of messages; one that is missing or damaged is made anew.
pub(super) async fn summaries(
    reader: &Reader,
    bodies: &[BodyId],
) -> Result<Vec<Option<Bytes>>, MailError> {
    let readable = |bytes: &Bytes| SummaryView::new(bytes).is_ok();
    if let Ok(all) = reader.summaries(bodies).await
        && all.iter().all(readable)
    {
        return Ok(all.into_iter().map(Some).collect());
    }
    let mut found = Vec::with_capacity(bodies.len());
    for body in bodies {
        found.push(match reader.summaries(&[*body]).await.map(|mut one| one.pop()) {
            Ok(Some(bytes)) if readable(&bytes) => Some(bytes),
            Err(MailError::NotFound) => None,
            Err(error) if error.is_temporary() => return Err(error),
            _ => match reader.body(*body).await {
                Ok(bytes) => Some(Bytes::from(Summary::of(&bytes).encode())),
                Err(MailError::NotFound) => None,
                Err(error) => return Err(error),
            },
        });
    }
    Ok(found)
}

/// Reads whole bodies; those that went away meanwhile are `None`.
pub(super) async fn bodies(
    reader: &Reader,
    ids: &[BodyId],
) -> Result<Vec<Option<Bytes>>, MailError> {
    match reader.bodies(ids).await {
        Ok(all) => Ok(all.into_iter().map(Some).collect()),
        Err(error) if error.is_temporary() => Err(error),
        Err(_) => {
            let mut found = Vec::with_capacity(ids.len());
            for id in ids {
                found.push(match reader.body(*id).await {
                    Ok(bytes) => Some(bytes),
                    Err(MailError::NotFound) => None,
                    Err(error) => return Err(error),
                });
            }
            Ok(found)
        }
    }
}

/// Reads headers by the sizes in the summaries; those that went away meanwhile are `None`.
pub(super) async fn heads(
    reader: &Reader,
    ids: &[(BodyId, u32)],
) -> Result<Vec<Option<Bytes>>, MailError> {
    match reader.heads(ids).await {
        Ok(all) => Ok(all.into_iter().map(Some).collect()),
        Err(error) if error.is_temporary() => Err(error),
        Err(_) => {
            let mut found = Vec::with_capacity(ids.len());
            for id in ids {
                found.push(match reader.heads(&[*id]).await.map(|mut one| one.pop()) {
                    Ok(one) => one,
                    Err(MailError::NotFound) => None,
                    Err(error) => return Err(error),
                });
            }
            Ok(found)
        }
    }
}

/// Octets of the header as a summary says, none if it cannot be read.
fn header_size(summary: &[u8]) -> u32 {
    SummaryView::new(summary).map_or(0, |view| view.header_size())
}

/// Summaries and, if asked for, headers from the front of the list, of one message at least;
/// those that went away meanwhile are `None`. A summary may be unreadable: see [`made_anew`].
async fn tops(reader: &Reader, ids: &[BodyId], head: bool) -> Result<Vec<Option<Top>>, MailError> {
    let wanted: HeadLength = if head { header_size } else { |_| 0 };
    match reader.tops(ids, wanted, TOPS_BYTES).await {
        Ok(all) => Ok(all.into_iter().map(Some).collect()),
        Err(error) if error.is_temporary() => Err(error),
        // Something is amiss with one of them: the slow way, a few at a time.
        Err(_) => {
            let mut found = Vec::new();
            for id in ids.iter().take(FIRST_TOPS) {
                found.push(made_anew(reader, *id, head).await?);
            }
            Ok(found)
        }
    }
}

/// As [`tops`] for one message, with a summary made from its bytes if the stored one is no good.
async fn made_anew(reader: &Reader, id: BodyId, head: bool) -> Result<Option<Top>, MailError> {
    let Some(summary) = summaries(reader, &[id]).await?.pop().flatten() else { return Ok(None) };
    if !head {
        return Ok(Some(Top { summary, head: Bytes::new() }));
    }
    let size = header_size(&summary);
    let head = heads(reader, &[(id, size)]).await?.pop().flatten();
    Ok(head.map(|head| Top { summary, head }))
}

/// What was read of a run of messages that are needed whole.
struct Wholes {
    summaries: Vec<Option<Bytes>>,
    bodies: Vec<Option<Bytes>>,
    /// Too large to be taken apart: not read.
    too_large: bool,
}

/// Reads what is needed of a run. Nothing is read of a message that is sent piece by piece.
async fn wholes(reader: &Reader, plan: &Plan, batch: &[Message<'_>]) -> Result<Wholes, MailError> {
    if batch.is_empty() {
        return Ok(Wholes { summaries: Vec::new(), bodies: Vec::new(), too_large: false });
    }
    let ids: Vec<BodyId> = batch.iter().map(|m| m.row.body()).collect();
    let too_large = batch.iter().any(|m| m.row.size() > MAX_TAKEN_APART);
    let summaries = if plan.needs.summary { summaries(reader, &ids).await? } else { Vec::new() };
    let bodies = if too_large || plan.streams(batch) {
        vec![Some(Bytes::new()); batch.len()]
    } else {
        bodies(reader, &ids).await?
    };
    Ok(Wholes { summaries, bodies, too_large })
}

impl Plan {
    /// True for a run of one message that is sent piece by piece.
    fn streams(&self, batch: &[Message<'_>]) -> bool {
        matches!(batch, [message] if self.can_stream() && message.row.size() > STREAM_FROM)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Session<S> {
    pub(super) async fn fetch(&mut self, fetch: Fetch) -> Outcome {
        let reader = self.mail()?.accounts().reader();
        let asks_modseq = fetch.items.contains(&FetchItem::ModSeq);
        self.enabled.condstore |= fetch.changed_since.is_some() || asks_modseq;
        let enabled = self.enabled;
        let selected = self.selected()?;
        if fetch.vanished && !(enabled.qresync && fetch.uid && fetch.changed_since.is_some()) {
            return Err(Answer::bad("VANISHED needs QRESYNC, UID FETCH, CHANGEDSINCE").into());
        }
        let mut resolved = selected.resolve(&fetch.set, fetch.uid)?;
        if let Some(page) = fetch.partial {
            resolved = resolved.page(page);
        }
        let plan = Plan::of(&fetch, enabled);
        let seen_now =
            if plan.sets_seen { self.mark_seen(&resolved).await? } else { UidSet::new() };
        if fetch.vanished {
            self.tell_vanished(&fetch).await?;
        }
        let selected = self.selected()?;
        let shared = selected.shared();
        let since = fetch.changed_since.unwrap_or(0);
        let mut messages: Vec<Message<'_>> = Vec::with_capacity(resolved.len() as usize);
        for piece in resolved.pieces() {
            // Messages that are gone already are told as gone later; here they are left out.
            for row in shared.table.iter_from(Uid(piece.uid)) {
                let Some(offset) = row.uid().0.checked_sub(piece.uid).filter(|o| *o < piece.count)
                else {
                    break;
                };
                if row.modseq().0 > since {
                    messages.push(Message {
                        sequence: piece.sequence + offset,
                        row,
                        recent: selected.view.is_recent(row.uid().0),
                        tell_flags: seen_now.contains(row.uid().0),
                    });
                }
            }
        }
        let known = if plan.needs.body {
            Box::pin(self.fetch_bodies(&reader, &plan, &messages)).await?
        } else if plan.needs.summary {
            Box::pin(self.fetch_tops(&reader, &plan, &messages)).await?
        } else {
            let mut joined = Joined::default();
            for message in &messages {
                message.write(self.connection.out(), &plan, &mut joined, &Read::default());
                self.connection.flush_full().await?;
            }
            true
        };
        if known {
            Ok(Answer::ok("completed"))
        } else {
            Ok(Answer::no("a part's transfer encoding is not known").word("UNKNOWN-CTE"))
        }
    }

    /// Sets `\Seen` on the messages that lack it, in one call. Which they were.
    async fn mark_seen(&mut self, resolved: &Resolved) -> Result<UidSet, Halt> {
        let mail = self.mail()?;
        let selected = self.selected()?;
        if selected.read_only || !selected.opened.rights.can(MailRights::SEEN) {
            return Ok(UidSet::new());
        }
        let uids: Vec<Uid> = resolved.uids().map(Uid).collect();
        let shared = selected.shared();
        let rows = shared.table.select(&uids);
        let unseen: Vec<Uid> = rows
            .iter()
            .filter(|row| !row.bits().contains(FlagBits::SEEN))
            .map(|row| row.uid())
            .collect();
        if unseen.is_empty() {
            return Ok(UidSet::new());
        }
        let update = FlagUpdate {
            uids: unseen,
            change: FlagChange::Add,
            flags: Flags::of(FlagBits::SEEN),
            unchanged_since: None,
        };
        // Reading goes on when a full disk keeps the flag from being set.
        let outcome = match mail.change_flags(&selected.opened, update).await {
            Ok(outcome) => outcome,
            Err(error) => {
                tracing::warn!(%error, "messages were read but could not be marked");
                return Ok(UidSet::new());
            }
        };
        selected.refresh();
        selected.told(outcome.changed.iter().map(|(uid, _, modseq)| (*uid, *modseq)));
        Ok(outcome.changed.iter().map(|(uid, ..)| uid.0).collect())
    }

    /// VANISHED (EARLIER) for UID FETCH with CHANGEDSINCE and VANISHED (RFC 7162 section 3.2.6).
    async fn tell_vanished(&mut self, fetch: &Fetch) -> Result<(), Halt> {
        let mail = self.mail()?;
        let selected = self.selected()?;
        let since = ModSeq(fetch.changed_since.unwrap_or(0));
        let shared: Shared = selected.shared();
        let last = shared.record.uid_next.0.saturating_sub(1);
        let asked = UidSet::from_ranges(
            fetch.set.ranges().iter().filter_map(|range| range.resolve(last)).collect(),
        );
        let gone = super::keep_ids::gone_since(&mail, selected, &shared, since, &asked).await?;
        encode::vanished(self.connection.out(), true, &gone);
        Ok(())
    }

    /// Answers from summaries and headers. While one batch is written the next one is read.
    async fn fetch_tops(
        &mut self,
        reader: &Reader,
        plan: &Plan,
        messages: &[Message<'_>],
    ) -> Result<bool, Halt> {
        let ids = |of: &[Message<'_>], most: usize| -> Vec<BodyId> {
            of.iter().take(most).map(|m| m.row.body()).collect()
        };
        let head = plan.needs.head;
        let mut joined = Joined::default();
        let mut rest = messages;
        let mut read = tops(reader, &ids(rest, FIRST_TOPS), head).await?;
        while !rest.is_empty() {
            let (batch, later) = rest.split_at(read.len().clamp(1, rest.len()));
            rest = later;
            let wanted = ids(later, TOPS);
            let (next, written) = tokio::join!(
                async {
                    if wanted.is_empty() {
                        return Ok(Vec::new());
                    }
                    tops(reader, &wanted, head).await
                },
                self.write_tops(reader, plan, &mut joined, batch, &read)
            );
            written?;
            read = next?;
        }
        Ok(true)
    }

    async fn write_tops(
        &mut self,
        reader: &Reader,
        plan: &Plan,
        joined: &mut Joined,
        batch: &[Message<'_>],
        read: &[Option<Top>],
    ) -> Result<(), Halt> {
        for (message, top) in batch.iter().zip(read) {
            let Some(mut top) = top.as_ref() else { continue };
            let anew;
            let view = match SummaryView::new(&top.summary) {
                Ok(view) => view,
                Err(_) => {
                    let id = message.row.body();
                    anew = Box::pin(made_anew(reader, id, plan.needs.head)).await?;
                    let Some(made) = &anew else { continue };
                    let Ok(view) = SummaryView::new(&made.summary) else { continue };
                    top = made;
                    view
                }
            };
            let head = plan.needs.head.then_some(&*top.head);
            let read = Read { summary: Some(view), head, ..Read::default() };
            message.write(self.connection.out(), plan, joined, &read);
            self.connection.flush_full().await?;
        }
        Ok(())
    }

    /// Answers from whole messages. While one run is written the next one is read.
    async fn fetch_bodies(
        &mut self,
        reader: &Reader,
        plan: &Plan,
        messages: &[Message<'_>],
    ) -> Result<bool, Halt> {
        let mut joined = Joined::default();
        let mut known = true;
        let mut rest = messages;
        let mut runs = Vec::new();
        for run in batches(messages.iter().map(|m| m.row.size()), BATCH, BATCH_BYTES) {
            let (batch, later) = rest.split_at(run.min(rest.len()));
            rest = later;
            runs.push(batch);
        }
        let Some(first) = runs.first() else { return Ok(known) };
        let mut read = wholes(reader, plan, first).await?;
        for (at, batch) in runs.iter().enumerate() {
            let following = runs.get(at + 1).copied().unwrap_or_default();
            let (next, written) = tokio::join!(
                wholes(reader, plan, following),
                self.write_wholes(reader, plan, &mut joined, batch, &read)
            );
            known &= written?;
            read = next?;
        }
        Ok(known)
    }

    /// False when a part's encoding is not known.
    async fn write_wholes(
        &mut self,
        reader: &Reader,
        plan: &Plan,
        joined: &mut Joined,
        batch: &[Message<'_>],
        read: &Wholes,
    ) -> Result<bool, Halt> {
        if let ([message], true) = (batch, plan.streams(batch)) {
            let summary = read.summaries.first().and_then(Option::as_ref);
            Box::pin(self.stream(reader, plan, message, summary, joined)).await?;
            return Ok(true);
        }
        let mut known = true;
        for (at, (message, body)) in batch.iter().zip(&read.bodies).enumerate() {
            let Some(body) = body else { continue };
            let summary = read.summaries.get(at).and_then(Option::as_ref);
            let part = (plan.needs.parts && !read.too_large).then(|| Part::of(body));
            let read = Read {
                summary: summary.and_then(|bytes| SummaryView::new(bytes).ok()),
                head: None,
                body: (!read.too_large).then_some(body.as_ref()),
                part: part.as_ref(),
            };
            known &= message.write(self.connection.out(), plan, joined, &read);
            self.connection.flush_full().await?;
        }
        Ok(known)
    }

    /// Answers for one large message without holding it in memory.
    async fn stream(
        &mut self,
        reader: &Reader,
        plan: &Plan,
        message: &Message<'_>,
        summary: Option<&Bytes>,
        joined: &mut Joined,
    ) -> Result<(), Halt> {
        let id = message.row.body();
        let made;
        let summary = match summary {
            Some(summary) => summary,
            None => {
                made = summaries(reader, &[id]).await?.pop().flatten();
                match &made {
                    Some(made) => made,
                    // It went away meanwhile.
                    None => return Ok(()),
                }
            }
        };
        let Ok(view) = SummaryView::new(summary) else { return Ok(()) };
        let header_size = u64::from(view.header_size());
        let head = reader.range(id, 0, header_size).await?;
        let read = Read { summary: Some(view), head: Some(&head), ..Read::default() };
        let names = joined.of(message).to_vec();
        let mut first = true;
        for item in &plan.items {
            let part = whole(item, header_size, message.row.size());
            {
                let out = self.connection.out();
                let mut answer =
                    if first { plan.answer(out, message) } else { FetchWriter::resume(out) };
                first = false;
                match part {
                    Some((_, length)) => answer.octets_head(item, length, false),
                    None => {
                        message.item(&mut answer, item, &names, &read);
                    }
                }
            }
            if let Some((offset, length)) = part {
                self.send_octets(reader, id, offset, length).await?;
            }
        }
        let mut answer = FetchWriter::resume(self.connection.out());
        if message.owes_flags(plan) {
            answer.flags_joined(&names);
        }
        answer.finish();
        Ok(())
    }

    /// Sends announced octets; when they cannot be had the connection must end.
    async fn send_octets(
        &mut self,
        reader: &Reader,
        id: BodyId,
        offset: u64,
        length: u64,
    ) -> Result<(), ConnectionError> {
        let mut sent = 0;
        while sent < length {
            let want = PIECE.min(length - sent);
            match reader.range(id, offset + sent, want).await {
                Ok(piece) if !piece.is_empty() => {
                    let take = usize::try_from(want).unwrap_or(usize::MAX).min(piece.len());
                    let piece = piece.get(..take).unwrap_or_default();
                    self.connection.out().extend_from_slice(piece);
                    sent += piece.len() as u64;
                }
                Ok(_) => {
                    tracing::error!(body = id.0, "a stored message is shorter than it should be");
                    return Err(ConnectionError::Closed);
                }
                Err(error) => {
                    tracing::error!(%error, "a message could not be read to its end");
                    return Err(ConnectionError::Closed);
                }
            }
            self.connection.flush_full().await?;
        }
        Ok(())
    }
}

/// Where the octets of an item lie when they are one piece of the message that may be large.
fn whole(item: &FetchItem, header_size: u64, size: u64) -> Option<(u64, u64)> {
    let (from, to, partial) = match item {
        FetchItem::Rfc822 => (0, size, None),
        FetchItem::Rfc822Text => (header_size, size, None),
        FetchItem::Section { section, partial, .. } if section.part.is_empty() => {
            match &section.text {
                None => (0, size, *partial),
                Some(SectionText::Text) => (header_size, size, *partial),
                _ => return None,
            }
        }
        FetchItem::Binary { part, partial, .. } if part.is_empty() => (0, size, *partial),
        _ => return None,
    };
    let length = to.saturating_sub(from);
    Some(match partial {
        None => (from, length),
        Some(OctetRange { offset, count }) => {
            let skip = offset.min(length);
            (from + skip, count.min(length - skip))
        }
    })
}
