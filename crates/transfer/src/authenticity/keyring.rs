//! The keys of all domains, ready to sign.
//!
//! It must never know whose mail is signed.

use std::collections::HashMap;

use angarium_objects::value::{Dictionary, Value};
use mail_auth::arc::{ArcSealer, ArcSet};
use mail_auth::common::crypto::DkimKey;
use mail_auth::common::headers::HeaderWriter;
use mail_auth::dkim::{DkimSigner, Done};
use mail_auth::{ArcOutput, AuthenticatedMessage, AuthenticationResults};

use super::keys::{Algorithm, Key, State};

/// Fields that are signed when they are there. The first ones are signed once more than they are
/// there, so that nobody can add another (RFC 6376 section 8.15).
const OVERSIGNED: [&str; 7] = ["From", "To", "Cc", "Subject", "Date", "Reply-To", "Content-Type"];
const SIGNED: [&str; 14] = [
    "Sender",
    "Message-ID",
    "In-Reply-To",
    "References",
    "MIME-Version",
    "Content-Transfer-Encoding",
    "Content-Disposition",
    "Resent-From",
    "Resent-Date",
    "List-Id",
    "List-Unsubscribe",
    "List-Unsubscribe-Post",
    "List-Post",
    "Auto-Submitted",
];

/// Makes ARC sets.
pub(super) struct Sealer(ArcSealer<DkimKey, Done>);

impl Sealer {
    pub(super) fn seal<'x>(
        &self,
        message: &'x AuthenticatedMessage<'x>,
        results: &'x AuthenticationResults<'_>,
        arc: &ArcOutput<'_>,
    ) -> mail_auth::Result<ArcSet<'x>> {
        self.0.seal(message, results, arc)
    }
}

/// The keys of a domain.
#[derive(Default)]
struct Own {
    signers: Vec<DkimSigner<DkimKey, Done>>,
    sealer: Option<Sealer>,
}

/// All keys that sign.
#[derive(Default)]
pub(super) struct Ring {
    domains: HashMap<String, Own>,
}

impl Ring {
    /// Reads what is kept: domain to selector to key. What cannot be read is left out and told.
    pub(super) fn of(kept: &Dictionary) -> Self {
        let mut ring = Self::default();
        for (domain, keys) in kept {
            let Some(keys) = keys.as_dictionary() else { continue };
            let mut own = Own::default();
            for (selector, value) in keys {
                if !signs(value) {
                    continue;
                }
                let key = Key::decode(value).and_then(|key| Some((key.algorithm, key.signer()?)));
                let Some((algorithm, key)) = key else {
                    tracing::error!(target: "SMTP", "the key {selector} of {domain} is unusable");
                    continue;
                };
                let signer = DkimSigner::from_key(key).domain(domain).selector(selector);
                let twice = OVERSIGNED.iter().chain(&OVERSIGNED).chain(&SIGNED);
                own.signers.push(signer.headers(twice.copied()));
                // RFC 8617 knows RSA only in practice; one set is made.
                let again = Key::decode(value).filter(|_| algorithm == Algorithm::Rsa);
                if let Some(key) = again.and_then(|key| key.signer()) {
                    let sealer = ArcSealer::from_key(key).domain(domain).selector(selector);
                    let once = OVERSIGNED.iter().chain(&SIGNED).chain(&["DKIM-Signature"]);
                    own.sealer = Some(Sealer(sealer.headers(once.copied())));
                }
            }
            if !own.signers.is_empty() {
                ring.domains.insert(domain.to_ascii_lowercase(), own);
            }
        }
        ring
    }

    /// True when no domain signs.
    pub(super) fn is_empty(&self) -> bool {
        self.domains.is_empty()
    }

    /// True when this domain signs.
    pub(super) fn has(&self, domain: &str) -> bool {
        self.domains.contains_key(domain)
    }

    /// What makes ARC sets of this domain.
    pub(super) fn sealer(&self, domain: &str) -> Option<&Sealer> {
        self.domains.get(domain)?.sealer.as_ref()
    }

    /// The `DKIM-Signature` lines of a domain for a message, one for each key that signs.
    pub(super) fn sign(&self, domain: &str, message: &[u8]) -> String {
        let Some(own) = self.domains.get(domain) else { return String::new() };
        let mut lines = String::new();
        for signer in &own.signers {
            match signer.sign(message) {
                Ok(signature) => lines.push_str(&signature.to_header()),
                Err(error) => {
                    tracing::error!(target: "SMTP", "a message of {domain} is not signed: {error}");
                }
            }
        }
        lines
    }
}

/// Whether a kept key signs, without reading all of it.
fn signs(value: &Value) -> bool {
    let state = value.as_dictionary().and_then(|all| all.get("State")).and_then(Value::as_str);
    state.and_then(State::parse) == Some(State::Signing)
}
