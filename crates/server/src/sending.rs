//! Makes the module that sends mail to other systems.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use angarium_accounts::Accounts;
use angarium_transfer::authenticity::feedback::{Feedback, TlsCounts};
use angarium_transfer::dns::{Dns, DnsOptions};
use angarium_transfer::{Sending, SendingOptions, Transfer};

use crate::base::BaseDirectory;

/// The module. Without it mail for other systems fails; that is said aloud.
pub(crate) fn make(accounts: &Arc<Accounts>, base: &BaseDirectory) -> Option<Arc<Sending>> {
    let options = SendingOptions { state: Some(base.sending()), ..SendingOptions::default() };
    let made = dns().and_then(|dns| Sending::new(Arc::clone(accounts), dns, &options));
    made.inspect_err(|error| {
        tracing::error!(target: "SMTP", "no mail is sent to other systems: {error}");
    })
    .ok()
}

/// Receivers look clients up where senders look up servers; what was counted of TLS is reported.
pub(crate) fn wire(transfer: &Transfer, feedback: Option<&Feedback>) {
    let Some(sending) = transfer.sending() else { return };
    transfer.receive_with_dns(sending.dns().clone());
    if let Some(feedback) = feedback {
        feedback.count_tls(Arc::clone(sending.tls_reports()) as Arc<dyn TlsCounts>);
    }
}

/// The resolver of the system, until settings say otherwise; where there is none, a name server on
/// this machine.
fn dns() -> Result<Dns, String> {
    Dns::new(&DnsOptions::default()).or_else(|_| {
        let here = SocketAddr::from((Ipv4Addr::LOCALHOST, 53));
        Dns::new(&DnsOptions { servers: vec![here], ..DnsOptions::default() })
    })
}
