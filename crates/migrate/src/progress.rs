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

/// The progress of one run; clones show the same one.
#[derive(Clone)]
pub(crate) struct Progress {
    show: Show,
    bar: ProgressBar,
    begun: Instant,
    last_line: Arc<Mutex<Instant>>,
    counts: LiveCounts,
    /// Messages and octets that came through this clone.
    here: (u64, u64),
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
        Self { show, bar, begun: now, last_line: Arc::new(Mutex::new(now)), counts, here: (0, 0) }
    }

    /// The same progress, counting from nothing what comes through it.
    pub(crate) fn of_mailbox(&self) -> Self {
        Self { here: (0, 0), ..self.clone() }
    }

    /// Messages and octets that came through this one.
    pub(crate) fn here(&self) -> (u64, u64) {
        self.here
    }

    /// This many messages are to be copied in all.
    pub(crate) fn expect(&self, messages: u64) {
        self.counts.lock().expected = messages;
        self.bar.set_length(messages);
    }

    /// A line for people, if they asked for lines.
    pub(crate) fn say(&self, text: &str) {
        if self.show == Show::Lines {
            self.bar.suspend(|| println!("{text}"));
        }
        self.bar.set_message(text.to_owned());
    }

    /// Messages that were read, of those expected; octets as they came.
    pub(crate) fn read(&self, messages: u64, bytes: u64) {
        self.clone().copied(messages, bytes);
    }

    /// Messages that need no copying.
    pub(crate) fn passed_over(&self, messages: u64) {
        self.bar.inc(messages);
        let mut counts = self.counts.lock();
        counts.expected = counts.expected.saturating_sub(messages);
    }

    /// Messages the target has confirmed.
    pub(crate) fn copied(&mut self, messages: u64, bytes: u64) {
        self.here.0 += messages;
        self.here.1 = self.here.1.saturating_add(bytes);
        {
            let mut counts = self.counts.lock();
            counts.messages += messages;
            counts.bytes = counts.bytes.saturating_add(bytes);
        }
        self.bar.inc(messages);
        if self.show == Show::Lines && self.line_is_due() {
            let line = self.line();
            self.bar.suspend(|| println!("{line}"));
        }
    }

    fn line_is_due(&self) -> bool {
        let mut last = self.last_line.lock().unwrap_or_else(PoisonError::into_inner);
        let due = last.elapsed() >= LINE_EVERY;
        if due {
            *last = Instant::now();
        }
        due
    }

    fn line(&self) -> String {
        let counts = self.counts.get();
        let seconds = self.begun.elapsed().as_secs_f64().max(0.001);
        #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
        let rate = counts.messages as f64 / seconds;
        let left = counts.expected.saturating_sub(counts.messages);
        #[expect(clippy::cast_precision_loss, reason = "a guess for people")]
        let wait = left as f64 / rate.max(0.001);
        format!(
            "{} of {} messages, {}, {rate:.0} messages/s, {} left",
            counts.messages,
            counts.expected,
            HumanBytes(counts.bytes),
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
