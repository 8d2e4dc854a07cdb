//! Networks by address and length of the prefix: `192.0.2.0/24`, `2001:db8::/32`, or one address.
//! It must never know what a list of them is for.

use std::net::IpAddr;

use crate::value::Value;

/// Most networks of one list.
pub const MAX_NETWORKS: usize = 1_000;

/// The addresses that share a prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    prefix: u128,
    mask: u128,
    four: bool,
}

fn number(ip: IpAddr) -> (u128, bool) {
    match ip.to_canonical() {
        IpAddr::V4(ip) => (u128::from(u32::from(ip)) << 96, true),
        IpAddr::V6(ip) => (u128::from(ip), false),
    }
}

impl Network {
    /// Reads `address` or `address/length`, perhaps with the address in brackets.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (address, length) = match text.trim().split_once('/') {
            Some((address, length)) => (address, Some(length)),
            None => (text.trim(), None),
        };
        let ip: IpAddr = address.trim_matches(['[', ']']).parse().ok()?;
        let (value, four) = number(ip);
        let most = if four { 32 } else { 128 };
        let length: u32 = match length {
            None => most,
            Some(text) if text.len() <= 3 && text.bytes().all(|b| b.is_ascii_digit()) => {
                text.parse().ok().filter(|n| *n <= most)?
            }
            Some(_) => return None,
        };
        let mask = if length == 0 { 0 } else { u128::MAX << (128 - length) };
        Some(Self { prefix: value & mask, mask, four })
    }

    /// True when the address is in it.
    #[must_use]
    pub fn contains(&self, ip: IpAddr) -> bool {
        let (value, four) = number(ip);
        four == self.four && value & self.mask == self.prefix
    }
}

/// A list of networks: an array, or a text of them separated by commas, spaces or line ends.
/// `None` if one is wrong or there are more than [`MAX_NETWORKS`].
#[must_use]
pub fn networks(value: &Value) -> Option<Vec<Network>> {
    let all: Option<Vec<Network>> = match value {
        Value::Null => Some(Vec::new()),
        Value::Ip(ip) => Network::parse(&ip.to_string()).map(|one| vec![one]),
        Value::String(text) if text.eq_ignore_ascii_case("no") => Some(Vec::new()),
        Value::String(text) => text
            .split(|c: char| c == ',' || c.is_whitespace())
            .filter(|t| !t.is_empty())
            .map(Network::parse)
            .collect(),
        Value::Array(all) => all
            .iter()
            .map(|v| match v {
                Value::Ip(ip) => Network::parse(&ip.to_string()),
                Value::String(text) => Network::parse(text),
                _ => None,
            })
            .collect(),
        _ => None,
    };
    all.filter(|all| all.len() <= MAX_NETWORKS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_in_its_networks_alone() {
        let ip = |text: &str| -> IpAddr { text.parse().unwrap() };
        for (network, inside, outside) in [
            ("192.0.2.0/24", "192.0.2.255", "192.0.3.0"),
            ("192.0.2.7", "192.0.2.7", "192.0.2.8"),
            ("[192.0.2.7]", "::ffff:192.0.2.7", "192.0.2.8"),
            ("0.0.0.0/0", "203.0.113.9", "::1"),
            ("2001:db8::/32", "2001:db8:ffff::1", "2001:db9::"),
            ("::/0", "2001::1", "192.0.2.1"),
        ] {
            let read = Network::parse(network).unwrap();
            assert!(read.contains(ip(inside)) && !read.contains(ip(outside)), "{network}");
        }
        for wrong in ["", "x", "192.0.2.0/33", "192.0.2.0/", "::/129", "192.0.2.0/-1", "/8"] {
            assert_eq!(Network::parse(wrong), None, "{wrong}");
        }
        let two = networks(&"192.0.2.1, 10.0.0.0/8\n::1".into()).unwrap();
        assert_eq!(two.len(), 3);
        assert_eq!(networks(&"192.0.2.1 x".into()), None);
    }
}
