//! Reading a mailbox of the old server: what is in it, then the messages as a stream of pieces.

use std::collections::HashSet;
use std::sync::Arc;

use angarium_imap::client::Untagged;
use bytes::Bytes;

use crate::error::{MoveError, Result};
use crate::journal::ObjectId;
use crate::lanes::fetch::{self, Asking};
use crate::lanes::pieces::Outlet;
use crate::lanes::quirks::BodyItem;
use crate::session::Session;

/// Messages listed at once; bounds the memory of a mailbox of any size.
pub(crate) const WINDOW: u32 = 10_000;

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
    /// What the server calls the mailbox, whatever its name (OBJECTID).
    pub(crate) object: Option<ObjectId>,
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
            Untagged::Status { code: Some(Code::Other(name, id)), .. } if name == "MAILBOXID" => {
                selected.object = Some(ObjectId::of(id));
            }
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
    Ok(metas(answer.untagged, (last - first) as usize + 1))
}

/// The messages a FETCH told of, each once and at most so many.
pub(crate) fn metas(untagged: Vec<Untagged>, most: usize) -> Vec<Meta> {
    let mut shared: HashSet<Arc<str>> = HashSet::new();
    let mut seen = HashSet::new();
    let mut metas = Vec::new();
    for untagged in untagged {
        let Untagged::Fetch(fetch) = untagged else { continue };
        let Some(uid) = fetch.uid else { continue };
        // Unsolicited flag news may repeat a message; the full row is the one with a size.
        let Some(size) = fetch.size else { continue };
        if !seen.insert(uid) || metas.len() >= most {
            continue;
        }
        metas.push(Meta {
            uid,
            size,
            flags: share(&mut shared, &settable(fetch.flags.as_deref().unwrap_or_default())),
            date: fetch.internal_date.unwrap_or_default().into(),
        });
    }
    metas
}

/// The flags a client may set: `\Recent` and anything that is no atom left out.
pub(crate) fn settable(flags: &[String]) -> String {
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
///
/// # Errors
/// `Lost`.
pub(crate) async fn stream(
    session: &mut Session,
    metas: &[Meta],
    wanted: &[usize],
    style: FetchStyle,
    out: impl Into<Outlet>,
) -> Result<()> {
    let item = if style.rfc822 { BodyItem::Rfc822Peek } else { BodyItem::Peek };
    let most = if style.by_one { 1 } else { fetch::MESSAGES };
    let batches = fetch::batches(metas, wanted, most, fetch::OCTETS);
    let asking = Asking { metas, item, rate: None, daily: None, quirks: None };
    fetch::run(session, &asking, batches, &out.into()).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mig_11_recent_and_broken_flags_are_not_carried_over() {
        let flags = ["\\Seen", "\\Recent", "$Forwarded", "bad flag", "\\"].map(String::from);
        assert_eq!(settable(&flags), "\\Seen $Forwarded");
    }
}
