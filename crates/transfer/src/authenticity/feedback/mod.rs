//! Reports to the owners of domains: what was seen in their names (DMARC, RFC 7489 section 7) and
//! how TLS went towards them (RFC 8460). Collected by day, sent when the day is over.
//!
//! It must never know how a message is checked.

mod aggregate;
mod journal;
pub mod read;
mod received;
mod tls;

use std::collections::{BTreeMap, HashSet};
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use angarium_message::header;
use mail_auth::MessageAuthenticator;
use mail_auth::Txt;
use mail_auth::common::cache::NoCache;
use tokio::sync::watch;

use super::Authenticity;
use super::check::Row;
use crate::submit::{Recipient, Source, Submit, SubmitError, Submitter};
use aggregate::{DAY, Wanted};
use journal::Journal;
pub(super) use journal::Seen;
pub use mail_auth::report::tlsrpt as tls_types;
pub use received::received;
use tls::Place;
pub use tls::TlsCounts;

/// Seconds between looks for days that are over.
const LOOK: u64 = 3600;

/// Days after which a report that cannot be sent is given up.
const GIVE_UP: i64 = 3;

/// Most addresses one report goes to.
const MAX_ADDRESSES: usize = 5;

/// What cannot be done now.
struct Later(String);

/// Collects what was seen, and reports it.
pub struct Feedback {
    own: Arc<Authenticity>,
    journal: Journal,
    received: received::Received,
    submitter: Submitter,
    tls: RwLock<Option<Arc<dyn TlsCounts>>>,
}

impl Feedback {
    /// Collects in files below `directory` from now on, and reports each day that is over until
    /// told to stop.
    ///
    /// # Errors
    /// The directory cannot be made.
    pub fn start(
        own: &Arc<Authenticity>,
        directory: PathBuf,
        submitter: Submitter,
        mut stop: watch::Receiver<bool>,
    ) -> std::io::Result<Arc<Self>> {
        let received = received::Received::new(directory.clone());
        let journal = Journal::open(directory)?;
        let (own_too, tls) = (Arc::clone(own), RwLock::default());
        let feedback = Arc::new(Self { own: own_too, journal, received, submitter, tls });
        own.collect_in(Arc::downgrade(&feedback));
        let running = Arc::clone(&feedback);
        tokio::spawn(async move {
            while !*stop.borrow() {
                running.report().await;
                tokio::select! {
                    _ = stop.changed() => break,
                    () = tokio::time::sleep(Duration::from_secs(LOOK)) => {}
                }
            }
        });
        Ok(feedback)
    }

    /// Reports what is counted there, too.
    pub fn count_tls(&self, counts: Arc<dyn TlsCounts>) {
        *self.tls.write().unwrap_or_else(PoisonError::into_inner) = Some(counts);
    }

    /// Looks at a message that has come: reports of others are read.
    pub(super) fn look(&self, to: &[Recipient], message: &[u8], verified: bool, now: i64) {
        self.received.look(to, message, verified, now);
    }

    /// Notes a message that the owner of a domain wants to know of.
    pub(super) async fn note(&self, now: i64, row: Row) {
        let mut published = row.published;
        published.domain = super::check::policy_domain(&self.own.dns, &published.domain).await;
        let seen = Seen { published, wanted: row.wanted, record: row.record };
        self.journal.note(now.div_euclid(DAY), seen);
    }

    /// Reports the days that are over, as far as that is possible now.
    pub async fn report(&self) {
        let settings = self.own.settings().await;
        let today = self.own.accounts.now().div_euclid(DAY);
        for day in self.journal.days().into_iter().filter(|day| *day < today) {
            let done = !settings.dmarc_reports || self.report_day(day).await;
            if done || day.saturating_add(GIVE_UP) < today {
                self.journal.forget(day);
            }
        }
        let counts = self.tls.read().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(counts) = counts {
            for day in counts.days().into_iter().filter(|day| *day < today) {
                let all = counts.take(day);
                if settings.tls_reports {
                    self.report_tls(day, all).await;
                }
            }
        }
    }

    /// Sends the reports on TLS of one day. What cannot be sent now is not sent: the next day
    /// brings the next one.
    async fn report_tls(&self, day: i64, all: Vec<tls_types::Policy>) {
        let Ok(host) = self.own.accounts.main_domain().await else { return };
        let contact = self.contact(&host).await;
        let mut domains: BTreeMap<String, Vec<tls_types::Policy>> = BTreeMap::new();
        for policy in all {
            domains.entry(policy.policy.policy_domain.clone()).or_default().push(policy);
        }
        for (domain, policies) in domains {
            let found = self.own.dns.txt(&format!("_smtp._tls.{domain}")).await;
            let Ok(found) = found else { continue };
            let Some(wanted) = found.records.iter().find_map(|record| tls::places(record)) else {
                continue;
            };
            let report = tls::report(day, &domain, &host, &contact, policies);
            for place in wanted {
                let sent = match &place {
                    Place::Mail(address) => {
                        self.mail_tls(&report, &domain, &host, &contact, address).await
                    }
                    Place::Web(url) => Box::pin(tls::post(&self.own.dns, url, &report)).await,
                };
                match sent {
                    Ok(()) => tracing::info!(target: "SMTP", "TLS report to {domain} sent"),
                    Err(why) => {
                        tracing::info!(target: "SMTP", "TLS report to {domain} is not sent: {why}");
                    }
                }
            }
        }
    }

    async fn mail_tls(
        &self,
        report: &tls_types::TlsReport,
        domain: &str,
        host: &str,
        contact: &str,
        address: &str,
    ) -> Result<(), String> {
        let text = report.to_rfc5322(domain, host, contact, [address].into_iter());
        let text = text.map_err(|error| error.to_string())?;
        let id = &report.report_id;
        let subject = format!("Report Domain: {domain} Submitter: {host}\r\n Report-ID: <{id}>");
        let text = with_subject(&text, &subject);
        self.submit(address, &text).await.map_err(|Later(why)| why)
    }

    /// Reports one day; false if something is left to be tried later.
    async fn report_day(&self, day: i64) -> bool {
        let Ok(host) = self.own.accounts.main_domain().await else { return false };
        let contact = self.contact(&host).await;
        let journal = self.journal.clone();
        let read = tokio::task::spawn_blocking(move || (journal.read(day), journal.told(day)));
        let Ok((seen, told)) = read.await else { return false };
        let told: HashSet<String> = told.into_iter().collect();
        let mut done = true;
        for wanted in aggregate::reports(day, seen, &host, &contact) {
            let domain = wanted.report.domain().to_owned();
            if told.contains(&domain) {
                continue;
            }
            match Box::pin(self.send(&host, &contact, wanted)).await {
                Ok(()) => {
                    if let Err(error) = self.journal.tell(day, &domain) {
                        tracing::warn!(target: "SMTP", "a report cannot be noted: {error}");
                    }
                }
                Err(Later(why)) => {
                    tracing::info!(target: "SMTP", "DMARC report to {domain} waits: {why}");
                    done = false;
                }
            }
        }
        done
    }

    async fn contact(&self, host: &str) -> String {
        let settings = self.own.settings().await;
        if settings.report_address.is_empty() {
            format!("postmaster@{host}")
        } else {
            settings.report_address.clone()
        }
    }

    /// Sends one aggregate report to the addresses that want it and may have it.
    async fn send(&self, host: &str, contact: &str, wanted: Wanted) -> Result<(), Later> {
        let domain = wanted.report.domain().to_owned();
        let mail: Vec<(String, usize)> = wanted
            .to
            .iter()
            .filter_map(|(uri, most)| {
                let address = uri.strip_prefix("mailto:").unwrap_or(uri);
                let address = address.split(['?', '!']).next().unwrap_or_default();
                (address.contains('@') && !address.contains([',', ' ', '<', '>']))
                    .then(|| (address.to_owned(), *most))
            })
            .take(MAX_ADDRESSES)
            .collect();
        let addresses: Vec<&str> = mail.iter().map(|(address, _)| address.as_str()).collect();
        let library = MessageAuthenticator(self.own.dns.resolver().clone());
        let cache: Option<&NoCache<Box<str>, Txt>> = None;
        // Others must agree to be told (RFC 7489 section 7.1).
        let allowed =
            Box::pin(library.verify_dmarc_report_address(&domain, &addresses, cache)).await;
        let Some(allowed) = allowed else {
            return Err(Later("the DNS does not answer".to_owned()));
        };
        for address in allowed {
            let most = mail.iter().find(|(a, _)| a == address).map_or(0, |(_, most)| *most);
            let to = [*address].into_iter();
            let text = wanted.report.to_rfc5322(host, contact, to);
            let Ok(text) = text else { continue };
            let id = wanted.report.report_id();
            let subject =
                format!("Report Domain: {domain} Submitter: {host}\r\n Report-ID: <{id}>");
            let text = with_subject(&text, &subject);
            if most > 0 && text.len() > most {
                tracing::info!(target: "SMTP", "the DMARC report to {domain} is too large for it");
                continue;
            }
            self.submit(address, &text).await?;
            tracing::info!(target: "SMTP", "DMARC report to {domain} sent to <{address}>");
        }
        Ok(())
    }

    /// Hands a report to the door in; a recipient that cannot be is no reason to try again.
    async fn submit(&self, address: &str, text: &str) -> Result<(), Later> {
        let submit = Submit::new(Source::Report, "", &[address]);
        match Box::pin(self.submitter.submit_message(submit, text.as_bytes())).await {
            Err(error @ SubmitError::Later(_)) => Err(Later(error.to_string())),
            Err(error) => {
                tracing::info!(target: "SMTP", "a report to <{address}> is not sent: {error}");
                Ok(())
            }
            Ok(_) => Ok(()),
        }
    }
}

/// A message with another subject: programs that read reports expect this one as plain text
/// (RFC 7489 section 7.2.1.1), and the library encodes it.
fn with_subject(text: &str, subject: &str) -> String {
    let (mut out, mut rest) = (String::with_capacity(text.len()), text);
    for piece in header::pieces(text.as_bytes()) {
        let (raw, after) = rest.split_at_checked(piece.raw.len()).unwrap_or((rest, ""));
        if piece.is("Subject") {
            out.push_str(&format!("Subject: {subject}\r\n"));
        } else {
            out.push_str(raw);
        }
        rest = after;
    }
    out + rest
}
