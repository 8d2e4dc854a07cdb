//! An actor watching mailboxes (RFC 5465): which ones its filters mean, and what is new about them
//! since it last looked, with rights looked at anew each time. It must never know how that is told.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use angarium_store::{AccountId, MailboxId, MailboxRecord, StoreError};

use super::account::{MailAccount, Target};
use super::annotations::Entries;
use super::error::MailError;
use super::facts::Owner;
use super::notices::{Touched, Watch};
use super::rights::MailRights;

/// Accounts one watcher may watch.
const MAX_ACCOUNTS: usize = 64;
/// Mailboxes one watcher may watch.
const MAX_MAILBOXES: usize = 20_000;

/// Which mailboxes to watch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WatchFilter {
    /// One's own that hold messages.
    Inboxes,
    /// One's own.
    Personal,
    /// The subscribed ones.
    Subscribed,
    /// These and all below them.
    Subtree(Vec<String>),
    /// Exactly these.
    Mailboxes(Vec<String>),
}

/// A mailbox that is watched.
#[derive(Clone, Debug)]
pub struct Watched {
    /// Its name to the actor.
    pub name: String,
    /// Which of the filters it fits: the first one.
    pub filter: usize,
    /// As it was when it was looked at.
    pub record: MailboxRecord,
    /// Where it is.
    pub target: Target,
    /// The actor may read it.
    pub readable: bool,
}

/// Something new.
#[derive(Clone, Debug)]
pub enum Notice {
    /// It is there now, or has another name than `old`.
    Named {
        /// The mailbox.
        now: Box<Watched>,
        /// The name it had.
        old: Option<String>,
    },
    /// It is no more, or may not be seen any more.
    Gone {
        /// The name it had.
        name: String,
        /// Which filter it fitted.
        filter: usize,
    },
    /// Messages came, went or changed; the actor may read it.
    Messages {
        /// The mailbox with its counters.
        now: Box<Watched>,
        /// Some came or went.
        counts: bool,
        /// Flags changed.
        flags: bool,
    },
    /// Annotations changed.
    Annotated {
        /// The mailbox.
        now: Box<Watched>,
        /// Entries the actor sees.
        entries: Vec<String>,
    },
    /// A name was subscribed to, or is no more.
    Subscribed {
        /// The name.
        name: String,
        /// Whether it is subscribed to now.
        now: bool,
    },
    /// Annotations of the server changed.
    Server(Vec<String>),
    /// Too much happened; nothing more will be told.
    Overflow,
}

/// A name of a filter and where it leads.
#[derive(Debug)]
struct Root {
    filter: usize,
    target: Target,
    given: String,
    below: bool,
}

/// One watching actor.
pub struct Watcher {
    mail: MailAccount,
    filters: Vec<WatchFilter>,
    watch: Arc<Watch>,
    roots: Vec<Root>,
    owners: Vec<Owner>,
    known: HashMap<MailboxId, Watched>,
    subscription: BTreeSet<String>,
    server: Entries,
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.mail.accounts.registry().watches().forget(&self.watch);
    }
}

impl MailAccount {
    /// Watches mailboxes from now on.
    ///
    /// # Errors
    /// `Invalid` when the filters mean more than can be watched, or what the store says. Names
    /// that lead nowhere are watched for.
    pub async fn watch(&self, filters: Vec<WatchFilter>) -> Result<Watcher, MailError> {
        let mut watcher = Watcher {
            mail: self.clone(),
            filters,
            watch: Arc::new(Watch::default()),
            roots: Vec::new(),
            owners: vec![self.home.clone()],
            known: HashMap::new(),
            subscription: BTreeSet::new(),
            server: Entries::new(),
        };
        // First, so that nothing between the look and the first change is missed.
        self.accounts.registry().watches().register(self.home.id, &watcher.watch);
        watcher.subscription = watcher.read_subscription().await?;
        watcher.find_roots().await?;
        for owner in watcher.owners.clone() {
            for watched in watcher.visible(&owner).await? {
                watcher.keep(watched)?;
            }
        }
        watcher.server = self.shared_server_annotations().await?;
        Ok(watcher)
    }
}

impl Watcher {
    /// Resolves when something may be new.
    pub async fn changed(&self) {
        self.watch.changed().await;
    }

    /// All that is watched, by name.
    #[must_use]
    pub fn all(&self) -> Vec<&Watched> {
        let mut all: Vec<&Watched> = self.known.values().collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        all
    }

    fn keep(&mut self, watched: Watched) -> Result<(), MailError> {
        if self.known.len() >= MAX_MAILBOXES && !self.known.contains_key(&watched.record.id) {
            return Err(MailError::Invalid("too many mailboxes to watch".into()));
        }
        self.known.insert(watched.record.id, watched);
        Ok(())
    }

    async fn read_subscription(&self) -> Result<BTreeSet<String>, MailError> {
        if self.mail.home.id == AccountId(0) {
            return Ok(BTreeSet::new());
        }
        let record = self.mail.accounts.record(self.mail.home.id).await?;
        Ok(record.subscription.iter().cloned().collect())
    }

    /// Where the names of the filters lead, and whose mailboxes must be heard of for them.
    async fn find_roots(&mut self) -> Result<(), MailError> {
        let mut roots = Vec::new();
        for (filter, wanted) in self.filters.iter().enumerate() {
            let (names, below): (Vec<&String>, bool) = match wanted {
                WatchFilter::Inboxes | WatchFilter::Personal => continue,
                WatchFilter::Subscribed => (self.subscription.iter().collect(), false),
                WatchFilter::Subtree(names) => (names.iter().collect(), true),
                WatchFilter::Mailboxes(names) => (names.iter().collect(), false),
            };
            for name in names {
                match self.mail.target(name).await {
                    Ok(target) => {
                        roots.push(Root { filter, target, given: name.clone(), below });
                    }
                    Err(error) if error.is_temporary() => return Err(error),
                    Err(_) => {}
                }
            }
        }
        let mut owners = vec![self.mail.home.clone()];
        for root in &roots {
            if !owners.iter().any(|owner| owner.id == root.target.owner.id) {
                owners.push(root.target.owner.clone());
            }
        }
        if owners.len() > MAX_ACCOUNTS {
            return Err(MailError::Invalid("mailboxes of too many accounts to watch".into()));
        }
        for owner in &owners {
            self.mail.accounts.registry().watches().register(owner.id, &self.watch);
        }
        self.roots = roots;
        self.owners = owners;
        Ok(())
    }

    /// The name and the first filter by which a mailbox is watched.
    fn fits(&self, owner: &Owner, record: &MailboxRecord) -> Option<(String, usize)> {
        let own = self.mail.is_own(owner);
        for (filter, wanted) in self.filters.iter().enumerate() {
            match wanted {
                WatchFilter::Personal if own => return Some((record.name.clone(), filter)),
                WatchFilter::Inboxes if own && record.selectable => {
                    return Some((record.name.clone(), filter));
                }
                _ => {}
            }
            for root in self.roots.iter().filter(|root| root.filter == filter) {
                if root.target.owner.id != owner.id {
                    continue;
                }
                match record.name.strip_prefix(&root.target.path) {
                    Some("") => return Some((root.given.clone(), filter)),
                    Some(rest) if root.below && rest.starts_with('/') => {
                        return Some((format!("{}{rest}", root.given), filter));
                    }
                    // `~account` alone is the whole of its tree.
                    Some(rest) if root.below && root.target.path.is_empty() => {
                        let given = root.given.trim_end_matches('/');
                        return Some((format!("{given}/{rest}"), filter));
                    }
                    _ => {}
                }
            }
        }
        None
    }

    /// The mailboxes of an account that are watched and may be seen now.
    async fn visible(&self, owner: &Owner) -> Result<Vec<Watched>, MailError> {
        let all = match self.mail.tree(owner).await {
            Ok(tree) => tree.beginning(""),
            Err(MailError::NotFound | MailError::NoAccount) => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mail_only = !self.mail.sees_non_mail().await?;
        let mut found = Vec::new();
        for record in all {
            if mail_only && !super::listing::is_mail(&record.class) {
                continue;
            }
            let Some((name, filter)) = self.fits(owner, &record) else { continue };
            let rights = self.mail.rights(owner, &record).await?;
            if rights.can(MailRights::LOOKUP) {
                let target = Target { owner: owner.clone(), path: record.name.clone() };
                let readable = rights.can(MailRights::READ);
                let record = record.as_ref().clone();
                found.push(Watched { name, filter, record, target, readable });
            }
        }
        Ok(found)
    }

    /// What is new since the last look, in an order that makes sense to be told.
    ///
    /// # Errors
    /// What the store says; what was marked is lost then, so the watcher should go.
    pub async fn look(&mut self) -> Result<Vec<Notice>, MailError> {
        let mut marks = self.watch.take();
        if marks.overflow {
            return Ok(vec![Notice::Overflow]);
        }
        let mut notices = Vec::new();
        if marks.record {
            self.look_at_subscription(&mut notices).await?;
            if self.filters.contains(&WatchFilter::Subscribed) {
                marks.trees.extend(self.owners.iter().map(|owner| owner.id));
            }
        }
        for owner in self.owners.clone() {
            if marks.trees.contains(&owner.id) {
                self.look_at_tree(&owner, &mut notices).await?;
            }
        }
        for (id, touched) in marks.touched {
            self.look_at_messages(id, touched, &mut notices).await?;
        }
        if marks.settings {
            let now = self.mail.shared_server_annotations().await?;
            let names: BTreeSet<&String> = self.server.keys().chain(now.keys()).collect();
            let changed = names.into_iter().filter(|name| self.server.get(*name) != now.get(*name));
            let changed: Vec<String> = changed.cloned().collect();
            self.server = now;
            if !changed.is_empty() {
                notices.push(Notice::Server(changed));
            }
        }
        Ok(notices)
    }

    async fn look_at_subscription(&mut self, notices: &mut Vec<Notice>) -> Result<(), MailError> {
        let now = self.read_subscription().await?;
        let before = std::mem::replace(&mut self.subscription, now);
        if before == self.subscription {
            return Ok(());
        }
        for name in self.subscription.symmetric_difference(&before) {
            let now = self.subscription.contains(name);
            notices.push(Notice::Subscribed { name: name.clone(), now });
        }
        if self.filters.contains(&WatchFilter::Subscribed) {
            self.find_roots().await?;
        }
        Ok(())
    }

    async fn look_at_tree(
        &mut self,
        owner: &Owner,
        notices: &mut Vec<Notice>,
    ) -> Result<(), MailError> {
        let now = self.visible(owner).await?;
        let ids: BTreeSet<MailboxId> = now.iter().map(|watched| watched.record.id).collect();
        let names: BTreeSet<&str> = now.iter().map(|watched| watched.name.as_str()).collect();
        let gone: Vec<MailboxId> = self
            .known
            .values()
            .filter(|known| known.target.owner.id == owner.id && !ids.contains(&known.record.id))
            .map(|known| known.record.id)
            .collect();
        for id in gone {
            let Some(Watched { name, filter, .. }) = self.known.remove(&id) else { continue };
            // A directory (or another mailbox) that took its place says more.
            if !names.contains(name.as_str()) {
                notices.push(Notice::Gone { name, filter });
            }
        }
        for watched in now {
            let before = self.known.get(&watched.record.id);
            let same = before.is_some_and(|known| {
                known.name == watched.name && known.record.selectable == watched.record.selectable
            });
            let old = before.map(|known| known.name.clone()).filter(|old| *old != watched.name);
            if !same {
                notices.push(Notice::Named { now: Box::new(watched.clone()), old });
            }
            let entries = before.map(|known| {
                self.mail.annotations_changed(&(&known.record).into(), &(&watched.record).into())
            });
            if let Some(entries) = entries.filter(|e| !e.is_empty() && watched.readable) {
                notices.push(Notice::Annotated { now: Box::new(watched.clone()), entries });
            }
            self.keep(watched)?;
        }
        Ok(())
    }

    async fn look_at_messages(
        &mut self,
        id: MailboxId,
        touched: Touched,
        notices: &mut Vec<Notice>,
    ) -> Result<(), MailError> {
        let Some(known) = self.known.get(&id) else { return Ok(()) };
        let owner = known.target.owner.clone();
        let record = match self.mail.accounts.registry().find(id) {
            Some(open) => open.shared().record.as_ref().clone(),
            None => match self.mail.accounts.store().mailboxes.get(owner.id, id).await {
                Ok(record) => record,
                Err(StoreError::NotFound(_)) => return Ok(()),
                Err(error) => return Err(error.into()),
            },
        };
        // Rights may have gone without a change of the mailbox, by a group for instance.
        let rights = self.mail.rights(&owner, &record).await?;
        if !rights.can(MailRights::LOOKUP.with(MailRights::READ)) || !record.selectable {
            return Ok(());
        }
        let now = Box::new(Watched { record, readable: true, ..known.clone() });
        let Touched { messages: counts, flags } = touched;
        notices.push(Notice::Messages { now, counts, flags });
        Ok(())
    }
}
