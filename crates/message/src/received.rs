//! The Received field every module writes in the same frame (reference/smtp.md 2.3).
//!
//! It must never know what time it is or who is connected: the caller says.

use crate::compose::clean;
use crate::date::{self, Moment};

/// Octets of one word given from outside that are written.
const WORD_MAX: usize = 255;

/// Where a message came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReceivedFrom<'a> {
    /// A network peer.
    Peer {
        /// Its address in text form, without brackets.
        address: &'a str,
        /// The name it gave in HELO, EHLO or LHLO.
        helo: &'a str,
        /// Whether that name belongs to the address.
        verified: bool,
        /// The account it logged in as.
        account: Option<&'a str>,
    },
    /// An account of this server (rules): `local@domain`.
    Account(&'a str),
}

/// All that a Received field says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received<'a> {
    /// Where from; nothing for programs on this machine (PIPE).
    pub from: Option<ReceivedFrom<'a>>,
    /// The main domain, or the domain of the local address.
    pub by: &'a str,
    /// Product, module and version: `Angarium SMTP 0.1.0`.
    pub agent: &'a str,
    /// The protocol word: SMTP, ESMTP, ESMTPS, ESMTPA, ESMTPSA, LMTP…, HTTP, PIPE, RULE.
    pub with: &'a str,
    /// The queue id.
    pub id: u64,
    /// The recipient, if there is only one.
    pub recipient: Option<&'a str>,
    /// When.
    pub time: Moment,
}

impl Received<'_> {
    /// The whole field with its folds and the last line end.
    pub fn field(&self) -> String {
        let mut out = String::from("Received: ");
        match &self.from {
            None => {}
            Some(ReceivedFrom::Account(account)) => {
                out.push_str(&format!("from <{}>\r\n  ", word(account)));
            }
            Some(ReceivedFrom::Peer { address, helo, verified, account }) => {
                let (address, helo) = (word(address), word(helo));
                let account = account.map(|a| format!("account {} ", word(a))).unwrap_or_default();
                out.push_str(&if *verified {
                    format!("from {helo} ({account}[{address}] verified)\r\n  ")
                } else {
                    format!("from [{address}] ({account}HELO {helo})\r\n  ")
                });
            }
        }
        let agent = clean(self.agent, WORD_MAX).replace(['(', ')', '\\'], "?");
        out.push_str(&format!("by {} ({agent})\r\n", word(self.by)));
        out.push_str(&format!("  with {} id {}", word(self.with), self.id));
        if let Some(recipient) = self.recipient {
            out.push_str(&format!(" for {}", word(recipient)));
        }
        out.push_str(&format!("; {}\r\n", date::format(self.time)));
        out
    }
}

/// A word from outside that can neither end the field nor its comment.
fn word(text: &str) -> String {
    clean(text, WORD_MAX)
        .chars()
        .map(|c| if c.is_whitespace() || matches!(c, '(' | ')' | '\\' | ';') { '?' } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(verified: bool, account: Option<&'static str>) -> Received<'static> {
        Received {
            from: Some(ReceivedFrom::Peer {
                address: "192.0.2.41",
                helo: "laptop.client.dom",
                verified,
                account,
            }),
            by: "mail.client.dom",
            agent: "Angarium SMTP 0.1.0",
            with: "ESMTPA",
            id: 98_410_812,
            recipient: Some("list@other.dom"),
            time: Moment { seconds: 1_227_375_762, zone: 120 },
        }
    }

    #[test]
    fn the_frame_is_the_one_scripts_know() {
        assert_eq!(
            sample(false, Some("alice@client.dom")).field(),
            "Received: from [192.0.2.41] (account alice@client.dom HELO laptop.client.dom)\r\n  \
             by mail.client.dom (Angarium SMTP 0.1.0)\r\n  \
             with ESMTPA id 98410812 for list@other.dom; Sat, 22 Nov 2008 19:42:42 +0200\r\n"
        );
        assert!(
            sample(true, None)
                .field()
                .starts_with("Received: from laptop.client.dom ([192.0.2.41] verified)\r\n  by ")
        );
        let pipe = Received { from: None, recipient: None, ..sample(true, None) };
        assert!(pipe.field().starts_with("Received: by mail.client.dom ("));
        let rule = Received { from: Some(ReceivedFrom::Account("a@b")), ..pipe };
        assert!(rule.field().starts_with("Received: from <a@b>\r\n  by "));
    }

    #[test]
    fn hostile_names_stay_inside_the_field() {
        let mut hostile = sample(false, None);
        hostile.from = Some(ReceivedFrom::Peer {
            address: "1.2.3.4",
            helo: "x)\r\nEvil: yes (",
            verified: false,
            account: None,
        });
        let field = hostile.field();
        assert_eq!(crate::header::fields(field.as_bytes()).count(), 1);
        assert_eq!(field.matches('(').count(), 2);
    }
}
