//! What is kept for search is derived: deleted, damaged or cut off anywhere, it is made again, and
//! answers are right meanwhile.

#![allow(clippy::unwrap_used, reason = "tests")]

mod house;

use std::path::{Path, PathBuf};

use angarium_message::search::{Fields, Place, Probe};
use angarium_store::{BodyId, FuzzyText, NewMessage, Store, Uid, suite};
use angarium_store_embedded::{Embedded, Options, check, open, rebuild_index};
use house::{House, small};
use tempfile::TempDir;

fn opened(base: &Path) -> Embedded {
    open(Options { shards: 2, ..Options::new(base) }).unwrap()
}

fn files(base: &Path) -> [PathBuf; 2] {
    ["shard-0", "shard-1"].map(|shard| base.join(shard).join("search.sqlite"))
}

fn letter(text: &str) -> NewMessage {
    small(&format!("Subject: letter\r\n\r\n{text}\r\n"))
}

/// All bodies of the first user.
async fn bodies(store: &Store) -> Vec<BodyId> {
    let house = House::find(store).await;
    let (account, inbox) = house.inbox(store, 0).await;
    let entries = store.mailboxes.snapshot(account, inbox).await.unwrap().entries;
    entries.iter().map(|entry| entry.body).collect()
}

/// How many of the first user's bodies may hold a text.
async fn may_hold(store: &Store, text: &str) -> usize {
    let bodies = bodies(store).await;
    let found = store.search.sift(&bodies, &[Probe::new(Place::Anywhere, text)]).await.unwrap();
    found.iter().filter(|sifted| sifted.may_hold(0)).count()
}

async fn fuzzy(store: &Store, text: &str) -> usize {
    let house = House::find(store).await;
    let account = house.accounts[0];
    let text = FuzzyText { text: text.to_owned(), fields: Fields::ALL };
    store.search.fuzzy(account, &bodies(store).await, &text).await.unwrap().len()
}

/// A base with three letters in the first user's inbox.
fn written(base: &Path) -> Embedded {
    let embedded = opened(base);
    suite::run(async {
        let store = embedded.store();
        let house = House::build(&store, 2).await;
        let (account, inbox) = house.inbox(&store, 0).await;
        let letters = ["apples and pears", "harvest time", "nothing else"].map(letter);
        store.mailboxes.append(account, inbox, letters.into()).await.unwrap();
    });
    embedded
}

#[test]
fn deleted_or_damaged_it_is_made_again() {
    let base = TempDir::new().unwrap();
    written(base.path()).close();
    type Harm = fn(&Path);
    let harms: [Harm; 5] = [
        |_| {},
        |file| std::fs::remove_file(file).unwrap(),
        |file| std::fs::write(file, b"not a database at all").unwrap(),
        |file| {
            let db = rusqlite::Connection::open(file).unwrap();
            db.pragma_update(None, "user_version", 99).unwrap();
        },
        |file| {
            // As after a journal was brought back from an older copy.
            let db = rusqlite::Connection::open(file).unwrap();
            db.execute("UPDATE state SET body=body+1000", []).unwrap();
        },
    ];
    for harm in harms {
        for file in files(base.path()) {
            harm(&file);
        }
        let embedded = opened(base.path());
        embedded.index_for_search().unwrap();
        suite::run(async {
            let store = embedded.store();
            assert_eq!(may_hold(&store, "harvest").await, 1);
            assert_eq!(may_hold(&store, "letter").await, 3);
            assert_eq!(fuzzy(&store, "apple").await, 1);
        });
        embedded.close();
        assert!(check(base.path()).unwrap().is_clean());
    }
}

#[test]
fn a_check_removes_what_cannot_be_relied_on() {
    let base = TempDir::new().unwrap();
    let embedded = written(base.path());
    embedded.index_for_search().unwrap();
    embedded.close();
    assert!(check(base.path()).unwrap().leaks.is_empty());
    std::fs::write(&files(base.path())[1], vec![7; 8192]).unwrap();
    let report = check(base.path()).unwrap();
    assert!(report.is_clean() && report.leaks.len() == 1, "{report:?}");
    assert!(!files(base.path())[1].exists());
    rebuild_index(base.path()).unwrap();
    assert!(!files(base.path())[0].exists());
}

#[test]
fn a_body_with_the_id_of_a_lost_one_is_not_taken_for_it() {
    let base = TempDir::new().unwrap();
    let embedded = written(base.path());
    embedded.index_for_search().unwrap();
    embedded.close();
    for file in files(base.path()) {
        let db = rusqlite::Connection::open(file).unwrap();
        db.execute("UPDATE state SET crc=(crc+1)&65535", []).unwrap();
        db.execute("UPDATE signatures SET signature=x'010000'", []).unwrap();
    }
    let embedded = opened(base.path());
    suite::run(async { assert!(may_hold(&embedded.store(), "harvest").await >= 1) });
    embedded.close();
}

#[test]
fn bases_of_every_version_are_looked_through_by_themselves() {
    for version in ["base-v1", "base-v2"] {
        let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(version);
        let base = TempDir::new().unwrap();
        copy(&data, base.path());
        assert!(files(base.path()).iter().all(|file| !file.exists()), "{version}");
        let embedded = opened(base.path());
        suite::run(looked_through(&embedded.store()));
        embedded.close();
        assert!(files(base.path()).iter().all(|file| file.exists()), "{version}");
    }
}

/// Waits until a word that is nowhere rules every message out.
async fn looked_through(store: &Store) {
    for _ in 0..200 {
        if may_hold(store, "qqzzxxkk").await == 0 {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("nobody looks through it");
}

#[test]
fn what_is_gone_is_thrown_out() {
    let base = TempDir::new().unwrap();
    let embedded = written(base.path());
    suite::run(async {
        let store = embedded.store();
        let house = House::find(&store).await;
        let (account, inbox) = house.inbox(&store, 0).await;
        assert_eq!(fuzzy(&store, "harvest").await, 1);
        embedded.index_for_search().unwrap();
        store.mailboxes.expunge(account, inbox, &[Uid(2), Uid(3)], false).await.unwrap();
        assert_eq!(fuzzy(&store, "harvest").await, 0);
        embedded.tidy_search().unwrap();
        assert_eq!(fuzzy(&store, "apples").await, 1);
    });
    embedded.close();
    let count = |text: &str| -> u64 {
        let one = |file| {
            let db = rusqlite::Connection::open(file).unwrap();
            db.query_row(text, [], |row| row.get::<_, u64>(0)).unwrap()
        };
        files(base.path()).map(one).iter().sum()
    };
    assert_eq!(count("SELECT count(*) FROM signatures"), 1);
    assert_eq!(count("SELECT count(*) FROM words WHERE word='harvest'"), 0);
    assert_eq!(count("SELECT count(*) FROM words WHERE word='apples'"), 1);
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}
