//! How much TLS one connection needs: what the administrator wants, what the other side publishes
//! and what the message asks for, in one decision (RFC 7672, RFC 8461, RFC 8689).
//!
//! Pure. Nothing here asks the DNS or opens a connection.

use super::settings::Wish;
use super::tls::Check;
use crate::dns::Tlsa;

/// What the other side's DNS says by TLSA records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Dane {
    /// There are none, or they are not secured.
    Absent,
    /// There are secured ones, none of which can be used.
    Unusable,
    /// These can.
    Usable(Vec<Tlsa>),
}

/// What the domain's MTA-STS policy says of this host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sts {
    /// There is no policy, or it says nothing.
    Absent,
    /// To be tried, and reported if it fails; `matches` if the host is named.
    Testing {
        /// The host is named in the policy.
        matches: bool,
    },
    /// To be obeyed.
    Enforce {
        /// The host is named in the policy.
        matches: bool,
    },
}

/// All that counts.
#[derive(Clone, Debug)]
pub(crate) struct Facts<'a> {
    /// The administrator's.
    pub(crate) wish: Wish,
    /// The host's.
    pub(crate) dane: Dane,
    /// The domain's.
    pub(crate) sts: Sts,
    /// The message came with REQUIRETLS.
    pub(crate) require_tls: bool,
    /// The message says `TLS-Required: No`.
    pub(crate) tls_optional: bool,
    /// The host's name cannot have been forged: DNSSEC, or named here.
    pub(crate) name_secure: bool,
    /// The host.
    pub(crate) host: &'a str,
    /// The domain that mail goes to.
    pub(crate) domain: &'a str,
}

/// How a connection is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    /// Without TLS.
    Never,
    /// With TLS where it is offered and works.
    May,
    /// As checked as this at first, then as [`Level::May`]: only the report tells.
    Try(Check),
    /// With TLS that passes this.
    Must(Check),
}

/// May the host be spoken to, and how?
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    /// So.
    Go(Level),
    /// Not: an enforced policy does not name it.
    NotNamed,
    /// Not: REQUIRETLS cannot be kept.
    NotSafe,
}

/// Decides.
pub(crate) fn decide(facts: &Facts<'_>) -> Decision {
    let optional = facts.tls_optional && !facts.require_tls;
    let (dane, sts) =
        if optional { (&Dane::Absent, Sts::Absent) } else { (&facts.dane, facts.sts) };
    if facts.wish == Wish::Never {
        return if facts.require_tls { Decision::NotSafe } else { Decision::Go(Level::Never) };
    }
    let both = || vec![facts.host.to_owned(), facts.domain.to_owned()];
    match dane {
        Dane::Usable(records) => {
            let check = Check::Dane { records: records.clone(), names: both() };
            return Decision::Go(Level::Must(check));
        }
        // TLS without a check is no worse than the records promise; more may be wanted below.
        Dane::Unusable if facts.wish != Wish::Verify && !facts.require_tls => {
            return Decision::Go(Level::Must(Check::None));
        }
        Dane::Unusable | Dane::Absent => {}
    }
    let host = || Check::Names(vec![facts.host.to_owned()]);
    match sts {
        Sts::Enforce { matches: true } => return Decision::Go(Level::Must(host())),
        Sts::Enforce { matches: false } => return Decision::NotNamed,
        Sts::Testing { .. } | Sts::Absent => {}
    }
    if facts.require_tls {
        let named = facts.name_secure || sts == (Sts::Testing { matches: true });
        return if named { Decision::Go(Level::Must(host())) } else { Decision::NotSafe };
    }
    Decision::Go(match facts.wish {
        Wish::Verify => {
            // A name from an unsecured MX record proves nothing; the domain's own does.
            let names = if facts.name_secure { both() } else { vec![facts.domain.to_owned()] };
            Level::Must(Check::Names(names))
        }
        Wish::Always => Level::Must(Check::None),
        _ if matches!(sts, Sts::Testing { .. }) => Level::Try(host()),
        _ => Level::May,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts() -> Facts<'static> {
        Facts {
            wish: Wish::Opportunistic,
            dane: Dane::Absent,
            sts: Sts::Absent,
            require_tls: false,
            tls_optional: false,
            name_secure: false,
            host: "mx.far.example",
            domain: "far.example",
        }
    }

    fn usable() -> Dane {
        Dane::Usable(vec![Tlsa { usage: 3, selector: 1, matching: 1, data: vec![0; 32] }])
    }

    fn must(names: &[&str]) -> Decision {
        let names = names.iter().map(|n| (*n).to_owned()).collect();
        Decision::Go(Level::Must(Check::Names(names)))
    }

    #[test]
    fn without_any_word_tls_is_used_where_offered() {
        assert_eq!(decide(&facts()), Decision::Go(Level::May));
        let never = Facts { wish: Wish::Never, ..facts() };
        assert_eq!(decide(&never), Decision::Go(Level::Never));
    }

    #[test]
    fn dane_wins_over_mta_sts() {
        let both = Facts { dane: usable(), sts: Sts::Enforce { matches: false }, ..facts() };
        let Decision::Go(Level::Must(Check::Dane { names, .. })) = decide(&both) else {
            panic!("{:?}", decide(&both))
        };
        assert_eq!(names, ["mx.far.example", "far.example"]);
        let unusable = Facts { dane: Dane::Unusable, ..facts() };
        assert_eq!(decide(&unusable), Decision::Go(Level::Must(Check::None)));
    }

    #[test]
    fn an_enforced_policy_names_its_hosts() {
        let named = Facts { sts: Sts::Enforce { matches: true }, ..facts() };
        assert_eq!(decide(&named), must(&["mx.far.example"]));
        let other = Facts { sts: Sts::Enforce { matches: false }, ..facts() };
        assert_eq!(decide(&other), Decision::NotNamed);
        let testing = Facts { sts: Sts::Testing { matches: false }, ..facts() };
        assert!(matches!(decide(&testing), Decision::Go(Level::Try(_))));
    }

    #[test]
    fn what_the_author_asks_for_is_kept() {
        let safe = Facts { require_tls: true, name_secure: true, ..facts() };
        assert_eq!(decide(&safe), must(&["mx.far.example"]));
        let unsafe_name = Facts { require_tls: true, ..facts() };
        assert_eq!(decide(&unsafe_name), Decision::NotSafe);
        let optional =
            Facts { tls_optional: true, sts: Sts::Enforce { matches: false }, ..facts() };
        assert_eq!(decide(&optional), Decision::Go(Level::May));
        // REQUIRETLS wins over the header (RFC 8689 section 4.1).
        let both = Facts { require_tls: true, tls_optional: true, dane: usable(), ..facts() };
        assert!(matches!(decide(&both), Decision::Go(Level::Must(Check::Dane { .. }))));
        let never = Facts { require_tls: true, wish: Wish::Never, ..facts() };
        assert_eq!(decide(&never), Decision::NotSafe);
    }

    #[test]
    fn a_verified_name_is_not_taken_from_an_unsecured_answer() {
        let verify = Facts { wish: Wish::Verify, ..facts() };
        assert_eq!(decide(&verify), must(&["far.example"]));
        let secure = Facts { name_secure: true, ..verify };
        assert_eq!(decide(&secure), must(&["mx.far.example", "far.example"]));
        let always = Facts { wish: Wish::Always, ..facts() };
        assert_eq!(decide(&always), Decision::Go(Level::Must(Check::None)));
    }
}
