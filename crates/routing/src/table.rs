//! The Router table: records read from text, tried from top to bottom
//! (`reference/router.md` sections 3 and 4).

mod review;

use thiserror::Error;

use crate::address::{self, Address};
use crate::facts::RouteKind;
use crate::pattern::{self, Pattern};
use crate::suffix;

pub use review::Remark;

/// Longest table read, in bytes.
pub const MAX_TABLE: usize = 1024 * 1024;
/// Most records in a table.
pub const MAX_RECORDS: usize = 10_000;

/// The table of a new server (section 3.4).
pub const DEFAULT_TABLE: &str = "<root> = postmaster\nlocalhost =\nmailhost =\n\
                                 <blacklist-admin*@blacklisted> = postmaster\n";

/// Why a table is not taken.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("line {line} of the Router table: {what}")]
pub struct TableError {
    /// Line, from 1.
    pub line: usize,
    /// What is wrong.
    pub what: &'static str,
}

/// What a record permits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Grant {
    /// `Relay:`: for simple local parts.
    #[default]
    Simple,
    /// `RelayAll:`
    All,
    /// `NoRelay:`
    None,
}

#[derive(Clone, Debug, PartialEq)]
enum Left {
    Domain(Pattern),
    Account { name: Pattern, domain: Option<Pattern> },
}

#[derive(Clone, Debug)]
struct Record {
    line: usize,
    /// As written, without its comment.
    text: String,
    kind: Option<RouteKind>,
    grant: Grant,
    left: Left,
    right: String,
    /// The right side names a program.
    program: bool,
    /// Would let anybody choose the system to send to, so that it permits nothing.
    unbound: bool,
}

/// A table.
#[derive(Clone, Debug, Default)]
pub struct Table {
    records: Vec<Record>,
}

/// What a record made of an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rewrite<'t> {
    pub(crate) line: usize,
    pub(crate) text: &'t str,
    pub(crate) grant: Grant,
    pub(crate) program: bool,
    pub(crate) address: Address,
}

impl Table {
    /// Reads a table.
    ///
    /// # Errors
    /// [`TableError`] of the first line that is wrong.
    pub fn read(text: &str) -> Result<Self, TableError> {
        if text.len() > MAX_TABLE {
            return Err(TableError { line: 1, what: "the table is too long" });
        }
        let text = text.replace("\r\n", "\n").replace('\r', "\n");
        let mut records = Vec::new();
        for (index, line) in text.split('\n').enumerate() {
            let number = index + 1;
            let line = line.split(';').next().unwrap_or_default().trim();
            if line.is_empty() {
                continue;
            }
            if records.len() >= MAX_RECORDS {
                return Err(TableError { line: number, what: "there are too many records" });
            }
            records.push(record(line, number).map_err(|what| TableError { line: number, what })?);
        }
        Ok(Self { records })
    }

    /// The first record that changes the address.
    pub(crate) fn rewrite(
        &self,
        address: &Address,
        kind: RouteKind,
        main_domain: &str,
    ) -> Option<Rewrite<'_>> {
        self.records.iter().filter(|r| r.kind.is_none_or(|k| k == kind)).find_map(|record| {
            let new = record.apply(address, main_domain)?;
            let same =
                new.domain == address.domain && new.local.eq_ignore_ascii_case(&address.local);
            (!same).then_some(Rewrite {
                line: record.line,
                text: &record.text,
                grant: record.grant,
                program: record.program,
                address: new,
            })
        })
    }
}

/// A pattern of domains; a name in native characters is matched in its ACE form.
fn domain_pattern(text: &str) -> Result<Pattern, &'static str> {
    let text = text.trim();
    match angarium_objects::name::fold_domain(text) {
        Some(folded) if !text.is_ascii() => Pattern::read(&folded),
        _ => Pattern::read(text),
    }
}

fn strip_word<'t>(text: &'t str, word: &str) -> Option<&'t str> {
    let start = text.get(..word.len())?;
    start.eq_ignore_ascii_case(word).then(|| text.get(word.len()..))?.map(str::trim_start)
}

/// Takes the prefixes off a record: kind, permission and the rest.
fn prefixes(line: &str) -> Result<(Option<RouteKind>, Option<Grant>, &str), &'static str> {
    const KINDS: [(&str, RouteKind); 3] = [
        ("Mail:", RouteKind::Mail),
        ("Signal:", RouteKind::Signal),
        ("Access:", RouteKind::Access),
    ];
    const GRANTS: [(&str, Grant); 3] =
        [("RelayAll:", Grant::All), ("NoRelay:", Grant::None), ("Relay:", Grant::Simple)];
    let (mut kind, mut grant, mut rest) = (None, None, line);
    loop {
        let word = |word| strip_word(rest, word);
        if let Some((new, after)) = KINDS.iter().find_map(|(w, k)| Some((*k, word(w)?))) {
            if kind.replace(new).is_some() {
                return Err("there is more than one of Mail:, Signal: and Access:");
            }
            rest = after;
        } else if let Some((new, after)) = GRANTS.iter().find_map(|(w, g)| Some((*g, word(w)?))) {
            if grant.replace(new).is_some() {
                return Err("there is more than one of Relay:, NoRelay: and RelayAll:");
            }
            rest = after;
        } else {
            return Ok((kind, grant, rest));
        }
    }
}

fn record(line: &str, number: usize) -> Result<Record, &'static str> {
    let (kind, grant, rest) = prefixes(line)?;
    let (left, right) = if let Some(inner) = rest.strip_prefix('<') {
        let (inner, after) = inner.split_once('>').ok_or("the closing > is missing")?;
        let right = after.trim_start().strip_prefix('=').ok_or("an equals sign is missing")?;
        let left = match inner.rsplit_once('@') {
            Some((name, domain)) => Left::Account {
                name: Pattern::read(name.trim())?,
                domain: Some(domain_pattern(domain)?),
            },
            None => Left::Account { name: Pattern::read(inner.trim())?, domain: None },
        };
        (left, right)
    } else {
        let (left, right) = rest.split_once('=').ok_or("an equals sign is missing")?;
        (Left::Domain(domain_pattern(left)?), right)
    };
    let right = right.trim();
    let program = check_right(&left, right)?;
    let unbound = grant != Some(Grant::All) && is_unbound(&left, right);
    let grant = if unbound { Grant::None } else { grant.unwrap_or_default() };
    let (text, right) = (line.to_owned(), right.to_owned());
    Ok(Record { line: number, text, kind, grant, left, right, program, unbound })
}

/// Refuses right sides that can never make an address; tells whether one names a program.
fn check_right(left: &Left, right: &str) -> Result<bool, &'static str> {
    if right.len() > address::MAX_ADDRESS {
        return Err("the right side is too long");
    }
    let account = matches!(left, Left::Account { .. });
    if right.is_empty() {
        return if account { Err("an account record needs a right side") } else { Ok(false) };
    }
    if right.contains('*') && !left.takes_text() {
        return Err("there is a star on the right, and nothing on the left that it stands for");
    }
    let sample = pattern::fill(right, &["x"]);
    let sample = match (account, right.contains('@')) {
        (true, _) => sample,
        (false, true) => format!("x%{sample}"),
        (false, false) => format!("x@{sample}"),
    };
    let read = Address::read(&sample).map_err(|_| "the right side is not an address")?;
    if suffix::read(&read.domain) != Some(suffix::Suffix::Pipe) {
        return Ok(false);
    }
    if !account {
        return Err("a domain cannot lead to a program; write <*@domain> = \"program\"@pipe");
    }
    // The star must not decide which program runs, nor whether one does.
    let literal = Address::read(right).map_err(|_| "the right side is not an address")?;
    let word = literal.local.split_whitespace().next().unwrap_or_default();
    if word.is_empty() || word.contains('*') || literal.domain.contains('*') {
        return Err("a record that leads to a program must name it");
    }
    Ok(true)
}

/// True for records with which an outsider's own text would become the domain to send to, so
/// that anybody could reach any system through them.
fn is_unbound(left: &Left, right: &str) -> bool {
    let (name, domain) = match (left, right.rsplit_once('@')) {
        (_, Some((name, domain))) => (name, domain),
        (Left::Domain(_), None) => ("", right),
        (Left::Account { .. }, None) => (right, ""),
    };
    let mut domains = vec![suffix::strip(domain)];
    // Where the domain is cut off the envelope, the rest says where the message ends.
    let sample = pattern::fill(domain, &["x"]);
    let cut = suffix::literal(&sample).is_some()
        || matches!(suffix::read(&sample.to_ascii_lowercase()), Some(suffix::Suffix::Via(_)));
    match left {
        _ if !cut => {}
        Left::Domain(_) => domains.push(name),
        Left::Account { .. } => {
            domains.extend(name.split('%').skip(1));
            domains.extend(name.split('!').rev().skip(1));
        }
    }
    domains.iter().any(|domain| {
        // Two fixed labels at the end are somebody's domain; fewer are anybody's.
        domain.rsplit_once('*').is_some_and(|(_, end)| end.split('.').skip(1).count() < 2)
    })
}

impl Left {
    /// A star or digit group takes text.
    fn takes_text(&self) -> bool {
        match self {
            Self::Domain(domain) => domain.takes_text(),
            Self::Account { name, domain } => {
                name.takes_text() || domain.as_ref().is_some_and(Pattern::takes_text)
            }
        }
    }
}

/// True for text that outsiders may put into a program's parameters: a plain word, no option.
fn is_tame(text: &str) -> bool {
    !text.starts_with(['-', '.'])
        && text.chars().all(|c| c.is_alphanumeric() || matches!(c, '.' | '_' | '-' | '+' | '='))
}

impl Record {
    fn apply(&self, address: &Address, main_domain: &str) -> Option<Address> {
        match &self.left {
            Left::Domain(domain) => {
                let captures = domain.matches(&address.domain)?;
                let right = pattern::fill(&self.right, &captures);
                Some(match right.rsplit_once('@') {
                    Some((name, domain)) => {
                        Address::of(format!("{}%{name}", address.local), domain)
                    }
                    None if right.is_empty() => Address::of(address.local.clone(), main_domain),
                    None => Address::of(address.local.clone(), &right),
                })
            }
            Left::Account { name, domain } => {
                let mut captures = name.matches(&address.local)?;
                match domain {
                    Some(domain) => captures.append(&mut domain.matches(&address.domain)?),
                    None if address.domain == main_domain => {}
                    None => return None,
                }
                if self.program && !captures.iter().all(|text| is_tame(text)) {
                    return None;
                }
                Address::read(&pattern::fill(&self.right, &captures)).ok()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_blank_lines_say_nothing() {
        let table = Table::read("; all\r\n\r\na.dom = b.dom ; moved\r\n").unwrap();
        assert_eq!(table.records.len(), 1);
        assert_eq!(table.records[0].line, 3);
        assert_eq!(table.records[0].right, "b.dom");
    }

    #[test]
    fn a_wrong_line_is_named() {
        for (text, line) in
            [("a = b\nnonsense", 2), ("<a = b", 1), ("\r\n\r\n<a> =", 3), ("= x", 1)]
        {
            assert_eq!(Table::read(text).unwrap_err().line, line, "{text:?}");
        }
    }

    // RTE-08
    #[test]
    fn prefixes_come_in_any_order_and_case() {
        let table =
            Table::read("signal:noRELAY:<911@*> = emergency#pbx\nRelayAll:Mail:a = b").unwrap();
        assert_eq!(table.records[0].kind, Some(RouteKind::Signal));
        assert_eq!(table.records[0].grant, Grant::None);
        assert_eq!(table.records[1].kind, Some(RouteKind::Mail));
        assert_eq!(table.records[1].grant, Grant::All);
    }

    #[test]
    fn the_default_table_is_a_table() {
        assert_eq!(Table::read(DEFAULT_TABLE).unwrap().records.len(), 4);
    }
}
