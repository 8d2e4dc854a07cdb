//! Delivery status reports: multipart/report of RFC 3462 with the fields of RFC 3464 (and
//! RFC 6533 where addresses go beyond ASCII).
//!
//! It must never decide whether a report is sent, nor know a clock.

use std::fmt::Write as _;

use memchr::memmem;

use crate::address::Mailbox;
use crate::compose::{HeaderBuilder, clean, hex};
use crate::date::{self, Moment};
use crate::header::header_length;

/// Octets of a returned message up to which it is returned in full; of a larger one the header
/// is returned.
pub const RETURN_MAX: usize = 256 * 1024;

/// Octets of a returned header.
pub const RETURN_HEADER_MAX: usize = 64 * 1024;

/// Recipients described in one report.
pub const RECIPIENTS_MAX: usize = 1000;

/// Octets of one text from outside (diagnostics, addresses) that are written.
const TEXT_MAX: usize = 900;

/// Octets of a line, its end not counted (RFC 5322 2.1.1).
const LINE_MAX: usize = 998;

/// What became of the message for one recipient (RFC 3464 2.3.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Given up.
    Failed,
    /// Still tried.
    Delayed,
    /// In the mailbox.
    Delivered,
    /// Given to a system that sends no reports.
    Relayed,
    /// Sent on to several addresses.
    Expanded,
}

impl Action {
    fn word(self) -> &'static str {
        match self {
            Action::Failed => "failed",
            Action::Delayed => "delayed",
            Action::Delivered => "delivered",
            Action::Relayed => "relayed",
            Action::Expanded => "expanded",
        }
    }
}

/// One recipient of a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecipientReport<'a> {
    /// The address as the message was last sent to.
    pub recipient: &'a str,
    /// ORCPT as it was given, in xtext-decoded form: type and address.
    pub original: Option<(&'a str, &'a str)>,
    /// What became of it.
    pub action: Action,
    /// Enhanced status code (RFC 3463), such as `5.1.1`.
    pub status: &'a str,
    /// The host that answered, if one did.
    pub remote: Option<&'a str>,
    /// Its words, or ours.
    pub diagnostic: Option<&'a str>,
    /// Until when delivery is tried again.
    pub retry_until: Option<Moment>,
}

/// What is returned of the message (RET of RFC 3461).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Return {
    /// The header.
    Headers,
    /// All of it, if it is not too large.
    Full,
}

/// All that a report says.
#[derive(Debug, Clone)]
pub struct Report<'a> {
    /// Our name.
    pub reporter: &'a str,
    /// Who the report is from, such as `MAILER-DAEMON@domain`.
    pub from: &'a Mailbox,
    /// Who it goes to: the return path of the message.
    pub to: &'a str,
    /// The identifier of the report itself, with angle brackets.
    pub message_id: &'a str,
    /// Random bytes for the boundary.
    pub random: [u8; 16],
    /// Now.
    pub time: Moment,
    /// When the message arrived here.
    pub arrival: Option<Moment>,
    /// ENVID as given, xtext-decoded.
    pub envelope_id: Option<&'a str>,
    /// The recipients; those beyond [`RECIPIENTS_MAX`] are left out.
    pub recipients: &'a [RecipientReport<'a>],
    /// The message, or at least its header.
    pub original: &'a [u8],
    /// How much of it is wanted.
    pub wanted: Return,
}

impl Report<'_> {
    /// The report as a message, with CRLF line ends.
    pub fn build(&self) -> Vec<u8> {
        let full = self.wanted == Return::Full && self.original.len() <= RETURN_MAX;
        let returned = self.returned(full);
        let status = self.status_fields();
        let text = self.text();
        let beyond_ascii = !status.is_ascii();
        let eight_bit = !returned.is_ascii() || beyond_ascii || !text.is_ascii();
        let boundary = self.boundary(&[&returned, status.as_bytes(), text.as_bytes()]);
        let encoding = |ascii: bool| if ascii { "7bit" } else { "8bit" };
        let report_type =
            format!("multipart/report; report-type=delivery-status; boundary=\"{boundary}\"");
        let header = HeaderBuilder::new()
            .addresses("From", std::slice::from_ref(self.from))
            .field("To", &return_path(self.to))
            .field("Subject", self.subject())
            .date("Date", self.time)
            .field("Message-ID", self.message_id)
            .field("Auto-Submitted", "auto-replied")
            .field("MIME-Version", "1.0")
            .field("Content-Type", &report_type)
            .field("Content-Transfer-Encoding", encoding(!eight_bit))
            .finish();
        let status_type = match beyond_ascii {
            true => "message/global-delivery-status",
            false => "message/delivery-status",
        };
        let header_ascii = returned.get(..header_length(&returned)).unwrap_or_default().is_ascii();
        let returned_type = match (full, header_ascii) {
            (true, true) => "message/rfc822",
            (true, false) => "message/global",
            (false, true) => "text/rfc822-headers",
            (false, false) => "message/global-headers",
        };
        let mut out = header.into_bytes();
        let parts: [(&str, &[u8]); 3] = [
            ("text/plain; charset=utf-8", text.as_bytes()),
            (status_type, status.as_bytes()),
            (returned_type, &returned),
        ];
        for (kind, body) in parts {
            let head = HeaderBuilder::new()
                .field("Content-Type", kind)
                .field("Content-Transfer-Encoding", encoding(body.is_ascii()))
                .finish();
            out.extend_from_slice(format!("--{boundary}\r\n{head}").as_bytes());
            out.extend_from_slice(body);
            out.extend_from_slice(b"\r\n");
        }
        out.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
        out
    }

    fn recipients(&self) -> impl Iterator<Item = &RecipientReport<'_>> {
        self.recipients.iter().take(RECIPIENTS_MAX)
    }

    fn subject(&self) -> &'static str {
        let has = |action| self.recipients().any(|r| r.action == action);
        if has(Action::Failed) {
            "Undeliverable mail"
        } else if has(Action::Delayed) {
            "Mail is delayed"
        } else {
            "Mail was delivered"
        }
    }

    fn text(&self) -> String {
        let mut out = format!("This is the mail server {}.\r\n\r\n", line(self.reporter));
        for recipient in self.recipients() {
            let address = line(recipient.recipient);
            let what = match recipient.action {
                Action::Failed => "could not be delivered to",
                Action::Delayed => "has not been delivered yet, and is still tried, to",
                Action::Delivered => "was delivered to",
                Action::Relayed => "was passed on, to a system that sends no reports, for",
                Action::Expanded => "was sent on to the members of",
            };
            let _ = write!(out, "Your message {what}\r\n  <{address}>\r\n");
            if let Some(host) = recipient.remote {
                let _ = write!(out, "  Answer of {}:\r\n", line(host));
            }
            if let Some(diagnostic) = recipient.diagnostic {
                let _ = write!(out, "  {}\r\n", line(diagnostic));
            }
            if let Some(until) = recipient.retry_until {
                let _ = write!(out, "  It is tried until {}.\r\n", date::format(until));
            }
            out.push_str("\r\n");
        }
        out
    }

    fn status_fields(&self) -> String {
        let mut head = HeaderBuilder::new();
        if let Some(id) = self.envelope_id {
            head = head.field("Original-Envelope-Id", &line(id));
        }
        head = head.field("Reporting-MTA", &format!("dns; {}", line(self.reporter)));
        if let Some(arrival) = self.arrival {
            head = head.date("Arrival-Date", arrival);
        }
        let mut out = head.fields();
        for recipient in self.recipients() {
            let mut fields = HeaderBuilder::new();
            if let Some((kind, address)) = recipient.original {
                let value = format!("{}; {}", line(kind), line(address));
                fields = fields.field("Original-Recipient", &value);
            }
            let address = line(recipient.recipient);
            let kind = if address.is_ascii() { "rfc822" } else { "utf-8" };
            fields = fields
                .field("Final-Recipient", &format!("{kind}; {address}"))
                .field("Action", recipient.action.word())
                .field("Status", status(recipient));
            if let Some(host) = recipient.remote {
                fields = fields.field("Remote-MTA", &format!("dns; {}", line(host)));
            }
            if let Some(diagnostic) = recipient.diagnostic {
                let kind = if recipient.remote.is_some() { "smtp" } else { "x-angarium" };
                let value = format!("{kind}; {}", ascii(&line(diagnostic)));
                fields = fields.field("Diagnostic-Code", &value);
            }
            if let Some(until) = recipient.retry_until {
                fields = fields.date("Will-Retry-Until", until);
            }
            out.push_str("\r\n");
            out.push_str(&fields.fields());
        }
        out
    }

    /// What is returned, with whole line ends and lines that may be sent.
    fn returned(&self, full: bool) -> Vec<u8> {
        let end = if full {
            self.original.len()
        } else {
            header_length(self.original).min(RETURN_HEADER_MAX)
        };
        let text = self.original.get(..end).unwrap_or_default();
        let mut out = Vec::with_capacity(text.len() + 16);
        for line in text.split_inclusive(|b| *b == b'\n') {
            let body = line.strip_suffix(b"\n").unwrap_or(line);
            let mut length = 0;
            for &byte in body {
                if matches!(byte, 0 | b'\r') {
                    continue;
                }
                if length == LINE_MAX {
                    out.extend_from_slice(b"\r\n ");
                    length = 1;
                }
                out.push(byte);
                length += 1;
            }
            out.extend_from_slice(b"\r\n");
        }
        out
    }

    /// A boundary that does not occur in what it separates.
    fn boundary(&self, bodies: &[&[u8]]) -> String {
        let mut boundary = format!("=_report_{}", hex(&self.random));
        while boundary.len() < 70
            && bodies.iter().any(|b| memmem::find(b, boundary.as_bytes()).is_some())
        {
            boundary.push('x');
        }
        boundary
    }
}

/// One line of text from outside: no control characters, bounded.
fn line(text: &str) -> String {
    clean(text, TEXT_MAX)
}

fn ascii(text: &str) -> String {
    text.chars().map(|c| if c.is_ascii() { c } else { '?' }).collect()
}

fn return_path(address: &str) -> String {
    let address: String = line(address).chars().filter(|c| !matches!(c, '<' | '>')).collect();
    format!("<{address}>")
}

/// The status code if it is one, else the general one of its action.
fn status<'r>(recipient: &'r RecipientReport<'_>) -> &'r str {
    let mut numbers = recipient.status.split('.');
    let mut number = |max: usize| {
        numbers
            .next()
            .is_some_and(|n| (1..=max).contains(&n.len()) && n.bytes().all(|b| b.is_ascii_digit()))
    };
    let valid = number(1) && number(3) && number(3) && numbers.next().is_none();
    match (valid, recipient.action) {
        (true, _) => recipient.status,
        (false, Action::Failed) => "5.0.0",
        (false, Action::Delayed) => "4.0.0",
        (false, _) => "2.0.0",
    }
}
