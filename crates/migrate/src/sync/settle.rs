//! What is at the new server although no journal says so: after a run that was cut off, with the
//! journal lost, when a server numbered a mailbox anew. Listings of both sides decide where they
//! can, the content of messages where they cannot. When it is done every message of the source is
//! known or is to be copied, and no message comes twice.

use std::sync::Arc;

use super::entries::{self, Entries, Entry, Identities, Which};
use super::flags::{Change, FlagPolicy, FlagWork};
use super::leave;
use super::matching::Matched;
use crate::error::Result;
use crate::journal::{Doubt, Former, MailboxJournal, Pair, Sent};
use crate::resume;
use crate::session::Session;
use crate::source::{self, Selected};

/// Messages whose content is asked for at once.
const DIGESTS_AT_ONCE: usize = 5_000;
/// Pairs noted at once, so that noting a million of them takes no memory to speak of.
const NOTED_AT_ONCE: usize = 10_000;

/// What was found.
#[derive(Debug, Default)]
pub(crate) struct Settled {
    /// UIDs at the source that are to be copied, ascending; `None` if the source was not listed
    /// because there is nothing at the target that it could be compared with.
    pub(crate) new: Option<Vec<u32>>,
    /// Messages found at the target.
    pub(crate) found: u64,
    /// Those of them whose content was asked for.
    pub(crate) by_content: u64,
    /// Flags they lack there.
    pub(crate) flags: FlagWork,
}

/// How it is looked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Looking {
    /// This run changes the content of messages (`--fixLongLines`).
    pub(crate) changing: bool,
    /// Messages will be deleted at the source because they are at the target: only their content
    /// proves that.
    pub(crate) certain: bool,
    /// What becomes of flags.
    pub(crate) flags: FlagPolicy,
    /// Both accounts are at one server.
    pub(crate) one_server: bool,
}

/// Settles the doubt about a mailbox that is open at the source; notes what it finds.
///
/// # Errors
/// `Refused` if a mailbox cannot be listed, `Lost`, `File`.
pub(crate) async fn settle(
    source: &mut Session,
    target: &mut Session,
    target_wire: &[u8],
    selected: &Selected,
    known: &mut MailboxJournal,
    doubt: &Doubt,
    looking: Looking,
) -> Result<Settled> {
    let former = known.take_former();
    let opened = source::select(target, target_wire, false).await?;
    let taken = known.pairs().targets();
    let floor = doubt.floor.max(1);
    let there = if floor > 1 { Some(entries::uids(target, floor, None).await?) } else { None };
    let there = there.map(|mut uids| {
        uids.retain(|uid| taken.binary_search(uid).is_err());
        uids
    });
    if opened.exists == 0 || there.as_ref().is_some_and(Vec::is_empty) {
        leave(target, target_wire, false).await?;
        known.sure()?;
        return Ok(Settled::default());
    }
    let known_by_server = looking.one_server && source.has("OBJECTID") && target.has("OBJECTID");
    let identities = Identities::new(known_by_server);
    let which = there.as_deref().map_or(Which::All(opened.exists), Which::Uids);
    let ours = match &doubt.sent {
        Sent::Any => Which::All(selected.exists),
        Sent::These(uids) => Which::Uids(uids),
    };
    let (mut ours, mut theirs) = tokio::try_join!(
        entries::list(source, ours, &identities),
        entries::list(target, which, &identities)
    )?;
    let untold = untold(known);
    ours.all.retain(|e| !known.pairs().contains(e.uid) || untold.binary_search(&e.uid).is_ok());
    theirs.all.retain(|e| taken.binary_search(&e.uid).is_err());
    let mut matched = Matched::new(&ours.all, &theirs.all);
    if !looking.certain {
        matched.by_listing(&ours.all, &theirs.all, looking.changing);
    }
    let sure = matched.pairs.len();
    by_content(source, target, &ours, &theirs, &mut matched).await?;
    let by_content = matched.pairs.len().saturating_sub(sure) as u64;
    if !looking.certain {
        matched.by_what_is_left(&ours.all, &theirs.all);
    }
    // In the order of their UIDs they are noted one behind the other.
    matched.pairs.sort_unstable();
    leave(target, target_wire, false).await?;
    let mut settled = Settled { by_content, ..Settled::default() };
    note(&mut settled, &ours, &theirs, &matched, known, former.as_ref(), looking)?;
    known.sure()?;
    let left = matched.source.iter().filter_map(|i| entry(&ours.all, *i)).map(|e| e.uid);
    settled.new = Some(left.filter(|uid| !known.pairs().contains(*uid)).collect());
    Ok(settled)
}

/// Messages that are known to be at the target, but not under which UID.
fn untold(known: &MailboxJournal) -> Vec<u32> {
    known.pairs().iter().filter(|pair| pair.target == 0).map(|pair| pair.source).collect()
}

fn entry(all: &[Entry], index: u32) -> Option<&Entry> {
    all.get(usize::try_from(index).ok()?)
}

async fn by_content(
    source: &mut Session,
    target: &mut Session,
    ours: &Entries,
    theirs: &Entries,
    matched: &mut Matched,
) -> Result<()> {
    let (here, there) = matched.unclear(&ours.all, &theirs.all);
    if here.is_empty() || there.is_empty() {
        return Ok(());
    }
    let (here, there) =
        tokio::try_join!(digests(source, ours, &here), digests(target, theirs, &there))?;
    matched.by_content(&here, &there);
    Ok(())
}

/// Digests of the content of messages, by index; those that cannot be read are left out.
async fn digests(
    session: &mut Session,
    all: &Entries,
    indexes: &[u32],
) -> Result<Vec<(u32, [u8; 32])>> {
    let mut by_uid: Vec<(u32, u32)> =
        indexes.iter().filter_map(|i| Some((entry(&all.all, *i)?.uid, *i))).collect();
    by_uid.sort_unstable();
    let mut found = Vec::with_capacity(by_uid.len());
    for part in by_uid.chunks(DIGESTS_AT_ONCE) {
        let uids: Vec<u32> = part.iter().map(|(uid, _)| *uid).collect();
        let metas = entries::metas_of(session, &uids).await?;
        for (n, digest) in resume::digests(session, &metas).await? {
            let Some(meta) = metas.get(n) else { continue };
            if let Ok(at) = part.binary_search_by_key(&meta.uid, |(uid, _)| *uid)
                && let Some((_, index)) = part.get(at)
            {
                found.push((*index, *digest.as_bytes()));
            }
        }
    }
    Ok(found)
}

/// Notes the pairs. The flags they had when they were looked at last are those of the former pairs
/// where the UIDs of one side still say which those were; else those of now.
fn note(
    settled: &mut Settled,
    ours: &Entries,
    theirs: &Entries,
    matched: &Matched,
    known: &mut MailboxJournal,
    former: Option<&Former>,
    looking: Looking,
) -> Result<()> {
    let mut by_target = Vec::new();
    if let Some(former) = former.filter(|f| f.same_target && !f.same_source) {
        by_target = former.pairs.iter().map(|pair| (pair.target, pair)).collect();
        by_target.sort_unstable_by_key(|(target, _)| *target);
    }
    let before = |our: &Entry, their: &Entry| {
        let former = former?;
        if former.same_source {
            return former.pairs.get(our.uid);
        }
        let at = by_target.binary_search_by_key(&their.uid, |(target, _)| *target).ok()?;
        by_target.get(at).map(|(_, pair)| *pair)
    };
    for part in matched.pairs.chunks(NOTED_AT_ONCE) {
        let mut pairs: Vec<(u32, u32, Arc<str>)> = Vec::with_capacity(part.len());
        for (our, their) in part {
            let both = entry(&ours.all, *our).zip(entry(&theirs.all, *their));
            let Some((our, their)) = both else { continue };
            let old = before(our, their).and_then(|pair| known.flags_of(pair));
            let (now, there) = (ours.flags(our), theirs.flags(their));
            let mut base: Arc<str> = now.clone();
            if looking.flags == FlagPolicy::Changes {
                let change = match old {
                    Some(old) => {
                        let change = Change::between(&old, now);
                        base = old;
                        change
                    }
                    // Nobody knows who changed what: what the source has is added, nothing is
                    // undone.
                    None => {
                        let (change, both) = Change::missing(there, now);
                        base = both.into();
                        change
                    }
                };
                settled.flags.put(Pair::new(our.uid, their.uid, None), change, now);
            }
            pairs.push((our.uid, their.uid, base));
        }
        settled.found += pairs.len() as u64;
        let pairs: Vec<(u32, u32, &str)> = pairs.iter().map(|(a, b, f)| (*a, *b, &**f)).collect();
        known.confirmed(&pairs)?;
    }
    Ok(())
}
