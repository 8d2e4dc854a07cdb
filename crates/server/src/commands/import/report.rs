//! What is told of an import while it runs: a line for each row that failed or is odd (for every
//! row if asked, and as JSON), how far it has come, and the numbers at the end.

use std::io::{IsTerminal, stderr};
use std::time::{Duration, Instant};

use angarium_objects::import::shown;

use super::Telling;
use crate::arguments::Base;
use crate::commands::output::{put, tell};

/// Least time between two words on how far it has come.
const BETWEEN: Duration = Duration::from_secs(2);

/// What became of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Made,
    Fits,
    There,
    /// It stands in a list that is written.
    Written,
    /// Not wanted, for this reason.
    LeftOut(String),
    /// Code and reason.
    Failed(u16, String),
}

impl Outcome {
    /// A failure that the server was not asked about.
    pub(super) fn failed(reason: &str) -> Self {
        Self::Failed(0, reason.to_owned())
    }

    fn word(&self) -> &'static str {
        match self {
            Self::Made => "made",
            Self::Fits => "can be made",
            Self::There => "there already",
            Self::Written => "written",
            Self::LeftOut(_) => "left out",
            Self::Failed(..) => "failed",
        }
    }
}

/// Counts and tells.
pub(super) struct Report {
    json: bool,
    each: bool,
    check_only: bool,
    /// The rows stand in a list now, not in the server.
    written: bool,
    made: u64,
    there: u64,
    left_out: u64,
    failed: u64,
    remarks: Vec<String>,
    progress: Option<Progress>,
}

struct Progress {
    expected: u64,
    begun: Instant,
    last: Instant,
    done: u64,
}

impl Report {
    /// `expected` is about the number of lines to come.
    pub(super) fn new(base: &Base, telling: Telling, check_only: bool, expected: u64) -> Self {
        let now = Instant::now();
        let wanted = telling.progress || (!base.json && stderr().is_terminal());
        Self {
            json: base.json,
            each: telling.each || base.json,
            check_only,
            written: false,
            made: 0,
            there: 0,
            left_out: 0,
            failed: 0,
            remarks: Vec::new(),
            progress: wanted.then_some(Progress { expected, begun: now, last: now, done: 0 }),
        }
    }

    /// Something about the whole file.
    pub(super) fn remark(&mut self, remark: impl Into<String>) {
        self.remarks.push(remark.into());
    }

    /// What became of a row.
    pub(super) fn row(&mut self, line: u64, name: &str, outcome: &Outcome, warnings: &[String]) {
        self.written |= *outcome == Outcome::Written;
        match outcome {
            Outcome::Made | Outcome::Fits | Outcome::Written => self.made += 1,
            Outcome::There => self.there += 1,
            Outcome::LeftOut(_) => self.left_out += 1,
            Outcome::Failed(..) => self.failed += 1,
        }
        let name = shown(name);
        if self.json {
            put(&json_row(line, &name, outcome, warnings).to_string());
            return;
        }
        match outcome {
            Outcome::Failed(0, reason) => put(&format!("line {line}: {name}: {reason}")),
            Outcome::Failed(code, reason) => {
                put(&format!("line {line}: {name}: {reason} ({code})"));
            }
            Outcome::LeftOut(reason) if self.each => {
                put(&format!("line {line}: {name}: left out: {reason}"));
            }
            other if self.each => put(&format!("line {line}: {name}: {}", other.word())),
            _ => {}
        }
        for warning in warnings {
            put(&format!("line {line}: {name}: warning: {warning}"));
        }
    }

    /// True when a line has failed.
    pub(super) fn has_failed(&self) -> bool {
        self.failed > 0
    }

    /// So many lines of the file are done.
    pub(super) fn reached(&mut self, done: u64) {
        let Some(progress) = &mut self.progress else { return };
        progress.done = done;
        if progress.last.elapsed() >= BETWEEN {
            progress.last = Instant::now();
            tell(&progress.words());
        }
    }

    /// Shows the numbers; the exit code.
    pub(super) fn end(self) -> u8 {
        if self.json {
            let all = serde_json::json!({ "ok": self.failed == 0, "made": self.made,
                "there": self.there, "left_out": self.left_out, "failed": self.failed,
                "remarks": self.remarks, "check_only": self.check_only });
            put(&all.to_string());
        } else {
            for remark in &self.remarks {
                put(remark);
            }
            let word = match (self.check_only, self.written) {
                (true, _) => "can be made",
                (_, true) => "written",
                _ => "made",
            };
            let mut text = format!("{} accounts {word}", self.made);
            if self.there > 0 {
                text.push_str(&format!(", {} there already", self.there));
            }
            if self.left_out > 0 {
                text.push_str(&format!(", {} left out", self.left_out));
            }
            put(&format!("{text}, {} lines failed", self.failed));
        }
        if self.failed == 0 { 0 } else { crate::commands::REFUSED }
    }
}

impl Progress {
    fn words(&self) -> String {
        let rate = self.done as f64 / self.begun.elapsed().as_secs_f64().max(0.001);
        let left = self.expected.saturating_sub(self.done) as f64 / rate.max(0.001);
        format!(
            "{} of about {} lines, {rate:.0} a second, {left:.0} s left",
            self.done, self.expected
        )
    }
}

fn json_row(line: u64, name: &str, outcome: &Outcome, warnings: &[String]) -> serde_json::Value {
    let mut row = serde_json::json!({ "line": line, "name": name, "result": outcome.word() });
    if let Some(row) = row.as_object_mut() {
        match outcome {
            Outcome::Failed(code, reason) => {
                row.insert("code".to_owned(), (*code).into());
                row.insert("reason".to_owned(), reason.as_str().into());
            }
            Outcome::LeftOut(reason) => {
                row.insert("reason".to_owned(), reason.as_str().into());
            }
            _ => {}
        }
        if !warnings.is_empty() {
            row.insert("warnings".to_owned(), warnings.into());
        }
    }
    row
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_far_it_has_come_is_told_with_the_rate_and_the_rest() {
        let begun = Instant::now().checked_sub(Duration::from_secs(10)).unwrap();
        let progress = Progress { expected: 4_000, begun, last: begun, done: 1_000 };
        let words = progress.words();
        assert!(words.starts_with("1000 of about 4000 lines, "), "{words}");
        assert!(words.ends_with(" s left"), "{words}");
        let empty = Progress { expected: 0, begun: Instant::now(), last: begun, done: 0 };
        assert!(empty.words().contains("0 of about 0"));
    }

    #[test]
    fn a_row_as_json_has_its_reason_and_warnings() {
        let row = json_row(7, "joe", &Outcome::Failed(520, "taken".into()), &["odd".into()]);
        assert_eq!(
            (&row["line"], &row["code"], &row["reason"]),
            (&7.into(), &520.into(), &"taken".into())
        );
        assert_eq!(row["warnings"][0], "odd");
        assert_eq!(json_row(7, "joe", &Outcome::There, &[])["result"], "there already");
    }
}
