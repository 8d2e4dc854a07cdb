//! The settings of receiving as the connections of one listener need them: read once after each
//! change, never for each message.
//!
//! It must never know what a client says.

use std::sync::Arc;
use std::time::Duration;

use angarium_objects::network::{Network, networks};
use angarium_objects::settings::Scope;
use angarium_objects::spelling::{self, Flow, Limit};
use angarium_objects::value::{Dictionary, Value};

use super::Receiver;

/// Name of the module whose settings these are.
const MODULE: &str = "SMTP";

/// Which clients something is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Audience {
    Everybody,
    /// Client addresses, and those who logged in.
    Clients,
    NonClients,
    /// Those who logged in.
    Authenticated,
    Nobody,
}

impl Audience {
    fn read(word: &str) -> Self {
        match word {
            "clients" => Self::Clients,
            "non-clients" => Self::NonClients,
            "authenticated" => Self::Authenticated,
            "nobody" => Self::Nobody,
            _ => Self::Everybody,
        }
    }

    pub(super) fn has(self, client: bool, authenticated: bool) -> bool {
        match self {
            Self::Everybody => true,
            Self::Clients => client || authenticated,
            Self::NonClients => !client,
            Self::Authenticated => authenticated,
            Self::Nobody => false,
        }
    }
}

/// The settings of receiving.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "settings that are switches")]
pub(super) struct Rules {
    pub(super) max_size: u64,
    pub(super) max_recipients: usize,
    pub(super) max_messages: u32,
    pub(super) max_errors: u32,
    pub(super) silence: Duration,
    pub(super) greeting_delay: Duration,
    pub(super) auth_for: Audience,
    pub(super) size: bool,
    pub(super) eight_bit_mime: bool,
    pub(super) binary_mime: bool,
    pub(super) require_tls: bool,
    pub(super) no_soliciting: Option<String>,
    pub(super) deliver_by: Option<u32>,
    pub(super) future_release: Option<u32>,
    pub(super) etrn_for: Audience,
    pub(super) atrn: bool,
    pub(super) etrn_flow: Flow,
    pub(super) xclient: Vec<Network>,
}

impl Rules {
    /// Reads effective settings; what is not legal counts as its default.
    pub(super) fn read(all: &Dictionary) -> Self {
        let get = |key: &str| -> Value {
            let legal = |value: &&Value| {
                Scope::Smtp.find(key).is_some_and(|s| s.kind.accept(value).is_some())
            };
            let set = all.get(key).filter(legal).cloned();
            set.or_else(|| Scope::Smtp.built_in(key)).unwrap_or(Value::Null)
        };
        let on = |key: &str| spelling::boolean(&get(key)).unwrap_or(false);
        let seconds = |key: &str| spelling::duration(&get(key)).unwrap_or(0);
        let audience = |key: &str| Audience::read(get(key).as_str().unwrap_or_default());
        let limit = |limit: Option<Limit>| match limit {
            Some(Limit::Of(n)) => n,
            _ => u64::MAX,
        };
        let count = |key: &str| limit(spelling::count(&get(key)));
        let some = |n: u64| (n > 0).then(|| u32::try_from(n).unwrap_or(u32::MAX));
        let errors = get("ErrorsLimit").as_number().and_then(|n| u32::try_from(n).ok());
        Self {
            max_size: limit(spelling::size(&get("MessageSizeLimit"))),
            max_recipients: usize::try_from(count("RecipientsLimit")).unwrap_or(usize::MAX),
            max_messages: u32::try_from(count("MessagesLimit")).unwrap_or(u32::MAX),
            max_errors: errors.unwrap_or(angarium_smtp::limits::ERRORS),
            silence: Duration::from_secs(seconds("SilenceLimit").max(1)),
            greeting_delay: Duration::from_secs(seconds("DelayGreeting")),
            auth_for: audience("AdvertiseAUTH"),
            size: on("AdvertiseSIZE"),
            eight_bit_mime: on("Advertise8BITMIME"),
            binary_mime: on("AdvertiseBINARYMIME"),
            require_tls: on("AdvertiseREQUIRETLS"),
            no_soliciting: match get("AdvertiseNOSOLICITING").as_str().map(str::trim) {
                None | Some("") => None,
                Some("*") => Some(String::new()),
                Some(words) => Some(words.chars().filter(|c| !c.is_control()).collect()),
            },
            deliver_by: some(seconds("DeliverByMinimum")),
            future_release: some(seconds("FutureReleaseLimit")),
            etrn_for: audience("ETRNAllowed"),
            atrn: on("ATRNEnabled"),
            etrn_flow: spelling::flow(&get("ETRNFlow"))
                .unwrap_or(Flow { count: Limit::Of(0), seconds: 1 }),
            xclient: networks(&get("XCLIENTAddresses")).unwrap_or_default(),
        }
    }
}

impl Receiver {
    /// The rules of this moment: read anew after a change of settings, else from memory.
    pub(super) async fn rules(&self) -> Arc<Rules> {
        let read = async {
            let mut all = self.accounts.read_module_effective(MODULE).await?;
            all.extend(self.settings.own.iter().map(|(k, v)| (k.clone(), v.clone())));
            let mut rules = Rules::read(&all);
            rules.silence = self.settings.silence.unwrap_or(rules.silence);
            rules.greeting_delay = self.settings.greeting_delay.unwrap_or(rules.greeting_delay);
            Ok(Arc::new(rules))
        };
        let otherwise = || Rules::read(&Dictionary::new());
        self.known.get(&self.reception.changes, read, otherwise).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_become_rules_and_wrong_ones_their_defaults() {
        let rules = Rules::read(&Dictionary::new());
        assert_eq!((rules.max_size, rules.max_recipients, rules.max_errors), (64 << 20, 1_000, 10));
        assert_eq!((rules.deliver_by, rules.future_release), (Some(60), Some(2_592_000)));
        assert_eq!(rules.no_soliciting, None);
        assert!(rules.atrn && rules.binary_mime && rules.etrn_for == Audience::Everybody);
        let all = [
            ("MessageSizeLimit", Value::from("1K")),
            ("RecipientsLimit", Value::from("unlimited")),
            ("FutureReleaseLimit", Value::from("0")),
            ("AdvertiseAUTH", Value::from("non-clients")),
            ("AdvertiseNOSOLICITING", Value::from("*")),
            ("SilenceLimit", Value::from("soon")),
            ("XCLIENTAddresses", Value::from("10.0.0.0/8")),
        ];
        let all = all.into_iter().map(|(k, v)| (k.to_owned(), v)).collect();
        let rules = Rules::read(&all);
        assert_eq!((rules.max_size, rules.max_recipients), (1024, usize::MAX));
        assert_eq!(rules.future_release, None);
        assert_eq!(rules.silence, Duration::from_secs(300));
        assert_eq!(rules.no_soliciting.as_deref(), Some(""));
        assert!(rules.auth_for.has(false, false) && !rules.auth_for.has(true, false));
        assert!(rules.xclient[0].contains([10, 1, 2, 3].into()));
    }
}
