//! The network addresses of this machine, so that the Router knows mail to `name@[address]` as
//! mail to us.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// All addresses the system lists, those of the listeners among them. A system that lists none
/// leaves the loopback addresses, which the Router knows anyway.
pub(crate) fn all(listening: impl Iterator<Item = IpAddr>) -> BTreeSet<IpAddr> {
    let mut found: BTreeSet<IpAddr> = listening.filter(|ip| !ip.is_unspecified()).collect();
    found.insert(IpAddr::V4(Ipv4Addr::LOCALHOST));
    found.insert(IpAddr::V6(Ipv6Addr::LOCALHOST));
    if let Ok(text) = std::fs::read_to_string("/proc/net/fib_trie") {
        found.extend(v4(&text).map(IpAddr::V4));
    }
    if let Ok(text) = std::fs::read_to_string("/proc/net/if_inet6") {
        found.extend(v6(&text).map(IpAddr::V6));
    }
    found
}

/// Leaves of the routing trie that are marked as addresses of this host.
fn v4(text: &str) -> impl Iterator<Item = Ipv4Addr> + '_ {
    let mut last = None;
    text.lines().filter_map(move |line| {
        let line = line.trim();
        if let Some(leaf) = line.strip_prefix("|-- ") {
            last = leaf.parse().ok();
            None
        } else if line.ends_with("host LOCAL") {
            last
        } else {
            None
        }
    })
}

/// First word of each line: an address in 32 hexadecimal digits.
fn v6(text: &str) -> impl Iterator<Item = Ipv6Addr> + '_ {
    text.lines().filter_map(|line| {
        let digits = line.split_ascii_whitespace().next()?;
        u128::from_str_radix(digits, 16).ok().map(Ipv6Addr::from)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rte_05_the_systems_lists_are_read() {
        let trie = "Main:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 10.0.0.0\n        /24 link UNICAST\n\
                    \x20    |-- 10.0.0.7\n        /32 host LOCAL\n";
        assert_eq!(v4(trie).collect::<Vec<_>>(), [Ipv4Addr::new(10, 0, 0, 7)]);
        let list = "00000000000000000000000000000001 01 80 10 80       lo\nnonsense\n";
        assert_eq!(v6(list).collect::<Vec<_>>(), [Ipv6Addr::LOCALHOST]);
    }
}
