//! From a mailbox name at the old server to its name at the new one (`reference/migration.md`
//! section 4). Pure.

pub mod map;

use std::collections::BTreeMap;

use crate::special_use::SpecialUse;
use map::{Mapped, NameMap};

/// The rules of one run.
#[derive(Clone, Debug, Default)]
pub struct NameRules {
    /// `--source`: taken off the front.
    pub source_prefix: String,
    /// `--target`: put in front.
    pub target_prefix: String,
    /// `--renameMailbox` and `--renameMailboxList`: exact old names (with `/`) and their new ones.
    pub renamed: BTreeMap<String, String>,
    /// `--mapFile`
    pub map: NameMap,
    /// `--keepNames`: nothing is rewritten for the sake of our own server (rule 4).
    pub keep: bool,
}

/// A mailbox of the old server, as the rules see it.
#[derive(Clone, Copy, Debug, Default)]
pub struct OldName<'a> {
    /// Its name in UTF-8.
    pub name: &'a str,
    /// The delimiter of its levels.
    pub delimiter: Option<char>,
    /// The prefix of the account's own namespace there (RFC 2342), such as `INBOX.`; it is no
    /// part of the name.
    pub own_prefix: &'a str,
    /// What it is for.
    pub role: Option<SpecialUse>,
}

/// What the rules make of a name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewName {
    /// The name at the new server, `/` between levels.
    pub name: String,
    /// Why it is another, in words; empty when only the delimiter changed.
    pub why: Vec<String>,
    /// The map says it is not to be copied.
    pub left_out: Option<String>,
    /// The user named it: nothing else may give it another name.
    pub by_word: bool,
}

impl NameRules {
    /// The target name of a source mailbox, `/` between levels.
    #[must_use]
    pub fn target_name(&self, name: &str, delimiter: Option<char>) -> String {
        self.translate(OldName { name, delimiter, ..OldName::default() }).name
    }

    /// The old name without delimiter and prefix: what people call it.
    #[must_use]
    pub fn bare(&self, old: OldName<'_>) -> String {
        let slashed = slashed(old.name, old.delimiter);
        let prefix =
            if self.source_prefix.is_empty() { old.own_prefix } else { &self.source_prefix };
        let prefix = prefix_slashed(prefix, old.delimiter);
        let bare = slashed.strip_prefix(&prefix).filter(|rest| !rest.is_empty());
        bare.unwrap_or(&slashed).to_owned()
    }

    /// The target name and why it is so. In this order: delimiter to `/`, prefix off, exact
    /// renames and the map (which end the matter), forbidden forms rewritten, prefix on.
    #[must_use]
    pub fn translate(&self, old: OldName<'_>) -> NewName {
        let bare = self.bare(old);
        let mut new = NewName::default();
        if bare != slashed(old.name, old.delimiter) {
            let prefix =
                if self.source_prefix.is_empty() { old.own_prefix } else { &self.source_prefix };
            new.why.push(format!("the prefix \"{prefix}\" is taken off"));
        }
        new.name =
            if let Some(name) = self.renamed.get(&bare).or_else(|| self.renamed.get(old.name)) {
                new.why.push("renamed by --renameMailbox".into());
                new.by_word = true;
                name.clone()
            } else if let Some(mapped) = self.map.of(&bare, old.role) {
                new.by_word = true;
                match mapped {
                    Mapped::To(name, line) => {
                        new.why.push(format!("line {line} of the map"));
                        name
                    }
                    Mapped::Leave(line) => {
                        new.left_out = Some(format!("line {line} of the map leaves it out"));
                        bare
                    }
                }
            } else {
                let allowed = if self.keep { kept(&bare) } else { allowed(&bare) };
                if !allowed.eq_ignore_ascii_case(&bare) {
                    new.why.push("characters or endings the new server would not take".into());
                }
                allowed
            };
        if !self.target_prefix.is_empty() {
            new.name.insert_str(0, &self.target_prefix);
            new.why.push(format!("--target {}", self.target_prefix));
        }
        new
    }
}

fn slashed(name: &str, delimiter: Option<char>) -> String {
    match delimiter {
        Some('/') | None => name.to_owned(),
        // A slash that is no delimiter there would become one here.
        Some(delimiter) => name.replace('/', "_").replace(delimiter, "/"),
    }
}

fn prefix_slashed(prefix: &str, delimiter: Option<char>) -> String {
    match delimiter {
        Some(d) if d != '/' => prefix.replace(d, "/"),
        _ => prefix.to_owned(),
    }
}

/// INBOX in its one spelling, everything else as it is.
fn kept(bare: &str) -> String {
    if bare.eq_ignore_ascii_case("INBOX") {
        return "INBOX".into();
    }
    match bare.split_once('/') {
        Some((first, rest)) if first.eq_ignore_ascii_case("INBOX") => format!("INBOX/{rest}"),
        _ => bare.to_owned(),
    }
}

/// The whole name in a form every server of ours takes.
fn allowed(bare: &str) -> String {
    let name = kept(bare);
    if name == "INBOX" {
        return name;
    }
    let levels: Vec<String> = name.split('/').map(allowed_level).collect();
    levels.join("/")
}

/// One level of a name in a form every server of ours takes (MIG-32 to MIG-34).
fn allowed_level(level: &str) -> String {
    let mut text = level.to_owned();
    for (ending, instead) in [(".mbox", "-mbox"), (".mdir", "-mdir"), (".mslc", "-mslc")] {
        if let Some(stem) = text.strip_suffix(ending) {
            text = format!("{stem}{instead}");
        }
    }
    if let Some(rest) = text.strip_prefix(['.', '~']) {
        text = format!("_{rest}");
    }
    let inner = text.trim_matches(' ');
    let (before, after) = if inner.is_empty() { (text.len(), 0) } else { ends_of(&text, inner) };
    let mut out = "_".repeat(before);
    out.extend(inner.chars().map(|c| match c {
        '\\' | '#' => '_',
        c if c.is_control() => '_',
        c => c,
    }));
    out.push_str(&"_".repeat(after));
    if out.is_empty() { "_".into() } else { out }
}

fn ends_of(text: &str, inner: &str) -> (usize, usize) {
    let before = text.len() - text.trim_start_matches(' ').len();
    (before, text.len() - before - inner.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(name: &str) -> String {
        NameRules::default().target_name(name, Some('/'))
    }

    #[test]
    fn mig_32_to_34_forbidden_forms_are_rewritten() {
        assert_eq!(plain("a.mbox"), "a-mbox");
        assert_eq!(plain("x/b.mdir"), "x/b-mdir");
        assert_eq!(plain(".x"), "_x");
        assert_eq!(plain("~y"), "_y");
        assert_eq!(plain(" #z\\ "), "__z__");
        assert_eq!(plain("a/ b"), "a/_b");
    }

    #[test]
    fn the_delimiter_becomes_a_slash_and_a_slash_in_a_name_does_not_split_it() {
        let rules = NameRules::default();
        assert_eq!(rules.target_name("A.B.C", Some('.')), "A/B/C");
        assert_eq!(rules.target_name("A/B.C", Some('.')), "A_B/C");
        assert_eq!(rules.target_name("inbox", Some('.')), "INBOX");
        assert_eq!(rules.target_name("Inbox.Sub", Some('.')), "INBOX/Sub");
    }

    #[test]
    fn mig_14_16_prefixes_come_off_and_on() {
        let rules = NameRules {
            source_prefix: "abc/".into(),
            target_prefix: "~user/".into(),
            ..NameRules::default()
        };
        assert_eq!(rules.target_name("abc/mail1", Some('/')), "~user/mail1");
        assert_eq!(rules.target_name("INBOX", Some('/')), "~user/INBOX");
        let foreign = NameRules { source_prefix: "~joe/".into(), ..NameRules::default() };
        assert_eq!(foreign.target_name("~joe/INBOX", Some('/')), "INBOX");
    }

    #[test]
    fn mig_29_an_exact_rename_ends_the_matter() {
        let mut rules = NameRules::default();
        rules.renamed.insert("Sent".into(), "Sent Items".into());
        rules.renamed.insert("a.b".into(), "c/d.mbox".into());
        assert_eq!(rules.target_name("Sent", Some('/')), "Sent Items");
        assert_eq!(rules.target_name("a.b", Some('.')), "c/d.mbox");
        assert_eq!(rules.target_name("Sent/x", Some('/')), "Sent/x");
    }

    #[test]
    fn the_namespace_of_courier_and_cyrus_is_no_part_of_a_name() {
        let rules = NameRules::default();
        let old = |name| OldName {
            name,
            delimiter: Some('.'),
            own_prefix: "INBOX.",
            ..OldName::default()
        };
        assert_eq!(rules.translate(old("INBOX.Sent.2024")).name, "Sent/2024");
        assert_eq!(rules.translate(old("INBOX")).name, "INBOX");
        assert_eq!(rules.translate(old("INBOX.Sent")).why.len(), 1);
        let given = NameRules { source_prefix: "INBOX.Sent.".into(), ..NameRules::default() };
        assert_eq!(given.translate(old("INBOX.Sent.2024")).name, "2024");
    }

    #[test]
    fn the_map_ends_the_matter_and_may_leave_a_mailbox_out() {
        let map = NameMap::parse("Old/*\tArchive/*\nJunk\t\n\\Sent\tSent Items\n").unwrap();
        let rules = NameRules { map, target_prefix: "~joe/".into(), ..NameRules::default() };
        let old = |name, role| OldName { name, delimiter: Some('/'), own_prefix: "", role };
        assert_eq!(rules.translate(old("Old/a.mbox", None)).name, "~joe/Archive/a.mbox");
        assert!(rules.translate(old("Junk", None)).left_out.is_some());
        assert_eq!(rules.translate(old("x", Some(SpecialUse::Sent))).name, "~joe/Sent Items");
    }

    #[test]
    fn names_are_kept_between_foreign_servers_if_asked() {
        let rules = NameRules { keep: true, ..NameRules::default() };
        assert_eq!(rules.target_name("#a.mbox", Some('/')), "#a.mbox");
        assert_eq!(rules.target_name("inbox/~x", Some('/')), "INBOX/~x");
    }
}
