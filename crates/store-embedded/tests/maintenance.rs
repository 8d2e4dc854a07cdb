//! Backup, check, rebuilding the index, compaction, the lock and the version: what keeps a base
//! alive for years (CR-05, CR-07, CR-08, CR-10).

#![allow(clippy::unwrap_used, reason = "tests")]

mod house;

use std::path::Path;

use angarium_store::{
    FlagBits, FlagChange, FlagUpdate, Flags, RecipientStep, Step, StoreError, Uid, suite,
};
use angarium_store_embedded::{Embedded, Options, check, open, rebuild_index};
use house::{House, small};
use tempfile::TempDir;

fn opened(base: &Path) -> Embedded {
    open(Options { shards: 2, ..Options::new(base) }).unwrap()
}

/// A base with a bit of everything in it; closed again.
fn lived_in(base: &Path) -> house::Picture {
    let embedded = opened(base);
    let picture = suite::run(async {
        let house = House::build(&embedded.store(), 3).await;
        house.live(&embedded.store()).await;
        house.picture(&embedded.store()).await
    });
    embedded.close();
    picture
}

fn picture_of(base: &Path) -> house::Picture {
    let embedded = opened(base);
    assert_eq!(embedded.damages(), []);
    let picture =
        suite::run(async { House::find(&embedded.store()).await.picture(&embedded.store()).await });
    embedded.close();
    picture
}

#[test]
fn a_base_that_was_lived_in_checks_clean() {
    let base = TempDir::new().unwrap();
    lived_in(base.path());
    let report = check(base.path()).unwrap();
    assert!(report.is_clean(), "{report:#?}");
    assert!(report.leaks.is_empty(), "{report:#?}");
    assert!(report.bodies > 10 && report.frames > 10);
}

#[test]
fn everything_comes_back_when_the_index_is_made_anew() {
    let base = TempDir::new().unwrap();
    let before = lived_in(base.path());
    assert_eq!(rebuild_index(base.path()).unwrap(), []);
    assert_eq!(picture_of(base.path()), before);
    for shard in ["shard-0", "shard-1"] {
        std::fs::remove_file(base.path().join(shard).join("index.sqlite")).unwrap();
    }
    assert_eq!(picture_of(base.path()), before);
    std::fs::write(base.path().join("shard-1/index.sqlite"), b"not a database at all").unwrap();
    assert_eq!(picture_of(base.path()), before);
    assert!(check(base.path()).unwrap().is_clean());
}

#[test]
fn a_backup_taken_under_load_is_of_one_moment() {
    let base = TempDir::new().unwrap();
    let copy = TempDir::new().unwrap();
    let embedded = opened(base.path());
    let store = embedded.store();
    let picture = suite::run(async {
        let house = House::build(&store, 2).await;
        house.live(&store).await;
        let (account, inbox) = house.inbox(&store, 0).await;
        let busy = {
            let store = store.clone();
            tokio::spawn(async move {
                for n in 0..200 {
                    let text = format!("during {n}");
                    store.mailboxes.append(account, inbox, vec![small(&text)]).await.unwrap();
                }
            })
        };
        embedded.backup(copy.path()).unwrap();
        assert!(matches!(embedded.backup(copy.path()), Err(StoreError::Invalid(_))));
        busy.await.unwrap();
        let embedded = opened(copy.path());
        let restored = embedded.store();
        let entries = restored.mailboxes.snapshot(account, inbox).await.unwrap().entries;
        let mut during = 0;
        for entry in entries {
            let bytes = restored.bodies.read(entry.body).await.unwrap();
            if bytes.starts_with(b"during") {
                assert_eq!(bytes, format!("during {during}").as_bytes());
                during += 1;
            }
        }
        House::find(&restored).await.picture(&restored).await
    });
    assert!(picture.accounts.len() == 2);
    assert!(check(copy.path()).unwrap().is_clean());
    embedded.close();
}

#[test]
fn compaction_gives_space_back_and_loses_nothing() {
    let base = TempDir::new().unwrap();
    let embedded = opened(base.path());
    let store = embedded.store();
    let before = suite::run(async {
        let house = House::build(&store, 3).await;
        house.live(&store).await;
        for user in 0..3 {
            let (account, inbox) = house.inbox(&store, user).await;
            let large: Vec<_> = (0..50).map(|n| house::sized(n, 20_000)).collect();
            store.mailboxes.append(account, inbox, large).await.unwrap();
        }
        embedded.seal_segments().unwrap();
        for user in 0..3 {
            let (account, inbox) = house.inbox(&store, user).await;
            let entries = store.mailboxes.snapshot(account, inbox).await.unwrap().entries;
            let most: Vec<Uid> =
                entries.iter().map(|e| e.uid).filter(|uid| uid.0 % 10 != 0).collect();
            store.mailboxes.expunge(account, inbox, &most, false).await.unwrap();
        }
        house.picture(&store).await
    });
    let done = embedded.compact().unwrap();
    assert!(done.segments >= 2 && done.freed > 1_000_000 && done.copied > 0, "{done:?}");
    let after = suite::run(async { House::find(&store).await.picture(&store).await });
    assert_eq!(after, before);
    drop(store);
    embedded.close();
    assert_eq!(picture_of(base.path()), before);
    let report = check(base.path()).unwrap();
    assert!(report.is_clean(), "{report:#?}");
    assert_eq!(rebuild_index(base.path()).unwrap(), []);
    assert_eq!(picture_of(base.path()), before);
    // Once more, over the checkpoint.
    let embedded = opened(base.path());
    let store = embedded.store();
    suite::run(async { House::find(&store).await.live(&store).await });
    embedded.seal_segments().unwrap();
    let before = suite::run(async { House::find(&store).await.picture(&store).await });
    embedded.compact().unwrap();
    embedded.close();
    rebuild_index(base.path()).unwrap();
    assert_eq!(picture_of(base.path()), before);
    assert!(check(base.path()).unwrap().is_clean());
}

#[test]
fn a_flipped_bit_is_located_and_the_store_still_opens() {
    let base = TempDir::new().unwrap();
    let before = lived_in(base.path());
    let segment = base.path().join("shard-1/segments/0000000001.seg");
    let good = std::fs::read(&segment).unwrap();
    for part in 1..20 {
        let mut bad = good.clone();
        let at = 64 + (good.len() - 64) * part / 20;
        bad[at] ^= 0x10;
        std::fs::write(&segment, &bad).unwrap();
        let report = check(base.path()).unwrap();
        assert!(!report.is_clean(), "bit at {at}");
        let near = report
            .damages
            .iter()
            .any(|d| d.file == segment && d.offset <= at as u64 && at as u64 - d.offset <= 300_000);
        assert!(near, "bit at {at}: {:?}", report.damages);
        opened(base.path()).close();
        std::fs::write(&segment, &good).unwrap();
        rebuild_index(base.path()).unwrap();
    }
    assert_eq!(picture_of(base.path()), before);
}

#[test]
fn a_damaged_body_is_told_when_it_is_read() {
    let base = TempDir::new().unwrap();
    let embedded = open(Options { shards: 1, ..Options::new(base.path()) }).unwrap();
    let store = embedded.store();
    suite::run(async {
        let house = House::build(&store, 1).await;
        let (account, inbox) = house.inbox(&store, 0).await;
        store.mailboxes.append(account, inbox, vec![house::sized(1, 5000)]).await.unwrap();
        let body = store.mailboxes.snapshot(account, inbox).await.unwrap().entries[0].body;
        store.bodies.read(body).await.unwrap();
        let segment = base.path().join("shard-0/segments/0000000001.seg");
        let mut bytes = std::fs::read(&segment).unwrap();
        // Behind the last frame there are only zeros.
        let end = bytes.iter().rposition(|b| *b != 0).unwrap() - 100;
        bytes[end] ^= 1;
        std::fs::write(&segment, bytes).unwrap();
        let read = store.bodies.read(body).await;
        assert!(matches!(read, Err(StoreError::Damaged(_))), "{read:?}");
    });
    embedded.close();
}

#[test]
fn who_has_patience_gets_the_base_when_the_other_has_ended() {
    let base = TempDir::new().unwrap();
    let first = opened(base.path());
    std::thread::scope(|scope| {
        let second = scope.spawn(|| {
            let mut options = Options::new(base.path());
            options.patience = std::time::Duration::from_secs(60);
            open(options).map(|embedded| embedded.close())
        });
        std::thread::sleep(std::time::Duration::from_millis(50));
        first.close();
        second.join().unwrap().unwrap();
    });
}

#[test]
fn a_second_process_on_the_same_base_is_refused_with_its_reason() {
    let base = TempDir::new().unwrap();
    let embedded = opened(base.path());
    let Err(StoreError::Unavailable(why)) = open(Options::new(base.path())) else {
        panic!("opened twice");
    };
    assert!(why.contains("is in use by process"), "{why}");
    assert!(matches!(check(base.path()), Err(StoreError::Unavailable(_))));
    embedded.close();
    opened(base.path()).close();
}

#[test]
fn a_newer_format_is_refused_with_its_reason() {
    let base = TempDir::new().unwrap();
    opened(base.path()).close();
    let version = base.path().join("VERSION");
    let text = std::fs::read_to_string(&version).unwrap().replace("format 5", "format 99");
    std::fs::write(&version, text).unwrap();
    let Err(StoreError::Invalid(why)) = open(Options::new(base.path())) else {
        panic!("a newer format was opened");
    };
    assert!(why.contains("format 99"), "{why}");
}

#[test]
fn a_body_shared_between_shards_goes_with_its_last_user() {
    let base = TempDir::new().unwrap();
    let embedded = opened(base.path());
    let store = embedded.store();
    suite::run(async {
        let house = House::build(&store, 2).await;
        let (one, first) = house.inbox(&store, 0).await;
        let (two, second) = house.inbox(&store, 1).await;
        store.mailboxes.append(one, first, vec![small("shared")]).await.unwrap();
        let body = store.mailboxes.snapshot(one, first).await.unwrap().entries[0].body;
        let copy = angarium_store::NewMessage {
            body: angarium_store::MessageBody::Existing(body),
            ..small("")
        };
        store.mailboxes.append(two, second, vec![copy]).await.unwrap();
        store.mailboxes.expunge(one, first, &[Uid(1)], false).await.unwrap();
        let entry = store.mailboxes.snapshot(two, second).await.unwrap().entries[0].clone();
        assert_eq!(entry.body, body);
        assert_eq!(store.bodies.read(body).await.unwrap(), "shared");
        store.mailboxes.expunge(two, second, &[Uid(1)], false).await.unwrap();
        let mut gone = false;
        for _ in 0..100 {
            gone = store.bodies.read(body).await == Err(StoreError::NotFound("body"));
            if gone {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        assert!(gone, "the body was never given back");
    });
    embedded.close();
    let report = check(base.path()).unwrap();
    assert!(report.is_clean() && report.leaks.is_empty(), "{report:#?}");
}

#[test]
fn a_thousand_expunges_are_remembered_in_few_rows_and_none_is_forgotten() {
    let base = TempDir::new().unwrap();
    let embedded = opened(base.path());
    let store = embedded.store();
    suite::run(async {
        let house = House::build(&store, 1).await;
        let (account, inbox) = house.inbox(&store, 0).await;
        let many = (0..1600).map(|n| small(&n.to_string())).collect();
        store.mailboxes.append(account, inbox, many).await.unwrap();
        let since = store.mailboxes.get(account, inbox).await.unwrap().highest_modseq;
        let mut tasks = Vec::new();
        for uid in 1..=1500 {
            let mailboxes = store.mailboxes.clone();
            tasks.push(tokio::spawn(async move {
                mailboxes.expunge(account, inbox, &[Uid(uid)], false).await.unwrap()
            }));
        }
        for task in tasks {
            task.await.unwrap();
        }
        let update = FlagUpdate {
            uids: vec![Uid(1501)],
            change: FlagChange::Add,
            flags: Flags::of(FlagBits::SEEN),
            unchanged_since: None,
        };
        store.mailboxes.change_flags(account, inbox, update).await.unwrap();
        let changes = store.mailboxes.changes(account, inbox, since).await.unwrap();
        assert_eq!(changes.vanished, (1..=1500).map(Uid).collect::<Vec<_>>());
        assert_eq!(changes.changed.len(), 1);
    });
    embedded.close();
    assert!(check(base.path()).unwrap().is_clean());
}

#[test]
fn a_base_written_by_version_1_opens_with_everything_in_it() {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    let base = TempDir::new().unwrap();
    copy(&data.join("base-v1"), base.path());
    let version = || std::fs::read_to_string(base.path().join("VERSION")).unwrap();
    assert!(version().contains("format 1\nshards 2\n"));
    let expected = std::fs::read_to_string(data.join("base-v1.txt")).unwrap();
    assert_eq!(picture_of(base.path()).lines(), expected);
    assert!(check(base.path()).unwrap().is_clean());
    rebuild_index(base.path()).unwrap();
    assert_eq!(picture_of(base.path()).lines(), expected);
    // Version 1 would lose what is written from now on: it refuses the base.
    assert!(version().contains("format 5\nshards 2\n"));
}

#[test]
fn a_base_written_by_version_2_opens_with_everything_in_it() {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    let base = TempDir::new().unwrap();
    copy(&data.join("base-v2"), base.path());
    let version = || std::fs::read_to_string(base.path().join("VERSION")).unwrap();
    assert!(version().contains("format 2\nshards 2\n"));
    let expected = std::fs::read_to_string(data.join("base-v2.txt")).unwrap();
    for _ in 0..2 {
        let picture = picture_of(base.path());
        assert_eq!(picture.lines(), expected);
        for (_, mailbox, _, _) in &picture.mailboxes {
            let comment = mailbox.annotations.get("/shared/comment").map(|v| v.to_vec());
            let annotated = mailbox.name.starts_with("Archive/Year");
            assert_eq!(comment, annotated.then(|| b"a\0b".to_vec()), "{}", mailbox.name);
        }
        assert!(check(base.path()).unwrap().is_clean());
        rebuild_index(base.path()).unwrap();
    }
    // So does version 2.
    assert!(version().contains("format 5\nshards 2\n"));
}

#[test]
fn a_base_written_by_version_3_opens_with_everything_in_it() {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    let base = TempDir::new().unwrap();
    copy(&data.join("base-v3"), base.path());
    let version = || std::fs::read_to_string(base.path().join("VERSION")).unwrap();
    assert!(version().contains("format 3\nshards 2\n"));
    let expected = std::fs::read_to_string(data.join("base-v3.txt")).unwrap();
    for _ in 0..2 {
        let picture = picture_of(base.path());
        assert_eq!(picture.lines(), expected);
        let with = |what: &str| picture.queue.iter().filter(|m| m.contains(what)).count();
        assert_eq!(with(&format!("not_before: {}", angarium_store::HELD)), 1);
        assert_eq!(with("priority: 4"), 1);
        assert!(check(base.path()).unwrap().is_clean());
        rebuild_index(base.path()).unwrap();
    }
    assert!(version().contains("format 5\nshards 2\n"));
}

#[test]
fn a_base_written_by_version_4_opens_with_everything_in_it() {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    let base = TempDir::new().unwrap();
    copy(&data.join("base-v4"), base.path());
    let version = || std::fs::read_to_string(base.path().join("VERSION")).unwrap();
    assert!(version().contains("format 4\nshards 2\n"));
    let expected = std::fs::read_to_string(data.join("base-v4.txt")).unwrap();
    for _ in 0..2 {
        let picture = picture_of(base.path());
        assert_eq!(picture.lines(), expected);
        let mut kept = Vec::new();
        for (_, mailbox, entries, _) in &picture.mailboxes {
            kept.extend(mailbox.kept_numbers.map(|k| (k.foreign_until.0 >> 33, k.own_from.0)));
            kept.extend(
                entries.iter().filter_map(|e| Some((e.pop_id.as_ref()?.len() as u64, e.uid.0))),
            );
        }
        kept.sort_unstable();
        assert_eq!(kept, [(0, 0), (0, 0), (1, 500), (1, 500), (3, 4), (3, 4), (5, 7), (5, 7)]);
        assert!(check(base.path()).unwrap().is_clean());
        rebuild_index(base.path()).unwrap();
    }
    assert!(version().contains("format 5\nshards 2\n"));
}

/// Older versions kept rows only of the recipients of an entry that had gone on.
#[test]
fn a_large_entry_of_an_older_version_loses_nobody() {
    let base = TempDir::new().unwrap();
    let names: Vec<String> = (0..100).map(|n| format!("r{n}@away.example")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let step = |recipient| RecipientStep { recipient, step: Step::Done };
    let embedded = opened(base.path());
    let id = suite::run(async {
        let queue = embedded.store().queue;
        let (id, _) = queue.enqueue(house::queued("to many", &names)).await.unwrap();
        queue.settle(id, vec![step(7)]).await.unwrap();
        id
    });
    embedded.close();
    for shard in ["shard-0", "shard-1"] {
        let index = rusqlite::Connection::open(base.path().join(shard).join("index.sqlite"));
        index.unwrap().execute("DELETE FROM queue_states WHERE ended=0", []).unwrap();
    }
    let embedded = opened(base.path());
    suite::run(async {
        let queue = embedded.store().queue;
        for recipient in (0..100).filter(|n| *n != 7) {
            assert_eq!(queue.count().await.unwrap(), 1, "before {recipient}");
            queue.settle(id, vec![step(recipient)]).await.unwrap();
        }
        assert_eq!(queue.count().await.unwrap(), 0);
    });
    embedded.close();
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
