//! What is not taken: relaying, smuggling, floods, loops. ABU-01, 03, 04, 05, 09, 10, 11, 12.
#![allow(clippy::unwrap_used, reason = "a test may")]

mod house;

use std::time::Duration;

use angarium_transfer::ReceiverSettings;
use house::{House, own};

#[tokio::test]
async fn nothing_is_relayed_whatever_the_address_looks_like() {
    // ABU-05
    let house = House::new().await;
    let forms = [
        "x@outside.example",
        "<x@outside.example",
        "x%outside.example@main.example",
        "x%outside.example%other.example@main.example",
        "x%outside.example",
        "outside.example!x",
        "outside.example!x@main.example",
        "main.example!outside.example!x",
        "@main.example:x@outside.example",
        "@main.example,@other.example:x@outside.example",
        "@outside.example:alice@main.example",
        "\"x@outside.example\"",
        "\"x@outside.example\"@main.example",
        "\"x%outside.example\"@main.example",
        "\"outside.example!x\"@main.example",
        "x@[192.0.2.77]",
        "x@[IPv6:2001:db8::77]",
        "x@192.0.2.77",
        "x%[192.0.2.77]@main.example",
        "x%outside.example@[127.0.0.1]",
        "x@outside.example.",
        "x@outside.example.smtp",
        "x@outside.example.via",
        "x@outside.example._via",
        "x@outside.example._smtp",
        "x%main.example@outside.example.smtp",
        "alice%main.example@outside.example._via",
        "x@outside.example.25.smtp",
        "x%outside.example._via@main.example",
        "x@outside.example.relay",
        "x@outside.example@main.example",
        "@outside.example",
        "\"\"@outside.example",
        "x@outsıde.example",
        "x%outside.example@other.example",
        " x@outside.example",
        "alice@main.example,x@outside.example",
        "alice@main.example>,<x@outside.example",
    ];
    for form in forms {
        let mut client = house.client().await;
        client.hello().await;
        client.say("MAIL FROM:<alice@main.example> SMTPUTF8", "250").await;
        client.send(format!("RCPT TO:<{form}>\r\n")).await;
        let reply = client.reply().await;
        assert!(reply.starts_with('5'), "{form}: {reply}");
        client.say("DATA", "503").await;
    }
    let mut client = house.client().await;
    client.hello().await;
    client.say("MAIL FROM:<x@far.example>", "250").await;
    let reply = client.say("RCPT TO:<x@outside.example>", "550").await;
    assert_eq!(reply, "550 5.7.1 <x@outside.example> relaying denied");
    let reply = client.say("RCPT TO:<nobody@main.example>", "550").await;
    assert_eq!(reply, "550 5.1.1 <nobody@main.example> unknown user account");
    assert_eq!(house.store.queue.count().await.unwrap(), 0);
}

#[tokio::test]
async fn names_that_look_like_commands_are_names() {
    // ABU-07
    let house = House::new().await;
    let mut client = house.client().await;
    client.hello().await;
    client.say("MAIL FROM:<x@far.example>", "250").await;
    for name in ["|/bin/sh", "-oQ/tmp", "../../etc/passwd", "a';drop table x", "*", ":include:/x"] {
        let quoted = name.replace('\\', "\\\\");
        client.say(&format!("RCPT TO:<\"{quoted}\"@main.example>"), "550").await;
    }
}

#[tokio::test]
async fn no_line_end_but_crlf_ends_a_message() {
    // ABU-01
    let house = House::new().await;
    for end in ["\n.\n", "\r.\r", "\r\n.\n", "\n.\r\n", "\r\n.\r", "\r.\r\n", "\n.\r", "\r.\n"] {
        let mut client = house.client().await;
        client.hello().await;
        client.say("MAIL FROM:<x@far.example>", "250").await;
        client.say("RCPT TO:<bob@main.example>", "250").await;
        client.say("DATA", "354").await;
        let hidden = "MAIL FROM:<evil@main.example>\r\nRCPT TO:<bob@main.example>\r\nDATA\r\nevil";
        client.send(format!("A: b\r\n\r\nfirst{end}{hidden}\r\n.\r\n")).await;
        client.expect("550 5.6.0").await;
        client.say("NOOP", "250").await;
        // The session goes on with a clean message.
        let reply = client.mail("x@far.example", &["bob@main.example"], "A: good\r\n\r\n").await;
        assert!(reply.starts_with("250"));
    }
    // NUL beside the dot is content.
    let mut client = house.client().await;
    client.hello().await;
    let text = "A: nul\r\n\r\nx\r\n.\0\r\n\0.\r\ny\r\n";
    client.mail("x@far.example", &["carol@other.example"], text).await;
    house.settled().await;
    let inbox = house.inbox("bob@main.example").await;
    assert_eq!(inbox.len(), 8);
    assert!(inbox.iter().all(|m| !m.contains("evil")));
    assert!(house.inbox("carol@other.example").await[0].ends_with("x\r\n\0\r\n\0.\r\ny\r\n"));
}

#[tokio::test]
async fn floods_meet_a_limit_and_a_close() {
    // ABU-09, ABU-10
    let house = House::new().await;
    let floods = [
        "NOOP\r\n".repeat(100_000),
        "RSET\r\n".repeat(100_000),
        "MAIL FROM:<x@far.example>\r\n".repeat(1000),
        format!("MAIL FROM:<x@far.example>\r\n{}", "RCPT TO:<no@main.example>\r\n".repeat(10_000)),
        "x".repeat(2_000_000),
        "BDAT 18446744073709551615\r\nRSET\r\n".to_owned(),
        "BDAT LAST 0\r\nRSET\r\n".to_owned(),
    ];
    for (n, flood) in floods.into_iter().enumerate() {
        // Each from another address: one that floods is not let in again for a while.
        let from = format!("192.0.2.{}:4321", 20 + n);
        let mut client = house.connect_from(&from, ReceiverSettings::default(), None, false);
        client.expect("220 ").await;
        client.hello().await;
        let mut last = String::new();
        let (mut reader, mut writer) = tokio::io::split(client.stream);
        let send = tokio::spawn(async move {
            let _ = tokio::io::AsyncWriteExt::write_all(&mut writer, flood.as_bytes()).await;
        });
        let mut all = Vec::new();
        tokio::io::AsyncReadExt::read_to_end(&mut reader, &mut all).await.unwrap();
        for line in String::from_utf8(all).unwrap().lines() {
            last = line.to_owned();
        }
        assert!(last.starts_with("421") || last.starts_with('5'), "{last}");
        send.await.unwrap();
    }
    let mut client = house.client().await;
    client.hello().await;
    client.say("MAIL FROM:<x@far.example> SIZE=1000000000", "552 5.3.4").await;
    client.say("MAIL FROM:<x@far.example> SIZE=0", "250").await;
    client.say("RSET", "250").await;
    client.say("BDAT 5 LAST\r\nNOOP\r", "503").await;
    assert_eq!(house.store.queue.count().await.unwrap(), 0);
}

#[tokio::test]
async fn a_lie_about_size_is_found_out() {
    // ABU-09
    let house = House::new().await;
    let settings = own("MessageSizeLimit", "1000");
    let mut client = house.connect(settings, None, false);
    client.expect("220").await;
    client.hello().await;
    let large = "x\r\n".repeat(2000);
    let reply = client.mail("x@far.example", &["bob@main.example"], &large).await;
    assert!(reply.starts_with("552 5.3.4"), "{reply}");
    client.say("MAIL FROM:<x@far.example> SIZE=1001", "552").await;
    let reply = client.mail("x@far.example", &["bob@main.example"], "A: b\r\n\r\n").await;
    assert!(reply.starts_with("250"));
}

#[tokio::test]
async fn a_full_account_is_known_at_rcpt() {
    // ABU-10: SIZE over quota.
    let house = House::new().await;
    house.set("bob@main.example", "MaxAccountSize", "1K").await;
    house.set("alice@main.example", "MaxMessageSize", "1K").await;
    let mut client = house.client().await;
    client.hello().await;
    client.say("MAIL FROM:<x@far.example> SIZE=2000", "250").await;
    client.say("RCPT TO:<bob@main.example>", "452 4.2.2").await;
    client.say("RCPT TO:<alice@main.example>", "552 5.2.3").await;
    client.say("RCPT TO:<carol@other.example>", "250").await;
    client.say("RSET", "250").await;
    // Who does not say how much is coming waits in the queue until there is room.
    let content = format!("Subject: big\r\n\r\n{}", "0123456789\r\n".repeat(200));
    let reply = client.mail("x@far.example", &["bob@main.example"], &content).await;
    assert!(reply.starts_with("250"));
    house.tried(1).await;
    assert!(house.inbox("bob@main.example").await.is_empty());
    house.set("bob@main.example", "MaxAccountSize", "100K").await;
    house.clock.0.fetch_add(3_601, std::sync::atomic::Ordering::SeqCst);
    house.transfer.wake();
    house.settled().await;
    assert_eq!(house.inbox("bob@main.example").await.len(), 1);
}

#[tokio::test]
async fn too_many_recipients_are_put_off() {
    let house = House::new().await;
    let settings = own("RecipientsLimit", "3");
    let mut client = house.connect(settings, None, false);
    client.expect("220").await;
    client.hello().await;
    client.say("MAIL FROM:<x@far.example>", "250").await;
    for _ in 0..3 {
        client.say("RCPT TO:<bob@main.example>", "250").await;
    }
    client.say("RCPT TO:<bob@main.example>", "452 4.5.3").await;
}

#[tokio::test]
async fn who_speaks_before_the_greeting_is_refused() {
    // ABU-04
    let house = House::new().await;
    let greeting_delay = Some(Duration::from_millis(200));
    let settings = ReceiverSettings { greeting_delay, ..ReceiverSettings::default() };
    let mut client = house.connect(settings.clone(), None, false);
    client.send("EHLO x.example\r\nMAIL FROM:<x@far.example>\r\n").await;
    client.expect("554 ").await;
    assert_eq!(client.reply().await, "");
    let mut client = house.connect(settings, None, false);
    client.expect("220 ").await;
    client.send("EHLO x.example\r\nMAIL FROM:<x@far.example>\r\n").await;
    client.expect("554 5.5.0").await;
}

#[tokio::test]
async fn a_message_that_went_in_circles_is_refused() {
    // ABU-11
    let house = House::new().await;
    let mut client = house.client().await;
    client.hello().await;
    let circles = format!("{}Subject: x\r\n\r\n", "Received: from y by z; date\r\n".repeat(26));
    let reply = client.mail("x@far.example", &["bob@main.example"], &circles).await;
    assert!(reply.starts_with("554 5.4.6"), "{reply}");
    assert_eq!(house.store.queue.count().await.unwrap(), 0);
}

#[tokio::test]
async fn vrfy_and_expn_tell_nothing() {
    // ABU-15
    let house = House::new().await;
    let mut client = house.client().await;
    client.hello().await;
    let known = client.say("VRFY alice", "252").await;
    assert_eq!(client.say("VRFY nobody", "252").await, known);
    client.say("EXPN team", "502").await;
}

#[tokio::test]
async fn a_stopping_server_says_goodbye() {
    let house = House::new().await;
    let mut client = house.client().await;
    client.hello().await;
    house.transfer.stop().await;
    client.expect("421 4.3.2").await;
    assert_eq!(client.reply().await, "");
}

#[tokio::test]
async fn a_silent_client_is_let_go() {
    let house = House::new().await;
    let silence = Some(Duration::from_millis(50));
    let settings = ReceiverSettings { silence, ..ReceiverSettings::default() };
    let mut client = house.connect(settings, None, false);
    client.expect("220").await;
    client.expect("421 4.4.2").await;
    assert_eq!(client.reply().await, "");
}
