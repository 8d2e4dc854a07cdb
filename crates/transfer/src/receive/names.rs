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
    verified: bool,
}

impl NameCheck {
    /// Looks up whether this name has this address.
    pub(super) fn start(dns: Dns, name: &str, peer: IpAddr) -> Option<Self> {
        if !name.contains('.') || name.starts_with('[') || name.parse::<IpAddr>().is_ok() {
            return None;
        }
        let name = name.to_owned();
        let look = async move {
            let found = tokio::time::timeout(LIMIT, dns.addresses(&name)).await;
            let peer = peer.to_canonical();
            found.is_ok_and(|found| {
                found.is_ok_and(|found| found.records.iter().any(|ip| ip.to_canonical() == peer))
            })
        };
        Some(Self { running: Some(tokio::spawn(look)), verified: false })
    }

    /// The answer; no, if it does not come soon.
    pub(super) async fn verified(&mut self) -> bool {
        if let Some(running) = &mut self.running {
            self.verified =
                matches!(tokio::time::timeout(PATIENCE, &mut *running).await, Ok(Ok(true)));
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
