//! What the Router is asked, what it wants to know and what it answers: data only. It must never
//! know where the facts come from.

use std::net::IpAddr;

use crate::suffix::Host;

/// What an address is routed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RouteKind {
    /// E-mail.
    Mail,
    /// A login name.
    Access,
    /// A real-time signal.
    Signal,
}

impl RouteKind {
    /// The kind of a word, whatever its case.
    #[must_use]
    pub fn of_word(word: &str) -> Option<Self> {
        match word.to_ascii_lowercase().as_str() {
            "mail" => Some(Self::Mail),
            "access" => Some(Self::Access),
            "signal" => Some(Self::Signal),
            _ => None,
        }
    }
}

/// Whether a route permits relaying for everybody.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum RelayPermission {
    /// The route says nothing: only one's own clients may relay.
    #[default]
    NotGranted,
    /// A record, forwarder or rerouting led there, but the local part named further systems, so
    /// that it permits nothing (`Relay:` in `reference/router.md` section 4).
    Nested,
    /// A record, forwarder or rerouting of this server sent it there: everybody may.
    Granted,
}

/// A question to the caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Question {
    /// Is this a domain, or another name of a domain, of ours?
    Domain(String),
    /// Is this one of our addresses?
    Ip(IpAddr),
    /// What does this name (lower case) stand for in a domain of ours?
    Object {
        /// The domain.
        domain: String,
        /// The name.
        name: String,
    },
    /// Does the external authenticator know this name, which the domain does not?
    Unknown {
        /// The domain.
        domain: String,
        /// The name.
        name: String,
    },
}

/// The answer to a [`Question`] of the same kind; an answer of another kind is taken as "no".
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The domain of ours, or `None`.
    Domain(Option<DomainFacts>),
    /// `None` when the address is not ours; else the domain it is assigned to, if any.
    Ip(Option<Option<String>>),
    /// The object, or `None`.
    Object(Option<Object>),
    /// What came of asking about an unknown name.
    Unknown(Consulted),
}

/// What the external authenticator says of a name the domain does not know.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Consulted {
    /// The name stays unknown.
    #[default]
    Unknown,
    /// It is to be looked up once more: an account has been made.
    LookAgain,
    /// This address is meant.
    Routed(String),
}

/// What the Router wants to know of a domain.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DomainFacts {
    /// Its own name (the question may have named an alias).
    pub name: String,
    /// What happens to unknown names, for the kind of this journey.
    pub unknown: UnknownPolicy,
    /// Unknown names are asked about before that happens.
    pub consult: bool,
    /// The name `all` stands for all accounts (and `alldomains`, in the Main Domain).
    pub all: bool,
}

/// What happens to an unknown name of a domain.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum UnknownPolicy {
    /// Refused.
    #[default]
    Rejected,
    /// Accepted and dropped.
    Discarded,
    /// Sent to this address, in which `*` stands for the name.
    ReroutedTo(String),
    /// Accepted, then reported as undeliverable.
    AcceptedAndBounced,
}

/// An object of a domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Object {
    /// An account, also when an alias was asked for.
    Account {
        /// The caller's key of it.
        key: u64,
        /// Its own name.
        name: String,
    },
    /// A forwarder to an address.
    Forwarder(String),
    /// A group.
    Group,
    /// A mailing list, or an address that belongs to one.
    List,
}

/// Where an address leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// An account.
    Local {
        /// The caller's key of it.
        key: u64,
        /// Its name.
        name: String,
        /// Its domain.
        domain: String,
        /// The mailbox of `box#account`.
        mailbox: Option<String>,
        /// The detail of `account+detail`.
        detail: Option<String>,
    },
    /// A group of ours.
    Group {
        /// Its domain.
        domain: String,
        /// Its name.
        name: String,
    },
    /// A mailing list of ours, or an address that belongs to one.
    List {
        /// Its domain.
        domain: String,
        /// The name that was asked for.
        name: String,
    },
    /// All accounts of a domain, or of all domains.
    All {
        /// The domain; `None` is every one.
        domain: Option<String>,
    },
    /// Another system.
    Remote {
        /// Where to.
        host: Host,
        /// The address for the envelope.
        address: String,
        /// Whether everybody may.
        relay: RelayPermission,
    },
    /// Accepted and dropped.
    Discard,
    /// Accepted and dropped, and its sender is noted.
    Spamtrap,
    /// Accepted, then reported.
    Bounce {
        /// The unknown address.
        address: String,
    },
    /// Refused.
    Rejected {
        /// Why.
        reason: &'static str,
    },
    /// No such name in a domain of ours.
    Unknown {
        /// The name.
        name: String,
        /// The domain.
        domain: String,
    },
    /// Releases a queue.
    Wakeup {
        /// Its name, lower case.
        queue: String,
    },
    /// A program.
    Pipe {
        /// Program and parameters.
        command: String,
        /// Granted only when a record of the table that names the program led there: who merely
        /// writes to `program@pipe` chooses no program.
        relay: RelayPermission,
    },
}

/// What the Router does next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Find this out and give it to [`crate::Journey::answer`].
    Ask(Question),
    /// Done.
    Done(Outcome),
}
