//! The client side of POP3: a machine that speaks to a server of others (RFC 1939 with CAPA and
//! response codes of RFC 2449, STLS of RFC 2595, AUTH of RFC 5034).
//!
//! The caller says what it wants with [`Session::send`], sends [`Session::output`], feeds what comes
//! back to [`Session::push`] and takes events with [`Session::next`]. Commands may be sent ahead;
//! answers come in their order. Messages stream: their dots are taken away and nothing else is
//! changed. Everything a server can say is bounded.
//!
//! It must never know sockets, what becomes of a message, or which login is to be preferred.

mod capabilities;
mod session;

pub use capabilities::Capabilities;
pub use session::{Command, CommandError, MAX_ANSWER_LINE, MAX_MESSAGES, MAX_UNIQUE_ID, Session};

/// A `-ERR` answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The response code in capitals, such as `IN-USE` or `SYS/TEMP` (RFC 2449, RFC 3206).
    pub code: Option<String>,
    /// The words, without the code; control characters replaced.
    pub text: String,
}

impl Refusal {
    /// True when the server says that the same may work later.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        matches!(self.code.as_deref(), Some("IN-USE" | "LOGIN-DELAY" | "SYS/TEMP"))
    }
}

impl std::fmt::Display for Refusal {
    /// As reports quote it.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.code {
            Some(code) if self.text.is_empty() => write!(f, "[{code}]"),
            Some(code) => write!(f, "[{code}] {}", self.text),
            None if self.text.is_empty() => f.write_str("no reason given"),
            None => f.write_str(&self.text),
        }
    }
}

/// What was answered, for events that several commands share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// Nothing was asked: the greeting.
    Greeting,
    /// CAPA
    Capa,
    /// STLS
    Stls,
    /// USER
    User,
    /// PASS, APOP or AUTH: the login.
    Login,
    /// STAT
    Stat,
    /// LIST
    List,
    /// UIDL
    Uidl,
    /// RETR or TOP of this message.
    Retrieve(u32),
    /// DELE of this message.
    Dele(u32),
    /// RSET
    Rset,
    /// NOOP
    Noop,
    /// UTF8
    Utf8,
    /// QUIT
    Quit,
}

/// What the server said.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The greeting, with the timestamp that APOP needs if there is one.
    Greeting {
        /// `<…@…>` with its brackets.
        timestamp: Option<String>,
        /// The server's words.
        text: String,
    },
    /// A command without more to tell was taken.
    Done {
        /// Which.
        of: Verb,
        /// The server's words.
        text: String,
    },
    /// A command (or the connection) was refused; the session goes on.
    Refused {
        /// Which.
        of: Verb,
        /// Why.
        refusal: Refusal,
    },
    /// CAPA
    Capabilities(Capabilities),
    /// AUTH: the server wants an answer to this; send [`Command::AuthReply`].
    Challenge(Vec<u8>),
    /// The server waits for the TLS handshake; call [`Session::tls_started`] after it.
    StartTls,
    /// STAT
    Stat {
        /// Messages.
        messages: u64,
        /// Octets of all.
        octets: u64,
    },
    /// LIST: number and octets of each message.
    Sizes(Vec<(u32, u64)>),
    /// UIDL: number and unique id of each message.
    UniqueIds(Vec<(u32, String)>),
    /// A message begins.
    MessageBegin(u32),
    /// The next bytes of it.
    MessageData(Vec<u8>),
    /// It was received whole.
    MessageEnd(u32),
    /// The server speaks nonsense or breaks a bound; the connection is of no more use.
    Broken(&'static str),
}
