//! Promises about the bytes of messages: staging, reading, sharing.

use bytes::Bytes;

use super::scene::{DOMAIN, NOW, Scene, digest, mail, queued, scene, uids};
use crate::{
    BodyId, MessageBody, NewMessage, NewQueued, RecipientStep, StagedBody, Step, Store, StoreError,
};

/// Octets that look like nothing, the same each time.
fn noise(length: usize) -> Vec<u8> {
    (0..length).map(|i| ((i * i) >> 3) as u8 ^ (i % 251) as u8).collect()
}

async fn stage(store: &Store, bytes: &[u8], piece: usize) -> StagedBody {
    let mut writer = store.bodies.stage();
    for part in bytes.chunks(piece) {
        writer.write(part).await.unwrap();
    }
    writer.finish().await.unwrap()
}

async fn append(s: &Scene, body: MessageBody) -> BodyId {
    let uid = s.append(s.inbox, vec![NewMessage { body, ..mail("") }]).await[0];
    s.entry(s.inbox, uid).await.body
}

pub async fn a_staged_message_is_appended_with_its_bytes(store: Store) {
    let s = scene(&store).await;
    let staged = stage(&store, b"From: a\r\n\r\nstaged", 5).await;
    assert_eq!((staged.size, staged.digest), (17, digest("From: a\r\n\r\nstaged")));
    let body = append(&s, MessageBody::Staged(staged)).await;
    assert_eq!(store.bodies.read(body).await.unwrap(), "From: a\r\n\r\nstaged");
}

pub async fn a_large_staged_message_comes_back_whole(store: Store) {
    let s = scene(&store).await;
    let bytes = noise(5_000_011);
    let staged = stage(&store, &bytes, 65_521).await;
    assert_eq!(staged.digest, *blake3::hash(&bytes).as_bytes());
    // Before it belongs to anything it can be read already, and no further than it goes.
    let part = store.bodies.read_staged(&staged, 5_000_000, 100).await.unwrap();
    assert_eq!(part, bytes[5_000_000..]);
    assert!(store.bodies.read_staged(&staged, u64::MAX, 1).await.unwrap().is_empty());
    let body = append(&s, MessageBody::Staged(staged)).await;
    assert!(store.bodies.read(body).await.unwrap() == bytes);
    let part = store.bodies.read_range(body, 4_000_000, 100).await.unwrap();
    assert_eq!(part, bytes[4_000_000..4_000_100]);
}

pub async fn staging_in_pieces_gives_the_same_digest(store: Store) {
    let bytes = noise(3000);
    let mut digests = Vec::new();
    for piece in [1, 7, 1024, 3000] {
        let staged = stage(&store, &bytes, piece).await;
        assert_eq!(staged.size, 3000);
        digests.push(staged.digest);
    }
    assert!(digests.iter().all(|one| one == blake3::hash(&bytes).as_bytes()));
    assert_eq!(stage(&store, b"", 1).await.size, 0);
}

pub async fn a_dropped_writer_leaves_nothing(store: Store) {
    let s = scene(&store).await;
    for length in [10, 3_000_000] {
        let mut writer = store.bodies.stage();
        writer.write(&noise(length)).await.unwrap();
        drop(writer);
        drop(stage(&store, &noise(length), 100_000).await);
    }
    assert_eq!(store.mailboxes.usage(s.account).await.unwrap(), (0, 0));
    s.fill(s.inbox, &["goes on"]).await;
    assert_eq!(s.texts(s.inbox).await, ["goes on"]);
}

pub async fn a_staged_body_may_be_used_more_than_once(store: Store) {
    let s = scene(&store).await;
    let other = Scene::account(&store, DOMAIN, "other").await;
    for bytes in [noise(10), noise(3_000_000)] {
        let staged = stage(&store, &bytes, 100_000).await;
        let one = append(&s, MessageBody::Staged(staged.clone())).await;
        let two = append(&other, MessageBody::Staged(staged.clone())).await;
        let new = NewQueued { body: MessageBody::Staged(staged), ..queued("", &[NOW]) };
        let three = store.queue.enqueue(new).await.unwrap().1;
        for body in [one, two, three] {
            assert!(store.bodies.read(body).await.unwrap() == bytes);
        }
    }
}

pub async fn a_part_of_a_body_is_read(store: Store) {
    let s = scene(&store).await;
    let body = append(&s, MessageBody::Bytes(Bytes::from_static(b"0123456789"))).await;
    let part = async |offset, length| store.bodies.read_range(body, offset, length).await.unwrap();
    assert_eq!(part(0, 10).await, "0123456789");
    assert_eq!(part(3, 4).await, "3456");
    assert_eq!(part(3, 0).await, "");
}

pub async fn a_part_past_the_end_is_shorter(store: Store) {
    let s = scene(&store).await;
    let body = append(&s, MessageBody::Bytes(Bytes::from_static(b"0123456789"))).await;
    let part = async |offset, length| store.bodies.read_range(body, offset, length).await.unwrap();
    assert_eq!(part(8, 5).await, "89");
    assert_eq!(part(10, 5).await, "");
    assert_eq!(part(u64::MAX, u64::MAX).await, "");
    assert_eq!(part(1, u64::MAX).await, "123456789");
}

pub async fn heads_are_read_in_the_order_asked_for(store: Store) {
    let s = scene(&store).await;
    let one = append(&s, MessageBody::Bytes(Bytes::from_static(b"H: one\r\n\r\nbody"))).await;
    let two = append(&s, MessageBody::Bytes(Bytes::from_static(b"H: two\r\n\r\nbody"))).await;
    let heads = store.bodies.read_heads(&[(two, 6), (one, 10), (two, 0), (one, 99)]).await.unwrap();
    assert_eq!(heads, ["H: two", "H: one\r\n\r\n", "", "H: one\r\n\r\nbody"]);
}

pub async fn bodies_are_read_in_the_order_asked_for(store: Store) {
    let s = scene(&store).await;
    s.fill(s.inbox, &["a", "b", "c"]).await;
    let ids: Vec<_> = s.entries(s.inbox).await.iter().map(|entry| entry.body).collect();
    let read = store.bodies.read_many(&[ids[2], ids[0], ids[1], ids[2]]).await.unwrap();
    assert_eq!(read, ["c", "a", "b", "c"]);
    assert!(store.bodies.read_many(&[]).await.unwrap().is_empty());
}

pub async fn summaries_are_given_back(store: Store) {
    let s = scene(&store).await;
    s.fill(s.inbox, &["a", "bb", "ccc"]).await;
    let ids: Vec<_> = s.entries(s.inbox).await.iter().rev().map(|entry| entry.body).collect();
    let summaries = store.bodies.summaries(&ids).await.unwrap();
    assert_eq!(summaries, ["summary of 3 octets", "summary of 2 octets", "summary of 1 octets"]);
}

/// The number of octets that a summary of the suite's messages names.
fn named(summary: &[u8]) -> u32 {
    let text = std::str::from_utf8(summary).unwrap_or_default();
    text.split(' ').nth(2).and_then(|number| number.parse().ok()).unwrap_or(0)
}

pub async fn tops_are_read_in_the_order_asked_for(store: Store) {
    let s = scene(&store).await;
    s.fill(s.inbox, &["a", "bb", "ccc", "dddd"]).await;
    let ids: Vec<_> = s.entries(s.inbox).await.iter().map(|entry| entry.body).collect();
    let asked = [ids[2], ids[0], ids[3], ids[1], ids[2]];
    let tops = store.bodies.tops(&asked, named, 1 << 20).await.unwrap();
    assert_eq!(
        tops.iter().map(|top| &top.head[..]).collect::<Vec<_>>(),
        [b"ccc".as_slice(), b"a", b"dddd", b"bb", b"ccc"]
    );
    let summaries = store.bodies.summaries(&asked).await.unwrap();
    assert!(tops.iter().map(|top| &top.summary).eq(summaries.iter()));
    let bare = store.bodies.tops(&ids, |_| 0, 1 << 20).await.unwrap();
    assert!(bare.len() == 4 && bare.iter().all(|top| top.head.is_empty()));
    let longer = store.bodies.tops(&ids[..1], |_| 99, 1 << 20).await.unwrap();
    assert_eq!(longer[0].head, "a");
    assert!(store.bodies.tops(&[], named, 1 << 20).await.unwrap().is_empty());
    let nothing = BodyId(ids[0].0 ^ 0x7f00_0000);
    let missing = Some(StoreError::NotFound("body"));
    assert_eq!(store.bodies.tops(&[nothing], named, 1 << 20).await.err(), missing);
}

pub async fn tops_stop_when_the_room_is_full_but_never_at_nothing(store: Store) {
    let s = scene(&store).await;
    let bodies: Vec<String> = (0..40).map(|n| "x".repeat(n * 7 % 31)).collect();
    let bodies: Vec<&str> = bodies.iter().map(String::as_str).collect();
    s.fill(s.inbox, &bodies).await;
    let up: Vec<_> = s.entries(s.inbox).await.iter().map(|entry| entry.body).collect();
    let down: Vec<_> = up.iter().rev().copied().collect();
    for ids in [up, down] {
        for room in [0, 1, 100, 700, 1 << 20] {
            let mut read = Vec::new();
            while read.len() < ids.len() {
                let more = store.bodies.tops(&ids[read.len()..], named, room).await.unwrap();
                assert!(!more.is_empty() && more.len() <= ids.len() - read.len());
                // What goes beyond the room is one top at most.
                let all = more.iter().map(|top| top.summary.len() + top.head.len());
                assert!(all.take(more.len() - 1).sum::<usize>() <= room.max(1));
                read.extend(more);
            }
            let heads = store.bodies.read_many(&ids).await.unwrap();
            assert!(read.iter().map(|top| &top.head).eq(heads.iter()));
        }
    }
}

pub async fn an_unknown_body_is_not_found(store: Store) {
    let s = scene(&store).await;
    let known = append(&s, MessageBody::Bytes(Bytes::from_static(b"x"))).await;
    let nothing = BodyId(known.0 ^ 0x7f00_0000);
    let missing = Some(StoreError::NotFound("body"));
    let b = &store.bodies;
    assert_eq!(b.read(nothing).await.err(), missing);
    assert_eq!(b.read_many(&[known, nothing]).await.err(), missing);
    assert_eq!(b.read_range(nothing, 0, 1).await.err(), missing);
    assert_eq!(b.read_heads(&[(known, 1), (nothing, 1)]).await.err(), missing);
    assert_eq!(b.summaries(&[nothing]).await.err(), missing);
    let new = NewMessage { body: MessageBody::Existing(nothing), ..mail("") };
    assert_eq!(store.mailboxes.append(s.account, s.inbox, vec![new]).await.err(), missing);
    assert_eq!(s.entries(s.inbox).await.len(), 1);
}

pub async fn a_queued_body_can_be_appended_without_its_bytes(store: Store) {
    let s = scene(&store).await;
    let other = Scene::account(&store, DOMAIN, "other").await;
    let (_, body) = store.queue.enqueue(queued("to all", &[NOW, NOW])).await.unwrap();
    for scene in [&s, &other] {
        let new = NewMessage { body: MessageBody::Existing(body), ..mail("") };
        let uid = scene.append(scene.inbox, vec![new]).await[0];
        let entry = scene.entry(scene.inbox, uid).await;
        assert_eq!((entry.size, entry.digest), (6, digest("to all")));
        assert_eq!(scene.texts(scene.inbox).await, ["to all"]);
    }
}

pub async fn a_delivered_body_outlives_its_queue_entry(store: Store) {
    let s = scene(&store).await;
    let (id, body) = store.queue.enqueue(queued("to stay", &[NOW])).await.unwrap();
    append(&s, MessageBody::Existing(body)).await;
    let steps = vec![RecipientStep { recipient: 0, step: Step::Done }];
    store.queue.settle(id, steps).await.unwrap();
    assert_eq!(s.texts(s.inbox).await, ["to stay"]);
    let other = s.make("other").await;
    store.mailboxes.move_messages(s.account, s.inbox, &uids(&[1]), other, NOW).await.unwrap();
    assert_eq!(s.texts(other).await, ["to stay"]);
}

pub async fn a_body_held_by_nothing_is_never_taken_for_another(store: Store) {
    let s = scene(&store).await;
    let old = append(&s, MessageBody::Bytes(Bytes::from_static(b"old"))).await;
    store.mailboxes.expunge(s.account, s.inbox, &uids(&[1]), false).await.unwrap();
    let new = append(&s, MessageBody::Bytes(Bytes::from_static(b"new"))).await;
    assert_ne!(old, new);
    assert_eq!(store.bodies.read(new).await.unwrap(), "new");
    match store.bodies.read(old).await {
        Ok(bytes) => assert_eq!(bytes, "old"),
        Err(error) => assert_eq!(error, StoreError::NotFound("body")),
    }
}

pub async fn an_existing_body_keeps_its_summary(store: Store) {
    let s = scene(&store).await;
    let (_, body) = store.queue.enqueue(queued("x", &[NOW])).await.unwrap();
    let existing = append(&s, MessageBody::Existing(body)).await;
    let summaries = store.bodies.summaries(&[body, existing]).await.unwrap();
    assert_eq!(summaries, ["queued summary", "queued summary"]);
}
