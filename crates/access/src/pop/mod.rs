//! The POP3 driver: carries bytes between a connection and the session machine, and carries out
//! what the machine asks for (`reference/pop.md`). It must never know the store.

mod login;
mod retrieve;
mod submit;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use angarium_accounts::mailboxes::{MailAccount, MailError, Opened};
use angarium_accounts::{
    Accounts, Channel, FlagBits, FlagChange, FlagUpdate, Flags, SaslExchange, Uid,
};
use angarium_pop::{Event, Policy, ResponseCode, Session};
use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsAcceptor;

use crate::cli::{EndSignal, SessionEnder};
use crate::connection::{Connection, ConnectionError, ConnectionInfo};
use crate::sessions::{SessionEntry, SessionTable};

pub use submit::Submission;

/// A client that says nothing for this long after login is disconnected (RFC 1939 section 3
/// wants 10 minutes at least).
const IDLE: Duration = Duration::from_secs(600);
/// All of the login must be done in this time.
const LOGIN_TIME: Duration = Duration::from_secs(120);
/// Messages read by RETR are marked as seen after this pause of the client, many at a time,
/// so that reading a mailbox costs a few changes of flags and not one for each message.
const SEEN_PAUSE: Duration = Duration::from_millis(300);
/// Messages waiting to be marked as seen before they are marked without a pause.
const SEEN_MOST: usize = 1024;

/// What all POP sessions of a server share.
#[derive(Clone)]
pub struct PopContext {
    /// The one door.
    pub accounts: Arc<Accounts>,
    /// Name and version to be shown, such as `Angarium 0.1.0`.
    pub product: String,
    /// Name of this host, for the greeting.
    pub host: String,
    /// Passwords may be sent without encryption.
    pub clear_text: bool,
    /// RETR marks messages as seen.
    pub mark_seen: bool,
    /// Takes mail of XTND XMIT; `None` offers none.
    pub submission: Option<Submission>,
    /// The sessions as monitors list them.
    pub sessions: SessionTable,
    /// Ends sessions from outside.
    pub ender: SessionEnder,
    /// Upgrades connections with STLS; `None` offers none.
    pub tls: Option<TlsAcceptor>,
}

/// Runs one POP3 session to its end. Whatever happens, nothing is deleted without QUIT.
pub async fn serve<S>(stream: S, info: ConnectionInfo, context: Arc<PopContext>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    Box::pin(serve_secured(stream, info, None, context)).await;
}

/// As [`serve`] on a stream that is encrypted already, with what its TLS session says.
pub async fn serve_secured<S>(
    stream: S,
    info: ConnectionInfo,
    channel: Option<Arc<Channel>>,
    context: Arc<PopContext>,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let entry = context.sessions.enter("POP", info.session, info.peer);
    let tag = format!("POP-{:05}", info.session);
    tracing::debug!(target: "POP", session = %tag, peer = %info.peer, "connected");
    let stamp = format!("<{}.{}@{}>", info.session, context.accounts.now(), context.host);
    let connection = Connection::new(stream, info).with_channel(channel);
    let policy = policy(&context, &connection).await;
    let mut driver = Driver {
        session: Session::new(policy, &context.product, &stamp),
        connection,
        context,
        entry,
        tag,
        stamp,
        exchange: None,
        wanted_mailbox: None,
        open: None,
        mail: None,
    };
    let end = driver.run().await;
    driver.mark_seen().await;
    if let Err(error) = end {
        tracing::debug!(target: "POP", session = %driver.tag, %error, "ended");
    }
    driver.connection.close().await;
}

/// What the connection allows as it is now.
async fn policy<S: AsyncRead + AsyncWrite + Unpin + Send>(
    context: &PopContext,
    connection: &Connection<S>,
) -> Policy {
    let tls = connection.is_tls();
    let channel = connection.channel().map(Arc::as_ref);
    let mechanisms = context.accounts.sasl_offers(tls, context.clear_text, channel).await;
    Policy {
        clear_text: context.accounts.clear_text_offered(tls || context.clear_text).await,
        starttls: !tls && context.tls.is_some(),
        mechanisms: mechanisms.iter().map(|name| (*name).to_owned()).collect(),
        apop: context.accounts.apop_offered().await,
        submission: context.submission.is_some(),
        max_message_size: context.submission.as_ref().map_or(0, |s| s.max_message_size),
        login_delay: 0,
    }
}

/// The mailbox of a logged-in session.
struct Open {
    mail: MailAccount,
    opened: Opened,
    /// UIDs by index of the maildrop.
    uids: Vec<Uid>,
    /// Read by RETR and not marked as seen yet.
    read: Vec<Uid>,
    signal: EndSignal,
}

struct Driver<S> {
    session: Session,
    connection: Connection<S>,
    context: Arc<PopContext>,
    entry: SessionEntry,
    tag: String,
    /// What an APOP digest is made over.
    stamp: String,
    exchange: Option<SaslExchange>,
    /// The mailbox of a `mailbox#account` login under way.
    wanted_mailbox: Option<String>,
    open: Option<Open>,
    mail: Option<submit::Intake>,
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Driver<S> {
    async fn run(&mut self) -> Result<(), ConnectionError> {
        let started = tokio::time::Instant::now();
        let mut input = BytesMut::new();
        loop {
            while let Some(event) = self.session.next_event() {
                if matches!(event, Event::Close) {
                    return self.send().await;
                }
                self.act(event).await?;
            }
            self.send().await?;
            self.connection.rest();
            let limit = if self.open.is_some() {
                IDLE
            } else {
                LOGIN_TIME.saturating_sub(started.elapsed())
            };
            match self.wait(&mut input, limit).await {
                Ok(()) => {
                    self.session.receive(&input);
                    input.clear();
                    if input.capacity() > 8 * 1024 {
                        input = BytesMut::new();
                    }
                }
                Err(ConnectionError::TimedOut) => {
                    self.session.close("idle for too long");
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Waits for input, or for what ends the session: an administrator, the server's stop. Uses a
    /// pause to mark messages as seen.
    async fn wait(&mut self, input: &mut BytesMut, limit: Duration) -> Result<(), ConnectionError> {
        if self.open.as_ref().is_some_and(|open| !open.read.is_empty()) {
            let full = self.open.as_ref().is_some_and(|open| open.read.len() >= SEEN_MOST);
            if !full {
                match self.connection.receive(input, SEEN_PAUSE).await {
                    Err(ConnectionError::TimedOut) => {}
                    other => return other.map(|_| ()),
                }
            }
            self.mark_seen().await;
        }
        let ended = async {
            match &self.open {
                Some(open) => open.signal.told().await,
                None => std::future::pending().await,
            }
        };
        let why = tokio::select! {
            got = self.connection.receive(input, limit) => return got.map(|_| ()),
            () = ended => "session closed by the administrator",
            () = self.entry.stopping() => "the server is stopping",
        };
        self.session.close(why);
        input.clear();
        Ok(())
    }

    /// Writes what the machine has to say.
    async fn send(&mut self) -> Result<(), ConnectionError> {
        let output = self.session.output();
        if self.connection.out().is_empty() {
            std::mem::swap(output, self.connection.out());
        } else {
            self.connection.out().append(output);
        }
        self.connection.flush().await
    }

    async fn act(&mut self, event: Event) -> Result<(), ConnectionError> {
        match event {
            Event::Login { name, password } => Box::pin(self.login(name, password)).await,
            Event::Apop { name, digest } => Box::pin(self.apop(&name, &digest)).await,
            Event::Auth { mechanism, initial } => {
                Box::pin(self.auth(&mechanism, initial.as_deref())).await;
            }
            Event::AuthReply(reply) => Box::pin(self.auth_step(Some(&reply))).await,
            Event::AuthCancelled => self.exchange = None,
            Event::StartTls => return self.start_tls().await,
            Event::Retrieve(first) => return Box::pin(self.retrieve(first)).await,
            Event::Submit => self.submit(),
            Event::MailData(data) => self.mail_data(&data),
            Event::MailEnd { whole } => Box::pin(self.mail_end(whole)).await,
            Event::Quit { delete } => self.quit(&delete).await,
            Event::Flush => return self.send().await,
            Event::Close => {}
        }
        Ok(())
    }

    async fn start_tls(&mut self) -> Result<(), ConnectionError> {
        self.send().await?;
        let Some(acceptor) = self.context.tls.clone() else { return Err(ConnectionError::Closed) };
        self.connection.start_tls(&acceptor).await?;
        self.exchange = None;
        let policy = policy(&self.context, &self.connection).await;
        self.session.tls_started(policy);
        Ok(())
    }

    /// The update state: only here messages go.
    async fn quit(&mut self, delete: &[usize]) {
        let failed = match &mut self.open {
            Some(open) if !delete.is_empty() => {
                let gone: Vec<Uid> =
                    delete.iter().filter_map(|at| open.uids.get(*at).copied()).collect();
                open.read.retain(|uid| gone.binary_search(uid).is_err());
                self.entry.running("QUIT");
                match open.mail.expunge(&open.opened, &gone, false).await {
                    Ok(_) => None,
                    Err(MailError::NoPermission) => Some("messages not deleted: no permission"),
                    Err(error) => {
                        tracing::warn!(target: "POP", session = %self.tag, %error, "not deleted");
                        Some("some deleted messages were not removed")
                    }
                }
            }
            _ => None,
        };
        self.session.farewell(failed);
    }

    /// Marks what was read as seen. Failing is no harm: the messages stay unread.
    async fn mark_seen(&mut self) {
        let Some(open) = &mut self.open else { return };
        let mut uids = std::mem::take(&mut open.read);
        if uids.is_empty() {
            return;
        }
        uids.sort_unstable();
        uids.dedup();
        let update = FlagUpdate {
            uids,
            change: FlagChange::Add,
            flags: Flags::of(FlagBits::SEEN),
            unchanged_since: None,
        };
        if let Err(error) = open.mail.change_flags(&open.opened, update).await {
            tracing::debug!(target: "POP", session = %self.tag, %error, "not marked as seen");
        }
    }
}

/// The response code of a mailbox error.
fn code_of(error: &MailError) -> Option<ResponseCode> {
    Some(if error.is_temporary() { ResponseCode::SysTemp } else { ResponseCode::SysPerm })
}
