//! Who may send through this server to another one (`reference/smtp.md` section 5.1): one
//! decision on facts. It must never know how the facts were found.

use crate::address::Address;
use crate::facts::RelayPermission;

/// What is known when a recipient on another system is named.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RelayFacts {
    /// The client's network address is one of the client addresses, or a mobile user of ours read
    /// mail from it a short while ago.
    pub client_address: bool,
    /// The client authenticated.
    pub authenticated: bool,
    /// The service `Relay` is enabled for the account it authenticated as.
    pub relay_enabled: bool,
    /// What the route says.
    pub permission: RelayPermission,
    /// The recipient's local part names a further system, see [`nested`].
    pub nested: bool,
    /// *Relay to All Hosts We Backup* is set and this server is a backup of the recipient's
    /// domain.
    pub backed_up: bool,
}

/// The answer, with the reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RelayDecision {
    /// It may, because …
    May(RelayGrant),
    /// It may not, because …
    MayNot(RelayRefusal),
}

/// Why relaying is permitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RelayGrant {
    /// The client authenticated.
    Authenticated,
    /// The client's network address.
    ClientAddress,
    /// A record, forwarder or rerouting.
    Route,
    /// This server is a backup of the domain.
    Backup,
}

/// Why relaying is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RelayRefusal {
    /// Nobody knows the client.
    Stranger,
    /// The account may not relay.
    RelayDisabled,
    /// The local part names a further system.
    Nested,
}

impl RelayDecision {
    /// True when it may.
    #[must_use]
    pub const fn may(self) -> bool {
        matches!(self, Self::May(_))
    }

    /// The decision for people.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::May(RelayGrant::Authenticated) => "the client authenticated",
            Self::May(RelayGrant::ClientAddress) => "the client has a client address",
            Self::May(RelayGrant::Route) => "the route is open to everybody",
            Self::May(RelayGrant::Backup) => "this server is a backup of the domain",
            Self::MayNot(RelayRefusal::Stranger) => "we do not relay",
            Self::MayNot(RelayRefusal::RelayDisabled) => "the account may not relay",
            Self::MayNot(RelayRefusal::Nested) => {
                "we do not relay for addresses that name a further system"
            }
        }
    }
}

/// Whether mail may go to another system.
///
/// A route that is open to everybody comes first, so that an account without the right to relay
/// can do what strangers can. What is open to everybody never holds for a local part that names a
/// further system, except by `RelayAll:`, which the route's permission tells.
#[must_use]
pub fn decide(facts: RelayFacts) -> RelayDecision {
    if facts.permission == RelayPermission::Granted {
        return RelayDecision::May(RelayGrant::Route);
    }
    if facts.backed_up && !facts.nested {
        return RelayDecision::May(RelayGrant::Backup);
    }
    if facts.authenticated {
        return if facts.relay_enabled {
            RelayDecision::May(RelayGrant::Authenticated)
        } else {
            RelayDecision::MayNot(RelayRefusal::RelayDisabled)
        };
    }
    if facts.client_address {
        return RelayDecision::May(RelayGrant::ClientAddress);
    }
    RelayDecision::MayNot(if facts.backed_up || facts.permission == RelayPermission::Nested {
        RelayRefusal::Nested
    } else {
        RelayRefusal::Stranger
    })
}

/// Whether an address's local part names a further system. What is no address counts as such.
#[must_use]
pub fn nested(address: &str) -> bool {
    Address::read(address).map_or(true, |address| !address.is_simple())
}

/// What the recipient of a blacklisted host becomes before it is routed
/// (`reference/router.md` section 5): `user%dom@blacklisted`. Refused unless a record says
/// otherwise; what is no address stays as it is and is refused as such.
#[must_use]
pub fn blacklisted(address: &str) -> String {
    let Ok(Address { local, domain }) = Address::read(address) else { return address.to_owned() };
    let local = if domain.is_empty() { local } else { format!("{local}%{domain}") };
    Address { local, domain: "blacklisted".to_owned() }.text()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_users_and_open_routes_relay_and_nobody_else() {
        let stranger = RelayFacts::default();
        let user = RelayFacts { authenticated: true, relay_enabled: true, ..stranger };
        let cases = [
            (stranger, RelayDecision::MayNot(RelayRefusal::Stranger)),
            (user, RelayDecision::May(RelayGrant::Authenticated)),
            (
                RelayFacts { relay_enabled: false, ..user },
                RelayDecision::MayNot(RelayRefusal::RelayDisabled),
            ),
            // An account that may not relay does not become a stranger at a client address.
            (
                RelayFacts { relay_enabled: false, client_address: true, ..user },
                RelayDecision::MayNot(RelayRefusal::RelayDisabled),
            ),
            (
                RelayFacts { relay_enabled: false, permission: RelayPermission::Granted, ..user },
                RelayDecision::May(RelayGrant::Route),
            ),
            (
                RelayFacts { client_address: true, ..stranger },
                RelayDecision::May(RelayGrant::ClientAddress),
            ),
            (
                RelayFacts { permission: RelayPermission::Nested, nested: true, ..stranger },
                RelayDecision::MayNot(RelayRefusal::Nested),
            ),
            // RelayAll: holds for nested local parts too.
            (
                RelayFacts { permission: RelayPermission::Granted, nested: true, ..stranger },
                RelayDecision::May(RelayGrant::Route),
            ),
            (RelayFacts { backed_up: true, ..stranger }, RelayDecision::May(RelayGrant::Backup)),
            (
                RelayFacts { backed_up: true, nested: true, ..stranger },
                RelayDecision::MayNot(RelayRefusal::Nested),
            ),
            (RelayFacts { nested: true, ..user }, RelayDecision::May(RelayGrant::Authenticated)),
        ];
        for (facts, decision) in cases {
            assert_eq!(decide(facts), decision, "{facts:?}");
        }
    }

    #[test]
    fn local_parts_that_name_a_further_system_are_told() {
        for address in ["a%b@c.dom", "b!a@c.dom", "\"a@b\"@c.dom", "<@a.dom:b@c.dom>", "\u{1}"] {
            assert!(nested(address), "{address}");
        }
        for address in ["a@c.dom", "a.b+c@c.dom", "\"a b\"@c.dom"] {
            assert!(!nested(address), "{address}");
        }
    }

    #[test]
    fn recipients_of_blacklisted_hosts_are_put_into_the_local_part() {
        assert_eq!(blacklisted("<joe@dom.com>"), "joe%dom.com@blacklisted");
        assert_eq!(blacklisted("joe"), "joe@blacklisted");
        assert_eq!(blacklisted("\"a b\"@dom.com"), "\"a b%dom.com\"@blacklisted");
    }
}
