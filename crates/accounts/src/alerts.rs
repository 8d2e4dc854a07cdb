//! Alerts (SYS-33): short messages of administrators that every mail program shows its user at
//! once, for one account, a domain, or everybody here. Each is given to an account once.
//!
//! An account's alerts and what it has been given stand in its record; those of domains and of
//! the server in a dictionary of their own. It must never know how a protocol shows an alert.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use angarium_objects::rights::CAN_POST_ALERTS;
use angarium_objects::text;
use angarium_objects::value::{Dictionary, Value};
use angarium_store::{AccountId, AccountRecord, Change, SettingsKey};
use tokio::sync::watch;

use crate::operations::Whose;
use crate::operations::authority::{Authority, allowed};
use crate::{Accounts, Actor, OperationError};

/// Most alerts of one account, domain or the server that are kept.
pub const MAX_ALERTS: usize = 100;
/// Longest text of an alert, in bytes.
pub const MAX_ALERT: usize = 1000;

/// The module name under which alerts of domains and of the server are kept.
pub(crate) const ALERTS_MODULE: &str = "Alerts";
/// In an account's record: its alerts, and the newest of each kind it was given.
const OWN: &str = "Alerts";
const GIVEN: &str = "AlertsGiven";

/// A place found for a scope.
enum Place {
    Account(AccountId),
    Domain(String),
    Server,
}

/// Seconds since 1970 of a stamp such as `22-10-2009_15:24:45`, also with `#T` before it.
fn time_of(stamp: &str) -> Option<i64> {
    let stamp = stamp.trim();
    let bare = stamp.strip_prefix("#T").unwrap_or(stamp);
    match text::parse_line(&format!("#T{bare}")) {
        Ok(Value::Time(seconds)) => Some(seconds),
        _ => None,
    }
}

fn stamp_of(seconds: i64) -> String {
    let text = text::line_text(&Value::Time(seconds));
    text.strip_prefix("#T").unwrap_or(&text).to_owned()
}

/// A dictionary of alerts by its time stamps, oldest first.
fn by_time(alerts: Option<&Value>) -> Vec<(i64, &str)> {
    let alerts = alerts.and_then(Value::as_dictionary);
    let mut all: Vec<_> = alerts
        .into_iter()
        .flatten()
        .filter_map(|(stamp, text)| Some((time_of(stamp)?, text.as_str()?)))
        .collect();
    all.sort_unstable();
    all
}

fn child(of: &Dictionary, key: &str) -> Dictionary {
    of.get(key).and_then(Value::as_dictionary).cloned().unwrap_or_default()
}

fn check(alerts: &Dictionary) -> Result<(), OperationError> {
    if alerts.len() > MAX_ALERTS {
        return Err(OperationError::LimitExceeded(format!("at most {MAX_ALERTS} alerts are kept")));
    }
    for (stamp, text) in alerts {
        if time_of(stamp).is_none() {
            let why = format!("\"{stamp}\" is no time stamp such as 22-10-2009_15:24:45");
            return Err(OperationError::Syntax(why));
        }
        let text = text.as_str().unwrap_or_default();
        if text.is_empty() || text.len() > MAX_ALERT {
            let why = format!("an alert is a text of 1 to {MAX_ALERT} bytes");
            return Err(OperationError::Syntax(why));
        }
    }
    Ok(())
}

/// Adds an alert later than `now`, all there are and all that were given.
fn post(alerts: &mut Dictionary, given: i64, now: i64, text: &str) -> Result<i64, OperationError> {
    let newest = alerts.keys().filter_map(|stamp| time_of(stamp)).max().unwrap_or(i64::MIN);
    let time = now.max(newest.saturating_add(1)).max(given.saturating_add(1));
    alerts.insert(stamp_of(time), Value::from(text));
    check(alerts)?;
    Ok(time)
}

fn remove(alerts: &mut Dictionary, time: i64) -> Result<(), OperationError> {
    let before = alerts.len();
    alerts.retain(|stamp, _| time_of(stamp) != Some(time));
    if alerts.len() == before {
        return Err(OperationError::General("there is no alert of this time".to_owned()));
    }
    Ok(())
}

fn given(record: &AccountRecord, kind: &str) -> i64 {
    let all = record.info.get(GIVEN).and_then(Value::as_dictionary);
    match all.and_then(|all| all.get(kind)) {
        Some(Value::Time(time)) => *time,
        _ => i64::MIN,
    }
}

/// What an account was not given yet, by kind, with the newest time of each kind.
fn waiting(record: &AccountRecord, wide: &Dictionary) -> Vec<(&'static str, i64, Vec<String>)> {
    let domains = wide.get("Domains").and_then(Value::as_dictionary);
    let sources = [
        ("Server", wide.get("Server")),
        ("Domain", domains.and_then(|all| all.get(&record.domain))),
        ("Account", record.info.get(OWN)),
    ];
    let mut all = Vec::new();
    for (kind, alerts) in sources {
        let since = given(record, kind);
        let new: Vec<_> = by_time(alerts).into_iter().filter(|(time, _)| *time > since).collect();
        if let Some((newest, _)) = new.last() {
            all.push((kind, *newest, new.iter().map(|(_, text)| (*text).to_owned()).collect()));
        }
    }
    all
}

impl Accounts {
    /// The place of a scope, for those who may look at its alerts (the owner of an account too)
    /// or, with `change`, post them. Removing and reading one's own is allowed to an owner.
    async fn alert_place(
        &self,
        actor: &Actor,
        scope: Whose<'_>,
        owner_may: bool,
    ) -> Result<Place, OperationError> {
        let authority: Authority = self.authority(actor).await?;
        match scope {
            Whose::Server => {
                authority.need_all_domains()?;
                Ok(Place::Server)
            }
            Whose::Domain(name) => {
                let domain = self.named_domain(&authority, name).await?;
                self.need_in_domain(&authority, &domain.record.name, CAN_POST_ALERTS).await?;
                Ok(Place::Domain(domain.record.name.clone()))
            }
            Whose::Account(name) => {
                let record = self.named_account(&authority, name).await?;
                let may = (owner_may && record.id == authority.account)
                    || self.may_in_domain(&authority, &record.domain, CAN_POST_ALERTS).await?;
                allowed(may)?;
                Ok(Place::Account(record.id))
            }
        }
    }

    /// Changes the alerts of a place; the closure is given them and the newest time that was
    /// given out, where one is kept.
    async fn edit_alerts(
        &self,
        place: &Place,
        change: impl Fn(&mut Dictionary, i64) -> Result<Option<i64>, OperationError> + Send + Sync,
    ) -> Result<(), OperationError> {
        if let Place::Account(id) = place {
            self.edit_account(*id, |record| {
                let mut alerts = child(&record.info, OWN);
                change(&mut alerts, given(record, "Account"))?;
                record.info.insert(OWN.to_owned(), Value::Dictionary(alerts));
                Ok(())
            })
            .await?;
            return Ok(());
        }
        let key = SettingsKey::Module(ALERTS_MODULE.to_owned());
        self.edit_dictionary(key, |old| {
            let mut wide = old.clone();
            // The last time ever posted: a later alert must not hide behind one that was removed.
            let last = match wide.get("Last") {
                Some(Value::Time(time)) => *time,
                _ => i64::MIN,
            };
            let posted = match place {
                Place::Domain(name) => {
                    let mut domains = child(&wide, "Domains");
                    let mut alerts = child(&domains, name);
                    let posted = change(&mut alerts, last)?;
                    if alerts.is_empty() {
                        domains.remove(name);
                    } else {
                        domains.insert(name.clone(), Value::Dictionary(alerts));
                    }
                    wide.insert("Domains".to_owned(), Value::Dictionary(domains));
                    posted
                }
                _ => {
                    let mut alerts = child(&wide, "Server");
                    let posted = change(&mut alerts, last)?;
                    wide.insert("Server".to_owned(), Value::Dictionary(alerts));
                    posted
                }
            };
            if let Some(time) = posted {
                wide.insert("Last".to_owned(), Value::Time(time));
            }
            Ok(wide)
        })
        .await
    }

    /// A domain has another name now, or is no more.
    pub(crate) async fn move_domain_alerts(
        &self,
        from: &str,
        to: Option<&str>,
    ) -> Result<(), OperationError> {
        let domains = child(&*self.read_module(ALERTS_MODULE).await?, "Domains");
        if !domains.contains_key(from) {
            return Ok(());
        }
        self.edit_dictionary(SettingsKey::Module(ALERTS_MODULE.to_owned()), |old| {
            let mut wide = old.clone();
            let mut domains = child(&wide, "Domains");
            if let (Some(alerts), Some(to)) = (domains.remove(from), to) {
                domains.insert(to.to_owned(), alerts);
            }
            wide.insert("Domains".to_owned(), Value::Dictionary(domains));
            Ok(wide)
        })
        .await
    }

    /// The alerts of a scope: time stamp to text.
    ///
    /// # Errors
    /// See [`OperationError`]. Server alerts take the right to change all domains, others
    /// `CanPostAlerts`; an owner may read those of the own account.
    pub async fn alerts(
        &self,
        actor: &Actor,
        scope: Whose<'_>,
    ) -> Result<Dictionary, OperationError> {
        Ok(match self.alert_place(actor, scope, true).await? {
            Place::Account(id) => {
                let record =
                    self.account_record(id).await?.ok_or(OperationError::UnknownAccount)?;
                child(&record.info, OWN)
            }
            Place::Domain(name) => {
                child(&child(&*self.read_module(ALERTS_MODULE).await?, "Domains"), &name)
            }
            Place::Server => child(&*self.read_module(ALERTS_MODULE).await?, "Server"),
        })
    }

    /// Replaces the alerts of a scope. Those later than what an account was given reach it.
    ///
    /// # Errors
    /// See [`Accounts::alerts`]; also for wrong stamps and above [`MAX_ALERTS`].
    pub async fn set_alerts(
        &self,
        actor: &Actor,
        scope: Whose<'_>,
        alerts: Dictionary,
    ) -> Result<(), OperationError> {
        let place = self.alert_place(actor, scope, false).await?;
        check(&alerts)?;
        self.edit_alerts(&place, |old, _| {
            old.clone_from(&alerts);
            Ok(None)
        })
        .await
    }

    /// Adds an alert; sessions that are open are told at once.
    ///
    /// # Errors
    /// See [`Accounts::alerts`]; also for a text that is empty or above [`MAX_ALERT`].
    pub async fn post_alert(
        &self,
        actor: &Actor,
        scope: Whose<'_>,
        text: &str,
    ) -> Result<(), OperationError> {
        let place = self.alert_place(actor, scope, false).await?;
        let now = self.now();
        self.edit_alerts(&place, |alerts, given| post(alerts, given, now, text).map(Some)).await
    }

    /// Removes the alert of a time stamp (with or without `#T`).
    ///
    /// # Errors
    /// See [`Accounts::alerts`]; also when there is none of this time.
    pub async fn remove_alert(
        &self,
        actor: &Actor,
        scope: Whose<'_>,
        stamp: &str,
    ) -> Result<(), OperationError> {
        let place = self.alert_place(actor, scope, true).await?;
        let time = time_of(stamp)
            .ok_or_else(|| OperationError::Syntax("a time stamp is expected".to_owned()))?;
        self.edit_alerts(&place, |alerts, _| remove(alerts, time).map(|()| None)).await
    }

    /// The alerts an account was not given yet, oldest first within each kind. They count as
    /// given from now on: of several sessions that ask, one gets them.
    ///
    /// # Errors
    /// See [`OperationError`]; nothing was taken then.
    pub async fn take_alerts(&self, account: AccountId) -> Result<Vec<String>, OperationError> {
        let wide = self.read_module(ALERTS_MODULE).await?;
        let Some(record) = self.account_record(account).await? else { return Ok(Vec::new()) };
        if waiting(&record, &wide).is_empty() {
            return Ok(Vec::new());
        }
        let taken = Mutex::new(Vec::new());
        self.edit_account(account, |record| {
            let new = waiting(record, &wide);
            let mut marks = child(&record.info, GIVEN);
            let mut texts = taken.lock().unwrap_or_else(PoisonError::into_inner);
            texts.clear();
            for (kind, newest, alerts) in new {
                marks.insert(kind.to_owned(), Value::Time(newest));
                texts.extend(alerts);
            }
            record.info.insert(GIVEN.to_owned(), Value::Dictionary(marks));
            Ok(())
        })
        .await?;
        Ok(taken.into_inner().unwrap_or_else(PoisonError::into_inner))
    }

    /// Resolves when there may be alerts for an account that a session has not asked for yet.
    #[must_use]
    pub fn watch_alerts(&self, account: AccountId) -> AlertWatch {
        self.alert_bell.watch(account)
    }
}

/// The keys of an account's record that hold alerts: no facts about the account.
pub(crate) fn without_alerts(info: &mut Dictionary) {
    info.remove(OWN);
    info.remove(GIVEN);
}

type Watched = HashMap<AccountId, watch::Sender<u64>>;

/// Wakes the sessions that something may concern; rung by the change feed.
#[derive(Default)]
pub(crate) struct AlertBell {
    accounts: Arc<Mutex<Watched>>,
    all: watch::Sender<u64>,
}

impl AlertBell {
    fn watch(&self, account: AccountId) -> AlertWatch {
        let mut table = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        let own = table.entry(account).or_default().subscribe();
        AlertWatch { own, all: self.all.subscribe(), account, table: Arc::clone(&self.accounts) }
    }

    pub(crate) fn changed(&self, change: &Change) {
        match change {
            Change::Account(id) => {
                let table = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some(sender) = table.get(id) {
                    sender.send_modify(|n| *n = n.wrapping_add(1));
                }
            }
            Change::Settings => self.all.send_modify(|n| *n = n.wrapping_add(1)),
            _ => {}
        }
    }
}

/// A session's ear for alerts.
#[derive(Debug)]
pub struct AlertWatch {
    own: watch::Receiver<u64>,
    all: watch::Receiver<u64>,
    account: AccountId,
    table: Arc<Mutex<Watched>>,
}

impl AlertWatch {
    /// Resolves when [`Accounts::take_alerts`] may have something. Cancelling it loses nothing.
    pub async fn rung(&mut self) {
        let gone = tokio::select! {
            heard = self.own.changed() => heard.is_err(),
            heard = self.all.changed() => heard.is_err(),
        };
        if gone {
            // The server is at its end: nobody rings any more.
            std::future::pending::<()>().await;
        }
    }
}

impl Drop for AlertWatch {
    fn drop(&mut self) {
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        // This one still counts.
        if table.get(&self.account).is_some_and(|sender| sender.receiver_count() <= 1) {
            table.remove(&self.account);
        }
    }
}
