//! The grammar of POP3 commands (RFC 1939, 2449, 2595, 5034, 6856; XTND of RFC 1082). It must
//! never know in which state a command is allowed.

/// One command of the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command<'a> {
    /// `USER name`
    User(&'a [u8]),
    /// `PASS password`, the rest of the line as it is.
    Pass(&'a [u8]),
    /// `APOP name digest`
    Apop(&'a [u8], &'a [u8]),
    /// `AUTH mechanism [initial response]`
    Auth(&'a str, Option<&'a [u8]>),
    /// `AUTH` alone lists the mechanisms (an old habit of clients).
    AuthList,
    /// `CAPA`
    Capa,
    /// `STLS`
    Stls,
    /// `STAT`
    Stat,
    /// `LIST [number]`
    List(Option<u64>),
    /// `UIDL [number]`
    Uidl(Option<u64>),
    /// `TOP number lines`
    Top(u64, u64),
    /// `RETR number`
    Retr(u64),
    /// `DELE number`
    Dele(u64),
    /// `RSET`
    Rset,
    /// `NOOP`
    Noop,
    /// `LAST`
    Last,
    /// `QUIT`
    Quit,
    /// `XTND XMIT`
    XtndXmit,
    /// `UTF8`
    Utf8,
    /// `LANG [tag]`
    Lang(Option<&'a [u8]>),
}

/// Why a line is not a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// No such command.
    Unknown,
    /// The parameters are wrong; what was expected.
    Syntax(&'static str),
}

impl<'a> Command<'a> {
    /// Reads a line (without its end).
    ///
    /// # Errors
    /// [`Fault`] when it is no command.
    pub fn parse(line: &'a [u8]) -> Result<Self, Fault> {
        let (keyword, rest) = split_word(line);
        let mut upper = [0u8; 4];
        let Some(slot) = upper.get_mut(..keyword.len()) else { return Err(Fault::Unknown) };
        slot.copy_from_slice(keyword);
        upper.make_ascii_uppercase();
        // Only PASS may mean the spaces at the end of its line.
        let parameters = rest.map(<[u8]>::trim_ascii).filter(|text| !text.is_empty());
        match &upper {
            b"USER" => parameters.map(Command::User).ok_or(Fault::Syntax("USER name")),
            b"PASS" => rest.map(Command::Pass).ok_or(Fault::Syntax("PASS password")),
            b"APOP" => apop(parameters),
            b"AUTH" => auth(parameters),
            b"CAPA" => Ok(Command::Capa),
            b"STLS" => alone(parameters, Command::Stls, "STLS"),
            b"STAT" => alone(parameters, Command::Stat, "STAT"),
            b"LIST" => Ok(Command::List(optional_number(parameters, "LIST [message]")?)),
            b"UIDL" => Ok(Command::Uidl(optional_number(parameters, "UIDL [message]")?)),
            b"RETR" => Ok(Command::Retr(one_number(parameters, "RETR message")?)),
            b"DELE" => Ok(Command::Dele(one_number(parameters, "DELE message")?)),
            b"TOP\0" => top(parameters),
            b"RSET" => alone(parameters, Command::Rset, "RSET"),
            b"NOOP" => Ok(Command::Noop),
            b"LAST" => alone(parameters, Command::Last, "LAST"),
            b"QUIT" => Ok(Command::Quit),
            b"XTND" => xtnd(parameters),
            b"UTF8" => alone(parameters, Command::Utf8, "UTF8"),
            b"LANG" => Ok(Command::Lang(parameters)),
            _ => Err(Fault::Unknown),
        }
    }
}

/// The first word and what follows the one space after it.
fn split_word(line: &[u8]) -> (&[u8], Option<&[u8]>) {
    match line.iter().position(|&byte| byte == b' ') {
        Some(at) => (line.get(..at).unwrap_or(&[]), line.get(at + 1..)),
        None => (line, None),
    }
}

fn alone<'a>(
    parameters: Option<&[u8]>,
    command: Command<'a>,
    form: &'static str,
) -> Result<Command<'a>, Fault> {
    if parameters.is_none() { Ok(command) } else { Err(Fault::Syntax(form)) }
}

fn number(text: &[u8]) -> Option<u64> {
    if text.is_empty() || text.len() > 40 || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    // Numbers past all messages and lines are as good as the largest.
    Some(
        text.iter().fold(0u64, |sum, digit| {
            sum.saturating_mul(10).saturating_add(u64::from(digit - b'0'))
        }),
    )
}

fn one_number(parameters: Option<&[u8]>, form: &'static str) -> Result<u64, Fault> {
    parameters.and_then(number).ok_or(Fault::Syntax(form))
}

fn optional_number(parameters: Option<&[u8]>, form: &'static str) -> Result<Option<u64>, Fault> {
    parameters.map(|text| number(text).ok_or(Fault::Syntax(form))).transpose()
}

fn top(parameters: Option<&[u8]>) -> Result<Command<'_>, Fault> {
    let fault = Fault::Syntax("TOP message lines");
    let (message, lines) = split_word(parameters.ok_or(fault)?);
    let lines = lines.map(<[u8]>::trim_ascii).and_then(number).ok_or(fault)?;
    Ok(Command::Top(number(message).ok_or(fault)?, lines))
}

fn apop(parameters: Option<&[u8]>) -> Result<Command<'_>, Fault> {
    let text = parameters.ok_or(Fault::Syntax("APOP name digest"))?;
    let at = text.iter().rposition(|&b| b == b' ').ok_or(Fault::Syntax("APOP name digest"))?;
    let name = text.get(..at).unwrap_or(&[]).trim_ascii();
    let digest = text.get(at + 1..).unwrap_or(&[]);
    if name.is_empty() || digest.len() != 32 || !digest.iter().all(u8::is_ascii_hexdigit) {
        return Err(Fault::Syntax("APOP name digest"));
    }
    Ok(Command::Apop(name, digest))
}

fn auth(parameters: Option<&[u8]>) -> Result<Command<'_>, Fault> {
    let Some(text) = parameters else { return Ok(Command::AuthList) };
    let (mechanism, initial) = split_word(text);
    let known = mechanism.len() <= 20
        && mechanism.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
    let mechanism = std::str::from_utf8(mechanism).ok().filter(|_| known);
    let mechanism = mechanism.ok_or(Fault::Syntax("AUTH mechanism [initial]"))?;
    Ok(Command::Auth(mechanism, initial.map(<[u8]>::trim_ascii)))
}

fn xtnd(parameters: Option<&[u8]>) -> Result<Command<'_>, Fault> {
    match parameters {
        Some(word) if word.eq_ignore_ascii_case(b"XMIT") => Ok(Command::XtndXmit),
        _ => Err(Fault::Syntax("XTND XMIT")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_command_is_read_in_any_case() {
        let cases: Vec<(&[u8], Command<'_>)> = vec![
            (b"user  bob smith ", Command::User(b"bob smith")),
            (b"PASS  a b ", Command::Pass(b" a b ")),
            (
                b"apop bob 0123456789abcdef0123456789ABCDEF",
                Command::Apop(b"bob", b"0123456789abcdef0123456789ABCDEF"),
            ),
            (b"AUTH", Command::AuthList),
            (b"AUTH PLAIN =", Command::Auth("PLAIN", Some(b"="))),
            (b"auth SCRAM-SHA-256", Command::Auth("SCRAM-SHA-256", None)),
            (b"Capa", Command::Capa),
            (b"STLS", Command::Stls),
            (b"STAT ", Command::Stat),
            (b"LIST", Command::List(None)),
            (b"list 2", Command::List(Some(2))),
            (b"UIDL 00003", Command::Uidl(Some(3))),
            (b"TOP 1 2147483648", Command::Top(1, 1 << 31)),
            (b"RETR 99999999999999999999999", Command::Retr(u64::MAX)),
            (b"DELE 1", Command::Dele(1)),
            (b"RSET", Command::Rset),
            (b"noop", Command::Noop),
            (b"LAST", Command::Last),
            (b"QUIT", Command::Quit),
            (b"xtnd xmit", Command::XtndXmit),
            (b"UTF8", Command::Utf8),
            (b"LANG", Command::Lang(None)),
            (b"LANG *", Command::Lang(Some(b"*"))),
        ];
        for (line, command) in cases {
            assert_eq!(Command::parse(line), Ok(command), "{}", String::from_utf8_lossy(line));
        }
    }

    #[test]
    fn wrong_lines_are_refused() {
        for line in ["", " ", "HELO x", "RETRIEVE 1", "GET /", "\u{0}\u{0}\u{0}\u{0}"] {
            assert_eq!(Command::parse(line.as_bytes()), Err(Fault::Unknown), "{line}");
        }
        for line in [
            "RETR",
            "RETR -1",
            "RETR x",
            "TOP 1",
            "TOP 1 2 3",
            "LIST 1 2",
            "USER",
            "APOP a b",
            "AUTH a@b",
            "XTND XLST",
            "STAT 1",
        ] {
            assert!(matches!(Command::parse(line.as_bytes()), Err(Fault::Syntax(_))), "{line}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]
        #[test]
        fn no_line_can_do_harm(line in proptest::collection::vec(any::<u8>(), 0..60)) {
            let _ = Command::parse(&line);
        }
    }
}
