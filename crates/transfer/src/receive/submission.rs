//! What becomes of the header of a message that one of our people submits (RFC 6409 section 8,
//! ABU-12): who it says it is from, what is missing, what nobody else is to see.
//!
//! Pure: the header, and what the account may, are arguments.

use std::ops::Range;

use angarium_message::address::{Mailbox, mailboxes};
use angarium_message::compose::HeaderBuilder;
use angarium_message::header;
use angarium_objects::spelling::{self, Services};
use angarium_objects::value::{Dictionary, Value};

use crate::inspect::Verdict;

/// What happens when From is not the account's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Policy {
    Any,
    Refuse,
    Rewrite,
    Sender,
}

/// Who submits, and as whom he may.
#[derive(Clone, Debug)]
pub(super) struct Author {
    /// The account's own address.
    pub(super) address: String,
    /// Its own addresses, lower case.
    pub(super) own: Vec<String>,
    /// Others it may send as: lower-case addresses, or domains after `@`.
    pub(super) others: Vec<String>,
    /// Any address at all.
    pub(super) all: bool,
    pub(super) policy: Policy,
}

impl Author {
    /// An account with these names in these domains and these settings.
    pub(super) fn new(
        address: String,
        names: &[String],
        domains: &[String],
        settings: &Dictionary,
    ) -> Self {
        let mut own = vec![address.to_lowercase()];
        for domain in domains {
            own.extend(names.iter().map(|name| format!("{name}@{domain}").to_lowercase()));
        }
        let (others, all) = match settings.get("SendAs").and_then(spelling::services) {
            Some(Services::All) => (Vec::new(), true),
            Some(Services::Only(words)) => {
                (words.iter().map(|word| word.to_lowercase()).collect(), false)
            }
            None => (Vec::new(), false),
        };
        let policy = match settings.get("FromPolicy").and_then(Value::as_str) {
            Some("Any") => Policy::Any,
            Some("Rewrite") => Policy::Rewrite,
            Some("Sender") => Policy::Sender,
            _ => Policy::Refuse,
        };
        Self { address, own, others, all, policy }
    }

    /// True for an address it may send as.
    pub(super) fn may_be(&self, address: &str) -> bool {
        let address = address.to_lowercase();
        let domain = address.rfind('@').and_then(|at| address.get(at..)).unwrap_or_default();
        self.all
            || self.own.contains(&address)
            || self.others.iter().any(|other| *other == address || other == domain)
    }
}

/// What is done to a header.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Changes {
    /// Lines in front of it.
    pub(super) lines: String,
    /// Parts of it that are left out, in order.
    pub(super) cut: Vec<Range<usize>>,
}

/// Looks at a submitted header.
///
/// # Errors
/// The refusal.
pub(super) fn changes(head: &[u8], author: Option<&Author>) -> Result<Changes, Verdict> {
    let mut cut: Vec<Range<usize>> = Vec::new();
    let mut lines = HeaderBuilder::new();
    let mut from: Vec<Mailbox> = Vec::new();
    let mut from_at = Vec::new();
    let mut sender: Vec<Mailbox> = Vec::new();
    let mut sender_at = Vec::new();
    for (field, range) in located(head) {
        if field.is("Bcc") || field.is("Resent-Bcc") {
            cut.push(range);
        } else if field.is("From") {
            from.extend(mailboxes(&field.unfolded()));
            from_at.push(range);
        } else if field.is("Sender") {
            sender.extend(mailboxes(&field.unfolded()));
            sender_at.push(range);
        }
    }
    if let Some(author) = author.filter(|author| author.policy != Policy::Any) {
        let mine = |all: &[Mailbox]| all.iter().all(|one| author.may_be(&one.address()));
        let one = from_at.len() == 1 && !from.is_empty() && mine(&from);
        let honest = one && sender_at.len() <= 1 && mine(&sender);
        let whole = |address: &str| HeaderBuilder::new().field("From", address);
        match author.policy {
            _ if honest => {}
            // Nothing is claimed: what is missing is added.
            _ if from_at.is_empty() && mine(&sender) => lines = whole(&author.address),
            Policy::Any => {}
            Policy::Refuse => {
                let text = if from_at.len() > 1 {
                    "several From lines".to_owned()
                } else {
                    format!("the From or Sender line is not <{}>'s", author.address)
                };
                return Err(Verdict::Refuse { status: (5, 7, 1), text });
            }
            Policy::Rewrite => {
                let name = from.first().map(|one| one.name.clone()).unwrap_or_default();
                let (local, domain) =
                    author.address.rsplit_once('@').unwrap_or((&author.address, ""));
                let new = Mailbox { name, local: local.to_owned(), domain: domain.to_owned() };
                lines = lines.addresses("From", &[new]);
                cut.extend(from_at);
                cut.extend(sender_at);
            }
            Policy::Sender => {
                lines = lines.field("Sender", &author.address);
                cut.extend(sender_at);
            }
        }
    }
    cut.sort_by_key(|range| range.start);
    Ok(Changes { lines: lines.fields(), cut })
}

/// The fields of a header with where they stand.
fn located(head: &[u8]) -> Vec<(header::Field<'_>, Range<usize>)> {
    let mut all = Vec::new();
    let mut at = 0;
    while let Some(rest) = head.get(at..).filter(|rest| !rest.is_empty()) {
        let length = field_length(rest);
        let piece = rest.get(..length).unwrap_or(rest);
        if let Some(field) = header::fields(piece).next() {
            all.push((field, at..at + length));
        }
        at += length;
    }
    all
}

/// Octets of the first line with those that continue it.
fn field_length(text: &[u8]) -> usize {
    let mut at = 0;
    loop {
        let rest = text.get(at..).unwrap_or_default();
        match rest.iter().position(|b| *b == b'\n') {
            None => return text.len(),
            Some(end) => at += end + 1,
        }
        if !matches!(text.get(at), Some(b' ' | b'\t')) {
            return at;
        }
    }
}

#[cfg(test)]
mod tests {
    use angarium_objects::text::parse_line;

    use super::*;

    fn author(settings: &str) -> Author {
        let settings = parse_line(settings).unwrap();
        let names = ["alice".to_owned(), "al".to_owned()];
        let domains = ["main.example".to_owned(), "alias.example".to_owned()];
        let address = "alice@main.example".to_owned();
        Author::new(address, &names, &domains, settings.as_dictionary().unwrap())
    }

    fn after(head: &str, settings: &str) -> Result<String, Verdict> {
        let found = changes(head.as_bytes(), Some(&author(settings)))?;
        let mut left = found.lines.clone();
        let mut at = 0;
        for range in found.cut {
            left.push_str(&head[at..range.start]);
            at = range.end;
        }
        left.push_str(&head[at..]);
        Ok(left)
    }

    #[test]
    fn abu_12_a_header_says_who_really_sends() {
        for good in [
            "From: Al <AL@alias.example>\r\nTo: x@y\r\n\r\n",
            "From: alice@main.example\r\nSender: al@main.example\r\n\r\n",
        ] {
            assert_eq!(after(good, "{}").as_deref(), Ok(good));
        }
        let foreign = [
            "From: bob@main.example\r\n\r\n",
            "From: alice@main.example, boss@main.example\r\n\r\n",
            "From: alice@main.example\r\nFrom: boss@main.example\r\n\r\n",
            "From: alice@main.example\r\nSender: boss@main.example\r\n\r\n",
            "From: x: boss@main.example, alice@main.example;\r\n\r\n",
            "From:\r\n boss@main.example\r\n\r\n",
            "From : boss@main.example\r\n\r\n",
            "From: \r\n\r\n",
            "From: undisclosed:;\r\n\r\n",
        ];
        for head in foreign {
            assert!(after(head, "{}").is_err(), "{head}");
            let rewritten = after(head, "{FromPolicy=Rewrite;}").unwrap();
            assert!(!rewritten.contains("boss@") && !rewritten.contains("bob@"), "{rewritten}");
            assert!(rewritten.contains("alice@main.example"), "{rewritten}");
            let sender = after(head, "{FromPolicy=Sender;}").unwrap();
            assert!(sender.starts_with("Sender: alice@main.example\r\n"), "{sender}");
            assert!(!sender.contains("Sender: boss"));
            assert_eq!(after(head, "{FromPolicy=Any;}").as_deref(), Ok(head));
        }
        let none = after("To: x@y\r\n\r\n", "{}").unwrap();
        assert_eq!(none, "From: alice@main.example\r\nTo: x@y\r\n\r\n");
    }

    #[test]
    fn others_may_be_permitted_and_blind_copies_are_blind() {
        let shared = author("{SendAs=(\"sales@main.example\",\"@shop.example\");}");
        assert!(shared.may_be("Sales@main.example") && shared.may_be("any@shop.example"));
        assert!(!shared.may_be("any@other-shop.example") && !shared.may_be("bob@main.example"));
        assert!(author("{SendAs=All;}").may_be("x@y.example"));
        let head = "Bcc: a@b,\r\n c@d\r\nFrom: al@main.example\r\nbcc: x\r\nSubject: y\r\n\r\n";
        let left = "From: al@main.example\r\nSubject: y\r\n\r\n";
        assert_eq!(after(head, "{}").as_deref(), Ok(left));
        let anybody = changes(head.as_bytes(), None).unwrap();
        assert_eq!(anybody.cut.len(), 2);
    }
}
