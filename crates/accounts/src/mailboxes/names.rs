//! The rules for mailbox names (`reference/mailboxes.md` section 2) and where a name points: an
//! own mailbox or one of another account. It must never know how names look on the wire.

use std::borrow::Cow;

use thiserror::Error;
use unicode_normalization::UnicodeNormalization;

/// Longest name, in bytes.
pub(super) const MAX_NAME: usize = 1000;
/// Longest component, in bytes.
pub(super) const MAX_COMPONENT: usize = 255;
/// Most levels.
pub(super) const MAX_DEPTH: usize = 64;
/// Longest account part of a foreign name, in bytes.
const MAX_ACCOUNT: usize = 512;

/// Which rule a name breaks.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum NameError {
    /// No name, or a level without one (`a//b`, `/a`).
    #[error("a mailbox name has an empty level")]
    Empty,
    /// More than [`MAX_NAME`] bytes, [`MAX_COMPONENT`] in a level, or [`MAX_DEPTH`] levels.
    #[error("the mailbox name is too long or too deep")]
    TooLong,
    /// Control characters, characters nobody sees, `\`, `#`.
    #[error("the mailbox name holds a character that is not allowed")]
    Character,
    /// A level begins with `.` or `~` (so `..` is one of these).
    #[error("a level of a mailbox name may not begin with a dot or a tilde")]
    Beginning,
    /// Spaces at an end of a level.
    #[error("a level of a mailbox name may not begin or end with a space")]
    Space,
    /// `.mbox`, `.mdir` or `.mslc` at the end of a level.
    #[error("a level of a mailbox name may not end in .mbox, .mdir or .mslc")]
    Suffix,
}

/// Endings that name a storage format.
const FORMATS: [&str; 3] = [".mbox", ".mdir", ".mslc"];

/// Where a name points.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Named {
    /// A mailbox of the actor's own account (or one of its mailbox aliases).
    Own(String),
    /// A mailbox of another account: `~account/path` or `~account@domain/path`; the path is empty
    /// for the account's tree itself.
    Foreign {
        /// The account as written, without the tilde.
        account: String,
        /// The path in it.
        path: String,
    },
}

/// Splits a name as given by a client; checks it and brings `INBOX` into capitals.
///
/// # Errors
/// The rule it breaks.
pub fn parse(name: &str) -> Result<Named, NameError> {
    let Some(rest) = name.strip_prefix('~') else {
        return Ok(Named::Own(canonical(name)?));
    };
    if name.len() > MAX_NAME + MAX_ACCOUNT {
        return Err(NameError::TooLong);
    }
    let (account, path) = rest.split_once('/').unwrap_or((rest, ""));
    if account.is_empty() || account.len() > MAX_ACCOUNT {
        return Err(NameError::Empty);
    }
    if account.chars().any(|c| c.is_control() || c == '\\') {
        return Err(NameError::Character);
    }
    let path = if path.is_empty() { String::new() } else { canonical(path)? };
    Ok(Named::Foreign { account: account.to_owned(), path })
}

/// Checks a path inside an account, brings `INBOX` (as the first level) into capitals and the
/// whole into Unicode's form C (RFC 5198): what can be typed in two ways is one name.
///
/// # Errors
/// The rule it breaks.
pub fn canonical(path: &str) -> Result<String, NameError> {
    if path.len() > MAX_NAME {
        return Err(NameError::TooLong);
    }
    let path = &*composed(path);
    if path.len() > MAX_NAME {
        return Err(NameError::TooLong);
    }
    let mut out = String::with_capacity(path.len());
    for (level, component) in path.split('/').enumerate() {
        if level >= MAX_DEPTH {
            return Err(NameError::TooLong);
        }
        check_component(component)?;
        if level > 0 {
            out.push('/');
        }
        if level == 0 && component.eq_ignore_ascii_case("INBOX") {
            out.push_str("INBOX");
        } else {
            out.push_str(component);
        }
    }
    Ok(out)
}

/// A text in Unicode's form C.
pub(super) fn composed(text: &str) -> Cow<'_, str> {
    if text.is_ascii() || unicode_normalization::is_nfc(text) {
        Cow::Borrowed(text)
    } else {
        Cow::Owned(text.nfc().collect())
    }
}

/// True for characters nobody sees, that make two names look like one or read backwards.
fn is_unseen(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{2069}' | '\u{feff}' | '\u{fffd}')
}

fn check_component(component: &str) -> Result<(), NameError> {
    if component.is_empty() {
        return Err(NameError::Empty);
    }
    if component.len() > MAX_COMPONENT {
        return Err(NameError::TooLong);
    }
    let forbidden = |c: char| c.is_control() || matches!(c, '\\' | '#') || is_unseen(c);
    if component.chars().any(forbidden) {
        return Err(NameError::Character);
    }
    if component.starts_with(['.', '~']) {
        return Err(NameError::Beginning);
    }
    if component.trim() != component {
        return Err(NameError::Space);
    }
    if FORMATS.iter().any(|format| ends_with_ignoring_case(component, format)) {
        return Err(NameError::Suffix);
    }
    Ok(())
}

fn ends_with_ignoring_case(text: &str, end: &str) -> bool {
    text.len()
        .checked_sub(end.len())
        .and_then(|at| text.as_bytes().get(at..))
        .is_some_and(|tail| tail.eq_ignore_ascii_case(end.as_bytes()))
}

/// Takes an ending that names a storage format off the last level (CREATE `name.mdir`); the
/// format itself is the account's business.
pub(super) fn without_format(path: &str) -> &str {
    for format in FORMATS {
        if ends_with_ignoring_case(path, format)
            && let Some(rest) = path.get(..path.len() - format.len())
            && !rest.is_empty()
            && !rest.ends_with('/')
        {
            return rest;
        }
    }
    path
}

/// The name one level up, `None` at the top.
pub(super) fn parent(path: &str) -> Option<&str> {
    path.rsplit_once('/').map(|(parent, _)| parent)
}

/// What a mailbox is for (RFC 6154).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SpecialUse {
    /// `\Archive`
    Archive,
    /// `\Drafts`
    Drafts,
    /// `\Flagged`
    Flagged,
    /// `\Junk`
    Junk,
    /// `\Sent`
    Sent,
    /// `\Trash`
    Trash,
    /// `\Important` (RFC 8457)
    Important,
}

impl SpecialUse {
    const ALL: [Self; 7] = [
        Self::Archive,
        Self::Drafts,
        Self::Flagged,
        Self::Junk,
        Self::Sent,
        Self::Trash,
        Self::Important,
    ];

    /// The attribute, with its backslash.
    #[must_use]
    pub const fn attribute(self) -> &'static str {
        match self {
            Self::Archive => "\\Archive",
            Self::Drafts => "\\Drafts",
            Self::Flagged => "\\Flagged",
            Self::Junk => "\\Junk",
            Self::Sent => "\\Sent",
            Self::Trash => "\\Trash",
            Self::Important => "\\Important",
        }
    }

    /// The use an attribute names, case ignored.
    #[must_use]
    pub fn parse(attribute: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|u| u.attribute().eq_ignore_ascii_case(attribute))
    }

    /// What a top-level mailbox of this name is taken to be for when nobody said anything.
    #[must_use]
    pub fn by_name(path: &str) -> Option<Self> {
        match path {
            "Sent Items" | "Sent" | "Sent Messages" => Some(Self::Sent),
            "Drafts" => Some(Self::Drafts),
            "Trash" | "Deleted Items" | "Deleted Messages" => Some(Self::Trash),
            "Junk" | "Spam" | "Junk E-mail" => Some(Self::Junk),
            "Archive" => Some(Self::Archive),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    // ABU-21
    #[test]
    fn names_that_could_leave_the_account_or_collide_are_refused() {
        use NameError::*;
        for (name, why) in [
            ("", Empty),
            ("/", Empty),
            ("/a", Empty),
            ("a/", Empty),
            ("a//b", Empty),
            ("..", Beginning),
            ("../x", Beginning),
            ("a/../b", Beginning),
            ("a/~b", Beginning),
            (".hidden", Beginning),
            ("a\0b", Character),
            ("a\rb", Character),
            ("a\nb", Character),
            ("a\u{85}b", Character),
            ("a\u{200b}b", Character),
            ("a\u{202e}b", Character),
            ("a\u{ad}b", Character),
            ("C:\\x", Character),
            ("#news", Character),
            ("a ", Space),
            (" a", Space),
            ("a/b /c", Space),
            ("a.mbox", Suffix),
            ("a.MDIR/b", Suffix),
            ("~", Empty),
            ("~/x", Empty),
            ("~other/../x", Beginning),
        ] {
            assert_eq!(parse(name), Err(why), "{name:?}");
        }
        assert_eq!(parse(&"x".repeat(256)), Err(TooLong));
        assert_eq!(parse(&vec!["ab"; 65].join("/")), Err(TooLong));
        assert_eq!(parse(&"x/".repeat(33_000)), Err(TooLong));
        assert_eq!(parse(&format!("~{}/x", "y".repeat(70_000))), Err(TooLong));
    }

    #[test]
    fn inbox_is_one_mailbox_however_it_is_written_and_other_names_are_not() {
        assert_eq!(parse("inbox"), Ok(Named::Own("INBOX".into())));
        assert_eq!(parse("iNbOx/Important"), Ok(Named::Own("INBOX/Important".into())));
        assert_eq!(parse("inboxes"), Ok(Named::Own("inboxes".into())));
        assert_eq!(parse("a/inbox"), Ok(Named::Own("a/inbox".into())));
        assert_eq!(
            parse("~sales@b.example/inbox"),
            Ok(Named::Foreign { account: "sales@b.example".into(), path: "INBOX".into() })
        );
        assert_eq!(
            parse("~public"),
            Ok(Named::Foreign { account: "public".into(), path: String::new() })
        );
        assert_eq!(parse("Entwürfe/日本"), Ok(Named::Own("Entwürfe/日本".into())));
    }

    // ABU-21
    #[test]
    fn a_name_typed_in_two_ways_is_one_name() {
        let one = Ok(Named::Own("Entw\u{fc}rfe/\u{e9}".into()));
        assert_eq!(parse("Entwu\u{308}rfe/e\u{301}"), one);
        assert_eq!(parse("Entw\u{fc}rfe/\u{e9}"), one);
        // Looking alike is not being the same letter.
        assert_ne!(parse("\u{430}"), parse("a"));
        let long = "\u{1d160}".repeat(64);
        assert_eq!(parse(&long), Err(NameError::TooLong), "it grows when it is composed");
    }

    #[test]
    fn a_format_ending_is_taken_off_a_name_to_be_created() {
        assert_eq!(without_format("a/b.mdir"), "a/b");
        assert_eq!(without_format("b.MBOX"), "b");
        assert_eq!(without_format(".mbox"), ".mbox");
        assert_eq!(without_format("a/.mbox"), "a/.mbox");
        assert_eq!(without_format("ä"), "ä");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]
        #[test]
        fn an_accepted_name_is_its_own_canonical_form(name in "\\PC{0,40}") {
            if let Ok(Named::Own(path)) = parse(&name) {
                prop_assert_eq!(canonical(&path), Ok(path.clone()));
                prop_assert!(path.split('/').all(|c| !c.is_empty() && c != ".." && c != "."));
            }
        }
    }
}
