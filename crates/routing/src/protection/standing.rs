//! What a client is to be held for, from what the lists, the DNS and the memory say of its address
//! (`reference/smtp.md` section 5.3). Knows neither where the facts come from nor what follows.

/// What is known of an address; each text says where it stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// On the list of denied addresses.
    pub denied: Option<String>,
    /// Kept out for a time.
    pub blocked: Option<String>,
    /// On the list of client addresses, or somebody read mail from there a moment ago.
    pub client: Option<String>,
    /// On the list of addresses that are never blacklisted.
    pub white: Option<String>,
    /// On the list of blacklisted addresses, by its number or by its name.
    pub blacklisted: Option<String>,
    /// Listed by a DNS list.
    pub listed: Option<String>,
}

/// What a client is held for; the text says why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Not spoken to.
    Denied(String),
    /// Not spoken to for now.
    Blocked(String),
    /// May relay.
    Client(String),
    /// Anybody; `Some` if it is never to be blacklisted.
    Stranger(Option<String>),
    /// Its recipients are rewritten to `…@blacklisted`.
    Blacklisted(String),
}

impl Standing {
    /// The verdict on an address. Clients are exempt from blacklists unless `clients_too`; nobody
    /// is kept out for a time who is a client or exempt; the denied are denied whatever else.
    #[must_use]
    pub fn of(facts: Facts, clients_too: bool) -> Self {
        let Facts { denied, blocked, client, white, blacklisted, listed } = facts;
        if let Some(why) = denied {
            return Self::Denied(why);
        }
        let black = blacklisted.or(listed);
        if let Some(why) = client {
            return match black.filter(|_| clients_too && white.is_none()) {
                Some(black) => Self::Blacklisted(black),
                None => Self::Client(why),
            };
        }
        if let Some(why) = white {
            return Self::Stranger(Some(why));
        }
        match (blocked, black) {
            (Some(why), _) => Self::Blocked(why),
            (None, Some(why)) => Self::Blacklisted(why),
            (None, None) => Self::Stranger(None),
        }
    }

    /// True for the addresses that may relay.
    #[must_use]
    pub fn is_client(&self) -> bool {
        matches!(self, Self::Client(_))
    }
}

/// For whom a check is made (`nobody`, `clients`, `non-clients`, `everybody`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Whom {
    /// For nobody.
    #[default]
    Nobody,
    /// For client addresses.
    Clients,
    /// For all others.
    NonClients,
    /// For all.
    Everybody,
}

/// The words of [`Whom`] in settings.
pub const WHOM: &[&str] = &["nobody", "clients", "non-clients", "everybody"];

impl Whom {
    /// Reads a setting's word; what is not known is `nobody`.
    #[must_use]
    pub fn read(word: &str) -> Self {
        match word.trim().to_ascii_lowercase().as_str() {
            "clients" => Self::Clients,
            "non-clients" => Self::NonClients,
            "everybody" => Self::Everybody,
            _ => Self::Nobody,
        }
    }

    /// True when a client, or somebody else, is meant.
    #[must_use]
    pub fn meant(self, client: bool) -> bool {
        match self {
            Self::Nobody => false,
            Self::Clients => client,
            Self::NonClients => !client,
            Self::Everybody => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(marks: &str) -> Facts {
        let mark = |c: char| marks.contains(c).then(|| c.to_string());
        Facts {
            denied: mark('d'),
            blocked: mark('t'),
            client: mark('c'),
            white: mark('w'),
            blacklisted: mark('b'),
            listed: mark('l'),
        }
    }

    #[test]
    fn each_list_has_its_place() {
        use Standing::{Blacklisted, Blocked, Client, Denied, Stranger};
        let s = |text: &str| text.to_owned();
        for (marks, usual, strict) in [
            ("", Stranger(None), Stranger(None)),
            ("dtcwbl", Denied(s("d")), Denied(s("d"))),
            ("tc", Client(s("c")), Client(s("c"))),
            ("cb", Client(s("c")), Blacklisted(s("b"))),
            ("cwb", Client(s("c")), Client(s("c"))),
            ("tbl", Blocked(s("t")), Blocked(s("t"))),
            ("twbl", Stranger(Some(s("w"))), Stranger(Some(s("w")))),
            ("bl", Blacklisted(s("b")), Blacklisted(s("b"))),
            ("l", Blacklisted(s("l")), Blacklisted(s("l"))),
        ] {
            assert_eq!(Standing::of(facts(marks), false), usual, "{marks}");
            assert_eq!(Standing::of(facts(marks), true), strict, "{marks}");
        }
    }

    #[test]
    fn whom_a_check_is_made_for() {
        for (word, client, other) in [
            ("nobody", false, false),
            ("Clients", true, false),
            ("non-clients", false, true),
            ("everybody", true, true),
            ("perhaps", false, false),
        ] {
            let whom = Whom::read(word);
            assert_eq!((whom.meant(true), whom.meant(false)), (client, other), "{word}");
        }
    }
}
