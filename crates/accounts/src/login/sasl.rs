//! SASL exchanges of the server side: PLAIN (RFC 4616), LOGIN, SCRAM-SHA-256 (RFC 7677). Bytes
//! in, bytes out; base64 and framing are the protocols'.

use std::sync::Arc;

use angarium_objects::password::{self, ScramKeys, StoredPassword};
use angarium_objects::spelling;
use angarium_objects::value::{Dictionary, Value};
use angarium_store::SettingsKey;
use aws_lc_rs::{hmac, rand};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::path::Candidate;
use super::scram::{Challenge, ClientFirst};
use super::{Login, LoginContext, LoginError, hash};
use crate::{Accounts, Actor, Secret};

/// The module name under which the secret for decoys is kept.
pub(crate) const SECRETS_MODULE: &str = "LoginSecrets";

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
    Scram,
    ScramProof {
        challenge: Box<Challenge>,
        candidate: Box<Candidate>,
        authorize_as: Option<String>,
    },
    ScramEnd(Arc<Actor>),
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
            State::Scram => match client {
                None => {
                    self.state = State::Scram;
                    Ok(SaslStep::Challenge(Vec::new()))
                }
                Some(message) => self.scram_first(message).await,
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
                        "SCRAM-SHA-256",
                    )
                    .await?;
                self.state = State::ScramEnd(actor);
                Ok(SaslStep::Challenge(verifier.unwrap_or_default().into_bytes()))
            }
            State::ScramEnd(actor) => match client {
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

    async fn scram_first(&mut self, message: &[u8]) -> Result<SaslStep, LoginError> {
        let first = ClientFirst::read(message)?;
        let mut nonce = [0_u8; 18];
        rand::fill(&mut nonce).map_err(|_| LoginError::Unavailable)?;
        let candidate = self.accounts.candidate(&first.name, self.context).await?;
        let keys = self.accounts.scram_keys_of(&candidate).await?;
        let authorize_as = first.authorize_as.clone();
        let challenge = Box::new(first.challenge(keys, &STANDARD.encode(nonce)));
        let text = challenge.text().as_bytes().to_vec();
        self.state = State::ScramProof { challenge, candidate: Box::new(candidate), authorize_as };
        Ok(SaslStep::Challenge(text))
    }
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
    /// The mechanisms to offer on a connection, strongest first. Those that send the password in
    /// clear are only offered under TLS, unless `clear_text_allowed` (see
    /// [`Accounts::clear_text_allowed`]).
    #[must_use]
    pub fn sasl_mechanisms(&self, tls: bool, clear_text_allowed: bool) -> &'static [&'static str] {
        if tls || clear_text_allowed {
            &["SCRAM-SHA-256", "PLAIN", "LOGIN"]
        } else {
            &["SCRAM-SHA-256"]
        }
    }

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
            "SCRAM-SHA-256" => State::Scram,
            _ => return Err(LoginError::UnknownMechanism),
        };
        Ok(SaslExchange { accounts: Arc::clone(self), context, state })
    }

    /// The keys a SCRAM exchange is held with. A name that does not exist, or an account whose
    /// password has no keys, gets decoys: always the same for the same name, never matching.
    async fn scram_keys_of(&self, candidate: &Candidate) -> Result<ScramKeys, LoginError> {
        let stored = candidate.found.as_ref().and_then(|found| {
            let enabled = found.settings.get("UseAppPassword").and_then(spelling::boolean);
            let stored = found.record.settings.get("Password").and_then(Value::as_str);
            stored.filter(|_| enabled.unwrap_or(false))
        });
        let clear = match stored.map(password::recognise) {
            Some(
                StoredPassword::Argon2 { scram: Some(keys), .. } | StoredPassword::Scram(keys),
            ) => {
                return Ok(keys);
            }
            Some(StoredPassword::Clear(clear)) => hash::prepare(&Secret::from(clear)),
            _ => None,
        };
        let secret = self.login_secret().await?;
        let derive = |what: &str| {
            let mut context = hmac::Context::with_key(&secret);
            context.update(what.as_bytes());
            context.update(candidate.key.as_bytes());
            context.sign()
        };
        let rounds = self.gate.hashing.scram_rounds;
        let salt: Vec<u8> = derive("salt\0").as_ref().iter().take(16).copied().collect();
        if let Some(clear) = clear {
            let keys = self.gate.slow(move |_| hash::scram_keys(&clear, &salt, rounds)).await?;
            return keys.ok_or(LoginError::Unavailable);
        }
        let mut decoy = ScramKeys { rounds, salt, stored_key: [0; 32], server_key: [0; 32] };
        // Nobody knows a text whose hash this is.
        decoy.stored_key.copy_from_slice(derive("stored\0").as_ref());
        decoy.server_key.copy_from_slice(derive("server\0").as_ref());
        Ok(decoy)
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
        let stored = self.read_module(SECRETS_MODULE).await?;
        if let Some(Value::Data(bytes)) = stored.get("Decoys") {
            return Ok(hmac::Key::new(hmac::HMAC_SHA256, bytes));
        }
        let mut bytes = [0_u8; 32];
        rand::fill(&mut bytes).map_err(|_| LoginError::Unavailable)?;
        let value = Dictionary::from([("Decoys".to_owned(), Value::Data(bytes.to_vec()))]);
        let key = SettingsKey::Module(SECRETS_MODULE.to_owned());
        // Whoever is first wins; the others read what he wrote.
        let _ = self.store.directory.set_settings(&key, value, Some(0)).await;
        match self.store.directory.settings(&key).await?.value.get("Decoys") {
            Some(Value::Data(bytes)) => Ok(hmac::Key::new(hmac::HMAC_SHA256, bytes)),
            _ => Err(LoginError::Unavailable),
        }
    }
}
