//! A server's address as the Move programs take it, and how safely to talk to it.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use crate::error::{MoveError, Result};
use crate::login::Method;
use crate::trust::Trust;

/// Ports on which TLS starts with the first byte: IMAP, POP and submission (RFC 8314).
const IMPLICIT_PORTS: [u16; 3] = [993, 995, 465];

/// How a connection is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsPolicy {
    /// TLS from the first byte on ports 993, 995 and 465, else STARTTLS, and no password without
    /// it. On the loopback interface and through a tunnel nothing leaves the machine unprotected:
    /// there STARTTLS is not used, and on loopback certificates are not verified.
    WhenOffered,
    /// TLS or nothing, from the first byte on any port.
    Implicit,
    /// STARTTLS or nothing.
    StartTls,
    /// No TLS at all.
    Never,
}

/// Where a server is and how to talk to it.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// Host name or address, brackets removed.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Protection.
    pub tls: TlsPolicy,
    /// Which certificate is believed.
    pub trust: Trust,
    /// The name the certificate must be for, if not [`Endpoint::host`].
    pub certificate_name: Option<String>,
    /// A program whose standard input and output are the connection, with its arguments.
    pub tunnel: Option<Vec<String>>,
    /// What was found out about the server's logins; shared by all clones.
    pub(crate) learned: Learned,
}

/// The login method a server really takes, once it refused better ones: the next connections do
/// not begin with what fails.
#[derive(Clone, Debug, Default)]
pub(crate) struct Learned(Arc<Mutex<Option<Method>>>);

impl Learned {
    pub(crate) fn method(&self) -> Option<Method> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn learn(&self, method: Method) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(method);
    }
}

impl Endpoint {
    /// Reads `host`, `host:port`, `[v6]`, `[v6]:port` or a bare IPv6 address.
    ///
    /// # Errors
    /// `Usage` if the port is not a number from 1 to 65535 or the host is empty.
    pub fn parse(text: &str, default_port: u16) -> Result<Self> {
        let wrong = || {
            MoveError::Usage(format!(
                "\"{text}\" is not a server address; write HOST, HOST:PORT or [IPv6]:PORT"
            ))
        };
        let (host, port) = if text.parse::<IpAddr>().is_ok() {
            (text, None)
        } else if let Some(rest) = text.strip_prefix('[') {
            let (host, after) = rest.split_once(']').ok_or_else(wrong)?;
            match after {
                "" => (host, None),
                _ => (host, Some(after.strip_prefix(':').ok_or_else(wrong)?)),
            }
        } else {
            match text.rsplit_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (text, None),
            }
        };
        let port = match port {
            Some(port) => port.parse().ok().filter(|p| *p != 0).ok_or_else(wrong)?,
            None => default_port,
        };
        if host.is_empty() {
            return Err(wrong());
        }
        Ok(Self {
            host: host.to_owned(),
            port,
            tls: TlsPolicy::WhenOffered,
            trust: Trust::default(),
            certificate_name: None,
            tunnel: None,
            learned: Learned::default(),
        })
    }

    /// True when the address is written as a loopback one.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        self.host.eq_ignore_ascii_case("localhost")
            || self.host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
    }

    /// True when the connection leaves the machine protected or not at all, whatever the server
    /// offers: on loopback and through a tunnel.
    #[must_use]
    pub fn is_private_way(&self) -> bool {
        self.tunnel.is_some() || self.is_loopback()
    }

    /// True when TLS starts with the first byte. A tunnel is taken to have done that by itself.
    #[must_use]
    pub fn is_implicit(&self) -> bool {
        match self.tls {
            TlsPolicy::Implicit => true,
            TlsPolicy::WhenOffered => self.tunnel.is_none() && IMPLICIT_PORTS.contains(&self.port),
            TlsPolicy::StartTls | TlsPolicy::Never => false,
        }
    }
}

impl std::fmt::Display for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> (String, u16) {
        let endpoint = Endpoint::parse(text, 143).unwrap();
        (endpoint.host, endpoint.port)
    }

    #[test]
    fn mig_05_a_port_may_follow_every_server() {
        assert_eq!(parsed("192.0.2.3"), ("192.0.2.3".into(), 143));
        assert_eq!(parsed("192.0.2.3:144"), ("192.0.2.3".into(), 144));
        assert_eq!(parsed("old.example:993"), ("old.example".into(), 993));
        assert_eq!(parsed("2001:db8::1"), ("2001:db8::1".into(), 143));
        assert_eq!(parsed("[2001:db8::1]:99"), ("2001:db8::1".into(), 99));
        assert_eq!(parsed("[::1]"), ("::1".into(), 143));
    }

    #[test]
    fn the_port_says_how_tls_begins_and_a_tunnel_has_begun_it() {
        for (text, implicit) in [("h:993", true), ("h:995", true), ("h:465", true), ("h", false)] {
            let mut endpoint = Endpoint::parse(text, 143).unwrap();
            assert_eq!(endpoint.is_implicit(), implicit, "{text}");
            endpoint.tunnel = Some(vec!["openssl".into()]);
            assert!(!endpoint.is_implicit() && endpoint.is_private_way(), "{text}");
            endpoint.tls = TlsPolicy::Implicit;
            assert!(endpoint.is_implicit(), "{text}");
        }
    }

    #[test]
    fn nonsense_is_refused() {
        for text in ["", ":143", "host:", "host:0", "host:70000", "[::1", "[::1]x"] {
            assert!(Endpoint::parse(text, 143).is_err(), "{text}");
        }
    }
}
