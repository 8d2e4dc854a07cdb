//! Logging in to a foreign server: which method ([`method`]), as whom ([`master`]), the exchange
//! itself ([`exchange`], [`scram`], [`nonce`]), what the answer means ([`verdict`]) and where a token comes
//! from ([`token`]). All but those of nonces and tokens is pure. Only [`attempt`] knows a session.

pub(crate) mod attempt;
pub(crate) mod exchange;
pub mod master;
pub mod method;
pub(crate) mod nonce;
pub(crate) mod scram;
pub mod token;
pub(crate) mod verdict;

pub use master::{Master, MasterStyle};
pub use method::Method;
pub use token::TokenSource;

/// Who logs in, and how.
#[derive(Clone, Default)]
pub struct Credentials {
    /// Login name: whose mailboxes are meant.
    pub name: String,
    /// The password of [`Credentials::name`], or of the master user; never printed.
    pub password: String,
    /// `PROXYAUTH` with this name after the login (MIG-28).
    pub proxy_auth: Option<String>,
    /// What else the command line wants of the login.
    pub wishes: Wishes,
}

/// What the command line wants of a login beyond name and password.
#[derive(Clone, Debug, Default)]
pub struct Wishes {
    /// This method and no other (`--auth1`, `--auth2`).
    pub method: Option<Method>,
    /// An OAuth token instead of a password (`--oauth1`, `--tokenCommand1` and their kin).
    pub token: Option<TokenSource>,
    /// Somebody else logs in for the account (`--master1`, `--master2`).
    pub master: Option<Master>,
}

impl Credentials {
    /// A name and its password.
    #[must_use]
    pub fn new(name: impl Into<String>, password: impl Into<String>) -> Self {
        Self { name: name.into(), password: password.into(), ..Self::default() }
    }
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials")
            .field("name", &self.name)
            .field("proxy_auth", &self.proxy_auth)
            .field("wishes", &self.wishes)
            .finish_non_exhaustive()
    }
}
