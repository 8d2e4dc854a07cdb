//! Listing mailboxes: patterns with `*` and `%`, what is subscribed, what has children, what is
//! for what. It must never know how a listing is shown.

use std::collections::HashSet;

use angarium_objects::value::Value;
use angarium_store::{AccountId, MailboxRecord};

use super::account::{MailAccount, Target};
use super::error::MailError;
use super::names::{MAX_NAME, Named, SpecialUse, parent, parse};
use super::rights::MailRights;

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
        for byte in text.bytes() {
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
        let first = pattern.iter().position(|b| matches!(b, b'/' | b'*' | b'%'));
        let first = first.unwrap_or(pattern.len());
        if let Some(level) = pattern.get_mut(..first)
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

    /// The account part of a pattern for another account's mailboxes, `~account/…`.
    fn foreign(&self) -> Option<(String, &[u8])> {
        let rest = self.text.strip_prefix(b"~")?;
        let slash = rest.iter().position(|b| *b == b'/')?;
        let account = std::str::from_utf8(rest.get(..slash)?).ok()?;
        if account.is_empty() || account.contains(['*', '%']) {
            return None;
        }
        Some((account.to_owned(), rest.get(slash + 1..)?))
    }
}

/// A name of a listing.
#[derive(Clone, Debug)]
pub struct ListedMailbox {
    /// The name as the actor writes it.
    pub name: String,
    /// What it is; `None` for a subscribed name that does not exist or may not be seen.
    pub record: Option<MailboxRecord>,
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

impl MailAccount {
    /// All names the actor sees under these patterns, each once, sorted: own mailboxes, mailbox
    /// aliases, those of accounts named in a pattern, and subscribed names. The caller chooses
    /// among them.
    ///
    /// # Errors
    /// What the store says; accounts that do not exist list nothing.
    pub async fn list(&self, patterns: &[Pattern]) -> Result<Vec<ListedMailbox>, MailError> {
        let matching = |name: &str| patterns.iter().any(|p| p.matches(name));
        let mut found = Vec::new();
        let mut subscription: Vec<String> = Vec::new();
        if self.home.id != AccountId(0) {
            let record = self.accounts.record(self.home.id).await?;
            subscription.clone_from(&record.subscription);
            let store = self.accounts.store();
            let own = store.mailboxes.list(self.home.id).await?;
            if !self.sees_non_mail().await? {
                // Subscribed to or not: it is not shown.
                let hidden: HashSet<&str> =
                    own.iter().filter(|r| !is_mail(&r.class)).map(|r| r.name.as_str()).collect();
                subscription.retain(|name| !hidden.contains(name.as_str()));
            }
            self.add(&mut found, "", own, MailRights::ALL, &matching).await?;
            for (alias, foreign) in &record.mailbox_aliases {
                let Some(foreign) = foreign.as_str() else { continue };
                self.add_alias(&mut found, alias, foreign, &matching).await?;
            }
        }
        let mut seen = HashSet::new();
        for (account, _) in patterns.iter().filter_map(Pattern::foreign) {
            if seen.insert(account.clone()) {
                self.add_account(&mut found, &account, &matching).await?;
            }
        }
        let subscribed: HashSet<&str> = subscription.iter().map(String::as_str).collect();
        for listed in &mut found {
            listed.subscribed = subscribed.contains(listed.name.as_str());
        }
        let known: HashSet<String> = found.iter().map(|l| l.name.clone()).collect();
        for name in subscription.iter().filter(|n| matching(n) && !known.contains(*n)) {
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
                Ok((_, record, rights)) => {
                    listed.record = Some(record);
                    listed.rights = rights;
                }
                Err(error) if error.is_temporary() => return Err(error),
                Err(_) => {}
            }
        }
        Ok(Some(listed))
    }

    /// Adds the mailboxes of one account whose names, with `prefix`, match.
    async fn add(
        &self,
        found: &mut Vec<ListedMailbox>,
        prefix: &str,
        all: Vec<MailboxRecord>,
        rights: MailRights,
        matching: &(impl Fn(&str) -> bool + Sync),
    ) -> Result<(), MailError> {
        let mail_only = !self.sees_non_mail().await?;
        let parents: HashSet<String> = all
            .iter()
            .filter(|r| !mail_only || is_mail(&r.class))
            .filter_map(|r| parent(&r.name).map(str::to_owned))
            .collect();
        let taken: HashSet<String> = all.iter().map(|r| r.special_use.clone()).collect();
        for record in all {
            if mail_only && !is_mail(&record.class) {
                continue;
            }
            let name = format!("{prefix}{}", record.name);
            if !matching(&name) {
                continue;
            }
            // The name alone says it only while no other mailbox was told to be it.
            let special_use = SpecialUse::parse(&record.special_use).or_else(|| {
                let guess = SpecialUse::by_name(&record.name)?;
                let free = prefix.is_empty() && record.special_use.is_empty() && record.selectable;
                (free && !taken.contains(guess.attribute())).then_some(guess)
            });
            found.push(ListedMailbox {
                has_children: parents.contains(&record.name),
                name,
                rights,
                subscribed: false,
                special_use,
                record: Some(record),
            });
        }
        Ok(())
    }

    async fn add_account(
        &self,
        found: &mut Vec<ListedMailbox>,
        account: &str,
        matching: &(impl Fn(&str) -> bool + Sync),
    ) -> Result<(), MailError> {
        let owner = match self.accounts.owner(&self.actor, account).await {
            Ok(owner) => owner,
            Err(error) if error.is_temporary() => return Err(error),
            Err(_) => return Ok(()),
        };
        let all = self.accounts.store().mailboxes.list(owner.id).await?;
        let mut visible = Vec::new();
        for record in all {
            let rights = self.rights(&owner, &record).await?;
            if rights.can(MailRights::LOOKUP) {
                visible.push((record, rights));
            }
        }
        let prefix = format!("~{account}/");
        for (record, rights) in &visible {
            let one = vec![record.clone()];
            let before = found.len();
            self.add(found, &prefix, one, *rights, matching).await?;
            let below = format!("{}/", record.name);
            if let Some(added) = found.get_mut(before) {
                added.has_children = visible.iter().any(|(r, _)| r.name.starts_with(&below));
            }
        }
        Ok(())
    }

    async fn add_alias(
        &self,
        found: &mut Vec<ListedMailbox>,
        alias: &str,
        foreign: &str,
        matching: &(impl Fn(&str) -> bool + Sync),
    ) -> Result<(), MailError> {
        let Ok(Named::Foreign { account, path }) = parse(foreign) else { return Ok(()) };
        let owner = match self.accounts.owner(&self.actor, &account).await {
            Ok(owner) => owner,
            Err(error) if error.is_temporary() => return Err(error),
            Err(_) => return Ok(()),
        };
        let target = Target { owner, path };
        let below = format!("{}/", target.path);
        let all = self.accounts.store().mailboxes.list(target.owner.id).await?;
        let mail_only = !self.sees_non_mail().await?;
        let names: Vec<String> = all.iter().map(|r| r.name.clone()).collect();
        for record in all {
            if mail_only && !is_mail(&record.class) {
                continue;
            }
            let name = match record.name.strip_prefix(&target.path) {
                Some("") => alias.to_owned(),
                Some(rest) if rest.starts_with('/') => format!("{alias}{rest}"),
                _ => continue,
            };
            if !matching(&name) {
                continue;
            }
            let rights = self.rights(&target.owner, &record).await?;
            if !rights.can(MailRights::LOOKUP) {
                continue;
            }
            let children = names
                .iter()
                .any(|n| n.starts_with(&below) && parent(n) == Some(record.name.as_str()));
            found.push(ListedMailbox {
                name,
                rights,
                has_children: children,
                subscribed: false,
                special_use: None,
                record: Some(record),
            });
        }
        Ok(())
    }

    /// The account setting `IMAPSeesNonMail`.
    pub(super) async fn sees_non_mail(&self) -> Result<bool, MailError> {
        if self.home.id == AccountId(0) {
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
