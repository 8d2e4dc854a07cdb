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
mod extensions;
mod session;

use bytes::Bytes;

use crate::address::Path;
use crate::client_facts::ClientFacts;
use crate::command::{Hello, Release};
use crate::data::LineFault;
use crate::parameters::{MailParameters, RcptParameters};
use crate::{Protocol, limits};

pub use session::Session;

/// The extensions offered beside those every session has.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "one for each extension")]
pub struct Offers {
    /// SIZE (RFC 1870) is announced; the bound holds anyway.
    pub size: bool,
    /// 8BITMIME (RFC 6152)
    pub eight_bit_mime: bool,
    /// BINARYMIME (RFC 3030): bare CR and LF are taken in BDAT content marked so.
    pub binary_mime: bool,
    /// BURL for IMAP URLs (RFC 4468)
    pub burl: bool,
    /// DELIVERBY (RFC 2852): the shortest time in mode R, seconds.
    pub deliver_by: Option<u32>,
    /// FUTURERELEASE (RFC 4865): the longest time, seconds, and the moment that is now.
    pub future_release: Option<(u32, i64)>,
    /// MT-PRIORITY (RFC 6710)
    pub priority: bool,
    /// REQUIRETLS (RFC 8689); only ever on an encrypted connection.
    pub require_tls: bool,
    /// RRVS (RFC 7293)
    pub same_owner: bool,
    /// NO-SOLICITING (RFC 3865) with these keywords, perhaps none.
    pub no_soliciting: Option<String>,
    /// LIMITS (RFC 9422)
    pub limits: bool,
    /// ETRN (RFC 1985)
    pub etrn: bool,
    /// ATRN (RFC 2645)
    pub atrn: bool,
    /// XCLIENT: the client is a trusted relay.
    pub xclient: bool,
}

impl Default for Offers {
    fn default() -> Self {
        Self {
            size: true,
            eight_bit_mime: true,
            binary_mime: false,
            burl: false,
            deliver_by: None,
            future_release: None,
            priority: false,
            require_tls: false,
            same_owner: false,
            no_soliciting: None,
            limits: false,
            etrn: false,
            atrn: false,
            xclient: false,
        }
    }
}

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
    /// Most messages of one connection.
    pub max_messages: u32,
    /// Extensions.
    pub offers: Offers,
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
            max_messages: limits::MESSAGES,
            offers: Offers::default(),
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
    /// *Answer*: ETRN.
    Etrn {
        /// What the name is.
        what: Release,
        /// In lower case.
        name: String,
    },
    /// *Answer*: ATRN of an authenticated client. After a positive answer comes
    /// [`Event::Turned`].
    Atrn {
        /// In lower case; none for all.
        domains: Vec<String>,
    },
    /// Send the output; from now on we are the client on this connection. Nothing comes of this
    /// session any more.
    Turned,
    /// *Answer*: a trusted relay says who the client is. After a positive answer the session is as
    /// fresh, with a new greeting.
    Xclient(ClientFacts),
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
