//! Arrivals over the real door of accounts, with an old server that answers by a script.

use angarium_accounts::{Login, LoginError, Options, RouteKind, RouteOutcome, Service};
use angarium_objects::text::parse_line;

use super::*;
use crate::copying::{Door, Opened};
use crate::stand_in::{Heard, script};

struct NoDoor;

#[async_trait]
impl Door for NoDoor {
    async fn open(&self, _: &str) -> Result<Opened, String> {
        Err("no door".into())
    }
}

struct Stand {
    accounts: Arc<Accounts>,
    book: Book,
    imap: Heard,
    smtp: Heard,
    _room: tempfile::TempDir,
}

const SMTP: [(&str, &str); 4] = [
    ("HELO", "250 old"),
    ("MAIL", "250 ok"),
    ("RCPT TO:<anna@", "250 yes"),
    ("RCPT", "550 no such user"),
];

async fn stand(smtp: &[(&'static str, &'static str)], more: &str) -> Stand {
    let imap = [
        ("a1", "* CAPABILITY IMAP4rev1\r\na1 OK"),
        ("a2 LOGIN \"anna@a.dom\" \"right\"", "a2 OK in"),
        ("a2 LOGIN \"bert@a.dom\" \"right\"", "a2 OK in"),
        ("a2 LOGIN \"busy@a.dom\"", "a2 NO [UNAVAILABLE] later"),
        ("a2 LOGIN", "a2 NO no"),
    ];
    let (imap_at, imap) = script("* OK old", &imap).await;
    let (smtp_at, smtp) = script("220 old", smtp).await;
    let room = tempfile::tempdir().unwrap();
    let store = angarium_store::memory::open();
    let accounts = Accounts::new(store, Options::default());
    let console = Actor::console();
    let text = format!("{{TakeOver={{Server=\"{imap_at}\";SMTP=\"{smtp_at}\";{more}}};}}");
    let Ok(Value::Dictionary(settings)) = parse_line(&text) else { panic!("{text}") };
    accounts.create_domain(&console, "house.dom", Dictionary::new()).await.unwrap();
    let main = Dictionary::from([("DomainName".to_owned(), Value::from("house.dom"))]);
    accounts.update_server_settings(&console, main).await.unwrap();
    accounts.create_domain(&console, "a.dom", settings).await.unwrap();
    let book = Book::at(room.path().join("TakeOver"));
    let copier = Copier::new(accounts.clone(), book.clone(), Box::new(NoDoor));
    let arrivals = Arrivals::new(accounts.clone(), copier, "new.example".into()).unwrap();
    accounts.set_old_servers(Some(arrivals));
    Stand { accounts, book, imap, smtp, _room: room }
}

impl Stand {
    async fn login(&self, name: &str, password: &str, from: &str) -> Result<String, LoginError> {
        let login = Login {
            name: name.to_owned(),
            password: Secret::from(password),
            local_ip: None,
            peer_ip: Some(from.parse().unwrap()),
            service: Service::Imap,
            tls: true,
        };
        self.accounts.login(login).await.map(|actor| actor.full_name())
    }

    async fn mail(&self, to: &str) -> RouteOutcome {
        self.accounts.route(to, RouteKind::Mail, None).await
    }

    fn questions(&self) -> usize {
        self.smtp.all().matches("RCPT").count()
    }

    fn logins(&self) -> usize {
        self.imap.all().matches("LOGIN").count()
    }
}

// MIG-46, MIG-48, MIG-49
#[tokio::test]
async fn mig_49_a_proved_password_is_kept_and_the_old_server_is_asked_no_more() {
    let stand = stand(&SMTP, "").await;
    let said = stand.mail("anna@a.dom").await;
    assert!(matches!(said, RouteOutcome::Local { .. }), "{said:?} {}", stand.smtp.all());
    assert!(matches!(stand.mail("nobody@a.dom").await, RouteOutcome::Unknown { .. }));
    let page = stand.book.page("anna", "a.dom").unwrap().unwrap();
    assert!(page.made > 0 && page.proved == 0 && page.sealed.is_empty());
    assert_eq!(stand.login("anna@a.dom", "wrong", "192.0.2.1").await, Err(LoginError::Denied));
    assert_eq!(stand.login("anna@a.dom", "right", "192.0.2.1").await.unwrap(), "anna@a.dom");
    let asked = stand.logins();
    assert_eq!(stand.login("anna@a.dom", "right", "192.0.2.1").await.unwrap(), "anna@a.dom");
    assert_eq!(stand.login("anna@a.dom", "wrong", "192.0.2.1").await, Err(LoginError::Denied));
    assert_eq!(stand.logins(), asked);
    let page = stand.book.page("anna", "a.dom").unwrap().unwrap();
    assert!(page.proved > 0 && !page.sealed.contains("right"));
    let opened = stand.accounts.unseal(&page.sealed).await.unwrap().unwrap();
    assert!(opened.matches(b"right"));
    // A login alone brings an account in, without a question about the name.
    let before = stand.questions();
    assert_eq!(stand.login("bert@a.dom", "right", "192.0.2.1").await.unwrap(), "bert@a.dom");
    assert_eq!(stand.questions(), before);
    let all = stand.accounts.settled_accounts(&Actor::console(), "a.dom").await.unwrap();
    assert_eq!(all, [("anna".to_owned(), true), ("bert".to_owned(), true)]);
}

// ABU-44
#[tokio::test]
async fn abu_44_a_guesser_makes_no_account_learns_no_name_and_is_stopped() {
    let stand = stand(&SMTP, "").await;
    assert!(matches!(stand.mail("anna@a.dom").await, RouteOutcome::Local { .. }));
    // Known, unknown, and impossible names are answered alike, and nobody is asked about names.
    let before = stand.questions();
    for name in ["anna@a.dom", "nobody@a.dom", "no body@a.dom", "bert@a.dom"] {
        assert_eq!(
            stand.login(name, "guess", "192.0.2.1").await,
            Err(LoginError::Denied),
            "{name}"
        );
    }
    assert_eq!(stand.questions(), before);
    let all = stand.accounts.list_accounts(&Actor::console(), "a.dom").await.unwrap();
    assert_eq!(all.len(), 1, "{all:?}");
    // The same wrong password again costs the old server nothing.
    let asked = stand.logins();
    assert_eq!(stand.login("anna@a.dom", "guess", "192.0.2.2").await, Err(LoginError::Denied));
    assert_eq!(stand.logins(), asked);
    // Passwords of many names from one address: the old server hears only so many.
    for number in 0..60 {
        let name = format!("name{number}@a.dom");
        let _ = stand.login(&name, "guess", "192.0.2.9").await;
    }
    assert!(stand.logins() <= asked + crate::limits::WRONG_BY_CLIENT as usize);
    // And of one name from many addresses.
    let asked = stand.logins();
    for number in 0..30 {
        let _ =
            stand.login("anna@a.dom", &format!("g{number}"), &format!("198.51.100.{number}")).await;
    }
    assert!(stand.logins() <= asked + crate::limits::WRONG_BY_NAME as usize);
}

// ABU-44
#[tokio::test]
async fn abu_44_a_client_that_asks_about_too_many_names_is_put_off_and_others_are_not() {
    let stand = stand(&SMTP, "").await;
    let ask = |name: String, from: &'static str| {
        let accounts = stand.accounts.clone();
        async move { accounts.route_for_client(&name, from.parse().unwrap()).await }
    };
    for number in 0..crate::limits::QUESTIONS_BY_CLIENT {
        let said = ask(format!("name{number}@a.dom"), "192.0.2.9").await;
        assert!(matches!(said, RouteOutcome::Unknown { .. }), "{number}: {said:?}");
    }
    let before = stand.questions();
    let said = ask("anna@a.dom".to_owned(), "192.0.2.9").await;
    assert!(matches!(said, RouteOutcome::Later { .. }), "{said:?}");
    assert_eq!(stand.questions(), before);
    // Nobody else waits for it, and whoever has an account is asked about by nobody.
    let said = ask("anna@a.dom".to_owned(), "192.0.2.10").await;
    assert!(matches!(said, RouteOutcome::Local { .. }), "{said:?}");
    let said = ask("anna@a.dom".to_owned(), "192.0.2.9").await;
    assert!(matches!(said, RouteOutcome::Local { .. }), "{said:?}");
}

// ABU-44
#[tokio::test]
async fn abu_44_a_silent_or_busy_old_server_refuses_nobody() {
    let stand = stand(&SMTP, "").await;
    assert_eq!(stand.login("busy@a.dom", "x", "192.0.2.1").await, Err(LoginError::Unavailable));
    let Ok(Value::Dictionary(gone)) = parse_line("{TakeOver={Server=\"127.0.0.1:1\";};}") else {
        panic!()
    };
    stand.accounts.update_domain_settings(&Actor::console(), "a.dom", gone).await.unwrap();
    assert_eq!(stand.login("anna@a.dom", "right", "192.0.2.1").await, Err(LoginError::Unavailable));
    assert!(matches!(stand.mail("anna@a.dom").await, RouteOutcome::Later { .. }));
    let Ok(Value::Dictionary(off)) = parse_line("{TakeOver=default;}") else { panic!() };
    stand.accounts.update_domain_settings(&Actor::console(), "a.dom", off).await.unwrap();
    assert_eq!(stand.login("anna@a.dom", "right", "192.0.2.1").await, Err(LoginError::Denied));
    assert!(matches!(stand.mail("anna@a.dom").await, RouteOutcome::Unknown { .. }));
}

// MIG-47
#[tokio::test]
async fn mig_47_where_the_old_server_takes_every_name_mail_goes_on_to_it() {
    let stand = stand(&[SMTP[0], SMTP[1], ("RCPT", "250 everybody")], "").await;
    for name in ["anna", "zorro"] {
        let RouteOutcome::Remote { host, address, .. } = stand.mail(&format!("{name}@a.dom")).await
        else {
            panic!("{name}")
        };
        assert_eq!((host.as_str(), address), ("127.0.0.1", format!("{name}@a.dom")));
    }
    // It was asked once: what it is like is remembered.
    assert_eq!(stand.smtp.all().matches("RCPT").count(), 2);
    assert!(stand.accounts.list_accounts(&Actor::console(), "a.dom").await.unwrap().is_empty());
    assert_eq!(stand.login("anna@a.dom", "right", "192.0.2.1").await.unwrap(), "anna@a.dom");
    assert!(matches!(stand.mail("anna@a.dom").await, RouteOutcome::Local { .. }));
}

// MIG-50
#[tokio::test]
async fn mig_50_with_a_list_nothing_is_sealed_and_with_passwords_alone_nothing_is_listed() {
    for (mail, listed) in [("List", true), ("Password", false)] {
        let stand = stand(&SMTP, &format!("Mail={mail};")).await;
        assert!(stand.login("anna@a.dom", "right", "192.0.2.1").await.is_ok());
        let page = stand.book.page("anna", "a.dom").unwrap().unwrap();
        assert!(page.sealed.is_empty() && page.listed == listed);
        assert_eq!(stand.book.domain("a.dom").join("MoveAccounts.list").exists(), listed);
    }
}
