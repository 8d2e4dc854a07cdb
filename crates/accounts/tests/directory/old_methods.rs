//! Challenge logins that need a readable password: who gets in by them, and who does not.

use angarium_accounts::{Actor, LoginContext, LoginError, SaslStep, Service, Value};
use std::sync::Arc;

use crate::world::{World, dictionary};

const CONTEXT: LoginContext =
    LoginContext { local_ip: None, peer_ip: None, service: Service::Pop, tls: false };

/// A client of one mechanism: `answer` makes its answer of the
/// challenge.
async fn challenge(
    w: &World,
    mechanism: &str,
    answer: impl FnOnce(&str) -> String,
) -> Result<Arc<Actor>, LoginError> {
    let mut exchange = w.accounts.sasl_start(mechanism, CONTEXT).unwrap();
    let SaslStep::Challenge(text) = exchange.step(None).await else { panic!("no challenge") };
    let answer = answer(std::str::from_utf8(&text).unwrap());
    match exchange.step(Some(answer.as_bytes())).await {
        SaslStep::Done(actor) => Ok(actor),
        SaslStep::Fail(error) => Err(error),
        SaslStep::Challenge(proof) => {
            assert!(proof.starts_with(b"rspauth="));
            match exchange.step(Some(b"")).await {
                SaslStep::Done(actor) => Ok(actor),
                other => panic!("{other:?}"),
            }
        }
    }
}

fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

fn md5(text: &[u8]) -> [u8; 16] {
    use md5::Digest as _;
    md5::Md5::digest(text).into()
}

fn cram(name: &str, password: &str, challenge: &str) -> String {
    let mut key = password.as_bytes().to_vec();
    key.resize(64, 0);
    let pad = |with: u8| key.iter().map(|octet| octet ^ with).collect::<Vec<_>>();
    let inner = md5(&[pad(0x36), challenge.as_bytes().to_vec()].concat());
    format!("{name} {}", hex(&md5(&[pad(0x5c), inner.to_vec()].concat())))
}

fn digest(name: &str, password: &str, challenge: &str) -> String {
    let nonce = challenge.split("nonce=\"").nth(1).unwrap().split('"').next().unwrap();
    let secret = md5(format!("{name}:main.dom:{password}").as_bytes());
    let first = hex(&md5(&[&secret[..], format!(":{nonce}:abc").as_bytes()].concat()));
    let second = hex(&md5(b"AUTHENTICATE:pop/main.dom"));
    let response = hex(&md5(format!("{first}:{nonce}:00000001:abc:auth:{second}").as_bytes()));
    format!(
        "username=\"{name}\",realm=\"main.dom\",nonce=\"{nonce}\",cnonce=\"abc\",nc=00000001,qop=auth,digest-uri=\"pop/main.dom\",response={response},charset=utf-8"
    )
}

async fn all_three(w: &World, name: &str, password: &str) -> [Result<Arc<Actor>, LoginError>; 3] {
    let stamp = "<1.2@main.dom>";
    let made = hex(&md5(format!("{stamp}{password}").as_bytes()));
    [
        challenge(w, "CRAM-MD5", |text| cram(name, password, text)).await,
        challenge(w, "DIGEST-MD5", |text| digest(name, password, text)).await,
        w.accounts.login_apop(name, stamp, &made, CONTEXT).await,
    ]
}

// PWD-09, PWD-21
#[tokio::test]
async fn a_readable_password_answers_every_challenge_and_a_hash_none() {
    let w = World::new().await;
    w.make("kept", "{Password=tanstaaf;PasswordEncryption=A-crpt;}").await.unwrap();
    w.make("clear", "{Password=tanstaaf;PasswordEncryption=clear;}").await.unwrap();
    for name in ["kept", "clear"] {
        for done in all_three(&w, name, "tanstaaf").await {
            assert_eq!(done.unwrap().name, name);
        }
        for refused in all_three(&w, name, "tanstaag").await {
            assert_eq!(refused.unwrap_err(), LoginError::Denied);
        }
        w.login(name, "tanstaaf").await.unwrap();
        assert_eq!(w.login(name, "tanstaag").await.unwrap_err(), LoginError::Denied);
    }
    let shown = w.accounts.account_one_setting(&w.console, "kept", "Password").await.unwrap();
    let Value::String(stored) = shown else { panic!("no password") };
    assert!(stored.starts_with("\u{1}{ANGARIUM-SEALED-1}") && !stored.contains("tanstaaf"));
    for name in ["bob", "nobody"] {
        for refused in all_three(&w, name, "bob-secret").await {
            assert_eq!(refused.unwrap_err(), LoginError::Denied);
        }
    }
    w.accounts
        .update_account_settings(&w.console, "kept", dictionary("{UseAppPassword=NO;}"))
        .await
        .unwrap();
    for refused in all_three(&w, "kept", "tanstaaf").await {
        assert_eq!(refused.unwrap_err(), LoginError::Denied);
    }
}

#[tokio::test]
async fn the_old_methods_are_offered_only_when_they_are_named() {
    let w = World::new().await;
    assert_eq!(w.accounts.sasl_mechanisms(false, false).await, ["SCRAM-SHA-256"]);
    assert!(!w.accounts.apop_offered().await);
    let set = dictionary("{OldLoginMethods=(CRAM-MD5,APOP);}");
    w.accounts.update_server_settings(&w.console, set).await.unwrap();
    let offered = w.accounts.sasl_mechanisms(true, false).await;
    assert_eq!(offered, ["SCRAM-SHA-256", "CRAM-MD5", "PLAIN", "LOGIN"]);
    assert!(w.accounts.apop_offered().await);
}

#[tokio::test]
async fn the_same_key_opens_what_it_sealed_before_and_decoys_stay() {
    let w = World::new().await;
    w.make("one", "{Password=first-secret;PasswordEncryption=A-crpt;}").await.unwrap();
    // Whoever is unknown makes the other secret of the server.
    let _ = challenge(&w, "CRAM-MD5", |text| cram("nobody", "x", text)).await;
    w.make("two", "{Password=second-secret;PasswordEncryption=A-crpt;}").await.unwrap();
    w.login("one", "first-secret").await.unwrap();
    w.login("two", "second-secret").await.unwrap();
}
