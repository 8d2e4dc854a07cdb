//! Addresses that lately gave no connection. They are tried behind all others, so that a dead
//! address costs its time once and not with every message; a host that has no other is a host like
//! one further down in the MX list meanwhile.
//!
//! In memory only. It must never know names or messages.

use std::net::SocketAddr;
use std::time::Duration;

use quick_cache::sync::Cache;
use tokio::time::Instant;

use super::target::Place;

/// Addresses remembered, about 60 octets each.
const MOST: usize = 10_000;

/// How long an address is tried last.
const QUIET: Duration = Duration::from_secs(300);

/// The memory.
pub(super) struct Quiet {
    since: Cache<SocketAddr, Instant>,
}

impl Quiet {
    pub(super) fn new() -> Self {
        Self { since: Cache::new(MOST) }
    }

    /// Nobody answered there.
    pub(super) fn note(&self, at: SocketAddr) {
        self.since.insert(at, Instant::now());
    }

    /// Somebody did.
    pub(super) fn forget(&self, at: SocketAddr) {
        self.since.remove(&at);
    }

    fn holds(&self, at: SocketAddr) -> bool {
        self.since.get(&at).is_some_and(|since| since.elapsed() < QUIET)
    }

    /// Puts what is quiet behind the rest: addresses within their host, and hosts of which nothing
    /// else is known behind the others. All else stays in its order.
    pub(super) fn order(&self, places: &mut [Place], port: u16) {
        let quiet = |ip| self.holds(SocketAddr::new(ip, port));
        for place in &mut *places {
            place.addresses.sort_by_key(|ip| quiet(*ip));
        }
        places.sort_by_key(|place| place.addresses.first().is_some_and(|ip| quiet(*ip)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(host: &str, addresses: &[&str]) -> Place {
        Place {
            host: host.to_owned(),
            addresses: addresses.iter().map(|ip| ip.parse().unwrap()).collect(),
            name_secure: false,
            addresses_secure: false,
        }
    }

    fn at(ip: &str) -> SocketAddr {
        SocketAddr::new(ip.parse().unwrap(), 25)
    }

    #[tokio::test(start_paused = true)]
    async fn a_quiet_address_is_tried_behind_all_others_for_a_while() {
        let quiet = Quiet::new();
        let all = [
            place("a", &["2001:db8::1", "192.0.2.1"]),
            place("b", &["192.0.2.2"]),
            place("c", &["192.0.2.3"]),
        ];
        quiet.note(at("2001:db8::1"));
        quiet.note(at("192.0.2.2"));
        let mut places = all.to_vec();
        quiet.order(&mut places, 25);
        let hosts: Vec<&str> = places.iter().map(|p| p.host.as_str()).collect();
        assert_eq!(hosts, ["a", "c", "b"]);
        assert_eq!(places[0].addresses, place("a", &["192.0.2.1", "2001:db8::1"]).addresses);
        // Another port is another place.
        let mut places = all.to_vec();
        quiet.order(&mut places, 26);
        assert_eq!(places, all);
        // Until somebody answers there, or the time is over.
        quiet.forget(at("192.0.2.2"));
        tokio::time::advance(QUIET).await;
        let mut places = all.to_vec();
        quiet.order(&mut places, 25);
        assert_eq!(places, all);
    }
}
