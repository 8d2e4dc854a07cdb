//! A mailing list as data (`reference/groups-forwarders-lists.md` section 3): its settings, its
//! subscribers and what may be done with them, and the addresses that belong to it. It must never
//! know how a message is distributed or who may change a list.

mod family;
mod subscriber;

use std::collections::BTreeMap;

use thiserror::Error;

pub use family::{Part, split};
pub use subscriber::{Mode, Operation, Posting, Subscriber};

use crate::settings::{self, Scope, SettingError};
use crate::value::{Dictionary, Value};

/// Most subscribers of one list.
pub const MAX_SUBSCRIBERS: usize = 10_000;
/// Longest address of a subscriber, in bytes (RFC 5321 section 4.5.3.1.3).
pub const MAX_ADDRESS: usize = 254;
/// The key of the owner, the local name of an account of the same domain.
pub const OWNER: &str = "Owner";
/// The key under which subscribers are stored and exported.
pub const SUBSCRIBERS: &str = "Subscribers";

/// Why a list is not changed.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum ListError {
    /// *Never*: it has as many subscribers as it can.
    #[error("a list has at most {MAX_SUBSCRIBERS} subscribers")]
    Full,
    /// *Never*: this is no address of a subscriber.
    #[error("\"{0}\" is not an address name@domain")]
    Address(String),
    /// *Never*: nobody of this address is there.
    #[error("{0} is not subscribed")]
    NotSubscribed(String),
    /// *Never*: it was banned; another operation by an administrator lifts that.
    #[error("{0} is banned from this list")]
    Banned(String),
    /// *Never*: the stored form is not one of a list.
    #[error("\"{SUBSCRIBERS}\" is a dictionary of addresses with their subscriptions")]
    Form,
    /// *Never*: a setting is not legal.
    #[error(transparent)]
    Setting(#[from] SettingError),
}

/// A list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MailingList {
    /// What is set, the owner included.
    pub settings: Dictionary,
    /// Subscribers by their address in lower case.
    subscribers: BTreeMap<String, Subscriber>,
}

/// An address as it is compared and stored, if it is one a list can send to.
#[must_use]
pub fn address(text: &str) -> Option<String> {
    let text = text.trim();
    let (local, domain) = text.rsplit_once('@')?;
    let plain = |c: char| !c.is_control() && !c.is_whitespace() && !"<>()[],;:\\\"".contains(c);
    let good = !local.is_empty()
        && text.len() <= MAX_ADDRESS
        && !local.contains('@')
        && local.chars().all(plain)
        && domain.contains(|c: char| c.is_alphanumeric())
        && domain.chars().all(plain)
        && !domain.contains('@');
    good.then(|| text.to_lowercase())
}

/// `Real Name <a@b>`, `"Real Name" <a@b>` or `a@b`: the address as it is stored, and the name.
#[must_use]
pub fn named_address(text: &str) -> Option<(String, String)> {
    let text = text.trim();
    match text.strip_suffix('>').and_then(|rest| rest.rsplit_once('<')) {
        Some((name, inner)) => {
            let name = name.trim().trim_matches('"').trim();
            let name: String = name.chars().filter(|c| !c.is_control()).take(128).collect();
            Some((address(inner)?, name))
        }
        None => Some((address(text)?, String::new())),
    }
}

impl MailingList {
    /// A new list of this owner.
    #[must_use]
    pub fn of_owner(owner: &str) -> Self {
        let settings = Dictionary::from([(OWNER.to_owned(), Value::from(owner))]);
        Self { settings, subscribers: BTreeMap::new() }
    }

    /// Reads the stored (and exported) form, checked by the declarations.
    ///
    /// # Errors
    /// See [`ListError`].
    pub fn read(stored: &Dictionary) -> Result<Self, ListError> {
        let mut given = stored.clone();
        let subscribers = match given.remove(SUBSCRIBERS) {
            None => BTreeMap::new(),
            Some(Value::Dictionary(all)) => {
                if all.len() > MAX_SUBSCRIBERS {
                    return Err(ListError::Full);
                }
                all.iter()
                    .map(|(who, stored)| {
                        let key = address(who).ok_or_else(|| ListError::Address(who.clone()))?;
                        let one = stored.as_dictionary().and_then(Subscriber::read);
                        Ok((key, one.ok_or(ListError::Form)?))
                    })
                    .collect::<Result<_, ListError>>()?
            }
            Some(_) => return Err(ListError::Form),
        };
        Ok(Self { settings: settings::replace(Scope::List, &given)?, subscribers })
    }

    /// The stored form.
    #[must_use]
    pub fn write(&self) -> Dictionary {
        let mut stored = self.settings.clone();
        if !self.subscribers.is_empty() {
            let all = self.subscribers.iter();
            let all = all.map(|(who, one)| (who.clone(), Value::Dictionary(one.write()))).collect();
            stored.insert(SUBSCRIBERS.to_owned(), Value::Dictionary(all));
        }
        stored
    }

    /// Local name of the owner.
    #[must_use]
    pub fn owner(&self) -> &str {
        self.settings.get(OWNER).and_then(Value::as_str).unwrap_or_default()
    }

    /// What is in effect: the built-in defaults with what is set laid over them.
    #[must_use]
    pub fn effective(&self) -> Dictionary {
        Scope::List.effective(&self.settings)
    }

    /// A subscriber.
    #[must_use]
    pub fn subscriber(&self, who: &str) -> Option<&Subscriber> {
        self.subscribers.get(&address(who)?)
    }

    /// Subscribers that are counted and listed: those who left are not.
    pub fn subscribers(&self) -> impl Iterator<Item = (&str, &Subscriber)> {
        let all = self.subscribers.iter().filter(|(_, one)| one.mode != Mode::Unsubscribed);
        all.map(|(who, one)| (who.as_str(), one))
    }

    /// Addresses that get each message at once. Until digests and indexes are made, who asked for
    /// those gets the messages themselves: nothing is missed.
    pub fn receivers(&self) -> impl Iterator<Item = &str> {
        let gets = |mode| matches!(mode, Mode::Feed | Mode::Digest | Mode::Index);
        self.subscribers().filter(move |(_, one)| gets(one.mode)).map(|(who, _)| who)
    }

    /// Subscribes somebody, changes how messages are received, or ends it, at the moment `now`
    /// (seconds since 1970).
    ///
    /// # Errors
    /// See [`ListError`]. `Banned` only for `subscribe`, which is what people ask for themselves.
    pub fn operate(&mut self, operation: Operation, who: &str, now: i64) -> Result<(), ListError> {
        let wrong = || ListError::Address(who.to_owned());
        let (key, name) = named_address(who).ok_or_else(wrong)?;
        let there = self.subscribers.contains_key(&key);
        let mode = match operation {
            Operation::Unsubscribe => {
                return match self.subscribers.remove(&key) {
                    Some(_) => Ok(()),
                    None => Err(ListError::NotSubscribed(key)),
                };
            }
            Operation::Subscribe => match self.subscribers.get(&key).map(|one| one.mode) {
                Some(Mode::Banned) => return Err(ListError::Banned(key)),
                Some(mode) if mode != Mode::Unsubscribed => mode,
                _ => self.usual_mode(),
            },
            Operation::Into(mode) => mode,
        };
        if !there && self.subscribers.len() >= MAX_SUBSCRIBERS {
            return Err(ListError::Full);
        }
        let posting = self.first_posting();
        let one = self.subscribers.entry(key).or_insert_with(|| Subscriber {
            subscribed: now,
            posting,
            ..Subscriber::default()
        });
        one.mode = mode;
        if !name.is_empty() {
            one.real_name = name;
        }
        Ok(())
    }

    /// What a subscriber may post.
    ///
    /// # Errors
    /// `NotSubscribed`.
    pub fn set_posting(&mut self, who: &str, posting: Posting) -> Result<(), ListError> {
        let found = address(who).and_then(|key| self.subscribers.get_mut(&key));
        let one = found.ok_or_else(|| ListError::NotSubscribed(who.to_owned()))?;
        one.posting = posting;
        Ok(())
    }

    /// A message of this subscriber was distributed; true if that changed anything.
    pub fn posted(&mut self, who: &str) -> bool {
        let Some(one) = address(who).and_then(|key| self.subscribers.get_mut(&key)) else {
            return false;
        };
        one.posts = one.posts.saturating_add(1);
        if let Posting::ModerateNext(left) = one.posting {
            one.posting = match left {
                0 | 1 => Posting::Unmoderated,
                more => Posting::ModerateNext(more - 1),
            };
        }
        true
    }

    /// How new subscribers receive messages.
    fn usual_mode(&self) -> Mode {
        let effective = self.effective();
        let word = effective.get("Distribution").and_then(Value::as_str);
        word.and_then(Mode::of_word).unwrap_or(Mode::Feed)
    }

    /// What new subscribers may post.
    fn first_posting(&self) -> Posting {
        let effective = self.effective();
        match effective.get("FirstModerated").and_then(Value::as_number).unwrap_or(0) {
            ..=0 => Posting::Unmoderated,
            10_000 => Posting::ModerateAll,
            10_001 => Posting::Prohibited,
            first => Posting::ModerateNext(u32::try_from(first).unwrap_or(u32::MAX)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list() -> MailingList {
        MailingList::of_owner("ann")
    }

    #[test]
    fn subscribers_come_go_and_are_read_again() {
        let mut list = list();
        list.operate(Operation::Subscribe, "\"Bob B.\" <Bob@One.Example>", 100).unwrap();
        list.operate(Operation::Into(Mode::Null), "carol@two.example", 101).unwrap();
        list.operate(Operation::Into(Mode::Banned), "dan@two.example", 102).unwrap();
        assert_eq!(list.receivers().collect::<Vec<_>>(), ["bob@one.example"]);
        let bob = list.subscriber("BOB@one.example").unwrap();
        assert_eq!((bob.real_name.as_str(), bob.subscribed), ("Bob B.", 100));
        let again = MailingList::read(&list.write()).unwrap();
        assert_eq!(again, list);
        let banned = list.operate(Operation::Subscribe, "dan@two.example", 103);
        assert_eq!(banned, Err(ListError::Banned("dan@two.example".into())));
        list.operate(Operation::Unsubscribe, "bob@one.example", 104).unwrap();
        let gone = list.operate(Operation::Unsubscribe, "bob@one.example", 104);
        assert_eq!(gone, Err(ListError::NotSubscribed("bob@one.example".into())));
        assert_eq!(list.subscribers().count(), 2);
    }

    #[test]
    fn subscribing_again_keeps_the_mode_and_defaults_come_from_the_settings() {
        let mut list = list();
        list.settings.insert("Distribution".into(), "null".into());
        list.settings.insert("FirstModerated".into(), Value::Number(2));
        list.operate(Operation::Subscribe, "bob@one.example", 1).unwrap();
        assert_eq!(list.subscriber("bob@one.example").unwrap().mode, Mode::Null);
        list.operate(Operation::Into(Mode::Feed), "bob@one.example", 2).unwrap();
        list.operate(Operation::Subscribe, "bob@one.example", 3).unwrap();
        let bob = list.subscriber("bob@one.example").unwrap();
        assert_eq!((bob.mode, bob.subscribed), (Mode::Feed, 1));
        assert_eq!(bob.posting, Posting::ModerateNext(2));
        assert!(list.posted("bob@one.example") && list.posted("bob@one.example"));
        assert_eq!(list.subscriber("bob@one.example").unwrap().posting, Posting::Unmoderated);
        assert!(!list.posted("nobody@one.example"));
    }

    #[test]
    fn what_is_no_address_and_what_is_no_list_is_refused() {
        for wrong in ["", "bob", "@one", "bob@", "b ob@one", "bob@one\r\n", "a@b@c", "<a@b"] {
            let refused = list().operate(Operation::Subscribe, wrong, 1);
            let fine = wrong == "bob@one\r\n";
            assert_eq!(refused.is_ok(), fine, "{wrong:?}: only blanks at the ends are dropped");
        }
        let form = |text: &str| {
            let Ok(Value::Dictionary(stored)) = crate::text::parse_line(text) else { panic!() };
            MailingList::read(&stored)
        };
        assert_eq!(form("{Owner=a;Subscribers=x;}"), Err(ListError::Form));
        assert_eq!(form("{Subscribers={\"x\"={};};}"), Err(ListError::Address("x".into())));
        assert_eq!(form("{Subscribers={\"x@y\"={mode=odd;};};}"), Err(ListError::Form));
        assert!(matches!(form("{Postings=everybody;}"), Err(ListError::Setting(_))));
        assert!(form("{Postings=\"from anybody\";wn_own=5;}").is_ok());
    }

    #[test]
    fn a_list_is_never_larger_than_it_may_be() {
        let mut list = list();
        for n in 0..MAX_SUBSCRIBERS {
            list.operate(Operation::Subscribe, &format!("u{n}@one.example"), 1).unwrap();
        }
        let more = list.operate(Operation::Subscribe, "one-more@one.example", 1);
        assert_eq!(more, Err(ListError::Full));
        list.operate(Operation::Into(Mode::Digest), "u7@one.example", 1).unwrap();
    }
}
