//! What search costs: indexes a corpus and asks it things.
//! `cargo run --release -p angarium-store-embedded --example search_cost -- CORPUS.mbx [messages]`,
//! with a corpus of `cargo xtask corpus`.

#![allow(clippy::unwrap_used, reason = "a measurement that cannot go on should stop")]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::time::Instant;

use angarium_message::search::{Fields, Place, Probe, ReadableText, fold, signature, words_of};
use angarium_store::{
    AccountId, AccountKind, AccountRecord, BodyId, DomainRecord, Flags, FuzzyText, InternalDate,
    MessageBody, NewMessage, Store, suite,
};
use angarium_store_embedded::{Options, open};
use bytes::Bytes;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let corpus = arguments.next().expect("the corpus");
    let most = arguments.next().map_or(20_000, |n| n.parse().unwrap());
    let messages = read(&corpus, most);
    let octets: usize = messages.iter().map(Bytes::len).sum();
    println!("{} messages, {} octets", messages.len(), octets);
    pure(&messages);
    let base = tempfile::TempDir::new().unwrap();
    let embedded = open(Options::new(base.path())).unwrap();
    let store = embedded.store();
    let (account, bodies) = suite::run(fill(&store, &messages));
    let began = Instant::now();
    let done = embedded.index_for_search().unwrap();
    println!("{done} bodies indexed in the foreground in {:?}", began.elapsed());
    suite::run(ask(&store, account, &bodies, &messages));
    embedded.close();
    for shard in 0..4 {
        let file = base.path().join(format!("shard-{shard}/search.sqlite"));
        println!("shard {shard}: {} octets", std::fs::metadata(file).unwrap().len());
    }
}

fn read(corpus: &str, most: usize) -> Vec<Bytes> {
    let mut file = BufReader::new(std::fs::File::open(corpus).unwrap());
    let mut messages = Vec::new();
    let mut line = String::new();
    while messages.len() < most && file.read_line(&mut line).unwrap() > 0 {
        let digits = line.split("\"size\":").nth(1).unwrap();
        let digits: String = digits.trim().chars().take_while(char::is_ascii_digit).collect();
        let mut bytes = vec![0; digits.parse().unwrap()];
        file.read_exact(&mut bytes).unwrap();
        messages.push(Bytes::from(bytes));
        line.clear();
    }
    messages
}

/// What the reckoning alone costs.
fn pure(messages: &[Bytes]) {
    let n = messages.len() as u32;
    let began = Instant::now();
    let texts: Vec<ReadableText> = messages.iter().map(|m| ReadableText::of(m)).collect();
    println!("readable text: {:?} a message", began.elapsed() / n);
    let began = Instant::now();
    let octets: usize = texts.iter().map(|text| signature(text).len()).sum();
    println!("signature: {:?} and {} octets a message", began.elapsed() / n, octets / texts.len());
    let began = Instant::now();
    let words: usize = messages.iter().map(|m| words_of(m).len()).sum();
    println!("words: {:?} and {} words a message", began.elapsed() / n, words / messages.len());
}

async fn fill(store: &Store, messages: &[Bytes]) -> (AccountId, Vec<BodyId>) {
    let domain = DomainRecord {
        name: "a.example".to_owned(),
        aliases: Vec::new(),
        settings: BTreeMap::new(),
        account_defaults: BTreeMap::new(),
        template: BTreeMap::new(),
        version: 0,
    };
    store.directory.create_domain(domain).await.unwrap();
    let account = AccountRecord {
        id: AccountId(0),
        domain: "a.example".to_owned(),
        name: "user".to_owned(),
        kind: AccountKind::MultiMailbox,
        aliases: Vec::new(),
        settings: BTreeMap::new(),
        rights: Vec::new(),
        subscription: Vec::new(),
        mailbox_aliases: BTreeMap::new(),
        info: BTreeMap::new(),
        version: 0,
    };
    let account = store.directory.create_account(account, 1_000).await.unwrap().id;
    let inbox = store.mailboxes.list(account).await.unwrap()[0].id;
    for some in messages.chunks(500) {
        let new = some.iter().map(|bytes| NewMessage {
            body: MessageBody::Bytes(bytes.clone()),
            summary: Bytes::new(),
            flags: Flags::default(),
            internal_date: InternalDate::default(),
            save_date: 1,
            uid: None,
            original_uid: None,
            pop_id: None,
            origin: None,
        });
        store.mailboxes.append(account, inbox, new.collect()).await.unwrap();
    }
    let entries = store.mailboxes.snapshot(account, inbox).await.unwrap().entries;
    (account, entries.iter().map(|entry| entry.body).collect())
}

async fn ask(store: &Store, account: AccountId, bodies: &[BodyId], messages: &[Bytes]) {
    let texts: Vec<ReadableText> = messages.iter().map(|m| ReadableText::of(m)).collect();
    for needle in ["qqzzxx", "the", "meeting", "invoice", "größe", "отчет", "日本", "attached file"]
    {
        let folded = fold(needle);
        let probes = [Probe::new(Place::Body, &folded)];
        let _warm = store.search.sift(bodies, &probes).await.unwrap();
        let began = Instant::now();
        let sifted = store.search.sift(bodies, &probes).await.unwrap();
        let time = began.elapsed();
        let may: Vec<BodyId> = bodies
            .iter()
            .zip(&sifted)
            .filter(|(_, sifted)| sifted.may_hold(0))
            .map(|(body, _)| *body)
            .collect();
        let there = texts.iter().filter(|t| t.body().any(|b| b.contains(&folded))).count();
        let began = Instant::now();
        let mut read = 0;
        for some in may.chunks(200) {
            for bytes in store.bodies.read_many(some).await.unwrap() {
                read += usize::from(ReadableText::of(&bytes).body().any(|b| b.contains(&folded)));
            }
        }
        let reading = began.elapsed();
        assert_eq!(read, there);
        println!(
            "{needle:?}: sifted in {time:?}, {} to read in {reading:?}, {there} hold it",
            may.len()
        );
    }
    let wrong = texts.len();
    println!("of {wrong} messages; now words");
    for word in ["meeting", "meetings", "invoise", "日本", "meeting invoice"] {
        let text = FuzzyText { text: word.to_owned(), fields: Fields::ALL };
        let began = Instant::now();
        let found = store.search.fuzzy(account, bodies, &text).await.unwrap();
        println!("fuzzy {word:?}: {} in {:?}", found.len(), began.elapsed());
    }
}
