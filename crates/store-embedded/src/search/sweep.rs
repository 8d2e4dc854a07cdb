//! Throws out of a search file what belongs to nothing any more: signatures of bodies that are
//! gone, words of accounts that are gone or have let go of many of the messages they are from.

use std::collections::{HashMap, HashSet};

use angarium_store::{AccountId, BodyId, Result};

use super::postings;
use crate::index::{all, mail_rows, sql};
use crate::shard::Shard;

/// Signatures looked at in one go.
const CHUNK: u64 = 10_000;
/// The words of an account are forgotten when more than one in so many of the messages they are
/// from is gone.
const STALE: u64 = 4;

/// Sweeps one shard.
pub(crate) fn sweep(shard: &Shard) -> Result<()> {
    let mut after = 0u64;
    loop {
        let known: Vec<u64> = shard.search.readers.read_here(|db| {
            let text = "SELECT body FROM signatures WHERE body>?1 ORDER BY body LIMIT ?2";
            all(db, text, (after, CHUNK), |row| row.get(0))
        })?;
        let (Some(first), Some(last)) = (known.first().copied(), known.last().copied()) else {
            break;
        };
        let live: HashSet<u64> = shard.readers.read_here(|db| {
            let text = "SELECT id FROM bodies WHERE id BETWEEN ?1 AND ?2";
            Ok(all(db, text, (first, last), |row| row.get(0))?.into_iter().collect())
        })?;
        let gone: Vec<u64> = known.into_iter().filter(|body| !live.contains(body)).collect();
        if !gone.is_empty() {
            shard.search.write(|db| {
                let mut statement =
                    db.prepare_cached("DELETE FROM signatures WHERE body=?1").map_err(sql)?;
                for body in gone {
                    statement.execute([body]).map_err(sql)?;
                }
                Ok(())
            })?;
        }
        after = last;
    }
    let looked = shard.search.readers.read_here(postings::accounts)?;
    if looked.is_empty() {
        return Ok(());
    }
    let live = live_sets(shard)?;
    for (account, sets) in looked {
        let (mut gone, mut all) = (0, 0);
        for (high, set) in sets {
            all += set.len();
            let here = live.get(&(account, high));
            gone += here.map_or(set.len(), |live| (&set - live).len());
        }
        if gone * STALE > all || !live.keys().any(|(known, _)| *known == account) {
            shard.search.write(|db| postings::forget(db, account))?;
        }
    }
    Ok(())
}

type Sets = HashMap<(AccountId, u64), roaring::RoaringBitmap>;

/// The bodies of every account's messages.
fn live_sets(shard: &Shard) -> Result<Sets> {
    let mut live = Sets::new();
    shard.readers.read_here(|db| {
        mail_rows::bodies_by_account(db, |account, body: BodyId| {
            let set = live.entry((account, body.0 >> 16)).or_default();
            set.insert((body.0 & 0xffff) as u32);
        })
    })?;
    Ok(live)
}
