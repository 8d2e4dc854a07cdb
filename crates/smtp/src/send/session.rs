//! The sending machine.

use std::collections::VecDeque;

use base64::Engine as _;

use super::{Capabilities, Envelope, Event};
use crate::Protocol;
use crate::command::{Command, Hello};
use crate::data::DotEncoder;
use crate::parameters::BodyKind;
use crate::reply::{Reply, ReplyReader};

/// The command whose reply is awaited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sent {
    Greeting,
    Ehlo,
    Helo,
    StartTls,
    Auth,
    /// AUTH LOGIN: what is answered to the next question.
    AuthLogin,
    Mail,
    Rcpt,
    Data,
    /// A chunk before the last.
    Chunk,
    /// The end of the content; so many replies belong to it.
    Content {
        replies: usize,
    },
    /// An RSET or an empty message of the machine's own, whose answer tells nothing.
    Silent,
    /// RSET or QUIT asked for.
    Asked,
}

/// The envelope that is being answered.
#[derive(Debug, Default)]
struct Answers {
    mail: Option<Reply>,
    recipients: Vec<Reply>,
}

/// One sending session; see the module text.
#[derive(Debug)]
pub struct Session {
    protocol: Protocol,
    name: String,
    capabilities: Capabilities,
    reader: ReplyReader,
    input: Vec<u8>,
    output: Vec<u8>,
    awaited: VecDeque<Sent>,
    later: VecDeque<Command>,
    answers: Answers,
    accepted: usize,
    encoder: DotEncoder,
    chunked: bool,
    /// BODY=BINARYMIME: bytes go as they are.
    binary: bool,
    /// The chunk that waits until it is known whether it is the last.
    chunk: Vec<u8>,
    /// What AUTH LOGIN still has to say.
    secrets: VecDeque<Vec<u8>>,
    content_replies: Vec<Reply>,
    broken: bool,
}

impl Session {
    /// A session that waits for the greeting; `name` is what we call ourselves.
    #[must_use]
    pub fn new(protocol: Protocol, name: impl Into<String>) -> Self {
        Self {
            protocol,
            name: name.into(),
            capabilities: Capabilities::default(),
            reader: ReplyReader::default(),
            input: Vec::new(),
            output: Vec::new(),
            awaited: VecDeque::from([Sent::Greeting]),
            later: VecDeque::new(),
            answers: Answers::default(),
            accepted: 0,
            encoder: DotEncoder::default(),
            chunked: false,
            binary: false,
            chunk: Vec::new(),
            secrets: VecDeque::new(),
            content_replies: Vec::new(),
            broken: false,
        }
    }

    /// What is to be sent; the caller clears it when it was.
    pub fn output(&mut self) -> &mut Vec<u8> {
        &mut self.output
    }

    /// What the server announced last.
    #[must_use]
    pub fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    /// Takes bytes of the server.
    pub fn push(&mut self, bytes: &[u8]) {
        self.input.extend_from_slice(bytes);
    }

    /// Says EHLO (or LHLO).
    pub fn hello(&mut self) {
        let verb = if self.protocol == Protocol::Lmtp { Hello::Lhlo } else { Hello::Ehlo };
        self.send(&Command::Hello { verb, name: self.name.clone() }, Sent::Ehlo);
    }

    /// Asks for TLS.
    pub fn starttls(&mut self) {
        self.send(&Command::StartTls, Sent::StartTls);
    }

    /// The connection is encrypted now: what came before is forgotten; say hello again.
    pub fn tls_started(&mut self) {
        self.input.clear();
        self.reader = ReplyReader::default();
        self.capabilities = Capabilities::default();
        self.awaited.clear();
    }

    /// AUTH PLAIN (RFC 4616).
    pub fn auth_plain(&mut self, authorize_as: &str, name: &str, password: &str) {
        let initial = format!("{authorize_as}\0{name}\0{password}").into_bytes();
        let command = Command::Auth { mechanism: "PLAIN".into(), initial: Some(initial) };
        self.send(&command, Sent::Auth);
    }

    /// AUTH LOGIN (an expired draft that many servers still want): name and password are asked for
    /// one after the other.
    pub fn auth_login(&mut self, name: &str, password: &str) {
        self.secrets = VecDeque::from([name.as_bytes().to_vec(), password.as_bytes().to_vec()]);
        let command = Command::Auth { mechanism: "LOGIN".into(), initial: None };
        self.send(&command, Sent::AuthLogin);
    }

    /// Gives an envelope. The content of about `size` octets will follow, in BDAT chunks if the
    /// server takes them, else by DATA.
    pub fn envelope(&mut self, mut envelope: Envelope, size: u64) {
        let able = &self.capabilities;
        let parameters = &mut envelope.parameters;
        parameters.size = able.size.map(|_| size);
        let binary = parameters.body == Some(BodyKind::BinaryMime);
        if binary && !(able.binary_mime && able.chunking) {
            parameters.body = Some(BodyKind::EightBitMime);
        }
        if !able.eight_bit_mime && parameters.body != Some(BodyKind::BinaryMime) {
            parameters.body = None;
        }
        self.binary = parameters.body == Some(BodyKind::BinaryMime);
        parameters.smtputf8 &= able.smtputf8;
        parameters.auth = None;
        parameters.require_tls &= able.require_tls;
        parameters.by = parameters.by.filter(|_| able.deliver_by.is_some());
        parameters.priority = parameters.priority.filter(|_| able.priority);
        parameters.hold = parameters.hold.filter(|_| able.future_release);
        parameters.solicit = None;
        if !able.dsn {
            parameters.ret = None;
            parameters.envelope_id = None;
        }
        let (dsn, rrvs) = (able.dsn, able.same_owner);
        self.chunked = able.chunking;
        let pipelining = able.pipelining;
        self.answers = Answers::default();
        self.accepted = 0;
        self.encoder = if self.chunked { DotEncoder::for_chunks() } else { DotEncoder::default() };
        self.chunk.clear();
        self.content_replies.clear();
        let mail = Command::Mail { path: envelope.from, parameters: envelope.parameters };
        self.later = envelope
            .recipients
            .into_iter()
            .map(|(path, mut parameters)| {
                if !dsn {
                    (parameters.notify, parameters.original) = (None, None);
                }
                parameters.same_owner = parameters.same_owner.filter(|_| rrvs);
                Command::Rcpt { path, parameters }
            })
            .collect();
        if !self.chunked {
            self.later.push_back(Command::Data);
        }
        self.send(&mail, Sent::Mail);
        while pipelining && self.send_next() {}
    }

    /// Gives a piece of the content. Bare CR and LF go out as CRLF unless it is binary.
    pub fn content(&mut self, bytes: &[u8]) {
        if !self.chunked {
            self.encoder.push(bytes, &mut self.output);
            return;
        }
        if !self.chunk.is_empty() {
            self.send_chunk(false);
            self.awaited.push_back(Sent::Chunk);
        }
        if self.binary {
            self.chunk.extend_from_slice(bytes);
        } else {
            self.encoder.push(bytes, &mut self.chunk);
        }
    }

    /// The content was given whole.
    pub fn content_end(&mut self) {
        if self.chunked {
            if !self.binary {
                std::mem::take(&mut self.encoder).finish(&mut self.chunk);
            }
            self.send_chunk(true);
        } else {
            std::mem::take(&mut self.encoder).finish(&mut self.output);
        }
        let replies = if self.protocol == Protocol::Lmtp { self.accepted } else { 1 };
        self.awaited.push_back(Sent::Content { replies });
    }

    fn send_chunk(&mut self, last: bool) {
        let chunk = std::mem::take(&mut self.chunk);
        self.write(&Command::Bdat { size: chunk.len() as u64, last });
        self.output.extend_from_slice(&chunk);
    }

    /// A command that moves no mail (ETRN, ATRN …); its answer is [`Event::Done`].
    pub fn ask(&mut self, command: &Command) {
        self.send(command, Sent::Asked);
    }

    /// RSET.
    pub fn reset(&mut self) {
        self.send(&Command::Reset, Sent::Asked);
    }

    /// QUIT.
    pub fn quit(&mut self) {
        self.send(&Command::Quit, Sent::Asked);
    }

    /// The next event; `None` when more of the server's bytes are needed.
    #[expect(clippy::should_implement_trait, reason = "None is no end: more may come after input")]
    pub fn next(&mut self) -> Option<Event> {
        loop {
            if self.broken || self.awaited.is_empty() {
                return None;
            }
            let mut rest = self.input.as_slice();
            let reply = self.reader.read(&mut rest);
            let taken = self.input.len() - rest.len();
            self.input.drain(..taken);
            let reply = match reply {
                Ok(reply) => reply?,
                Err(error) => {
                    self.broken = true;
                    return Some(Event::Broken(error));
                }
            };
            let sent = self.awaited.pop_front()?;
            if let Some(event) = self.answered(sent, reply) {
                return Some(event);
            }
        }
    }

    fn answered(&mut self, sent: Sent, reply: Reply) -> Option<Event> {
        let good = reply.is_positive();
        match sent {
            Sent::Greeting if good => Some(Event::Greeting(reply)),
            Sent::Ehlo if good => {
                self.capabilities = Capabilities::of(&reply);
                Some(Event::Hello(self.capabilities.clone()))
            }
            Sent::Ehlo if reply.code / 100 == 5 && self.protocol == Protocol::Smtp => {
                let command = Command::Hello { verb: Hello::Helo, name: self.name.clone() };
                self.send(&command, Sent::Helo);
                None
            }
            Sent::Helo if good => Some(Event::Hello(Capabilities::default())),
            Sent::StartTls if good => Some(Event::StartTls),
            Sent::Auth | Sent::AuthLogin if good => Some(Event::Authenticated),
            Sent::AuthLogin if reply.code == 334 => {
                // A server that asks a third question has no third answer coming.
                let answer = self.secrets.pop_front().map_or_else(
                    || "*".to_owned(),
                    |secret| base64::engine::general_purpose::STANDARD.encode(secret),
                );
                self.output.extend_from_slice(answer.as_bytes());
                self.output.extend_from_slice(b"\r\n");
                self.awaited.push_front(Sent::AuthLogin);
                None
            }
            Sent::Greeting
            | Sent::Ehlo
            | Sent::Helo
            | Sent::StartTls
            | Sent::Auth
            | Sent::AuthLogin => Some(Event::Refused(reply)),
            Sent::Chunk if good => None,
            Sent::Chunk => {
                self.awaited.clear();
                Some(Event::ChunkRefused(reply))
            }
            Sent::Silent => None,
            Sent::Asked => Some(Event::Done(reply)),
            Sent::Mail => {
                self.answers.mail = Some(reply);
                self.go_on(None)
            }
            Sent::Rcpt => {
                self.accepted += usize::from(good);
                self.answers.recipients.push(reply);
                self.go_on(None)
            }
            Sent::Data => self.go_on(Some(reply)),
            Sent::Content { replies } => {
                self.content_replies.push(reply);
                if replies > 1 {
                    self.awaited.push_front(Sent::Content { replies: replies - 1 });
                    return None;
                }
                Some(Event::Sent(std::mem::take(&mut self.content_replies)))
            }
        }
    }

    /// After an answer to MAIL, RCPT or DATA: the next command, or the envelope's event.
    fn go_on(&mut self, data: Option<Reply>) -> Option<Event> {
        let mail_ok = self.answers.mail.as_ref().is_some_and(Reply::is_positive);
        if !self.awaited.is_empty() {
            return None;
        }
        let next_is_rcpt = matches!(self.later.front(), Some(Command::Rcpt { .. }));
        if mail_ok && (next_is_rcpt || self.accepted > 0) && self.send_next() {
            return None;
        }
        let skipped = self.later.iter().filter(|c| matches!(c, Command::Rcpt { .. })).count();
        self.later.clear();
        let mail = self.answers.mail.take()?;
        let mut recipients = std::mem::take(&mut self.answers.recipients);
        recipients.extend(std::iter::repeat_n(mail.clone(), skipped));
        let continues = data.as_ref().is_none_or(|d| d.code == 354);
        let go = mail_ok && self.accepted > 0 && continues;
        if !go {
            if data.as_ref().is_some_and(|d| d.code == 354) {
                // DATA was sent ahead and taken although there is nobody to send to: an empty
                // message ends it (RFC 2920 section 3.1).
                self.output.extend_from_slice(b".\r\n");
                self.awaited.push_back(Sent::Silent);
            } else if mail_ok {
                self.send(&Command::Reset, Sent::Silent);
            }
        }
        Some(Event::Envelope { mail, recipients, data, go })
    }

    /// Sends the next command of the envelope; false when there is none.
    fn send_next(&mut self) -> bool {
        let Some(command) = self.later.pop_front() else { return false };
        let sent = if command == Command::Data { Sent::Data } else { Sent::Rcpt };
        self.send(&command, sent);
        true
    }

    fn send(&mut self, command: &Command, sent: Sent) {
        self.write(command);
        self.awaited.push_back(sent);
    }

    fn write(&mut self, command: &Command) {
        self.output.extend_from_slice(command.to_string().as_bytes());
        self.output.extend_from_slice(b"\r\n");
    }
}
