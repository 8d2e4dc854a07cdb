//! The account list of the field (`reference/accounts-and-domains.md` section 12), and the way by
//! which rows of any list become accounts: many in one command, an answer for each.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::path::Path;

use angarium_accounts::{Dictionary, Value};
use angarium_objects::import::account_list::Header;
use angarium_objects::text;

use super::lines::Lines;
use super::report::{Outcome, Report};
use super::{AccountList, Common};
use crate::administration::{Administrator, Answer};
use crate::arguments::Base;
use crate::commands::directory;

/// Most rows in one command.
const ROWS: usize = 1_000;
/// Most octets of cells in one command; with one more line, and every octet escaped, it still is
/// shorter than the longest line that the server takes.
const OCTETS: usize = 128 * 1024;
/// Names remembered to tell those that come twice: 16 octets each.
const REMEMBERED: usize = 4_000_000;

pub(super) fn run(base: &Base, list: &AccountList) -> io::Result<u8> {
    let file = list.file.as_deref().unwrap_or(Path::new(""));
    let mut lines = Lines::open(file)?;
    let named = |text: &str| io::Error::other(format!("{}: {text}", file.display()));
    let first = loop {
        match lines.next()? {
            None => return Err(named("empty")),
            Some((_, None)) => return Err(named("the first line is too long")),
            Some((_, Some(line))) if line.trim().is_empty() => {}
            Some((_, Some(line))) => break line,
        }
    };
    let fields: Vec<String> = cells(&first);
    let header = Header::read(&fields).map_err(|why| named(&why))?;
    let name_at =
        fields.iter().position(|f| f.trim().trim_matches('"').eq_ignore_ascii_case("name"));
    let check_only = list.common.check_only;
    let mut report = Report::new(base, list.telling, check_only, lines.expected);
    lines.remark().into_iter().for_each(|remark| report.remark(remark));
    header.remarks().iter().for_each(|remark| report.remark(remark));
    let mut feeder = Feeder::new(base, fields, &list.common, report)?;
    while let Some((number, line)) = lines.next()? {
        let Some(line) = line else {
            feeder.told(number, "", Outcome::failed("the line is too long"))?;
            continue;
        };
        if line.trim().is_empty() {
            continue;
        }
        let cells = cells(&line);
        let name = name_at.and_then(|at| cells.get(at)).cloned().unwrap_or_default();
        feeder.push(Row { number, name, cells, name_at, warnings: Vec::new() })?;
        if list.stop_at_first_error {
            feeder.flush()?;
            if feeder.report.has_failed() {
                break;
            }
        }
    }
    feeder.end()
}

fn cells(line: &str) -> Vec<String> {
    line.split('\t').map(str::to_owned).collect()
}

/// One row on its way.
pub(super) struct Row {
    pub(super) number: u64,
    /// As it stands in the list, for the report.
    pub(super) name: String,
    pub(super) cells: Vec<String>,
    /// Which cell has the name.
    pub(super) name_at: Option<usize>,
    /// Said before the server was asked.
    pub(super) warnings: Vec<String>,
}

/// Gathers rows and hands them to the server.
pub(super) struct Feeder {
    server: Administrator,
    fields: Vec<String>,
    header: Header,
    domain: Option<String>,
    check_only: bool,
    /// With what became of those that the server need not be asked about: they are told in their
    /// turn.
    waiting: Vec<(Row, Option<Outcome>)>,
    octets: usize,
    /// Hashes of the names seen: a list may hold millions.
    seen: HashSet<u64>,
    pub(super) report: Report,
}

impl Feeder {
    /// `fields` is the first line of the list.
    pub(super) fn new(
        base: &Base,
        fields: Vec<String>,
        common: &Common,
        report: Report,
    ) -> io::Result<Self> {
        let header = Header::read(&fields).map_err(io::Error::other)?;
        Ok(Self {
            header,
            server: Administrator::reach(&directory(base)?)?,
            fields,
            domain: common.domain.clone(),
            check_only: common.check_only,
            waiting: Vec::new(),
            octets: 0,
            seen: HashSet::new(),
            report,
        })
    }

    /// Takes a row in.
    pub(super) fn push(&mut self, mut row: Row) -> io::Result<()> {
        if let (Some(domain), Some(name)) =
            (&self.domain, row.name_at.and_then(|at| row.cells.get_mut(at)))
            && !name.trim().is_empty()
            && !name.contains(['@', '"'])
        {
            *name = format!("{}@{domain}", name.trim());
        }
        let name = row.name_at.and_then(|at| row.cells.get(at)).map_or("", |name| name.trim());
        let mut hasher = DefaultHasher::new();
        name.to_lowercase().hash(&mut hasher);
        let new =
            name.is_empty() || self.seen.len() >= REMEMBERED || self.seen.insert(hasher.finish());
        let known = if new {
            self.header.row(&row.cells).err().map(|why| Outcome::failed(&why))
        } else {
            Some(Outcome::failed("the list has this name twice; the first counts"))
        };
        self.octets += row.cells.iter().map(|cell| cell.len() + 3).sum::<usize>();
        self.wait(row, known)
    }

    /// A line that the server need not be asked about, and what became of it.
    pub(super) fn told(&mut self, number: u64, name: &str, outcome: Outcome) -> io::Result<()> {
        let (name, cells) = (name.to_owned(), Vec::new());
        self.wait(Row { number, name, cells, name_at: None, warnings: Vec::new() }, Some(outcome))
    }

    fn wait(&mut self, row: Row, known: Option<Outcome>) -> io::Result<()> {
        self.waiting.push((row, known));
        if self.waiting.len() >= ROWS || self.octets >= OCTETS { self.flush() } else { Ok(()) }
    }

    /// Hands over what waits.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.octets = 0;
        let rows = std::mem::take(&mut self.waiting);
        let last = rows.last().map_or(0, |(row, _)| row.number);
        let asked = rows.iter().filter(|(_, known)| known.is_none()).map(|(row, _)| row);
        let mut answers = self.asked(asked)?.into_iter();
        for (row, known) in rows {
            match known {
                Some(outcome) => self.report.row(row.number, &row.name, &outcome, &row.warnings),
                None => self.answered(row, answers.next()),
            }
        }
        self.report.reached(last);
        Ok(())
    }

    /// The server's answers for some rows, in their order.
    fn asked<'a>(&mut self, rows: impl Iterator<Item = &'a Row>) -> io::Result<Vec<Value>> {
        let strings =
            |all: &[String]| Value::Array(all.iter().cloned().map(Value::String).collect());
        let lines: Vec<Value> = rows.map(|row| strings(&row.cells)).collect();
        if lines.is_empty() {
            return Ok(Vec::new());
        }
        let number = lines.len();
        let command = format!(
            "ImportAccounts {}{} {}",
            if self.check_only { "CHECK " } else { "" },
            text::line_text(&strings(&self.fields)),
            text::line_text(&Value::Array(lines))
        );
        match self.server.execute(&command)? {
            Answer::Done(Some(Value::Dictionary(mut answer))) => match answer.remove("Rows") {
                Some(Value::Array(answers)) => Ok(answers),
                _ => Err(io::Error::other("the server gave no answer")),
            },
            Answer::Done(_) => Err(io::Error::other("the server gave no answer")),
            Answer::Failed(code, reason) => {
                let refused = Dictionary::from([
                    ("Code".to_owned(), Value::from(code.to_string())),
                    ("Reason".to_owned(), Value::String(reason)),
                ]);
                Ok(vec![Value::Dictionary(refused); number])
            }
        }
    }

    fn answered(&mut self, row: Row, answer: Option<Value>) {
        let answer = answer.as_ref().and_then(Value::as_dictionary);
        let word = |key: &str| {
            answer.and_then(|a| a.get(key)).and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        let outcome = match word("Result").as_str() {
            "made" => Outcome::Made,
            "fits" => Outcome::Fits,
            "there" => Outcome::There,
            _ => {
                let code = answer.and_then(|a| a.get("Code")).and_then(Value::as_number);
                let code = code.and_then(|code| u16::try_from(code).ok()).unwrap_or(599);
                Outcome::Failed(code, word("Reason"))
            }
        };
        let told = answer.and_then(|a| a.get("Warnings")).and_then(Value::as_array);
        let told = told.unwrap_or_default().iter().filter_map(Value::as_str).map(str::to_owned);
        let warnings: Vec<String> = row.warnings.into_iter().chain(told).collect();
        self.report.row(row.number, &row.name, &outcome, &warnings);
    }

    /// Hands over the rest and shows the numbers.
    pub(super) fn end(self) -> io::Result<u8> {
        Ok(self.finish()?.0)
    }

    /// As `end`; the way to the server is left for what comes after.
    pub(super) fn finish(mut self) -> io::Result<(u8, Administrator)> {
        self.flush()?;
        Ok((self.report.end(), self.server))
    }
}
