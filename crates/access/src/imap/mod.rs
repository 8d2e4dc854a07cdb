//! The IMAP driver: runs the pure machine of `angarium-imap` over a stream and carries out its
//! commands through `accounts`. RFC 3501 and RFC 9051 with the extensions it announces
//! (`reference/imap.md`).
//!
//! One file for each family of commands. It must never know how messages are stored.

mod access;
mod answer;
mod append;
mod calls;
mod capability;
mod columns;
mod compress;
mod context;
mod encrypted;
mod fetch;
mod fetch_plan;
mod flags;
mod idle;
mod keep_ids;
mod listing;
mod login;
mod mailboxes;
mod metadata;
mod multi_search;
mod notify;
mod progress;
mod quota;
mod results;
mod search;
mod search_charset;
mod search_fuzzy;
mod search_headers;
mod search_keys;
mod search_sift;
mod search_text;
mod select;
mod selected;
mod session;
mod sort;
mod store;
mod strings;
mod thread;
mod urlauth;

use std::sync::Arc;
use std::time::Duration;

use angarium_accounts::{Accounts, Actor, Channel};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsAcceptor;
use tracing::Instrument as _;

use crate::cli::SessionEnder;
use crate::connection::{Connection, ConnectionInfo};
use crate::sessions::SessionTable;

/// When a password may travel in clear.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClearText {
    /// As the server setting `ClearTextLogin` says: by default inside TLS and on connections
    /// from this machine itself.
    #[default]
    Setting,
    /// Only inside TLS.
    Never,
    /// Always (the administrator was warned).
    Always,
}

/// What an administrator can choose.
#[derive(Clone, Debug)]
pub struct ImapOptions {
    /// Name of the server in the greeting.
    pub host: String,
    /// When a password may travel in clear.
    pub clear_text: ClearText,
    /// A silent client is logged out after this (at least 30 minutes, RFC 9051 section 5.4).
    pub idle: Duration,
    /// A client that does not log in is sent away after this.
    pub login_within: Duration,
    /// Largest message of an APPEND, octets.
    pub max_append: u64,
    /// Where an administrator ends the sessions of an account.
    pub ender: Option<SessionEnder>,
}

impl Default for ImapOptions {
    fn default() -> Self {
        Self {
            host: "localhost".to_owned(),
            clear_text: ClearText::default(),
            idle: Duration::from_secs(30 * 60),
            login_within: Duration::from_secs(60),
            max_append: 1 << 30,
            ender: None,
        }
    }
}

/// What all IMAP sessions share.
pub struct ImapContext {
    /// The one door.
    pub accounts: Arc<Accounts>,
    /// The administrator's choices.
    pub options: ImapOptions,
    /// Where sessions are listed.
    pub sessions: SessionTable,
    /// STARTTLS, if there is a certificate.
    pub acceptor: Option<TlsAcceptor>,
}

/// Runs one connection to its end.
pub async fn serve<S>(stream: S, info: ConnectionInfo, context: Arc<ImapContext>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    serve_secured(stream, info, None, context).await;
}

/// As [`serve`] on a stream that is encrypted already, with what its TLS session says.
pub async fn serve_secured<S>(
    stream: S,
    info: ConnectionInfo,
    channel: Option<Arc<Channel>>,
    context: Arc<ImapContext>,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let tag = format!("IMAP-{:05}", info.session);
    let span = tracing::info_span!("imap", session = %tag);
    let connection = Connection::new(stream, info).with_channel(channel);
    // Boxed: a future that is handed a session keeps its place for it to the end.
    let session = Box::new(session::Session::new(connection, context));
    session.run(None).instrument(span).await;
}

/// As [`serve`] for somebody whose identity is known already: the greeting is PREAUTH (RFC 9051
/// section 7.1.4). For `angarium exec imap`.
pub async fn serve_preauthenticated<S>(
    stream: S,
    info: ConnectionInfo,
    context: Arc<ImapContext>,
    actor: Arc<Actor>,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let tag = format!("IMAP-{:05}", info.session);
    let span = tracing::info_span!("imap", session = %tag);
    let connection = Connection::new(stream, info);
    // Boxed: a future that is handed a session keeps its place for it to the end.
    let session = Box::new(session::Session::new(connection, context));
    session.run(Some(actor)).instrument(span).await;
}
