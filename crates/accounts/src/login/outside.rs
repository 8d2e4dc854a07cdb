//! Passwords that are not kept here: those of the operating system and those that an external
//! program knows (`reference/security.md` section 1). Nothing is locked while somebody outside is
//! asked, and what he may have changed meanwhile is read again.
//!
//! It must never know how the question is asked, nor remember a password that was right outside:
//! it may be withdrawn there at any moment.

use std::sync::Arc;

use angarium_objects::spelling;
use angarium_objects::value::{Dictionary, Value};
use arc_swap::ArcSwapOption;
use async_trait::async_trait;
use tokio::time::Instant;

use super::old_servers::OldServers;
use super::pace::Pace;
use super::path::{Candidate, Found};
use super::{LoginContext, LoginError, Service};
use crate::{Accounts, Secret};

/// Longest name of a user at the operating system, in octets.
const MAX_OS_NAME: usize = 256;

/// Whose password it is and for what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// The account's local name.
    pub name: String,
    /// Its domain.
    pub domain: String,
    /// The service somebody wants to enter.
    pub service: Service,
}

impl Asked {
    /// `name@domain`.
    #[must_use]
    pub fn full_name(&self) -> String {
        format!("{}@{}", self.name, self.domain)
    }
}

/// What a client has shown of its password.
#[derive(Clone, Copy, Debug)]
pub enum Proof<'a> {
    /// The password itself.
    Clear(&'a Secret),
    /// CRAM-MD5 (RFC 2195): the digest in hexadecimal digits and our challenge.
    CramMd5 {
        /// The client's digest.
        digest: &'a str,
        /// What it was made for.
        challenge: &'a str,
    },
    /// APOP (RFC 1939): the digest in hexadecimal digits and our stamp.
    Apop {
        /// The client's digest.
        digest: &'a str,
        /// What it was made for.
        stamp: &'a str,
    },
    /// DIGEST-MD5 (RFC 2831): the whole answer, which holds our nonce.
    DigestMd5 {
        /// The client's answer.
        answer: &'a [u8],
    },
}

/// What somebody outside says of a proof.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Checked {
    /// It is right; with it may come data for the client, such as the `rspauth` of DIGEST-MD5.
    Right(Option<Vec<u8>>),
    /// It is wrong.
    Wrong,
}

/// The external program that knows passwords (`UseExtPassword`).
#[async_trait]
pub trait ExternalAuthenticator: Send + Sync {
    /// Whether a proof is right.
    ///
    /// # Errors
    /// *Later*: nobody answers now; the text is for the log.
    async fn check(&self, asked: &Asked, proof: Proof<'_>) -> Result<Checked, String>;

    /// The password itself, for methods that are computed here; `None` when it is not told.
    ///
    /// # Errors
    /// *Later*: nobody answers now; the text is for the log.
    async fn read(&self, asked: &Asked) -> Result<Option<Secret>, String>;
}

/// The passwords of the operating system (`UseSysPassword`).
#[async_trait]
pub trait SystemPasswords: Send + Sync {
    /// Whether this is the password of a user of the operating system.
    ///
    /// # Errors
    /// *Later*: nobody answers now; the text is for the log.
    async fn check(&self, user: &str, asked: &Asked, password: &Secret) -> Result<bool, String>;
}

/// Who is asked outside.
pub(crate) struct Outside {
    external: ArcSwapOption<Box<dyn ExternalAuthenticator>>,
    system: ArcSwapOption<Box<dyn SystemPasswords>>,
    /// Who asks the old servers of domains that are taken over.
    pub(super) old: ArcSwapOption<Arc<dyn OldServers>>,
    /// How long it takes.
    pace: Pace,
}

impl Outside {
    pub(crate) fn new() -> Self {
        Self {
            external: ArcSwapOption::const_empty(),
            system: ArcSwapOption::const_empty(),
            old: ArcSwapOption::const_empty(),
            pace: Pace::new(),
        }
    }
}

impl Found {
    fn has_own_password(&self) -> bool {
        let stored = self.record.settings.get("Password").and_then(Value::as_str);
        enabled(&self.settings, "UseAppPassword") && stored.is_some_and(|text| !text.is_empty())
    }
}

fn enabled(settings: &Dictionary, key: &str) -> bool {
    settings.get(key).and_then(spelling::boolean).unwrap_or(false)
}

/// The name at the operating system: the pattern `OSUserName` with the account's name in place of
/// each star. `None` for what cannot be one, and for `root`: nobody is to try its password here.
fn os_user(settings: &Dictionary, account: &str) -> Option<String> {
    let pattern = settings.get("OSUserName").and_then(Value::as_str).unwrap_or("*").trim();
    let pattern = if pattern.is_empty() { "*" } else { pattern };
    let name = pattern.replace('*', account);
    let plain = |c: char| !c.is_control() && !c.is_whitespace() && !matches!(c, ':' | '/');
    let legal = (1..=MAX_OS_NAME).contains(&name.len())
        && name.chars().all(plain)
        && !name.starts_with('-')
        && name != "root";
    legal.then_some(name)
}

/// True for passwords that can be right anywhere: one line, not empty, not too long. An empty one
/// must not go out: some systems take it for "no password asked".
pub(super) fn can_be_asked(password: &Secret) -> bool {
    let octets = password.expose();
    !octets.is_empty()
        && octets.len() <= Secret::MAX_LENGTH
        && !octets.iter().any(|octet| matches!(octet, b'\r' | b'\n' | 0))
}

impl Accounts {
    /// Sets who is asked about the passwords of accounts with `UseExtPassword`; `None` is nobody,
    /// and such logins are put off.
    pub fn set_external_authenticator(&self, who: Option<Box<dyn ExternalAuthenticator>>) {
        self.outside.external.store(who.map(Arc::new));
    }

    /// Sets who is asked about the passwords of accounts with `UseSysPassword`; `None` is nobody,
    /// and such logins are put off.
    pub fn set_system_passwords(&self, who: Option<Box<dyn SystemPasswords>>) {
        self.outside.system.store(who.map(Arc::new));
    }

    /// True when somebody outside is to be asked about this account's password.
    pub(super) fn asks_outside(candidate: &Candidate) -> bool {
        candidate.found.as_ref().is_some_and(|found| {
            enabled(&found.settings, "UseSysPassword") || enabled(&found.settings, "UseExtPassword")
        })
    }

    /// Asks outside, where the account wants it, after its own password has not matched: first the
    /// operating system, then the external program; the first to accept lets in. Returns the
    /// candidate, read again if it was accepted.
    ///
    /// # Errors
    /// `Unavailable` when nobody accepted and somebody could not be asked.
    pub(super) async fn check_outside(
        &self,
        candidate: Candidate,
        proof: Proof<'_>,
        context: LoginContext,
    ) -> Result<(Candidate, Checked), LoginError> {
        if matches!(proof, Proof::Clear(password) if !can_be_asked(password)) {
            return Ok((candidate, Checked::Wrong));
        }
        let Some(found) = candidate.found.clone() else {
            self.wait_as_others(&candidate).await;
            return Ok((candidate, Checked::Wrong));
        };
        if !Self::asks_outside(&candidate) {
            self.outside.pace.refused(&found.record.domain, None);
            return Ok((candidate, Checked::Wrong));
        }
        let begun = Instant::now();
        let asked = asked(&found, context);
        let mut checked = Ok(Checked::Wrong);
        if let Proof::Clear(password) = proof
            && enabled(&found.settings, "UseSysPassword")
        {
            checked = self.check_system(&found, &asked, password).await;
        }
        if !matches!(checked, Ok(Checked::Right(_))) && enabled(&found.settings, "UseExtPassword") {
            let external = self.check_external(&asked, proof, context).await;
            // Who could not be asked might have accepted.
            checked = match (checked, external) {
                (_, Ok(right @ Checked::Right(_))) => Ok(right),
                (Err(later), _) => Err(later),
                (_, external) => external,
            };
        }
        match checked {
            Ok(Checked::Right(data)) => {
                let again = self.read_again(candidate, &found).await?;
                Ok((again, Checked::Right(data)))
            }
            Ok(Checked::Wrong) => {
                self.outside.pace.refused(&found.record.domain, Some(begun.elapsed()));
                Ok((candidate, Checked::Wrong))
            }
            Err(why) => {
                tracing::warn!("the password of {} cannot be checked: {why}", asked.full_name());
                // Its own password was wrong all the same: it is not guessed without end while
                // nobody answers outside.
                if found.has_own_password() {
                    let attempt = candidate.attempt(context);
                    self.gate.failures.failed(attempt, candidate.flow, self.now());
                }
                Err(LoginError::Unavailable)
            }
        }
    }

    /// As [`Accounts::check_outside`] for a password in clear; a wrong one takes as long as for
    /// names that do not exist.
    pub(super) async fn check_elsewhere(
        &self,
        candidate: Candidate,
        password: &Secret,
        context: LoginContext,
    ) -> Result<(Candidate, bool), LoginError> {
        if candidate.found.is_none()
            && let Some(adopted) = self.adopt(&candidate, password, context).await?
        {
            return Ok((adopted, true));
        }
        // A comparison with its own password, or the pretence of one, took its time already.
        let compared = candidate.found.as_ref().is_none_or(Found::has_own_password)
            || !Self::asks_outside(&candidate);
        let proof = Proof::Clear(password);
        let (candidate, right) = self.prove_outside(candidate, proof, context).await?;
        Ok((candidate, right || (!compared && self.gate.pretend(password).await?)))
    }

    /// As [`Accounts::check_outside`], for methods that send nothing to the client at the end.
    pub(super) async fn prove_outside(
        &self,
        candidate: Candidate,
        proof: Proof<'_>,
        context: LoginContext,
    ) -> Result<(Candidate, bool), LoginError> {
        let (candidate, checked) = self.check_outside(candidate, proof, context).await?;
        Ok((candidate, matches!(checked, Checked::Right(_))))
    }

    async fn check_system(
        &self,
        found: &Found,
        asked: &Asked,
        password: &Secret,
    ) -> Result<Checked, String> {
        let Some(user) = os_user(&found.settings, &found.record.name) else {
            return Ok(Checked::Wrong);
        };
        let Some(system) = self.outside.system.load_full() else {
            return Err("nobody checks passwords of the operating system".into());
        };
        let right = system.check(&user, asked, password).await?;
        Ok(if right { Checked::Right(None) } else { Checked::Wrong })
    }

    async fn check_external(
        &self,
        asked: &Asked,
        proof: Proof<'_>,
        context: LoginContext,
    ) -> Result<Checked, String> {
        if let Proof::Clear(password) = proof
            && let Some(right) = self.prove_at_old_server(asked, password, context).await?
        {
            return Ok(if right { Checked::Right(None) } else { Checked::Wrong });
        }
        match self.outside.external.load_full() {
            Some(external) => external.check(asked, proof).await,
            None => Err("there is no external authentication program".into()),
        }
    }

    /// A name that does not exist takes as long as those of its domain that are asked about
    /// outside; what it took to find out that it does not exist counts.
    async fn wait_as_others(&self, candidate: &Candidate) {
        let Some((_, domain)) = candidate.key.rsplit_once('@') else { return };
        let wait = self.outside.pace.imitated(domain, &candidate.key);
        let wait = wait.saturating_sub(candidate.spent);
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
    }

    /// The account as it is now: who was asked may have changed its settings, or removed it.
    async fn read_again(
        &self,
        candidate: Candidate,
        found: &Found,
    ) -> Result<Candidate, LoginError> {
        let id = found.record.id;
        let found = match self.account_record(id).await? {
            Some(record) => Some(Found { record, settings: self.effective_settings(id).await? }),
            None => None,
        };
        Ok(Candidate { found, ..candidate })
    }

    /// The password SCRAM's keys are made of where none are stored: one kept readable here, else
    /// what the external program tells.
    pub(super) async fn scram_password(
        &self,
        candidate: &Candidate,
        context: LoginContext,
    ) -> Result<Option<Secret>, LoginError> {
        match self.readable_password(candidate).await? {
            Some(kept) => Ok(Some(kept)),
            None => self.read_outside(candidate, context).await,
        }
    }

    /// The password in clear as an external program tells it, for SCRAM; `None` when the account
    /// asks nobody or nobody tells it.
    async fn read_outside(
        &self,
        candidate: &Candidate,
        context: LoginContext,
    ) -> Result<Option<Secret>, LoginError> {
        let Some(found) = &candidate.found else { return Ok(None) };
        if !enabled(&found.settings, "UseExtPassword") {
            return Ok(None);
        }
        let Some(external) = self.outside.external.load_full() else { return Ok(None) };
        let asked = asked(found, context);
        match external.read(&asked).await {
            Ok(password) => Ok(password.filter(can_be_asked)),
            Err(why) => {
                tracing::warn!("the password of {} cannot be read: {why}", asked.full_name());
                Err(LoginError::Unavailable)
            }
        }
    }
}

fn asked(found: &Found, context: LoginContext) -> Asked {
    let (name, domain) = (found.record.name.clone(), found.record.domain.clone());
    Asked { name, domain, service: context.service }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(pattern: &str, name: &str) -> Option<String> {
        let settings = Dictionary::from([("OSUserName".to_owned(), Value::from(pattern))]);
        os_user(&settings, name)
    }

    // PWD-01
    #[test]
    fn the_pattern_makes_the_name_at_the_operating_system() {
        for (pattern, name) in [("*", "joe"), ("", "joe"), ("mail-*", "mail-joe"), ("one", "one")] {
            assert_eq!(user(pattern, "joe").as_deref(), Some(name), "{pattern}");
        }
        assert_eq!(os_user(&Dictionary::new(), "joe").as_deref(), Some("joe"));
        for pattern in ["root", "a b", "-*", "x:*", "../*", "a\nb"] {
            assert_eq!(user(pattern, "joe"), None, "{pattern:?}");
        }
        assert_eq!(user("*", "root"), None);
        assert_eq!(user(&"x".repeat(257), "joe"), None);
    }

    #[test]
    fn only_a_line_of_some_length_is_shown_to_anybody_outside() {
        assert!(can_be_asked(&Secret::from(" two words ")));
        assert!(can_be_asked(&Secret::new(vec![0xff; 1024])));
        for wrong in [Vec::new(), vec![b'x'; 1025], b"a\nb".to_vec(), b"a\rb".to_vec(), vec![0]] {
            assert!(!can_be_asked(&Secret::new(wrong)));
        }
    }
}
