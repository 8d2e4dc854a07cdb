//! Promises about the files that accounts keep beside their mail.

use bytes::Bytes;

use super::scene::{DOMAIN, NOW, Scene, mail, scene};
use crate::faulty::{self, Fault, Plan};
use crate::{
    BodyId, Expected, FileRecord, FileRoom, FileUsage, FileWrite, MessageBody, Result, Store,
    StoreError,
};

const PIECE: usize = FileRecord::PIECE as usize;

/// A file of these bytes, whatever stood there.
pub(super) fn file(path: &str, bytes: &[u8]) -> FileWrite {
    let pieces = bytes.chunks(PIECE).map(|b| MessageBody::Bytes(Bytes::copy_from_slice(b)));
    FileWrite {
        path: path.to_owned(),
        expected: Expected::Anything,
        pieces: Some(pieces.collect()),
        modified: NOW,
        room: FileRoom::default(),
    }
}

fn directory(path: &str) -> FileWrite {
    FileWrite { pieces: None, ..file(path, b"") }
}

async fn write(s: &Scene, path: &str, text: &str) -> FileRecord {
    s.store.files.write_file(s.account, file(path, text.as_bytes())).await.unwrap()
}

/// What a file holds.
pub(super) async fn content(s: &Scene, path: &str) -> Vec<u8> {
    let found = s.store.files.file(s.account, path).await.unwrap().unwrap();
    let read = s.store.bodies.read_many(&found.pieces.unwrap()).await.unwrap();
    let all = read.concat();
    assert_eq!(all.len() as u64, found.size);
    all
}

/// What is in a directory, directories with a `/` at the end.
pub(super) async fn names(s: &Scene, directory: &str) -> Vec<String> {
    let all = s.store.files.list_files(s.account, directory).await.unwrap();
    all.into_iter().map(|f| f.path + if f.pieces.is_some() { "" } else { "/" }).collect()
}

fn invalid<T: std::fmt::Debug>(answer: Result<T>) -> bool {
    matches!(answer, Err(StoreError::Invalid(_)))
}

pub async fn a_file_keeps_its_bytes_size_and_date(store: Store) {
    let s = scene(&store).await;
    let answered = write(&s, "a.txt", "one").await;
    let found = store.files.file(s.account, "a.txt").await.unwrap().unwrap();
    assert_eq!(answered, found);
    assert_eq!((found.path.as_str(), found.modified, found.size), ("a.txt", NOW, 3));
    assert_eq!(content(&s, "a.txt").await, b"one");
    write(&s, "empty", "").await;
    assert_eq!(content(&s, "empty").await, b"");
    assert_eq!(store.files.file(s.account, "b.txt").await.unwrap(), None);
    let bytes: Vec<u8> = (0..PIECE * 2 + 5).map(|n| (n % 251) as u8).collect();
    let big = store.files.write_file(s.account, file("big", &bytes)).await.unwrap();
    assert_eq!(big.pieces.unwrap().len(), 3);
    assert!(content(&s, "big").await == bytes);
}

pub async fn a_file_written_again_has_the_new_bytes_alone(store: Store) {
    let s = scene(&store).await;
    let old = write(&s, "a", "one").await;
    let later = FileWrite { modified: NOW + 9, ..file("a", b"second") };
    let new = store.files.write_file(s.account, later).await.unwrap();
    assert_eq!((new.size, new.modified), (6, NOW + 9));
    assert_eq!(content(&s, "a").await, b"second");
    let gone = store.bodies.read(old.pieces.unwrap()[0]).await;
    assert_eq!(gone, Err(StoreError::NotFound("body")));
    let usage = store.files.file_usage(s.account, "").await.unwrap();
    assert_eq!(usage, FileUsage { octets: 6, files: 1, directories: 0 });
}

pub async fn a_file_grows_without_its_first_pieces_being_written_again(store: Store) {
    let s = scene(&store).await;
    let all = vec![b'x'; PIECE + 10];
    let first = store.files.write_file(s.account, file("log", &all)).await.unwrap();
    let kept = first.pieces.clone().unwrap();
    let tail = Bytes::from(vec![b'y'; 20]);
    let longer = FileWrite {
        expected: Expected::Pieces(kept.clone()),
        pieces: Some(vec![MessageBody::Existing(kept[0]), MessageBody::Bytes(tail)]),
        ..file("log", b"")
    };
    let second = store.files.write_file(s.account, longer.clone()).await.unwrap();
    assert_eq!(second.pieces.unwrap()[0], kept[0]);
    let read = content(&s, "log").await;
    assert!(read[..PIECE] == all[..PIECE] && read[PIECE..] == [b'y'; 20]);
    // What is expected is not there any more.
    let again = store.files.write_file(s.account, longer).await;
    assert_eq!(again, Err(StoreError::VersionConflict));
}

pub async fn a_file_keeps_pieces_of_its_own_only(store: Store) {
    let s = scene(&store).await;
    s.fill(s.inbox, &["mail"]).await;
    let body = s.entries(s.inbox).await[0].body;
    let other = write(&s, "other", "text").await.pieces.unwrap()[0];
    for foreign in [body, other] {
        let pieces = Some(vec![MessageBody::Existing(foreign)]);
        let answer =
            store.files.write_file(s.account, FileWrite { pieces, ..file("a", b"") }).await;
        assert!(invalid(answer));
    }
    let unknown = Some(vec![MessageBody::Existing(BodyId(999_999))]);
    let unknown = FileWrite { pieces: unknown, ..file("a", b"") };
    assert!(store.files.write_file(s.account, unknown).await.is_err());
    let short = vec![mail("one").body, mail("two").body];
    let short = FileWrite { pieces: Some(short), ..file("a", b"") };
    assert!(invalid(store.files.write_file(s.account, short).await));
    assert_eq!(names(&s, "").await, ["other"]);
}

pub async fn a_new_file_is_not_written_over_another(store: Store) {
    let s = scene(&store).await;
    let new = || FileWrite { expected: Expected::Nothing, ..file("a", b"one") };
    store.files.write_file(s.account, new()).await.unwrap();
    let again = store.files.write_file(s.account, new()).await;
    assert_eq!(again, Err(StoreError::Exists("file")));
    assert_eq!(content(&s, "a").await, b"one");
}

pub async fn directories_are_made_listed_and_in_the_way(store: Store) {
    let s = scene(&store).await;
    write(&s, "b/c/d", "x").await;
    write(&s, "b-1", "x").await;
    store.files.write_file(s.account, directory("b/e")).await.unwrap();
    assert_eq!(names(&s, "").await, ["b/", "b-1"]);
    assert_eq!(names(&s, "b").await, ["b/c/", "b/e/"]);
    assert_eq!(names(&s, "b/c").await, ["b/c/d"]);
    assert_eq!(names(&s, "b/e").await, [""; 0]);
    let usage = store.files.file_usage(s.account, "b").await.unwrap();
    assert_eq!(usage, FileUsage { octets: 1, files: 1, directories: 2 });
    for missing in ["nothing", "b-1", "b/c/d"] {
        let answer = store.files.list_files(s.account, missing).await;
        assert_eq!(answer, Err(StoreError::NotFound("file")), "{missing}");
    }
    let f = &store.files;
    let taken = Err(StoreError::Exists("directory"));
    assert_eq!(f.write_file(s.account, file("b/c", b"x")).await, taken);
    assert_eq!(f.write_file(s.account, directory("b/e")).await, taken);
    let taken = f.write_file(s.account, directory("b-1")).await;
    assert_eq!(taken, Err(StoreError::Exists("file")));
    assert!(invalid(f.write_file(s.account, file("b-1/under", b"x")).await));
}

pub async fn a_path_that_leads_up_or_is_too_long_is_refused(store: Store) {
    let s = scene(&store).await;
    let (long, deep) = ("x".repeat(256), "a/".repeat(16) + "a");
    let longer = format!("{}/x", ["y".repeat(200).as_str(); 6].join("/"));
    let bad = ["", "/a", "a/", "a//b", ".", "..", "a/../b", "./a", "a\\b", "a\0b", "a\nb"];
    for path in bad.into_iter().chain([long.as_str(), &deep, &longer]) {
        assert!(invalid(store.files.write_file(s.account, file(path, b"x")).await), "{path}");
        assert!(invalid(
            store.files.rename_file(s.account, path, "a", NOW, FileRoom::default()).await
        ));
        assert!(invalid(store.files.remove_file(s.account, path).await));
        assert_eq!(store.files.file(s.account, path).await, Ok(None));
    }
    write(&s, "..a/ü .txt", "x").await;
    assert_eq!(names(&s, "..a").await, ["..a/ü .txt"]);
}

pub async fn a_directory_is_renamed_with_everything_below_it(store: Store) {
    let s = scene(&store).await;
    write(&s, "a/b/c", "deep").await;
    write(&s, "a/x", "flat").await;
    write(&s, "a-b", "beside").await;
    let rename = async |from: &str, to: &str| {
        store.files.rename_file(s.account, from, to, NOW, FileRoom::default()).await
    };
    rename("a", "n/m").await.unwrap();
    assert_eq!(names(&s, "").await, ["a-b", "n/"]);
    assert_eq!(names(&s, "n/m").await, ["n/m/b/", "n/m/x"]);
    assert_eq!(content(&s, "n/m/b/c").await, b"deep");
    rename("a-b", "n/m/b/d").await.unwrap();
    assert_eq!(content(&s, "n/m/b/d").await, b"beside");
    assert_eq!(rename("n/m/x", "n/m/b/c").await, Err(StoreError::Exists("file")));
    assert_eq!(rename("n", "n").await, Err(StoreError::Exists("file")));
    assert_eq!(rename("nothing", "z").await, Err(StoreError::NotFound("file")));
    assert!(invalid(rename("n/m", "n/m/b/m").await));
    assert!(invalid(rename("n/m/b", "n/m/x/b").await));
    assert_eq!(content(&s, "n/m/x").await, b"flat");
}

pub async fn a_file_or_an_empty_directory_is_removed(store: Store) {
    let s = scene(&store).await;
    let piece = write(&s, "a/b", "x").await.pieces.unwrap()[0];
    assert!(invalid(store.files.remove_file(s.account, "a").await));
    store.files.remove_file(s.account, "a/b").await.unwrap();
    assert_eq!(store.bodies.read(piece).await, Err(StoreError::NotFound("body")));
    store.files.remove_file(s.account, "a").await.unwrap();
    assert_eq!(names(&s, "").await, [""; 0]);
    let again = store.files.remove_file(s.account, "a").await;
    assert_eq!(again, Err(StoreError::NotFound("file")));
}

pub async fn an_account_keeps_no_more_files_than_there_is_room_for(store: Store) {
    let s = scene(&store).await;
    let room = FileRoom { octets: Some(10), files: Some(3) };
    let put = async |path: &str, text: &[u8]| {
        store.files.write_file(s.account, FileWrite { room, ..file(path, text) }).await.map(drop)
    };
    put("a/b", b"12345").await.unwrap();
    assert_eq!(put("c", b"123456").await, Err(StoreError::NoRoom("octets")));
    put("c", b"12345").await.unwrap();
    assert_eq!(put("d", b"").await, Err(StoreError::NoRoom("files")));
    let made = FileWrite { room, ..directory("d") };
    assert_eq!(store.files.write_file(s.account, made).await, Err(StoreError::NoRoom("files")));
    let moved = store.files.rename_file(s.account, "c", "d/c", NOW, room).await;
    assert_eq!(moved, Err(StoreError::NoRoom("files")));
    put("c", b"54321").await.unwrap();
    assert_eq!(put("c", b"654321").await, Err(StoreError::NoRoom("octets")));
    // What became too much by a smaller limit can still shrink and move.
    let small = FileRoom { octets: Some(1), files: Some(1) };
    let shrunk = FileWrite { room: small, ..file("c", b"12") };
    store.files.write_file(s.account, shrunk).await.unwrap();
    store.files.rename_file(s.account, "c", "d", NOW, small).await.unwrap();
    assert_eq!(content(&s, "d").await, b"12");
}

pub async fn files_at_the_same_time_stay_within_the_room(store: Store) {
    let s = scene(&store).await;
    let room = FileRoom { octets: Some(50), files: None };
    let tasks: Vec<_> = (0..12)
        .map(|n| {
            let (files, account) = (store.files.clone(), s.account);
            let one = FileWrite { room, ..file(&format!("f{n}"), &[b'x'; 10]) };
            tokio::spawn(async move { files.write_file(account, one).await.is_ok() })
        })
        .collect();
    let mut done = 0;
    for task in tasks {
        done += usize::from(task.await.unwrap());
    }
    assert_eq!((done, names(&s, "").await.len()), (5, 5));
}

pub async fn files_follow_their_account_and_go_with_it(store: Store) {
    let s = scene(&store).await;
    let piece = write(&s, "a/b", "mine").await.pieces.unwrap()[0];
    store.directory.rename_account(s.account, DOMAIN, "renamed").await.unwrap();
    assert_eq!(content(&s, "a/b").await, b"mine");
    store.directory.delete_account(s.account).await.unwrap();
    let gone = store.files.file(s.account, "a/b").await;
    assert_eq!(gone, Err(StoreError::NotFound("account")));
    let gone = store.files.write_file(s.account, file("a", b"x")).await;
    assert_eq!(gone, Err(StoreError::NotFound("account")));
    assert_eq!(store.bodies.read(piece).await, Err(StoreError::NotFound("body")));
}

pub async fn files_of_two_accounts_are_apart(store: Store) {
    let s = scene(&store).await;
    let other = Scene::account(&store, DOMAIN, "other").await;
    write(&s, "a", "mine").await;
    write(&other, "a", "theirs").await;
    assert_eq!(
        (content(&s, "a").await, content(&other, "a").await),
        (b"mine".into(), b"theirs".into())
    );
    other.store.files.remove_file(other.account, "a").await.unwrap();
    assert_eq!(content(&s, "a").await, b"mine");
}

pub async fn a_write_of_a_file_that_fails_changes_nothing_and_can_be_repeated(store: Store) {
    let s = scene(&store).await;
    write(&s, "a", "old").await;
    let plan = Plan::new();
    let f = s.again(&faulty::wrap(store.clone(), plan.clone()));
    plan.strike(None, 1, 3, Fault::Fail);
    let later = |answer: Result<()>| assert!(answer.unwrap_err().is_temporary());
    later(f.store.files.write_file(s.account, file("a", b"new")).await.map(drop));
    later(f.store.files.rename_file(s.account, "a", "b", NOW, FileRoom::default()).await);
    later(f.store.files.remove_file(s.account, "a").await);
    assert_eq!(
        (names(&s, "").await, content(&s, "a").await),
        (vec!["a".to_owned()], b"old".into())
    );
    plan.strike(None, 1, 1, Fault::CutOff);
    later(f.store.files.write_file(s.account, file("a", b"new")).await.map(drop));
    f.store.files.write_file(s.account, file("a", b"new")).await.unwrap();
    assert_eq!(content(&s, "a").await, b"new");
    let usage = store.files.file_usage(s.account, "").await.unwrap();
    assert_eq!(usage, FileUsage { octets: 3, files: 1, directories: 0 });
}
