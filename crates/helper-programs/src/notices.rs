//! What the external authentication program is told without being asked: accounts made, renamed and
//! deleted (`ExternalOnProvision`), one after the other and in order. A notice waits in memory while
//! the program cannot take it, is told again a few times where it says *not now*, and is given up
//! aloud. It must never know what the program makes of it.

use std::time::Duration;

use angarium_accounts::Provisioned;
use tokio::sync::mpsc;

use crate::authenticator::{TAG, WeakAuthenticator};
use crate::words::{self, Word};

/// Notices that wait; what comes on top is given up.
const WAITING: usize = 10_000;
/// How often a notice is told that the program does not take.
const TRIES: u32 = 5;
/// First pause between two tries; it doubles.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// Takes notices for the program.
#[derive(Clone, Debug)]
pub(crate) struct Notices(mpsc::Sender<Provisioned>);

impl Notices {
    /// Begins to tell; ends when the program is used no more.
    pub(crate) fn begin() -> (Self, mpsc::Receiver<Provisioned>) {
        let (give, take) = mpsc::channel(WAITING);
        (Self(give), take)
    }

    /// Notes one, without waiting.
    pub(crate) fn note(&self, what: Provisioned) {
        if let Err(error) = self.0.try_send(what) {
            let what = match &error {
                mpsc::error::TrySendError::Full(what) | mpsc::error::TrySendError::Closed(what) => {
                    words::provisioned(what)
                }
            };
            tracing::error!(
                target: "HELPER",
                tag = TAG,
                "{} is not told, too much waits: compare the accounts by hand",
                String::from_utf8_lossy(&what)
            );
        }
    }
}

/// Tells what comes, as long as the program is used.
pub(crate) async fn tell(whom: WeakAuthenticator, mut notices: mpsc::Receiver<Provisioned>) {
    while let Some(what) = notices.recv().await {
        let mut pause = FIRST_PAUSE;
        for number in 1..=TRIES {
            let Some(program) = whom.upgrade() else { return };
            let request = words::provisioned(&what);
            let shown = String::from_utf8_lossy(&request).into_owned();
            let why = match program.ask(&shown, "told", request).await {
                Ok(Word::Ok | Word::Return(_)) => break,
                // A program that does not know the word will not know it later.
                Ok(Word::Error(text)) => {
                    tracing::warn!(target: "HELPER", tag = TAG, "{shown}: refused {text}");
                    break;
                }
                Ok(later) => later.shown(),
                Err(why) => why,
            };
            drop(program);
            if number == TRIES {
                tracing::error!(
                    target: "HELPER",
                    tag = TAG,
                    "{shown} is not told: {why}; compare the accounts by hand"
                );
                break;
            }
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
    }
}
