//! What is odd in a table that is well formed: records that can never be reached, records that lead
//! round in a circle, and records that give nobody the right to relay although they look as if they
//! did. Advice only: it must never
//! change what a table does.

use crate::address::Address;
use crate::facts::RouteKind;
use crate::router::MAX_REWRITES;

use super::{Left, Record, Table};

/// Most remarks made on one table.
const MAX_REMARKS: usize = 100;
/// Most comparisons of records; behind them a table is too long to be looked through.
const MAX_COMPARED: usize = 2_000_000;

/// A remark on a line of the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remark {
    /// The line, from 1.
    pub line: usize,
    /// What is odd, for people.
    pub what: String,
}

impl Table {
    /// Looks the table through for what its author probably did not mean.
    #[must_use]
    pub fn review(&self, main_domain: &str) -> Vec<Remark> {
        let mut remarks = Vec::new();
        let mut compared = 0usize;
        let mut walked = 0usize;
        for (index, later) in self.records.iter().enumerate() {
            compared = compared.saturating_add(index);
            let before = if compared > MAX_COMPARED { 0 } else { index };
            let mut before = self.records.iter().take(before);
            let hidden = before.find(|one| hides(one, later, main_domain));
            if let Some(earlier) = hidden {
                let what = format!(
                    "is never reached: line {} takes every address it is for ({})",
                    earlier.line, earlier.text
                );
                remarks.push(Remark { line: later.line, what });
            } else if walked < MAX_COMPARED && self.is_circle(later, main_domain, &mut walked) {
                let what =
                    "leads round in a circle: what it makes of an address comes to it again, \
                            so that all of its mail is refused; name the domain on the left, or \
                            put an exception in front"
                        .to_owned();
                remarks.push(Remark { line: later.line, what });
            } else if later.unbound {
                let what = "gives nobody the right to relay, because the address itself would \
                            choose the system to send to; RelayAll: in front of it would"
                    .to_owned();
                remarks.push(Remark { line: later.line, what });
            }
            if remarks.len() >= MAX_REMARKS {
                break;
            }
        }
        remarks
    }

    /// True when an address that a record is the first for never comes out of the table. Counts
    /// the records looked at.
    fn is_circle(&self, record: &Record, main_domain: &str, walked: &mut usize) -> bool {
        let kind = record.kind.unwrap_or(RouteKind::Mail);
        let (local, domain) = match &record.left {
            Left::Domain(domain) => ("x".to_owned(), domain.sample()),
            Left::Account { name, domain: Some(domain) } => (name.sample(), domain.sample()),
            Left::Account { name, domain: None } => (name.sample(), main_domain.to_owned()),
        };
        let mut address = Address::of(local, &domain);
        for turn in 0..=MAX_REWRITES {
            *walked = walked.saturating_add(self.records.len());
            let Some(rewrite) = self.rewrite(&address, kind, main_domain) else { return false };
            if turn == 0 && rewrite.line != record.line {
                return false;
            }
            address = rewrite.address;
            // The next system in the local part comes to the table as an address of its own.
            if address.domain == main_domain
                && let Some(inner) = address.inner()
            {
                address = inner;
            }
        }
        true
    }
}

/// True when no address can come as far as the later record.
fn hides(earlier: &Record, later: &Record, main_domain: &str) -> bool {
    let kinds = earlier.kind.is_none() || earlier.kind == later.kind;
    // Records for programs leave out addresses that are not plain words.
    kinds
        && !earlier.program
        && covers(&earlier.left, &later.left, main_domain)
        && !lets_through(earlier, later, main_domain)
}

fn covers(earlier: &Left, later: &Left, main_domain: &str) -> bool {
    match (earlier, later) {
        (Left::Domain(one), Left::Domain(other))
        | (Left::Domain(one), Left::Account { domain: Some(other), .. }) => one.covers(other),
        (Left::Domain(one), Left::Account { domain: None, .. }) => {
            !main_domain.is_empty() && one.matches(main_domain).is_some()
        }
        (Left::Account { .. }, Left::Domain(_)) => false,
        (
            Left::Account { name, domain },
            Left::Account { name: other_name, domain: other_domain },
        ) => {
            name.covers(other_name)
                && match (domain, other_domain) {
                    (None, None) => true,
                    (Some(one), Some(other)) => one.covers(other),
                    (Some(one), None) => {
                        !main_domain.is_empty() && one.matches(main_domain).is_some()
                    }
                    (None, Some(_)) => false,
                }
        }
    }
}

/// A record whose result is what came in is skipped: true when that can happen to an address the
/// later record is for.
fn lets_through(earlier: &Record, later: &Record, main_domain: &str) -> bool {
    if earlier.right.contains('*') {
        // Exact only for the plain case; a remark less is better than a wrong one.
        let left = earlier.text.split('=').next().unwrap_or_default();
        return left.contains(earlier.right.as_str());
    }
    match &earlier.left {
        Left::Domain(_) if earlier.right.contains('@') => false,
        Left::Domain(one) => {
            let to = if earlier.right.is_empty() { main_domain } else { &earlier.right };
            one.matches(to).is_some() && later_takes_domain(&later.left, to, main_domain)
        }
        Left::Account { .. } => {
            let Ok(mut to) = Address::read(&earlier.right) else { return false };
            if to.domain.is_empty() {
                main_domain.clone_into(&mut to.domain);
            }
            let takes = |record: &Record| match &record.left {
                Left::Account { name, domain } => {
                    name.matches(&to.local).is_some()
                        && match domain {
                            Some(domain) => domain.matches(&to.domain).is_some(),
                            None => to.domain == main_domain,
                        }
                }
                Left::Domain(domain) => domain.matches(&to.domain).is_some(),
            };
            takes(earlier) && takes(later)
        }
    }
}

fn later_takes_domain(later: &Left, domain: &str, main_domain: &str) -> bool {
    match later {
        Left::Domain(pattern) | Left::Account { domain: Some(pattern), .. } => {
            pattern.matches(domain).is_some()
        }
        Left::Account { domain: None, .. } => domain == main_domain,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The lines remarked on.
    fn lines(table: &str) -> Vec<usize> {
        Table::read(table).unwrap().review("main.dom").into_iter().map(|r| r.line).collect()
    }

    #[test]
    fn records_behind_one_that_takes_all_their_addresses_are_named() {
        for table in [
            "a.dom = b.dom\nA.DOM = c.dom",
            "*.dom.com = b.dom\nx.dom.com = c.dom",
            "*.dom.com = b.dom\n<joe@x.dom.com> = c@c.dom",
            "<*@a.dom> = x@b.dom\n<joe@a.dom> = c@c.dom",
            "<joe@*> = x@b.dom\n<joe> = c@c.dom",
            "main.dom = b.dom\n<joe> = c@c.dom",
            "a.dom = b.dom\nMail:a.dom = c.dom",
        ] {
            assert_eq!(lines(table), [2], "{table}");
        }
    }

    #[test]
    fn records_that_can_be_reached_are_not() {
        for table in [
            // An exception in front of a general record.
            "sp.client.com = sp.client.com._via\n*.client.com = client1.local",
            "Mail:a.dom = b.dom\na.dom = c.dom",
            "<joe@a.dom> = x@b.dom\na.dom = c.dom",
            "<joe> = x@b.dom\n<joe@a.dom> = c@c.dom",
            // The first leaves its own result alone.
            "*.client.com = mail.client.com\nmail.client.com = [192.0.2.1]",
            "<*@a.dom> = joe@a.dom\n<joe@a.dom> = x@b.dom",
            "<*@a.dom> = \"store\"@pipe\n<joe@a.dom> = x@b.dom",
            crate::DEFAULT_TABLE,
        ] {
            assert_eq!(lines(table), [0usize; 0], "{table}");
        }
    }

    #[test]
    fn records_that_would_make_an_open_relay_are_named() {
        for record in [
            "* = *@smart.dom._via",
            "*.old.dom = *",
            "*.com = *.com@smart.dom._via",
            "*.dom.com = *@smart.dom._via",
            "<x-*@a.dom> = y%*@b.dom._via",
            "<info@*> = info@*",
            "<info@*> = *!info@[192.0.2.1]",
        ] {
            assert_eq!(lines(record), [1], "{record}");
            assert!(Table::read(record).unwrap().records[0].grant == super::super::Grant::None);
            let circle = record.starts_with("* =");
            let left = if circle { vec![1] } else { Vec::new() };
            assert_eq!(lines(&format!("RelayAll:{record}")), left, "{record}");
        }
        for record in [
            "*.old.dom = *.new.dom",
            "*.client.com = *.client.com@relay.dom._via",
            "<sales-*@a.dom> = *-sales@b.dom",
            "<abuse@*> = postmaster",
            "*.domain.dom = *@domain.dom",
        ] {
            assert_eq!(lines(record), [0usize; 0], "{record}");
        }
    }

    #[test]
    fn records_that_lead_round_in_a_circle_are_named() {
        for table in [
            // Its own result is matched again, whatever the address was.
            "RelayAll:* = *@smart.dom._via",
            "* = x@smart.dom._via",
            "<*@a.dom> = x*@a.dom",
            "a.dom = b.dom\nb.dom = a.dom",
        ] {
            let read = Table::read(table).unwrap().review("main.dom");
            assert_eq!(read[0].line, 1, "{table}");
            assert!(read[0].what.contains("circle"), "{table}");
        }
        for table in [
            "smart.dom._via = smart.dom._via\n*.dom = *.dom@smart.dom._via",
            "<*@a.dom> = *@b.dom\n<*@b.dom> = x@c.dom",
            "*.com = x.org\n*.org = x.net",
            "<(3d)@a.dom> = n*@a.dom",
        ] {
            let read = Table::read(table).unwrap().review("main.dom");
            assert!(read.iter().all(|r| !r.what.contains("circle")), "{table}: {read:?}");
        }
    }

    #[test]
    fn a_long_table_is_looked_through_in_bounded_time() {
        let table: String = (0..10_000).map(|n| format!("<n{n}@a.dom> = m@b.dom\n")).collect();
        assert_eq!(lines(&table), [0usize; 0]);
    }
}
