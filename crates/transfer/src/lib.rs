//! Mail on its way: received, submitted, queued, delivered, and reported when that fails.
//!
//! [`receive`] drives one SMTP or LMTP connection; [`submit`] is the one door in for every source;
//! [`dequeuer`] takes what is due from the durable queue to [`deliver`]; [`retry`] says when to
//! try again; [`report`] tells the sender.
//!
//! It must never know HTTP or SQL.

pub mod authenticity;
pub mod deliver;
pub mod dequeuer;
pub mod dns;
pub mod envelope;
pub mod filters;
pub mod imap_url;
pub mod inspect;
pub mod protection;
pub mod receive;
pub mod report;
pub mod retry;
pub mod send;
pub mod srs;
pub mod submit;
pub mod trace;
pub mod wire;

mod recipients;

use std::path::Path;
use std::sync::Arc;

use angarium_accounts::Accounts;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

use deliver::{here, local, pipe};
use inspect::Turn;

pub use angarium_smtp::Protocol;
pub use deliver::{Module, Modules};
pub use dequeuer::DequeuerOptions;
pub use filters::Filters;
pub use inspect::Inspectors;
pub use protection::{BannedLines, Protection};
pub use receive::{ConnectionInfo, Receiver, ReceiverSettings, serve};
pub use submit::{Recipient, Source, Submit, SubmitError, Submitter};

/// The mail transfer of one server: started once, shared by all that submit or receive.
pub struct Transfer {
    accounts: Arc<Accounts>,
    submitter: Submitter,
    dequeuer: dequeuer::Dequeuer,
    reception: Arc<receive::Reception>,
    protection: Arc<Protection>,
    filters: Arc<Filters>,
    stop: watch::Sender<bool>,
}

impl Transfer {
    /// Starts the dequeuer over the accounts' store. Needs a running tokio runtime.
    #[must_use]
    pub fn start(accounts: Arc<Accounts>, options: DequeuerOptions) -> Arc<Self> {
        let (stop, stopped) = watch::channel(false);
        let protection = Protection::new(Arc::clone(&accounts));
        let submitter =
            Submitter::new(Arc::clone(&accounts)).with_protection(Arc::clone(&protection));
        let banned = Arc::new(BannedLines::new(Arc::clone(&protection)));
        submitter.inspectors().add(Turn::Filter, banned);
        let filters =
            Filters::start(Arc::clone(&accounts), Arc::clone(&protection), submitter.inspectors());
        let modules = Modules::default()
            .with(Arc::new(here::System))
            .with(Arc::new(here::Errors))
            .with(Arc::new(local::Local { accounts: Arc::clone(&accounts) }))
            .with(Arc::new(pipe::Pipe::new(Arc::clone(&accounts))));
        let dequeuer = dequeuer::Dequeuer::start(
            Arc::clone(&accounts),
            submitter.clone(),
            modules,
            options,
            stopped,
        );
        let reception = receive::Reception::new(&accounts);
        Arc::new(Self { accounts, submitter, dequeuer, protection, filters, reception, stop })
    }

    /// The one door in.
    #[must_use]
    pub fn submitter(&self) -> &Submitter {
        &self.submitter
    }

    /// Who may relay and who is kept out.
    #[must_use]
    pub fn protection(&self) -> &Arc<Protection> {
        &self.protection
    }

    /// The filters.
    #[must_use]
    pub fn filters(&self) -> &Arc<Filters> {
        &self.filters
    }

    /// The base directory: where filters are shown files and greylisting keeps what it knows.
    pub fn use_base(&self, base: &Path) {
        self.protection.keep_in(base.join("Settings/Greylist.data"));
        self.filters.use_base(base.to_owned());
    }

    /// What [`serve`] needs for the connections of one listener.
    #[must_use]
    pub fn receiver(&self, settings: ReceiverSettings, tls: Option<TlsAcceptor>) -> Arc<Receiver> {
        let reception = Arc::clone(&self.reception);
        let (accounts, stop) = (Arc::clone(&self.accounts), self.stop.subscribe());
        let submitter = self.submitter.clone();
        let protection = Arc::clone(&self.protection);
        Arc::new(Receiver::new(accounts, submitter, protection, reception, settings, tls, stop))
    }

    /// Receivers look the names of clients up with this resolver.
    pub fn receive_with_dns(&self, dns: dns::Dns) {
        self.protection.use_dns(dns.clone());
        self.reception.use_dns(dns);
    }

    /// Looks for due work now (the clock was set, an administrator released the queue).
    pub fn wake(&self) {
        self.dequeuer.wake();
    }

    /// Stops: idle connections are told so and closed, deliveries under way are finished, nothing
    /// new is begun. What is left stays in the durable queue.
    pub async fn stop(&self) {
        self.stop.send_replace(true);
        self.filters.stop();
        self.protection.save();
        self.dequeuer.finished().await;
    }
}
