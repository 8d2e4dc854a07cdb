//! What became of one account of a list, in the words of the report.

use serde::Serialize;

use super::list::Row;
use crate::advice::{self, Known};
use crate::error::{MoveError, Side};

/// Most troubles of one account that are kept one by one; the rest is counted.
const MAX_TROUBLES: usize = 1_000;

/// How an account stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// All that there was is at the new server, some of it since this run.
    Done,
    /// There was nothing to copy.
    NothingNew,
    /// Copied, but for messages or mailboxes that are told.
    Partly,
    /// Not copied, or not to the end.
    Failed,
    /// The run was interrupted before this account's turn was over.
    Interrupted,
}

/// Something that kept a message, a mailbox or the whole account back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Trouble {
    /// What it is about.
    pub what: String,
    /// Why: often the words of a server.
    pub reason: String,
    /// What a postmaster can do about it.
    pub advice: String,
}

/// One account.
#[derive(Clone, Debug, Serialize)]
pub struct Outcome {
    /// Its line in the list.
    pub line: u64,
    /// Login name at the old server.
    pub name: String,
    /// Login name or address at the new one.
    pub new_name: String,
    /// How it stands.
    pub state: State,
    /// How often it was tried.
    pub attempts: u32,
    /// Messages copied.
    pub copied: u64,
    /// Octets copied.
    pub bytes: u64,
    /// Messages that earlier runs had copied.
    pub already_there: u64,
    /// Messages deleted at the old server.
    pub deleted: u64,
    /// Differences that the comparison found, if there was one.
    pub differences: Option<u64>,
    /// What was kept back and why.
    pub troubles: Vec<Trouble>,
    /// Troubles beyond those that are kept one by one.
    pub more_troubles: u64,
    /// Things to know that lost no message.
    pub remarks: Vec<String>,
    /// Wall time of all attempts.
    pub seconds: f64,
    /// Another attempt may help.
    #[serde(skip)]
    pub(crate) later: bool,
    /// Exit code of the error that ended it, 0 for none.
    #[serde(skip)]
    pub(crate) code: u8,
    /// The server that refused the login.
    #[serde(skip)]
    pub(crate) refused: Option<Side>,
}

impl Outcome {
    /// An account nothing is known of yet.
    pub(crate) fn new(row: &Row) -> Self {
        Self::of_line(row.line, &row.name, &row.new_name)
    }

    fn of_line(line: u64, name: &str, new_name: &str) -> Self {
        Self {
            line,
            name: name.to_owned(),
            new_name: new_name.to_owned(),
            state: State::NothingNew,
            attempts: 1,
            copied: 0,
            bytes: 0,
            already_there: 0,
            deleted: 0,
            differences: None,
            troubles: Vec::new(),
            more_troubles: 0,
            remarks: Vec::new(),
            seconds: 0.0,
            later: false,
            code: 0,
            refused: None,
        }
    }

    /// A line of the list that is no account.
    pub(crate) fn broken(line: u64, name: &str, reason: &str) -> Self {
        let mut outcome = Self::of_line(line, name, name);
        outcome.state = State::Failed;
        outcome.code = 1;
        outcome.trouble(format!("line {line} of the list"), reason.to_owned(), advice::LIST);
        outcome
    }

    /// Adds what kept something back.
    pub(crate) fn trouble(&mut self, what: String, reason: String, advice: impl Into<String>) {
        if self.troubles.len() < MAX_TROUBLES {
            self.troubles.push(Trouble { what, reason, advice: advice.into() });
        } else {
            self.more_troubles += 1;
        }
    }

    /// Puts the state right at the end of an attempt.
    pub(crate) fn settle(&mut self, ended: Result<(), MoveError>) {
        if let Err(error) = ended {
            self.state = State::Failed;
            self.code = error.exit_code();
            self.later = matches!(error, MoveError::Connect { .. } | MoveError::Lost { .. });
            self.refused = match &error {
                MoveError::Login { side, .. } => Some(*side),
                _ => None,
            };
            let (reason, advice) = (error.to_string(), advice::of_error(&error));
            self.trouble("the account".into(), reason, advice);
        } else if !self.troubles.is_empty() || self.differences.is_some_and(|n| n > 0) {
            self.state = State::Partly;
            self.code = 4;
        } else if self.copied > 0 || self.deleted > 0 {
            self.state = State::Done;
        }
    }

    /// Says which it was, a wrong password or a name that is not there, where that was found out.
    pub(crate) fn login_advice(&mut self, side: Side, known: Known) {
        if let (Some(last), Known::Yes | Known::No) = (self.troubles.last_mut(), known) {
            last.advice = advice::of_login(side, known).to_owned();
        }
    }

    /// Joins an earlier attempt to this one: what was copied then is copied.
    pub(crate) fn after(mut self, earlier: &Self) -> Self {
        self.attempts += earlier.attempts;
        self.copied += earlier.copied;
        self.bytes += earlier.bytes;
        self.deleted += earlier.deleted;
        self.already_there = earlier.already_there;
        self.seconds += earlier.seconds;
        if self.state == State::NothingNew && self.copied > 0 {
            self.state = State::Done;
        }
        self
    }

    /// True when nothing was kept back.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        matches!(self.state, State::Done | State::NothingNew)
    }

    fn who(&self) -> String {
        if self.name == self.new_name {
            self.name.clone()
        } else {
            format!("{} -> {}", self.name, self.new_name)
        }
    }

    /// In one line, what is told below it left out.
    #[must_use]
    pub fn heading(&self) -> String {
        if self.state == State::Failed && !self.troubles.is_empty() {
            return format!("FAILED   {}", self.who());
        }
        self.text()
    }

    /// In one line, for a run without a terminal.
    #[must_use]
    pub fn text(&self) -> String {
        let who = self.who();
        match self.state {
            State::Failed => {
                let why = self.troubles.last().map_or("", |t| t.reason.as_str());
                format!("FAILED   {who}: {why}")
            }
            State::Interrupted => format!("STOPPED  {who}: the run was interrupted"),
            State::NothingNew => {
                format!("nothing  {who}: nothing new, {} there already", self.already_there)
            }
            State::Done | State::Partly => {
                let word = if self.state == State::Done { "done    " } else { "PARTLY  " };
                let mut out = format!(
                    "{word} {who}: {} messages, {} octets, {:.1} s",
                    self.copied, self.bytes, self.seconds
                );
                if self.already_there > 0 {
                    out.push_str(&format!(", {} there already", self.already_there));
                }
                let kept = self.troubles.len() as u64 + self.more_troubles;
                if kept > 0 {
                    out.push_str(&format!(", {kept} NOT COPIED"));
                }
                if let Some(differences) = self.differences {
                    out.push_str(&format!(", {differences} differences"));
                }
                out
            }
        }
    }
}
