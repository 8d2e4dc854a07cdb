//! Operations on accounts: making, renaming, deleting, settings, aliases, rights, facts.

use std::collections::BTreeSet;

use angarium_objects::configuration::is_secret;
use angarium_objects::name::FullName;
use angarium_objects::rights::{
    BASIC_SETTINGS, CAN_ACCESS_MAILBOXES, CAN_CREATE_ACCOUNTS, CAN_CREATE_ALIASES,
    CAN_CREATE_SPECIAL_ACCOUNTS, DOMAIN, MAX_RIGHTS, Rights,
};
use angarium_objects::settings::{self, REMOTE_POP, Scope};
use angarium_objects::spelling::{self, Limit};
use angarium_objects::value::{Dictionary, Value};
use angarium_store::{AccountId, AccountKind, AccountRecord, NewMailbox};

use super::authority::{Authority, allowed};
use super::beginnings::{Beginnings, MAX_INITIAL, alias_names, mailbox_names};
use super::domains::filtered;
use super::edit::How;
use super::{NewAccount, OperationError, kind_extension};
use crate::alerts::without_alerts;
use crate::login::app_password;
use crate::mailboxes::{alias_fault, canonical};
use crate::statistics::without_statistics;
use crate::{Accounts, Actor, Provisioned};

/// Most mailboxes in a subscription list, and most mailbox aliases.
const MAX_SUBSCRIBED: usize = 10_000;
/// Longest mailbox name in these, in bytes.
const MAX_MAILBOX_NAME: usize = 1_024;
/// Template keys that are not account settings: what a new account starts with.
const INITIAL_MAILBOXES: &str = "Mailboxes";
const INITIAL_SUBSCRIPTION: &str = "Subscription";
const INITIAL_ALIASES: &str = "MailboxAliases";

impl Accounts {
    /// Makes an account from the domain's template and explicit settings.
    ///
    /// # Errors
    /// See [`OperationError`].
    pub async fn create_account(
        &self,
        actor: &Actor,
        account: NewAccount,
    ) -> Result<AccountId, OperationError> {
        let authority = self.authority(actor).await?;
        let full = self.full_name(&authority, &account.name).await?;
        self.need_in_domain(&authority, &full.domain, CAN_CREATE_ACCOUNTS).await?;
        let kind = account.kind.unwrap_or(AccountKind::MultiMailbox);
        if account.legacy || kind_extension(kind) != "macnt" {
            self.need_in_domain(&authority, &full.domain, CAN_CREATE_SPECIAL_ACCOUNTS).await?;
        }
        let given = filtered(&authority, Scope::Account, account.settings);
        let mut names = Beginnings::default();
        if !account.aliases.is_empty() {
            self.need_in_domain(&authority, &full.domain, CAN_CREATE_ALIASES).await?;
            names.aliases = alias_names(&account.aliases, &full.name)?;
        }
        names.mailboxes = mailbox_names(&account.mailboxes)?;
        self.make_account_with(full, kind, account.legacy, &given, Vec::new(), names).await
    }

    /// Makes an account, rights already checked.
    pub(super) async fn make_account(
        &self,
        full: FullName,
        kind: AccountKind,
        legacy: bool,
        given: &Dictionary,
        rights: Vec<String>,
    ) -> Result<AccountId, OperationError> {
        self.make_account_with(full, kind, legacy, given, rights, Beginnings::default()).await
    }

    /// Makes an account with all it begins with, or nothing of it; rights already checked.
    async fn make_account_with(
        &self,
        full: FullName,
        kind: AccountKind,
        legacy: bool,
        given: &Dictionary,
        rights: Vec<String>,
        names: Beginnings,
    ) -> Result<AccountId, OperationError> {
        let domain = self.domain_facts(&full.domain).await?.ok_or(OperationError::UnknownDomain)?;
        let limit = domain.effective.get("AccountsLimit").and_then(spelling::count);
        if let Some(Limit::Of(limit)) = limit {
            let there = self.store.directory.counts(&full.domain).await?.accounts;
            if there >= limit {
                return Err(OperationError::LimitExceeded("accounts of the domain".to_owned()));
            }
        }
        if legacy
            && domain
                .effective
                .get("ExternalINBOXPath")
                .and_then(Value::as_str)
                .is_none_or(str::is_empty)
        {
            let text = "the domain has no place for mailbox files of others (ExternalINBOXPath)";
            return Err(OperationError::General(text.to_owned()));
        }
        let mut template = domain.record.template.clone();
        let mailboxes = words(template.remove(INITIAL_MAILBOXES).as_ref());
        let mailboxes = mailboxes.iter().filter_map(|n| canonical(n).ok());
        let mailboxes: BTreeSet<String> = mailboxes.chain(names.mailboxes).collect();
        let subscription = words(template.remove(INITIAL_SUBSCRIPTION).as_ref());
        let mailbox_aliases = match template.remove(INITIAL_ALIASES) {
            Some(Value::Dictionary(aliases)) => usable_aliases(aliases, mailboxes.iter()),
            _ => Dictionary::new(),
        };
        let mut settings = settings::merge(Scope::Account, &template, given)?;
        if legacy {
            settings.insert("ExternalINBOX".to_owned(), Value::from("YES"));
        }
        self.prepare_password(&full.domain, &mut settings, None).await?;
        let record = AccountRecord {
            id: AccountId(0),
            domain: full.domain,
            name: full.name,
            kind,
            aliases: names.aliases,
            settings,
            rights,
            subscription,
            mailbox_aliases,
            info: Dictionary::new(),
            version: 0,
        };
        let full = FullName { name: record.name.clone(), domain: record.domain.clone() };
        let now = self.now();
        let mailboxes = mailboxes
            .into_iter()
            .filter(|name| name != "INBOX")
            .map(|name| NewMailbox { name, selectable: true, now, ..NewMailbox::default() })
            .collect();
        let made = self.store.directory.create_account_with(record, mailboxes, now).await?.id;
        self.provisioned(Provisioned::Created(full)).await;
        Ok(made)
    }

    /// Gives an account another name, also in another domain.
    ///
    /// # Errors
    /// See [`OperationError`].
    pub async fn rename_account(
        &self,
        actor: &Actor,
        from: &str,
        to: &str,
    ) -> Result<(), OperationError> {
        let (authority, record) = self.changeable_account(actor, from, CAN_CREATE_ACCOUNTS).await?;
        self.by_own_name(&authority, &record, from).await?;
        let full = self.full_name(&authority, to).await?;
        self.need_in_domain(&authority, &full.domain, CAN_CREATE_ACCOUNTS).await?;
        self.store.directory.rename_account(record.id, &full.domain, &full.name).await?;
        self.gate.forget(record.id);
        if record.domain == full.domain {
            self.lists_follow(&full.domain, &record.name, &full.name).await?;
        }
        let from = FullName { name: record.name.clone(), domain: record.domain.clone() };
        self.provisioned(Provisioned::Renamed { from, to: full }).await;
        Ok(())
    }

    /// Removes an account with its mail.
    ///
    /// # Errors
    /// See [`OperationError`].
    pub async fn delete_account(&self, actor: &Actor, account: &str) -> Result<(), OperationError> {
        let (authority, record) =
            self.changeable_account(actor, account, CAN_CREATE_ACCOUNTS).await?;
        self.by_own_name(&authority, &record, account).await?;
        self.store.directory.delete_account(record.id).await?;
        self.gate.forget(record.id);
        let gone = FullName { name: record.name.clone(), domain: record.domain.clone() };
        self.provisioned(Provisioned::Deleted(gone)).await;
        Ok(())
    }

    /// Renaming and deleting take the account's own name, not an alias, and never the Main
    /// Domain's `postmaster`.
    pub(super) async fn by_own_name(
        &self,
        authority: &Authority,
        record: &AccountRecord,
        text: &str,
    ) -> Result<(), OperationError> {
        if text.trim() != "*" && self.full_name(authority, text).await?.name != record.name {
            return Err(OperationError::UnknownAccount);
        }
        if record.name == "postmaster" && record.domain == self.main_domain().await? {
            let text = "the postmaster of the Main Domain must stay".to_owned();
            return Err(OperationError::General(text));
        }
        Ok(())
    }

    /// Settings without what the reader may not see: the stored password is shown to those who
    /// could set it.
    async fn shown(
        &self,
        authority: &Authority,
        record: &AccountRecord,
        mut settings: Dictionary,
    ) -> Result<Dictionary, OperationError> {
        let target = self.actor_of(record).await?;
        if !self.may_in_domain(authority, &record.domain, BASIC_SETTINGS).await?
            || !authority.outranks(&target.rights)
        {
            settings.retain(|key, _| !is_secret(key));
            // Its records hold passwords too.
            settings.remove(REMOTE_POP);
        }
        Ok(settings)
    }

    /// Explicit settings of an account.
    ///
    /// # Errors
    /// See [`OperationError`].
    pub async fn account_settings(
        &self,
        actor: &Actor,
        account: &str,
    ) -> Result<Dictionary, OperationError> {
        let (authority, record) = self.readable_account(actor, account).await?;
        self.shown(&authority, &record, record.settings.clone()).await
    }

    /// Settings of an account, all levels merged.
    ///
    /// # Errors
    /// See [`OperationError`].
    pub async fn account_effective_settings(
        &self,
        actor: &Actor,
        account: &str,
    ) -> Result<Dictionary, OperationError> {
        let (authority, record) = self.readable_account(actor, account).await?;
        let all = self.effective_settings(record.id).await?;
        self.shown(&authority, &record, (*all).clone()).await
    }

    /// One effective setting, `Null` if absent.
    ///
    /// # Errors
    /// See [`OperationError`].
    pub async fn account_one_setting(
        &self,
        actor: &Actor,
        account: &str,
        key: &str,
    ) -> Result<Value, OperationError> {
        let mut all = self.account_effective_settings(actor, account).await?;
        Ok(all.remove(key).unwrap_or(Value::Null))
    }

    async fn change_settings(
        &self,
        record: &AccountRecord,
        how: How,
        mut changes: Dictionary,
    ) -> Result<(), OperationError> {
        let beside = app_password::scram_salt(&record.settings);
        self.prepare_password(&record.domain, &mut changes, beside).await?;
        self.edit_account(record.id, |record| {
            record.settings = how.apply(Scope::Account, &record.settings, &changes)?;
            Ok(())
        })
        .await?;
        if how == How::Replace || changes.contains_key("Password") {
            self.gate.forget(record.id);
        }
        Ok(())
    }

    /// Merges settings into an account's; the string `default` removes one. A domain
    /// administrator silently changes only what his rights name.
    ///
    /// # Errors
    /// See [`OperationError`].
    pub async fn update_account_settings(
        &self,
        actor: &Actor,
        account: &str,
        settings: Dictionary,
    ) -> Result<(), OperationError> {
        let (authority, record) = self.changeable_account(actor, account, DOMAIN).await?;
        let changes = filtered(&authority, Scope::Account, settings);
        self.change_settings(&record, How::Merge, changes).await
    }

    /// Replaces an account's settings.
    ///
    /// # Errors
    /// See [`OperationError`].
    pub async fn set_account_settings(
        &self,
        actor: &Actor,
        account: &str,
        settings: Dictionary,
    ) -> Result<(), OperationError> {
        let (authority, record) = self.changeable_account(actor, account, DOMAIN).await?;
        authority.need_all_domains()?;
        self.change_settings(&record, How::Replace, settings).await
    }

    /// Other names of an account.
    ///
    /// # Errors
    /// See [`OperationError`].
    pub async fn account_aliases(
        &self,
        actor: &Actor,
        account: &str,
    ) -> Result<Vec<String>, OperationError> {
        Ok(self.readable_account(actor, account).await?.1.aliases.clone())
    }

    /// Replaces the other names of an account.
    ///
    /// # Errors
    /// See [`OperationError`].
    pub async fn set_account_aliases(
        &self,
        actor: &Actor,
        account: &str,
        aliases: Vec<String>,
    ) -> Result<(), OperationError> {
        let (_, record) = self.changeable_account(actor, account, CAN_CREATE_ALIASES).await?;
        let names = alias_names(&aliases, &record.name)?;
        self.edit_account(record.id, |record| {
            record.aliases.clone_from(&names);
            Ok(())
        })
        .await?;
        Ok(())
    }

    /// Rights codes of an account.
    ///
    /// # Errors
    /// See [`OperationError`].
    pub async fn account_rights(
        &self,
        actor: &Actor,
        account: &str,
    ) -> Result<Vec<String>, OperationError> {
        let authority = self.authority(actor).await?;
        let record = self.named_account(&authority, account).await?;
        self.need_read(&authority, &record.domain).await?;
        Ok(record.rights.clone())
    }

    /// Replaces the rights codes of an account: takes Master, for accounts of secondary domains
    /// the right to change all domains.
    ///
    /// # Errors
    /// See [`OperationError`].
    pub async fn set_account_rights(
        &self,
        actor: &Actor,
        account: &str,
        rights: Vec<String>,
    ) -> Result<(), OperationError> {
        let authority = self.authority(actor).await?;
        let record = self.named_account(&authority, account).await?;
        let main = record.domain == self.main_domain().await?;
        allowed(if main { authority.rights.is_master() } else { authority.rights.all_domains() })?;
        let codes = check_rights(rights)?;
        self.edit_account(record.id, |record| {
            record.rights.clone_from(&codes);
            Ok(())
        })
        .await?;
        Ok(())
    }

    /// Volatile facts: `StorageUsed` (octets, plain digits), `Messages`, `MailboxesUsed`,
    /// `LastLogin`, `LastAddress`, `Logins`.
    ///
    /// # Errors
    /// See [`OperationError`].
    pub async fn account_info(
        &self,
        actor: &Actor,
        account: &str,
    ) -> Result<Dictionary, OperationError> {
        let (_, record) = self.readable_account(actor, account).await?;
        let mut info = record.info.clone();
        without_alerts(&mut info);
        without_statistics(&mut info);
        let (size, messages) = self.store.mailboxes.usage(record.id).await?;
        info.insert("StorageUsed".to_owned(), Value::from(size.to_string()));
        info.insert("Messages".to_owned(), Value::from(messages.to_string()));
        let mailboxes = self.store.mailboxes.list(record.id).await?;
        let mailboxes = mailboxes.iter().filter(|mailbox| mailbox.selectable).count();
        info.insert("MailboxesUsed".to_owned(), Value::from(mailboxes.to_string()));
        self.gate.lay_logins_over(record.id, &mut info);
        Ok(info)
    }

    /// Where an account's files would be, relative to its domain's directory.
    ///
    /// # Errors
    /// See [`OperationError`].
    pub async fn account_location(
        &self,
        actor: &Actor,
        account: &str,
    ) -> Result<String, OperationError> {
        let authority = self.authority(actor).await?;
        let record = self.named_account(&authority, account).await?;
        authority.need_all_domains()?;
        Ok(format!("{}.{}", record.name, kind_extension(record.kind)))
    }

    /// The account, for its owner and for those who may open its mailboxes.
    async fn mailbox_owner(
        &self,
        actor: &Actor,
        account: &str,
    ) -> Result<std::sync::Arc<AccountRecord>, OperationError> {
        let authority = self.authority(actor).await?;
        let record = self.named_account(&authority, account).await?;
        if record.id != authority.account {
            self.need_in_domain(&authority, &record.domain, CAN_ACCESS_MAILBOXES).await?;
        }
        Ok(record)
    }

    /// Subscribed mailbox names.
    ///
    /// # Errors
    /// See [`OperationError`].
    pub async fn mailbox_subscription(
        &self,
        actor: &Actor,
        account: &str,
    ) -> Result<Vec<String>, OperationError> {
        Ok(self.mailbox_owner(actor, account).await?.subscription.clone())
    }

    /// Replaces the subscribed mailbox names.
    ///
    /// # Errors
    /// See [`OperationError`].
    pub async fn set_mailbox_subscription(
        &self,
        actor: &Actor,
        account: &str,
        names: Vec<String>,
    ) -> Result<(), OperationError> {
        let record = self.mailbox_owner(actor, account).await?;
        check_mailbox_names(names.iter())?;
        self.edit_account(record.id, |record| {
            record.subscription.clone_from(&names);
            Ok(())
        })
        .await?;
        Ok(())
    }

    /// Mailbox aliases: local name to foreign name.
    ///
    /// # Errors
    /// See [`OperationError`].
    pub async fn mailbox_aliases(
        &self,
        actor: &Actor,
        account: &str,
    ) -> Result<Dictionary, OperationError> {
        Ok(self.mailbox_owner(actor, account).await?.mailbox_aliases.clone())
    }

    /// Replaces the mailbox aliases.
    ///
    /// # Errors
    /// See [`OperationError`].
    pub async fn set_mailbox_aliases(
        &self,
        actor: &Actor,
        account: &str,
        aliases: Dictionary,
    ) -> Result<(), OperationError> {
        let record = self.mailbox_owner(actor, account).await?;
        self.check_mailbox_aliases(Some(record.id), &aliases).await?;
        self.edit_account(record.id, |record| {
            record.mailbox_aliases.clone_from(&aliases);
            Ok(())
        })
        .await?;
        Ok(())
    }

    /// Refuses mailbox aliases that lead nowhere, and those named as a mailbox that the account
    /// has, if there is one.
    pub(super) async fn check_mailbox_aliases(
        &self,
        id: Option<AccountId>,
        aliases: &Dictionary,
    ) -> Result<(), OperationError> {
        check_mailbox_names(aliases.keys())?;
        let targets: Option<Vec<&str>> = aliases.values().map(Value::as_str).collect();
        let targets = targets.ok_or_else(|| {
            OperationError::Syntax("a mailbox alias leads to a mailbox name".to_owned())
        })?;
        check_mailbox_names(targets.iter())?;
        for (alias, target) in aliases.keys().zip(targets) {
            if let Some(why) = alias_fault(alias, target) {
                return Err(OperationError::Syntax(why.to_owned()));
            }
            let Some(id) = id else { continue };
            let there = self.has_mailbox(id, alias).await;
            if there.map_err(|error| OperationError::Later(error.to_string()))? {
                return Err(OperationError::MailboxExists);
            }
        }
        Ok(())
    }
}

/// Rights codes as they are stored.
pub(super) fn check_rights(rights: Vec<String>) -> Result<Vec<String>, OperationError> {
    let sane =
        |code: &String| (1..=128).contains(&code.len()) && !code.chars().any(char::is_control);
    if rights.len() > MAX_RIGHTS || !rights.iter().all(sane) {
        return Err(OperationError::Syntax("a list of rights codes is expected".to_owned()));
    }
    Ok(Rights::new(rights, false).codes().map(str::to_owned).collect())
}

/// Refuses what is no list of subscribed mailboxes.
pub(super) fn check_subscription(names: &[String]) -> Result<(), OperationError> {
    check_mailbox_names(names.iter())
}

fn check_mailbox_names<S: AsRef<str>>(
    names: impl ExactSizeIterator<Item = S>,
) -> Result<(), OperationError> {
    if names.len() > MAX_SUBSCRIBED {
        return Err(OperationError::LimitExceeded(format!("{MAX_SUBSCRIBED} mailbox names")));
    }
    for name in names {
        let name = name.as_ref();
        if name.is_empty() || name.len() > MAX_MAILBOX_NAME || name.chars().any(char::is_control) {
            return Err(OperationError::Syntax("a mailbox name is expected".to_owned()));
        }
    }
    Ok(())
}

/// The usable mailbox names of a template.
fn words(value: Option<&Value>) -> Vec<String> {
    let all = value.and_then(Value::as_array).unwrap_or_default();
    all.iter()
        .filter_map(Value::as_str)
        .filter(|name| check_mailbox_names([name].into_iter()).is_ok())
        .take(MAX_INITIAL)
        .map(str::to_owned)
        .collect()
}

/// The mailbox aliases of a template that a new account with these mailboxes can have.
fn usable_aliases<'a>(
    mut aliases: Dictionary,
    mailboxes: impl Iterator<Item = &'a String> + Clone,
) -> Dictionary {
    aliases.retain(|alias, target| {
        let fault = target.as_str().is_none_or(|target| alias_fault(alias, target).is_some());
        let taken = mailboxes.clone().any(|name| name.split('/').next() == Some(alias));
        if fault || taken {
            tracing::warn!(alias, "a mailbox alias of the template was not made");
        }
        !fault && !taken
    });
    aliases
}
