//! Return paths of mail that is sent on (Sender Rewriting Scheme): a forwarder that kept the
//! author's return path would fail SPF, so it becomes an address of ours that carries the old one,
//! and a report that comes back to it goes on to the author.
//!
//! Pure: the key and the day are arguments. It must never know why a message is sent on.

use aws_lc_rs::hmac;

/// Days a rewritten return path is good for.
const DAYS: i64 = 21;

/// Days are counted round in so many.
const ROUND: i64 = 1024;

/// Characters of the hash: 40 bits, useless after [`DAYS`].
const HASH: usize = 8;

/// Longest local part that is made, in octets.
const LONGEST: usize = 200;

const LETTERS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

/// Rewrites and restores return paths with one key.
#[derive(Debug)]
pub struct Srs {
    key: hmac::Key,
}

impl Srs {
    /// A rewriter with this secret.
    #[must_use]
    pub fn new(secret: &[u8]) -> Self {
        Self { key: hmac::Key::new(hmac::HMAC_SHA256, secret) }
    }

    /// The return path for mail sent on by `domain` on this day (days since 1970). `None` when
    /// there is nothing to rewrite: an empty path, one without a domain, or one that grew too
    /// long.
    #[must_use]
    pub fn forward(&self, return_path: &str, domain: &str, day: i64) -> Option<String> {
        let (local, from) = return_path.rsplit_once('@')?;
        if local.is_empty() || from.is_empty() || from.contains('=') || local.starts_with('"') {
            return None;
        }
        let made = match tag(local) {
            // Sent on before by somebody else: his part stays, and only he can restore it.
            Some((b'0', rest)) => {
                let hash = self.hash(&format!("1{from}={rest}"));
                format!("SRS1={hash}={from}={rest}")
            }
            Some((_, rest)) => {
                let rest = rest.split_once('=').map_or(rest, |(_, rest)| rest);
                format!("SRS1={}={rest}", self.hash(&format!("1{rest}")))
            }
            None => {
                let stamp = stamp(day);
                let hash = self.hash(&format!("0{stamp}={from}={local}"));
                format!("SRS0={hash}={stamp}={from}={local}")
            }
        };
        (made.len() <= LONGEST).then(|| format!("{made}@{domain}"))
    }

    /// The address behind a local part that [`Srs::forward`] made, if it did and in time.
    #[must_use]
    pub fn back(&self, local: &str, day: i64) -> Option<String> {
        let (kind, rest) = tag(local)?;
        let (hash, rest) = rest.split_once('=')?;
        if kind == b'1' {
            if !same(hash, &self.hash(&format!("1{rest}"))) {
                return None;
            }
            let (domain, rest) = rest.split_once('=')?;
            return Some(format!("SRS0={rest}@{domain}"));
        }
        if !same(hash, &self.hash(&format!("0{rest}"))) {
            return None;
        }
        let (stamped, rest) = rest.split_once('=')?;
        let age = (day - unstamp(stamped)?).rem_euclid(ROUND);
        let (domain, local) = rest.split_once('=')?;
        (age <= DAYS).then(|| format!("{local}@{domain}"))
    }

    /// Case may be lost on the way.
    fn hash(&self, text: &str) -> String {
        let sum = hmac::sign(&self.key, text.to_ascii_lowercase().as_bytes());
        sum.as_ref().iter().take(HASH).map(|byte| letter(i64::from(byte & 31))).collect()
    }
}

/// True for a local part that [`Srs::back`] may know.
#[must_use]
pub fn is_rewritten(local: &str) -> bool {
    tag(local).is_some()
}

fn tag(local: &str) -> Option<(u8, &str)> {
    let head = local.get(..4)?;
    let kind = *head.as_bytes().get(3)?;
    let separated = matches!(local.as_bytes().get(4), Some(b'=' | b'+' | b'-'));
    let known = head.get(..3)?.eq_ignore_ascii_case("SRS") && matches!(kind, b'0' | b'1');
    if known && separated { Some((kind, local.get(5..)?)) } else { None }
}

fn same(one: &str, other: &str) -> bool {
    let (one, other) = (one.to_ascii_lowercase(), other.as_bytes());
    aws_lc_rs::constant_time::verify_slices_are_equal(one.as_bytes(), other).is_ok()
}

fn letter(n: i64) -> char {
    usize::try_from(n).ok().and_then(|n| LETTERS.get(n)).map_or('a', |b| char::from(*b))
}

fn stamp(day: i64) -> String {
    let day = day.rem_euclid(ROUND);
    [letter(day / 32), letter(day % 32)].iter().collect()
}

fn unstamp(text: &str) -> Option<i64> {
    let [high, low] = text.as_bytes() else { return None };
    let value = |b: &u8| {
        let at = LETTERS.iter().position(|l| *l == b.to_ascii_lowercase())?;
        i64::try_from(at).ok()
    };
    Some(value(high)? * 32 + value(low)?)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_report_finds_its_way_back_over_two_forwarders() {
        let (first, second) = (Srs::new(b"one"), Srs::new(b"two"));
        let once = first.forward("joe@author.example", "first.example", 20_000).unwrap();
        assert!(once.starts_with("SRS0=") && once.ends_with("=author.example=joe@first.example"));
        let twice = second.forward(&once, "second.example", 20_000).unwrap();
        assert!(twice.starts_with("SRS1="), "{twice}");
        let thrice = first.forward(&twice, "first.example", 20_001).unwrap();
        assert!(thrice.starts_with("SRS1="), "{thrice}");
        let local = |address: &str| address.rsplit_once('@').unwrap().0.to_owned();
        assert_eq!(second.back(&local(&twice), 20_005).as_deref(), Some(once.as_str()));
        assert_eq!(first.back(&local(&thrice), 20_005).as_deref(), Some(once.as_str()));
        let end = first.back(&local(&once).to_ascii_lowercase(), 20_005);
        assert_eq!(end.as_deref(), Some("joe@author.example"));
    }

    #[test]
    fn what_we_did_not_make_or_is_old_leads_nowhere() {
        let srs = Srs::new(b"key");
        let made = srs.forward("joe@author.example", "us.example", 20_000).unwrap();
        let local = made.rsplit_once('@').unwrap().0;
        assert_eq!(srs.back(local, 20_000 + DAYS + 1), None);
        assert_eq!(srs.back(&local.replace("joe", "jim"), 20_000), None);
        assert_eq!(Srs::new(b"other").back(local, 20_000), None);
        assert_eq!(srs.back("joe", 20_000), None);
        assert_eq!(srs.forward("", "us.example", 1), None);
        assert_eq!(srs.forward(&format!("{}@x.example", "a".repeat(250)), "us", 1), None);
    }

    proptest! {
        #[test]
        fn nothing_that_comes_back_makes_it_stumble(local in "\\PC{0,40}", day in any::<i32>()) {
            let srs = Srs::new(b"key");
            let _ = srs.back(&local, i64::from(day));
            let _ = srs.back(&format!("SRS0={local}"), i64::from(day));
            let _ = srs.forward(&local, "us.example", i64::from(day));
        }

        #[test]
        fn every_return_path_comes_back(local in "[a-z=+.-]{1,30}", day in 0i64..40_000) {
            prop_assume!(!is_rewritten(&local));
            let srs = Srs::new(b"key");
            let path = format!("{local}@far.example");
            let made = srs.forward(&path, "us.example", day).unwrap();
            let (inner, _) = made.rsplit_once('@').unwrap();
            prop_assert_eq!(srs.back(inner, day + 3), Some(path));
        }
    }
}
