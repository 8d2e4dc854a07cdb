//! Logins with access tokens: OAUTHBEARER (RFC 7628) and XOAUTH2. The token is made by an issuer
//! that the server or the domain trusts (setting `TokenIssuers`), and is held against the issuer's
//! keys here. It must never know how keys are fetched.

mod jwt;
mod keys;
mod message;

use std::sync::Arc;

use angarium_objects::settings::{self, Issuer};

use super::path::Candidate;
use super::{LoginContext, LoginError};
use crate::{Accounts, Actor};

pub use keys::KeySource;
pub(crate) use keys::TokenKeys;
pub(super) use message::{Form, Request};

use jwt::Refusal;

/// The setting of the server and of domains.
const SETTING: &str = "TokenIssuers";

impl Accounts {
    /// Fetches keys of token issuers by this from now on.
    pub fn use_key_source(&self, source: Box<dyn KeySource>) {
        self.gate.token_keys.use_source(source);
    }

    /// The issuers that a server or domain setting names.
    async fn issuers(&self, domain: Option<&str>) -> Result<Vec<Issuer>, LoginError> {
        let value = match domain {
            None => self.server_setting(SETTING).await?,
            Some(domain) => {
                let facts = self.domain_facts(domain).await?;
                let set = facts.and_then(|facts| facts.effective.get(SETTING).cloned());
                set.unwrap_or(angarium_objects::value::Value::Null)
            }
        };
        Ok(settings::issuers(&value).unwrap_or_default())
    }

    /// Logs in with an access token. Whoever comes in so reads and sends mail; administration and
    /// a new password take the password itself.
    ///
    /// # Errors
    /// [`LoginError::Denied`] for every fault of the token; see [`LoginError`].
    pub(super) async fn login_token(
        &self,
        request: &Request,
        context: LoginContext,
        method: &'static str,
    ) -> Result<Arc<Actor>, LoginError> {
        if !self.clear_text_allowed(context.peer_ip, context.tls).await? {
            return Err(LoginError::SecureMethodRequired);
        }
        let claimed = jwt::glance(&request.token);
        let name = request.user.as_deref().or(claimed.as_ref().and_then(|c| c.email.as_deref()));
        // The limits on failed logins hold before anything costs time.
        let asked = self.candidate(name.unwrap_or_default(), context).await?;
        let proved = match &claimed {
            Some(claimed) => self.name_of_token(request, &claimed.issuer, &asked).await?,
            None => Err(Refusal::Invalid("it is no token")),
        };
        let proved = match proved {
            Ok(proved) => proved,
            Err(refusal) => {
                tracing::info!(account = %asked.key, "access token refused: {refusal}");
                return self.admit(asked, context, false, None, method).await;
            }
        };
        let mut owner = self.candidate(&proved.name, context).await?;
        owner.limited = true;
        // A domain's issuer vouches for accounts of this domain alone.
        let inside = owner.found.as_ref().is_some_and(|found| {
            proved.domain.as_ref().is_none_or(|domain| *domain == found.record.domain)
        });
        let same = match (&owner.found, &asked.found) {
            (Some(owner), Some(asked)) => owner.record.id == asked.record.id,
            _ => false,
        };
        let other = request.user.as_deref().filter(|_| !same);
        self.admit(owner, context, inside, other, method).await
    }

    /// Whom a token is proved to name: by an issuer of the server, or of the domain of the account
    /// that is asked for.
    async fn name_of_token(
        &self,
        request: &Request,
        claimed: &str,
        asked: &Candidate,
    ) -> Result<Result<Proved, Refusal>, LoginError> {
        let domain = asked.found.as_ref().map(|found| found.record.domain.clone());
        let mut trusted: Vec<(Issuer, Option<String>)> =
            self.issuers(None).await?.into_iter().map(|issuer| (issuer, None)).collect();
        if let Some(domain) = domain {
            let own = self.issuers(Some(&domain)).await?;
            trusted.extend(own.into_iter().map(|issuer| (issuer, Some(domain.clone()))));
        }
        let now = self.now();
        let mut refusal = Refusal::Invalid("its issuer is not trusted");
        for (issuer, domain) in trusted.iter().filter(|(issuer, _)| issuer.issuer == claimed) {
            let key = jwt::key_id(&request.token);
            let keys = self.gate.token_keys.of(&issuer.keys, key.as_deref(), now).await?;
            match jwt::verify(&request.token, issuer, &keys, now) {
                Ok(name) => return Ok(Ok(Proved { name, domain: domain.clone() })),
                Err(error) => refusal = error,
            }
        }
        Ok(Err(refusal))
    }
}

/// What a token proved.
struct Proved {
    /// The account's name.
    name: String,
    /// The only domain its issuer may vouch for.
    domain: Option<String>,
}
