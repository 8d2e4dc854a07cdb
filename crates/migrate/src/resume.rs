//! Going on after an interruption without a message twice: what the new server took just before
//! the connection broke is in no journal, so it is looked for there.

use std::collections::HashMap;

use tokio::sync::mpsc;

use crate::error::Result;
use crate::journal::Pairs;
use crate::session::Session;
use crate::source::{self, FetchStyle, Meta, Piece};

/// Most unknown messages at the target that are compared; beyond that somebody else writes there.
const MOST_UNKNOWN: usize = 5_000;

/// Finds which of the messages still to be copied are at the target already: those that came there
/// since the first run began (`first` was UIDNEXT then) and that the journal does not know.
/// Answers pairs of source UID and target UID. Content decides, octet for octet.
pub(crate) async fn found_at_target(
    source: &mut Session,
    target: &mut Session,
    target_wire: &[u8],
    todo: &[Meta],
    journal: &Pairs,
    first_uid: u32,
) -> Result<Vec<(u32, u32)>> {
    let selected = source::select(target, target_wire, false).await?;
    let known = journal.targets();
    let mut unknown = Vec::new();
    let mut first = 1;
    while first <= selected.exists {
        let last = selected.exists.min(first + source::WINDOW - 1);
        let metas = source::list(target, first, last).await?;
        unknown.extend(
            metas
                .into_iter()
                .filter(|m| m.uid >= first_uid && known.binary_search(&m.uid).is_err()),
        );
        first = last + 1;
    }
    if unknown.is_empty() || unknown.len() > MOST_UNKNOWN {
        return Ok(Vec::new());
    }
    // Only messages of the same size can be the same: look at those alone.
    let mut by_size: HashMap<u64, Vec<usize>> = HashMap::new();
    for (n, meta) in todo.iter().enumerate() {
        by_size.entry(meta.size).or_default().push(n);
    }
    unknown.retain(|m| by_size.contains_key(&m.size));
    let sizes: std::collections::HashSet<u64> = unknown.iter().map(|m| m.size).collect();
    let candidates: Vec<Meta> = todo.iter().filter(|m| sizes.contains(&m.size)).cloned().collect();
    let (there, here) = tokio::try_join!(digests(target, &unknown), digests(source, &candidates))?;
    let mut waiting: HashMap<blake3::Hash, Vec<u32>> = HashMap::new();
    for (n, digest) in here {
        if let Some(meta) = candidates.get(n) {
            waiting.entry(digest).or_default().push(meta.uid);
        }
    }
    for uids in waiting.values_mut() {
        uids.sort_unstable_by(|a, b| b.cmp(a));
    }
    let mut pairs = Vec::new();
    for (n, digest) in there {
        let Some(meta) = unknown.get(n) else { continue };
        if let Some(uid) = waiting.get_mut(&digest).and_then(Vec::pop) {
            pairs.push((uid, meta.uid));
        }
    }
    Ok(pairs)
}

/// The content digests of messages, with their indexes; messages that cannot be read are left out.
pub(crate) async fn digests(
    session: &mut Session,
    metas: &[Meta],
) -> Result<Vec<(usize, blake3::Hash)>> {
    let wanted: Vec<usize> = (0..metas.len()).collect();
    let style = FetchStyle { rfc822: false, by_one: false };
    let (pieces, mut queue) = mpsc::channel::<Piece>(64);
    let hashing = async {
        let mut found = Vec::with_capacity(metas.len());
        let mut hasher = blake3::Hasher::new();
        let mut current = None;
        while let Some(piece) = queue.recv().await {
            match piece {
                Piece::Begin { index, .. } => {
                    hasher.reset();
                    current = Some(index);
                }
                Piece::Data(data) => {
                    hasher.update(&data);
                }
                Piece::End => {
                    if let Some(index) = current.take() {
                        found.push((index, hasher.finalize()));
                    }
                }
                Piece::Failed { .. } => {}
            }
        }
        Ok(found)
    };
    let (_, mut found) =
        tokio::try_join!(source::stream(session, metas, &wanted, style, pieces), hashing)?;
    found.sort_by_key(|(index, _)| *index);
    Ok(found)
}
