//! One connection to another server: opened, encrypted, logged in, and given messages.
//!
//! The pure session of `angarium_smtp` says what to say; here it gets bytes and time limits
//! (RFC 5321 section 4.5.3.2). Nothing a hostile server does costs more than these bounds (ABU-13).
//! It must never know where a message came from or what becomes of a refused one.

use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use angarium_smtp::Protocol;
use angarium_smtp::address::Path;
use angarium_smtp::command::Command;
use angarium_smtp::parameters::{MailParameters, RcptParameters};
use angarium_smtp::reply::Reply;
use angarium_smtp::send::{Capabilities, Envelope, Event, Session};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::letter::Content;
use super::phases::Phases;
use super::tls::{Check, TlsClient, failure_type, server_name};
use super::told::{TEXT, Told, Verdict, bounded, said};

/// Octets read at a time.
const READ: usize = 8 * 1024;

/// Most octets of a server that are kept while we are still talking.
const AHEAD: usize = 1024 * 1024;

/// How long a server that has closed its ear is given to say why.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// A stream of either kind.
pub trait Duplex: AsyncRead + AsyncWrite + Send + Sync + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Sync + Unpin> Duplex for T {}

/// Whether TLS is used on a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Cover {
    /// Not.
    None,
    /// If the server offers it; the certificate does not matter.
    Offered,
    /// In any case, with this check.
    Needed(Check),
}

/// How a connection is opened.
pub(crate) struct Opening<'a> {
    pub(crate) host: &'a str,
    pub(crate) remote: SocketAddr,
    pub(crate) source: Option<IpAddr>,
    pub(crate) protocol: Protocol,
    pub(crate) hello: &'a str,
    /// TLS from the first byte.
    pub(crate) wrapped: bool,
    pub(crate) tls: &'a TlsClient,
    /// Name and password for AUTH.
    pub(crate) login: Option<&'a (String, String)>,
    /// The password may go in clear.
    pub(crate) clear: bool,
    pub(crate) phases: Phases,
}

/// Why there is no connection.
#[derive(Clone, Debug)]
pub(crate) enum NotOpen {
    /// Nobody there, nobody answers, or what answers is not SMTP.
    Unreachable(String),
    /// The greeting or EHLO was refused.
    Refused(Reply),
    /// TLS failed; in the words of reports and for people.
    Tls(&'static str, String),
    /// AUTH was refused or is not possible.
    Login(String),
}

/// A connection, ready for messages.
pub struct Connection {
    stream: Box<dyn Duplex>,
    session: Session,
    phases: Phases,
    /// Whom it is with, as named.
    pub host: String,
    /// With whom.
    pub remote: Option<SocketAddr>,
    /// From where.
    pub local: Option<SocketAddr>,
    /// TLS is on.
    pub encrypted: bool,
    pub(crate) protocol: Protocol,
    /// Messages given so far.
    pub(crate) messages: usize,
    /// It is of no more use.
    pub(crate) spent: bool,
}

fn slow(what: &str) -> String {
    format!("{what} took too long")
}

impl Connection {
    /// Opens a connection.
    pub(crate) async fn open(how: &Opening<'_>, cover: &Cover) -> Result<Self, NotOpen> {
        let connecting = timeout(how.phases.connect, connect(how.remote, how.source));
        let unreachable = |why: String| NotOpen::Unreachable(why);
        let stream = match connecting.await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return Err(unreachable(format!("cannot connect: {error}"))),
            Err(_) => return Err(unreachable(slow("the connection"))),
        };
        // Commands are small and waited for.
        let _ = stream.set_nodelay(true);
        let local = stream.local_addr().ok();
        let mut encrypted = false;
        let stream: Box<dyn Duplex> = if how.wrapped {
            let check = match cover {
                Cover::Needed(check) => check,
                Cover::None | Cover::Offered => &Check::None,
            };
            encrypted = true;
            handshake(Box::new(stream), how, check).await?
        } else {
            Box::new(stream)
        };
        let mut connection = Self {
            stream,
            session: Session::new(how.protocol, how.hello),
            phases: how.phases,
            host: how.host.to_owned(),
            remote: Some(how.remote),
            local,
            encrypted,
            protocol: how.protocol,
            messages: 0,
            spent: false,
        };
        connection.greet().await?;
        if !connection.encrypted && *cover != Cover::None {
            connection = connection.encrypt(how, cover).await?;
        }
        if let Some((name, password)) = how.login {
            connection.log_in(name, password, how.clear).await?;
        }
        Ok(connection)
    }

    /// Speaks over a stream that stands already, in which the other side is the server now (ATRN,
    /// RFC 2645); waits for its greeting and says hello as `name`.
    ///
    /// # Errors
    /// Why it is of no use, for the log.
    pub async fn over(
        stream: Box<dyn Duplex>,
        name: &str,
        host: &str,
        phases: Phases,
    ) -> Result<Self, String> {
        let mut connection = Self {
            stream,
            session: Session::new(Protocol::Smtp, name),
            phases,
            host: host.to_owned(),
            remote: None,
            local: None,
            encrypted: false,
            protocol: Protocol::Smtp,
            messages: 0,
            spent: false,
        };
        match connection.greet().await {
            Ok(()) => Ok(connection),
            Err(NotOpen::Refused(reply)) => Err(said(&reply)),
            Err(NotOpen::Unreachable(why) | NotOpen::Tls(_, why) | NotOpen::Login(why)) => Err(why),
        }
    }

    /// What the server announced.
    #[must_use]
    pub fn capabilities(&self) -> &Capabilities {
        self.session.capabilities()
    }

    async fn greet(&mut self) -> Result<(), NotOpen> {
        match self.event(self.phases.greeting).await.map_err(NotOpen::Unreachable)? {
            Event::Greeting(_) => {}
            Event::Refused(reply) => return Err(NotOpen::Refused(reply)),
            _ => return Err(NotOpen::Unreachable(NONSENSE.to_owned())),
        }
        self.hello().await
    }

    async fn hello(&mut self) -> Result<(), NotOpen> {
        self.session.hello();
        match self.event(self.phases.hello).await.map_err(NotOpen::Unreachable)? {
            Event::Hello(_) => Ok(()),
            Event::Refused(reply) => Err(NotOpen::Refused(reply)),
            _ => Err(NotOpen::Unreachable(NONSENSE.to_owned())),
        }
    }

    async fn encrypt(mut self, how: &Opening<'_>, cover: &Cover) -> Result<Self, NotOpen> {
        let without = |why: String| NotOpen::Tls("starttls-not-supported", why);
        let check = match cover {
            Cover::None => return Ok(self),
            Cover::Offered if !self.capabilities().starttls => return Ok(self),
            Cover::Offered => &Check::None,
            Cover::Needed(_) if !self.capabilities().starttls => {
                return Err(without("TLS is needed, and the server does not offer it".to_owned()));
            }
            Cover::Needed(check) => check,
        };
        self.session.starttls();
        match self.event(self.phases.hello).await.map_err(NotOpen::Unreachable)? {
            Event::StartTls => {}
            Event::Refused(_) if *cover == Cover::Offered => return Ok(self),
            Event::Refused(reply) => {
                return Err(without(format!("STARTTLS was refused: {}", said(&reply))));
            }
            _ => return Err(NotOpen::Unreachable(NONSENSE.to_owned())),
        }
        self.stream = handshake(self.stream, how, check).await?;
        self.encrypted = true;
        // Whatever was sent in clear behind the answer is forgotten with the session.
        self.session.tls_started();
        self.hello().await?;
        Ok(self)
    }

    async fn log_in(&mut self, name: &str, password: &str, clear: bool) -> Result<(), NotOpen> {
        if !self.encrypted && !clear {
            let why = "the password is not sent without encryption";
            return Err(NotOpen::Login(why.to_owned()));
        }
        let has = |word: &str| self.capabilities().auth.iter().any(|m| m == word);
        if has("PLAIN") {
            self.session.auth_plain("", name, password);
        } else if has("LOGIN") {
            self.session.auth_login(name, password);
        } else {
            return Err(NotOpen::Login("the server takes neither PLAIN nor LOGIN".to_owned()));
        }
        match self.event(self.phases.hello).await.map_err(NotOpen::Unreachable)? {
            Event::Authenticated => Ok(()),
            Event::Refused(reply) => {
                Err(NotOpen::Login(format!("AUTH was refused: {}", said(&reply))))
            }
            _ => Err(NotOpen::Unreachable(NONSENSE.to_owned())),
        }
    }

    /// Gives a message for these recipients, and answers what was said to each, in order.
    pub(crate) async fn give(
        &mut self,
        from: &Path,
        parameters: &MailParameters,
        recipients: Vec<(Path, RcptParameters)>,
        content: &Content,
    ) -> Vec<Verdict> {
        let count = recipients.len();
        let envelope = Envelope { from: from.clone(), parameters: parameters.clone(), recipients };
        let mut told = Told { verdicts: vec![None; count], dotted: false };
        self.messages = self.messages.saturating_add(1);
        let within = self.phases.message;
        let why = match timeout(within, self.transact(envelope, content, &mut told)).await {
            Ok(Ok(())) => String::new(),
            Ok(Err(why)) => why,
            Err(_) => slow("the message"),
        };
        if !why.is_empty() {
            self.spent = true;
        }
        let unknown = told.dotted;
        let lost = || Verdict::Lost { why: why.clone(), unknown };
        told.verdicts.into_iter().map(|v| v.unwrap_or_else(lost)).collect()
    }

    async fn transact(
        &mut self,
        envelope: Envelope,
        content: &Content,
        told: &mut Told,
    ) -> Result<(), String> {
        self.session.envelope(envelope, content.size());
        let event = self.event(self.phases.command).await?;
        let Event::Envelope { mail, recipients, data, go } = event else {
            return Err(NONSENSE.to_owned());
        };
        let closing = |reply: &Reply| reply.code == 421;
        self.spent = closing(&mail) || recipients.iter().any(closing);
        let refusal = data.as_ref().filter(|reply| reply.code != 354);
        self.spent |= refusal.is_some_and(closing);
        for (verdict, reply) in told.verdicts.iter_mut().zip(&recipients) {
            *verdict = match (mail.is_positive(), reply.is_positive(), refusal) {
                (false, ..) => Some(Verdict::Refused(bounded(&mail))),
                (_, false, _) => Some(Verdict::Refused(bounded(reply))),
                (_, _, Some(refusal)) => Some(Verdict::Refused(bounded(refusal))),
                _ => None,
            };
        }
        if !go {
            return Ok(());
        }
        let mut at = 0;
        let mut broken = None;
        while broken.is_none() {
            let piece = match content.piece(at).await {
                Ok(piece) if piece.is_empty() => break,
                Ok(piece) => piece,
                Err(error) => {
                    // Closed without an end: nothing of it counts.
                    told.rest(&Verdict::Unreadable(error.to_string()));
                    self.spent = true;
                    return Ok(());
                }
            };
            at = at.saturating_add(piece.len() as u64);
            self.session.content(&piece);
            broken = self.flush(self.phases.block).await.err();
            if broken.is_none()
                && let Some(Event::ChunkRefused(reply)) = self.session.next()
            {
                told.rest(&Verdict::Refused(bounded(&reply)));
                self.spent = true;
                return Ok(());
            }
        }
        self.session.content_end();
        if broken.is_none() {
            // From the first octet of the end on the server may have the whole of it.
            told.dotted = true;
        }
        let within = if broken.is_some() { LAST_WORDS } else { self.phases.end };
        let ended = match &broken {
            None => self.event(within).await,
            // It does not listen any more, but may have said why.
            Some(_) => self.hear(within).await,
        };
        match (ended, broken) {
            (Ok(Event::Sent(replies)), broken) => {
                self.spent |= replies.iter().any(closing) || broken.is_some();
                told.end(&replies, broken.as_deref());
                Ok(())
            }
            (Ok(Event::ChunkRefused(reply)), _) => {
                told.rest(&Verdict::Refused(bounded(&reply)));
                self.spent = true;
                Ok(())
            }
            (_, Some(why)) | (Err(why), None) => Err(why),
            (Ok(_), None) => Err(NONSENSE.to_owned()),
        }
    }

    /// A command that moves no mail, and its answer.
    pub(crate) async fn ask(&mut self, command: &Command) -> Result<Reply, String> {
        self.session.ask(command);
        match self.event(self.phases.command).await? {
            Event::Done(reply) => Ok(bounded(&reply)),
            _ => Err(NONSENSE.to_owned()),
        }
    }

    /// True when it is of no more use.
    pub(crate) fn is_spent(&self) -> bool {
        self.spent
    }

    /// The stream itself: the roles are turned (ATRN, RFC 2645).
    pub(crate) fn into_stream(self) -> Box<dyn Duplex> {
        self.stream
    }

    /// Says goodbye; what is answered does not matter.
    pub(crate) async fn quit(mut self) {
        if !self.spent {
            self.session.quit();
            let _ = self.event(LAST_WORDS).await;
        }
    }

    /// Sends what is to be sent and waits for the next event; `within` is the longest silence.
    async fn event(&mut self, within: Duration) -> Result<Event, String> {
        self.flush(within).await?;
        self.hear(within).await
    }

    async fn hear(&mut self, within: Duration) -> Result<Event, String> {
        let mut chunk = [0; READ];
        loop {
            match self.session.next() {
                Some(Event::Broken(error)) => return Err(error.to_string()),
                Some(event) => return Ok(event),
                None => {}
            }
            if !self.session.output().is_empty() {
                self.flush(within).await?;
            }
            match timeout(within, self.stream.read(&mut chunk)).await {
                Ok(Ok(0)) => return Err("the server closed the connection".to_owned()),
                Ok(Ok(n)) => self.session.push(chunk.get(..n).unwrap_or_default()),
                Ok(Err(error)) => return Err(format!("the connection broke: {error}")),
                Err(_) => return Err(slow("an answer")),
            }
        }
    }

    /// Sends all of the output. What the server says meanwhile is taken in, so that two sides with
    /// full pockets do not wait for each other.
    async fn flush(&mut self, within: Duration) -> Result<(), String> {
        let out = std::mem::take(self.session.output());
        let (stream, session) = (&mut self.stream, &mut self.session);
        let (mut sent, mut heard, mut flushed) = (0, 0, false);
        let writing = poll_fn(|cx| {
            loop {
                let rest = out.get(sent..).unwrap_or_default();
                let step = if rest.is_empty() {
                    if flushed {
                        return Poll::Ready(Ok(()));
                    }
                    Pin::new(&mut *stream).poll_flush(cx).map_ok(|()| flushed = true)
                } else {
                    Pin::new(&mut *stream).poll_write(cx, rest).map(|n| match n {
                        Ok(0) => Err(io::ErrorKind::WriteZero.into()),
                        Ok(n) => {
                            sent += n;
                            Ok(())
                        }
                        Err(error) => Err(error),
                    })
                };
                match step {
                    Poll::Ready(Ok(())) => continue,
                    Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                    Poll::Pending => {}
                }
                let mut chunk = [0; READ];
                let mut chunk = ReadBuf::new(&mut chunk);
                match Pin::new(&mut *stream).poll_read(cx, &mut chunk) {
                    Poll::Ready(Ok(())) if chunk.filled().is_empty() => {
                        return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
                    }
                    Poll::Ready(Ok(())) => {
                        heard += chunk.filled().len();
                        if heard > AHEAD {
                            return Poll::Ready(Err(io::Error::other("the server only talks")));
                        }
                        session.push(chunk.filled());
                    }
                    Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                    Poll::Pending => return Poll::Pending,
                }
            }
        });
        match timeout(within, writing).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(format!("the connection broke: {error}")),
            Err(_) => Err(slow("sending")),
        }
    }
}

const NONSENSE: &str = "the server does not speak SMTP";

async fn connect(remote: SocketAddr, source: Option<IpAddr>) -> io::Result<TcpStream> {
    let Some(source) = source.filter(|s| s.is_ipv4() == remote.is_ipv4()) else {
        return TcpStream::connect(remote).await;
    };
    let socket = if remote.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.bind(SocketAddr::new(source, 0))?;
    socket.connect(remote).await
}

async fn handshake(
    stream: Box<dyn Duplex>,
    how: &Opening<'_>,
    check: &Check,
) -> Result<Box<dyn Duplex>, NotOpen> {
    let failed = |why: String| NotOpen::Tls("validation-failure", why);
    let config = how.tls.config(check).map_err(failed)?;
    let name = server_name(how.host)
        .or_else(|| server_name(&how.remote.ip().to_string()))
        .ok_or_else(|| failed("the host has no name that TLS takes".to_owned()))?;
    let connecting = TlsConnector::from(config).connect(name, stream);
    match timeout(how.phases.hello, connecting).await {
        Ok(Ok(stream)) => Ok(Box::new(stream)),
        Ok(Err(error)) => {
            let kind = failure_type(&error);
            let text: String = error.to_string().chars().take(TEXT).collect();
            Err(NotOpen::Tls(kind, format!("TLS: {text}")))
        }
        Err(_) => Err(failed(slow("the TLS handshake"))),
    }
}
