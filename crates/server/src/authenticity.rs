//! Starts the checks of who sent a message, the signing of our own, and the reports to others.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use angarium_accounts::Accounts;
use angarium_transfer::Transfer;
use angarium_transfer::authenticity::Authenticity;
use angarium_transfer::authenticity::feedback::Feedback;
use angarium_transfer::dns::{Dns, DnsOptions};
use tokio::sync::watch;

use crate::base::BaseDirectory;

/// Starts all of it. What is answered collects for reports as long as it is kept.
pub(crate) fn start(
    accounts: &Arc<Accounts>,
    transfer: &Transfer,
    base: &BaseDirectory,
    stop: watch::Receiver<bool>,
) -> Option<Arc<Feedback>> {
    // Settings of the DNS reach whoever shares the sender's.
    let shared = transfer.sending().map(|sending| sending.dns().clone());
    let dns = match shared.map_or_else(dns, Ok) {
        Ok(dns) => dns,
        Err(error) => {
            tracing::error!(target: "SMTP", "nobody's authenticity is checked: {error}");
            return None;
        }
    };
    let submitter = transfer.submitter();
    let own = Authenticity::start(accounts.clone(), dns, submitter.inspectors());
    match Feedback::start(&own, base.feedback(), submitter.clone(), stop) {
        Ok(feedback) => Some(feedback),
        Err(error) => {
            let place = base.feedback();
            tracing::error!(target: "SMTP", "{}: {error}; no reports are made", place.display());
            None
        }
    }
}

/// The resolver of the system; where there is none, a name server on this machine.
fn dns() -> Result<Dns, String> {
    Dns::new(&DnsOptions::default()).or_else(|_| {
        let here = SocketAddr::from((Ipv4Addr::LOCALHOST, 53));
        Dns::new(&DnsOptions { servers: vec![here], ..DnsOptions::default() })
    })
}
