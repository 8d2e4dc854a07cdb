//! The sending side: a machine that speaks to a remote SMTP or LMTP server.
//!
//! The caller says what it wants ([`Session::hello`], [`Session::envelope`] …), sends
//! [`Session::output`], feeds what comes back to [`Session::push`] and takes events with
//! [`Session::next`]. MAIL, RCPT and DATA go out in one write where the server pipelines.
//!
//! It must never know hosts, retries or where a message lies.

mod capabilities;
mod session;

use crate::address::Path;
use crate::parameters::{MailParameters, RcptParameters};
use crate::reply::{Reply, ReplyError};

pub use capabilities::Capabilities;
pub use session::Session;

/// One message's envelope.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Envelope {
    /// Return path.
    pub from: Path,
    /// Parameters of MAIL; those of extensions the server lacks are left out.
    pub parameters: MailParameters,
    /// Recipients, at least one.
    pub recipients: Vec<(Path, RcptParameters)>,
}

/// What the server said.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The greeting, positive: say hello.
    Greeting(Reply),
    /// EHLO (or HELO after a refused EHLO) was taken.
    Hello(Capabilities),
    /// The server waits for the TLS handshake; call [`Session::tls_started`] after it.
    StartTls,
    /// AUTH succeeded.
    Authenticated,
    /// The envelope's answers are in. With `go`, the content is awaited; without it nothing was
    /// accepted (the machine has put the session back in order).
    Envelope {
        /// The answer to MAIL.
        mail: Reply,
        /// The answers to RCPT, in order; those never asked repeat MAIL's.
        recipients: Vec<Reply>,
        /// The answer to DATA, where there was one.
        data: Option<Reply>,
        /// The content may be given.
        go: bool,
    },
    /// The message's fate: one reply (SMTP), or one for each accepted recipient (LMTP).
    Sent(Vec<Reply>),
    /// RSET or QUIT was answered.
    Done(Reply),
    /// The server refused a chunk before the last was given: nothing of the message is taken, and
    /// the session is of no more use.
    ChunkRefused(Reply),
    /// What was asked was refused (greeting, EHLO, STARTTLS, AUTH); the session goes on.
    Refused(Reply),
    /// The server speaks nonsense; the connection is of no more use.
    Broken(ReplyError),
}
