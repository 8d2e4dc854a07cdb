//! Logins by access tokens, client certificates and application passwords; which methods are
//! offered; who is kept out after failures, and who is not.

use std::net::IpAddr;
use std::sync::{Arc, Mutex};

use angarium_accounts::{
    Actor, Channel, GuessingWatcher, KeySource, LoginContext, LoginError, SaslStep, Secret,
    Service, Value,
};
use async_trait::async_trait;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, SanType};
use serde_json::{Value as Json, json};

use crate::world::{World, denied, dictionary, names};

const CONTEXT: LoginContext =
    LoginContext { local_ip: None, peer_ip: None, service: Service::Imap, tls: true };

async fn say(
    w: &World,
    mechanism: &str,
    channel: Option<Channel>,
    message: &[u8],
) -> Result<Arc<Actor>, LoginError> {
    let channel = channel.map(Arc::new);
    let mut exchange = w.accounts.sasl_start_on(mechanism, CONTEXT, channel).unwrap();
    match exchange.step(Some(message)).await {
        SaslStep::Done(actor) => Ok(actor),
        SaslStep::Fail(error) => Err(error),
        SaslStep::Challenge(told) => {
            assert!(told.starts_with(b"{\"status\":"), "{told:?}");
            match exchange.step(Some(b"\x01")).await {
                SaslStep::Fail(error) => Err(error),
                other => panic!("{other:?}"),
            }
        }
    }
}

async fn set(w: &World, account: &str, settings: &str) {
    w.accounts.update_account_settings(&w.console, account, dictionary(settings)).await.unwrap();
}

async fn set_domain(w: &World, domain: &str, settings: &str) {
    w.accounts.update_domain_settings(&w.console, domain, dictionary(settings)).await.unwrap();
}

/// An identity provider.
struct Provider(Arc<Ed25519KeyPair>);

#[async_trait]
impl KeySource for Provider {
    async fn fetch(&self, place: &str) -> Result<Vec<u8>, String> {
        assert_eq!(place, "https://id.example/keys");
        let x = URL_SAFE_NO_PAD.encode(self.0.public_key().as_ref());
        let key = json!({"kty": "OKP", "crv": "Ed25519", "kid": "one", "x": x});
        Ok(json!({"keys": [key]}).to_string().into_bytes())
    }
}

fn token(pair: &Ed25519KeyPair, w: &World, email: &str, audience: &str) -> String {
    let encode = |json: Json| URL_SAFE_NO_PAD.encode(json.to_string());
    let end = w.accounts.now() + 300;
    let claims = json!({"iss": "https://id.example", "aud": audience, "exp": end, "email": email});
    let signed = format!("{}.{}", encode(json!({"alg": "EdDSA", "kid": "one"})), encode(claims));
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(pair.sign(signed.as_bytes()).as_ref()))
}

const ISSUER: &str =
    "({Issuer=\"https://id.example\";Audience=mail;Keys=\"https://id.example/keys\";})";

// ABU-40
#[tokio::test]
async fn a_token_lets_in_its_own_account_to_read_and_send_mail_alone() {
    let w = World::new().await;
    let pair = Arc::new(Ed25519KeyPair::generate().unwrap());
    w.accounts.use_key_source(Box::new(Provider(Arc::clone(&pair))));
    assert!(!w.accounts.sasl_mechanisms(true, false).await.contains(&"OAUTHBEARER"));
    let settings = dictionary(&format!("{{TokenIssuers={ISSUER};}}"));
    w.accounts.update_server_settings(&w.console, settings).await.unwrap();
    let offered = w.accounts.sasl_mechanisms(true, false).await;
    assert_eq!(offered, ["SCRAM-SHA-256", "OAUTHBEARER", "XOAUTH2", "PLAIN", "LOGIN"]);
    assert!(!w.accounts.sasl_mechanisms(false, false).await.contains(&"XOAUTH2"));
    let good = token(&pair, &w, "postmaster@main.dom", "mail");
    let bearer = |user: &str, token: &str| format!("n,{user},\x01auth=Bearer {token}\x01\x01");
    for user in ["a=postmaster@main.dom", "a=postmaster", ""] {
        let actor = say(&w, "OAUTHBEARER", None, bearer(user, &good).as_bytes()).await.unwrap();
        assert_eq!(actor.full_name(), "postmaster@main.dom");
        assert!(actor.is_limited() && !actor.rights.is_master());
        let taken = w.accounts.change_own_password(&actor, Secret::from("new-password")).await;
        denied(taken);
        denied(w.accounts.set_account_password(&actor, "bob", Secret::from("x"), false).await);
        denied(w.accounts.app_passwords(&actor, "bob").await);
    }
    let older = format!("user=postmaster@main.dom\x01auth=Bearer {good}\x01\x01");
    say(&w, "XOAUTH2", None, older.as_bytes()).await.unwrap();
    // It is nobody else's, not even for an administrator.
    let other = say(&w, "OAUTHBEARER", None, bearer("a=bob", &good).as_bytes()).await;
    assert_eq!(other.unwrap_err(), LoginError::MayNotImpersonate);
    let shop = token(&pair, &w, "bob@main.dom", "shop");
    let foreign = token(&Ed25519KeyPair::generate().unwrap(), &w, "bob@main.dom", "mail");
    let nobody = token(&pair, &w, "nobody@main.dom", "mail");
    for bad in [shop.as_str(), &foreign, &nobody, "x.y.z", "nonsense"] {
        let refused = say(&w, "OAUTHBEARER", None, bearer("a=bob", bad).as_bytes()).await;
        assert_eq!(refused.unwrap_err(), LoginError::Denied, "{bad}");
    }
    // A token travels like a password.
    let clear = LoginContext { tls: false, peer_ip: Some("192.0.2.7".parse().unwrap()), ..CONTEXT };
    let mut exchange = w.accounts.sasl_start("XOAUTH2", clear).unwrap();
    let step = exchange.step(Some(older.as_bytes())).await;
    assert!(matches!(step, SaslStep::Fail(LoginError::SecureMethodRequired)), "{step:?}");
    w.clock.forward(361);
    let late = say(&w, "XOAUTH2", None, older.as_bytes()).await;
    assert_eq!(late.unwrap_err(), LoginError::Denied);
}

#[tokio::test]
async fn an_issuer_of_one_domain_vouches_for_nobody_in_another() {
    let w = World::new().await;
    let pair = Arc::new(Ed25519KeyPair::generate().unwrap());
    w.accounts.use_key_source(Box::new(Provider(Arc::clone(&pair))));
    set_domain(&w, "second.dom", &format!("{{TokenIssuers={ISSUER};}}")).await;
    let tell = |email: &str| {
        let token = token(&pair, &w, email, "mail");
        format!("user={email}\x01auth=Bearer {token}\x01\x01")
    };
    let inside = say(&w, "XOAUTH2", None, tell("joe@second.dom").as_bytes()).await.unwrap();
    assert_eq!(inside.full_name(), "joe@second.dom");
    let outside = say(&w, "XOAUTH2", None, tell("bob@main.dom").as_bytes()).await;
    assert_eq!(outside.unwrap_err(), LoginError::Denied);
    // Asked for one of its own, named another.
    let mixed = token(&pair, &w, "bob@main.dom", "mail");
    let mixed = format!("user=joe@second.dom\x01auth=Bearer {mixed}\x01\x01");
    assert_eq!(say(&w, "XOAUTH2", None, mixed.as_bytes()).await.unwrap_err(), LoginError::Denied);
}

fn authority() -> CertifiedIssuer<'static, rcgen::KeyPair> {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, rcgen::KeyPair::generate().unwrap()).unwrap()
}

fn certificate(by: &CertifiedIssuer<'static, rcgen::KeyPair>, mail: &str) -> Channel {
    let mut params = CertificateParams::default();
    params.subject_alt_names = vec![SanType::Rfc822Name(mail.try_into().unwrap())];
    let key = rcgen::KeyPair::generate().unwrap();
    Channel::new(None, vec![params.signed_by(&key, by).unwrap().der().to_vec()])
}

#[tokio::test]
async fn a_certificate_lets_in_whom_it_names_where_account_and_domain_want_it() {
    let w = World::new().await;
    let ours = authority();
    let shown = certificate(&ours, "joe@second.dom");
    let name = "joe@second.dom";
    let try_it = async |channel: &Channel, other: &str| {
        say(&w, "EXTERNAL", Some(channel.clone()), other.as_bytes()).await
    };
    assert_eq!(try_it(&shown, "").await.unwrap_err(), LoginError::Denied);
    set(&w, name, "{UseCertificateAuth=YES;}").await;
    assert_eq!(try_it(&shown, "").await.unwrap_err(), LoginError::Denied);
    assert!(!w.accounts.sasl_offers(true, false, Some(&shown)).await.contains(&"EXTERNAL"));
    let mut settings = dictionary("{ClientCertReq=YES;}");
    settings.insert("ClientCertCA".to_owned(), Value::from(ours.pem()));
    w.accounts.update_domain_settings(&w.console, "second.dom", settings).await.unwrap();
    assert!(w.accounts.client_certificates_wanted().await);
    assert!(w.accounts.sasl_offers(true, false, Some(&shown)).await.contains(&"EXTERNAL"));
    assert!(!w.accounts.sasl_mechanisms(true, false).await.contains(&"EXTERNAL"));
    for other in ["", name] {
        assert_eq!(try_it(&shown, other).await.unwrap().full_name(), name);
    }
    // One of another authority, or none at all.
    let forged = certificate(&authority(), name);
    assert_eq!(try_it(&forged, "").await.unwrap_err(), LoginError::Denied);
    assert_eq!(try_it(&forged, name).await.unwrap_err(), LoginError::Denied);
    let nothing = try_it(&Channel::default(), name).await.unwrap_err();
    assert_eq!(nothing, LoginError::Protocol("no certificate was shown"));
    // Acting for another takes the right.
    let refused = try_it(&shown, "dora@second.dom").await.unwrap_err();
    assert_eq!(refused, LoginError::MayNotImpersonate);
    set(&w, "dora@second.dom", "{UseCertificateAuth=YES;}").await;
    let dora = certificate(&ours, "dora@second.dom");
    let acting = try_it(&dora, name).await.unwrap();
    assert_eq!(acting.full_name(), name);
    assert_eq!(acting.description(), "joe@second.dom (by dora@second.dom)");
    // A fingerprint needs no authority.
    set(&w, "bob", "{UseCertificateAuth=YES;}").await;
    let own = certificate(&authority(), "somebody@elsewhere.example");
    assert_eq!(try_it(&own, "bob").await.unwrap_err(), LoginError::Denied);
}

// PWD-22
#[tokio::test]
async fn a_method_is_offered_while_one_domain_takes_it_and_refused_by_the_others() {
    let w = World::new().await;
    set_domain(&w, "second.dom", "{AUTHMethods=(PLAIN, SESSIONID);}").await;
    let offered = w.accounts.sasl_mechanisms(true, false).await;
    assert_eq!(offered, ["SCRAM-SHA-256", "PLAIN", "LOGIN"]);
    for domain in ["main.dom", "third.dom"] {
        set_domain(&w, domain, "{AUTHMethods=(PLAIN, SESSIONID);}").await;
    }
    assert_eq!(w.accounts.sasl_mechanisms(true, false).await, ["PLAIN", "LOGIN"]);
    w.login("bob", "bob-secret").await.unwrap();
    for domain in ["main.dom", "second.dom", "third.dom"] {
        set_domain(&w, domain, "{AUTHMethods=(SCRAM-SHA-256);}").await;
    }
    assert_eq!(w.accounts.sasl_mechanisms(true, true).await, ["SCRAM-SHA-256"]);
    assert!(!w.accounts.clear_text_offered(true).await);
    assert_eq!(w.login("bob", "bob-secret").await.unwrap_err(), LoginError::MethodNotAllowed);
    assert_eq!(w.login("bob", "wrong").await.unwrap_err(), LoginError::Denied);
    let bound = Channel::new(Some([1; 32]), Vec::new());
    let offered = w.accounts.sasl_offers(true, false, Some(&bound)).await;
    assert_eq!(offered, ["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"]);
    w.accounts
        .update_server_settings(&w.console, dictionary("{ClearTextLogin=NO;}"))
        .await
        .unwrap();
    set_domain(&w, "third.dom", "{AUTHMethods=All;}").await;
    assert_eq!(w.accounts.sasl_mechanisms(true, false).await, ["SCRAM-SHA-256"]);
}

// ABU-41
#[tokio::test]
async fn a_scram_client_that_missed_the_offer_of_binding_was_robbed_of_it() {
    let w = World::new().await;
    let bound = || Some(Channel::new(Some([1; 32]), Vec::new()));
    let plain = || Some(Channel::default());
    for (mechanism, header, channel, fails) in [
        ("SCRAM-SHA-256", "y,,", bound(), true),
        ("SCRAM-SHA-256", "y,,", plain(), false),
        ("SCRAM-SHA-256", "n,,", bound(), false),
        ("SCRAM-SHA-256", "p=tls-exporter,,", bound(), true),
        ("SCRAM-SHA-256-PLUS", "n,,", bound(), true),
        ("SCRAM-SHA-256-PLUS", "y,,", bound(), true),
        ("SCRAM-SHA-256-PLUS", "p=tls-unique,,", bound(), true),
        ("SCRAM-SHA-256-PLUS", "p=tls-exporter,,", bound(), false),
        ("SCRAM-SHA-256-PLUS", "p=tls-server-end-point,,", bound(), false),
        ("SCRAM-SHA-256-PLUS", "p=tls-exporter,,", None, true),
    ] {
        let channel = channel.map(Arc::new);
        let mut exchange = w.accounts.sasl_start_on(mechanism, CONTEXT, channel).unwrap();
        let step = exchange.step(Some(format!("{header}n=bob,r=abc").as_bytes())).await;
        assert_eq!(matches!(step, SaslStep::Fail(_)), fails, "{mechanism} {header}: {step:?}");
    }
}

// ABU-39
#[tokio::test]
async fn an_application_password_opens_its_services_and_nothing_else() {
    let w = World::new().await;
    let bob = w.actor("bob").await;
    let give = async |tag: &str, password: &str, services: Option<&[&str]>| {
        let services = services.map(names);
        w.accounts.set_app_password(&bob, "*", tag, Secret::from(password), services).await
    };
    give("phone", "long-enough-phone", None).await.unwrap();
    give("reader", "long-enough-reader", Some(&["pop"])).await.unwrap();
    assert!(give("short", "too-short", None).await.is_err());
    assert!(give("odd", "long-enough-phone", Some(&["PWD"])).await.is_err());
    assert!(give("", "long-enough-phone", None).await.is_err());
    let enter = async |password: &str, service: Service| {
        let mut login = w.login_of("bob", password);
        login.service = service;
        w.accounts.login(login).await
    };
    let phone = enter("long-enough-phone", Service::Imap).await.unwrap();
    assert!(phone.is_limited());
    denied(w.accounts.change_own_password(&phone, Secret::from("new-password")).await);
    let taken =
        w.accounts.set_app_password(&phone, "*", "more", Secret::from("long-enough-x"), None);
    denied(taken.await);
    enter("long-enough-phone", Service::Smtp).await.unwrap();
    for service in [Service::Pwd, Service::Http] {
        let refused = enter("long-enough-phone", service).await;
        assert_eq!(refused.unwrap_err(), LoginError::Denied, "{service:?}");
    }
    enter("long-enough-reader", Service::Pop).await.unwrap();
    let refused = enter("long-enough-reader", Service::Imap).await;
    assert_eq!(refused.unwrap_err(), LoginError::Denied);
    // The password itself stays what it was, and the program's is not stored in its place.
    assert!(!enter("bob-secret", Service::Pwd).await.unwrap().is_limited());
    let listed = w.accounts.app_passwords(&bob, "*").await.unwrap();
    let facts = listed.get("phone").and_then(Value::as_dictionary).unwrap();
    assert_eq!(facts.get("LastUsed"), Some(&Value::Time(w.accounts.now())));
    assert_eq!(facts.get("Services"), Some(&Value::from("All")));
    assert!(listed.contains_key("reader") && listed.len() == 2);
    assert!(!format!("{listed:?}").contains("argon2"));
    // Taken away, it is gone at once; others stay.
    give("phone", "", None).await.unwrap();
    assert_eq!(enter("long-enough-phone", Service::Imap).await.unwrap_err(), LoginError::Denied);
    enter("long-enough-reader", Service::Pop).await.unwrap();
    assert!(give("phone", "", None).await.is_err(), "there is no such tag");
    let joe = w.actor("joe@second.dom").await;
    denied(w.accounts.app_passwords(&joe, "bob@main.dom").await);
    let foreign =
        w.accounts.set_app_password(&joe, "bob@main.dom", "x", Secret::from("long-enough-x"), None);
    denied(foreign.await);
    // An administrator's program is no administrator.
    let master = w.actor("postmaster").await;
    let given = Secret::from("long-enough-master");
    w.accounts.set_app_password(&master, "*", "pad", given, None).await.unwrap();
    let pad = w.login("postmaster", "long-enough-master").await.unwrap();
    denied(w.accounts.set_account_password(&pad, "bob", Secret::from("x-x-x-x"), false).await);
    let acting = w.accounts.act_for(&pad, "bob", CONTEXT).await;
    assert_eq!(acting.unwrap_err(), LoginError::MayNotImpersonate);
}

// ABU-38
#[tokio::test]
async fn guessing_over_any_service_locks_strangers_out_and_not_the_owners_device() {
    let w = World::new().await;
    let from = |ip: &str, password: &str, service: Service| {
        let mut login = w.login_of("bob", password);
        login.peer_ip = Some(ip.parse().unwrap());
        login.service = service;
        w.accounts.login(login)
    };
    from("192.0.2.50", "bob-secret", Service::Imap).await.unwrap();
    let services = [Service::Imap, Service::Pop, Service::Smtp, Service::Pwd, Service::Http];
    for turn in 0..10 {
        let refused = from(&format!("198.51.100.{turn}"), "guess", services[turn % 5]).await;
        assert_eq!(refused.unwrap_err(), LoginError::Denied);
    }
    for service in services {
        let stranger = from("203.0.113.1", "bob-secret", service).await;
        assert_eq!(stranger.unwrap_err(), LoginError::TooMany, "{service:?}");
        from("192.0.2.50", "bob-secret", service).await.unwrap();
    }
    w.clock.forward(61);
    from("203.0.113.1", "bob-secret", Service::Pop).await.unwrap();
}

/// Keeps addresses out.
#[derive(Default)]
struct Keeper(Mutex<Vec<(IpAddr, u64)>>);

impl GuessingWatcher for Keeper {
    fn guessing(&self, peer: IpAddr, seconds: u64) {
        self.0.lock().unwrap().push((peer, seconds));
    }

    fn is_kept_out(&self, peer: IpAddr) -> bool {
        peer == "192.0.2.66".parse::<IpAddr>().unwrap()
    }
}

#[tokio::test]
async fn an_address_that_guesses_is_told_once_and_one_kept_out_does_not_log_in() {
    let w = World::new().await;
    let keeper = Arc::new(Keeper::default());
    assert!(w.accounts.watch_guessing(keeper.clone()));
    for turn in 0..70 {
        let _ = w.login(&format!("nobody{turn}"), "guess").await;
    }
    assert_eq!(*keeper.0.lock().unwrap(), [("198.51.100.7".parse().unwrap(), 300)]);
    let ip: IpAddr = "198.51.100.70".parse().unwrap();
    for _ in 0..60 {
        w.accounts.report_failed_login(&w.console, ip).await.unwrap();
    }
    assert_eq!(keeper.0.lock().unwrap().len(), 2);
    let mut login = w.login_of("bob", "bob-secret");
    login.peer_ip = Some("192.0.2.66".parse().unwrap());
    assert_eq!(w.accounts.login(login).await.unwrap_err(), LoginError::TooMany);
}

// ABU-42
#[tokio::test]
async fn a_remembered_password_is_of_one_account_and_opens_no_other_service() {
    let w = World::new().await;
    w.make("twin", "{Password=\"bob-secret\";AccessModes=(POP);}").await.unwrap();
    for _ in 0..2 {
        w.login("bob", "bob-secret").await.unwrap();
        assert_eq!(w.login("joe@second.dom", "bob-secret").await.unwrap_err(), LoginError::Denied);
        assert_eq!(w.login("twin", "bob-secret").await.unwrap_err(), LoginError::ServiceDisabled);
        let mut pop = w.login_of("twin", "bob-secret");
        pop.service = Service::Pop;
        w.accounts.login(pop).await.unwrap();
    }
    set(&w, "bob", "{UseAppPassword=NO;}").await;
    assert_eq!(w.login("bob", "bob-secret").await.unwrap_err(), LoginError::Denied);
}
