//! The words of an account's messages: taking them in, and answering which bodies hold words close
//! to those looked for. An account's words are its own rows; no answer reads another's.

use std::collections::HashMap;

use angarium_message::search::{Fields, Mark, Wanted, relevancy, word_score};
use angarium_store::{AccountId, BodyId, Result, StoreError};
use roaring::RoaringBitmap;
use rusqlite::{Connection, OptionalExtension};

use super::blocks;
use crate::index::sql;

/// Octets from which a new block is begun.
const BLOCK: usize = 2048;
/// Words of an account that are held against one that is looked for.
const VOCABULARY_MAX: u64 = 1_000_000;
/// Words close to one that is looked for whose bodies are read, the closest first.
const CLOSE_MAX: usize = 1000;

/// A body's id as the number of its set and its place in that.
fn halves(body: BodyId) -> (u64, u32) {
    (body.0 >> 16, (body.0 & 0xffff) as u32)
}

fn looked(db: &Connection, account: AccountId, high: u64) -> Result<RoaringBitmap> {
    let text = "SELECT low FROM looked WHERE account=?1 AND high=?2";
    let set: Option<Vec<u8>> = db
        .prepare_cached(text)
        .and_then(|mut s| s.query_row((account.0, high), |row| row.get(0)).optional())
        .map_err(sql)?;
    set.map_or_else(|| Ok(RoaringBitmap::new()), |set| read_set(&set))
}

fn read_set(set: &[u8]) -> Result<RoaringBitmap> {
    RoaringBitmap::deserialize_from(set)
        .map_err(|error| StoreError::Damaged(format!("a set of bodies: {error}")))
}

/// Of these bodies, ascending, those whose words have not been taken in.
pub(super) fn missing(
    db: &Connection,
    account: AccountId,
    wanted: &[BodyId],
) -> Result<Vec<BodyId>> {
    let mut missing = Vec::new();
    let mut set = (u64::MAX, RoaringBitmap::new());
    for body in wanted {
        let (high, low) = halves(*body);
        if set.0 != high {
            set = (high, looked(db, account, high)?);
        }
        if !set.1.contains(low) {
            missing.push(*body);
        }
    }
    Ok(missing)
}

/// The words of some bodies.
pub(super) type WordsOfBodies = Vec<(BodyId, Vec<(String, Mark)>)>;

/// Takes in the words of bodies, ascending; passes over those that are known meanwhile.
pub(super) fn take_in(db: &Connection, account: AccountId, read: WordsOfBodies) -> Result<()> {
    let mut sets: HashMap<u64, RoaringBitmap> = HashMap::new();
    let mut by_word: HashMap<String, Vec<(BodyId, Mark)>> = HashMap::new();
    for (body, words) in read {
        let (high, low) = halves(body);
        let set = match sets.entry(high) {
            std::collections::hash_map::Entry::Occupied(known) => known.into_mut(),
            std::collections::hash_map::Entry::Vacant(new) => {
                new.insert(looked(db, account, high)?)
            }
        };
        if set.insert(low) {
            for (word, mark) in words {
                by_word.entry(word).or_default().push((body, mark));
            }
        }
    }
    let mut by_word: Vec<_> = by_word.into_iter().collect();
    by_word.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    for (word, list) in by_word {
        add(db, account, &word, list)?;
    }
    let text = "INSERT OR REPLACE INTO looked VALUES(?1, ?2, ?3)";
    for (high, set) in sets {
        let mut bytes = Vec::with_capacity(set.serialized_size());
        set.serialize_into(&mut bytes)
            .map_err(|error| StoreError::Unavailable(error.to_string()))?;
        db.prepare_cached(text)
            .and_then(|mut s| s.execute((account.0, high, bytes)))
            .map_err(sql)?;
    }
    Ok(())
}

/// Adds bodies to a word: to its last block while that is small, else as a new one.
fn add(
    db: &Connection,
    account: AccountId,
    word: &str,
    mut list: Vec<(BodyId, Mark)>,
) -> Result<()> {
    let known: Option<u64> = db
        .prepare_cached("SELECT id FROM words WHERE account=?1 AND word=?2")
        .and_then(|mut s| s.query_row((account.0, word), |row| row.get(0)).optional())
        .map_err(sql)?;
    let mut part = 0u64;
    let id = match known {
        Some(id) => {
            let last: Option<(u64, Vec<u8>)> = db
                .prepare_cached(
                    "SELECT part, block FROM postings WHERE word=?1 ORDER BY part DESC LIMIT 1",
                )
                .and_then(|mut s| {
                    s.query_row([id], |row| Ok((row.get(0)?, row.get(1)?))).optional()
                })
                .map_err(sql)?;
            if let Some((last, block)) = last {
                part = last;
                if block.len() < BLOCK {
                    list.extend(blocks::decode(&block));
                } else {
                    part = last.saturating_add(1);
                }
            }
            id
        }
        None => {
            db.prepare_cached("INSERT INTO words(account, word) VALUES(?1, ?2)")
                .and_then(|mut s| s.execute((account.0, word)))
                .map_err(sql)?;
            db.last_insert_rowid().unsigned_abs()
        }
    };
    list.sort_unstable_by_key(|(body, _)| *body);
    db.prepare_cached("INSERT OR REPLACE INTO postings VALUES(?1, ?2, ?3)")
        .and_then(|mut s| s.execute((id, part, blocks::encode(&list))))
        .map_err(sql)?;
    Ok(())
}

/// Of these bodies, ascending, those that hold every word, with their relevancy.
pub(super) fn answer(
    db: &Connection,
    account: AccountId,
    words: &[Wanted],
    fields: Fields,
    wanted: &[BodyId],
) -> Result<Vec<(BodyId, u8)>> {
    // The best score of each word in each body that has all words so far.
    let mut found: HashMap<BodyId, Vec<u8>> = HashMap::new();
    for (at, word) in words.iter().enumerate() {
        let mut best: HashMap<BodyId, u8> = HashMap::new();
        for (id, closeness) in close(db, account, word)? {
            let mut statement =
                db.prepare_cached("SELECT block FROM postings WHERE word=?1").map_err(sql)?;
            let mut rows = statement.query([id]).map_err(sql)?;
            while let Some(row) = rows.next().map_err(sql)? {
                let Ok(block) = row.get_ref(0).map_err(sql)?.as_blob() else { continue };
                for (body, mark) in blocks::decode(block) {
                    let asked = || wanted.binary_search(&body).is_ok();
                    let open = if at == 0 { asked() } else { found.contains_key(&body) };
                    if open && let Some(score) = word_score(closeness, mark, fields) {
                        let known = best.entry(body).or_default();
                        *known = score.max(*known);
                    }
                }
            }
        }
        let before = std::mem::take(&mut found);
        for (body, score) in best {
            let mut scores =
                if at == 0 { Vec::new() } else { before.get(&body).cloned().unwrap_or_default() };
            scores.push(score);
            found.insert(body, scores);
        }
        if found.is_empty() {
            break;
        }
    }
    let mut found: Vec<(BodyId, u8)> =
        found.into_iter().map(|(body, scores)| (body, relevancy(&scores))).collect();
    found.sort_unstable();
    Ok(found)
}

/// The account's words close to one, the closest first.
fn close(db: &Connection, account: AccountId, wanted: &Wanted) -> Result<Vec<(u64, u8)>> {
    let (from, to) = if wanted.allows_a_wrong_letter() {
        (String::new(), None)
    } else {
        (wanted.start().to_owned(), Some(format!("{}\u{10ffff}", wanted.start())))
    };
    let text = "SELECT id, word FROM words INDEXED BY words_by_text
                WHERE account=?1 AND word>=?2 AND (?3 IS NULL OR word<=?3) LIMIT ?4";
    let mut statement = db.prepare_cached(text).map_err(sql)?;
    let mut rows = statement.query((account.0, from, to, VOCABULARY_MAX)).map_err(sql)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next().map_err(sql)? {
        let word = row.get_ref(1).map_err(sql)?;
        if let Some(closeness) = word.as_str().ok().and_then(|word| wanted.closeness(word)) {
            found.push((row.get(0).map_err(sql)?, closeness));
        }
    }
    found.sort_unstable_by_key(|(id, closeness)| (u8::MAX - closeness, *id));
    found.truncate(CLOSE_MAX);
    Ok(found)
}

/// Forgets the words of an account; they are taken in again when it is searched.
pub(super) fn forget(db: &Connection, account: AccountId) -> Result<()> {
    for text in [
        "DELETE FROM postings WHERE word IN (SELECT id FROM words WHERE account=?1)",
        "DELETE FROM words WHERE account=?1",
        "DELETE FROM looked WHERE account=?1",
    ] {
        db.execute(text, [account.0]).map_err(sql)?;
    }
    Ok(())
}

/// Every account with words, with the bodies they were taken from.
pub(super) fn accounts(db: &Connection) -> Result<HashMap<AccountId, Vec<(u64, RoaringBitmap)>>> {
    let mut statement = db.prepare("SELECT account, high, low FROM looked").map_err(sql)?;
    let mut rows = statement.query([]).map_err(sql)?;
    let mut found: HashMap<AccountId, Vec<(u64, RoaringBitmap)>> = HashMap::new();
    while let Some(row) = rows.next().map_err(sql)? {
        let set = row.get_ref(2).map_err(sql)?;
        let set = set.as_blob().map_err(|e| StoreError::Damaged(e.to_string()))?;
        let account = AccountId(row.get(0).map_err(sql)?);
        found.entry(account).or_default().push((row.get(1).map_err(sql)?, read_set(set)?));
    }
    Ok(found)
}
