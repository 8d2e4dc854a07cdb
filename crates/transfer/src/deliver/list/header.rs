//! The header of a distributed message (`reference/groups-forwarders-lists.md` section 3.5, RFC
//! 2369, RFC 2919). What an author's signature usually covers is left as it is, so that the
//! message is still believed. Must never know who gets it.

use angarium_message::address::Mailbox;
use angarium_message::compose::HeaderBuilder;
use angarium_message::header;

/// Fields of other lists, of the way here, and requests that would go to every subscriber.
const TAKEN_OUT: &[&str] = &[
    "Return-Path",
    "Delivered-To",
    "List-Archive",
    "List-Help",
    "List-ID",
    "List-Owner",
    "List-Post",
    "List-Subscribe",
    "List-Unsubscribe",
    "List-Unsubscribe-Post",
    "Precedence",
    "X-ListServer",
    "Errors-To",
    "Disposition-Notification-To",
    "Return-Receipt-To",
    "X-Confirm-Reading-To",
];

/// The list as it stands in headers.
pub(super) struct Face<'a> {
    pub(super) name: &'a str,
    pub(super) domain: &'a str,
    pub(super) description: &'a str,
    /// Answers go to the list.
    pub(super) reply_to_list: bool,
}

impl Face<'_> {
    /// Its identifier (RFC 2919).
    fn identifier(&self) -> String {
        format!("{}.{}", self.name, self.domain)
    }

    fn address(&self, before: &str, after: &str) -> String {
        format!("<mailto:{before}{}{after}@{}>", self.name, self.domain)
    }

    /// True for a message that this list has distributed already.
    pub(super) fn distributed(&self, head: &[u8]) -> bool {
        let identifier = format!("<{}>", self.identifier());
        header::fields(head)
            .filter(|field| field.is("List-ID"))
            .any(|field| field.text().to_ascii_lowercase().contains(&identifier))
    }

    /// The message as the subscribers get it.
    pub(super) fn message(&self, message: &[u8]) -> Vec<u8> {
        let (head, body) = message.split_at(header::header_length(message).min(message.len()));
        let name = self.description.trim();
        let mailbox = Mailbox {
            name: name.to_owned(),
            local: self.name.to_owned(),
            domain: self.domain.to_owned(),
        };
        let identifier = format!("<{}>", self.identifier());
        let mut fields = HeaderBuilder::new()
            .field("List-ID", &identifier)
            .field("List-Post", &self.address("", ""))
            .field("List-Unsubscribe", &self.address("", "-off"))
            .field("List-Help", &self.address("", "-request"))
            .field("List-Owner", &self.address("owner-", ""))
            .field("Precedence", "list")
            .field("X-ListServer", concat!("Angarium LIST ", env!("CARGO_PKG_VERSION")));
        let mut without = TAKEN_OUT.to_vec();
        if self.reply_to_list {
            without.push("Reply-To");
            fields = fields.addresses("Reply-To", &[mailbox]);
        }
        let fields = fields.fields();
        let kept = header::filter(head, &without, false);
        let mut out = Vec::with_capacity(fields.len() + kept.len() + body.len());
        out.extend_from_slice(fields.as_bytes());
        out.extend_from_slice(&kept);
        out.extend_from_slice(body);
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn face() -> Face<'static> {
        Face { name: "news", domain: "one.example", description: "All news", reply_to_list: true }
    }

    #[test]
    fn the_list_stands_in_the_header_and_foreign_lists_do_not() {
        let message = b"Return-Path: <a@b>\r\nList-ID: <old.two.example>\r\nReply-To: a@b\r\n\
            Subject: one\r\n folded\r\nX-Keep: yes\r\n\r\nbody\r\n";
        let out = String::from_utf8(face().message(message)).unwrap();
        assert!(out.contains("List-ID: <news.one.example>\r\n"), "{out}");
        assert!(out.contains("List-Unsubscribe: <mailto:news-off@one.example>\r\n"), "{out}");
        assert!(out.contains("Reply-To: All news <news@one.example>\r\n"), "{out}");
        assert!(
            out.contains("\r\nSubject: one\r\n folded\r\nX-Keep: yes\r\n\r\nbody\r\n"),
            "{out}"
        );
        assert!(!out.contains("old.two") && !out.contains("Return-Path") && !out.contains("a@b"));
        assert!(face().distributed(out.as_bytes()) && !face().distributed(message));
    }

    #[test]
    fn a_message_without_header_or_body_stays_one() {
        for message in [&b""[..], b"\r\n", b"no header\r\n", b"A: b"] {
            let out = face().message(message);
            assert!(out.windows(4).any(|w| w == b"\r\n\r\n"), "{message:?}");
        }
    }
}
