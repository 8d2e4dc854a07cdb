//! SASL exchanges of the server side: PLAIN (RFC 4616), LOGIN, SCRAM (RFC 5802, RFC 7677) bound
//! to the TLS session or not, EXTERNAL (RFC 4422), OAUTHBEARER (RFC 7628), XOAUTH2, CRAM-MD5
//! (RFC 2195), DIGEST-MD5 (RFC 2831), NTLM. Bytes in, bytes out; base64 and framing are the
//! protocols'.

use std::sync::Arc;

use aws_lc_rs::rand;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::channel::Channel;
use super::outside::{Checked, Proof};
use super::path::Candidate;
use super::scram::{Binding, Challenge, ClientFirst, Keys, ScramHash};
use super::token::Form;
use super::{Login, LoginContext, LoginError, app_password, digest_md5, hash, md5_methods, ntlm};
use crate::{Accounts, Actor, Secret};

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
    Ntlm(Option<Box<ntlm::Challenge>>),
    External,
    Token(Form),
    /// The client has been told, and is to say that it heard.
    TokenRefused(LoginError),
    Scram {
        hash: ScramHash,
        /// Bound to the channel.
        plus: bool,
    },
    ScramProof {
        challenge: Box<Challenge>,
        candidate: Box<Candidate>,
        authorize_as: Option<String>,
        /// The tags of the application passwords beside the account's own.
        tags: Vec<String>,
    },
    /// The server has proved itself; the client agrees with an empty answer.
    Proved(Arc<Actor>),
    Over,
}

/// One running exchange. After `Done` or `Fail` it only fails.
pub struct SaslExchange {
    accounts: Arc<Accounts>,
    context: LoginContext,
    channel: Option<Arc<Channel>>,
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
            State::Ntlm(challenge) => self.ntlm(challenge, client).await,
            State::External => match client {
                None => {
                    self.state = State::External;
                    Ok(SaslStep::Challenge(Vec::new()))
                }
                Some(other) => {
                    let other = std::str::from_utf8(other).map_err(|_| LoginError::Denied)?;
                    let channel = self.channel.as_deref();
                    let done = self.accounts.login_external(other, self.context, channel).await;
                    done.map(SaslStep::Done)
                }
            },
            State::Token(form) => self.token(form, client).await,
            State::TokenRefused(error) => Err(error),
            State::Scram { hash, plus } => match client {
                None => {
                    self.state = State::Scram { hash, plus };
                    Ok(SaslStep::Challenge(Vec::new()))
                }
                Some(message) => self.scram_first(hash, plus, message).await,
            },
            State::ScramProof { challenge, mut candidate, authorize_as, tags } => {
                let message = client.ok_or(LoginError::Protocol("an answer is missing"))?;
                let proved = challenge.finish(message)?;
                let right = proved.is_some();
                if let Some(tag) =
                    proved.as_ref().and_then(|proved| proved.by).and_then(|by| tags.get(by))
                {
                    candidate.limited = true;
                    self.accounts.used_app_password(&candidate, tag).await;
                }
                let verifier = proved.map(|proved| proved.verifier);
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

    /// OAUTHBEARER and XOAUTH2: one message, and a second one only after a refusal.
    async fn token(&mut self, form: Form, client: Option<&[u8]>) -> Result<SaslStep, LoginError> {
        let Some(message) = client else {
            self.state = State::Token(form);
            return Ok(SaslStep::Challenge(Vec::new()));
        };
        let request = form.read(message)?;
        let done = self.accounts.login_token(&request, self.context, form.mechanism()).await;
        match done {
            Ok(actor) => Ok(SaslStep::Done(actor)),
            Err(error @ (LoginError::Denied | LoginError::UnknownAccount)) => {
                self.state = State::TokenRefused(error);
                Ok(SaslStep::Challenge(form.refusal().to_vec()))
            }
            Err(error) => Err(error),
        }
    }

    /// NTLM: the client speaks first and last.
    async fn ntlm(
        &mut self,
        challenge: Option<Box<ntlm::Challenge>>,
        client: Option<&[u8]>,
    ) -> Result<SaslStep, LoginError> {
        const METHOD: &str = "NTLM";
        let Some(message) = client else {
            self.state = State::Ntlm(challenge);
            return Ok(SaslStep::Challenge(Vec::new()));
        };
        let Some(challenge) = challenge else {
            let domain = self.accounts.main_domain().await?;
            let mut nonce = [0; 8];
            rand::fill(&mut nonce).map_err(|_| LoginError::Unavailable)?;
            let challenge = Box::new(ntlm::Challenge::new(message, nonce, &domain)?);
            let text = challenge.message();
            self.state = State::Ntlm(Some(challenge));
            return Ok(SaslStep::Challenge(text));
        };
        let answer = challenge.read(message)?;
        let candidate = self.accounts.candidate(&answer.name(), self.context).await?;
        let known = self.accounts.nt_hash_of(&candidate).await?;
        let right = answer.is_of(known.as_deref().unwrap_or(&[0; 16])) && known.is_some();
        let actor = self.accounts.admit(candidate, self.context, right, None, METHOD).await?;
        Ok(SaslStep::Done(actor))
    }

    /// What the client may bind its login to, by what it says in its first message.
    fn bindings(&self, plus: bool, binding: &Binding) -> Result<Vec<Vec<u8>>, LoginError> {
        let channel = self.channel.as_deref();
        match (binding, channel) {
            (Binding::By(name), Some(channel)) if plus => {
                let known = self.accounts.gate.certificates.bindings(name, channel);
                known.ok_or(LoginError::Protocol("this channel binding is not known"))
            }
            (Binding::By(_), _) => Err(LoginError::Protocol("no channel binding was offered")),
            // Somebody between us took the offer away (RFC 5802 section 6).
            (Binding::NotOffered, Some(channel)) if channel.binds() => {
                Err(LoginError::Protocol("channel binding was offered"))
            }
            _ if plus => Err(LoginError::Protocol("the login is not bound to the channel")),
            _ => Ok(Vec::new()),
        }
    }

    async fn scram_first(
        &mut self,
        hash: ScramHash,
        plus: bool,
        message: &[u8],
    ) -> Result<SaslStep, LoginError> {
        let first = ClientFirst::read(message)?;
        let bindings = self.bindings(plus, &first.binding)?;
        let candidate = self.accounts.candidate(&first.name, self.context).await?;
        let (mut keys, mut tags) = (None, Vec::new());
        if hash == ScramHash::Sha256 {
            let own = self.accounts.scram_keys_of(&candidate, self.context).await?;
            let others = app_password::scram_keys(&candidate, self.context, &own);
            keys = Some(Keys::from(own).beside(others.iter().map(|(_, keys)| keys)));
            tags = others.into_iter().map(|(tag, _)| tag).collect();
        }
        let keys = match keys {
            Some(keys) => keys,
            None => self.accounts.scram_sha1_keys_of(&candidate, self.context).await?,
        };
        let authorize_as = first.authorize_as.clone();
        let challenge = Box::new(first.challenge(keys, &nonce()?, &bindings));
        let text = challenge.text().as_bytes().to_vec();
        let candidate = Box::new(candidate);
        self.state = State::ScramProof { challenge, candidate, authorize_as, tags };
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
        self.sasl_start_on(mechanism, context, None)
    }

    /// As [`Accounts::sasl_start`] over a TLS session.
    ///
    /// # Errors
    /// [`LoginError::UnknownMechanism`].
    pub fn sasl_start_on(
        self: &Arc<Self>,
        mechanism: &str,
        context: LoginContext,
        channel: Option<Arc<Channel>>,
    ) -> Result<SaslExchange, LoginError> {
        let scram = |hash, plus| State::Scram { hash, plus };
        let state = match mechanism.to_ascii_uppercase().as_str() {
            "PLAIN" => State::Plain,
            "LOGIN" => State::LoginName,
            "SCRAM-SHA-256-PLUS" => scram(ScramHash::Sha256, true),
            "SCRAM-SHA-256" => scram(ScramHash::Sha256, false),
            "SCRAM-SHA-1-PLUS" => scram(ScramHash::Sha1, true),
            "SCRAM-SHA-1" => scram(ScramHash::Sha1, false),
            "EXTERNAL" => State::External,
            "OAUTHBEARER" => State::Token(Form::OAuthBearer),
            "XOAUTH2" => State::Token(Form::XOAuth2),
            "NTLM" => State::Ntlm(None),
            "CRAM-MD5" => State::CramMd5(None),
            "DIGEST-MD5" => State::DigestMd5(None),
            _ => return Err(LoginError::UnknownMechanism),
        };
        Ok(SaslExchange { accounts: Arc::clone(self), context, channel, state })
    }
}
