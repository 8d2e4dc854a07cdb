//! Logging in to a POP server: APOP, USER and PASS, or SASL by any method, tokens and master users
//! among them. What is chosen in which order is decided in `crate::login`.

use angarium_pop::client::{Command, Event, Refusal};
use md5::Digest as _;

use super::source::{Source, later, lost};
use crate::channel::Channel;
use crate::endpoint::Endpoint;
use crate::error::{MoveError, Result, Side};
use crate::login::Credentials;
use crate::login::exchange::{Exchange, MAX_CHALLENGES, Proof};
use crate::login::master::{self, Way};
use crate::login::method::{self, Method, Offer};
use crate::login::nonce::nonce;
use crate::login::verdict::{self, Verdict};
use crate::product::{self, Product};

const SIDE: Side = Side::Source;
/// Most logins tried on one connection.
const MOST_TRIES: usize = 4;

/// What is known of the server when a login begins.
pub(super) struct Before<'a> {
    pub(super) endpoint: &'a Endpoint,
    pub(super) channel: Channel,
    /// The text of the greeting.
    pub(super) greeting: String,
    /// The time stamp in it, which APOP needs.
    pub(super) timestamp: Option<String>,
}

fn refused(login: &Credentials, reason: String) -> MoveError {
    MoveError::Login { side: SIDE, name: login.name.clone(), reason }
}

impl Source {
    /// Logs in.
    ///
    /// # Errors
    /// `Login` (never with these credentials) or `Lost` (later).
    pub(super) async fn log_in(&mut self, login: &Credentials, before: &Before<'_>) -> Result<()> {
        if self.by_apop(login, before).await? {
            return Ok(());
        }
        let told = self.able.implementation.as_deref().unwrap_or(&before.greeting);
        let product = match product::recognise(told, &[], &[]) {
            Product::Unknown => product::recognise(&before.greeting, &[], &[]),
            known => known,
        };
        let master = login.wishes.master.as_ref();
        let mut last = None;
        for way in master::ways(&login.name, master, None, product) {
            match self.by_way(login, before, &way).await {
                Err(MoveError::Login { side, name, reason }) => {
                    last = Some(MoveError::Login { side, name, reason });
                }
                // It hung up after saying no: what it said counts.
                Err(MoveError::Lost { .. }) if last.is_some() => break,
                other => return other,
            }
        }
        Err(last.unwrap_or_else(|| refused(login, "no way to log in".into())))
    }

    /// APOP where the password would else cross the network in clear; false where it is not used.
    async fn by_apop(&mut self, login: &Credentials, before: &Before<'_>) -> Result<bool> {
        let wishes = &login.wishes;
        let own = wishes.method.is_none() && wishes.token.is_none() && wishes.master.is_none();
        let Some(stamp) = before.timestamp.as_ref().filter(|_| own && !before.channel.encrypted)
        else {
            return Ok(false);
        };
        let digest = digest(&format!("{stamp}{}", login.password));
        match self.ask(&Command::Apop { name: login.name.clone(), digest }).await? {
            Event::Done { .. } => Ok(true),
            Event::Refused { refusal, .. } if refusal.is_temporary() => Err(later(&refusal)),
            // A server that keeps no clear passwords cannot do APOP for anybody.
            _ => Ok(false),
        }
    }

    async fn by_way(&mut self, login: &Credentials, before: &Before<'_>, way: &Way) -> Result<()> {
        let source = login.wishes.token.as_ref();
        let mechanisms: Vec<&str> = self.able.sasl.iter().map(String::as_str).collect();
        let offer = Offer {
            mechanisms: &mechanisms,
            login_disabled: self.able.told && !self.able.user && !mechanisms.is_empty(),
            initial_response: false,
            protected: before.channel.encrypted || before.endpoint.is_private_way(),
            binds: before.channel.binds(),
            token: source.is_some(),
            acts_for: way.acts_for.is_some(),
            plain_words: login.password.bytes().all(|b| b.is_ascii_graphic()),
        };
        let methods =
            method::order(&offer, login.wishes.method).map_err(|why| refused(login, why))?;
        let offers_bound = mechanisms.iter().any(|m| m.ends_with("-PLUS"));
        let mut secret = match source {
            Some(source) => source.fetch(&login.name).await.map_err(|why| refused(login, why))?,
            None => login.password.clone(),
        };
        let mut why = String::new();
        let mut renewed = false;
        let mut rest = methods.into_iter().take(MOST_TRIES).peekable();
        while let Some(&method) = rest.peek() {
            let tried = self.by_method(before, way, method, &secret, offers_bound).await?;
            let Err(refusal) = tried else { return Ok(()) };
            if refusal.is_temporary() {
                return Err(later(&refusal));
            }
            let text = refusal.to_string();
            let text = if secret.len() < 4 { text } else { text.replace(&secret, "***") };
            let verdict = verdict::judge(angarium_imap::client::Status::No, None, &text, method);
            why = format!("{text} (by {method})");
            let again = source.filter(|s| s.can_be_renewed() && !renewed);
            match (verdict, again) {
                (Verdict::NextMethod, _) => {}
                (Verdict::Wrong, Some(source)) => {
                    renewed = true;
                    let fresh = source.fetch(&login.name).await;
                    let fresh = fresh.map_err(|why| refused(login, why))?;
                    if fresh == secret {
                        break;
                    }
                    secret = fresh;
                    continue;
                }
                _ => break,
            }
            rest.next();
        }
        let advice = verdict::advice(&why, SIDE.number());
        Err(refused(login, if advice.is_empty() { why } else { format!("{why}; {advice}") }))
    }

    async fn by_method(
        &mut self,
        before: &Before<'_>,
        way: &Way,
        method: Method,
        secret: &str,
        offers_bound: bool,
    ) -> Result<std::result::Result<(), Refusal>> {
        let nonce = nonce().ok_or_else(|| lost("the system gives no random bytes"))?;
        let proof = Proof {
            name: &way.name,
            acts_for: way.acts_for.as_deref(),
            secret,
            server: (&before.endpoint.host, before.endpoint.port),
        };
        let binding = before.channel.binding(method.is_bound(), offers_bound);
        let made = Exchange::new(method, proof, binding, nonce);
        let Some(mut exchange) = made else {
            let answer = match self.ask(&Command::User(way.name.clone())).await? {
                Event::Done { .. } => self.ask(&Command::Pass(secret.to_owned())).await?,
                other => other,
            };
            return ended(answer);
        };
        // The first words are sent when they are asked for: a command line of POP has 255 octets.
        let begin = Command::Auth { mechanism: method.name().into(), initial: None };
        let mut answer = self.ask(&begin).await?;
        for _ in 0..2 * MAX_CHALLENGES {
            let Event::Challenge(challenge) = &answer else {
                if let (Event::Done { .. }, Err(_)) = (&answer, exchange.may_end()) {
                    return Err(lost("it cannot prove that it knows the password itself"));
                }
                return ended(answer);
            };
            match exchange.respond(challenge) {
                Ok(reply) => answer = self.ask(&Command::AuthReply(reply)).await?,
                Err(_) => {
                    self.machine.cancel_auth();
                    self.flush().await?;
                    answer = self.event().await?;
                }
            }
        }
        Err(lost("its login exchange has no end"))
    }
}

/// The digest of APOP (RFC 1939 section 7).
fn digest(text: &str) -> String {
    md5::Md5::digest(text.as_bytes()).iter().map(|b| format!("{b:02x}")).collect()
}

fn ended(answer: Event) -> Result<std::result::Result<(), Refusal>> {
    match answer {
        Event::Done { .. } => Ok(Ok(())),
        Event::Refused { refusal, .. } => Ok(Err(refusal)),
        _ => Err(lost("the login is not answered as it should be")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc1939_the_digest_of_apop_is_that_of_the_rfc() {
        let text = "<1896.697170952@dbc.mtview.ca.us>tanstaaf";
        assert_eq!(digest(text), "c4c9334bac560ecc979e58001b3e22fb");
    }
}
