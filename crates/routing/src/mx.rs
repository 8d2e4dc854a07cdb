//! Which hosts mail for a domain goes to, and which addresses are no place to send mail to
//! (RFC 5321 section 5.1, RFC 7505, `reference/smtp.md` section 3.3, ABU-16).
//!
//! Pure: the records, who we are and chance are arguments.

use std::net::IpAddr;

/// A host that takes mail for a domain.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Exchanger {
    /// Lower is better.
    pub preference: u16,
    /// Name in lower case without the last point; empty in a null MX.
    pub host: String,
}

/// Where mail for a domain goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Choice {
    /// To these, in this order; at least one.
    Hosts(Vec<Exchanger>),
    /// Nowhere: the domain takes no mail (null MX).
    Null,
    /// Nowhere: we are its best host, and it is none of our domains.
    Loop,
    /// Nowhere: no record names a host.
    Nonsense,
}

/// Orders a domain's exchangers: best first, equals by chance, at most `most`. If one is ours, it
/// and all that are not better are left out, so that mail only ever moves towards its goal.
#[must_use]
pub fn choose(
    records: &[Exchanger],
    ours: impl Fn(&Exchanger) -> bool,
    mut random: impl FnMut() -> u64,
    most: usize,
) -> Choice {
    if let [only] = records
        && only.host.is_empty()
    {
        return Choice::Null;
    }
    let named = |e: &&Exchanger| !e.host.is_empty() && e.host.parse::<IpAddr>().is_err();
    if !records.iter().any(|e| named(&e)) {
        return Choice::Nonsense;
    }
    let own = records.iter().filter(named).filter(|e| ours(e)).map(|e| e.preference).min();
    let mut left: Vec<(u16, u64, &Exchanger)> = records
        .iter()
        .filter(named)
        .filter(|e| own.is_none_or(|own| e.preference < own))
        .map(|e| (e.preference, random(), e))
        .collect();
    left.sort_by_key(|(preference, chance, _)| (*preference, *chance));
    let mut hosts: Vec<Exchanger> = Vec::new();
    for (_, _, exchanger) in left {
        if hosts.len() < most && !hosts.iter().any(|h| h.host == exchanger.host) {
            hosts.push(exchanger.clone());
        }
    }
    if hosts.is_empty() { Choice::Loop } else { Choice::Hosts(hosts) }
}

/// Why an address found in the DNS is no place to send mail to, if it is not. Whoever controls a
/// domain's DNS could make us talk to our own or our neighbours' services otherwise.
#[must_use]
pub fn forbidden(ip: IpAddr) -> Option<&'static str> {
    match ip.to_canonical() {
        IpAddr::V4(ip) => {
            let [a, b, ..] = ip.octets();
            if ip.is_loopback() || ip.is_unspecified() || a == 0 {
                Some("the address is the sending host's own")
            } else if ip.is_private() || ip.is_link_local() || (a == 100 && (64..128).contains(&b))
            {
                Some("the address is private")
            } else if ip.is_multicast() || ip.is_broadcast() || a >= 240 {
                Some("the address is not one host's")
            } else {
                None
            }
        }
        IpAddr::V6(ip) => {
            if ip.is_loopback() || ip.is_unspecified() {
                Some("the address is the sending host's own")
            } else if ip.is_unique_local() || ip.is_unicast_link_local() {
                Some("the address is private")
            } else if ip.is_multicast() {
                Some("the address is not one host's")
            } else {
                None
            }
        }
    }
}

/// The order in which a host's addresses are tried: IPv6 and IPv4 in turn, beginning with IPv6,
/// doubles left out, at most `most`.
#[must_use]
pub fn interleave(addresses: &[IpAddr], most: usize) -> Vec<IpAddr> {
    let mut six = addresses.iter().filter(|ip| ip.is_ipv6());
    let mut four = addresses.iter().filter(|ip| ip.is_ipv4());
    let mut order: Vec<IpAddr> = Vec::new();
    loop {
        let (one, two) = (six.next(), four.next());
        if one.is_none() && two.is_none() {
            return order;
        }
        for ip in [one, two].into_iter().flatten() {
            if order.len() < most && !order.contains(ip) {
                order.push(*ip);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records(all: &[(u16, &str)]) -> Vec<Exchanger> {
        let made = |(preference, host): &(u16, &str)| Exchanger {
            preference: *preference,
            host: (*host).to_owned(),
        };
        all.iter().map(made).collect()
    }

    fn order(all: &[(u16, &str)], ours: &str, chance: &[u64]) -> Choice {
        let mut chance = chance.iter().copied().cycle();
        choose(&records(all), |e| e.host == ours, || chance.next().unwrap_or(0), 4)
    }

    fn hosts(choice: Choice) -> Vec<String> {
        match choice {
            Choice::Hosts(all) => all.into_iter().map(|e| e.host).collect(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_best_come_first_and_equals_by_chance() {
        let all = [(20, "c"), (10, "a"), (10, "b")];
        assert_eq!(hosts(order(&all, "", &[5, 1, 2])), ["a", "b", "c"]);
        assert_eq!(hosts(order(&all, "", &[5, 2, 1])), ["b", "a", "c"]);
    }

    #[test]
    fn hosts_not_better_than_ourselves_are_left_out() {
        let all = [(10, "a"), (20, "me"), (20, "b"), (30, "c")];
        assert_eq!(hosts(order(&all, "me", &[1])), ["a"]);
        assert_eq!(order(&[(10, "me"), (10, "a"), (20, "b")], "me", &[1]), Choice::Loop);
    }

    #[test]
    fn a_null_mx_takes_no_mail_and_nonsense_is_no_host() {
        assert_eq!(order(&[(0, "")], "", &[1]), Choice::Null);
        assert_eq!(hosts(order(&[(0, ""), (10, "a")], "", &[1])), ["a"]);
        assert_eq!(order(&[(0, ""), (1, "10.0.0.1")], "", &[1]), Choice::Nonsense);
    }

    #[test]
    fn a_hundred_hosts_are_not_tried() {
        let names: Vec<String> = (0..100).map(|n| format!("h{n}")).collect();
        let all: Vec<(u16, &str)> = names.iter().map(|n| (1, n.as_str())).collect();
        assert_eq!(hosts(order(&all, "", &[1])).len(), 4);
    }

    #[test]
    fn own_and_private_addresses_are_no_targets() {
        // ABU-16
        for ip in [
            "127.0.0.1",
            "0.0.0.0",
            "10.1.1.1",
            "192.168.0.1",
            "172.16.0.1",
            "169.254.1.1",
            "100.64.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::1",
            "::",
            "fe80::1",
            "fd00::1",
            "ff02::1",
            "::ffff:127.0.0.1",
        ] {
            assert!(forbidden(ip.parse().unwrap()).is_some(), "{ip}");
        }
        assert_eq!(forbidden("192.0.2.1".parse().unwrap()), None);
        assert_eq!(forbidden("2001:db8::1".parse().unwrap()), None);
    }

    #[test]
    fn both_kinds_of_addresses_take_turns() {
        let all = ["2001:db8::1", "2001:db8::2", "192.0.2.1", "192.0.2.1", "192.0.2.2"];
        let all: Vec<IpAddr> = all.iter().map(|ip| ip.parse().unwrap()).collect();
        let order = interleave(&all, 4);
        assert_eq!(order, [all[0], all[2], all[1], all[4]]);
    }
}
