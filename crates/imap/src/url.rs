//! IMAP URLs (RFC 5092) with the parts that authorise others (RFC 4467), read and written. Pure
//! text: whose mailbox a URL names, and whether its token is right, is not known here.
//!
//! Only URLs that name a mailbox or (part of) a message are taken; searches are not.

use std::fmt;

use thiserror::Error;

use crate::decode::{Options, section_text};
use crate::encode::section_name;
use crate::types::{Date, Section};

/// Longest URL taken, in octets.
pub const MAX_URL: usize = 8 << 10;
/// Octets of a token: 16 to 64 (RFC 4467 section 7 wants at least 128 bits).
const TOKEN: std::ops::RangeInclusive<usize> = 16..=64;

/// An IMAP URL.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImapUrl {
    /// The server; `None` for a URL relative to the session it is used in.
    pub server: Option<Server>,
    /// The mailbox in UTF-8, `INBOX` in capitals; `None` for the selected one.
    pub mailbox: Option<String>,
    /// `;UIDVALIDITY=`
    pub uid_validity: Option<u32>,
    /// `;UID=`
    pub uid: Option<u32>,
    /// `;SECTION=`; all of the message without.
    pub section: Option<Section>,
    /// `;PARTIAL=`
    pub partial: Option<UrlRange>,
    /// `;EXPIRE=` and `;URLAUTH=`
    pub authorization: Option<Authorization>,
}

/// Whom a URL leads to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Server {
    /// The user as whom it is resolved.
    pub user: Option<String>,
    /// `;AUTH=`, as written.
    pub mechanism: Option<String>,
    /// Host name or address.
    pub host: String,
    /// Port, 143 if none.
    pub port: Option<u16>,
}

/// `;PARTIAL=offset.length`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UrlRange {
    /// First octet wanted, from 0.
    pub offset: u64,
    /// How many at most, above 0; `None` for all.
    pub length: Option<u64>,
}

/// Who may use a URL, how long, and the token that proves it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authorization {
    /// Seconds since 1970 after which it is worth nothing.
    pub expires: Option<i64>,
    /// Who may use it.
    pub access: Access,
    /// Mechanism (upper case) and token; `None` for a URL that is to be authorised.
    pub token: Option<(String, Vec<u8>)>,
}

/// Who may use an authorised URL (RFC 4467 section 3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Access {
    /// `submit+user`: a submission server on behalf of this user.
    Submit(String),
    /// `user+user`: this user.
    User(String),
    /// `authuser`: anybody who is logged in.
    AuthUser,
    /// `anonymous`: anybody.
    Anonymous,
}

/// Why a text is no IMAP URL that can be used here.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[expect(missing_docs, reason = "the texts say it")]
pub enum UrlError {
    #[error("the URL is longer than {MAX_URL} octets")]
    TooLong,
    #[error("the URL holds characters that must be encoded")]
    Characters,
    #[error("this is no IMAP URL")]
    Scheme,
    #[error("the URL's server is not readable")]
    Server,
    #[error("the URL's mailbox is not readable")]
    Mailbox,
    #[error("the URL is a search, which is not resolved")]
    Search,
    #[error("the URL's parameters are unknown or in a wrong order")]
    Parameter,
    #[error("the URL's section is not readable")]
    Section,
    #[error("the URL's authorization is not readable")]
    Authorization,
}

impl ImapUrl {
    /// Reads a URL: absolute, or relative to the server (`/mailbox…`) or to the selected mailbox
    /// (`;UID=…`).
    ///
    /// # Errors
    /// [`UrlError`].
    pub fn parse(text: &str) -> Result<Self, UrlError> {
        if text.len() > MAX_URL {
            return Err(UrlError::TooLong);
        }
        if !text.bytes().all(|b| b.is_ascii_graphic() && b != b'"' && b != b'\\') {
            return Err(UrlError::Characters);
        }
        let mut url = Self::default();
        let rest = match strip(text, "imap:") {
            Some(rest) if rest.starts_with("//") => rest,
            Some(_) => return Err(UrlError::Scheme),
            None => text,
        };
        if let Some(rest) = rest.strip_prefix("//") {
            let (server, path) = match rest.find('/') {
                Some(at) => rest.split_at(at),
                None => (rest, ""),
            };
            url.server = Some(Server::parse(server)?);
            if let Some(path) = path.strip_prefix('/').filter(|p| !p.is_empty()) {
                url.read_path(path, true)?;
            }
        } else if let Some(path) = rest.strip_prefix('/') {
            url.read_path(path, true)?;
        } else if rest.starts_with(';') {
            url.read_path(rest, false)?;
        } else {
            return Err(UrlError::Scheme);
        }
        Ok(url)
    }

    /// The mailbox (if the path begins with one) and the parameters.
    fn read_path(&mut self, path: &str, mailbox: bool) -> Result<(), UrlError> {
        let mut rest = path;
        if mailbox {
            let end = path.find([';', '?']).unwrap_or(path.len());
            let (name, after) = path.split_at(end);
            let name = if after.starts_with(';') && strip(after, ";UIDVALIDITY=").is_none() {
                name.strip_suffix('/').unwrap_or(name)
            } else {
                name
            };
            let name = decoded(name).filter(|n| !n.is_empty()).ok_or(UrlError::Mailbox)?;
            let inbox = name.eq_ignore_ascii_case("INBOX");
            self.mailbox = Some(if inbox { "INBOX".to_owned() } else { name });
            rest = after;
        }
        if rest.contains('?') {
            return Err(UrlError::Search);
        }
        self.read_parameters(rest)
    }

    /// `[;UIDVALIDITY=n][/;UID=n][/;SECTION=s][/;PARTIAL=r][[;EXPIRE=d];URLAUTH=…]`
    fn read_parameters(&mut self, text: &str) -> Result<(), UrlError> {
        let mut rest = text;
        let mut expires = None;
        // Each may come once, in this order.
        let mut step = 0;
        while let Some(after) = rest.strip_prefix(';') {
            let end = after.find(';').unwrap_or(after.len());
            let (parameter, behind) = after.split_at(end);
            let parameter = match behind.is_empty() {
                true => parameter,
                false => parameter.strip_suffix('/').unwrap_or(parameter),
            };
            rest = behind;
            let (name, value) = parameter.split_once('=').ok_or(UrlError::Parameter)?;
            let place = match name.to_ascii_uppercase().as_str() {
                "UIDVALIDITY" => {
                    self.uid_validity = Some(positive(value)?);
                    1
                }
                "UID" => {
                    self.uid = Some(positive(value)?);
                    2
                }
                "SECTION" => {
                    let text = decoded(value).ok_or(UrlError::Section)?;
                    let section = section_text(&text, Options { utf8: true });
                    self.section = Some(section.ok_or(UrlError::Section)?);
                    3
                }
                "PARTIAL" => {
                    self.partial = Some(range(value)?);
                    4
                }
                "EXPIRE" => {
                    expires = Some(rfc3339(value).ok_or(UrlError::Authorization)?);
                    5
                }
                "URLAUTH" => {
                    self.authorization = Some(authorization(value, expires)?);
                    6
                }
                _ => return Err(UrlError::Parameter),
            };
            if place <= step {
                return Err(UrlError::Parameter);
            }
            step = place;
        }
        let without_message =
            self.uid.is_none() && (self.section.is_some() || self.partial.is_some() || step > 4);
        let unfinished = expires.is_some() && self.authorization.is_none();
        let nothing = self.mailbox.is_none() && self.uid.is_none();
        if !rest.is_empty() || without_message || unfinished || nothing {
            return Err(UrlError::Parameter);
        }
        Ok(())
    }
}

/// What of a URL its token is made over: all before the token (RFC 4467 section 3).
#[must_use]
pub fn rump(text: &str) -> &str {
    let mark = ";URLAUTH=";
    let at = (0..text.len()).find(|at| text.get(*at..).is_some_and(|t| strip(t, mark).is_some()));
    let Some(access) = at.map(|at| at + mark.len()) else { return text };
    let colon = text.get(access..).and_then(|rest| rest.find(':'));
    colon.and_then(|colon| text.get(..access + colon)).unwrap_or(text)
}

impl Server {
    fn parse(text: &str) -> Result<Self, UrlError> {
        let mut server = Self::default();
        let host = match text.rsplit_once('@') {
            None => text,
            Some((who, host)) => {
                let (user, mechanism) = match who.find(';') {
                    None => (who, None),
                    Some(at) => {
                        let (user, rest) = who.split_at(at);
                        (user, Some(strip(rest, ";AUTH=").ok_or(UrlError::Server)?))
                    }
                };
                if !user.is_empty() {
                    server.user = Some(decoded(user).ok_or(UrlError::Server)?);
                }
                if let Some(mechanism) = mechanism {
                    server.mechanism = Some(decoded(mechanism).ok_or(UrlError::Server)?);
                }
                host
            }
        };
        // The colons of an address in brackets are no port's.
        let port_at = host.rfind(':').filter(|at| host.rfind(']').is_none_or(|close| close < *at));
        let host = match port_at {
            None => host,
            Some(at) => {
                let (host, port) = host.split_at(at);
                let port = port.trim_start_matches(':');
                let digits = !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit());
                server.port = Some(port.parse().ok().filter(|_| digits).ok_or(UrlError::Server)?);
                host
            }
        };
        let legal = |b: u8| {
            b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b'[' | b']' | b':')
        };
        if host.is_empty() || !host.bytes().all(legal) {
            return Err(UrlError::Server);
        }
        server.host = host.to_owned();
        Ok(server)
    }
}

/// The text behind a word, ASCII case aside.
fn strip<'t>(text: &'t str, word: &str) -> Option<&'t str> {
    let start = text.get(..word.len())?;
    if start.eq_ignore_ascii_case(word) { text.get(word.len()..) } else { None }
}

fn positive(text: &str) -> Result<u32, UrlError> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|n| digits && *n > 0).ok_or(UrlError::Parameter)
}

fn range(text: &str) -> Result<UrlRange, UrlError> {
    let number = |text: &str| -> Result<u64, UrlError> {
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        text.parse::<u64>().ok().filter(|n| digits && *n >> 63 == 0).ok_or(UrlError::Parameter)
    };
    match text.split_once('.') {
        None => Ok(UrlRange { offset: number(text)?, length: None }),
        Some((offset, length)) => match number(length)? {
            0 => Err(UrlError::Parameter),
            length => Ok(UrlRange { offset: number(offset)?, length: Some(length) }),
        },
    }
}

fn authorization(text: &str, expires: Option<i64>) -> Result<Authorization, UrlError> {
    let mut words = text.splitn(3, ':');
    let who = words.next().unwrap_or_default();
    let name = |text: &str| decoded(text).filter(|n| !n.is_empty()).ok_or(UrlError::Authorization);
    let access = if let Some(user) = strip(who, "submit+") {
        Access::Submit(name(user)?)
    } else if let Some(user) = strip(who, "user+") {
        Access::User(name(user)?)
    } else if who.eq_ignore_ascii_case("authuser") {
        Access::AuthUser
    } else if who.eq_ignore_ascii_case("anonymous") {
        Access::Anonymous
    } else {
        return Err(UrlError::Authorization);
    };
    let token = match (words.next(), words.next()) {
        (None, _) => None,
        (Some(mechanism), Some(token)) if is_mechanism(mechanism) => {
            let octets = unhex(token).filter(|o| TOKEN.contains(&o.len()));
            Some((mechanism.to_ascii_uppercase(), octets.ok_or(UrlError::Authorization)?))
        }
        _ => return Err(UrlError::Authorization),
    };
    Ok(Authorization { expires, access, token })
}

fn is_mechanism(text: &str) -> bool {
    (1..=32).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.'))
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) || text.len() > 2 * TOKEN.end() {
        return None;
    }
    let digit = |b: u8| char::from(b).to_digit(16).and_then(|d| u8::try_from(d).ok());
    let pair = |pair: &[u8]| match pair {
        [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
        _ => None,
    };
    text.as_bytes().chunks(2).map(pair).collect()
}

/// Undoes percent-encoding; nothing for what is no UTF-8 or holds control characters.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let hex = tail.get(..2).and_then(|h| std::str::from_utf8(h).ok())?;
        bytes.extend(unhex(hex)?);
        rest = tail.get(2..)?;
    }
    let text = String::from_utf8(bytes).ok()?;
    (!text.chars().any(char::is_control)).then_some(text)
}

/// Percent-encodes all but the characters that stand for themselves everywhere and those named.
fn encoded(f: &mut fmt::Formatter<'_>, text: &str, plain: &[u8]) -> fmt::Result {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) || plain.contains(&byte) {
            write!(f, "{}", char::from(byte))?;
        } else {
            write!(f, "%{byte:02X}")?;
        }
    }
    Ok(())
}

/// `2006-10-31T12:00:00Z`, with fractions and any zone.
fn rfc3339(text: &str) -> Option<i64> {
    let number = |from: usize, to: usize| -> Option<i64> {
        let digits = text.get(from..to)?;
        digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse().ok())?
    };
    let mark = |at: usize, marks: &[u8]| text.as_bytes().get(at).is_some_and(|b| marks.contains(b));
    let shaped =
        mark(4, b"-") && mark(7, b"-") && mark(10, b"Tt") && mark(13, b":") && mark(16, b":");
    if !shaped {
        return None;
    }
    let date = Date::from_calendar(
        u16::try_from(number(0, 4)?).ok()?,
        u8::try_from(number(5, 7)?).ok()?,
        u8::try_from(number(8, 10)?).ok()?,
    )?;
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    let mut zone = text.get(19..)?;
    if let Some(fraction) = zone.strip_prefix('.') {
        let end = fraction.find(|c: char| !c.is_ascii_digit())?;
        zone = fraction.get(end..).filter(|_| end > 0)?;
    }
    let east = match zone.as_bytes() {
        [b'Z' | b'z'] => 0,
        [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2]
            if [h1, h2, m1, m2].iter().all(|b| b.is_ascii_digit()) =>
        {
            let two = |a: &u8, b: &u8| i64::from(a - b'0') * 10 + i64::from(b - b'0');
            let (hours, minutes) = (two(h1, h2), two(m1, m2));
            if hours > 23 || minutes > 59 {
                return None;
            }
            (hours * 3600 + minutes * 60) * if *sign == b'-' { -1 } else { 1 }
        }
        _ => return None,
    };
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    Some(date.days * 86_400 + hour * 3600 + minute * 60 + second.min(59) - east)
}

impl fmt::Display for ImapUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(server) = &self.server {
            f.write_str("imap://")?;
            if let Some(user) = &server.user {
                encoded(f, user, b"!$'()+,&=")?;
            }
            if let Some(mechanism) = &server.mechanism {
                f.write_str(";AUTH=")?;
                encoded(f, mechanism, b"*")?;
            }
            if server.user.is_some() || server.mechanism.is_some() {
                f.write_str("@")?;
            }
            f.write_str(&server.host)?;
            if let Some(port) = server.port {
                write!(f, ":{port}")?;
            }
        }
        if let Some(mailbox) = &self.mailbox {
            f.write_str("/")?;
            // A slash at an end could be taken for one of the URL's own.
            let plain: &[u8] = match mailbox.starts_with('/') || mailbox.ends_with('/') {
                true => b"!$'()+,&=:@",
                false => b"!$'()+,&=:@/",
            };
            encoded(f, mailbox, plain)?;
        }
        if let Some(validity) = self.uid_validity {
            write!(f, ";UIDVALIDITY={validity}")?;
        }
        if let Some(uid) = self.uid {
            let slash =
                if self.mailbox.is_some() || self.uid_validity.is_some() { "/" } else { "" };
            write!(f, "{slash};UID={uid}")?;
        }
        if let Some(section) = &self.section {
            f.write_str("/;SECTION=")?;
            let mut text = Vec::new();
            section_name(&mut text, section);
            encoded(f, &String::from_utf8_lossy(&text), b"!$'()+,&=:@/")?;
        }
        if let Some(range) = self.partial {
            write!(f, "/;PARTIAL={}", range.offset)?;
            if let Some(length) = range.length {
                write!(f, ".{length}")?;
            }
        }
        match &self.authorization {
            Some(authorization) => authorization.fmt(f),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Authorization {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(expires) = self.expires {
            let (year, month, day) = Date { days: expires.div_euclid(86_400) }.calendar();
            let second = expires.rem_euclid(86_400);
            let (hour, minute) = (second / 3600, second / 60 % 60);
            write!(f, ";EXPIRE={year:04}-{month:02}-{day:02}")?;
            write!(f, "T{hour:02}:{minute:02}:{:02}Z", second % 60)?;
        }
        f.write_str(";URLAUTH=")?;
        match &self.access {
            Access::Submit(user) => {
                f.write_str("submit+")?;
                encoded(f, user, b"!$'()+,&=")?;
            }
            Access::User(user) => {
                f.write_str("user+")?;
                encoded(f, user, b"!$'()+,&=")?;
            }
            Access::AuthUser => f.write_str("authuser")?,
            Access::Anonymous => f.write_str("anonymous")?,
        }
        if let Some((mechanism, octets)) = &self.token {
            write!(f, ":{}:", mechanism.to_ascii_lowercase())?;
            for octet in octets {
                write!(f, "{octet:02x}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
