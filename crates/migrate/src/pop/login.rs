//! Which login at a POP server, for whom, and the exchange: tokens, APOP, CRAM-MD5, PLAIN, or name
//! and password.

use angarium_pop::client::{Capabilities, Command, Event, Refusal};
use md5::Digest as _;

use super::source::Source;
use crate::endpoint::Endpoint;
use crate::error::{MoveError, Result, Side};
use crate::login::attempt;
use crate::login::exchange::{Exchange, Proof};
use crate::login::scram::Binding;
use crate::login::{Credentials, MasterStyle, Method};

const SIDE: Side = Side::Source;

/// One way of logging in.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Way {
    /// AUTH by this method.
    Auth(Method),
    /// APOP with the greeting's timestamp.
    Apop(String),
    /// USER and PASS.
    Words,
}

/// What is known when the way is chosen.
pub(super) struct Facts<'a> {
    pub(super) able: &'a Capabilities,
    /// Timestamp of the greeting.
    pub(super) timestamp: Option<String>,
    /// Nobody on the way can read the password.
    pub(super) secure: bool,
    /// The greeting, which often names the product.
    pub(super) greeting: &'a str,
}

/// The ways to try, the best first. Each that fails counts as a failed login over there: never more
/// than two.
fn ways(who: &Credentials, facts: &Facts<'_>) -> Vec<Way> {
    let has = |method: Method| facts.able.sasl.iter().any(|m| m == method.name());
    if let Some(method) = who.wishes.method {
        return vec![if method == Method::Login { Way::Words } else { Way::Auth(method) }];
    }
    if who.wishes.token.is_some() {
        let bearer = has(Method::OAuthBearer) && !has(Method::XOAuth2);
        return vec![Way::Auth(if bearer { Method::OAuthBearer } else { Method::XOAuth2 })];
    }
    let words = facts.able.user || !facts.able.told || !has(Method::Plain);
    let last = if facts.secure && has(Method::Plain) || !words {
        Way::Auth(Method::Plain)
    } else {
        Way::Words
    };
    // A server that keeps no readable passwords cannot do these for anybody: then in clear.
    let hidden = match &facts.timestamp {
        _ if facts.secure || who.wishes.master.is_some() => None,
        _ if has(Method::CramMd5) => Some(Way::Auth(Method::CramMd5)),
        Some(timestamp) => Some(Way::Apop(timestamp.clone())),
        None => None,
    };
    hidden.into_iter().chain([last]).collect()
}

/// Login name, and for whom if for somebody else.
fn names(who: &Credentials, facts: &Facts<'_>) -> Result<(String, Option<String>)> {
    let Some(master) = &who.wishes.master else { return Ok((who.name.clone(), None)) };
    let dovecot = [facts.greeting, facts.able.implementation.as_deref().unwrap_or_default()]
        .iter()
        .any(|text| text.to_ascii_lowercase().contains("dovecot"));
    let style = match master.style {
        MasterStyle::Auto if dovecot => MasterStyle::Dovecot,
        MasterStyle::Auto => MasterStyle::Authzid,
        style => style,
    };
    match style {
        MasterStyle::Dovecot => Ok((format!("{}*{}", who.name, master.name), None)),
        MasterStyle::Authzid => Ok((master.name.clone(), Some(who.name.clone()))),
        other => Err(MoveError::Usage(format!(
            "POP knows no --masterStyle1 {}; write dovecot or authzid",
            other.word()
        ))),
    }
}

/// Logs in.
pub(super) async fn log_in(
    source: &mut Source,
    endpoint: &Endpoint,
    who: &Credentials,
    facts: &Facts<'_>,
) -> Result<()> {
    let (name, acts_for) = names(who, facts)?;
    let secret = match &who.wishes.token {
        Some(token) => token.fetch(&who.name).await.map_err(|reason| MoveError::Login {
            side: SIDE,
            name: who.name.clone(),
            reason,
        })?,
        None => who.password.clone(),
    };
    let mut ways = ways(who, facts);
    if acts_for.is_some() {
        // Only SASL can say for whom.
        ways.retain(|way| matches!(way, Way::Auth(_)));
        ways.is_empty().then(|| ways.push(Way::Auth(Method::Plain)));
    }
    let mut refused = None;
    for way in ways {
        let answer = match &way {
            Way::Auth(method) => {
                let proof = Proof {
                    name: &name,
                    acts_for: acts_for.as_deref(),
                    secret: &secret,
                    server: (&endpoint.host, endpoint.port),
                };
                exchange(source, *method, proof).await?
            }
            Way::Apop(timestamp) => {
                let digest = hex(&md5::Md5::digest(format!("{timestamp}{secret}").as_bytes()));
                source.ask(&Command::Apop { name: name.clone(), digest }).await?
            }
            Way::Words => match source.ask(&Command::User(name.clone())).await? {
                Event::Done { .. } => source.ask(&Command::Pass(secret.clone())).await?,
                other => other,
            },
        };
        match answer {
            Event::Done { .. } => return Ok(()),
            Event::Refused { refusal, .. } if refusal.is_temporary() => {
                return Err(later(&refusal));
            }
            Event::Refused { refusal, .. } => refused = Some(refusal),
            _ => return Err(lost("the login is not answered as it should be")),
        }
    }
    let reason = refused.map_or_else(|| "it takes no such login".into(), |r| r.to_string());
    Err(MoveError::Login { side: SIDE, name, reason })
}

async fn exchange(source: &mut Source, method: Method, proof: Proof<'_>) -> Result<Event> {
    let unable = || MoveError::Usage(format!("{} is not spoken with POP servers", method.name()));
    // Nothing here knows the TLS session a login could be bound to.
    let nonce = attempt::nonce().filter(|_| !method.is_bound()).ok_or_else(unable)?;
    let mut exchange = Exchange::new(method, proof, Binding::Unknown, nonce).ok_or_else(unable)?;
    // Long tokens do not fit into the command's line (RFC 5034 section 4).
    let initial = exchange.initial().filter(|words| words.len() < 180);
    let begun = initial.is_some();
    let mechanism = method.name().to_owned();
    let mut again = (!begun).then(|| exchange.initial()).flatten();
    let mut event = source.ask(&Command::Auth { mechanism, initial }).await?;
    while let Event::Challenge(challenge) = event {
        let words = match again.take() {
            Some(words) => words,
            None => {
                exchange.respond(&challenge).map_err(|_| lost("its challenge makes no sense"))?
            }
        };
        event = source.ask(&Command::AuthReply(words)).await?;
    }
    if matches!(event, Event::Done { .. }) && exchange.may_end().is_err() {
        return Err(lost("it cannot prove that it knows the password itself"));
    }
    Ok(event)
}

/// A login that may succeed in a moment: the lock of a session before, a server under load.
fn later(refusal: &Refusal) -> MoveError {
    lost(&format!("the login has to wait: {refusal}"))
}

fn lost(reason: &str) -> MoveError {
    MoveError::Lost { side: SIDE, reason: reason.to_owned() }
}

fn hex(octets: &[u8]) -> String {
    octets.iter().map(|b| format!("{b:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::login::{Master, Wishes};

    fn facts(able: &Capabilities, secure: bool, timestamp: bool) -> Facts<'_> {
        let timestamp = timestamp.then(|| "<1@a>".to_owned());
        Facts { able, timestamp, secure, greeting: "ready" }
    }

    #[test]
    fn rfc1939_the_digest_of_apop_is_that_of_the_rfc() {
        let text = "<1896.697170952@dbc.mtview.ca.us>tanstaaf";
        assert_eq!(hex(&md5::Md5::digest(text)), "c4c9334bac560ecc979e58001b3e22fb");
    }

    #[test]
    fn a_password_is_hidden_where_the_network_is_open_and_the_server_can() {
        let who = Credentials::new("joe", "x");
        let old = Capabilities::default();
        assert_eq!(ways(&who, &facts(&old, false, false)), [Way::Words]);
        assert_eq!(ways(&who, &facts(&old, false, true)), [Way::Apop("<1@a>".into()), Way::Words]);
        assert_eq!(ways(&who, &facts(&old, true, true)), [Way::Words]);
        let able = Capabilities {
            told: true,
            sasl: vec!["PLAIN".into(), "CRAM-MD5".into()],
            ..Capabilities::default()
        };
        assert_eq!(ways(&who, &facts(&able, true, true)), [Way::Auth(Method::Plain)]);
        assert_eq!(
            ways(&who, &facts(&able, false, true)),
            [Way::Auth(Method::CramMd5), Way::Auth(Method::Plain)]
        );
    }

    #[test]
    fn a_master_user_logs_in_as_the_product_wants_it() {
        let able = Capabilities::default();
        let mut who = Credentials::new("joe", "x");
        let master = Master { name: "adm".into(), style: MasterStyle::Auto };
        who.wishes = Wishes { master: Some(master), ..Wishes::default() };
        let open = facts(&able, true, false);
        assert_eq!(names(&who, &open).unwrap(), ("adm".into(), Some("joe".into())));
        let dovecot = Facts { greeting: "Dovecot ready.", ..facts(&able, true, false) };
        assert_eq!(names(&who, &dovecot).unwrap(), ("joe*adm".into(), None));
    }
}
