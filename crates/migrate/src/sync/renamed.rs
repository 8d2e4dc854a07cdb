//! Mailboxes that got another name at the old server between two runs: they get the new name at
//! the new server, too, instead of being copied once more beside the old one.
//!
//! A name alone proves nothing, so afterwards messages are compared as if there were no journal:
//! a wrong guess moves a mailbox that is gone at the old server, and loses nothing.

use std::collections::BTreeSet;

use crate::error::{MoveError, Result};
use crate::journal::{BoxKey, Journal};
use crate::plan::{Plan, Planned, Spelling};
use crate::session::Session;
use crate::source;
use crate::sync::{entries, leave};

/// Most new names that are asked about; beyond that somebody rebuilt everything.
const MOST: usize = 1_000;

/// Gives mailboxes their new names at the target. Answers what was done, in words.
///
/// # Errors
/// `Lost`, `File`.
pub(crate) async fn follow(
    source: &mut Session,
    target: &mut Session,
    plan: &Plan,
    journal: &Journal,
) -> Result<Vec<String>> {
    let present: BTreeSet<&str> = plan
        .mailboxes
        .iter()
        .map(|p| p.source.as_str())
        .chain(plan.skipped.iter().map(|left| left.name.as_str()))
        .collect();
    let gone = journal.without(&present);
    let mut said = Vec::new();
    if gone.is_empty() {
        return Ok(said);
    }
    let targets: BTreeSet<&str> = plan.mailboxes.iter().map(|p| p.target.as_str()).collect();
    let new = plan.mailboxes.iter().filter(|p| p.selectable);
    for planned in new.filter(|p| !journal.knows(&p.source, &p.target)).take(MOST) {
        let Some(old) = former(source, planned, &gone, journal).await? else { continue };
        if targets.contains(old.target.as_str()) || old.target.eq_ignore_ascii_case("INBOX") {
            continue;
        }
        if let Some(words) = rename(target, planned, old).await? {
            journal.forget(old)?;
            said.push(words);
        }
    }
    Ok(said)
}

/// Which of the mailboxes that are gone this one was: by what the server calls it whatever its name
/// (OBJECTID, RFC 8474), else by its validity and its messages.
async fn former<'a>(
    source: &mut Session,
    planned: &Planned,
    gone: &'a [BoxKey],
    journal: &Journal,
) -> Result<Option<&'a BoxKey>> {
    if source.has("OBJECTID") {
        let selected = match source::select(source, &planned.source_wire, false).await {
            Ok(selected) => selected,
            Err(MoveError::Refused { .. }) => return Ok(None),
            Err(e) => return Err(e),
        };
        leave(source, &planned.source_wire, false).await?;
        let same = |key: &&BoxKey| journal.object(key) == selected.object;
        if let Some(old) = gone.iter().find(same).filter(|_| selected.object.is_some()) {
            return Ok(is_gone(source, old).await?.then_some(old));
        }
    }
    let Some(validity) = validity(source, &planned.source_wire).await? else { return Ok(None) };
    let Some(old) = the_only(gone, validity) else { return Ok(None) };
    // Some servers give all mailboxes the same validity.
    let only = journal.with_validity(validity) == 1;
    Ok((only && same_messages(source, planned, old, journal).await?).then_some(old))
}

/// True when there is no mailbox of the old name any more.
async fn is_gone(source: &mut Session, old: &BoxKey) -> Result<bool> {
    Ok(validity(source, &Spelling::of(source).wire(&old.source)).await?.is_none())
}

/// The one mailbox that had this validity; `None` if there are several.
fn the_only(gone: &[BoxKey], validity: u32) -> Option<&BoxKey> {
    let mut all = gone.iter().filter(|key| key.source_validity == validity);
    let first = all.next()?;
    all.next().is_none().then_some(first)
}

/// True when the old name is gone and the new mailbox has the messages the old one had.
async fn same_messages(
    source: &mut Session,
    planned: &Planned,
    old: &BoxKey,
    journal: &Journal,
) -> Result<bool> {
    if !is_gone(source, old).await? {
        return Ok(false);
    }
    let had = journal.sources(old);
    let (Some(low), Some(high)) = (had.first(), had.last()) else { return Ok(false) };
    source::select(source, &planned.source_wire, false).await?;
    let has = entries::uids(source, *low, Some(*high)).await?;
    leave(source, &planned.source_wire, false).await?;
    let common = has.iter().filter(|uid| had.binary_search(uid).is_ok()).count();
    Ok(alike(had.len(), has.len(), common))
}

/// Nearly all of what is there was there, and much of what was there still is.
fn alike(had: usize, has: usize, common: usize) -> bool {
    common > 0 && common * 10 >= has * 9 && common * 2 >= had
}

async fn validity(session: &mut Session, wire: &[u8]) -> Result<Option<u32>> {
    let told = session.status(wire, "UIDVALIDITY").await?;
    Ok(told
        .iter()
        .find(|(name, _)| name == "UIDVALIDITY")
        .and_then(|(_, value)| u32::try_from(*value).ok()))
}

async fn rename(target: &mut Session, planned: &Planned, old: &BoxKey) -> Result<Option<String>> {
    // The new name must be free, and the old one must be the mailbox we filled.
    if validity(target, &planned.target_wire).await?.is_some() {
        return Ok(None);
    }
    let spelling = Spelling::of(target);
    if spelling.wire(&planned.target) != planned.target_wire {
        // A server with other separators: the journal does not know how it spelled the old name.
        return Ok(None);
    }
    let wire = spelling.wire(&old.target);
    if validity(target, &wire).await? != Some(old.target_validity) {
        return Ok(None);
    }
    let answer = target.with_names("RENAME", &[&wire, &planned.target_wire]).await?;
    if !answer.is_ok() {
        return Ok(None);
    }
    Ok(Some(format!(
        "{} is now {} at the old server: {} was renamed to {}",
        old.source, planned.source, old.target, planned.target
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_validity_that_several_had_says_nothing() {
        let key = |source: &str, source_validity| BoxKey {
            source: source.into(),
            source_validity,
            target: source.into(),
            target_validity: 1,
        };
        let gone = [key("a", 7), key("b", 8), key("c", 8)];
        assert_eq!(the_only(&gone, 7).unwrap().source, "a");
        assert!(the_only(&gone, 8).is_none());
        assert!(the_only(&gone, 9).is_none());
        assert!(alike(10, 10, 10) && alike(10, 6, 6));
        assert!(!alike(10, 4, 4) && !alike(10, 10, 8) && !alike(0, 0, 0));
    }
}
