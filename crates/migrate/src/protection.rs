//! How much protection a connection needs before a password goes over it. Pure.

use crate::endpoint::{Endpoint, TlsPolicy};
use crate::error::Side;

/// What comes next on a connection that has greeted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// It may be used as it is.
    Go,
    /// STARTTLS, or nothing.
    StartTls,
    /// *Never* like this: why, and what to write instead.
    Refuse(String),
}

/// What is known when the question comes up.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Facts {
    /// TLS runs already.
    pub(crate) encrypted: bool,
    /// STARTTLS was announced.
    pub(crate) offers: bool,
    /// It greeted as logged in already, after which STARTTLS is not allowed (RFC 9051 section
    /// 7.1.4).
    pub(crate) preauthenticated: bool,
}

/// Decides. `side` names the options in what people are told.
pub(crate) fn next_step(side: Side, endpoint: &Endpoint, facts: Facts) -> Step {
    let n = side.number();
    if facts.encrypted || endpoint.tls == TlsPolicy::Never {
        return Step::Go;
    }
    let insists = endpoint.tls == TlsPolicy::StartTls;
    if !insists && endpoint.is_private_way() {
        return Step::Go;
    }
    if facts.preauthenticated {
        return Step::Refuse(format!(
            "it greets as logged in already (PREAUTH), after which no TLS can begin; somebody on \
             the way may do that. Use port 993, or --notls{n} if you trust the network"
        ));
    }
    // Somebody who insists tries even where it is not announced.
    if insists || facts.offers {
        return Step::StartTls;
    }
    Step::Refuse(format!(
        "it offers no TLS, and passwords and mail would go over the network for all to read. Try \
         its port for TLS (HOST:993, HOST:995 for POP); if it only speaks old TLS, use --tunnel{n}; if you trust the network \
         between here and there, add --notls{n}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(host: &str, tls: TlsPolicy, offers: bool, preauthenticated: bool) -> Step {
        let endpoint = Endpoint { tls, ..Endpoint::parse(host, 143).unwrap() };
        next_step(Side::Source, &endpoint, Facts { encrypted: false, offers, preauthenticated })
    }

    #[test]
    fn abu_65_tls_cannot_be_taken_away_unnoticed() {
        let when = TlsPolicy::WhenOffered;
        assert_eq!(step("old.example", when, true, false), Step::StartTls);
        let Step::Refuse(why) = step("old.example", when, false, false) else { panic!() };
        assert!(why.contains("--notls1") && why.contains("--tunnel1"), "{why}");
        let Step::Refuse(why) = step("old.example", when, true, true) else { panic!() };
        assert!(why.contains("PREAUTH"), "{why}");
        assert_eq!(step("old.example", TlsPolicy::StartTls, false, false), Step::StartTls);
        assert!(matches!(step("127.0.0.1", TlsPolicy::StartTls, true, true), Step::Refuse(_)));
    }

    #[test]
    fn within_the_machine_and_where_it_is_asked_for_it_goes_without() {
        assert_eq!(step("127.0.0.1", TlsPolicy::WhenOffered, true, true), Step::Go);
        assert_eq!(step("localhost", TlsPolicy::WhenOffered, false, false), Step::Go);
        assert_eq!(step("old.example", TlsPolicy::Never, true, false), Step::Go);
        assert_eq!(step("127.0.0.1", TlsPolicy::StartTls, false, false), Step::StartTls);
        let endpoint = Endpoint {
            tunnel: Some(vec!["ssh".into()]),
            ..Endpoint::parse("old.example", 143).unwrap()
        };
        let facts = Facts { encrypted: false, offers: false, preauthenticated: true };
        assert_eq!(next_step(Side::Target, &endpoint, facts), Step::Go);
    }
}
