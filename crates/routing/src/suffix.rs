//! Domain suffixes that hand an address to a module (`reference/router.md` section 5): what the
//! last label says and the host in front of it.

use std::net::IpAddr;

/// What a suffix asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Suffix {
    /// Send to this host; the whole domain part is cut from the envelope.
    Via(Host),
    /// Send to this host; only the suffix is cut from the envelope.
    Relay(Host),
    /// The Main Domain's account named by the domain.
    Local(String),
    /// The account named by the last component of the local part, in this domain.
    Domain(String),
    /// A mailing list of this domain.
    List(String),
    /// A program.
    Pipe,
}

/// A host as written in a route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// Name, or IP address without brackets.
    pub name: String,
    /// Explicit port.
    pub port: Option<u16>,
    /// True when no MX look-up is to be made: an IP address or an explicit port (RTE-07).
    pub direct: bool,
}

impl Host {
    /// Reads `name`, `name:port`, `[ip]`, `[ip]:port`, `a.b.c.d`.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        let (name, port) = match text.rsplit_once(':') {
            Some((name, port)) if name.ends_with(']') || !name.contains(':') => {
                (name, Some(port.parse().ok().filter(|p| *p != 0)?))
            }
            _ => (text, None),
        };
        if let Some(ip) = literal(name) {
            return Some(Self { name: ip.to_string(), port, direct: true });
        }
        let name = angarium_objects::name::fold_domain(name)?;
        Some(Self { name, port, direct: port.is_some() })
    }
}

/// The IP address of `[a.b.c.d]`, `[IPv6:…]` or a bare IPv4 address.
#[must_use]
pub fn literal(domain: &str) -> Option<IpAddr> {
    match domain.strip_prefix('[').and_then(|d| d.strip_suffix(']')) {
        Some(inner) => {
            let six = inner.get(..5).is_some_and(|start| start.eq_ignore_ascii_case("ipv6:"));
            let inner = if six { inner.get(5..)? } else { inner };
            inner.parse().ok()
        }
        None => domain.parse::<std::net::Ipv4Addr>().ok().map(IpAddr::V4),
    }
}

/// True for the suffixes that cannot be part of a real domain name.
#[must_use]
pub fn is_reserved(domain: &str) -> bool {
    domain.rsplit_once('.').is_some_and(|(_, last)| last.starts_with('_'))
}

/// The suffix of a domain, if it has one.
#[must_use]
pub fn read(domain: &str) -> Option<Suffix> {
    if domain == "pipe" {
        return Some(Suffix::Pipe);
    }
    let (rest, last) = domain.rsplit_once('.')?;
    if rest.is_empty() {
        return None;
    }
    match last {
        "smtp" => {
            // The oldest spelling puts the port in front of the suffix.
            let port = rest.rsplit_once('.').filter(|(host, port)| {
                port.bytes().all(|b| b.is_ascii_digit())
                    && literal(rest).is_none()
                    && !host.is_empty()
            });
            match port {
                Some((host, port)) => Host::read(&format!("{host}:{port}")).map(Suffix::Via),
                None => Host::read(rest).map(Suffix::Via),
            }
        }
        "via" | "_via" | "_smtp" => Host::read(rest).map(Suffix::Via),
        "relay" | "_relay" => Host::read(rest).map(Suffix::Relay),
        "local" | "_local" => Some(Suffix::Local(rest.to_owned())),
        "domain" | "_domain" => Some(Suffix::Domain(rest.to_owned())),
        "list" | "_list" => Some(Suffix::List(rest.to_owned())),
        "pipe" | "_pipe" => Some(Suffix::Pipe),
        _ => None,
    }
}

/// A domain as written in a record, without its suffix.
pub(crate) fn strip(domain: &str) -> &str {
    const WORDS: [&str; 12] = [
        "smtp", "via", "_via", "_smtp", "relay", "_relay", "local", "_local", "domain", "_domain",
        "list", "_list",
    ];
    match domain.rsplit_once('.') {
        Some((rest, last)) if WORDS.iter().any(|word| last.eq_ignore_ascii_case(word)) => rest,
        _ => domain,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn via(domain: &str) -> Host {
        match read(domain) {
            Some(Suffix::Via(host)) => host,
            other => panic!("{domain}: {other:?}"),
        }
    }

    // RTE-04, RTE-06, RTE-07
    #[test]
    fn all_spellings_of_the_via_suffix_name_a_host() {
        for domain in ["host.dom.smtp", "host.dom.via", "host.dom._via", "host.dom._smtp"] {
            let host = via(domain);
            assert_eq!((host.name.as_str(), host.port, host.direct), ("host.dom", None, false));
        }
        let host = via("relay.domain:25._via");
        assert_eq!((host.name.as_str(), host.port, host.direct), ("relay.domain", Some(25), true));
        assert_eq!(via("relay.domain.26.smtp").port, Some(26));
        assert_eq!(via("[11.22.33.44]:2525._via").name, "11.22.33.44");
        assert_eq!(via("11.22.33.44.smtp").port, None);
        assert!(via("11.22.33.44.smtp").direct);
    }

    #[test]
    fn ip_literals_are_read_in_their_forms() {
        assert_eq!(literal("[1.2.3.4]"), Some("1.2.3.4".parse().unwrap()));
        assert_eq!(literal("1.2.3.4"), Some("1.2.3.4".parse().unwrap()));
        assert_eq!(literal("[IPv6:2001:db8::1]"), Some("2001:db8::1".parse().unwrap()));
        assert_eq!(literal("example.com"), None);
    }
}
