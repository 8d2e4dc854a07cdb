//! The lines written in front of a message when it is accepted (`reference/smtp.md` section 2.3).
//!
//! `Return-Path` and `X-Real-To` belong to final delivery, but a message for many recipients is
//! stored once, so they are written when the message is accepted: `Return-Path` always (it is the
//! same for all), `X-Real-To` only when there is one recipient (else it would tell the others).
//!
//! Pure: time is an argument.

use std::net::IpAddr;

use angarium_message::compose::{HeaderBuilder, module_message_id};
use angarium_message::date::Moment;
use angarium_message::header;
use angarium_message::received::{Received, ReceivedFrom};
use angarium_store::QueueId;

/// Who handed a message in, for the `Received` line.
#[derive(Clone, Debug, Default)]
pub struct Origin<'a> {
    /// The client's address.
    pub peer: Option<IpAddr>,
    /// The name it gave in HELO or EHLO.
    pub hello: &'a str,
    /// That name has that address.
    pub verified: bool,
    /// The account it authenticated as, `name@domain`.
    pub account: Option<&'a str>,
    /// Module word: `SMTP`, `LMTP`, `POP` …
    pub module: &'a str,
    /// Protocol word after `with`: `ESMTPSA`, `XTND` …
    pub with: &'a str,
}

/// A message's envelope as the trace tells it.
#[derive(Clone, Debug)]
pub struct Envelope<'a> {
    /// Its number.
    pub id: QueueId,
    /// Return path without brackets, empty for `<>`.
    pub return_path: &'a str,
    /// The recipient, when there is one only.
    pub recipient: Option<&'a str>,
    /// Our host name.
    pub host: &'a str,
    /// Seconds since 1970.
    pub now: i64,
}

/// The header lines to put in front of a message, each ended by CRLF.
#[must_use]
pub fn header(origin: &Origin<'_>, envelope: &Envelope<'_>) -> String {
    let mut lines =
        HeaderBuilder::new().field("Return-Path", &format!("<{}>", envelope.return_path));
    if let Some(recipient) = envelope.recipient {
        lines = lines.field("X-Real-To", &format!("<{recipient}>"));
    }
    let peer = origin.peer.map(|peer| peer.to_string());
    let received = Received {
        from: match (&peer, origin.account) {
            (Some(address), account) => {
                let (helo, verified) = (origin.hello, origin.verified);
                Some(ReceivedFrom::Peer { address, helo, verified, account })
            }
            (None, Some(account)) => Some(ReceivedFrom::Account(account)),
            (None, None) => None,
        },
        by: envelope.host,
        agent: &format!("Angarium {} {}", origin.module, env!("CARGO_PKG_VERSION")),
        with: origin.with,
        id: envelope.id.0,
        recipient: envelope.recipient,
        time: Moment::utc(envelope.now),
    };
    lines.fields() + &received.field()
}

/// Puts what was found in a message between `Return-Path` and our `Received`: results stand above
/// the `Received` line of the server that made them (RFC 8601 section 5).
#[must_use]
pub fn with_found(trace: &str, found: &str) -> String {
    let at = header::pieces(trace.as_bytes())
        .take_while(|piece| !piece.is("Received"))
        .map(|piece| piece.raw.len())
        .sum();
    let (front, received) = trace.split_at_checked(at).unwrap_or((trace, ""));
    [front, found, received].concat()
}

/// Date and Message-ID lines for a header that lacks them (RFC 6409 section 8). The number of the
/// message never repeats, so it makes the identifier unique.
#[must_use]
pub fn missing_lines(head: &[u8], module: &str, id: QueueId, now: i64, host: &str) -> String {
    let mut lines = HeaderBuilder::new();
    if header::find(head, "Date").is_none() {
        lines = lines.date("Date", Moment::utc(now));
    }
    if header::find(head, "Message-ID").is_none() {
        let module = format!("{}-{now}", module.to_ascii_lowercase());
        lines = lines.field("Message-ID", &module_message_id(&module, id.0, host));
    }
    lines.fields()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn envelope(recipient: Option<&'static str>) -> Envelope<'static> {
        Envelope {
            id: QueueId(98_410_812),
            return_path: "alice@client.dom",
            recipient,
            host: "mail.client.dom",
            now: 1_227_375_762,
        }
    }

    #[test]
    fn the_trace_reads_as_the_reference_shows_it() {
        let origin = Origin {
            peer: Some([192, 0, 2, 41].into()),
            hello: "laptop.client.dom",
            verified: false,
            account: Some("alice@client.dom"),
            module: "SMTP",
            with: "ESMTPA",
        };
        let version = env!("CARGO_PKG_VERSION");
        assert_eq!(
            header(&origin, &envelope(Some("list@other.dom"))),
            format!(
                "Return-Path: <alice@client.dom>\r\n\
                 X-Real-To: <list@other.dom>\r\n\
                 Received: from [192.0.2.41] (account alice@client.dom HELO laptop.client.dom)\r\n\
                 \x20 by mail.client.dom (Angarium SMTP {version})\r\n\
                 \x20 with ESMTPA id 98410812 for list@other.dom; Sat, 22 Nov 2008 17:42:42 +0000\r\n"
            )
        );
        let many = header(&origin, &envelope(None));
        assert!(!many.contains("list@other.dom") && !many.contains("X-Real-To"));
    }

    #[test]
    fn what_was_found_stands_above_our_received_line() {
        let trace = "Return-Path: <a@b>\r\nReceived: x\r\n by y\r\n";
        let all = with_found(trace, "Found: z\r\n");
        assert_eq!(all, "Return-Path: <a@b>\r\nFound: z\r\nReceived: x\r\n by y\r\n");
        assert_eq!(with_found("", "Found: z\r\n"), "Found: z\r\n");
    }

    #[test]
    fn only_what_is_missing_is_added() {
        let id = QueueId(5);
        let both = missing_lines(b"Subject: x\r\n\r\n", "SMTP", id, 0, "h");
        assert_eq!(both, "Date: Thu, 01 Jan 1970 00:00:00 +0000\r\nMessage-ID: <smtp-0-5@h>\r\n");
        let none = missing_lines(b"date: x\r\nMessage-Id: <y>\r\n\r\n", "SMTP", id, 0, "h");
        assert_eq!(none, "");
    }
}
