//! The Router's table and settings, and its answers for administrators.

use angarium_objects::rights::SETTINGS;
use angarium_objects::settings::Scope;
use angarium_objects::value::{Dictionary, Value};
use angarium_routing::{DEFAULT_TABLE, Table};
use angarium_store::SettingsKey;

use super::authority::allowed;
use super::edit::How;
use super::{OperationError, RouteAccount, RouteReport};
use crate::{Accounts, Actor, RouteKind, RouteOutcome};

impl Accounts {
    /// The Router table's text.
    ///
    /// # Errors
    /// See [`OperationError`].
    pub async fn router_table(&self, actor: &Actor) -> Result<String, OperationError> {
        let all = self.read_as(actor, Some(SETTINGS), SettingsKey::Router).await?;
        Ok(all.get("Table").and_then(Value::as_str).unwrap_or(DEFAULT_TABLE).to_owned())
    }

    /// Replaces the Router table; refused with the line that is wrong. What is odd in it
    /// goes to the log.
    ///
    /// # Errors
    /// See [`OperationError`].
    pub async fn set_router_table(&self, actor: &Actor, table: &str) -> Result<(), OperationError> {
        self.authority(actor).await?.need_server(SETTINGS)?;
        for (line, what) in self.review_router_table(table).await? {
            tracing::warn!(target: "ROUTER", "line {line} of the Router table {what}");
        }
        self.edit_dictionary(SettingsKey::Router, |old| {
            let mut new = old.clone();
            new.insert("Table".to_owned(), Value::from(table));
            Ok(new)
        })
        .await
    }

    /// The Router's settings, without the table.
    ///
    /// # Errors
    /// See [`OperationError`].
    pub async fn router_settings(&self, actor: &Actor) -> Result<Dictionary, OperationError> {
        let mut all = self.read_as(actor, Some(SETTINGS), SettingsKey::Router).await?;
        all.remove("Table");
        Ok(all)
    }

    /// Replaces the Router's settings; the table stays.
    ///
    /// # Errors
    /// See [`OperationError`].
    pub async fn set_router_settings(
        &self,
        actor: &Actor,
        settings: Dictionary,
    ) -> Result<(), OperationError> {
        self.authority(actor).await?.need_server(SETTINGS)?;
        self.edit_dictionary(SettingsKey::Router, |old| {
            let mut new = How::Replace.apply(Scope::Router, old, &settings)?;
            new.remove("Table");
            if let Some(table) = old.get("Table") {
                new.insert("Table".to_owned(), table.clone());
            }
            Ok(new)
        })
        .await
    }

    /// Where an address leads, as (module, host, address) (ROUTE).
    ///
    /// # Errors
    /// See [`OperationError`]; also when the address is refused.
    pub async fn route_for_administrator(
        &self,
        actor: &Actor,
        address: &str,
        kind: RouteKind,
    ) -> Result<RouteReport, OperationError> {
        self.account_for_route(actor, address, kind).await?.answer
    }

    /// As [`Accounts::route_for_administrator`], with every step that led there, also for an
    /// address that is refused.
    ///
    /// # Errors
    /// `AccessDenied`, `Later`.
    pub async fn account_for_route(
        &self,
        actor: &Actor,
        address: &str,
        kind: RouteKind,
    ) -> Result<RouteAccount, OperationError> {
        let rights = self.authority(actor).await?.rights;
        allowed(rights.server(SETTINGS) || rights.all_domains())?;
        let (outcome, steps) = self.route_traced(address, kind, None).await;
        Ok(RouteAccount { answer: report(outcome, address), steps })
    }

    /// What is odd in a Router table: a line and what about it, for people. An empty list says
    /// that all is well.
    ///
    /// # Errors
    /// `Syntax` with the line of a table that would be refused, and as the store.
    pub async fn review_router_table(
        &self,
        table: &str,
    ) -> Result<Vec<(usize, String)>, OperationError> {
        let read = Table::read(table).map_err(|error| OperationError::Syntax(error.to_string()))?;
        let remarks = read.review(&self.main_domain().await?);
        Ok(remarks.into_iter().map(|remark| (remark.line, remark.what)).collect())
    }
}

/// An outcome in the three parts of the field.
fn report(outcome: RouteOutcome, asked: &str) -> Result<RouteReport, OperationError> {
    let (module, host, address) = match outcome {
        RouteOutcome::Local { account_name, domain, original, .. } => {
            ("LOCAL", format!("{account_name}@{domain}"), original)
        }
        RouteOutcome::Group { domain, name, original, .. } => {
            ("LIST", format!("{name}@{domain}"), original)
        }
        RouteOutcome::List { domain, name, .. } => {
            ("LIST", format!("{name}@{domain}"), asked.to_owned())
        }
        RouteOutcome::All { domain: Some(domain), .. } => {
            ("LOCAL", format!("all@{domain}"), asked.to_owned())
        }
        RouteOutcome::All { domain: None, home, .. } => {
            ("LOCAL", format!("alldomains@{home}"), asked.to_owned())
        }
        RouteOutcome::Remote { host, port, address, .. } => {
            let port = port.map(|port| format!(":{port}")).unwrap_or_default();
            ("SMTP", format!("{host}{port}"), address)
        }
        RouteOutcome::Pipe { command, .. } => ("PIPE", "pipe".to_owned(), command),
        RouteOutcome::Wakeup { queue } => ("SYSTEM", "WAKEUP".to_owned(), queue),
        RouteOutcome::Spamtrap => ("SYSTEM", "SPAMTRAP".to_owned(), asked.to_owned()),
        RouteOutcome::Discard => ("SYSTEM", "NULL".to_owned(), asked.to_owned()),
        RouteOutcome::Bounce { address } => ("SYSTEM", "BOUNCE".to_owned(), address),
        RouteOutcome::Rejected { reason } => return Err(OperationError::General(reason)),
        RouteOutcome::Unknown { .. } => return Err(OperationError::UnknownAccount),
        RouteOutcome::Later { reason } => return Err(OperationError::Later(reason)),
    };
    Ok(RouteReport { module: module.to_owned(), host, address })
}
