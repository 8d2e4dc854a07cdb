//! A conversation in lines with the old server: TCP, TLS before anything secret is said, one time
//! limit on all of it, and a bound on what is read. It must never know what the lines mean.

use std::time::Duration;

use angarium_migrate::trust::{self, Trust};
use angarium_objects::settings::{OldAddress, OldTls};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use zeroize::Zeroize as _;

/// How long one conversation with the old server may take.
pub const LIMIT: Duration = Duration::from_secs(20);
/// Longest line that is read, in octets.
const MAX_LINE: usize = 8_192;
/// Most lines that are read in one conversation.
const MAX_LINES: usize = 1_000;
/// Longest text of the old server that is passed on, in characters.
const MAX_TEXT: usize = 200;
/// Ports on which TLS starts with the first octet.
const TLS_PORTS: [u16; 2] = [993, 995];

/// Why a conversation came to nothing: *later*, and why, for the log.
pub type Trouble = String;

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// An open conversation.
pub struct Lines {
    stream: Option<Box<dyn Stream>>,
    kept: Vec<u8>,
    read: usize,
    most: usize,
    encrypted: bool,
}

/// What TLS is due before a password is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// From the first octet.
    AtOnce,
    /// By a command in the conversation.
    ByCommand,
    /// None.
    Never,
}

/// What TLS is due at an address under a policy.
#[must_use]
pub fn due(at: &OldAddress, tls: OldTls) -> Due {
    match tls {
        OldTls::Never => Due::Never,
        _ if TLS_PORTS.contains(&at.port) => Due::AtOnce,
        // Nothing leaves the machine.
        OldTls::Verified if at.is_loopback() => Due::Never,
        _ => Due::ByCommand,
    }
}

impl Lines {
    /// Connects, with TLS where it is due from the first octet.
    ///
    /// # Errors
    /// *Later*: no connection, or no safe one.
    pub async fn open(at: &OldAddress, tls: OldTls) -> Result<Self, Trouble> {
        let stream = TcpStream::connect((at.host.as_str(), at.port));
        let stream = stream.await.map_err(|e| format!("{at}: {e}"))?;
        stream.set_nodelay(true).map_err(|e| format!("{at}: {e}"))?;
        let stream: Box<dyn Stream> = Box::new(stream);
        let mut lines = Self {
            stream: Some(stream),
            kept: Vec::new(),
            read: 0,
            most: MAX_LINES,
            encrypted: false,
        };
        if due(at, tls) == Due::AtOnce {
            lines.encrypt(at, tls).await?;
        }
        Ok(lines)
    }

    /// Begins TLS. What came in clear before is forgotten: it was not said under TLS.
    ///
    /// # Errors
    /// *Later*: the handshake failed, or the certificate is not good.
    pub async fn encrypt(&mut self, at: &OldAddress, tls: OldTls) -> Result<(), Trouble> {
        self.kept.clear();
        let any = tls == OldTls::Unverified || at.is_loopback();
        let trust = if any { Trust::Any } else { Trust::System };
        let config = trust::config(&trust).map_err(|e| format!("{at}: {e}"))?;
        let name = ServerName::try_from(at.host.clone()).map_err(|e| format!("{at}: {e}"))?;
        let Some(stream) = self.stream.take() else { return Err("closed".to_owned()) };
        let stream = TlsConnector::from(config).connect(name, stream).await;
        let stream = stream.map_err(|e| format!("{at}: TLS: {e}"))?;
        self.stream = Some(Box::new(stream));
        self.encrypted = true;
        Ok(())
    }

    /// The same conversation, in which this many lines may be read.
    #[must_use]
    pub fn at_most(self, most: usize) -> Self {
        Self { most, ..self }
    }

    /// True under TLS.
    #[must_use]
    pub fn is_encrypted(&self) -> bool {
        self.encrypted
    }

    /// The next line, without its end.
    ///
    /// # Errors
    /// *Later*: closed, or more than is read.
    pub async fn line(&mut self) -> Result<String, Trouble> {
        self.read += 1;
        if self.read > self.most {
            return Err("it says too much".to_owned());
        }
        loop {
            if let Some(end) = self.kept.iter().position(|octet| *octet == b'\n') {
                let rest = self.kept.split_off(end + 1);
                let line = std::mem::replace(&mut self.kept, rest);
                let line = String::from_utf8_lossy(&line);
                return Ok(line.trim_end_matches(['\r', '\n']).to_owned());
            }
            if self.kept.len() > MAX_LINE {
                return Err("its line is too long".to_owned());
            }
            let mut chunk = [0; 1_024];
            let Some(stream) = &mut self.stream else { return Err("closed".to_owned()) };
            match stream.read(&mut chunk).await {
                Ok(0) => return Err("it closed the connection".to_owned()),
                Ok(got) => self.kept.extend_from_slice(chunk.get(..got).unwrap_or_default()),
                Err(error) => return Err(error.to_string()),
            }
        }
    }

    /// Says a line; the room it takes is wiped. What would be more than one line is never said: a
    /// password must not bring commands of its own.
    ///
    /// # Errors
    /// *Later*: the connection is lost, or there is more than one line in it.
    pub async fn say(&mut self, line: &[u8]) -> Result<(), Trouble> {
        if line.iter().any(|octet| matches!(octet, b'\r' | b'\n' | 0)) {
            return Err("that cannot be said to the old server".to_owned());
        }
        self.text(line).await
    }

    /// Says several lines of our own making, such as a test message.
    ///
    /// # Errors
    /// *Later*: the connection is lost.
    pub async fn text(&mut self, line: &[u8]) -> Result<(), Trouble> {
        let mut whole = Vec::with_capacity(line.len().saturating_add(2));
        whole.extend_from_slice(line);
        whole.extend_from_slice(b"\r\n");
        let Some(stream) = &mut self.stream else { return Err("closed".to_owned()) };
        let said = match stream.write_all(&whole).await {
            Ok(()) => stream.flush().await,
            failed => failed,
        };
        whole.zeroize();
        said.map_err(|error| error.to_string())
    }
}

/// A conversation within [`LIMIT`].
///
/// # Errors
/// As the conversation, or that it took too long.
pub async fn within<T>(
    talk: impl Future<Output = Result<T, Trouble>> + Send,
) -> Result<T, Trouble> {
    match tokio::time::timeout(LIMIT, Box::pin(talk)).await {
        Ok(done) => done,
        Err(_) => Err("it does not answer in time".to_owned()),
    }
}

/// Words of the old server as they go into logs and reports: one short line.
#[must_use]
pub fn shown(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(MAX_TEXT).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(host: &str, port: u16) -> OldAddress {
        OldAddress { host: host.to_owned(), port }
    }

    // ABU-44
    #[test]
    fn abu_44_tls_is_due_before_a_password_unless_the_setting_says_otherwise() {
        for (host, port, tls, wanted) in [
            ("old.example", 143, OldTls::Verified, Due::ByCommand),
            ("old.example", 993, OldTls::Verified, Due::AtOnce),
            ("old.example", 110, OldTls::Unverified, Due::ByCommand),
            ("old.example", 995, OldTls::Unverified, Due::AtOnce),
            ("old.example", 143, OldTls::Never, Due::Never),
            ("127.0.0.1", 143, OldTls::Verified, Due::Never),
            ("localhost", 993, OldTls::Verified, Due::AtOnce),
            ("127.0.0.1", 143, OldTls::Unverified, Due::ByCommand),
        ] {
            assert_eq!(due(&at(host, port), tls), wanted, "{host} {port} {tls:?}");
        }
    }

    #[test]
    fn words_of_the_old_server_are_short_and_without_control_characters() {
        assert_eq!(shown("a\r\nb\u{1b}[1m"), "ab[1m");
        assert_eq!(shown(&"x".repeat(9_000)).len(), MAX_TEXT);
    }
}
