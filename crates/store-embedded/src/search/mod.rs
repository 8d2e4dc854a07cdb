//! What is derived from the bodies of a shard for search: a signature for each body and, for
//! accounts that search for words, the words in their messages. It lies in a file of its own,
//! `shard-N/search.sqlite`, is never in the journal, may lag behind or be deleted at any time, and
//! is made again in the background. Deliveries never wait for it.

mod blocks;
mod file;
mod indexer;
mod postings;
mod sweep;

use std::sync::Arc;

use angarium_message::search::{Probe, Wanted, words_of_text};
use angarium_store::search::FUZZY_WORDS_MAX;
use angarium_store::{AccountId, BodyId, FuzzyText, Result, Search, Sifted, StoreError};
use async_trait::async_trait;
use bytes::Bytes;
use rusqlite::Connection;

use crate::bodies::read_whole;
use crate::embedded::Inner;
use crate::index::references::home;
use crate::index::{one, sql};
use crate::reader::closed;
use crate::shard::{Shard, lay};

pub(crate) use file::{SearchFile, remove, verify};
pub(crate) use indexer::{Indexing, index_some, run};
pub(crate) use sweep::sweep;

/// The contents of larger messages are not looked through: they must be read.
const BODY_MAX: u64 = 32 << 20;
/// Bodies whose words are taken in with one transaction.
const WORDS_BATCH: usize = 64;
/// Ids that are this dense (one in so many) are read in one sweep of the table.
const DENSE: u64 = 8;

/// Handle of the family.
pub(crate) struct EmbeddedSearch(pub(crate) Arc<Inner>);

/// A body to be looked through; nothing if it is gone, damaged or too large.
fn readable(shard: &Shard, db: &Connection, body: BodyId) -> Result<Option<Bytes>> {
    let too_large = |lay: crate::shard::Lay| lay.size > BODY_MAX;
    match lay(db, body).map(too_large) {
        Ok(false) => {}
        Ok(true) | Err(StoreError::NotFound(_)) => return Ok(None),
        Err(error) => return Err(error),
    }
    match read_whole(shard, db, body) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(StoreError::NotFound(_) | StoreError::Damaged(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

#[async_trait]
impl Search for EmbeddedSearch {
    async fn sift(&self, bodies: &[BodyId], probes: &[Probe]) -> Result<Vec<Sifted>> {
        let mut found = vec![Sifted::MAY_HOLD_ANYTHING; bodies.len()];
        let mut by_shard: Vec<Vec<(BodyId, usize)>> = vec![Vec::new(); self.0.shards.len()];
        for (at, body) in bodies.iter().enumerate() {
            if let Some(wanted) = by_shard.get_mut(home(*body) as usize) {
                wanted.push((*body, at));
            }
        }
        for (shard, wanted) in self.0.shards.iter().zip(by_shard) {
            if wanted.is_empty() {
                continue;
            }
            let probes = probes.to_vec();
            let read = shard.search.readers.read(move |db| sift(db, wanted, &probes)).await;
            match read {
                Ok(told) => {
                    for (at, sifted) in told {
                        if let Some(slot) = found.get_mut(at) {
                            *slot = sifted;
                        }
                    }
                }
                // What is derived must not keep anybody from what is stored.
                Err(error) => shard.search.failed(&error),
            }
        }
        Ok(found)
    }

    async fn fuzzy(
        &self,
        account: AccountId,
        bodies: &[BodyId],
        text: &FuzzyText,
    ) -> Result<Vec<(BodyId, u8)>> {
        let shard = self.0.shard_of(account)?.clone();
        let known = "SELECT 1 FROM mail_accounts WHERE id=?1";
        let is_known = move |db: &Connection| one(db, known, [account.0], |_| Ok(()));
        if shard.readers.read(is_known).await?.is_none() {
            return Err(StoreError::NotFound("account"));
        }
        let words = words_of_text(&text.text, FUZZY_WORDS_MAX);
        if words.is_empty() || bodies.is_empty() {
            return Ok(Vec::new());
        }
        let mut wanted: Vec<BodyId> = bodies.to_vec();
        wanted.sort_unstable();
        wanted.dedup();
        let wanted = Arc::new(wanted);
        self.look_through(&shard, account, &wanted).await?;
        let fields = text.fields;
        let answer = move |db: &Connection| {
            let words: Vec<Wanted> = words.iter().map(|word| Wanted::new(word)).collect();
            postings::answer(db, account, &words, fields, &wanted)
        };
        shard.search.readers.read(answer).await
    }
}

impl EmbeddedSearch {
    /// Takes in the words of the bodies the account's part of the file does not have yet.
    async fn look_through(
        &self,
        shard: &Arc<Shard>,
        account: AccountId,
        wanted: &Arc<Vec<BodyId>>,
    ) -> Result<()> {
        let all = wanted.clone();
        let missing = move |db: &Connection| postings::missing(db, account, &all);
        let missing = shard.search.readers.read(missing).await?;
        for some in missing.chunks(WORDS_BATCH) {
            let asked = some.iter().map(|body| (*body, ())).collect();
            let read = |shard: &Shard, db: &Connection, body, ()| readable(shard, db, body);
            let bytes = self.0.of_bodies(asked, read).await?;
            let read: Vec<(BodyId, Option<Bytes>)> = some.iter().copied().zip(bytes).collect();
            let shard = shard.clone();
            let taken = move || {
                let words = read.into_iter().map(|(body, bytes)| (body, indexer::words(bytes)));
                let words = words.collect();
                shard.search.write(|db| postings::take_in(db, account, words))
            };
            tokio::task::spawn_blocking(taken).await.map_err(|_| closed())??;
        }
        Ok(())
    }
}

/// Holds probes against the signatures of bodies of one shard; bodies without one are left out.
fn sift(
    db: &Connection,
    mut wanted: Vec<(BodyId, usize)>,
    probes: &[Probe],
) -> Result<Vec<(usize, Sifted)>> {
    wanted.sort_unstable();
    let mut found = Vec::with_capacity(wanted.len());
    let (Some((first, _)), Some((last, _))) = (wanted.first(), wanted.last()) else {
        return Ok(found);
    };
    if (last.0 - first.0) / DENSE > wanted.len() as u64 {
        let text = "SELECT signature FROM signatures WHERE body=?1";
        let mut statement = db.prepare_cached(text).map_err(sql)?;
        for (body, at) in wanted {
            let mut rows = statement.query([body.0]).map_err(sql)?;
            if let Some(row) = rows.next().map_err(sql)?
                && let Ok(signature) = row.get_ref(0).map_err(sql)?.as_blob()
            {
                found.push((at, Sifted::by(signature, probes)));
            }
        }
        return Ok(found);
    }
    let text = "SELECT body, signature FROM signatures WHERE body BETWEEN ?1 AND ?2 ORDER BY body";
    let mut statement = db.prepare_cached(text).map_err(sql)?;
    let mut rows = statement.query((first.0, last.0)).map_err(sql)?;
    let mut wanted = wanted.into_iter().peekable();
    while let Some(row) = rows.next().map_err(sql)? {
        let body: u64 = row.get(0).map_err(sql)?;
        while wanted.next_if(|(wanted, _)| wanted.0 < body).is_some() {}
        while let Some((_, at)) = wanted.next_if(|(wanted, _)| wanted.0 == body) {
            if let Ok(signature) = row.get_ref(1).map_err(sql)?.as_blob() {
                found.push((at, Sifted::by(signature, probes)));
            }
        }
    }
    Ok(found)
}
