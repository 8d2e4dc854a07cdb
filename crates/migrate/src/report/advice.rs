//! What a postmaster can do about a refusal: from the words of a server or of an error to the
//! next step. Pure.

use crate::error::{MoveError, Side};

/// Words that tell a reason, and what to do about it; the first that fits counts.
const ADVICE: &[(&[&str], &str)] = &[
    (
        &["quota", "overquota", "over its", "disk full", "no space", "mailbox full"],
        "give the account at the new server more room and run again",
    ),
    (
        &[
            "too large",
            "too big",
            "toobig",
            "exceeds",
            "maximum size",
            "message size",
            "appendlimit",
        ],
        "raise the largest message the new server takes and run again, or hand the message over as \
         a file",
    ),
    (
        &["message is gone", "expunged", "no longer exist", "no such message"],
        "it was deleted at the old server meanwhile: nothing to do",
    ),
    (
        &[
            "authenticationfailed",
            "invalid credentials",
            "authentication failed",
            "login failed",
            "wrong password",
            "bad password",
            "password",
        ],
        "check login name and password with a mail program; some services want an application \
         password or OAuth",
    ),
    (
        &["certificate", "tls", "handshake"],
        "mend the certificate, name it with --ca, or read about --insecure in the manual",
    ),
    (
        &[
            "nonexistent",
            "no such user",
            "unknown user",
            "user unknown",
            "no such account",
            "does not exist",
            "not found",
        ],
        "make it at that server first, or correct the name",
    ),
    (
        &["noperm", "permission", "denied", "not allowed", "no rights", "insufficient", "access"],
        "give this login the right to do it, or use the owner's login",
    ),
    (
        &[
            "too many",
            "throttl",
            "rate",
            "limit reached",
            "bandwidth",
            "try again later",
            "unavailable",
            "inuse",
            "in use",
            "busy",
        ],
        "wait and run again: only what is missing is copied",
    ),
    (
        &[
            "time-out",
            "timed out",
            "timeout",
            "in time",
            "lost",
            "closed the connection",
            "reset by peer",
            "broken pipe",
            "refused (os error",
            "unreachable",
            "connection refused",
        ],
        "check that the server runs and can be reached, then run again; --notimeout waits longer",
    ),
    (
        &[
            "invalid mailbox name",
            "mailbox name",
            "name is not",
            "would not create",
            "invalid character",
            "illegal character",
            "cannot be created",
        ],
        "give it another name with --renameMailbox or a map file",
    ),
    (
        &[
            "nul",
            "invalid header",
            "8bit",
            "8-bit",
            "line too long",
            "long line",
            "bare newline",
            "invalid message",
            "malformed",
            "unsupported literal",
        ],
        "the new server dislikes its content: copy it as a file, or try --fixLongLines 998",
    ),
    (
        &["keyword", "flag"],
        "the new server takes no such flag: the message can be copied without it",
    ),
    (
        &["cannot be read", "corrupt", "internal error", "serverbug", "i/o error"],
        "the old server has trouble with this message: see its log, mend the mailbox there, run \
         again",
    ),
];

/// What to do about a refusal with these words.
#[must_use]
pub fn of_words(reason: &str) -> &'static str {
    let reason = reason.to_lowercase();
    let fits = |words: &[&str]| words.iter().any(|word| reason.contains(word));
    ADVICE
        .iter()
        .find(|(words, _)| fits(words))
        .map_or("run again; if it stays, ask whoever runs the server about these words", |(_, a)| a)
}

/// What to do about what ended a move.
#[must_use]
pub fn of_error(error: &MoveError) -> String {
    match error {
        MoveError::Login { side, .. } => {
            format!("check login name and password at {side} with a mail program")
        }
        MoveError::Connect { side: Side::Source, .. } => {
            "check address, port and TLS of the old server; \"angarium move probe\" tells more"
                .into()
        }
        MoveError::Connect { side: Side::Target, .. } => {
            "check address, port and TLS of the new server; \"angarium move probe\" tells more"
                .into()
        }
        MoveError::Lost { .. } => "run the same command again: it goes on where it stopped".into(),
        MoveError::Usage(_) | MoveError::File { .. } => "correct it and run again".into(),
        other => of_words(&other.to_string()).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_in_the_words_of_usual_servers_are_answered() {
        for (words, advice) in [
            ("[TOOBIG] Message exceeds maximum", "largest message"),
            ("Quota exceeded (mailbox for user is full)", "more room"),
            ("[OVERQUOTA] Not enough disk quota", "more room"),
            ("[AUTHENTICATIONFAILED] Invalid credentials", "login name"),
            ("[NOPERM] Permission denied", "right"),
            ("Mailbox name contains NUL", "--renameMailbox"),
            ("Message contains NUL characters", "dislikes its content"),
            ("Message contains invalid header", "dislikes its content"),
            ("Invalid character in name", "--renameMailbox"),
            ("something odd", "run again"),
        ] {
            assert!(of_words(words).contains(advice), "{words}: {}", of_words(words));
        }
    }
}
