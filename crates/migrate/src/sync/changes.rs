//! What changed in a mailbox of the old server since it was finished last, from a server that
//! counts changes (CONDSTORE, RFC 7162): new messages, flags, and messages that vanished, without
//! a full listing. One that remembers what it has lost (QRESYNC) tells even that by itself.

use angarium_imap::client::{Untagged, write};

use super::entries;
use super::flags::{Change, FlagPolicy, FlagWork};
use crate::error::Result;
use crate::journal::{MailboxJournal, Same};
use crate::session::Session;
use crate::source;

/// Messages known whose changes are asked for at once.
const AT_ONCE: usize = 10_000;

/// What changed.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    /// New messages, ascending.
    pub(crate) new: Vec<u32>,
    /// Messages that are known and are not there any more, ascending; `None` if nobody asked.
    pub(crate) vanished: Option<Vec<u32>>,
}

/// Asks what changed since `same`, in the mailbox that is open. Changed flags go into `flags`, and
/// are noted as seen.
///
/// # Errors
/// `Refused` (the server cannot do what it announced) or `Lost`.
pub(crate) async fn since(
    session: &mut Session,
    exists: u32,
    same: &Same,
    known: &mut MailboxJournal,
    policy: FlagPolicy,
    deletes: bool,
    flags: &mut FlagWork,
) -> Result<Changes> {
    let mut new = entries::uids(session, same.uid_next.max(1), None).await?;
    new.retain(|uid| !known.pairs().contains(*uid));
    let before = (exists as usize).saturating_sub(new.len());
    let mut vanished = Vec::new();
    let look_for_vanished = deletes && before < known.pairs().len();
    let told = look_for_vanished && session.tells_vanished();
    let sources: Vec<u32> = known.pairs().iter().map(|pair| pair.source).collect();
    for part in sources.chunks(AT_ONCE) {
        let (Some(low), Some(high)) = (part.first(), part.last()) else { continue };
        if policy != FlagPolicy::None || told {
            let more = if told { " VANISHED" } else { "" };
            let modseq = same.modseq;
            let line = format!("UID FETCH {low}:{high} (UID FLAGS) (CHANGEDSINCE {modseq}{more})");
            let answer = session.insist("FETCH", line.as_bytes()).await?;
            for untagged in answer.untagged {
                if let Untagged::Vanished { uids, .. } = &untagged
                    && told
                {
                    vanished.extend(within(part, uids));
                }
                let Untagged::Fetch(fetch) = untagged else { continue };
                if policy == FlagPolicy::None {
                    continue;
                }
                let (Some(uid), Some(now)) = (fetch.uid, &fetch.flags) else { continue };
                compare(uid, &source::settable(now), known, policy, flags)?;
            }
        }
        if look_for_vanished && !told {
            vanished.extend(not_there(session, part).await?);
        }
    }
    vanished.sort_unstable();
    vanished.dedup();
    if told {
        // Mail is at stake: what is said to be gone must not be there.
        let there = entries::present(session, &vanished).await?;
        vanished.retain(|uid| there.binary_search(uid).is_err());
    }
    // A server that forgot whom it has lost has more known messages than it holds: it is listed.
    if told && known.pairs().len().saturating_sub(vanished.len()) > before {
        vanished.clear();
        for part in sources.chunks(AT_ONCE) {
            vanished.extend(not_there(session, part).await?);
        }
    }
    Ok(Changes { new, vanished: deletes.then_some(vanished) })
}

/// Those of `part` (ascending) that lie in ranges of UIDs.
fn within<'a>(part: &'a [u32], ranges: &'a [(u32, u32)]) -> impl Iterator<Item = u32> + 'a {
    ranges.iter().flat_map(move |(low, high)| {
        let from = part.partition_point(|uid| uid < low);
        let to = part.partition_point(|uid| uid <= high);
        part.get(from..to).unwrap_or_default().iter().copied()
    })
}

/// Those of `part` (ascending) that a listing does not hold.
async fn not_there(session: &mut Session, part: &[u32]) -> Result<Vec<u32>> {
    let (Some(low), Some(high)) = (part.first(), part.last()) else { return Ok(Vec::new()) };
    let there = entries::uids(session, *low, Some(*high)).await?;
    Ok(part.iter().copied().filter(|uid| there.binary_search(uid).is_err()).collect())
}

/// Compares one window of a full listing with what is known: changed flags go into `flags`.
pub(crate) fn compared(
    metas: &[source::Meta],
    known: &mut MailboxJournal,
    policy: FlagPolicy,
    flags: &mut FlagWork,
) -> Result<()> {
    if policy == FlagPolicy::None {
        return Ok(());
    }
    for meta in metas {
        compare(meta.uid, &meta.flags, known, policy, flags)?;
    }
    Ok(())
}

fn compare(
    uid: u32,
    now: &str,
    known: &mut MailboxJournal,
    policy: FlagPolicy,
    flags: &mut FlagWork,
) -> Result<()> {
    let Some(pair) = known.pairs().get(uid) else { return Ok(()) };
    match known.flags_of(pair) {
        Some(old) => {
            let change = Change::between(&old, now);
            if !change.is_empty() {
                match policy {
                    FlagPolicy::Changes => flags.put(pair, change, now),
                    _ => known.confirmed(&[(uid, pair.target, now)])?,
                }
            }
            Ok(())
        }
        None => known.confirmed(&[(uid, pair.target, now)]),
    }
}

/// Which of the messages known are missing in a listing of all UIDs, ascending.
pub(crate) fn missing(known: &MailboxJournal, there: &[u32]) -> Vec<u32> {
    let sources = known.pairs().iter().map(|pair| pair.source);
    sources.filter(|uid| there.binary_search(uid).is_err()).collect()
}

/// Spells UIDs for a person, not too many of them.
pub(crate) fn spelled(uids: &[u32]) -> String {
    const MOST: usize = 20;
    match uids.get(..MOST) {
        Some(first) if uids.len() > MOST => {
            format!("{} and {} more", write::set(first), uids.len() - MOST)
        }
        _ => write::set(uids),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_that_span_what_never_was_name_only_what_is_known() {
        let part = [3, 4, 9, 20];
        let found = |ranges: &[(u32, u32)]| within(&part, ranges).collect::<Vec<_>>();
        assert_eq!(found(&[(1, 3), (5, 8), (9, u32::MAX)]), [3, 9, 20]);
        assert_eq!(found(&[]), [] as [u32; 0]);
        assert_eq!(found(&[(21, 30)]), [] as [u32; 0]);
    }
}
