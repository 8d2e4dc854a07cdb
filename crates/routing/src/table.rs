//! The Router table: records read from text, tried from top to bottom
//! (`reference/router.md` sections 3 and 4).

use thiserror::Error;

use crate::address::Address;
use crate::pattern::{self, Pattern};
use crate::router::RouteKind;

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

#[derive(Clone, Debug)]
enum Left {
    Domain(Pattern),
    Account { name: Pattern, domain: Option<Pattern> },
}

#[derive(Clone, Debug)]
struct Record {
    line: usize,
    kind: Option<RouteKind>,
    grant: Grant,
    left: Left,
    right: String,
}

/// A table.
#[derive(Clone, Debug, Default)]
pub struct Table {
    records: Vec<Record>,
}

/// What a record made of an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rewrite {
    pub(crate) line: usize,
    pub(crate) grant: Grant,
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
    ) -> Option<Rewrite> {
        self.records.iter().filter(|r| r.kind.is_none_or(|k| k == kind)).find_map(|record| {
            let new = record.apply(address, main_domain)?;
            let same =
                new.domain == address.domain && new.local.eq_ignore_ascii_case(&address.local);
            (!same).then_some(Rewrite { line: record.line, grant: record.grant, address: new })
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

fn record(line: &str, number: usize) -> Result<Record, &'static str> {
    let (mut kind, mut grant) = (None, Grant::default());
    let mut rest = line;
    loop {
        if let Some(after) = strip_word(rest, "RelayAll:") {
            (grant, rest) = (Grant::All, after);
        } else if let Some(after) = strip_word(rest, "NoRelay:") {
            (grant, rest) = (Grant::None, after);
        } else if let Some(after) = strip_word(rest, "Relay:") {
            (grant, rest) = (Grant::Simple, after);
        } else if let Some(after) = strip_word(rest, "Mail:") {
            (kind, rest) = (Some(RouteKind::Mail), after);
        } else if let Some(after) = strip_word(rest, "Signal:") {
            (kind, rest) = (Some(RouteKind::Signal), after);
        } else if let Some(after) = strip_word(rest, "Access:") {
            (kind, rest) = (Some(RouteKind::Access), after);
        } else {
            break;
        }
    }
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
    if right.len() > crate::address::MAX_ADDRESS {
        return Err("the right side is too long");
    }
    if matches!(left, Left::Account { .. }) && right.is_empty() {
        return Err("an account record needs a right side");
    }
    Ok(Record { line: number, kind, grant, left, right: right.to_owned() })
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
