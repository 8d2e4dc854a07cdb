//! Comparing a file with this server, and making this server so: object by object, each whole or
//! not at all, and each told. Applying the same file again changes nothing.

use std::collections::HashSet;
use std::fs::File;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, BufRead, BufReader, IsTerminal, Write};
use std::path::Path;

use angarium_accounts::{Dictionary, Value};
use angarium_objects::configuration::{FORMAT, Gatherer, MAX_STANZA, Stanza, kind, stanza_text};
use angarium_objects::text;

use super::export::title_of;
use super::files::{self, Step};
use super::{Removing, strays};
use crate::administration::{Administrator, Answer};
use crate::arguments::Base;
use crate::base::BaseDirectory;
use crate::commands::output::{put, tell};
use crate::commands::{REFUSED, WRONG};
use crate::configuration_lines::AT_ONCE;

/// Objects that were refused and are tried once more when all others are done: one of those may
/// have had the name.
const TRIED_AGAIN: usize = 1_000;
/// Objects are handed over in lines of about this length, in bytes.
const LINE: usize = 256 * 1024;

/// Whether objects are compared or made.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Deed {
    Compare,
    Apply,
}

/// What became of all objects of a file.
#[derive(Default)]
pub(super) struct Tally {
    same: u64,
    made: u64,
    changed: u64,
    refused: u64,
    removed: u64,
    /// The file says it is the whole of a server.
    pub(super) whole: bool,
    /// Refused once, to be tried again: line and object.
    again: Vec<(u64, Stanza)>,
    /// Hashes of the titles seen.
    pub(super) seen: HashSet<u64>,
}

pub(super) fn hash(title: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    title.hash(&mut hasher);
    hasher.finish()
}

/// One pass over objects.
pub(super) struct Pass<'a> {
    base: &'a Base,
    directory: &'a BaseDirectory,
    pub(super) to: &'a mut Administrator,
    deed: Deed,
    pub(super) tally: Tally,
    waiting: Vec<(u64, Stanza)>,
    /// Length of what waits, as text.
    length: usize,
    /// Objects refused now are not tried again.
    last: bool,
}

impl<'a> Pass<'a> {
    pub(super) fn new(
        base: &'a Base,
        directory: &'a BaseDirectory,
        to: &'a mut Administrator,
        deed: Deed,
        tally: Tally,
    ) -> Self {
        let waiting = Vec::new();
        Self { base, directory, to, deed, tally, waiting, length: 0, last: false }
    }
}

impl Pass<'_> {
    fn take(&mut self, line: u64, stanza: Stanza) -> io::Result<()> {
        self.tally.seen.insert(hash(&title_of(&stanza)));
        match stanza.kind.as_str() {
            kind::HEAD => self.head(line, &stanza),
            kind::FILE => {
                self.hand_over()?;
                let done = match self.deed {
                    Deed::Compare => files::compare(self.directory, &stanza),
                    Deed::Apply => files::write(self.directory, &stanza),
                };
                match done {
                    Ok(Step::Same) => self.tally.same += 1,
                    Ok(step) => {
                        let word = if matches!(step, Step::Made) { "Made" } else { "Changed" };
                        self.told(&stanza, word, &["  (at the next start)".to_owned()]);
                    }
                    Err(why) => self.refused(line, stanza, &why, false),
                }
                Ok(())
            }
            _ => {
                let length = stanza_text(&stanza).len();
                // Objects of different kinds may lean on each other; those of one do not.
                let other =
                    self.waiting.first().is_some_and(|(_, first)| first.kind != stanza.kind);
                if other || self.waiting.len() >= AT_ONCE || self.length + length > LINE {
                    self.hand_over()?;
                }
                self.length += length;
                self.waiting.push((line, stanza));
                Ok(())
            }
        }
    }

    fn head(&mut self, line: u64, stanza: &Stanza) -> io::Result<()> {
        self.tally.whole = true;
        match stanza.contents.get("Format").and_then(Value::as_number) {
            Some(format) if format <= FORMAT => Ok(()),
            _ => {
                let text = format!("line {line}: the file has a newer format than {FORMAT}");
                Err(io::Error::other(text))
            }
        }
    }

    /// Gives the server what waits.
    fn hand_over(&mut self) -> io::Result<()> {
        let waiting = std::mem::take(&mut self.waiting);
        self.length = 0;
        if waiting.is_empty() {
            return Ok(());
        }
        let texts = waiting.iter().map(|(_, stanza)| Value::String(stanza_text(stanza)));
        let word = if self.deed == Deed::Compare { "COMPARE" } else { "APPLY" };
        let all = text::line_text(&Value::Array(texts.collect()));
        let answers = match self.to.execute(&format!("CONFIGURATION {word} {all}"))? {
            Answer::Done(Some(Value::Array(answers))) => answers,
            Answer::Done(_) => Vec::new(),
            Answer::Failed(code, text) => return Err(io::Error::other(format!("{text} ({code})"))),
        };
        if answers.len() != waiting.len() {
            return Err(io::Error::other("the server answered for other objects"));
        }
        for ((line, stanza), answer) in waiting.into_iter().zip(answers) {
            let answer = answer.as_dictionary().cloned().unwrap_or_default();
            match answer.get("Step").and_then(Value::as_str) {
                Some("Same") => self.tally.same += 1,
                Some(step) => {
                    let lines = answer.get("Lines").and_then(Value::as_array).unwrap_or_default();
                    let lines: Vec<String> =
                        lines.iter().filter_map(|line| line.as_str().map(str::to_owned)).collect();
                    self.told(&stanza, step, &lines);
                }
                None => {
                    let why = answer.get("Refused").and_then(Value::as_str);
                    let why = why.unwrap_or("no reason is given").to_owned();
                    let code = answer.get("Code").and_then(Value::as_number).unwrap_or_default();
                    self.refused(line, stanza, &format!("{why} ({code})"), true);
                }
            }
        }
        Ok(())
    }

    pub(super) fn told(&mut self, stanza: &Stanza, step: &str, lines: &[String]) {
        let (count, word, sign) = match step {
            "Made" => (&mut self.tally.made, "made", "+"),
            "Removed" => (&mut self.tally.removed, "removed", "-"),
            _ => (&mut self.tally.changed, "changed", "~"),
        };
        *count += 1;
        let title = stanza.title();
        if self.base.json {
            let json = serde_json::json!({ "object": title, "step": step, "lines": lines,
                "done": self.deed == Deed::Apply });
            put(&json.to_string());
        } else if self.deed == Deed::Apply {
            put(&format!("{word} {title}"));
        } else {
            put(&format!("{sign} {title}"));
            lines.iter().for_each(|line| put(&format!("    {line}")));
        }
    }

    /// Tells what became of an object that the file does not name; true if it is gone or would go.
    pub(super) fn removed(&mut self, stanza: &Stanza, answer: &Dictionary) -> bool {
        match answer.get("Step").and_then(Value::as_str) {
            Some("Same") => {}
            Some(step) => {
                let lines = answer.get("Lines").and_then(Value::as_array).unwrap_or_default();
                let lines: Vec<String> =
                    lines.iter().filter_map(|line| line.as_str().map(str::to_owned)).collect();
                self.told(stanza, step, &lines);
            }
            None => {
                let why = answer.get("Refused").and_then(Value::as_str);
                self.stays(stanza, why.unwrap_or("no reason is given"));
                return false;
            }
        }
        true
    }

    /// Tells why an object that the file does not name stays all the same.
    pub(super) fn stays(&mut self, stanza: &Stanza, why: &str) {
        self.tally.refused += 1;
        let title = stanza.title();
        if self.base.json {
            let json = serde_json::json!({ "object": title, "stays": why });
            put(&json.to_string());
        } else {
            put(&format!("! {title} stays: {why}"));
        }
    }

    fn refused(&mut self, line: u64, stanza: Stanza, why: &str, again: bool) {
        if again && self.deed == Deed::Apply && !self.last && self.tally.again.len() < TRIED_AGAIN {
            self.tally.again.push((line, stanza));
            return;
        }
        self.tally.refused += 1;
        let title = stanza.title();
        if self.base.json {
            let json = serde_json::json!({ "object": title, "line": line, "refused": why });
            put(&json.to_string());
        } else {
            put(&format!("! {title} (line {line}): {why}"));
        }
    }
}

/// Goes through a file once.
fn pass(
    base: &Base,
    directory: &BaseDirectory,
    to: &mut Administrator,
    file: &Path,
    deed: Deed,
) -> io::Result<Tally> {
    let mut pass = Pass::new(base, directory, to, deed, Tally::default());
    let mut read = BufReader::new(File::open(file)?);
    let wrong = |error: &dyn std::fmt::Display| {
        io::Error::new(io::ErrorKind::InvalidData, format!("{}: {error}", file.display()))
    };
    let mut gatherer = Gatherer::default();
    let mut line = Vec::new();
    loop {
        line.clear();
        let limit = u64::try_from(MAX_STANZA).unwrap_or(u64::MAX) + 2;
        if io::Read::take(&mut read, limit).read_until(b'\n', &mut line)? == 0 {
            break;
        }
        if let Some((at, stanza)) = gatherer.line(&line).map_err(|error| wrong(&error))? {
            pass.take(at, stanza).map_err(|error| wrong(&error))?;
        }
    }
    gatherer.finish().map_err(|error| wrong(&error))?;
    pass.hand_over()?;
    pass.last = true;
    for (at, stanza) in std::mem::take(&mut pass.tally.again) {
        pass.take(at, stanza)?;
        pass.hand_over()?;
    }
    Ok(pass.tally)
}

fn summary(base: &Base, tally: &Tally, deed: Deed, only_here: u64) {
    let Tally { same, made, changed, refused, removed, .. } = tally;
    if base.json {
        let json = serde_json::json!({ "ok": *refused == 0, "same": same, "made": made,
            "changed": changed, "removed": removed, "refused": refused, "only_here": only_here,
            "applied": deed == Deed::Apply });
        put(&json.to_string());
    } else if deed == Deed::Compare {
        let more = if only_here > 0 {
            format!(", {only_here} here that are not in the file and stay")
        } else {
            String::new()
        };
        let gone = if *removed > 0 { format!("{removed} to be removed, ") } else { String::new() };
        put(&format!(
            "{made} to be made, {changed} to be changed, {gone}{same} the same, \
             {refused} refused{more}"
        ));
    } else {
        let gone = if *removed > 0 { format!("{removed} removed, ") } else { String::new() };
        put(&format!("{made} made, {changed} changed, {gone}{same} the same, {refused} refused"));
    }
}

/// Refuses to remove what a file does not name that names a part only.
fn wants_whole(file: &Path, removing: Removing) -> io::Result<()> {
    if removing.remove && !strays::is_whole(file)? {
        let text = format!(
            "{}: --remove wants a whole configuration, as export writes it",
            file.display()
        );
        return Err(io::Error::new(io::ErrorKind::InvalidData, text));
    }
    Ok(())
}

pub(super) fn diff(
    base: &Base,
    directory: &BaseDirectory,
    file: &Path,
    removing: Removing,
) -> io::Result<u8> {
    wants_whole(file, removing)?;
    let mut to = Administrator::reach(directory)?;
    let mut tally = pass(base, directory, &mut to, file, Deed::Compare)?;
    let mut only_here = 0;
    if removing.remove {
        tally = strays::remove(base, directory, &mut to, (Deed::Compare, removing), tally)?;
    } else {
        only_here = strays::tell_strays(base, &mut to, &tally)?;
    }
    summary(base, &tally, Deed::Compare, only_here);
    Ok(match tally {
        Tally { refused: 1.., .. } => REFUSED,
        Tally { made: 0, changed: 0, removed: 0, .. } if only_here == 0 => 0,
        _ => WRONG,
    })
}

pub(super) fn run(
    base: &Base,
    directory: &BaseDirectory,
    file: &Path,
    yes: bool,
    removing: Removing,
) -> io::Result<u8> {
    wants_whole(file, removing)?;
    let mut to = Administrator::reach(directory)?;
    if !yes {
        // What would change is shown first.
        let mut tally = pass(base, directory, &mut to, file, Deed::Compare)?;
        if removing.remove {
            tally = strays::remove(base, directory, &mut to, (Deed::Compare, removing), tally)?;
        }
        summary(base, &tally, Deed::Compare, 0);
        if tally.made + tally.changed + tally.removed == 0 {
            return Ok(if tally.refused == 0 { 0 } else { REFUSED });
        }
        if !agreed()? {
            tell("angarium: nothing was changed; --yes does it without asking");
            return Ok(REFUSED);
        }
    }
    let mut tally = pass(base, directory, &mut to, file, Deed::Apply)?;
    if removing.remove {
        if tally.refused == 0 {
            tally = strays::remove(base, directory, &mut to, (Deed::Apply, removing), tally)?;
        } else {
            tell("angarium: nothing was removed, as something was refused");
        }
    }
    summary(base, &tally, Deed::Apply, 0);
    Ok(if tally.refused == 0 { 0 } else { REFUSED })
}

/// Asks whoever sits at the terminal; nobody there has not agreed.
fn agreed() -> io::Result<bool> {
    if !io::stdin().is_terminal() {
        return Ok(false);
    }
    write!(io::stderr().lock(), "Make these changes? [y/N] ")?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}
