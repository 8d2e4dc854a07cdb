//! What travels with a message and its recipients through the queue, as the store's opaque facts.
//!
//! It must never know where a message goes.

use angarium_accounts::AccountId;
use angarium_objects::value::{Dictionary, Value};
use angarium_smtp::parameters::{
    BodyKind, MailParameters, Notify, OriginalRecipient, RcptParameters, Return,
};
use angarium_smtp::timing::DeliverBy;
use angarium_store::QueuedRecipient;

/// DELIVERBY (RFC 2852), by the clock of this server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadline {
    /// Seconds since 1970.
    pub at: i64,
    /// Mode R: what is late goes back to its sender; else (N) the sender is told.
    pub give_back: bool,
    /// T: a relay is reported.
    pub trace: bool,
}

impl Deadline {
    /// What is left of it, as the next server is told.
    #[must_use]
    pub fn left(&self, now: i64) -> DeliverBy {
        let most = 999_999_999;
        let seconds = self.at.saturating_sub(now).clamp(-most, most);
        let seconds = i32::try_from(seconds).unwrap_or(i32::MAX);
        DeliverBy { seconds, give_back: self.give_back, trace: self.trace }
    }
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
    /// BY of MAIL.
    pub by: Option<Deadline>,
    /// HOLDFOR or HOLDUNTIL of MAIL: not to be delivered before, seconds since 1970.
    pub hold_until: Option<i64>,
    /// MT-PRIORITY, -9 to 9 (RFC 6710); 0 is ordinary.
    pub priority: i8,
    /// REQUIRETLS (RFC 8689).
    pub require_tls: bool,
}

impl MessageFacts {
    /// Takes over what MAIL said at the moment `now`, seconds since 1970.
    #[must_use]
    pub fn of(source: &str, parameters: &MailParameters, now: i64) -> Self {
        Self {
            source: source.to_owned(),
            account: None,
            by: parameters.by.map(|by| Deadline {
                at: now.saturating_add(i64::from(by.seconds)),
                give_back: by.give_back,
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
        if let Some(by) = &self.by {
            let left = by.left(0);
            facts.insert("BY".into(), Value::Number(by.at));
            facts.insert("BYMODE".into(), left.mode().into());
        }
        if let Some(moment) = self.hold_until {
            facts.insert("HOLD".into(), Value::Number(moment));
        }
        if self.priority != 0 {
            facts.insert("PRIORITY".into(), Value::Number(self.priority.into()));
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
            by: number(facts, "BY").map(|at| {
                let mode = text(facts, "BYMODE").unwrap_or_default();
                Deadline { at, give_back: mode.contains('R'), trace: mode.contains('T') }
            }),
            hold_until: number(facts, "HOLD"),
            priority: number(facts, "PRIORITY")
                .and_then(|n| i8::try_from(n).ok())
                .unwrap_or_default()
                .clamp(-9, 9),
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
        assert_eq!((facts.by.map(|b| b.at), facts.hold_until), (Some(1_060), Some(1_005)));
        assert_eq!(facts.by.map(|b| b.left(1_050).to_string()), Some("10;RT".into()));
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
