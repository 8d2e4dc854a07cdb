//! The receiving machine's commands and answers; content is in its sibling.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::BytesMut;

use super::content::Transaction;
use super::{Close, Config, Event};
use crate::command::Hello;
use crate::data::{DotDecoder, Found};
use crate::reply::{Reply, Status};
use crate::{Protocol, limits};

/// What a session waits for.
#[derive(Debug)]
pub(super) enum State {
    /// A command line.
    Command,
    /// A line of the AUTH dialogue.
    Dialogue,
    /// An answer of the caller.
    Answer(Asked),
    /// Content after DATA.
    Content { decoder: DotDecoder, after: Option<Found> },
    /// Content of a BDAT chunk.
    Chunk { size: u64, left: u64, last: bool },
    /// The URL of BURL is about to be asked for.
    Fetch { last: bool },
    /// Content of a chunk that is thrown away, then this reply.
    SkippedChunk { left: u64, last: bool, reply: Reply },
    /// The upgrade to TLS.
    Tls,
    /// To be told that the roles are turned.
    Turned,
    /// Nothing any more.
    Closed,
}

/// What the caller was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    Hello(Hello),
    Mail,
    Rcpt,
    Data,
    Chunk { size: u64, last: bool },
    BurlContent { last: bool },
    Burl { last: bool },
    End,
    Auth,
    Etrn,
    Atrn,
    Xclient,
}

/// One receiving session; see the module text for how it is driven.
#[derive(Debug)]
pub struct Session {
    pub(super) config: Config,
    pub(super) input: BytesMut,
    pub(super) output: Vec<u8>,
    pub(super) state: State,
    pub(super) transaction: Option<Transaction>,
    pub(super) hello: Option<Hello>,
    /// The client's name has a domain, or is an address.
    pub(super) qualified: bool,
    pub(super) tls: bool,
    pub(super) authenticated: bool,
    skipped_line: usize,
    errors: u32,
    refused: u32,
    pub(super) surplus: u32,
    pub(super) messages: u32,
    pub(super) idle: u32,
    closing: Option<Close>,
}

impl Session {
    /// A session that has not greeted yet.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self {
            tls: config.tls,
            config,
            input: BytesMut::new(),
            output: Vec::new(),
            state: State::Command,
            transaction: None,
            hello: None,
            qualified: false,
            authenticated: false,
            skipped_line: 0,
            errors: 0,
            refused: 0,
            surplus: 0,
            messages: 0,
            idle: 0,
            closing: None,
        }
    }

    /// Writes the greeting.
    pub fn greet(&mut self) {
        let word = if self.config.protocol == Protocol::Lmtp { "LMTP" } else { "ESMTP" };
        let text =
            format!("{} {word} {} is glad to see you!", self.config.host, self.config.product);
        self.reply(&Reply::plain(220, text));
    }

    /// Instead of the greeting: the client spoke first (ABU-04).
    pub fn refuse_early_talk(&mut self) {
        let text = format!("{} you spoke before the greeting", self.config.host);
        self.reply(&Reply::plain(554, text));
        self.close(Close::EarlyTalk);
    }

    /// After XCLIENT: another client, who has said nothing yet.
    fn begin_again(&mut self) {
        self.transaction = None;
        self.hello = None;
        self.authenticated = false;
        self.greet();
    }

    /// Ends the session from outside (shutdown, time out, too many connections), whatever it is
    /// waiting for.
    pub fn shut(&mut self, reply: &Reply) {
        if !matches!(self.state, State::Closed) {
            self.reply(reply);
            self.close(Close::Refused);
            self.state = State::Command;
        }
    }

    /// The buffer to put the client's bytes in, at its end.
    pub fn input(&mut self) -> &mut BytesMut {
        &mut self.input
    }

    /// What is to be sent. The caller clears it when it was.
    pub fn output(&mut self) -> &mut Vec<u8> {
        &mut self.output
    }

    /// True while message content is expected (the caller may read larger pieces then).
    #[must_use]
    pub fn in_content(&self) -> bool {
        matches!(self.state, State::Content { .. } | State::Chunk { .. })
    }

    /// True when AUTH succeeded.
    #[must_use]
    pub fn is_authenticated(&self) -> bool {
        self.authenticated
    }

    /// The next event; `None` when more input is needed, an answer is owed, or all is over.
    #[expect(clippy::should_implement_trait, reason = "None is no end: more may come after input")]
    pub fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(close) = self.closing.take() {
                self.state = State::Closed;
                self.input.clear();
                return Some(Event::Closing(close));
            }
            let event = match self.state {
                State::Closed | State::Tls | State::Answer(_) => return None,
                State::Command | State::Dialogue => {
                    let line = self.line()?;
                    match line {
                        Ok(line) if matches!(self.state, State::Dialogue) => self.dialogue(&line),
                        Ok(line) => self.command(&line),
                        Err(reply) => {
                            let broken = matches!(self.state, State::Dialogue);
                            self.state = State::Command;
                            self.error(&reply);
                            broken.then_some(Event::AuthCancelled)
                        }
                    }
                }
                State::Content { .. } => self.content()?,
                State::Chunk { .. } => self.chunk()?,
                State::Fetch { last } => self.fetch(last),
                State::Turned => {
                    self.state = State::Closed;
                    self.input.clear();
                    Some(Event::Turned)
                }
                State::SkippedChunk { .. } => self.skipped_chunk()?,
            };
            if event.is_some() {
                return event;
            }
        }
    }

    /// Answers the event that waits. A negative answer to [`Event::Content`] refuses the content
    /// before it comes; 421 closes. Without a waiting event it does nothing.
    pub fn answer(&mut self, reply: Reply) {
        let State::Answer(asked) = self.state else { return };
        self.state = State::Command;
        match asked {
            Asked::Hello(_) if reply.is_positive() => return self.welcome_as(asked),
            Asked::Hello(_) => return self.error(&reply),
            Asked::Mail if reply.is_positive() => {
                // `command` has put the parameters there.
                if let Some(transaction) = &mut self.transaction {
                    transaction.open = true;
                }
            }
            Asked::Mail => {
                self.transaction = None;
                return self.error(&reply);
            }
            Asked::Rcpt => match &mut self.transaction {
                Some(transaction) if reply.is_positive() => transaction.recipients += 1,
                _ => self.refused += 1,
            },
            Asked::Data => {
                if let Some(transaction) = &mut self.transaction {
                    transaction.started = false;
                }
            }
            Asked::Chunk { size, last } => {
                return self.skip_chunk(size, last, reply);
            }
            Asked::BurlContent { last } | Asked::Burl { last } => {
                return self.skip_chunk(0, last, reply);
            }
            Asked::End => {
                if reply.is_positive() {
                    self.idle = 0;
                }
                self.messages = self.messages.saturating_add(1);
                self.transaction = None;
            }
            Asked::Auth if reply.is_positive() => self.authenticated = true,
            Asked::Xclient if reply.is_positive() => return self.begin_again(),
            Asked::Auth | Asked::Xclient => return self.error(&reply),
            Asked::Etrn => {
                if !reply.is_positive() {
                    return self.error(&reply);
                }
            }
            Asked::Atrn if reply.is_positive() => self.state = State::Turned,
            Asked::Atrn => return self.error(&reply),
        }
        self.reply(&reply);
        if reply.code == 421 {
            self.close(Close::Refused);
        } else if self.refused >= self.config.max_refused {
            self.too_many("too many refused recipients");
        }
    }

    /// Answers [`Event::Hello`]: the client is welcome, and told what is offered.
    pub fn welcome(&mut self) {
        if let State::Answer(asked @ Asked::Hello(_)) = self.state {
            self.welcome_as(asked);
        }
    }

    /// Answers [`Event::End`] with one reply for each accepted recipient, in order (LMTP).
    pub fn answer_each(&mut self, replies: &[Reply]) {
        if let State::Answer(Asked::End) = self.state {
            for reply in replies {
                self.reply(reply);
            }
            self.state = State::Command;
            self.transaction = None;
            self.messages = self.messages.saturating_add(1);
            self.idle = 0;
        }
    }

    /// Answers [`Event::Content`]: let it come.
    pub fn proceed(&mut self) {
        match self.state {
            State::Answer(Asked::Data) => {
                self.reply(&Reply::plain(354, "Enter mail, end with \".\" on a line by itself"));
                self.state = State::Content { decoder: DotDecoder::default(), after: None };
            }
            State::Answer(Asked::Chunk { size, last }) => {
                self.state = State::Chunk { size, left: size, last };
            }
            State::Answer(Asked::BurlContent { last }) => self.state = State::Fetch { last },
            State::Answer(Asked::Burl { last }) => self.fetched_whole(last),
            _ => {}
        }
    }

    /// Answers [`Event::Auth`] or [`Event::AuthResponse`] with a challenge.
    pub fn challenge(&mut self, challenge: &[u8]) {
        if let State::Answer(Asked::Auth) = self.state {
            self.reply(&Reply::plain(334, STANDARD.encode(challenge)));
            self.state = State::Dialogue;
        }
    }

    /// The connection is encrypted now; everything said before is forgotten (RFC 3207 section
    /// 4.2, ABU-03).
    pub fn tls_started(&mut self) {
        self.input.clear();
        self.output.clear();
        self.state = State::Command;
        self.transaction = None;
        self.hello = None;
        self.authenticated = false;
        self.tls = true;
        self.config.starttls = false;
    }

    /// The mechanisms on this encrypted connection, in capitals: some are known only when its
    /// TLS session is.
    pub fn offer(&mut self, mechanisms: Vec<String>) {
        self.config.mechanisms_tls = mechanisms;
    }

    pub(super) fn reply(&mut self, reply: &Reply) {
        reply.encode(&mut self.output);
    }

    /// A reply that counts as an error of the client, unless the fault is ours (4xx).
    pub(super) fn error(&mut self, reply: &Reply) {
        self.reply(reply);
        if reply.code == 421 {
            return self.close(Close::Refused);
        }
        if !reply.is_temporary() {
            self.errors += 1;
        }
        if self.errors >= self.config.max_errors {
            self.too_many("too many errors");
        }
    }

    pub(super) fn too_many(&mut self, text: &str) {
        self.reply(&Reply::new(421, Status(4, 7, 0), text));
        self.close(Close::TooMany);
    }

    pub(super) fn close(&mut self, why: Close) {
        self.closing.get_or_insert(why);
    }

    /// Takes one line without its CRLF, or the reply to a line that is none.
    fn line(&mut self) -> Option<Result<String, Reply>> {
        let long =
            |start: &[u8]| [&b"AUTH "[..], b"BURL "].iter().any(|w| start.eq_ignore_ascii_case(w));
        let auth = matches!(self.state, State::Dialogue) || self.input.get(..5).is_some_and(long);
        let limit = if auth { limits::AUTH_LINE } else { limits::COMMAND_LINE };
        let end = memchr::memchr(b'\n', &self.input);
        let size = end.map_or(self.input.len(), |end| end + 1);
        let total = self.skipped_line + size;
        let long = Reply::new(500, Status(5, 5, 2), "line too long");
        if total > limits::SKIPPED_LINE {
            // `next` comes back to the closing after the reply.
            self.close(Close::Flood);
            return Some(Err(long));
        }
        if end.is_none() {
            if total > limit {
                self.skipped_line = total;
                self.input.clear();
            }
            return None;
        }
        // What is left of a long line may look like a short one of its own.
        let was_skipped = std::mem::take(&mut self.skipped_line) > 0;
        let line = self.input.split_to(size);
        if total > limit || was_skipped {
            return Some(Err(long));
        }
        let wrong = |text: &str| Some(Err(Reply::new(500, Status(5, 5, 2), text)));
        let Some(line) = line.strip_suffix(b"\r\n") else {
            return wrong("a line ends with CR LF");
        };
        if memchr::memchr2(b'\r', 0, line).is_some() {
            return wrong("no CR or NUL in a line");
        }
        match std::str::from_utf8(line) {
            Ok(line) => Some(Ok(line.to_owned())),
            Err(_) => wrong("not UTF-8"),
        }
    }

    fn dialogue(&mut self, line: &str) -> Option<Event> {
        if line == "*" {
            self.state = State::Command;
            self.error(&Reply::new(501, Status(5, 7, 0), "authentication cancelled"));
            return Some(Event::AuthCancelled);
        }
        match STANDARD.decode(line) {
            Ok(bytes) => {
                self.state = State::Answer(Asked::Auth);
                Some(Event::AuthResponse(bytes))
            }
            Err(_) => {
                self.state = State::Command;
                self.error(&Reply::new(501, Status(5, 5, 2), "not base64"));
                Some(Event::AuthCancelled)
            }
        }
    }

    pub(super) fn sequence(&mut self, text: &str) -> Option<Event> {
        self.error(&Reply::new(503, Status(5, 5, 1), text));
        None
    }

    pub(super) fn ask(&mut self, asked: Asked) {
        self.state = State::Answer(asked);
    }
}
