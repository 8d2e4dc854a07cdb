//! Our signature on mail of our own people (RFC 6376), by the domain its author claims.
//!
//! It must never know where keys are kept.

use std::sync::Arc;

use angarium_accounts::{Actor, RouteKind, RouteOutcome};
use angarium_message::address::{ADDRESSES_MAX, Item, parse};
use angarium_message::header;
use async_trait::async_trait;

use super::Authenticity;
use crate::inspect::{Arrived, Findings, Inspector, Outline};

/// Signs what trusted senders hand in.
pub(super) struct Signer(pub(super) Arc<Authenticity>);

#[async_trait]
impl Inspector for Signer {
    fn name(&self) -> &'static str {
        "DKIM"
    }

    fn wants(&self, outline: &Outline) -> bool {
        outline.trusted && self.0.may_sign()
    }

    async fn inspect(&self, arrived: &Arrived<'_>) -> Findings {
        let ring = self.0.ring().await;
        let Some((local, domain)) = author(arrived.message) else { return Findings::default() };
        if !ring.has(&domain) || !self.may(arrived.actor, &local, &domain).await {
            return Findings::default();
        }
        if !arrived.whole {
            tracing::warn!(target: "SMTP", "[{}] is too large to be signed", arrived.id);
            return Findings::default();
        }
        Findings { lines: ring.sign(&domain, arrived.message), ..Findings::default() }
    }
}

impl Signer {
    /// Whether mail of this author, handed in by this account, is ours to sign: the domain is
    /// ours, and who authenticated belongs to it or has the address himself.
    async fn may(&self, actor: Option<&Actor>, local: &str, domain: &str) -> bool {
        let accounts = self.0.accounts();
        let Ok(Some(facts)) = accounts.domain_facts(domain).await else { return false };
        let Some(actor) = actor else { return true };
        if actor.domain == facts.record.name {
            return true;
        }
        let route = accounts.route(&format!("{local}@{domain}"), RouteKind::Mail, None).await;
        matches!(route, RouteOutcome::Local { account, .. } if account == actor.account)
    }
}

/// The first author of a message: local part and domain, the domain in lower case.
pub(super) fn author(message: &[u8]) -> Option<(String, String)> {
    let head = message.get(..header::header_length(message)).unwrap_or(message);
    let from = header::find(head, "From")?;
    let mut left = ADDRESSES_MAX;
    let mut found = None;
    parse(from.value, &mut left, |item| {
        if let (Item::Mailbox { local, domain, .. }, None) = (item, &found) {
            let local = String::from_utf8_lossy(local).into_owned();
            let domain = String::from_utf8_lossy(domain).to_lowercase();
            found = Some((local, domain));
        }
    });
    found.filter(|(_, domain)| !domain.is_empty())
}
