//! The settings of the module `Protection`, read once after each change.
//!
//! A value that cannot be read (settings are checked when they are set) counts as not set.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use angarium_objects::spelling::{self, Flow, Limit};
use angarium_objects::value::{Dictionary, Value};
use angarium_routing::protection::greylist::Times;
use angarium_routing::protection::lists::AddressList;
use angarium_routing::protection::{Banned, NameList, Whom};

use super::built_in;
use crate::filters::{FilterSettings, milter_settings};

/// Most DNS lists that are asked.
pub(super) const MAX_DNS_LISTS: usize = 16;
/// Longest time they are waited for.
const MAX_DNS_TIME: u64 = 30;
/// Longest delay of an answer.
const MAX_TARPIT: u64 = 30;

/// A DNS list.
#[derive(Clone, Debug)]
pub(super) struct DnsList {
    pub(super) zone: String,
    /// Answers that count.
    pub(super) answers: AddressList,
    /// For those who are refused.
    pub(super) text: Option<String>,
}

impl DnsList {
    /// `zone`, `zone=127.0.0.2`, `zone=127.0.0.2-127.0.0.9`, each with `; text`.
    fn read(line: &str) -> Option<Self> {
        let (entry, text) = line.split_once(';').unwrap_or((line, ""));
        let (zone, answers) = match entry.split_once('=') {
            Some((zone, answers)) => (zone, AddressList::read(&answers.replace(',', "\n")).ok()?),
            // 127.255.255.x says that the list does not answer us (RFC 5782 leaves it to the list).
            None => (entry, AddressList::read("127.0.0.0/8\n!127.255.255.0/24").ok()?),
        };
        let zone = zone.trim().trim_matches('.').to_ascii_lowercase();
        let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        let fits = !zone.is_empty() && zone.len() <= 180 && zone.chars().all(legal);
        let text = Some(text.trim().to_owned()).filter(|text| !text.is_empty());
        fits.then_some(Self { zone, answers, text })
    }

    /// True when an answer puts an address on the list.
    pub(super) fn counts(&self, answer: IpAddr) -> bool {
        self.answers.contains(answer)
    }
}

/// The settings.
#[derive(Debug)]
pub(crate) struct Rules {
    own: Dictionary,
    pub(super) denied: AddressList,
    pub(super) clients: AddressList,
    pub(super) black: AddressList,
    pub(super) white: AddressList,
    pub(super) black_names: NameList,
    pub(super) dns_lists: Vec<DnsList>,
    pub(super) dns_time: Duration,
    pub(super) blacklist_clients: bool,
    pub(super) verify: Whom,
    pub(super) relay_to_backed_up: bool,
    /// Seconds; 0 for never.
    pub(super) read_then_send: i64,
    pub(super) connections: Flow,
    pub(super) messages: Flow,
    pub(super) recipients: Flow,
    pub(super) unknown_names: Flow,
    pub(super) errors: Flow,
    /// Seconds.
    pub(super) block_time: u64,
    /// Seconds.
    pub(super) trap_time: u64,
    pub(super) tarpit: Duration,
    pub(super) greylist: Option<Times>,
    pub(super) banned: Banned,
    pub(crate) milters: Vec<FilterSettings>,
}

impl Default for Rules {
    fn default() -> Self {
        Self::read(&Dictionary::new())
    }
}

const NO_LIMIT: Flow = Flow { count: Limit::Unlimited, seconds: 1 };

impl Rules {
    /// Reads the explicit settings over the built-in ones.
    pub(super) fn read(own: &Dictionary) -> Self {
        let value = |key: &str| own.get(key).cloned().or_else(|| built_in(key));
        let text = |key: &str| match own.get(key) {
            Some(Value::String(text)) => text.clone(),
            _ => String::new(),
        };
        let list = |key: &str| {
            AddressList::read(&text(key)).unwrap_or_else(|error| {
                tracing::error!(target: "SMTPI", "{key} cannot be read: {error}");
                AddressList::default()
            })
        };
        let yes = |key: &str| value(key).as_ref().and_then(spelling::boolean).unwrap_or(false);
        let flow = |key: &str| value(key).as_ref().and_then(spelling::flow).unwrap_or(NO_LIMIT);
        let seconds = |key: &str| value(key).as_ref().and_then(spelling::duration).unwrap_or(0);
        let signed = |key: &str| i64::try_from(seconds(key)).unwrap_or(i64::MAX);
        let whom =
            |key: &str| Whom::read(value(key).as_ref().and_then(Value::as_str).unwrap_or_default());
        let passes = value("GreylistPasses").as_ref().and_then(Value::as_number).unwrap_or(0);
        let times = Times {
            wait: signed("GreylistWait"),
            forget: signed("GreylistForget"),
            keep: signed("GreylistKeep"),
            passes: u16::try_from(passes).unwrap_or(0),
        };
        Self {
            denied: list("DeniedIPs"),
            clients: list("ClientIPs"),
            black: list("BlacklistedIPs"),
            white: list("WhiteHoleIPs"),
            black_names: NameList::read(&text("BlacklistedNames")).unwrap_or_default(),
            dns_lists: text("DNSLists")
                .lines()
                .filter_map(DnsList::read)
                .take(MAX_DNS_LISTS)
                .collect(),
            dns_time: Duration::from_secs(seconds("DNSListTime").clamp(1, MAX_DNS_TIME)),
            blacklist_clients: yes("BlacklistClients"),
            verify: whom("VerifyHELOAndReturnPath"),
            relay_to_backed_up: yes("RelayToHostsWeBackup"),
            read_then_send: signed("ReadThenSend"),
            connections: flow("ConnectionFlow"),
            messages: flow("MessageFlow"),
            recipients: flow("RecipientFlow"),
            unknown_names: flow("UnknownNameFlow"),
            errors: flow("ErrorFlow"),
            block_time: seconds("BlockTime"),
            trap_time: seconds("SpamTrapTime"),
            tarpit: Duration::from_secs(seconds("TarpitDelay").min(MAX_TARPIT)),
            greylist: (whom("GreylistFor") != Whom::Nobody).then_some(times),
            banned: Banned::read(own).unwrap_or_default(),
            milters: own.get("Milters").map(milter_settings).unwrap_or_default(),
            own: own.clone(),
        }
    }

    /// True when these are the rules of these settings.
    pub(super) fn is_of(&self, own: &Dictionary) -> bool {
        self.own == *own
    }

    /// True for an address of this very host that no list names: local programs are not checked.
    pub(super) fn is_home(&self, ip: IpAddr) -> bool {
        let home = match ip {
            IpAddr::V4(ip) => ip == Ipv4Addr::LOCALHOST,
            IpAddr::V6(ip) => ip.is_loopback(),
        };
        home && !self.black.contains(ip) && !self.denied.contains(ip)
    }
}

#[cfg(test)]
mod tests {
    use angarium_objects::text::parse_line;

    use super::*;

    #[test]
    fn settings_are_laid_over_the_built_in_ones() {
        let text = "{ClientIPs=\"192.0.2.0/24\\e!192.0.2.9\";DNSLists=\"a.example\\eb.example=127.0.0.2,127.0.0.4-127.0.0.6; see b.example\\ebad zone\";GreylistFor=non-clients;}";
        let own = parse_line(text).unwrap().as_dictionary().unwrap().clone();
        let rules = Rules::read(&own);
        assert!(rules.is_of(&own) && !rules.is_of(&Dictionary::new()));
        assert!(rules.clients.contains("192.0.2.8".parse().unwrap()));
        assert!(!rules.clients.contains("192.0.2.9".parse().unwrap()));
        let [a, b] = &rules.dns_lists[..] else { panic!("{:?}", rules.dns_lists) };
        let counts = |list: &DnsList, ip: &str| list.counts(ip.parse().unwrap());
        assert!(counts(a, "127.0.0.3") && !counts(a, "127.255.255.254") && !counts(a, "192.0.2.1"));
        assert!(counts(b, "127.0.0.5") && !counts(b, "127.0.0.3"));
        assert_eq!(b.text.as_deref(), Some("see b.example"));
        assert_eq!(rules.greylist.map(|t| (t.wait, t.passes)), Some((300, 5)));
        assert_eq!(rules.verify, Whom::NonClients);
        let usual = Rules::default();
        assert!(usual.greylist.is_none() && usual.clients.is_empty() && !usual.relay_to_backed_up);
        assert_eq!(usual.messages.count, Limit::Unlimited);
        assert_eq!(usual.errors.count, Limit::Of(3));
    }
}
