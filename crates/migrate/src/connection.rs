//! A connection to a mail server: TCP or a program's pipes, TLS from the first byte or after
//! STARTTLS, a time-out on every wait. Knows bytes, not IMAP.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::BytesMut;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::channel::Channel;
use crate::endpoint::Endpoint;
use crate::error::{MoveError, Result, Side};
use crate::trust::{self, Disbelieved};
use crate::tunnel::{self, LastWords, Tunnel};

/// How much is read at once, bytes. With the bounded channels behind it this bounds a mover's
/// memory.
pub(crate) const READ_SIZE: usize = 256 * 1024;
/// Most addresses of one name that are tried.
const MAX_ADDRESSES: usize = 16;

/// The reading half.
pub(crate) struct ReadHalf {
    stream: Box<dyn AsyncRead + Send + Unpin>,
    side: Side,
    timeout: Duration,
    said: Option<LastWords>,
}

/// The writing half.
pub(crate) struct WriteHalf {
    stream: Box<dyn AsyncWrite + Send + Unpin>,
    side: Side,
    timeout: Duration,
}

/// What carries the bytes below TLS.
pub(crate) enum Carrier {
    Tcp(TcpStream),
    Tunnel(Box<Tunnel>),
}

/// Both halves of a connection, not split yet.
pub(crate) enum Connection {
    Plain(Carrier),
    Tls(Box<TlsStream<Carrier>>),
}

fn connect_error(side: Side, endpoint: &Endpoint, reason: impl Into<String>) -> MoveError {
    MoveError::Connect { side, address: endpoint.to_string(), reason: reason.into() }
}

impl Connection {
    /// Connects, with TLS if the endpoint wants it from the first byte.
    ///
    /// # Errors
    /// `Connect`, saying what to do next where that is known.
    pub(crate) async fn open(side: Side, endpoint: &Endpoint, timeout: Duration) -> Result<Self> {
        let carrier = match &endpoint.tunnel {
            Some(words) => {
                let tunnel = Tunnel::start(words, &endpoint.host, endpoint.port)
                    .map_err(|e| connect_error(side, endpoint, e))?;
                Carrier::Tunnel(Box::new(tunnel))
            }
            None => Carrier::Tcp(
                dial(&endpoint.host, endpoint.port, timeout)
                    .await
                    .map_err(|e| connect_error(side, endpoint, e))?,
            ),
        };
        if endpoint.is_implicit() {
            return Self::Plain(carrier).into_tls(side, endpoint, timeout).await;
        }
        Ok(Self::Plain(carrier))
    }

    /// Begins TLS on a plain connection.
    ///
    /// # Errors
    /// `Connect`, saying what to do next where that is known.
    pub(crate) async fn into_tls(
        self,
        side: Side,
        endpoint: &Endpoint,
        timeout: Duration,
    ) -> Result<Self> {
        let unverified = endpoint.is_loopback() && matches!(endpoint.trust, trust::Trust::System);
        let believed = if unverified { &trust::Trust::Any } else { &endpoint.trust };
        let config = trust::config(believed).map_err(|e| connect_error(side, endpoint, e))?;
        self.into_tls_with(config, side, endpoint, timeout).await
    }

    /// Begins TLS on a plain connection with this configuration.
    ///
    /// # Errors
    /// `Connect`, saying what to do next where that is known.
    pub(crate) async fn into_tls_with(
        self,
        config: Arc<ClientConfig>,
        side: Side,
        endpoint: &Endpoint,
        timeout: Duration,
    ) -> Result<Self> {
        let Self::Plain(carrier) = self else { return Ok(self) };
        let name = endpoint.certificate_name.as_ref().unwrap_or(&endpoint.host);
        let name = ServerName::try_from(name.clone())
            .map_err(|e| connect_error(side, endpoint, e.to_string()))?;
        let connecting = TlsConnector::from(config).connect(name, carrier);
        let tls = tokio::time::timeout(timeout, connecting)
            .await
            .map_err(|_| connect_error(side, endpoint, "the TLS handshake took too long"))?
            .map_err(|e| connect_error(side, endpoint, tls_failure(&e, side)))?;
        Ok(Self::Tls(Box::new(tls)))
    }

    /// True under TLS.
    pub(crate) fn is_tls(&self) -> bool {
        matches!(self, Self::Tls(_))
    }

    /// What a login can be bound to.
    pub(crate) fn channel(&self) -> Channel {
        match self {
            Self::Plain(_) => Channel::default(),
            Self::Tls(stream) => Channel::of(stream.get_ref().1),
        }
    }

    /// The TLS session, if there is one.
    pub(crate) fn tls_session(&self) -> Option<&rustls::ClientConnection> {
        match self {
            Self::Plain(_) => None,
            Self::Tls(stream) => Some(stream.get_ref().1),
        }
    }

    /// Splits into halves that two tasks may hold.
    pub(crate) fn split(self, side: Side, timeout: Duration) -> (ReadHalf, WriteHalf) {
        type Halves = (Box<dyn AsyncRead + Send + Unpin>, Box<dyn AsyncWrite + Send + Unpin>);
        let said = self.last_words();
        let (read, write): Halves = match self {
            Self::Plain(Carrier::Tcp(stream)) => {
                let (read, write) = stream.into_split();
                (Box::new(read), Box::new(write))
            }
            Self::Plain(carrier) => {
                let (read, write) = tokio::io::split(carrier);
                (Box::new(read), Box::new(write))
            }
            Self::Tls(stream) => {
                let (read, write) = tokio::io::split(*stream);
                (Box::new(read), Box::new(write))
            }
        };
        (ReadHalf { stream: read, side, timeout, said }, WriteHalf { stream: write, side, timeout })
    }

    fn last_words(&self) -> Option<LastWords> {
        let carrier = match self {
            Self::Plain(carrier) => carrier,
            Self::Tls(stream) => stream.get_ref().0,
        };
        match carrier {
            Carrier::Tcp(_) => None,
            Carrier::Tunnel(tunnel) => Some(tunnel.said.clone()),
        }
    }

    /// Reads into the buffer before the split (greeting, STARTTLS).
    ///
    /// # Errors
    /// `Lost`.
    pub(crate) async fn read(
        &mut self,
        buffer: &mut BytesMut,
        side: Side,
        timeout: Duration,
    ) -> Result<()> {
        buffer.reserve(4096);
        let said = self.last_words();
        let read = async {
            match self {
                Self::Plain(stream) => stream.read_buf(buffer).await,
                Self::Tls(stream) => stream.read_buf(buffer).await,
            }
        };
        let read = tokio::time::timeout(timeout, read).await;
        judged(read, side, said.as_ref()).await
    }

    /// Writes before the split.
    ///
    /// # Errors
    /// `Lost`.
    pub(crate) async fn write(&mut self, data: &[u8], side: Side) -> Result<()> {
        let written = match self {
            Self::Plain(stream) => stream.write_all(data).await,
            Self::Tls(stream) => match stream.write_all(data).await {
                Ok(()) => stream.flush().await,
                failed => failed,
            },
        };
        written.map_err(|e| MoveError::Lost { side, reason: e.to_string() })
    }
}

/// Connects to the first address of a name that answers; no one of them may use up the time of
/// the others.
async fn dial(host: &str, port: u16, timeout: Duration) -> std::result::Result<TcpStream, String> {
    let end = Instant::now() + timeout;
    let found = tokio::time::timeout_at(end, tokio::net::lookup_host((host, port))).await;
    let addresses: Vec<SocketAddr> = found
        .map_err(|_| "its name is not resolved in time".to_owned())?
        .map_err(|e| format!("its name cannot be resolved: {e}"))?
        .take(MAX_ADDRESSES)
        .collect();
    let mut why = "its name has no address".to_owned();
    for (n, address) in addresses.iter().enumerate() {
        let left = u32::try_from(addresses.len() - n).unwrap_or(1);
        let share = end.saturating_duration_since(Instant::now()) / left;
        match tokio::time::timeout(share, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                // Commands are small and answers are waited for: never hold a segment back.
                stream.set_nodelay(true).map_err(|e| e.to_string())?;
                return Ok(stream);
            }
            Ok(Err(e)) => why = e.to_string(),
            Err(_) => why = "no answer in time".into(),
        }
    }
    Err(why)
}

/// Why TLS did not come about, and what to write instead.
fn tls_failure(error: &std::io::Error, side: Side) -> String {
    let n = side.number();
    let inner = error.get_ref().and_then(|e| e.downcast_ref::<rustls::Error>());
    if let Some(rustls::Error::InvalidCertificate(rustls::CertificateError::Other(other))) = inner
        && let Some(disbelieved) = other.0.downcast_ref::<Disbelieved>()
    {
        let Disbelieved { why, fingerprint } = disbelieved;
        return format!(
            "TLS: {why}. If you know it is the right server, add --pin{n} {fingerprint}; other \
             ways are --ca{n} FILE, --certName{n} NAME, and --insecure{n} (any certificate)"
        );
    }
    let old = match inner {
        Some(rustls::Error::PeerIncompatible(_)) => true,
        Some(rustls::Error::AlertReceived(alert)) => matches!(
            alert,
            rustls::AlertDescription::ProtocolVersion | rustls::AlertDescription::HandshakeFailure
        ),
        _ => false,
    };
    if old {
        return format!(
            "TLS: {error}. It seems to speak only TLS of old (before 1.2): let another program do \
             it, --tunnel{n} 'openssl s_client -quiet -tls1 -cipher ALL:@SECLEVEL=0 -connect %h:%p'"
        );
    }
    if let Some(rustls::Error::InvalidMessage(_)) = inner {
        return format!("TLS: {error}. It seems to speak no TLS on this port; leave --ssl{n} away");
    }
    format!("TLS: {error}")
}

impl AsyncRead for Carrier {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Tunnel(tunnel) => Pin::new(tunnel.as_mut()).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Carrier {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write(context, data),
            Self::Tunnel(tunnel) => Pin::new(tunnel.as_mut()).poll_write(context, data),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_flush(context),
            Self::Tunnel(tunnel) => Pin::new(tunnel.as_mut()).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Tunnel(tunnel) => Pin::new(tunnel.as_mut()).poll_shutdown(context),
        }
    }
}

async fn judged(
    read: std::result::Result<std::io::Result<usize>, tokio::time::error::Elapsed>,
    side: Side,
    said: Option<&LastWords>,
) -> Result<()> {
    if let (Ok(Ok(0) | Err(_)), Some(said)) = (&read, said) {
        tunnel::settled(said).await;
    }
    let lost = |mut reason: String| {
        let words = said.map(tunnel::one_line).unwrap_or_default();
        if !words.is_empty() {
            reason.push_str(&format!("; the tunnel said: {words}"));
        }
        MoveError::Lost { side, reason }
    };
    match read {
        Err(_) => Err(lost("no answer in time (--notimeout waits an hour)".into())),
        Ok(Err(e)) => Err(lost(e.to_string())),
        Ok(Ok(0)) => Err(lost("it closed the connection".into())),
        Ok(Ok(_)) => Ok(()),
    }
}

impl ReadHalf {
    /// Reads what is there into the buffer, at least one byte.
    ///
    /// # Errors
    /// `Lost`.
    pub(crate) async fn read(&mut self, buffer: &mut BytesMut) -> Result<()> {
        if buffer.capacity() - buffer.len() < READ_SIZE / 4 {
            buffer.reserve(READ_SIZE);
        }
        let read = tokio::time::timeout(self.timeout, self.stream.read_buf(buffer)).await;
        judged(read, self.side, self.said.as_ref()).await
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
    ///
    /// # Errors
    /// `Lost`.
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

    /// Says that nothing more comes.
    pub(crate) async fn shut(&mut self) {
        let _ = tokio::time::timeout(self.timeout, self.stream.shutdown()).await;
    }

    /// Pushes out what TLS may hold back.
    ///
    /// # Errors
    /// `Lost`.
    pub(crate) async fn flush(&mut self) -> Result<()> {
        let side = self.side;
        let flushed = tokio::time::timeout(self.timeout, self.stream.flush()).await;
        let lost = |reason: String| MoveError::Lost { side, reason };
        flushed
            .map_err(|_| lost("it takes no more data (--notimeout waits an hour)".into()))?
            .map_err(|e| lost(e.to_string()))
    }
}
