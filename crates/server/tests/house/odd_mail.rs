//! Odd mail for an account at any IMAP server, given in the plainest way that each understands: one
//! message, one literal, and the wait for the server to take it.

#![allow(dead_code, reason = "each test file uses its part")]
#![allow(clippy::unwrap_used, reason = "a test that cannot set up should fail")]

use std::collections::BTreeMap;

use super::Imap;
use super::old_server::wire;

/// When the odd mail arrived.
pub(crate) const DATE: &str = "01-Mar-2021 12:00:00 +0000";

/// How a server names mailboxes, and what it keeps with a message.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Manner {
    /// What stands before every name but INBOX.
    pub(crate) prefix: &'static str,
    /// What stands between levels.
    pub(crate) separator: &'static str,
    /// It keeps keywords.
    pub(crate) keywords: bool,
    /// It keeps access rights.
    pub(crate) rights: bool,
    /// Its mailboxes, in UTF-8, levels separated by `/`, as they should be called elsewhere.
    pub(crate) mailboxes: &'static [&'static str],
}

impl Manner {
    /// A mailbox as this server calls it.
    pub(crate) fn name(&self, name: &str) -> String {
        if name == "INBOX" {
            return name.to_owned();
        }
        wire(&format!("{}{}", self.prefix, name.replace('/', self.separator)))
    }
}

/// A plain letter.
pub(crate) fn letter(subject: &str) -> Vec<u8> {
    format!(
        "From: a@b.example\r\nSubject: {subject}\r\nMessage-ID: <{subject}@b.example>\r\n\r\n\
         The letter {subject}.\r\n"
    )
    .into_bytes()
}

/// Messages as nobody should write them, with flags.
pub(crate) fn odd() -> Vec<(&'static str, Vec<u8>)> {
    let long = "x".repeat(5_000);
    let twice = letter("twice");
    vec![
        ("\\Seen", letter("plain")),
        ("\\Seen \\Answered", twice.clone()),
        ("", twice),
        ("\\Flagged", b"Subject: no Message-ID\r\n\r\nnone\r\n".to_vec()),
        ("", b"Subject: no Message-ID\r\n\r\nanother\r\n".to_vec()),
        ("\\Draft", b"Message-ID: <empty@b.example>\r\n\r\n".to_vec()),
        ("", b"From: a@b.example\r\nSubject: dots\r\n\r\n.\r\n..\r\n.x\r\n\r\n.\r\n".to_vec()),
        ("", b"From: a@b.example\r\nSubject: From\r\n\r\nFrom here on\r\n>From there\r\n".to_vec()),
        ("", b"From: a@b.example\r\nSubject: latin\r\n\r\nGr\xfc\xdfe, \x80\x81\xff\r\n".to_vec()),
        ("\\Seen", "From: a@b.example\r\nSubject: Grüße\r\n\r\nin the header\r\n".into()),
        ("", format!("From: a@b.example\r\nSubject: long\r\n\r\n{long}\r\nend").into_bytes()),
        ("", b"From: a@b.example\r\nX-Empty:\r\nX Broken\r\nSubject: broken\r\n\r\n{\r\n".to_vec()),
        ("", b"From: a@b.example\r\nSubject: no end of line".to_vec()),
        ("", b"no header at all, only words\r\n".to_vec()),
        ("", b"From: a@b.example\r\nSubject: bare\r\n\r\na\nb\rc\r\n".to_vec()),
        ("", b"From: a@b.example\r\nSubject: NUL\r\n\r\na\0b\r\n".to_vec()),
    ]
}

/// Gives a server a message; false if it will not have it.
pub(crate) fn append(imap: &mut Imap, mailbox: &str, flags: &str, date: &str, text: &[u8]) -> bool {
    let length = text.len();
    imap.send(format!("odd APPEND \"{mailbox}\" ({flags}) \"{date}\" {{{length}}}\r\n").as_bytes());
    let mut sent = false;
    loop {
        let line = imap.line();
        if line.starts_with(b"+") && !sent {
            imap.send(text);
            imap.send(b"\r\n");
            sent = true;
        } else if line.starts_with(b"odd ") {
            return line.starts_with(b"odd OK");
        }
    }
}

/// Fills an account: odd mail in INBOX, letters in each other mailbox, all of them subscribed. How
/// many messages the server took in each, by the names of [`Manner::mailboxes`].
pub(crate) fn fill(imap: &mut Imap, manner: &Manner) -> BTreeMap<String, u64> {
    let mut taken = BTreeMap::new();
    let mut put = |imap: &mut Imap, name: &str, flags: &str, text: &[u8]| {
        let at = manner.name(name);
        let flags = if manner.keywords && flags == "\\Seen" { "\\Seen $Work" } else { flags };
        let count: &mut u64 = taken.entry(name.to_owned()).or_default();
        *count += u64::from(append(imap, &at, flags, DATE, text));
    };
    for (flags, text) in odd() {
        put(imap, "INBOX", flags, &text);
    }
    for name in manner.mailboxes {
        let at = manner.name(name);
        imap.ok(&format!("CREATE \"{at}\""));
        imap.ok(&format!("SUBSCRIBE \"{at}\""));
        for number in 0..3 {
            let flags = if number == 0 { "\\Seen" } else { "" };
            put(imap, name, flags, &letter(&format!("{number}-{}", wire(name).replace(' ', "_"))));
        }
    }
    taken
}
