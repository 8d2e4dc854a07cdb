//! The commands of SMTP and LMTP, read from and written to one line without its CRLF.
//!
//! It must never know the state of a session.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use thiserror::Error;

use crate::address::{AddressError, Path};
use crate::client_facts::ClientFacts;
use crate::limits;
use crate::parameters::{MailParameters, RcptParameters};

/// The word a client greets with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Hello {
    /// `HELO`: no extensions.
    Helo,
    /// `EHLO`
    Ehlo,
    /// `LHLO` of LMTP.
    Lhlo,
}

/// What ETRN names (RFC 1985 section 5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Release {
    /// A domain.
    Domain,
    /// `@`: a domain and those below it.
    Below,
    /// `#`: a queue of this server.
    Queue,
}

/// One command.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "fields are the grammar's own")]
#[non_exhaustive]
pub enum Command {
    /// HELO, EHLO, LHLO with the client's name.
    Hello { verb: Hello, name: String },
    /// MAIL FROM
    Mail { path: Path, parameters: MailParameters },
    /// RCPT TO
    Rcpt { path: Path, parameters: RcptParameters },
    /// DATA
    Data,
    /// BDAT (RFC 3030)
    Bdat { size: u64, last: bool },
    /// BURL (RFC 4468)
    Burl { url: String, last: bool },
    /// STARTTLS (RFC 3207)
    StartTls,
    /// AUTH (RFC 4954); the mechanism in capitals, the initial response decoded.
    Auth { mechanism: String, initial: Option<Vec<u8>> },
    /// RSET
    Reset,
    /// NOOP
    Noop,
    /// VRFY
    Verify(String),
    /// EXPN
    Expand(String),
    /// ETRN (RFC 1985); the name in lower case.
    Etrn { what: Release, name: String },
    /// ATRN (RFC 2645); the domains in lower case, none for all.
    Atrn { domains: Vec<String> },
    /// XCLIENT
    Xclient(ClientFacts),
    /// HELP
    Help,
    /// QUIT
    Quit,
}

/// Why a line is no command.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum CommandError {
    /// The verb is not known.
    #[error("command not recognised")]
    Unknown,
    /// The verb is known, what follows is not right.
    #[error("{0}")]
    Syntax(&'static str),
    /// The path of MAIL or RCPT.
    #[error("{0}")]
    Address(#[from] AddressError),
    /// A parameter of MAIL or RCPT nobody knows.
    #[error("unknown parameter")]
    UnknownParameter,
    /// BDAT without a length that can be trusted: what follows cannot be told from commands.
    #[error("BDAT takes a length and LAST")]
    Bdat,
}

impl Command {
    /// Reads one line, without its CRLF.
    ///
    /// # Errors
    /// [`CommandError`] says what is wrong; BDAT errors mean that the stream cannot be followed
    /// any further.
    pub fn parse(line: &str) -> Result<Self, CommandError> {
        let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
        let bare = rest.trim_matches(' ').is_empty();
        match verb.to_ascii_uppercase().as_str() {
            "HELO" => hello(Hello::Helo, rest),
            "EHLO" => hello(Hello::Ehlo, rest),
            "LHLO" => hello(Hello::Lhlo, rest),
            "MAIL" => {
                let (path, rest) = path_after(rest, "FROM:")?;
                Ok(Self::Mail { path, parameters: MailParameters::parse(rest)? })
            }
            "RCPT" => {
                let (path, rest) = path_after(rest, "TO:")?;
                if path.mailbox.is_none() {
                    return Err(AddressError::Syntax.into());
                }
                Ok(Self::Rcpt { path, parameters: RcptParameters::parse(rest)? })
            }
            "DATA" if bare => Ok(Self::Data),
            "BDAT" => bdat(rest),
            "BURL" => burl(rest),
            "STARTTLS" if bare => Ok(Self::StartTls),
            "AUTH" => auth(rest),
            "RSET" if bare => Ok(Self::Reset),
            "QUIT" if bare => Ok(Self::Quit),
            "DATA" | "STARTTLS" | "RSET" | "QUIT" => Err(CommandError::Syntax("no parameters")),
            "NOOP" => Ok(Self::Noop),
            "VRFY" => Ok(Self::Verify(rest.trim_matches(' ').to_owned())),
            "EXPN" => Ok(Self::Expand(rest.trim_matches(' ').to_owned())),
            "ETRN" => etrn(rest.trim_matches(' ')),
            "ATRN" => atrn(rest.trim_matches(' ')),
            "XCLIENT" => ClientFacts::parse(rest).map(Self::Xclient),
            "HELP" => Ok(Self::Help),
            _ => Err(CommandError::Unknown),
        }
    }
}

fn hello(verb: Hello, rest: &str) -> Result<Command, CommandError> {
    let name = rest.trim_matches(' ');
    // Client names are wild in practice (underscores, bare addresses); only what would spoil
    // the trace header or a log line is refused.
    let clean = |c: char| !c.is_control() && c != ' ' && !"()<>\"\\,;@".contains(c);
    if name.is_empty() || name.len() > limits::DOMAIN || !name.chars().all(clean) {
        return Err(CommandError::Syntax("a domain name or address literal is needed"));
    }
    Ok(Command::Hello { verb, name: name.to_owned() })
}

fn path_after<'a>(rest: &'a str, word: &str) -> Result<(Path, &'a str), CommandError> {
    let rest = rest.trim_start_matches(' ');
    match (rest.get(..word.len()), rest.get(word.len()..)) {
        (Some(start), Some(after)) if start.eq_ignore_ascii_case(word) => {
            Ok(Path::read(after.trim_start_matches(' '))?)
        }
        _ => Err(CommandError::Syntax("FROM:<address> or TO:<address> is needed")),
    }
}

fn bdat(rest: &str) -> Result<Command, CommandError> {
    let mut words = rest.split(' ').filter(|w| !w.is_empty());
    let size = words.next().filter(|w| w.bytes().all(|b| b.is_ascii_digit()));
    let size = size.and_then(|w| w.parse().ok()).ok_or(CommandError::Bdat)?;
    let last = match words.next() {
        None => false,
        Some(word) if word.eq_ignore_ascii_case("LAST") => true,
        Some(_) => return Err(CommandError::Bdat),
    };
    if words.next().is_some() { Err(CommandError::Bdat) } else { Ok(Command::Bdat { size, last }) }
}

fn burl(rest: &str) -> Result<Command, CommandError> {
    let mut words = rest.split(' ').filter(|w| !w.is_empty());
    let wrong = CommandError::Syntax("BURL takes a URL and LAST");
    let url = words.next().filter(|w| w.bytes().all(|b| b.is_ascii_graphic())).ok_or(wrong)?;
    let last = match words.next() {
        None => false,
        Some(word) if word.eq_ignore_ascii_case("LAST") => true,
        Some(_) => return Err(wrong),
    };
    if words.next().is_some() {
        Err(wrong)
    } else {
        Ok(Command::Burl { url: url.to_owned(), last })
    }
}

/// A domain as ETRN and ATRN name it, or a queue: no spaces, nothing that would spoil a log line.
fn queue_name(text: &str) -> Option<String> {
    let good = |c: char| c.is_alphanumeric() || "-_.:[]".contains(c);
    let name = (1..=limits::DOMAIN).contains(&text.len()) && text.chars().all(good);
    name.then(|| text.trim_end_matches('.').to_lowercase()).filter(|name| !name.is_empty())
}

fn etrn(text: &str) -> Result<Command, CommandError> {
    let (what, name) = match text.split_at_checked(1) {
        Some(("@", name)) => (Release::Below, name),
        Some(("#", name)) => (Release::Queue, name),
        _ => (Release::Domain, text),
    };
    let name = queue_name(name).ok_or(CommandError::Syntax("ETRN takes the name of a domain"))?;
    Ok(Command::Etrn { what, name })
}

fn atrn(text: &str) -> Result<Command, CommandError> {
    let wrong = CommandError::Syntax("ATRN takes names of domains, separated by commas");
    if text.is_empty() {
        return Ok(Command::Atrn { domains: Vec::new() });
    }
    let names = text.split(',').take(limits::ATRN_DOMAINS + 1);
    let domains: Vec<String> =
        names.map(|n| queue_name(n.trim_matches(' '))).collect::<Option<_>>().ok_or(wrong)?;
    if domains.len() > limits::ATRN_DOMAINS { Err(wrong) } else { Ok(Command::Atrn { domains }) }
}

fn auth(rest: &str) -> Result<Command, CommandError> {
    let mut words = rest.split(' ').filter(|w| !w.is_empty());
    let mechanism = words.next().ok_or(CommandError::Syntax("a mechanism is needed"))?;
    let known = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    if mechanism.len() > 20 || !mechanism.bytes().all(known) {
        return Err(CommandError::Syntax("mechanism name"));
    }
    let initial = match words.next() {
        None => None,
        Some("=") => Some(Vec::new()),
        Some(word) => Some(STANDARD.decode(word).map_err(|_| CommandError::Syntax("not base64"))?),
    };
    if words.next().is_some() {
        return Err(CommandError::Syntax("one initial response"));
    }
    Ok(Command::Auth { mechanism: mechanism.to_ascii_uppercase(), initial })
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hello { verb, name } => {
                let verb = match verb {
                    Hello::Helo => "HELO",
                    Hello::Ehlo => "EHLO",
                    Hello::Lhlo => "LHLO",
                };
                write!(f, "{verb} {name}")
            }
            Self::Mail { path, parameters } => write!(f, "MAIL FROM:{path}{parameters}"),
            Self::Rcpt { path, parameters } => write!(f, "RCPT TO:{path}{parameters}"),
            Self::Data => f.write_str("DATA"),
            Self::Bdat { size, last } => {
                write!(f, "BDAT {size}{}", if *last { " LAST" } else { "" })
            }
            Self::Burl { url, last } => {
                write!(f, "BURL {url}{}", if *last { " LAST" } else { "" })
            }
            Self::StartTls => f.write_str("STARTTLS"),
            Self::Auth { mechanism, initial } => {
                write!(f, "AUTH {mechanism}")?;
                match initial.as_deref() {
                    None => Ok(()),
                    Some([]) => f.write_str(" ="),
                    Some(bytes) => write!(f, " {}", STANDARD.encode(bytes)),
                }
            }
            Self::Reset => f.write_str("RSET"),
            Self::Noop => f.write_str("NOOP"),
            Self::Verify(name) => write!(f, "VRFY {name}"),
            Self::Expand(name) => write!(f, "EXPN {name}"),
            Self::Etrn { what, name } => {
                let mark = match what {
                    Release::Domain => "",
                    Release::Below => "@",
                    Release::Queue => "#",
                };
                write!(f, "ETRN {mark}{name}")
            }
            Self::Atrn { domains } if domains.is_empty() => f.write_str("ATRN"),
            Self::Atrn { domains } => write!(f, "ATRN {}", domains.join(",")),
            Self::Xclient(facts) => write!(f, "XCLIENT{facts}"),
            Self::Help => f.write_str("HELP"),
            Self::Quit => f.write_str("QUIT"),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_command_reads_back_as_written() {
        for line in [
            "EHLO laptop.example",
            "HELO [192.0.2.1]",
            "LHLO relay",
            "MAIL FROM:<>",
            "MAIL FROM:<a@b.example> SIZE=10 BODY=8BITMIME",
            "RCPT TO:<a@b.example> NOTIFY=NEVER",
            "DATA",
            "BDAT 100",
            "BDAT 0 LAST",
            "BURL imap://joe@example.com/INBOX/;UID=1;URLAUTH=submit+joe:internal:00 LAST",
            "STARTTLS",
            "AUTH PLAIN AGEAYg==",
            "AUTH LOGIN",
            "AUTH EXTERNAL =",
            "RSET",
            "NOOP",
            "VRFY bob",
            "EXPN staff",
            "ETRN client.example",
            "ETRN @client.example",
            "ETRN #queue",
            "ATRN",
            "ATRN a.example,b.example",
            "XCLIENT NAME=client.example ADDR=192.0.2.1",
            "HELP",
            "QUIT",
        ] {
            assert_eq!(Command::parse(line).unwrap().to_string(), line);
        }
    }

    #[test]
    fn sloppy_spelling_is_understood() {
        for (sloppy, meant) in [
            ("mail from: <a@b>", "MAIL FROM:<a@b>"),
            ("Rcpt To:a@b", "RCPT TO:<a@b>"),
            ("noop once", "NOOP"),
            ("quit ", "QUIT"),
            ("bdat 5 last", "BDAT 5 LAST"),
            ("auth plain", "AUTH PLAIN"),
        ] {
            assert_eq!(Command::parse(sloppy).unwrap().to_string(), meant);
        }
    }

    #[test]
    fn errors_are_told_apart() {
        assert_eq!(Command::parse("FOO"), Err(CommandError::Unknown));
        assert_eq!(Command::parse(""), Err(CommandError::Unknown));
        assert_eq!(Command::parse("RCPT TO:<>"), Err(AddressError::Syntax.into()));
        assert_eq!(Command::parse("MAIL FROM:<a@b> X=1"), Err(CommandError::UnknownParameter));
        for line in ["BDAT", "BDAT LAST 0", "BDAT -1", "BDAT 18446744073709551616", "BDAT 1 2"] {
            assert_eq!(Command::parse(line), Err(CommandError::Bdat), "{line}");
        }
        assert_eq!(
            Command::parse("BDAT 18446744073709551615"),
            Ok(Command::Bdat { size: u64::MAX, last: false })
        );
        for line in ["ETRN", "ETRN @", "ETRN a b", "ETRN .", "ATRN a,,b", "XCLIENT", "XCLIENT A=b"]
        {
            assert!(matches!(Command::parse(line), Err(CommandError::Syntax(_))), "{line}");
        }
        let many = format!("ATRN {}", vec!["a.example"; limits::ATRN_DOMAINS + 1].join(","));
        assert!(Command::parse(&many).is_err());
        for line in ["EHLO", "EHLO a b", "EHLO (x)", "MAIL <a@b>", "AUTH", "AUTH PLAIN !", "DATA x"]
        {
            assert!(matches!(Command::parse(line), Err(CommandError::Syntax(_))), "{line}");
        }
    }

    proptest! {
        #[test]
        fn no_line_makes_the_reader_panic(line in "\\PC{0,80}") {
            let _ = Command::parse(&line);
        }

        #[test]
        fn no_known_verb_makes_the_reader_panic(
            verb in "(MAIL FROM:|MAIL FROM:<> |RCPT TO:|RCPT TO:<a> |AUTH |BDAT |EHLO |ETRN |ATRN |XCLIENT |BURL )", rest in "[ -~é]{0,60}",
        ) {
            if let Ok(command) = Command::parse(&format!("{verb}{rest}")) {
                let written = command.to_string();
                prop_assert_eq!(Command::parse(&written), Ok(command));
            }
        }
    }
}
