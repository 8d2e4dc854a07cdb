//! What a route came to, in words a postmaster understands. It must never decide anything.

use crate::facts::{Outcome, RelayPermission};

/// The last step of a trace.
pub(crate) fn outcome(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Local { name, domain, mailbox, detail, .. } => {
            let mut text = format!("delivered to the account {name}@{domain}");
            if let Some(mailbox) = mailbox {
                text += &format!(", its mailbox {mailbox}");
            }
            if let Some(detail) = detail {
                text += &format!(", detail {detail}");
            }
            text
        }
        Outcome::Group { domain, name } => format!("opened as the group {name}@{domain}"),
        Outcome::List { domain, name } => format!("given to the mailing list {name}@{domain}"),
        Outcome::All { domain: Some(domain) } => {
            format!("sent to all accounts of the domain {domain}")
        }
        Outcome::All { domain: None } => "sent to all accounts of all domains".to_owned(),
        Outcome::Remote { host, address, relay } => {
            let port = host.port.map(|port| format!(":{port}")).unwrap_or_default();
            let how =
                if host.direct { "connecting straight to" } else { "by the mail exchangers of" };
            format!("sent as <{address}> {how} {}{port}; {}", host.name, permission(*relay))
        }
        Outcome::Discard => "accepted and dropped".to_owned(),
        Outcome::Spamtrap => "a spam trap: dropped, and the sending host is noted".to_owned(),
        Outcome::Bounce { address } => {
            format!("accepted, then reported as undeliverable: <{address}> is unknown")
        }
        Outcome::Rejected { reason } => format!("refused: {reason}"),
        Outcome::Unknown { name, domain } => {
            format!("refused: the domain {domain} has no name {name}")
        }
        Outcome::Wakeup { queue } => format!("releases what waits for {queue}, and is dropped"),
        Outcome::Pipe { command, relay } => {
            let who = match relay {
                RelayPermission::Granted => "",
                _ => "; refused for mail, because no record of the table named the program",
            };
            format!("given to the program: {command}{who}")
        }
    }
}

/// Who may use the route of another system.
fn permission(relay: RelayPermission) -> &'static str {
    match relay {
        RelayPermission::Granted => "everybody may use this route",
        RelayPermission::Nested => {
            "only clients of this server may, because the local part named a further system"
        }
        RelayPermission::NotGranted => "only clients of this server may use this route",
    }
}
