//! Access rights carried over (RFC 4314 and its forerunner RFC 2086): letters of either kind into
//! letters of the other without granting more than was, identifiers into those of the new server,
//! and what could not be carried named.

use std::collections::BTreeMap;

use angarium_imap::client::{Untagged, write};

use crate::error::Result;
use crate::lanes::pipeline;
use crate::names::map::{Mapped, NameMap};
use crate::plan::Planned;
use crate::printable::printable;
use crate::session::{Answer, Session};

/// Longest identifier and letters shown in a remark, characters.
const SHOWN: usize = 120;

/// Which letters a server knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Letters {
    /// RFC 2086: `lrswipcda`.
    Old,
    /// RFC 4314: `lrswipkxtea`.
    New,
}

/// The rights `from` one server in the letters of another, and those that cannot be carried
/// because the nearest right there would grant more.
#[must_use]
pub(crate) fn translated(rights: &str, from: Letters, to: Letters) -> (String, String) {
    let has = |letter: char| rights.contains(letter);
    let mut out: String = "lrswip".chars().filter(|c| has(*c)).collect();
    let mut lost = String::new();
    // Servers of the new kind tell the old letters beside the new ones: those say nothing more.
    let fine = from == Letters::New && "kxte".chars().any(has);
    match to {
        Letters::New => {
            let from_old = !fine;
            for (letter, old) in [('k', 'c'), ('x', 'c'), ('t', 'd'), ('e', 'd')] {
                if has(letter) || (from_old && has(old)) {
                    out.push(letter);
                }
            }
        }
        Letters::Old if fine => {
            if has('k') {
                out.push('c');
            } else if has('x') {
                lost.push('x');
            }
            if has('t') && has('e') {
                out.push('d');
            } else {
                lost.extend("te".chars().filter(|c| has(*c)));
            }
        }
        Letters::Old => out.extend("cd".chars().filter(|c| has(*c))),
    }
    if has('a') {
        out.push('a');
    }
    lost.extend(rights.chars().filter(|c| !"lrswipkxtecda".contains(*c)));
    (out, lost)
}

/// What becomes of an identifier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Identifier {
    /// This one at the new server.
    Is(String),
    /// The owner, who has his rights without being told.
    Owner,
    /// Left out by the map.
    LeftOut,
}

/// Translates an identifier: the owner is nobody's business, the map (if any) names the rest, and
/// what it does not name keeps its name. A `-` in front (rights taken away) stays in front.
#[must_use]
pub(crate) fn identifier(name: &str, owner: &str, map: &NameMap) -> Identifier {
    let (minus, bare) = match name.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", name),
    };
    match map.of(bare, None) {
        Some(Mapped::To(new, _)) => Identifier::Is(format!("{minus}{new}")),
        Some(Mapped::Leave(_)) => Identifier::LeftOut,
        None if bare.eq_ignore_ascii_case("owner") || bare.eq_ignore_ascii_case(owner) => {
            Identifier::Owner
        }
        None => Identifier::Is(name.to_owned()),
    }
}

/// Copies the access rights of all mailboxes of the plan. `owner` is who the mailboxes belong to
/// at the old server. Answers how many were set; what was not is in `remarks`.
pub(crate) async fn carry(
    source: &mut Session,
    target: &mut Session,
    plan: &[Planned],
    owner: &str,
    map: &NameMap,
    remarks: &mut Vec<String>,
) -> Result<u64> {
    if !source.has("ACL") || !target.has("ACL") {
        return Ok(0);
    }
    let letters = (letters(source), letters(target));
    let boxes: Vec<&Planned> = plan.iter().filter(|p| p.selectable).collect();
    let names = |wire: fn(&Planned) -> &[u8]| boxes.iter().map(|p| wire(p)).collect::<Vec<_>>();
    let (ours, theirs) = (names(|p| &p.source_wire), names(|p| &p.target_wire));
    let (old, new) = tokio::try_join!(asked(source, &ours), asked(target, &theirs))?;
    let (mut lines, mut what) = (Vec::new(), Vec::new());
    for ((planned, rights), there) in boxes.iter().zip(old).zip(new) {
        for (identifier, rights) in wanted(&rights, letters, owner, map, planned, remarks) {
            let equal = |(name, has): &(String, String)| {
                *name == identifier && translated(has, letters.1, letters.1).0 == rights
            };
            if there.iter().any(equal) {
                continue;
            }
            let words = format!("{} {rights}", printable(&identifier, SHOWN));
            match set(&planned.target_wire, &identifier, &rights) {
                Some(line) => {
                    lines.push(line);
                    what.push((planned.target.as_str(), words));
                }
                None => remarks.push(format!(
                    "access right not copied: {} {words}: it cannot be sent",
                    planned.target
                )),
            }
        }
    }
    let mut done = 0;
    for ((mailbox, words), answer) in what.into_iter().zip(target.pipeline(&lines).await?) {
        if answer.is_ok() {
            done += 1;
        } else {
            remarks.push(format!(
                "access right not copied: {mailbox} {words}: {} (name it with --mapIdentifier)",
                printable(&answer.text, SHOWN)
            ));
        }
    }
    Ok(done)
}

/// SETACL, unless an argument needs a literal: identifiers beyond ASCII are not carried.
fn set(mailbox: &[u8], identifier: &str, rights: &str) -> Option<Vec<u8>> {
    let mut line = pipeline::line("SETACL", mailbox, " ")?;
    if write::string(&mut line, identifier.as_bytes(), false).is_some() {
        return None;
    }
    line.push(b' ');
    line.extend_from_slice(rights.as_bytes());
    Some(line)
}

fn letters(session: &Session) -> Letters {
    let new = session.capabilities().iter().any(|c| c.starts_with("RIGHTS="));
    if new { Letters::New } else { Letters::Old }
}

/// The access rights of each mailbox; none where the server tells none.
async fn asked(session: &mut Session, names: &[&[u8]]) -> Result<Vec<Vec<(String, String)>>> {
    let lines: Vec<Vec<u8>> = names
        .iter()
        .map(|name| pipeline::line("GETACL", name, "").unwrap_or_else(|| b"NOOP".to_vec()))
        .collect();
    let answers = session.pipeline(&lines).await?;
    let rights = |answer: Answer| {
        answer.untagged.into_iter().find_map(|untagged| match untagged {
            Untagged::Acl(_, pairs) => Some(pairs),
            _ => None,
        })
    };
    Ok(answers.into_iter().map(|answer| rights(answer).unwrap_or_default()).collect())
}

fn wanted(
    theirs: &[(String, String)],
    (from, to): (Letters, Letters),
    owner: &str,
    map: &NameMap,
    planned: &Planned,
    remarks: &mut Vec<String>,
) -> BTreeMap<String, String> {
    let mut all: BTreeMap<String, String> = BTreeMap::new();
    for (name, rights) in theirs {
        let Identifier::Is(new) = identifier(name, owner, map) else { continue };
        let (carried, lost) = translated(rights, from, to);
        if !lost.is_empty() {
            remarks.push(format!(
                "access right not copied: {} {}: the new server has nothing for \"{}\"",
                planned.target,
                printable(name, SHOWN),
                printable(&lost, SHOWN)
            ));
        }
        if carried.is_empty() {
            continue;
        }
        // Two identifiers that become one have the rights of both.
        let entry = all.entry(new).or_default();
        let both: String = "lrswipkxtecda"
            .chars()
            .filter(|c| entry.contains(*c) || carried.contains(*c))
            .collect();
        *entry = both;
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mig_10_letters_of_both_kinds_without_granting_more() {
        use Letters::{New, Old};
        let to = |rights, from, to| translated(rights, from, to).0;
        assert_eq!(to("lrswipcda", Old, New), "lrswipkxtea");
        assert_eq!(to("lrswipkxtecda", New, Old), "lrswipcda");
        assert_eq!(to("lrswipkxtecda", New, New), "lrswipkxtea");
        assert_eq!(to("lrs", New, Old), "lrs");
        assert_eq!(to("lrd", Old, Old), "lrd");
        assert_eq!(translated("lrt", New, Old), ("lr".into(), "t".into()));
        assert_eq!(translated("lrx", New, Old), ("lr".into(), "x".into()));
        assert_eq!(translated("lr0n", New, New), ("lr".into(), "0n".into()));
    }

    #[test]
    fn mig_10_owners_groups_and_rights_taken_away() {
        let map =
            NameMap::parse("*@old.example\t*@new.example\n$staff\t#staff\nghost\t\n").unwrap();
        let is = |name: &str| Identifier::Is(name.into());
        assert_eq!(identifier("joe", "JOE", &map), Identifier::Owner);
        assert_eq!(identifier("owner", "joe", &map), Identifier::Owner);
        assert_eq!(identifier("ann@old.example", "joe", &map), is("ann@new.example"));
        assert_eq!(identifier("-$staff", "joe", &map), is("-#staff"));
        assert_eq!(identifier("ghost", "joe", &map), Identifier::LeftOut);
        assert_eq!(identifier("anyone", "joe", &map), is("anyone"));
    }
}
