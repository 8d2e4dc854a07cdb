//! What the DNS says of an address: its names that lead back to it, and the DNS lists (RFC 5782)
//! that have it. All lists are asked at once and waited for together; one that is late or broken
//! says nothing, because no list may keep good mail out by being down.

use std::net::IpAddr;
use std::time::Duration;

use tokio::task::JoinSet;

use super::rules::{DnsList, Rules};
use crate::dns::{Dns, reverse_name};

/// Names of an address that are looked at.
const MAX_NAMES: usize = 5;

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    /// The first name that leads back to the address and is on the list of names, with the entry.
    pub(super) black_name: Option<String>,
    /// Zones that list the address, with what is to be said of it.
    pub(super) listed: Vec<String>,
}

/// True when there is something to be asked.
pub(super) fn wanted(rules: &Rules) -> bool {
    !rules.dns_lists.is_empty() || !rules.black_names.is_empty()
}

/// The names of an address that lead back to it.
pub(super) async fn verified_names(dns: &Dns, ip: IpAddr) -> Vec<String> {
    let Ok(found) = dns.names(ip).await else { return Vec::new() };
    let mut names = Vec::new();
    for name in found.records.into_iter().take(MAX_NAMES) {
        if let Ok(addresses) = dns.addresses(&name).await
            && addresses.records.iter().any(|a| a.to_canonical() == ip.to_canonical())
        {
            names.push(name);
        }
    }
    names
}

/// Asks everything the rules want to know of an address.
pub(super) async fn look(dns: Dns, rules: &Rules, ip: IpAddr) -> Seen {
    let limit = rules.dns_time;
    let names = async {
        if rules.black_names.is_empty() {
            return None;
        }
        let names = tokio::time::timeout(limit, verified_names(&dns, ip)).await.ok()?;
        names.iter().find_map(|name| {
            rules.black_names.find(name).map(|entry| format!("{name} is blacklisted ({entry})"))
        })
    };
    let (black_name, listed) = tokio::join!(names, ask(&dns, &rules.dns_lists, ip, limit));
    Seen { black_name, listed }
}

async fn ask(dns: &Dns, lists: &[DnsList], ip: IpAddr, limit: Duration) -> Vec<String> {
    let reversed = reverse_name(ip);
    let reversed = reversed.trim_end_matches("in-addr.arpa").trim_end_matches("ip6.arpa");
    let mut questions = JoinSet::new();
    for (index, list) in lists.iter().enumerate() {
        let (dns, name) = (dns.clone(), format!("{reversed}{}", list.zone));
        questions.spawn(async move {
            let answer = tokio::time::timeout(limit, dns.addresses(&name)).await;
            (index, answer.ok().and_then(Result::ok))
        });
    }
    let mut listed = Vec::new();
    while let Some(answer) = questions.join_next().await {
        let Ok((index, Some(found))) = answer else { continue };
        let Some(list) = lists.get(index) else { continue };
        if found.records.iter().any(|answer| list.counts(*answer)) {
            let text = list.text.as_ref().map(|text| format!(": {text}")).unwrap_or_default();
            listed.push((index, format!("listed by {}{text}", list.zone)));
        }
    }
    listed.sort_unstable();
    listed.into_iter().map(|(_, text)| text).collect()
}
