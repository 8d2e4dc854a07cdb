//! A small world: main.dom with postmaster (Master), alice (all domains), reader (reads all
//! domains), settings (Settings) and plain user bob; second.dom with domain administrator dora
//! and plain user joe; third.dom.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use angarium_accounts::options::Hashing;
use angarium_accounts::{
    Accounts, Actor, Clock, Dictionary, Login, LoginError, NewAccount, OperationError, Options,
    Secret, Service, Value,
};
use angarium_objects::text::parse_line;

/// A clock that tests set.
pub(crate) struct Hand(AtomicI64);

impl Clock for Hand {
    fn now(&self) -> i64 {
        self.0.load(Ordering::SeqCst)
    }
}

impl Hand {
    pub(crate) fn forward(&self, seconds: i64) {
        self.0.fetch_add(seconds, Ordering::SeqCst);
    }
}

pub(crate) struct World {
    pub(crate) accounts: Arc<Accounts>,
    pub(crate) clock: Arc<Hand>,
    pub(crate) console: Actor,
}

pub(crate) fn dictionary(text: &str) -> Dictionary {
    match parse_line(text) {
        Ok(Value::Dictionary(pairs)) => pairs,
        other => panic!("{text}: {other:?}"),
    }
}

pub(crate) fn names(all: &[&str]) -> Vec<String> {
    all.iter().map(|name| (*name).to_owned()).collect()
}

pub(crate) fn denied<T: std::fmt::Debug>(result: Result<T, OperationError>) {
    match result {
        Err(error) => assert_eq!(error.code(), 510, "{error}"),
        Ok(value) => panic!("not refused: {value:?}"),
    }
}

impl World {
    pub(crate) async fn new() -> Self {
        let clock = Arc::new(Hand(AtomicI64::new(1_700_000_000)));
        let options = Options { clock: clock.clone(), hashing: Hashing::weak_for_tests() };
        let accounts = Accounts::new(angarium_store::memory::open(), options);
        assert!(accounts.first_start("main.dom", Secret::from("post-secret")).await.unwrap());
        let console = Actor::console();
        for domain in ["second.dom", "third.dom"] {
            accounts.create_domain(&console, domain, Dictionary::new()).await.unwrap();
        }
        let world = Self { accounts, clock, console };
        for name in ["alice", "reader", "settings", "bob", "dora@second.dom", "joe@second.dom"] {
            world.make(name, &format!("{{Password=\"{name}-secret\";}}")).await.unwrap();
        }
        for (name, rights) in [
            ("alice", vec!["Users"]),
            ("reader", vec!["DomainsRead"]),
            ("settings", vec!["Settings"]),
            (
                "dora@second.dom",
                vec![
                    "Domain",
                    "BasicSettings",
                    "CanCreateAccounts",
                    "CanCreateAliases",
                    "CanCreateGroups",
                    "CanCreateForwarders",
                    "CanImpersonate",
                    "MaxAccountSize",
                ],
            ),
        ] {
            world.accounts.set_account_rights(&world.console, name, names(&rights)).await.unwrap();
        }
        world
    }

    pub(crate) async fn make(&self, name: &str, settings: &str) -> Result<(), OperationError> {
        self.make_as(&self.console, name, settings).await
    }

    pub(crate) async fn make_as(
        &self,
        actor: &Actor,
        name: &str,
        settings: &str,
    ) -> Result<(), OperationError> {
        let account = NewAccount {
            name: name.to_owned(),
            settings: dictionary(settings),
            ..NewAccount::default()
        };
        self.accounts.create_account(actor, account).await.map(|_| ())
    }

    /// The actor of an account, without a login.
    pub(crate) async fn actor(&self, name: &str) -> Actor {
        let record = self.accounts.find_account(name, "main.dom").await.unwrap().unwrap();
        let rights =
            angarium_accounts::Rights::new(record.rights.clone(), record.domain == "main.dom");
        Actor::account(record.id, &record.name, &record.domain, rights)
    }

    pub(crate) fn login_of(&self, name: &str, password: &str) -> Login {
        Login {
            name: name.to_owned(),
            password: Secret::from(password),
            local_ip: Some("192.0.2.1".parse().unwrap()),
            peer_ip: Some("198.51.100.7".parse().unwrap()),
            service: Service::Imap,
            tls: true,
        }
    }

    pub(crate) async fn login(&self, name: &str, password: &str) -> Result<Arc<Actor>, LoginError> {
        self.accounts.login(self.login_of(name, password)).await
    }
}
