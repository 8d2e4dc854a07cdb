//! The `aliases` file of sendmail (MIG-65): reads it with the files it includes, asks the server
//! what its names stand for, lets `objects::import::sendmail_plan` decide, and does that.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Component, Path, PathBuf};

use angarium_accounts::{Dictionary, Value};
use angarium_objects::import::sendmail::{self, Entry, Joiner, MAX_ENTRIES, MAX_TARGETS, Target};
use angarium_objects::import::sendmail_plan::{Action, Known, Situation, Step, plan};
use angarium_objects::import::shown;
use angarium_objects::text;

use super::AliasesFile;
use super::lines::Lines;
use crate::administration::{Administrator, Answer, parameter};
use crate::arguments::Base;
use crate::commands::output::put;
use crate::commands::{REFUSED, directory};

/// Largest included file, octets.
const INCLUDED_OCTETS: u64 = 4 << 20;
/// Most included files.
const INCLUDED_FILES: usize = 10_000;
/// Deepest inclusion.
const DEPTH: usize = 5;
/// Names asked for in one command.
const ASKED: usize = 500;

/// What became of a step.
pub(super) enum Done {
    /// As planned.
    Yes,
    /// It failed after all.
    Failed(String),
}

pub(in crate::commands) fn run(base: &Base, file: &AliasesFile) -> io::Result<u8> {
    let (entries, mut faults, remark) = read(&file.file)?;
    let mut server = Administrator::reach(&directory(base)?)?;
    let how = How {
        domain: file.common.domain.as_deref(),
        check_only: file.common.check_only,
        programs: file.programs,
        root: Some(&file.root),
        promised: BTreeMap::new(),
        lists: BTreeMap::new(),
        list_owner: file.list_owner.as_deref(),
    };
    let (steps, outcomes) = bring(&mut server, &entries, how)?;
    faults.sort_by_key(|(line, _)| *line);
    Ok(show(base, file.common.check_only, &steps, &outcomes, &faults, remark))
}

/// How entries are brought in.
pub(super) struct How<'a> {
    /// The domain; the main one where none is named.
    pub(super) domain: Option<&'a str>,
    /// Decide, change nothing.
    pub(super) check_only: bool,
    /// Programs become records of the Router.
    pub(super) programs: bool,
    /// Where files that are included lie; without it none is read.
    pub(super) root: Option<&'a Path>,
    /// Names that will stand for something by the time the entries are made.
    pub(super) promised: BTreeMap<String, Known>,
    /// Names that are mailing lists, with their owners where these are known.
    pub(super) lists: BTreeMap<String, Option<String>>,
    /// Who owns lists without an owner here.
    pub(super) list_owner: Option<&'a str>,
}

/// Decides what becomes of each entry and does it.
pub(super) fn bring(
    server: &mut Administrator,
    entries: &[Entry],
    how: How<'_>,
) -> io::Result<(Vec<Step>, Vec<Done>)> {
    let mut situation =
        Situation { programs: how.programs, ..asked_of_domain(server, how.domain)? };
    situation.lists = how.lists;
    situation.list_owner = how.list_owner.map(str::to_lowercase);
    if let Some(root) = how.root {
        situation.included = included(root, entries);
    }
    situation.known = known(server, &situation, entries)?;
    for (name, promised) in how.promised {
        situation.known.entry(name).or_insert(promised);
    }
    let steps = plan(entries, &situation);
    let mut outcomes: Vec<Done> = steps.iter().map(|_| Done::Yes).collect();
    if !how.check_only {
        let domain = situation.domains.first().cloned().unwrap_or_default();
        let mut maker = Maker { server, domain, steps: &steps, outcomes: &mut outcomes };
        maker.aliases()?;
        maker.objects()?;
        maker.lists()?;
        maker.records()?;
    }
    Ok((steps, outcomes))
}

/// The files that entries include, and what they lead to.
fn included(root: &Path, entries: &[Entry]) -> BTreeMap<String, Result<Vec<Target>, String>> {
    let mut includes = Includes { root, read: BTreeMap::new() };
    for target in entries.iter().flat_map(|entry| &entry.targets) {
        if let Target::Include(path) = target {
            includes.read(path, 0);
        }
    }
    includes.read
}

/// Lines that make no sense: number and what is wrong.
pub(super) type Faults = Vec<(u64, String)>;

fn read(path: &Path) -> io::Result<(Vec<Entry>, Faults, Option<&'static str>)> {
    let mut lines = Lines::open(path)?;
    let (mut entries, mut faults, mut joiner) = (Vec::new(), Vec::new(), Joiner::default());
    let mut take = |logical: Option<(u64, String)>, faults: &mut Faults| {
        let Some((line, text)) = logical else { return };
        match sendmail::entry(line, &text) {
            Ok(Some(_)) if entries.len() >= MAX_ENTRIES => {
                faults.push((line, format!("more than {MAX_ENTRIES} entries")));
            }
            Ok(Some(entry)) => entries.push(entry),
            Ok(None) => {}
            Err(why) => faults.push((line, why)),
        }
    };
    while let Some((number, line)) = lines.next()? {
        match line.map(|line| joiner.next(number, &line)) {
            Some(Ok(logical)) => take(logical, &mut faults),
            Some(Err(first)) => faults.push((first, "the line is too long".to_owned())),
            None => faults.push((number, "the line is too long".to_owned())),
        }
    }
    take(joiner.last(), &mut faults);
    Ok((entries, faults, lines.remark()))
}

/// Files that entries include, each read once.
struct Includes<'a> {
    root: &'a Path,
    read: BTreeMap<String, Result<Vec<Target>, String>>,
}

impl Includes<'_> {
    /// Reads a file with those it includes; what it leads to is kept under its path.
    fn read(&mut self, path: &str, depth: usize) {
        if self.read.contains_key(path) {
            return;
        }
        if depth >= DEPTH || self.read.len() >= INCLUDED_FILES {
            let why = "too many files include each other".to_owned();
            self.read.insert(path.to_owned(), Err(why));
            return;
        }
        // Until it is read, it includes nothing: a circle ends here.
        self.read.insert(path.to_owned(), Ok(Vec::new()));
        let targets = self.place(path).and_then(|place| lines_of(&place)).map(|found| {
            let mut all = Vec::new();
            for target in found {
                match target {
                    Target::Include(inner) => {
                        self.read(&inner, depth + 1);
                        if let Some(Ok(more)) = self.read.get(&inner) {
                            all.extend(more.iter().cloned());
                        }
                    }
                    other => all.push(other),
                }
            }
            all.truncate(MAX_TARGETS + 1);
            all
        });
        self.read.insert(path.to_owned(), targets);
    }

    /// Where a file of the old system lies.
    fn place(&self, path: &str) -> Result<PathBuf, String> {
        let Some(inner) = path.strip_prefix('/') else {
            return Err("its path does not begin with /".to_owned());
        };
        let plain = Path::new(inner).components().all(|part| matches!(part, Component::Normal(_)));
        if plain { Ok(self.root.join(inner)) } else { Err("its path leads elsewhere".to_owned()) }
    }
}

fn lines_of(place: &Path) -> Result<Vec<Target>, String> {
    let cannot = |error: io::Error| format!("it cannot be read ({})", error.kind());
    let facts = std::fs::metadata(place).map_err(cannot)?;
    if !facts.is_file() || facts.len() > INCLUDED_OCTETS {
        return Err("it is not a file of a sensible size".to_owned());
    }
    let mut lines = Lines::open(place).map_err(cannot)?;
    let mut all = Vec::new();
    while let Some((number, line)) = lines.next().map_err(cannot)? {
        // What stands in a wrong line is not repeated: it may be any file.
        let wrong = || format!("its line {number} holds no addresses");
        let line = line.ok_or_else(wrong)?;
        if line.trim_start().starts_with('#') {
            continue;
        }
        all.extend(sendmail::targets(&line).map_err(|_| wrong())?);
        if all.len() > MAX_TARGETS {
            return Err(format!("it holds more than {MAX_TARGETS} addresses"));
        }
    }
    Ok(all)
}

/// The object a command answers; its refusal as an error of the whole import.
pub(super) fn answer(server: &mut Administrator, line: &str) -> io::Result<Option<Value>> {
    match server.execute(line)? {
        Answer::Done(value) => Ok(value),
        Answer::Failed(code, text) => Err(io::Error::other(format!("{text} ({code})"))),
    }
}

pub(super) fn texts(value: Option<&Value>) -> Vec<String> {
    let all = value.and_then(Value::as_array).unwrap_or_default();
    all.iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

fn array(all: &[String]) -> Value {
    Value::Array(all.iter().cloned().map(Value::String).collect())
}

/// The domain's names and the Router's records.
fn asked_of_domain(server: &mut Administrator, domain: Option<&str>) -> io::Result<Situation> {
    let own = match domain {
        Some(domain) => domain.to_lowercase(),
        None => {
            let main = answer(server, "MainDomainName")?;
            main.as_ref().and_then(Value::as_str).unwrap_or_default().to_owned()
        }
    };
    let aliases = answer(server, &format!("GetDomainAliases {}", parameter(&own)))?;
    let mut domains = vec![own];
    domains.extend(texts(aliases.as_ref()));
    let table = answer(server, "GetRouterTable")?;
    let table = table.as_ref().and_then(Value::as_str).unwrap_or_default();
    let records = table.lines().map(|line| line.trim().to_owned()).collect();
    Ok(Situation { domains, records, ..Situation::default() })
}

/// What the names of the file stand for already.
fn known(
    server: &mut Administrator,
    situation: &Situation,
    entries: &[Entry],
) -> io::Result<BTreeMap<String, Known>> {
    let included = situation.included.values().filter_map(|read| read.as_ref().ok()).flatten();
    let targets = entries.iter().flat_map(|entry| &entry.targets).chain(included);
    let mut names: BTreeSet<String> = entries.iter().map(|entry| entry.name.clone()).collect();
    names.extend(
        situation
            .lists
            .values()
            .flatten()
            .map(|owner| owner.split('@').next().unwrap_or_default().to_ascii_lowercase()),
    );
    names.extend(targets.filter_map(|target| match target {
        Target::Local(name) | Target::Mailbox(name) => Some(name.clone()),
        Target::Address(address) => Some(address.rsplit_once('@')?.0.to_ascii_lowercase()),
        _ => None,
    }));
    names.retain(|name| angarium_objects::name::object_name(name).is_ok());
    let names: Vec<String> = names.into_iter().collect();
    let domain = parameter(situation.domains.first().map_or("", String::as_str));
    let mut known = BTreeMap::new();
    for some in names.chunks(ASKED) {
        let line = format!("FindObjects {domain} {}", text::line_text(&array(some)));
        let Some(Value::Dictionary(found)) = answer(server, &line)? else { continue };
        for (name, object) in found {
            let Value::Dictionary(object) = object else { continue };
            let word =
                |key: &str| object.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
            let kind = match word("Kind").as_str() {
                "account" => Known::Account,
                "alias" => Known::Alias(word("Account")),
                "forwarder" => Known::Forwarder(word("Address")),
                "list" => {
                    let own = situation.domains.first().map_or("", String::as_str);
                    let list = parameter(&format!("{name}@{own}"));
                    let all = answer(server, &format!("ListSubscribers {list}"))?;
                    Known::List(texts(all.as_ref()))
                }
                _ => Known::Group(texts(object.get("Members"))),
            };
            known.insert(name, kind);
        }
    }
    Ok(known)
}

/// Does what was planned.
struct Maker<'a> {
    server: &'a mut Administrator,
    domain: String,
    steps: &'a [Step],
    outcomes: &'a mut [Done],
}

impl Maker<'_> {
    fn full(&self, name: &str) -> String {
        parameter(&format!("{name}@{}", self.domain))
    }

    fn failed(&mut self, at: usize, reason: &str) {
        if let Some(outcome) = self.outcomes.get_mut(at) {
            *outcome = Done::Failed(reason.to_owned());
        }
    }

    /// Executes a command for some steps; its refusal is theirs.
    fn for_steps(&mut self, line: &str, steps: &[usize]) -> io::Result<()> {
        if let Answer::Failed(code, text) = self.server.execute(line)? {
            steps.iter().for_each(|at| self.failed(*at, &format!("{text} ({code})")));
        }
        Ok(())
    }

    /// All new names of an account in one command.
    fn aliases(&mut self) -> io::Result<()> {
        let mut accounts: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (at, step) in self.steps.iter().enumerate() {
            if let Action::Alias(account) = &step.action {
                accounts.entry(account).or_default().push(at);
            }
        }
        for (account, steps) in accounts {
            let full = self.full(account);
            let there = match self.server.execute(&format!("GetAccountAliases {full}"))? {
                Answer::Done(value) => texts(value.as_ref()),
                Answer::Failed(code, text) => {
                    steps.iter().for_each(|at| self.failed(*at, &format!("{text} ({code})")));
                    continue;
                }
            };
            let new = steps.iter().filter_map(|at| self.steps.get(*at)).map(|s| s.name.clone());
            let all: Vec<String> = there.into_iter().chain(new).collect();
            let line = format!("SetAccountAliases {full} {}", text::line_text(&array(&all)));
            self.for_steps(&line, &steps)?;
        }
        Ok(())
    }

    /// Forwarders and groups.
    fn objects(&mut self) -> io::Result<()> {
        for (at, step) in self.steps.iter().enumerate() {
            let name = self.full(&step.name);
            let line = match &step.action {
                Action::Forwarder(to) => format!("CreateForwarder {name} TO {}", parameter(to)),
                Action::Group(members) => {
                    let settings = Dictionary::from([("Members".to_owned(), array(members))]);
                    let settings = text::line_text(&Value::Dictionary(settings));
                    format!("CreateGroup {name} {settings}")
                }
                _ => continue,
            };
            self.for_steps(&line, &[at])?;
        }
        Ok(())
    }

    /// Mailing lists with their subscribers. To the old name everybody might write: so it stays.
    fn lists(&mut self) -> io::Result<()> {
        for (at, step) in self.steps.iter().enumerate() {
            let Action::List { owner, subscribers } = &step.action else { continue };
            let name = self.full(&step.name);
            let mut lines = Vec::new();
            if let Some(owner) = owner {
                lines.push(format!("CreateList {name} FOR {}", parameter(owner)));
                lines.push(format!("UpdateList {name} {{Postings=\"from anybody\";}}"));
            }
            for some in subscribers.chunks(ASKED) {
                let all = text::line_text(&array(some));
                lines.push(format!("List {name} subscribe SILENTLY {all}"));
            }
            for line in lines {
                if let Answer::Failed(code, text) = self.server.execute(&line)? {
                    self.failed(at, &format!("{text} ({code})"));
                    break;
                }
            }
        }
        Ok(())
    }

    /// All records in one change of the table. They stand first: each is for one name alone, and
    /// records for many names may follow.
    fn records(&mut self) -> io::Result<()> {
        let of = |step: &Step| match &step.action {
            Action::Router(record) => Some(record.clone()),
            _ => None,
        };
        let steps = self.steps.iter().enumerate();
        let (steps, mut lines): (Vec<usize>, Vec<String>) =
            steps.filter_map(|(at, step)| Some((at, of(step)?))).unzip();
        if lines.is_empty() {
            return Ok(());
        }
        let table = answer(self.server, "GetRouterTable")?;
        lines.push(table.as_ref().and_then(Value::as_str).unwrap_or_default().to_owned());
        let line = format!("SetRouterTable {}", parameter(&lines.join("\n")));
        self.for_steps(&line, &steps)
    }
}

fn words(action: &Action) -> (&'static str, String) {
    match action {
        Action::Alias(account) => ("alias", format!("another name of {account}")),
        Action::Forwarder(to) => ("forwarder", format!("forwarder to {}", shown(to))),
        Action::Group(members) => {
            ("group", format!("group of {}: {}", members.len(), shown(&members.join(", "))))
        }
        Action::List { owner, subscribers } => {
            let count = subscribers.len();
            let told = match owner {
                Some(owner) => format!("mailing list of {owner} with {count} subscribers"),
                None => format!("there already; {count} subscribers are added"),
            };
            ("list", told)
        }
        Action::Part(list) => ("part", format!("an address that the mailing list {list} has")),
        Action::Router(record) => ("router", format!("record of the Router: {}", shown(record))),
        Action::There => ("there", "there already".to_owned()),
        Action::Not(why) => ("not", format!("not made: {why}")),
    }
}

pub(super) fn show(
    base: &Base,
    check_only: bool,
    steps: &[Step],
    outcomes: &[Done],
    faults: &Faults,
    remark: Option<&str>,
) -> u8 {
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    for (step, outcome) in steps.iter().zip(outcomes) {
        let (mut result, mut told) = words(&step.action);
        if let Done::Failed(why) = outcome {
            (result, told) = ("not", format!("not made: {why}"));
        }
        *counts.entry(result).or_default() += 1;
        let name = shown(&step.name);
        if base.json {
            let row = serde_json::json!({ "line": step.line, "name": name, "result": result,
                "told": told, "remarks": step.remarks });
            put(&row.to_string());
        } else {
            put(&format!("line {}: {name}: {told}", step.line));
            for remark in &step.remarks {
                put(&format!("line {}: {name}:   {remark}", step.line));
            }
        }
    }
    for (line, why) in faults {
        if base.json {
            let row = serde_json::json!({ "line": line, "result": "not", "told": why });
            put(&row.to_string());
        } else {
            put(&format!("line {line}: {why}"));
        }
    }
    let count = |key: &str| counts.get(key).copied().unwrap_or_default();
    let not = count("not") + faults.len() as u64;
    if base.json {
        let all = serde_json::json!({ "ok": not == 0, "aliases": count("alias"),
            "forwarders": count("forwarder"), "groups": count("group"), "lists": count("list"),
            "records": count("router"), "there": count("there"), "not_made": not,
            "remarks": remark.into_iter().collect::<Vec<_>>(),
            "check_only": check_only });
        put(&all.to_string());
    } else {
        remark.into_iter().for_each(put);
        let word = if check_only { "can be made" } else { "made" };
        put(&format!(
            "{} aliases, {} forwarders, {} groups, {} lists, {} records {word}, {} there already, {not} not made",
            count("alias"),
            count("forwarder"),
            count("group"),
            count("list"),
            count("router"),
            count("there")
        ));
    }
    if not == 0 { 0 } else { REFUSED }
}
