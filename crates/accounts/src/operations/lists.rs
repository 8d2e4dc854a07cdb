//! Operations on mailing lists (`reference/cli.md` section 9): who may make, change and read them,
//! and what those who distribute mail need to know. How a message is distributed is not known here.

use angarium_objects::mailing_list::{
    ListError, MailingList, OWNER, Operation, Posting, SUBSCRIBERS, Subscriber,
};
use angarium_objects::name::FullName;
use angarium_objects::rights::{CAN_ACCESS_LISTS, CAN_CREATE_LISTS, DOMAIN};
use angarium_objects::settings::{self, Scope};
use angarium_objects::value::{Dictionary, Value};
use angarium_store::{DomainObject, StoreError};

use super::OperationError;
use super::authority::{Authority, bad_name};
use crate::{Accounts, Actor};

impl From<ListError> for OperationError {
    fn from(error: ListError) -> Self {
        match error {
            ListError::Full => Self::LimitExceeded(error.to_string()),
            ListError::NotSubscribed(_) | ListError::Banned(_) => Self::General(error.to_string()),
            ListError::Address(_) | ListError::Form | ListError::Setting(_) => {
                Self::Syntax(error.to_string())
            }
        }
    }
}

/// A list that somebody may see and change.
struct Found {
    domain: String,
    name: String,
    list: MailingList,
}

fn damaged(error: &ListError) -> OperationError {
    OperationError::Internal(format!("a stored list cannot be read: {error}"))
}

impl Accounts {
    /// The list of a domain, by its own name; for those who distribute mail.
    ///
    /// # Errors
    /// As the store; `Damaged` for what cannot be read.
    pub async fn list_named(
        &self,
        domain: &str,
        name: &str,
    ) -> Result<Option<MailingList>, StoreError> {
        match self.lookup(domain, name).await? {
            Some(DomainObject::List(stored)) => {
                let read = MailingList::read(&stored);
                read.map(Some).map_err(|error| StoreError::Damaged(error.to_string()))
            }
            _ => Ok(None),
        }
    }

    /// Notes that a message of this address was distributed by a list.
    ///
    /// # Errors
    /// As the store.
    pub async fn list_posted(&self, domain: &str, name: &str, who: &str) -> Result<(), StoreError> {
        let _one_at_a_time = self.lists.lock().await;
        let Some(mut list) = self.list_named(domain, name).await? else { return Ok(()) };
        if !list.posted(who) {
            return Ok(());
        }
        let object = DomainObject::List(list.write());
        self.store.directory.put_object(domain, name, object, true).await
    }

    /// A list that the actor may look at and change: its owner, those with the right to all lists
    /// of the domain. Others learn whether it is there only if they may look at the domain.
    async fn own_list(&self, actor: &Actor, text: &str) -> Result<Found, OperationError> {
        let authority = self.authority(actor).await?;
        let FullName { name, domain } = self.full_name(&authority, text).await?;
        let found = self.list_named(&domain, &name).await?;
        let may = self.may_in_domain(&authority, &domain, CAN_ACCESS_LISTS).await?;
        match found {
            Some(list) if may || self.owns(&authority, &domain, &list).await? => {
                Ok(Found { domain, name, list })
            }
            None if may || self.may_read_domain(&authority, &domain).await? => {
                Err(OperationError::UnknownList)
            }
            _ => Err(OperationError::AccessDenied),
        }
    }

    async fn owns(
        &self,
        authority: &Authority,
        domain: &str,
        list: &MailingList,
    ) -> Result<bool, StoreError> {
        if authority.domain != domain {
            return Ok(false);
        }
        let own = self.account_record(authority.account).await?;
        Ok(own.is_some_and(|record| record.domain == domain && record.name == list.owner()))
    }

    /// Changes a list as its owner or an administrator.
    async fn edit_list(
        &self,
        actor: &Actor,
        text: &str,
        change: impl FnOnce(&mut MailingList) -> Result<(), OperationError> + Send,
    ) -> Result<(), OperationError> {
        let _one_at_a_time = self.lists.lock().await;
        let Found { domain, name, mut list } = self.own_list(actor, text).await?;
        change(&mut list)?;
        let object = DomainObject::List(list.write());
        Ok(self.store.directory.put_object(&domain, &name, object, true).await?)
    }

    /// Lists of a domain with the number of their subscribers; of one owner, if one is named.
    async fn counted(
        &self,
        domain: &str,
        owner: Option<&str>,
    ) -> Result<Vec<(String, usize)>, OperationError> {
        let is_list = |object: &DomainObject| matches!(object, DomainObject::List(_));
        let all = self.plain_objects_where(domain, is_list).await?;
        let mut counted = Vec::with_capacity(all.len());
        for (name, object) in all {
            let DomainObject::List(stored) = object else { continue };
            let list = MailingList::read(&stored).map_err(|error| damaged(&error))?;
            if owner.is_none_or(|owner| owner == list.owner()) {
                counted.push((name, list.subscribers().count()));
            }
        }
        Ok(counted)
    }

    /// Lists of a domain with the number of their subscribers.
    ///
    /// # Errors
    /// See [`OperationError`].
    pub async fn domain_lists(
        &self,
        actor: &Actor,
        domain: &str,
    ) -> Result<Vec<(String, usize)>, OperationError> {
        let facts = self.readable_domain(actor, domain).await?;
        self.counted(&facts.record.name, None).await
    }

    /// Lists that an account owns, with the number of their subscribers.
    ///
    /// # Errors
    /// See [`OperationError`].
    pub async fn account_lists(
        &self,
        actor: &Actor,
        account: &str,
    ) -> Result<Vec<(String, usize)>, OperationError> {
        let authority = self.authority(actor).await?;
        let record = self.named_account(&authority, account).await?;
        if record.id != authority.account {
            self.need_in_domain(&authority, &record.domain, DOMAIN).await?;
        }
        self.counted(&record.domain, Some(&record.name)).await
    }

    /// The account that is to own lists of a domain, by its own name.
    async fn list_owner(&self, domain: &str, owner: &str) -> Result<String, OperationError> {
        let full = FullName::read(owner, domain).map_err(bad_name)?;
        let facts = self.domain_facts(&full.domain).await?;
        if facts.is_none_or(|facts| facts.record.name != domain) {
            let text = "the owner of a list is an account of the same domain".to_owned();
            return Err(OperationError::General(text));
        }
        let found = match self.lookup(domain, &full.name).await? {
            Some(DomainObject::Account(id) | DomainObject::Alias(id)) => {
                self.account_record(id).await?
            }
            _ => None,
        };
        Ok(found.ok_or(OperationError::UnknownAccount)?.name.clone())
    }

    /// Makes a list.
    ///
    /// # Errors
    /// See [`OperationError`]; `UnknownAccount` for the owner.
    pub async fn create_list(
        &self,
        actor: &Actor,
        list: &str,
        owner: &str,
    ) -> Result<(), OperationError> {
        let authority = self.authority(actor).await?;
        let FullName { name, domain } = self.full_name(&authority, list).await?;
        self.need_in_domain(&authority, &domain, CAN_CREATE_LISTS).await?;
        let owner = self.list_owner(&domain, owner).await?;
        let object = DomainObject::List(MailingList::of_owner(&owner).write());
        Ok(self.store.directory.put_object(&domain, &name, object, false).await?)
    }

    /// Domain and name of a list that the actor may rename and remove.
    async fn creators_list(
        &self,
        actor: &Actor,
        text: &str,
    ) -> Result<(String, String), OperationError> {
        let authority = self.authority(actor).await?;
        let FullName { name, domain } = self.full_name(&authority, text).await?;
        self.need_in_domain(&authority, &domain, CAN_CREATE_LISTS).await?;
        match self.lookup(&domain, &name).await? {
            Some(DomainObject::List(_)) => Ok((domain, name)),
            _ => Err(OperationError::UnknownList),
        }
    }

    /// Renames a list inside its domain.
    ///
    /// # Errors
    /// See [`OperationError`].
    pub async fn rename_list(
        &self,
        actor: &Actor,
        list: &str,
        new: &str,
    ) -> Result<(), OperationError> {
        let _one_at_a_time = self.lists.lock().await;
        let (domain, from) = self.creators_list(actor, list).await?;
        let full = FullName::read(new, &domain).map_err(bad_name)?;
        if full.domain != domain {
            let text = "a list cannot be moved to another domain".to_owned();
            return Err(OperationError::General(text));
        }
        Ok(self.store.directory.rename_object(&domain, &from, &full.name).await?)
    }

    /// Removes a list with its subscribers.
    ///
    /// # Errors
    /// See [`OperationError`].
    pub async fn delete_list(&self, actor: &Actor, list: &str) -> Result<(), OperationError> {
        let _one_at_a_time = self.lists.lock().await;
        let (domain, name) = self.creators_list(actor, list).await?;
        Ok(self.store.directory.remove_object(&domain, &name).await?)
    }

    /// A list.
    ///
    /// # Errors
    /// See [`OperationError`].
    pub async fn mailing_list(
        &self,
        actor: &Actor,
        list: &str,
    ) -> Result<MailingList, OperationError> {
        Ok(self.own_list(actor, list).await?.list)
    }

    /// Changes settings of a list; `default` removes one. Its owner may give it away only with the
    /// right to all lists.
    ///
    /// # Errors
    /// See [`OperationError`].
    pub async fn update_list(
        &self,
        actor: &Actor,
        list: &str,
        mut changes: Dictionary,
    ) -> Result<(), OperationError> {
        if changes.contains_key(SUBSCRIBERS) {
            let text = "subscribers are changed by the command LIST".to_owned();
            return Err(OperationError::Syntax(text));
        }
        if let Some(given) = changes.get(OWNER) {
            let given = given.as_str().unwrap_or_default().to_owned();
            let found = self.own_list(actor, list).await?;
            let owner = self.list_owner(&found.domain, &given).await?;
            if owner != found.list.owner() {
                let authority = self.authority(actor).await?;
                self.need_in_domain(&authority, &found.domain, CAN_ACCESS_LISTS).await?;
            }
            changes.insert(OWNER.to_owned(), Value::from(owner));
        }
        self.edit_list(actor, list, |list| {
            list.settings = settings::merge(Scope::List, &list.settings, &changes)?;
            Ok(())
        })
        .await
    }

    /// Subscribes somebody, changes how messages are received, or ends it.
    ///
    /// # Errors
    /// See [`OperationError`].
    pub async fn change_subscription(
        &self,
        actor: &Actor,
        list: &str,
        operation: Operation,
        who: &str,
    ) -> Result<(), OperationError> {
        self.change_subscriptions(actor, list, operation, &[who.to_owned()]).await
    }

    /// The same for several, or for none of them.
    ///
    /// # Errors
    /// See [`OperationError`].
    pub async fn change_subscriptions(
        &self,
        actor: &Actor,
        list: &str,
        operation: Operation,
        who: &[String],
    ) -> Result<(), OperationError> {
        let now = self.now();
        self.edit_list(actor, list, |list| {
            who.iter().try_for_each(|who| Ok(list.operate(operation, who, now)?))
        })
        .await
    }

    /// Sets what a subscriber may post.
    ///
    /// # Errors
    /// See [`OperationError`].
    pub async fn set_posting_mode(
        &self,
        actor: &Actor,
        list: &str,
        who: &str,
        posting: Posting,
    ) -> Result<(), OperationError> {
        self.edit_list(actor, list, |list| Ok(list.set_posting(who, posting)?)).await
    }

    /// Subscribers of a list whose address holds a text, at most `limit`, by address; and how many
    /// there are in all.
    ///
    /// # Errors
    /// See [`OperationError`].
    pub async fn list_subscribers(
        &self,
        actor: &Actor,
        list: &str,
        filter: &str,
        limit: usize,
    ) -> Result<(usize, Vec<(String, Subscriber)>), OperationError> {
        let list = self.own_list(actor, list).await?.list;
        let filter = filter.to_lowercase();
        let found = list.subscribers().filter(|(who, _)| who.contains(&filter)).take(limit);
        let found = found.map(|(who, one)| (who.to_owned(), one.clone())).collect();
        Ok((list.subscribers().count(), found))
    }

    /// Lists of an account that has another name now go with it.
    pub(super) async fn lists_follow(
        &self,
        domain: &str,
        from: &str,
        to: &str,
    ) -> Result<(), OperationError> {
        let _one_at_a_time = self.lists.lock().await;
        for (name, _) in self.counted(domain, Some(from)).await? {
            let Some(mut list) = self.list_named(domain, &name).await? else { continue };
            list.settings.insert(OWNER.to_owned(), Value::from(to));
            let object = DomainObject::List(list.write());
            self.store.directory.put_object(domain, &name, object, true).await?;
        }
        Ok(())
    }
}
