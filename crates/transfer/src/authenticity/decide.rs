//! What becomes of a message by what was found about its sender.
//!
//! Pure. It must never know how results come about.

use mail_auth::report::{ActionDisposition, PolicyOverride, PolicyOverrideReason};

use super::check::{Checked, Grade, Wish};
use super::settings::{DmarcUse, Settings, SpfUse};
use crate::inspect::Verdict;

/// The decision.
#[derive(Debug)]
pub(super) struct Decision {
    pub(super) verdict: Verdict,
    /// The mailbox it goes to instead of INBOX.
    pub(super) mailbox: Option<String>,
    /// What the aggregate report says was done.
    pub(super) done: ActionDisposition,
    /// Why that is not what the domain wants.
    pub(super) reason: Option<PolicyOverrideReason>,
}

fn because(kind: PolicyOverride, comment: &str) -> Option<PolicyOverrideReason> {
    Some(PolicyOverrideReason::new(kind).with_comment(comment))
}

/// Decides. A failing DNS never refuses for good.
pub(super) fn decide(settings: &Settings, checked: &Checked) -> Decision {
    let mut decision = Decision {
        verdict: Verdict::Accept,
        mailbox: None,
        done: ActionDisposition::None,
        reason: None,
    };
    if checked.dmarc == Grade::Pass && !checked.several_authors {
        decision.done = ActionDisposition::Pass;
        return decision;
    }
    if settings.defer && checked.temporary {
        let text = "who sent this cannot be checked now: the DNS does not answer".to_owned();
        decision.verdict = Verdict::Later { status: (4, 7, 24), text };
        return decision;
    }
    if let Some(sealer) = checked.sealer.as_deref().filter(|sealer| settings.trusts(sealer)) {
        let comment = format!("arc=pass, sealed by {sealer}");
        decision.reason = because(PolicyOverride::TrustedForwarder, &comment);
        return decision;
    }
    if checked.spf == Grade::Fail && settings.spf == SpfUse::Reject {
        let domain = plain(&checked.spf_domain);
        let text = format!("SPF: your address may not send mail for {domain}");
        decision.verdict = Verdict::Refuse { status: (5, 7, 23), text };
        decision.done = ActionDisposition::Reject;
        return decision;
    }
    if settings.dmarc <= DmarcUse::Note {
        decision.reason = because(PolicyOverride::LocalPolicy, "policies are not applied here");
        return decision;
    }
    let failed = checked.dmarc == Grade::Fail || checked.several_authors;
    let wish = if checked.several_authors { Wish::Reject } else { checked.wish };
    if !failed || wish == Wish::Nothing {
        return decision;
    }
    if wish == Wish::Reject && settings.dmarc == DmarcUse::Enforce {
        let (status, text) = if checked.several_authors {
            ((5, 6, 0), "the message has more than one author's domain".to_owned())
        } else {
            let author = plain(&checked.author);
            ((5, 7, 26), format!("DMARC: {author} wants mail like this to be rejected"))
        };
        decision.verdict = Verdict::Refuse { status, text };
        decision.done = ActionDisposition::Reject;
        return decision;
    }
    if wish == Wish::Reject {
        decision.reason = because(PolicyOverride::LocalPolicy, "quarantined, not rejected");
    }
    decision.mailbox = Some(settings.junk.clone());
    decision.done = ActionDisposition::Quarantine;
    decision
}

/// A name from outside as it may stand in an answer.
fn plain(name: &str) -> String {
    name.chars().filter(|c| c.is_alphanumeric() || matches!(c, '.' | '-' | '_')).take(255).collect()
}

#[cfg(test)]
mod tests {
    use angarium_objects::settings::Scope;
    use angarium_objects::value::{Dictionary, Value};

    use super::*;

    fn value(text: &str) -> Value {
        angarium_objects::text::parse_line(text).unwrap_or_else(|_| Value::from(text))
    }

    fn settings(pairs: &[(&str, &str)]) -> Settings {
        let own: Dictionary = pairs.iter().map(|(k, v)| ((*k).to_owned(), value(v))).collect();
        Settings::of(&Scope::Smtp.effective(&own))
    }

    fn checked(spf: Grade, dmarc: Grade, wish: Wish) -> Checked {
        Checked {
            spf,
            spf_domain: "a.example".to_owned(),
            dmarc,
            wish,
            author: "a.example".to_owned(),
            several_authors: false,
            sealer: None,
            temporary: spf == Grade::Later,
            lines: String::new(),
            row: None,
        }
    }

    fn is(decision: &Decision, word: &str) -> bool {
        match &decision.verdict {
            Verdict::Accept => word == decision.mailbox.as_deref().unwrap_or("accept"),
            Verdict::Refuse { .. } => word == "refuse",
            Verdict::Later { .. } => word == "later",
            Verdict::Discard(_) => false,
        }
    }

    #[test]
    fn each_setting_does_what_it_says() {
        use Grade::{Fail, Later, None as No, Pass, Weak};
        use Wish::{Nothing, Quarantine, Reject};
        for (set, found, want) in [
            // SPF
            (&[][..], checked(Fail, No, Nothing), "refuse"),
            (&[("CheckSPF", "add header")], checked(Fail, No, Nothing), "accept"),
            (&[], checked(Fail, Pass, Reject), "accept"),
            (&[], checked(Weak, No, Nothing), "accept"),
            (&[], checked(Later, No, Nothing), "accept"),
            (&[("DeferOnDNSErrors", "YES")], checked(Later, No, Nothing), "later"),
            (&[("DeferOnDNSErrors", "YES")], checked(Later, Pass, Nothing), "accept"),
            // DMARC
            (&[], checked(Weak, Fail, Reject), "Junk"),
            (&[("JunkMailbox", "Spam")], checked(Weak, Fail, Quarantine), "Spam"),
            (&[], checked(Weak, Fail, Nothing), "accept"),
            (&[("DMARCPolicy", "enforce")], checked(Weak, Fail, Reject), "refuse"),
            (&[("DMARCPolicy", "enforce")], checked(Weak, Fail, Quarantine), "Junk"),
            (&[("DMARCPolicy", "enforce")], checked(Weak, Later, Reject), "accept"),
            (&[("DMARCPolicy", "report")], checked(Weak, Fail, Reject), "accept"),
            (&[("DMARCPolicy", "disabled")], checked(Weak, Fail, Reject), "accept"),
        ] {
            let decision = decide(&settings(set), &found);
            assert!(is(&decision, want), "{set:?} {found:?}: {decision:?}, wanted {want}");
        }
    }

    #[test]
    fn a_trusted_seal_counts_and_two_authors_never_pass() {
        let mut found = checked(Grade::Fail, Grade::Fail, Wish::Reject);
        found.sealer = Some("list.example".to_owned());
        let trusting = settings(&[("ARCTrusted", "(list.example)"), ("DMARCPolicy", "enforce")]);
        assert!(is(&decide(&trusting, &found), "accept"));
        found.sealer = Some("other.example".to_owned());
        assert!(is(&decide(&trusting, &found), "refuse"));
        let mut found = checked(Grade::Pass, Grade::Pass, Wish::Nothing);
        found.several_authors = true;
        assert!(is(&decide(&settings(&[]), &found), "Junk"));
        assert!(is(&decide(&settings(&[("DMARCPolicy", "enforce")]), &found), "refuse"));
    }
}
