//! A mail house that checks who sent a message, with a name server of its own.

#![allow(dead_code, unreachable_pub, reason = "each test file uses its own part")]
#![allow(clippy::unwrap_used, reason = "a test may")]

use std::net::IpAddr;
use std::sync::Arc;

use angarium_accounts::{Dictionary, QueueId, SettingsKey, Value};
use angarium_transfer::Source;
use angarium_transfer::authenticity::Authenticity;
use angarium_transfer::authenticity::keys::{Algorithm, Key, State};
use angarium_transfer::inspect::{Arrived, Findings, Outline};

use crate::house::{House, MAIN};
use crate::names::Names;

/// The house with its name server.
pub struct Checked {
    pub house: House,
    pub names: Names,
    pub own: Arc<Authenticity>,
}

impl Checked {
    pub async fn new() -> Self {
        let (house, names) = (House::new().await, Names::start().await);
        let inspectors = house.transfer.submitter().inspectors();
        let own = Authenticity::start(house.accounts.clone(), names.dns(), inspectors);
        Self { house, names, own }
    }

    /// Changes settings of the module SMTP.
    pub async fn set(&self, pairs: &[(&str, &str)]) {
        let all = pairs.iter().map(|(k, v)| ((*k).to_owned(), Value::from(*v))).collect();
        let key = SettingsKey::Module("SMTP".to_owned());
        self.house.store.directory.set_settings(&key, all, None).await.unwrap();
    }

    /// Gives the main domain keys that sign, and publishes them.
    pub async fn keys(&self, algorithms: &[(&str, Algorithm)]) {
        let mut keys = Dictionary::new();
        for (selector, algorithm) in algorithms {
            let mut key = Key::make(*algorithm, 0).unwrap();
            key.state = State::Signing;
            self.names.txt(&format!("{selector}._domainkey.{MAIN}"), &key.record());
            keys.insert((*selector).to_owned(), key.encode());
        }
        let all = Dictionary::from([(MAIN.to_owned(), Value::Dictionary(keys))]);
        let key = SettingsKey::Module("SigningKeys".to_owned());
        self.house.store.directory.set_settings(&key, all, None).await.unwrap();
    }

    /// The reply to a message from 192.0.2.9.
    pub async fn mail(&self, from: &str, text: &str) -> String {
        let mut client = self.house.client().await;
        client.hello().await;
        client.mail(from, &["alice@main.example"], text).await
    }

    /// What is found in a message without a dialogue.
    pub async fn inspect(&self, message: &[u8], trusted: bool) -> Findings {
        self.inspect_as(message, trusted, [192, 0, 2, 9].into(), "").await
    }

    /// The same, for another address and return path.
    pub async fn inspect_as(
        &self,
        message: &[u8],
        trusted: bool,
        peer: IpAddr,
        return_path: &str,
    ) -> Findings {
        let peer = Some(peer);
        let outline = Outline { source: Source::Smtp, peer, trusted };
        let inspectors = self.house.transfer.submitter().inspectors();
        let arrived = Arrived {
            id: QueueId(1),
            source: Source::Smtp,
            peer,
            hello: "client.example",
            tls: false,
            trusted,
            actor: None,
            return_path,
            recipients: &[],
            host: MAIN,
            now: 0,
            message,
            whole: true,
            found: "",
        };
        inspectors.wanting(&outline).unwrap().run(&arrived).await
    }
}
