//! The last step of a message for one recipient, by the module it was routed to.

pub mod here;
mod inflow;
pub(crate) mod list;
pub mod local;
pub mod module;
pub mod pipe;
pub(crate) mod wake_up;

pub use module::{Channels, Module, Modules};

/// How a delivery ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// In the mailbox (or rightly nowhere); the text is for the log.
    Delivered(&'static str),
    /// Taken by another system.
    Relayed {
        /// Its name.
        host: String,
        /// What it said.
        text: String,
        /// It takes over the promise to report (it announced DSN).
        reports: bool,
    },
    /// Try again.
    Later {
        /// Enhanced status.
        status: String,
        /// Why.
        text: String,
        /// The other system that said so, if one did.
        host: Option<String>,
        /// What else is not worth trying now.
        reach: Reach,
    },
    /// Not tried: its turn comes later, and that is no failure.
    Postponed {
        /// Seconds since 1970.
        until: i64,
        /// Why, for the log.
        text: String,
    },
    /// Never.
    Failed {
        /// Enhanced status.
        status: String,
        /// Why.
        text: String,
        /// The other system that said so, if one did.
        host: Option<String>,
    },
}

/// How far a temporary failure reaches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reach {
    /// This recipient of this message.
    #[default]
    Recipient,
    /// The whole queue: no host of the destination could be spoken to.
    Queue,
}

impl Outcome {
    /// A temporary failure of this server's own.
    #[must_use]
    pub fn later(status: &str, text: impl Into<String>) -> Self {
        let (status, text) = (status.to_owned(), text.into());
        Self::Later { status, text, host: None, reach: Reach::Recipient }
    }

    /// A final failure of this server's own.
    #[must_use]
    pub fn failed(status: &str, text: impl Into<String>) -> Self {
        Self::Failed { status: status.to_owned(), text: text.into(), host: None }
    }
}
