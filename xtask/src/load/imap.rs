//! As much of an IMAP client as the load needs: commands, literals both ways, IDLE.
//!
//! It must never know what is measured.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;

use super::connection::Connection;
use crate::corpus::texts::base64;

/// Largest literal that `LITERAL-` lets a client send without asking, octets (RFC 7888).
const SMALL_LITERAL: usize = 4_096;

/// One response of a server: its lines with the literals taken out.
#[derive(Debug, Default)]
pub(crate) struct Response {
    /// The lines, joined; each literal's announcement `{n}` is still there.
    pub(crate) text: Vec<u8>,
    /// The literals in their order, when they were kept.
    pub(crate) literals: Vec<Vec<u8>>,
}

impl Response {
    /// The number of `* N NAME`.
    pub(crate) fn numbered(&self, name: &str) -> Option<u64> {
        let text = std::str::from_utf8(&self.text).ok()?;
        text.strip_prefix("* ")?.strip_suffix(name)?.trim_end().parse().ok()
    }

    /// The number after a word, as in `MESSAGES 12`.
    pub(crate) fn after(&self, word: &str) -> Option<u64> {
        let text = String::from_utf8_lossy(&self.text);
        let rest = text.split_once(word)?.1.trim_start();
        rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
    }
}

/// A message on its way into a mailbox.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry<'a> {
    /// Flags with blanks between.
    pub(crate) flags: &'a str,
    /// INTERNALDATE without quotes.
    pub(crate) date: Option<&'a str>,
    /// The message.
    pub(crate) bytes: &'a [u8],
}

impl<'a> Entry<'a> {
    /// A message without flags, dated by the server.
    pub(crate) fn plain(bytes: &'a [u8]) -> Entry<'a> {
        Entry { flags: "", date: None, bytes }
    }

    /// A message as it was in another mailbox.
    pub(crate) fn dated(flags: &'a str, date: &'a str, bytes: &'a [u8]) -> Entry<'a> {
        Entry { flags, date: Some(date), bytes }
    }
}

/// A logged-in connection.
pub(crate) struct Imap {
    /// The connection, for what it counts.
    pub(crate) connection: Connection,
    capabilities: Vec<String>,
    number: u32,
    line: Vec<u8>,
    /// Tags of APPEND commands whose answer has not been read.
    open: VecDeque<String>,
}

impl Imap {
    /// Connects, logs in and asks for the capabilities.
    pub(crate) fn login(
        address: SocketAddr,
        user: &str,
        password: &str,
        buffer: usize,
    ) -> io::Result<Imap> {
        let connection = Connection::open(address, buffer)?;
        let mut imap = Imap {
            connection,
            capabilities: Vec::new(),
            number: 0,
            line: Vec::new(),
            open: VecDeque::new(),
        };
        let greeting = imap.response(false)?;
        if !greeting.text.starts_with(b"* OK") {
            return Err(refused("greeting", &greeting.text));
        }
        imap.command(&format!("LOGIN {} {}", quoted(user), quoted(password)))?;
        let mut words = Vec::new();
        imap.each("CAPABILITY", |response| {
            let text = String::from_utf8_lossy(&response.text).to_ascii_uppercase();
            if let Some(rest) = text.strip_prefix("* CAPABILITY") {
                words = rest.split_ascii_whitespace().map(str::to_owned).collect();
            }
            Ok(())
        })?;
        imap.capabilities = words;
        Ok(imap)
    }

    /// Whether the server says it can do that; given in capitals.
    pub(crate) fn can(&self, capability: &str) -> bool {
        self.capabilities.iter().any(|word| word == capability)
    }

    /// Sends a command; its tag.
    pub(crate) fn send(&mut self, command: &str) -> io::Result<String> {
        let tag = self.next_tag();
        self.connection.send(format!("{tag} {command}\r\n").as_bytes())?;
        Ok(tag)
    }

    fn next_tag(&mut self) -> String {
        self.number += 1;
        format!("Ld{}", self.number)
    }

    /// Reads one response; literals are kept or thrown away.
    pub(crate) fn response(&mut self, keep: bool) -> io::Result<Response> {
        let mut response = Response::default();
        loop {
            self.connection.line(&mut self.line)?;
            response.text.extend_from_slice(&self.line);
            let Some(size) = announced(&self.line) else { return Ok(response) };
            if keep {
                response.literals.push(self.connection.block(size)?);
            } else {
                self.connection.skip(size)?;
            }
        }
    }

    /// Sends a command and shows every untagged response to `each`, literals kept, until it is
    /// done.
    pub(crate) fn each(
        &mut self,
        command: &str,
        mut each: impl FnMut(Response) -> io::Result<()>,
    ) -> io::Result<()> {
        let tag = self.send(command)?;
        loop {
            let response = self.response(true)?;
            if response.text.starts_with(b"*") {
                each(response)?;
            } else {
                return check(&tag, command, &response.text);
            }
        }
    }

    /// Sends a command and reads to its end.
    pub(crate) fn command(&mut self, command: &str) -> io::Result<()> {
        self.each(command, |_| Ok(()))
    }

    /// Sends a command and throws its responses away unseen; octets received.
    pub(crate) fn drain(&mut self, command: &str) -> io::Result<u64> {
        let before = self.connection.received;
        let tag = self.send(command)?;
        let last = self.connection.drain(format!("{tag} ").as_bytes())?;
        check(&tag, command, &last)?;
        Ok(self.connection.received - before)
    }

    /// Opens a mailbox; the number of messages.
    pub(crate) fn select(&mut self, mailbox: &str) -> io::Result<u64> {
        let mut exists = 0;
        self.each(&format!("SELECT {}", quoted(mailbox)), |response| {
            exists = response.numbered(" EXISTS").unwrap_or(exists);
            Ok(())
        })?;
        Ok(exists)
    }

    /// The number of messages of a mailbox that is not open.
    pub(crate) fn messages(&mut self, mailbox: &str) -> io::Result<u64> {
        let mut messages = None;
        self.each(&format!("STATUS {} (MESSAGES)", quoted(mailbox)), |response| {
            messages = response.after("(MESSAGES").or(messages);
            Ok(())
        })?;
        messages.ok_or_else(|| io::Error::other(format!("STATUS {mailbox} tells no number")))
    }

    /// Makes a mailbox if it is not there.
    pub(crate) fn ensure(&mut self, mailbox: &str) -> io::Result<()> {
        if mailbox.eq_ignore_ascii_case("INBOX") || self.messages(mailbox).is_ok() {
            return Ok(());
        }
        self.command(&format!("CREATE {}", quoted(mailbox)))
    }

    /// The names of all mailboxes that can be opened, as they are on the wire.
    pub(crate) fn list(&mut self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        self.each("LIST \"\" \"*\"", |response| {
            let text = String::from_utf8_lossy(&response.text).into_owned();
            let Some((attributes, rest)) = text.split_once(')') else { return Ok(()) };
            let attributes = attributes.to_ascii_lowercase();
            if !attributes.starts_with("* list (")
                || attributes.contains("\\noselect")
                || attributes.contains("\\nonexistent")
            {
                return Ok(());
            }
            if let Some(literal) = response.literals.first() {
                names.push(String::from_utf8_lossy(literal).into_owned());
            } else if let Some((_, name)) = rest.trim_start().split_once(' ') {
                names.push(unquoted(name.trim()));
            }
            Ok(())
        })?;
        Ok(names)
    }

    /// Goes into IDLE.
    pub(crate) fn idle(&mut self) -> io::Result<()> {
        let tag = self.send("IDLE")?;
        loop {
            let response = self.response(false)?;
            if response.text.starts_with(b"+") {
                return Ok(());
            }
            if !response.text.starts_with(b"*") {
                check(&tag, "IDLE", &response.text)?;
                return Err(refused("IDLE", &response.text));
            }
        }
    }

    /// Appends messages, all in one command if the server can, else one after the other, and
    /// waits until they are all answered.
    pub(crate) fn append(&mut self, mailbox: &str, entries: &[Entry<'_>]) -> io::Result<()> {
        self.append_ahead(mailbox, entries)?;
        self.settle(0)
    }

    /// Sends messages as [`Imap::append`] does but leaves their answers to [`Imap::settle`].
    pub(crate) fn append_ahead(&mut self, mailbox: &str, entries: &[Entry<'_>]) -> io::Result<()> {
        let several = if self.can("MULTIAPPEND") { entries.len().max(1) } else { 1 };
        for command in entries.chunks(several) {
            let tag = self.next_tag();
            let mut out = format!("{tag} APPEND {}", quoted(mailbox)).into_bytes();
            self.open.push_back(tag);
            for entry in command {
                if !entry.flags.is_empty() {
                    out.extend_from_slice(format!(" ({})", entry.flags).as_bytes());
                }
                if let Some(date) = entry.date {
                    out.extend_from_slice(format!(" \"{date}\"").as_bytes());
                }
                let size = entry.bytes.len();
                let ahead = self.can("LITERAL+") || (size <= SMALL_LITERAL && self.can("LITERAL-"));
                let plus = if ahead { "+" } else { "" };
                out.extend_from_slice(format!(" {{{size}{plus}}}\r\n").as_bytes());
                if !ahead {
                    self.connection.send(&out)?;
                    out.clear();
                    self.invitation()?;
                }
                out.extend_from_slice(entry.bytes);
            }
            out.extend_from_slice(b"\r\n");
            self.connection.send(&out)?;
        }
        Ok(())
    }

    /// Reads answers of APPEND commands until at most `left` are open.
    pub(crate) fn settle(&mut self, left: usize) -> io::Result<()> {
        while self.open.len() > left {
            let response = self.response(false)?;
            self.answered(&response)?;
        }
        Ok(())
    }

    /// Waits for the `+` that asks for a literal.
    fn invitation(&mut self) -> io::Result<()> {
        loop {
            let response = self.response(false)?;
            if response.text.starts_with(b"+") {
                return Ok(());
            }
            let last = self.open.len() <= 1;
            self.answered(&response)?;
            if last && !response.text.starts_with(b"*") {
                return Err(refused("APPEND", &response.text));
            }
        }
    }

    fn answered(&mut self, response: &Response) -> io::Result<()> {
        if response.text.starts_with(b"*") {
            return Ok(());
        }
        let tag = self.open.pop_front().unwrap_or_default();
        check(&tag, "APPEND", &response.text)
    }

    /// Says goodbye; what the server makes of it does not matter.
    pub(crate) fn logout(mut self) {
        let _ = self.command("LOGOUT");
    }
}

/// The size of the literal that a line announces at its end.
fn announced(line: &[u8]) -> Option<u64> {
    let open = line.strip_suffix(b"}")?.iter().rposition(|octet| *octet == b'{')?;
    std::str::from_utf8(line.get(open + 1..line.len() - 1)?)
        .ok()?
        .trim_end_matches('+')
        .parse()
        .ok()
}

/// Whether a line is the OK of this tag.
fn check(tag: &str, command: &str, line: &[u8]) -> io::Result<()> {
    let text = String::from_utf8_lossy(line);
    match text.strip_prefix(tag).and_then(|rest| rest.trim_start().get(..2)) {
        Some(word) if word.eq_ignore_ascii_case("OK") => Ok(()),
        _ => Err(refused(command, line)),
    }
}

fn refused(what: &str, line: &[u8]) -> io::Error {
    let what: String = what.chars().take(60).collect();
    // A password must not come into a log.
    let what = if what.starts_with("LOGIN") { "LOGIN".to_owned() } else { what };
    io::Error::other(format!("{what}: {}", String::from_utf8_lossy(line)))
}

/// A quoted string.
pub(crate) fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

fn unquoted(text: &str) -> String {
    match text.strip_prefix('"').and_then(|text| text.strip_suffix('"')) {
        Some(inside) => inside.replace("\\\"", "\"").replace("\\\\", "\\"),
        None => text.to_owned(),
    }
}

/// A mailbox name in the modified UTF-7 of RFC 3501, section 5.1.3.
pub(crate) fn wire_name(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    let mut units: Vec<u8> = Vec::new();
    let shift = |units: &mut Vec<u8>, out: &mut String| {
        if !units.is_empty() {
            let code = base64(units).replace('/', ",");
            out.push_str(&format!("&{}-", code.trim_end_matches('=')));
            units.clear();
        }
    };
    for c in name.chars() {
        if matches!(c, ' '..='~') {
            shift(&mut units, &mut out);
            out.push(c);
            if c == '&' {
                out.push('-');
            }
        } else {
            units.extend(c.encode_utf16(&mut [0; 2]).iter().flat_map(|unit| unit.to_be_bytes()));
        }
    }
    shift(&mut units, &mut out);
    out
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;

    use super::*;

    type Sent = std::thread::JoinHandle<String>;

    #[test]
    fn names_on_the_wire_are_those_of_the_standard() {
        assert_eq!(wire_name("~peter/mail/台北/日本語"), "~peter/mail/&U,BTFw-/&ZeVnLIqe-");
        assert_eq!(wire_name("Größe & Maß"), "Gr&APYA3w-e &- Ma&AN8-");
    }

    #[test]
    fn a_literal_is_announced_at_the_end_of_a_line_only() {
        assert_eq!(announced(b"* 1 FETCH (BODY[] {12}"), Some(12));
        assert_eq!(announced(b"* 1 FETCH (BODY[] {12} x"), None);
        assert_eq!(announced(b"}"), None);
    }

    /// A server that says what it is told to and gives back what it was sent.
    fn scripted(script: &'static [(&'static str, &'static str)]) -> (SocketAddr, Sent) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let sent = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            stream.write_all(b"* OK ready\r\n").unwrap();
            let (mut got, mut seen) = (String::new(), 0);
            for (until, answer) in script {
                // The client may be ahead with its next command.
                seen = loop {
                    if let Some(at) = got[seen..].find(until) {
                        break seen + at + until.len();
                    }
                    let mut octets = [0; 1_000];
                    let size = stream.read(&mut octets).unwrap();
                    assert!(size > 0, "closed after {got}");
                    got.push_str(std::str::from_utf8(&octets[..size]).unwrap());
                };
                stream.write_all(answer.as_bytes()).unwrap();
            }
            got
        });
        (address, sent)
    }

    #[test]
    fn a_server_that_takes_literals_at_once_gets_all_messages_in_one_command() {
        let (address, sent) = scripted(&[
            ("\r\n", "Ld1 OK in\r\n"),
            ("\r\n", "* CAPABILITY IMAP4rev1 LITERAL+ MULTIAPPEND\r\nLd2 OK\r\n"),
            ("three\r\n", "* 2 EXISTS\r\nLd3 OK done\r\n"),
        ]);
        let mut imap = Imap::login(address, "joe", "pa\"ss", 100).unwrap();
        let entries =
            [Entry::dated("\\Seen", "01-Jan-2024 00:00:00 +0000", b"one"), Entry::plain(b"three")];
        imap.append("A b", &entries).unwrap();
        let text = "Ld1 LOGIN \"joe\" \"pa\\\"ss\"\r\nLd2 CAPABILITY\r\n\
            Ld3 APPEND \"A b\" (\\Seen) \"01-Jan-2024 00:00:00 +0000\" {3+}\r\none {5+}\r\nthree\r\n";
        assert_eq!(sent.join().unwrap(), text);
    }

    #[test]
    fn a_server_of_old_is_asked_before_each_literal_and_gets_single_messages() {
        let (address, sent) = scripted(&[
            ("\r\n", "Ld1 OK in\r\n"),
            ("\r\n", "* CAPABILITY IMAP4rev1\r\nLd2 OK\r\n"),
            ("{3}\r\n", "+ go\r\n"),
            ("one\r\n", "Ld3 OK\r\n"),
            ("{5}\r\n", "Ld4 NO too large\r\n"),
        ]);
        let mut imap = Imap::login(address, "joe", "x", 100).unwrap();
        let error = imap.append("A", &[Entry::plain(b"one"), Entry::plain(b"three")]).unwrap_err();
        assert!(error.to_string().contains("too large"), "{error}");
        drop(imap);
        assert!(sent.join().unwrap().ends_with("Ld4 APPEND \"A\" {5}\r\n"));
    }

    #[test]
    fn what_is_drained_ends_with_the_answer_and_not_with_text_like_it() {
        let (address, sent) = scripted(&[
            ("\r\n", "Ld1 OK in\r\n"),
            ("\r\n", "Ld2 OK\r\n"),
            ("\r\n", "* 1 FETCH (BODY[] {11}\r\nLd3 OK no\r\n)\r\nLd3 OK done\r\n"),
        ]);
        let mut imap = Imap::login(address, "joe", "x", 8_192).unwrap();
        assert_eq!(imap.drain("FETCH 1 BODY[]").unwrap(), 51);
        sent.join().unwrap();
    }

    #[test]
    fn numbers_are_read_from_responses() {
        let of = |text: &str| Response { text: text.into(), literals: Vec::new() };
        assert_eq!(of("* 17 EXISTS").numbered(" EXISTS"), Some(17));
        assert_eq!(of("* STATUS INBOX (MESSAGES 9)").after("(MESSAGES"), Some(9));
    }
}
