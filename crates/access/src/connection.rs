//! One connection of a person or program: a stream that can become TLS in place, replies gathered
//! and written at once, counters, deadlines. It must never know which protocol runs on it.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use angarium_accounts::Channel;
use angarium_transfer::channel::channel_of;
use bytes::BytesMut;
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::compression::Deflate;

/// Reply bytes gathered before they are written although more follows.
pub const WRITE_CHUNK: usize = 64 * 1024;
/// An emptied reply buffer larger than this is given back, so that idle connections stay small.
const KEPT_OUT: usize = 2 * 1024;
/// First read of a quiet connection, in bytes; it grows while the peer keeps sending.
const READ_SMALL: usize = 1024;
/// Largest single read, in bytes.
const READ_LARGE: usize = 64 * 1024;
/// A peer that takes nothing for this long is given up.
const WRITE_TIMEOUT: Duration = Duration::from_secs(300);
/// A TLS handshake takes at most this long.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(30);
/// A compressed connection that is quiet for this long gives the compressor's memory back.
const QUIET: Duration = Duration::from_secs(5);
/// Saying goodbye (TLS close notification, FIN) takes at most this long.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// What is known of a connection before its first byte.
#[derive(Clone, Copy, Debug)]
pub struct ConnectionInfo {
    /// The session's number, the same in log, monitor and answers.
    pub session: u64,
    /// The client's address.
    pub peer: SocketAddr,
    /// Our address it came in on.
    pub local: SocketAddr,
    /// True when the stream is encrypted already (a TLS port).
    pub tls: bool,
}

/// Why a connection ends.
#[derive(Debug, Error)]
pub enum ConnectionError {
    /// The peer closed it.
    #[error("closed by the other side")]
    Closed,
    /// Nothing came, or nothing was taken, for too long.
    #[error("timed out")]
    TimedOut,
    /// The network or TLS failed.
    #[error("connection failed: {0}")]
    Io(#[from] io::Error),
}

enum Stream<S> {
    Plain(S),
    Tls(Box<TlsStream<S>>),
    /// Only while a handshake runs, and for good after one that failed.
    Lost,
}

/// A connection over any stream.
pub struct Connection<S> {
    stream: Stream<S>,
    info: ConnectionInfo,
    /// What the TLS session says.
    channel: Option<Arc<Channel>>,
    out: Vec<u8>,
    deflate: Option<Box<Deflate>>,
    read_size: usize,
    received: u64,
    sent: u64,
}

fn lost() -> io::Error {
    io::Error::new(io::ErrorKind::NotConnected, "the TLS handshake failed")
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Stream<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_read(cx, buf),
            Self::Lost => Poll::Ready(Err(lost())),
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Stream<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_write(cx, buf),
            Self::Lost => Poll::Ready(Err(lost())),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_flush(cx),
            Self::Lost => Poll::Ready(Err(lost())),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_shutdown(cx),
            Self::Lost => Poll::Ready(Ok(())),
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Connection<S> {
    /// Takes over a stream.
    #[must_use]
    pub fn new(stream: S, info: ConnectionInfo) -> Self {
        Self {
            stream: Stream::Plain(stream),
            info,
            channel: None,
            out: Vec::new(),
            deflate: None,
            read_size: READ_SMALL,
            received: 0,
            sent: 0,
        }
    }

    /// With what the TLS session of its stream says.
    #[must_use]
    pub fn with_channel(mut self, channel: Option<Arc<Channel>>) -> Self {
        self.channel = channel;
        self
    }

    /// What its TLS session says, if it has one.
    #[must_use]
    pub fn channel(&self) -> Option<&Arc<Channel>> {
        self.channel.as_ref()
    }

    /// What is known of it; `tls` follows an upgrade.
    #[must_use]
    pub fn info(&self) -> &ConnectionInfo {
        &self.info
    }

    /// True when it is encrypted.
    #[must_use]
    pub fn is_tls(&self) -> bool {
        self.info.tls
    }

    /// Octets received and sent so far, inside TLS, as they were on the way (compressed).
    #[must_use]
    pub fn counters(&self) -> (u64, u64) {
        (self.received, self.sent)
    }

    /// Where replies are put; [`Connection::flush`] writes them.
    pub fn out(&mut self) -> &mut Vec<u8> {
        &mut self.out
    }

    /// Writes all gathered replies at once.
    ///
    /// # Errors
    /// `TimedOut` when the peer takes nothing, or what the network says.
    pub async fn flush(&mut self) -> Result<(), ConnectionError> {
        if self.out.is_empty() {
            return Ok(());
        }
        let mut rest = match self.deflate.as_mut() {
            Some(deflate) => deflate.shrink(&self.out)?,
            None => self.out.as_slice(),
        };
        while !rest.is_empty() {
            // The time limit is for each step forward, not for the whole of a large reply.
            let step = timeout(WRITE_TIMEOUT, self.stream.write(rest));
            let written = step.await.map_err(|_| ConnectionError::TimedOut)??;
            if written == 0 {
                return Err(ConnectionError::Closed);
            }
            self.sent += written as u64;
            rest = rest.get(written..).unwrap_or_default();
        }
        let flushed = timeout(WRITE_TIMEOUT, self.stream.flush()).await;
        flushed.map_err(|_| ConnectionError::TimedOut)??;
        self.out.clear();
        if self.out.capacity() > 2 * WRITE_CHUNK {
            self.out = Vec::new();
        }
        Ok(())
    }

    /// Writes the gathered replies if they fill a chunk; called between the parts of a long reply.
    ///
    /// # Errors
    /// As [`Connection::flush`].
    pub async fn flush_full(&mut self) -> Result<(), ConnectionError> {
        if self.out.len() >= WRITE_CHUNK { self.flush().await } else { Ok(()) }
    }

    /// Gives unused memory back before a long wait.
    pub fn rest(&mut self) {
        if self.out.is_empty() && self.out.capacity() > KEPT_OUT {
            self.out = Vec::new();
        }
        self.read_size = READ_SMALL;
    }

    /// Writes the gathered replies, then waits up to `idle` for more bytes and adds them to
    /// `into`. Cancelling it loses nothing.
    ///
    /// # Errors
    /// `Closed`, `TimedOut`, or what the network says.
    pub async fn read(
        &mut self,
        into: &mut BytesMut,
        idle: Duration,
    ) -> Result<usize, ConnectionError> {
        self.flush().await?;
        self.receive(into, idle).await
    }

    /// As [`Connection::read`] without writing first.
    ///
    /// # Errors
    /// As [`Connection::read`].
    pub async fn receive(
        &mut self,
        into: &mut BytesMut,
        idle: Duration,
    ) -> Result<usize, ConnectionError> {
        let Some(deflate) = self.deflate.as_mut() else {
            into.reserve(self.read_size);
            let got = timeout(idle, self.stream.read_buf(into)).await;
            let got = got.map_err(|_| ConnectionError::TimedOut)??;
            return self.count(got);
        };
        let mut quiet = false;
        loop {
            let given = deflate.expand(into)?;
            if given > 0 {
                return Ok(given);
            }
            let input = deflate.input();
            input.reserve(self.read_size);
            let patience = if quiet { idle.saturating_sub(QUIET) } else { idle.min(QUIET) };
            match timeout(patience, self.stream.read_buf(input)).await {
                Ok(got) => {
                    let got = got?;
                    if got == 0 {
                        return Err(ConnectionError::Closed);
                    }
                    self.received += got as u64;
                }
                Err(_) if quiet || idle <= QUIET => return Err(ConnectionError::TimedOut),
                Err(_) => {
                    quiet = true;
                    deflate.rest();
                }
            }
        }
    }

    fn count(&mut self, got: usize) -> Result<usize, ConnectionError> {
        if got == 0 {
            return Err(ConnectionError::Closed);
        }
        self.received += got as u64;
        if got >= self.read_size {
            self.read_size = (self.read_size * 4).min(READ_LARGE);
        }
        Ok(got)
    }

    /// True when both directions are compressed.
    #[must_use]
    pub fn is_compressed(&self) -> bool {
        self.deflate.is_some()
    }

    /// Compresses both directions from here on (RFC 4978). Replies gathered before are written
    /// as they are; `early` holds what was received after the command that asked for it.
    ///
    /// # Errors
    /// As [`Connection::flush`].
    pub async fn start_deflate(&mut self, early: BytesMut) -> Result<(), ConnectionError> {
        self.flush().await?;
        if self.deflate.is_none() {
            self.deflate = Some(Box::new(Deflate::new(early)));
        }
        Ok(())
    }

    /// Turns the connection into TLS. Replies gathered before are written first, in clear; the
    /// caller must have thrown away whatever the client sent ahead.
    ///
    /// # Errors
    /// `TimedOut`, or what the network or TLS says; the connection is lost then.
    pub async fn start_tls(&mut self, acceptor: &TlsAcceptor) -> Result<(), ConnectionError> {
        self.flush().await?;
        let stream = match std::mem::replace(&mut self.stream, Stream::Lost) {
            Stream::Plain(stream) => stream,
            other => {
                self.stream = other;
                return Err(ConnectionError::Io(io::Error::other("the connection is TLS already")));
            }
        };
        let handshake = Box::pin(timeout(HANDSHAKE_TIMEOUT, acceptor.accept(stream))).await;
        let tls = handshake.map_err(|_| ConnectionError::TimedOut)??;
        self.channel = Some(channel_of(tls.get_ref().1));
        self.stream = Stream::Tls(Box::new(tls));
        self.info.tls = true;
        Ok(())
    }

    /// Writes what is left and says goodbye; errors do not matter any more.
    pub async fn close(&mut self) {
        let goodbye = async {
            if self.flush().await.is_ok() {
                let _ = self.stream.shutdown().await;
            }
        };
        let _ = timeout(CLOSE_TIMEOUT, Box::pin(goodbye)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info() -> ConnectionInfo {
        let address = SocketAddr::from(([127, 0, 0, 1], 1));
        ConnectionInfo { session: 1, peer: address, local: address, tls: false }
    }

    #[tokio::test]
    async fn replies_gathered_are_written_together_and_reading_sees_every_byte() {
        let (mut client, server) = tokio::io::duplex(1 << 20);
        let mut connection = Connection::new(server, info());
        connection.out().extend_from_slice(b"* OK one\r\n");
        connection.out().extend_from_slice(b"* OK two\r\n");
        client.write_all(&[b'x'; 5000]).await.unwrap();
        let mut into = BytesMut::new();
        while into.len() < 5000 {
            connection.read(&mut into, Duration::from_secs(5)).await.unwrap();
        }
        let mut got = [0; 100];
        let n = client.read(&mut got).await.unwrap();
        assert_eq!(&got[..n], b"* OK one\r\n* OK two\r\n");
        assert_eq!(connection.counters(), (5000, 20));
        drop(client);
        let end = connection.read(&mut into, Duration::from_secs(5)).await;
        assert!(matches!(end, Err(ConnectionError::Closed)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_peer_times_out() {
        let (_client, server) = tokio::io::duplex(10);
        let mut connection = Connection::new(server, info());
        let end = connection.read(&mut BytesMut::new(), Duration::from_secs(60)).await;
        assert!(matches!(end, Err(ConnectionError::TimedOut)));
    }
}
