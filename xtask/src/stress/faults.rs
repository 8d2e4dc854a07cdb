//! The rules a server is held to, by name, and what happens when one is broken: the run ends, or,
//! when the server under test is excused from that rule, it is counted. It must never know how a
//! rule is checked.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

/// A broken rule.
#[derive(Clone, Debug)]
pub(super) struct Fault {
    /// Which.
    pub(super) rule: &'static str,
    /// How.
    pub(super) text: String,
}

/// Every rule, and where it is from.
pub(super) const RULES: [(&str, &str); 31] = [
    ("appenduid", "APPENDUID names as many new UIDs as messages were given (RFC 4315)"),
    ("bad", "a proper command is not answered BAD, nor is an answer malformed"),
    ("body", "the octets of a message never change"),
    ("came-back", "what was expunged is not there when the mailbox is opened again"),
    ("connection", "the server keeps the connection and answers in time"),
    ("copyuid", "COPYUID pairs the right messages (RFC 4315)"),
    ("exists-shrinks", "EXISTS is never less than before without an EXPUNGE (RFC 3501 7.3.1)"),
    ("expunge-kind", "with QRESYNC it is VANISHED, without it EXPUNGE (RFC 7162 3.2.10)"),
    ("expunge-outside", "no EXPUNGE while no command is in progress (RFC 3501 7.4.1)"),
    ("expunge-standing", "no EXPUNGE during FETCH, STORE or SEARCH (RFC 3501 7.4.1)"),
    ("flags", "flags told are the flags fetched; one MODSEQ of a message, one set of flags"),
    ("gone-unasked", "a message goes away only when somebody removed it"),
    ("lost", "what was acknowledged is there, once"),
    ("lost-update", "UNCHANGEDSINCE never overwrites a later change (RFC 7162 3.1.3)"),
    ("modseq-falls", "the MODSEQ of a message never falls"),
    ("modseq-missing", "with CONDSTORE every change of flags is told with MODSEQ (RFC 7162 3.2)"),
    ("moved-twice", "a message is moved by one session only"),
    ("number", "sequence numbers are in range"),
    ("order", "commands are answered in their order, with their own tag"),
    ("qresync", "QRESYNC brings what the client knows to the server's state (RFC 7162 3.2.5)"),
    ("search", "SEARCH finds what matches and nothing else, among what the session sees"),
    ("status", "UIDNEXT and HIGHESTMODSEQ never fall, UIDVALIDITY stands"),
    ("store", "STORE tells the flags it made"),
    ("expunge", "EXPUNGE and MOVE remove what they should, and tell it before they end"),
    ("uid-changes", "a sequence number keeps its UID while numbers stand"),
    ("uid-missing", "UID commands, and with QRESYNC all changes, are told with UIDs"),
    ("uid-order", "UIDs ascend strictly"),
    ("uid-reused", "a UID is given once, and new ones are larger"),
    ("unanswered", "FETCH tells every message that is there"),
    ("untold", "STORE without .SILENT tells the flags of every message (RFC 3501 6.4.6)"),
    ("vanished", "VANISHED names messages of the view"),
];

/// Who is excused from what, and how often that was needed.
#[derive(Debug, Default)]
pub(super) struct Judge {
    excused: BTreeSet<String>,
    counted: Mutex<BTreeMap<&'static str, u64>>,
}

impl Judge {
    /// Excuses these rules; an unknown name is an error.
    pub(super) fn new(excused: &[String]) -> Result<Self, String> {
        for name in excused {
            if !RULES.iter().any(|(rule, _)| rule == name) {
                let known: Vec<String> = RULES.iter().map(|(r, t)| format!("{r}: {t}")).collect();
                return Err(format!("no rule {name}; the rules are:\n{}", known.join("\n")));
            }
        }
        Ok(Self { excused: excused.iter().cloned().collect(), counted: Mutex::default() })
    }

    /// A rule is broken: an error, or counted when that is excused.
    pub(super) fn broken(&self, fault: Fault) -> Result<(), Fault> {
        if !self.excused.contains(fault.rule) {
            return Err(fault);
        }
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        *counted.entry(fault.rule).or_default() += 1;
        Ok(())
    }

    /// How often each excuse was needed.
    pub(super) fn counted(&self) -> BTreeMap<&'static str, u64> {
        self.counted.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// A fault.
pub(super) fn fault(rule: &'static str, text: impl Into<String>) -> Fault {
    Fault { rule, text: text.into() }
}
