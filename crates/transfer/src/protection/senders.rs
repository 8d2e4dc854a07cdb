//! Senders that the DNS does not know (`reference/smtp.md` section 5.2): the name in HELO and the
//! domain of the return path. A DNS that does not answer refuses nobody: that is for those who
//! look at the message later, and an attacker who breaks the DNS gains nothing but being checked
//! there.

use std::time::Duration;

use angarium_accounts::Accounts;
use angarium_smtp::reply::{Reply, Status};

use crate::dns::{Dns, DnsError};

/// How long one question may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// MX hosts of a domain that are looked at.
const MAX_HOSTS: usize = 20;

async fn timely<T>(
    question: impl Future<Output = Result<T, DnsError>>,
) -> Option<Result<T, DnsError>> {
    match tokio::time::timeout(PATIENCE, question).await {
        Ok(Err(error)) if error.is_temporary() => None,
        Ok(answer) => Some(answer),
        Err(_) => None,
    }
}

/// The refusal if the name in HELO is no name of any host. A name without a point is not asked
/// for; its own answer told so. An address literal names itself.
pub(super) async fn hello(dns: &Dns, name: &str) -> Option<Reply> {
    if name.starts_with('[') || !name.contains('.') || name.parse::<std::net::IpAddr>().is_ok() {
        return None;
    }
    let unknown = matches!(timely(dns.addresses(name)).await, Some(Err(DnsError::None { .. })))
        && matches!(timely(dns.mx(name)).await, Some(Err(DnsError::None { .. })));
    let text = format!("your host name <{name}> is not known to the DNS");
    unknown.then(|| Reply::new(550, Status(5, 7, 25), text))
}

/// The refusal if no mail could go back to a domain: it has no MX and no address, says that it
/// takes no mail (RFC 7505), or its only MX is this server, which does not have it.
pub(super) async fn return_path(
    dns: &Dns,
    accounts: &Accounts,
    address: &str,
    domain: &str,
) -> Option<Reply> {
    let refuse = |status: Status, why: &str| {
        Some(Reply::new(550, status, format!("<{address}> sender refused: {why}")))
    };
    match timely(dns.mx(domain)).await? {
        Ok(found) if found.records.iter().all(|mx| mx.host.is_empty()) => {
            refuse(Status(5, 7, 27), "its domain takes no mail")
        }
        Ok(found) => {
            for mx in found.records.iter().filter(|mx| !mx.host.is_empty()).take(MAX_HOSTS) {
                // A host that cannot be found now may be another.
                let Ok(addresses) = timely(dns.addresses(&mx.host)).await? else { continue };
                if addresses.records.iter().any(|ip| !accounts.is_this_machine(*ip)) {
                    return None;
                }
            }
            refuse(Status(5, 1, 8), "its domain has no host that takes mail")
        }
        Err(_) => match timely(dns.addresses(domain)).await? {
            Ok(_) => None,
            Err(_) => refuse(Status(5, 1, 8), "its domain is not known to the DNS"),
        },
    }
}
