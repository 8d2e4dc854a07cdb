//! How long another server may take (RFC 5321 section 4.5.3.2).

use std::time::Duration;

/// How long each step may take.
#[derive(Clone, Copy, Debug)]
pub struct Phases {
    /// Until the connection stands, at the last address there is.
    pub connect: Duration,
    /// The same where another address can be tried instead.
    pub connect_first: Duration,
    /// Until the greeting.
    pub greeting: Duration,
    /// For a reply to EHLO, STARTTLS with its handshake, AUTH.
    pub hello: Duration,
    /// For a reply to MAIL, RCPT and DATA.
    pub command: Duration,
    /// For a piece of the content to be taken.
    pub block: Duration,
    /// For the reply after the content.
    pub end: Duration,
    /// For one message altogether, however fast its pieces go.
    pub message: Duration,
}

impl Default for Phases {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(30),
            // Enough for three tries of the machine itself (after 0, 1 and 3 seconds) and a slow way.
            connect_first: Duration::from_secs(6),
            greeting: Duration::from_secs(300),
            hello: Duration::from_secs(300),
            command: Duration::from_secs(300),
            block: Duration::from_secs(180),
            end: Duration::from_secs(600),
            message: Duration::from_secs(7200),
        }
    }
}
