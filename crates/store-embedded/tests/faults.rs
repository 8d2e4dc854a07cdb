//! Each file operation of the append and enqueue paths fails in turn (CR-03): the answer is never
//! OK for what is not there, everything answered OK is there, and the store goes on when space
//! returns. And the journal is cut at every octet (CR-01).

#![allow(clippy::unwrap_used, reason = "tests")]

mod house;

use std::path::Path;
use std::sync::Arc;

use angarium_store::{StoreError, suite};
use angarium_store_embedded::testing::{Fault, FaultyFiles};
use angarium_store_embedded::{Embedded, Options, check, open};
use house::{House, file, queued, sized, small};
use tempfile::TempDir;

fn faulty(base: &Path, files: &FaultyFiles) -> Result<Embedded, StoreError> {
    open(Options {
        shards: 1,
        // Small, so that rolling to a new segment is among the calls that fail.
        segment_size: 3_000,
        files: Arc::new(files.clone()),
        ..Options::new(base)
    })
}

/// What was answered OK.
#[derive(Default)]
struct Acknowledged {
    appended: Vec<String>,
    queued: Vec<String>,
    files: Vec<String>,
    refused: Vec<String>,
}

/// One round of work; what is refused must be refused as *later*.
async fn work(store: &angarium_store::Store, house: &House, name: &str, seen: &mut Acknowledged) {
    let (account, inbox) = house.inbox(store, 0).await;
    for n in 0..4 {
        let text = format!("{name} append {n}");
        let mut message = small(&text);
        if n == 2 {
            // From the spool.
            let mut writer = store.bodies.stage();
            writer.write(text.as_bytes()).await.unwrap();
            writer.write(&vec![b'.'; 300_000]).await.unwrap();
            message.body = angarium_store::MessageBody::Staged(writer.finish().await.unwrap());
        }
        match store.mailboxes.append(account, inbox, vec![message]).await {
            Ok(_) => seen.appended.push(text),
            Err(error) => {
                assert!(error.is_temporary(), "{error}");
                seen.refused.push(text);
            }
        }
        let text = format!("{name} file {n}");
        match store.files.write_file(account, file(&format!("{name}-{n}"), text.as_bytes())).await {
            Ok(_) => seen.files.push(text),
            Err(error) => {
                assert!(error.is_temporary(), "{error}");
                seen.refused.push(text);
            }
        }
        let text = format!("{name} queue {n}");
        match store.queue.enqueue(queued(&text, &["user0@house.example"])).await {
            Ok(_) => seen.queued.push(text),
            Err(error) => {
                assert!(error.is_temporary(), "{error}");
                seen.refused.push(text);
            }
        }
    }
}

/// The texts of the inbox, of the queue and of the files.
async fn texts(store: &angarium_store::Store, house: &House) -> [Vec<String>; 3] {
    let (account, inbox) = house.inbox(store, 0).await;
    let text = async |body| {
        let bytes = store.bodies.read(body).await.unwrap();
        String::from_utf8(bytes.to_vec()).unwrap().trim_end_matches('.').to_owned()
    };
    let mut mail = Vec::new();
    for entry in store.mailboxes.snapshot(account, inbox).await.unwrap().entries {
        mail.push(text(entry.body).await);
    }
    let mut queue = Vec::new();
    for id in store.queue.list(angarium_store::QueueId(0), 1000).await.unwrap() {
        queue.push(text(store.queue.message(id).await.unwrap().unwrap().body).await);
    }
    let mut files = Vec::new();
    for found in store.files.list_files(account, "").await.unwrap() {
        files.push(text(found.pieces.unwrap()[0]).await);
    }
    [mail, queue, files]
}

fn one_fault(after: u64, times: u64, fault: Fault) -> u64 {
    let base = TempDir::new().unwrap();
    let files = FaultyFiles::new();
    let embedded = faulty(base.path(), &files).unwrap();
    let store = embedded.store();
    let (seen, failed) = suite::run(async {
        let house = House::build(&store, 1).await;
        let mut seen = Acknowledged::default();
        work(&store, &house, "before", &mut seen).await;
        assert!(seen.refused.is_empty());
        files.fail(after, times, fault);
        work(&store, &house, "during", &mut seen).await;
        let failed = files.mend();
        let refused = seen.refused.len();
        work(&store, &house, "after", &mut seen).await;
        assert_eq!(seen.refused.len(), refused, "it goes on when space returns");
        let [mail, queue, files] = texts(&store, &house).await;
        assert_eq!(mail, seen.appended, "{fault:?} {after}");
        assert_eq!(queue, seen.queued, "{fault:?} {after}");
        // Listed by name.
        seen.files.sort_unstable();
        assert_eq!(files, seen.files, "{fault:?} {after}");
        (seen, failed)
    });
    drop(store);
    embedded.close();
    let embedded = faulty(base.path(), &files).unwrap();
    assert_eq!(embedded.damages(), []);
    let store = embedded.store();
    suite::run(async {
        let house = House::find(&store).await;
        let [mail, queue, files] = texts(&store, &house).await;
        assert_eq!(mail, seen.appended, "after reopening: {fault:?} {after}");
        assert_eq!(queue, seen.queued, "after reopening: {fault:?} {after}");
        assert_eq!(files, seen.files, "after reopening: {fault:?} {after}");
    });
    drop(store);
    embedded.close();
    let report = check(base.path()).unwrap();
    assert!(report.is_clean(), "{fault:?} {after}: {report:#?}");
    failed
}

fn each_call_fails(times: u64, fault: Fault) {
    let mut after = 0;
    while one_fault(after, times, fault) > 0 {
        after += times.min(3);
        assert!(after < 500, "the work never ends");
    }
    assert!(after > 20, "only {after} calls were there to fail");
}

#[test]
fn no_space_at_any_call_loses_nothing_and_answers_no_lie() {
    each_call_fails(1, Fault::NoSpace);
}

#[test]
fn no_space_that_lasts_loses_nothing_and_answers_no_lie() {
    each_call_fails(9, Fault::NoSpace);
}

#[test]
fn a_broken_disk_at_any_call_loses_nothing_and_answers_no_lie() {
    each_call_fails(2, Fault::Broken);
}

#[test]
fn a_short_write_at_any_call_loses_nothing_and_answers_no_lie() {
    each_call_fails(1, Fault::Short);
}

#[test]
fn a_journal_cut_at_any_octet_holds_every_operation_whole_or_not_at_all() {
    let base = TempDir::new().unwrap();
    let only = || Options { shards: 1, ..Options::new(base.path()) };
    let embedded = open(only()).unwrap();
    let store = embedded.store();
    let segment = base.path().join("shard-0/segments/0000000001.seg");
    let length = || std::fs::metadata(&segment).unwrap().len();
    let mut marks = Vec::new();
    let (house, begin) = suite::run(async {
        let house = House::build(&store, 1).await;
        (house, length())
    });
    drop(store);
    embedded.close();
    // The index as it was, so that every cut is recovered from it.
    let index = base.path().join("shard-0/index.sqlite");
    let old = std::fs::read(&index).unwrap();
    let embedded = open(only()).unwrap();
    let store = embedded.store();
    suite::run(async {
        let (account, inbox) = house.inbox(&store, 0).await;
        for n in 0..4 {
            if n == 2 {
                let two = vec![small("three"), sized(3, 100)];
                store.mailboxes.append(account, inbox, two).await.unwrap();
            } else {
                store.mailboxes.append(account, inbox, vec![small("x")]).await.unwrap();
            }
            let count = store.mailboxes.get(account, inbox).await.unwrap().messages;
            marks.push((length(), count));
        }
    });
    drop(store);
    embedded.close();
    let whole = std::fs::read(&segment).unwrap();
    for cut in begin as usize..=whole.len() {
        std::fs::write(&segment, &whole[..cut]).unwrap();
        std::fs::write(&index, &old).unwrap();
        let embedded = open(only()).unwrap();
        assert_eq!(embedded.damages(), [], "cut at {cut}");
        let store = embedded.store();
        let expected =
            marks.iter().filter(|(at, _)| *at as usize <= cut).map(|(_, n)| *n).max().unwrap_or(0);
        suite::run(async {
            let (account, inbox) = house.inbox(&store, 0).await;
            let snapshot = store.mailboxes.snapshot(account, inbox).await.unwrap();
            assert_eq!(snapshot.mailbox.messages, expected, "cut at {cut}");
            assert_eq!(snapshot.entries.len() as u32, expected, "cut at {cut}");
            for entry in snapshot.entries {
                store.bodies.read(entry.body).await.unwrap();
            }
        });
        drop(store);
        embedded.close();
        let left = std::fs::read_dir(base.path().join("shard-0/segments")).unwrap().count();
        assert_eq!(left, 1);
    }
}
