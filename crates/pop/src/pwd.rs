//! The PWD server session as a machine (`reference/cli.md` section 2): the protocol that changes
//! passwords and carries the command line interface. It must never know what a CLI command does,
//! nor sockets and clocks.

use crate::line::{Line, LineBuffer};
use crate::password::{Password, text_of};
use crate::sasl::{MAX_SASL_LINE, SaslReply, push_base64};

/// Longest CLI command line, octets (`reference/data-format.md` section 5).
pub const MAX_CLI_LINE: usize = 1024 * 1024;
/// Longest line before login, octets: a SASL response fits.
pub const MAX_LOGIN_LINE: usize = MAX_SASL_LINE;
/// Failed logins before the connection is closed.
pub const MAX_FAILED_LOGINS: u32 = 5;
/// Lines before login that were not understood before the connection is closed.
pub const MAX_ERRORS: u32 = 20;
/// Output that may collect before the caller is asked to send it, octets.
pub const OUTPUT_MARK: usize = 256 * 1024;

/// What has to be done outside of the machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PwdEvent {
    /// Name and password. Answer: [`PwdSession::login_done`] or [`PwdSession::refuse`].
    Login {
        /// Login name.
        name: String,
        /// Password.
        password: Password,
    },
    /// APOP. Answers as for `Login`.
    Apop {
        /// Login name.
        name: String,
        /// Lower-case hexadecimal MD5 of stamp and password.
        digest: String,
    },
    /// Login by an existing web session. Answers as for `Login`.
    WebUser {
        /// Login name.
        name: String,
        /// The web session.
        session: String,
    },
    /// A SASL exchange begins. Answer: [`PwdSession::challenge`], `login_done` or `refuse`.
    Auth {
        /// Mechanism, upper case.
        mechanism: String,
        /// Initial response, decoded.
        initial: Option<Vec<u8>>,
    },
    /// The client's next line of the exchange. Answers as for `Auth`.
    AuthReply(Vec<u8>),
    /// The client cut the exchange; the machine has answered. Forget it.
    AuthCancelled,
    /// Send the output, start TLS, then call [`PwdSession::tls_started`].
    StartTls,
    /// The logged-in account wants a new password. Answer: [`PwdSession::answer`].
    NewPassword(Password),
    /// A CLI command line. Answer: [`PwdSession::answer`] or [`PwdSession::answer_data`].
    Command(Vec<u8>),
    /// Much output has collected: send it, then go on. No answer.
    Flush,
    /// Send the output and close the connection.
    Close,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wait {
    Nothing,
    Login,
    SaslLine,
    Tls,
    Answer,
    Closed,
}

/// What this connection offers.
#[derive(Clone, Debug, Default)]
pub struct PwdPolicy {
    /// USER/PASS may be used on this connection as it is now.
    pub clear_text: bool,
    /// STLS is offered.
    pub starttls: bool,
    /// APOP is available.
    pub apop: bool,
    /// SASL mechanisms offered on this connection as it is now.
    pub mechanisms: Vec<String>,
}

/// One PWD server session.
#[derive(Debug)]
pub struct PwdSession {
    policy: PwdPolicy,
    input: LineBuffer,
    output: Vec<u8>,
    wait: Wait,
    name: Option<String>,
    logged_in: bool,
    inline: bool,
    failed_logins: u32,
    errors: u32,
    close_told: bool,
}

impl PwdSession {
    /// Begins a session; the greeting is in the output. `stamp` is `<number.unixtime@host>`:
    /// some clients refuse to work without it (`reference/cli.md` section 2.1).
    #[must_use]
    pub fn new(policy: PwdPolicy, host: &str, product: &str, version: &str, stamp: &str) -> Self {
        let mut session = Self {
            policy,
            input: LineBuffer::default(),
            output: Vec::new(),
            wait: Wait::Nothing,
            name: None,
            logged_in: false,
            inline: false,
            failed_logins: 0,
            errors: 0,
            close_told: false,
        };
        session.line(200, &format!("{host} {product} PWD Server {version} ready {stamp}"));
        session
    }

    /// Adds received bytes; before TLS has started they are thrown away.
    pub fn receive(&mut self, bytes: &[u8]) {
        if !matches!(self.wait, Wait::Tls | Wait::Closed) {
            self.input.push(bytes);
        }
    }

    /// What has to be sent; take it and leave the rest.
    pub fn output(&mut self) -> &mut Vec<u8> {
        &mut self.output
    }

    /// The next thing to be done; `None` when more input, or the answer to the last event, is
    /// needed.
    pub fn next_event(&mut self) -> Option<PwdEvent> {
        loop {
            match self.wait {
                Wait::Closed if !self.close_told => {
                    self.close_told = true;
                    self.input.clear();
                    return Some(PwdEvent::Close);
                }
                Wait::Nothing | Wait::SaslLine => {}
                _ => return None,
            }
            if self.output.len() > OUTPUT_MARK {
                return Some(PwdEvent::Flush);
            }
            if let Some(event) = self.read_line()? {
                return Some(event);
            }
        }
    }

    fn read_line(&mut self) -> Option<Option<PwdEvent>> {
        let limit = if self.logged_in { MAX_CLI_LINE } else { MAX_LOGIN_LINE };
        Some(match self.input.next_line(limit) {
            Line::Incomplete => return None,
            Line::Flood => {
                self.close("line too long");
                None
            }
            Line::TooLong => {
                let cut = self.wait == Wait::SaslLine;
                self.wait = Wait::Nothing;
                self.fault(500, "line too long");
                cut.then_some(PwdEvent::AuthCancelled)
            }
            Line::Whole(line) if self.wait == Wait::SaslLine => Some(self.sasl_line(&line)),
            Line::Whole(line) => {
                let line = line.trim_ascii_start();
                let end = line.iter().position(|&b| b == b' ').unwrap_or(line.len());
                let (word, rest) = line.split_at(end);
                let word = word.to_ascii_uppercase();
                let rest = rest.strip_prefix(b" ").unwrap_or(rest);
                if self.logged_in {
                    self.logged_in_command(&word, rest, line)
                } else {
                    self.login_command(&word, rest)
                }
            }
        })
    }

    fn login_command(&mut self, word: &[u8], rest: &[u8]) -> Option<PwdEvent> {
        match word {
            b"USER" | b"PASS" if !self.policy.clear_text => {
                self.fault(500, "plain text login is not allowed on this connection, use STLS");
            }
            b"USER" => match argument(rest.trim_ascii()) {
                name if name.is_empty() => self.fault(500, "USER name"),
                name => {
                    self.name = Some(text_of(&name));
                    self.line(300, "please send the PASS");
                }
            },
            b"PASS" => match self.name.take() {
                Some(name) => {
                    self.wait = Wait::Login;
                    let password = Password::new(argument(rest));
                    return Some(PwdEvent::Login { name, password });
                }
                None => self.fault(500, "please send the USER first"),
            },
            b"APOP" => return self.apop(rest),
            b"AUTH" => return self.auth(rest),
            b"STLS" if self.policy.starttls => {
                self.line(200, "please start TLS");
                self.input.clear();
                self.wait = Wait::Tls;
                return Some(PwdEvent::StartTls);
            }
            b"STLS" => self.fault(500, "TLS is not available"),
            b"NOOP" => self.line(200, "OK"),
            b"QUIT" => self.quit(),
            b"" => {}
            _ => self.fault(500, "please log in first"),
        }
        None
    }

    fn apop(&mut self, rest: &[u8]) -> Option<PwdEvent> {
        let rest = rest.trim_ascii();
        let at = rest.iter().rposition(|&b| b == b' ').unwrap_or(0);
        let (name, digest) = rest.split_at(at);
        let (name, digest) = (argument(name.trim_ascii()), digest.trim_ascii());
        if name.is_empty() || digest.len() != 32 || !digest.iter().all(u8::is_ascii_hexdigit) {
            self.fault(500, "APOP name digest");
            return None;
        }
        if !self.policy.apop {
            self.fault(500, "APOP is not available");
            return None;
        }
        self.wait = Wait::Login;
        let digest = text_of(digest).to_ascii_lowercase();
        Some(PwdEvent::Apop { name: text_of(&name), digest })
    }

    fn auth(&mut self, rest: &[u8]) -> Option<PwdEvent> {
        let mut words = rest.split(|&b| b == b' ').filter(|word| !word.is_empty());
        let mechanism = words.next().map(|w| text_of(w).to_ascii_uppercase()).unwrap_or_default();
        let (first, second) = (words.next(), words.next());
        if mechanism == "WEBUSER" {
            let (Some(name), Some(session)) = (first, second) else {
                self.fault(500, "AUTH WEBUSER name session");
                return None;
            };
            self.wait = Wait::Login;
            let (name, session) = (text_of(&argument(name)), text_of(&argument(session)));
            return Some(PwdEvent::WebUser { name, session });
        }
        if !self.policy.mechanisms.iter().any(|known| known.eq_ignore_ascii_case(&mechanism)) {
            self.fault(500, "this AUTH mechanism is not available");
            return None;
        }
        let initial = match first.map(SaslReply::of_initial) {
            None => None,
            Some(SaslReply::Data(data)) => Some(data),
            Some(_) => {
                self.fault(500, "broken base64");
                return None;
            }
        };
        self.wait = Wait::Login;
        Some(PwdEvent::Auth { mechanism, initial })
    }

    fn sasl_line(&mut self, line: &[u8]) -> PwdEvent {
        match SaslReply::of_line(line) {
            SaslReply::Data(data) => {
                self.wait = Wait::Login;
                PwdEvent::AuthReply(data)
            }
            other => {
                self.wait = Wait::Nothing;
                let cancelled = other == SaslReply::Cancel;
                self.fault(500, if cancelled { "cancelled" } else { "broken base64" });
                PwdEvent::AuthCancelled
            }
        }
    }

    fn logged_in_command(&mut self, word: &[u8], rest: &[u8], line: &[u8]) -> Option<PwdEvent> {
        match word {
            b"INLINE" if rest.trim_ascii().is_empty() => {
                self.inline = true;
                self.line(200, "OK");
            }
            b"QUIT" => self.quit(),
            b"NEWPASS" => {
                self.wait = Wait::Answer;
                return Some(PwdEvent::NewPassword(Password::new(argument(rest))));
            }
            b"USER" | b"PASS" | b"APOP" | b"AUTH" | b"STLS" => self.line(500, "already logged in"),
            b"" => {}
            _ => {
                self.wait = Wait::Answer;
                return Some(PwdEvent::Command(line.to_vec()));
            }
        }
        None
    }

    /// Sends a SASL challenge.
    pub fn challenge(&mut self, data: &[u8]) {
        if self.wait == Wait::Login {
            self.output.extend_from_slice(b"300 ");
            push_base64(&mut self.output, data);
            self.output.extend_from_slice(b"\r\n");
            self.wait = Wait::SaslLine;
        }
    }

    /// The login succeeded.
    pub fn login_done(&mut self) {
        if self.wait == Wait::Login {
            self.logged_in = true;
            self.line(200, "login OK");
            self.wait = Wait::Nothing;
        }
    }

    /// The login failed.
    pub fn refuse(&mut self, code: u16, text: &str) {
        if self.wait == Wait::Login {
            self.wait = Wait::Nothing;
            self.line(code, text);
            self.failed_logins += 1;
            if self.failed_logins >= MAX_FAILED_LOGINS {
                self.wait = Wait::Closed;
            }
        }
    }

    /// TLS is active; what the client said before is forgotten.
    pub fn tls_started(&mut self, policy: PwdPolicy) {
        if self.wait == Wait::Tls {
            self.policy = policy;
            self.name = None;
            self.input.clear();
            self.wait = Wait::Nothing;
        }
    }

    /// Answers a command without data; success must be exactly 200 and `OK`, clients compare it.
    pub fn answer(&mut self, code: u16, text: &str) {
        if self.wait == Wait::Answer {
            self.wait = Wait::Nothing;
            self.line(code, text);
        }
    }

    /// Answers a command with an object in its single-line form, framed by the session's mode.
    pub fn answer_data(&mut self, object: &str) {
        if self.wait == Wait::Answer {
            self.wait = Wait::Nothing;
            if self.inline {
                self.output.extend_from_slice(b"201 ");
            } else {
                self.output.extend_from_slice(b"200 data follow\r\n");
            }
            self.text(object);
        }
    }

    /// Closes the connection with a last word (idle for too long, shutting down).
    pub fn close(&mut self, text: &str) {
        if self.wait != Wait::Closed {
            self.line(501, text);
            self.wait = Wait::Closed;
        }
    }

    fn quit(&mut self) {
        self.line(200, "connection closed");
        self.wait = Wait::Closed;
    }

    fn fault(&mut self, code: u16, text: &str) {
        self.line(code, text);
        if !self.logged_in {
            self.errors += 1;
            if self.errors >= MAX_ERRORS {
                self.wait = Wait::Closed;
            }
        }
    }

    fn line(&mut self, code: u16, text: &str) {
        self.output.extend_from_slice(format!("{code} ").as_bytes());
        self.text(text);
    }

    /// Text on one line, whatever it holds.
    fn text(&mut self, text: &str) {
        let clean = text.bytes().map(|b| if matches!(b, b'\r' | b'\n') { b' ' } else { b });
        self.output.extend(clean);
        self.output.extend_from_slice(b"\r\n");
    }
}

/// A name or password as it stands to the end of the line; if all of it is one quoted string
/// (`reference/data-format.md` section 4.2) it is decoded, because one client quotes them.
#[must_use]
pub fn argument(text: &[u8]) -> Vec<u8> {
    unquote(text).unwrap_or_else(|| text.to_vec())
}

fn unquote(text: &[u8]) -> Option<Vec<u8>> {
    let inner = text.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    let mut out = Vec::with_capacity(inner.len());
    let mut bytes = inner.iter().copied();
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => return None,
            b'\\' => match bytes.next()? {
                b'r' => out.push(b'\r'),
                b'n' | b'e' => out.push(b'\n'),
                b't' => out.push(b'\t'),
                first @ b'0'..=b'9' => {
                    let digits = [first, bytes.next()?, bytes.next()?];
                    let number = std::str::from_utf8(&digits).ok()?.parse::<u8>().ok()?;
                    out.push(number);
                }
                other => out.push(other),
            },
            other => out.push(other),
        }
    }
    Some(out)
}
