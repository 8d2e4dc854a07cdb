//! What would happen to a connection from an address, and why (`angarium protection check`).
//! Looks at everything, also at what a stricter finding would have made needless; changes nothing.

use std::net::IpAddr;

use angarium_objects::value::{Dictionary, Value};
use angarium_routing::protection::Standing;

use super::{Protection, dns_lists};

/// The answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// The address.
    pub ip: IpAddr,
    /// `denied`, `blocked`, `client`, `blacklisted`, `exempt` or `stranger`.
    pub standing: &'static str,
    /// What follows, in a sentence.
    pub meaning: String,
    /// Names in the DNS that lead back to the address.
    pub names: Vec<String>,
    /// Everything that was found, in the order in which it counts.
    pub reasons: Vec<String>,
    /// False when there was no DNS to ask.
    pub looked_up: bool,
}

impl Check {
    /// As a dictionary: `IPAddress`, `Standing`, `Meaning`, `Names`, `Reasons`, `LookedUp`.
    #[must_use]
    pub fn describe(&self) -> Dictionary {
        let strings = |all: &[String]| {
            Value::Array(all.iter().map(|text| Value::from(text.as_str())).collect())
        };
        Dictionary::from([
            ("IPAddress".to_owned(), Value::from(format!("[{}]", self.ip))),
            ("Standing".to_owned(), Value::from(self.standing)),
            ("Meaning".to_owned(), Value::from(self.meaning.as_str())),
            ("Names".to_owned(), strings(&self.names)),
            ("Reasons".to_owned(), strings(&self.reasons)),
            (
                "LookedUp".to_owned(),
                Value::from(angarium_objects::spelling::yes_no(self.looked_up)),
            ),
        ])
    }
}

impl Protection {
    /// What would happen to a connection from an address now.
    pub async fn check(&self, ip: IpAddr) -> Check {
        let ip = ip.to_canonical();
        let rules = self.rules().await;
        let mut facts = self.facts(&rules, ip, self.accounts.now());
        let mut names = Vec::new();
        let mut listed = Vec::new();
        let dns = self.dns();
        if let Some(dns) = &dns {
            let asked = tokio::time::timeout(rules.dns_time, dns_lists::verified_names(dns, ip));
            let (asked, seen) = tokio::join!(asked, dns_lists::look(dns.clone(), &rules, ip));
            names = asked.unwrap_or_default();
            facts.blacklisted = facts.blacklisted.or(seen.black_name);
            facts.listed = seen.listed.first().cloned();
            listed = seen.listed;
        }
        let mut reasons: Vec<String> =
            [&facts.denied, &facts.blocked, &facts.client, &facts.white, &facts.blacklisted]
                .into_iter()
                .flatten()
                .cloned()
                .collect();
        reasons.extend(listed);
        let (standing, meaning) = match Standing::of(facts, rules.blacklist_clients) {
            Standing::Denied(_) => ("denied", "the connection is closed with 554".to_owned()),
            Standing::Blocked(_) => ("blocked", "the connection is closed with 421".to_owned()),
            Standing::Client(_) => ("client", "mail is taken and relayed".to_owned()),
            Standing::Blacklisted(_) => (
                "blacklisted",
                "recipients are refused with 550 unless a Router record takes …@blacklisted"
                    .to_owned(),
            ),
            Standing::Stranger(Some(_)) => {
                ("exempt", "mail for this server is taken, nothing is relayed".to_owned())
            }
            Standing::Stranger(None) => {
                let put_off = match rules.greylist {
                    Some(times) => format!(", the first of it after {} s", times.wait),
                    None => String::new(),
                };
                ("stranger", format!("mail for this server is taken{put_off}, nothing is relayed"))
            }
        };
        Check { ip, standing, meaning, names, reasons, looked_up: dns.is_some() }
    }
}
