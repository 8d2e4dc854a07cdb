//! The words of our answers (`reference/smtp.md` section 2.2), enhanced codes added.

use angarium_accounts::{LoginError, QueueId, RouteOutcome};
use angarium_smtp::reply::{Reply, Status};

use crate::inspect::Verdict;
use crate::protection::Why;
use crate::recipients::{Refusal, refusal};
use crate::submit::SubmitError;

pub(super) fn sender(address: &str) -> Reply {
    Reply::new(250, Status(2, 1, 0), format!("<{address}> sender accepted"))
}

/// The sender is taken, his wish to go first is not (RFC 6710 section 4.3).
pub(super) fn sender_of_priority(address: &str, priority: i8) -> Reply {
    let text = format!("<{address}> sender accepted, priority is {priority}");
    Reply::new(250, Status(2, 3, 6), text)
}

pub(super) fn sender_refused(address: &str, why: &str) -> Reply {
    Reply::new(550, Status(5, 1, 8), format!("<{address}> sender refused: {why}"))
}

pub(super) fn not_your_address(address: &str) -> Reply {
    let text = format!("<{address}> is not an address of your account");
    Reply::new(550, Status(5, 7, 1), text)
}

pub(super) fn later() -> Reply {
    Reply::new(451, Status(4, 3, 0), "not available now, try again later")
}

pub(super) fn storage() -> Reply {
    Reply::new(451, Status(4, 3, 0), "the message cannot be stored now, try again later")
}

pub(super) fn full(address: &str) -> Reply {
    Reply::new(452, Status(4, 2, 2), format!("<{address}> account is full"))
}

pub(super) fn too_large(address: &str, most: u64) -> Reply {
    let text = format!("<{address}> takes messages of up to {most} octets");
    Reply::new(552, Status(5, 2, 3), text)
}

pub(super) fn looping() -> Reply {
    Reply::new(554, Status(5, 4, 6), "too many Received lines: mail loop")
}

/// The answer when somebody who looked at the message does not let it pass.
pub(super) fn verdict(verdict: &Verdict) -> Reply {
    match verdict {
        Verdict::Refuse { status: (a, b, c), text } => {
            Reply::new(550, Status(*a, u16::from(*b), u16::from(*c)), text.as_str())
        }
        Verdict::Later { status: (a, b, c), text } => {
            Reply::new(451, Status(*a, u16::from(*b), u16::from(*c)), text.as_str())
        }
        // These are no refusals; nobody asks.
        Verdict::Accept | Verdict::Discard(_) => later(),
    }
}

pub(super) fn accepted(id: QueueId) -> Reply {
    Reply::new(250, Status(2, 0, 0), format!("{id} message accepted for delivery"))
}

/// The answer to RCPT; `why` says by whose permission mail for another system is taken.
pub(super) fn recipient(address: &str, route: &RouteOutcome, why: Why) -> Reply {
    let good = |text: &str| Reply::new(250, Status(2, 1, 5), format!("<{address}> {text}"));
    match refusal(route) {
        None => good("ok"),
        Some(Refusal::Unknown) => {
            Reply::new(550, Status(5, 1, 1), format!("<{address}> unknown user account"))
        }
        Some(Refusal::Rejected(reason)) => {
            Reply::new(550, Status(5, 1, 1), format!("<{address}> {reason}"))
        }
        Some(Refusal::Remote) => match why {
            Why::Authenticated => good("will relay mail for an authenticated user"),
            Why::Client => good("accepting mail from a client address"),
            Why::Record | Why::BackedUp | Why::WhiteHole => good("will leave the Internet"),
            // The protection lets no other pass; if it did, nothing is relayed.
            Why::Ours => Reply::new(550, Status(5, 7, 1), format!("<{address}> relaying denied")),
        },
        Some(Refusal::Later(_)) => later(),
    }
}

pub(super) fn not_submitted(error: &SubmitError) -> Reply {
    match error {
        SubmitError::Later(_) => storage(),
        other => Reply::new(554, Status(5, 3, 0), other.to_string()),
    }
}

/// ATRN: the roles are turned.
pub(super) fn turned() -> Reply {
    Reply::new(250, Status(2, 0, 0), "ok, now reversing the connection")
}

/// ATRN: nothing waits.
pub(super) fn no_mail() -> Reply {
    Reply::new(453, Status(4, 3, 0), "you have no mail")
}

/// ATRN: not for this account.
pub(super) fn not_entitled() -> Reply {
    Reply::new(450, Status(4, 7, 1), "ATRN request refused: not your domain")
}

pub(super) fn authenticated() -> Reply {
    Reply::new(235, Status(2, 7, 0), "authentication successful")
}

pub(super) fn login_failed(error: &LoginError) -> Reply {
    let (code, status) = match error {
        LoginError::Unavailable | LoginError::TooMany => (454, Status(4, 7, 0)),
        LoginError::SecureMethodRequired => (538, Status(5, 7, 11)),
        // RFC 4954 section 6: not what is wanted of this user.
        LoginError::MethodNotAllowed => (534, Status(5, 7, 9)),
        LoginError::Protocol(_) => (501, Status(5, 5, 2)),
        LoginError::UnknownMechanism => (504, Status(5, 5, 4)),
        LoginError::ServiceDisabled | LoginError::MayNotImpersonate => (535, Status(5, 7, 1)),
        _ => (535, Status(5, 7, 8)),
    };
    Reply::new(code, status, error.to_string())
}
