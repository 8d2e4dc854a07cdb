//! Looking through an IMAP door.

use angarium_imap::client::Untagged;

use super::findings::{Account, Door, Login, TlsFacts};
use super::{PATIENCE, bare, printable};
use crate::connection::Connection;
use crate::endpoint::{Endpoint, TlsPolicy};
use crate::error::{MoveError, Result, Side};
use crate::login::Credentials;
use crate::login::attempt::LoggedIn;
use crate::opening::Opening;
use crate::session::Session;
use crate::trust::{self, Seen, Trust};

/// Most mailboxes whose messages are counted.
const MOST_COUNTED: usize = 300;

/// Looks, and logs in if that is asked for and safe.
///
/// # Errors
/// What ended the look; what was seen before stands in `door`.
pub(super) async fn look(
    endpoint: &Endpoint,
    credentials: Option<&Credentials>,
    door: &mut Door,
) -> Result<()> {
    let mut opening = opened(endpoint, door).await?;
    door.open = true;
    if door.tls.is_none() && endpoint.tls != TlsPolicy::Never && opening.has("STARTTLS") {
        opening.ask_tls().await?;
        let (connection, facts) = with_tls(opening.connection, endpoint, true).await?;
        opening.connection = connection;
        door.tls = Some(facts);
        opening.after_tls().await?;
    }
    door.before = printable(&opening.capabilities);
    let preauthenticated = opening.preauthenticated;
    let mut session = Session::on(opening, Side::Source, PATIENCE);
    if session.has("ID") {
        session.ask_identity().await?;
    }
    door.id.clone_from(&session.identity.id);
    door.product = session.identity.product;
    if let Some(credentials) = credentials {
        door.login =
            Some(log_in(&mut session, endpoint, credentials, door, preauthenticated).await?);
        if door.login.as_ref().is_some_and(|l| l.accepted) {
            if session.has("ID") {
                session.ask_identity().await?;
            }
            door.id.clone_from(&session.identity.id);
            door.product = session.identity.product;
            door.after = printable(session.capabilities());
            door.account = Some(account(&mut session).await?);
        }
    }
    session.log_out().await;
    Ok(())
}

async fn opened(endpoint: &Endpoint, door: &mut Door) -> Result<Opening> {
    let known = matches!(endpoint.port, 143 | 993);
    let mut implicit = endpoint.is_implicit();
    loop {
        let connection = Connection::open(Side::Source, &bare(endpoint), PATIENCE).await?;
        let connection = if implicit {
            let (connection, facts) = with_tls(connection, endpoint, false).await?;
            door.tls = Some(facts);
            connection
        } else {
            connection
        };
        match Opening::over(connection, Side::Source, endpoint, PATIENCE).await {
            Ok(opening) => {
                door.greeting.clone_from(&opening.greeting);
                return Ok(opening);
            }
            // A door without a usual number that says nothing may wait for TLS.
            Err(MoveError::Lost { .. }) if !known && !implicit && endpoint.tunnel.is_none() => {
                implicit = true;
            }
            Err(other) => return Err(other),
        }
    }
}

/// TLS with a look at it; goes on with a certificate that is not believed.
pub(super) async fn with_tls(
    connection: Connection,
    endpoint: &Endpoint,
    upgraded: bool,
) -> Result<(Connection, TlsFacts)> {
    let (config, seen) = trust::observing(&endpoint.trust).map_err(|reason| {
        MoveError::Connect { side: Side::Source, address: endpoint.to_string(), reason }
    })?;
    let connection = connection.into_tls_with(config, Side::Source, endpoint, PATIENCE).await?;
    let facts = facts(&connection, &seen, upgraded);
    Ok((connection, facts))
}

fn facts(connection: &Connection, seen: &Seen, upgraded: bool) -> TlsFacts {
    let mut facts = TlsFacts { upgraded, ..TlsFacts::default() };
    if let Some(session) = connection.tls_session() {
        facts.version = session.protocol_version().map(|v| format!("{v:?}")).unwrap_or_default();
        facts.cipher = session
            .negotiated_cipher_suite()
            .map(|c| format!("{:?}", c.suite()))
            .unwrap_or_default();
    }
    let seen = seen.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if let Some((certificate, doubt)) = &*seen {
        facts.certificate = crate::channel::facts(certificate);
        facts.doubt.clone_from(doubt);
    }
    facts
}

async fn log_in(
    session: &mut Session,
    endpoint: &Endpoint,
    credentials: &Credentials,
    door: &Door,
    preauthenticated: bool,
) -> Result<Login> {
    let no = |reason: String| Login { reason: Some(reason), ..Login::default() };
    if preauthenticated {
        return Ok(Login { accepted: true, ..Login::default() });
    }
    let doubt = door.tls.as_ref().and_then(|tls| tls.doubt.as_ref());
    if doubt.is_some() && !endpoint.is_loopback() && !matches!(endpoint.trust, Trust::Any) {
        return Ok(no("not tried: the certificate is not believed (see --pin1, --ca1)".into()));
    }
    let open = door.tls.is_none() && endpoint.tls != TlsPolicy::Never;
    if open && !endpoint.is_private_way() {
        return Ok(no("not tried: there is no TLS (--notls1 does it all the same)".into()));
    }
    match session.log_in(endpoint, credentials).await {
        Ok(LoggedIn::Yes) => {
            let method = session.identity.method.map(|m| m.name().to_owned());
            Ok(Login { accepted: true, method, reason: None })
        }
        Ok(LoggedIn::HungUp) => Ok(no("it hangs up on methods it announces; try --auth1".into())),
        Err(MoveError::Login { reason, .. } | MoveError::Connect { reason, .. }) => Ok(no(reason)),
        Err(other) => Err(other),
    }
}

async fn account(session: &mut Session) -> Result<Account> {
    let answer = session.command(b"LIST \"\" \"*\"").await?;
    let names: Vec<Vec<u8>> = answer
        .untagged
        .into_iter()
        .filter_map(|untagged| match untagged {
            Untagged::List(item) if !item.has("\\Noselect") && !item.has("\\NonExistent") => {
                Some(item.wire_name)
            }
            _ => None,
        })
        .collect();
    let mut account =
        Account { mailboxes: names.len() as u64, partly: names.len() > MOST_COUNTED, messages: 0 };
    for name in names.iter().take(MOST_COUNTED) {
        for (item, count) in session.status(name, "MESSAGES").await? {
            if item == "MESSAGES" {
                account.messages = account.messages.saturating_add(count);
            }
        }
    }
    Ok(account)
}
