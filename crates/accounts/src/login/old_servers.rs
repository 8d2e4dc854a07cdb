//! Names and passwords that the old server of a domain knows (domain setting `TakeOver`): a name
//! that mail is for is asked about, a password that is shown at a login is proved there. A login with
//! an unknown name asks nobody whether the name exists: it is proved, or refused as any other.
//!
//! It must never know how an old server is asked.

use std::net::IpAddr;
use std::sync::Arc;

use angarium_objects::settings::{OldServer, TAKE_OVER, old_server};
use angarium_objects::value::Dictionary;
use angarium_store::StoreError;
use async_trait::async_trait;

use super::outside::{Asked, can_be_asked};
use super::path::Candidate;
use super::{LoginContext, LoginError};
use crate::consult::UnknownConsultant;
use crate::{Accounts, Secret};

/// Asks the old servers of domains that are taken over.
#[async_trait]
pub trait OldServers: UnknownConsultant {
    /// Whether the old server takes this password. If it does, whoever answers has stored the
    /// password here, and made the account if there was none.
    ///
    /// # Errors
    /// *Later*: nobody answers now, or too many were wrong; the text is for the log.
    async fn prove(
        &self,
        asked: &Asked,
        peer: Option<IpAddr>,
        password: &Secret,
    ) -> Result<bool, String>;
}

/// The consultant that [`OldServers`] is.
pub(crate) struct Consultant(pub(crate) Arc<dyn OldServers>);

#[async_trait]
impl UnknownConsultant for Consultant {
    async fn consult(
        &self,
        name: &str,
        domain: &str,
        peer: Option<IpAddr>,
    ) -> Result<angarium_routing::Consulted, String> {
        self.0.consult(name, domain, peer).await
    }
}

/// The old server of a domain with these settings, if it is to be asked.
#[must_use]
pub fn asked_old_server(effective: &Dictionary) -> Option<OldServer> {
    old_server(effective.get(TAKE_OVER)?)?.filter(|old| old.enabled)
}

impl Accounts {
    /// Sets who asks the old servers of domains with the setting `TakeOver`; `None` is nobody.
    pub fn set_old_servers(&self, who: Option<Arc<dyn OldServers>>) {
        self.consultations.set_old_servers(who.clone().map(|who| Box::new(Consultant(who)) as _));
        self.outside.old.store(who.map(Arc::new));
    }

    /// The old server of a domain that is taken over; `None` for all others.
    ///
    /// # Errors
    /// As the store.
    pub async fn old_server_of(&self, domain: &str) -> Result<Option<OldServer>, StoreError> {
        let facts = self.domain_facts(domain).await?;
        Ok(facts.and_then(|facts| asked_old_server(&facts.effective)))
    }

    /// Whether the old server takes a password; `None` when the domain has none.
    pub(super) async fn prove_at_old_server(
        &self,
        asked: &Asked,
        password: &Secret,
        context: LoginContext,
    ) -> Result<Option<bool>, String> {
        let old = self.old_server_of(&asked.domain).await.map_err(|e| e.to_string())?;
        if old.is_none() {
            return Ok(None);
        }
        let who = self.outside.old.load_full().ok_or("nobody asks old servers")?;
        who.prove(asked, context.peer_ip, password).await.map(Some)
    }

    /// A login with a name that is not known here, where the domain is taken over: with the
    /// password of the old server the account is there afterwards. `None` when it is not.
    ///
    /// # Errors
    /// `Unavailable` when the old server cannot be asked.
    pub(super) async fn adopt(
        &self,
        candidate: &Candidate,
        password: &Secret,
        context: LoginContext,
    ) -> Result<Option<Candidate>, LoginError> {
        let Some((name, domain)) = candidate.key.rsplit_once('@') else { return Ok(None) };
        if name.is_empty() || !can_be_asked(password) {
            return Ok(None);
        }
        let asked =
            Asked { name: name.to_owned(), domain: domain.to_owned(), service: context.service };
        match self.prove_at_old_server(&asked, password, context).await {
            Ok(Some(true)) => {
                let found = self.candidate(&candidate.key, context).await?;
                Ok(found.found.is_some().then_some(found))
            }
            Ok(_) => Ok(None),
            Err(why) => {
                tracing::warn!("the password of {} cannot be proved: {why}", asked.full_name());
                Err(LoginError::Unavailable)
            }
        }
    }
}
