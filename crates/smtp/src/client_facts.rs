//! What a trusted relay in front of us says of the true client: the attributes of XCLIENT.
//!
//! It must never know who is trusted.

use std::fmt;
use std::net::IpAddr;

use crate::command::CommandError;
use crate::limits;
use crate::parameters::{decode_xtext, encode_xtext};

/// The attributes that are understood, as they are announced.
pub const ATTRIBUTES: &str = "NAME ADDR PORT PROTO HELO DESTADDR DESTPORT";

/// What XCLIENT says; what it does not say, or says to be unavailable, is `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientFacts {
    /// The client's verified host name.
    pub name: Option<String>,
    /// Its address.
    pub address: Option<IpAddr>,
    /// Its port.
    pub port: Option<u16>,
    /// Whether it spoke ESMTP.
    pub extended: Option<bool>,
    /// What it called itself.
    pub hello: Option<String>,
    /// The address it connected to.
    pub local_address: Option<IpAddr>,
    /// The port it connected to.
    pub local_port: Option<u16>,
}

impl ClientFacts {
    /// Reads what follows the word XCLIENT: at least one attribute, none twice.
    ///
    /// # Errors
    /// [`CommandError::Syntax`].
    pub fn parse(text: &str) -> Result<Self, CommandError> {
        let mut facts = Self::default();
        let mut seen = Vec::new();
        for word in text.split(' ').filter(|w| !w.is_empty()) {
            let (name, value) = word.split_once('=').ok_or(CommandError::Syntax("NAME=value"))?;
            let name = name.to_ascii_uppercase();
            if seen.contains(&name) {
                return Err(CommandError::Syntax("attribute given twice"));
            }
            let unknown = value.eq_ignore_ascii_case("[UNAVAILABLE]")
                || value.eq_ignore_ascii_case("[TEMPUNAVAIL]");
            let value = decode_xtext(value).filter(|v| v.len() <= limits::DOMAIN);
            let value = value.ok_or(CommandError::Syntax("attribute value"))?;
            let good = match name.as_str() {
                "NAME" | "ADDR" | "PORT" | "PROTO" | "HELO" | "DESTADDR" | "DESTPORT"
                    if unknown =>
                {
                    true
                }
                "NAME" => host(&value).is_some_and(|v| facts.name.replace(v).is_none()),
                "HELO" => host(&value).is_some_and(|v| facts.hello.replace(v).is_none()),
                "ADDR" => address(&value).is_some_and(|v| facts.address.replace(v).is_none()),
                "DESTADDR" => {
                    address(&value).is_some_and(|v| facts.local_address.replace(v).is_none())
                }
                "PORT" => value.parse().is_ok_and(|v| facts.port.replace(v).is_none()),
                "DESTPORT" => value.parse().is_ok_and(|v| facts.local_port.replace(v).is_none()),
                "PROTO" => {
                    facts.extended = Some(value.eq_ignore_ascii_case("ESMTP"));
                    value.eq_ignore_ascii_case("ESMTP") || value.eq_ignore_ascii_case("SMTP")
                }
                _ => return Err(CommandError::Syntax("attribute not known")),
            };
            if !good {
                return Err(CommandError::Syntax("attribute value"));
            }
            seen.push(name);
        }
        if seen.is_empty() { Err(CommandError::Syntax("attributes are needed")) } else { Ok(facts) }
    }
}

fn host(text: &str) -> Option<String> {
    let clean = |c: char| !c.is_control() && c != ' ' && !"()<>\"\\,;@".contains(c);
    (!text.is_empty() && text.chars().all(clean)).then(|| text.to_owned())
}

fn address(text: &str) -> Option<IpAddr> {
    let six = text.get(..5).is_some_and(|start| start.eq_ignore_ascii_case("IPV6:"));
    let text = if six { text.get(5..)? } else { text };
    text.parse::<IpAddr>().ok().filter(|ip| !six || ip.is_ipv6())
}

impl fmt::Display for ClientFacts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ip = |ip: &IpAddr| match ip {
            IpAddr::V4(ip) => ip.to_string(),
            IpAddr::V6(ip) => format!("IPV6:{ip}"),
        };
        let proto = self.extended.map(|e| if e { "ESMTP" } else { "SMTP" }.to_owned());
        let all = [
            ("NAME", self.name.clone()),
            ("ADDR", self.address.as_ref().map(ip)),
            ("PORT", self.port.map(|p| p.to_string())),
            ("PROTO", proto),
            ("HELO", self.hello.clone()),
            ("DESTADDR", self.local_address.as_ref().map(ip)),
            ("DESTPORT", self.local_port.map(|p| p.to_string())),
        ];
        if all.iter().all(|(_, value)| value.is_none()) {
            return f.write_str(" NAME=[UNAVAILABLE]");
        }
        for (name, value) in all {
            if let Some(value) = value {
                write!(f, " {name}={}", encode_xtext(&value))?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_relay_says_of_its_client_is_read() {
        let line = " NAME=client.example ADDR=IPV6:2001:db8::1 PORT=4321 PROTO=ESMTP HELO=laptop DESTADDR=192.0.2.1 DESTPORT=25";
        let facts = ClientFacts::parse(line).unwrap();
        assert_eq!(facts.address, Some("2001:db8::1".parse().unwrap()));
        assert_eq!(facts.port, Some(4321));
        assert_eq!(facts.to_string(), line);
        let facts = ClientFacts::parse("name=[UNAVAILABLE] addr=192.0.2.7").unwrap();
        assert_eq!((facts.name, facts.address), (None, Some("192.0.2.7".parse().unwrap())));
        for wrong in [
            "",
            "ADDR",
            "ADDR=x",
            "ADDR=IPV6:192.0.2.1",
            "PORT=70000",
            "PROTO=QMTP",
            "LOGIN=alice",
            "ADDR=192.0.2.1 ADDR=192.0.2.2",
            "HELO=a+0D+0Ab",
            "HELO=a(b",
        ] {
            assert!(ClientFacts::parse(wrong).is_err(), "{wrong}");
        }
    }
}
