//! Listing mailboxes: patterns with `*` and `%`, what is subscribed, what has children, what is
//! for what. It must never know how a listing is shown.

use std::collections::HashSet;
use std::sync::Arc;

use angarium_objects::value::Value;
use angarium_store::{AccountId, MailboxId, MailboxRecord, UidValidity};

use super::account::{MailAccount, Viewer};
use super::error::MailError;
use super::facts::Owner;
use super::names::{MAX_NAME, Named, SpecialUse, composed, parent, parse};
use super::rights::MailRights;
use super::tree::Tree;

/// A pattern for names: `*` matches anything, `%` anything but the separator.
#[derive(Clone, Debug)]
pub struct Pattern {
    text: Vec<u8>,
}

impl Pattern {
    /// Longest pattern taken, in bytes; a longer one matches nothing.
    pub const MAX: usize = 2 * MAX_NAME;

    /// A pattern as a client gives it.
    #[must_use]
    pub fn new(text: &str) -> Self {
        let mut pattern: Vec<u8> = Vec::with_capacity(text.len().min(Self::MAX));
        for byte in composed(text).bytes() {
            // `**` is `*`, and so are `*%` and `%*`.
            match (pattern.last(), byte) {
                (Some(b'*'), b'*' | b'%') | (Some(b'%'), b'%') => {}
                (Some(b'%'), b'*') => {
                    pattern.pop();
                    pattern.push(b'*');
                }
                _ => pattern.push(byte),
            }
        }
        // INBOX is one name however it is written.
        let ends = |b: &u8| matches!(b, b'/' | b'*' | b'%');
        let mut from = 0;
        if pattern.first() == Some(&b'~') {
            from = pattern.iter().position(ends).map_or(pattern.len(), |slash| slash + 1);
        }
        let first = pattern.iter().skip(from).position(ends);
        let first = first.map_or(pattern.len(), |n| from + n);
        if let Some(level) = pattern.get_mut(from..first)
            && level.eq_ignore_ascii_case(b"INBOX")
        {
            level.make_ascii_uppercase();
        }
        Self { text: pattern }
    }

    /// True when the whole name matches.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        if self.text.len() > Self::MAX {
            return false;
        }
        let (pattern, name) = (self.text.as_slice(), name.as_bytes());
        let (mut p, mut n) = (0, 0);
        // Where to go on when the text after the last `%` or `*` fails; a `%` cannot take a
        // separator, the `*` before it can take over then.
        let mut percent: Option<(usize, usize)> = None;
        let mut star: Option<(usize, usize)> = None;
        while n < name.len() {
            match pattern.get(p) {
                Some(b'*') => {
                    p += 1;
                    star = Some((p, n));
                    percent = None;
                }
                Some(b'%') => {
                    p += 1;
                    percent = Some((p, n));
                }
                Some(byte) if name.get(n) == Some(byte) => {
                    p += 1;
                    n += 1;
                }
                _ => {
                    if let Some((after, from)) = percent
                        && name.get(from) != Some(&b'/')
                        && from < name.len()
                    {
                        (p, n) = (after, from + 1);
                        percent = Some((after, from + 1));
                    } else if let Some((after, from)) = star {
                        (p, n) = (after, from + 1);
                        star = Some((after, from + 1));
                        percent = None;
                    } else {
                        return false;
                    }
                }
            }
        }
        pattern.get(p..).is_some_and(|rest| rest.iter().all(|b| matches!(b, b'*' | b'%')))
    }

    /// What every name that matches begins with.
    fn beginning(&self) -> &str {
        let end = self.text.iter().position(|b| matches!(b, b'*' | b'%'));
        let start = self.text.get(..end.unwrap_or(self.text.len())).unwrap_or_default();
        std::str::from_utf8(start).unwrap_or_default()
    }

    /// The account part of a pattern for another account's mailboxes, `~account` or
    /// `~account/…`.
    fn foreign(&self) -> Option<&str> {
        let rest = self.text.strip_prefix(b"~")?;
        let end = rest.iter().position(|b| *b == b'/').unwrap_or(rest.len());
        let account = std::str::from_utf8(rest.get(..end)?).ok()?;
        (!account.is_empty() && !account.contains(['*', '%'])).then_some(account)
    }
}

/// A name of a listing.
#[derive(Clone, Debug)]
pub struct ListedMailbox {
    /// The name as the actor writes it.
    pub name: String,
    /// What it is; `None` for a subscribed name that does not exist or may not be seen. Its
    /// counters are those of the store: [`MailAccount::count`] makes them what the actor sees.
    pub record: Option<Arc<MailboxRecord>>,
    /// Whose it is; meaningless without a record.
    pub account: AccountId,
    /// What the actor may do with it.
    pub rights: MailRights,
    /// Others are below it.
    pub has_children: bool,
    /// It is in the subscription list.
    pub subscribed: bool,
    /// What it is for.
    pub special_use: Option<SpecialUse>,
}

/// True for classes that hold mail.
pub(super) fn is_mail(class: &str) -> bool {
    class.is_empty() || class.eq_ignore_ascii_case("IPF.Note")
}

/// What is looked for.
struct Search<'p> {
    patterns: &'p [Pattern],
}

impl Search<'_> {
    fn finds(&self, name: &str) -> bool {
        self.patterns.iter().any(|pattern| pattern.matches(name))
    }

    /// What of a tree can match, when what is below `root` is shown below `name`: all of it, or
    /// what begins as the only pattern does.
    fn among(&self, tree: &Tree, root: &str, name: &str) -> Vec<Arc<MailboxRecord>> {
        let [pattern] = self.patterns else { return tree.beginning(root) };
        let start = pattern.beginning();
        if name.is_empty() {
            return tree.beginning(start);
        }
        match start.strip_prefix(name) {
            Some(rest) if root.is_empty() => tree.beginning(rest.trim_start_matches('/')),
            Some(rest) if rest.starts_with('/') => tree.beginning(&format!("{root}{rest}")),
            _ => tree.beginning(root),
        }
    }
}

/// The tree of an account as a name of its own, which holds no messages.
fn directory() -> MailboxRecord {
    MailboxRecord::new(MailboxId(0), "", false, UidValidity(0))
}

impl MailAccount {
    /// All names the actor sees under these patterns, each once, sorted: own mailboxes, mailbox
    /// aliases, those of accounts named in a pattern, and subscribed names. The caller chooses
    /// among them.
    ///
    /// # Errors
    /// What the store says; accounts that do not exist list nothing.
    pub async fn list(&self, patterns: &[Pattern]) -> Result<Vec<ListedMailbox>, MailError> {
        let search = Search { patterns };
        let mut found = Vec::new();
        let mut subscription: Vec<String> = Vec::new();
        if self.home.id != AccountId(0) {
            let record = self.accounts.record(self.home.id).await?;
            subscription.clone_from(&record.subscription);
            if !self.sees_non_mail().await? {
                // Subscribed to or not: it is not shown.
                let tree = self.tree(&self.home).await?;
                subscription
                    .retain(|name| tree.named(name).is_none_or(|record| is_mail(&record.class)));
            }
            self.add_own(&mut found, &search).await?;
            for (alias, foreign) in &record.mailbox_aliases {
                if let Some(foreign) = foreign.as_str() {
                    self.add_alias(&mut found, alias, foreign, &search).await?;
                }
            }
        }
        let mut seen = HashSet::new();
        for account in patterns.iter().filter_map(Pattern::foreign) {
            if seen.insert(account) {
                let owner = self.accounts.owner(&self.actor, account).await;
                self.add_foreign(&mut found, owner, "", &format!("~{account}"), &search).await?;
            }
        }
        let subscribed: HashSet<&str> = subscription.iter().map(String::as_str).collect();
        for listed in &mut found {
            listed.subscribed = subscribed.contains(listed.name.as_str());
        }
        let known: HashSet<String> = found.iter().map(|l| l.name.clone()).collect();
        for name in subscription.iter().filter(|n| search.finds(n) && !known.contains(*n)) {
            found.extend(self.subscribed_only(name).await?);
        }
        found.sort_by(|a, b| a.name.cmp(&b.name));
        found.dedup_by(|a, b| a.name == b.name);
        Ok(found)
    }

    /// A subscribed name that no pattern for existing mailboxes found: perhaps of another account.
    /// `None` for one that holds no mail and is not to be shown.
    async fn subscribed_only(&self, name: &str) -> Result<Option<ListedMailbox>, MailError> {
        let mut listed = ListedMailbox {
            name: name.to_owned(),
            record: None,
            account: AccountId(0),
            rights: MailRights::NONE,
            has_children: false,
            subscribed: true,
            special_use: None,
        };
        if matches!(parse(name), Ok(Named::Foreign { .. })) {
            match self.look_up(name).await {
                Ok((_, record, _)) if !is_mail(&record.class) && !self.sees_non_mail().await? => {
                    return Ok(None);
                }
                Ok((target, record, rights)) => {
                    listed.account = target.owner.id;
                    listed.record = Some(Arc::new(record));
                    listed.rights = rights;
                }
                Err(error) if error.is_temporary() => return Err(error),
                Err(_) => {}
            }
        }
        Ok(Some(listed))
    }

    /// Adds own mailboxes.
    async fn add_own(
        &self,
        found: &mut Vec<ListedMailbox>,
        search: &Search<'_>,
    ) -> Result<(), MailError> {
        let all = self.sees_non_mail().await?;
        let shown = |record: &MailboxRecord| all || is_mail(&record.class);
        let tree = self.tree(&self.home).await?;
        for record in search.among(&tree, "", "") {
            if !shown(&record) || !search.finds(&record.name) {
                continue;
            }
            // The name alone says it only while no other mailbox was told to be it.
            let special_use = SpecialUse::parse(&record.special_use).or_else(|| {
                let guess = SpecialUse::by_name(&record.name)?;
                let free = record.special_use.is_empty() && record.selectable;
                let taken = || tree.any(|r| r.special_use == guess.attribute());
                (free && !taken()).then_some(guess)
            });
            found.push(ListedMailbox {
                has_children: tree.has_below(&record.name, shown),
                name: record.name.clone(),
                account: self.home.id,
                rights: MailRights::ALL,
                subscribed: false,
                special_use,
                record: Some(record),
            });
        }
        Ok(())
    }

    async fn add_alias(
        &self,
        found: &mut Vec<ListedMailbox>,
        alias: &str,
        foreign: &str,
        search: &Search<'_>,
    ) -> Result<(), MailError> {
        if self.alias_of(alias).await?.is_none() {
            return Ok(());
        }
        let Ok(Named::Foreign { account, path }) = parse(foreign) else { return Ok(()) };
        let owner = self.accounts.owner(&self.actor, &account).await;
        self.add_foreign(found, owner, &path, alias, search).await
    }

    /// Adds what the actor may see of another account from `root` down (empty: everything), the
    /// root shown as `name`.
    async fn add_foreign(
        &self,
        found: &mut Vec<ListedMailbox>,
        owner: Result<Owner, MailError>,
        root: &str,
        name: &str,
        search: &Search<'_>,
    ) -> Result<(), MailError> {
        let owner = match owner {
            Ok(owner) => owner,
            Err(error) if error.is_temporary() => return Err(error),
            Err(_) => return Ok(()),
        };
        let tree = self.tree(&owner).await?;
        let viewer = self.viewer(&owner).await?;
        let all = matches!(viewer, Viewer::All) || self.sees_non_mail().await?;
        let mut visible = Vec::new();
        let mut parents: HashSet<String> = HashSet::new();
        for record in search.among(&tree, root, name) {
            if !all && !is_mail(&record.class) {
                continue;
            }
            let shown = match record.name.strip_prefix(root) {
                Some("") => name.to_owned(),
                Some(rest) if root.is_empty() => format!("{name}/{rest}"),
                Some(rest) if rest.starts_with('/') => format!("{name}{rest}"),
                _ => continue,
            };
            let rights = self.rights_of(&viewer, &owner, &record).await?;
            if !rights.can(MailRights::LOOKUP) {
                continue;
            }
            let mut up = shown.as_str();
            while let Some(above) = parent(up) {
                parents.insert(above.to_owned());
                up = above;
            }
            visible.push((shown, record, rights));
        }
        if root.is_empty() && !visible.is_empty() && search.finds(name) {
            found.push(ListedMailbox {
                name: name.to_owned(),
                record: Some(Arc::new(directory())),
                account: owner.id,
                rights: MailRights::LOOKUP,
                has_children: true,
                subscribed: false,
                special_use: None,
            });
        }
        for (name, record, rights) in visible {
            if search.finds(&name) {
                found.push(ListedMailbox {
                    has_children: parents.contains(&name),
                    name,
                    account: owner.id,
                    rights,
                    subscribed: false,
                    special_use: None,
                    record: Some(record),
                });
            }
        }
        Ok(())
    }

    /// The account setting `IMAPSeesNonMail`. Who acts for another (to move or mend his account)
    /// sees all of it.
    pub(super) async fn sees_non_mail(&self) -> Result<bool, MailError> {
        if self.home.id == AccountId(0) || self.actor.authenticated_as.is_some() {
            return Ok(true);
        }
        let settings = self.accounts.effective_settings(self.home.id).await?;
        let value = settings.get("IMAPSeesNonMail").and_then(Value::as_str);
        Ok(value.is_some_and(|v| v.eq_ignore_ascii_case("YES")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn matches(pattern: &str, name: &str) -> bool {
        Pattern::new(pattern).matches(name)
    }

    #[test]
    fn star_crosses_levels_and_percent_does_not() {
        assert!(matches("*", "a/b/c") && matches("*", "INBOX"));
        assert!(matches("%", "a") && !matches("%", "a/b"));
        assert!(matches("a/%", "a/b") && !matches("a/%", "a/b/c") && !matches("a/%", "a"));
        assert!(matches("a*", "a") && matches("a%", "a") && !matches("a/*", "a"));
        assert!(matches("*/c", "a/b/c") && matches("*%c", "a/b/c") && matches("%*c", "a/b/c"));
        assert!(matches("*b%", "a/b/xb") && !matches("*b%", "a/b/c"));
        assert!(matches("%a%", "bab") && !matches("%a", "b/a") && matches("*/%a", "x/y/ba"));
        assert!(matches("inbox", "INBOX") && matches("Inbox/%", "INBOX/a"));
        assert!(!matches("", "a") && !matches("ab", "a") && matches("", ""));
    }

    #[test]
    fn a_pattern_made_to_be_slow_is_not() {
        let pattern = Pattern::new(&"*a".repeat(900));
        let name = "a".repeat(899) + "b";
        for _ in 0..20 {
            assert!(!pattern.matches(&name));
        }
    }

    fn plain(pattern: &[u8], name: &[u8]) -> bool {
        match pattern.split_first() {
            None => name.is_empty(),
            Some((b'*', rest)) => (0..=name.len()).any(|n| plain(rest, &name[n..])),
            Some((b'%', rest)) => {
                let free = name.iter().take_while(|b| **b != b'/').count();
                (0..=free).any(|n| plain(rest, &name[n..]))
            }
            Some((c, rest)) => {
                name.split_first().is_some_and(|(n, name)| n == c && plain(rest, name))
            }
        }
    }

    proptest! {
        #[test]
        fn matching_agrees_with_the_plain_definition(
            pattern in "[ab/*%]{0,8}",
            name in "[ab/]{0,8}",
        ) {
            prop_assert_eq!(matches(&pattern, &name), plain(pattern.as_bytes(), name.as_bytes()));
        }
    }
}
