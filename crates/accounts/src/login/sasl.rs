//! SASL exchanges of the server side: PLAIN (RFC 4616), LOGIN, SCRAM (RFC 5802, RFC 7677),
//! CRAM-MD5 (RFC 2195), DIGEST-MD5 (RFC 2831). Bytes in, bytes out; base64 and framing are the
//! protocols'.

use std::sync::Arc;

use angarium_objects::password::{self, ScramKeys, StoredPassword};
use angarium_objects::spelling;
use angarium_objects::value::Value;
use angarium_store::{SettingsKey, Versioned};
use aws_lc_rs::{hmac, rand};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::outside::{Checked, Proof};
use super::path::Candidate;
use super::scram::{Challenge, ClientFirst, Keys, ScramHash};
use super::sealed::SealingKey;
use super::{Login, LoginContext, LoginError, digest_md5, hash, md5_methods};
use crate::{Accounts, Actor, Secret};

/// The module name under which the secret for decoys is kept.
pub(crate) const SECRETS_MODULE: &str = "LoginSecrets";

/// Attempts to store a new secret against others who do the same.
const SECRET_TRIES: usize = 8;

/// What to do next in an exchange.
#[derive(Debug)]
pub enum SaslStep {
    /// Send this (base64 and framing are the protocol's) and step again with the answer.
    Challenge(Vec<u8>),
    /// The client is in.
    Done(Arc<Actor>),
    /// It is not.
    Fail(LoginError),
}

enum State {
    Plain,
    LoginName,
    LoginPassword(String),
    CramMd5(Option<String>),
    DigestMd5(Option<Box<digest_md5::Challenge>>),
    Scram(ScramHash),
    ScramProof {
        challenge: Box<Challenge>,
        candidate: Box<Candidate>,
        authorize_as: Option<String>,
    },
    /// The server has proved itself; the client agrees with an empty answer.
    Proved(Arc<Actor>),
    Over,
}

/// One running exchange. After `Done` or `Fail` it only fails.
pub struct SaslExchange {
    accounts: Arc<Accounts>,
    context: LoginContext,
    state: State,
}

impl SaslExchange {
    /// Longest answer of a client taken, in bytes (before base64).
    pub const MAX_ANSWER: usize = 8192;

    /// Goes on with the client's decoded answer; `None` at the first step says that the client
    /// sent no initial response.
    pub async fn step(&mut self, client: Option<&[u8]>) -> SaslStep {
        match self.advance(client).await {
            Ok(step) => step,
            Err(error) => {
                self.state = State::Over;
                SaslStep::Fail(error)
            }
        }
    }

    async fn advance(&mut self, client: Option<&[u8]>) -> Result<SaslStep, LoginError> {
        if client.is_some_and(|c| c.len() > Self::MAX_ANSWER) {
            return Err(LoginError::Protocol("the answer is too long"));
        }
        match std::mem::replace(&mut self.state, State::Over) {
            State::Plain => match client {
                None => {
                    self.state = State::Plain;
                    Ok(SaslStep::Challenge(Vec::new()))
                }
                Some(message) => {
                    let (authzid, name, password) = read_plain(message)?;
                    self.clear(name, password, Some(authzid), "PLAIN").await
                }
            },
            State::LoginName => match client {
                None => {
                    self.state = State::LoginName;
                    Ok(SaslStep::Challenge(b"Username:".to_vec()))
                }
                Some(name) => {
                    let name = std::str::from_utf8(name).map_err(|_| LoginError::Denied)?;
                    self.state = State::LoginPassword(name.to_owned());
                    Ok(SaslStep::Challenge(b"Password:".to_vec()))
                }
            },
            State::LoginPassword(name) => {
                let password = client.ok_or(LoginError::Protocol("an answer is missing"))?;
                self.clear(&name, Secret::new(password), None, "LOGIN").await
            }
            State::CramMd5(challenge) => self.cram_md5(challenge, client).await,
            State::DigestMd5(challenge) => self.digest_md5(challenge, client).await,
            State::Scram(hash) => match client {
                None => {
                    self.state = State::Scram(hash);
                    Ok(SaslStep::Challenge(Vec::new()))
                }
                Some(message) => self.scram_first(hash, message).await,
            },
            State::ScramProof { challenge, candidate, authorize_as } => {
                let message = client.ok_or(LoginError::Protocol("an answer is missing"))?;
                let verifier = challenge.finish(message)?;
                let right = verifier.is_some();
                let actor = self
                    .accounts
                    .admit(
                        *candidate,
                        self.context,
                        right,
                        authorize_as.as_deref(),
                        challenge.mechanism(),
                    )
                    .await?;
                self.state = State::Proved(actor);
                Ok(SaslStep::Challenge(verifier.unwrap_or_default().into_bytes()))
            }
            State::Proved(actor) => match client {
                None | Some(b"") => Ok(SaslStep::Done(actor)),
                Some(_) => Err(LoginError::Protocol("an empty answer is expected")),
            },
            State::Over => Err(LoginError::Protocol("the exchange is over")),
        }
    }

    async fn clear(
        &self,
        name: &str,
        password: Secret,
        authorize_as: Option<&str>,
        method: &str,
    ) -> Result<SaslStep, LoginError> {
        let login = Login {
            name: name.to_owned(),
            password,
            local_ip: self.context.local_ip,
            peer_ip: self.context.peer_ip,
            service: self.context.service,
            tls: self.context.tls,
        };
        self.accounts.login_by(login, authorize_as, method).await.map(SaslStep::Done)
    }

    /// CRAM-MD5: the server speaks first.
    async fn cram_md5(
        &mut self,
        challenge: Option<String>,
        client: Option<&[u8]>,
    ) -> Result<SaslStep, LoginError> {
        const METHOD: &str = "CRAM-MD5";
        let Some(challenge) = challenge else {
            let host = self.accounts.main_domain().await?;
            let challenge = format!("<{}.{}@{host}>", nonce()?, self.accounts.now());
            self.state = State::CramMd5(Some(challenge.clone()));
            return Ok(SaslStep::Challenge(challenge.into_bytes()));
        };
        let message = client.ok_or(LoginError::Protocol("an answer is missing"))?;
        let (name, digest) = md5_methods::read_cram(message)?;
        let candidate = self.accounts.candidate(name, self.context).await?;
        let password = self.accounts.readable_password(&candidate).await?;
        let right = hash::secret_matches(password.as_ref(), |password| {
            md5_methods::cram(&challenge, password, digest)
        });
        let proof = Proof::CramMd5 { digest, challenge: &challenge };
        let (candidate, right) = match right {
            true => (candidate, true),
            false => self.accounts.prove_outside(candidate, proof, self.context).await?,
        };
        let actor = self.accounts.admit(candidate, self.context, right, None, METHOD).await?;
        Ok(SaslStep::Done(actor))
    }

    /// DIGEST-MD5: the server speaks first, and proves at the end that it knows the password too.
    async fn digest_md5(
        &mut self,
        challenge: Option<Box<digest_md5::Challenge>>,
        client: Option<&[u8]>,
    ) -> Result<SaslStep, LoginError> {
        const METHOD: &str = "DIGEST-MD5";
        let Some(challenge) = challenge else {
            let realm = self.accounts.main_domain().await?;
            let challenge = Box::new(digest_md5::Challenge::new(&realm, nonce()?));
            let text = challenge.text().into_bytes();
            self.state = State::DigestMd5(Some(challenge));
            return Ok(SaslStep::Challenge(text));
        };
        let message = client.ok_or(LoginError::Protocol("an answer is missing"))?;
        let answer = challenge.read(message)?;
        let candidate = self.accounts.candidate(&answer.name()?, self.context).await?;
        let password = self.accounts.readable_password(&candidate).await?;
        let mut proof = None;
        let right = hash::secret_matches(password.as_ref(), |password| {
            proof = answer.check(password);
            proof.is_some()
        });
        let mut proof = proof.map(String::into_bytes);
        let (candidate, right) = match right {
            true => (candidate, true),
            false => {
                let outside = Proof::DigestMd5 { answer: message };
                let asked = self.accounts.check_outside(candidate, outside, self.context);
                let (candidate, checked) = asked.await?;
                let right = matches!(checked, Checked::Right(_));
                if let Checked::Right(data) = checked {
                    proof = data;
                }
                (candidate, right)
            }
        };
        let other = answer.authorize_as()?;
        let admitted =
            self.accounts.admit(candidate, self.context, right, other.as_deref(), METHOD);
        self.state = State::Proved(admitted.await?);
        Ok(SaslStep::Challenge(proof.unwrap_or_default()))
    }

    async fn scram_first(
        &mut self,
        hash: ScramHash,
        message: &[u8],
    ) -> Result<SaslStep, LoginError> {
        let first = ClientFirst::read(message)?;
        let candidate = self.accounts.candidate(&first.name, self.context).await?;
        let keys = match hash {
            ScramHash::Sha256 => {
                self.accounts.scram_keys_of(&candidate, self.context).await?.into()
            }
            ScramHash::Sha1 => self.accounts.scram_sha1_keys_of(&candidate, self.context).await?,
        };
        let authorize_as = first.authorize_as.clone();
        let challenge = Box::new(first.challenge(keys, &nonce()?));
        let text = challenge.text().as_bytes().to_vec();
        self.state = State::ScramProof { challenge, candidate: Box::new(candidate), authorize_as };
        Ok(SaslStep::Challenge(text))
    }
}

/// Fresh random text.
fn nonce() -> Result<String, LoginError> {
    let mut nonce = [0_u8; 18];
    rand::fill(&mut nonce).map_err(|_| LoginError::Unavailable)?;
    Ok(STANDARD.encode(nonce))
}

fn read_plain(message: &[u8]) -> Result<(&str, &str, Secret), LoginError> {
    const MALFORMED: LoginError = LoginError::Protocol("malformed PLAIN message");
    let mut parts = message.split(|b| *b == 0);
    let (Some(authzid), Some(name), Some(password), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(MALFORMED);
    };
    let authzid = std::str::from_utf8(authzid).map_err(|_| MALFORMED)?;
    let name = std::str::from_utf8(name).map_err(|_| MALFORMED)?;
    if name.is_empty() {
        return Err(MALFORMED);
    }
    Ok((authzid, name, Secret::new(password)))
}

impl Accounts {
    /// Starts an exchange by the mechanism's name (case does not count).
    ///
    /// # Errors
    /// [`LoginError::UnknownMechanism`].
    pub fn sasl_start(
        self: &Arc<Self>,
        mechanism: &str,
        context: LoginContext,
    ) -> Result<SaslExchange, LoginError> {
        let state = match mechanism.to_ascii_uppercase().as_str() {
            "PLAIN" => State::Plain,
            "LOGIN" => State::LoginName,
            "SCRAM-SHA-256" => State::Scram(ScramHash::Sha256),
            "SCRAM-SHA-1" => State::Scram(ScramHash::Sha1),
            "CRAM-MD5" => State::CramMd5(None),
            "DIGEST-MD5" => State::DigestMd5(None),
            _ => return Err(LoginError::UnknownMechanism),
        };
        Ok(SaslExchange { accounts: Arc::clone(self), context, state })
    }

    /// The keys a SCRAM exchange is held with. A name that does not exist, or an account whose
    /// password has no keys, gets decoys: always the same for the same name, never matching.
    async fn scram_keys_of(
        &self,
        candidate: &Candidate,
        context: LoginContext,
    ) -> Result<ScramKeys, LoginError> {
        let stored = candidate.found.as_ref().and_then(|found| {
            let enabled = found.settings.get("UseAppPassword").and_then(spelling::boolean);
            let stored = found.record.settings.get("Password").and_then(Value::as_str);
            stored.filter(|_| enabled.unwrap_or(false))
        });
        if let Some(
            StoredPassword::Argon2 { scram: Some(keys), .. } | StoredPassword::Scram(keys),
        ) = stored.map(password::recognise)
        {
            return Ok(keys);
        }
        let (rounds, salt, [decoy_stored, decoy_server]) = self.decoys(candidate).await?;
        let kept = self.scram_password(candidate, context).await?;
        if let Some(clear) = kept.as_ref().and_then(hash::prepare) {
            let keys = self.gate.slow(move |_| hash::scram_keys(&clear, &salt, rounds)).await?;
            return keys.ok_or(LoginError::Unavailable);
        }
        Ok(ScramKeys { rounds, salt, stored_key: decoy_stored, server_key: decoy_server })
    }

    /// As [`Accounts::scram_keys_of`] with SHA-1, whose keys are nowhere stored: only for readable
    /// passwords.
    async fn scram_sha1_keys_of(
        &self,
        candidate: &Candidate,
        context: LoginContext,
    ) -> Result<Keys, LoginError> {
        let (rounds, salt, decoys) = self.decoys(candidate).await?;
        let kept = self.scram_password(candidate, context).await?;
        let mut keys = decoys.map(|decoy| decoy[..20].to_vec());
        if let Some(clear) = kept.as_ref().and_then(hash::prepare) {
            let salt = salt.clone();
            let made = self.gate.slow(move |_| hash::scram_sha1_keys(&clear, &salt, rounds));
            keys = made.await?.ok_or(LoginError::Unavailable)?;
        }
        let [stored_key, server_key] = keys;
        Ok(Keys { hash: ScramHash::Sha1, rounds, salt, stored_key, server_key })
    }

    /// Rounds, salt and two keys for a name: always the same for the same name, and nobody knows a
    /// text whose hash they are.
    async fn decoys(
        &self,
        candidate: &Candidate,
    ) -> Result<(u32, Vec<u8>, [[u8; 32]; 2]), LoginError> {
        let secret = self.login_secret().await?;
        let derive = |what: &str| {
            let mut context = hmac::Context::with_key(&secret);
            context.update(what.as_bytes());
            context.update(candidate.key.as_bytes());
            context.sign()
        };
        let rounds = self.gate.hashing.scram_rounds;
        let salt: Vec<u8> = derive("salt\0").as_ref().iter().take(16).copied().collect();
        let mut keys = [[0; 32]; 2];
        for (key, what) in keys.iter_mut().zip(["stored\0", "server\0"]) {
            key.copy_from_slice(derive(what).as_ref());
        }
        Ok((rounds, salt, keys))
    }

    /// A key of this server for one purpose, the same as long as its store lives.
    ///
    /// # Errors
    /// *Later*: the store is not available.
    pub async fn key_for(&self, purpose: &str) -> Result<Vec<u8>, LoginError> {
        let secret = self.login_secret().await?;
        Ok(hmac::sign(&secret, format!("purpose\0{purpose}").as_bytes()).as_ref().to_vec())
    }

    /// The server's secret that decoys and the keys of URLs derive from: made once and kept, so
    /// that neither changes when the server is started again.
    pub(crate) async fn login_secret(&self) -> Result<hmac::Key, LoginError> {
        Ok(hmac::Key::new(hmac::HMAC_SHA256, &self.kept_secret("Decoys").await?))
    }

    /// The key of passwords that are kept readable.
    pub(crate) async fn sealing_key(&self) -> Result<SealingKey, LoginError> {
        SealingKey::new(&self.kept_secret("Sealing").await?).ok_or(LoginError::Unavailable)
    }

    /// A secret of the server by its name, made the first time it is asked for.
    async fn kept_secret(&self, name: &str) -> Result<Vec<u8>, LoginError> {
        let stored = self.read_module(SECRETS_MODULE).await?;
        if let Some(Value::Data(bytes)) = stored.get(name) {
            return Ok(bytes.clone());
        }
        let mut fresh = [0_u8; SealingKey::LENGTH];
        rand::fill(&mut fresh).map_err(|_| LoginError::Unavailable)?;
        let key = SettingsKey::Module(SECRETS_MODULE.to_owned());
        for _ in 0..SECRET_TRIES {
            let Versioned { mut value, version } = self.store.directory.settings(&key).await?;
            if let Some(Value::Data(bytes)) = value.get(name) {
                return Ok(bytes.clone());
            }
            value.insert(name.to_owned(), Value::Data(fresh.to_vec()));
            // Whoever is first wins; the others read what he wrote.
            let _ = self.store.directory.set_settings(&key, value, Some(version)).await;
        }
        Err(LoginError::Unavailable)
    }
}
