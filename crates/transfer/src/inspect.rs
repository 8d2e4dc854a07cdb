//! What looks at a whole message before it is accepted: who really sent it, filters, signatures.
//!
//! The door in ([`crate::submit`]) asks every inspector in turn. It must never know a protocol.

use std::net::IpAddr;

use angarium_accounts::{Actor, QueueId};
use async_trait::async_trait;

use crate::submit::{Recipient, Source};

/// A message that has arrived whole and is not accepted yet.
#[derive(Clone, Copy)]
pub struct Arrived<'a> {
    /// Its number.
    pub id: QueueId,
    /// Where it came from.
    pub source: Source,
    /// The client, for mail that came over the network.
    pub peer: Option<IpAddr>,
    /// What the client called itself.
    pub hello: &'a str,
    /// It came over TLS.
    pub tls: bool,
    /// The client is one of ours: an own address, or it authenticated.
    pub trusted: bool,
    /// Who authenticated.
    pub actor: Option<&'a Actor>,
    /// Return path, empty for `<>`.
    pub return_path: &'a str,
    /// The recipients, with their routes.
    pub recipients: &'a [Recipient],
    /// Name of this server.
    pub host: &'a str,
    /// Seconds since 1970.
    pub now: i64,
    /// The message without the trace lines of this server.
    pub message: &'a [u8],
}

/// What becomes of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Verdict {
    /// It may go on.
    #[default]
    Accept,
    /// *Never*: refused with this enhanced status (5.x.x) and text.
    Refuse {
        /// Such as `(5, 7, 1)`.
        status: (u8, u8, u8),
        /// Why, for the sender.
        text: String,
    },
    /// *Later*: refused for now.
    Later {
        /// Such as `(4, 7, 1)`.
        status: (u8, u8, u8),
        /// Why, for the sender.
        text: String,
    },
    /// Accepted and dropped; the text is for the log.
    Discard(String),
}

/// What an inspector found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// Header lines to be put in front of the message, each ended by CRLF.
    pub lines: String,
    /// What becomes of the message.
    pub verdict: Verdict,
}

/// Looks at messages.
#[async_trait]
pub trait Inspector: Send + Sync {
    /// The name in logs.
    fn name(&self) -> &'static str;
    /// Looks at one message. What goes wrong inside is told by the verdict.
    async fn inspect(&self, arrived: &Arrived<'_>) -> Findings;
}
