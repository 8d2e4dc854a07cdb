//! BURL (RFC 4468): parts of a submitted message taken out of the sender's own mailboxes, alone
//! and together with BDAT; refused for everything that is not authorised.
#![allow(clippy::unwrap_used, reason = "a test may")]

mod house;

use angarium_transfer::ReceiverSettings;
use base64::Engine as _;
use house::{Client, House, MAIN, own};
use tokio::io::DuplexStream;

/// Alice at a submission listener, with one message in her INBOX.
async fn submitting(house: &House, max_size: u64) -> Client<DuplexStream> {
    // The letters of these tests say they are from nobody in particular.
    house.set("alice@main.example", "FromPolicy", "Any").await;
    let settings = ReceiverSettings {
        submission: true,
        clear_text_logins: true,
        ..own("MessageSizeLimit", &max_size.to_string())
    };
    let mut client = house.connect(settings, None, false);
    client.expect("220 ").await;
    assert!(client.hello().await.contains("|250-BURL imap|"));
    let plain = base64::engine::general_purpose::STANDARD.encode("\0alice@main.example\0secret");
    client.say(&format!("AUTH PLAIN {plain}"), "235 2.7.0").await;
    client
}

async fn house() -> House {
    let house = House::new().await;
    house.passwords().await;
    house.accounts.allow_clear_text_logins();
    let mut client = house.client().await;
    client.hello().await;
    let text = "From: bob@main.example\r\nSubject: kept\r\n\r\nkept text\r\n";
    client.mail("bob@main.example", &["alice@main.example"], text).await;
    house.settled().await;
    house
}

/// The authorised form of a URL whose user is `user`.
async fn url(house: &House, user: &str, rest: &str) -> String {
    let mail = house.accounts.open_for_url(user, MAIN).await.unwrap();
    let opened = mail.open("INBOX").await.unwrap();
    let rump = format!("imap://{user}@{MAIN}/INBOX/;UID={rest}");
    let token = mail.url_token(&opened, rump.as_bytes()).await.unwrap();
    let hex: String = token.iter().map(|b| format!("{b:02x}")).collect();
    format!("{rump}:internal:{hex}")
}

async fn open(client: &mut Client<DuplexStream>) {
    client.say("MAIL FROM:<alice@main.example>", "250").await;
    client.say("RCPT TO:<bob@main.example>", "250").await;
}

#[tokio::test]
async fn burl_is_announced_on_submission_and_sends_what_is_in_the_senders_mailbox() {
    let house = house().await;
    assert!(!house.client().await.hello().await.contains("BURL"), "only where people submit");
    let mut client = submitting(&house, 100_000).await;
    let whole = url(&house, "alice", "1;URLAUTH=submit+alice").await;
    open(&mut client).await;
    client.say(&format!("BURL {whole} LAST"), "250 2.0.0").await;
    // Header by BDAT, text by BURL, end by BDAT.
    let text = url(&house, "alice", "1/;SECTION=TEXT;URLAUTH=submit+alice").await;
    open(&mut client).await;
    client.send("BDAT 31\r\nFrom: alice@main.example\r\nA: \r\n").await;
    client.expect("250 2.6.0").await;
    client.send("BDAT 2\r\n\r\n").await;
    client.expect("250 2.6.0").await;
    client.say(&format!("BURL {text}"), "250 2.6.0 11 octets").await;
    client.say(&format!("burl {text}"), "250 2.6.0").await;
    client.send("BDAT 5 LAST\r\nend\r\n").await;
    client.expect("250 2.0.0").await;
    house.settled().await;
    let inbox = house.inbox("bob@main.example").await;
    assert!(
        inbox[0].contains("\r\nSubject: kept\r\n") && inbox[0].ends_with("\r\n\r\nkept text\r\n")
    );
    assert!(inbox[1].ends_with("\r\nA: \r\n\r\nkept text\r\nkept text\r\nend\r\n"), "{}", inbox[1]);
}

#[tokio::test]
async fn burl_takes_only_what_the_sender_authorised_for_himself() {
    let house = house().await;
    let mut client = submitting(&house, 100_000).await;
    let good = url(&house, "alice", "1;URLAUTH=submit+alice").await;
    client.say(&format!("BURL {good} LAST"), "503").await;
    for bad in [
        url(&house, "alice", "1;URLAUTH=submit+bob").await,
        url(&house, "alice", "7;URLAUTH=submit+alice").await,
        url(&house, "bob", "1;URLAUTH=submit+alice").await,
        url(&house, "alice", "1;EXPIRE=2001-01-01T00:00:00Z;URLAUTH=submit+alice").await,
        good.replace("UID=1", "UID=2"),
        good.replace(MAIN, "elsewhere.example"),
        format!("imap://alice@{MAIN}/INBOX/;UID=1"),
        "http://www.example/".to_owned(),
    ] {
        // Each on a connection of its own: errors are counted.
        let mut client = submitting(&house, 100_000).await;
        open(&mut client).await;
        client.say(&format!("BURL {bad} LAST"), "554 5.6.6").await;
    }
    client.say("MAIL FROM:<alice@main.example>", "250").await;
    client.say(&format!("BURL {good} LAST"), "503").await;
    client.say("RSET", "250").await;
    // After a refused part the message is refused as a whole.
    open(&mut client).await;
    client.say("BURL junk", "554 5.6.6").await;
    client.say(&format!("BURL {good} LAST"), "503").await;
    open(&mut client).await;
    client.say(&format!("BURL {good}"), "250 2.6.0").await;
    client.say("DATA", "503").await;
    client.say("RSET", "250").await;
    client.say("BURL", "501").await;
    client.say(&format!("BURL {good} LAST more"), "501").await;
    house.settled().await;
    assert!(house.inbox("bob@main.example").await.is_empty());
    // Where nobody logs in it is not known.
    let mut other = house.client().await;
    other.hello().await;
    other.say(&format!("BURL {good} LAST"), "502").await;
}

#[tokio::test]
async fn burl_is_held_to_the_size_of_messages() {
    let house = house().await;
    let mut client = submitting(&house, 100).await;
    let whole = url(&house, "alice", "1;URLAUTH=submit+alice").await;
    open(&mut client).await;
    client.say(&format!("BURL {whole} LAST"), "552 5.3.4").await;
    let text = url(&house, "alice", "1/;SECTION=TEXT;URLAUTH=submit+alice").await;
    open(&mut client).await;
    for _ in 0..9 {
        client.say(&format!("BURL {text}"), "250 2.6.0").await;
    }
    client.say(&format!("BURL {text}"), "552 5.3.4").await;
    client.say("RSET", "250").await;
    open(&mut client).await;
    client.say(&format!("BURL {text} LAST"), "250 2.0.0").await;
}
