//! Who gets in, and who does not.

use angarium_accounts::{
    Actor, LoginContext, LoginError, SaslExchange, SaslStep, Secret, Service, Value,
};
use aws_lc_rs::{digest, hmac, pbkdf2};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::world::{World, dictionary, names};

const CONTEXT: LoginContext =
    LoginContext { local_ip: None, peer_ip: None, service: Service::Imap, tls: true };

// SYS-02, PWD-02
#[tokio::test]
async fn the_right_password_gets_in_by_any_name_of_the_account() {
    let w = World::new().await;
    let c = &w.console;
    w.accounts.set_account_aliases(c, "joe@second.dom", names(&["nick"])).await.unwrap();
    for name in ["joe@second.dom", "Joe%Second.dom", "nick@second.dom"] {
        let actor = w.login(name, "joe@second.dom-secret").await.unwrap();
        assert_eq!(actor.full_name(), "joe@second.dom");
    }
    assert!(w.login("postmaster", "post-secret").await.unwrap().rights.is_master());
    assert_eq!(w.login("joe@second.dom", "wrong").await.unwrap_err(), LoginError::Denied);
    assert_eq!(w.login("joe@second.dom", "").await.unwrap_err(), LoginError::Denied);
    assert_eq!(w.login("joe", "joe@second.dom-secret").await.unwrap_err(), LoginError::Denied);
}

#[tokio::test]
async fn unknown_names_and_wrong_passwords_are_told_apart_only_when_set() {
    let w = World::new().await;
    assert_eq!(w.login("nobody@second.dom", "x").await.unwrap_err(), LoginError::Denied);
    w.accounts
        .update_server_settings(&w.console, dictionary("{HideAccountUnknown=NO;}"))
        .await
        .unwrap();
    assert_eq!(w.login("nobody@second.dom", "x").await.unwrap_err(), LoginError::UnknownAccount);
    assert_eq!(w.login("joe@second.dom", "x").await.unwrap_err(), LoginError::Denied);
}

// P7b: a remembered password must not outlive a change
#[tokio::test]
async fn a_changed_password_counts_at_once() {
    let w = World::new().await;
    let name = "joe@second.dom";
    for _ in 0..2 {
        w.login(name, "joe@second.dom-secret").await.unwrap();
    }
    let joe = w.actor(name).await;
    w.accounts.change_own_password(&joe, Secret::from("new-secret")).await.unwrap();
    assert_eq!(w.login(name, "joe@second.dom-secret").await.unwrap_err(), LoginError::Denied);
    w.login(name, "new-secret").await.unwrap();
    let update = dictionary("{Password=\"third-secret\";}");
    w.accounts.update_account_settings(&w.console, name, update).await.unwrap();
    assert!(w.login(name, "new-secret").await.is_err());
    w.login(name, "third-secret").await.unwrap();
    w.clock.forward(301);
    w.login(name, "third-secret").await.unwrap();
    w.accounts.delete_account(&w.console, name).await.unwrap();
    assert!(w.login(name, "third-secret").await.is_err());
}

#[tokio::test]
async fn too_many_failures_lock_a_name_also_one_that_does_not_exist() {
    let w = World::new().await;
    for name in ["joe@second.dom", "nobody@second.dom"] {
        for _ in 0..10 {
            assert_eq!(w.login(name, "wrong").await.unwrap_err(), LoginError::Denied);
        }
        let error = w.login(name, "joe@second.dom-secret").await.unwrap_err();
        assert_eq!(error, LoginError::TooMany);
        assert!(error.is_temporary());
    }
    w.clock.forward(61);
    w.login("joe@second.dom", "joe@second.dom-secret").await.unwrap();
}

#[tokio::test]
async fn too_many_failures_lock_an_address_but_not_others() {
    let w = World::new().await;
    for turn in 0..60 {
        let _ = w.login(&format!("nobody{turn}"), "wrong").await;
    }
    assert_eq!(w.login("bob", "bob-secret").await.unwrap_err(), LoginError::TooMany);
    let mut other = w.login_of("bob", "bob-secret");
    other.peer_ip = Some("198.51.100.8".parse().unwrap());
    w.accounts.login(other).await.unwrap();
}

// security.md section 4.5
#[tokio::test]
async fn a_disabled_service_is_told_only_to_the_right_password() {
    let w = World::new().await;
    let c = &w.console;
    let name = "joe@second.dom";
    let modes = dictionary("{AccessModes=(26,POP,Mail);}");
    w.accounts.update_account_settings(c, name, modes).await.unwrap();
    assert_eq!(w.login(name, "x").await.unwrap_err(), LoginError::Denied);
    let right = "joe@second.dom-secret";
    assert_eq!(w.login(name, right).await.unwrap_err(), LoginError::ServiceDisabled);
    let mut pop = w.login_of(name, right);
    pop.service = Service::Pop;
    w.accounts.login(pop.clone()).await.unwrap();
    let modes = dictionary("{DomainAccessModes=(IMAP);}");
    w.accounts.update_domain_settings(c, "second.dom", modes).await.unwrap();
    assert_eq!(w.accounts.login(pop).await.unwrap_err(), LoginError::ServiceDisabled);
}

// PWD-23
#[tokio::test]
async fn clear_passwords_need_encryption_unless_they_come_from_this_machine() {
    let w = World::new().await;
    let mut login = w.login_of("bob", "bob-secret");
    login.tls = false;
    let refused = w.accounts.login(login.clone()).await.unwrap_err();
    assert_eq!(refused, LoginError::SecureMethodRequired);
    login.peer_ip = Some("127.0.0.1".parse().unwrap());
    w.accounts.login(login.clone()).await.unwrap();
    w.accounts
        .update_account_settings(&w.console, "bob", dictionary("{RequireAPOP=YES;}"))
        .await
        .unwrap();
    let refused = w.accounts.login(login).await.unwrap_err();
    assert_eq!(refused, LoginError::SecureMethodRequired);
    w.login("bob", "bob-secret").await.unwrap();
}

// PWD-06: every form is recognised; those that cannot be verified never match
#[tokio::test]
async fn stored_forms_match_or_never_match_but_always_answer() {
    let w = World::new().await;
    let c = &w.console;
    let cases = [
        (
            "\\002$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$OD2fERKj0oKywKI0F6KiQYoP5zImk1vgezgv6L1ANx4",
            true,
        ),
        ("\\002{CLEARTEXT}secret", true),
        ("\\002{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=", true),
        ("\\002abNANd1rDfiNd", false),
        ("\\002$7$C6..../....SodiumChloride$kBGj9fHznVYFQMEn/qDCfrDevf9YDtcDdKvEqHJLV8D", false),
        ("\\001secret", false),
        ("", false),
    ];
    for (number, (stored, right)) in cases.into_iter().enumerate() {
        let name = format!("form{number}");
        let settings = format!("{{Password=\"{stored}\";}}");
        w.make(&name, &settings).await.unwrap();
        let kept = dictionary("{UpgradePassword=NO;}");
        w.accounts.update_account_settings(c, &name, kept).await.unwrap();
        assert_eq!(w.login(&name, "secret").await.is_ok(), right, "{stored}");
        let shown = w.accounts.account_settings(c, &name).await.unwrap();
        assert_eq!(shown, dictionary(&settings.replace(";}", ";UpgradePassword=NO;}")));
    }
    w.make("plain", "{Password=secret;PasswordEncryption=Clear;}").await.unwrap();
    w.login("plain", "secret").await.unwrap();
    let shown = w.accounts.account_one_setting(c, "plain", "Password").await.unwrap();
    assert_eq!(shown, Value::from("secret"));
    w.accounts
        .update_account_settings(c, "plain", dictionary("{UseAppPassword=NO;}"))
        .await
        .unwrap();
    assert!(w.login("plain", "secret").await.is_err());
}

// RTE-15, IMAP-11
#[tokio::test]
async fn a_moved_account_is_referred_to_its_new_server() {
    let w = World::new().await;
    w.accounts.set_router_table(&w.console, "<j.smith> = John@othercompany.com").await.unwrap();
    assert_eq!(
        w.login("j.smith", "x").await.unwrap_err(),
        LoginError::Moved { user: "John".into(), host: "othercompany.com".into(), port: None }
    );
}

async fn finish(mut exchange: SaslExchange, answers: &[&[u8]]) -> Result<Actor, LoginError> {
    let mut step = exchange.step(answers.first().copied()).await;
    for answer in answers.iter().skip(1) {
        match step {
            SaslStep::Challenge(_) => step = exchange.step(Some(answer)).await,
            _ => break,
        }
    }
    match step {
        SaslStep::Done(actor) => Ok((*actor).clone()),
        SaslStep::Fail(error) => Err(error),
        SaslStep::Challenge(_) => panic!("still going on"),
    }
}

#[tokio::test]
async fn plain_and_login_exchanges_end_as_they_should() {
    let w = World::new().await;
    let start = |name: &str| w.accounts.sasl_start(name, CONTEXT).unwrap();
    let actor = finish(start("plain"), &[b"\0bob\0bob-secret"]).await.unwrap();
    assert_eq!(actor.full_name(), "bob@main.dom");
    assert!(finish(start("PLAIN"), &[b"\0bob\0wrong"]).await.is_err());
    for bad in [&b"bob"[..], b"\0bob", b"\0\0x", b"a\0b\0c\0d", b""] {
        assert!(finish(start("PLAIN"), &[bad]).await.is_err());
    }
    let mut exchange = start("LOGIN");
    assert!(matches!(exchange.step(None).await, SaslStep::Challenge(c) if c == b"Username:"));
    assert!(
        matches!(exchange.step(Some(b"bob")).await, SaslStep::Challenge(c) if c == b"Password:")
    );
    assert!(matches!(exchange.step(Some(b"bob-secret")).await, SaslStep::Done(_)));
    assert!(matches!(exchange.step(Some(b"x")).await, SaslStep::Fail(_)));
    assert!(w.accounts.sasl_start("GSSAPI", CONTEXT).is_err());
}

// security.md section 5
#[tokio::test]
async fn acting_for_another_takes_the_right_in_his_domain() {
    let w = World::new().await;
    let plain = |text: &'static str| {
        let exchange = w.accounts.sasl_start("PLAIN", CONTEXT).unwrap();
        async move { finish(exchange, &[text.as_bytes()]).await }
    };
    let actor = plain("joe@second.dom\0postmaster\0post-secret").await.unwrap();
    assert_eq!(actor.full_name(), "joe@second.dom");
    assert_eq!(actor.authenticated_as.as_deref(), Some("postmaster@main.dom"));
    assert!(!actor.rights.is_master());
    let actor = plain("joe@second.dom\0dora@second.dom\0dora@second.dom-secret").await.unwrap();
    assert_eq!(actor.full_name(), "joe@second.dom");
    for refused in [
        "bob\0dora@second.dom\0dora@second.dom-secret",
        "dora@second.dom\0joe@second.dom\0joe@second.dom-secret",
        "postmaster\0alice\0alice-secret",
        "nobody@second.dom\0postmaster\0post-secret",
    ] {
        assert_eq!(plain(refused).await.unwrap_err(), LoginError::MayNotImpersonate, "{refused}");
    }
    plain("bob\0bob\0bob-secret").await.unwrap();
}

/// A SCRAM client; answers the server's salt and rounds too.
pub(crate) async fn scram(
    w: &World,
    name: &str,
    password: &str,
) -> (Result<Actor, LoginError>, String) {
    let mut exchange = w.accounts.sasl_start("SCRAM-SHA-256", CONTEXT).unwrap();
    assert!(matches!(exchange.step(None).await, SaslStep::Challenge(c) if c.is_empty()));
    let bare = format!("n={name},r=clientnonce");
    let first = match exchange.step(Some(format!("n,,{bare}").as_bytes())).await {
        SaslStep::Challenge(first) => String::from_utf8(first).unwrap(),
        SaslStep::Fail(error) => return (Err(error), String::new()),
        SaslStep::Done(_) => panic!("too early"),
    };
    let field =
        |start: &str| first.split(',').find_map(|f| f.strip_prefix(start)).unwrap().to_owned();
    let (nonce, salt, rounds) = (field("r="), field("s="), field("i="));
    assert!(nonce.starts_with("clientnonce") && nonce.len() > 30);
    let mut salted = [0; 32];
    pbkdf2::derive(
        pbkdf2::PBKDF2_HMAC_SHA256,
        rounds.parse().unwrap(),
        &STANDARD.decode(&salt).unwrap(),
        password.as_bytes(),
        &mut salted,
    );
    let sign = |key: &[u8], text: &[u8]| {
        hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text).as_ref().to_vec()
    };
    let client_key = sign(&salted, b"Client Key");
    let stored = digest::digest(&digest::SHA256, &client_key);
    let without = format!("c=biws,r={nonce}");
    let signed = format!("{bare},{first},{without}");
    let signature = sign(stored.as_ref(), signed.as_bytes());
    let proof: Vec<u8> = client_key.iter().zip(&signature).map(|(a, b)| a ^ b).collect();
    let last = format!("{without},p={}", STANDARD.encode(proof));
    let parameters = format!("{salt} {rounds}");
    match exchange.step(Some(last.as_bytes())).await {
        SaslStep::Challenge(verifier) => {
            let server_key = sign(&salted, b"Server Key");
            let expected = format!("v={}", STANDARD.encode(sign(&server_key, signed.as_bytes())));
            assert_eq!(String::from_utf8(verifier).unwrap(), expected);
            match exchange.step(Some(b"")).await {
                SaslStep::Done(actor) => (Ok((*actor).clone()), parameters),
                other => panic!("{other:?}"),
            }
        }
        SaslStep::Fail(error) => (Err(error), parameters),
        SaslStep::Done(_) => panic!("the client needs the verifier"),
    }
}

// PWD-21
#[tokio::test]
async fn scram_gets_in_with_our_own_and_with_clear_stored_passwords() {
    let w = World::new().await;
    assert_eq!(scram(&w, "bob", "bob-secret").await.0.unwrap().full_name(), "bob@main.dom");
    assert_eq!(scram(&w, "bob", "wrong").await.0.unwrap_err(), LoginError::Denied);
    w.make("plain", "{Password=secret;PasswordEncryption=clear;}").await.unwrap();
    scram(&w, "plain", "secret").await.0.unwrap();
    w.make("hashed", "{Password=\"\\002{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=\";}").await.unwrap();
    assert_eq!(scram(&w, "hashed", "secret").await.0.unwrap_err(), LoginError::Denied);
}

#[tokio::test]
async fn scram_shows_an_unknown_name_the_same_parameters_each_time() {
    let w = World::new().await;
    let (refused, first) = scram(&w, "nobody", "x").await;
    assert_eq!(refused.unwrap_err(), LoginError::Denied);
    let (_, second) = scram(&w, "nobody", "y").await;
    let (_, other) = scram(&w, "somebody", "y").await;
    let (_, real) = scram(&w, "bob", "y").await;
    assert_eq!(first, second);
    assert_ne!(first, other);
    assert_eq!(first.len(), real.len());
    assert_eq!(first.split(' ').nth(1), real.split(' ').nth(1));
}

#[tokio::test]
async fn the_last_login_is_known_without_a_write() {
    let w = World::new().await;
    let before = w.accounts.account_record(w.actor("bob").await.account).await.unwrap().unwrap();
    w.login("bob", "bob-secret").await.unwrap();
    let after = w.accounts.account_record(before.id).await.unwrap().unwrap();
    assert_eq!(before.version, after.version);
    let info = w.accounts.account_info(&w.console, "bob").await.unwrap();
    assert_eq!(info.get("LastLogin"), Some(&Value::Time(1_700_000_000)));
    assert_eq!(info.get("LastAddress"), Some(&Value::from("198.51.100.7")));
    assert_eq!(info.get("StorageUsed"), Some(&Value::from("0")));
}

// PWD-10 to PWD-20: hashes of the old server let their owners in
#[tokio::test]
async fn a_hash_of_the_old_server_lets_in_and_is_stored_anew_once() {
    let w = World::new().await;
    for (at, hash) in [
        "$1$saltsalt$9xy1btjgzLYfb7hivXtC//",
        "{SSHA}F3tJ8vk8rDhGy6QRPrvpPoxIffIwMTIzNDU2Nw==",
        "abNANd1rDfiNc",
        "{LANM}552902031BEDE9EFAAD3B435B51404EE",
    ]
    .iter()
    .enumerate()
    {
        let name = format!("old{at}@second.dom");
        let settings = dictionary(&format!("{{Password=\"\\002{hash}\";}}"));
        w.make(&name, "{}").await.unwrap();
        w.accounts.update_account_settings(&w.console, &name, settings).await.unwrap();
        assert_eq!(w.login(&name, "wrong").await.unwrap_err(), LoginError::Denied);
        let stored = || async {
            let all = w.accounts.account_settings(&w.console, &name).await.unwrap();
            all.get("Password").and_then(Value::as_str).unwrap().to_owned()
        };
        assert!(stored().await.ends_with(hash), "a wrong password changes nothing");
        w.login(&name, "secret").await.unwrap();
        let new = stored().await;
        // LAN Manager does not know small letters, so what was typed may not be what others type.
        assert_eq!(new.starts_with("\u{2}{ANGARIUM-1}"), !hash.starts_with("{LANM}"), "{hash}");
        w.login(&name, "secret").await.unwrap();
        assert_eq!(stored().await, new, "once");
        assert_eq!(w.login(&name, "wrong").await.unwrap_err(), LoginError::Denied);
    }
}

#[tokio::test]
async fn a_method_that_looks_at_a_part_of_the_password_stays() {
    let w = World::new().await;
    let name = "cut@second.dom";
    w.make(name, "{}").await.unwrap();
    let settings = dictionary("{Password=\"\\002ab1iBa.N.U2C6\";}");
    w.accounts.update_account_settings(&w.console, name, settings).await.unwrap();
    w.login(name, "123456789").await.unwrap();
    w.login(name, "12345678 and more").await.unwrap();
    w.login(name, "12345678").await.unwrap();
    assert_eq!(w.login(name, "123456789").await.unwrap_err(), LoginError::Denied);
}
