//! What a person sees while a move runs: messages, octets, rate and time left.

use std::io::IsTerminal;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{HumanBytes, HumanDuration, ProgressBar, ProgressDrawTarget, ProgressStyle};

/// How progress is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Show {
    /// Nothing.
    Quiet,
    /// A bar on a terminal, nothing else.
    Bar,
    /// Lines on standard output (`--verbose`), with a bar if it is a terminal.
    Lines,
}

/// Numbers of a run that others may read while it works.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Messages the target has confirmed.
    pub messages: u64,
    /// Their octets.
    pub bytes: u64,
    /// Messages to be copied in all, as far as is known.
    pub expected: u64,
}

/// A place where a run keeps its numbers up to date, for whoever shows several runs at once.
#[derive(Clone, Debug, Default)]
pub struct LiveCounts(Arc<Mutex<Counts>>);

impl LiveCounts {
    /// The numbers now.
    #[must_use]
    pub fn get(&self) -> Counts {
        *self.lock()
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The progress of one run.
pub(crate) struct Progress {
    show: Show,
    counts: LiveCounts,
    bar: ProgressBar,
    begun: Instant,
    last_line: Instant,
    messages: u64,
    bytes: u64,
    expected: u64,
}

/// How often a line of progress is printed where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(5);

impl Progress {
    pub(crate) fn new(show: Show, counts: LiveCounts) -> Self {
        let bar = if show != Show::Quiet && std::io::stderr().is_terminal() {
            ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(8))
        } else {
            ProgressBar::hidden()
        };
        if let Ok(style) = ProgressStyle::with_template(
            "{bar:30} {pos}/{len} messages  {per_sec}  {eta} left  {msg}",
        ) {
            bar.set_style(style);
        }
        let now = Instant::now();
        Self { show, counts, bar, begun: now, last_line: now, messages: 0, bytes: 0, expected: 0 }
    }

    /// This many messages are to be copied in all.
    pub(crate) fn expect(&mut self, messages: u64) {
        self.expected = messages;
        self.counts.lock().expected = messages;
        self.bar.set_length(messages);
    }

    /// A line for people, if they asked for lines.
    pub(crate) fn say(&mut self, text: &str) {
        if self.show == Show::Lines {
            self.bar.suspend(|| println!("{text}"));
        }
        self.bar.set_message(text.to_owned());
    }

    /// Messages that need no copying.
    pub(crate) fn passed_over(&mut self, messages: u64) {
        self.bar.inc(messages);
        self.expected = self.expected.saturating_sub(messages);
    }

    /// Messages the target has confirmed.
    pub(crate) fn copied(&mut self, messages: u64, bytes: u64) {
        self.messages += messages;
        self.bytes += bytes;
        let mut counts = self.counts.lock();
        (counts.messages, counts.bytes) = (self.messages, self.bytes);
        drop(counts);
        self.bar.inc(messages);
        if self.show == Show::Lines && self.last_line.elapsed() >= LINE_EVERY {
            self.last_line = Instant::now();
            let line = self.line();
            self.bar.suspend(|| println!("{line}"));
        }
    }

    fn line(&self) -> String {
        let seconds = self.begun.elapsed().as_secs_f64().max(0.001);
        #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
        let rate = self.messages as f64 / seconds;
        let left = self.expected.saturating_sub(self.messages);
        #[expect(clippy::cast_precision_loss, reason = "a guess for people")]
        let wait = left as f64 / rate.max(0.001);
        format!(
            "{} of {} messages, {}, {rate:.0} messages/s, {} left",
            self.messages,
            self.expected,
            HumanBytes(self.bytes),
            HumanDuration(Duration::from_secs_f64(wait.min(1e9))),
        )
    }

    /// Ends the display.
    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }

    /// Time since the run began.
    pub(crate) fn elapsed(&self) -> Duration {
        self.begun.elapsed()
    }
}
