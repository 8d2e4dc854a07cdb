//! What an account's settings say of mail on its last step: whether it gets any (service `Mail`),
//! and how fast (`MailInpFlow`). What comes faster waits its turn; nothing is refused for it.
//!
//! In memory: a restart forgets the turns, not the mail. It must never know mailboxes.

use std::sync::{Arc, Mutex, PoisonError};

use angarium_accounts::{AccountId, Dictionary};
use angarium_objects::spelling::{self, Flow, Limit, Services};
use angarium_routing::protection::Turns;
use quick_cache::sync::Cache;

use super::Outcome;

/// Accounts whose turns are known, about 100 octets each; the least used are forgotten.
const KNOWN: usize = 20_000;

/// The turns of all accounts.
pub(crate) struct Inflow {
    turns: Cache<AccountId, Arc<Mutex<Turns>>>,
}

impl Inflow {
    pub(crate) fn new() -> Self {
        Self { turns: Cache::new(KNOWN) }
    }

    /// Whether an account with these effective settings gets a message at `now`; `waited` says
    /// that the message was told to wait before.
    ///
    /// # Errors
    /// What becomes of it instead.
    pub(crate) fn pass(
        &self,
        account: AccountId,
        settings: &Dictionary,
        now: i64,
        waited: bool,
    ) -> Result<(), Outcome> {
        let modes = settings.get("AccessModes").and_then(spelling::services);
        if !modes.unwrap_or(Services::All).enabled("Mail") {
            return Err(Outcome::later("4.2.1", "mail service is switched off for the account"));
        }
        let flow = settings.get("MailInpFlow").and_then(spelling::flow);
        let Some(flow) = flow.filter(|flow| flow.count != Limit::Unlimited) else { return Ok(()) };
        if let Flow { count: Limit::Of(0), .. } = flow {
            return Err(Outcome::later("4.4.5", "the account takes no mail"));
        }
        let made = self.turns.get_or_insert_with::<_, ()>(&account, || Ok(Arc::default()));
        let Ok(turns) = made else { return Ok(()) };
        let mut turns = turns.lock().unwrap_or_else(PoisonError::into_inner);
        turns.go(flow, now, waited).map_err(|until| Outcome::Postponed {
            until,
            text: "the account gets mail too fast".to_owned(),
        })
    }
}
