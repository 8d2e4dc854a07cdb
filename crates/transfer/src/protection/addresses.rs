//! What is remembered of addresses for a time: who is kept out, who read mail a moment ago, how
//! much came from where. All in memory and bounded; a restart forgets it.
//!
//! An address of IPv6 stands for its network of 64 bits: whoever has one has all.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use angarium_objects::spelling::Flow;
use angarium_routing::protection::Meter;
use quick_cache::sync::Cache;

/// Addresses kept out at a time, about 150 octets each; the least used make room.
pub const MAX_BLOCKED: usize = 20_000;
/// Addresses from which mail was read, about 60 octets each.
const MAX_READING: usize = 50_000;
/// Addresses whose events are counted, about 140 octets each.
const MAX_COUNTED: usize = 50_000;
/// Longest reason that is kept, in characters.
const MAX_REASON: usize = 200;

/// An address that is kept out for a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockedAddress {
    /// The address; of IPv6 the first of its network.
    pub ip: IpAddr,
    /// Seconds it still is; `None` until the server stops.
    pub seconds: Option<u64>,
    /// Why.
    pub why: String,
}

#[derive(Debug)]
struct Block {
    until: Option<i64>,
    why: String,
}

/// What is counted of an address.
#[derive(Debug, Default)]
pub(super) struct Meters {
    pub(super) connections: Meter,
    pub(super) messages: Meter,
    pub(super) recipients: Meter,
    pub(super) unknown_names: Meter,
    pub(super) errors: Meter,
}

/// The memory.
pub(super) struct Addresses {
    blocked: Cache<IpAddr, Arc<Block>>,
    reading: Cache<IpAddr, i64>,
    meters: Cache<IpAddr, Arc<Mutex<Meters>>>,
}

/// What counts as one address.
pub(super) fn network(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V4(ip) => IpAddr::V4(ip),
        IpAddr::V6(ip) => {
            let mut octets = ip.octets();
            octets.iter_mut().skip(8).for_each(|octet| *octet = 0);
            IpAddr::V6(octets.into())
        }
    }
}

impl Addresses {
    pub(super) fn new() -> Self {
        Self {
            blocked: Cache::new(MAX_BLOCKED),
            reading: Cache::new(MAX_READING),
            meters: Cache::new(MAX_COUNTED),
        }
    }

    /// Keeps an address out; one that is kept out for longer already stays so.
    pub(super) fn block(&self, ip: IpAddr, until: Option<i64>, why: &str, now: i64) {
        let ip = network(ip);
        if let Some(old) = self.blocked.peek(&ip)
            && old.until.is_none_or(|end| end > now && until.is_some_and(|until| until < end))
        {
            return;
        }
        let why = why.chars().filter(|c| !c.is_control()).take(MAX_REASON).collect();
        self.blocked.insert(ip, Arc::new(Block { until, why }));
    }

    pub(super) fn unblock(&self, ip: IpAddr) -> bool {
        self.blocked.remove(&network(ip)).is_some()
    }

    /// Why an address is kept out, if it is.
    pub(super) fn is_blocked(&self, ip: IpAddr, now: i64) -> Option<String> {
        let ip = network(ip);
        let block = self.blocked.get(&ip)?;
        if block.until.is_some_and(|until| until <= now) {
            self.blocked.remove(&ip);
            return None;
        }
        Some(block.why.clone())
    }

    pub(super) fn blocked(&self, now: i64) -> Vec<BlockedAddress> {
        let left = |until: i64| u64::try_from(until.saturating_sub(now)).unwrap_or(0);
        let all = self.blocked.iter().filter(|(_, block)| block.until.is_none_or(|u| u > now));
        let mut all: Vec<_> = all
            .map(|(ip, block)| BlockedAddress {
                ip,
                seconds: block.until.map(left),
                why: block.why.clone(),
            })
            .collect();
        all.sort_by_key(|blocked| blocked.ip);
        all
    }

    /// Somebody read mail from here.
    pub(super) fn read_from(&self, ip: IpAddr, until: i64) {
        self.reading.insert(network(ip), until);
    }

    /// True while an address counts as a client for it.
    pub(super) fn has_read(&self, ip: IpAddr, now: i64) -> bool {
        self.reading.get(&network(ip)).is_some_and(|until| until > now)
    }

    pub(super) fn reading(&self, now: i64) -> Vec<IpAddr> {
        let all = self.reading.iter().filter(|(_, until)| *until > now);
        let mut all: Vec<_> = all.map(|(ip, _)| ip).collect();
        all.sort_unstable();
        all
    }

    /// Counts an event of an address.
    ///
    /// # Errors
    /// Seconds until it would be within the rate.
    pub(super) fn take(
        &self,
        ip: IpAddr,
        which: impl FnOnce(&mut Meters) -> &mut Meter,
        flow: Flow,
        now: i64,
    ) -> Result<(), u64> {
        if flow.count == angarium_objects::spelling::Limit::Unlimited {
            return Ok(());
        }
        let made = self.meters.get_or_insert_with::<_, ()>(&network(ip), || Ok(Arc::default()));
        let Ok(meters) = made else { return Ok(()) };
        let mut meters = meters.lock().unwrap_or_else(PoisonError::into_inner);
        which(&mut meters).take(flow, now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_kept_out_for_its_time_and_the_longer_one_counts() {
        let all = Addresses::new();
        let (one, two): (IpAddr, IpAddr) =
            ("192.0.2.1".parse().unwrap(), "2001:db8::1:2:3:4".parse().unwrap());
        all.block(one, Some(100), "first\r\n", 0);
        all.block(one, Some(50), "shorter", 0);
        all.block(two, None, "for good", 0);
        assert_eq!(all.is_blocked(one, 99).as_deref(), Some("first"));
        assert!(all.is_blocked("2001:db8::9".parse().unwrap(), 99).is_some(), "one network");
        let list = all.blocked(40);
        assert_eq!(list.len(), 2);
        assert_eq!((list[0].ip, list[0].seconds), (one, Some(60)));
        assert_eq!(list[1].seconds, None);
        assert!(all.is_blocked(one, 100).is_none());
        assert!(all.unblock(two) && !all.unblock(two));
        for n in 0..(2 * MAX_BLOCKED as u32) {
            all.block(IpAddr::V4(n.into()), Some(1_000), "many", 0);
        }
        assert!(all.blocked(0).len() <= MAX_BLOCKED);
    }
}
