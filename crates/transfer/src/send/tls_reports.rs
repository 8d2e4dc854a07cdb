//! How TLS went towards other domains, counted by day for their reports (RFC 8460).
//!
//! Counting is bounded whatever happens; what was counted survives a restart. It must never know
//! how reports are sent.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use mail_auth::report::tlsrpt::{self as report, Policy, PolicyDetails, PolicyType, Summary};
use serde::{Deserialize, Serialize};

use super::state_file;
use crate::authenticity::feedback::TlsCounts;

/// Most days that are kept; older ones were not sent in time.
const MAX_DAYS: usize = 8;

/// Most domains of one day.
const MAX_DOMAINS: usize = 10_000;

/// Most different failures of one domain and policy; more are counted, not described.
const MAX_DETAILS: usize = 100;

/// Longest reason kept, in characters.
const MAX_REASON: usize = 200;

/// The version of the file.
const FORMAT: u32 = 1;

/// Seconds of a day.
const DAY: i64 = 86_400;

/// The kind of policy that was applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum PolicyKind {
    /// `tlsa`: DANE.
    #[serde(rename = "tlsa")]
    Tlsa,
    /// `sts`: MTA-STS.
    #[serde(rename = "sts")]
    Sts,
    /// `no-policy-found`
    #[serde(rename = "no-policy-found")]
    None,
}

/// One kind of failure.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailureDetails {
    /// Such as `certificate-expired` (RFC 8460 section 4.3).
    pub result_type: String,
    /// Our address.
    pub sending_ip: Option<String>,
    /// The host.
    pub receiving_host: Option<String>,
    /// Its address.
    pub receiving_ip: Option<String>,
    /// How often.
    pub count: u64,
    /// For people.
    pub reason: Option<String>,
}

/// What happened under one policy of one domain in one day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyResult {
    /// The policy domain.
    pub domain: String,
    /// The kind of policy.
    pub kind: PolicyKind,
    /// Its text, line by line.
    pub strings: Vec<String>,
    /// The hosts it names (MTA-STS).
    pub mx_hosts: Vec<String>,
    /// Sessions that were good.
    pub success: u64,
    /// Sessions that were not.
    pub failure: u64,
    /// What was wrong with them.
    pub details: Vec<FailureDetails>,
}

/// The policy a session was under.
#[derive(Clone, Debug)]
pub(crate) struct Applied {
    pub(crate) domain: String,
    pub(crate) kind: PolicyKind,
    pub(crate) strings: Vec<String>,
    pub(crate) mx_hosts: Vec<String>,
}

/// What was wrong with a session.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wrong {
    pub(crate) result_type: &'static str,
    pub(crate) sending_ip: Option<String>,
    pub(crate) receiving_host: Option<String>,
    pub(crate) receiving_ip: Option<String>,
    pub(crate) reason: String,
}

type Day = BTreeMap<String, Vec<PolicyResult>>;

#[derive(Default, Serialize, Deserialize)]
struct File {
    version: u32,
    days: BTreeMap<i64, Day>,
}

#[derive(Default)]
struct Counted {
    days: BTreeMap<i64, Day>,
    changed: bool,
}

/// The counts of all days that are not yet reported.
pub struct TlsReports {
    file: Option<PathBuf>,
    counted: Mutex<Counted>,
}

impl TlsReports {
    /// Reads what was counted before.
    #[must_use]
    pub fn new(file: Option<PathBuf>) -> Self {
        let read: File = file.as_deref().and_then(state_file::read).unwrap_or_default();
        let days = if read.version == FORMAT { read.days } else { BTreeMap::new() };
        Self { file, counted: Mutex::new(Counted { days, changed: false }) }
    }

    fn lock(&self) -> MutexGuard<'_, Counted> {
        self.counted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts one session at `now` (seconds since 1970).
    pub(crate) fn count(&self, now: i64, applied: &Applied, wrong: Option<&Wrong>) {
        let mut counted = self.lock();
        let day = now.div_euclid(DAY);
        counted.changed = true;
        let domains = counted.days.entry(day).or_default();
        if domains.len() >= MAX_DOMAINS && !domains.contains_key(&applied.domain) {
            return;
        }
        let results = domains.entry(applied.domain.clone()).or_default();
        let at = results.iter().position(|r| r.kind == applied.kind).unwrap_or_else(|| {
            results.push(PolicyResult {
                domain: applied.domain.clone(),
                kind: applied.kind,
                strings: applied.strings.clone(),
                mx_hosts: applied.mx_hosts.clone(),
                success: 0,
                failure: 0,
                details: Vec::new(),
            });
            results.len() - 1
        });
        if let Some(result) = results.get_mut(at) {
            match wrong {
                None => result.success = result.success.saturating_add(1),
                Some(wrong) => result.fail(wrong),
            }
        }
        while counted.days.len() > MAX_DAYS {
            counted.days.pop_first();
        }
    }

    /// The days (counted from 1970) that something is known of, oldest first.
    #[must_use]
    pub fn days(&self) -> Vec<i64> {
        self.lock().days.keys().copied().collect()
    }

    /// What was counted in a day, by domain; it is forgotten here.
    #[must_use]
    pub fn take(&self, day: i64) -> Vec<PolicyResult> {
        let mut counted = self.lock();
        counted.changed = true;
        counted.days.remove(&day).unwrap_or_default().into_values().flatten().collect()
    }

    /// Writes the counts down if they have changed.
    pub(crate) async fn save(&self) {
        let Some(path) = self.file.clone() else { return };
        let file = {
            let mut counted = self.lock();
            if !std::mem::take(&mut counted.changed) {
                return;
            }
            File { version: FORMAT, days: counted.days.clone() }
        };
        state_file::write(path, file).await;
    }
}

/// What the reports are made of (RFC 8460 section 4.4).
impl TlsCounts for TlsReports {
    fn days(&self) -> Vec<i64> {
        Self::days(self)
    }

    fn take(&self, day: i64) -> Vec<Policy> {
        Self::take(self, day).into_iter().map(PolicyResult::reported).collect()
    }
}

fn count(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

impl PolicyResult {
    fn reported(self) -> Policy {
        let failures = self.details.into_iter().map(|one| {
            // The words of the reports are the words of the library.
            let word = serde_json::Value::from(one.result_type);
            report::FailureDetails {
                result_type: serde_json::from_value(word).unwrap_or_default(),
                sending_mta_ip: one.sending_ip.and_then(|ip| ip.parse().ok()),
                receiving_mx_hostname: one.receiving_host,
                receiving_ip: one.receiving_ip.and_then(|ip| ip.parse().ok()),
                failed_session_count: count(one.count),
                additional_information: one.reason,
                ..report::FailureDetails::default()
            }
        });
        Policy {
            policy: PolicyDetails {
                policy_type: match self.kind {
                    PolicyKind::Tlsa => PolicyType::Tlsa,
                    PolicyKind::Sts => PolicyType::Sts,
                    PolicyKind::None => PolicyType::NoPolicyFound,
                },
                policy_string: self.strings,
                policy_domain: self.domain,
                mx_host: self.mx_hosts,
            },
            summary: Summary {
                total_success: count(self.success),
                total_failure: count(self.failure),
            },
            failure_details: failures.collect(),
        }
    }

    fn fail(&mut self, wrong: &Wrong) {
        self.failure = self.failure.saturating_add(1);
        let known = self.details.iter_mut().find(|d| {
            d.result_type == wrong.result_type
                && d.receiving_host == wrong.receiving_host
                && d.receiving_ip == wrong.receiving_ip
                && d.sending_ip == wrong.sending_ip
        });
        if let Some(known) = known {
            known.count = known.count.saturating_add(1);
        } else if self.details.len() < MAX_DETAILS {
            self.details.push(FailureDetails {
                result_type: wrong.result_type.to_owned(),
                sending_ip: wrong.sending_ip.clone(),
                receiving_host: wrong.receiving_host.clone(),
                receiving_ip: wrong.receiving_ip.clone(),
                count: 1,
                reason: Some(wrong.reason.chars().take(MAX_REASON).collect()),
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn applied(domain: &str) -> Applied {
        Applied {
            domain: domain.to_owned(),
            kind: PolicyKind::Sts,
            strings: vec!["version: STSv1".to_owned()],
            mx_hosts: vec!["mx.far.example".to_owned()],
        }
    }

    fn wrong(host: String) -> Wrong {
        Wrong {
            result_type: "certificate-expired",
            receiving_host: Some(host),
            reason: "x".repeat(1000),
            ..Wrong::default()
        }
    }

    #[tokio::test]
    async fn counts_are_taken_once_and_survive_a_restart() {
        let place = std::env::temp_dir().join(format!("angarium-tlsrpt-{}", std::process::id()));
        let file = place.join("reports.json");
        let reports = TlsReports::new(Some(file.clone()));
        reports.count(DAY * 20_000 + 5, &applied("far.example"), None);
        reports.count(DAY * 20_000 + 6, &applied("far.example"), Some(&wrong("mx".into())));
        reports.count(DAY * 20_000 + 7, &applied("far.example"), Some(&wrong("mx".into())));
        reports.save().await;
        let again = TlsReports::new(Some(file));
        assert_eq!(again.days(), [20_000]);
        let taken = again.take(20_000);
        assert_eq!((taken[0].success, taken[0].failure), (1, 2));
        assert_eq!((taken[0].details.len(), taken[0].details[0].count), (1, 2));
        assert!(again.take(20_000).is_empty() && again.days().is_empty());
        std::fs::remove_dir_all(place).unwrap();
    }

    #[test]
    fn counting_is_bounded() {
        let reports = TlsReports::new(None);
        for n in 0..500 {
            reports.count(0, &applied("far.example"), Some(&wrong(format!("mx{n}"))));
        }
        for n in 0..MAX_DOMAINS + 50 {
            reports.count(DAY, &applied(&format!("d{n}.example")), None);
        }
        for n in 0..50 {
            reports.count(DAY * n, &applied("far.example"), None);
        }
        assert_eq!(reports.days().len(), MAX_DAYS);
        let reports = TlsReports::new(None);
        for n in 0..500 {
            reports.count(0, &applied("far.example"), Some(&wrong(format!("mx{n}"))));
        }
        let taken = reports.take(0);
        assert_eq!((taken[0].failure, taken[0].details.len()), (500, MAX_DETAILS));
        assert_eq!(taken[0].details[0].reason.as_ref().unwrap().len(), MAX_REASON);
    }
}
