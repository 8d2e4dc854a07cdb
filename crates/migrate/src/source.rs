//! Reading a mailbox of the old server: what is in it, then the messages as a stream of pieces.

use std::collections::HashMap;
use std::collections::HashSet;
use std::sync::Arc;

use angarium_imap::client::{Event, Response, Status, Untagged, reader, write};
use bytes::Bytes;
use tokio::sync::mpsc;

use crate::error::{MoveError, Result};
use crate::session::Session;

/// Messages listed at once; bounds the memory of a mailbox of any size.
pub(crate) const WINDOW: u32 = 10_000;
/// FETCH commands under way at once, so that the old server never waits for a round trip.
const COMMANDS_AHEAD: usize = 3;
/// Most messages of one FETCH.
const FETCH_MESSAGES: usize = 200;
/// Most octets of one FETCH, by the sizes the server told.
const FETCH_BYTES: u64 = 8 * 1024 * 1024;

/// What is known of a message before its body comes.
#[derive(Clone, Debug)]
pub(crate) struct Meta {
    /// UID at the old server.
    pub(crate) uid: u32,
    /// RFC822.SIZE, which servers have been known to get wrong.
    pub(crate) size: u64,
    /// Flags to set, `\Recent` left out, separated by spaces; shared by all that have the same.
    pub(crate) flags: Arc<str>,
    /// INTERNALDATE as sent, empty if there was none.
    pub(crate) date: Box<str>,
}

/// A piece of the stream. Bodies come one after another, each begun and ended.
#[derive(Debug)]
pub(crate) enum Piece {
    /// A message begins: its index in the window and its true size.
    Begin { index: usize, size: u64 },
    /// Its next octets.
    Data(Bytes),
    /// It is whole.
    End,
    /// The old server did not give this message.
    Failed { index: usize, reason: String },
}

/// How messages are asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FetchStyle {
    /// `RFC822.PEEK` instead of `BODY.PEEK[]` (MIG-23).
    pub(crate) rfc822: bool,
    /// One FETCH a message (MIG-24).
    pub(crate) by_one: bool,
}

/// What SELECT or EXAMINE told.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Selected {
    pub(crate) exists: u32,
    pub(crate) uid_validity: u32,
    pub(crate) uid_next: Option<u32>,
}

/// Opens a mailbox by its wire name.
pub(crate) async fn select(session: &mut Session, name: &[u8], write: bool) -> Result<Selected> {
    use angarium_imap::client::Code;
    let verb = if write { "SELECT" } else { "EXAMINE" };
    let answer = session.with_names(verb, &[name]).await?;
    if !answer.is_ok() {
        return Err(MoveError::Refused {
            side: session.side,
            what: format!("{verb} {}", String::from_utf8_lossy(name)),
            reason: answer.text,
        });
    }
    let mut selected = Selected::default();
    for untagged in &answer.untagged {
        match untagged {
            Untagged::Exists(n) => selected.exists = *n,
            Untagged::Status { code: Some(Code::UidValidity(n)), .. } => selected.uid_validity = *n,
            Untagged::Status { code: Some(Code::UidNext(n)), .. } => selected.uid_next = Some(*n),
            _ => {}
        }
    }
    Ok(selected)
}

/// Lists the messages with sequence numbers `first` to `last`.
pub(crate) async fn list(session: &mut Session, first: u32, last: u32) -> Result<Vec<Meta>> {
    if first > last {
        return Ok(Vec::new());
    }
    let line = format!("FETCH {first}:{last} (UID FLAGS INTERNALDATE RFC822.SIZE)");
    let answer = session.insist("FETCH", line.as_bytes()).await?;
    let mut shared: HashSet<Arc<str>> = HashSet::new();
    let mut seen = HashSet::new();
    let mut metas = Vec::new();
    for untagged in answer.untagged {
        let Untagged::Fetch(fetch) = untagged else { continue };
        let Some(uid) = fetch.uid else { continue };
        // Unsolicited flag news may repeat a message; the full row is the one with a size.
        let Some(size) = fetch.size else { continue };
        if !seen.insert(uid) || metas.len() as u64 > u64::from(last - first) {
            continue;
        }
        metas.push(Meta {
            uid,
            size,
            flags: share(&mut shared, &settable(fetch.flags.as_deref().unwrap_or_default())),
            date: fetch.internal_date.unwrap_or_default().into(),
        });
    }
    Ok(metas)
}

/// The flags a client may set: `\Recent` and anything that is no atom left out.
fn settable(flags: &[String]) -> String {
    let atom = |f: &str| {
        let word = f.strip_prefix('\\').unwrap_or(f);
        !word.is_empty()
            && word.bytes().all(|b| b.is_ascii_graphic() && !br#"(){%*"\]"#.contains(&b))
    };
    let kept: Vec<&str> = flags
        .iter()
        .map(String::as_str)
        .filter(|f| !f.eq_ignore_ascii_case("\\Recent") && atom(f))
        .collect();
    kept.join(" ")
}

fn share(shared: &mut HashSet<Arc<str>>, text: &str) -> Arc<str> {
    if let Some(known) = shared.get(text) {
        return known.clone();
    }
    let new: Arc<str> = text.into();
    // A mailbox where every message has its own keywords must not make this grow without end.
    if shared.len() < 10_000 {
        shared.insert(new.clone());
    }
    new
}

/// Streams the messages of `wanted` (indexes into `metas`) into `out`, each once, in the order the
/// server sends them. Messages it does not give become [`Piece::Failed`].
pub(crate) async fn stream(
    session: &mut Session,
    metas: &[Meta],
    wanted: &[usize],
    style: FetchStyle,
    out: mpsc::Sender<Piece>,
) -> Result<()> {
    let mut stream = Stream {
        by_uid: wanted.iter().filter_map(|i| Some((metas.get(*i)?.uid, *i))).collect(),
        out,
        pending: None,
    };
    let mut refused = Vec::new();
    let batches = batches(metas, wanted, style);
    stream.run(session, metas, &batches, style, &mut refused).await?;
    // What a failed FETCH left unseen is asked for message by message.
    let alone: Vec<Vec<usize>> = refused.drain(..).map(|(index, _)| vec![index]).collect();
    stream.run(session, metas, &alone, style, &mut refused).await?;
    for (index, reason) in refused {
        stream.send(Piece::Failed { index, reason }).await;
    }
    Ok(())
}

fn batches(metas: &[Meta], wanted: &[usize], style: FetchStyle) -> Vec<Vec<usize>> {
    let most = if style.by_one { 1 } else { FETCH_MESSAGES };
    let mut all: Vec<Vec<usize>> = Vec::new();
    let mut bytes = 0;
    for &index in wanted {
        let size = metas.get(index).map_or(0, |m| m.size);
        match all.last_mut() {
            Some(batch) if batch.len() < most && bytes + size <= FETCH_BYTES => batch.push(index),
            _ => {
                all.push(vec![index]);
                bytes = 0;
            }
        }
        bytes += size;
    }
    all
}

struct Stream {
    /// Messages not seen yet, by UID.
    by_uid: HashMap<u32, usize>,
    out: mpsc::Sender<Piece>,
    /// A body whose UID is not known yet, gathered until the response ends.
    pending: Option<Gathering>,
}

enum Gathering {
    /// Pieces of a body that is passed on.
    Passing,
    /// A body nobody asked for (or a second time): dropped.
    Dropping,
    /// The UID comes after the body.
    Holding(Vec<Bytes>),
}

impl Stream {
    async fn send(&mut self, piece: Piece) {
        // The other end goes away only when the copy has failed, and then this future is dropped.
        let _ = self.out.send(piece).await;
    }

    async fn run(
        &mut self,
        session: &mut Session,
        metas: &[Meta],
        batches: &[Vec<usize>],
        style: FetchStyle,
        refused: &mut Vec<(usize, String)>,
    ) -> Result<()> {
        let item = if style.rfc822 { "RFC822.PEEK" } else { "BODY.PEEK[]" };
        let mut tags: Vec<String> = Vec::with_capacity(batches.len());
        for done in 0..batches.len() {
            while tags.len() < batches.len() && tags.len() < done + COMMANDS_AHEAD {
                let batch = batches.get(tags.len()).map(Vec::as_slice).unwrap_or_default();
                let mut uids: Vec<u32> =
                    batch.iter().filter_map(|i| metas.get(*i).map(|m| m.uid)).collect();
                uids.sort_unstable();
                let tag = session.next_tag();
                let line = format!("{tag} UID FETCH {} (UID {item})\r\n", write::set(&uids));
                session.write.write(line.as_bytes()).await?;
                session.write.flush().await?;
                tags.push(tag);
            }
            let tag = tags.get(done).cloned().unwrap_or_default();
            let failed = self.until(session, &tag).await?;
            let reason = failed.unwrap_or_else(|| "the message is gone".into());
            for &index in batches.get(done).into_iter().flatten() {
                let uid = metas.get(index).map_or(0, |m| m.uid);
                if self.by_uid.contains_key(&uid) {
                    refused.push((index, reason.clone()));
                }
            }
        }
        Ok(())
    }

    /// Passes on what comes until the command ends; answers the server's words if it failed.
    async fn until(&mut self, session: &mut Session, tag: &str) -> Result<Option<String>> {
        loop {
            match session.next_event().await? {
                Event::BodyBegin { uid, size, .. } => self.begin(uid, size).await,
                Event::BodyData(data) => match &mut self.pending {
                    Some(Gathering::Passing) => self.send(Piece::Data(data)).await,
                    Some(Gathering::Holding(held)) => held.push(data),
                    _ => {}
                },
                Event::BodyEnd(fetch) => self.end(fetch.uid).await,
                Event::Response(Response::Untagged(Untagged::Fetch(fetch))) => {
                    let body = fetch.others.iter().find(|(n, _)| n == reader::INLINE_BODY);
                    if let Some((_, body)) = body {
                        self.begin(fetch.uid, body.len() as u64).await;
                        if matches!(self.pending, Some(Gathering::Passing)) {
                            self.send(Piece::Data(body.clone())).await;
                        }
                        self.end(fetch.uid).await;
                    }
                }
                Event::Response(Response::Tagged { tag: got, status, text, .. }) if got == tag => {
                    return Ok((status != Status::Ok).then_some(text));
                }
                Event::Response(Response::Untagged(Untagged::Status {
                    status: Status::Bye,
                    text,
                    ..
                })) => return Err(MoveError::Lost { side: session.side, reason: text }),
                Event::Response(_) => {}
            }
        }
    }

    async fn begin(&mut self, uid: Option<u32>, size: u64) {
        self.pending = Some(match uid {
            None => Gathering::Holding(Vec::new()),
            Some(uid) => match self.by_uid.remove(&uid) {
                None => Gathering::Dropping,
                Some(index) => {
                    self.send(Piece::Begin { index, size }).await;
                    Gathering::Passing
                }
            },
        });
    }

    async fn end(&mut self, uid: Option<u32>) {
        match self.pending.take() {
            Some(Gathering::Passing) => self.send(Piece::End).await,
            Some(Gathering::Holding(held)) => {
                let Some(index) = uid.and_then(|uid| self.by_uid.remove(&uid)) else { return };
                let size = held.iter().map(|b| b.len() as u64).sum();
                self.send(Piece::Begin { index, size }).await;
                for data in held {
                    self.send(Piece::Data(data)).await;
                }
                self.send(Piece::End).await;
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mig_11_recent_and_broken_flags_are_not_carried_over() {
        let flags = ["\\Seen", "\\Recent", "$Forwarded", "bad flag", "\\"].map(String::from);
        assert_eq!(settable(&flags), "\\Seen $Forwarded");
    }

    #[test]
    fn batches_are_bounded_by_count_and_by_octets() {
        let meta = |uid, size| Meta { uid, size, flags: "".into(), date: "".into() };
        let metas: Vec<Meta> =
            (1..=500).map(|n| meta(n, if n == 3 { FETCH_BYTES } else { 10 })).collect();
        let wanted: Vec<usize> = (0..500).collect();
        let style = FetchStyle { rfc822: false, by_one: false };
        let found = batches(&metas, &wanted, style);
        assert_eq!(found[0], [0, 1]);
        assert_eq!(found[1], [2]);
        assert!(found.iter().all(|b| b.len() <= FETCH_MESSAGES));
        assert_eq!(found.iter().map(Vec::len).sum::<usize>(), 500);
        let one = batches(&metas, &wanted, FetchStyle { rfc822: false, by_one: true });
        assert_eq!(one.len(), 500);
    }
}
