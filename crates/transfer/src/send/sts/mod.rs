//! MTA-STS policies of other domains: found, fetched, and kept as long as they say (RFC 8461), over
//! restarts too. A policy that is known counts until it ends, whatever the DNS or the web server
//! does meanwhile (ABU-17).
//!
//! It must never know what is done with a policy.

mod policy;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use angarium_routing::mx;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use serde::{Deserialize, Serialize};

pub use policy::{Mode, Policy, record_id};

use super::state_file;
use super::tls::TlsClient;
use crate::dns::{Dns, DnsError};

/// Most policies that are kept.
const MAX_KEPT: usize = 20_000;

/// Longest time for fetching a policy (RFC 8461 section 3.3).
const FETCH: Duration = Duration::from_secs(60);

/// Seconds until a policy that could not be fetched is asked for again.
const AGAIN: i64 = 300;

/// The version of the file.
const FORMAT: u32 = 1;

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Kept {
    id: String,
    fetched: i64,
    policy: Policy,
}

impl Kept {
    fn is_fresh(&self, now: i64) -> bool {
        now < self.fetched.saturating_add(self.policy.max_age)
    }
}

#[derive(Default, Serialize, Deserialize)]
struct File {
    version: u32,
    policies: HashMap<String, Kept>,
}

/// What is known of a domain's policy.
#[derive(Clone, Debug, Default)]
pub(crate) struct Known {
    /// The policy, if there is one that counts.
    pub(crate) policy: Option<Arc<Policy>>,
    /// Why a policy that is announced cannot be had, in the words of reports and for people.
    pub(crate) failure: Option<(&'static str, String)>,
}

/// Finds and keeps policies.
pub(crate) struct Policies {
    dns: Dns,
    tls: Arc<TlsClient>,
    /// 443, other in tests.
    port: u16,
    file: Option<PathBuf>,
    kept: Mutex<HashMap<String, Kept>>,
    failed: Mutex<HashMap<String, (i64, &'static str, String)>>,
    fetching: Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>,
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Policies {
    /// Reads what was kept; a file that cannot be read is as good as none.
    pub(crate) fn new(dns: Dns, tls: Arc<TlsClient>, port: u16, file: Option<PathBuf>) -> Self {
        let read: File = file.as_deref().and_then(state_file::read).unwrap_or_default();
        let kept = if read.version == FORMAT { read.policies } else { HashMap::new() };
        Self {
            dns,
            tls,
            port,
            file,
            kept: Mutex::new(kept),
            failed: Mutex::default(),
            fetching: Mutex::default(),
        }
    }

    /// The policy of a domain.
    pub(crate) async fn of(&self, domain: &str, now: i64, private: bool) -> Known {
        let kept = lock(&self.kept).get(domain).filter(|k| k.is_fresh(now)).cloned();
        let policy = kept.as_ref().map(|k| Arc::new(k.policy.clone()));
        let id = match self.dns.txt(&format!("_mta-sts.{domain}")).await {
            Ok(found) => record_id(&found.records),
            Err(DnsError::None { .. } | DnsError::Later { .. }) => None,
        };
        // Without a record, what is kept goes on counting until it ends.
        let Some(id) = id else { return Known { policy, failure: None } };
        if kept.as_ref().is_some_and(|k| k.id == id) {
            return Known { policy, failure: None };
        }
        let turn = Arc::clone(lock(&self.fetching).entry(domain.to_owned()).or_default());
        let guard = turn.lock().await;
        let known = self.fetch_once(domain, &id, now, private, policy).await;
        drop(guard);
        lock(&self.fetching).retain(|_, turn| Arc::strong_count(turn) > 1);
        known
    }

    /// Fetches unless somebody did while we waited.
    async fn fetch_once(
        &self,
        domain: &str,
        id: &str,
        now: i64,
        private: bool,
        old: Option<Arc<Policy>>,
    ) -> Known {
        if let Some(kept) = lock(&self.kept).get(domain).filter(|k| k.id == id && k.is_fresh(now)) {
            return Known { policy: Some(Arc::new(kept.policy.clone())), failure: None };
        }
        if let Some((again, kind, why)) = lock(&self.failed).get(domain)
            && now < *again
        {
            return Known { policy: old, failure: Some((*kind, why.clone())) };
        }
        match self.fetch(domain, private).await {
            Ok(policy) => {
                let made = Kept { id: id.to_owned(), fetched: now, policy: policy.clone() };
                self.keep(domain, made, now).await;
                Known { policy: Some(Arc::new(policy)), failure: None }
            }
            Err((kind, why)) => {
                tracing::warn!(target: "SMTP", "MTA-STS policy of {domain} cannot be had: {why}");
                let mut failed = lock(&self.failed);
                failed.retain(|_, (again, ..)| now < *again);
                if failed.len() < MAX_KEPT {
                    let until = now.saturating_add(AGAIN);
                    failed.insert(domain.to_owned(), (until, kind, why.clone()));
                }
                Known { policy: old, failure: Some((kind, why)) }
            }
        }
    }

    async fn keep(&self, domain: &str, made: Kept, now: i64) {
        let file = {
            let mut kept = lock(&self.kept);
            if kept.len() >= MAX_KEPT {
                kept.retain(|_, k| k.is_fresh(now));
            }
            if kept.len() < MAX_KEPT {
                kept.insert(domain.to_owned(), made);
            }
            File { version: FORMAT, policies: kept.clone() }
        };
        if let Some(path) = self.file.clone() {
            state_file::write(path, file).await;
        }
    }

    async fn fetch(&self, domain: &str, private: bool) -> Result<Policy, (&'static str, String)> {
        const UNREACHED: &str = "sts-policy-fetch-error";
        let failed = |why: String| (UNREACHED, why);
        let resolver = Through { dns: self.dns.clone(), port: self.port, private };
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(self.tls.https().map_err(failed)?)
            .dns_resolver(Arc::new(resolver))
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .https_only(true)
            .timeout(FETCH)
            .build()
            .map_err(|error| failed(error.to_string()))?;
        let url = format!("https://mta-sts.{domain}/.well-known/mta-sts.txt");
        let answer = client.get(url).send().await.map_err(|error| {
            let why = reason(&error);
            let bad = why.contains("certificate");
            (if bad { "sts-webpki-invalid" } else { UNREACHED }, why)
        });
        let mut answer = answer?;
        if answer.status() != reqwest::StatusCode::OK {
            return Err(failed(format!("the web server answers {}", answer.status())));
        }
        let mut text = Vec::new();
        while let Some(piece) = answer.chunk().await.map_err(|error| failed(reason(&error)))? {
            text.extend_from_slice(&piece);
            if text.len() > policy::MAX_FILE {
                return Err(("sts-policy-invalid", "the policy is too large".to_owned()));
            }
        }
        let text = String::from_utf8_lossy(&text);
        Policy::read(&text)
            .ok_or_else(|| ("sts-policy-invalid", "the policy is not one".to_owned()))
    }
}

/// An error with what is behind it, bounded and without control characters.
fn reason(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(behind) = source {
        text = format!("{text}: {behind}");
        source = behind.source();
    }
    text.chars().filter(|c| !c.is_control()).take(500).collect()
}

/// Looks up web servers through our own resolver.
struct Through {
    dns: Dns,
    port: u16,
    private: bool,
}

impl Resolve for Through {
    fn resolve(&self, name: Name) -> Resolving {
        let (dns, port, private) = (self.dns.clone(), self.port, self.private);
        Box::pin(async move {
            let found = dns.addresses(name.as_str()).await?;
            // Nobody's DNS sends us to our own or our neighbours' web servers (ABU-16).
            let good = |ip: &std::net::IpAddr| private || mx::forbidden(*ip).is_none();
            let addresses: Vec<SocketAddr> =
                found.records.into_iter().filter(good).map(|ip| (ip, port).into()).collect();
            let addresses: Addrs = Box::new(addresses.into_iter());
            Ok(addresses)
        })
    }
}
