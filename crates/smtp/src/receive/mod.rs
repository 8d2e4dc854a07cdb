//! The receiving side: a machine that takes a client's bytes and gives events; the caller answers
//! them and sends what the machine puts out.
//!
//! A driver does this for ever: put bytes into [`Session::input`]; take events with
//! [`Session::next`] until there are none, answering each that waits for an answer; send
//! [`Session::output`] in one write. Replies to pipelined commands so gather by themselves.
//!
//! It must never know which addresses are good or where messages go.

mod burl;
mod commands;
mod content;
mod session;

use bytes::Bytes;

use crate::address::Path;
use crate::command::Hello;
use crate::data::LineFault;
use crate::parameters::{MailParameters, RcptParameters};
use crate::{Protocol, limits};

pub use session::Session;

/// How a session behaves. Limits default to those of [`limits`].
#[derive(Clone, Debug)]
pub struct Config {
    /// SMTP or LMTP.
    pub protocol: Protocol,
    /// Our host name, in the greeting and the answer to EHLO.
    pub host: String,
    /// Product and version for the greeting.
    pub product: String,
    /// Largest message, octets; announced by SIZE.
    pub max_size: u64,
    /// Most recipients of one message.
    pub max_recipients: usize,
    /// Protocol errors that close the connection.
    pub max_errors: u32,
    /// Refused recipients that close the connection.
    pub max_refused: u32,
    /// Commands without mail that close the connection.
    pub max_idle_commands: u32,
    /// STARTTLS can be done.
    pub starttls: bool,
    /// The connection is encrypted from its start.
    pub tls: bool,
    /// AUTH mechanisms offered on a plain connection, in capitals.
    pub mechanisms_plain: Vec<String>,
    /// AUTH mechanisms offered on an encrypted connection, in capitals.
    pub mechanisms_tls: Vec<String>,
    /// No mail without AUTH (submission, RFC 6409).
    pub auth_required: bool,
    /// Announce BINARYMIME, and take bare CR and LF in BDAT content marked so.
    pub binarymime: bool,
    /// Announce BURL for IMAP URLs (RFC 4468).
    pub burl: bool,
    /// Refuse commands sent ahead where PIPELINING was not announced (before or without EHLO).
    pub enforce_pipelining: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            protocol: Protocol::Smtp,
            host: "localhost".into(),
            product: concat!("Angarium ", env!("CARGO_PKG_VERSION")).into(),
            max_size: limits::MESSAGE,
            max_recipients: limits::RECIPIENTS,
            max_errors: limits::ERRORS,
            max_refused: limits::REFUSED_RECIPIENTS,
            max_idle_commands: limits::IDLE_COMMANDS,
            starttls: false,
            tls: false,
            mechanisms_plain: Vec::new(),
            mechanisms_tls: Vec::new(),
            auth_required: false,
            binarymime: false,
            burl: false,
            enforce_pipelining: true,
        }
    }
}

/// What happened. Those marked *answer* wait for [`Session::answer`] (or what else is named) and
/// nothing comes after them until it was called.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// *Answer* with [`Session::welcome`], or refuse with `answer`: the client said its name. A
    /// transaction that was open is gone.
    Hello {
        /// How.
        verb: Hello,
        /// Its name.
        name: String,
    },
    /// *Answer*: MAIL. A positive answer opens the transaction.
    Mail {
        /// Return path; the mailbox, if any, has a domain.
        path: Path,
        /// As given.
        parameters: MailParameters,
    },
    /// *Answer*: RCPT.
    Rcpt {
        /// The address, perhaps without a domain.
        path: Path,
        /// As given.
        parameters: RcptParameters,
    },
    /// *Answer* with [`Session::proceed`], or refuse with `answer`: content is about to come.
    Content,
    /// *Answer* with [`Session::proceed`] once all its octets went through [`Session::fetched`],
    /// or refuse with `answer`: the message goes on with what a URL names.
    Burl {
        /// As given.
        url: String,
    },
    /// Bytes of the message, dots undone.
    Data(Bytes),
    /// *Answer* (LMTP: [`Session::answer_each`]): the message is whole.
    End {
        /// Octets of it.
        size: u64,
    },
    /// The content is refused; the machine goes on to its true end and then says why. Nothing
    /// more of it is told.
    Aborted(Abort),
    /// The reply is in the output: send it, take the connection to TLS, then call
    /// [`Session::tls_started`]. Input before that is thrown away.
    StartTls,
    /// *Answer* or [`Session::challenge`]: AUTH.
    Auth {
        /// In capitals, one of those offered.
        mechanism: String,
        /// Initial response.
        initial: Option<Vec<u8>>,
    },
    /// *Answer* or [`Session::challenge`]: the client's answer to a challenge.
    AuthResponse(Vec<u8>),
    /// The client gave the dialogue up or broke it; the machine has replied.
    AuthCancelled,
    /// The transaction is gone; the machine has replied.
    Reset,
    /// Send the output and close.
    Closing(Close),
}

/// Why content is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Abort {
    /// Line ends that are not CRLF.
    Lines(LineFault),
    /// Past [`Config::max_size`].
    TooLarge,
}

/// Why a session ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Close {
    /// QUIT.
    Quit,
    /// The client spoke before the greeting.
    EarlyTalk,
    /// Commands sent ahead without PIPELINING.
    Pipelining,
    /// Too many errors, refused recipients or idle commands.
    TooMany,
    /// A line or content past what is even skipped, or BDAT that cannot be followed.
    Flood,
    /// The caller answered 421 or refused the connection.
    Refused,
}
