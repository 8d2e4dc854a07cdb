//! An IMAP session as a client: greeting, TLS, login, and one command after another. The streaming
//! of messages takes the halves of it apart (`source`, `target`).

use std::time::Duration;

use angarium_imap::client::{Code, Event, Reader, Response, Status, Untagged, write};
use base64::Engine as _;
use bytes::BytesMut;

use crate::connection::{Connection, ReadHalf, WriteHalf};
use crate::endpoint::{Endpoint, TlsPolicy};
use crate::error::{MoveError, Result, Side};

/// Who logs in, and how.
#[derive(Clone)]
pub struct Credentials {
    /// Login name.
    pub name: String,
    /// Password; never printed.
    pub password: String,
    /// `PROXYAUTH` after the login (MIG-28).
    pub proxy_auth: Option<String>,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials").field("name", &self.name).finish_non_exhaustive()
    }
}

/// How one command ended, with everything untagged that came before.
#[derive(Debug)]
pub struct Answer {
    /// OK, NO or BAD.
    pub status: Status,
    /// The code of the tagged line.
    pub code: Option<Code>,
    /// Its text.
    pub text: String,
    /// Untagged responses, in order.
    pub untagged: Vec<Untagged>,
}

impl Answer {
    /// True for OK.
    #[must_use]
    pub fn is_ok(&self) -> bool {
        self.status == Status::Ok
    }
}

/// A logged-in session.
pub struct Session {
    /// Which server.
    pub side: Side,
    pub(crate) read: ReadHalf,
    pub(crate) write: WriteHalf,
    pub(crate) reader: Reader,
    capabilities: Vec<String>,
    tag: u32,
}

impl Session {
    /// Connects and logs in.
    ///
    /// # Errors
    /// `Connect`, `Login` or `Lost`.
    pub async fn open(
        side: Side,
        endpoint: &Endpoint,
        credentials: &Credentials,
        timeout: Duration,
    ) -> Result<Self> {
        let mut connection = Connection::open(side, endpoint, timeout).await?;
        let mut reader = Reader::default();
        let greeting = before_split(&mut connection, &mut reader, side, timeout).await?;
        let (preauthenticated, mut capabilities) = greeted(greeting, side, endpoint)?;
        if capabilities.is_empty() {
            capabilities = ask_capability(&mut connection, &mut reader, side, timeout).await?;
        }
        let wants_tls = match endpoint.tls {
            TlsPolicy::WhenOffered => {
                !endpoint.is_loopback() && capabilities.iter().any(|c| c == "STARTTLS")
            }
            TlsPolicy::StartTls => true,
            TlsPolicy::Implicit | TlsPolicy::Never => false,
        };
        if wants_tls && !connection.is_tls() {
            connection = start_tls(connection, &mut reader, side, endpoint, timeout).await?;
            capabilities = ask_capability(&mut connection, &mut reader, side, timeout).await?;
        }
        let (read, write) = connection.split(side, timeout);
        let mut session = Self { side, read, write, reader, capabilities, tag: 0 };
        if !preauthenticated {
            session.log_in(credentials).await?;
        }
        if let Some(user) = &credentials.proxy_auth {
            let mut line = b"PROXYAUTH ".to_vec();
            write::string(&mut line, user.as_bytes(), false);
            session.insist("PROXYAUTH", &line).await?;
        }
        Ok(session)
    }

    async fn log_in(&mut self, credentials: &Credentials) -> Result<()> {
        let side = self.side;
        let refused =
            |reason: String| MoveError::Login { side, name: credentials.name.clone(), reason };
        let plain = self.has("AUTH=PLAIN");
        if self.has("LOGINDISABLED") && !plain {
            return Err(refused("it takes no passwords on this connection; use TLS".into()));
        }
        // LOGIN cannot carry every byte safely on every server; PLAIN can.
        let odd = |text: &str| !text.bytes().all(|b| b.is_ascii_graphic());
        let use_plain = plain
            && (self.has("LOGINDISABLED") || odd(&credentials.name) || odd(&credentials.password));
        let answer = if use_plain {
            let initial = base64::engine::general_purpose::STANDARD
                .encode(format!("\0{}\0{}", credentials.name, credentials.password));
            if self.has("SASL-IR") {
                self.command(format!("AUTHENTICATE PLAIN {initial}").as_bytes()).await?
            } else {
                self.dialogue(b"AUTHENTICATE PLAIN", initial.as_bytes()).await?
            }
        } else {
            let mut line = b"LOGIN ".to_vec();
            let mut waits = Vec::new();
            waits.extend(write::string(&mut line, credentials.name.as_bytes(), false));
            line.push(b' ');
            waits.extend(write::string(&mut line, credentials.password.as_bytes(), false));
            self.with_literals(&line, &waits).await?
        };
        if !answer.is_ok() {
            return Err(refused(answer.text));
        }
        self.take_capabilities(&answer);
        let told = answer.untagged.iter().any(|u| matches!(u, Untagged::Capability(_)))
            || matches!(answer.code, Some(Code::Capability(_)));
        if !told {
            let answer = self.insist("CAPABILITY", b"CAPABILITY").await?;
            self.take_capabilities(&answer);
        }
        Ok(())
    }

    fn take_capabilities(&mut self, answer: &Answer) {
        for untagged in &answer.untagged {
            if let Untagged::Capability(words) = untagged {
                self.capabilities.clone_from(words);
            }
        }
        if let Some(Code::Capability(words)) = &answer.code {
            self.capabilities.clone_from(words);
        }
    }

    /// True when the server announced this capability (upper case).
    #[must_use]
    pub fn has(&self, capability: &str) -> bool {
        self.capabilities.iter().any(|c| c == capability)
    }

    /// The number in a capability such as `APPENDLIMIT=35651584`.
    pub(crate) fn number_of(&self, capability: &str) -> Option<u64> {
        let all = self.capabilities.iter();
        all.filter_map(|c| c.strip_prefix(capability)?.strip_prefix('=')?.parse().ok()).min()
    }

    /// All the server announced, upper case.
    #[must_use]
    pub fn capabilities(&self) -> &[String] {
        &self.capabilities
    }

    /// A fresh tag.
    pub(crate) fn next_tag(&mut self) -> String {
        self.tag += 1;
        format!("A{}", self.tag)
    }

    /// Sends a command (without tag and CRLF) and gathers its answer. A streamed body is an error
    /// here: bodies go through `source`.
    ///
    /// # Errors
    /// `Lost`.
    pub async fn command(&mut self, line: &[u8]) -> Result<Answer> {
        self.with_literals(line, &[]).await
    }

    /// Sends a command and insists on OK.
    ///
    /// # Errors
    /// `Refused` with the server's words, or `Lost`.
    pub async fn insist(&mut self, what: &str, line: &[u8]) -> Result<Answer> {
        let answer = self.command(line).await?;
        self.insisted(what, answer)
    }

    /// As [`Session::with_names`], and insists on OK.
    ///
    /// # Errors
    /// `Refused` with the server's words, or `Lost`.
    pub async fn insist_names(&mut self, verb: &str, names: &[&[u8]]) -> Result<Answer> {
        let answer = self.with_names(verb, names).await?;
        self.insisted(verb, answer)
    }

    /// The answer if it is OK, else the refusal.
    pub(crate) fn insisted(&self, what: &str, answer: Answer) -> Result<Answer> {
        if answer.is_ok() {
            return Ok(answer);
        }
        Err(MoveError::Refused { side: self.side, what: what.to_owned(), reason: answer.text })
    }

    /// STATUS of a mailbox by its wire name: the items told, with their numbers. Empty if the
    /// server cannot say, or for a name that would need a literal.
    ///
    /// # Errors
    /// `Lost`.
    pub async fn status(&mut self, name: &[u8], items: &str) -> Result<Vec<(String, u64)>> {
        let mut line = b"STATUS ".to_vec();
        if write::string(&mut line, name, false).is_some() {
            return Ok(Vec::new());
        }
        line.extend_from_slice(format!(" ({items})").as_bytes());
        let told = self.command(&line).await?.untagged.into_iter();
        Ok(told
            .filter_map(|untagged| match untagged {
                Untagged::StatusOf(_, items) => Some(items),
                _ => None,
            })
            .flatten()
            .collect())
    }

    /// Sends a command with a mailbox name (or two arguments) that may need a literal.
    ///
    /// # Errors
    /// `Lost`.
    pub async fn with_names(&mut self, verb: &str, names: &[&[u8]]) -> Result<Answer> {
        let mut line = verb.as_bytes().to_vec();
        let mut waits = Vec::new();
        for name in names {
            line.push(b' ');
            waits.extend(write::string(&mut line, name, false));
        }
        self.with_literals(&line, &waits).await
    }

    /// Sends a command that waits for a continuation at each of `waits`.
    async fn with_literals(&mut self, line: &[u8], waits: &[usize]) -> Result<Answer> {
        let tag = self.next_tag();
        let mut sent = 0;
        let mut head = format!("{tag} ").into_bytes();
        for &wait in waits {
            head.extend_from_slice(line.get(sent..wait).unwrap_or_default());
            self.write.write(&head).await?;
            self.write.flush().await?;
            head.clear();
            sent = wait;
            if let Some(answer) = self.until(&tag, true).await? {
                return Ok(answer);
            }
        }
        head.extend_from_slice(line.get(sent..).unwrap_or_default());
        head.extend_from_slice(b"\r\n");
        self.write.write(&head).await?;
        self.write.flush().await?;
        self.finish(&tag).await
    }

    async fn dialogue(&mut self, line: &[u8], reply: &[u8]) -> Result<Answer> {
        let tag = self.next_tag();
        let sent = [tag.as_bytes(), b" ", line, b"\r\n"].concat();
        self.write.write(&sent).await?;
        self.write.flush().await?;
        if let Some(answer) = self.until(&tag, true).await? {
            return Ok(answer);
        }
        self.write.write(&[reply, b"\r\n"].concat()).await?;
        self.write.flush().await?;
        self.finish(&tag).await
    }

    /// Reads until the command with this tag has ended.
    pub(crate) async fn finish(&mut self, tag: &str) -> Result<Answer> {
        loop {
            if let Some(answer) = self.until(tag, false).await? {
                return Ok(answer);
            }
        }
    }

    /// Reads until the tagged answer, or until a continuation if one is waited for (`None`).
    async fn until(&mut self, tag: &str, continuation: bool) -> Result<Option<Answer>> {
        let mut untagged = Vec::new();
        loop {
            match self.next_event().await? {
                Event::Response(Response::Continuation(_)) if continuation => return Ok(None),
                Event::Response(Response::Continuation(_))
                | Event::BodyBegin { .. }
                | Event::BodyData(_) => {}
                Event::BodyEnd(fetch) => untagged.push(Untagged::Fetch(fetch)),
                Event::Response(Response::Untagged(one)) => {
                    if let Untagged::Status { status: Status::Bye, text, .. } = &one {
                        return Err(MoveError::Lost { side: self.side, reason: text.clone() });
                    }
                    untagged.push(one);
                }
                Event::Response(Response::Tagged { tag: got, status, code, text }) => {
                    if got == tag {
                        return Ok(Some(Answer { status, code, text, untagged }));
                    }
                }
            }
        }
    }

    /// The next thing the server says.
    ///
    /// # Errors
    /// `Lost`, also when the server breaks a bound.
    pub(crate) async fn next_event(&mut self) -> Result<Event> {
        next_event(&mut self.read, &mut self.reader, self.side).await
    }

    /// Says goodbye; what the server answers does not matter any more.
    pub async fn log_out(mut self) {
        let tag = self.next_tag();
        let _ = self.write.write(format!("{tag} LOGOUT\r\n").as_bytes()).await;
        let _ = self.write.flush().await;
        let wait = Duration::from_secs(2);
        let _ = tokio::time::timeout(wait, self.finish(&tag)).await;
    }
}

/// The next thing a server says on a split connection.
pub(crate) async fn next_event(
    read: &mut ReadHalf,
    reader: &mut Reader,
    side: Side,
) -> Result<Event> {
    loop {
        let found =
            reader.next_event().map_err(|e| MoveError::Lost { side, reason: e.to_string() })?;
        if let Some(event) = found {
            return Ok(event);
        }
        read.read(reader.buffer()).await?;
    }
}

async fn before_split(
    connection: &mut Connection,
    reader: &mut Reader,
    side: Side,
    timeout: Duration,
) -> Result<Response> {
    loop {
        let found =
            reader.next_event().map_err(|e| MoveError::Lost { side, reason: e.to_string() })?;
        if let Some(Event::Response(response)) = found {
            return Ok(response);
        }
        let mut more = BytesMut::new();
        connection.read(&mut more, side, timeout).await?;
        reader.feed(&more);
    }
}

fn greeted(greeting: Response, side: Side, endpoint: &Endpoint) -> Result<(bool, Vec<String>)> {
    let refused =
        |reason: String| MoveError::Connect { side, address: endpoint.to_string(), reason };
    match greeting {
        Response::Untagged(Untagged::Status { status, code, text }) => {
            let words = match code {
                Some(Code::Capability(words)) => words,
                _ => Vec::new(),
            };
            match status {
                Status::Ok => Ok((false, words)),
                Status::PreAuth => Ok((true, words)),
                _ => Err(refused(text)),
            }
        }
        _ => Err(refused("it does not greet like an IMAP server".into())),
    }
}

async fn ask_capability(
    connection: &mut Connection,
    reader: &mut Reader,
    side: Side,
    timeout: Duration,
) -> Result<Vec<String>> {
    connection.write(b"B0 CAPABILITY\r\n", side).await?;
    let mut words = Vec::new();
    loop {
        match before_split(connection, reader, side, timeout).await? {
            Response::Untagged(Untagged::Capability(found)) => words = found,
            Response::Tagged { .. } => return Ok(words),
            _ => {}
        }
    }
}

async fn start_tls(
    mut connection: Connection,
    reader: &mut Reader,
    side: Side,
    endpoint: &Endpoint,
    timeout: Duration,
) -> Result<Connection> {
    connection.write(b"B1 STARTTLS\r\n", side).await?;
    loop {
        if let Response::Tagged { status, text, .. } =
            before_split(&mut connection, reader, side, timeout).await?
        {
            if status != Status::Ok {
                return Err(MoveError::Connect {
                    side,
                    address: endpoint.to_string(),
                    reason: format!("STARTTLS: {text}"),
                });
            }
            // Anything that came in clear after the OK was not said under TLS: forget it.
            *reader = Reader::default();
            return connection.into_tls(side, endpoint, timeout).await;
        }
    }
}
