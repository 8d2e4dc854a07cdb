//! Who is acting: a logged-in account, an administrator acting as another, or the person at the
//! machine's own console.

use angarium_objects::rights::Rights;
use angarium_store::AccountId;

/// Who acts and with which rights. Every operation takes one.
#[derive(Clone, Debug)]
pub struct Actor {
    /// The account, `AccountId(0)` for the console.
    pub account: AccountId,
    /// Local name of the account.
    pub name: String,
    /// Domain of the account.
    pub domain: String,
    /// Its rights at login. Operations look the current ones up again, so that a right taken away
    /// is gone at once also for sessions that are open.
    pub rights: Rights,
    /// The full name of the account that really authenticated, when it acts as another.
    pub authenticated_as: Option<String>,
    console: bool,
    limited: bool,
}

impl Actor {
    /// An account acting for itself.
    #[must_use]
    pub fn account(account: AccountId, name: &str, domain: &str, rights: Rights) -> Self {
        Self {
            account,
            name: name.to_owned(),
            domain: domain.to_owned(),
            rights,
            authenticated_as: None,
            console: false,
            limited: false,
        }
    }

    /// Administration on the machine itself, with the Master right; `main_domain` completes names
    /// given without a domain.
    #[must_use]
    pub fn console_in(main_domain: &str) -> Self {
        Self {
            account: AccountId(0),
            name: "console".to_owned(),
            domain: main_domain.to_owned(),
            rights: Rights::master(),
            authenticated_as: None,
            console: true,
            limited: false,
        }
    }

    /// As [`Actor::console_in`]; names without a domain belong to the Main Domain.
    #[must_use]
    pub fn console() -> Self {
        Self::console_in("")
    }

    /// Takes all rights of an administrator away, and the change of the password: the login was
    /// by an application password or an access token.
    pub(crate) fn limit(&mut self) {
        self.rights = Rights::default();
        self.limited = true;
    }

    /// True when it came in by an application password or an access token: it reads and sends
    /// mail, and administers nothing.
    #[must_use]
    pub fn is_limited(&self) -> bool {
        self.limited
    }

    /// The full name, with the one who really authenticated if it is another; for logs.
    #[must_use]
    pub fn description(&self) -> String {
        match &self.authenticated_as {
            None => self.full_name(),
            Some(by) => format!("{} (by {by})", self.full_name()),
        }
    }

    /// True for the console.
    #[must_use]
    pub fn is_console(&self) -> bool {
        self.console
    }

    /// `name@domain`.
    #[must_use]
    pub fn full_name(&self) -> String {
        format!("{}@{}", self.name, self.domain)
    }
}
