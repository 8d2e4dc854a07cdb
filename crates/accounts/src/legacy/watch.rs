//! Changes that other programs make are noticed: when an INBOX is named, and every second while
//! somebody has it open.

use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use angarium_store::AccountId;

use super::file::Stamp;
use super::session::Session;
use super::{Legacy, StoreError, failed};

/// How long a look waits for other programs before it shows what was there before.
const PATIENCE: Duration = Duration::from_secs(2);
/// Between two looks at open mailboxes.
const EVERY: Duration = Duration::from_secs(1);

impl Legacy {
    /// Brings the mirror of an account's legacy INBOX up to date if the file has changed. Another
    /// program that keeps the file locked is no error: what was there before is shown.
    pub(crate) async fn refresh(self: &Arc<Self>, account: AccountId) -> Result<(), StoreError> {
        let Some((place, inbox)) = self.legacy_inbox(account).await? else { return Ok(()) };
        self.watch();
        let now = Stamp::at(&place.path).map_err(|error| failed(&place.path, &error))?;
        {
            let desk = self.desk(&place).lock_owned().await;
            if desk.account == account && desk.stamp == Some(now) {
                return Ok(());
            }
        }
        match Session::take(self, account, inbox, &place, PATIENCE).await {
            Ok(mut session) => Box::pin(session.sync()).await,
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                tracing::warn!("{}: {error}", place.path.display());
                Ok(())
            }
            Err(error) => Err(failed(&place.path, &error)),
        }
    }

    /// Begins to watch the files of open mailboxes, once.
    pub(super) fn watch(self: &Arc<Self>) {
        if self.watching.swap(true, Ordering::Relaxed) {
            return;
        }
        let legacy = Arc::downgrade(self);
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(EVERY).await;
                let Some(legacy) = legacy.upgrade() else { return };
                legacy.look().await;
            }
        });
    }

    /// One look at the files of open mailboxes.
    async fn look(self: &Arc<Self>) {
        let desks: Vec<(PathBuf, Arc<tokio::sync::Mutex<super::Desk>>)> = {
            let desks = self.desks.lock().unwrap_or_else(PoisonError::into_inner);
            desks.iter().map(|(path, desk)| (path.clone(), desk.clone())).collect()
        };
        for (path, desk) in desks {
            // One that is in use is being looked at.
            let Ok(known) = desk.try_lock() else { continue };
            let (account, stamp) = (known.account, known.stamp);
            drop(known);
            if Stamp::at(&path).ok() == stamp {
                continue;
            }
            let Ok(accounts) = self.accounts() else { return };
            let inbox = self.legacy_inbox(account).await.ok().flatten();
            if inbox.is_none_or(|(_, inbox)| accounts.registry().find(inbox).is_none()) {
                continue;
            }
            if let Err(error) = self.refresh(account).await {
                tracing::warn!("{error}");
            }
        }
    }
}
