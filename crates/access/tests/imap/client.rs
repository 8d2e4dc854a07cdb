//! A server in memory and clients that talk to it line by line.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use angarium_access::connection::ConnectionInfo;
use angarium_access::imap::{ImapContext, ImapOptions, serve, serve_preauthenticated};
use angarium_access::sessions::SessionTable;
use angarium_accounts::options::Hashing;
use angarium_accounts::{
    AccountId, AccountKind, AccountRecord, Accounts, Clock, DomainRecord, Options, SettingsKey,
    Value,
};
use angarium_store::faulty::{self, Plan};
use angarium_store::{Store, memory};
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// How long an answer may take before a test fails.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) const NOW: i64 = 1_700_000_000;

struct Ticking(AtomicI64);

impl Clock for Ticking {
    fn now(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
}

pub(crate) struct World {
    pub(crate) context: Arc<ImapContext>,
    pub(crate) store: Store,
    pub(crate) plan: Plan,
    sessions: AtomicU64,
}

impl World {
    /// A server with the accounts `ann`, `bob` and `eve` of `test.example`, password `x`.
    pub(crate) async fn new() -> Self {
        Self::with(ImapOptions { host: "test.example".into(), ..ImapOptions::default() }).await
    }

    pub(crate) async fn with(options: ImapOptions) -> Self {
        let plan = Plan::new();
        let store = faulty::wrap(memory::open(), plan.clone());
        let record = DomainRecord {
            name: "test.example".into(),
            aliases: vec![],
            settings: [].into(),
            account_defaults: [].into(),
            template: [].into(),
            version: 0,
        };
        store.directory.create_domain(record).await.unwrap();
        let main = [("DomainName".to_owned(), Value::from("test.example"))].into();
        store.directory.set_settings(&SettingsKey::Server, main, None).await.unwrap();
        let clock = Arc::new(Ticking(AtomicI64::new(NOW)));
        let accounts =
            Accounts::new(store.clone(), Options { clock, hashing: Hashing::weak_for_tests() });
        let context = Arc::new(ImapContext {
            accounts,
            options,
            sessions: SessionTable::default(),
            acceptor: None,
        });
        let world = Self { context, store, plan, sessions: AtomicU64::new(1) };
        for name in ["ann", "bob", "eve"] {
            world.account(name, &[]).await;
        }
        world
    }

    /// Another server over the same store, as after a start.
    pub(crate) fn over(other: &Self) -> Self {
        let clock = Arc::new(Ticking(AtomicI64::new(NOW)));
        let options = Options { clock, hashing: Hashing::weak_for_tests() };
        let context = Arc::new(ImapContext {
            accounts: Accounts::new(other.store.clone(), options),
            options: other.context.options.clone(),
            sessions: SessionTable::default(),
            acceptor: None,
        });
        Self {
            context,
            store: other.store.clone(),
            plan: other.plan.clone(),
            sessions: AtomicU64::new(1),
        }
    }

    pub(crate) async fn account(&self, name: &str, settings: &[(&str, &str)]) -> AccountId {
        let mut all: angarium_accounts::Dictionary =
            [("Password".to_owned(), Value::from("x"))].into();
        all.extend(settings.iter().map(|(k, v)| ((*k).to_owned(), Value::from(*v))));
        let record = AccountRecord {
            id: AccountId(0),
            domain: "test.example".into(),
            name: name.into(),
            kind: AccountKind::MultiMailbox,
            aliases: vec![],
            settings: all,
            rights: vec![],
            subscription: vec![],
            mailbox_aliases: [].into(),
            info: [].into(),
            version: 0,
        };
        self.store.directory.create_account(record, NOW).await.unwrap().id
    }

    /// A connection from this machine or from elsewhere.
    pub(crate) fn connect_from(&self, peer: [u8; 4]) -> Client {
        self.connect_under(peer, false)
    }

    /// As `connect_from`, where TLS may have been agreed before the session began.
    pub(crate) fn connect_under(&self, peer: [u8; 4], tls: bool) -> Client {
        let session = self.sessions.fetch_add(1, Ordering::Relaxed);
        let (near, far) = tokio::io::duplex(1 << 18);
        let info = ConnectionInfo {
            session,
            peer: SocketAddr::from((peer, 4000)),
            local: SocketAddr::from(([127, 0, 0, 1], 143)),
            tls,
        };
        let task = tokio::spawn(serve(far, info, Arc::clone(&self.context)));
        Client { stream: near, task, got: Vec::new(), at: 0, tag: 0, deflate: None }
    }

    /// A session on standard input and output of `angarium exec imap`, nothing read yet.
    pub(crate) async fn preauthenticated(&self, name: &str) -> Client {
        let session = self.sessions.fetch_add(1, Ordering::Relaxed);
        let (near, far) = tokio::io::duplex(1 << 18);
        let here = SocketAddr::from(([127, 0, 0, 1], 0));
        let info = ConnectionInfo { session, peer: here, local: here, tls: false };
        let full = format!("{name}@test.example");
        let actor = self.context.accounts.act_at_console(&full).await.unwrap();
        let task =
            tokio::spawn(serve_preauthenticated(far, info, Arc::clone(&self.context), actor));
        Client { stream: near, task, got: Vec::new(), at: 0, tag: 0, deflate: None }
    }

    pub(crate) async fn connect(&self) -> Client {
        let mut client = self.connect_from([127, 0, 0, 1]);
        assert!(client.line().await.starts_with("* OK [CAPABILITY "));
        client
    }

    pub(crate) async fn login(&self, name: &str) -> Client {
        let mut client = self.connect().await;
        client.ok(&format!("LOGIN {name} x")).await;
        client
    }

    /// Logged in with INBOX selected, holding `count` small messages.
    pub(crate) async fn inbox(&self, name: &str, count: u32) -> Client {
        let mut client = self.login(name).await;
        for n in 1..=count {
            client.append("INBOX", "", &mail(n)).await;
        }
        client.ok("SELECT INBOX").await;
        client
    }
}

/// A small message with a subject and text that name its number.
pub(crate) fn mail(n: u32) -> String {
    format!(
        "From: Sender {n} <s{n}@test.example>\r\nTo: ann@test.example\r\n\
         Subject: Number {n}\r\nDate: Tue, {} Nov 2023 10:00:00 +0100\r\n\
         Message-ID: <m{n}@test.example>\r\n\r\nText of {n}.\r\n",
        n % 28 + 1
    )
}

pub(crate) struct Client {
    stream: DuplexStream,
    pub(crate) task: JoinHandle<()>,
    got: Vec<u8>,
    /// How far `got` has been looked at.
    at: usize,
    tag: u32,
    /// Both directions after COMPRESS.
    deflate: Option<Box<(Compress, Decompress)>>,
}

impl Client {
    /// Compresses from here on.
    pub(crate) fn start_deflate(&mut self) {
        let both = (Compress::new(Compression::fast(), false), Decompress::new(false));
        self.deflate = Some(Box::new(both));
    }

    pub(crate) async fn send(&mut self, text: &str) {
        // A server that has closed does not read any more.
        let _ = match &mut self.deflate {
            None => self.stream.write_all(text.as_bytes()).await,
            Some(both) => {
                let mut bytes = Vec::with_capacity(text.len() + 1024);
                both.0.compress_vec(text.as_bytes(), &mut bytes, FlushCompress::Sync).unwrap();
                self.stream.write_all(&bytes).await
            }
        };
    }

    async fn fill(&mut self) -> bool {
        let mut buffer = vec![0; 64 * 1024];
        let n = timeout(PATIENCE, self.stream.read(&mut buffer)).await.expect("an answer").unwrap();
        self.got.drain(..self.at);
        self.at = 0;
        let Some(both) = &mut self.deflate else {
            self.got.extend_from_slice(&buffer[..n]);
            return n > 0;
        };
        let mut room = Vec::with_capacity(1 << 20);
        both.1.decompress_vec(&buffer[..n], &mut room, FlushDecompress::Sync).unwrap();
        assert!(room.len() < 1 << 20);
        self.got.extend_from_slice(&room);
        n > 0
    }

    async fn next_line(&mut self) -> Option<String> {
        let mut searched = self.at;
        loop {
            let rest = &self.got[searched..];
            if let Some(end) = rest.windows(2).position(|w| w == b"\r\n") {
                let line = &self.got[self.at..searched + end];
                let line = String::from_utf8_lossy(line).into_owned();
                self.at = searched + end + 2;
                return Some(line);
            }
            searched = self.got.len().saturating_sub(1).max(self.at) - self.at;
            if !self.fill().await {
                return None;
            }
        }
    }

    /// The next line, without its end; empty at the end of the connection.
    pub(crate) async fn line(&mut self) -> String {
        self.next_line().await.unwrap_or_default()
    }

    /// Everything up to and with the line that begins so.
    pub(crate) async fn until(&mut self, start: &str) -> String {
        let mut all = String::new();
        loop {
            let Some(line) = self.next_line().await else { panic!("closed after: {all}") };
            all.push_str(&line);
            all.push_str("\r\n");
            if line.starts_with(start) {
                return all;
            }
        }
    }

    /// Runs a command; answers everything up to its tagged answer, the tag replaced by `x`.
    pub(crate) async fn run(&mut self, command: &str) -> String {
        self.tag += 1;
        let tag = format!("t{}", self.tag);
        self.send(&format!("{tag} {command}\r\n")).await;
        self.answer(&tag).await
    }

    pub(crate) async fn answer(&mut self, tag: &str) -> String {
        let text = self.until(&format!("{tag} ")).await;
        let at = text.rfind(&format!("{tag} ")).unwrap();
        format!("{}x {}", &text[..at], &text[at + tag.len() + 1..])
    }

    pub(crate) async fn ok(&mut self, command: &str) -> String {
        let answer = self.run(command).await;
        assert!(answer.contains("\r\nx OK") || answer.starts_with("x OK"), "{command}: {answer}");
        answer
    }

    pub(crate) async fn no(&mut self, command: &str) -> String {
        let answer = self.run(command).await;
        assert!(answer.contains("x NO"), "{command}: {answer}");
        answer
    }

    pub(crate) async fn bad(&mut self, command: &str) -> String {
        let answer = self.run(command).await;
        assert!(answer.contains("x BAD"), "{command}: {answer}");
        answer
    }

    /// APPENDs one message with what stands between name and literal.
    pub(crate) async fn append(&mut self, mailbox: &str, between: &str, mail: &str) -> String {
        self.ok(&format!("APPEND {mailbox} {between}{{{}+}}\r\n{mail}", mail.len())).await
    }

    /// Says that nothing more comes, and reads to the end.
    pub(crate) async fn hang_up(&mut self) {
        self.stream.shutdown().await.unwrap();
        while self.fill().await {}
    }

    /// True when the server closes.
    pub(crate) async fn closed(&mut self) -> bool {
        while self.fill().await {}
        true
    }

    /// True when nothing more was sent so far.
    pub(crate) async fn silent(&mut self) -> bool {
        let mut buffer = [0; 1];
        self.at == self.got.len()
            && timeout(Duration::from_millis(50), self.stream.read(&mut buffer)).await.is_err()
    }
}
