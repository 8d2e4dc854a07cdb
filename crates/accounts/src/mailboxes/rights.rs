//! Access rights of a mailbox (`reference/mailboxes.md` section 9): letters, who an entry is for,
//! and what they yield for an actor. It must never know where they are stored or shown.

use angarium_objects::value::{Dictionary, Value};
use angarium_store::FlagBits;

use super::facts::Owner;
use super::members::Identity;

/// Most entries one access list may have.
pub(super) const MAX_ENTRIES: usize = 1000;
/// Longest identifier of an entry, in bytes.
pub(super) const MAX_IDENTIFIER: usize = 512;

/// A set of rights.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct MailRights(u16);

/// Letters in the order they are stored and shown.
const LETTERS: [(char, MailRights); 12] = [
    ('l', MailRights::LOOKUP),
    ('r', MailRights::READ),
    ('s', MailRights::SEEN),
    ('w', MailRights::WRITE),
    ('i', MailRights::INSERT),
    ('p', MailRights::POST),
    ('c', MailRights::CREATE),
    ('d', MailRights::DELETE),
    ('a', MailRights::ADMIN),
    ('t', MailRights::DELETE_MESSAGES),
    ('e', MailRights::EXPUNGE),
    ('x', MailRights::DELETE_MAILBOX),
];

impl MailRights {
    /// `l`: its name appears.
    pub const LOOKUP: Self = Self(1);
    /// `r`: open and read.
    pub const READ: Self = Self(1 << 1);
    /// `s`: change `\Seen`.
    pub const SEEN: Self = Self(1 << 2);
    /// `w`: change other flags.
    pub const WRITE: Self = Self(1 << 3);
    /// `i`: put messages in.
    pub const INSERT: Self = Self(1 << 4);
    /// `p`: send mail straight to it.
    pub const POST: Self = Self(1 << 5);
    /// `c`: make mailboxes below it.
    pub const CREATE: Self = Self(1 << 6);
    /// `d`: everything that `t`, `e` and `x` allow.
    pub const DELETE: Self = Self(1 << 7);
    /// `a`: change rights and attributes, see hidden messages.
    pub const ADMIN: Self = Self(1 << 8);
    /// `t`: change `\Deleted` (RFC 4314).
    pub const DELETE_MESSAGES: Self = Self(1 << 9);
    /// `e`: expunge (RFC 4314).
    pub const EXPUNGE: Self = Self(1 << 10);
    /// `x`: delete the mailbox (RFC 4314).
    pub const DELETE_MAILBOX: Self = Self(1 << 11);
    /// Everything.
    pub const ALL: Self = Self((1 << 12) - 1);
    /// Nothing.
    pub const NONE: Self = Self(0);

    /// The rights these letters name; `k` is `c`, and `t`, `e` and `x` together are `d`. `None` if a character
    /// is no right.
    #[must_use]
    pub fn parse(letters: &str) -> Option<Self> {
        let mut all = Self::NONE;
        for letter in letters.chars() {
            let letter = if letter == 'k' { 'c' } else { letter };
            let (_, right) = LETTERS.iter().find(|(l, _)| *l == letter)?;
            all = all.with(*right);
        }
        Some(all.settled())
    }

    /// Everything that `d` stands for.
    const REMOVING: Self = Self(Self::DELETE_MESSAGES.0 | Self::EXPUNGE.0 | Self::DELETE_MAILBOX.0);

    /// The old letter stands for the new ones, and all of the new ones for the old.
    fn settled(self) -> Self {
        if self.can(Self::DELETE) || self.can(Self::REMOVING) {
            self.with(Self::REMOVING).with(Self::DELETE)
        } else {
            self
        }
    }

    /// True when all of these are held.
    #[must_use]
    pub const fn can(self, right: Self) -> bool {
        self.0 & right.0 == right.0
    }

    /// Messages with one of these flags do not exist for somebody with these rights
    /// (`reference/mailboxes.md` section 5).
    #[must_use]
    pub const fn hides(self) -> FlagBits {
        if self.can(Self::ADMIN) { FlagBits::SERVICE } else { FlagBits::KEPT_BACK }
    }

    /// True when none is held.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Both sets together.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// What is in both sets.
    #[must_use]
    pub const fn common(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// This set without the other. Without all of `t`, `e` and `x` there is no `d`.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        let mut left = self.0 & !other.0;
        if other.0 & Self::DELETE.0 != 0 {
            left &= !Self::REMOVING.0;
        }
        if left & Self::REMOVING.0 != Self::REMOVING.0 {
            left &= !Self::DELETE.0;
        }
        Self(left)
    }

    /// The letters as stored: the old ones, and a new one only where the old does not say it.
    #[must_use]
    pub fn stored(self) -> String {
        let implied = if self.can(Self::DELETE) { Self::REMOVING } else { Self::NONE };
        let shown = Self(self.0 & !implied.0);
        LETTERS.iter().filter(|(_, r)| shown.can(*r)).map(|(l, _)| *l).collect()
    }

    /// The letters as shown to clients: the new ones, and an old one where any of those that it
    /// stands for is held (RFC 4314 section 2.1.1).
    #[must_use]
    pub fn shown(self) -> String {
        let told = if self.0 & Self::REMOVING.0 == 0 { self } else { self.with(Self::DELETE) };
        let mut all: String =
            LETTERS.iter().filter(|(_, r)| told.can(*r)).map(|(l, _)| *l).collect();
        if self.can(Self::CREATE) {
            all.push('k');
        }
        all
    }
}

/// Facts of an actor against which entries are held.
#[derive(Clone, Debug)]
pub(super) struct Person<'a> {
    /// His names and domains.
    pub(super) identity: &'a Identity,
    /// Domain of the mailbox's owner: names without a domain belong to it.
    pub(super) home: &'a str,
    /// Groups named in the list that the actor is a member of, as they are written there.
    pub(super) groups: &'a [String],
}

/// The name that stands for a mailbox's owner in an access list.
const OWNER: &str = "owner";

/// True when an identifier (without a sign) names the owner of a mailbox, who has all rights
/// whatever a list says.
pub(super) fn names_owner(identifier: &str, owner: &Owner) -> bool {
    let same = |a: &str, b: &str| a.eq_ignore_ascii_case(b);
    match identifier.split_once('@') {
        None => same(identifier, OWNER) || same(identifier, &owner.name),
        Some((name, domain)) => {
            same(name, &owner.name) && (domain.is_empty() || same(domain, &owner.domain))
        }
    }
}

/// How closely an entry names somebody; the closest kind wins.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Closeness {
    Everybody,
    Domain,
    Group,
    Name,
}

fn closeness(identifier: &str, person: &Person<'_>) -> Option<Closeness> {
    let same = |a: &str, b: &str| a.eq_ignore_ascii_case(b);
    if identifier.starts_with('#') {
        let member = person.groups.iter().any(|g| same(g, identifier));
        return member.then_some(Closeness::Group);
    }
    let (name, domain) = match identifier.split_once('@') {
        None => (identifier, None),
        Some((name, "")) => (name, Some(person.home)),
        Some((name, domain)) => (name, Some(domain)),
    };
    if same(name, "anyone") {
        return match domain {
            None => Some(Closeness::Everybody),
            Some(domain) => person.identity.is_of(domain).then_some(Closeness::Domain),
        };
    }
    // Nobody else is the owner, not even an account of that name.
    if domain.is_none() && same(name, OWNER) {
        return None;
    }
    person.identity.is(name, domain.unwrap_or(person.home)).then_some(Closeness::Name)
}

/// What an access list gives a person.
pub(super) fn evaluate(acl: &Dictionary, person: &Person<'_>) -> MailRights {
    let mut base = (None, MailRights::NONE);
    let mut added = MailRights::NONE;
    let mut taken = MailRights::NONE;
    for (identifier, value) in acl {
        let Some(rights) = value.as_str().and_then(MailRights::parse) else { continue };
        if let Some(rest) = identifier.strip_prefix('+') {
            if closeness(rest, person).is_some() {
                added = added.with(rights);
            }
        } else if let Some(rest) = identifier.strip_prefix('-') {
            if closeness(rest, person).is_some() {
                taken = taken.with(rights);
            }
        } else if let Some(kind) = closeness(identifier, person) {
            match base.0 {
                Some(best) if best > kind => {}
                Some(best) if best == kind => base.1 = base.1.with(rights),
                _ => base = (Some(kind), rights),
            }
        }
    }
    base.1.with(added).settled().without(taken)
}

/// Groups named in an access list, as written, with the `#`.
pub(super) fn groups_in(acl: &Dictionary) -> Vec<String> {
    acl.keys()
        .map(|key| key.trim_start_matches(['+', '-']))
        .filter(|key| key.starts_with('#'))
        .map(str::to_owned)
        .collect()
}

/// An access list with one entry changed; `None` rights take the entry away.
pub(super) fn edited(acl: &Dictionary, identifier: &str, rights: MailRights) -> Dictionary {
    let mut new = acl.clone();
    let known = acl.keys().find(|k| k.eq_ignore_ascii_case(identifier)).cloned();
    if let Some(known) = known {
        new.remove(&known);
    }
    if !rights.is_empty() {
        new.insert(identifier.to_owned(), Value::String(rights.stored()));
    }
    new
}

/// The rights of one entry, none if it is not there.
pub(super) fn entry(acl: &Dictionary, identifier: &str) -> MailRights {
    acl.iter()
        .find(|(k, _)| k.eq_ignore_ascii_case(identifier))
        .and_then(|(_, value)| value.as_str())
        .and_then(MailRights::parse)
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn acl(entries: &[(&str, &str)]) -> Dictionary {
        entries.iter().map(|(k, v)| ((*k).to_owned(), Value::from(*v))).collect()
    }

    fn rights(entries: &[(&str, &str)], name: &str, domain: &str, groups: &[&str]) -> String {
        let groups: Vec<String> = groups.iter().map(|g| (*g).to_owned()).collect();
        let identity = Identity { names: vec![name.into()], domains: vec![domain.into()] };
        let person = Person { identity: &identity, home: "a.example", groups: &groups };
        evaluate(&acl(entries), &person).stored()
    }

    #[test]
    fn the_closest_kind_of_entry_decides() {
        let list = [("anyone", "l"), ("anyone@", "lr"), ("#team", "lrs"), ("bob", "lrw")];
        assert_eq!(rights(&list, "bob", "a.example", &["#team"]), "lrw");
        assert_eq!(rights(&list, "eve", "a.example", &["#team"]), "lrs");
        assert_eq!(rights(&list, "eve", "a.example", &[]), "lr");
        assert_eq!(rights(&list, "bob", "b.example", &[]), "l");
        assert_eq!(rights(&[("bob@b.example", "lr")], "bob", "b.example", &[]), "lr");
        assert_eq!(rights(&[("anyone@b.example", "lr")], "bob", "b.example", &[]), "lr");
        assert_eq!(rights(&[], "bob", "a.example", &[]), "");
    }

    #[test]
    fn an_entry_means_somebody_by_any_of_his_names() {
        let identity = Identity {
            names: vec!["bob".into(), "robert".into()],
            domains: vec!["a.example".into(), "a.test".into()],
        };
        let person = Person { identity: &identity, home: "a.example", groups: &[] };
        let rights = |key: &str| evaluate(&acl(&[(key, "lr")]), &person).stored();
        for key in ["bob", "Robert", "bob@", "robert@A.test", "anyone@a.test", "anyone@"] {
            assert_eq!(rights(key), "lr", "{key}");
        }
        for key in ["owner", "rob", "bob@b.example", "anyone@b.example", "#bob"] {
            assert_eq!(rights(key), "", "{key}");
        }
        let owner = Owner {
            id: angarium_store::AccountId(1),
            name: "ann".into(),
            domain: "a.example".into(),
        };
        for key in ["owner", "Ann", "ann@", "ann@A.example"] {
            assert!(names_owner(key, &owner), "{key}");
        }
        assert!(!names_owner("ann@b.example", &owner) && !names_owner("bob", &owner));
    }

    #[test]
    fn what_is_taken_wins_over_what_is_given() {
        let list = [("anyone", "lrswd"), ("+bob", "ia"), ("-#team", "aw")];
        assert_eq!(rights(&list, "bob", "a.example", &["#team"]), "lrsid");
        assert_eq!(rights(&list, "bob", "a.example", &[]), "lrswida");
        assert_eq!(rights(&[("anyone", "lrd"), ("-bob", "t")], "bob", "a.example", &[]), "lrex");
    }

    #[test]
    fn old_and_new_letters_mean_the_same() {
        let d = MailRights::parse("d").unwrap();
        assert!(d.can(MailRights::EXPUNGE) && d.can(MailRights::DELETE_MAILBOX));
        assert_eq!(MailRights::parse("tex").unwrap().stored(), "d");
        // Who may remove messages may not therefore remove the mailbox.
        assert_eq!(MailRights::parse("te").unwrap().stored(), "te");
        assert_eq!(MailRights::parse("t").unwrap().stored(), "t");
        assert_eq!(MailRights::parse("k").unwrap().stored(), "c");
        assert_eq!(MailRights::ALL.stored(), "lrswipcda");
        assert_eq!(MailRights::ALL.shown(), "lrswipcdatexk");
        assert_eq!(MailRights::parse("lrz"), None);
        // A client that knows the old letters alone sees that something may be removed.
        assert_eq!(MailRights::parse("lrt").unwrap().shown(), "lrdt");
        assert_eq!(MailRights::parse("lrx").unwrap().shown(), "lrdx");
        assert!(!MailRights::parse("lrx").unwrap().can(MailRights::DELETE));
    }

    #[test]
    fn an_entry_is_changed_without_regard_to_case_and_never_doubled() {
        let list = edited(&acl(&[("Bob", "lr")]), "bob", MailRights::parse("l").unwrap());
        assert_eq!(list, acl(&[("bob", "l")]));
        assert_eq!(edited(&list, "BOB", MailRights::NONE), acl(&[]));
    }
}
