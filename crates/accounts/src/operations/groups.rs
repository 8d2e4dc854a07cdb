//! Operations on groups and forwarders (`reference/groups-forwarders-lists.md`).

use angarium_objects::name;
use angarium_objects::rights::{CAN_CREATE_FORWARDERS, CAN_CREATE_GROUPS};
use angarium_objects::spelling;
use angarium_objects::value::{Dictionary, Value};
use angarium_routing::Address;
use angarium_store::{DomainObject, StoreError};

use super::OperationError;
use super::authority::bad_name;
use crate::{Accounts, Actor};

/// Most members of one group.
pub(crate) const MAX_MEMBERS: usize = 10_000;

/// Group settings that are YES or NO.
const SWITCHES: [&str; 8] = [
    "Expand",
    "FinalDelivery",
    "RemoveToAndCc",
    "RemoveAuthor",
    "SetReplyTo",
    "RejectAutomatic",
    "EmailDisabled",
    "SignalDisabled",
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Sort {
    Group,
    Forwarder,
}

impl Sort {
    fn right(self) -> &'static str {
        match self {
            Self::Group => CAN_CREATE_GROUPS,
            Self::Forwarder => CAN_CREATE_FORWARDERS,
        }
    }

    fn unknown(self) -> OperationError {
        match self {
            Self::Group => OperationError::UnknownGroup,
            Self::Forwarder => OperationError::UnknownForwarder,
        }
    }

    fn is(self, object: &DomainObject) -> bool {
        match self {
            Self::Group => matches!(object, DomainObject::Group(_)),
            Self::Forwarder => matches!(object, DomainObject::Forwarder(_)),
        }
    }

    /// "There is no such object" in the words of its kind.
    fn missing(self, error: StoreError) -> OperationError {
        match error {
            StoreError::NotFound("object") => self.unknown(),
            other => other.into(),
        }
    }
}

impl Accounts {
    async fn list_sort(
        &self,
        actor: &Actor,
        domain: &str,
        sort: Sort,
    ) -> Result<Vec<(String, DomainObject)>, OperationError> {
        let facts = self.readable_domain(actor, domain).await?;
        self.plain_objects_where(&facts.record.name, |object| sort.is(object)).await
    }

    /// Domain and name of an object of this sort that the actor may change; it need not exist
    /// with `new`.
    async fn changeable(
        &self,
        actor: &Actor,
        text: &str,
        sort: Sort,
        new: bool,
    ) -> Result<(String, String), OperationError> {
        let authority = self.authority(actor).await?;
        let full = self.full_name(&authority, text).await?;
        self.need_in_domain(&authority, &full.domain, sort.right()).await?;
        if !new {
            let found = self.lookup(&full.domain, &full.name).await?;
            if !found.is_some_and(|object| sort.is(&object)) {
                return Err(sort.unknown());
            }
        }
        Ok((full.domain, full.name))
    }

    async fn read_sort(
        &self,
        actor: &Actor,
        text: &str,
        sort: Sort,
    ) -> Result<DomainObject, OperationError> {
        let authority = self.authority(actor).await?;
        let full = self.full_name(&authority, text).await?;
        self.need_read(&authority, &full.domain).await?;
        let found = self.lookup(&full.domain, &full.name).await?;
        found.filter(|object| sort.is(object)).ok_or_else(|| sort.unknown())
    }

    async fn rename_sort(
        &self,
        actor: &Actor,
        text: &str,
        new: &str,
        sort: Sort,
    ) -> Result<(), OperationError> {
        let (domain, from) = self.changeable(actor, text, sort, false).await?;
        let full = name::FullName::read(new, &domain).map_err(bad_name)?;
        if full.domain != domain {
            let text = "it cannot be moved to another domain".to_owned();
            return Err(OperationError::General(text));
        }
        let renamed = self.store.directory.rename_object(&domain, &from, &full.name).await;
        renamed.map_err(|error| sort.missing(error))
    }

    async fn remove_sort(
        &self,
        actor: &Actor,
        text: &str,
        sort: Sort,
    ) -> Result<(), OperationError> {
        let (domain, name) = self.changeable(actor, text, sort, false).await?;
        let removed = self.store.directory.remove_object(&domain, &name).await;
        removed.map_err(|error| sort.missing(error))
    }

    /// Names of the groups of a domain.
    ///
    /// # Errors
    /// See [`OperationError`].
    pub async fn list_groups(
        &self,
        actor: &Actor,
        domain: &str,
    ) -> Result<Vec<String>, OperationError> {
        let all = self.list_sort(actor, domain, Sort::Group).await?;
        Ok(all.into_iter().map(|(name, _)| name).collect())
    }

    /// Makes a group.
    ///
    /// # Errors
    /// See [`OperationError`].
    pub async fn create_group(
        &self,
        actor: &Actor,
        group: &str,
        settings: Dictionary,
    ) -> Result<(), OperationError> {
        let (domain, name) = self.changeable(actor, group, Sort::Group, true).await?;
        let object = DomainObject::Group(group_settings(settings)?);
        Ok(self.store.directory.put_object(&domain, &name, object, false).await?)
    }

    /// Renames a group inside its domain.
    ///
    /// # Errors
    /// See [`OperationError`].
    pub async fn rename_group(
        &self,
        actor: &Actor,
        group: &str,
        new: &str,
    ) -> Result<(), OperationError> {
        self.rename_sort(actor, group, new, Sort::Group).await
    }

    /// Removes a group.
    ///
    /// # Errors
    /// See [`OperationError`].
    pub async fn delete_group(&self, actor: &Actor, group: &str) -> Result<(), OperationError> {
        self.remove_sort(actor, group, Sort::Group).await
    }

    /// A group's settings with its `Members`.
    ///
    /// # Errors
    /// See [`OperationError`].
    pub async fn group(&self, actor: &Actor, group: &str) -> Result<Dictionary, OperationError> {
        match self.read_sort(actor, group, Sort::Group).await? {
            DomainObject::Group(settings) => Ok(settings),
            _ => Err(OperationError::UnknownGroup),
        }
    }

    /// Replaces a group's settings.
    ///
    /// # Errors
    /// See [`OperationError`].
    pub async fn set_group(
        &self,
        actor: &Actor,
        group: &str,
        settings: Dictionary,
    ) -> Result<(), OperationError> {
        let (domain, name) = self.changeable(actor, group, Sort::Group, false).await?;
        let object = DomainObject::Group(group_settings(settings)?);
        Ok(self.store.directory.put_object(&domain, &name, object, true).await?)
    }

    /// Names of the forwarders of a domain.
    ///
    /// # Errors
    /// See [`OperationError`].
    pub async fn list_forwarders(
        &self,
        actor: &Actor,
        domain: &str,
    ) -> Result<Vec<String>, OperationError> {
        let all = self.list_sort(actor, domain, Sort::Forwarder).await?;
        Ok(all.into_iter().map(|(name, _)| name).collect())
    }

    /// Makes a forwarder to an address; a simple name that is not one of the Router's words is a
    /// name of the same domain.
    ///
    /// # Errors
    /// See [`OperationError`].
    pub async fn create_forwarder(
        &self,
        actor: &Actor,
        forwarder: &str,
        address: &str,
    ) -> Result<(), OperationError> {
        let (domain, name) = self.changeable(actor, forwarder, Sort::Forwarder, true).await?;
        let read = Address::read(address).map_err(|e| OperationError::Syntax(e.to_string()))?;
        let special =
            ["null", "error", "spamtrap"].iter().any(|word| read.local.eq_ignore_ascii_case(word));
        let target = if read.domain.is_empty() && read.is_simple() && !special {
            Address { local: read.local, domain: domain.clone() }.text()
        } else {
            read.text()
        };
        let object = DomainObject::Forwarder(target);
        Ok(self.store.directory.put_object(&domain, &name, object, false).await?)
    }

    /// Renames a forwarder inside its domain.
    ///
    /// # Errors
    /// See [`OperationError`].
    pub async fn rename_forwarder(
        &self,
        actor: &Actor,
        forwarder: &str,
        new: &str,
    ) -> Result<(), OperationError> {
        self.rename_sort(actor, forwarder, new, Sort::Forwarder).await
    }

    /// Removes a forwarder.
    ///
    /// # Errors
    /// See [`OperationError`].
    pub async fn delete_forwarder(
        &self,
        actor: &Actor,
        forwarder: &str,
    ) -> Result<(), OperationError> {
        self.remove_sort(actor, forwarder, Sort::Forwarder).await
    }

    /// The address a forwarder leads to.
    ///
    /// # Errors
    /// See [`OperationError`].
    pub async fn forwarder(
        &self,
        actor: &Actor,
        forwarder: &str,
    ) -> Result<String, OperationError> {
        match self.read_sort(actor, forwarder, Sort::Forwarder).await? {
            DomainObject::Forwarder(address) => Ok(address),
            _ => Err(OperationError::UnknownForwarder),
        }
    }

    /// Names of the forwarders of a domain that lead to an address.
    ///
    /// # Errors
    /// See [`OperationError`].
    pub async fn find_forwarders(
        &self,
        actor: &Actor,
        domain: &str,
        address: &str,
    ) -> Result<Vec<String>, OperationError> {
        let wanted = Address::read(address).map_err(|e| OperationError::Syntax(e.to_string()))?;
        let wanted = wanted.text();
        let all = self.list_sort(actor, domain, Sort::Forwarder).await?;
        Ok(all
            .into_iter()
            .filter(|(_, object)| {
                matches!(object, DomainObject::Forwarder(to) if to.eq_ignore_ascii_case(&wanted))
            })
            .map(|(name, _)| name)
            .collect())
    }
}

/// Group settings as they are stored.
pub(super) fn group_settings(mut settings: Dictionary) -> Result<Dictionary, OperationError> {
    let wrong = |text: &str| OperationError::Syntax(text.to_owned());
    for key in SWITCHES {
        if let Some(value) = settings.get_mut(key) {
            let yes = spelling::boolean(value)
                .ok_or_else(|| wrong(&format!("{key} of a group is YES or NO")))?;
            *value = Value::from(spelling::yes_no(yes));
        }
    }
    if let Some(members) = settings.get("Members") {
        let members = members.as_array().ok_or_else(|| wrong("Members of a group is an array"))?;
        if members.len() > MAX_MEMBERS {
            return Err(OperationError::LimitExceeded(format!("{MAX_MEMBERS} members")));
        }
        for member in members {
            let text = member.as_str().ok_or_else(|| wrong("a member of a group is an address"))?;
            Address::read(text)
                .map_err(|error| wrong(&format!("{error}: {}", text.escape_debug())))?;
        }
    }
    // The general limits on keys and size.
    Ok(angarium_objects::settings::replace(angarium_objects::settings::Scope::Module, &settings)?)
}
