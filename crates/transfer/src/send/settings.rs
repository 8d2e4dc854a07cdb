//! The settings of sending, read once when they change (`reference/smtp.md` section 3.1).
//!
//! It must never know what they are used for.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use angarium_accounts::Accounts;
use angarium_objects::settings::{self, Scope};
use angarium_objects::spelling;
use angarium_objects::value::{Dictionary, Value};

use super::target::Target;
use crate::dns::DnsOptions;

/// The module's name.
pub(crate) const MODULE: &str = "SMTP";

/// What the administrator wants of TLS towards a domain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Wish {
    /// Not used.
    Never,
    /// Used where offered.
    #[default]
    Opportunistic,
    /// Nothing is sent without.
    Always,
    /// Nothing is sent without, and the certificate must be good.
    Verify,
}

impl Wish {
    fn read(text: &str) -> Option<Self> {
        match text.trim().to_ascii_lowercase().as_str() {
            "never" => Some(Self::Never),
            "opportunistic" => Some(Self::Opportunistic),
            "always" => Some(Self::Always),
            "verify" => Some(Self::Verify),
            _ => None,
        }
    }
}

/// What sending is set to.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "one for each switch")]
pub(crate) struct SendingSettings {
    pub(crate) channels: usize,
    pub(crate) per_address: usize,
    pub(crate) per_host: usize,
    pub(crate) messages: usize,
    pub(crate) idle: Duration,
    pub(crate) forward_to: Option<Target>,
    pub(crate) forward_login: Option<(String, String)>,
    pub(crate) forward_clear: bool,
    pub(crate) source: Vec<IpAddr>,
    pub(crate) hello: Option<String>,
    pub(crate) private: bool,
    pub(crate) srs: bool,
    pub(crate) dane: bool,
    pub(crate) sts: bool,
    pub(crate) reports: bool,
    wish: Wish,
    wishes: BTreeMap<String, Wish>,
}

impl SendingSettings {
    /// Reads the effective dictionary; what is not legal counts as not set.
    pub(crate) fn read(all: &Dictionary) -> Self {
        let text = |key: &str| {
            all.get(key).and_then(Value::as_str).map(str::trim).filter(|t| !t.is_empty())
        };
        let flag = |key: &str| all.get(key).and_then(spelling::boolean).unwrap_or(false);
        let number = |key: &str| {
            let own = all.get(key).and_then(Value::as_number);
            let built_in = || Scope::Smtp.built_in(key).and_then(|v| v.as_number());
            own.or_else(built_in).and_then(|n| usize::try_from(n).ok()).unwrap_or(1).max(1)
        };
        let wishes = all.get("TLSPolicies").and_then(Value::as_dictionary);
        let wishes = wishes.into_iter().flatten().filter_map(|(domain, word)| {
            Some((domain.to_ascii_lowercase(), Wish::read(word.as_str()?)?))
        });
        let login = text("ForwardAUTHName")
            .zip(all.get("ForwardAUTHPassword").and_then(Value::as_str))
            .map(|(name, password)| (name.to_owned(), password.to_owned()));
        Self {
            channels: number("Channels"),
            per_address: number("ChannelsPerAddress"),
            per_host: number("ChannelsPerHost"),
            messages: number("MessagesPerChannel"),
            idle: Duration::from_secs(
                all.get("IdleChannel").and_then(spelling::duration).unwrap_or(5).min(300),
            ),
            forward_to: text("ForwardTo").and_then(Target::read),
            forward_login: login,
            forward_clear: flag("ForwardClearText"),
            source: all.get("SendingIPAddress").and_then(settings::addresses).unwrap_or_default(),
            hello: text("HELOName").map(str::to_owned),
            private: flag("AllowPrivateTargets"),
            srs: flag("SRS"),
            dane: flag("UseDANE"),
            sts: flag("UseMTASTS"),
            reports: flag("UseTLSReporting"),
            wish: text("TLSPolicy").and_then(Wish::read).unwrap_or_default(),
            wishes: wishes.collect(),
        }
    }

    /// What is wanted towards a domain: its own entry, else that of the nearest domain above it
    /// written with `*.`, else the general one.
    pub(crate) fn wish(&self, domain: &str) -> Wish {
        if let Some(wish) = self.wishes.get(domain) {
            return *wish;
        }
        let mut rest = domain;
        while let Some((_, above)) = rest.split_once('.') {
            if let Some(wish) = self.wishes.get(&format!("*.{above}")) {
                return *wish;
            }
            rest = above;
        }
        self.wish
    }
}

/// What the DNS is set to.
pub(crate) fn dns_options(all: &Dictionary) -> DnsOptions {
    let text = |key: &str| all.get(key).and_then(Value::as_str).map_or("", str::trim);
    let server = |text: &str| {
        let bare = text.trim_matches(['[', ']']).parse::<IpAddr>();
        text.parse().ok().or_else(|| bare.ok().map(|ip| SocketAddr::new(ip, 53)))
    };
    let anchor = text("DNSTrustAnchor");
    DnsOptions {
        servers: text("DNSServers")
            .split([',', ' ', '\n'])
            .map(str::trim)
            .filter(|t| !t.is_empty())
            .filter_map(server)
            .collect(),
        validate: all.get("DNSValidation").and_then(spelling::boolean).unwrap_or(false),
        trust_anchor: (!anchor.is_empty()).then(|| PathBuf::from(anchor)),
    }
}

/// The settings as they are now. Read again when the stored dictionary is another one.
#[derive(Debug, Default)]
pub(crate) struct Current {
    kept: Mutex<Option<(Arc<Dictionary>, Arc<SendingSettings>)>>,
}

impl Current {
    /// The settings. When they are others, `follow` hears of all of them first: nothing is sent
    /// by new settings that are followed by half.
    ///
    /// # Errors
    /// The store does not answer, or `follow` cannot and there are no earlier settings to stay
    /// with.
    pub(crate) async fn read(
        &self,
        accounts: &Accounts,
        follow: impl FnOnce(&Dictionary) -> Result<(), String>,
    ) -> Result<Arc<SendingSettings>, String> {
        let own = accounts.read_module(MODULE).await.map_err(|error| error.to_string())?;
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((known, settings)) = &*kept
            && (Arc::ptr_eq(known, &own) || **known == *own)
        {
            return Ok(Arc::clone(settings));
        }
        let effective = Scope::Smtp.effective(&own);
        if let Err(why) = follow(&effective) {
            if kept.is_none() {
                return Err(why);
            }
            tracing::error!(target: "SMTP", "{why}; the old ones stay");
        }
        let settings = Arc::new(SendingSettings::read(&effective));
        *kept = Some((own, Arc::clone(&settings)));
        Ok(settings)
    }

    /// What was read last.
    pub(crate) fn last(&self) -> Option<Arc<SendingSettings>> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.as_ref().map(|(_, settings)| Arc::clone(settings))
    }
}

#[cfg(test)]
mod tests {
    use angarium_objects::text::parse_line;

    use super::*;

    fn effective(text: &str) -> Dictionary {
        Scope::Smtp.effective(parse_line(text).unwrap().as_dictionary().unwrap())
    }

    #[test]
    fn the_nearest_wish_counts() {
        let text = r#"{TLSPolicy=Always;TLSPolicies={"a.example"=Never;"*.example"=Verify;};}"#;
        let settings = SendingSettings::read(&effective(text));
        assert_eq!(settings.wish("a.example"), Wish::Never);
        assert_eq!(settings.wish("x.b.example"), Wish::Verify);
        assert_eq!(settings.wish("example"), Wish::Always);
        assert_eq!((settings.channels, settings.idle), (50, Duration::from_secs(5)));
        assert!(settings.dane && settings.srs && !settings.private);
    }

    #[test]
    fn name_servers_are_read_with_and_without_ports() {
        let options =
            dns_options(&effective(r#"{DNSServers="127.0.0.1:5353, [::1], 192.0.2.1";}"#));
        let all: Vec<String> = options.servers.iter().map(ToString::to_string).collect();
        assert_eq!(all, ["127.0.0.1:5353", "[::1]:53", "192.0.2.1:53"]);
        assert!(!options.validate);
    }
}
