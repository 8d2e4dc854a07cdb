//! Which program a server is, by its greeting, what it answers to ID and what it can. Pure.

/// The servers of the field that want to be treated in a way of their own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
#[expect(missing_docs, reason = "names of products")]
pub enum Product {
    #[default]
    Unknown,
    Angarium,
    CommuniGate,
    Courier,
    Cyrus,
    Domino,
    Dovecot,
    Exchange,
    Gmail,
    GroupWise,
    HMailServer,
    ICloud,
    Kerio,
    MDaemon,
    Netscape,
    Stalwart,
    UwImap,
    Yahoo,
    Zimbra,
}

/// A word in the greeting or in the answer to ID, lower case, and the product it stands for. The
/// first that is found counts.
const WORDS: &[(&str, Product)] = &[
    ("angarium", Product::Angarium),
    ("communigate", Product::CommuniGate),
    ("zimbra", Product::Zimbra),
    ("stalwart", Product::Stalwart),
    ("dovecot", Product::Dovecot),
    ("cyrus", Product::Cyrus),
    ("courier", Product::Courier),
    ("microsoft exchange", Product::Exchange),
    ("outlook", Product::Exchange),
    ("gimap", Product::Gmail),
    ("gmail", Product::Gmail),
    ("gpop", Product::Gmail),
    ("domino", Product::Domino),
    ("groupwise", Product::GroupWise),
    ("hmailserver", Product::HMailServer),
    ("icloud", Product::ICloud),
    ("apple", Product::ICloud),
    ("kerio", Product::Kerio),
    ("mdaemon", Product::MDaemon),
    ("netscape", Product::Netscape),
    ("iplanet", Product::Netscape),
    ("sun java", Product::Netscape),
    ("sun one", Product::Netscape),
    ("oracle communications messaging", Product::Netscape),
    ("sims", Product::Netscape),
    ("yahoo", Product::Yahoo),
];

/// What is known of a server's kind.
#[must_use]
pub fn recognise(greeting: &str, id: &[(String, String)], capabilities: &[String]) -> Product {
    let has = |word: &str| capabilities.iter().any(|c| c == word);
    let told: Vec<String> = id
        .iter()
        .filter(|(name, _)| matches!(name.as_str(), "name" | "vendor" | "support-url"))
        .map(|(_, value)| value.to_ascii_lowercase())
        .collect();
    let greeting = greeting.to_ascii_lowercase();
    let sources = told.iter().map(String::as_str).chain([greeting.as_str()]);
    for text in sources {
        if let Some((_, product)) = WORDS.iter().find(|(word, _)| text.contains(word)) {
            return *product;
        }
    }
    if has("X-GM-EXT-1") {
        Product::Gmail
    } else if has("X-NETSCAPE") || has("XSENDER") {
        Product::Netscape
    } else if has("XAPPLEPUSHSERVICE") || has("XAPPLELITERAL") {
        Product::ICloud
    } else if has("X-DRAFT-I05-SEARCHRES") && has("MAILBOX-REFERRALS") {
        Product::Cyrus
    } else if greeting.contains("imap4rev1 2") && has("SCAN") {
        Product::UwImap
    } else {
        Product::Unknown
    }
}

impl Product {
    /// Its name, for people.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unknown => "not known",
            Self::Angarium => "Angarium",
            Self::CommuniGate => "CommuniGate Pro",
            Self::Courier => "Courier",
            Self::Cyrus => "Cyrus",
            Self::Domino => "HCL Domino",
            Self::Dovecot => "Dovecot",
            Self::Exchange => "Microsoft Exchange",
            Self::Gmail => "Gmail",
            Self::GroupWise => "GroupWise",
            Self::HMailServer => "hMailServer",
            Self::ICloud => "iCloud",
            Self::Kerio => "Kerio Connect",
            Self::MDaemon => "MDaemon",
            Self::Netscape => "Netscape, iPlanet or Sun Messaging",
            Self::Stalwart => "Stalwart",
            Self::UwImap => "UW imapd",
            Self::Yahoo => "Yahoo",
            Self::Zimbra => "Zimbra",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_of_the_field_are_recognised() {
        let by = |greeting: &str| recognise(greeting, &[], &[]);
        assert_eq!(by("[CAPABILITY IMAP4rev1] Dovecot (Debian) ready."), Product::Dovecot);
        assert_eq!(by("mail Cyrus IMAP 3.6.1 server ready"), Product::Cyrus);
        assert_eq!(by("The Microsoft Exchange IMAP4 service is ready."), Product::Exchange);
        assert_eq!(by("Gimap ready for requests from 192.0.2.1"), Product::Gmail);
        assert_eq!(by("Courier-IMAP ready."), Product::Courier);
        assert_eq!(by("ready"), Product::Unknown);
        let id = [("name".to_owned(), "Zimbra".to_owned())];
        assert_eq!(recognise("IMAP4rev1 proxy ready", &id, &[]), Product::Zimbra);
        assert_eq!(recognise("ready", &[], &["X-GM-EXT-1".into()]), Product::Gmail);
    }

    #[test]
    fn what_it_says_of_itself_counts_more_than_its_greeting() {
        let id = [("name".to_owned(), "Angarium".to_owned())];
        assert_eq!(recognise("as good as Dovecot", &id, &[]), Product::Angarium);
        let os = [("os".to_owned(), "Dovecot OS".to_owned())];
        assert_eq!(recognise("ready", &os, &[]), Product::Unknown);
    }
}
