//! What the two servers turned out not to be able to do, whatever they announce. Learnt by one
//! lane, known to all, told in the report.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Keywords remembered as refused; a target that refuses more takes none at all.
const MOST_KEYWORDS: usize = 100;

/// Suspicions against a target before they are believed for good.
const MOST_SUSPICIONS: u32 = 4;

/// How far a capability is to be believed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Belief {
    /// Announced, not seen to work yet.
    #[default]
    Announced,
    /// It has worked.
    Proven,
    /// It was refused.
    Refuted,
}

/// How a whole message is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum BodyItem {
    /// `BODY.PEEK[]`
    #[default]
    Peek,
    /// `RFC822.PEEK`, of servers before IMAP4rev1.
    Rfc822Peek,
    /// `RFC822`; marks nothing as read in a mailbox opened by EXAMINE.
    Rfc822,
}

impl BodyItem {
    /// As it is written in a FETCH.
    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::Peek => "BODY.PEEK[]",
            Self::Rfc822Peek => "RFC822.PEEK",
            Self::Rfc822 => "RFC822",
        }
    }

    /// What to try when this one is refused.
    pub(crate) fn next(self) -> Option<Self> {
        match self {
            Self::Peek => Some(Self::Rfc822Peek),
            Self::Rfc822Peek => Some(Self::Rfc822),
            Self::Rfc822 => None,
        }
    }
}

/// What a run has learnt.
#[derive(Debug, Default)]
pub(crate) struct Quirks(Mutex<Known>);

#[derive(Clone, Debug, Default)]
pub(crate) struct Known {
    /// Literals without waiting, at the target.
    pub(crate) plus: Belief,
    /// Several messages in one APPEND, at the target.
    pub(crate) multi: Belief,
    /// Suspicions raised so far: a target that is only strict must not lose its speed for good.
    suspicions: u32,
    /// A suspicion was raised: the connection is made anew at once.
    learnt: bool,
    /// Dates of arrival, at the target.
    pub(crate) no_dates: bool,
    /// Keywords the target refuses.
    pub(crate) keywords: Vec<String>,
    /// It refuses more keywords than are worth a list.
    pub(crate) no_keywords: bool,
    /// How bodies are asked for; `None`: as the command line says.
    pub(crate) item: Option<BodyItem>,
    /// What was changed on messages so that the target took them, and how often.
    changes: BTreeMap<String, u64>,
}

impl Quirks {
    pub(crate) fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a postmaster should know, one line each.
    pub(crate) fn remarks(&self) -> Vec<String> {
        let known = self.known();
        let mut out = Vec::new();
        if known.plus == Belief::Refuted {
            out.push("the new server announces LITERAL+ and does not take it: done without".into());
        }
        if known.multi == Belief::Refuted {
            out.push(
                "the new server announces MULTIAPPEND and does not take it: done without".into(),
            );
        }
        if let Some(item) = known.item {
            out.push(format!("the old server gives messages only by FETCH {}", item.text()));
        }
        for (what, count) in &known.changes {
            out.push(format!("{what} ({count} messages)"));
        }
        out
    }
}

impl Known {
    /// A command sent without waiting (`plus`) or with several messages (`multi`) ended with BAD.
    /// Where that was never seen to work it may be what the target cannot do, and then it has
    /// taken messages for commands: the connection must be given up. Answers why.
    pub(crate) fn suspect(&mut self, plus: bool, multi: bool) -> Option<&'static str> {
        if multi && self.multi == Belief::Announced {
            self.multi = Belief::Refuted;
            self.raised();
            return Some("it does not take several messages at once, as it announces");
        }
        if plus && self.plus == Belief::Announced {
            self.plus = Belief::Refuted;
            self.raised();
            return Some("it does not take literals without waiting, as it announces");
        }
        if !plus && !multi && self.suspicions < MOST_SUSPICIONS {
            // The plainest way was refused as well: it was the message, not the way.
            for belief in [&mut self.plus, &mut self.multi] {
                if *belief == Belief::Refuted {
                    *belief = Belief::Announced;
                }
            }
        }
        None
    }

    /// Whole batches were refused and each of their messages was taken alone.
    pub(crate) fn refute_multi(&mut self) {
        self.multi = Belief::Refuted;
        self.suspicions = MOST_SUSPICIONS;
    }

    fn raised(&mut self) {
        self.suspicions += 1;
        self.learnt = true;
    }

    /// A command of this kind was accepted.
    pub(crate) fn proven(&mut self, plus: bool, multi: bool) {
        for (used, belief) in [(plus, &mut self.plus), (multi, &mut self.multi)] {
            if used && *belief == Belief::Announced {
                *belief = Belief::Proven;
            }
        }
    }

    /// True once after a suspicion: connect again at once.
    pub(crate) fn take_learnt(&mut self) -> bool {
        std::mem::take(&mut self.learnt)
    }

    /// Notes a keyword the target refuses.
    pub(crate) fn refuse_keyword(&mut self, keyword: &str) {
        if self.keywords.len() >= MOST_KEYWORDS {
            self.no_keywords = true;
        } else if !self.refuses(keyword) {
            self.keywords.push(keyword.to_owned());
        }
    }

    /// True for a keyword the target is known to refuse. System flags begin with a backslash.
    pub(crate) fn refuses(&self, flag: &str) -> bool {
        (self.no_keywords && !flag.starts_with('\\'))
            || self.keywords.iter().any(|k| k.eq_ignore_ascii_case(flag))
    }

    /// The flags the target takes of these, and the number left out.
    pub(crate) fn kept(&self, flags: &str) -> (String, usize) {
        if self.keywords.is_empty() && !self.no_keywords {
            return (flags.to_owned(), 0);
        }
        let all = flags.split(' ').filter(|f| !f.is_empty());
        let kept: Vec<&str> = all.clone().filter(|f| !self.refuses(f)).collect();
        let left_out = all.count() - kept.len();
        (kept.join(" "), left_out)
    }

    /// Counts a change made to messages.
    pub(crate) fn changed(&mut self, what: &str, messages: u64) {
        if messages > 0
            && (self.changes.len() < 2 * MOST_KEYWORDS || self.changes.contains_key(what))
        {
            *self.changes.entry(what.to_owned()).or_default() += messages;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refused_keywords_are_left_out_and_system_flags_stay() {
        let quirks = Quirks::default();
        quirks.known().refuse_keyword("junk");
        assert_eq!(quirks.known().kept("\\Seen Junk $Fwd"), ("\\Seen $Fwd".to_owned(), 1));
        for n in 0..=MOST_KEYWORDS {
            quirks.known().refuse_keyword(&format!("k{n}"));
        }
        assert_eq!(quirks.known().kept("\\Seen other"), ("\\Seen".to_owned(), 1));
    }

    #[test]
    fn what_never_worked_is_given_up_and_what_did_is_believed() {
        let mut known = Known::default();
        assert!(known.suspect(true, true).is_some());
        assert_eq!((known.multi, known.plus), (Belief::Refuted, Belief::Announced));
        assert!(known.suspect(true, false).is_some());
        assert!(known.take_learnt() && !known.take_learnt());
        // A plain command is refused as well: it was the message.
        assert!(known.suspect(false, false).is_none());
        assert_eq!((known.multi, known.plus), (Belief::Announced, Belief::Announced));
        known.proven(true, true);
        assert!(known.suspect(true, true).is_none());
        // Suspicions that come again and again are believed in the end.
        let mut known = Known::default();
        for _ in 0..10 {
            known.suspect(true, false);
            known.suspect(false, false);
        }
        assert_eq!(known.plus, Belief::Refuted);
    }

    #[test]
    fn what_was_learnt_is_told() {
        let quirks = Quirks::default();
        assert!(quirks.remarks().is_empty());
        quirks.known().multi = Belief::Refuted;
        quirks.known().changed("dates of arrival were refused", 3);
        quirks.known().changed("dates of arrival were refused", 1);
        let remarks = quirks.remarks();
        assert!(remarks[0].contains("MULTIAPPEND"));
        assert_eq!(remarks[1], "dates of arrival were refused (4 messages)");
    }
}
