//! What a client's bytes can mean, and how many of them are taken. Knows nothing of how they are
//! found.

use bytes::Bytes;

use crate::decode::Refusal;
use crate::types::{AppendNumbers, DateTime, Flag, Replaces, Request, Secret, Tag};

/// How much a client may send before something is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Longest line in octets, without its line end.
    pub line: usize,
    /// Most octets of all lines and literals of one command (messages of APPEND aside).
    pub command: usize,
    /// Most octets read and thrown away for one refused command before the connection is given
    /// up (RFC 7888 section 4).
    pub discard: u64,
}

impl Limits {
    /// Before log-in: lines of 8 KiB, commands of 64 KiB.
    pub const BEFORE_LOGIN: Self = Self { line: 8 << 10, command: 64 << 10, discard: 1 << 20 };
    /// After log-in: lines of 256 KiB (clients name long message sets), commands of 1 MiB.
    pub const AFTER_LOGIN: Self = Self { line: 256 << 10, command: 1 << 20, discard: 256 << 20 };
}

/// Longest line of a SASL exchange, in octets.
pub const MAX_SASL_LINE: usize = 16 << 10;
/// Most messages in one APPEND (RFC 3502).
pub const MAX_APPEND_MESSAGES: u32 = 10_000;
/// Most parts of one message made by CATENATE (RFC 4469).
pub const MAX_CATENATE_PARTS: u32 = 200;
/// Commands not understood before log-in after which the connection ends.
pub const MAX_ERRORS_BEFORE_LOGIN: u32 = 10;
/// Commands not understood in a row after log-in after which the connection ends.
pub const MAX_ERRORS_AFTER_LOGIN: u32 = 100;
/// What a client's bytes mean.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A command.
    Command(Request),
    /// An APPEND or REPLACE begins; [`Event::AppendMessage`] follows.
    AppendStart {
        /// Its tag.
        tag: Tag,
        /// Where to, UTF-8.
        mailbox: String,
        /// Which message a REPLACE replaces (RFC 8508).
        replaces: Option<Replaces>,
    },
    /// A message of an APPEND is announced. Unless it is made of parts, nothing more comes until
    /// [`super::server::Session::accept_append`] or [`super::server::Session::refuse_append`] is called.
    AppendMessage(AppendMessage),
    /// A TEXT part of a message made of parts (RFC 4469); waits as [`Event::AppendMessage`] does.
    AppendText(AppendText),
    /// A URL part: its octets are to be put in here. Waits for nothing.
    AppendUrl(String),
    /// Octets of the message, never empty. How they are cut follows the input; joined they do not.
    AppendData(Bytes),
    /// The message is whole.
    AppendMessageEnd,
    /// The APPEND is whole: answer it.
    AppendEnd,
    /// A command was not understood: write the refusal. In the middle of an APPEND this ends it
    /// and nothing of it is kept; in IDLE it ends the IDLE.
    Bad(Refusal),
    /// DONE after [`super::server::Session::expect_done`].
    IdleDone,
    /// A line after [`super::server::Session::expect_sasl`], base64 undone.
    Sasl(Secret),
    /// `*` after [`super::server::Session::expect_sasl`].
    SaslCancelled,
    /// A line after [`super::server::Session::expect_sasl`] that is no base64.
    SaslMalformed,
    /// The connection cannot go on: send `* BYE` with this text and close. Nothing follows.
    Fatal(&'static str),
}

/// One message announced by APPEND.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppendMessage {
    /// Flags to keep.
    pub flags: Vec<Flag>,
    /// INTERNALDATE to keep.
    pub date: Option<DateTime>,
    /// Numbers of another server to keep (XKEEPIDS).
    pub numbers: Option<Box<AppendNumbers>>,
    /// It is made of parts, which follow (RFC 4469); what comes below is then 0 and false.
    pub catenate: bool,
    /// Octets announced. 0 asks to give the whole APPEND up (RFC 3502 section 6.3.11).
    pub size: u64,
    /// `~{n}`: NUL is allowed (RFC 3516).
    pub binary: bool,
    /// The client sends at once, without being told to go on.
    pub non_synchronising: bool,
}

/// One TEXT part announced inside CATENATE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AppendText {
    /// Octets announced; 0 is an empty part.
    pub size: u64,
    /// `~{n}`: NUL is allowed (RFC 3516).
    pub binary: bool,
}
