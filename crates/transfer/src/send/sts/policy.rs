//! MTA-STS policies as text (RFC 8461 section 3): the TXT record, the policy file, and whether a
//! host is named.
//!
//! Pure.

use serde::{Deserialize, Serialize};

/// Largest policy file that is read, octets.
pub(crate) const MAX_FILE: usize = 64 * 1024;

/// Most hosts of a policy.
const MAX_HOSTS: usize = 200;

/// Longest time a policy is kept, seconds (RFC 8461 section 3.2: about a year).
const MAX_AGE: i64 = 31_557_600;

/// What a policy asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Obey.
    Enforce,
    /// Tell only.
    Testing,
    /// Nothing.
    None,
}

/// A policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// What it asks for.
    pub mode: Mode,
    /// Names of hosts, lower case, perhaps with `*.` in front.
    pub mx: Vec<String>,
    /// Seconds it may be kept.
    pub max_age: i64,
}

impl Policy {
    /// Reads a policy file. Unknown keys are passed over (RFC 8461 section 3.2).
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        let mut version = false;
        let (mut mode, mut max_age) = (None, None);
        let mut mx = Vec::new();
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let (key, value) = line.split_once(':')?;
            let value = value.trim();
            match key.trim() {
                "version" => version = value == "STSv1",
                "mode" => {
                    mode = mode.or(match value {
                        "enforce" => Some(Mode::Enforce),
                        "testing" => Some(Mode::Testing),
                        "none" => Some(Mode::None),
                        _ => return None,
                    });
                }
                "max_age" => {
                    let digits = value.len() <= 10 && value.bytes().all(|b| b.is_ascii_digit());
                    let age = value.parse::<i64>().ok().filter(|_| digits)?;
                    max_age = max_age.or(Some(age.min(MAX_AGE)));
                }
                "mx" if mx.len() < MAX_HOSTS => {
                    mx.push(value.trim_end_matches('.').to_ascii_lowercase());
                }
                _ => {}
            }
        }
        let mode = mode?;
        let whole = version && (mode == Mode::None || !mx.is_empty());
        whole.then_some(Self { mode, mx, max_age: max_age? })
    }

    /// Whether a host (lower case) is named; `*.` stands for exactly one label.
    #[must_use]
    pub fn names(&self, host: &str) -> bool {
        self.mx.iter().any(|name| match name.strip_prefix("*.") {
            Some(rest) => host.split_once('.').is_some_and(|(l, r)| !l.is_empty() && r == rest),
            None => name == host,
        })
    }

    /// The lines, as reports quote them.
    #[must_use]
    pub fn strings(&self) -> Vec<String> {
        let mode = match self.mode {
            Mode::Enforce => "enforce",
            Mode::Testing => "testing",
            Mode::None => "none",
        };
        let mut lines = vec!["version: STSv1".to_owned(), format!("mode: {mode}")];
        lines.extend(self.mx.iter().map(|host| format!("mx: {host}")));
        lines.push(format!("max_age: {}", self.max_age));
        lines
    }
}

/// The id of the one `v=STSv1` record among the TXT records of `_mta-sts.domain`; none if there
/// are more (RFC 8461 section 3.1).
#[must_use]
pub fn record_id(records: &[String]) -> Option<String> {
    let mut ours = records.iter().filter_map(|text| {
        let mut fields = text.split(';').map(str::trim);
        if fields.next() != Some("v=STSv1") {
            return None;
        }
        let id = fields.find_map(|field| field.strip_prefix("id="))?.trim();
        let good = (1..=32).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric());
        good.then(|| id.to_owned())
    });
    let first = ours.next()?;
    ours.next().is_none().then_some(first)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_policy_of_the_rfc_is_read() {
        let text = "version: STSv1\r\nmode: enforce\r\nmx: mail.example.com\r\nmx: *.example.net\nmx: backupmx.example.com\r\nmax_age: 604800\r\nnew: x\r\n";
        let policy = Policy::read(text).unwrap();
        assert_eq!((policy.mode, policy.max_age), (Mode::Enforce, 604_800));
        for (host, named) in [
            ("mail.example.com", true),
            ("mx1.example.net", true),
            ("a.mx1.example.net", false),
            ("example.net", false),
            (".example.net", false),
            ("other.example.com", false),
        ] {
            assert_eq!(policy.names(host), named, "{host}");
        }
        assert_eq!(policy.strings()[..2], ["version: STSv1", "mode: enforce"]);
    }

    #[test]
    fn half_policies_are_none() {
        for text in [
            "",
            "mode: enforce\nmx: a\nmax_age: 1",
            "version: STSv1\nmode: enforce\nmax_age: 1",
            "version: STSv1\nmode: enforce\nmx: a",
            "version: STSv1\nmode: perhaps\nmx: a\nmax_age: 1",
            "version: STSv1\nmode: none\nmax_age: -5",
            "<html>",
        ] {
            assert_eq!(Policy::read(text), None, "{text:?}");
        }
        assert!(Policy::read("version: STSv1\nmode: none\nmax_age: 1").is_some());
    }

    #[test]
    fn one_record_counts_and_two_do_not() {
        let one = "v=STSv1; id=20160831085700Z;".to_owned();
        assert_eq!(record_id(std::slice::from_ref(&one)).as_deref(), Some("20160831085700Z"));
        assert_eq!(
            record_id(&["v=spf1 -all".to_owned(), one.clone()]).map(|id| id.len()),
            Some(15)
        );
        assert_eq!(record_id(&[one.clone(), one]), None);
        assert_eq!(record_id(&["v=STSv1; id=bad id;".to_owned()]), None);
    }

    proptest! {
        #[test]
        fn nothing_that_is_served_makes_it_stumble(text in "\\PC{0,200}", host in "[a-z.]{0,20}") {
            if let Some(policy) = Policy::read(&text) {
                let _ = policy.names(&host);
            }
            let _ = record_id(&[text]);
        }
    }
}
