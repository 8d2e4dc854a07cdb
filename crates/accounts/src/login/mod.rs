//! Logging in: one path for every protocol (`reference/security.md` section 4).

pub(crate) mod app_password;
mod certificate;
pub mod channel;
mod digest_md5;
pub(crate) mod failures;
pub(crate) mod gate;
pub(crate) mod hash;
pub(crate) mod keys;
pub(crate) mod last_logins;
mod md5_methods;
pub(crate) mod memory;
mod methods;
mod ntlm;
mod offers;
pub mod old_servers;
pub mod outside;
mod pace;
mod path;
mod reading;
pub mod sasl;
mod schemes;
mod scram;
pub(crate) mod sealed;
mod sealing_keys;
mod token;
mod upgrade;

use std::net::IpAddr;

use thiserror::Error;

use crate::Secret;

pub use channel::Channel;
pub(crate) use offers::Offers;
pub use reading::{GuessingWatcher, ReadingWatcher};
pub use token::KeySource;

/// The service somebody logs in to, by its word in the access modes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Service {
    /// Sending mail with SMTP AUTH (`Relay`).
    Smtp,
    /// `IMAP`
    Imap,
    /// `POP`
    Pop,
    /// `PWD`: password changes and the CLI.
    Pwd,
    /// `WebMail`
    WebMail,
    /// `LDAP`
    Ldap,
    /// `HTTP`: administration by the web.
    Http,
}

impl Service {
    /// The word in `AccessModes` and `DomainAccessModes`.
    #[must_use]
    pub const fn mode(self) -> &'static str {
        match self {
            Self::Smtp => "Relay",
            Self::Imap => "IMAP",
            Self::Pop => "POP",
            Self::Pwd => "PWD",
            Self::WebMail => "WebMail",
            Self::Ldap => "LDAP",
            Self::Http => "HTTP",
        }
    }
}

/// What is known of the connection a login comes in on.
#[derive(Clone, Copy, Debug)]
pub struct LoginContext {
    /// Our address of the connection; gives the domain of an unqualified name.
    pub local_ip: Option<IpAddr>,
    /// The client's address; failed logins are counted by it.
    pub peer_ip: Option<IpAddr>,
    /// The service.
    pub service: Service,
    /// True when the connection is encrypted.
    pub tls: bool,
}

/// A login with a password in clear.
#[derive(Clone, Debug)]
pub struct Login {
    /// Name as given, with or without a domain.
    pub name: String,
    /// The password.
    pub password: Secret,
    /// See [`LoginContext::local_ip`].
    pub local_ip: Option<IpAddr>,
    /// See [`LoginContext::peer_ip`].
    pub peer_ip: Option<IpAddr>,
    /// See [`LoginContext::service`].
    pub service: Service,
    /// See [`LoginContext::tls`].
    pub tls: bool,
}

/// Why somebody did not get in. All but `Unavailable` and `TooMany` are *never*.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum LoginError {
    /// Unknown name or wrong password (not told apart when `HideAccountUnknown` is on).
    #[error("incorrect password or account name")]
    Denied,
    /// There is no such account (only when `HideAccountUnknown` is off).
    #[error("unknown user account")]
    UnknownAccount,
    /// The account lives on another system (RFC 2221).
    #[error("the account has moved to {user}@{host}")]
    Moved {
        /// Name there.
        user: String,
        /// The other system.
        host: String,
        /// Its port, if one was given.
        port: Option<u16>,
    },
    /// The service is not enabled for the account or its domain.
    #[error("this service is disabled for the account")]
    ServiceDisabled,
    /// The account accepts clear passwords over an encrypted connection only.
    #[error("a secure login method is required")]
    SecureMethodRequired,
    /// The domain does not take this login method (`AUTHMethods`); another may do.
    #[error("this login method is not allowed for the account")]
    MethodNotAllowed,
    /// *Later*: too many failed logins in a short time.
    #[error("too many failed logins, try again later")]
    TooMany,
    /// The authenticated account may not act for the other one.
    #[error("not permitted to act for another account")]
    MayNotImpersonate,
    /// The exchange broke the rules of its mechanism, or the client cancelled it.
    #[error("authentication exchange failed: {0}")]
    Protocol(&'static str),
    /// *Never*: no such mechanism.
    #[error("unknown authentication method")]
    UnknownMechanism,
    /// *Later*: the directory cannot be read now.
    #[error("temporary authentication failure")]
    Unavailable,
}

impl LoginError {
    /// True when the same login may succeed later.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        matches!(self, Self::Unavailable | Self::TooMany)
    }

    /// The code of `reference/cli.md` section 2.5.
    #[must_use]
    pub fn code(&self) -> u16 {
        match self {
            Self::Denied => 515,
            Self::UnknownAccount => 513,
            Self::ServiceDisabled => 514,
            Self::MayNotImpersonate => 510,
            Self::UnknownMechanism | Self::Protocol(_) => 500,
            Self::Moved { .. } | Self::SecureMethodRequired | Self::MethodNotAllowed => 501,
            Self::TooMany | Self::Unavailable => 599,
        }
    }
}
