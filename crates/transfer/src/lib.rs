//! Mail on its way: received, submitted, queued, delivered, and reported when that fails.
//!
//! [`receive`] drives one SMTP or LMTP connection; [`submit`] is the one door in for every source;
//! [`dequeuer`] takes what is due from the durable queue to [`deliver`]; [`retry`] says when to
//! try again; [`report`] tells the sender.
//!
//! It must never know HTTP or SQL.

pub mod deliver;
pub mod dequeuer;
pub mod dns;
pub mod envelope;
pub mod imap_url;
pub mod inspect;
pub mod receive;
pub mod report;
pub mod retry;
pub mod send;
pub mod srs;
pub mod submit;
pub mod trace;
pub mod wire;

mod recipients;

use std::sync::Arc;

use angarium_accounts::Accounts;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

use deliver::{here, local};

pub use deliver::{Module, Modules};
pub use dequeuer::DequeuerOptions;
pub use receive::{ConnectionInfo, Receiver, ReceiverSettings, serve};
pub use submit::{Recipient, Source, Submit, SubmitError, Submitter};

/// The mail transfer of one server: started once, shared by all that submit or receive.
pub struct Transfer {
    accounts: Arc<Accounts>,
    submitter: Submitter,
    dequeuer: dequeuer::Dequeuer,
    stop: watch::Sender<bool>,
}

impl Transfer {
    /// Starts the dequeuer over the accounts' store. Needs a running tokio runtime.
    #[must_use]
    pub fn start(accounts: Arc<Accounts>, options: DequeuerOptions) -> Arc<Self> {
        let (stop, stopped) = watch::channel(false);
        let submitter = Submitter::new(Arc::clone(&accounts));
        let modules = Modules::default()
            .with(Arc::new(here::System))
            .with(Arc::new(here::Errors))
            .with(Arc::new(local::Local { accounts: Arc::clone(&accounts) }));
        let dequeuer = dequeuer::Dequeuer::start(
            Arc::clone(&accounts),
            submitter.clone(),
            modules,
            options,
            stopped,
        );
        Arc::new(Self { accounts, submitter, dequeuer, stop })
    }

    /// The one door in.
    #[must_use]
    pub fn submitter(&self) -> &Submitter {
        &self.submitter
    }

    /// What [`serve`] needs for the connections of one listener.
    #[must_use]
    pub fn receiver(&self, settings: ReceiverSettings, tls: Option<TlsAcceptor>) -> Arc<Receiver> {
        Arc::new(Receiver {
            accounts: Arc::clone(&self.accounts),
            submitter: self.submitter.clone(),
            settings,
            tls,
            stop: self.stop.subscribe(),
        })
    }

    /// Looks for due work now (the clock was set, an administrator released the queue).
    pub fn wake(&self) {
        self.dequeuer.wake();
    }

    /// Stops: idle connections are told so and closed, deliveries under way are finished, nothing
    /// new is begun. What is left stays in the durable queue.
    pub async fn stop(&self) {
        self.stop.send_replace(true);
        self.dequeuer.finished().await;
    }
}
