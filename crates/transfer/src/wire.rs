//! A connection that can be taken to TLS where it stands (STARTTLS).
//!
//! It must never know what is said on it.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use angarium_accounts::Channel;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::channel::channel_of;

/// The stream, plain or encrypted.
#[derive(Debug)]
pub enum Wire<S> {
    /// As it came from the listener (which may already be encrypted).
    Plain(S),
    /// Encrypted by STARTTLS.
    Tls(Box<TlsStream<S>>),
    /// An upgrade failed; reads and writes fail.
    Broken,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    /// Does the server's side of the handshake.
    ///
    /// # Errors
    /// What the handshake says; the connection is of no more use then.
    pub async fn upgrade(&mut self, acceptor: &TlsAcceptor) -> io::Result<()> {
        match std::mem::replace(self, Self::Broken) {
            Self::Plain(stream) => {
                *self = Self::Tls(Box::new(acceptor.accept(stream).await?));
                Ok(())
            }
            Self::Tls(_) | Self::Broken => Err(io::Error::other("not a plain connection")),
        }
    }
}

impl<S> Wire<S> {
    /// What the TLS session says, if STARTTLS made one.
    pub(crate) fn channel(&self) -> Option<Arc<Channel>> {
        match self {
            Self::Tls(stream) => Some(channel_of(stream.get_ref().1)),
            Self::Plain(_) | Self::Broken => None,
        }
    }
}

fn broken<T>() -> Poll<io::Result<T>> {
    Poll::Ready(Err(io::ErrorKind::NotConnected.into()))
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Wire<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_read(cx, buf),
            Self::Broken => broken(),
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Wire<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_write(cx, buf),
            Self::Broken => broken(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_flush(cx),
            Self::Broken => broken(),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_shutdown(cx),
            Self::Broken => broken(),
        }
    }
}
