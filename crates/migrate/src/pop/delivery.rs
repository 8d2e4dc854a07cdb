//! The new server of MovePOPMail: one SMTP or LMTP connection for all messages. Drives the sending
//! machine of `angarium_smtp`; must never know where a message came from.

use std::time::Duration;

use angarium_smtp::Protocol;
use angarium_smtp::address::{Mailbox, Path};
use angarium_smtp::parameters::{BodyKind, MailParameters, RcptParameters};
use angarium_smtp::reply::Reply;
use angarium_smtp::send::{Envelope, Event, Session};
use bytes::BytesMut;

use crate::connection::{Connection, ReadHalf, WriteHalf};
use crate::endpoint::TlsPolicy;
use crate::error::{MoveError, Result, Side};

use super::letter::Letter;
use super::target::{Fate, Recipient};

const SIDE: Side = Side::Target;
/// Octets of a message that are written at once.
const PIECE: usize = 128 * 1024;
/// Longest answer of a server in a report, characters.
const MAX_SHOWN: usize = 300;

/// A connection that is ready for messages.
pub(crate) struct Delivery {
    read: ReadHalf,
    write: WriteHalf,
    machine: Session,
    input: BytesMut,
    address: Mailbox,
    sent: usize,
}

fn lost(reason: impl Into<String>) -> MoveError {
    MoveError::Lost { side: SIDE, reason: reason.into() }
}

fn shown(reply: &Reply) -> String {
    let text = reply.to_string();
    text.chars().take(MAX_SHOWN).map(|c| if c.is_control() { '?' } else { c }).collect()
}

impl Delivery {
    /// Connects, says hello, begins TLS and logs in as far as wanted.
    pub(crate) async fn open(
        to: &Recipient,
        address: &Mailbox,
        lmtp: bool,
        timeout: Duration,
    ) -> Result<Self> {
        let endpoint = &to.endpoint;
        let cannot = |reason: String| MoveError::Connect {
            side: SIDE,
            address: endpoint.to_string(),
            reason,
        };
        let mut connection = Connection::open(SIDE, endpoint, timeout).await?;
        let protocol = if lmtp { Protocol::Lmtp } else { Protocol::Smtp };
        let mut machine = Session::new(protocol, to.hello.clone());
        match before_split(&mut connection, &mut machine, timeout).await? {
            Event::Greeting(_) => {}
            Event::Refused(reply) => return Err(cannot(shown(&reply))),
            _ => return Err(cannot("it does not greet like a mail server".into())),
        }
        hello(&mut connection, &mut machine, timeout).await?;
        let offered = machine.capabilities().starttls;
        let wanted = match endpoint.tls {
            TlsPolicy::StartTls => true,
            TlsPolicy::WhenOffered => offered && !endpoint.is_loopback(),
            TlsPolicy::Implicit | TlsPolicy::Never => false,
        };
        if wanted && !connection.is_tls() {
            machine.starttls();
            flush(&mut connection, &mut machine).await?;
            match before_split(&mut connection, &mut machine, timeout).await? {
                Event::StartTls => {}
                Event::Refused(reply) => {
                    return Err(cannot(format!("STARTTLS: {}", shown(&reply))));
                }
                _ => return Err(cannot("STARTTLS is not answered as it should be".into())),
            }
            connection = connection.into_tls(SIDE, endpoint, timeout).await?;
            machine.tls_started();
            hello(&mut connection, &mut machine, timeout).await?;
        }
        if let Some(login) = &to.login {
            let open = !connection.is_tls() && !endpoint.is_loopback();
            if open && endpoint.tls != TlsPolicy::Never {
                return Err(cannot(
                    "it offers no TLS, and the password would go over the network in clear; \
                     add --notls2 if you trust this network"
                        .into(),
                ));
            }
            if machine.capabilities().auth.iter().any(|m| m == "PLAIN") {
                machine.auth_plain("", &login.name, &login.password);
            } else {
                machine.auth_login(&login.name, &login.password);
            }
            flush(&mut connection, &mut machine).await?;
            match before_split(&mut connection, &mut machine, timeout).await? {
                Event::Authenticated => {}
                Event::Refused(reply) if reply.is_temporary() => {
                    return Err(lost(shown(&reply)));
                }
                Event::Refused(reply) => {
                    return Err(MoveError::Login {
                        side: SIDE,
                        name: login.name.clone(),
                        reason: shown(&reply),
                    });
                }
                _ => return Err(cannot("AUTH is not answered as it should be".into())),
            }
        }
        let (read, write) = connection.split(SIDE, timeout);
        Ok(Self { read, write, machine, input: BytesMut::new(), address: address.clone(), sent: 0 })
    }

    /// The largest message that is taken, octets; `None` for no stated limit.
    pub(crate) fn size_limit(&self) -> Option<u64> {
        self.machine.capabilities().size.filter(|size| *size > 0)
    }

    /// True when the connection should be made anew before the next message (RFC 9422).
    pub(crate) fn is_used_up(&self) -> bool {
        self.machine.capabilities().most_messages.is_some_and(|most| self.sent >= most)
    }

    /// True when messages of any octets arrive as they are.
    pub(crate) fn takes_binary(&self) -> bool {
        let able = self.machine.capabilities();
        able.chunking && able.binary_mime
    }

    /// Gives one message. The letter is read from its beginning.
    pub(crate) async fn give(&mut self, letter: &mut Letter) -> Result<Fate> {
        self.sent += 1;
        let to = self.address.clone();
        let from = return_path(letter);
        let body = if letter.facts.is_binary() && self.takes_binary() {
            Some(BodyKind::BinaryMime)
        } else if letter.facts.eight_bit {
            Some(BodyKind::EightBitMime)
        } else {
            None
        };
        let smtputf8 = !from.is_ascii() || !to.is_ascii();
        let envelope = Envelope {
            from,
            parameters: MailParameters { body, smtputf8, ..MailParameters::default() },
            recipients: vec![(Path::of(to), RcptParameters::default())],
        };
        self.machine.envelope(envelope, letter.facts.size);
        self.flush().await?;
        match self.event().await? {
            Event::Envelope { go: true, .. } => {}
            Event::Envelope { mail, recipients, data, .. } => {
                let all = std::iter::once(mail).chain(recipients).chain(data);
                // Of several answers the first that is no yes is the reason.
                let reason = all.into_iter().find(|reply| !matches!(reply.code, 200..=399));
                return match reason {
                    Some(reply) => self.refused(&reply).await,
                    None => Err(lost("the envelope is not answered as it should be")),
                };
            }
            _ => return Err(lost("the envelope is not answered as it should be")),
        }
        letter.rewind()?;
        let mut piece = vec![0; PIECE];
        loop {
            let count = letter.read(&mut piece)?;
            let Some(octets) = piece.get(..count).filter(|octets| !octets.is_empty()) else {
                break;
            };
            self.machine.content(octets);
            self.flush().await?;
        }
        self.machine.content_end();
        self.flush().await?;
        match self.event().await? {
            Event::Sent(replies) => match replies.first() {
                Some(reply) if reply.is_positive() => Ok(Fate::Taken),
                Some(reply) => self.refused(&reply.clone()).await,
                None => Err(lost("the message is not answered as it should be")),
            },
            // The session is of no more use after it, and the refusal is certain.
            Event::ChunkRefused(reply) => {
                self.sent = usize::MAX;
                self.refused(&reply).await
            }
            _ => Err(lost("the message is not answered as it should be")),
        }
    }

    async fn refused(&mut self, reply: &Reply) -> Result<Fate> {
        if reply.code == 421 {
            return Err(lost(shown(reply)));
        }
        Ok(Fate::Refused { later: reply.is_temporary(), reason: shown(reply) })
    }

    /// True when the session cannot take another message.
    pub(crate) fn is_spent(&self) -> bool {
        self.sent == usize::MAX
    }

    /// Says goodbye; what the server answers does not matter any more.
    pub(crate) async fn quit(mut self) {
        self.machine.quit();
        let goodbye = async {
            self.flush().await?;
            self.event().await
        };
        let _ = tokio::time::timeout(Duration::from_secs(2), goodbye).await;
    }

    async fn flush(&mut self) -> Result<()> {
        let out = std::mem::take(self.machine.output());
        self.write.write(&out).await?;
        self.write.flush().await
    }

    async fn event(&mut self) -> Result<Event> {
        loop {
            match self.machine.next() {
                Some(Event::Broken(error)) => {
                    return Err(lost(format!("it speaks no SMTP: {error}")));
                }
                Some(event) => {
                    self.flush().await?;
                    return Ok(event);
                }
                None => {}
            }
            self.flush().await?;
            self.read.read(&mut self.input).await?;
            self.machine.push(&self.input);
            self.input.clear();
        }
    }
}

/// The sender of the envelope: what the message's own Return-Path says, else the empty one.
fn return_path(letter: &Letter) -> Path {
    letter
        .facts
        .field("Return-Path")
        .and_then(|text| Path::read(&text).ok().map(|(path, _)| path))
        .map(|path| Path { route: Vec::new(), ..path })
        .unwrap_or_default()
}

async fn hello(
    connection: &mut Connection,
    machine: &mut Session,
    timeout: Duration,
) -> Result<()> {
    machine.hello();
    flush(connection, machine).await?;
    match before_split(connection, machine, timeout).await? {
        Event::Hello(_) => Ok(()),
        Event::Refused(reply) => Err(MoveError::Refused {
            side: SIDE,
            what: "the greeting".into(),
            reason: shown(&reply),
        }),
        _ => Err(lost("EHLO is not answered as it should be")),
    }
}

async fn flush(connection: &mut Connection, machine: &mut Session) -> Result<()> {
    let out = std::mem::take(machine.output());
    if out.is_empty() { Ok(()) } else { connection.write(&out, SIDE).await }
}

async fn before_split(
    connection: &mut Connection,
    machine: &mut Session,
    timeout: Duration,
) -> Result<Event> {
    let mut input = BytesMut::new();
    loop {
        match machine.next() {
            Some(Event::Broken(error)) => return Err(lost(format!("it speaks no SMTP: {error}"))),
            Some(event) => return Ok(event),
            None => {}
        }
        flush(connection, machine).await?;
        connection.read(&mut input, SIDE, timeout).await?;
        machine.push(&input);
        input.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sender_is_that_of_the_return_path_or_nobody() {
        for (text, sender) in [
            (&b"Return-Path: <joe@old.example>\r\nA: b\r\n\r\n"[..], "<joe@old.example>"),
            (b"A: b\r\nreturn-path:\r\n <a@b.example>\r\n\r\n", "<a@b.example>"),
            (b"Return-Path: <@relay.example:joe@old.example>\r\n\r\n", "<joe@old.example>"),
            (b"Return-Path: <>\r\n\r\n", "<>"),
            (b"Return-Path: <not one>\r\n\r\n", "<>"),
            (b"Subject: x\r\n\r\nReturn-Path: <body@x.example>\r\n", "<>"),
        ] {
            let mut letter = Letter::new();
            letter.push(text).unwrap();
            assert_eq!(return_path(&letter).to_string(), sender);
        }
    }
}
