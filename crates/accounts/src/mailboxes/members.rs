//! Who somebody is for access lists: his names, his domains, the groups he is in, also through
//! other groups. It must never know mailboxes.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use angarium_objects::value::{Dictionary, Value};
use angarium_store::{AccountId, DomainObject};
use tokio::sync::OnceCell;

use super::error::MailError;
use crate::operations::MAX_MEMBERS;
use crate::{Accounts, Actor};

/// Groups looked at for one access list.
const MAX_LISTED: usize = 64;
/// Groups looked at for one group of a list, itself and those inside it.
const MAX_INSIDE: usize = 256;

/// All names by which an access list may mean somebody, in small letters.
#[derive(Clone, Debug, Default)]
pub(super) struct Identity {
    /// Local names: the account's own and its aliases.
    pub(super) names: Vec<String>,
    /// The domain's own name and its other names.
    pub(super) domains: Vec<String>,
}

impl Identity {
    pub(super) fn is(&self, name: &str, domain: &str) -> bool {
        self.names.iter().any(|n| n.eq_ignore_ascii_case(name)) && self.is_of(domain)
    }

    pub(super) fn is_of(&self, domain: &str) -> bool {
        self.domains.iter().any(|d| d.eq_ignore_ascii_case(domain))
    }
}

/// The members of a group as they are written, completed with its domain.
#[derive(Debug)]
pub(crate) struct Group {
    members: HashSet<(String, String)>,
    /// Those of them that are groups; looked up when somebody is no member himself.
    inner: OnceCell<Vec<(String, String)>>,
}

impl Group {
    fn of(settings: &Dictionary, domain: &str) -> Self {
        let all = settings.get("Members").and_then(Value::as_array).unwrap_or(&[]);
        let members = all.iter().filter_map(Value::as_str).take(MAX_MEMBERS).map(|member| {
            let member = member.trim().to_lowercase();
            match member.split_once('@') {
                Some((name, at)) => (name.to_owned(), at.to_owned()),
                None => (member, domain.to_owned()),
            }
        });
        Self { members: members.collect(), inner: OnceCell::new() }
    }

    fn has(&self, person: &Identity) -> bool {
        person.names.iter().any(|name| {
            let mut domains = person.domains.iter();
            domains.any(|domain| self.members.contains(&(name.clone(), domain.clone())))
        })
    }
}

impl Accounts {
    /// Who an actor is.
    pub(super) async fn identity(&self, actor: &Actor) -> Result<Identity, MailError> {
        if actor.account == AccountId(0) {
            return Ok(Identity::default());
        }
        let record = self.record(actor.account).await?;
        let mut names = vec![record.name.to_lowercase()];
        names.extend(record.aliases.iter().map(|alias| alias.to_lowercase()));
        let mut domains = vec![record.domain.to_lowercase()];
        if let Some(domain) = self.domain_facts(&record.domain).await? {
            domains.extend(domain.record.aliases.iter().map(|alias| alias.to_lowercase()));
        }
        Ok(Identity { names, domains })
    }

    /// Which of these groups (`#group` or `#group@domain`, seen from `home`) somebody is in.
    pub(super) async fn groups_of(
        &self,
        person: &Identity,
        groups: Vec<String>,
        home: &str,
    ) -> Result<Vec<String>, MailError> {
        let mut inside = Vec::new();
        for group in groups.into_iter().take(MAX_LISTED) {
            let plain = group.trim_start_matches('#').to_lowercase();
            let (name, domain) = plain.split_once('@').unwrap_or((&plain, home));
            let domain = if domain.is_empty() { home } else { domain };
            if self.is_member(person, name, domain).await? {
                inside.push(group);
            }
        }
        Ok(inside)
    }

    /// True for members, and for members of members, however deep; each group is looked at once.
    async fn is_member(
        &self,
        person: &Identity,
        name: &str,
        domain: &str,
    ) -> Result<bool, MailError> {
        let mut seen = HashSet::new();
        let mut waiting = VecDeque::from([(name.to_owned(), domain.to_owned())]);
        while let Some(next) = waiting.pop_front() {
            if seen.len() >= MAX_INSIDE || !seen.insert(next.clone()) {
                continue;
            }
            let (name, domain) = next;
            let Some(group) = self.group_members(&name, &domain).await? else { continue };
            if group.has(person) {
                return Ok(true);
            }
            let inner = group.inner.get_or_try_init(|| self.groups_among(&group)).await?;
            waiting.extend(inner.iter().cloned());
        }
        Ok(false)
    }

    /// A group, from memory when nothing in its domain has changed.
    async fn group_members(
        &self,
        name: &str,
        domain: &str,
    ) -> Result<Option<Arc<Group>>, MailError> {
        let Some(facts) = self.domain_facts(domain).await? else { return Ok(None) };
        let domain = &facts.record.name;
        let key = (name.to_owned(), domain.clone());
        if let Some(known) = self.facts.groups.get(&key) {
            return Ok(Some(known));
        }
        let mark = self.facts.mark();
        let Some(DomainObject::Group(settings)) = self.lookup(domain, name).await? else {
            return Ok(None);
        };
        let group = Arc::new(Group::of(&settings, domain));
        self.facts.keep(&self.facts.groups, key, &group, mark);
        Ok(Some(group))
    }

    /// The members of a group that are groups themselves.
    async fn groups_among(&self, group: &Group) -> Result<Vec<(String, String)>, MailError> {
        let mut found = Vec::new();
        for (name, domain) in &group.members {
            let Some(facts) = self.domain_facts(domain).await? else { continue };
            // Past the memory for names, which ten thousand members would push out.
            let object = self.store.directory.lookup(&facts.record.name, name).await?;
            if matches!(object, Some(DomainObject::Group(_))) {
                found.push((name.clone(), domain.clone()));
            }
        }
        found.sort();
        Ok(found)
    }
}
