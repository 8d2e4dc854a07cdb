//! Listing a mailbox for its messages' identities, in 24 octets a message, and what identifies a
//! message: its Message-ID, its size, the moment it arrived.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use angarium_imap::client::{Fetch, Untagged, write};

use crate::date_filter::seconds_of;
use crate::error::Result;
use crate::session::Session;
use crate::source::{self, Meta, WINDOW};

/// UIDs of one FETCH by UID; their set is a line of at most some 70,000 octets.
pub(crate) const UIDS_AT_ONCE: usize = 5_000;
/// Longest Message-ID that counts; a longer one is as good as none.
const LONGEST_ID: usize = 10_000;

/// One message as far as its identity goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Stands for the Message-ID; 0 if there is none.
    pub(crate) id: u64,
    /// RFC822.SIZE.
    pub(crate) size: u32,
    /// When it arrived, in seconds; 0 if that is not told.
    pub(crate) date: u32,
    /// UID.
    pub(crate) uid: u32,
    /// Number of its flags in the listing.
    pub(crate) flags: u32,
}

/// Turns Message-IDs into numbers. Its key is new in every run: nobody can send mail whose
/// Message-IDs come to the same number.
#[derive(Clone, Debug, Default)]
pub(crate) struct Identities {
    key: RandomState,
    /// A message without Message-ID goes by its EMAILID.
    emails: bool,
}

impl Identities {
    /// With `emails`, for two listings of one server with OBJECTID (RFC 8474), messages without
    /// Message-ID go by what the server calls them.
    pub(crate) fn new(emails: bool) -> Self {
        Self { key: RandomState::default(), emails }
    }

    /// The number of a Message-ID field as it was fetched, name and all; 0 for none.
    fn of(&self, field: &[u8]) -> u64 {
        let value = match field.iter().position(|b| *b == b':') {
            Some(at) => field.get(at + 1..).unwrap_or_default(),
            None => field,
        };
        // Servers fold, pad and end the field in their own ways; blanks are no part of an ID.
        let bare: Vec<u8> = value
            .iter()
            .copied()
            .filter(|b| !b.is_ascii_whitespace() && *b != 0)
            .take(LONGEST_ID + 1)
            .collect();
        if bare.is_empty() || bare.len() > LONGEST_ID {
            return 0;
        }
        self.key.hash_one(&bare).max(1)
    }
}

/// A listing: entries ascending by UID, and the sets of flags they name.
#[derive(Debug, Default)]
pub(crate) struct Entries {
    pub(crate) all: Vec<Entry>,
    flags: Vec<Arc<str>>,
    none: Arc<str>,
}

impl Entries {
    /// The flags of an entry.
    pub(crate) fn flags(&self, entry: &Entry) -> &Arc<str> {
        usize::try_from(entry.flags).ok().and_then(|n| self.flags.get(n)).unwrap_or(&self.none)
    }

    fn number(&mut self, flags: &Arc<str>) -> u32 {
        // Sets repeat, mostly the one before: looked for from the end, and not far.
        let near = self.flags.iter().rev().take(64).position(|known| known == flags);
        let at = near.map_or(self.flags.len(), |back| self.flags.len() - 1 - back);
        if near.is_none() {
            self.flags.push(flags.clone());
        }
        u32::try_from(at).unwrap_or(u32::MAX)
    }
}

/// Which messages of the open mailbox.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Which<'a> {
    /// All of so many.
    All(u32),
    /// These UIDs, ascending.
    Uids(&'a [u32]),
}

/// Lists messages with their identities.
///
/// # Errors
/// `Refused` or `Lost`.
pub(crate) async fn list(
    session: &mut Session,
    which: Which<'_>,
    identities: &Identities,
) -> Result<Entries> {
    let mut entries = Entries::default();
    match which {
        Which::All(exists) => {
            let mut first = 1;
            while first <= exists {
                let last = exists.min(first.saturating_add(WINDOW - 1));
                let head = format!("FETCH {first}:{last}");
                let most = (last - first) as usize + 1;
                window(session, &head, most, identities, &mut entries).await?;
                first = last + 1;
            }
        }
        Which::Uids(uids) => {
            for part in uids.chunks(UIDS_AT_ONCE) {
                let head = format!("UID FETCH {}", write::set(part));
                window(session, &head, part.len(), identities, &mut entries).await?;
            }
        }
    }
    entries.all.sort_unstable_by_key(|entry| entry.uid);
    entries.all.dedup_by_key(|entry| entry.uid);
    Ok(entries)
}

async fn window(
    session: &mut Session,
    head: &str,
    most: usize,
    identities: &Identities,
    entries: &mut Entries,
) -> Result<()> {
    const BARE: &str = "UID FLAGS INTERNALDATE RFC822.SIZE";
    let email = if identities.emails { " EMAILID" } else { "" };
    let full = format!("{head} ({BARE}{email} BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)])");
    let mut answer = session.command(full.as_bytes()).await?;
    if !answer.is_ok() {
        // A server that cannot give single fields: content will have to decide.
        let bare = format!("{head} ({BARE})");
        answer = session.insist("FETCH", bare.as_bytes()).await?;
    }
    let ids: std::collections::HashMap<u32, u64> = answer
        .untagged
        .iter()
        .filter_map(|untagged| match untagged {
            Untagged::Fetch(fetch) => Some((fetch.uid?, identity(fetch, identities)?)),
            _ => None,
        })
        .collect();
    for meta in source::metas(answer.untagged, most) {
        let flags = entries.number(&meta.flags);
        let id = ids.get(&meta.uid).copied().unwrap_or(0);
        entries.all.push(entry(&meta, id, flags));
    }
    Ok(())
}

fn identity(fetch: &Fetch, identities: &Identities) -> Option<u64> {
    let told = |start: &str| fetch.others.iter().find(|(name, _)| name.starts_with(start));
    let id = told("BODY[HEADER").map_or(0, |(_, field)| identities.of(field));
    if id != 0 || !identities.emails {
        return Some(id).filter(|id| *id != 0);
    }
    told("EMAILID").map(|(_, email)| identities.key.hash_one((email, "EMAILID")).max(1))
}

fn entry(meta: &Meta, id: u64, flags: u32) -> Entry {
    let seconds = seconds_of(&meta.date).unwrap_or(0);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a key, no date")]
    let date = seconds as u32;
    Entry { id, size: u32::try_from(meta.size).unwrap_or(u32::MAX), date, uid: meta.uid, flags }
}

/// Lists messages by UID (ascending) as `source::list` does by sequence number.
///
/// # Errors
/// `Refused` or `Lost`.
pub(crate) async fn metas_of(session: &mut Session, uids: &[u32]) -> Result<Vec<Meta>> {
    let mut all = Vec::with_capacity(uids.len());
    for part in uids.chunks(UIDS_AT_ONCE) {
        let line = format!("UID FETCH {} (UID FLAGS INTERNALDATE RFC822.SIZE)", write::set(part));
        let answer = session.insist("FETCH", line.as_bytes()).await?;
        let mut metas = source::metas(answer.untagged, part.len());
        metas.retain(|meta| part.binary_search(&meta.uid).is_ok());
        metas.sort_unstable_by_key(|meta| meta.uid);
        all.append(&mut metas);
    }
    Ok(all)
}

/// The UIDs from `low` to `high` (`None`: to the end) that are there, ascending.
///
/// # Errors
/// `Refused` or `Lost`.
pub(crate) async fn uids(session: &mut Session, low: u32, high: Option<u32>) -> Result<Vec<u32>> {
    let end = high.map_or_else(|| "*".to_owned(), |high| high.to_string());
    let mut all = searched(session, &format!("{low}:{end}")).await?;
    // `n:*` names the last message even where that is below n.
    all.retain(|uid| *uid >= low && high.is_none_or(|high| *uid <= high));
    Ok(all)
}

/// Which of these UIDs (ascending) are there, ascending.
///
/// # Errors
/// `Refused` or `Lost`.
pub(crate) async fn present(session: &mut Session, uids: &[u32]) -> Result<Vec<u32>> {
    let mut all = Vec::new();
    for part in uids.chunks(UIDS_AT_ONCE) {
        all.append(&mut searched(session, &write::set(part)).await?);
    }
    Ok(all)
}

/// The UIDs of a set that are there, ascending.
async fn searched(session: &mut Session, set: &str) -> Result<Vec<u32>> {
    let line = format!("UID SEARCH UID {set}");
    let answer = session.insist("SEARCH", line.as_bytes()).await?;
    let found = answer.untagged.into_iter().filter_map(|untagged| match untagged {
        Untagged::Search(found) => Some(found),
        _ => None,
    });
    let mut all: Vec<u32> = found.flatten().collect();
    all.sort_unstable();
    all.dedup();
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_id_is_the_same_however_a_server_spells_the_field() {
        let ids = Identities::default();
        let plain = ids.of(b"Message-ID: <a@b>\r\n\r\n");
        assert_ne!(plain, 0);
        assert_eq!(ids.of(b"MESSAGE-ID:\r\n\t<a@b>  \r\n"), plain);
        assert_eq!(ids.of(b"message-id:<a@b>"), plain);
        assert_ne!(ids.of(b"Message-ID: <a@c>"), plain);
        assert_eq!(ids.of(b"Message-ID:\r\n\r\n"), 0);
        assert_eq!(ids.of(b"\r\n"), 0);
        assert_eq!(ids.of(b""), 0);
        assert_eq!(ids.of(&vec![b'x'; LONGEST_ID + 1]), 0);
    }

    #[test]
    fn sets_of_flags_are_kept_once_where_they_repeat() {
        let mut entries = Entries::default();
        let (a, b): (Arc<str>, Arc<str>) = ("\\Seen".into(), "".into());
        let numbers: Vec<u32> = [&a, &b, &a, &a, &b].map(|f| entries.number(f)).to_vec();
        assert_eq!(numbers, [0, 1, 0, 0, 1]);
    }
}
