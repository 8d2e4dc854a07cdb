//! Looking through a POP door: greeting, CAPA (RFC 2449), STLS (RFC 2595). Nobody logs in.

use bytes::{Buf as _, BytesMut};

use super::findings::Door;
use super::{PATIENCE, bare, imap, printable};
use crate::connection::Connection;
use crate::endpoint::{Endpoint, TlsPolicy};
use crate::error::{MoveError, Result, Side};
use crate::product;

/// Most octets read from a POP server that only tells what it can.
const MOST: usize = 64 * 1024;

/// Looks.
///
/// # Errors
/// What ended the look; what was seen before stands in `door`.
pub(super) async fn look(endpoint: &Endpoint, door: &mut Door) -> Result<()> {
    let connection = Connection::open(Side::Source, &bare(endpoint), PATIENCE).await?;
    let connection = if endpoint.is_implicit() {
        let (connection, facts) = imap::with_tls(connection, endpoint, false).await?;
        door.tls = Some(facts);
        connection
    } else {
        connection
    };
    let mut talk = Talk { connection, buffer: BytesMut::new(), left: MOST };
    let greeting = talk.line().await?;
    let Some(text) = greeting.strip_prefix("+OK") else {
        return Err(refused(endpoint, "it does not greet like a POP server"));
    };
    door.open = true;
    door.greeting = text.trim().to_owned();
    door.product = product::recognise(&door.greeting, &[], &[]);
    door.before = printable(&talk.capa().await?);
    let offers = door.before.iter().any(|word| word == "STLS");
    if door.tls.is_none() && offers && endpoint.tls != TlsPolicy::Never {
        talk.say("STLS").await?;
        if talk.line().await?.starts_with("+OK") {
            if !talk.buffer.is_empty() {
                let why = "something was put in between STLS and the handshake";
                return Err(refused(endpoint, why));
            }
            let (connection, facts) = imap::with_tls(talk.connection, endpoint, true).await?;
            door.tls = Some(facts);
            talk = Talk { connection, buffer: BytesMut::new(), left: MOST };
            door.before = printable(&talk.capa().await?);
        }
    }
    // APOP is announced by a time stamp in the greeting alone (RFC 1939 section 7).
    if door.greeting.contains('<') && door.greeting.contains('@') {
        door.before.push("APOP".into());
    }
    talk.say("QUIT").await
}

fn refused(endpoint: &Endpoint, reason: &str) -> MoveError {
    MoveError::Connect { side: Side::Source, address: endpoint.to_string(), reason: reason.into() }
}

struct Talk {
    connection: Connection,
    buffer: BytesMut,
    left: usize,
}

impl Talk {
    async fn say(&mut self, command: &str) -> Result<()> {
        self.connection.write(format!("{command}\r\n").as_bytes(), Side::Source).await
    }

    /// A line without its end, bounded and without control characters.
    async fn line(&mut self) -> Result<String> {
        loop {
            if let Some(end) = self.buffer.iter().position(|b| *b == b'\n') {
                let line = self.buffer.split_to(end);
                self.buffer.advance(1);
                let text = String::from_utf8_lossy(&line);
                return Ok(text.chars().filter(|c| !c.is_control()).take(512).collect());
            }
            let before = self.buffer.len();
            self.connection.read(&mut self.buffer, Side::Source, PATIENCE).await?;
            let more = self.buffer.len() - before;
            self.left = self.left.checked_sub(more).ok_or_else(|| MoveError::Lost {
                side: Side::Source,
                reason: format!("it said more than {MOST} bytes and was not done"),
            })?;
        }
    }

    /// What it can: a word a line, SASL mechanisms as `AUTH=…`; empty for a server without CAPA.
    async fn capa(&mut self) -> Result<Vec<String>> {
        self.say("CAPA").await?;
        if !self.line().await?.starts_with("+OK") {
            return Ok(Vec::new());
        }
        let mut words = Vec::new();
        loop {
            let line = self.line().await?;
            if line == "." {
                return Ok(words);
            }
            let mut parts = line.split_ascii_whitespace().map(str::to_ascii_uppercase);
            match parts.next().as_deref() {
                Some("SASL") => words.extend(parts.map(|m| format!("AUTH={m}"))),
                Some(word) => words.push(word.to_owned()),
                None => {}
            }
        }
    }
}
