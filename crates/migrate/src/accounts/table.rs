//! What is seen while a list is moved: on a terminal one table that is drawn anew in place, with a
//! line for each account at work and the sums below; elsewhere a line for each account that ended;
//! with `--json` each such line as an object.

use std::collections::HashMap;
use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{HumanBytes, HumanDuration, MultiProgress, ProgressBar, ProgressStyle};
use tokio::task::Id;

use super::outcome::Outcome;
use crate::progress::LiveCounts;

/// Most accounts at work that have a line of the table.
const MOST_LINES: usize = 20;
/// Longest name in the table, characters.
const MAX_NAME: usize = 40;

/// What is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Telling {
    /// Each account, also where there is a table.
    pub verbose: bool,
    /// Objects, one a line, instead of lines for people.
    pub json: bool,
}

/// An account at work.
pub(super) struct Running {
    pub(super) outcome: Outcome,
    pub(super) live: LiveCounts,
}

/// See the module text.
pub(super) struct Table {
    telling: Telling,
    drawn: Option<Drawn>,
    begun: Instant,
    accounts: u64,
    finished: u64,
    failed: u64,
    messages: u64,
    bytes: u64,
}

struct Drawn {
    all: MultiProgress,
    sums: ProgressBar,
    lines: Vec<ProgressBar>,
}

impl Table {
    pub(super) fn new(telling: Telling, accounts: u64) -> Self {
        let drawn = (!telling.json && std::io::stderr().is_terminal()).then(|| {
            let all = MultiProgress::new();
            let sums = all.add(ProgressBar::new(accounts));
            if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len} accounts  {msg}")
            {
                sums.set_style(style);
            }
            Drawn { all, sums, lines: Vec::new() }
        });
        Self {
            telling,
            drawn,
            begun: Instant::now(),
            accounts,
            finished: 0,
            failed: 0,
            messages: 0,
            bytes: 0,
        }
    }

    /// A line for people.
    pub(super) fn say(&self, text: &str) {
        if self.telling.json {
            return;
        }
        match &self.drawn {
            Some(drawn) => drawn.all.suspend(|| println!("{text}")),
            None => println!("{text}"),
        }
    }

    /// An account has ended.
    pub(super) fn finished(&mut self, outcome: &Outcome) {
        self.finished += 1;
        self.failed += u64::from(!outcome.is_whole());
        self.messages += outcome.copied;
        self.bytes += outcome.bytes;
        if self.telling.json {
            println!("{}", serde_json::json!({ "account": outcome }));
        } else if self.drawn.is_none() || self.telling.verbose || !outcome.is_whole() {
            self.say(&outcome.text());
        }
        if let Some(drawn) = &self.drawn {
            drawn.sums.set_position(self.finished);
        }
    }

    /// An account has failed and will be tried again.
    pub(super) fn postponed(&self, outcome: &Outcome) {
        if self.drawn.is_none() || self.telling.verbose {
            self.say(&format!("{} (to be tried again)", outcome.text()));
        }
    }

    /// Draws the table anew.
    pub(super) fn draw(&mut self, running: &HashMap<Id, Running>) {
        let Some(drawn) = &mut self.drawn else { return };
        let mut at_work: Vec<&Running> = running.values().collect();
        at_work.sort_by_key(|one| one.outcome.line);
        let (mut messages, mut bytes) = (self.messages, self.bytes);
        for one in &at_work {
            let counts = one.live.get();
            messages += counts.messages;
            bytes += counts.bytes;
        }
        let shown = at_work.len().min(MOST_LINES);
        while drawn.lines.len() > shown {
            if let Some(line) = drawn.lines.pop() {
                drawn.all.remove(&line);
            }
        }
        while drawn.lines.len() < shown {
            let line = ProgressBar::new_spinner();
            if let Ok(style) = ProgressStyle::with_template("  {msg}") {
                line.set_style(style);
            }
            drawn.lines.push(drawn.all.insert_before(&drawn.sums, line));
        }
        for (line, one) in drawn.lines.iter().zip(&at_work) {
            let counts = one.live.get();
            let name: String = one.outcome.new_name.chars().take(MAX_NAME).collect();
            let bytes = HumanBytes(counts.bytes);
            line.set_message(format!(
                "{name:MAX_NAME$} {:>8} of {:<8} {bytes}",
                counts.messages, counts.expected
            ));
        }
        let seconds = self.begun.elapsed().as_secs_f64().max(0.001);
        #[expect(clippy::cast_precision_loss, reason = "rates for people")]
        let (rate, left) = (
            messages as f64 / seconds,
            self.accounts.saturating_sub(self.finished) as f64 * seconds
                / (self.finished as f64).max(0.5),
        );
        drawn.sums.set_message(format!(
            "{} failed, {messages} messages, {}, {rate:.0} messages/s, {} left",
            self.failed,
            HumanBytes(bytes),
            HumanDuration(Duration::from_secs_f64(left.min(1e9)))
        ));
    }

    /// The table goes.
    pub(super) fn end(self) {
        if let Some(drawn) = self.drawn {
            let _ = drawn.all.clear();
        }
    }
}
