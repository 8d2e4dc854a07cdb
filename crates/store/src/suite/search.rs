//! Promises about search: nothing is ruled out that is there, and words are found in any form.

use std::time::Duration;

use angarium_message::search::{Fields, Place, Probe, ReadableText, fold};
use bytes::Bytes;

use super::scene::{DOMAIN, NOW, Scene, mail, queued, scene};
use crate::{AccountId, BodyId, FuzzyText, MessageBody, NewMessage, Sifted, Store, StoreError};

fn letter(subject: &str, text: &str) -> String {
    format!(
        "From: Ann Miller <ann@test.example>\r\nTo: bob@test.example\r\nSubject: {subject}\r\n\
         Content-Type: text/plain; charset=utf-8\r\n\r\n{text}\r\n"
    )
}

fn probe(place: Place, text: &str) -> Probe {
    Probe::new(place, &fold(text))
}

async fn fill(s: &Scene, texts: &[String]) -> Vec<BodyId> {
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let uids = s.fill(s.inbox, &texts).await;
    let entries = s.entries(s.inbox).await;
    let body = |uid| entries.iter().find(|entry| entry.uid == uid).unwrap().body;
    uids.into_iter().map(body).collect()
}

/// What a sifting comes to when the store has had time to look through everything.
async fn settled(store: &Store, bodies: &[BodyId], probes: &[Probe]) -> Vec<Sifted> {
    let nothing = probe(Place::Anywhere, "qqxxqqzzkk");
    for _ in 0..400 {
        let known = store.search.sift(bodies, std::slice::from_ref(&nothing)).await.unwrap();
        if known.iter().all(|sifted| !sifted.may_hold(0)) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    store.search.sift(bodies, probes).await.unwrap()
}

async fn fuzzy(store: &Store, account: AccountId, bodies: &[BodyId], text: &str) -> Vec<usize> {
    let text = FuzzyText { text: text.to_owned(), fields: Fields::ALL };
    let found = store.search.fuzzy(account, bodies, &text).await.unwrap();
    assert!(found.iter().all(|(_, score)| (1..=100).contains(score)), "{found:?}");
    let mut at: Vec<usize> = found
        .iter()
        .map(|(body, _)| bodies.iter().position(|known| known == body).unwrap())
        .collect();
    at.sort_unstable();
    at
}

pub async fn what_is_in_a_body_is_never_ruled_out(store: Store) {
    let s = scene(&store).await;
    let bodies = fill(&s, &[letter("Ernte", "Äpfel und Birnen"), letter("x", "東京都庁")]).await;
    let probes = [
        probe(Place::Header, "ernte"),
        probe(Place::Body, "ÄPFEL UND"),
        probe(Place::Anywhere, "miller"),
        probe(Place::Body, "京都"),
    ];
    for _ in 0..3 {
        let found = store.search.sift(&bodies, &probes).await.unwrap();
        assert!(found[0].may_hold(0) && found[0].may_hold(1) && found[0].may_hold(2));
        assert!(found[1].may_hold(2) && found[1].may_hold(3));
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
}

pub async fn what_is_not_in_a_body_is_ruled_out_in_the_end(store: Store) {
    let s = scene(&store).await;
    let bodies = fill(&s, &[letter("Harvest", "apples"), letter("Shipping", "pears")]).await;
    let probes = [
        probe(Place::Header, "harvest"),
        probe(Place::Body, "pears"),
        probe(Place::Body, "harvest"),
        probe(Place::Anywhere, "nowhere"),
    ];
    let found = settled(&store, &bodies, &probes).await;
    let told: Vec<Vec<bool>> =
        found.iter().map(|one| (0..4).map(|at| one.may_hold(at)).collect()).collect();
    assert_eq!(told, [[true, false, false, false], [false, true, false, false]]);
}

pub async fn an_unknown_body_may_hold_anything(store: Store) {
    let s = scene(&store).await;
    let bodies = fill(&s, &[letter("x", "y")]).await;
    let unknown = BodyId(bodies[0].0 ^ 0x7f00_0000);
    let asked = [unknown, bodies[0], unknown];
    let found = store.search.sift(&asked, &[probe(Place::Body, "nowhere")]).await.unwrap();
    assert!(found.len() == 3 && found[0].may_hold(0) && found[2].may_hold(0));
    assert!(store.search.sift(&[], &[]).await.unwrap().is_empty());
}

pub async fn random_needles_are_ruled_out_only_where_they_are_not(store: Store) {
    let s = scene(&store).await;
    let mut state = 7u64;
    let mut next = |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 33) % below
    };
    let mut word = |longest: u64| -> String {
        let letters = ['a', 'e', 'n', 'r', 'T', 'ü', 'ж', 'Σ', '都', ' '];
        (0..=next(longest)).map(|_| letters[next(10) as usize]).collect()
    };
    let texts: Vec<String> = (0..30).map(|_| letter(&word(20), &word(200))).collect();
    let needles: Vec<String> = (0..60).map(|_| word(4)).collect();
    let bodies = fill(&s, &texts).await;
    let probes: Vec<Probe> = needles.iter().map(|needle| probe(Place::Body, needle)).collect();
    let found = settled(&store, &bodies, &probes).await;
    for (text, sifted) in texts.iter().zip(found) {
        let read = ReadableText::of(text.as_bytes());
        for (at, needle) in needles.iter().enumerate() {
            let there = read.body().any(|body| body.contains(&fold(needle)));
            assert!(!there || sifted.may_hold(at), "{needle:?} in {text:?}");
        }
    }
}

pub async fn words_are_found_in_any_form(store: Store) {
    let s = scene(&store).await;
    let texts = [
        letter("Quarterly invoices", "Please find them attached."),
        letter("Photography", "The CAFÉ was naïve."),
        letter("Отчёт", "Заказы приняты. 東京都庁からのお知らせ"),
    ];
    let bodies = fill(&s, &texts).await;
    let find = async |text: &str| fuzzy(&store, s.account, &bodies, text).await;
    for text in ["invoice", "INVOICED", "invoces", "quarter", "find attached"] {
        assert_eq!(find(text).await, [0], "{text}");
    }
    for text in ["photo", "cafe", "NAIVE", "photogrphy"] {
        assert_eq!(find(text).await, [1], "{text}");
    }
    for text in ["отчет", "заказов", "東京", "京都庁", "知"] {
        assert_eq!(find(text).await, [2], "{text}");
    }
    assert_eq!(find("miller").await, [0, 1, 2]);
    for text in ["zebra", "", "!!", "cat"] {
        assert!(find(text).await.is_empty(), "{text}");
    }
}

pub async fn a_better_match_is_more_relevant(store: Store) {
    let s = scene(&store).await;
    let texts = [
        letter("Harvest", "harvest"),
        letter("x", "The harvest is in."),
        letter("x", "We are harvesting."),
        letter("x", "The harvezt is in."),
    ];
    let bodies = fill(&s, &texts).await;
    let text = FuzzyText { text: "harvest".to_owned(), fields: Fields::ALL };
    let found = store.search.fuzzy(s.account, &bodies, &text).await.unwrap();
    let score = |at: usize| found.iter().find(|(body, _)| *body == bodies[at]).unwrap().1;
    assert!(score(0) > score(1) && score(1) > score(2) && score(2) > score(3), "{found:?}");
}

pub async fn a_fuzzy_text_is_looked_for_in_its_fields(store: Store) {
    let s = scene(&store).await;
    let bodies = fill(&s, &[letter("Harvest", "apples"), letter("Apples", "harvest")]).await;
    for (word, fields, expected) in [
        ("harvest", Fields::SUBJECT, vec![bodies[0]]),
        ("harvest", Fields::BODY, vec![bodies[1]]),
        ("ann", Fields::FROM, bodies.clone()),
        ("ann", Fields::TO, vec![]),
        ("bob", Fields::HEADER, bodies.clone()),
    ] {
        let text = FuzzyText { text: word.to_owned(), fields };
        let found = store.search.fuzzy(s.account, &bodies, &text).await.unwrap();
        assert_eq!(found.iter().map(|one| one.0).collect::<Vec<_>>(), expected, "{word}");
    }
}

pub async fn every_word_of_a_fuzzy_text_must_be_found(store: Store) {
    let s = scene(&store).await;
    let bodies = fill(&s, &[letter("x", "red apples"), letter("x", "green apples")]).await;
    assert_eq!(fuzzy(&store, s.account, &bodies, "apple").await, [0, 1]);
    assert_eq!(fuzzy(&store, s.account, &bodies, "green apple").await, [1]);
    assert!(fuzzy(&store, s.account, &bodies, "green pear").await.is_empty());
}

pub async fn only_the_bodies_asked_for_are_found(store: Store) {
    let s = scene(&store).await;
    let bodies = fill(&s, &[letter("Harvest", "a"), letter("Harvest", "b")]).await;
    let other = Scene::account(&store, DOMAIN, "other").await;
    let theirs = fill(&other, &[letter("Harvest", "c")]).await;
    assert_eq!(fuzzy(&store, s.account, &bodies, "harvest").await, [0, 1]);
    assert_eq!(fuzzy(&store, s.account, &bodies[1..], "harvest").await, [0]);
    assert_eq!(fuzzy(&store, other.account, &theirs, "harvest").await, [0]);
    assert!(fuzzy(&store, other.account, &[], "harvest").await.is_empty());
}

pub async fn a_shared_body_is_found_in_each_account(store: Store) {
    let s = scene(&store).await;
    let other = Scene::account(&store, DOMAIN, "other").await;
    let text = letter("Harvest", "for all");
    let (_, body) = store.queue.enqueue(queued(&text, &[NOW, NOW])).await.unwrap();
    for one in [&s, &other] {
        let new = NewMessage { body: MessageBody::Existing(body), ..mail("") };
        one.append(one.inbox, vec![new]).await;
        assert_eq!(fuzzy(&store, one.account, &[body], "harvests").await, [0]);
    }
}

pub async fn new_bodies_are_found_at_once(store: Store) {
    let s = scene(&store).await;
    let mut bodies = Vec::new();
    for n in 0..5 {
        bodies.extend(fill(&s, &[letter("Harvest", &format!("number {n}"))]).await);
        assert_eq!(fuzzy(&store, s.account, &bodies, "harvest").await.len(), n + 1);
    }
    let many: Vec<String> = (0..300).map(|n| letter("Many", &format!("number{n}"))).collect();
    let many = fill(&s, &many).await;
    assert_eq!(fuzzy(&store, s.account, &many, "many").await.len(), 300);
    // With those that are one figure apart.
    let found = fuzzy(&store, s.account, &many, "number299").await;
    assert!(found.contains(&299) && found.len() < 60, "{found:?}");
}

pub async fn hostile_bodies_are_looked_through_too(store: Store) {
    // ABU-47
    let s = scene(&store).await;
    let noise: Vec<u8> =
        (0..400_000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let nested = "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n".repeat(2000);
    let lies = "Content-Type: text/plain; charset=utf-16\r\n\
                Content-Transfer-Encoding: base64\r\n\r\n=A=A==*!\u{1}";
    let hostile: Vec<Vec<u8>> = vec![
        noise,
        nested.into_bytes(),
        lies.as_bytes().to_vec(),
        Vec::new(),
        b"Content-Type: text/html\r\n\r\n<<<!--<style><a &#xffffffff; &#0;".to_vec(),
        b"begin 644 x\r\nM".repeat(5000),
    ];
    let messages = hostile.iter().map(|bytes| NewMessage {
        body: MessageBody::Bytes(Bytes::from(bytes.clone())),
        ..mail("")
    });
    s.append(s.inbox, messages.collect()).await;
    let bodies = fill(&s, &[letter("Harvest", "after all that")]).await;
    let found = settled(&store, &bodies, &[probe(Place::Body, "nowhere")]).await;
    assert!(!found[0].may_hold(0));
    let all: Vec<BodyId> = s.entries(s.inbox).await.iter().map(|entry| entry.body).collect();
    assert_eq!(fuzzy(&store, s.account, &all, "harvest").await, [hostile.len()]);
}

pub async fn a_fuzzy_search_of_an_unknown_account_is_refused(store: Store) {
    let text = FuzzyText { text: "x".to_owned(), fields: Fields::ALL };
    let found = store.search.fuzzy(AccountId(9_999), &[], &text).await;
    assert_eq!(found.err(), Some(StoreError::NotFound("account")));
}
