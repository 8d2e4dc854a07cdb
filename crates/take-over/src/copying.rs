//! Copying the mail of those who have arrived, in the background: one job an account, a few at a time,
//! each with a journal, so that a restart loses and doubles nothing; again now and then until the
//! switch. It must never know how an account's mailboxes are opened here: that is the [`Door`].

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use angarium_accounts::{Accounts, Actor, Secret};
use angarium_migrate::pop::PopReport;
use angarium_objects::name::FullName;
use angarium_objects::settings::{OldMail, OldProtocol, OldServer};
use async_trait::async_trait;
use tokio::sync::{Notify, Semaphore, watch};

use crate::book::{Book, Page};
use crate::line::shown;
use crate::moving::{self, Copied};
use crate::schedule::{Schedule, due};

/// Accounts copied at a time.
const AT_ONCE: usize = 4;
/// Seconds after which an account is tried again that is being copied already.
const BUSY_SECONDS: i64 = 2;
/// Longest wait before the schedule is looked at again.
const LOOK_AGAIN: Duration = Duration::from_secs(60);
/// Endings of the files beside a page that say what was copied, by IMAP and by POP.
pub(crate) const IMAP_JOURNAL: &str = ".journal";
pub(crate) const POP_JOURNAL: &str = ".pop-journal";

/// Opens the mailboxes of an account of this server to the mover.
#[async_trait]
pub trait Door: Send + Sync {
    /// An address on the loopback interface that speaks IMAP, with a name and a password that are
    /// good for this account alone while the answer is held.
    ///
    /// # Errors
    /// *Later*: why not, for the log.
    async fn open(&self, account: &str) -> Result<Opened, String>;
}

/// An open door; dropping it closes it.
pub struct Opened {
    /// Where.
    pub address: SocketAddr,
    /// Login name.
    pub name: String,
    /// Password.
    pub password: String,
    /// Keeps it open.
    pub held: Box<dyn std::any::Any + Send + Sync>,
}

/// Notes in a page how a copy ended that began at `begun`: what came later may be missing.
fn note(page: &mut Page, ended: &Copied, begun: i64) {
    page.last_try = begun;
    page.messages = page.messages.saturating_add(ended.messages);
    page.octets = page.octets.saturating_add(ended.octets);
    page.failures = ended.failures;
    if ended.is_whole() {
        (page.tries, page.last_copy) = (0, begun);
        page.trouble.clear();
        if page.copied == 0 {
            page.copied = begun;
        }
    } else {
        page.tries = page.tries.saturating_add(1);
        page.note(&ended.trouble);
    }
}

/// Copies the mail of those who have arrived.
pub struct Copier {
    accounts: Arc<Accounts>,
    book: Book,
    door: Box<dyn Door>,
    schedule: Mutex<Schedule>,
    running: Mutex<Vec<FullName>>,
    bell: Notify,
    slots: Arc<Semaphore>,
}

impl Copier {
    /// A copier that begins with [`Copier::run`].
    #[must_use]
    pub fn new(accounts: Arc<Accounts>, book: Book, door: Box<dyn Door>) -> Arc<Self> {
        Arc::new(Self {
            accounts,
            book,
            door,
            schedule: Mutex::default(),
            running: Mutex::default(),
            bell: Notify::new(),
            slots: Arc::new(Semaphore::new(AT_ONCE)),
        })
    }

    /// The book.
    #[must_use]
    pub fn book(&self) -> &Book {
        &self.book
    }

    /// Accounts that are copied at this moment.
    #[must_use]
    pub fn running(&self) -> Vec<FullName> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn schedule(&self, who: &FullName, when: Option<i64>) {
        self.schedule.lock().unwrap_or_else(PoisonError::into_inner).set(who, when);
        self.bell.notify_one();
    }

    /// Copies an account's mail as soon as there is room.
    pub fn want(&self, who: &FullName) {
        self.schedule(who, Some(0));
    }

    /// Copies the mail of everybody of a domain who has arrived as soon as there is room; how many.
    ///
    /// # Errors
    /// As the file system.
    pub fn want_all(&self, domain: &str) -> io::Result<usize> {
        let mut count = 0;
        for (name, page) in self.book.pages(domain)? {
            if !page.sealed.is_empty() {
                self.want(&FullName { name, domain: domain.to_owned() });
                count += 1;
            }
        }
        Ok(count)
    }

    /// Works until told to stop; what is cut off then goes on after the next start.
    pub async fn run(self: Arc<Self>, mut stopping: watch::Receiver<bool>) {
        self.look_up().await;
        loop {
            let now = self.accounts.now();
            let taken = {
                let mut schedule = self.schedule.lock().unwrap_or_else(PoisonError::into_inner);
                // Nobody is taken before there is room for him.
                match self.slots.clone().try_acquire_owned() {
                    Ok(slot) => schedule.take(now).map(|who| (slot, who)),
                    Err(_) => None,
                }
            };
            if let Some((slot, who)) = taken {
                let (copier, mut stopped) = (Arc::clone(&self), stopping.clone());
                tokio::spawn(async move {
                    tokio::select! {
                        () = Box::pin(copier.one(&who)) => {}
                        _ = stopped.wait_for(|stop| *stop) => {}
                    }
                    drop(slot);
                    copier.bell.notify_one();
                });
                continue;
            }
            let next = self.schedule.lock().unwrap_or_else(PoisonError::into_inner).next();
            let room = self.slots.available_permits() > 0;
            let wait = match next.filter(|_| room) {
                Some(when) => {
                    Duration::from_secs(when.saturating_sub(now).clamp(1, 60).unsigned_abs())
                }
                None => LOOK_AGAIN,
            };
            tokio::select! {
                _ = stopping.wait_for(|stop| *stop) => return,
                _ = tokio::time::timeout(wait, self.bell.notified()) => {}
            }
        }
    }

    /// What was left to do at the last stop.
    async fn look_up(&self) {
        let domains = self.accounts.list_domains(&Actor::console()).await.unwrap_or_default();
        for domain in domains {
            let Ok(Some(old)) = self.accounts.old_server_of(&domain).await else { continue };
            let pages = match self.book.pages(&domain) {
                Ok(pages) => pages,
                Err(error) => {
                    tracing::error!(tag = "TAKEOVER", "the book of {domain}: {error}");
                    continue;
                }
            };
            for (name, page) in pages {
                let who = FullName { name, domain: domain.clone() };
                self.schedule(&who, due(&page, old.every));
            }
        }
    }

    async fn one(&self, who: &FullName) {
        {
            let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
            if running.contains(who) {
                // Two copies of one account would share its journal.
                drop(running);
                let later = self.accounts.now().saturating_add(BUSY_SECONDS);
                self.schedule(who, Some(later));
                return;
            }
            running.push(who.clone());
        }
        let _gone = Running { all: &self.running, who };
        match Box::pin(self.copy(who)).await {
            Ok(when) => {
                let mut schedule = self.schedule.lock().unwrap_or_else(PoisonError::into_inner);
                schedule.set_again(who, when);
            }
            Err(error) => tracing::error!(tag = "TAKEOVER", "{who}: its page: {error}"),
        }
    }

    /// Copies once; when the next copy is due.
    async fn copy(&self, who: &FullName) -> io::Result<Option<i64>> {
        let (name, domain) = (&who.name, &who.domain);
        let old = self.accounts.old_server_of(domain).await;
        let Some(old) = old.ok().flatten().filter(|old| old.mail == OldMail::Copy) else {
            return Ok(None);
        };
        let Some(page) = self.book.page(name, domain)?.filter(|page| !page.sealed.is_empty())
        else {
            return Ok(None);
        };
        let begun = self.accounts.now();
        let ended = match self.accounts.unseal(&page.sealed).await {
            Ok(Some(password)) => Box::pin(self.move_mail(&old, who, &password)).await,
            Ok(None) => Err("the password of the old server cannot be unsealed".to_owned()),
            Err(error) => Err(error.to_string()),
        };
        let ended = ended.unwrap_or_else(Copied::not_begun);
        if ended.is_whole() {
            tracing::info!(tag = "TAKEOVER", "{who}: {} messages copied", ended.messages);
        } else {
            let trouble = shown(&ended.trouble);
            tracing::warn!(
                tag = "TAKEOVER",
                "{who}: {} messages copied, but not all: {trouble}",
                ended.messages
            );
        }
        let page = self.book.change(name, domain, |page| note(page, &ended, begun))?;
        Ok(due(&page, old.every))
    }

    async fn move_mail(
        &self,
        old: &OldServer,
        who: &FullName,
        password: &Secret,
    ) -> Result<Copied, String> {
        let password = password.expose_str().ok_or("the password is no text")?;
        let login = old.login_name(&who.name, &who.domain);
        let opened = self.door.open(&who.to_string()).await?;
        self.book.make(&who.domain).map_err(|e| e.to_string())?;
        let beside = |ending| self.book.beside(&who.name, &who.domain, ending);
        let ended = match old.protocol {
            OldProtocol::Imap => {
                let journal = beside(IMAP_JOURNAL);
                let job = moving::by_imap(old, &login, password, &opened, &journal)?;
                Copied::by_imap(Box::pin(job.run()).await)
            }
            OldProtocol::Pop => {
                let journal = beside(POP_JOURNAL);
                let job = moving::by_pop(old, &login, password, &opened, &journal)?;
                let mut report = PopReport::default();
                let ended = Box::pin(job.run(&mut report)).await;
                Copied::by_pop(&report, ended)
            }
        };
        drop(opened);
        Ok(ended)
    }
}

/// Takes an account off the list of those that are copied.
struct Running<'a> {
    all: &'a Mutex<Vec<FullName>>,
    who: &'a FullName,
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|one| one != self.who);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // MIG-50
    #[test]
    fn mig_50_the_page_says_how_a_copy_ended() {
        let mut page = Page::default();
        note(&mut page, &Copied::not_begun("no\nanswer".to_owned()), 10);
        assert_eq!((page.tries, page.last_try, page.copied), (1, 10, 0));
        assert_eq!(page.trouble, "no answer");
        let mut ended = Copied { messages: 3, octets: 90, ..Copied::default() };
        (ended.failures, ended.trouble) = (1, "not copied: INBOX: UID 7: too large".to_owned());
        note(&mut page, &ended, 20);
        assert_eq!((page.tries, page.failures, page.messages, page.octets), (2, 1, 3, 90));
        assert_eq!(page.trouble, "not copied: INBOX: UID 7: too large");
        (ended.failures, ended.trouble) = (0, String::new());
        for now in [30, 40] {
            note(&mut page, &ended, now);
        }
        assert_eq!((page.tries, page.copied, page.last_copy, page.messages), (0, 30, 40, 9));
        assert_eq!((page.trouble.as_str(), page.failures), ("", 0));
    }
}
