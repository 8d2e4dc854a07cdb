//! The receiving machine's commands, one by one: what is refused at once, what is asked.
//! It must never know which addresses are good.

use super::content::Transaction;
use super::session::{Asked, Session, State};
use super::{Close, Event};
use crate::address::{AddressError, Path};
use crate::command::{Command, CommandError, Hello};
use crate::parameters::{MailParameters, RcptParameters};
use crate::reply::{Reply, Status};
use crate::{Protocol, limits};

impl Session {
    pub(super) fn command(&mut self, line: &str) -> Option<Event> {
        let pipelining = matches!(self.hello, Some(Hello::Ehlo | Hello::Lhlo));
        if self.config.enforce_pipelining && !pipelining && !self.input.is_empty() {
            self.reply(&Reply::new(554, Status(5, 5, 0), "pipelining was not announced"));
            self.close(Close::Pipelining);
            return None;
        }
        let command = match Command::parse(line) {
            Ok(command) => command,
            Err(error) => {
                self.bad_command(error);
                return None;
            }
        };
        let works = match command {
            Command::Rcpt { .. } | Command::Data | Command::Quit => true,
            Command::Bdat { size, .. } => size > 0,
            Command::Burl { .. } => self.config.offers.burl,
            _ => false,
        };
        if !works {
            self.idle += 1;
            if self.idle > self.config.max_idle_commands {
                self.too_many("too many commands without mail");
                return None;
            }
        }
        match command {
            Command::Hello { verb, name } => self.hello(verb, name),
            Command::Mail { path, parameters } => self.mail(path, parameters),
            Command::Rcpt { path, parameters } => self.rcpt(path, parameters),
            Command::Data => self.data(),
            Command::Bdat { size, last } => self.bdat(size, last),
            Command::Burl { url, last } => self.burl(url, last),
            Command::StartTls => self.starttls(),
            Command::Auth { mechanism, initial } => self.auth(mechanism, initial),
            Command::Reset => {
                self.transaction = None;
                self.reply(&Reply::new(250, Status(2, 0, 0), "reset"));
                Some(Event::Reset)
            }
            Command::Noop => {
                self.reply(&Reply::new(250, Status(2, 0, 0), "nothing done"));
                None
            }
            // The same answer for every name (ABU-15).
            Command::Verify(_) => {
                let text = "not verified, but mail will be taken if the name is good";
                self.reply(&Reply::new(252, Status(2, 1, 5), text));
                None
            }
            Command::Expand(_) => {
                self.error(&Reply::new(502, Status(5, 7, 0), "lists are not expanded"));
                None
            }
            Command::Etrn { what, name } => self.etrn(what, name),
            Command::Atrn { domains } => self.atrn(domains),
            Command::Xclient(facts) => self.xclient(facts),
            Command::Help => {
                let lines = self.help();
                self.reply(&Reply::list(214, lines));
                None
            }
            Command::Quit => {
                let text = format!("{} Angarium SMTP closing connection", self.config.host);
                self.reply(&Reply::new(221, Status(2, 0, 0), text));
                self.close(Close::Quit);
                None
            }
        }
    }

    fn bad_command(&mut self, error: CommandError) {
        let reply = match error {
            CommandError::Unknown => Reply::new(500, Status(5, 5, 1), "command not recognised"),
            CommandError::Syntax(text) => Reply::new(501, Status(5, 5, 4), text),
            CommandError::Address(AddressError::Syntax) => {
                Reply::new(501, Status(5, 1, 3), "address syntax")
            }
            CommandError::Address(AddressError::TooLong) => {
                Reply::new(501, Status(5, 1, 3), "address too long")
            }
            CommandError::UnknownParameter => {
                Reply::new(555, Status(5, 5, 4), "parameter not recognised")
            }
            CommandError::Bdat => {
                // Where the content ends and commands begin cannot be known any more.
                self.close(Close::Flood);
                Reply::new(501, Status(5, 5, 4), "BDAT takes a length and LAST; closing")
            }
        };
        self.error(&reply);
    }

    fn hello(&mut self, verb: Hello, name: String) -> Option<Event> {
        let lmtp = self.config.protocol == Protocol::Lmtp;
        if lmtp != (verb == Hello::Lhlo) {
            let text = if lmtp { "LHLO is spoken here" } else { "this is no LMTP" };
            self.error(&Reply::new(500, Status(5, 5, 1), text));
            return None;
        }
        self.transaction = None;
        self.qualified = name.contains(['.', ':', '[']);
        self.ask(Asked::Hello(verb));
        Some(Event::Hello { verb, name })
    }

    pub(super) fn welcome_as(&mut self, asked: Asked) {
        let Asked::Hello(verb) = asked else { return };
        self.state = State::Command;
        self.hello = Some(verb);
        let text = if self.qualified {
            "is pleased to meet you"
        } else {
            "domain name should be qualified"
        };
        let mut lines = vec![format!("{} {text}", self.config.host)];
        if verb != Hello::Helo {
            self.extensions(&mut lines);
        }
        self.reply(&Reply::list(250, lines));
    }

    fn mail(&mut self, path: Path, parameters: MailParameters) -> Option<Event> {
        if self.hello.is_none() {
            return self.sequence("say EHLO first");
        }
        if self.transaction.is_some() {
            return self.sequence("a message is under way already");
        }
        if self.messages >= self.config.max_messages {
            self.too_many("too many messages on one connection");
            return None;
        }
        let refusal = if self.config.auth_required && !self.authenticated {
            Some(Reply::new(530, Status(5, 7, 0), "authentication required"))
        } else if path.mailbox.as_ref().is_some_and(|m| m.domain.is_empty()) {
            Some(Reply::new(553, Status(5, 1, 7), "the sender's address needs a domain"))
        } else if !path.is_ascii() && !parameters.smtputf8 {
            Some(Reply::new(553, Status(5, 6, 7), "SMTPUTF8 is needed for this address"))
        } else if parameters.size.is_some_and(|size| size > self.config.max_size) {
            Some(Reply::new(552, Status(5, 3, 4), "message too large"))
        } else {
            self.not_offered(&parameters)
        };
        if let Some(reply) = refusal {
            self.error(&reply);
            return None;
        }
        self.transaction = Some(Transaction::new(&parameters));
        self.state = State::Answer(Asked::Mail);
        Some(Event::Mail { path, parameters })
    }

    fn rcpt(&mut self, path: Path, parameters: RcptParameters) -> Option<Event> {
        let Some(transaction) = self.transaction.as_ref().filter(|t| t.open && !t.started) else {
            return self.sequence("MAIL comes first");
        };
        if transaction.recipients >= self.config.max_recipients {
            self.surplus += 1;
            if self.surplus > limits::SURPLUS_RECIPIENTS {
                self.too_many("too many recipients");
            } else {
                self.reply(&Reply::new(452, Status(4, 5, 3), "too many recipients"));
            }
            return None;
        }
        if !path.is_ascii() && !transaction.smtputf8 {
            self.error(&Reply::new(553, Status(5, 6, 7), "SMTPUTF8 is needed for this address"));
            return None;
        }
        if parameters.same_owner.is_some() && !self.config.offers.same_owner {
            self.error(&Reply::new(555, Status(5, 5, 4), "RRVS is not offered"));
            return None;
        }
        self.state = State::Answer(Asked::Rcpt);
        Some(Event::Rcpt { path, parameters })
    }

    fn starttls(&mut self) -> Option<Event> {
        if self.tls {
            return self.sequence("the connection is encrypted already");
        }
        if !self.config.starttls {
            self.error(&Reply::new(502, Status(5, 5, 1), "STARTTLS is not offered"));
            return None;
        }
        self.reply(&Reply::new(220, Status(2, 0, 0), "ready to start TLS"));
        self.input.clear();
        self.state = State::Tls;
        Some(Event::StartTls)
    }

    fn auth(&mut self, mechanism: String, initial: Option<Vec<u8>>) -> Option<Event> {
        if self.hello.is_none() || self.hello == Some(Hello::Helo) {
            return self.sequence("say EHLO first");
        }
        if self.authenticated || self.transaction.is_some() {
            return self.sequence("not now");
        }
        if !self.mechanisms().contains(&mechanism) {
            let reply = if !self.tls && self.config.mechanisms_tls.contains(&mechanism) {
                Reply::new(538, Status(5, 7, 11), "encryption is needed for this mechanism")
            } else {
                Reply::new(504, Status(5, 5, 4), "mechanism not offered")
            };
            self.error(&reply);
            return None;
        }
        self.state = State::Answer(Asked::Auth);
        Some(Event::Auth { mechanism, initial })
    }
}
