//! What can go wrong in a move, said as *later* or *never*, and the exit code each stands for.

use thiserror::Error;

/// Which of the two servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The server mail is read from.
    Source,
    /// The server mail is written to.
    Target,
}

impl Side {
    /// 1 for the old server, 2 for the new one, as options are numbered.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Source => 1,
            Self::Target => 2,
        }
    }
}

impl std::fmt::Display for Side {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Source => "the old server",
            Self::Target => "the new server",
        })
    }
}

/// Why a move ended early.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum MoveError {
    /// *Never*: the command line makes no sense.
    #[error("{0}")]
    Usage(String),
    /// *Later*: no connection, or no safe one.
    #[error("cannot connect to {side} ({address}): {reason}")]
    Connect {
        /// Which server.
        side: Side,
        /// Its address.
        address: String,
        /// Why, and what to do next.
        reason: String,
    },
    /// *Never* with these credentials: the login was refused.
    #[error("{side} refused the login of {name}: {reason}")]
    Login {
        /// Which server.
        side: Side,
        /// The login name.
        name: String,
        /// The server's words.
        reason: String,
    },
    /// *Later*: the connection was lost or timed out; run the same command again to go on.
    #[error("the connection to {side} was lost: {reason}")]
    Lost {
        /// Which server.
        side: Side,
        /// How it showed.
        reason: String,
    },
    /// *Never*: the server refused something a move cannot do without.
    #[error("{side} refused {what}: {reason}")]
    Refused {
        /// Which server.
        side: Side,
        /// What was asked.
        what: String,
        /// The server's words.
        reason: String,
    },
    /// *Later*: stopped on purpose until a moment (seconds, UTC); run the same command again then.
    #[error("{reason}; run the same command again after {}", crate::lanes::limits::moment(*until))]
    Parked {
        /// Seconds since 1970.
        until: u64,
        /// Why.
        reason: String,
    },
    /// *Later*: somebody asked the run to end; run the same command again.
    #[error("{what} was interrupted; the same command begins it anew")]
    Interrupted {
        /// What did not come to its end.
        what: &'static str,
    },
    /// *Later*: a local file could not be read or written.
    #[error("{path}: {reason}")]
    File {
        /// Which file.
        path: String,
        /// The system's words.
        reason: String,
    },
}

impl MoveError {
    /// The exit code of the Move programs (`reference/migration.md` section 6).
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) | Self::File { .. } => 1,
            Self::Connect { side: Side::Source, .. } | Self::Login { side: Side::Source, .. } => 2,
            Self::Connect { side: Side::Target, .. } | Self::Login { side: Side::Target, .. } => 3,
            Self::Refused { .. } => 4,
            Self::Lost { .. } => 5,
            Self::Parked { .. } => 6,
            Self::Interrupted { .. } => 130,
        }
    }
}

/// The result of a step of a move.
pub type Result<T> = std::result::Result<T, MoveError>;
