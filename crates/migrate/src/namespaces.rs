//! The namespaces of a server (RFC 2342): which part of a name is only the place of the account's
//! mailboxes, and which names belong to others.

use angarium_imap::client::{About, Namespaces, Untagged};

/// Whose a mailbox is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Whose {
    /// The account's own.
    Own,
    /// Another user's.
    AnotherUsers,
    /// Nobody's in particular.
    Shared,
}

/// The namespaces of an answer; none if there are none in it.
pub(crate) fn told(untagged: Vec<Untagged>) -> Namespaces {
    let found = untagged.into_iter().find_map(|untagged| match untagged {
        Untagged::About(About::Namespaces(all)) => Some(all),
        _ => None,
    });
    found.unwrap_or_default()
}

/// The prefix of the account's own names that is no part of them: `INBOX.` of Courier and Cyrus.
/// Empty when names without one are the account's, too.
pub(crate) fn own_prefix(namespaces: &Namespaces) -> &str {
    let own = &namespaces.personal;
    if own.iter().any(|space| space.prefix.is_empty()) {
        return "";
    }
    own.first().map_or("", |space| space.prefix.as_str())
}

/// Whose the mailbox of this name is: the longest prefix that fits says it.
pub(crate) fn whose(namespaces: &Namespaces, name: &str) -> Whose {
    let kinds = [
        (&namespaces.personal, Whose::Own),
        (&namespaces.others, Whose::AnotherUsers),
        (&namespaces.shared, Whose::Shared),
    ];
    let mut best = (0, Whose::Own);
    for (spaces, whose) in kinds {
        for space in spaces {
            // The root of a namespace is listed without its delimiter.
            let root = space.delimiter.and_then(|d| space.prefix.strip_suffix(d));
            let fits = name.starts_with(&space.prefix) || root == Some(name);
            // A space of others without a prefix would claim everything, INBOX too.
            if fits && space.prefix.len() > best.0 {
                best = (space.prefix.len(), whose);
            }
        }
    }
    best.1
}

#[cfg(test)]
mod tests {
    use angarium_imap::client::Space;

    use super::*;

    fn space(prefix: &str) -> Vec<Space> {
        vec![Space { prefix: prefix.into(), delimiter: Some('.') }]
    }

    #[test]
    fn own_names_are_told_from_those_of_others() {
        let all = Namespaces {
            personal: space("INBOX."),
            others: space("user."),
            shared: space("shared."),
        };
        assert_eq!(own_prefix(&all), "INBOX.");
        assert_eq!(whose(&all, "INBOX"), Whose::Own);
        assert_eq!(whose(&all, "INBOX.Sent"), Whose::Own);
        assert_eq!(whose(&all, "user.joe.x"), Whose::AnotherUsers);
        assert_eq!(whose(&all, "user"), Whose::AnotherUsers);
        assert_eq!(whose(&all, "shared.news"), Whose::Shared);
        let plain = Namespaces { personal: space(""), shared: space(""), ..Namespaces::default() };
        assert_eq!(own_prefix(&plain), "");
        assert_eq!(whose(&plain, "anything"), Whose::Own);
        assert_eq!(whose(&Namespaces::default(), "x"), Whose::Own);
    }
}
