//! From a mailbox name at the old server to its name at the new one (`reference/migration.md`
//! section 4). Pure.

use std::collections::BTreeMap;

/// The rules of one run.
#[derive(Clone, Debug, Default)]
pub struct NameRules {
    /// `--source`: taken off the front.
    pub source_prefix: String,
    /// `--target`: put in front.
    pub target_prefix: String,
    /// `--renameMailbox` and `--renameMailboxList`: exact old names (with `/`) and their new ones.
    pub renamed: BTreeMap<String, String>,
}

impl NameRules {
    /// The target name of a source mailbox, `/` between levels. In this order: delimiter to `/`,
    /// prefix off, exact renames (which end the matter), forbidden forms rewritten, prefix on.
    #[must_use]
    pub fn target_name(&self, name: &str, delimiter: Option<char>) -> String {
        let slashed = match delimiter {
            Some('/') | None => name.to_owned(),
            // A slash that is no delimiter there would become one here.
            Some(delimiter) => name.replace('/', "_").replace(delimiter, "/"),
        };
        let prefix = match delimiter {
            Some(d) if d != '/' => self.source_prefix.replace(d, "/"),
            _ => self.source_prefix.clone(),
        };
        let bare = slashed.strip_prefix(&prefix).filter(|rest| !rest.is_empty());
        let bare = bare.unwrap_or(&slashed);
        if let Some(new) = self.renamed.get(bare).or_else(|| self.renamed.get(name)) {
            return format!("{}{new}", self.target_prefix);
        }
        if bare.eq_ignore_ascii_case("INBOX") {
            return format!("{}INBOX", self.target_prefix);
        }
        let mut levels: Vec<String> = bare.split('/').map(allowed_level).collect();
        if levels.len() > 1 && levels[0].eq_ignore_ascii_case("INBOX") {
            levels[0] = "INBOX".into();
        }
        format!("{}{}", self.target_prefix, levels.join("/"))
    }
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
}
