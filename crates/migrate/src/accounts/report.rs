//! One report of all accounts of a list: for people as text and as a page to print, for programs as
//! JSON.

use serde::Serialize;

use super::outcome::{Outcome, State};

/// Accounts without trouble that are kept one by one; beyond them only sums are. Those with trouble
/// always are.
const KEPT: usize = 100_000;

/// Sums over all accounts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// Accounts of the list.
    pub accounts: u64,
    /// Moved whole, with something new.
    pub done: u64,
    /// Nothing was new.
    pub nothing_new: u64,
    /// Moved but for messages or mailboxes that are told.
    pub partly: u64,
    /// Not moved.
    pub failed: u64,
    /// Interrupted.
    pub interrupted: u64,
    /// Messages copied.
    pub copied: u64,
    /// Octets copied.
    pub bytes: u64,
    /// Messages that were there already.
    pub already_there: u64,
    /// Messages deleted at the old server.
    pub deleted: u64,
}

/// See the module text.
#[derive(Clone, Debug, Serialize)]
pub struct AccountsReport {
    /// The old server.
    pub source: String,
    /// The new server.
    pub target: String,
    /// Version of this program.
    pub version: &'static str,
    /// Sums.
    pub totals: Totals,
    /// The accounts in the order of the list.
    pub accounts: Vec<Outcome>,
    /// Accounts without trouble that are only in the sums.
    pub not_listed: u64,
    /// Things to know about the run.
    pub remarks: Vec<String>,
    /// Somebody stopped it.
    pub interrupted: bool,
    /// Wall time.
    pub seconds: f64,
    /// Exit codes of the accounts that failed.
    #[serde(skip)]
    codes: Vec<u8>,
}

impl AccountsReport {
    pub(super) fn new(source: &str, target: &str) -> Self {
        Self {
            source: source.to_owned(),
            target: target.to_owned(),
            version: env!("CARGO_PKG_VERSION"),
            totals: Totals::default(),
            accounts: Vec::new(),
            not_listed: 0,
            remarks: Vec::new(),
            interrupted: false,
            seconds: 0.0,
            codes: Vec::new(),
        }
    }

    /// Takes an account that has ended.
    pub(super) fn add(&mut self, outcome: Outcome) {
        let totals = &mut self.totals;
        totals.accounts += 1;
        totals.copied += outcome.copied;
        totals.bytes += outcome.bytes;
        totals.already_there += outcome.already_there;
        totals.deleted += outcome.deleted;
        match outcome.state {
            State::Done => totals.done += 1,
            State::NothingNew => totals.nothing_new += 1,
            State::Partly => totals.partly += 1,
            State::Failed => totals.failed += 1,
            State::Interrupted => totals.interrupted += 1,
        }
        if outcome.state == State::Failed && !self.codes.contains(&outcome.code) {
            self.codes.push(outcome.code);
        }
        let plain = outcome.is_whole() && outcome.remarks.is_empty();
        if plain && self.accounts.len() >= KEPT {
            self.not_listed += 1;
        } else {
            self.accounts.push(outcome);
        }
    }

    pub(super) fn sort(&mut self) {
        self.accounts.sort_by_key(|outcome| outcome.line);
    }

    /// The exit code: 0 all whole; 2 or 3 if no account could be moved because of the old or the new
    /// server; 130 interrupted; else 4.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        let totals = self.totals;
        if self.interrupted {
            return 130;
        }
        if totals.failed + totals.partly + totals.interrupted == 0 {
            return 0;
        }
        match self.codes.as_slice() {
            [one @ (2 | 3)] if totals.failed == totals.accounts => *one,
            _ => 4,
        }
    }

    /// The report for people: sums, then every account with trouble and what to do about it.
    #[must_use]
    pub fn text(&self) -> String {
        let t = self.totals;
        let mut out = format!(
            "{} accounts in {:.1} s: {} moved, {} had nothing new, {} in part, {} failed",
            t.accounts, self.seconds, t.done, t.nothing_new, t.partly, t.failed
        );
        if self.interrupted {
            out.push_str(&format!(", {} interrupted", t.interrupted));
        }
        out.push_str(&format!("\n{} messages ({} octets) copied", t.copied, t.bytes));
        if t.already_there > 0 {
            out.push_str(&format!(", {} were there already", t.already_there));
        }
        if t.deleted > 0 {
            out.push_str(&format!(", {} deleted at the old server", t.deleted));
        }
        out.push('\n');
        for remark in &self.remarks {
            out.push_str(&format!("note: {remark}\n"));
        }
        for account in self.accounts.iter().filter(|a| !a.is_whole() || !a.remarks.is_empty()) {
            out.push_str(&format!("\nline {}: {}\n", account.line, account.heading()));
            for trouble in &account.troubles {
                out.push_str(&format!(
                    "  {}: {}\n    what to do: {}\n",
                    trouble.what, trouble.reason, trouble.advice
                ));
            }
            if account.more_troubles > 0 {
                out.push_str(&format!("  and {} more\n", account.more_troubles));
            }
            for remark in &account.remarks {
                out.push_str(&format!("  note: {remark}\n"));
            }
        }
        out
    }

    /// The report as JSON.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        serde_json::to_value(self).unwrap_or_default()
    }

    /// The report as one page to print: nothing is loaded from elsewhere.
    #[must_use]
    pub fn html(&self) -> String {
        let t = self.totals;
        let mut out = String::from(HEAD);
        out.push_str(&format!(
            "<h1>Accounts moved</h1>\n<p>From {} to {}, in {:.1} s, by version {}.</p>\n\
             <table><tr><th>accounts<th>moved<th>nothing new<th>in part<th>failed<th>interrupted\
             <th>messages<th>octets<th>there already<th>deleted at the old server\n\
             <tr><td>{}<td>{}<td>{}<td>{}<td>{}<td>{}<td>{}<td>{}<td>{}<td>{}</table>\n",
            escaped(&self.source),
            escaped(&self.target),
            self.seconds,
            self.version,
            t.accounts,
            t.done,
            t.nothing_new,
            t.partly,
            t.failed,
            t.interrupted,
            t.copied,
            t.bytes,
            t.already_there,
            t.deleted
        ));
        for remark in &self.remarks {
            out.push_str(&format!("<p>{}</p>\n", escaped(remark)));
        }
        let troubled: Vec<&Outcome> =
            self.accounts.iter().filter(|a| !a.troubles.is_empty()).collect();
        if !troubled.is_empty() {
            out.push_str(
                "<h2>To be looked after</h2>\n<table><tr><th>line<th>account<th>what\
                          <th>why<th>what to do\n",
            );
            for account in troubled {
                for trouble in &account.troubles {
                    out.push_str(&format!(
                        "<tr><td>{}<td>{}<td>{}<td>{}<td>{}\n",
                        account.line,
                        escaped(&account.new_name),
                        escaped(&trouble.what),
                        escaped(&trouble.reason),
                        escaped(&trouble.advice)
                    ));
                }
                if account.more_troubles > 0 {
                    out.push_str(&format!(
                        "<tr><td>{}<td>{}<td colspan=3>and {} more\n",
                        account.line,
                        escaped(&account.new_name),
                        account.more_troubles
                    ));
                }
            }
            out.push_str("</table>\n");
        }
        out.push_str(
            "<h2>All accounts</h2>\n<table><tr><th>line<th>old name<th>new name<th>state\
                      <th>messages<th>octets<th>there already<th>seconds<th>notes\n",
        );
        for account in &self.accounts {
            let state = match account.state {
                State::Done => "moved",
                State::NothingNew => "nothing new",
                State::Partly => "in part",
                State::Failed => "failed",
                State::Interrupted => "interrupted",
            };
            out.push_str(&format!(
                "<tr><td>{}<td>{}<td>{}<td>{state}<td>{}<td>{}<td>{}<td>{:.1}<td>{}\n",
                account.line,
                escaped(&account.name),
                escaped(&account.new_name),
                account.copied,
                account.bytes,
                account.already_there,
                account.seconds,
                account.remarks.iter().map(|r| escaped(r)).collect::<Vec<_>>().join("<br>")
            ));
        }
        out.push_str("</table>\n");
        if self.not_listed > 0 {
            out.push_str(&format!("<p>{} more without trouble.</p>\n", self.not_listed));
        }
        out.push_str("</body></html>\n");
        out
    }
}

const HEAD: &str = "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\
<title>Accounts moved</title><style>body{font:14px sans-serif;margin:2em}\
table{border-collapse:collapse}td,th{border:1px solid #999;padding:2px 6px;text-align:left;\
vertical-align:top}h2{margin-top:1.5em}@media print{body{margin:0}tr{break-inside:avoid}}\
</style></head><body>\n";

/// Text of servers and lists as it may stand in a page.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c if c.is_control() && c != '\n' => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(outcomes: Vec<Outcome>) -> AccountsReport {
        let mut report = AccountsReport::new("old", "new");
        outcomes.into_iter().for_each(|outcome| report.add(outcome));
        report
    }

    fn failed(code: u8) -> Outcome {
        let mut outcome = Outcome::broken(3, "<b>joe", "it has no Password");
        outcome.code = code;
        outcome
    }

    fn whole() -> Outcome {
        Outcome { state: State::Done, troubles: Vec::new(), ..failed(0) }
    }

    #[test]
    fn the_exit_code_says_what_a_script_must_know() {
        assert_eq!(report(vec![whole()]).exit_code(), 0);
        assert_eq!(report(vec![whole(), failed(2)]).exit_code(), 4);
        assert_eq!(report(vec![failed(2), failed(2)]).exit_code(), 2);
        assert_eq!(report(vec![failed(3)]).exit_code(), 3);
        assert_eq!(report(vec![failed(2), failed(3)]).exit_code(), 4);
        assert_eq!(report(vec![]).exit_code(), 0);
    }

    #[test]
    fn a_page_shows_what_servers_and_lists_say_and_runs_nothing_of_it() {
        let report = report(vec![failed(1)]);
        let page = report.html();
        assert!(page.contains("&lt;b&gt;joe") && !page.contains("<b>joe"), "{page}");
        assert!(page.contains("no Password") && page.contains("mend this line"));
        assert!(report.text().contains("what to do: mend this line"));
        assert_eq!(report.json()["accounts"][0]["state"], "failed");
    }
}
