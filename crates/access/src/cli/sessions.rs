//! Commands on sessions (`reference/cli.md` section 14, monitor of `reference/imap.md`
//! section 9): a session is named by its log tag, such as `IMAP-00042`.

use angarium_accounts::{Actor, Dictionary, OperationError, Value};
use angarium_objects::rights::CAN_CREATE_WEB_USER_SESSIONS;
use angarium_transfer::send::OutgoingRow;

use super::arguments::Arguments;
use super::{Cli, Outcome, dictionary, strings};
use crate::sessions::SessionRow;

/// The name of a session, the same as its log tag.
fn id(row: &SessionRow) -> String {
    format!("{}-{:05}", row.service, row.session)
}

/// A session as a dictionary: `ID`, `Protocol`, `IPAddress`, `Account` (empty before log-in),
/// `Connected` and `Running` (seconds; `Running` only while something runs), `Status`.
#[must_use]
pub fn describe(row: &SessionRow) -> Dictionary {
    let mut all = Dictionary::from([
        ("ID".to_owned(), Value::from(id(row))),
        ("Protocol".to_owned(), Value::from(row.service)),
        ("IPAddress".to_owned(), Value::from(format!("[{}]", row.peer.ip()))),
        ("Account".to_owned(), Value::from(row.account.as_str())),
        ("Connected".to_owned(), Value::from(row.connected.elapsed().as_secs().to_string())),
        ("Status".to_owned(), Value::from(row.status)),
    ]);
    if let Some(since) = row.running {
        all.insert("Running".to_owned(), Value::from(since.elapsed().as_secs().to_string()));
    }
    all
}

/// A connection that mail goes out on, in the same form: `ID` as in its log tag, the queue as
/// `Queue`, the host as `Host`; it has no `Account`.
#[must_use]
pub fn describe_outgoing(row: &OutgoingRow) -> Dictionary {
    let mut all = Dictionary::from([
        ("ID".to_owned(), Value::from(format!("SMTP-{:06}", row.number))),
        ("Protocol".to_owned(), Value::from("SMTP")),
        ("IPAddress".to_owned(), Value::from(format!("[{}]", row.remote.ip()))),
        ("Account".to_owned(), Value::from("")),
        ("Queue".to_owned(), Value::from(row.queue.as_str())),
        ("Host".to_owned(), Value::from(row.host.as_str())),
        ("Connected".to_owned(), Value::from(row.connected.elapsed().as_secs().to_string())),
        ("Status".to_owned(), Value::from(row.status)),
    ]);
    if let Some(since) = row.running {
        all.insert("Running".to_owned(), Value::from(since.elapsed().as_secs().to_string()));
    }
    all
}

pub(super) async fn run(
    cli: &Cli,
    actor: &Actor,
    name: &str,
    arguments: &mut Arguments,
) -> Outcome {
    if name == "GETSESSION" {
        let wanted = arguments.text("the name of a session")?;
        let domain = arguments.option("DOMAIN")?;
        arguments.end()?;
        let found = cli.sessions.list().into_iter().find(|row| id(row) == wanted);
        let Some(row) = found else {
            return Err(OperationError::General("there is no such session".to_owned()));
        };
        match &domain {
            Some(domain) if row.account.ends_with(&format!("@{}", domain.to_ascii_lowercase())) => {
                cli.administered(actor, &row.account, CAN_CREATE_WEB_USER_SESSIONS, false).await?;
            }
            Some(_) => {
                return Err(OperationError::General("there is no such session".to_owned()));
            }
            None if actor.is_console() || cli.current_rights(actor).await?.all_domains() => {}
            None => return Err(OperationError::AccessDenied),
        }
        return dictionary(describe(&row));
    }
    let account = arguments.text("an account name")?;
    let (mut address, mut protocol) = (None, None);
    while !arguments.is_empty() {
        if let Some(text) = arguments.option("ADDRESS")? {
            address = Some(text.trim_matches(['[', ']']).to_owned());
        } else if let Some(text) = arguments.option("PROTOCOL")? {
            protocol = Some(text);
        } else {
            return Err(OperationError::Syntax("unexpected parameter".to_owned()));
        }
    }
    let record = cli.administered(actor, &account, CAN_CREATE_WEB_USER_SESSIONS, true).await?;
    let full = format!("{}@{}", record.name, record.domain);
    let rows = cli.sessions.list().into_iter().filter(|row| {
        row.account == full
            && protocol.as_ref().is_none_or(|p| p.eq_ignore_ascii_case(row.service))
            && address.as_ref().is_none_or(|a| row.peer.ip().to_string() == *a)
    });
    Ok(Some(strings(rows.map(|row| id(&row)).collect::<Vec<_>>())))
}
