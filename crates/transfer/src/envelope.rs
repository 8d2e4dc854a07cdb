//! What travels with a message and its recipients through the queue, as the store's opaque facts.
//!
//! It must never know where a message goes.

use angarium_accounts::AccountId;
use angarium_objects::value::{Dictionary, Value};
use angarium_smtp::parameters::{
    BodyKind, MailParameters, Notify, OriginalRecipient, RcptParameters, Return,
};
use angarium_store::QueuedRecipient;

/// Until when a message is to be delivered (RFC 2852).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeliverBy {
    /// Seconds since 1970.
    pub at: i64,
    /// By-mode R: after that it fails. Otherwise (N) the sender is told and it is still tried.
    pub or_return: bool,
    /// By-trace: relaying is to be reported.
    pub trace: bool,
}

/// Facts of a message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MessageFacts {
    /// Source module: `SMTP`, `POP` …
    pub source: String,
    /// The authenticated account, `name@domain`.
    pub account: Option<String>,
    /// RET of MAIL: only the headers go into a report.
    pub headers_only: bool,
    /// ENVID of MAIL.
    pub envelope_id: Option<String>,
    /// BODY=8BITMIME or BINARYMIME was declared.
    pub body: Option<BodyKind>,
    /// SMTPUTF8 was declared.
    pub smtputf8: bool,
    /// MT-PRIORITY (RFC 6710): -9 to 9, usually 0; higher goes first within a queue.
    pub priority: i8,
    /// FUTURERELEASE (RFC 4865): not before this, seconds since 1970.
    pub hold_until: Option<i64>,
    /// DELIVERBY (RFC 2852).
    pub deliver_by: Option<DeliverBy>,
    /// REQUIRETLS (RFC 8689): not without authenticated TLS.
    pub require_tls: bool,
}

impl MessageFacts {
    /// Takes over what MAIL said at the moment `now`, seconds since 1970.
    #[must_use]
    pub fn of(source: &str, parameters: &MailParameters, now: i64) -> Self {
        Self {
            source: source.to_owned(),
            account: None,
            deliver_by: parameters.by.map(|by| DeliverBy {
                at: now.saturating_add(i64::from(by.seconds)),
                or_return: by.give_back,
                trace: by.trace,
            }),
            hold_until: parameters.hold.map(|hold| hold.until(now)),
            priority: parameters.priority.unwrap_or(0),
            require_tls: parameters.require_tls,
            headers_only: parameters.ret == Some(Return::Headers),
            envelope_id: parameters.envelope_id.clone(),
            body: parameters.body,
            smtputf8: parameters.smtputf8,
        }
    }

    /// The stored form.
    #[must_use]
    pub fn encode(&self) -> Dictionary {
        let mut facts = Dictionary::new();
        facts.insert("Source".into(), self.source.as_str().into());
        if let Some(account) = &self.account {
            facts.insert("Account".into(), account.as_str().into());
        }
        if self.headers_only {
            facts.insert("RET".into(), "HDRS".into());
        }
        if let Some(id) = &self.envelope_id {
            facts.insert("ENVID".into(), id.as_str().into());
        }
        match self.body {
            Some(BodyKind::EightBitMime) => {
                facts.insert("BODY".into(), "8BITMIME".into());
            }
            Some(BodyKind::BinaryMime) => {
                facts.insert("BODY".into(), "BINARYMIME".into());
            }
            Some(BodyKind::SevenBit) => {
                facts.insert("BODY".into(), "7BIT".into());
            }
            None => {}
        }
        if self.smtputf8 {
            facts.insert("SMTPUTF8".into(), "YES".into());
        }
        if self.priority != 0 {
            facts.insert("Priority".into(), Value::Number(i64::from(self.priority)));
        }
        if let Some(until) = self.hold_until {
            facts.insert("HoldUntil".into(), Value::Number(until));
        }
        if let Some(by) = self.deliver_by {
            facts.insert("DeliverBy".into(), Value::Number(by.at));
            let mode = if by.or_return { "R" } else { "N" };
            let mode = format!("{mode}{}", if by.trace { "T" } else { "" });
            facts.insert("DeliverByMode".into(), mode.into());
        }
        if self.require_tls {
            facts.insert("REQUIRETLS".into(), "YES".into());
        }
        facts
    }

    /// Reads the stored form; what is not there or not understood counts as not said.
    #[must_use]
    pub fn decode(facts: &Dictionary) -> Self {
        Self {
            source: text(facts, "Source").unwrap_or_default(),
            account: text(facts, "Account"),
            headers_only: text(facts, "RET").as_deref() == Some("HDRS"),
            envelope_id: text(facts, "ENVID"),
            body: match text(facts, "BODY").as_deref() {
                Some("8BITMIME") => Some(BodyKind::EightBitMime),
                Some("BINARYMIME") => Some(BodyKind::BinaryMime),
                Some("7BIT") => Some(BodyKind::SevenBit),
                _ => None,
            },
            smtputf8: facts.contains_key("SMTPUTF8"),
            priority: number(facts, "Priority").and_then(|n| i8::try_from(n).ok()).unwrap_or(0),
            hold_until: number(facts, "HoldUntil"),
            deliver_by: number(facts, "DeliverBy").map(|at| {
                let mode = text(facts, "DeliverByMode").unwrap_or_default();
                DeliverBy { at, or_return: mode.starts_with('R'), trace: mode.ends_with('T') }
            }),
            require_tls: facts.contains_key("REQUIRETLS"),
        }
    }
}

/// Facts of a recipient.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecipientFacts {
    /// The account it was routed to.
    pub account: Option<AccountId>,
    /// The mailbox of `box#account`, INBOX if none.
    pub mailbox: Option<String>,
    /// NOTIFY of RCPT.
    pub notify: Option<Notify>,
    /// ORCPT of RCPT.
    pub original: Option<OriginalRecipient>,
    /// Why a recipient of module `ERROR` cannot be reached.
    pub reason: Option<String>,
    /// The address for the envelope on another system (module `SMTP`).
    pub to: Option<String>,
    /// A forwarder, a group or a rerouted name of ours sent it to another system.
    pub forwarded: bool,
}

impl RecipientFacts {
    /// Takes over what RCPT said.
    #[must_use]
    pub fn of(parameters: &RcptParameters) -> Self {
        Self { notify: parameters.notify, original: parameters.original.clone(), ..Self::default() }
    }

    /// The stored form.
    #[must_use]
    pub fn encode(&self) -> Dictionary {
        let mut facts = Dictionary::new();
        if let Some(account) = self.account.and_then(|a| i64::try_from(a.0).ok()) {
            facts.insert("Account".into(), Value::Number(account));
        }
        if let Some(mailbox) = &self.mailbox {
            facts.insert("Mailbox".into(), mailbox.as_str().into());
        }
        if let Some(notify) = &self.notify {
            facts.insert("NOTIFY".into(), notify.to_string().into());
        }
        if let Some(original) = &self.original {
            facts.insert("ORCPT".into(), original.to_string().into());
        }
        if let Some(reason) = &self.reason {
            facts.insert("Reason".into(), reason.as_str().into());
        }
        if let Some(to) = &self.to {
            facts.insert("To".into(), to.as_str().into());
        }
        if self.forwarded {
            facts.insert("Forwarded".into(), "YES".into());
        }
        facts
    }

    /// Reads the stored form of a recipient.
    #[must_use]
    pub fn decode(recipient: &QueuedRecipient) -> Self {
        let facts = &recipient.facts;
        let account = facts.get("Account").and_then(Value::as_number);
        Self {
            account: account.and_then(|n| u64::try_from(n).ok()).map(AccountId),
            mailbox: text(facts, "Mailbox"),
            notify: text(facts, "NOTIFY").and_then(|t| Notify::parse(&t)),
            original: text(facts, "ORCPT").and_then(|t| OriginalRecipient::parse(&t)),
            reason: text(facts, "Reason"),
            to: text(facts, "To"),
            forwarded: facts.contains_key("Forwarded"),
        }
    }

    /// True when the sender wants to hear of a failure (RFC 3461 section 4.1: also if nothing was
    /// said).
    #[must_use]
    pub fn wants_failure(&self) -> bool {
        self.notify.is_none_or(|n| n.failure)
    }

    /// True when the sender wants to hear of a delay.
    #[must_use]
    pub fn wants_delay(&self) -> bool {
        self.notify.is_none_or(|n| n.delay)
    }

    /// True when the sender asked to hear of success.
    #[must_use]
    pub fn wants_success(&self) -> bool {
        self.notify.is_some_and(|n| n.success)
    }
}

fn number(facts: &Dictionary, key: &str) -> Option<i64> {
    facts.get(key).and_then(Value::as_number)
}

fn text(facts: &Dictionary, key: &str) -> Option<String> {
    facts.get(key).and_then(Value::as_str).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use angarium_store::RecipientState;

    use super::*;

    #[test]
    fn facts_come_back_from_the_queue() {
        let parameters =
            MailParameters::parse(" RET=HDRS ENVID=q+2B1 BODY=8BITMIME SMTPUTF8 BY=60;RT HOLDFOR=5 MT-PRIORITY=-4 REQUIRETLS").unwrap();
        let mut facts = MessageFacts::of("SMTP", &parameters, 1_000);
        assert_eq!((facts.deliver_by.map(|b| b.at), facts.hold_until), (Some(1_060), Some(1_005)));
        facts.account = Some("a@b".into());
        assert_eq!(MessageFacts::decode(&facts.encode()), facts);
        let parameters = RcptParameters::parse(" NOTIFY=DELAY ORCPT=rfc822;a+2Bb@c").unwrap();
        let mut facts = RecipientFacts::of(&parameters);
        facts.account = Some(AccountId(7));
        facts.mailbox = Some("box".into());
        facts.reason = Some("why".into());
        facts.to = Some("x@z".into());
        facts.forwarded = true;
        let stored = QueuedRecipient {
            address: "x@y".into(),
            module: "LOCAL".into(),
            queue: "x@y".into(),
            facts: facts.encode(),
            state: RecipientState::Done,
        };
        assert_eq!(RecipientFacts::decode(&stored), facts);
        assert!(facts.wants_delay() && !facts.wants_failure() && !facts.wants_success());
        let nothing = RecipientFacts::default();
        assert!(nothing.wants_failure() && !nothing.wants_success());
    }
}
