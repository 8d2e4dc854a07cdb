//! The domain setting `TakeOver`: the old server whose users come here one by one, how it is asked,
//! and what follows when somebody has arrived (`reference/migration.md` section 8). It must never
//! know a password.

use std::net::IpAddr;

use crate::name::domain_name;
use crate::spelling;
use crate::value::{Dictionary, Value};

/// The key of the setting.
pub const TAKE_OVER: &str = "TakeOver";
/// Longest address of a server, in bytes.
const MAX_ADDRESS: usize = 260;
/// Seconds between two copies of an account when nothing is said.
const USUAL_EVERY: u64 = 3_600;
/// Least seconds between two copies of an account.
const LEAST_EVERY: u64 = 60;

/// How a password is proved at the old server, and its mail copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OldProtocol {
    /// IMAP: all mailboxes come over.
    Imap,
    /// POP3: what is in the INBOX.
    Pop,
}

/// How far the old server must prove who it is before it is shown a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OldTls {
    /// TLS with a certificate that is good by the system's trust. On the loopback interface,
    /// where nothing leaves the machine, TLS is not needed.
    Verified,
    /// TLS with any certificate.
    Unverified,
    /// No TLS.
    Never,
}

/// The login name at the old server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OldName {
    /// The whole name, as here.
    Full,
    /// The name without a domain.
    Bare,
    /// The name in another domain.
    In(String),
}

/// What follows when a password was proved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OldMail {
    /// The mail is copied at once, in the background, and again until the switch.
    Copy,
    /// Name and password are appended to a list for MoveAccounts.
    List,
    /// Nothing: the password is kept.
    Password,
}

/// A host with its port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OldAddress {
    /// Name or address, brackets removed.
    pub host: String,
    /// Port.
    pub port: u16,
}

impl OldAddress {
    /// True when it is written as a loopback address.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        self.host.eq_ignore_ascii_case("localhost")
            || self.host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
    }
}

impl std::fmt::Display for OldAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]:{}", self.host, self.port),
            false => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

/// The old server of a domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OldServer {
    /// Whether it is asked at all.
    pub enabled: bool,
    /// Where it speaks [`OldServer::protocol`].
    pub server: OldAddress,
    /// How passwords are proved and mail is copied.
    pub protocol: OldProtocol,
    /// TLS before a password is shown.
    pub tls: OldTls,
    /// Where it is asked by SMTP whether it knows a name; `None`: it is not asked.
    pub smtp: Option<OldAddress>,
    /// The login name there.
    pub name: OldName,
    /// What follows when a password was proved.
    pub mail: OldMail,
    /// Seconds between two copies of an account; `None`: one copy.
    pub every: Option<u64>,
}

impl OldServer {
    /// The login name at the old server of `name@domain`.
    #[must_use]
    pub fn login_name(&self, name: &str, domain: &str) -> String {
        match &self.name {
            OldName::Full => format!("{name}@{domain}"),
            OldName::Bare => name.to_owned(),
            OldName::In(other) => format!("{name}@{other}"),
        }
    }

    /// The domain names are asked about in at the old server.
    #[must_use]
    pub fn mail_domain<'a>(&'a self, domain: &'a str) -> &'a str {
        match &self.name {
            OldName::In(other) => other,
            _ => domain,
        }
    }
}

/// Reads `host`, `host:port`, `[v6]`, `[v6]:port` or a bare IPv6 address.
fn address(text: &str, port: u16) -> Option<OldAddress> {
    let text = text.trim();
    if text.is_empty() || text.len() > MAX_ADDRESS {
        return None;
    }
    let bare = |host: &str, port: u16| {
        let host = host.to_owned();
        let plain = !host.chars().any(|c| c.is_control() || c.is_whitespace() || c == '/');
        (plain && !host.is_empty() && port != 0).then_some(OldAddress { host, port })
    };
    if text.parse::<IpAddr>().is_ok() {
        return bare(text, port);
    }
    if let Some(rest) = text.strip_prefix('[') {
        let (host, after) = rest.split_once(']')?;
        host.parse::<IpAddr>().ok()?;
        return match after {
            "" => bare(host, port),
            _ => bare(host, after.strip_prefix(':')?.parse().ok()?),
        };
    }
    match text.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') => bare(host, port.parse().ok()?),
        Some(_) => None,
        None => bare(text, port),
    }
}

fn choice<T: Copy>(value: Option<&Value>, words: &[(&str, T)], usual: T) -> Option<T> {
    let Some(value) = value else { return Some(usual) };
    let given = value.as_str()?.trim();
    words.iter().find(|(word, _)| word.eq_ignore_ascii_case(given)).map(|(_, what)| *what)
}

fn every(value: Option<&Value>) -> Option<Option<u64>> {
    match value {
        None => Some(Some(USUAL_EVERY)),
        Some(Value::String(word)) if word.eq_ignore_ascii_case("never") => Some(None),
        Some(value) => {
            spelling::duration(value).filter(|seconds| *seconds >= LEAST_EVERY).map(Some)
        }
    }
}

fn read(all: &Dictionary) -> Option<OldServer> {
    let known = ["Enabled", "Server", "Protocol", "TLS", "SMTP", "LoginDomain", "Mail", "Every"];
    // A misspelled key would be a setting that does nothing, such as TLS written Tls.
    if all.keys().any(|key| !known.contains(&key.as_str())) {
        return None;
    }
    let text = |key: &str| match all.get(key) {
        None => Some(None),
        Some(value) => value.as_str().map(|text| Some(text.trim().to_owned())),
    };
    let enabled = match all.get("Enabled") {
        None => true,
        Some(value) => spelling::boolean(value)?,
    };
    let protocol = choice(
        all.get("Protocol"),
        &[("IMAP", OldProtocol::Imap), ("POP", OldProtocol::Pop)],
        OldProtocol::Imap,
    )?;
    let usual = match protocol {
        OldProtocol::Imap => 143,
        OldProtocol::Pop => 110,
    };
    let server = address(&text("Server")??, usual)?;
    let smtp = match text("SMTP")? {
        None => Some(OldAddress { host: server.host.clone(), port: 25 }),
        Some(word) if word.eq_ignore_ascii_case("no") => None,
        Some(given) => Some(address(&given, 25)?),
    };
    let name = match text("LoginDomain")? {
        None => OldName::Full,
        Some(word) if word.eq_ignore_ascii_case("no") => OldName::Bare,
        Some(domain) => OldName::In(domain_name(&domain).ok()?),
    };
    let tls = [
        ("Verified", OldTls::Verified),
        ("Unverified", OldTls::Unverified),
        ("Never", OldTls::Never),
    ];
    let mail = [("Copy", OldMail::Copy), ("List", OldMail::List), ("Password", OldMail::Password)];
    Some(OldServer {
        enabled,
        server,
        protocol,
        tls: choice(all.get("TLS"), &tls, OldTls::Verified)?,
        smtp,
        name,
        mail: choice(all.get("Mail"), &mail, OldMail::Copy)?,
        every: every(all.get("Every"))?,
    })
}

/// Reads the setting: `None` when something in it is wrong, `Some(None)` when it names no server.
#[must_use]
pub fn old_server(value: &Value) -> Option<Option<OldServer>> {
    match value {
        Value::Null => Some(None),
        Value::String(text) if text.trim().is_empty() => Some(None),
        Value::Dictionary(all) if all.is_empty() => Some(None),
        Value::Dictionary(all) => read(all).map(Some),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::parse_line;

    fn one(text: &str) -> Option<OldServer> {
        old_server(&parse_line(text).unwrap())?
    }

    // MIG-46
    #[test]
    fn mig_46_an_old_server_has_safe_values_for_what_is_not_said() {
        let old = one("{Server=old.example;}").unwrap();
        assert!(old.enabled);
        assert_eq!(old.server.to_string(), "old.example:143");
        assert_eq!(old.smtp.as_ref().unwrap().to_string(), "old.example:25");
        assert_eq!((old.tls, old.mail, old.every), (OldTls::Verified, OldMail::Copy, Some(3600)));
        assert_eq!(old.login_name("joe", "a.dom"), "joe@a.dom");
        let old = one("{Server=\"[2001:db8::1]:995\";Protocol=pop;TLS=never;SMTP=NO;LoginDomain=no;Mail=list;Every=never;Enabled=NO;}").unwrap();
        assert_eq!(old.server.to_string(), "[2001:db8::1]:995");
        assert_eq!((old.smtp.as_ref(), old.every, old.enabled), (None, None, false));
        assert_eq!(old.login_name("joe", "a.dom"), "joe");
        let old = one("{Server=192.0.2.3;Protocol=POP;LoginDomain=b.dom;SMTP=\"192.0.2.3:26\";}");
        let old = old.unwrap();
        assert_eq!((old.server.port, old.smtp.as_ref().unwrap().port), (110, 26));
        assert_eq!(old.login_name("joe", "a.dom"), "joe@b.dom");
        assert_eq!(old.mail_domain("a.dom"), "b.dom");
        assert_eq!(old_server(&parse_line("\"\"").unwrap()), Some(None));
        assert_eq!(old_server(&parse_line("{}").unwrap()), Some(None));
    }

    // ABU-44
    #[test]
    fn abu_44_a_misspelled_old_server_is_refused_and_never_weaker_than_meant() {
        for text in [
            "{Protocol=IMAP;}",
            "{Server=\"\";}",
            "{Server=\"a b\";}",
            "{Server=\"a:0\";}",
            "{Server=\"a:b:1\";}",
            "{Server=\"[x]:1\";}",
            "{Server=a;Tls=Verified;}",
            "{Server=a;TLS=perhaps;}",
            "{Server=a;Protocol=LDAP;}",
            "{Server=a;LoginDomain=\"a b\";}",
            "{Server=a;Every=1s;}",
            "{Server=a;Mail=Forget;}",
            "(a)",
            "5",
        ] {
            assert_eq!(old_server(&parse_line(text).unwrap()), None, "{text}");
        }
        assert!(one("{Server=127.0.0.1;}").unwrap().server.is_loopback());
        assert!(!one("{Server=localhost.example;}").unwrap().server.is_loopback());
    }
}
