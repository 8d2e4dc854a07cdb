//! How an IMAP connection begins: the greeting, what the server can, and TLS where it must be.
//! Nobody has logged in yet. Knows sockets only through `connection`.

use std::time::Duration;

use angarium_imap::client::{Code, Event, Reader, Response, Status, Untagged};
use bytes::BytesMut;

use crate::connection::Connection;
use crate::endpoint::Endpoint;
use crate::error::{MoveError, Result, Side};
use crate::protection::{self, Facts, Step};
use crate::session::flood::Flood;

/// A connection on which a login can begin.
pub(crate) struct Opening {
    pub(crate) connection: Connection,
    pub(crate) reader: Reader,
    /// The text of the greeting.
    pub(crate) greeting: String,
    /// It greeted as logged in already.
    pub(crate) preauthenticated: bool,
    /// What it can, upper case.
    pub(crate) capabilities: Vec<String>,
    side: Side,
    address: String,
    timeout: Duration,
    flood: Flood,
}

impl Opening {
    /// Connects and hears the greeting and what the server can.
    ///
    /// # Errors
    /// `Connect` or `Lost`.
    pub(crate) async fn greeted(
        side: Side,
        endpoint: &Endpoint,
        timeout: Duration,
    ) -> Result<Self> {
        let connection = Connection::open(side, endpoint, timeout).await?;
        Self::over(connection, side, endpoint, timeout).await
    }

    /// The same over a connection that is there.
    ///
    /// # Errors
    /// `Connect` or `Lost`.
    pub(crate) async fn over(
        connection: Connection,
        side: Side,
        endpoint: &Endpoint,
        timeout: Duration,
    ) -> Result<Self> {
        let mut opening = Self {
            connection,
            reader: Reader::default(),
            greeting: String::new(),
            preauthenticated: false,
            capabilities: Vec::new(),
            side,
            address: endpoint.to_string(),
            timeout,
            flood: Flood::new(side),
        };
        let first = opening.hear().await?;
        opening.greeting(first)?;
        if opening.capabilities.is_empty() {
            opening.ask_capability().await?;
        }
        Ok(opening)
    }

    /// Begins TLS where the endpoint wants it.
    ///
    /// # Errors
    /// `Connect` where it cannot be had, saying what to write instead.
    pub(crate) async fn protected(mut self, endpoint: &Endpoint) -> Result<Self> {
        let facts = Facts {
            encrypted: self.connection.is_tls(),
            offers: self.has("STARTTLS"),
            preauthenticated: self.preauthenticated,
        };
        match protection::next_step(self.side, endpoint, facts) {
            Step::Go => Ok(self),
            Step::Refuse(reason) => Err(self.refused(reason)),
            Step::StartTls => {
                self.ask_tls().await?;
                let (side, timeout) = (self.side, self.timeout);
                self.connection = self.connection.into_tls(side, endpoint, timeout).await?;
                self.after_tls().await?;
                Ok(self)
            }
        }
    }

    /// Forgets what was said in clear and asks again.
    ///
    /// # Errors
    /// `Lost`.
    pub(crate) async fn after_tls(&mut self) -> Result<()> {
        self.reader = Reader::default();
        self.ask_capability().await
    }

    /// Asks for TLS; the handshake comes next.
    ///
    /// # Errors
    /// `Connect` when it is refused or something was put in behind the answer.
    pub(crate) async fn ask_tls(&mut self) -> Result<()> {
        self.connection.write(b"B1 STARTTLS\r\n", self.side).await?;
        loop {
            let Response::Tagged { status, text, .. } = self.hear().await? else { continue };
            if status != Status::Ok {
                return Err(self.refused(format!("it refuses STARTTLS: {text}")));
            }
            // Nobody may speak between this answer and the handshake: what is here already was
            // put in by somebody on the way, to be taken for a word said under TLS.
            if !self.reader.buffer().is_empty() {
                let why = "something was put in between STARTTLS and the handshake; somebody on \
                           the way tampers with the connection";
                return Err(self.refused(why.into()));
            }
            return Ok(());
        }
    }

    pub(crate) fn has(&self, capability: &str) -> bool {
        self.capabilities.iter().any(|c| c == capability)
    }

    fn refused(&self, reason: String) -> MoveError {
        MoveError::Connect { side: self.side, address: self.address.clone(), reason }
    }

    fn greeting(&mut self, greeting: Response) -> Result<()> {
        let Response::Untagged(Untagged::Status { status, code, text }) = greeting else {
            return Err(self.refused("it does not greet like an IMAP server".into()));
        };
        if let Some(Code::Capability(words)) = code {
            self.capabilities = words;
        }
        match status {
            Status::Ok => {}
            Status::PreAuth => self.preauthenticated = true,
            _ => return Err(self.refused(format!("it turns us away: {text}"))),
        }
        self.greeting = text;
        Ok(())
    }

    async fn ask_capability(&mut self) -> Result<()> {
        self.connection.write(b"B0 CAPABILITY\r\n", self.side).await?;
        let mut words = Vec::new();
        loop {
            match self.hear().await? {
                Response::Untagged(Untagged::Capability(found)) => words = found,
                Response::Untagged(Untagged::Status { status: Status::Bye, text, .. }) => {
                    return Err(MoveError::Lost { side: self.side, reason: text });
                }
                Response::Tagged { .. } => {
                    self.capabilities = words;
                    return Ok(());
                }
                _ => {}
            }
        }
    }

    async fn hear(&mut self) -> Result<Response> {
        let (side, timeout) = (self.side, self.timeout);
        loop {
            let found = self
                .reader
                .next_event()
                .map_err(|e| MoveError::Lost { side, reason: e.to_string() })?;
            if let Some(event) = found {
                self.flood.heard(&event)?;
                if let Event::Response(response) = event {
                    return Ok(response);
                }
                continue;
            }
            let mut more = BytesMut::new();
            self.connection.read(&mut more, side, timeout).await?;
            self.reader.feed(&more);
        }
    }
}
