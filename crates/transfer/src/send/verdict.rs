//! What another server's answers mean for a recipient (RFC 5321 section 4.2, RFC 3463).
//!
//! Pure.

use angarium_smtp::reply::Reply;

use super::connection::{Connection, NotOpen};
use super::told::{Verdict, said};
use crate::deliver::{Outcome, Reach};

/// What happens with a recipient next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// It is settled for this time.
    End(Outcome),
    /// Another host may be asked; if there is none, this counts.
    Elsewhere(Outcome),
    /// The same host may be asked again in another message: it only had enough of them.
    Again(Outcome),
}

/// The enhanced status of a reply, or the general one of its class.
pub(crate) fn status(reply: &Reply) -> String {
    reply.status.map_or_else(|| format!("{}.0.0", reply.code / 100), |status| status.to_string())
}

fn later(reply: &Reply, host: &str) -> Outcome {
    Outcome::Later {
        status: status(reply),
        text: said(reply),
        host: Some(host.to_owned()),
        reach: Reach::Recipient,
    }
}

fn failed(reply: &Reply, host: &str) -> Outcome {
    Outcome::Failed { status: status(reply), text: said(reply), host: Some(host.to_owned()) }
}

/// Reads a verdict; `reports` tells whether the server makes reports of its own, `taken` whether
/// it has taken the message for somebody.
pub(crate) fn next(verdict: Verdict, host: &str, reports: bool, taken: bool) -> Next {
    let lost = |status: &str, why: String| Outcome::Later {
        status: status.to_owned(),
        text: why,
        host: Some(host.to_owned()),
        reach: Reach::Recipient,
    };
    match verdict {
        Verdict::Taken(reply) => {
            Next::End(Outcome::Relayed { host: host.to_owned(), text: said(&reply), reports })
        }
        // Too many recipients; 552 is what old servers say (RFC 5321 section 4.5.3.1.10).
        Verdict::Refused(reply) if taken && matches!(reply.code, 452 | 552) => {
            Next::Again(later(&reply, host))
        }
        Verdict::Refused(reply) if reply.code / 100 == 5 => Next::End(failed(&reply, host)),
        Verdict::Refused(reply) => Next::Elsewhere(later(&reply, host)),
        // The server may have it: whoever asks another one now makes two of it.
        Verdict::Lost { why, unknown: true } => Next::End(lost(
            "4.4.2",
            format!("{why}, after the whole message was sent; it will be sent again"),
        )),
        Verdict::Lost { why, unknown: false } => Next::Elsewhere(lost("4.4.2", why)),
        Verdict::Unreadable(why) => Next::End(Outcome::later("4.3.0", why)),
    }
}

/// What it means that the forwarding server is nowhere: the fault is in our settings or our DNS, and
/// no mail goes back for that.
pub(crate) fn not_set_well(nowhere: Outcome) -> Outcome {
    match nowhere {
        Outcome::Failed { text, .. } => Outcome::Later {
            status: "4.3.5".to_owned(),
            text: format!("the forwarding server: {text}"),
            host: None,
            reach: Reach::Queue,
        },
        other => other,
    }
}

/// Why a host could not be spoken to.
#[derive(Clone, Debug)]
pub(crate) struct Trouble {
    pub(crate) outcome: Outcome,
}

impl Trouble {
    pub(crate) fn later(status: &str, text: impl Into<String>, host: &str) -> Self {
        let outcome = Outcome::Later {
            status: status.to_owned(),
            text: text.into(),
            host: Some(host.to_owned()),
            reach: Reach::Queue,
        };
        Self { outcome }
    }

    /// A temporary one that other messages of the queue need not have: which TLS is good enough
    /// is a matter of each message (REQUIRETLS, `TLS-Required: No`).
    pub(crate) fn of_the_message(status: &str, text: impl Into<String>, host: &str) -> Self {
        let mut trouble = Self::later(status, text, host);
        if let Outcome::Later { reach, .. } = &mut trouble.outcome {
            *reach = Reach::Recipient;
        }
        trouble
    }

    pub(crate) fn never(status: &str, text: impl Into<String>, host: &str) -> Self {
        let (status, text) = (status.to_owned(), text.into());
        Self { outcome: Outcome::Failed { status, text, host: Some(host.to_owned()) } }
    }

    /// What a failed opening means.
    pub(crate) fn of(failure: &NotOpen, host: &str) -> Self {
        match failure {
            NotOpen::Unreachable(why) => Self::later("4.4.1", why.clone(), host),
            NotOpen::Refused(reply) if reply.code / 100 == 5 => {
                Self { outcome: failed(reply, host) }
            }
            NotOpen::Refused(reply) => Self::later(&status(reply), said(reply), host),
            NotOpen::Tls(_, why) => Self::of_the_message("4.7.5", why.clone(), host),
            NotOpen::Login(why) => Self::later("4.7.8", why.clone(), host),
        }
    }

    /// The one that counts when several hosts had some: what may get better, if anything may.
    pub(crate) fn and(self, earlier: Option<Self>) -> Self {
        match earlier {
            Some(earlier)
                if matches!(earlier.outcome, Outcome::Later { .. })
                    && matches!(self.outcome, Outcome::Failed { .. }) =>
            {
                earlier
            }
            _ => self,
        }
    }
}

/// `[lip]:port -> [rip]:port` for the log.
pub(crate) fn ends(connection: &Connection) -> String {
    let end = |at: Option<std::net::SocketAddr>| {
        at.map_or_else(|| "?".to_owned(), |at| format!("[{}]:{}", at.ip(), at.port()))
    };
    format!("{} -> {}", end(connection.local), end(connection.remote))
}

#[cfg(test)]
mod tests {
    use angarium_smtp::reply::Status;

    use super::*;

    fn refused(code: u16, taken: bool) -> Next {
        next(Verdict::Refused(Reply::plain(code, "x")), "h", false, taken)
    }

    #[test]
    fn the_class_of_an_answer_decides() {
        assert!(matches!(refused(550, false), Next::End(Outcome::Failed { .. })));
        assert!(matches!(refused(450, false), Next::Elsewhere(Outcome::Later { .. })));
        assert!(matches!(refused(452, true), Next::Again(Outcome::Later { .. })));
        assert!(matches!(refused(552, true), Next::Again(_)));
        assert!(matches!(refused(552, false), Next::End(Outcome::Failed { .. })));
        let reply = Reply::new(550, Status(5, 7, 1), "no");
        assert_eq!(status(&reply), "5.7.1");
    }

    #[test]
    fn a_message_that_may_have_arrived_is_not_sent_elsewhere() {
        let lost = |unknown| next(Verdict::Lost { why: "x".into(), unknown }, "h", false, false);
        assert!(matches!(lost(true), Next::End(Outcome::Later { .. })));
        assert!(matches!(lost(false), Next::Elsewhere(Outcome::Later { .. })));
    }

    #[test]
    fn a_host_that_may_get_better_outweighs_one_that_never_will() {
        let (later, never) =
            (Trouble::later("4.4.1", "down", "a"), Trouble::never("5.0.0", "no", "b"));
        let both = never.clone().and(Some(later.clone()));
        assert!(matches!(both.outcome, Outcome::Later { .. }));
        let both = later.and(Some(never.clone()));
        assert!(matches!(both.outcome, Outcome::Later { .. }));
        let both = never.clone().and(Some(never));
        assert!(matches!(both.outcome, Outcome::Failed { .. }));
    }
}
