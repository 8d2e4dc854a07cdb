//! The take-over of users from old servers, wired into the server: who is asked about names and
//! passwords, the copier with its door, and what the administrator's socket says of it.

mod door;
mod lines;

use std::sync::Arc;

use angarium_access::imap::ImapContext;
use angarium_accounts::Accounts;
use angarium_take_over::arrivals::Arrivals;
use angarium_take_over::book::Book;
use angarium_take_over::copying::Copier;
use tokio::sync::watch;

pub(crate) use lines::execute;

use crate::base::BaseDirectory;
use crate::services::Numbers;
use door::LoopbackDoor;

/// The book below the base directory.
pub(crate) fn book(base: &BaseDirectory) -> Book {
    Book::at(base.take_over())
}

/// Starts taking users over in the domains whose settings name an old server, until told to stop.
pub(crate) fn start(
    accounts: &Arc<Accounts>,
    base: &BaseDirectory,
    imap: Arc<ImapContext>,
    numbers: Numbers,
    hello: &str,
    mut stopping: watch::Receiver<bool>,
) -> Arc<Copier> {
    let door = LoopbackDoor { imap, numbers };
    let copier = Copier::new(accounts.clone(), book(base), Box::new(door));
    match Arrivals::new(accounts.clone(), copier.clone(), hello.to_owned()) {
        Some(arrivals) => accounts.set_old_servers(Some(arrivals)),
        None => tracing::error!(tag = "TAKEOVER", "no random octets: nobody is taken over"),
    }
    tokio::spawn(Arc::clone(&copier).run(stopping.clone()));
    let accounts = accounts.clone();
    tokio::spawn(async move {
        let _ = stopping.wait_for(|stop| *stop).await;
        accounts.set_old_servers(None);
    });
    copier
}
