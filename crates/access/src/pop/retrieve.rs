//! Sending messages: requests that came together are read together; large messages are sent as
//! they are read. It must never change a byte of them.

use angarium_accounts::mailboxes::Reader;
use angarium_accounts::{BodyId, FlagBits};
use angarium_pop::Retrieve;
use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite};

use super::Driver;
use crate::connection::{ConnectionError, WRITE_CHUNK};

/// Messages read together at most.
const BATCH_MESSAGES: usize = 64;
/// Octets read together at most (one message may be larger).
const BATCH_OCTETS: u64 = 1024 * 1024;
/// Larger messages are read and sent in pieces of this size, octets.
const PIECE: u64 = 256 * 1024;
/// TOP reads this much of a message at first; its header is nearly always in it. Octets.
const TOP_PIECE: u64 = 16 * 1024;

/// One message to be sent.
struct Wanted {
    retrieve: Retrieve,
    /// `None` when it has gone from the mailbox.
    found: Option<(BodyId, u64)>,
}

impl Wanted {
    /// The body if it is read at once.
    fn at_once(&self) -> Option<BodyId> {
        let most = if self.retrieve.lines.is_some() { TOP_PIECE } else { BATCH_OCTETS };
        self.found.filter(|(_, size)| *size <= most).map(|(body, _)| body)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Driver<S> {
    /// Answers this request and those that have arrived behind it.
    pub(super) async fn retrieve(&mut self, first: Retrieve) -> Result<(), ConnectionError> {
        self.entry.running("RETR");
        let reader = self.context.accounts.reader();
        let batch = self.gather(first);
        let ids: Vec<BodyId> = batch.iter().filter_map(Wanted::at_once).collect();
        let mut bodies = match reader.bodies(&ids).await {
            Ok(bodies) => bodies.into_iter().map(Some).collect(),
            // One of them cannot be read: find out which.
            Err(_) => one_by_one(&reader, &ids).await,
        }
        .into_iter();
        for wanted in &batch {
            let Some((body, size)) = wanted.found else {
                self.session.refuse(None, "the message is gone");
                continue;
            };
            if wanted.at_once().is_some() {
                match bodies.next().flatten() {
                    Some(bytes) => self.session.retrieved(&bytes),
                    None => self.session.refuse(None, "the message cannot be read"),
                }
            } else {
                self.stream(&reader, body, size, wanted.retrieve.lines.is_some()).await?;
            }
            if self.session.output().len() >= 4 * WRITE_CHUNK {
                self.send().await?;
            }
        }
        self.entry.waiting("Open");
        Ok(())
    }

    /// The requests that can be answered together, with what is known of their messages.
    fn gather(&mut self, first: Retrieve) -> Vec<Wanted> {
        let Some(open) = &mut self.open else { return Vec::new() };
        let shared = open.opened.mailbox.shared();
        let mut batch = Vec::new();
        let mut octets = 0u64;
        let mut next = Some(first);
        while let Some(retrieve) = next {
            let uid = open.uids.get(retrieve.index).copied();
            let row = uid.and_then(|uid| shared.table.get(uid)).filter(|_| !shared.gone);
            let found = row.as_ref().map(|row| (row.body(), row.size()));
            if let Some(row) = row
                && self.context.mark_seen
                && retrieve.lines.is_none()
                && !row.bits().contains(FlagBits::SEEN)
            {
                open.read.push(row.uid());
            }
            octets = octets.saturating_add(found.map_or(0, |(_, size)| size));
            batch.push(Wanted { retrieve, found });
            next = if batch.len() < BATCH_MESSAGES && octets < BATCH_OCTETS {
                self.session.next_retrieve()
            } else {
                None
            };
        }
        batch
    }

    /// Sends a large message, or the top of one, in pieces.
    async fn stream(
        &mut self,
        reader: &Reader,
        body: BodyId,
        size: u64,
        top: bool,
    ) -> Result<(), ConnectionError> {
        let mut at = 0;
        let mut length = if top { TOP_PIECE } else { PIECE };
        while at < size {
            match reader.range(body, at, length).await {
                Ok(piece) if !piece.is_empty() => {
                    if at == 0 {
                        self.session.message_begins(size);
                    }
                    at = at.saturating_add(piece.len() as u64);
                    length = PIECE;
                    let more = self.session.message_data(&piece);
                    self.send().await?;
                    if !more {
                        break;
                    }
                }
                _ if at == 0 => {
                    self.session.refuse(None, "the message cannot be read");
                    return Ok(());
                }
                // A message that was begun cannot be taken back: the client must see a cut.
                _ => return Err(ConnectionError::Closed),
            }
        }
        self.session.message_ends();
        Ok(())
    }
}

async fn one_by_one(reader: &Reader, ids: &[BodyId]) -> Vec<Option<Bytes>> {
    let mut bodies = Vec::with_capacity(ids.len());
    for id in ids {
        bodies.push(reader.body(*id).await.ok());
    }
    bodies
}
