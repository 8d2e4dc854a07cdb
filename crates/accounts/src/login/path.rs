//! The one way in, in the order of `reference/security.md` section 4: name, address filters,
//! account, failed-login limit, password, service, session.
//!
//! What an outsider could learn from the order is told only to those with the right password:
//! that a service is disabled, that a secure method is required, that a method is not allowed.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use angarium_objects::name::fold_domain;
use angarium_objects::password::REVERSIBLE_MARK;
use angarium_objects::rights::{CAN_IMPERSONATE, Rights};
use angarium_objects::settings::Scope;
use angarium_objects::spelling::{self, Flow, Limit, Services};
use angarium_objects::value::{Dictionary, Value};
use angarium_store::{AccountRecord, StoreError};
use tokio::time::Instant;

use super::failures::Attempt;
use super::gate::Busy;
use super::{Login, LoginContext, LoginError, offers};
use crate::operations::suspension::is_suspended;
use crate::{Accounts, Actor, RouteKind, RouteOutcome, Secret};

/// When a setting cannot be read as a flow limit.
const FALLBACK_FLOW: Flow = Flow { count: Limit::Of(10), seconds: 60 };

/// Longest name failures are counted under: an object name and a domain name.
const MAX_KEY: usize =
    angarium_objects::name::MAX_OBJECT_NAME + 1 + angarium_objects::name::MAX_DOMAIN_NAME;

impl From<StoreError> for LoginError {
    fn from(_: StoreError) -> Self {
        Self::Unavailable
    }
}

impl From<Busy> for LoginError {
    fn from(_: Busy) -> Self {
        Self::Unavailable
    }
}

/// An account found for a login name.
#[derive(Clone)]
pub(super) struct Found {
    pub(super) record: Arc<AccountRecord>,
    pub(super) settings: Arc<Dictionary>,
}

/// What a login name led to. Unknown names go the whole way too.
pub(super) struct Candidate {
    /// The name failures are counted under.
    pub(super) key: String,
    pub(super) found: Option<Found>,
    pub(super) flow: Flow,
    /// The login is to read and send mail alone: an application password or an access token.
    pub(super) limited: bool,
    /// What asking about a name that does not exist took.
    pub(super) spent: Duration,
}

impl Candidate {
    /// How failures are counted.
    pub(super) fn attempt(&self, context: LoginContext) -> Attempt<'_> {
        let account = self.found.as_ref().map(|found| found.record.id);
        Attempt { name: &self.key, account, peer: counted(context) }
    }
}

impl Login {
    fn context(&self) -> LoginContext {
        LoginContext {
            local_ip: self.local_ip,
            peer_ip: self.peer_ip,
            service: self.service,
            tls: self.tls,
        }
    }
}

fn yes(settings: &Dictionary, key: &str) -> bool {
    settings.get(key).and_then(spelling::boolean).unwrap_or(false)
}

fn flow_of(value: Option<&Value>) -> Flow {
    value.and_then(spelling::flow).unwrap_or(FALLBACK_FLOW)
}

impl Accounts {
    /// Logs in with a password in clear.
    ///
    /// # Errors
    /// See [`LoginError`].
    pub async fn login(&self, login: Login) -> Result<Arc<Actor>, LoginError> {
        self.login_as(login, None).await
    }

    /// As [`Accounts::login`], then acts for `authorize_as` (SASL's authorization name), which
    /// takes the right to impersonate in that account's domain.
    ///
    /// # Errors
    /// See [`LoginError`].
    pub async fn login_as(
        &self,
        login: Login,
        authorize_as: Option<&str>,
    ) -> Result<Arc<Actor>, LoginError> {
        self.login_by(login, authorize_as, "CLRTXT").await
    }

    /// True when a password in clear may be sent on such a connection: by the server setting
    /// `ClearTextLogin`, by default on encrypted connections and from this machine.
    ///
    /// # Errors
    /// As the store.
    pub async fn clear_text_allowed(
        &self,
        peer_ip: Option<IpAddr>,
        tls: bool,
    ) -> Result<bool, StoreError> {
        if self.clear_text_logins_allowed() {
            return Ok(true);
        }
        let setting = self.server_setting("ClearTextLogin").await?;
        let near = peer_ip.is_none_or(|ip| ip.to_canonical().is_loopback());
        Ok(match setting.as_str().unwrap_or_default().to_ascii_uppercase().as_str() {
            "YES" => true,
            "NO" => false,
            _ => tls || near,
        })
    }

    pub(super) async fn login_by(
        &self,
        login: Login,
        authorize_as: Option<&str>,
        method: &str,
    ) -> Result<Arc<Actor>, LoginError> {
        let context = login.context();
        if !self.clear_text_allowed(context.peer_ip, context.tls).await? {
            return Err(LoginError::SecureMethodRequired);
        }
        let mut candidate = self.candidate(&login.name, context).await?;
        let own = self.check_password(&candidate, &login.password).await?;
        if !own && self.check_app_password(&candidate, &login.password, context).await? {
            candidate.limited = true;
        }
        // A password that was right elsewhere is not the one stored here.
        let found = candidate.found.clone().filter(|_| own);
        let (candidate, right) = match own || candidate.limited {
            true => (candidate, true),
            false => self.check_elsewhere(candidate, &login.password, context).await?,
        };
        let actor = self.admit(candidate, context, right, authorize_as, method).await?;
        if let Some(Found { record, settings }) = found {
            self.upgrade_password(&record, &settings, &login.password).await;
        }
        Ok(actor)
    }

    /// Compares a clear password with the kinds of passwords the account has enabled. Takes as
    /// long for names that do not exist.
    async fn check_password(
        &self,
        candidate: &Candidate,
        password: &Secret,
    ) -> Result<bool, LoginError> {
        let Some(found) = &candidate.found else {
            return Ok(self.gate.pretend(password).await?);
        };
        let stored = found.record.settings.get("Password").and_then(Value::as_str);
        match stored.filter(|_| yes(&found.settings, "UseAppPassword")) {
            Some(stored) if stored.starts_with(REVERSIBLE_MARK) => {
                let kept = self.readable_password(candidate).await?;
                let right = kept.is_some_and(|kept| kept.matches(password.expose()));
                Ok(right || self.gate.pretend(password).await?)
            }
            Some(stored) => {
                Ok(self.gate.verify(found.record.id, stored, password, self.now()).await?)
            }
            None if Self::asks_outside(candidate) => Ok(false),
            None => Ok(self.gate.pretend(password).await?),
        }
    }

    /// Resolves a login name (`reference/accounts-and-domains.md` section 10) and applies the
    /// limits on failed logins.
    pub(super) async fn candidate(
        &self,
        name: &str,
        context: LoginContext,
    ) -> Result<Candidate, LoginError> {
        let now = self.now();
        if let Some(ip) = counted(context) {
            let flow = flow_of(Some(&self.server_setting("LoginAddressFlow").await?));
            if self.gate.failures.address_blocked(ip, flow, now) || self.is_kept_out(ip) {
                return Err(LoginError::TooMany);
            }
        }
        let builtin = Scope::Account.built_in("FailedLoginFlow");
        let begun = Instant::now();
        let mut candidate = match self.route(name, RouteKind::Access, context.local_ip).await {
            RouteOutcome::Local { account, .. } => match self.account_record(account).await? {
                Some(record) => {
                    let settings = self.effective_settings(account).await?;
                    let flow = flow_of(settings.get("FailedLoginFlow"));
                    let key = format!("{}@{}", record.name, record.domain);
                    let found = Some(Found { record, settings });
                    Candidate { key, found, limited: false, flow, spent: Duration::ZERO }
                }
                None => unknown(name, builtin.as_ref()),
            },
            RouteOutcome::Remote { host, port, address, .. } => {
                if !named_by_client(name, &host, port) {
                    let user = address.rsplit_once('@').map_or(address.as_str(), |(user, _)| user);
                    return Err(LoginError::Moved { user: user.to_owned(), host, port });
                }
                unknown(name, builtin.as_ref())
            }
            RouteOutcome::Later { .. } => return Err(LoginError::Unavailable),
            RouteOutcome::Unknown { name, domain } => {
                unknown(&format!("{name}@{domain}"), builtin.as_ref())
            }
            _ => unknown(name, builtin.as_ref()),
        };
        if candidate.found.is_none() {
            candidate.spent = begun.elapsed();
        }
        let attempt = candidate.attempt(context);
        if self.gate.failures.name_blocked(attempt, candidate.flow, now) {
            return Err(LoginError::TooMany);
        }
        Ok(candidate)
    }

    /// Counts a failed login from an address; the one that reaches the limit is told to whoever
    /// keeps addresses out.
    pub(crate) async fn failed_from(&self, ip: IpAddr) -> Result<(), StoreError> {
        let flow = flow_of(Some(&self.server_setting("LoginAddressFlow").await?));
        if self.gate.failures.failed_from(ip, flow, self.now()) {
            self.tell_guessing(ip, flow.seconds);
        }
        Ok(())
    }

    /// The checks after the password, and the session. `right` says whether the password (or
    /// proof) was right.
    pub(super) async fn admit(
        &self,
        candidate: Candidate,
        context: LoginContext,
        right: bool,
        authorize_as: Option<&str>,
        method: &str,
    ) -> Result<Arc<Actor>, LoginError> {
        let now = self.now();
        let exists = candidate.found.is_some();
        let Some(found) = candidate.found.as_ref().filter(|_| right) else {
            let hide = self.server_setting("HideAccountUnknown").await?;
            let hide = spelling::boolean(&hide).unwrap_or(true);
            self.gate.failures.failed(candidate.attempt(context), candidate.flow, now);
            self.statistics.login_failed();
            if let Some(ip) = counted(context) {
                self.failed_from(ip).await?;
            }
            return Err(if hide || exists {
                LoginError::Denied
            } else {
                LoginError::UnknownAccount
            });
        };
        self.check_service(found, context, method).await?;
        let mut actor = self.actor_of(&found.record).await?;
        if candidate.limited {
            actor.limit();
        }
        let by = actor.account;
        let actor = match authorize_as.filter(|name| !name.is_empty()) {
            None => actor,
            Some(name) => self.impersonate(actor, name, context).await?,
        };
        self.gate.entered(actor.account, context.peer_ip, now);
        self.statistics.logged_in(actor.account, &actor.domain);
        if let Some(ip) = counted(context) {
            self.gate.failures.succeeded(by, ip, now);
        }
        self.tell_reading(&found.settings, &found.record.domain, context).await;
        Ok(Arc::new(actor))
    }

    async fn check_service(
        &self,
        found: &Found,
        context: LoginContext,
        method: &str,
    ) -> Result<(), LoginError> {
        let domain = self.domain_facts(&found.record.domain).await?;
        let domain = domain.ok_or(LoginError::Unavailable)?;
        if is_suspended(&domain.record.settings) {
            return Err(LoginError::ServiceDisabled);
        }
        let modes = |settings: &Dictionary, key: &str| {
            settings.get(key).and_then(spelling::services).unwrap_or(Services::All)
        };
        let word = context.service.mode();
        if !modes(&domain.effective, "DomainAccessModes").enabled(word)
            || !modes(&found.settings, "AccessModes").enabled(word)
        {
            return Err(LoginError::ServiceDisabled);
        }
        let clear = matches!(method, "CLRTXT" | "PLAIN" | "LOGIN");
        let methods = modes(&domain.effective, "AUTHMethods");
        if clear && !context.tls && yes(&found.settings, "RequireAPOP") {
            return Err(LoginError::SecureMethodRequired);
        }
        if !offers::allowed(&methods, method) {
            return Err(LoginError::MethodNotAllowed);
        }
        Ok(())
    }

    /// An account as an actor, with its present rights.
    pub(crate) async fn actor_of(&self, record: &AccountRecord) -> Result<Actor, StoreError> {
        let main = self.main_domain().await? == record.domain;
        let rights = Rights::new(record.rights.iter().cloned(), main);
        Ok(Actor::account(record.id, &record.name, &record.domain, rights))
    }

    /// The account `name` as somebody who is logged in already may act for it (PROXYAUTH), by the
    /// same rights as SASL's authorization name.
    ///
    /// # Errors
    /// `MayNotImpersonate`, also for names that do not exist; `ServiceDisabled`; `Unavailable`.
    pub async fn act_for(
        &self,
        actor: &Actor,
        name: &str,
        context: LoginContext,
    ) -> Result<Arc<Actor>, LoginError> {
        Ok(Arc::new(self.impersonate(actor.clone(), name, context).await?))
    }

    /// The account `name` for the administrator at the machine itself (`angarium exec`): whoever
    /// may open the administration socket may read the store anyway.
    ///
    /// # Errors
    /// As [`crate::operations`] for names that are no account.
    pub async fn act_at_console(&self, name: &str) -> Result<Arc<Actor>, crate::OperationError> {
        let console = Actor::console();
        let authority = self.authority(&console).await?;
        let record = self.named_account(&authority, name).await?;
        let mut actor = self.actor_of(&record).await?;
        actor.authenticated_as = Some(console.name);
        Ok(Arc::new(actor))
    }

    async fn impersonate(
        &self,
        actor: Actor,
        name: &str,
        context: LoginContext,
    ) -> Result<Actor, LoginError> {
        // Names without a domain are completed as login names are.
        let target = match self.route(name, RouteKind::Access, context.local_ip).await {
            RouteOutcome::Local { account, .. } => self.account_record(account).await?,
            RouteOutcome::Later { .. } => return Err(LoginError::Unavailable),
            _ => None,
        };
        if target.as_ref().is_some_and(|t| t.id == actor.account) {
            return Ok(actor);
        }
        let record = target.ok_or(LoginError::MayNotImpersonate)?;
        let target = self.actor_of(&record).await?;
        let authority = self.authority(&actor).await.map_err(|_| LoginError::Unavailable)?;
        let may = self
            .may_in_domain(&authority, &target.domain, CAN_IMPERSONATE)
            .await
            .map_err(|_| LoginError::Unavailable)?;
        if !may || !authority.outranks(&target.rights) {
            return Err(LoginError::MayNotImpersonate);
        }
        let settings = self.effective_settings(record.id).await?;
        self.check_service(&Found { record, settings }, context, "SCRAM-SHA-256").await.or_else(
            // Which methods the target's domain allows says nothing about the one who acts.
            |error| if error == LoginError::MethodNotAllowed { Ok(()) } else { Err(error) },
        )?;
        tracing::info!(actor = %actor.full_name(), target = %target.full_name(), "acts for another");
        let mut acting = target;
        acting.authenticated_as = Some(actor.full_name());
        Ok(acting)
    }
}

/// True when a login name itself names the host it is routed to, however it is written: behind
/// `@`, `%` or `!`, as a route, as an address in brackets, with a port. Such a name has not moved,
/// and nobody is sent to a host of the client's own choice (ABU-32).
fn named_by_client(name: &str, host: &str, port: Option<u16>) -> bool {
    let given = name.to_lowercase();
    let literal = host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok() && given.contains('[');
    let word = |word: &str| {
        fold_domain(word.trim()).is_some_and(|domain| domain.eq_ignore_ascii_case(host))
    };
    let separators = ['@', '%', '!', ':', ',', '<', '>', '"'];
    let named = given.contains(&host.to_lowercase()) || given.split(separators).any(word);
    literal || (named && port.is_none_or(|port| given.contains(&format!(":{port}"))))
}

fn unknown(name: &str, builtin: Option<&Value>) -> Candidate {
    let mut key = name.trim().to_lowercase();
    // Longer ones cannot exist; they need no counter of their own.
    if key.len() > MAX_KEY {
        key.clear();
    }
    let flow = flow_of(builtin);
    Candidate { key, found: None, limited: false, flow, spent: Duration::ZERO }
}

/// The address failures are counted under; this machine itself is not counted, front ends live
/// there.
fn counted(context: LoginContext) -> Option<IpAddr> {
    context.peer_ip.map(|ip| ip.to_canonical()).filter(|ip| !ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn abu_32_a_host_in_the_login_name_is_the_clients_own_choice() {
        for (name, host, port) in [
            ("joe@Attacker.example", "attacker.example", None),
            ("joe%attacker.example", "attacker.example", None),
            ("attacker.example!joe", "attacker.example", None),
            ("<@attacker.example:joe@house.example>", "attacker.example", None),
            ("joe%attacker.example:99._via", "attacker.example", Some(99)),
            ("joe@m\u{fc}ller.example", "xn--mller-kva.example", None),
            ("joe@[IPv6:2001:DB8:0::1]", "2001:db8::1", None),
        ] {
            assert!(named_by_client(name, host, port), "{name}");
        }
        for (name, host, port) in [
            ("j.smith", "othercompany.com", None),
            ("joe@old.example", "new.example", None),
            ("joe@company.example", "company.example", Some(1143)),
        ] {
            assert!(!named_by_client(name, host, port), "{name}");
        }
    }
}
