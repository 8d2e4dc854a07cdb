//! Whether a client's name is its own: looked up while the client goes on talking.
//!
//! It must never know what follows from it.

use std::net::IpAddr;
use std::time::Duration;

use tokio::task::JoinHandle;

use crate::dns::Dns;

/// How long a look-up may take altogether.
const LIMIT: Duration = Duration::from_secs(5);

/// How long a message waits for it. Who has an answering DNS has the answer long before.
const PATIENCE: Duration = Duration::from_millis(500);

/// A look-up under way or done; ended with the connection.
pub(super) struct NameCheck {
    running: Option<JoinHandle<bool>>,
    dns: Dns,
    verified: bool,
}

impl NameCheck {
    /// Looks up whether this name has this address.
    pub(super) fn start(dns: Dns, name: &str, peer: IpAddr) -> Option<Self> {
        if !name.contains('.') || name.starts_with('[') || name.parse::<IpAddr>().is_ok() {
            return None;
        }
        let (name, asked) = (name.to_owned(), dns.clone());
        let look = async move {
            let found = tokio::time::timeout(LIMIT, asked.addresses(&name)).await;
            let peer = peer.to_canonical();
            found.is_ok_and(|found| {
                found.is_ok_and(|found| found.records.iter().any(|ip| ip.to_canonical() == peer))
            })
        };
        Some(Self { running: Some(tokio::spawn(look)), dns, verified: false })
    }

    /// The answer; no, if it does not come soon. Where no name server answers, only the first
    /// messages wait to learn that.
    pub(super) async fn verified(&mut self) -> bool {
        if let Some(running) = &mut self.running {
            let patience = if self.dns.is_silent() { Duration::ZERO } else { PATIENCE };
            let found = tokio::time::timeout(patience, &mut *running).await;
            if found.is_ok() || !patience.is_zero() {
                self.dns.note_wait(found.is_ok());
            }
            self.verified = matches!(found, Ok(Ok(true)));
            running.abort();
            self.running = None;
        }
        self.verified
    }
}

impl Drop for NameCheck {
    fn drop(&mut self) {
        if let Some(running) = &self.running {
            running.abort();
        }
    }
}
