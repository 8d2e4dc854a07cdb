//! From what both servers told to the plan: which mailboxes, under which names, made with which
//! use, and why others are left out. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use angarium_imap::client::ListItem;

use super::{LeftOut, Plan, Planned, SourceSide, TargetSide};
use crate::labels::Labels;
use crate::names::map::fits;
use crate::names::{NewName, OldName};
use crate::namespaces::{self, Whose};
use crate::options::selection::Choice;
use crate::presets::{GmailLabels, Preset};
use crate::printable::printable;
use crate::special_use::SpecialUse;

/// Longest level of a name that servers keeping mail in directories can take, octets.
const LONGEST_LEVEL: usize = 255;
/// Longest name shown, characters.
const SHOWN: usize = 300;

/// Decides.
pub(super) fn plan(source: &SourceSide, target: &TargetSide, choice: &Choice) -> Plan {
    let mut plan = Plan { subscribed_before: target.subscribed.clone(), ..Plan::default() };
    let deciding = Deciding::new(source, target, choice, &mut plan.remarks);
    for item in source.listed.iter().filter(|item| !item.name.is_empty()) {
        match deciding.reason_to_leave(item) {
            Some(reason) => {
                plan.skipped.push(LeftOut { name: printable(&item.name, SHOWN), reason });
            }
            None => plan.mailboxes.push(deciding.planned(item)),
        }
    }
    deciding.uses(&mut plan.mailboxes);
    deciding.labels(&mut plan.mailboxes);
    plan.mailboxes.sort_by(|a, b| a.target.cmp(&b.target).then_with(|| a.source.cmp(&b.source)));
    merges(&mut plan);
    if choice.subscriptions {
        plan.subscribed = deciding.subscribed(&plan);
    }
    deciding.words_without_effect(&mut plan.remarks);
    plan
}

struct Deciding<'a> {
    source: &'a SourceSide,
    target: &'a TargetSide,
    choice: &'a Choice,
    own_prefix: &'a str,
    preset: Option<Preset>,
    keywords: bool,
    roles: BTreeMap<&'a [u8], SpecialUse>,
    target_roles: BTreeMap<SpecialUse, String>,
    subscribed: BTreeSet<&'a [u8]>,
    there: BTreeSet<&'a [u8]>,
}

impl<'a> Deciding<'a> {
    fn new(
        source: &'a SourceSide,
        target: &'a TargetSide,
        choice: &'a Choice,
        remarks: &mut Vec<String>,
    ) -> Self {
        let plain = choice.no_namespace || !choice.rules.source_prefix.is_empty();
        let own_prefix = if plain { "" } else { namespaces::own_prefix(&source.namespaces) };
        let preset = choice.preset.or(source.gmail.then_some(Preset::Gmail));
        let has_all = source.listed.iter().any(|i| announced(i) == Some(SpecialUse::All));
        let wanted = source.gmail && choice.labels == Some(GmailLabels::Keywords);
        if wanted && !has_all {
            remarks.push(
                "\"All Mail\" is not shown over IMAP (settings of Gmail): labels become mailboxes, \
                 or messages would be lost"
                    .into(),
            );
        }
        let mut deciding = Self {
            source,
            target,
            choice,
            own_prefix,
            preset,
            keywords: wanted && has_all,
            roles: BTreeMap::new(),
            target_roles: BTreeMap::new(),
            subscribed: source.subscribed.iter().map(|i| i.wire_name.as_slice()).collect(),
            there: target.listed.iter().map(|i| i.wire_name.as_slice()).collect(),
        };
        deciding.roles = roles(&source.listed, |item| deciding.bare(item));
        deciding.target_roles = roles(&target.listed, |item| deciding.bare_there(item))
            .into_iter()
            .filter_map(|(wire, role)| {
                let item = target.listed.iter().find(|i| i.wire_name == wire)?;
                Some((role, deciding.bare_there(item)))
            })
            .collect();
        deciding
    }

    fn bare(&self, item: &ListItem) -> String {
        self.choice.rules.bare(self.old(item, None))
    }

    fn old<'i>(&'i self, item: &'i ListItem, role: Option<SpecialUse>) -> OldName<'i> {
        OldName { name: &item.name, delimiter: item.delimiter, own_prefix: self.own_prefix, role }
    }

    /// A name of the new server with `/` between levels, without its namespace and `--target`.
    fn bare_there(&self, item: &ListItem) -> String {
        let prefix = match self.choice.rules.target_prefix.as_str() {
            "" => namespaces::own_prefix(&self.target.namespaces),
            given => given,
        };
        let bare = item.name.strip_prefix(prefix).unwrap_or(&item.name);
        match item.delimiter {
            Some(d) if d != '/' => bare.replace(d, "/"),
            _ => bare.to_owned(),
        }
    }

    fn role(&self, item: &ListItem) -> Option<SpecialUse> {
        self.roles.get(item.wire_name.as_slice()).copied()
    }

    fn reason_to_leave(&self, item: &ListItem) -> Option<String> {
        let choice = self.choice;
        let bare = self.bare(item);
        if item.has("\\NonExistent") {
            return Some("it does not exist".into());
        }
        if choice.skip.iter().any(|word| is_meant(word, item, &bare)) {
            return Some("--skipMailbox".into());
        }
        if choice.only_subscribed && !self.subscribed.contains(item.wire_name.as_slice()) {
            return Some("not subscribed".into());
        }
        // Whoever names a place means it.
        let named = choice.others
            || choice.no_namespace
            || !choice.rules.source_prefix.is_empty()
            || choice.pattern != "*";
        if !named {
            match namespaces::whose(&self.source.namespaces, &item.name) {
                Whose::Own => {}
                Whose::AnotherUsers => {
                    return Some("it belongs to another user (--others takes it)".into());
                }
                Whose::Shared => return Some("it is a shared one (--others takes it)".into()),
            }
        }
        let role = self.role(item);
        let translated = choice.rules.translate(self.old(item, role));
        if let Some(reason) = translated.left_out {
            return Some(reason);
        }
        if translated.by_word {
            return None;
        }
        if let Some(reason) = self.preset.and_then(|preset| preset.leaves_out(&bare)) {
            return Some(reason.into());
        }
        self.gmail_reason(item, role)
    }

    fn gmail_reason(&self, item: &ListItem, role: Option<SpecialUse>) -> Option<String> {
        if self.preset != Some(Preset::Gmail) {
            return None;
        }
        if matches!(role, Some(SpecialUse::Flagged | SpecialUse::Important)) {
            return Some("a view: its messages are in other mailboxes".into());
        }
        let bare = self.bare(item);
        let in_gmail = gmail_rest(&bare).is_some();
        if item.has("\\Noselect") && !bare.contains('/') && is_gmail_root(&bare) {
            return Some("it holds no messages of its own".into());
        }
        if self.keywords && role.is_none() && !in_gmail && !bare.eq_ignore_ascii_case("INBOX") {
            return Some("a label: its messages come with a keyword (--gmailLabels)".into());
        }
        None
    }

    fn planned(&self, item: &ListItem) -> Planned {
        let role = self.role(item);
        let mut new = self.choice.rules.translate(self.old(item, role));
        if !new.by_word {
            self.map_by_use(item, role, &mut new);
        }
        let (spelled, changed) = self.spelled(&new.name);
        if changed {
            let d = self.target.delimiter;
            new.why.push(format!("\"{d}\" separates levels at the new server"));
        }
        if new.name.split('/').any(|level| level.len() > LONGEST_LEVEL) {
            new.why.push(format!(
                "warning: a level of more than {LONGEST_LEVEL} octets, which many servers refuse"
            ));
        }
        let target_wire = self.target.spelling.wire(&spelled);
        Planned {
            source: printable(&item.name, SHOWN),
            source_wire: item.wire_name.clone(),
            exists: self.there.contains(target_wire.as_slice()),
            target: new.name,
            target_wire,
            selectable: !item.has("\\Noselect"),
            role,
            why: new.why,
            ..Planned::default()
        }
    }

    /// `--automap` and Gmail: the mailbox of a use, and what is below it, goes where the new
    /// server keeps that use.
    fn map_by_use(&self, item: &ListItem, role: Option<SpecialUse>, new: &mut NewName) {
        let bare = self.bare(item);
        let gmail = self.preset == Some(Preset::Gmail);
        let own = self.choice.rules.target_prefix.as_str();
        let there = |role: SpecialUse| {
            let role = if role == SpecialUse::All { SpecialUse::Archive } else { role };
            self.target_roles.get(&role).cloned()
        };
        if self.choice.automap || gmail {
            // The nearest mailbox above, or this one, that has a use.
            let above = self.source.listed.iter().filter_map(|other| {
                let role = self.role(other)?;
                let name = self.bare(other);
                let rest = bare.strip_prefix(&name)?;
                (rest.is_empty() || rest.starts_with('/')).then(|| (rest.to_owned(), role))
            });
            if let Some((rest, role)) = above.min_by_key(|(rest, _)| rest.len()) {
                let default = || match gmail {
                    true => Some(Preset::Gmail.name_of(role).to_owned()),
                    false => None,
                };
                if let Some(name) = there(role).or_else(default) {
                    let mapped = format!("{own}{name}{rest}");
                    if mapped != new.name {
                        new.why.push(format!("the new server's {}", role.attribute()));
                        new.name = mapped;
                    }
                    return;
                }
            }
        }
        if gmail && let Some(rest) = gmail_rest(&bare) {
            let rest = self.choice.rules.target_name(rest, Some('/'));
            new.why.push("\"[Gmail]/\" is taken off".into());
            new.name = rest;
            return;
        }
        if let Some(role) = role
            && let Some(other) = there(role)
            && other != new.name.strip_prefix(own).unwrap_or(&new.name)
            && !role.is_view()
        {
            new.why.push(format!(
                "hint: the new server has \"{}\" for {}; --automap would copy into it",
                printable(&other, SHOWN),
                role.attribute()
            ));
        }
    }

    /// The name in the new server's levels and namespace; true if a character had to give way.
    fn spelled(&self, name: &str) -> (String, bool) {
        let delimiter = self.target.delimiter;
        let (mut spelled, mut changed) = (name.to_owned(), false);
        if delimiter != '/' {
            // A target with another delimiter cannot have it inside a level.
            changed = name.contains(delimiter);
            spelled = name.replace(delimiter, "_").replace('/', &delimiter.to_string());
        }
        let prefix = namespaces::own_prefix(&self.target.namespaces);
        let in_place = spelled == "INBOX"
            || prefix.is_empty()
            || spelled.starts_with(prefix)
            || !self.choice.rules.target_prefix.is_empty();
        if !in_place {
            spelled.insert_str(0, prefix);
        }
        (spelled, changed)
    }

    /// A new mailbox is made with its use where the new server takes one and has none for it yet.
    fn uses(&self, mailboxes: &mut [Planned]) {
        if !self.target.takes_uses {
            return;
        }
        let mut given: BTreeSet<SpecialUse> = self.target_roles.keys().copied().collect();
        for planned in mailboxes.iter_mut().filter(|p| p.selectable && !p.exists) {
            let Some(role) = planned.role else { continue };
            let role = if role == SpecialUse::All { SpecialUse::Archive } else { role };
            if !role.is_view() && given.insert(role) {
                planned.create_use = Some(role);
            }
        }
    }

    fn labels(&self, mailboxes: &mut [Planned]) {
        if !self.source.gmail {
            return;
        }
        // The labels whose messages come with a mailbox of their own.
        let mut elsewhere: BTreeSet<String> = BTreeSet::new();
        for planned in mailboxes.iter().filter(|p| p.selectable) {
            let label = match planned.role {
                Some(SpecialUse::Sent) => "\\sent".to_owned(),
                Some(SpecialUse::Drafts) => "\\draft".to_owned(),
                Some(SpecialUse::Junk) => "\\spam".to_owned(),
                Some(SpecialUse::Trash) => "\\trash".to_owned(),
                Some(_) => continue,
                None if planned.source.eq_ignore_ascii_case("INBOX") => "\\inbox".to_owned(),
                None => planned.source.to_lowercase(),
            };
            if label == "\\draft" {
                elsewhere.insert("\\drafts".into());
            }
            elsewhere.insert(label);
        }
        let elsewhere = Arc::new(elsewhere);
        for planned in mailboxes {
            planned.labels = Labels {
                keywords: self.keywords,
                elsewhere: (planned.role == Some(SpecialUse::All)).then(|| elsewhere.clone()),
            };
        }
    }

    /// Subscribed names in the new server's spelling: copied ones under their new names, those
    /// that do not exist under the name they would have, those left out not at all.
    fn subscribed(&self, plan: &Plan) -> Vec<Vec<u8>> {
        let copied: BTreeMap<&[u8], &[u8]> = plan
            .mailboxes
            .iter()
            .map(|p| (p.source_wire.as_slice(), p.target_wire.as_slice()))
            .collect();
        let listed: BTreeSet<&[u8]> =
            self.source.listed.iter().map(|i| i.wire_name.as_slice()).collect();
        let mut all: Vec<Vec<u8>> = Vec::new();
        let mut seen = BTreeSet::new();
        for item in &self.source.subscribed {
            let wire = match copied.get(item.wire_name.as_slice()) {
                Some(wire) => wire.to_vec(),
                None if listed.contains(item.wire_name.as_slice()) => continue,
                None if self.reason_to_leave(item).is_some() => continue,
                None => self.planned(item).target_wire,
            };
            if seen.insert(wire.clone()) {
                all.push(wire);
            }
        }
        all
    }

    /// A name given by the user that no mailbox has is likely a slip of the pen.
    fn words_without_effect(&self, remarks: &mut Vec<String>) {
        let names: Vec<(String, &ListItem)> =
            self.source.listed.iter().map(|item| (self.bare(item), item)).collect();
        for word in &self.choice.skip {
            if !names.iter().any(|(bare, item)| is_meant(word, item, bare)) {
                remarks.push(format!("--skipMailbox {word}: there is no such mailbox"));
            }
        }
        for old in self.choice.rules.renamed.keys() {
            if !names.iter().any(|(bare, item)| bare == old || item.name == *old) {
                remarks.push(format!("--renameMailbox {old}: there is no such mailbox"));
            }
        }
    }
}

/// The use an attribute tells.
fn announced(item: &ListItem) -> Option<SpecialUse> {
    item.attributes.iter().find_map(|a| SpecialUse::of_attribute(a))
}

/// The use of each mailbox: as told; where a server tells of none for a use, by the usual names.
fn roles(listed: &[ListItem], bare: impl Fn(&ListItem) -> String) -> BTreeMap<&[u8], SpecialUse> {
    let mut roles = BTreeMap::new();
    let mut told = BTreeSet::new();
    for item in listed {
        if let Some(role) = announced(item)
            && !item.has("\\Noselect")
        {
            told.insert(role);
            roles.insert(item.wire_name.as_slice(), role);
        }
    }
    for item in listed {
        let Some(role) = SpecialUse::of_name(&bare(item)) else { continue };
        let named = roles.contains_key(item.wire_name.as_slice()) || item.has("\\Noselect");
        if !named && told.insert(role) {
            roles.insert(item.wire_name.as_slice(), role);
        }
    }
    roles
}

/// True when a word of the user means this mailbox: its name as people or as the server write it,
/// on the wire or not, or a pattern that fits.
fn is_meant(word: &str, item: &ListItem, bare: &str) -> bool {
    let inbox = bare.eq_ignore_ascii_case("INBOX") && word.eq_ignore_ascii_case("INBOX");
    inbox
        || word == bare
        || word == item.name
        || word.as_bytes() == item.wire_name
        || (word.contains(['*', '%']) && fits(word, bare))
}

fn is_gmail_root(name: &str) -> bool {
    matches!(name, "[Gmail]" | "[Google Mail]")
}

/// The name below `[Gmail]`.
fn gmail_rest(bare: &str) -> Option<&str> {
    let (root, rest) = bare.split_once('/')?;
    is_gmail_root(root).then_some(rest)
}

/// Several mailboxes with one name at the new server become one there; that is told.
fn merges(plan: &mut Plan) {
    let mut sources: BTreeMap<Vec<u8>, Vec<usize>> = BTreeMap::new();
    for (n, planned) in plan.mailboxes.iter().enumerate().filter(|(_, p)| p.selectable) {
        sources.entry(planned.target_wire.clone()).or_default().push(n);
    }
    for several in sources.into_values().filter(|all| all.len() > 1) {
        let mut names = Vec::new();
        for n in several {
            if let Some(planned) = plan.mailboxes.get_mut(n) {
                planned.merged = true;
                names.push((planned.source.clone(), planned.target.clone()));
            }
        }
        let all: Vec<String> = names.iter().map(|(s, _)| format!("\"{s}\"")).collect();
        let target = names.first().map(|(_, t)| t.as_str()).unwrap_or_default();
        plan.remarks.push(format!(
            "{} become one mailbox, \"{target}\"; --renameMailbox keeps them apart",
            all.join(" and ")
        ));
    }
}

#[cfg(test)]
mod tests;
