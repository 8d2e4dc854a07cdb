//! The report of one account's move, and of many: what was copied, what was not, why, and what to
//! do about it; for people as text, for programs as JSON, on paper as HTML (`report::html`).

use serde::Serialize;

use crate::advice;
use crate::error::MoveError;
use crate::printable::printable;
use crate::report::MoveReport;
use crate::run::Move;
use crate::verify::VerifyReport;

/// Longest words of a server shown, characters.
const SHOWN: usize = 500;

/// How a move ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Ending {
    /// All was copied, and what was compared is equal.
    #[default]
    Done,
    /// Some messages or mailboxes were not copied, or differ.
    Partly,
    /// It ended early.
    Failed,
}

impl std::fmt::Display for Ending {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Done => "done",
            Self::Partly => "not all",
            Self::Failed => "failed",
        })
    }
}

/// One account.
#[derive(Clone, Debug, Default, Serialize)]
pub struct AccountReport {
    /// Login name at the old server.
    pub name: String,
    /// Login name at the new one.
    pub new_name: String,
    /// The old server's address.
    pub source: String,
    /// The new one's.
    pub target: String,
    /// How it ended.
    pub ending: Ending,
    /// What ended it early.
    pub error: Option<String>,
    /// What to do about that.
    pub advice: Option<String>,
    /// The copying.
    pub moved: Option<MoveReport>,
    /// The comparison.
    pub verified: Option<VerifyReport>,
    /// Exit code of the programs for this account alone.
    pub code: u8,
}

impl AccountReport {
    /// A report that says only whose it is.
    #[must_use]
    pub fn begun(run: &Move) -> Self {
        Self {
            name: printable(&run.sides.source.1.name, SHOWN),
            new_name: printable(&run.sides.target.1.name, SHOWN),
            source: run.sides.source.0.to_string(),
            target: run.sides.target.0.to_string(),
            ..Self::default()
        }
    }

    /// Takes in how the copying ended; true if it makes sense to go on.
    pub fn take_moved(&mut self, moved: Result<MoveReport, MoveError>) -> bool {
        match moved {
            Ok(moved) => {
                if moved.failures() > 0 {
                    self.worse(Ending::Partly, 4);
                }
                self.moved = Some(moved);
                true
            }
            Err(e) => {
                self.failed(&e);
                false
            }
        }
    }

    /// Takes in how the comparison ended.
    pub fn take_verified(&mut self, verified: Result<VerifyReport, MoveError>) {
        match verified {
            Ok(verified) => {
                if verified.differences > 0 {
                    self.worse(Ending::Partly, 4);
                }
                self.verified = Some(verified);
            }
            Err(e) => self.failed(&e),
        }
    }

    /// Takes in what ended the move early.
    pub fn failed(&mut self, error: &MoveError) {
        self.worse(Ending::Failed, error.exit_code());
        self.error = Some(printable(&error.to_string(), SHOWN));
        self.advice = Some(advice::of_error(error).to_owned());
    }

    fn worse(&mut self, ending: Ending, code: u8) {
        self.ending = ending;
        self.code = code;
    }

    /// Messages copied in this run.
    #[must_use]
    pub fn copied(&self) -> u64 {
        self.moved.as_ref().map_or(0, MoveReport::copied)
    }

    /// Octets copied in this run.
    #[must_use]
    pub fn octets(&self) -> u64 {
        self.moved.as_ref().map_or(0, |m| m.mailboxes.iter().map(|b| b.bytes).sum())
    }

    /// Everything of the account that was not copied, with its reason and what to do: mailbox,
    /// UID, reason, advice.
    #[must_use]
    pub fn not_copied(&self) -> Vec<(String, Option<u32>, String, &'static str)> {
        let mut all = Vec::new();
        for mailbox in self.moved.iter().flat_map(|m| &m.mailboxes) {
            let mut add = |uid, reason: &str| {
                let reason = printable(reason, SHOWN);
                let advice = advice::of_words(&reason);
                all.push((mailbox.source.clone(), uid, reason, advice));
            };
            if let Some(error) = &mailbox.error {
                add(None, error);
            }
            for failed in &mailbox.failed {
                add(Some(failed.uid), &failed.reason);
            }
        }
        all
    }

    /// The report for people.
    #[must_use]
    pub fn text(&self) -> String {
        let mut out = format!(
            "{} at {} -> {} at {}: {}\n",
            self.name, self.source, self.new_name, self.target, self.ending
        );
        if let Some(error) = &self.error {
            out.push_str(&format!("{error}\n"));
        }
        if let Some(advice) = &self.advice {
            out.push_str(&format!("    what to do: {advice}\n"));
        }
        if let Some(moved) = &self.moved {
            for (side, facts) in [("old", &moved.servers.source), ("new", &moved.servers.target)] {
                if let Some(product) = &facts.product {
                    out.push_str(&format!("the {side} server is {product}\n"));
                }
            }
            out.push_str(&moved.text());
        }
        if let Some(verified) = &self.verified {
            out.push_str(&verified.text());
        }
        out
    }
}

/// Many accounts.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// When it was written, in RFC 3339.
    pub written: String,
    /// The accounts, in the order of the list.
    pub accounts: Vec<AccountReport>,
    /// Wall time.
    pub seconds: f64,
}

impl Report {
    /// A report written now.
    #[must_use]
    pub fn of(accounts: Vec<AccountReport>, seconds: f64) -> Self {
        let now = jiff::Timestamp::now();
        let written = now.strftime("%Y-%m-%d %H:%M:%S UTC").to_string();
        Self { written, accounts, seconds }
    }

    /// How many accounts ended so.
    #[must_use]
    pub fn count(&self, ending: Ending) -> usize {
        self.accounts.iter().filter(|a| a.ending == ending).count()
    }

    /// The report for people.
    #[must_use]
    pub fn text(&self) -> String {
        let mut out: String = self.accounts.iter().map(|a| format!("{}\n", a.text())).collect();
        let copied: u64 = self.accounts.iter().map(AccountReport::copied).sum();
        let octets: u64 = self.accounts.iter().map(AccountReport::octets).sum();
        out.push_str(&format!(
            "{} accounts in {:.1} s: {} done, {} not all, {} failed; {copied} messages ({octets} \
             octets) copied; written {}\n",
            self.accounts.len(),
            self.seconds,
            self.count(Ending::Done),
            self.count(Ending::Partly),
            self.count(Ending::Failed),
            self.written
        ));
        out
    }

    /// Writes the report to the files named, each in its form.
    ///
    /// # Errors
    /// `File`.
    pub fn write(&self, files: &crate::options::proof::ReportFiles) -> Result<(), MoveError> {
        let forms: [(_, &dyn Fn() -> String); 3] = [
            (&files.text, &|| self.text()),
            (&files.json, &|| serde_json::to_string_pretty(self).unwrap_or_default()),
            (&files.html, &|| crate::report::html::page(self)),
        ];
        for (path, form) in forms {
            let Some(path) = path else { continue };
            std::fs::write(path, form()).map_err(|e| MoveError::File {
                path: path.display().to_string(),
                reason: e.to_string(),
            })?;
        }
        Ok(())
    }
}
