//! Operations on who may relay and who is kept out: the lists of addresses, the banned lines and
//! the other settings of the module `Protection` (`reference/cli.md` section 12). All of it lives
//! in one dictionary; each command sees its own part.

use angarium_objects::rights::SETTINGS;
use angarium_objects::settings::{PROTECTION_LISTS, Scope};
use angarium_objects::value::{Dictionary, Value};
use angarium_routing::protection::banned::{BODY_LINES, HEADER_LINES};
use angarium_routing::protection::{AddressList, Banned, NameList};
use angarium_store::SettingsKey;

use super::OperationError;
use super::edit::How;
use crate::{Accounts, Actor};

/// The module all of it is kept in.
pub const PROTECTION_MODULE: &str = "Protection";

fn key() -> SettingsKey {
    SettingsKey::Module(PROTECTION_MODULE.to_owned())
}

fn is_list(name: &str) -> bool {
    PROTECTION_LISTS.contains(&name)
}

/// Refuses lists that cannot be read, with the line that is wrong.
pub(super) fn check(module: &str, settings: &Dictionary) -> Result<(), OperationError> {
    if !module.eq_ignore_ascii_case(PROTECTION_MODULE) {
        return Ok(());
    }
    for (name, value) in settings {
        let Some(text) = value.as_str() else { continue };
        if angarium_objects::settings::is_default(value) {
            continue;
        }
        let read = if name.ends_with("IPs") {
            AddressList::read(text).map(|_| ())
        } else if name == "BlacklistedNames" {
            NameList::read(text).map(|_| ())
        } else {
            Ok(())
        };
        read.map_err(|error| OperationError::Syntax(format!("{name}: {error}")))?;
    }
    let plain: Dictionary = settings
        .iter()
        .filter(|(_, value)| !angarium_objects::settings::is_default(value))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    Banned::read(&plain).map(|_| ()).map_err(OperationError::Syntax)
}

impl Accounts {
    async fn protection(&self, actor: &Actor) -> Result<Dictionary, OperationError> {
        self.authority(actor).await?.need_server(SETTINGS)?;
        Ok((*self.dictionary(key()).await?).clone())
    }

    /// A list of addresses, by its key such as `ClientIPs`; empty if it was never set.
    ///
    /// # Errors
    /// See [`OperationError`].
    pub async fn network_list(&self, actor: &Actor, list: &str) -> Result<String, OperationError> {
        let all = self.protection(actor).await?;
        Ok(all.get(list).and_then(Value::as_str).unwrap_or_default().to_owned())
    }

    /// Replaces a list of addresses; refused with the line that is wrong.
    ///
    /// # Errors
    /// See [`OperationError`].
    pub async fn set_network_list(
        &self,
        actor: &Actor,
        list: &str,
        text: &str,
    ) -> Result<(), OperationError> {
        self.authority(actor).await?.need_server(SETTINGS)?;
        if !is_list(list) || !list.ends_with("IPs") {
            return Err(OperationError::Internal(format!("{list} is no list of addresses")));
        }
        let given = Dictionary::from([(list.to_owned(), Value::from(text))]);
        check(PROTECTION_MODULE, &given)?;
        self.edit_dictionary(key(), |old| Ok(How::Merge.apply(Scope::Protection, old, &given)?))
            .await
    }

    /// The settings of the module without its lists (GETPROTECTION).
    ///
    /// # Errors
    /// See [`OperationError`].
    pub async fn protection_settings(&self, actor: &Actor) -> Result<Dictionary, OperationError> {
        let mut all = self.protection(actor).await?;
        all.retain(|name, _| !is_list(name));
        Ok(all)
    }

    /// Replaces the settings of the module; its lists stay (SETPROTECTION).
    ///
    /// # Errors
    /// See [`OperationError`].
    pub async fn set_protection_settings(
        &self,
        actor: &Actor,
        settings: Dictionary,
    ) -> Result<(), OperationError> {
        self.authority(actor).await?.need_server(SETTINGS)?;
        let mut settings = settings;
        settings.retain(|name, _| !is_list(name));
        self.replace_part(&settings, |name| !is_list(name)).await
    }

    /// The banned lines (GETBANNED).
    ///
    /// # Errors
    /// See [`OperationError`].
    pub async fn banned_lines(&self, actor: &Actor) -> Result<Dictionary, OperationError> {
        let mut all = self.protection(actor).await?;
        all.retain(|name, _| [HEADER_LINES, BODY_LINES].contains(&name.as_str()));
        Ok(all)
    }

    /// Replaces the banned lines (SETBANNED).
    ///
    /// # Errors
    /// See [`OperationError`].
    pub async fn set_banned_lines(
        &self,
        actor: &Actor,
        lines: Dictionary,
    ) -> Result<(), OperationError> {
        self.authority(actor).await?.need_server(SETTINGS)?;
        let own = |name: &str| [HEADER_LINES, BODY_LINES].contains(&name);
        if let Some(other) = lines.keys().find(|name| !own(name)) {
            let text = format!("{other} is not known: {HEADER_LINES} and {BODY_LINES} are");
            return Err(OperationError::Syntax(text));
        }
        self.replace_part(&lines, own).await
    }

    /// Replaces the keys of the module that `part` names.
    async fn replace_part(
        &self,
        new: &Dictionary,
        part: impl Fn(&str) -> bool + Send + Sync,
    ) -> Result<(), OperationError> {
        check(PROTECTION_MODULE, new)?;
        self.edit_dictionary(key(), |old| {
            let mut kept = old.clone();
            kept.retain(|name, _| !part(name));
            Ok(How::Merge.apply(Scope::Protection, &kept, new)?)
        })
        .await
    }

    /// Refuses who may not see (or with `change`, set) what is remembered of addresses for a time.
    ///
    /// # Errors
    /// See [`OperationError`].
    pub async fn may_administer_addresses(
        &self,
        actor: &Actor,
        change: bool,
    ) -> Result<(), OperationError> {
        use angarium_objects::rights::MONITOR;
        self.authority(actor).await?.need_server(if change { SETTINGS } else { MONITOR })
    }

    /// Counts a failed login from an address that another program saw (REPORTFAILEDLOGINADDRESS).
    ///
    /// # Errors
    /// See [`OperationError`].
    pub async fn report_failed_login(
        &self,
        actor: &Actor,
        ip: std::net::IpAddr,
    ) -> Result<(), OperationError> {
        self.authority(actor).await?.need_server(SETTINGS)?;
        Ok(self.failed_from(ip).await?)
    }

    /// An effective setting of one of this server's domains; `None` for domains of others.
    ///
    /// # Errors
    /// As the store.
    pub async fn domain_setting(
        &self,
        domain: &str,
        setting: &str,
    ) -> Result<Option<Value>, angarium_store::StoreError> {
        let facts = self.domain_facts(&Self::fold(domain)).await?;
        Ok(facts.map(|f| f.effective.get(setting).cloned().unwrap_or(Value::Null)))
    }

    /// True for the addresses of this machine.
    #[must_use]
    pub fn is_this_machine(&self, ip: std::net::IpAddr) -> bool {
        self.is_own_address(ip)
    }
}
