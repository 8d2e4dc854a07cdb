//! A connection to a mail server: TCP, TLS from the first byte or after STARTTLS, a time-out on
//! every wait. Knows bytes, not IMAP.

use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use rustls::pki_types::ServerName;
use rustls_platform_verifier::ConfigVerifierExt;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::endpoint::Endpoint;
use crate::error::{MoveError, Result, Side};
use crate::unverified;

/// How much is read at once, bytes. With the bounded channels behind it this bounds a mover's
/// memory.
pub(crate) const READ_SIZE: usize = 256 * 1024;

/// The reading half.
pub(crate) struct ReadHalf {
    stream: Box<dyn AsyncRead + Send + Unpin>,
    side: Side,
    timeout: Duration,
}

/// The writing half.
pub(crate) struct WriteHalf {
    stream: Box<dyn AsyncWrite + Send + Unpin>,
    side: Side,
    timeout: Duration,
}

/// Both halves of a connection, not split yet.
pub(crate) enum Connection {
    Plain(TcpStream),
    Tls(Box<tokio_rustls::client::TlsStream<TcpStream>>),
}

fn connect_error(side: Side, endpoint: &Endpoint, reason: impl Into<String>) -> MoveError {
    MoveError::Connect { side, address: endpoint.to_string(), reason: reason.into() }
}

impl Connection {
    /// Connects, with TLS if the endpoint wants it from the first byte.
    pub(crate) async fn open(side: Side, endpoint: &Endpoint, timeout: Duration) -> Result<Self> {
        let address = (endpoint.host.as_str(), endpoint.port);
        let stream = tokio::time::timeout(timeout, TcpStream::connect(address))
            .await
            .map_err(|_| connect_error(side, endpoint, "no answer in time"))?
            .map_err(|e| connect_error(side, endpoint, e.to_string()))?;
        // Commands are small and answers are waited for: never hold a segment back.
        stream.set_nodelay(true).map_err(|e| connect_error(side, endpoint, e.to_string()))?;
        if endpoint.is_implicit() {
            return Self::Plain(stream).into_tls(side, endpoint, timeout).await;
        }
        Ok(Self::Plain(stream))
    }

    /// Begins TLS on a plain connection.
    pub(crate) async fn into_tls(
        self,
        side: Side,
        endpoint: &Endpoint,
        timeout: Duration,
    ) -> Result<Self> {
        let Self::Plain(stream) = self else { return Ok(self) };
        let config = if endpoint.insecure || endpoint.is_loopback() {
            unverified::client_config()
        } else {
            rustls::ClientConfig::with_platform_verifier()
                .map_err(|e| connect_error(side, endpoint, e.to_string()))?
        };
        let name = ServerName::try_from(endpoint.host.clone())
            .map_err(|e| connect_error(side, endpoint, e.to_string()))?;
        let connecting = TlsConnector::from(Arc::new(config)).connect(name, stream);
        let tls = tokio::time::timeout(timeout, connecting)
            .await
            .map_err(|_| connect_error(side, endpoint, "the TLS handshake took too long"))?
            .map_err(|e| {
                let number = if side == Side::Source { 1 } else { 2 };
                connect_error(
                    side,
                    endpoint,
                    format!(
                        "TLS: {e}. If you trust this network, add --insecure{number} (certificate \
                         not verified) or --notls{number}"
                    ),
                )
            })?;
        Ok(Self::Tls(Box::new(tls)))
    }

    /// True under TLS.
    pub(crate) fn is_tls(&self) -> bool {
        matches!(self, Self::Tls(_))
    }

    /// Splits into halves that two tasks may hold.
    pub(crate) fn split(self, side: Side, timeout: Duration) -> (ReadHalf, WriteHalf) {
        let (read, write): (Box<dyn AsyncRead + Send + Unpin>, Box<dyn AsyncWrite + Send + Unpin>) =
            match self {
                Self::Plain(stream) => {
                    let (read, write) = stream.into_split();
                    (Box::new(read), Box::new(write))
                }
                Self::Tls(stream) => {
                    let (read, write) = tokio::io::split(*stream);
                    (Box::new(read), Box::new(write))
                }
            };
        (ReadHalf { stream: read, side, timeout }, WriteHalf { stream: write, side, timeout })
    }

    /// Reads into the buffer before the split (greeting, STARTTLS).
    pub(crate) async fn read(
        &mut self,
        buffer: &mut BytesMut,
        side: Side,
        timeout: Duration,
    ) -> Result<()> {
        buffer.reserve(4096);
        let read = async {
            match self {
                Self::Plain(stream) => stream.read_buf(buffer).await,
                Self::Tls(stream) => stream.read_buf(buffer).await,
            }
        };
        judged(tokio::time::timeout(timeout, read).await, side)
    }

    /// Writes before the split.
    pub(crate) async fn write(&mut self, data: &[u8], side: Side) -> Result<()> {
        let written = match self {
            Self::Plain(stream) => stream.write_all(data).await,
            Self::Tls(stream) => stream.write_all(data).await,
        };
        written.map_err(|e| MoveError::Lost { side, reason: e.to_string() })
    }
}

fn judged(
    read: std::result::Result<std::io::Result<usize>, tokio::time::error::Elapsed>,
    side: Side,
) -> Result<()> {
    let lost = |reason: String| MoveError::Lost { side, reason };
    match read {
        Err(_) => Err(lost("no answer in time (--notimeout waits an hour)".into())),
        Ok(Err(e)) => Err(lost(e.to_string())),
        Ok(Ok(0)) => Err(lost("it closed the connection".into())),
        Ok(Ok(_)) => Ok(()),
    }
}

impl ReadHalf {
    /// Reads what is there into the buffer, at least one byte.
    pub(crate) async fn read(&mut self, buffer: &mut BytesMut) -> Result<()> {
        if buffer.capacity() - buffer.len() < READ_SIZE / 4 {
            buffer.reserve(READ_SIZE);
        }
        let read = tokio::time::timeout(self.timeout, self.stream.read_buf(buffer)).await;
        judged(read, self.side)
    }

    /// As [`ReadHalf::read`], but waits on as long as `busy` says that the peer has not been told
    /// everything yet: it cannot answer what it has not heard.
    ///
    /// # Errors
    /// `Lost`.
    pub(crate) async fn read_unless(
        &mut self,
        buffer: &mut BytesMut,
        busy: impl Fn() -> bool,
    ) -> Result<()> {
        loop {
            let begun = std::time::Instant::now();
            let read = self.read(buffer).await;
            if read.is_ok() || begun.elapsed() < self.timeout || !busy() {
                return read;
            }
        }
    }
}

impl WriteHalf {
    /// Writes all of it; each wait for the peer to take more is bounded.
    pub(crate) async fn write(&mut self, mut data: &[u8]) -> Result<()> {
        while !data.is_empty() {
            let written = tokio::time::timeout(self.timeout, self.stream.write(data)).await;
            let lost = |reason: String| MoveError::Lost { side: self.side, reason };
            let count = written
                .map_err(|_| lost("it takes no more data (--notimeout waits an hour)".into()))?
                .map_err(|e| lost(e.to_string()))?;
            if count == 0 {
                return Err(lost("it closed the connection".into()));
            }
            data = data.get(count..).unwrap_or_default();
        }
        Ok(())
    }

    /// Pushes out what TLS may hold back.
    pub(crate) async fn flush(&mut self) -> Result<()> {
        let side = self.side;
        self.stream.flush().await.map_err(|e| MoveError::Lost { side, reason: e.to_string() })
    }
}
