//! Those who arrive: a name that mail is for is asked about at the old server, and becomes an account
//! if it is known there; a password is proved there, and kept here in our own form. Then the account
//! is one like any other, and its mail is copied.
//!
//! It must never log or keep a password as it is, nor let anybody guess through us what the old server
//! knows.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use angarium_accounts::{
    Accounts, Actor, Asked, Consulted, Dictionary, NewAccount, OldServers, OperationError, Secret,
    UnknownConsultant, Value,
};
use angarium_objects::name::{FullName, object_name};
use angarium_objects::settings::{OldAddress, OldMail, OldServer};
use async_trait::async_trait;
use aws_lc_rs::rand;
use quick_cache::sync::Cache;
use tokio::sync::{OnceCell, Semaphore};

use crate::book::Book;
use crate::copying::Copier;
use crate::limits::Limits;
use crate::line::LIMIT;
use crate::probe::{self, Known};
use crate::proof;

/// Conversations with old servers at a time; whoever finds no room is put off.
const AT_ONCE: usize = 64;
/// Longest wait for room.
const PATIENCE: Duration = Duration::from_secs(10);
/// Seconds a refused password is remembered, as a keyed hash.
const REFUSED_SECONDS: i64 = 60;
/// Refused passwords remembered.
const REFUSED: usize = 20_000;
/// Seconds for which it is remembered whether an old server takes every name.
const CONTROL_SECONDS: i64 = 600;
/// Domains remembered so.
const DOMAINS: usize = 10_000;

type Tag = [u8; 32];
type Proving = Arc<OnceCell<Result<bool, String>>>;

/// Takes users over.
pub struct Arrivals {
    accounts: Arc<Accounts>,
    copier: Arc<Copier>,
    /// What we call ourselves at the old server.
    hello: String,
    limits: Limits,
    key: Tag,
    /// Until when a password counts as refused, seconds since 1970.
    refused: Cache<Tag, i64>,
    proving: Mutex<HashMap<Tag, Proving>>,
    /// Until when an old server counts as one that takes every name (true) or does not.
    takes_all: Cache<String, (bool, i64)>,
    slots: Semaphore,
}

/// The switches of an account whose password is asked at the old server.
fn waiting() -> Dictionary {
    Dictionary::from([
        ("UseAppPassword".to_owned(), Value::from("NO")),
        ("UseExtPassword".to_owned(), Value::from("YES")),
    ])
}

/// The switches of an account that has arrived.
fn settled() -> Dictionary {
    Dictionary::from([
        ("UseAppPassword".to_owned(), Value::from("YES")),
        ("UseExtPassword".to_owned(), Value::from("NO")),
    ])
}

/// The route of a name to the old server itself, unchanged (RTE-06).
fn route_to(at: &OldAddress, name: &str, domain: &str) -> String {
    let host = match at.host.parse::<IpAddr>() {
        Ok(IpAddr::V6(ip)) => format!("[IPv6:{ip}]"),
        Ok(IpAddr::V4(ip)) => format!("[{ip}]"),
        Err(_) => at.host.clone(),
    };
    format!("{name}%{domain}@{host}:{}._via", at.port)
}

impl Arrivals {
    /// Ready to be asked; `hello` is this server's name. `None` only when random octets are out.
    #[must_use]
    pub fn new(accounts: Arc<Accounts>, copier: Arc<Copier>, hello: String) -> Option<Arc<Self>> {
        let mut key = [0; 32];
        rand::fill(&mut key).ok()?;
        Some(Arc::new(Self {
            accounts,
            copier,
            hello,
            limits: Limits::default(),
            key,
            refused: Cache::new(REFUSED),
            proving: Mutex::default(),
            takes_all: Cache::new(DOMAINS),
            slots: Semaphore::new(AT_ONCE),
        }))
    }

    fn book(&self) -> &Book {
        self.copier.book()
    }

    fn tag(&self, full: &str, password: &Secret) -> Tag {
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        hasher.update(full.as_bytes());
        hasher.update(&[0]);
        hasher.update(password.expose());
        *hasher.finalize().as_bytes()
    }

    async fn old_server(&self, domain: &str) -> Result<OldServer, String> {
        let old = self.accounts.old_server_of(domain).await.map_err(|e| e.to_string())?;
        old.ok_or_else(|| format!("{domain} has no old server any more"))
    }

    async fn room(&self) -> Result<tokio::sync::SemaphorePermit<'_>, String> {
        match tokio::time::timeout(PATIENCE, self.slots.acquire()).await {
            Ok(Ok(slot)) => Ok(slot),
            _ => Err("old servers are asked too much at this moment".to_owned()),
        }
    }

    /// One conversation, and what follows from a yes.
    async fn prove_once(&self, asked: &Asked, password: &Secret) -> Result<bool, String> {
        let old = self.old_server(&asked.domain).await?;
        let login = old.login_name(&asked.name, &asked.domain);
        let right = {
            let _slot = self.room().await?;
            proof::prove(&old, &login, password.expose()).await?
        };
        if right {
            self.arrived(&old, asked, password).await?;
        }
        Ok(right)
    }

    /// Keeps a password that was proved. What goes wrong here must not keep its owner out: the next
    /// login tries again.
    async fn arrived(
        &self,
        old: &OldServer,
        asked: &Asked,
        password: &Secret,
    ) -> Result<(), String> {
        let (full, console) = (asked.full_name(), Actor::console());
        let made = self.make(&full).await?;
        if let Err(error) = self.keep(&console, &full, password).await {
            tracing::error!(tag = "TAKEOVER", "the password of {full} is not kept: {error}");
            return Ok(());
        }
        tracing::info!(tag = "TAKEOVER", "{full} has arrived; its password is kept here");
        let now = self.accounts.now();
        let sealed = match old.mail {
            OldMail::Copy => self.accounts.seal(password).await.unwrap_or_default(),
            OldMail::List | OldMail::Password => String::new(),
        };
        let listed = old.mail == OldMail::List && self.list(old, asked, password);
        let noted = self.book().change(&asked.name, &asked.domain, |page| {
            if made || page.made == 0 {
                page.made = now;
            }
            (page.proved, page.tries, page.last_try) = (now, 0, 0);
            page.sealed = sealed;
            page.listed |= listed;
        });
        match noted {
            Ok(page) if !page.sealed.is_empty() => {
                let (name, domain) = (asked.name.clone(), asked.domain.clone());
                self.copier.want(&FullName { name, domain });
            }
            Ok(_) => {}
            Err(error) => tracing::error!(tag = "TAKEOVER", "{full} is not in the book: {error}"),
        }
        Ok(())
    }

    fn list(&self, old: &OldServer, asked: &Asked, password: &Secret) -> bool {
        let login = old.login_name(&asked.name, &asked.domain);
        let full = asked.full_name();
        match self.book().list(&asked.domain, &login, password.expose(), &full) {
            Ok(path) => {
                tracing::warn!(
                    tag = "TAKEOVER",
                    "{full}: name and password in clear are in {}; remove it after MoveAccounts",
                    path.display()
                );
                true
            }
            Err(error) => {
                tracing::error!(tag = "TAKEOVER", "{full} is not in the list: {error}");
                false
            }
        }
    }

    /// Makes an account that waits for its owner; false when it is there already.
    async fn make(&self, full: &str) -> Result<bool, String> {
        let account =
            NewAccount { name: full.to_owned(), settings: waiting(), ..NewAccount::default() };
        match self.accounts.create_account(&Actor::console(), account).await {
            Ok(_) => Ok(true),
            Err(OperationError::AccountExists) => Ok(false),
            Err(error) => Err(format!("{full} cannot be made: {error}")),
        }
    }

    async fn keep(
        &self,
        console: &Actor,
        full: &str,
        password: &Secret,
    ) -> Result<(), OperationError> {
        // In this order: cut off in between, the account still waits for its owner.
        self.accounts.set_account_password(console, full, password.clone(), false).await?;
        self.accounts.update_account_settings(console, full, settled()).await
    }
}

/// Takes a proof off the list when whoever asked for it is done or gone.
struct Proved<'a> {
    all: &'a Mutex<HashMap<Tag, Proving>>,
    tag: Tag,
    proving: &'a Proving,
}

impl Drop for Proved<'_> {
    fn drop(&mut self) {
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        // Somebody who waits for the same proof goes on if this one was cut off.
        let waited_for = !self.proving.initialized() && Arc::strong_count(self.proving) > 2;
        if !waited_for && all.get(&self.tag).is_some_and(|one| Arc::ptr_eq(one, self.proving)) {
            all.remove(&self.tag);
        }
    }
}

#[async_trait]
impl OldServers for Arrivals {
    async fn prove(
        &self,
        asked: &Asked,
        peer: Option<IpAddr>,
        password: &Secret,
    ) -> Result<bool, String> {
        // Names that cannot be accounts are not asked about.
        if object_name(&asked.name).as_deref() != Ok(asked.name.as_str()) {
            return Ok(false);
        }
        let (full, now) = (asked.full_name(), self.accounts.now());
        let tag = self.tag(&full, password);
        if self.refused.get(&tag).is_some_and(|until| now < until) {
            return Ok(false);
        }
        self.limits.may_prove(&full, peer, now)?;
        // A mail program logs in several times at once: the old server is asked once.
        let proving = {
            let mut all = self.proving.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(all.entry(tag).or_default())
        };
        let proved = Proved { all: &self.proving, tag, proving: &proving };
        let mut first = false;
        let asking = proving.get_or_init(|| {
            first = true;
            async {
                match tokio::time::timeout(2 * LIMIT, self.prove_once(asked, password)).await {
                    Ok(said) => said,
                    Err(_) => Err("the old server does not answer in time".to_owned()),
                }
            }
        });
        let said = Box::pin(asking).await.clone();
        drop(proved);
        if first && said == Ok(false) {
            self.refused.insert(tag, now.saturating_add(REFUSED_SECONDS));
            self.limits.wrong(&full, peer, now);
        }
        said
    }
}

#[async_trait]
impl UnknownConsultant for Arrivals {
    async fn consult(
        &self,
        name: &str,
        domain: &str,
        peer: Option<IpAddr>,
    ) -> Result<Consulted, String> {
        if object_name(name).as_deref() != Ok(name) {
            return Ok(Consulted::Unknown);
        }
        let (old, now) = (self.old_server(domain).await?, self.accounts.now());
        let Some(smtp) = &old.smtp else { return Ok(Consulted::Unknown) };
        let there = old.mail_domain(domain);
        let control = self.takes_all.get(domain).filter(|(_, until)| now < *until);
        if let Some((true, _)) = control {
            return Ok(Consulted::Routed(route_to(smtp, name, there)));
        }
        self.limits.question(domain, peer, now)?;
        let known = {
            let _slot = self.room().await?;
            probe::knows(smtp, &self.hello, name, there, control.is_none()).await?
        };
        match known {
            Known::No => Ok(Consulted::Unknown),
            Known::CannotTell => {
                let until = now.saturating_add(CONTROL_SECONDS);
                self.takes_all.insert(domain.to_owned(), (true, until));
                tracing::warn!(
                    tag = "TAKEOVER",
                    "the old server of {domain} takes every name: mail for names without an account \
                     goes on to it, and accounts are made at logins alone"
                );
                Ok(Consulted::Routed(route_to(smtp, name, there)))
            }
            Known::Yes => {
                if control.is_none() {
                    let until = now.saturating_add(CONTROL_SECONDS);
                    self.takes_all.insert(domain.to_owned(), (false, until));
                }
                self.limits.make(domain, now)?;
                let full = format!("{name}@{domain}");
                if self.make(&full).await? {
                    tracing::info!(
                        tag = "TAKEOVER",
                        "{full} is known at the old server: made here"
                    );
                    let noted = self.book().change(name, domain, |page| page.made = now);
                    if let Err(error) = noted {
                        tracing::error!(tag = "TAKEOVER", "{full} is not in the book: {error}");
                    }
                }
                Ok(Consulted::LookAgain)
            }
        }
    }
}

#[cfg(test)]
mod tests;
