//! Asks the old server by POP for the unique ids of the INBOX and finds which message each belongs
//! to; in doubt by content. Must never know the new server.

use std::collections::HashMap;

use super::pop_ids::{Listed, matched};
use super::{KeepIds, PopServer};
use crate::error::Result;
use crate::plan::Planned;
use crate::pop::Login;
use crate::pop::source::Source;
use crate::resume;
use crate::session::Session;
use crate::source::{self, Meta};

/// Messages compared by content at most; each is fetched once from both sides of the old server.
const MOST_DOUBTFUL: usize = 5_000;
/// Messages whose content must be right before a whole list is believed by its order.
const SAMPLE: usize = 16;

/// Ids by UID, and how many messages are left without one.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) ids: HashMap<u32, String>,
    pub(super) without: u64,
}

/// The unique ids of the source's INBOX.
pub(super) async fn of(
    keep: &KeepIds,
    session: &mut Session,
    planned: &Planned,
    uid_validity: u32,
) -> Result<Found> {
    let selected = source::select(session, &planned.source_wire, false).await?;
    let metas = all(session, selected.exists).await?;
    if let Some(format) = &keep.numbers.pop_format {
        let id = |meta: &Meta| Some((meta.uid, format.id(uid_validity, meta.uid)?));
        let ids: HashMap<u32, String> = metas.iter().filter_map(id).collect();
        let without = metas.len().saturating_sub(ids.len()) as u64;
        return Ok(Found { ids, without });
    }
    let Some(server) = &keep.pop else { return Ok(Found::default()) };
    let mut pop = open(server).await?;
    let Some(names) = pop.unique_ids().await? else {
        pop.quit().await;
        return Ok(Found { ids: HashMap::new(), without: metas.len() as u64 });
    };
    let sizes: HashMap<u32, u64> = pop.sizes().await?.into_iter().collect();
    let listed: Vec<Listed> = names
        .into_iter()
        .map(|(number, id)| Listed {
            number,
            size: sizes.get(&number).copied().unwrap_or_default(),
            id,
        })
        .collect();
    let imap: Vec<(u32, u64)> = metas.iter().map(|meta| (meta.uid, meta.size)).collect();
    let mut found = matched(&imap, &listed);
    if found.by_order && proves_right(session, &mut pop, &metas, &listed).await? {
        found.sure =
            metas.iter().zip(&listed).map(|(meta, one)| (meta.uid, one.id.clone())).collect();
    } else if found.sure.is_empty() {
        found.sure = by_content(session, &mut pop, &metas, &listed, &found.doubtful).await?;
    }
    pop.quit().await;
    let ids: HashMap<u32, String> = found.sure.into_iter().collect();
    let without = metas.len().saturating_sub(ids.len()) as u64;
    Ok(Found { ids, without })
}

async fn open(server: &PopServer) -> Result<Source> {
    let PopServer { endpoint, who, timeout } = server;
    let (name, password) = (who.name.clone(), who.password.clone());
    let login = Login { name, password, wishes: who.wishes.clone() };
    Box::pin(Source::open(endpoint, &login, *timeout)).await
}

/// UID and size of every message; flags and dates are not kept.
async fn all(session: &mut Session, exists: u32) -> Result<Vec<Meta>> {
    let mut metas: Vec<Meta> = Vec::new();
    let mut first = 1;
    while first <= exists {
        let last = exists.min(first.saturating_add(source::WINDOW - 1));
        let window = source::list(session, first, last).await?;
        metas.extend(window.into_iter().map(|m| Meta { date: "".into(), ..m }));
        first = last.saturating_add(1);
    }
    metas.sort_unstable_by_key(|meta| meta.uid);
    Ok(metas)
}

/// True when some messages, spread over the list, are the same at the same place of both.
async fn proves_right(
    session: &mut Session,
    pop: &mut Source,
    metas: &[Meta],
    listed: &[Listed],
) -> Result<bool> {
    let step = (metas.len() / SAMPLE).max(1);
    let places: Vec<usize> = (0..metas.len()).step_by(step).collect();
    let (ours, theirs) = digests(session, pop, metas, listed, &(places.clone(), places)).await?;
    Ok(!ours.is_empty()
        && ours.len() == theirs.len()
        && ours.iter().zip(&theirs).all(|(a, b)| a == b))
}

type Places = (Vec<usize>, Vec<usize>);
type Digests = Vec<(usize, blake3::Hash)>;

/// Digests of the messages at these places, of `pop` and of `imap`: ours first, then theirs.
async fn digests(
    session: &mut Session,
    pop: &mut Source,
    metas: &[Meta],
    listed: &[Listed],
    (in_pop, in_imap): &Places,
) -> Result<(Digests, Digests)> {
    let wanted: Vec<Meta> = in_imap.iter().filter_map(|at| metas.get(*at).cloned()).collect();
    let ours = resume::digests(session, &wanted).await?;
    let ours = ours.into_iter().filter_map(|(n, hash)| Some((*in_imap.get(n)?, hash))).collect();
    let mut theirs = Vec::with_capacity(in_pop.len());
    for at in in_pop {
        let Some(one) = listed.get(*at) else { continue };
        pop.request(one.number).await?;
        if let Ok(letter) = pop.receive(Some(one.size)).await? {
            theirs.push((*at, letter.digest()));
        }
    }
    Ok((ours, theirs))
}

/// Pairs of equal content, the first with the first.
async fn by_content(
    session: &mut Session,
    pop: &mut Source,
    metas: &[Meta],
    listed: &[Listed],
    places: &Places,
) -> Result<Vec<(u32, String)>> {
    if places.0.len() > MOST_DOUBTFUL || places.1.len() > MOST_DOUBTFUL {
        return Ok(Vec::new());
    }
    let (ours, theirs) = digests(session, pop, metas, listed, places).await?;
    let mut waiting: HashMap<blake3::Hash, Vec<usize>> = HashMap::new();
    for (at, hash) in theirs.into_iter().rev() {
        waiting.entry(hash).or_default().push(at);
    }
    let mut pairs = Vec::new();
    for (at, hash) in ours {
        let Some(place) = waiting.get_mut(&hash).and_then(Vec::pop) else { continue };
        if let (Some(meta), Some(one)) = (metas.get(at), listed.get(place)) {
            pairs.push((meta.uid, one.id.clone()));
        }
    }
    Ok(pairs)
}
