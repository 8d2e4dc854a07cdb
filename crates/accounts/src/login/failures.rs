//! Failed logins, counted over all services: by name, by network address, and by both for
//! addresses from which the owner is known to log in. Somebody else who guesses locks himself out,
//! not the owner's devices (ABU-38). All in memory and bounded; [`crate::counters`] carries them over
//! a restart, so that it neither gives guessers new tries nor takes an owner's devices their good
//! name. It must never know a password.

use std::hash::Hash;
use std::net::IpAddr;

use angarium_objects::spelling::{Flow, Limit};
use angarium_store::AccountId;
use quick_cache::sync::Cache;

/// Names and addresses whose failed logins are counted.
const COUNTED: usize = 20_000;
/// Addresses remembered as good, of all accounts together.
const GOOD: usize = 50_000;
/// How long an address counts as good after a login from there, seconds.
const GOOD_SECONDS: i64 = 30 * 24 * 3600;
/// Failures older than this are not carried over a restart, seconds.
const CARRIED: i64 = 7 * 24 * 3600;

#[derive(Clone, Copy)]
struct Failures {
    count: u64,
    since: i64,
}

/// The counters.
pub(crate) struct FailureCounters {
    by_name: Cache<String, Failures>,
    by_address: Cache<IpAddr, Failures>,
    /// Of good addresses, for one account each.
    by_device: Cache<(AccountId, IpAddr), Failures>,
    /// When somebody logged in from an address last.
    good: Cache<(AccountId, IpAddr), i64>,
}

/// Who tries, where from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attempt<'a> {
    /// The name failures are counted under.
    pub(crate) name: &'a str,
    /// The account of that name, if there is one.
    pub(crate) account: Option<AccountId>,
    /// The client's address, if addresses are counted.
    pub(crate) peer: Option<IpAddr>,
}

impl FailureCounters {
    pub(crate) fn new() -> Self {
        Self {
            by_name: Cache::new(COUNTED),
            by_address: Cache::new(COUNTED),
            by_device: Cache::new(COUNTED),
            good: Cache::new(GOOD),
        }
    }

    /// The account and network of an attempt from where its owner logged in before.
    fn device(&self, attempt: Attempt<'_>, now: i64) -> Option<(AccountId, IpAddr)> {
        let device = (attempt.account?, network(attempt.peer?));
        let last = self.good.get(&device)?;
        (now.saturating_sub(last) < GOOD_SECONDS).then_some(device)
    }

    /// True when there were too many failures with this name: from a good address those from
    /// there count, from all others those from all others together.
    pub(crate) fn name_blocked(&self, attempt: Attempt<'_>, flow: Flow, now: i64) -> bool {
        match self.device(attempt, now) {
            Some(device) => blocked(self.by_device.get(&device), flow, now),
            None => blocked(self.by_name.get(attempt.name), flow, now),
        }
    }

    /// True when there were too many failures from this address.
    pub(crate) fn address_blocked(&self, ip: IpAddr, flow: Flow, now: i64) -> bool {
        blocked(self.by_address.get(&network(ip)), flow, now)
    }

    /// Counts a failed login with a name.
    pub(crate) fn failed(&self, attempt: Attempt<'_>, flow: Flow, now: i64) {
        match self.device(attempt, now) {
            Some(device) => _ = count(&self.by_device, device, flow, now),
            None => _ = count(&self.by_name, attempt.name.to_owned(), flow, now),
        }
    }

    /// Counts a failed login from an address; true for the one that reaches the limit.
    pub(crate) fn failed_from(&self, ip: IpAddr, flow: Flow, now: i64) -> bool {
        let counted = count(&self.by_address, network(ip), flow, now);
        matches!(flow.count, Limit::Of(limit) if counted == limit.max(1))
    }

    /// The owner logged in from there.
    pub(crate) fn succeeded(&self, account: AccountId, peer: IpAddr, now: i64) {
        let device = (account, network(peer));
        self.by_device.remove(&device);
        self.good.insert(device, now);
    }
}

/// The lines of [`FailureCounters::write_to`]: what is counted, or remembered, and under what.
const LINE_NAME: &str = "name";
const LINE_ADDRESS: &str = "address";
const LINE_DEVICE: &str = "device";
const LINE_GOOD: &str = "good";

impl FailureCounters {
    /// Writes what is worth carrying over a restart, one line each.
    pub(crate) fn write_to(&self, out: &mut String, now: i64) {
        let fresh =
            |failures: &Failures| (0..CARRIED).contains(&now.saturating_sub(failures.since));
        for ((account, ip), last) in self.good.iter() {
            if (0..GOOD_SECONDS).contains(&now.saturating_sub(last)) {
                out.push_str(&format!("{LINE_GOOD} {} {ip} {last}\n", account.0));
            }
        }
        for ((account, ip), f) in self.by_device.iter().filter(|(_, f)| fresh(f)) {
            out.push_str(&format!("{LINE_DEVICE} {} {ip} {} {}\n", account.0, f.count, f.since));
        }
        for (ip, f) in self.by_address.iter().filter(|(_, f)| fresh(f)) {
            out.push_str(&format!("{LINE_ADDRESS} {ip} {} {}\n", f.count, f.since));
        }
        // Names as clients gave them: what could end a line is no name of an account.
        let plain = |name: &str| !name.chars().any(char::is_control);
        for (name, f) in self.by_name.iter().filter(|(name, f)| fresh(f) && plain(name)) {
            out.push_str(&format!("{LINE_NAME} {} {} {name}\n", f.count, f.since));
        }
    }

    /// Takes a line of [`FailureCounters::write_to`]; others, and what lies in the future, are
    /// passed over.
    pub(crate) fn take_line(&self, line: &str, now: i64) -> Option<()> {
        let (what, rest) = line.split_once(' ')?;
        let past = |time: &i64| *time <= now;
        let mut words = rest.splitn(if what == LINE_NAME { 3 } else { 4 }, ' ');
        match what {
            LINE_GOOD => {
                let device = (AccountId(words.next()?.parse().ok()?), words.next()?.parse().ok()?);
                self.good.insert(device, words.next()?.parse().ok().filter(past)?);
            }
            LINE_DEVICE => {
                let device = (AccountId(words.next()?.parse().ok()?), words.next()?.parse().ok()?);
                self.by_device.insert(device, failures_in(&mut words, now)?);
            }
            LINE_ADDRESS => {
                let ip = words.next()?.parse().ok()?;
                self.by_address.insert(ip, failures_in(&mut words, now)?);
            }
            LINE_NAME => {
                let failures = failures_in(&mut words, now)?;
                self.by_name.insert(words.next()?.to_owned(), failures);
            }
            _ => {}
        }
        Some(())
    }
}

fn failures_in<'a>(words: &mut impl Iterator<Item = &'a str>, now: i64) -> Option<Failures> {
    let count = words.next()?.parse().ok()?;
    let since = words.next()?.parse().ok().filter(|since| *since <= now)?;
    Some(Failures { count, since })
}

/// A flow's period in seconds.
fn period(flow: Flow) -> i64 {
    i64::try_from(flow.seconds).unwrap_or(i64::MAX)
}

fn blocked(failures: Option<Failures>, flow: Flow, now: i64) -> bool {
    let (Some(failures), Limit::Of(limit)) = (failures, flow.count) else { return false };
    // A clock that was set back leaves nobody out for ever.
    failures.count >= limit.max(1)
        && (0..period(flow)).contains(&now.saturating_sub(failures.since))
}

fn count<K: Hash + Eq>(cache: &Cache<K, Failures>, key: K, flow: Flow, now: i64) -> u64 {
    let failures = match cache.get(&key) {
        Some(old) if (0..period(flow)).contains(&now.saturating_sub(old.since)) => {
            Failures { count: old.count.saturating_add(1), since: old.since }
        }
        _ => Failures { count: 1, since: now },
    };
    cache.insert(key, failures);
    failures.count
}

/// What counts as one address: all of IPv4, the first 64 bits of IPv6.
fn network(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V4(v4) => IpAddr::V4(v4),
        IpAddr::V6(v6) => {
            let mut octets = v6.octets();
            octets.iter_mut().skip(8).for_each(|o| *o = 0);
            IpAddr::V6(octets.into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FLOW: Flow = Flow { count: Limit::Of(3), seconds: 60 };

    fn from(address: &str) -> Attempt<'static> {
        let peer = Some(address.parse().unwrap());
        Attempt { name: "joe@a.dom", account: Some(AccountId(7)), peer }
    }

    // ABU-38
    #[test]
    fn whoever_guesses_locks_others_out_but_not_the_owners_devices() {
        let counters = FailureCounters::new();
        counters.succeeded(AccountId(7), "192.0.2.1".parse().unwrap(), 1000);
        for guess in 0..5 {
            counters.failed(from(&format!("198.51.100.{guess}")), FLOW, 1000);
        }
        assert!(counters.name_blocked(from("203.0.113.9"), FLOW, 1010));
        assert!(!counters.name_blocked(from("192.0.2.1"), FLOW, 1010));
        // A good device has no more tries than anybody.
        for _ in 0..3 {
            counters.failed(from("192.0.2.1"), FLOW, 1010);
        }
        assert!(counters.name_blocked(from("192.0.2.1"), FLOW, 1010));
        assert!(!counters.name_blocked(from("192.0.2.1"), FLOW, 1071));
        // It is good for this account alone, and not for ever.
        let other = Attempt { account: Some(AccountId(8)), ..from("192.0.2.1") };
        assert!(counters.name_blocked(other, FLOW, 1010));
        assert!(counters.name_blocked(from("203.0.113.9"), Flow { seconds: 9, ..FLOW }, 1008));
        let late = 1000 + GOOD_SECONDS;
        counters.failed(from("192.0.2.1"), Flow { count: Limit::Of(1), ..FLOW }, late);
        assert!(counters.by_name.get("joe@a.dom").is_some_and(|f| f.since == late));
    }

    #[test]
    fn a_restart_gives_no_new_tries_and_takes_no_good_name() {
        let before = FailureCounters::new();
        before.succeeded(AccountId(7), "192.0.2.1".parse().unwrap(), 1000);
        for guess in 0..3 {
            before.failed(from(&format!("198.51.100.{guess}")), FLOW, 1000);
            before.failed_from("198.51.100.7".parse().unwrap(), FLOW, 1000);
        }
        let odd = Attempt { name: "a\nname 9 1 joe", account: None, peer: None };
        before.failed(odd, FLOW, 1000);
        let spaced = Attempt { name: "two words@a.dom", account: None, peer: None };
        (0..3).for_each(|_| before.failed(spaced, FLOW, 1000));
        let mut text = String::new();
        before.write_to(&mut text, 1010);
        assert!(!text.contains("name 9 1 joe"), "{text}");
        let after = FailureCounters::new();
        for line in text.lines().chain(["name x y z", "good 1", "good 8 192.0.2.1 9999", ""]) {
            let _ = after.take_line(line, 1010);
        }
        assert!(after.name_blocked(from("203.0.113.9"), FLOW, 1010));
        assert!(after.name_blocked(spaced, FLOW, 1010));
        assert!(after.address_blocked("198.51.100.7".parse().unwrap(), FLOW, 1010));
        assert!(!after.name_blocked(from("192.0.2.1"), FLOW, 1010), "the owner gets in");
        assert_eq!(after.good.len(), 1, "nothing of the future");
        let mut old = String::new();
        before.write_to(&mut old, 1000 + GOOD_SECONDS);
        assert_eq!(old, "");
    }

    #[test]
    fn the_failure_that_reaches_the_limit_is_told_once() {
        let counters = FailureCounters::new();
        let ip = "2001:db8::1".parse().unwrap();
        let told: Vec<bool> = (0..5).map(|_| counters.failed_from(ip, FLOW, 5)).collect();
        assert_eq!(told, [false, false, true, false, false]);
        assert!(counters.address_blocked("2001:db8::ffff".parse().unwrap(), FLOW, 6));
        assert!(!counters.address_blocked("2001:db8:0:1::1".parse().unwrap(), FLOW, 6));
    }
}
