//! Receiving: one SMTP or LMTP connection over any stream, from greeting to close.
//!
//! The pure session of `angarium_smtp` says what happens; here it is given bytes, time limits,
//! TLS, and answers from the accounts and the submitter. Replies to pipelined commands go out in
//! one write. It must never know where messages go after the submitter.

mod answers;
mod burl;
mod content;
mod dialogue;
mod login;
mod mail;
mod message;
mod names;
mod rcpt;
mod reception;
mod release;
mod rules;
mod submission;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use angarium_accounts::{Accounts, Channel};
use angarium_objects::value::Dictionary;
use angarium_smtp::Protocol;
use angarium_smtp::receive::{Close, Event, Session};
use angarium_smtp::reply::{Reply, Status};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

use crate::following::Made;
use crate::protection::Protection;
use crate::submit::Submitter;
use crate::wire::Wire;
use dialogue::Dialogue;
pub(crate) use reception::Reception;

/// Octets read at a time while commands come.
const COMMAND_READ: usize = 4 * 1024;

/// Octets read at a time while a message comes.
const CONTENT_READ: usize = 32 * 1024;

/// Octets read and dropped after our last words.
const LINGER_OCTETS: usize = 1024 * 1024;

/// How long for.
const LINGER_TIME: Duration = Duration::from_secs(2);

/// How the connections of one listener are received.
#[derive(Clone, Debug, Default)]
pub struct ReceiverSettings {
    /// SMTP or LMTP.
    pub protocol: Protocol,
    /// A submission listener (587, 465): AUTH is required, missing Date and Message-ID are added.
    pub submission: bool,
    /// Offer PLAIN and LOGIN also without TLS (unsafe; a warning belongs to it).
    pub clear_text_logins: bool,
    /// Settings of the module SMTP that are otherwise for this listener.
    pub own: Dictionary,
    /// How long a client may be silent, instead of the setting.
    pub silence: Option<Duration>,
    /// How long the greeting waits for clients that speak first (ABU-04), instead of the setting.
    /// With zero, only what is there already is noticed.
    pub greeting_delay: Option<Duration>,
}

/// What all connections of one listener share.
pub struct Receiver {
    pub(crate) accounts: Arc<Accounts>,
    pub(crate) submitter: Submitter,
    pub(crate) settings: ReceiverSettings,
    pub(crate) tls: Option<TlsAcceptor>,
    pub(crate) protection: Arc<Protection>,
    pub(crate) stop: watch::Receiver<bool>,
    pub(crate) reception: Arc<Reception>,
    known: Made<rules::Rules>,
}

impl Receiver {
    pub(crate) fn new(
        accounts: Arc<Accounts>,
        submitter: Submitter,
        protection: Arc<Protection>,
        reception: Arc<Reception>,
        settings: ReceiverSettings,
        tls: Option<TlsAcceptor>,
        stop: watch::Receiver<bool>,
    ) -> Self {
        let known = Made::default();
        Self { accounts, submitter, settings, tls, protection, stop, reception, known }
    }
}

/// One connection as the listener knows it.
#[derive(Clone, Copy, Debug)]
pub struct ConnectionInfo {
    /// Session number, the n of `SMTPI-n`.
    pub session: u64,
    /// The client.
    pub peer: SocketAddr,
    /// Our side.
    pub local: SocketAddr,
    /// The stream is encrypted already.
    pub tls: bool,
}

impl ConnectionInfo {
    /// The session's tag in logs, `SMTPI-00042([192.0.2.1])`.
    #[must_use]
    pub fn tag(&self) -> String {
        format!("SMTPI-{:05}([{}])", self.session, self.peer.ip())
    }
}

/// Runs one connection to its end.
pub async fn serve<S>(stream: S, info: ConnectionInfo, receiver: Arc<Receiver>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + Sync + 'static,
{
    Box::pin(serve_secured(stream, info, None, receiver)).await;
}

/// As [`serve`] on a stream that is encrypted already, with what its TLS session says.
pub async fn serve_secured<S>(
    stream: S,
    info: ConnectionInfo,
    channel: Option<Arc<Channel>>,
    receiver: Arc<Receiver>,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + Sync + 'static,
{
    let tag = info.tag();
    let host = match receiver.accounts.main_domain().await {
        Ok(host) if !host.is_empty() => host,
        _ => "localhost".to_owned(),
    };
    tracing::debug!(target: "SMTPI", session = %tag, "connection from [{}]:{}", info.peer.ip(), info.peer.port());
    let rules = receiver.rules().await;
    let mut dialogue = Dialogue::new(Arc::clone(&receiver), info, host, tag.clone(), rules);
    dialogue.login.channel = channel;
    let refusal = dialogue.connected().await;
    let machine = Session::new(dialogue.config().await);
    let stop = receiver.stop.clone();
    drop(receiver);
    let mut connection = Connection { wire: Wire::Plain(stream), stop, dialogue, machine, refusal };
    match Box::pin(connection.run()).await {
        Ok(()) => tracing::debug!(target: "SMTPI", session = %tag, "connection closed"),
        Err(error) => tracing::debug!(target: "SMTPI", session = %tag, "connection lost: {error}"),
    }
}

struct Connection<S> {
    wire: Wire<S>,
    stop: watch::Receiver<bool>,
    machine: Session,
    dialogue: Dialogue,
    /// Instead of the greeting.
    refusal: Option<Reply>,
}

/// What ended the wait for input.
enum Input {
    Bytes(usize),
    Silence,
    Stop,
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + Sync + 'static> Connection<S> {
    async fn run(&mut self) -> std::io::Result<()> {
        if let Some(reply) = self.refusal.take() {
            self.machine.shut(&reply);
        } else {
            let delay = self.dialogue.rules().greeting_delay;
            let early = self.wire.read_buf(self.machine.input());
            match tokio::time::timeout(delay, early).await {
                Ok(Ok(0)) => return Ok(()),
                Ok(Ok(_)) => self.machine.refuse_early_talk(),
                Ok(Err(error)) => return Err(error),
                Err(_) => self.machine.greet(),
            }
        }
        loop {
            let mut closing = None;
            let (mut upgrade, mut turned) = (false, false);
            while let Some(event) = self.machine.next() {
                match event {
                    Event::Closing(why) => {
                        tracing::debug!(target: "SMTPI", session = self.dialogue.tag(), "closing: {why:?}");
                        self.dialogue.closing(why);
                        closing = Some(why);
                    }
                    Event::Turned => turned = true,
                    Event::StartTls => upgrade = true,
                    Event::End { .. } => {
                        // Earlier replies need not wait for the disk.
                        self.flush().await?;
                        Box::pin(self.dialogue.event(event, &mut self.machine)).await;
                    }
                    event => Box::pin(self.dialogue.event(event, &mut self.machine)).await,
                }
            }
            self.flush().await?;
            if let Some(why) = closing {
                return self.close(why).await;
            }
            if turned {
                let stream = std::mem::replace(&mut self.wire, Wire::Broken);
                Box::pin(self.dialogue.turned(Box::new(stream))).await;
                return Ok(());
            }
            if upgrade {
                self.upgrade().await?;
                continue;
            }
            match self.read().await? {
                Input::Bytes(0) => return Ok(()),
                Input::Bytes(_) => {}
                Input::Silence => {
                    self.machine.shut(&Reply::new(421, Status(4, 4, 2), "silent for too long"));
                }
                Input::Stop => {
                    self.machine.shut(&Reply::new(421, Status(4, 3, 2), "the server is stopping"));
                }
            }
        }
    }

    /// Closes so that the client gets our last words even if it has sent more than we read: what
    /// still comes is read and dropped for a while, else the network would take them back.
    async fn close(&mut self, why: Close) -> std::io::Result<()> {
        self.wire.shutdown().await?;
        if why == Close::Quit {
            return Ok(());
        }
        let drain = async {
            let mut left = LINGER_OCTETS;
            let input = self.machine.input();
            while left > 0 {
                input.clear();
                input.reserve(COMMAND_READ);
                match self.wire.read_buf(input).await {
                    Ok(n) if n > 0 => left = left.saturating_sub(n),
                    _ => break,
                }
            }
        };
        // Running out of time is no error.
        let _ = tokio::time::timeout(LINGER_TIME, drain).await;
        Ok(())
    }

    async fn flush(&mut self) -> std::io::Result<()> {
        let output = self.machine.output();
        if output.is_empty() {
            return Ok(());
        }
        // A client that does not read our answers must not hold the session for ever.
        let silence = self.dialogue.rules().silence;
        let write = async {
            self.wire.write_all(output).await?;
            self.wire.flush().await
        };
        tokio::time::timeout(silence, write).await??;
        output.clear();
        Ok(())
    }

    async fn upgrade(&mut self) -> std::io::Result<()> {
        let receiver = Arc::clone(self.dialogue.receiver());
        let Some(acceptor) = &receiver.tls else { return Err(std::io::Error::other("no TLS")) };
        let handshake = self.wire.upgrade(acceptor);
        tokio::time::timeout(self.dialogue.rules().silence, handshake).await??;
        self.machine.tls_started();
        self.dialogue.tls_started(self.wire.channel());
        self.machine.offer(self.dialogue.mechanisms(true).await);
        Ok(())
    }

    async fn read(&mut self) -> std::io::Result<Input> {
        let content = self.machine.in_content();
        let size = if content { CONTENT_READ } else { COMMAND_READ };
        let silence = self.dialogue.rules().silence;
        let input = self.machine.input();
        input.reserve(size);
        let stopping = *self.stop.borrow();
        if stopping && !self.dialogue.is_busy() {
            return Ok(Input::Stop);
        }
        tokio::select! {
            biased;
            read = self.wire.read_buf(input) => Ok(Input::Bytes(read?)),
            _ = self.stop.changed(), if !stopping && !self.dialogue.is_busy() => Ok(Input::Stop),
            () = tokio::time::sleep(silence) => Ok(Input::Silence),
        }
    }
}
