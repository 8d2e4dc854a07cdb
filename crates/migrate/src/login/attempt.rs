//! A login over a session: the ways and methods one after another until the server says yes, or
//! says no in a way that no other method changes.

use angarium_imap::client::{About, Untagged, write};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::exchange::{Exchange, MAX_CHALLENGES, Proof};
use super::master::{self, MasterStyle, Way};
use super::method::{self, Method, Offer};
use super::nonce::nonce;
use super::scram::Broken;
use super::verdict::{self, Verdict};
use super::{Credentials, TokenSource};
use crate::endpoint::Endpoint;
use crate::error::{MoveError, Result};
use crate::product;
use crate::session::{Answer, Heard, Session};

/// Most logins that are tried on one connection: each that fails counts against the account.
const MOST_TRIES: usize = 4;

/// How a login ended that did not fail for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LoggedIn {
    /// The session may be used.
    Yes,
    /// The server hung up after a method it does not have; on a new connection the next one is
    /// tried first.
    HungUp,
}

/// How one try ended.
enum Tried {
    Accepted,
    No(Verdict, String),
}

impl Session {
    /// Logs in.
    ///
    /// # Errors
    /// `Login` (never with these credentials), `Connect` (later), or `Lost`.
    pub(crate) async fn log_in(
        &mut self,
        endpoint: &Endpoint,
        credentials: &Credentials,
    ) -> Result<LoggedIn> {
        let master = credentials.wishes.master.as_ref();
        if master.is_some_and(|m| m.style == MasterStyle::Auto) && self.has("ID") {
            self.ask_identity().await?;
        }
        let product = self.identity.product;
        let proxy_auth = credentials.proxy_auth.as_deref();
        let ways = master::ways(&credentials.name, master, proxy_auth, product);
        let mut tries = 0;
        let mut refusal = None;
        for way in &ways {
            match self.try_way(endpoint, credentials, way, &mut tries).await {
                Ok(LoggedIn::HungUp) => return Ok(LoggedIn::HungUp),
                Ok(LoggedIn::Yes) => {
                    self.after_login(credentials, way).await?;
                    return Ok(LoggedIn::Yes);
                }
                Err(MoveError::Login { side, name, reason }) => {
                    refusal = Some(MoveError::Login { side, name, reason });
                }
                // It hung up on us after saying no: what it said counts.
                Err(MoveError::Lost { .. }) if refusal.is_some() => break,
                Err(other) => return Err(other),
            }
        }
        Err(refusal.unwrap_or_else(|| self.refused(credentials, "no way to log in".into())))
    }

    fn refused(&self, credentials: &Credentials, reason: String) -> MoveError {
        let name = match &credentials.wishes.master {
            Some(master) => format!("{} for {}", master.name, credentials.name),
            None => credentials.name.clone(),
        };
        MoveError::Login { side: self.side, name, reason }
    }

    async fn try_way(
        &mut self,
        endpoint: &Endpoint,
        credentials: &Credentials,
        way: &Way,
        tries: &mut usize,
    ) -> Result<LoggedIn> {
        let methods = self.methods(endpoint, credentials, way)?;
        let source = credentials.wishes.token.as_ref();
        let mut secret = match source {
            Some(source) => self.token(source, credentials).await?,
            None => credentials.password.clone(),
        };
        let mut why = String::new();
        let mut renewed = false;
        let mut all = methods.iter().copied().peekable();
        while let Some(&method) = all.peek() {
            if *tries >= MOST_TRIES {
                break;
            }
            *tries += 1;
            let (verdict, text) = match self.try_method(endpoint, way, method, &secret).await {
                Ok(Tried::Accepted) => {
                    if methods.first() != Some(&method) {
                        endpoint.learned.learn(method);
                    }
                    self.identity.method = Some(method);
                    return Ok(LoggedIn::Yes);
                }
                Ok(Tried::No(verdict, text)) => (verdict, text),
                Err(MoveError::Lost { .. }) if !why.is_empty() => {
                    endpoint.learned.learn(method);
                    return Ok(LoggedIn::HungUp);
                }
                Err(other) => return Err(other),
            };
            let words = cleaned(&text, &secret);
            why = format!("{words} (by {method})");
            match verdict {
                Verdict::NextMethod => {}
                Verdict::Wrong => {
                    let again = source.filter(|s| s.can_be_renewed() && !renewed);
                    let Some(source) = again else { break };
                    renewed = true;
                    let fresh = self.token(source, credentials).await?;
                    if fresh == secret {
                        break;
                    }
                    secret = fresh;
                    continue;
                }
                Verdict::MayNot => {
                    why = format!("{} may not act for {}: {words}", way.name, credentials.name);
                    break;
                }
                Verdict::WantsTls => {
                    let n = self.side.number();
                    why = format!("{words}; it wants TLS: leave --notls{n} away, or use port 993");
                    break;
                }
                Verdict::Later => {
                    return Err(MoveError::Connect {
                        side: self.side,
                        address: endpoint.to_string(),
                        reason: format!("it lets {} not in now: {words}", way.name),
                    });
                }
            }
            all.next();
        }
        let advice = verdict::advice(&why, self.side.number());
        if !advice.is_empty() {
            why = format!("{why}; {advice}");
        }
        Err(self.refused(credentials, why))
    }

    fn methods(
        &self,
        endpoint: &Endpoint,
        credentials: &Credentials,
        way: &Way,
    ) -> Result<Vec<Method>> {
        let mechanisms: Vec<&str> =
            self.capabilities().iter().filter_map(|c| c.strip_prefix("AUTH=")).collect();
        // LOGIN cannot carry every byte safely on every server; PLAIN can.
        let plain = |text: &str| text.bytes().all(|b| b.is_ascii_graphic());
        let wishes = &credentials.wishes;
        let offer = Offer {
            mechanisms: &mechanisms,
            login_disabled: self.has("LOGINDISABLED"),
            initial_response: self.has("SASL-IR"),
            protected: self.channel.encrypted || endpoint.is_private_way(),
            binds: self.channel.binds(),
            token: wishes.token.is_some(),
            acts_for: way.acts_for.is_some(),
            plain_words: plain(&way.name) && plain(&credentials.password),
        };
        let mut all = method::order(&offer, wishes.method)
            .map_err(|reason| self.refused(credentials, reason))?;
        if let Some(known) = endpoint.learned.method()
            && let Some(at) = all.iter().position(|m| *m == known)
        {
            all.remove(at);
            all.insert(0, known);
        }
        Ok(all)
    }

    async fn token(&mut self, source: &TokenSource, credentials: &Credentials) -> Result<String> {
        let fetched = source.fetch(&credentials.name).await;
        fetched.map_err(|reason| self.refused(credentials, reason))
    }

    async fn try_method(
        &mut self,
        endpoint: &Endpoint,
        way: &Way,
        method: Method,
        secret: &str,
    ) -> Result<Tried> {
        let nonce = nonce().ok_or_else(|| MoveError::Connect {
            side: self.side,
            address: endpoint.to_string(),
            reason: "the system gives no random bytes".into(),
        })?;
        let proof = Proof {
            name: &way.name,
            acts_for: way.acts_for.as_deref(),
            secret,
            server: (&endpoint.host, endpoint.port),
        };
        let offers_bound = self.capabilities().iter().any(|c| c.ends_with("-PLUS"));
        let binding = self.channel.binding(method.is_bound(), offers_bound);
        let (answer, broken, explained) = match Exchange::new(method, proof, binding, nonce) {
            None => {
                let mut line = b"LOGIN ".to_vec();
                let mut waits = Vec::new();
                waits.extend(write::string(&mut line, way.name.as_bytes(), false));
                line.push(b' ');
                waits.extend(write::string(&mut line, secret.as_bytes(), false));
                (self.with_literals(&line, &waits).await?, None, None)
            }
            Some(mut exchange) => {
                let (answer, broken) = self.authenticate(method, &mut exchange).await?;
                (answer, broken, exchange.explained)
            }
        };
        match broken {
            Some(Broken::Impostor) => {
                // Not a matter of another method: it would only be told the password.
                let why = "it cannot prove that it knows the password itself; it may not be the \
                           server it says it is";
                return Ok(Tried::No(Verdict::Wrong, why.into()));
            }
            Some(Broken::Malformed(what)) => {
                return Ok(Tried::No(Verdict::NextMethod, format!("it sends {what}")));
            }
            Some(Broken::Refused(word)) => return Ok(Tried::No(Verdict::NextMethod, word)),
            None => {}
        }
        if answer.is_ok() {
            self.take_capabilities(&answer);
            return Ok(Tried::Accepted);
        }
        let verdict = verdict::judge(answer.status, answer.code.as_ref(), &answer.text, method);
        let text = match explained {
            Some(more) => format!("{} {more}", answer.text),
            None => answer.text,
        };
        Ok(Tried::No(verdict, text))
    }

    /// AUTHENTICATE to its end: the answer, and what broke the exchange on our side.
    async fn authenticate(
        &mut self,
        method: Method,
        exchange: &mut Exchange,
    ) -> Result<(Answer, Option<Broken>)> {
        let tag = self.next_tag();
        let mut line = format!("{tag} AUTHENTICATE {}", method.name());
        if self.has("SASL-IR")
            && let Some(words) = exchange.initial()
        {
            line.push(' ');
            line.push_str(&STANDARD.encode(words));
        }
        line.push_str("\r\n");
        self.write.write(line.as_bytes()).await?;
        self.write.flush().await?;
        let mut broken = None;
        for _ in 0..2 * MAX_CHALLENGES {
            let challenge = match self.hear(&tag).await? {
                Heard::Answer(answer) => {
                    if answer.is_ok() && broken.is_none() {
                        broken = exchange.may_end().err();
                    }
                    return Ok((answer, broken));
                }
                Heard::Continuation(text) => text,
            };
            // Some servers write words for people where an empty challenge is meant.
            let challenge = STANDARD.decode(challenge.trim()).unwrap_or_default();
            let reply = match exchange.respond(&challenge) {
                Ok(reply) if broken.is_none() => STANDARD.encode(reply),
                Ok(_) => "*".to_owned(),
                Err(why) => {
                    broken.get_or_insert(why);
                    "*".to_owned()
                }
            };
            self.write.write(format!("{reply}\r\n").as_bytes()).await?;
            self.write.flush().await?;
        }
        let reason = "its login exchange has no end".into();
        Err(MoveError::Lost { side: self.side, reason })
    }

    /// PROXYAUTH, and what the server can now that somebody is logged in.
    async fn after_login(&mut self, credentials: &Credentials, way: &Way) -> Result<()> {
        if let Some(user) = &way.proxy_auth {
            let answer = self.with_names("PROXYAUTH", &[user.as_bytes()]).await?;
            if !answer.is_ok() {
                let reason =
                    format!("{} may not act for {user} by PROXYAUTH: {}", way.name, answer.text);
                return Err(self.refused(credentials, reason));
            }
            self.forget_capabilities();
        }
        if !self.knows_capabilities() {
            let answer = self.insist("CAPABILITY", b"CAPABILITY").await?;
            self.take_capabilities(&answer);
        }
        Ok(())
    }

    /// Tells the server who we are and hears who it is (RFC 2971).
    ///
    /// # Errors
    /// `Lost`.
    pub(crate) async fn ask_identity(&mut self) -> Result<()> {
        let line =
            format!("ID (\"name\" \"Angarium\" \"version\" \"{}\")", env!("CARGO_PKG_VERSION"));
        let answer = self.command(line.as_bytes()).await?;
        let told = answer.untagged.into_iter().find_map(|untagged| match untagged {
            Untagged::About(About::Id(pairs)) => Some(pairs),
            _ => None,
        });
        if let Some(pairs) = told {
            self.identity.id = pairs;
        }
        self.identity.product =
            product::recognise(&self.identity.greeting, &self.identity.id, self.capabilities());
        Ok(())
    }
}

/// A server's words without the secret, should it have repeated it.
fn cleaned(text: &str, secret: &str) -> String {
    if secret.len() < 4 { text.to_owned() } else { text.replace(secret, "***") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn abu_68_a_server_that_repeats_the_password_does_not_get_it_into_reports() {
        assert_eq!(
            cleaned("wrong password pa55word for joe", "pa55word"),
            "wrong password *** for joe"
        );
        assert_eq!(cleaned("no", "n"), "no");
    }
}
