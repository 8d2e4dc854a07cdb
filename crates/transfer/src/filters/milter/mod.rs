//! Mail filters over the milter protocol, version 6 as sendmail's library and Postfix speak it
//! (Rspamd, ClamAV, OpenDKIM and many more): we are the mail server's side.
//!
//! [`packet`] is the form on the wire, [`session`] the conversation about one message, [`changes`]
//! what a filter wants changed. It must never know where messages come from or go.

pub mod changes;
pub mod packet;
pub mod session;

use std::io;
use std::time::Duration;

use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

use super::Endpoint;
use session::{About, Answer};

/// Why a filter could not be asked. Always *later*, unless the setting says otherwise.
#[derive(Debug, Error)]
pub enum MilterError {
    /// No connection, or it broke.
    #[error("{0}")]
    Connection(#[from] io::Error),
    /// It took too long.
    #[error("no answer in time")]
    TimedOut,
    /// It does not speak the protocol.
    #[error("protocol error: {0}")]
    Protocol(&'static str),
}

/// Asks a filter about a message. `limit` holds for each answer, and ten times that for the whole
/// conversation.
///
/// # Errors
/// See [`MilterError`].
pub async fn ask(
    endpoint: &Endpoint,
    about: &About<'_>,
    limit: Duration,
) -> Result<Answer, MilterError> {
    let conversation = async {
        match endpoint {
            Endpoint::Tcp(address) => {
                let stream = connect(TcpStream::connect(address.as_str()), limit).await?;
                stream.set_nodelay(true)?;
                converse(stream, about, limit).await
            }
            Endpoint::Unix(path) => {
                let stream = connect(UnixStream::connect(path), limit).await?;
                converse(stream, about, limit).await
            }
        }
    };
    let whole = limit.saturating_mul(10);
    tokio::time::timeout(whole, conversation).await.map_err(|_| MilterError::TimedOut)?
}

async fn connect<S>(
    connecting: impl Future<Output = io::Result<S>>,
    limit: Duration,
) -> Result<S, MilterError> {
    Ok(tokio::time::timeout(limit, connecting).await.map_err(|_| MilterError::TimedOut)??)
}

async fn converse<S: AsyncRead + AsyncWrite + Unpin + Send>(
    stream: S,
    about: &About<'_>,
    limit: Duration,
) -> Result<Answer, MilterError> {
    session::Session::new(stream, limit).run(about).await
}
