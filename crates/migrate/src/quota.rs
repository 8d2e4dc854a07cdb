//! Quota (RFC 9208): what an account uses and may use, for the plan, the report, and the question
//! whether all will fit before the first octet is copied.

use std::collections::HashMap;

use angarium_imap::client::{About, Untagged};
use serde::Serialize;

use crate::error::Result;
use crate::printable::printable;
use crate::session::Session;

/// What is used of something and how much may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Usage {
    /// Used now.
    pub used: u64,
    /// The most that may be.
    pub limit: u64,
}

impl Usage {
    /// What is left.
    #[must_use]
    pub fn free(&self) -> u64 {
        self.limit.saturating_sub(self.used)
    }
}

/// One quota root.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Quota {
    /// Its name.
    pub root: String,
    /// Octets.
    pub octets: Option<Usage>,
    /// Messages.
    pub messages: Option<Usage>,
}

/// The quota roots a mailbox (by its wire name) counts against; empty if the server has no QUOTA,
/// or none for this mailbox.
///
/// # Errors
/// `Lost`.
pub async fn of(session: &mut Session, mailbox: &[u8]) -> Result<Vec<Quota>> {
    if !session.has("QUOTA") {
        return Ok(Vec::new());
    }
    let answer = session.with_names("GETQUOTAROOT", &[mailbox]).await?;
    let mut roots: HashMap<String, Quota> = HashMap::new();
    for untagged in answer.untagged {
        let Untagged::About(About::Quota(root, resources)) = untagged else { continue };
        let quota = roots.entry(root.clone()).or_default();
        quota.root = printable(&root, 100);
        for resource in resources {
            let usage = Usage { used: resource.used, limit: resource.limit };
            match resource.name.as_str() {
                "STORAGE" => {
                    quota.octets = Some(Usage {
                        used: usage.used.saturating_mul(1024),
                        limit: usage.limit.saturating_mul(1024),
                    });
                }
                "MESSAGE" => quota.messages = Some(usage),
                _ => {}
            }
        }
    }
    let mut all: Vec<Quota> = roots.into_values().collect();
    all.retain(|q| q.octets.is_some() || q.messages.is_some());
    all.sort_by(|a, b| a.root.cmp(&b.root));
    Ok(all)
}

/// What stands against so many more octets and messages, in words; `None` if they fit.
#[must_use]
pub fn shortage(quotas: &[Quota], octets: u64, messages: u64) -> Option<String> {
    for quota in quotas {
        let few = |usage: Option<Usage>, wanted: u64| usage.filter(|u| wanted > u.free());
        if let Some(usage) = few(quota.octets, octets) {
            return Some(format!(
                "{octets} octets are to come, {} of {} are free: raise the quota by {} at least",
                usage.free(),
                usage.limit,
                octets - usage.free()
            ));
        }
        if let Some(usage) = few(quota.messages, messages) {
            return Some(format!(
                "{messages} messages are to come, room is for {} of {}: raise the number by {} at \
                 least",
                usage.free(),
                usage.limit,
                messages - usage.free()
            ));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_told_with_what_to_do() {
        let quota = Quota {
            root: String::new(),
            octets: Some(Usage { used: 600, limit: 1000 }),
            messages: Some(Usage { used: 1, limit: 3 }),
        };
        let all = [quota];
        assert_eq!(shortage(&all, 400, 2), None);
        assert!(shortage(&all, 500, 1).unwrap().contains("by 100"));
        assert!(shortage(&all, 1, 3).unwrap().contains("by 1"));
        assert_eq!(shortage(&[], 1 << 60, 1), None);
    }
}
