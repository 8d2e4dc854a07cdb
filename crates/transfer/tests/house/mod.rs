//! A small mail house for the tests of this crate: a store in memory (perhaps made to fail), two
//! domains with people in them, the transfer running, and clients on streams without sockets.

#![allow(dead_code, unreachable_pub, reason = "each test file uses its own part")]
#![allow(clippy::unwrap_used, reason = "a test may")]

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use angarium_accounts::options::Hashing;
use angarium_accounts::{
    AccountId, AccountKind, AccountRecord, Accounts, Actor, Clock, Dictionary, DomainObject,
    DomainRecord, Options, RouteKind, RouteOutcome, Secret, SettingsKey, Value,
};
use angarium_store::Store;
use angarium_store::faulty::{self, Plan};
use angarium_transfer::dns::{Dns, DnsOptions};
use angarium_transfer::{
    ConnectionInfo, DequeuerOptions, ReceiverSettings, Sending, SendingOptions, Transfer, serve,
};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream};
use tokio_rustls::TlsAcceptor;

pub const MAIN: &str = "main.example";

/// A clock that a test sets.
pub struct Hands(pub AtomicI64);

impl Clock for Hands {
    fn now(&self) -> i64 {
        self.0.load(Ordering::SeqCst)
    }
}

/// A listener with one setting of its own.
pub fn own(key: &str, value: &str) -> ReceiverSettings {
    let own = Dictionary::from([(key.to_owned(), Value::from(value))]);
    ReceiverSettings { own, ..ReceiverSettings::default() }
}

pub struct House {
    pub store: Store,
    pub accounts: Arc<Accounts>,
    pub transfer: Arc<Transfer>,
    pub plan: Plan,
    pub clock: Arc<Hands>,
}

impl House {
    /// `postmaster`, `alice` (alias `al`), `bob` in the main domain, `carol` in another; `team`
    /// is a group of alice, bob and bob again; `fwd` forwards to bob, `away` to outside.
    pub async fn new() -> Self {
        Self::started(Dictionary::new(), |accounts| {
            Transfer::start(accounts, DequeuerOptions::default())
        })
        .await
    }

    /// As `new`, with these settings of module SMTP, and mail sent outside. The resolver it begins
    /// with answers nothing: the settings name the one that is asked.
    pub async fn sending(smtp: Dictionary, options: &SendingOptions) -> Self {
        Self::started(smtp, |accounts| {
            let nowhere = vec!["127.0.0.1:9".parse().unwrap()];
            let dns = Dns::new(&DnsOptions { servers: nowhere, ..DnsOptions::default() }).unwrap();
            let sending = Sending::new(accounts.clone(), dns, options).unwrap();
            Transfer::start_sending(accounts, DequeuerOptions::default(), Some(sending))
        })
        .await
    }

    /// As `new`, with these settings of module SMTP, and the transfer started so.
    pub async fn started(
        smtp: Dictionary,
        start: impl FnOnce(Arc<Accounts>) -> Arc<Transfer>,
    ) -> Self {
        let plan = Plan::new();
        let store = faulty::wrap(angarium_store::memory::open(), plan.clone());
        let clock = Arc::new(Hands(AtomicI64::new(1_800_000_000)));
        let options = Options { clock: clock.clone(), hashing: Hashing::weak_for_tests() };
        let accounts = Accounts::new(store.clone(), options);
        let name = Dictionary::from([("DomainName".to_owned(), Value::from(MAIN))]);
        store.directory.set_settings(&SettingsKey::Server, name, None).await.unwrap();
        let module = SettingsKey::Module("SMTP".to_owned());
        store.directory.set_settings(&module, smtp, None).await.unwrap();
        for domain in [MAIN, "other.example"] {
            let record = DomainRecord {
                name: domain.into(),
                aliases: Vec::new(),
                settings: Dictionary::new(),
                account_defaults: Dictionary::new(),
                template: Dictionary::new(),
                version: 0,
            };
            store.directory.create_domain(record).await.unwrap();
        }
        let people =
            [("postmaster", MAIN), ("alice", MAIN), ("bob", MAIN), ("carol", "other.example")];
        for (name, domain) in people {
            let record = AccountRecord {
                id: AccountId(0),
                domain: domain.into(),
                name: name.into(),
                kind: AccountKind::MultiMailbox,
                aliases: if name == "alice" { vec!["al".into()] } else { Vec::new() },
                settings: Dictionary::new(),
                rights: Vec::new(),
                subscription: Vec::new(),
                mailbox_aliases: Dictionary::new(),
                info: Dictionary::new(),
                version: 0,
            };
            store.directory.create_account(record, 1).await.unwrap();
        }
        for (name, to) in [("fwd", "bob@main.example"), ("away", "x@outside.example")] {
            let forwarder = DomainObject::Forwarder(to.into());
            store.directory.put_object(MAIN, name, forwarder, false).await.unwrap();
        }
        let house = Self { transfer: start(accounts.clone()), store, accounts, plan, clock };
        house.group("team", &["alice", "bob@main.example", "bob@main.example"]).await;
        house
    }

    pub async fn group(&self, name: &str, members: &[&str]) {
        let members = members.iter().map(|m| Value::from(*m)).collect();
        let settings = Dictionary::from([("Members".to_owned(), Value::Array(members))]);
        let group = DomainObject::Group(settings);
        self.store.directory.put_object(MAIN, name, group, false).await.unwrap();
    }

    /// Gives everybody the password `secret`.
    pub async fn passwords(&self) {
        let console = Actor::console_in(MAIN);
        for name in ["alice@main.example", "bob@main.example"] {
            let secret = Secret::from("secret");
            self.accounts.set_account_password(&console, name, secret, false).await.unwrap();
        }
    }

    /// Changes one setting of an account.
    pub async fn set(&self, address: &str, key: &str, value: &str) {
        self.set_value(address, key, Value::from(value)).await;
    }

    pub async fn set_value(&self, address: &str, key: &str, value: Value) {
        let id = self.account(address).await;
        let mut record = self.store.directory.account(id).await.unwrap().unwrap();
        record.settings.insert(key.into(), value);
        self.store.directory.update_account(record, None).await.unwrap();
    }

    async fn account(&self, address: &str) -> AccountId {
        let route = self.accounts.route(address, RouteKind::Mail, None).await;
        let RouteOutcome::Local { account, .. } = route else { panic!("{address}: {route:?}") };
        account
    }

    /// Removes an account.
    pub async fn remove(&self, address: &str) {
        let account = self.account(address).await;
        self.store.directory.delete_account(account).await.unwrap();
    }

    /// A client of a plain listener, its greeting read.
    pub async fn client(&self) -> Client<DuplexStream> {
        let mut client = self.connect(ReceiverSettings::default(), None, false);
        client.expect("220 ").await;
        client
    }

    pub fn connect(
        &self,
        settings: ReceiverSettings,
        tls: Option<TlsAcceptor>,
        encrypted: bool,
    ) -> Client<DuplexStream> {
        self.connect_from("192.0.2.9:4321", settings, tls, encrypted)
    }

    /// A client at another address.
    pub fn connect_from(
        &self,
        peer: &str,
        settings: ReceiverSettings,
        tls: Option<TlsAcceptor>,
        encrypted: bool,
    ) -> Client<DuplexStream> {
        let (ours, theirs) = tokio::io::duplex(1024 * 1024);
        let info = ConnectionInfo {
            session: 7,
            peer: peer.parse().unwrap(),
            local: "127.0.0.1:25".parse().unwrap(),
            tls: encrypted,
        };
        tokio::spawn(serve(theirs, info, self.transfer.receiver(settings, tls)));
        Client { stream: ours, buffer: Vec::new() }
    }

    /// The messages of a mailbox, as they can be read.
    pub async fn mailbox(&self, address: &str, mailbox: &str) -> Vec<String> {
        let account = self.account(address).await;
        let all = self.store.mailboxes.list(account).await.unwrap();
        let Some(found) = all.iter().find(|m| m.name == mailbox) else { return Vec::new() };
        let snapshot = self.store.mailboxes.snapshot(account, found.id).await.unwrap();
        let mut texts = Vec::new();
        for entry in snapshot.entries {
            let bytes = self.store.bodies.read(entry.body).await.unwrap();
            assert_eq!(bytes.len() as u64, entry.size);
            texts.push(String::from_utf8_lossy(&bytes).into_owned());
        }
        texts
    }

    pub async fn inbox(&self, address: &str) -> Vec<String> {
        self.mailbox(address, "INBOX").await
    }

    /// Waits until the queue is empty.
    pub async fn settled(&self) {
        for _ in 0..1000 {
            if self.store.queue.count().await.is_ok_and(|n| n == 0) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("the queue does not empty");
    }

    /// Waits until a recipient of the only queued message has failed so often.
    pub async fn tried(&self, times: u32) {
        use angarium_store::{QueueId, RecipientState};
        for _ in 0..1000 {
            let ids = self.store.queue.list(QueueId(0), 10).await.unwrap_or_default();
            if let [id] = ids[..]
                && let Ok(Some(message)) = self.store.queue.message(id).await
                && message.recipients.iter().any(|r| {
                    matches!(r.state, RecipientState::Waiting { attempts, .. } if attempts >= times)
                })
            {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("nothing was tried");
    }
}

pub struct Client<S> {
    pub stream: S,
    pub buffer: Vec<u8>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    pub async fn send(&mut self, text: impl AsRef<[u8]>) {
        // The server may have closed already; then the answers tell.
        let _ = self.stream.write_all(text.as_ref()).await;
    }

    /// One reply, its lines joined by `|`; empty when the server has closed.
    pub async fn reply(&mut self) -> String {
        let mut reply = String::new();
        loop {
            while let Some(end) = self.buffer.iter().position(|b| *b == b'\n') {
                let line: Vec<u8> = self.buffer.drain(..=end).collect();
                let line = String::from_utf8(line).unwrap();
                let line = line.trim_end_matches("\r\n");
                reply.push_str(line);
                if line.as_bytes().get(3) == Some(&b' ') {
                    return reply;
                }
                reply.push('|');
            }
            let mut chunk = [0; 4096];
            let wait = Duration::from_secs(10);
            let read = tokio::time::timeout(wait, self.stream.read(&mut chunk)).await.unwrap();
            match read {
                Ok(n) if n > 0 => self.buffer.extend_from_slice(&chunk[..n]),
                _ => return reply,
            }
        }
    }

    /// The next reply, which must start so.
    pub async fn expect(&mut self, start: &str) -> String {
        let reply = self.reply().await;
        assert!(reply.starts_with(start), "wanted {start:?}, got {reply:?}");
        reply
    }

    /// A command and its reply.
    pub async fn say(&mut self, line: &str, start: &str) -> String {
        self.send(format!("{line}\r\n")).await;
        self.expect(start).await
    }

    pub async fn hello(&mut self) -> String {
        self.say("EHLO client.example", "250").await
    }

    /// A whole message after `hello`; answers the last reply.
    pub async fn mail(&mut self, from: &str, to: &[&str], content: &str) -> String {
        self.say(&format!("MAIL FROM:<{from}>"), "250 2.1.0").await;
        for to in to {
            self.say(&format!("RCPT TO:<{to}>"), "250 2.1.5").await;
        }
        self.say("DATA", "354").await;
        self.send(content).await;
        self.send(".\r\n").await;
        self.reply().await
    }
}
