//! From the name of a queue to the hosts and addresses that are tried, in order
//! (`reference/smtp.md` section 3.3).
//!
//! It must never know messages or connections.

use std::net::IpAddr;

use angarium_routing::mx::{self, Choice, Exchanger};
use angarium_routing::suffix::{self, Host};
use angarium_smtp::Protocol;
use tokio::task::JoinSet;

use super::random;
use crate::deliver::{Outcome, Reach};
use crate::dns::{Dns, DnsError};

/// Most hosts of one destination that are tried (ABU-16).
pub(crate) const MAX_HOSTS: usize = 8;

/// Most addresses of one host that are tried (ABU-16).
pub(crate) const MAX_ADDRESSES: usize = 6;

/// Ports where LMTP is spoken.
const LMTP_PORTS: [u16; 2] = [24, 2003];

/// Where TLS begins with the first byte.
const SUBMISSIONS: u16 = 465;

/// Where a queue's mail is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    host: Host,
}

impl Target {
    /// Reads `host`, `host:port`, `[ip]`, `[ip]:port`.
    pub(crate) fn read(text: &str) -> Option<Self> {
        Host::read(text.trim()).map(|host| Self { host })
    }

    /// The name, or the address without brackets.
    pub(crate) fn name(&self) -> &str {
        &self.host.name
    }

    pub(crate) fn port(&self) -> u16 {
        self.host.port.unwrap_or(25)
    }

    pub(crate) fn protocol(&self) -> Protocol {
        if LMTP_PORTS.contains(&self.port()) { Protocol::Lmtp } else { Protocol::Smtp }
    }

    /// TLS from the first byte.
    pub(crate) fn is_wrapped(&self) -> bool {
        self.port() == SUBMISSIONS
    }

    /// True when no MX records are asked for: the host was named by somebody here.
    pub(crate) fn is_direct(&self) -> bool {
        self.host.direct
    }
}

/// A host to be tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// Its name, or its address without brackets.
    pub(crate) host: String,
    /// Its addresses, in the order to be tried; at least one.
    pub(crate) addresses: Vec<IpAddr>,
    /// All of the way to the name is secured by DNSSEC, or named here.
    pub(crate) name_secure: bool,
    /// The addresses are, too.
    pub(crate) addresses_secure: bool,
}

/// Who we are, as far as it matters for where to send.
pub(crate) struct Own<'a> {
    /// Our names, lower case.
    pub(crate) names: &'a [String],
    /// Whether an address is ours.
    pub(crate) is_own: &'a (dyn Fn(IpAddr) -> bool + Sync),
    /// Private addresses may be sent to.
    pub(crate) private: bool,
    /// Addresses to send from; a family without one is not used if there is any.
    pub(crate) source: &'a [IpAddr],
}

fn later(text: impl Into<String>) -> Outcome {
    Outcome::Later {
        status: "4.4.3".to_owned(),
        text: text.into(),
        host: None,
        reach: Reach::Queue,
    }
}

/// The hosts of a target.
///
/// # Errors
/// What becomes of the mail when there are none now.
pub(crate) async fn locate(
    dns: &Dns,
    target: &Target,
    own: &Own<'_>,
) -> Result<Vec<Place>, Outcome> {
    let name = target.name();
    if let Ok(ip) = name.parse::<IpAddr>() {
        let place = Place {
            host: ip.to_string(),
            addresses: vec![ip],
            name_secure: true,
            addresses_secure: false,
        };
        return Ok(vec![place]);
    }
    let (hosts, name_secure, explicit) = if target.is_direct() {
        (vec![implicit(name)], true, true)
    } else {
        match dns.mx(name).await {
            Ok(found) => {
                let records: Vec<Exchanger> = found
                    .records
                    .iter()
                    .map(|mx| Exchanger { preference: mx.preference, host: mx.host.clone() })
                    .collect();
                let ours = |e: &Exchanger| own.names.contains(&e.host);
                let hosts = match mx::choose(&records, ours, random::number, MAX_HOSTS) {
                    Choice::Hosts(hosts) => hosts,
                    Choice::Null => {
                        return Err(Outcome::failed(
                            "5.1.10",
                            "the domain takes no mail (null MX)",
                        ));
                    }
                    Choice::Loop => return Err(loops()),
                    Choice::Nonsense => {
                        return Err(Outcome::failed("5.4.4", "the domain's MX names no host"));
                    }
                };
                (hosts, found.secure, false)
            }
            Err(DnsError::None { exists: true, .. }) => (vec![implicit(name)], true, false),
            Err(DnsError::None { exists: false, .. }) => {
                return Err(Outcome::failed("5.1.2", format!("there is no domain {name}")));
            }
            Err(error @ DnsError::Later { .. }) => return Err(later(error.to_string())),
        }
    };
    places(dns, hosts, name_secure, explicit, own).await
}

fn implicit(name: &str) -> Exchanger {
    Exchanger { preference: 0, host: name.to_owned() }
}

fn loops() -> Outcome {
    Outcome::failed("5.4.6", "DNS loop: the mail would come back to this server")
}

/// Finds the addresses of the hosts, all at once, and leaves out what is no place to send to.
async fn places(
    dns: &Dns,
    hosts: Vec<Exchanger>,
    name_secure: bool,
    explicit: bool,
    own: &Own<'_>,
) -> Result<Vec<Place>, Outcome> {
    let mut asked = JoinSet::new();
    for (n, host) in hosts.iter().enumerate() {
        let (dns, name) = (dns.clone(), host.host.clone());
        asked.spawn(async move { (n, dns.addresses(&name).await) });
    }
    let mut answers = Vec::new();
    while let Some(done) = asked.join_next().await {
        answers.extend(done.ok());
    }
    answers.sort_by_key(|(n, _)| *n);
    let mut found = Vec::new();
    let mut put_off = None;
    let mut refused = None;
    let mut looped_at: Option<u16> = None;
    for (n, answer) in answers {
        let Some(host) = hosts.get(n) else { continue };
        let answer = match answer {
            Ok(answer) => answer,
            Err(DnsError::None { .. }) => continue,
            Err(error @ DnsError::Later { .. }) => {
                put_off = Some(error.to_string());
                continue;
            }
        };
        if !explicit && answer.records.iter().any(|ip| !ip.is_loopback() && (own.is_own)(*ip)) {
            looped_at = Some(looped_at.map_or(host.preference, |p| p.min(host.preference)));
            continue;
        }
        let usable = |ip: &&IpAddr| {
            own.source.is_empty() || own.source.iter().any(|s| s.is_ipv4() == ip.is_ipv4())
        };
        let mut good = Vec::new();
        for ip in answer.records.iter().filter(usable) {
            match mx::forbidden(*ip) {
                Some(why) if !own.private && !explicit => refused = Some(format!("[{ip}]: {why}")),
                _ => good.push(*ip),
            }
        }
        let addresses = mx::interleave(&good, MAX_ADDRESSES);
        if !addresses.is_empty() {
            let place = Place {
                host: host.host.clone(),
                addresses,
                name_secure,
                addresses_secure: answer.secure,
            };
            found.push((host.preference, place));
        }
    }
    if let Some(own) = looped_at {
        found.retain(|(preference, _)| *preference < own);
    }
    if !found.is_empty() {
        return Ok(found.into_iter().map(|(_, place)| place).collect());
    }
    Err(match (looped_at, put_off, refused) {
        (Some(_), ..) => loops(),
        (_, Some(why), _) => later(why),
        (_, _, Some(why)) => Outcome::failed("5.4.4", why),
        _ => {
            let first = hosts.first().map_or("", |h| h.host.as_str());
            Outcome::failed("5.4.4", format!("{first} has no address in the DNS"))
        }
    })
}

/// The domain of an address that is an address literal or a name; for choosing a policy.
pub(crate) fn policy_domain(target: &Target) -> Option<String> {
    let name = target.name();
    (suffix::literal(name).is_none() && name.parse::<IpAddr>().is_err()).then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queue_names_tell_host_port_and_protocol() {
        let read = |text: &str| Target::read(text).unwrap();
        let plain = read("far.example");
        assert!(!plain.is_direct() && plain.port() == 25 && plain.protocol() == Protocol::Smtp);
        assert!(read("far.example:25").is_direct());
        assert_eq!(read("far.example:24").protocol(), Protocol::Lmtp);
        assert_eq!(read("[127.0.0.1]:2003").protocol(), Protocol::Lmtp);
        assert!(read("smart.example:465").is_wrapped());
        assert_eq!(read("[IPv6:::1]:2525").name(), "::1");
        assert_eq!(policy_domain(&read("[192.0.2.1]")), None);
        assert_eq!(Target::read("far.example:0"), None);
    }
}
