//! The POP3 server session as a machine (RFC 1939 and `reference/pop.md`): received bytes go in
//! with [`Session::receive`], [`Session::next_event`] tells what has to be done outside, the
//! caller answers with one of the answering methods, and what has to be sent collects in
//! [`Session::output`]. It must never know a socket, a clock, an account or a stored message.

mod answers;
mod transaction;

use std::collections::VecDeque;

use crate::command::{Command, Fault};
use crate::dot::{DotDecoder, DotEncoder, TopCut};
use crate::line::{Line, LineBuffer};
use crate::maildrop::Maildrop;
use crate::password::{Password, text_of};
use crate::reply::{ResponseCode, err, ok, push_text};
use crate::sasl::{MAX_SASL_LINE, SaslReply};

/// Longest command line, octets. RFC 2449 section 4 asks for 255; mailbox and account names may
/// be longer.
pub const MAX_COMMAND_LINE: usize = 2048;
/// Commands not understood or not allowed, and failed logins, before the connection is closed.
pub const MAX_ERRORS: u32 = 20;
/// Failed logins before the connection is closed.
pub const MAX_FAILED_LOGINS: u32 = 5;
/// Output that may collect before the caller is asked to send it, octets. One answer may go
/// past it.
pub const OUTPUT_MARK: usize = 256 * 1024;

/// What this connection offers before login.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    /// USER/PASS may be used on this connection as it is now.
    pub clear_text: bool,
    /// STLS is offered (TLS is available and not yet active).
    pub starttls: bool,
    /// SASL mechanisms offered on this connection as it is now.
    pub mechanisms: Vec<String>,
    /// APOP is available; the greeting then carries the stamp given to [`Session::new`].
    pub apop: bool,
    /// XTND XMIT is offered.
    pub submission: bool,
    /// Largest message taken with XTND XMIT, octets.
    pub max_message_size: u64,
    /// Least number of seconds between logins, told in CAPA; 0 for none.
    pub login_delay: u64,
}

/// A message to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retrieve {
    /// Index into the maildrop.
    pub index: usize,
    /// Body lines to send (TOP); `None` for the whole message (RETR).
    pub lines: Option<u64>,
}

/// What has to be done outside of the machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Name and password. Answer: [`Session::login_done`] or [`Session::refuse`].
    Login {
        /// The login name.
        name: String,
        /// The password.
        password: Password,
    },
    /// APOP. Answers as for `Login`.
    Apop {
        /// The login name.
        name: String,
        /// Lower-case hexadecimal MD5 of stamp and password.
        digest: String,
    },
    /// A SASL exchange begins. Answer: [`Session::challenge`], `login_done` or `refuse`.
    Auth {
        /// Mechanism, upper case.
        mechanism: String,
        /// The initial response, decoded.
        initial: Option<Vec<u8>>,
    },
    /// The client's next line of the exchange. Answers as for `Auth`.
    AuthReply(Vec<u8>),
    /// The exchange was cut by the client; the machine has answered. Forget it.
    AuthCancelled,
    /// Send the output, start TLS, then call [`Session::tls_started`].
    StartTls,
    /// Send this message: [`Session::retrieved`], or [`Session::message_begins`] and what
    /// follows it, or [`Session::refuse`]. [`Session::next_retrieve`] tells of more of them that
    /// have arrived already.
    Retrieve(Retrieve),
    /// XTND XMIT. Answer: [`Session::take_mail`] or [`Session::refuse`].
    Submit,
    /// A piece of the mail, dots taken away. No answer.
    MailData(Vec<u8>),
    /// The mail is complete, or not `whole` because it was larger than allowed. Answer:
    /// [`Session::submitted`] or [`Session::refuse`].
    MailEnd {
        /// False when pieces were thrown away.
        whole: bool,
    },
    /// The client leaves: delete these indexes (ascending), then [`Session::farewell`].
    Quit {
        /// Messages marked by DELE; empty when the client was never logged in.
        delete: Vec<usize>,
    },
    /// Much output has collected: send it, then go on. No answer.
    Flush,
    /// Send the output and close the connection. Nothing is deleted.
    Close,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wait {
    /// For the client.
    Nothing,
    /// For the answer to a login event.
    Login,
    /// For the client's next line of a SASL exchange.
    SaslLine,
    /// For TLS.
    Tls,
    /// For the answers in `retrieving`.
    Retrieve,
    /// For the answer to `Submit`.
    Submit,
    /// For the client's mail.
    Mail,
    /// For the answer to `MailEnd`.
    MailEnd,
    /// For `farewell`.
    Farewell,
    /// For nobody any more.
    Closed,
}

/// One POP3 server session.
#[derive(Debug)]
pub struct Session {
    policy: Policy,
    product: String,
    input: LineBuffer,
    output: Vec<u8>,
    wait: Wait,
    name: Option<String>,
    maildrop: Option<Maildrop>,
    retrieving: VecDeque<Retrieve>,
    encoder: Option<(DotEncoder, Option<TopCut>)>,
    decoder: DotDecoder,
    mail_size: u64,
    utf8: bool,
    errors: u32,
    failed_logins: u32,
    close_told: bool,
}

impl Session {
    /// Begins a session; the greeting is in the output. `product` is the name and version to be
    /// shown (`Angarium 0.1.0`), `stamp` the APOP time stamp with its angle brackets.
    #[must_use]
    pub fn new(policy: Policy, product: &str, stamp: &str) -> Self {
        let mut output = Vec::new();
        ok(&mut output, &format!("{product} POP3 Server ready {stamp}"));
        Self {
            policy,
            product: product.to_owned(),
            input: LineBuffer::default(),
            output,
            wait: Wait::Nothing,
            name: None,
            maildrop: None,
            retrieving: VecDeque::new(),
            encoder: None,
            decoder: DotDecoder::default(),
            mail_size: 0,
            utf8: false,
            errors: 0,
            failed_logins: 0,
            close_told: false,
        }
    }

    /// Adds received bytes. Before TLS has started they are thrown away: what was sent in the
    /// clear after STLS must never be obeyed (RFC 2595 section 4).
    pub fn receive(&mut self, bytes: &[u8]) {
        if !matches!(self.wait, Wait::Tls | Wait::Closed) {
            self.input.push(bytes);
        }
    }

    /// What has to be sent; take it and leave the rest. One write per batch is meant.
    pub fn output(&mut self) -> &mut Vec<u8> {
        &mut self.output
    }

    /// The maildrop of this session, once logged in.
    #[must_use]
    pub fn maildrop(&self) -> Option<&Maildrop> {
        self.maildrop.as_ref()
    }

    /// True when the client has asked for UTF8 mode (RFC 6856).
    #[must_use]
    pub fn is_utf8(&self) -> bool {
        self.utf8
    }

    /// True once the session is over.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.wait == Wait::Closed
    }

    /// The next thing to be done; `None` when more input, or the answer to the last event, is
    /// needed.
    pub fn next_event(&mut self) -> Option<Event> {
        loop {
            match self.wait {
                Wait::Closed if !self.close_told => {
                    self.close_told = true;
                    self.input.clear();
                    return Some(Event::Close);
                }
                Wait::Mail => return self.mail_data(),
                Wait::Nothing | Wait::SaslLine => {}
                _ => return None,
            }
            if self.output.len() > OUTPUT_MARK {
                return Some(Event::Flush);
            }
            if let Some(event) = self.read_line()? {
                return Some(event);
            }
        }
    }

    /// Reads one line: `None` without a whole line, `Some(None)` when it was answered here.
    fn read_line(&mut self) -> Option<Option<Event>> {
        let limit = match self.wait {
            Wait::SaslLine => MAX_SASL_LINE,
            // An AUTH command may carry a long initial response.
            _ if self.input.bytes().get(..5).is_some_and(|w| w.eq_ignore_ascii_case(b"AUTH ")) => {
                MAX_SASL_LINE
            }
            _ => MAX_COMMAND_LINE,
        };
        Some(match self.input.next_line(limit) {
            Line::Incomplete => return None,
            Line::Flood => {
                self.close("line too long");
                None
            }
            Line::TooLong => {
                let cut = self.wait == Wait::SaslLine;
                self.wait = Wait::Nothing;
                self.fault("line too long");
                cut.then_some(Event::AuthCancelled)
            }
            Line::Whole(line) if self.wait == Wait::SaslLine => Some(self.sasl_line(&line)),
            Line::Whole(line) => match Command::parse(&line) {
                Ok(command) => self.obey(&command),
                Err(Fault::Unknown) => {
                    self.fault("unknown command");
                    None
                }
                Err(Fault::Syntax(form)) => {
                    self.fault(&format!("syntax: {form}"));
                    None
                }
            },
        })
    }

    fn obey(&mut self, command: &Command<'_>) -> Option<Event> {
        match command {
            Command::Capa => {
                self.capabilities();
                None
            }
            Command::Quit => {
                self.wait = Wait::Farewell;
                let delete = self.maildrop.as_ref().map(Maildrop::marked).unwrap_or_default();
                Some(Event::Quit { delete })
            }
            Command::Lang(tag) => {
                self.language(*tag);
                None
            }
            Command::Noop => {
                ok(&mut self.output, "");
                None
            }
            command if self.maildrop.is_some() => self.transaction(command),
            command => self.authorization(command),
        }
    }

    fn authorization(&mut self, command: &Command<'_>) -> Option<Event> {
        match command {
            Command::User(_) | Command::Pass(_) if !self.policy.clear_text => {
                let text = "plain text login is not allowed on this connection";
                self.error(Some(ResponseCode::SysPerm), text);
            }
            Command::User(name) => {
                self.name = Some(text_of(name));
                ok(&mut self.output, "please send the PASS");
            }
            Command::Pass(password) => match self.name.take() {
                Some(name) => {
                    self.wait = Wait::Login;
                    return Some(Event::Login { name, password: Password::new(password.to_vec()) });
                }
                None => self.fault("USER first"),
            },
            Command::Apop(name, digest) => {
                if !self.policy.apop {
                    self.error(Some(ResponseCode::SysPerm), "APOP is not available");
                    return None;
                }
                self.wait = Wait::Login;
                let digest = text_of(digest).to_ascii_lowercase();
                return Some(Event::Apop { name: text_of(name), digest });
            }
            Command::AuthList => {
                ok(&mut self.output, "");
                for mechanism in &self.policy.mechanisms {
                    push_text(&mut self.output, mechanism);
                    self.output.extend_from_slice(b"\r\n");
                }
                self.output.extend_from_slice(b".\r\n");
            }
            Command::Auth(mechanism, initial) => return self.auth(mechanism, *initial),
            Command::Stls if !self.policy.starttls => self.fault("TLS is not available"),
            Command::Stls if self.utf8 => self.fault("STLS must come before UTF8"),
            Command::Stls => {
                ok(&mut self.output, "begin TLS");
                self.input.clear();
                self.wait = Wait::Tls;
                return Some(Event::StartTls);
            }
            Command::Utf8 => {
                self.utf8 = true;
                ok(&mut self.output, "UTF8");
            }
            _ => self.fault("please log in first"),
        }
        None
    }

    fn auth(&mut self, mechanism: &str, initial: Option<&[u8]>) -> Option<Event> {
        let mechanism = mechanism.to_ascii_uppercase();
        if !self.policy.mechanisms.iter().any(|known| known.eq_ignore_ascii_case(&mechanism)) {
            self.error(Some(ResponseCode::SysPerm), "this AUTH mechanism is not available");
            return None;
        }
        let initial = match initial.map(SaslReply::of_initial) {
            None => None,
            Some(SaslReply::Data(data)) => Some(data),
            Some(_) => {
                self.fault("broken base64");
                return None;
            }
        };
        self.wait = Wait::Login;
        Some(Event::Auth { mechanism, initial })
    }

    fn sasl_line(&mut self, line: &[u8]) -> Event {
        match SaslReply::of_line(line) {
            SaslReply::Data(data) => {
                self.wait = Wait::Login;
                Event::AuthReply(data)
            }
            SaslReply::Cancel => {
                self.wait = Wait::Nothing;
                self.fault("authentication cancelled");
                Event::AuthCancelled
            }
            SaslReply::Broken => {
                self.wait = Wait::Nothing;
                self.fault("broken base64");
                Event::AuthCancelled
            }
        }
    }

    fn mail_data(&mut self) -> Option<Event> {
        let mut data = Vec::new();
        let read = self.decoder.push(self.input.bytes(), &mut data);
        self.input.consume(read);
        let room = self.policy.max_message_size.saturating_sub(self.mail_size);
        self.mail_size = self.mail_size.saturating_add(data.len() as u64);
        let whole = self.mail_size <= self.policy.max_message_size;
        // What fits is handed on also of a message that does not: how much must not depend on how
        // the input was cut.
        data.truncate(usize::try_from(room).unwrap_or(usize::MAX));
        if !data.is_empty() {
            // When the end has come with it, the next call finds nothing more to decode.
            return Some(Event::MailData(data));
        }
        if !self.decoder.is_done() {
            return None;
        }
        self.wait = Wait::MailEnd;
        Some(Event::MailEnd { whole })
    }

    fn no_such_message(&mut self) {
        self.error(None, "no such message");
    }

    fn fault(&mut self, text: &str) {
        self.error(None, text);
    }

    /// Answers a command that went wrong, and closes when there were too many.
    fn error(&mut self, code: Option<ResponseCode>, text: &str) {
        err(&mut self.output, code, text);
        self.errors += 1;
        if self.errors >= MAX_ERRORS {
            self.close("too many errors");
        }
    }
}
