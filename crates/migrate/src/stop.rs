//! A word to a run that it should come to an end: it finishes what is under way, notes it, and
//! says what it did. Signals say it, or whoever started the run.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

/// The word; clones are the same one.
#[derive(Clone, Debug, Default)]
pub struct Stop(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    asked: AtomicBool,
    notify: Notify,
}

impl Stop {
    /// Asks the run to end.
    pub fn ask(&self) {
        self.0.asked.store(true, Ordering::SeqCst);
        self.0.notify.notify_waiters();
    }

    /// True when it was asked to.
    #[must_use]
    pub fn is_asked(&self) -> bool {
        self.0.asked.load(Ordering::SeqCst)
    }

    /// Waits until it is asked to.
    pub async fn asked(&self) {
        let waiting = self.0.notify.notified();
        tokio::pin!(waiting);
        // In the queue before looking, so that no word is missed in between.
        waiting.as_mut().enable();
        if !self.is_asked() {
            waiting.await;
        }
    }
}

/// A signal has come in this process.
static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// True when SIGINT or SIGTERM asked a run of this process to end.
#[must_use]
pub fn interrupted() -> bool {
    INTERRUPTED.load(Ordering::SeqCst)
}

/// Some programs, such as timeout(1), say a signal twice in one breath: that is one word.
const ONE_BREATH: Duration = Duration::from_millis(300);

/// Turns SIGINT and SIGTERM into the word; a second signal ends the process at once. Where the
/// system does not let signals be waited for, they end the process as ever.
pub fn on_signals(stop: &Stop) {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut interrupt), Ok(mut terminate)) =
        (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        return;
    };
    let stop = stop.clone();
    tokio::spawn(async move {
        let mut first: Option<Instant> = None;
        loop {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            if first.get_or_insert_with(Instant::now).elapsed() < ONE_BREATH && interrupted() {
                continue;
            }
            if INTERRUPTED.swap(true, Ordering::SeqCst) {
                eprintln!("interrupted; the same command goes on where this one stopped");
                std::process::exit(130);
            }
            eprintln!("finishing what is under way; once more ends at once");
            stop.ask();
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_word_is_heard_before_and_after_it_is_waited_for() {
        let stop = Stop::default();
        let other = stop.clone();
        let waiting = tokio::spawn(async move { other.asked().await });
        tokio::task::yield_now().await;
        assert!(!stop.is_asked());
        stop.ask();
        waiting.await.unwrap();
        stop.asked().await;
    }
}
