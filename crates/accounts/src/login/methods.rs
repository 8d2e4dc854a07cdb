//! Which login methods are offered, and whose password can be read for those that need it. The
//! old challenge methods are off unless the server setting `OldLoginMethods` names them: mail
//! programs prefer them, and they work only for passwords that are kept readable.

use std::sync::Arc;

use angarium_objects::password::{StoredPassword, recognise};
use angarium_objects::spelling::{self, Services};
use angarium_objects::value::Value;

use super::channel::Channel;
use super::outside::Proof;
use super::path::Candidate;
use super::{LoginContext, LoginError, hash, md5_methods};
use crate::{Accounts, Actor, Secret};

/// The methods of `OldLoginMethods`, as SASL names them; APOP is a command of its own.
pub(crate) const OLD: [&str; 4] = ["SCRAM-SHA-1", "DIGEST-MD5", "CRAM-MD5", "NTLM"];

/// The word for APOP in `OldLoginMethods`.
const APOP: &str = "APOP";

impl Accounts {
    /// The mechanisms to offer on a connection, strongest first. Those that send a password or a
    /// token in clear are only offered under TLS, unless `clear_text_allowed` (see
    /// [`Accounts::clear_text_allowed`]).
    pub async fn sasl_mechanisms(&self, tls: bool, clear_text_allowed: bool) -> Vec<&'static str> {
        self.sasl_offers(tls, clear_text_allowed, None).await
    }

    /// As [`Accounts::sasl_mechanisms`], with what the TLS session allows: binding to it, and a
    /// certificate of the client.
    pub async fn sasl_offers(
        &self,
        tls: bool,
        clear_text_allowed: bool,
        channel: Option<&Channel>,
    ) -> Vec<&'static str> {
        let Ok(offers) = self.offers().await else { return Vec::new() };
        let old = self.old_methods().await;
        let binds = channel.is_some_and(Channel::binds);
        let certified = channel.is_some_and(|channel| !channel.chain().is_empty());
        let mut all = Vec::new();
        if binds {
            all.push("SCRAM-SHA-256-PLUS");
        }
        all.push("SCRAM-SHA-256");
        if binds && old.enabled("SCRAM-SHA-1") {
            all.push("SCRAM-SHA-1-PLUS");
        }
        all.extend(OLD.iter().filter(|method| old.enabled(method)));
        if certified && offers.certificates {
            all.push("EXTERNAL");
        }
        if self.clear_text_offered(tls || clear_text_allowed).await {
            if offers.tokens {
                all.extend(["OAUTHBEARER", "XOAUTH2"]);
            }
            all.extend(["PLAIN", "LOGIN"]);
        }
        all.retain(|method| offers.allow(method));
        all
    }

    /// True when a password in clear is worth a try on a connection that `allows` it: the server
    /// does not refuse it always, and at least one domain takes it.
    pub async fn clear_text_offered(&self, allows: bool) -> bool {
        let set = self.server_setting("ClearTextLogin").await;
        let never = set.is_ok_and(|set| set.as_str().is_some_and(|s| s.eq_ignore_ascii_case("no")));
        let never = never && !self.clear_text_logins_allowed();
        allows && !never && self.offers().await.is_ok_and(|offers| offers.allow("CLRTXT"))
    }

    /// True when POP offers APOP.
    pub async fn apop_offered(&self) -> bool {
        let offered = self.offers().await.is_ok_and(|offers| offers.allow(APOP));
        offered && self.old_methods().await.enabled(APOP)
    }

    async fn old_methods(&self) -> Services {
        let set = self.server_setting("OldLoginMethods").await.ok();
        let none = || Services::Only(Vec::new());
        set.as_ref().and_then(spelling::services).unwrap_or_else(none)
    }

    /// The password of a login under way, where it is kept readable; `None` also for names that
    /// do not exist.
    pub(super) async fn readable_password(
        &self,
        candidate: &Candidate,
    ) -> Result<Option<Secret>, LoginError> {
        let Some(found) = &candidate.found else { return Ok(None) };
        let enabled = found.settings.get("UseAppPassword").and_then(spelling::boolean);
        let stored = found.record.settings.get("Password").and_then(Value::as_str);
        let Some(stored) = stored.filter(|_| enabled.unwrap_or(false)) else { return Ok(None) };
        Ok(match recognise(stored) {
            StoredPassword::Clear(clear) => Some(Secret::from(clear)),
            StoredPassword::Sealed(sealed) => self.open_sealed(sealed).await?,
            _ => None,
        })
    }

    /// APOP (RFC 1939 section 7): `digest` is the client's, in hexadecimal digits.
    ///
    /// # Errors
    /// See [`LoginError`].
    pub async fn login_apop(
        &self,
        name: &str,
        stamp: &str,
        digest: &str,
        context: LoginContext,
    ) -> Result<Arc<Actor>, LoginError> {
        let candidate = self.candidate(name, context).await?;
        let password = self.readable_password(&candidate).await?;
        let right = hash::secret_matches(password.as_ref(), |password| {
            md5_methods::apop(stamp, password, digest)
        });
        let (candidate, right) = match right {
            true => (candidate, true),
            false => self.prove_outside(candidate, Proof::Apop { digest, stamp }, context).await?,
        };
        self.admit(candidate, context, right, None, APOP).await
    }
}
