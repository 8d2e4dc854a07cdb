//! Operations on mail Rules of accounts, domains and the server: who may set which. What Rules do
//! is not known here.

use angarium_objects::mail_rule::{self, Allowed, MailRule, RuleChange};
use angarium_objects::rights::{RULES_ALLOWED, SETTINGS};
use angarium_objects::settings::{RULES, Scope};
use angarium_objects::value::{Dictionary, Value};
use angarium_store::{AccountRecord, SettingsKey};

use super::OperationError;
use super::authority::{Authority, allowed};
use super::edit::How;
use super::whose::Whose;
use crate::{Accounts, Actor};

fn stored(settings: &Dictionary) -> Value {
    settings.get(RULES).cloned().unwrap_or(Value::Array(Vec::new()))
}

fn rules_of(settings: &Dictionary) -> Vec<MailRule> {
    settings.get(RULES).and_then(mail_rule::read_rules).unwrap_or_default()
}

fn no_rules() -> OperationError {
    OperationError::Syntax(
        "an array of Rules (priority,name,conditions,actions) is expected".into(),
    )
}

/// New Rules with actions that are not allowed are refused; those that stand there already, an
/// administrator made.
fn check(old: &[MailRule], new: &[MailRule], level: Allowed) -> Result<(), OperationError> {
    let mut added = new.iter().filter(|rule| !old.contains(rule));
    allowed(added.all(|rule| rule.is_allowed(level)))
}

/// The settings with these Rules; without any the key is not there.
fn with_rules(settings: &mut Dictionary, rules: &[MailRule]) {
    if rules.is_empty() {
        settings.remove(RULES);
    } else {
        settings.insert(RULES.to_owned(), mail_rule::write_rules(rules));
    }
}

impl Accounts {
    /// Which actions somebody may put into the Rules of an account or a domain: all with the
    /// right to change all domains, those that start no programs with the domain's right, the
    /// owner what the account's setting says.
    async fn rule_level(
        &self,
        authority: &Authority,
        domain: &str,
        own: Option<&AccountRecord>,
    ) -> Result<Allowed, OperationError> {
        if authority.rights.all_domains() {
            return Ok(Allowed::Any);
        }
        if self.may_in_domain(authority, domain, RULES_ALLOWED).await? {
            return Ok(Allowed::AllButExec);
        }
        let record = own.filter(|record| record.id == authority.account);
        let record = record.ok_or(OperationError::AccessDenied)?;
        let settings = self.effective_settings(record.id).await?;
        Ok(Allowed::of(settings.get("RulesAllowed")))
    }

    /// The mail Rules of a scope, in their stored form.
    ///
    /// # Errors
    /// See [`OperationError`].
    pub async fn mail_rules(
        &self,
        actor: &Actor,
        scope: Whose<'_>,
    ) -> Result<Value, OperationError> {
        let authority = self.authority(actor).await?;
        match scope {
            Whose::Account(name) => {
                let record = self.named_account(&authority, name).await?;
                if record.id != authority.account {
                    self.need_in_domain(&authority, &record.domain, RULES_ALLOWED).await?;
                }
                Ok(stored(&record.settings))
            }
            Whose::Domain(name) => {
                let facts = self.named_domain(&authority, name).await?;
                self.need_read(&authority, &facts.record.name).await?;
                Ok(stored(&facts.record.settings))
            }
            Whose::Server => {
                authority.need_server(SETTINGS)?;
                Ok(stored(&*self.dictionary(SettingsKey::Server).await?))
            }
        }
    }

    /// Replaces the mail Rules of a scope; `Null` removes all.
    ///
    /// # Errors
    /// See [`OperationError`]; `AccessDenied` also for actions that are not allowed.
    pub async fn set_mail_rules(
        &self,
        actor: &Actor,
        scope: Whose<'_>,
        rules: &Value,
    ) -> Result<(), OperationError> {
        let authority = self.authority(actor).await?;
        let read = || mail_rule::read_rules(rules).ok_or_else(no_rules);
        match scope {
            Whose::Account(name) => {
                let record = self.named_account(&authority, name).await?;
                let level = self.rule_level(&authority, &record.domain, Some(&record)).await?;
                let new = read()?;
                self.edit_account(record.id, |record| {
                    check(&rules_of(&record.settings), &new, level)?;
                    with_rules(&mut record.settings, &new);
                    Ok(())
                })
                .await?;
            }
            Whose::Domain(name) => {
                let facts = self.named_domain(&authority, name).await?;
                let level = self.rule_level(&authority, &facts.record.name, None).await?;
                let new = read()?;
                self.edit_domain(&facts.record.name, |record| {
                    check(&rules_of(&record.settings), &new, level)?;
                    with_rules(&mut record.settings, &new);
                    Ok(())
                })
                .await?;
            }
            Whose::Server => {
                authority.need_server(SETTINGS)?;
                let new = mail_rule::write_rules(&read()?);
                let given = Dictionary::from([(RULES.to_owned(), new)]);
                self.edit_dictionary(SettingsKey::Server, |old| {
                    Ok(How::Merge.apply(Scope::Server, old, &given)?)
                })
                .await?;
            }
        }
        Ok(())
    }

    /// Changes one Rule of an account.
    ///
    /// # Errors
    /// See [`Accounts::set_mail_rules`]; also when the priority of a Rule is to be changed that
    /// is not there, and for too many Rules.
    pub async fn change_mail_rule(
        &self,
        actor: &Actor,
        account: &str,
        change: &RuleChange,
    ) -> Result<(), OperationError> {
        let authority = self.authority(actor).await?;
        let record = self.named_account(&authority, account).await?;
        let level = self.rule_level(&authority, &record.domain, Some(&record)).await?;
        allowed(level != Allowed::No)?;
        self.edit_account(record.id, |record| {
            let old = rules_of(&record.settings);
            let mut new = old.clone();
            if !change.apply(&mut new) {
                return Err(OperationError::General("there is no Rule of this name".to_owned()));
            }
            if new.len() > mail_rule::MAX_RULES {
                let most = format!("{} Rules", mail_rule::MAX_RULES);
                return Err(OperationError::LimitExceeded(most));
            }
            if let RuleChange::Put(rule) = change {
                check(&old, std::slice::from_ref(rule), level)?;
            }
            with_rules(&mut record.settings, &new);
            Ok(())
        })
        .await?;
        Ok(())
    }
}
