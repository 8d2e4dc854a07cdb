//! The old server of MovePOPMail: connection, TLS, login, lists, messages. Drives the machine of
//! `angarium_pop::client`; must never know where a message goes.

use std::time::Duration;

use angarium_pop::client::{Capabilities, Command, Event, Refusal, Session, Verb};
use bytes::BytesMut;

use crate::connection::{Connection, ReadHalf, WriteHalf};
use crate::endpoint::Endpoint;
use crate::error::{MoveError, Result, Side};
use crate::login::Credentials;
use crate::protection::{self, Facts, Step};

use super::letter::Letter;
use super::login::Before;

const SIDE: Side = Side::Source;
/// What a message may be longer than announced beside twice that, octets: sizes are told loosely,
/// and line ends that are made CRLF count twice.
const SLACK: u64 = 1024 * 1024;

/// A session that is logged in.
pub(crate) struct Source {
    read: ReadHalf,
    write: WriteHalf,
    pub(super) machine: Session,
    input: BytesMut,
    pub(super) able: Capabilities,
}

pub(super) fn lost(reason: impl Into<String>) -> MoveError {
    MoveError::Lost { side: SIDE, reason: reason.into() }
}

fn refused(what: &str, refusal: &Refusal) -> MoveError {
    MoveError::Refused { side: SIDE, what: what.to_owned(), reason: refusal.to_string() }
}

impl Source {
    /// Connects and logs in.
    pub(crate) async fn open(
        endpoint: &Endpoint,
        login: &Credentials,
        timeout: Duration,
    ) -> Result<Self> {
        let cannot = |reason: String| MoveError::Connect {
            side: SIDE,
            address: endpoint.to_string(),
            reason,
        };
        let mut connection = Connection::open(SIDE, endpoint, timeout).await?;
        let mut machine = Session::default();
        let (timestamp, greeting) =
            match before_split(&mut connection, &mut machine, timeout).await? {
                Event::Greeting { timestamp, text } => (timestamp, text),
                Event::Refused { refusal, .. } => return Err(cannot(refusal.to_string())),
                _ => return Err(cannot("it does not greet like a POP server".into())),
            };
        let mut able = capabilities(&mut connection, &mut machine, timeout).await?;
        let facts =
            Facts { encrypted: connection.is_tls(), offers: able.stls, preauthenticated: false };
        match protection::next_step(SIDE, endpoint, facts) {
            Step::Go => {}
            Step::Refuse(reason) => return Err(cannot(reason)),
            Step::StartTls => {
                send(&mut connection, &mut machine, &Command::Stls).await?;
                match before_split(&mut connection, &mut machine, timeout).await? {
                    Event::StartTls => {}
                    Event::Refused { refusal, .. } => {
                        return Err(cannot(format!("it refuses STLS: {refusal}")));
                    }
                    _ => return Err(cannot("STLS is not answered as it should be".into())),
                }
                if machine.next().is_some() {
                    let why = "something was put in between STLS and the handshake; somebody on \
                               the way tampers with the connection";
                    return Err(cannot(why.into()));
                }
                machine.tls_started();
                connection = connection.into_tls(SIDE, endpoint, timeout).await?;
                able = capabilities(&mut connection, &mut machine, timeout).await?;
            }
        }
        let before = Before { endpoint, channel: connection.channel(), greeting, timestamp };
        let (read, write) = connection.split(SIDE, timeout);
        let mut source = Self { read, write, machine, input: BytesMut::new(), able };
        if source.able.utf8 {
            // Else a server may wrap messages with UTF-8 in their header, or write them anew. One
            // that refuses gives them as it did before there was this command.
            source.ask(&Command::Utf8).await?;
        }
        source.log_in(login, &before).await?;
        // What a server can do may differ after the login (RFC 2449 section 5).
        if source.able.told
            && let Event::Capabilities(able) = source.ask(&Command::Capa).await?
        {
            source.able = able;
        }
        Ok(source)
    }

    /// True when commands may be sent ahead.
    pub(crate) fn pipelines(&self) -> bool {
        self.able.pipelining
    }

    /// Number and octets of each message, in order.
    pub(crate) async fn sizes(&mut self) -> Result<Vec<(u32, u64)>> {
        match self.ask(&Command::List).await? {
            Event::Sizes(sizes) => Ok(sizes),
            Event::Refused { refusal, .. } => Err(refused("LIST", &refusal)),
            _ => Err(lost("LIST is not answered as it should be")),
        }
    }

    /// Number and unique id of each message; `None` if the server has none.
    pub(crate) async fn unique_ids(&mut self) -> Result<Option<Vec<(u32, String)>>> {
        match self.ask(&Command::Uidl).await? {
            Event::UniqueIds(ids) => Ok(Some(ids)),
            Event::Refused { .. } => Ok(None),
            _ => Err(lost("UIDL is not answered as it should be")),
        }
    }

    /// Asks for a message; its answer is taken by [`Source::receive`].
    pub(crate) async fn request(&mut self, number: u32) -> Result<()> {
        self.send(&Command::Retr(number)).await
    }

    /// The next message asked for, or why the server does not give it.
    pub(crate) async fn receive(
        &mut self,
        announced: Option<u64>,
    ) -> Result<std::result::Result<Letter, Refusal>> {
        let most = announced.map_or(u64::MAX, |size| size.saturating_mul(2).saturating_add(SLACK));
        match self.event().await? {
            Event::MessageBegin(_) => {}
            Event::Refused { refusal, .. } => return Ok(Err(refusal)),
            _ => return Err(lost("RETR is not answered as it should be")),
        }
        let mut letter = Letter::new();
        loop {
            match self.event().await? {
                Event::MessageData(octets) => letter.push(&octets)?,
                Event::MessageEnd(_) => return Ok(Ok(letter)),
                _ => return Err(lost("a message is not sent as it should be")),
            }
            if letter.facts.size > most {
                return Err(lost("it sends far more of a message than it announced"));
            }
        }
    }

    /// Marks messages as deleted; those it refuses are left out of the answer.
    pub(crate) async fn delete(&mut self, numbers: &[u32]) -> Result<u64> {
        let ahead = if self.pipelines() { 100 } else { 1 };
        let mut done = 0;
        for part in numbers.chunks(ahead) {
            for number in part {
                self.machine.send(&Command::Dele(*number)).map_err(|e| lost(e.to_string()))?;
            }
            self.flush().await?;
            for _ in part {
                done += u64::from(matches!(self.event().await?, Event::Done { .. }));
            }
        }
        Ok(done)
    }

    /// Ends the session; only then does the server delete. True when it said so.
    pub(crate) async fn quit(mut self) -> bool {
        matches!(self.ask(&Command::Quit).await, Ok(Event::Done { of: Verb::Quit, .. }))
    }

    pub(super) async fn ask(&mut self, command: &Command) -> Result<Event> {
        self.send(command).await?;
        self.event().await
    }

    async fn send(&mut self, command: &Command) -> Result<()> {
        self.machine.send(command).map_err(|e| MoveError::Usage(e.to_string()))?;
        self.flush().await
    }

    pub(super) async fn flush(&mut self) -> Result<()> {
        let out = std::mem::take(self.machine.output());
        self.write.write(&out).await?;
        self.write.flush().await
    }

    pub(super) async fn event(&mut self) -> Result<Event> {
        loop {
            match self.machine.next() {
                Some(Event::Broken(why)) => return Err(lost(format!("it speaks no POP: {why}"))),
                Some(event) => return Ok(event),
                None => {}
            }
            self.read.read(&mut self.input).await?;
            self.machine.push(&self.input);
            self.input.clear();
        }
    }
}

/// A login that may succeed in a moment: the lock of a session before, a server under load.
pub(super) fn later(refusal: &Refusal) -> MoveError {
    lost(format!("the login has to wait: {refusal}"))
}

async fn send(connection: &mut Connection, machine: &mut Session, command: &Command) -> Result<()> {
    machine.send(command).map_err(|e| lost(e.to_string()))?;
    let out = std::mem::take(machine.output());
    connection.write(&out, SIDE).await
}

async fn before_split(
    connection: &mut Connection,
    machine: &mut Session,
    timeout: Duration,
) -> Result<Event> {
    let mut input = BytesMut::new();
    loop {
        match machine.next() {
            Some(Event::Broken(why)) => return Err(lost(format!("it speaks no POP: {why}"))),
            Some(event) => return Ok(event),
            None => {}
        }
        connection.read(&mut input, SIDE, timeout).await?;
        machine.push(&input);
        input.clear();
    }
}

async fn capabilities(
    connection: &mut Connection,
    machine: &mut Session,
    timeout: Duration,
) -> Result<Capabilities> {
    send(connection, machine, &Command::Capa).await?;
    match before_split(connection, machine, timeout).await? {
        Event::Capabilities(able) => Ok(able),
        Event::Refused { .. } => Ok(Capabilities::default()),
        _ => Err(lost("CAPA is not answered as it should be")),
    }
}
