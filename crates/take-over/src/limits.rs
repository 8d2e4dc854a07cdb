//! How much may be asked of an old server on behalf of others, so that nobody guesses its passwords
//! or its names through us: wrong proofs are counted by name, by client and in all, and questions
//! about names by client, by domain and in all. All in memory and bounded; no clock, no password.

use std::hash::Hash;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use quick_cache::sync::Cache;

/// Names and clients that are counted.
const COUNTED: usize = 20_000;
/// Seconds in which wrong proofs count together.
const PERIOD: i64 = 600;
/// Wrong proofs of one name in a period.
pub const WRONG_BY_NAME: u32 = 10;
/// Wrong proofs of one client in a period, whatever the names.
pub const WRONG_BY_CLIENT: u32 = 30;
/// Wrong proofs of all together in a period.
pub const WRONG_IN_ALL: u32 = 1_000;
/// Questions about names of one domain in a minute.
pub const QUESTIONS: u32 = 300;
/// Questions about names on behalf of one client in a period, whatever the domains.
pub const QUESTIONS_BY_CLIENT: u32 = 200;
/// Questions about names in all in a minute.
pub const QUESTIONS_IN_ALL: u32 = 1_000;
/// Accounts made in one domain in a day because of mail alone.
pub const MADE_BY_MAIL: u32 = 20_000;

#[derive(Clone, Copy, Default)]
struct Count {
    number: u32,
    since: i64,
}

impl Count {
    fn in_period(self, period: i64, now: i64) -> u32 {
        let passed = now.saturating_sub(self.since);
        if (0..period).contains(&passed) { self.number } else { 0 }
    }

    fn more(self, period: i64, now: i64) -> Self {
        match self.in_period(period, now) {
            0 => Self { number: 1, since: now },
            number => Self { number: number.saturating_add(1), since: self.since },
        }
    }
}

struct Counts<K>(Cache<K, Count>);

impl<K: Hash + Eq + Clone> Counts<K> {
    fn new() -> Self {
        Self(Cache::new(COUNTED))
    }

    fn of(&self, key: &K, period: i64, now: i64) -> u32 {
        self.0.get(key).unwrap_or_default().in_period(period, now)
    }

    fn add(&self, key: K, period: i64, now: i64) {
        let count = self.0.get(&key).unwrap_or_default();
        self.0.insert(key, count.more(period, now));
    }
}

/// The counters.
pub struct Limits {
    wrong_names: Counts<String>,
    wrong_clients: Counts<IpAddr>,
    wrong: Mutex<Count>,
    questions: Counts<String>,
    asking_clients: Counts<IpAddr>,
    asked: Mutex<Count>,
    made: Counts<String>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            wrong_names: Counts::new(),
            wrong_clients: Counts::new(),
            wrong: Mutex::default(),
            questions: Counts::new(),
            asking_clients: Counts::new(),
            asked: Mutex::default(),
            made: Counts::new(),
        }
    }
}

/// A client as it is counted: all of IPv4, the first 64 bits of IPv6. This machine is not counted,
/// front ends live there.
fn client(peer: Option<IpAddr>) -> Option<IpAddr> {
    match peer?.to_canonical() {
        ip if ip.is_loopback() => None,
        IpAddr::V6(ip) => {
            let mut octets = ip.octets();
            octets.iter_mut().skip(8).for_each(|octet| *octet = 0);
            Some(IpAddr::V6(octets.into()))
        }
        ip => Some(ip),
    }
}

impl Limits {
    /// Whether a password of `name` may be proved for a client; the reason, for the log, if not.
    ///
    /// # Errors
    /// *Later*.
    pub fn may_prove(&self, name: &str, peer: Option<IpAddr>, now: i64) -> Result<(), String> {
        if self.wrong_names.of(&name.to_owned(), PERIOD, now) >= WRONG_BY_NAME {
            return Err(format!("too many wrong passwords of {name} were tried at the old server"));
        }
        if let Some(ip) = client(peer)
            && self.wrong_clients.of(&ip, PERIOD, now) >= WRONG_BY_CLIENT
        {
            return Err(format!("too many wrong passwords of the old server came from {ip}"));
        }
        let all = *self.wrong.lock().unwrap_or_else(PoisonError::into_inner);
        if all.in_period(PERIOD, now) >= WRONG_IN_ALL {
            return Err("too many wrong passwords of old servers were tried".to_owned());
        }
        Ok(())
    }

    /// A proof was wrong.
    pub fn wrong(&self, name: &str, peer: Option<IpAddr>, now: i64) {
        self.wrong_names.add(name.to_owned(), PERIOD, now);
        if let Some(ip) = client(peer) {
            self.wrong_clients.add(ip, PERIOD, now);
        }
        let mut all = self.wrong.lock().unwrap_or_else(PoisonError::into_inner);
        *all = all.more(PERIOD, now);
    }

    /// Whether the old server of `domain` may be asked about one more name for a client; counts it.
    ///
    /// # Errors
    /// *Later*; the reason is for the log.
    pub fn question(&self, domain: &str, peer: Option<IpAddr>, now: i64) -> Result<(), String> {
        let domain = domain.to_owned();
        let client = client(peer);
        if let Some(ip) = client
            && self.asking_clients.of(&ip, PERIOD, now) >= QUESTIONS_BY_CLIENT
        {
            return Err(format!("{ip} asks about too many names of old servers"));
        }
        if self.questions.of(&domain, 60, now) >= QUESTIONS {
            return Err(format!("the old server of {domain} is asked about too many names"));
        }
        {
            let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
            if asked.in_period(60, now) >= QUESTIONS_IN_ALL {
                return Err("old servers are asked about too many names".to_owned());
            }
            *asked = asked.more(60, now);
        }
        self.questions.add(domain, 60, now);
        if let Some(ip) = client {
            self.asking_clients.add(ip, PERIOD, now);
        }
        Ok(())
    }

    /// Whether mail may make one more account in `domain`; counts it.
    ///
    /// # Errors
    /// *Later*; the reason is for the log.
    pub fn make(&self, domain: &str, now: i64) -> Result<(), String> {
        let (domain, day) = (domain.to_owned(), 24 * 3_600);
        if self.made.of(&domain, day, now) >= MADE_BY_MAIL {
            return Err(format!("mail made {MADE_BY_MAIL} accounts in {domain} today"));
        }
        self.made.add(domain, day, now);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> Option<IpAddr> {
        Some(text.parse().unwrap())
    }

    // ABU-44
    #[test]
    fn abu_44_wrong_proofs_are_limited_by_name_by_client_and_in_all() {
        let limits = Limits::default();
        for number in 0..WRONG_BY_NAME {
            assert!(limits.may_prove("joe@a.dom", None, 100).is_ok());
            limits.wrong("joe@a.dom", ip(&format!("192.0.2.{number}")), 100);
        }
        assert!(limits.may_prove("joe@a.dom", ip("198.51.100.1"), 699).is_err());
        assert!(limits.may_prove("jim@a.dom", ip("198.51.100.1"), 699).is_ok());
        assert!(limits.may_prove("joe@a.dom", ip("198.51.100.1"), 700).is_ok());
        for number in 0..WRONG_BY_CLIENT {
            limits.wrong(&format!("n{number}@a.dom"), ip("2001:db8::1"), 1_000);
        }
        assert!(limits.may_prove("new@a.dom", ip("2001:db8::ffff:1"), 1_000).is_err());
        assert!(limits.may_prove("new@a.dom", ip("2001:db8:0:1::1"), 1_000).is_ok());
        // A front end on this machine is not counted as a client.
        for number in 0..2 * WRONG_BY_CLIENT {
            limits.wrong(&format!("m{number}@a.dom"), ip("127.0.0.1"), 1_000);
        }
        assert!(limits.may_prove("new@a.dom", ip("127.0.0.1"), 1_000).is_ok());
        for number in 0..WRONG_IN_ALL {
            limits.wrong(&format!("o{number}@a.dom"), None, 1_000);
        }
        assert!(limits.may_prove("new@a.dom", ip("192.0.2.99"), 1_000).is_err());
        assert!(limits.may_prove("new@a.dom", ip("192.0.2.99"), 1_700).is_ok());
    }

    // ABU-44
    #[test]
    fn abu_44_questions_and_accounts_made_by_mail_are_limited_by_domain() {
        let limits = Limits::default();
        for _ in 0..QUESTIONS {
            assert!(limits.question("a.dom", None, 5).is_ok());
        }
        assert!(limits.question("a.dom", None, 64).is_err());
        assert!(limits.question("b.dom", None, 64).is_ok());
        assert!(limits.question("a.dom", None, 65).is_ok());
        for _ in 0..MADE_BY_MAIL {
            assert!(limits.make("a.dom", 5).is_ok());
        }
        assert!(limits.make("a.dom", 5).is_err());
        assert!(limits.make("a.dom", 5 + 24 * 3_600).is_ok());
    }

    // ABU-44
    #[test]
    fn abu_44_questions_about_names_are_limited_by_client_and_in_all() {
        let limits = Limits::default();
        let guesser = ip("192.0.2.1");
        for number in 0..QUESTIONS_BY_CLIENT {
            // In different domains, so that it is the client that counts.
            assert!(limits.question(&format!("d{number}.dom"), guesser, 100).is_ok());
        }
        assert!(limits.question("new.dom", guesser, 699).is_err());
        assert!(limits.question("new.dom", ip("192.0.2.2"), 699).is_ok());
        assert!(limits.question("new.dom", guesser, 700).is_ok());
        for number in 0..QUESTIONS_IN_ALL {
            assert!(limits.question(&format!("e{number}.dom"), None, 1_000).is_ok());
        }
        assert!(limits.question("f.dom", ip("198.51.100.7"), 1_059).is_err());
        assert!(limits.question("f.dom", ip("198.51.100.7"), 1_060).is_ok());
    }
}
