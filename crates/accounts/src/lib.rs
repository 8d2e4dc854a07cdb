//! The one door to domains, accounts and mailboxes: look-up (answers the Router), login,
//! effective settings, opening mailboxes by name with rights and quota, and every administrative
//! operation.
//!
//! It must never know a protocol, nor when the queue tries again. Everything above the store goes
//! through here, so that rights, name rules and quota are checked in one place.

pub mod actor;
pub mod alerts;
pub mod consult;
pub mod counters;
pub mod directory;
mod legacy;
pub mod login;
pub mod mail_to_all;
pub mod mailboxes;
pub mod operations;
pub mod options;
mod provision;
pub mod route;
pub mod secret;
pub mod statistics;
pub mod web_host;

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

pub use actor::Actor;
pub use alerts::AlertWatch;
pub use angarium_objects::mailing_list::{self, MailingList, Part as ListPart};
pub use angarium_objects::rights::Rights;
pub use angarium_objects::value::{Dictionary, Value};
pub use angarium_store::{
    AccountId, AccountKind, AccountRecord, Annotations, Appended, AttributesPatch, Bodies, BodyId,
    BodyWriter, Change, ChangeListener, Changes, Copied, Digest, DomainObject, DomainRecord,
    FileRecord, FileUsage, FlagBits, FlagChange, FlagOutcome, FlagUpdate, Flags, FuzzyText,
    HeadLength, InternalDate, Keyword, MailboxId, MailboxRecord, MessageBody, MessageEntry, ModSeq,
    NewMailbox, NewMessage, NumbersPatch, ObjectPage, Origin, PopId, QueueId, SettingsKey, Sifted,
    Snapshot, StagedBody, Store, StoreError, Top, Uid, UidValidity, Versioned,
};
pub use consult::{Consulted, UnknownConsultant};
pub use directory::Domain;
pub use legacy::bits_of_marks;
pub use login::old_servers::OldServers;
pub use login::outside::{Asked, Checked, ExternalAuthenticator, Proof, SystemPasswords};
pub use login::sasl::{SaslExchange, SaslStep};
pub use login::{
    Channel, GuessingWatcher, KeySource, Login, LoginContext, LoginError, ReadingWatcher, Service,
};
pub use mail_to_all::MailToAll;
pub use operations::{
    ConfigurationChange, ConfigurationPage, ConfigurationParts, ConfigurationStep, FilesOf, How,
    Imported, Kept, MAX_ROWS, NewAccount, ObjectKinds, ObjectListing, OperationError,
    PROTECTION_MODULE, PasswordForms, Removal, RouteAccount, RouteReport, SHUTS_OUT, SettingsOf,
    Whose, WriteAt, kind_extension, kind_from_word,
};
pub use options::{Clock, Options, SystemClock};
pub use provision::{ProvisionListener, Provisioned};
pub use route::{RelayPermission, RouteKind, RouteOutcome};
pub use secret::Secret;
pub use statistics::Totals;
pub use web_host::WebHost;

/// Most listeners that may be added with [`Accounts::add_listener`].
const MAX_LISTENERS: usize = 32;

/// The one door. Made once at start, shared by everything above the store.
pub struct Accounts {
    pub(crate) store: Store,
    clock: Arc<dyn Clock>,
    registry: mailboxes::Registry,
    pub(crate) facts: directory::Facts,
    pub(crate) consultations: consult::Consultations,
    pub(crate) gate: login::gate::Gate,
    pub(crate) outside: login::outside::Outside,
    pub(crate) provisioning: provision::Provisioning,
    listeners: Mutex<Vec<Arc<dyn ChangeListener>>>,
    clear_text: AtomicBool,
    pub(crate) alert_bell: alerts::AlertBell,
    pub(crate) statistics: statistics::Statistics,
    pub(crate) counter_file: counters::CounterFile,
    pub(crate) legacy: Option<Arc<legacy::Legacy>>,
    /// Held while a list is read, changed and written.
    pub(crate) lists: tokio::sync::Mutex<()>,
}

impl Accounts {
    /// Opens the door over a store and registers at its change feed.
    #[must_use]
    pub fn new(store: Store, options: Options) -> Arc<Self> {
        Self::build(store, options, None)
    }

    /// As [`Accounts::new`], with INBOXes that are mailbox files shared with other programs (setting
    /// `ExternalINBOX`). Changes of those files are prepared in `room`, a directory that is made
    /// when it is needed and that must lie on a disk that keeps what is synced.
    #[must_use]
    pub fn with_legacy_inboxes(store: Store, options: Options, room: PathBuf) -> Arc<Self> {
        Self::build(store, options, Some(room))
    }

    fn build(mut store: Store, options: Options, room: Option<PathBuf>) -> Arc<Self> {
        let feed = store.feed.clone();
        let started = options.clock.now();
        let legacy = room.map(|room| legacy::Legacy::over(&store, room));
        if let Some(legacy) = &legacy {
            store.mailboxes = Arc::new(legacy::LegacyMailboxes(legacy.clone()));
        }
        let accounts = Arc::new(Self {
            store,
            clock: options.clock,
            registry: mailboxes::Registry::new(),
            facts: directory::Facts::new(),
            consultations: consult::Consultations::new(),
            gate: login::gate::Gate::new(options.hashing),
            outside: login::outside::Outside::new(),
            provisioning: provision::Provisioning::default(),
            listeners: Mutex::new(Vec::new()),
            clear_text: AtomicBool::new(false),
            alert_bell: alerts::AlertBell::default(),
            statistics: statistics::Statistics::new(started),
            counter_file: counters::CounterFile::default(),
            legacy,
            lists: tokio::sync::Mutex::default(),
        });
        if let Some(legacy) = &accounts.legacy {
            legacy.belongs_to(&accounts);
        }
        let heard = feed.listen(Arc::new(FeedListener(Arc::downgrade(&accounts))));
        if !heard {
            tracing::error!("another listener holds the change feed; caches may grow stale");
            accounts.facts.distrust();
        }
        accounts
    }

    /// Takes passwords in clear on every connection from now on, whatever the setting
    /// `ClearTextLogin` says: the administrator started the server so and was warned.
    pub fn allow_clear_text_logins(&self) {
        self.clear_text.store(true, Ordering::Relaxed);
    }

    pub(crate) fn clear_text_logins_allowed(&self) -> bool {
        self.clear_text.load(Ordering::Relaxed)
    }

    /// The store below, for `transfer` and `server` only.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Seconds since 1970 by the clock given in the options.
    #[must_use]
    pub fn now(&self) -> i64 {
        self.clock.now()
    }

    /// The open mailboxes.
    #[must_use]
    pub fn registry(&self) -> &mailboxes::Registry {
        &self.registry
    }

    /// Adds a listener that hears every change after the caches and open mailboxes have heard it
    /// (the store's feed takes only one listener, and that is this door). The rules of
    /// [`angarium_store::feed`] hold. Answers `false` when there are too many.
    pub fn add_listener(&self, listener: Arc<dyn ChangeListener>) -> bool {
        let mut all = self.listeners.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= MAX_LISTENERS {
            return false;
        }
        all.push(listener);
        true
    }
}

/// Hears the feed without keeping the door alive.
struct FeedListener(Weak<Accounts>);

impl ChangeListener for FeedListener {
    fn changed(&self, change: &Change) {
        let Some(accounts) = self.0.upgrade() else { return };
        accounts.facts.changed(change);
        accounts.registry.changed(change);
        accounts.alert_bell.changed(change);
        let listeners: Vec<_> =
            accounts.listeners.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for listener in listeners {
            listener.changed(change);
        }
    }
}
