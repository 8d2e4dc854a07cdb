//! An IMAP session as a client: connected, logged in, and one command after another. The streaming
//! of messages takes the halves of it apart (`source`, `target`).

pub(crate) mod flood;

use std::time::Duration;

use angarium_imap::client::{Code, Event, Reader, Response, Status, Untagged, write};

use crate::channel::Channel;
use crate::connection::{ReadHalf, WriteHalf};
use crate::endpoint::Endpoint;
use crate::error::{MoveError, Result, Side};
use crate::login::Method;
use crate::login::attempt::LoggedIn;
use crate::opening::Opening;
use crate::product::{self, Product};
use flood::Flood;

pub use crate::login::Credentials;

/// Longest mailbox name that is sent, octets of the wire; no file system holds longer ones.
const MAX_NAME: usize = 4096;
/// Most EXPUNGE responses kept between two looks.
const MOST_EXPUNGED: usize = 1_000_000;
/// Most connections made to get one session: a server may hang up after a method it lacks.
const MOST_OPENINGS: usize = 3;
/// How many times the time-out of one wait a whole login may take.
const OPENING_WAITS: u32 = 8;

/// What a server said of itself.
#[derive(Clone, Debug, Default)]
pub struct Identity {
    /// The text of its greeting.
    pub greeting: String,
    /// What it answered to ID, such as `name` and `version`.
    pub id: Vec<(String, String)>,
    /// What it is taken for.
    pub product: Product,
    /// The login method it took; `None` if it greeted as logged in.
    pub method: Option<Method>,
}

impl Identity {
    /// Its name and version as far as known, for people.
    #[must_use]
    pub fn text(&self) -> String {
        let told = |name: &str| self.id.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str());
        let name = match (self.product, told("name")) {
            (Product::Unknown, Some(name)) => name,
            (product, _) => product.name(),
        };
        told("version").map_or_else(|| name.to_owned(), |version| format!("{name} {version}"))
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

/// What comes next of a command under way.
pub(crate) enum Heard {
    /// The server waits for more.
    Continuation(String),
    /// It is done.
    Answer(Answer),
}

/// A logged-in session.
pub struct Session {
    /// Which server.
    pub side: Side,
    /// What the server said of itself.
    pub identity: Identity,
    pub(crate) read: ReadHalf,
    pub(crate) write: WriteHalf,
    pub(crate) reader: Reader,
    pub(crate) channel: Channel,
    capabilities: Vec<String>,
    /// The capabilities are those of a session that is logged in.
    current: bool,
    tag: u32,
    /// Sequence numbers of EXPUNGE responses not looked at yet.
    expunged: Vec<u32>,
    /// The same of VANISHED responses, by UID.
    vanished: Vec<(u32, u32)>,
    /// It tells which UIDs are gone (QRESYNC).
    tells_vanished: bool,
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
        let whole = timeout.saturating_mul(OPENING_WAITS);
        let opening = Box::pin(Self::open_in_time(side, endpoint, credentials, timeout));
        tokio::time::timeout(whole, opening).await.unwrap_or_else(|_| {
            Err(MoveError::Connect {
                side,
                address: endpoint.to_string(),
                reason: format!("it did not come to a login within {} s", whole.as_secs()),
            })
        })
    }

    async fn open_in_time(
        side: Side,
        endpoint: &Endpoint,
        credentials: &Credentials,
        timeout: Duration,
    ) -> Result<Self> {
        for _ in 0..MOST_OPENINGS {
            let opening = Opening::greeted(side, endpoint, timeout).await?;
            let opening = opening.protected(endpoint).await?;
            let preauthenticated = opening.preauthenticated;
            let mut session = Self::on(opening, side, timeout);
            if !preauthenticated && session.log_in(endpoint, credentials).await? == LoggedIn::HungUp
            {
                continue;
            }
            if session.identity.id.is_empty() && session.has("ID") {
                session.ask_identity().await?;
            }
            return Ok(session);
        }
        Err(MoveError::Connect {
            side,
            address: endpoint.to_string(),
            reason: "it hangs up on every login".into(),
        })
    }

    /// A session on which nobody has logged in yet.
    pub(crate) fn on(opening: Opening, side: Side, timeout: Duration) -> Self {
        let Opening { connection, reader, greeting, capabilities, preauthenticated, .. } = opening;
        let channel = connection.channel();
        let (read, write) = connection.split(side, timeout);
        let product = product::recognise(&greeting, &[], &capabilities);
        let identity = Identity { greeting, product, ..Identity::default() };
        let current = preauthenticated;
        Self {
            side,
            identity,
            read,
            write,
            reader,
            channel,
            capabilities,
            current,
            tag: 0,
            expunged: Vec::new(),
            vanished: Vec::new(),
            tells_vanished: false,
        }
    }

    /// What the server can, upper case.
    #[must_use]
    pub fn capabilities(&self) -> &[String] {
        &self.capabilities
    }

    /// Whether it said what it can since the login.
    pub(crate) fn knows_capabilities(&self) -> bool {
        self.current
    }

    /// What it can may have changed.
    pub(crate) fn forget_capabilities(&mut self) {
        self.current = false;
    }

    /// Takes over what the answer to a login tells of capabilities.
    pub(crate) fn take_capabilities(&mut self, answer: &Answer) {
        for untagged in &answer.untagged {
            if let Untagged::Capability(words) = untagged {
                self.capabilities.clone_from(words);
                self.current = true;
            }
        }
        if let Some(Code::Capability(words)) = &answer.code {
            self.capabilities.clone_from(words);
            self.current = true;
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

    /// Sends a command with a mailbox name (or two arguments) that may need a literal. A name
    /// beyond [`MAX_NAME`] is not sent at all and counts as refused: servers end the connection
    /// over it.
    ///
    /// # Errors
    /// `Lost`.
    pub async fn with_names(&mut self, verb: &str, names: &[&[u8]]) -> Result<Answer> {
        if let Some(name) = names.iter().find(|name| name.len() > MAX_NAME) {
            return Ok(Answer {
                status: Status::No,
                code: None,
                text: format!("a name of {} octets is longer than servers take", name.len()),
                untagged: Vec::new(),
            });
        }
        let mut line = verb.as_bytes().to_vec();
        let mut waits = Vec::new();
        for name in names {
            line.push(b' ');
            waits.extend(write::string(&mut line, name, false));
        }
        self.with_literals(&line, &waits).await
    }

    /// Sends a command that waits for a continuation at each of `waits`.
    ///
    /// # Errors
    /// `Lost`.
    pub(crate) async fn with_literals(&mut self, line: &[u8], waits: &[usize]) -> Result<Answer> {
        let tag = self.next_tag();
        let mut sent = 0;
        let mut head = format!("{tag} ").into_bytes();
        for &wait in waits {
            head.extend_from_slice(line.get(sent..wait).unwrap_or_default());
            self.write.write(&head).await?;
            self.write.flush().await?;
            head.clear();
            sent = wait;
            if let Heard::Answer(answer) = self.hear(&tag).await? {
                return Ok(answer);
            }
        }
        head.extend_from_slice(line.get(sent..).unwrap_or_default());
        head.extend_from_slice(b"\r\n");
        self.write.write(&head).await?;
        self.write.flush().await?;
        self.finish(&tag).await
    }

    /// Reads until the command with this tag has ended.
    pub(crate) async fn finish(&mut self, tag: &str) -> Result<Answer> {
        let (mut untagged, mut flood) = (Vec::new(), Flood::new(self.side));
        loop {
            // A continuation nobody waits for means nothing.
            if let Heard::Answer(answer) = self.gather(tag, &mut untagged, &mut flood).await? {
                return Ok(answer);
            }
        }
    }

    /// Reads until the tagged answer, or until the server waits for more.
    ///
    /// # Errors
    /// `Lost`, also when it says more than one answer may hold.
    pub(crate) async fn hear(&mut self, tag: &str) -> Result<Heard> {
        let mut flood = Flood::new(self.side);
        self.gather(tag, &mut Vec::new(), &mut flood).await
    }

    async fn gather(
        &mut self,
        tag: &str,
        untagged: &mut Vec<Untagged>,
        flood: &mut Flood,
    ) -> Result<Heard> {
        loop {
            let event = self.next_event().await?;
            flood.heard(&event)?;
            match event {
                Event::Response(Response::Continuation(text)) => {
                    return Ok(Heard::Continuation(text));
                }
                Event::BodyBegin { .. } | Event::BodyData(_) => {}
                Event::BodyEnd(fetch) => untagged.push(Untagged::Fetch(fetch)),
                Event::Response(Response::Untagged(one)) => {
                    if let Untagged::Status { status: Status::Bye, text, .. } = &one {
                        return Err(MoveError::Lost { side: self.side, reason: text.clone() });
                    }
                    untagged.push(one);
                }
                Event::Response(Response::Tagged { tag: got, status, code, text }) => {
                    if got == tag {
                        let untagged = std::mem::take(untagged);
                        return Ok(Heard::Answer(Answer { status, code, text, untagged }));
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
        let event = next_event(&mut self.read, &mut self.reader, self.side).await?;
        match &event {
            Event::Response(Response::Untagged(Untagged::Expunge(number)))
                if self.expunged.len() < MOST_EXPUNGED =>
            {
                self.expunged.push(*number);
            }
            Event::Response(Response::Untagged(Untagged::Vanished { earlier: false, uids }))
                if self.vanished.len() < MOST_EXPUNGED =>
            {
                self.vanished.extend_from_slice(uids);
            }
            _ => {}
        }
        Ok(event)
    }

    /// Asks the server to tell which UIDs are gone, where it can (QRESYNC, RFC 7162). To be called
    /// before a mailbox is opened; from then on it says VANISHED instead of EXPUNGE.
    ///
    /// # Errors
    /// `Lost`.
    pub(crate) async fn enable_vanished(&mut self) -> Result<()> {
        if !self.tells_vanished && self.has("QRESYNC") && self.has("ENABLE") {
            self.tells_vanished = self.command(b"ENABLE QRESYNC").await?.is_ok();
        }
        Ok(())
    }

    /// True when it tells which UIDs are gone.
    pub(crate) fn tells_vanished(&self) -> bool {
        self.tells_vanished
    }

    /// The VANISHED responses since the last look, as ranges of UIDs that were there.
    pub(crate) fn take_vanished(&mut self) -> Vec<(u32, u32)> {
        std::mem::take(&mut self.vanished)
    }

    /// The EXPUNGE responses since the last look, in their order.
    pub(crate) fn take_expunged(&mut self) -> Vec<u32> {
        std::mem::take(&mut self.expunged)
    }

    /// Forgets EXPUNGE responses of a mailbox that was open before.
    pub(crate) fn forget_expunged(&mut self) {
        self.expunged.clear();
        self.vanished.clear();
    }

    /// Ends the connection without a word and waits, but not for ever, until the server has closed
    /// it too: then what it had been sent before is done, and who looks next sees all of it.
    pub(crate) async fn end(mut self, most: Duration) {
        self.write.shut().await;
        let mut rest = bytes::BytesMut::new();
        let closed = async {
            while self.read.read(&mut rest).await.is_ok() {
                rest.clear();
            }
        };
        let _ = tokio::time::timeout(most, closed).await;
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

/// As [`next_event`], without a time-out while `busy`.
pub(crate) async fn next_event_unless(
    read: &mut ReadHalf,
    reader: &mut Reader,
    side: Side,
    busy: impl Fn() -> bool,
) -> Result<Event> {
    loop {
        let found =
            reader.next_event().map_err(|e| MoveError::Lost { side, reason: e.to_string() })?;
        if let Some(event) = found {
            return Ok(event);
        }
        read.read_unless(reader.buffer(), &busy).await?;
    }
}
