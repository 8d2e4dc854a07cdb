//! What the receiving machine announces, what it refuses because it was not announced, and the
//! commands of extensions that move no message: ETRN, ATRN, XCLIENT.
//! It must never know which queues there are or who is trusted.

use super::Event;
use super::session::{Asked, Session};
use crate::client_facts::{ATTRIBUTES, ClientFacts};
use crate::command::{Hello, Release};
use crate::parameters::{BodyKind, MailParameters};
use crate::reply::{Reply, Status};
use crate::timing::date_time;

impl Session {
    pub(super) fn extensions(&self, lines: &mut Vec<String>) {
        let offers = &self.config.offers;
        let mut put = |on: bool, text: &str| {
            if on {
                lines.push(text.to_owned());
            }
        };
        put(true, "PIPELINING");
        put(offers.size, &format!("SIZE {}", self.config.max_size));
        put(offers.eight_bit_mime, "8BITMIME");
        put(offers.binary_mime, "BINARYMIME");
        put(true, "SMTPUTF8");
        put(true, "CHUNKING");
        put(offers.burl, "BURL imap");
        put(true, "ENHANCEDSTATUSCODES");
        put(true, "DSN");
        if let Some(least) = offers.deliver_by {
            put(true, &format!("DELIVERBY {least}"));
        }
        if let Some((most, now)) = offers.future_release {
            let until = date_time(now.saturating_add(i64::from(most)));
            put(true, &format!("FUTURERELEASE {most} {until}"));
        }
        put(offers.priority, "MT-PRIORITY");
        put(self.offers_require_tls(), "REQUIRETLS");
        put(offers.same_owner, "RRVS");
        match offers.no_soliciting.as_deref() {
            None => {}
            Some("") => put(true, "NO-SOLICITING"),
            Some(words) => put(true, &format!("NO-SOLICITING {words}")),
        }
        let (messages, recipients) = (self.config.max_messages, self.config.max_recipients);
        put(offers.limits, &format!("LIMITS MAILMAX={messages} RCPTMAX={recipients}"));
        put(offers.etrn, "ETRN");
        put(offers.atrn, "ATRN");
        put(offers.xclient, &format!("XCLIENT {ATTRIBUTES}"));
        put(self.config.starttls && !self.tls, "STARTTLS");
        let mechanisms = self.mechanisms();
        put(!mechanisms.is_empty(), &format!("AUTH {}", mechanisms.join(" ")));
        put(true, "HELP");
    }

    pub(super) fn mechanisms(&self) -> &[String] {
        if self.tls { &self.config.mechanisms_tls } else { &self.config.mechanisms_plain }
    }

    fn offers_require_tls(&self) -> bool {
        self.config.offers.require_tls && self.tls
    }

    pub(super) fn help(&self) -> Vec<String> {
        let offers = &self.config.offers;
        let mut words = "EHLO MAIL RCPT DATA BDAT RSET NOOP VRFY HELP QUIT".to_owned();
        for (on, word) in [
            (self.config.starttls && !self.tls, " STARTTLS"),
            (!self.mechanisms().is_empty(), " AUTH"),
            (offers.burl, " BURL"),
            (offers.etrn, " ETRN"),
            (offers.atrn, " ATRN"),
        ] {
            words.push_str(if on { word } else { "" });
        }
        vec!["Commands of this server:".to_owned(), words]
    }

    /// The refusal of a parameter whose extension was not announced, or that asks for too much.
    pub(super) fn not_offered(&self, parameters: &MailParameters) -> Option<Reply> {
        let offers = &self.config.offers;
        let no =
            |what: &str| Some(Reply::new(555, Status(5, 5, 4), format!("{what} is not offered")));
        let wrong = |text: String| Some(Reply::new(501, Status(5, 5, 4), text));
        match parameters.body {
            Some(BodyKind::BinaryMime) if !offers.binary_mime => return no("BINARYMIME"),
            Some(BodyKind::EightBitMime) if !offers.eight_bit_mime => return no("8BITMIME"),
            _ => {}
        }
        match (parameters.by, offers.deliver_by) {
            (Some(_), None) => return no("DELIVERBY"),
            // RFC 2852 section 4: what cannot be kept is not promised.
            (Some(by), Some(least))
                if by.give_back
                    && u32::try_from(by.seconds).map_or(true, |s| s == 0 || s < least) =>
            {
                return wrong(format!("BY with R takes at least {least} seconds"));
            }
            _ => {}
        }
        match (parameters.hold, offers.future_release) {
            (Some(_), None) => return no("FUTURERELEASE"),
            (Some(hold), Some((most, now)))
                if hold.until(now) > now.saturating_add(i64::from(most)) =>
            {
                return wrong(format!("a message is held for at most {most} seconds"));
            }
            _ => {}
        }
        if parameters.priority.is_some() && !offers.priority {
            return no("MT-PRIORITY");
        }
        if parameters.require_tls && !self.offers_require_tls() {
            return no("REQUIRETLS");
        }
        if let Some(words) = &parameters.solicit {
            let Some(refused) = &offers.no_soliciting else { return no("NO-SOLICITING") };
            let mut refused = refused.split([' ', ',']);
            if refused.any(|r| !r.is_empty() && words.split(',').any(|w| w.eq_ignore_ascii_case(r)))
            {
                return Some(Reply::new(550, Status(5, 7, 1), "no solicitations of this kind"));
            }
        }
        None
    }

    pub(super) fn etrn(&mut self, what: Release, name: String) -> Option<Event> {
        if !self.config.offers.etrn {
            self.error(&Reply::new(502, Status(5, 5, 1), "ETRN is not offered"));
            return None;
        }
        if !self.ready() {
            return None;
        }
        self.ask(Asked::Etrn);
        Some(Event::Etrn { what, name })
    }

    pub(super) fn atrn(&mut self, domains: Vec<String>) -> Option<Event> {
        if !self.config.offers.atrn {
            self.error(&Reply::new(502, Status(5, 5, 1), "ATRN is not offered"));
            return None;
        }
        if !self.ready() {
            return None;
        }
        if !self.authenticated {
            self.error(&Reply::new(530, Status(5, 7, 0), "authentication required"));
            return None;
        }
        // What was sent ahead would be taken for an answer once the roles are turned.
        if !self.input.is_empty() {
            self.error(&Reply::new(503, Status(5, 5, 0), "nothing may follow ATRN"));
            self.input.clear();
            return None;
        }
        self.ask(Asked::Atrn);
        Some(Event::Atrn { domains })
    }

    pub(super) fn xclient(&mut self, facts: ClientFacts) -> Option<Event> {
        if !self.config.offers.xclient {
            self.error(&Reply::new(550, Status(5, 7, 0), "XCLIENT is for trusted relays"));
            return None;
        }
        if !self.ready() {
            return None;
        }
        self.ask(Asked::Xclient);
        Some(Event::Xclient(facts))
    }

    /// True after EHLO and outside of a message; else the refusal is written.
    fn ready(&mut self) -> bool {
        if self.hello.is_none() || self.hello == Some(Hello::Helo) {
            self.sequence("say EHLO first");
            return false;
        }
        if self.transaction.is_some() {
            self.sequence("a message is under way");
            return false;
        }
        true
    }
}
