//! The answers to ETRN (RFC 1985 section 5.3).
//!
//! Pure.

use angarium_smtp::reply::{Reply, Status};

/// The queue was started; so many messages wait in it.
pub(crate) fn started(name: &str, messages: u64) -> Reply {
    match messages {
        0 => Reply::new(251, Status(2, 0, 0), format!("no messages waiting for {name}")),
        n => Reply::new(253, Status(2, 0, 0), format!("{n} pending messages for {name} started")),
    }
}

/// Some queues were started; so many messages wait in them.
pub(crate) fn several_started(name: &str, messages: u64) -> Reply {
    match messages {
        0 => Reply::new(251, Status(2, 0, 0), format!("no messages waiting for {name}")),
        _ => Reply::new(252, Status(2, 0, 0), format!("pending messages for {name} started")),
    }
}

/// *Later*: the client has asked too often.
pub(crate) fn too_often(name: &str) -> Reply {
    Reply::new(
        458,
        Status(4, 7, 0),
        format!("unable to queue messages for {name}: too many requests"),
    )
}

/// This client may not.
pub(crate) fn not_allowed(name: &str) -> Reply {
    Reply::new(459, Status(4, 7, 0), format!("{name} not allowed: authentication required"))
}
