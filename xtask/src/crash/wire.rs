//! One plain connection to the server: lines, literals, and the few words of SMTP, IMAP and PWD
//! that the crash rounds speak. It must never know the ledger.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use super::ledger::{MailboxSeen, Seen, identity};

/// What went wrong, in words.
pub(crate) type Outcome<T> = Result<T, String>;

/// How long any one answer may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// Longest line taken, octets.
const LONGEST_LINE: u64 = 4 * 1024 * 1024;

/// Largest literal taken, octets.
const LARGEST_LITERAL: usize = 64 * 1024 * 1024;

fn words(error: std::io::Error) -> String {
    error.to_string()
}

/// A connection.
pub(crate) struct Wire {
    reader: BufReader<TcpStream>,
    writer: TcpStream,
}

impl Wire {
    /// Connects to a port of this machine.
    pub(crate) fn connect(port: u16) -> Outcome<Self> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let writer = TcpStream::connect_timeout(&address, PATIENCE).map_err(words)?;
        writer.set_read_timeout(Some(PATIENCE)).map_err(words)?;
        writer.set_write_timeout(Some(PATIENCE)).map_err(words)?;
        writer.set_nodelay(true).map_err(words)?;
        Ok(Self { reader: BufReader::new(writer.try_clone().map_err(words)?), writer })
    }

    /// Sends bytes.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> Outcome<()> {
        self.writer.write_all(bytes).map_err(words)
    }

    /// Reads a line without its end.
    pub(crate) fn line(&mut self) -> Outcome<String> {
        let mut line = Vec::new();
        self.reader.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut line).map_err(words)?;
        if line.pop() != Some(b'\n') {
            return Err("the server closed the connection".to_owned());
        }
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        Ok(String::from_utf8_lossy(&line).into_owned())
    }

    /// Reads a reply of SMTP or PWD, of one line or more: its code and last line.
    pub(crate) fn reply(&mut self) -> Outcome<(u16, String)> {
        loop {
            let line = self.line()?;
            let code = line.get(..3).and_then(|code| code.parse().ok());
            let code = code.ok_or_else(|| format!("no reply code in {line:?}"))?;
            if line.as_bytes().get(3) != Some(&b'-') {
                return Ok((code, line));
            }
        }
    }

    /// Sends a line and wants a reply of the 200s or 300s.
    pub(crate) fn ask(&mut self, line: &str) -> Outcome<String> {
        self.send(format!("{line}\r\n").as_bytes())?;
        match self.reply()? {
            (200..400, line) => Ok(line),
            (_, refusal) => Err(format!("{line} was answered {refusal}")),
        }
    }
}

/// An IMAP connection.
pub(crate) struct Imap {
    wire: Wire,
    tags: u32,
}

/// An untagged or tagged response: its text, with `{}` for each literal, and the literals.
struct Response {
    text: String,
    literals: Vec<Vec<u8>>,
}

impl Imap {
    /// Connects and logs in.
    pub(crate) fn login(port: u16, user: &str, password: &str) -> Outcome<Self> {
        let mut imap = Self { wire: Wire::connect(port)?, tags: 0 };
        imap.wire.line()?;
        imap.command(&format!("LOGIN {user} {password}"))?;
        Ok(imap)
    }

    /// Sends a command and reads to its end; NO and BAD are errors.
    fn command(&mut self, command: &str) -> Outcome<Vec<Response>> {
        self.command_with(command.as_bytes())
    }

    fn command_with(&mut self, command: &[u8]) -> Outcome<Vec<Response>> {
        self.tags += 1;
        let tag = format!("c{} ", self.tags);
        let mut bytes = tag.clone().into_bytes();
        bytes.extend_from_slice(command);
        bytes.extend_from_slice(b"\r\n");
        self.wire.send(&bytes)?;
        let mut all = Vec::new();
        loop {
            let response = self.response()?;
            if response.text.starts_with("+ ") {
                return Err(format!("asked to go on: {}", response.text));
            }
            let Some(result) = response.text.strip_prefix(&tag) else {
                all.push(response);
                continue;
            };
            if !result.to_ascii_uppercase().starts_with("OK") {
                let start = String::from_utf8_lossy(command.get(..60).unwrap_or(command));
                return Err(format!("{start} was answered {result}"));
            }
            all.push(response);
            return Ok(all);
        }
    }

    fn response(&mut self) -> Outcome<Response> {
        let mut response = Response { text: String::new(), literals: Vec::new() };
        loop {
            let line = self.wire.line()?;
            let Some((text, length)) = literal_at_end(&line) else {
                response.text.push_str(&line);
                return Ok(response);
            };
            if length > LARGEST_LITERAL {
                return Err(format!("a literal of {length} octets"));
            }
            response.text.push_str(text);
            response.text.push_str("{}");
            let mut literal = vec![0; length];
            self.wire.reader.read_exact(&mut literal).map_err(words)?;
            response.literals.push(literal);
        }
    }

    /// Makes a mailbox that may be there.
    pub(crate) fn create(&mut self, mailbox: &str) {
        // Whether it is there shows when it is selected.
        let _ = self.command(&format!("CREATE {mailbox}"));
    }

    /// Selects a mailbox: UIDVALIDITY, UIDNEXT and the number of messages.
    pub(crate) fn select(&mut self, mailbox: &str) -> Outcome<(u32, u32, usize)> {
        let all = self.command(&format!("SELECT {mailbox}"))?;
        let code = |name: &str| {
            let mut found = all.iter().filter_map(|one| number_after(&one.text, name));
            found.next().ok_or_else(|| format!("no {name} in the answer to SELECT {mailbox}"))
        };
        let mut exists = all.iter().filter_map(|one| {
            one.text.strip_prefix("* ")?.strip_suffix(" EXISTS")?.parse::<usize>().ok()
        });
        let exists = exists.next_back().ok_or("no EXISTS in the answer to SELECT")?;
        Ok((code("[UIDVALIDITY ")?, code("[UIDNEXT ")?, exists))
    }

    /// Appends messages with flags, as one command: their UIDs.
    pub(crate) fn append(
        &mut self,
        mailbox: &str,
        messages: &[(Vec<u8>, BTreeSet<String>)],
    ) -> Outcome<Vec<u32>> {
        let mut command = format!("APPEND {mailbox}").into_bytes();
        for (bytes, flags) in messages {
            let start = format!(" ({}) {{{}+}}\r\n", listed(flags), bytes.len());
            command.extend_from_slice(start.as_bytes());
            command.extend_from_slice(bytes);
        }
        let all = self.command_with(&command)?;
        let code = all.iter().find_map(|one| Some(one.text.split_once("[APPENDUID ")?.1));
        let set = code.and_then(|code| code.split([' ', ']']).nth(1));
        uids(set.ok_or("no APPENDUID in the answer")?)
    }

    /// Sets the flags of a message.
    pub(crate) fn store(&mut self, uid: u32, flags: &BTreeSet<String>) -> Outcome<()> {
        self.command(&format!("UID STORE {uid} FLAGS.SILENT ({})", listed(flags))).map(drop)
    }

    /// Moves messages: the UIDs in the source and in the target.
    pub(crate) fn move_to(&mut self, set: &str, to: &str) -> Outcome<Vec<(u32, u32)>> {
        let all = self.command(&format!("UID MOVE {set} {to}"))?;
        let Some(code) = all.iter().find_map(|one| Some(one.text.split_once("[COPYUID ")?.1))
        else {
            return Ok(Vec::new());
        };
        let mut parts = code.split([' ', ']']).skip(1);
        let from = uids(parts.next().unwrap_or_default())?;
        let to = uids(parts.next().unwrap_or_default())?;
        Ok(from.into_iter().zip(to).collect())
    }

    /// Removes messages for good.
    pub(crate) fn remove(&mut self, set: &str) -> Outcome<()> {
        self.command(&format!("UID STORE {set} +FLAGS.SILENT (\\Deleted)"))?;
        self.command(&format!("UID EXPUNGE {set}")).map(drop)
    }

    /// The names of the messages of the selected mailbox by UID.
    pub(crate) fn names(&mut self) -> Outcome<Vec<(u32, String)>> {
        let all = self.command("UID FETCH 1:* (UID BODY.PEEK[HEADER])")?;
        let fetched = all.into_iter().filter(|one| one.text.contains(" FETCH ("));
        let named = fetched.filter_map(|one| {
            let id = identity(one.literals.first()?)?.to_owned();
            Some((number_after(&one.text, "UID ")?, id))
        });
        Ok(named.collect())
    }

    /// Everything in a mailbox.
    pub(crate) fn read(&mut self, mailbox: &str) -> Outcome<MailboxSeen> {
        let (validity, uid_next, exists) = self.select(mailbox)?;
        let mut messages = Vec::new();
        if exists > 0 {
            for one in self.command("UID FETCH 1:* (UID FLAGS BODY.PEEK[])")? {
                if one.text.contains(" FETCH (") && one.text.contains("BODY[]") {
                    messages.push(fetched(one)?);
                }
            }
        }
        if messages.len() < exists {
            let count = messages.len();
            return Err(format!("{mailbox} has {exists} messages and shows {count}"));
        }
        Ok(MailboxSeen { validity, uid_next, messages })
    }
}

/// A message out of a FETCH response.
fn fetched(mut response: Response) -> Outcome<Seen> {
    let wrong = |what: &str| format!("no {what} in {}", response.text);
    let uid = number_after(&response.text, "UID ").ok_or_else(|| wrong("UID"))?;
    let flags = response.text.split_once("FLAGS (").and_then(|(_, rest)| rest.split_once(')'));
    let (flags, _) = flags.ok_or_else(|| wrong("FLAGS"))?;
    let flags = flags.split(' ').filter(|flag| !flag.is_empty() && *flag != "\\Recent");
    let flags = flags.map(str::to_owned).collect();
    if response.literals.is_empty() {
        return Err(wrong("literal"));
    }
    Ok(Seen { uid, flags, bytes: response.literals.swap_remove(0) })
}

/// The start of a line that ends with the announcement of a literal, and its length.
fn literal_at_end(line: &str) -> Option<(&str, usize)> {
    let (start, length) = line.strip_suffix('}')?.rsplit_once('{')?;
    Some((start, length.parse().ok()?))
}

fn number_after(text: &str, word: &str) -> Option<u32> {
    let (_, rest) = text.split_once(word)?;
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    rest.get(..end)?.parse().ok()
}

fn listed(flags: &BTreeSet<String>) -> String {
    flags.iter().map(String::as_str).collect::<Vec<_>>().join(" ")
}

/// The UIDs of a set, in its order.
fn uids(set: &str) -> Outcome<Vec<u32>> {
    let number = |text: &str| text.parse::<u32>().map_err(|_| format!("no UID set: {set:?}"));
    let mut all = Vec::new();
    for part in set.split(',') {
        let (first, last) = part.split_once(':').unwrap_or((part, part));
        let (first, last) = (number(first)?, number(last)?);
        if last.abs_diff(first) > 100_000 {
            return Err(format!("too long a UID set: {set:?}"));
        }
        all.extend(first.min(last)..=last.max(first));
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uid_set_is_read_in_its_order() {
        assert_eq!(uids("5"), Ok(vec![5]));
        assert_eq!(uids("9,1:3,7"), Ok(vec![9, 1, 2, 3, 7]));
        assert!(uids("1:4294967295").is_err() && uids("x").is_err() && uids("").is_err());
    }

    #[test]
    fn a_literal_is_announced_at_the_end_of_a_line() {
        assert_eq!(literal_at_end("* 1 FETCH (BODY[] {12}"), Some(("* 1 FETCH (BODY[] ", 12)));
        assert_eq!(literal_at_end("* 1 FETCH (UID 1)"), None);
    }

    #[test]
    fn a_fetched_message_is_read_whatever_the_order_of_its_items() {
        for text in [
            "* 1 FETCH (UID 7 FLAGS (\\Seen \\Recent kw) BODY[] {})",
            "* 1 FETCH (FLAGS (kw \\Seen) BODY[] {} UID 7)",
        ] {
            let literals = vec![b"X-Crash-Id: r1\r\n\r\n".to_vec()];
            let seen = fetched(Response { text: text.to_owned(), literals });
            let seen = seen.expect("it is whole");
            assert_eq!((seen.uid, seen.id()), (7, Some("r1")));
            assert_eq!(seen.flags.len(), 2);
        }
        assert!(
            fetched(Response { text: "* 1 FETCH (UID 7)".to_owned(), literals: vec![] }).is_err()
        );
    }
}
