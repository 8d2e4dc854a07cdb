//! Mail that waits until it is asked for: ETRN, ATRN, and two servers of ours that do both over
//! real sockets. ABU-18.
#![allow(clippy::unwrap_used, reason = "a test may")]

mod far;
mod house;

use std::time::Duration;

use angarium_accounts::{Dictionary, SettingsKey, Value};
use angarium_transfer::send::TlsClient;
use angarium_transfer::{ConnectionInfo, ReceiverSettings, SendingOptions, Source, Submit, serve};
use base64::Engine as _;
use far::{Far, Names, Script};
use house::{Client, House};
use tokio::io::{AsyncWriteExt, DuplexStream};
use tokio::net::TcpListener;

/// Puts a message for another system into the queue of its domain.
async fn wait_for(house: &House, to: &str, subject: &str) {
    let submit = Submit::new(Source::Pop, "alice@main.example", &[to]);
    let text = format!("Subject: {subject}\r\n\r\nbody\r\n");
    house.transfer.submitter().submit_message(submit, text.as_bytes()).await.unwrap();
}

/// A house whose queue of this domain is held.
async fn holding(domain: &str) -> House {
    hold(House::new().await, domain).await
}

async fn hold(house: House, domain: &str) -> House {
    let held = vec![Value::from(domain), Value::from("probe.example")];
    let settings = Dictionary::from([("HoldMailForDomains".to_owned(), Value::Array(held))]);
    let key = SettingsKey::Module("Queue".into());
    house.store.directory.set_settings(&key, settings, None).await.unwrap();
    house.passwords().await;
    // Settings are heard of in their own time: until a queue is seen to be held.
    for _ in 0..500 {
        wait_for(&house, "x@probe.example", "probe").await;
        house.transfer.wake();
        let seen = house.transfer.desk().queue("SMTP", "probe.example").await.unwrap();
        if seen.is_some_and(|queue| queue.held) {
            return house;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the queue is not held");
}

async fn queued(house: &House, queue: &str) -> u64 {
    house.transfer.queued(queue).await.unwrap()
}

/// Alice on an encrypted connection, her domains set.
async fn alice(house: &House, domains: &str) -> Client<DuplexStream> {
    house.set("alice@main.example", "ATRNDomains", domains).await;
    let settings = ReceiverSettings { clear_text_logins: true, ..ReceiverSettings::default() };
    let mut client = house.connect(settings, None, true);
    client.expect("220").await;
    assert!(client.hello().await.contains("|250-ATRN|"));
    let plain = base64::engine::general_purpose::STANDARD.encode("\0alice@main.example\0secret");
    client.say(&format!("AUTH PLAIN {plain}"), "235").await;
    client
}

/// A house that sends to `far`, the host of `far.example`, and keeps its mail.
async fn sending_to(far: &Far, names: &Names) -> House {
    let options = SendingOptions { port: Some(far.port), ..SendingOptions::default() };
    let house = House::sending(names.settings(), &options).await;
    hold(house, "far.example").await
}

/// Waits until so many messages are left in a queue.
async fn left(house: &House, queue: &str, count: u64) {
    for _ in 0..500 {
        if queued(house, queue).await == count {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{} messages are left in {queue}", queued(house, queue).await);
}

#[tokio::test]
async fn rte_10_etrn_releases_all_mail_of_one_queue_and_says_how_much_there_was() {
    let (names, far) = (Names::with_far().await, Far::new(Script::default()).await);
    let house = sending_to(&far, &names).await;
    // A second domain of the same client is kept in the queue of the first.
    router(&house, "second.example = second.example@far.example._via").await;
    wait_for(&house, "a@far.example", "one").await;
    wait_for(&house, "b@second.example", "two").await;
    left(&house, "far.example", 2).await;
    house.transfer.wake();
    let mut client = house.client().await;
    client.hello().await;
    client.say("ETRN second.example", "251 2.0.0").await;
    assert!(far.got().is_empty());
    client.say("ETRN FAR.example", "253 2.0.0 2 pending messages").await;
    let mut to: Vec<String> = far.has(2).await.into_iter().flat_map(|mail| mail.to).collect();
    to.sort();
    assert_eq!(to, ["a@far.example", "b@second.example"]);
    left(&house, "far.example", 0).await;
    // What comes later is kept again; the domains below are released with `@`, names with `#`.
    for (word, answer) in [("@far.example", "252 2.0.0"), ("#far.example", "253 2.0.0 1")] {
        let before = far.got().len();
        wait_for(&house, "c@far.example", "three").await;
        left(&house, "far.example", 1).await;
        client.say(&format!("ETRN {word}"), answer).await;
        far.has(before + 1).await;
        left(&house, "far.example", 0).await;
    }
    client.say("ETRN far.example", "251 2.0.0").await;
}

#[tokio::test]
async fn who_asks_too_often_is_told_to_wait() {
    let house = House::new().await;
    let flow = Value::Array(vec![Value::from("2"), Value::from("10m")]);
    let own = Dictionary::from([("ETRNFlow".to_owned(), flow)]);
    let few = ReceiverSettings { own, ..ReceiverSettings::default() };
    let mut client = house.connect(few, None, false);
    client.expect("220").await;
    client.hello().await;
    client.say("ETRN client.example", "251").await;
    client.say("ETRN client.example", "251").await;
    client.say("ETRN client.example", "458 4.7.0").await;
    house.clock.0.fetch_add(300, std::sync::atomic::Ordering::SeqCst);
    client.say("ETRN client.example", "251").await;
    client.say("ETRN client.example", "458 4.7.0").await;
}

#[tokio::test]
async fn rte_10_a_wake_up_message_releases_a_queue_if_its_word_is_right() {
    let (names, far) = (Names::with_far().await, Far::new(Script::default()).await);
    let house = sending_to(&far, &names).await;
    let key = SettingsKey::Module("SMTP".into());
    let wake = async |to: &str, subject: &str| {
        let text = format!("Subject: {subject}\r\n\r\nwake up\r\n");
        // Anybody may: what is released goes only to whom it belongs.
        let submit = Submit::new(Source::Smtp, "anybody@elsewhere.example", &[to]);
        house.transfer.submitter().submit_message(submit, text.as_bytes()).await.unwrap();
    };
    let mut sent = 0;
    for to in ["far.example@wakeup", "far.example-wakeup@main.example"] {
        wait_for(&house, "a@far.example", "one").await;
        left(&house, "far.example", 1).await;
        wake(to, "hello").await;
        sent += 1;
        far.has(sent).await;
        left(&house, "far.example", 0).await;
    }
    // A friendlier name by the Router, and now a word is asked for.
    router(&house, "<client1-wake> = far.example@wakeup").await;
    let mut settings = names.settings();
    settings.insert("WakeUpPassword".to_owned(), Value::from("open sesame"));
    house.store.directory.set_settings(&key, settings, None).await.unwrap();
    wait_for(&house, "a@far.example", "two").await;
    left(&house, "far.example", 1).await;
    for wrong in ["", "open", "Open Sesame", "open  sesame!"] {
        wake("client1-wake@main.example", wrong).await;
    }
    // All of them are gone without effect and without a word to anybody.
    left_in_all(&house, 1).await;
    assert_eq!(far.got().len(), sent);
    wake("client1-wake@main.example", "open sesame").await;
    far.has(sent + 1).await;
    left_in_all(&house, 0).await;
    assert!(house.inbox("postmaster@main.example").await.is_empty());
}

/// Waits until so many messages are left, beside the one that shows that a queue is held.
async fn left_in_all(house: &House, count: u64) {
    for _ in 0..500 {
        let probes = queued(house, "probe.example").await;
        if house.store.queue.count().await.unwrap() == count + probes {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the queue holds other messages");
}

#[tokio::test]
async fn rte_11_etrn_says_how_much_waits_and_starts_it() {
    let house = House::new().await;
    wait_for(&house, "x@client.example", "one").await;
    wait_for(&house, "x@below.client.example", "two").await;
    let mut client = house.client().await;
    assert!(client.hello().await.contains("|250-ETRN|"));
    client.say("ETRN nobody.example", "251 2.0.0").await;
    client.say("ETRN @nobody.example", "251 2.0.0").await;
    client.say("ETRN", "501").await;
    let none = house::own("ETRNAllowed", "authenticated");
    let mut stranger = house.connect(none, None, false);
    stranger.expect("220").await;
    stranger.hello().await;
    stranger.say("ETRN client.example", "459").await;
    let off = house::own("ETRNAllowed", "nobody");
    let mut stranger = house.connect(off, None, false);
    stranger.expect("220").await;
    assert!(!stranger.hello().await.contains("ETRN"));
    stranger.say("ETRN client.example", "502").await;
}

#[tokio::test]
async fn rte_12_atrn_turns_the_roles_and_hands_the_mail_over() {
    let house = holding("client.example").await;
    wait_for(&house, "joe@client.example", "first").await;
    wait_for(&house, "jim@client.example", "second").await;
    let mut client = alice(&house, "client.example").await;
    client.say("ATRN other.example", "450 4.7.1").await;
    client.say("ATRN client.example,other.example", "450 4.7.1").await;
    client.say("ATRN client.example", "250").await;
    // From here on the client is the server.
    let mut seen = Vec::new();
    client.send("220 client.example ESMTP\r\n").await;
    let mut content = false;
    loop {
        let line = line(&mut client).await;
        let Some(line) = line else { break };
        let word = line.split([' ', ':']).next().unwrap_or_default().to_owned();
        if content {
            if line == "." {
                content = false;
                client.send("250 2.0.0 taken\r\n").await;
            } else if line.starts_with("Subject") {
                seen.push(line);
            }
            continue;
        }
        match word.as_str() {
            "EHLO" => client.send("250-client.example\r\n250 8BITMIME\r\n").await,
            "DATA" => {
                content = true;
                client.send("354 go on\r\n").await;
            }
            "QUIT" => {
                client.send("221 bye\r\n").await;
                break;
            }
            _ => client.send("250 ok\r\n").await,
        }
    }
    seen.sort();
    assert_eq!(seen, ["Subject: first", "Subject: second"]);
    for _ in 0..500 {
        if queued(&house, "client.example").await == 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let mut client = alice(&house, "client.example").await;
    client.say("ATRN", "453 ").await;
}

/// One line of the other side, without its end.
async fn line(client: &mut Client<DuplexStream>) -> Option<String> {
    loop {
        if let Some(end) = client.buffer.iter().position(|b| *b == b'\n') {
            let line: Vec<u8> = client.buffer.drain(..=end).collect();
            return Some(String::from_utf8(line).unwrap().trim_end().to_owned());
        }
        let mut chunk = [0; 4096];
        let read = tokio::io::AsyncReadExt::read(&mut client.stream, &mut chunk);
        match tokio::time::timeout(Duration::from_secs(10), read).await.unwrap() {
            Ok(n) if n > 0 => client.buffer.extend_from_slice(&chunk[..n]),
            _ => return None,
        }
    }
}

#[tokio::test]
async fn abu_18_a_line_cut_in_a_message_loses_nothing() {
    let house = holding("client.example").await;
    wait_for(&house, "joe@client.example", "first").await;
    for cut_at in ["220 x\r\n", "220 x\r\n250 x\r\n250 ok\r\n250 ok\r\n354 go\r\n", ""] {
        let mut client = alice(&house, "client.example").await;
        client.say("ATRN", "250").await;
        client.send(cut_at).await;
        client.stream.shutdown().await.unwrap();
        drop(client);
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert_eq!(queued(&house, "client.example").await, 1, "{cut_at:?}");
    }
    // Nobody else's mail goes to her either.
    let mut client = alice(&house, "None").await;
    client.say("ATRN client.example", "450").await;
    client.say("ATRN", "450").await;
}

#[tokio::test]
async fn rte_13_a_server_of_ours_fetches_the_mail_of_its_domains_by_atrn() {
    // At the provider's: mail for two domains in the queue of one.
    let provider = holding("client.example").await;
    provider.set("alice@main.example", "ATRNDomains", "client.example").await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    let settings = ReceiverSettings { clear_text_logins: true, ..ReceiverSettings::default() };
    let receiver = provider.transfer.receiver(settings, None);
    tokio::spawn(async move {
        while let Ok((stream, peer)) = listener.accept().await {
            let local = stream.local_addr().unwrap();
            let info = ConnectionInfo { session: 1, peer, local, tls: false };
            tokio::spawn(serve(stream, info, receiver.clone()));
        }
    });
    router(&provider, "second.example = second.example@client.example._via").await;
    wait_for(&provider, "bob@client.example", "for one").await;
    wait_for(&provider, "carol@second.example", "for the other").await;
    assert_eq!(queued(&provider, "client.example").await, 2);
    // At the client's.
    let client = House::new().await;
    router(&client, "client.example = main.example\nsecond.example = other.example").await;
    let entry = format!(
        "{{Host=\"[127.0.0.1]:{}\";Domains=(client.example);Method=ATRN;\
         AuthName=\"alice@main.example\";Password=secret;TLS=never;}}",
        at.port()
    );
    let entry = angarium_objects::text::parse_line(&entry).unwrap();
    let all = Dictionary::from([("RemoteQueueStarting".to_owned(), Value::Array(vec![entry]))]);
    let key = SettingsKey::Module("SMTP".into());
    client.store.directory.set_settings(&key, all, None).await.unwrap();
    client.transfer.start_remote_queues(TlsClient::new(Vec::new()).unwrap());
    for _ in 0..500 {
        if queued(&provider, "client.example").await == 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(queued(&provider, "client.example").await, 0);
    client.settled().await;
    assert!(client.inbox("bob@main.example").await[0].contains("Subject: for one"));
    assert!(client.inbox("carol@other.example").await[0].contains("Subject: for the other"));
}

async fn router(house: &House, table: &str) {
    let settings = Dictionary::from([("Table".to_owned(), Value::from(table))]);
    house.store.directory.set_settings(&SettingsKey::Router, settings, None).await.unwrap();
}
