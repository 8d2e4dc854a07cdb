//! Operations on domains: making them, their settings, their account defaults and template.

use angarium_objects::name;
use angarium_objects::rights::DOMAIN;
use angarium_objects::settings::{self, Scope};
use angarium_objects::value::Dictionary;
use angarium_store::DomainRecord;

use super::OperationError;
use super::authority::{Authority, bad_name};
use super::edit::How;
use crate::{Accounts, Actor};

/// Most other names of one domain.
const MAX_ALIASES: usize = 1_000;

/// Which dictionary of a domain.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Settings,
    AccountDefaults,
    Template,
}

impl Part {
    fn scope(self) -> Scope {
        match self {
            Self::Settings => Scope::Domain,
            Self::AccountDefaults => Scope::Account,
            Self::Template => Scope::Template,
        }
    }

    fn of(self, record: &DomainRecord) -> &Dictionary {
        match self {
            Self::Settings => &record.settings,
            Self::AccountDefaults => &record.account_defaults,
            Self::Template => &record.template,
        }
    }

    fn of_mut(self, record: &mut DomainRecord) -> &mut Dictionary {
        match self {
            Self::Settings => &mut record.settings,
            Self::AccountDefaults => &mut record.account_defaults,
            Self::Template => &mut record.template,
        }
    }
}

impl Accounts {
    /// Names of all domains (server administrators), or of those one administers (domain
    /// administrators).
    ///
    /// # Errors
    /// See [`OperationError`].
    pub async fn list_domains(&self, actor: &Actor) -> Result<Vec<String>, OperationError> {
        let authority = self.authority(actor).await?;
        if authority.rights.all_domains_read() {
            return Ok(self.store.directory.domains().await?);
        }
        super::authority::allowed(authority.rights.domain(DOMAIN))?;
        let mut all = Vec::new();
        for domain in self.store.directory.domains().await? {
            if self.may_in_domain(&authority, &domain, DOMAIN).await? {
                all.push(domain);
            }
        }
        Ok(all)
    }

    /// Makes a secondary domain with explicit settings.
    ///
    /// # Errors
    /// See [`OperationError`].
    pub async fn create_domain(
        &self,
        actor: &Actor,
        name: &str,
        settings: Dictionary,
    ) -> Result<(), OperationError> {
        self.authority(actor).await?.need_all_domains()?;
        let record = DomainRecord {
            name: name::domain_name(name).map_err(bad_name)?,
            aliases: Vec::new(),
            settings: settings::replace(Scope::Domain, &settings)?,
            account_defaults: Dictionary::new(),
            template: Dictionary::new(),
            version: 0,
        };
        self.check_addresses(&record.name, &record.settings).await?;
        self.store.directory.create_domain(record).await?;
        Ok(())
    }

    /// Renames a domain with all in it.
    ///
    /// # Errors
    /// See [`OperationError`]; the Main Domain keeps its name.
    pub async fn rename_domain(
        &self,
        actor: &Actor,
        old: &str,
        new: &str,
    ) -> Result<(), OperationError> {
        let authority = self.authority(actor).await?;
        authority.need_all_domains()?;
        let old = self.named_domain(&authority, old).await?;
        if old.record.name == self.main_domain().await? {
            return Err(OperationError::General("the Main Domain cannot be renamed".to_owned()));
        }
        let new = name::domain_name(new).map_err(bad_name)?;
        self.store.directory.rename_domain(&old.record.name, &new).await?;
        self.statistics.domain_moved(&old.record.name, Some(&new));
        self.move_domain_alerts(&old.record.name, Some(&new)).await
    }

    /// Removes a domain; one that still has objects only with `force`.
    ///
    /// # Errors
    /// See [`OperationError`]; the Main Domain stays.
    pub async fn delete_domain(
        &self,
        actor: &Actor,
        name: &str,
        force: bool,
    ) -> Result<(), OperationError> {
        let authority = self.authority(actor).await?;
        authority.need_all_domains()?;
        let facts = self.named_domain(&authority, name).await?;
        if facts.record.name != Self::fold(name) {
            // An alias: deleting a domain by another of its names is surely a mistake.
            return Err(OperationError::UnknownDomain);
        }
        if facts.record.name == self.main_domain().await? {
            return Err(OperationError::General("the Main Domain cannot be deleted".to_owned()));
        }
        self.store.directory.delete_domain(&facts.record.name, force).await?;
        self.statistics.domain_moved(&facts.record.name, None);
        self.move_domain_alerts(&facts.record.name, None).await
    }

    /// Other names of a domain.
    ///
    /// # Errors
    /// See [`OperationError`].
    pub async fn domain_aliases(
        &self,
        actor: &Actor,
        domain: &str,
    ) -> Result<Vec<String>, OperationError> {
        let facts = self.readable_domain(actor, domain).await?;
        Ok(facts.record.aliases.clone())
    }

    /// Replaces the other names of a domain.
    ///
    /// # Errors
    /// See [`OperationError`].
    pub async fn set_domain_aliases(
        &self,
        actor: &Actor,
        domain: &str,
        aliases: Vec<String>,
    ) -> Result<(), OperationError> {
        let authority = self.authority(actor).await?;
        authority.need_all_domains()?;
        let facts = self.named_domain(&authority, domain).await?;
        if aliases.len() > MAX_ALIASES {
            return Err(OperationError::LimitExceeded(format!("{MAX_ALIASES} domain aliases")));
        }
        let mut names = Vec::with_capacity(aliases.len());
        for alias in &aliases {
            let alias = name::domain_name(alias).map_err(bad_name)?;
            if alias != facts.record.name {
                names.push(alias);
            }
        }
        names.sort();
        names.dedup();
        self.edit_domain(&facts.record.name, |record| {
            record.aliases.clone_from(&names);
            Ok(())
        })
        .await?;
        Ok(())
    }

    async fn read_part(
        &self,
        actor: &Actor,
        domain: &str,
        part: Part,
    ) -> Result<Dictionary, OperationError> {
        let facts = self.readable_domain(actor, domain).await?;
        Ok(part.of(&facts.record).clone())
    }

    async fn change_part(
        &self,
        actor: &Actor,
        domain: &str,
        part: Part,
        how: How,
        mut changes: Dictionary,
    ) -> Result<(), OperationError> {
        let authority = self.authority(actor).await?;
        let facts = self.named_domain(&authority, domain).await?;
        let name = &facts.record.name;
        match how {
            How::Replace => authority.need_all_domains()?,
            How::Merge => {
                self.need_in_domain(&authority, name, DOMAIN).await?;
                changes = filtered(&authority, part.scope(), changes);
            }
        }
        if part == Part::Settings {
            self.check_addresses(name, &changes).await?;
        } else {
            self.prepare_password(name, &mut changes, None).await?;
        }
        self.edit_domain(name, |record| {
            let all = how.apply(part.scope(), part.of(record), &changes)?;
            *part.of_mut(record) = all;
            Ok(())
        })
        .await?;
        Ok(())
    }

    /// An address of this machine belongs to at most one domain.
    pub(super) async fn check_addresses(
        &self,
        domain: &str,
        settings: &Dictionary,
    ) -> Result<(), OperationError> {
        let list = settings.get("IPAddresses").and_then(settings::addresses).unwrap_or_default();
        for ip in list {
            if let Some(other) = self.domain_of_address(ip).await?
                && other != domain
            {
                let text = format!("the address {ip} is assigned to the domain {other}");
                return Err(OperationError::General(text));
            }
        }
        Ok(())
    }

    /// Explicit settings of a domain.
    ///
    /// # Errors
    /// See [`OperationError`].
    pub async fn domain_settings(
        &self,
        actor: &Actor,
        domain: &str,
    ) -> Result<Dictionary, OperationError> {
        self.read_part(actor, domain, Part::Settings).await
    }

    /// Settings of a domain, all levels merged.
    ///
    /// # Errors
    /// See [`OperationError`].
    pub async fn domain_effective_settings(
        &self,
        actor: &Actor,
        domain: &str,
    ) -> Result<Dictionary, OperationError> {
        let facts = self.readable_domain(actor, domain).await?;
        Ok(facts.effective.clone())
    }

    /// Merges settings into a domain's; the string `default` removes one. A domain administrator
    /// silently changes only what his rights name.
    ///
    /// # Errors
    /// See [`OperationError`].
    pub async fn update_domain_settings(
        &self,
        actor: &Actor,
        domain: &str,
        settings: Dictionary,
    ) -> Result<(), OperationError> {
        self.change_part(actor, domain, Part::Settings, How::Merge, settings).await
    }

    /// Replaces a domain's settings.
    ///
    /// # Errors
    /// See [`OperationError`].
    pub async fn set_domain_settings(
        &self,
        actor: &Actor,
        domain: &str,
        settings: Dictionary,
    ) -> Result<(), OperationError> {
        self.change_part(actor, domain, Part::Settings, How::Replace, settings).await
    }

    /// Default account settings of a domain.
    ///
    /// # Errors
    /// See [`OperationError`].
    pub async fn account_defaults(
        &self,
        actor: &Actor,
        domain: &str,
    ) -> Result<Dictionary, OperationError> {
        self.read_part(actor, domain, Part::AccountDefaults).await
    }

    /// Merges into the default account settings of a domain.
    ///
    /// # Errors
    /// See [`OperationError`].
    pub async fn update_account_defaults(
        &self,
        actor: &Actor,
        domain: &str,
        settings: Dictionary,
    ) -> Result<(), OperationError> {
        self.change_part(actor, domain, Part::AccountDefaults, How::Merge, settings).await
    }

    /// Replaces the default account settings of a domain.
    ///
    /// # Errors
    /// See [`OperationError`].
    pub async fn set_account_defaults(
        &self,
        actor: &Actor,
        domain: &str,
        settings: Dictionary,
    ) -> Result<(), OperationError> {
        self.change_part(actor, domain, Part::AccountDefaults, How::Replace, settings).await
    }

    /// The account template of a domain.
    ///
    /// # Errors
    /// See [`OperationError`].
    pub async fn account_template(
        &self,
        actor: &Actor,
        domain: &str,
    ) -> Result<Dictionary, OperationError> {
        self.read_part(actor, domain, Part::Template).await
    }

    /// Merges into the account template.
    ///
    /// # Errors
    /// See [`OperationError`].
    pub async fn update_account_template(
        &self,
        actor: &Actor,
        domain: &str,
        settings: Dictionary,
    ) -> Result<(), OperationError> {
        self.change_part(actor, domain, Part::Template, How::Merge, settings).await
    }

    /// Replaces the account template.
    ///
    /// # Errors
    /// See [`OperationError`].
    pub async fn set_account_template(
        &self,
        actor: &Actor,
        domain: &str,
        settings: Dictionary,
    ) -> Result<(), OperationError> {
        self.change_part(actor, domain, Part::Template, How::Replace, settings).await
    }
}

/// What a domain administrator may change of these; everything for others.
pub(super) fn filtered(authority: &Authority, scope: Scope, mut changes: Dictionary) -> Dictionary {
    if !authority.rights.all_domains() {
        changes.retain(|key, _| {
            settings::may_change(scope, key, |code| authority.rights.domain(code))
        });
    }
    changes
}
