//! The module SMTP, sending: takes recipients of one queue to the servers that receive their mail
//! (`reference/smtp.md` section 3).
//!
//! [`target`] says where, [`policy`] with how much TLS, [`connection`] speaks, [`verdict`] says
//! what the answers mean, [`pool`] keeps connections. It must never know when the queue tries
//! again.

mod attempt;
mod connection;
mod dane;
mod hand_over;
mod letter;
mod phases;
mod policy;
mod pool;
mod quiet;
mod random;
mod settings;
mod state_file;
mod sts;
mod table;
mod target;
mod tls;
mod tls_reports;
mod told;
mod verdict;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use angarium_accounts::{Accounts, Dictionary, Domain, Value};
use angarium_objects::settings as declared;
use angarium_store::QueuedMessage;
use async_trait::async_trait;
use rustls::pki_types::CertificateDer;
use tokio::sync::watch;

use crate::deliver::{Channels, Module, Outcome};
use crate::dns::Dns;
use crate::envelope::{MessageFacts, RecipientFacts};
use crate::recipients::SMTP;
use crate::srs::{self, Srs};

pub use connection::{Connection, Duplex};
pub(crate) use connection::{Cover, NotOpen, Opening};
pub(crate) use hand_over::hand_over;
pub use letter::Content;
pub use phases::Phases;
pub use sts::{Mode as StsMode, Policy as StsPolicy, record_id as sts_record_id};
pub use table::OutgoingRow;
pub(crate) use tls::Check;
pub use tls::TlsClient;
pub use tls_reports::{FailureDetails, PolicyKind, PolicyResult, TlsReports};
pub use told::Verdict;

use attempt::Attempt;
use letter::{Addressee, Letter};
use settings::{Current, SendingSettings};
use target::Target;

/// Most recipients of one message given to a server at a time.
const MAX_RECIPIENTS: usize = 1_000;

/// How often idle connections are looked at.
const SWEEP: Duration = Duration::from_secs(1);

/// How often what was counted is written down.
const SAVE: u64 = 60;

/// Seconds of a day.
const DAY: i64 = 86_400;

/// What sending needs beside the accounts.
#[derive(Clone, Debug, Default)]
pub struct SendingOptions {
    /// Roots that are trusted beside the system's.
    pub roots: Vec<CertificateDer<'static>>,
    /// Directory for what is learned of other servers; without one it is forgotten at the end.
    pub state: Option<PathBuf>,
    /// How long things may take.
    pub phases: Phases,
    /// The port of hosts that MX records name, where it is not 25 (tests).
    pub port: Option<u16>,
    /// The port of MTA-STS web servers, where it is not 443 (tests).
    pub sts_port: Option<u16>,
}

/// The module.
pub struct Sending {
    accounts: Arc<Accounts>,
    dns: Dns,
    tls: Arc<TlsClient>,
    current: Current,
    policies: sts::Policies,
    reports: Arc<TlsReports>,
    pool: pool::Pool,
    quiet: quiet::Quiet,
    table: table::Table,
    phases: Phases,
    port: u16,
    numbers: AtomicU64,
}

impl Sending {
    /// Makes the module; nothing is sent yet.
    ///
    /// # Errors
    /// What is wrong with the machine's TLS library, for people.
    pub fn new(
        accounts: Arc<Accounts>,
        dns: Dns,
        options: &SendingOptions,
    ) -> Result<Arc<Self>, String> {
        let tls = Arc::new(TlsClient::new(options.roots.clone())?);
        let file = |name: &str| options.state.as_ref().map(|place| place.join(name));
        let sts_port = options.sts_port.unwrap_or(443);
        let kept = file("mta-sts.json");
        let policies = sts::Policies::new(dns.clone(), Arc::clone(&tls), sts_port, kept);
        Ok(Arc::new(Self {
            accounts,
            dns,
            tls,
            current: Current::default(),
            policies,
            reports: Arc::new(TlsReports::new(file("tls-reports.json"))),
            pool: pool::Pool::default(),
            quiet: quiet::Quiet::new(),
            table: table::Table::default(),
            phases: options.phases,
            port: options.port.unwrap_or(25),
            numbers: AtomicU64::new(1),
        }))
    }

    /// Starts what goes on beside deliveries: tired connections are closed, counts written down,
    /// changed DNS settings taken over.
    pub(crate) fn start(self: &Arc<Self>, mut stop: watch::Receiver<bool>) {
        let sending = Arc::clone(self);
        tokio::spawn(async move {
            let mut turns = 0;
            loop {
                let _ = sending.settings().await;
                tokio::select! {
                    _ = stop.wait_for(|stop| *stop) => break,
                    () = tokio::time::sleep(SWEEP) => {}
                }
                let idle = sending.current.last().map_or(SWEEP, |s| s.idle);
                close(sending.pool.tired(idle));
                turns += 1;
                if turns % SAVE == 0 {
                    sending.reports.save().await;
                }
            }
            close(sending.pool.tired(Duration::ZERO));
            sending.reports.save().await;
        });
    }

    /// What was counted of TLS towards other domains.
    #[must_use]
    pub fn tls_reports(&self) -> &Arc<TlsReports> {
        &self.reports
    }

    /// The connections that mail goes out on, by number.
    #[must_use]
    pub fn connections(&self) -> Vec<OutgoingRow> {
        self.table.list()
    }

    /// Where other servers are looked up.
    #[must_use]
    pub fn dns(&self) -> &Dns {
        &self.dns
    }

    async fn settings(&self) -> Result<Arc<SendingSettings>, String> {
        let follow = |all: &Dictionary| {
            let applied = self.dns.apply(&settings::dns_options(all));
            applied.map_err(|error| format!("the DNS settings are not good: {error}"))
        };
        self.current.read(&self.accounts, follow).await
    }

    fn next_number(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::Relaxed)
    }

    /// The domain whose name and address a message goes out with: its author's, if it is ours.
    async fn sender_domain(&self, message: &QueuedMessage) -> Option<Arc<Domain>> {
        let facts = MessageFacts::decode(&message.facts);
        let address = facts.account.as_deref().unwrap_or(&message.return_path);
        let (_, domain) = address.rsplit_once('@')?;
        self.accounts.domain_facts(&domain.to_ascii_lowercase()).await.ok().flatten()
    }

    /// Who we are for this message.
    async fn identity(&self, message: &QueuedMessage, settings: &SendingSettings) -> Identity {
        let main = self.accounts.main_domain().await.unwrap_or_default();
        let domain = self.sender_domain(message).await;
        let own = |key: &str| domain.as_ref().and_then(|d| d.effective.get(key));
        let text = own("SendingHELOName").and_then(Value::as_str).filter(|t| !t.is_empty());
        let hello = text.map(str::to_owned).or_else(|| settings.hello.clone());
        let source = own("SendingIPAddress").and_then(declared::addresses);
        let source = source.filter(|all| !all.is_empty());
        let hello = hello.unwrap_or_else(|| main.clone());
        let mut names = vec![main.clone(), hello.clone()];
        names.extend(settings.hello.clone());
        Identity { main, hello, names, source: source.unwrap_or_else(|| settings.source.clone()) }
    }

    /// The return path for mail that is sent on.
    async fn forwarded_path(&self, message: &QueuedMessage, main: &str) -> Option<String> {
        if MessageFacts::decode(&message.facts).account.is_some()
            || self.sender_domain(message).await.is_some()
        {
            return None;
        }
        let srs = rewriter(&self.accounts).await?;
        srs.forward(&message.return_path, main, self.accounts.now().div_euclid(DAY))
    }
}

/// Who we are for one message.
struct Identity {
    main: String,
    hello: String,
    names: Vec<String>,
    source: Vec<IpAddr>,
}

fn close(tired: Vec<pool::Lease>) {
    for lease in tired {
        tokio::spawn(async move { lease.connection.quit().await });
    }
}

/// The rewriter of return paths of this server.
async fn rewriter(accounts: &Accounts) -> Option<Srs> {
    accounts.key_for("SRS").await.ok().map(|key| Srs::new(&key))
}

/// The address behind a return path that this server made for mail it sent on, if it is one: a
/// report to it goes there (`SRS0=…@main.domain`).
pub async fn behind_return_path(accounts: &Accounts, address: &str) -> Option<String> {
    let (local, domain) = address.rsplit_once('@')?;
    if !srs::is_rewritten(local) {
        return None;
    }
    accounts.domain_facts(&domain.to_ascii_lowercase()).await.ok()??;
    rewriter(accounts).await?.back(local, accounts.now().div_euclid(DAY))
}

#[async_trait]
impl Module for Sending {
    fn name(&self) -> &'static str {
        SMTP
    }

    fn channels(&self) -> Channels {
        let read = self.current.last();
        read.map_or(Channels { total: 50, per_queue: 5, recipients: MAX_RECIPIENTS }, |settings| {
            Channels {
                total: settings.channels,
                per_queue: settings.per_host,
                recipients: MAX_RECIPIENTS,
            }
        })
    }

    async fn deliver(
        &self,
        message: &Arc<QueuedMessage>,
        recipients: &[u32],
    ) -> Vec<(u32, Outcome)> {
        Box::pin(self.send(message, recipients)).await
    }
}

impl Sending {
    async fn send(&self, message: &QueuedMessage, recipients: &[u32]) -> Vec<(u32, Outcome)> {
        let settings = match self.settings().await {
            Ok(settings) => settings,
            Err(why) => {
                let later = |index: &u32| (*index, Outcome::later("4.3.0", why.clone()));
                return recipients.iter().map(later).collect();
            }
        };
        let identity = self.identity(message, &settings).await;
        let rewritten =
            if settings.srs { self.forwarded_path(message, &identity.main).await } else { None };
        let mut done = Vec::with_capacity(recipients.len());
        // Those with the same return path and the same way go together.
        let mut groups: BTreeMap<(bool, bool), Vec<Addressee>> = BTreeMap::new();
        let mut queue = "";
        for index in recipients.iter().copied() {
            let place = usize::try_from(index).ok().and_then(|at| message.recipients.get(at));
            let Some(recipient) = place else { continue };
            queue = &recipient.queue;
            let facts = RecipientFacts::decode(recipient);
            let to = facts.to.as_deref().unwrap_or(&recipient.address);
            let named = to.rsplit_once('@').is_none_or(|(_, d)| !d.eq_ignore_ascii_case(queue));
            let smart = settings.forward_to.is_some() && !named;
            let protocol = Target::read(queue).map_or_else(Default::default, |t| t.protocol());
            match Addressee::of(index, &recipient.address, &facts, protocol) {
                Ok(one) => {
                    let key = (facts.forwarded && rewritten.is_some(), smart);
                    groups.entry(key).or_default().push(one);
                }
                Err(outcome) => done.push((index, outcome)),
            }
        }
        let letter = match Letter::open(message, &self.accounts.store().bodies).await {
            Ok(letter) => letter,
            Err(error) => {
                let later = Outcome::later("4.3.0", error.to_string());
                let left = groups.into_values().flatten().map(|one| (one.index, later.clone()));
                done.extend(left);
                return done;
            }
        };
        for ((forwarded, smart), to) in groups {
            let path = match &rewritten {
                Some(path) if forwarded => path.as_str(),
                _ => message.return_path.as_str(),
            };
            let target = match &settings.forward_to {
                Some(target) if smart => Some(target.clone()),
                _ => Target::read(queue),
            };
            let (Some(target), Some(from)) = (target, letter::path(path)) else {
                let outcome = Outcome::failed("5.3.5", format!("{queue} is no place to send to"));
                done.extend(to.iter().map(|one| (one.index, outcome.clone())));
                continue;
            };
            let attempt = Attempt {
                sending: self,
                settings: &settings,
                identity: &identity,
                id: message.id,
                queue,
                target,
                smart,
                letter: &letter,
                from,
            };
            done.extend(attempt.run(to).await);
        }
        done
    }
}
