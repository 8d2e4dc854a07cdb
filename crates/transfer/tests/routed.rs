//! Where the Router leads that is no account: programs, everybody, spam traps, over the whole way
//! from RCPT to the end of the delivery.
#![allow(clippy::unwrap_used, reason = "a test may")]

mod house;

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use angarium_accounts::{Actor, Dictionary, Value};
use angarium_transfer::ReceiverSettings;
use house::{House, MAIN};

const MESSAGE: &str = "Subject: order\r\n\r\none\r\n";

async fn table(house: &House, text: &str) {
    house.accounts.set_router_table(&Actor::console(), text).await.unwrap();
}

fn program(directory: &Path, name: &str, script: &str) {
    let file = directory.join(name);
    std::fs::write(&file, format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
}

async fn allow_programs(house: &House, directory: &Path) {
    let settings = Dictionary::from([
        ("Directory".to_owned(), Value::from(directory.to_string_lossy().as_ref())),
        ("Programs".to_owned(), Value::from("All")),
    ]);
    house.accounts.update_module_settings(&Actor::console(), "PIPE", settings).await.unwrap();
}

// ABU-07
#[tokio::test]
async fn a_program_named_by_a_record_takes_mail_and_its_exit_code_counts() {
    let house = House::new().await;
    let place = tempfile::tempdir().unwrap();
    let (programs, out) = (place.path().join("programs"), place.path().join("out"));
    std::fs::create_dir(&programs).unwrap();
    program(
        &programs,
        "store",
        &format!("echo \"$*|$SENDER|$RECIPIENT\" > '{0}'; cat >> '{0}'", out.display()),
    );
    program(&programs, "refuse", "echo 'not for me'; exit 65");
    program(&programs, "busy", "exit 75");
    table(
        &house,
        "<in-*@main.example> = \"store --box=*  -v\"@pipe\n<no@main.example> = refuse@pipe\n\
         <busy@main.example> = busy@pipe\n",
    )
    .await;
    allow_programs(&house, &programs).await;
    let mut client = house.client().await;
    client.hello().await;
    client.mail("bob@main.example", &["in-a.b@main.example"], MESSAGE).await;
    house.settled().await;
    let written = std::fs::read_to_string(&out).unwrap();
    let (first, message) = written.split_once('\n').unwrap();
    assert_eq!(first, "--box=a.b -v|bob@main.example|in-a.b@main.example");
    assert!(message.contains("Return-Path: <bob@main.example>\n"), "{message}");
    assert!(message.ends_with("Subject: order\n\none\n"), "{message}");

    client.mail("bob@main.example", &["no@main.example"], MESSAGE).await;
    house.settled().await;
    let inbox = house.inbox("bob@main.example").await;
    assert_eq!(inbox.len(), 1);
    assert!(inbox[0].contains("exit status: 65: not for me"), "{}", inbox[0]);

    client.mail("bob@main.example", &["busy@main.example"], MESSAGE).await;
    house.tried(1).await;
    // The record is gone before the next try: nothing is started by it.
    std::fs::remove_file(&out).unwrap();
    table(&house, "").await;
    house.clock.0.fetch_add(3600, std::sync::atomic::Ordering::SeqCst);
    house.transfer.wake();
    house.settled().await;
    assert!(house.inbox("bob@main.example").await[1].contains("no program takes this mail"));
    assert!(!out.exists());
}

// ABU-07
#[tokio::test]
async fn nobody_starts_a_program_by_writing_to_it() {
    let house = House::new().await;
    let place = tempfile::tempdir().unwrap();
    let out = place.path().join("out");
    let programs = place.path().join("programs");
    std::fs::create_dir(&programs).unwrap();
    program(&programs, "store", &format!("echo started > '{}'", out.display()));
    table(&house, "x.example = main.example\n<in-*@main.example> = \"store *\"@pipe\n").await;
    allow_programs(&house, &programs).await;
    house.group("crew", &["store@pipe", "bob@main.example"]).await;
    let mut client = house.client().await;
    client.hello().await;
    client.say("MAIL FROM:<x@far.example>", "250").await;
    for to in [
        "store@pipe",
        "\"store x\"@pipe",
        "store%pipe@main.example",
        "store%pipe@x.example",
        "pipe!store@main.example",
        "@main.example:store@pipe",
        "store@any.pipe",
        "\"in-a b\"@main.example",
        "in--option@main.example",
        "in-$(id)@main.example",
        "\"in-|sh\"@main.example",
        "in-../store@main.example",
    ] {
        client.say(&format!("RCPT TO:<{to}>"), "550").await;
    }
    client.say("RCPT TO:<crew@main.example>", "250").await;
    client.say("DATA", "354").await;
    client.send(format!("{MESSAGE}.\r\n")).await;
    client.expect("250").await;
    house.settled().await;
    assert_eq!(house.inbox("bob@main.example").await.len(), 1);
    assert!(!out.exists());
}

#[tokio::test]
async fn mail_to_all_is_taken_from_those_who_may_write_there() {
    let house = House::new().await;
    house.passwords().await;
    house.set("postmaster@main.example", "MailToAll", "NO").await;
    let mut stranger = house.client().await;
    stranger.hello().await;
    stranger.say("MAIL FROM:<x@far.example>", "250").await;
    let refusal = stranger.say(&format!("RCPT TO:<all@{MAIN}>"), "550").await;
    assert!(refusal.contains("you may not write to all accounts"), "{refusal}");
    let mut alice = house.connect(ReceiverSettings::default(), None, true);
    alice.expect("220").await;
    alice.hello().await;
    alice.say("AUTH PLAIN AGFsaWNlQG1haW4uZXhhbXBsZQBzZWNyZXQ=", "235").await;
    alice.mail("alice@main.example", &["all@main.example", "bob@main.example"], MESSAGE).await;
    house.settled().await;
    for (name, count) in [
        ("alice@main.example", 1),
        ("bob@main.example", 1),
        ("postmaster@main.example", 0),
        ("carol@other.example", 0),
    ] {
        assert_eq!(house.inbox(name).await.len(), count, "{name}");
    }
    alice.say("MAIL FROM:<alice@main.example>", "250").await;
    alice.say("RCPT TO:<all@other.example>", "550").await;
    alice.say("RSET", "250").await;
    alice.mail("alice@main.example", &["alldomains@main.example"], MESSAGE).await;
    house.settled().await;
    assert_eq!(house.inbox("carol@other.example").await.len(), 1);
}

#[tokio::test]
async fn a_spam_trap_swallows_the_message_and_notes_the_host() {
    let house = House::new().await;
    table(&house, "<bait@main.example> = spamtrap\n<none@main.example> = null\n").await;
    let mut client = house.client().await;
    client.hello().await;
    client.mail("x@far.example", &["none@main.example"], MESSAGE).await;
    let mut again = house.client().await;
    client.mail("x@far.example", &["bait@main.example"], MESSAGE).await;
    house.settled().await;
    again.hello().await;
    let mut later = house.connect(ReceiverSettings::default(), None, false);
    later.expect("421").await;
}
