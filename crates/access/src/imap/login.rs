//! LOGIN and AUTHENTICATE: who is it, by which mechanism, and what to say when it is nobody. It
//! must never know how a password is checked.

use angarium_accounts::{
    Accounts, Actor, Login, LoginContext, LoginError, SaslExchange, SaslStep, Secret, Service,
};
use angarium_imap::encode;
use angarium_imap::types::Tag;
use angarium_objects::spelling::Limit;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};

use super::ClearText;
use super::answer::{Answer, Halt, Note, Outcome};
use super::calls::Calls;
use super::capability::Enabled;
use super::session::{MAX_LOGIN_FAILURES, Session, User};

/// Most sessions of one account at a time when the setting `MaxSessionsPerAccount` of the module
/// `IMAP` says nothing.
pub(super) const MAX_SESSIONS: usize = 200;

/// A running SASL exchange.
pub(super) struct Exchange {
    tag: Tag,
    sasl: SaslExchange,
}

/// Characters of a user name in a referral that need no escape (RFC 5092, `achar`).
fn url_safe(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$'()*+,&=".contains(&byte)
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if url_safe(byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// The answer to a failed log-in.
fn refusal(error: &LoginError) -> Answer {
    match error {
        LoginError::Moved { user, host, port } => {
            let port = port.map(|port| format!(":{port}")).unwrap_or_default();
            let host: String = host.chars().filter(|c| !c.is_control() && *c != ' ').collect();
            let url = format!("IMAP://{};AUTH=*@{host}{port}/", escaped(user));
            Answer::no("account has been moved to a remote system").note(Note::Referral(url))
        }
        LoginError::ServiceDisabled | LoginError::MayNotImpersonate => {
            Answer::no(error.to_string()).word("AUTHORIZATIONFAILED")
        }
        LoginError::SecureMethodRequired => Answer::no(error.to_string()).word("PRIVACYREQUIRED"),
        LoginError::Unavailable | LoginError::TooMany => {
            Answer::no(error.to_string()).word("UNAVAILABLE")
        }
        LoginError::Protocol(_) => Answer::bad(error.to_string()),
        LoginError::UnknownMechanism | LoginError::MethodNotAllowed => {
            Answer::no(error.to_string()).word("CANNOT")
        }
        _ => Answer::no(error.to_string()).word("AUTHENTICATIONFAILED"),
    }
}

/// Most sessions of one account at a time.
async fn most_sessions(accounts: &Accounts) -> usize {
    let module = accounts.read_module("IMAP").await.ok();
    let set = module.as_deref().and_then(|all| all.get("MaxSessionsPerAccount"));
    match set.and_then(angarium_objects::spelling::count) {
        Some(Limit::Of(most)) => usize::try_from(most).unwrap_or(usize::MAX),
        Some(Limit::Unlimited) => usize::MAX,
        None => MAX_SESSIONS,
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Session<S> {
    fn login_context(&self) -> LoginContext {
        let info = self.connection.info();
        LoginContext {
            local_ip: Some(info.local.ip()),
            peer_ip: Some(info.peer.ip()),
            service: Service::Imap,
            // Where the administrator allows clear passwords on this port, it counts as protected.
            tls: self.connection.is_tls() || self.context.options.clear_text == ClearText::Always,
        }
    }

    pub(super) async fn log_in(&mut self, name: String, password: &[u8]) -> Outcome {
        if self.user.is_some() {
            return Err(Answer::bad("logged in already").into());
        }
        if !self.clear_text_allowed {
            return Err(Answer::no("passwords are taken on encrypted connections only")
                .word("PRIVACYREQUIRED")
                .into());
        }
        let context = self.login_context();
        let login = Login {
            name,
            password: Secret::new(password),
            local_ip: context.local_ip,
            peer_ip: context.peer_ip,
            service: context.service,
            tls: context.tls,
        };
        let accounts = Arc::clone(&self.context.accounts);
        match accounts.login(login).await {
            Ok(actor) => {
                self.admit(actor).await?;
                Ok(self.logged_in_answer())
            }
            Err(error) => Ok(self.failed(&error)),
        }
    }

    /// Lets somebody in who has proved who it is, unless the account has too many sessions
    /// (ABU-30), and tells what waits.
    async fn admit(&mut self, actor: Arc<Actor>) -> Result<(), Answer> {
        let accounts = Arc::clone(&self.context.accounts);
        let most = most_sessions(&accounts).await;
        let name = actor.full_name();
        if self.entry.sessions_of(&name) >= most {
            tracing::info!(account = %name, most, "too many sessions");
            return Err(Answer::no("too many sessions of this account").word("LIMIT"));
        }
        self.enter(&actor, &actor);
        self.look_at_keeping().await;
        self.tell_first_alerts().await;
        Ok(())
    }

    /// The session is `actor`'s from here on; `authenticated` really logged in.
    pub(super) fn enter(&mut self, actor: &Arc<Actor>, authenticated: &Arc<Actor>) {
        let name = actor.full_name();
        match &actor.authenticated_as {
            None => tracing::info!(account = %name, "logged in"),
            Some(by) => tracing::info!(account = %name, %by, "logged in for another"),
        }
        self.entry.account(&name);
        self.flow.set_authenticated(true);
        let mail = self.context.accounts.open_account(actor);
        self.calls.end = self.context.options.ender.as_ref().map(|e| e.enter(actor.account));
        self.calls.alerts = Some(self.context.accounts.watch_alerts(actor.account));
        self.user = Some(User { mail, authenticated: Arc::clone(authenticated), keeps_ids: false });
    }

    /// PROXYAUTH (`reference/imap.md` section 3): acts for another account, by the rights of the
    /// one who logged in. What is not allowed and what does not exist are one answer (ABU-32).
    pub(super) async fn proxy_auth(&mut self, name: &str) -> Outcome {
        let authenticated = Arc::clone(&self.user()?.authenticated);
        let accounts = Arc::clone(&self.context.accounts);
        match accounts.act_for(&authenticated, name, self.login_context()).await {
            Ok(actor) => {
                self.leave_mailbox();
                self.notifying = None;
                self.known_server = None;
                self.enter(&actor, &authenticated);
                self.look_at_keeping().await;
                Ok(Answer::ok("completed"))
            }
            Err(error) => Ok(self.failed(&error)),
        }
    }

    /// UNAUTHENTICATE (RFC 8437): as before log-in; TLS and compression stay.
    pub(super) fn unauthenticate(&mut self) -> Outcome {
        self.user()?;
        self.leave_mailbox();
        self.user = None;
        self.calls = Calls::default();
        self.enabled = Enabled::default();
        self.notifying = None;
        self.known_server = None;
        self.flow.set_authenticated(false);
        self.flow.set_utf8(false);
        self.entry.account("");
        self.stranger_since = tokio::time::Instant::now();
        tracing::info!("logged out, the connection stays");
        Ok(Answer::ok("completed"))
    }

    fn failed(&mut self, error: &LoginError) -> Answer {
        tracing::info!(%error, "log-in failed");
        self.login_failures += 1;
        if self.login_failures >= MAX_LOGIN_FAILURES {
            self.bye("too many failed log-ins");
        }
        refusal(error)
    }

    pub(super) async fn authenticate(
        &mut self,
        tag: &Tag,
        mechanism: &str,
        initial: Option<&[u8]>,
    ) -> Result<Option<Answer>, Halt> {
        if self.user.is_some() {
            return Err(Answer::bad("logged in already").into());
        }
        let accounts = Arc::clone(&self.context.accounts);
        if !self.mechanisms.contains(&mechanism) {
            return Err(Answer::no("this mechanism is not offered here").word("CANNOT").into());
        }
        let (context, channel) = (self.login_context(), self.connection.channel().cloned());
        let sasl = match accounts.sasl_start_on(mechanism, context, channel) {
            Ok(sasl) => sasl,
            Err(error) => return Ok(Some(self.failed(&error))),
        };
        self.exchange = Some(Box::new(Exchange { tag: tag.clone(), sasl }));
        self.sasl_answer(initial).await;
        Ok(None)
    }

    /// Goes on with the exchange.
    pub(super) async fn sasl_answer(&mut self, answer: Option<&[u8]>) {
        let Some(mut exchange) = self.exchange.take() else { return };
        match exchange.sasl.step(answer).await {
            SaslStep::Challenge(challenge) => {
                if challenge.is_empty() {
                    self.connection.out().extend_from_slice(b"+ \r\n");
                } else {
                    encode::sasl_challenge(self.connection.out(), &challenge);
                }
                self.flow.expect_sasl();
                self.exchange = Some(exchange);
            }
            SaslStep::Done(actor) => {
                let answer = match self.admit(actor).await {
                    Ok(()) => self.logged_in_answer(),
                    Err(answer) => answer,
                };
                self.entry.waiting(self.status());
                answer.write(self.connection.out(), &exchange.tag);
            }
            SaslStep::Fail(error) => {
                let answer = self.failed(&error);
                answer.write(self.connection.out(), &exchange.tag);
            }
        }
    }

    pub(super) fn sasl_end(&mut self, text: &'static str) {
        if let Some(exchange) = self.exchange.take() {
            Answer::bad(text).write(self.connection.out(), &exchange.tag);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_referral_has_exactly_the_form_of_the_guide() {
        let moved =
            LoginError::Moved { user: "John".into(), host: "othercompany.com".into(), port: None };
        let mut out = Vec::new();
        refusal(&moved).write(&mut out, &Tag::new(b"1234").unwrap());
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "1234 NO [REFERRAL IMAP://John;AUTH=*@othercompany.com/] \
             account has been moved to a remote system\r\n"
        );
    }
}
