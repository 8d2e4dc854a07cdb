//! Mail on its way: received, submitted, queued, delivered, and reported when that fails.
//!
//! [`receive`] drives one SMTP or LMTP connection; [`submit`] is the one door in for every source;
//! [`dequeuer`] takes what is due from the durable queue to [`deliver`]; [`retry`] says when to
//! try again; [`report`] tells the sender.
//!
//! It must never know HTTP or SQL.

pub mod authenticity;
pub mod channel;
pub mod deliver;
pub mod dequeuer;
pub mod desk;
pub mod dns;
pub mod envelope;
pub mod filters;
mod following;
pub mod imap_url;
pub mod inspect;
mod ondemand;
pub mod protection;
pub mod receive;
pub mod report;
pub mod retry;
pub mod send;
pub mod srs;
pub mod submit;
pub mod trace;
pub mod wire;

mod rates;
mod recipients;

use std::path::Path;
use std::sync::Arc;

use angarium_accounts::Accounts;
pub use angarium_store::{HELD, QueueName, QueuedMessage, QueuedRecipient, RecipientState};
use tokio::sync::{Notify, watch};
use tokio_rustls::TlsAcceptor;

use deliver::{here, list, local, pipe, wake_up};
use inspect::Turn;

pub use angarium_smtp::Protocol;
pub use deliver::{Module, Modules};
pub use dequeuer::{DequeuerOptions, Release, Taken};
pub use desk::{Desk, DeskError, QueueRow};
pub use filters::Filters;
pub use inspect::Inspectors;
pub use protection::{BannedLines, Protection};
pub use receive::{ConnectionInfo, Receiver, ReceiverSettings, serve, serve_secured};
pub use send::{Sending, SendingOptions};
pub use submit::{Recipient, Source, Submit, SubmitError, Submitter};

/// The mail transfer of one server: started once, shared by all that submit or receive.
pub struct Transfer {
    accounts: Arc<Accounts>,
    submitter: Submitter,
    dequeuer: Arc<dequeuer::Dequeuer>,
    reception: Arc<receive::Reception>,
    ask_now: Arc<Notify>,
    protection: Arc<Protection>,
    filters: Arc<Filters>,
    sending: Option<Arc<Sending>>,
    stop: watch::Sender<bool>,
}

impl Transfer {
    /// Starts the dequeuer over the accounts' store. Needs a running tokio runtime. Without the
    /// module that sends, mail for other systems fails.
    #[must_use]
    pub fn start(accounts: Arc<Accounts>, options: DequeuerOptions) -> Arc<Self> {
        Self::build(accounts, options, None, Vec::new())
    }

    /// As [`Transfer::start`], with the module that sends to other systems.
    #[must_use]
    pub fn start_sending(
        accounts: Arc<Accounts>,
        options: DequeuerOptions,
        sending: Option<Arc<Sending>>,
    ) -> Arc<Self> {
        Self::build(accounts, options, sending, Vec::new())
    }

    /// As [`Transfer::start`], with other modules, which take the place of those of the same name.
    #[must_use]
    pub fn start_with(
        accounts: Arc<Accounts>,
        options: DequeuerOptions,
        others: Vec<Arc<dyn Module>>,
    ) -> Arc<Self> {
        Self::build(accounts, options, None, others)
    }

    fn build(
        accounts: Arc<Accounts>,
        options: DequeuerOptions,
        sending: Option<Arc<Sending>>,
        others: Vec<Arc<dyn Module>>,
    ) -> Arc<Self> {
        let (stop, stopped) = watch::channel(false);
        let protection = Protection::new(Arc::clone(&accounts));
        let submitter =
            Submitter::new(Arc::clone(&accounts)).with_protection(Arc::clone(&protection));
        let banned = Arc::new(BannedLines::new(Arc::clone(&protection)));
        submitter.inspectors().add(Turn::Filter, banned);
        let filters =
            Filters::start(Arc::clone(&accounts), Arc::clone(&protection), submitter.inspectors());
        let wake_up = wake_up::WakeUp::new(Arc::clone(&accounts));
        let mut modules = Modules::default()
            .with(Arc::new(here::System { wake_up: Arc::clone(&wake_up) }))
            .with(Arc::new(here::Errors))
            .with(Arc::new(local::Local::new(Arc::clone(&accounts))))
            .with(Arc::new(list::Lists::new(Arc::clone(&accounts), submitter.clone())))
            .with(Arc::new(pipe::Pipe::new(Arc::clone(&accounts))));
        if let Some(sending) = &sending {
            sending.start(stopped.clone());
            modules = modules.with(Arc::clone(sending) as Arc<dyn Module>);
        }
        let modules = others.into_iter().fold(modules, Modules::with);
        let dequeuer = dequeuer::Dequeuer::start(
            Arc::clone(&accounts),
            submitter.clone(),
            modules,
            options,
            stopped,
        );
        let dequeuer = Arc::new(dequeuer);
        wake_up.releases_by(&dequeuer);
        let reception = receive::Reception::new(&accounts, Arc::clone(&dequeuer));
        let ask_now = Arc::default();
        Arc::new(Self {
            accounts,
            submitter,
            dequeuer,
            protection,
            filters,
            reception,
            sending,
            ask_now,
            stop,
        })
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

    /// The module that sends to other systems, if there is one.
    #[must_use]
    pub fn sending(&self) -> Option<&Arc<Sending>> {
        self.sending.as_ref()
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

    /// Asks the servers of the setting `RemoteQueueStarting` for our mail from now on, each at its
    /// time. What comes by ATRN is taken as from any server.
    pub fn start_remote_queues(&self, tls: send::TlsClient) {
        let receiver = self.receiver(ReceiverSettings::default(), None);
        let (accounts, now) = (Arc::clone(&self.accounts), Arc::clone(&self.ask_now));
        ondemand::starting::Starting::start(accounts, receiver, tls, now, self.stop.subscribe());
    }

    /// Asks them all now (the line is up).
    pub fn ask_remote_queues(&self) {
        self.ask_now.notify_one();
    }

    /// Receivers look the names of clients up with this resolver.
    pub fn receive_with_dns(&self, dns: dns::Dns) {
        self.protection.use_dns(dns.clone());
        self.reception.use_dns(dns);
    }

    /// Sends the SMTP queue of a domain (or of a name) now, whatever it waits for, also if it is
    /// held: ETRN, a wake-up message, an administrator.
    pub async fn release(&self, queue: &str) -> Release {
        self.dequeuer.release(&smtp_queue(queue)).await
    }

    /// Sends now what an administrator names: a queue as it is shown, `LOCAL(joe@example.com)`, or
    /// all queues of a name, whatever their module.
    pub async fn release_named(&self, name: &str) -> Release {
        self.dequeuer.release_named(name).await
    }

    /// Sends the SMTP queues of a domain and of all domains below it now (`ETRN @domain`).
    pub async fn release_below(&self, domain: &str) -> Release {
        self.dequeuer.release_below(domain).await
    }

    /// Sends the SMTP queue of a domain through `sender`, over a connection that is there (ATRN,
    /// RFC 2645). Answers when the queue is empty, or the connection gone: an outcome with
    /// [`deliver::Reach::Queue`] says so, and those recipients stay as they were.
    pub async fn take_queue(&self, queue: &str, sender: &dyn Module) -> Taken {
        self.dequeuer.take(&smtp_queue(queue), sender).await
    }

    /// Messages in the SMTP queue of a domain.
    ///
    /// # Errors
    /// As the store.
    pub async fn queued(&self, queue: &str) -> Result<u64, angarium_accounts::StoreError> {
        let facts = self.accounts.store().queue.queue_facts(&smtp_queue(queue)).await?;
        Ok(facts.map_or(0, |facts| facts.messages))
    }

    /// What administrators do with the queue.
    #[must_use]
    pub fn desk(self: &Arc<Self>) -> Desk {
        Desk::new(Arc::clone(&self.accounts), Some(Arc::clone(self)))
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

/// The name of an SMTP queue: domains are compared in lower case.
fn smtp_queue(queue: &str) -> QueueName {
    QueueName::new(recipients::SMTP, &queue.to_ascii_lowercase())
}
