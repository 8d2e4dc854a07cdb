//! The settings that every service has: how much it logs, how many connections it takes, on
//! which ports (`reference/imap.md` section 1). Knows no service.

use std::net::IpAddr;

use super::smtp_receiving::SMTP_RECEIVING;
use super::{Effect, Kind, Setting, Who};
use crate::spelling::{self, Limit};
use crate::value::{Dictionary, Value};

/// The modules of this server as they are spelled.
const MODULES: &[&str] =
    &["SMTP", "IMAP", "POP", "PWD", "LOCAL", "PIPE", "LIST", "Queue", "Protection"];

/// The spelling of a module's name; case does not count for those of this server.
#[must_use]
pub fn module_name(given: &str) -> &str {
    MODULES.iter().find(|known| known.eq_ignore_ascii_case(given)).copied().unwrap_or(given)
}

/// Names of the modules of this server.
#[must_use]
pub fn module_names() -> &'static [&'static str] {
    MODULES
}

/// Most ports of one service.
pub const MAX_PORTS: usize = 64;

/// The settings of a module, sorted by key.
pub const MODULE_SETTINGS: &[Setting] = &[
    Setting {
        key: "Listener",
        kind: Kind::Listener,
        default: None,
        who: Who::Server,
        effect: Effect::Now,
        text: "Connections taken and the ports of the service.",
        since: "0.1",
    },
    Setting {
        key: "LogLevel",
        kind: Kind::Number(0, 5),
        default: None,
        who: Who::Server,
        effect: Effect::Now,
        text: "How much the service logs: 1 failures, 2 major, 3 problems, 4 low-level, 5 everything.",
        since: "0.1",
    },
    Setting {
        key: "MaxSessionsPerAccount",
        kind: Kind::Count,
        default: Some("200"),
        who: Who::Server,
        effect: Effect::Now,
        text: "Most sessions of one account at a time (IMAP).",
        since: "0.1",
    },
    Setting {
        key: "ProxyAddresses",
        kind: Kind::Networks,
        default: None,
        who: Who::Server,
        effect: Effect::Now,
        text: "Load balancers: a connection from these begins with the PROXY protocol, version 1 or 2.",
        since: "0.2",
    },
];

/// One port of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Port {
    /// Its number, 1 to 65535.
    pub number: u16,
    /// TLS from the first byte (`InitialSecurity`).
    pub tls: bool,
    /// Only this address of the machine (`IPAddress`); `None` is all.
    pub address: Option<IpAddr>,
    /// For mail programs that log in, not for other servers (`Submission`, SMTP).
    pub submission: bool,
    /// For programs that deliver by LMTP (`Protocol=LMTP`, SMTP).
    pub lmtp: bool,
    /// Settings of the module that are set otherwise for this port (SMTP).
    pub own: Dictionary,
}

/// The setting `Listener` of a service; `None` is the built-in value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listener {
    /// Most connections of the service at a time (`MaxInputChannels`); 0 turns it off.
    pub channels: Option<Limit>,
    /// Most connections from one network address at a time (`MaxPerAddress`).
    pub per_address: Option<Limit>,
    /// Its ports (`Ports`).
    pub ports: Option<Vec<Port>>,
}

fn switch(value: Option<&Value>) -> Option<bool> {
    let Some(value) = value else { return Some(false) };
    match value.as_str().map(str::to_ascii_lowercase).as_deref() {
        Some("on") => Some(true),
        Some("off") => Some(false),
        _ => spelling::boolean(value),
    }
}

fn port(value: &Value) -> Option<Port> {
    let all = value.as_dictionary()?;
    let number = u16::try_from(all.get("PortNumber")?.as_number()?).ok().filter(|n| *n > 0)?;
    let address = match all.get("IPAddress") {
        None => None,
        Some(Value::Ip(ip)) => Some(*ip),
        Some(value) => match value.as_str()?.trim().trim_matches(['[', ']']) {
            "" => None,
            text if text.eq_ignore_ascii_case("all") => None,
            text => Some(text.parse().ok()?),
        },
    };
    let (tls, submission) = (switch(all.get("InitialSecurity"))?, switch(all.get("Submission"))?);
    let lmtp = match all.get("Protocol").map(|value| value.as_str().map(str::to_ascii_lowercase)) {
        None => false,
        Some(word) => match word.as_deref() {
            Some("lmtp") => true,
            Some("" | "smtp") => false,
            _ => return None,
        },
    };
    let mut own = Dictionary::new();
    for (key, value) in all {
        if let Ok(at) = SMTP_RECEIVING.binary_search_by(|s| s.key.cmp(key)) {
            own.insert(key.clone(), SMTP_RECEIVING.get(at)?.kind.accept(value)?);
        }
    }
    Some(Port { number, tls, address, submission, lmtp, own })
}

/// Reads a value of the setting `Listener`; keys it does not know are kept by whoever stores it.
#[must_use]
pub fn listener(value: &Value) -> Option<Listener> {
    let all = value.as_dictionary()?;
    let limit = |key: &str| match all.get(key) {
        None => Some(None),
        Some(value) => spelling::count(value).map(Some),
    };
    let ports = match all.get("Ports") {
        None => None,
        Some(value) => {
            let ports = value.as_array().filter(|ports| ports.len() <= MAX_PORTS)?;
            Some(ports.iter().map(port).collect::<Option<Vec<_>>>()?)
        }
    };
    Some(Listener {
        channels: limit("MaxInputChannels")?,
        per_address: limit("MaxPerAddress")?,
        ports,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::parse_line;

    #[test]
    fn the_shape_of_the_guide_is_read() {
        let text = "{MaxInputChannels=300; Ports=({PortNumber=143;},{PortNumber=993;InitialSecurity=on;IPAddress=\"[127.0.0.1]\";});}";
        let read = listener(&parse_line(text).unwrap()).unwrap();
        assert_eq!(read.channels, Some(Limit::Of(300)));
        assert_eq!(read.per_address, None);
        let ports = read.ports.unwrap();
        assert_eq!((ports[0].number, ports[0].tls, ports[0].address), (143, false, None));
        assert_eq!((ports[1].number, ports[1].tls), (993, true));
        assert_eq!(ports[1].address, Some("127.0.0.1".parse().unwrap()));
    }

    #[test]
    fn a_port_has_a_protocol_and_settings_of_its_own() {
        let text = "{Ports=({PortNumber=24;Protocol=LMTP;MessageSizeLimit=1M;Other=5;});}";
        let ports = listener(&parse_line(text).unwrap()).unwrap().ports.unwrap();
        assert!(ports[0].lmtp);
        assert_eq!(ports[0].own.len(), 1);
        assert_eq!(ports[0].own.get("MessageSizeLimit").and_then(Value::as_str), Some("1M"));
    }

    #[test]
    fn a_module_is_found_however_it_is_written() {
        assert_eq!(module_name("queue"), "Queue");
        assert_eq!(module_name("Smtp"), "SMTP");
        assert_eq!(module_name("RPop"), "RPop");
    }

    #[test]
    fn what_is_no_listener_is_refused() {
        for text in [
            "{Ports=({PortNumber=24;Protocol=QMTP;});}",
            "{Ports=({PortNumber=24;MessageSizeLimit=large;});}",
            "5",
            "{Ports=5;}",
            "{Ports=({});}",
            "{Ports=({PortNumber=0;});}",
            "{Ports=({PortNumber=70000;});}",
            "{Ports=({PortNumber=1;InitialSecurity=perhaps;});}",
            "{Ports=({PortNumber=1;IPAddress=here;});}",
            "{MaxInputChannels=many;}",
        ] {
            assert_eq!(listener(&parse_line(text).unwrap()), None, "{text}");
        }
    }
}
