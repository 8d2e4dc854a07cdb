//! What a postmaster can do about what went wrong: from an error or a server's words to a sentence,
//! for one account and for lists. Pure. It must never promise that something helps, and never quote
//! a password.

use crate::error::{MoveError, Side};

/// What to do about a line of a list.
pub(crate) const LIST: &str = "mend this line of the list and run the same command again: accounts \
                               that are done cost nothing";
/// What to do about what a later run mends by itself.
const AGAIN: &str = "run the same command again later: only what is missing is copied";

/// What can be told of a name whose login was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Known {
    /// The server takes mail for it.
    Yes,
    /// It does not.
    No,
    /// Nobody was asked, or the answer says nothing.
    Open,
}

/// What to do about a refused login. Servers answer an unknown name and a wrong password alike
/// (RFC 5530 AUTHENTICATIONFAILED): which of the two it was is said where something else tells.
pub(crate) fn of_login(side: Side, known: Known) -> &'static str {
    match (side, known) {
        (Side::Source, Known::Open) => {
            "the password is wrong, or the old server has no account of this name (servers answer \
             both alike): look for the name among its accounts (--askNames1 asks by SMTP); if it is \
             there, ask the user, set a new password, or log in as a master user (--master1)"
        }
        (Side::Source, Known::Yes) => {
            "the old server takes mail for this name, so the password is wrong, or the account may \
             not use IMAP or POP: ask the user, set a new password there, or log in as a master user \
             (--master1)"
        }
        (Side::Source, Known::No) => {
            "the old server takes no mail for this name, so it has most likely no such account: \
             correct the name (Name), or leave it out"
        }
        (Side::Target, Known::Open) => {
            "the new server has no account of this name yet, or its password is another (servers \
             answer both alike): see that the account is there (--askNames2 asks by SMTP) and that \
             its password is that of the list (NewPassword, else Password)"
        }
        (Side::Target, Known::Yes) => {
            "the new server takes mail for this name, so the account is there and its password is \
             another: set it there, or write it into the list (NewPassword, else Password)"
        }
        (Side::Target, Known::No) => {
            "the new server takes no mail for this name, so the account is not there yet: make it, \
             or correct the name (NewName, else Name)"
        }
    }
}

/// What to do about what ended an account.
pub(crate) fn of_error(error: &MoveError) -> &'static str {
    match error {
        MoveError::Connect { side, reason, .. } => unreachable_server(*side, reason),
        MoveError::Login { side, reason, .. } => of_refused_login(*side, reason),
        MoveError::Lost { side: Side::Source, .. } => {
            "the old server broke off: look into its log; run the same command again, which goes on \
             where this one stopped"
        }
        MoveError::Lost { side: Side::Target, .. } => {
            "the new server broke off: look into its log; run the same command again, which goes on \
             where this one stopped"
        }
        MoveError::Refused { reason, .. } => of_words(reason),
        MoveError::Usage(_) => "correct this line and run the same command again",
        MoveError::File { .. } => {
            "see that the file is there, that there is room, and that only one run at a time moves \
             the account"
        }
        MoveError::Interrupted { .. } => "run the same command again",
        MoveError::Parked { .. } => "run the same command again at that time; it goes on by itself",
    }
}

/// Some servers do tell, and a master user's own password is not that of the account.
fn of_refused_login(side: Side, reason: &str) -> &'static str {
    let lower = reason.to_ascii_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| lower.contains(word));
    if says(&["unknown user", "no such user", "user unknown", "nonexistent", "no such account"]) {
        return of_login(side, Known::No);
    }
    if says(&["disabled", "suspended", "locked"]) {
        return "the account is switched off there: switch it on for the time of the move, or leave \
                it out";
    }
    if says(&["authorizationfailed", "may not act", "not authorized"]) {
        return "whoever logs in for this account may not: see that the account is there and that \
                the master user has the right to it";
    }
    of_login(side, Known::Open)
}

fn unreachable_server(side: Side, reason: &str) -> &'static str {
    let lower = reason.to_ascii_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| lower.contains(word));
    if has(&["tls", "certificate", "handshake"]) {
        return match side {
            Side::Source => {
                "the old server's TLS does not hold: see the options --ca1, --insecure1, --notls1, \
                 --starttls1 and --ssl1; \"angarium move probe\" tells more"
            }
            Side::Target => {
                "the new server's TLS does not hold: see the options --ca2, --insecure2, --notls2, \
                 --starttls2 and --ssl2; \"angarium move probe\" tells more"
            }
        };
    }
    if has(&["refused"]) {
        return "nothing listens at this address and port: see that the server runs and that the \
                port is right; \"angarium move probe\" tells more";
    }
    if has(&["in time", "timed out", "timeout", "unreachable", "no route"]) {
        return "no answer comes from there: see the address, the network and the firewalls between; \
                --notimeout waits longer";
    }
    if has(&["lookup", "name or service", "resolve", "not known"]) {
        return "this name is not in the DNS: see how it is written, or write the address instead";
    }
    if has(&["too many", "connections", "limit"]) {
        return "the server takes no more connections: run with fewer --jobs, or raise its limit for \
                this machine's address";
    }
    "see that the server runs and takes connections from this machine, then run the same command \
     again"
}

/// Words that tell a reason, and what to do about it; the first that fits counts.
const WORDS: &[(&[&str], &str)] = &[
    (
        &[
            "overquota",
            "quota",
            "mailbox full",
            "over its",
            "disk full",
            "no space",
            "5.2.2",
            "4.2.2",
            "exceeded storage",
        ],
        "raise the account's storage quota at the new server and run the same command again: the \
         rest follows",
    ),
    (
        &[
            "toobig",
            "too big",
            "too large",
            "larger than",
            "no more than",
            "5.3.4",
            "5.2.3",
            "exceeds",
            "maximum",
            "message size",
            "appendlimit",
        ],
        "raise the largest message size that the new server takes, or save this message by hand",
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
            "password",
        ],
        "see that name and password are right with a mail program; some services want an \
         application password or OAuth",
    ),
    (
        &["certificate", "tls", "handshake"],
        "mend the certificate, name it with --ca1 or --ca2, or read about --insecure1 in the manual",
    ),
    (
        &[
            "unknown user",
            "no such user",
            "user unknown",
            "5.1.1",
            "no such account",
            "nonexistent",
            "does not exist",
            "not found",
        ],
        "make the account at the new server, or correct the name (NewName)",
    ),
    (
        &["noperm", "permission", "denied", "not allowed", "no rights", "acl", "insufficient"],
        "give the login the right to this mailbox, or leave it out with --skipMailbox",
    ),
    (
        &[
            "corrupt",
            "internal error",
            "serverbug",
            "failed to open",
            "broken",
            "cannot be read",
            "i/o error",
        ],
        "the server cannot read its own files: look into its log and repair the mailbox there (its \
         index, above all), then run the same command again",
    ),
    (
        &[
            "nul ",
            "nul)",
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
        "the new server dislikes its content: save this message by hand, or try --fixLongLines 998",
    ),
    (
        &[
            "mailbox name",
            "cannot",
            "invalid",
            "illegal",
            "name is not",
            "would not create",
            "character",
            "create",
        ],
        "give the mailbox another name with --renameMailbox OLD NEW or a map file, or leave it out \
         with --skipMailbox",
    ),
    (
        &[
            "inuse",
            "in use",
            "try again",
            "later",
            "unavailable",
            "busy",
            "throttl",
            "too many",
            "limit reached",
            "bandwidth",
        ],
        AGAIN,
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
        "see that the server runs and can be reached, then run the same command again; --notimeout \
         waits longer",
    ),
    (
        &["keyword", "flag"],
        "the new server takes no such flag: the message can be copied without it",
    ),
    (
        &["spam", "virus", "policy", "5.7", "relay", "spf", "blocked", "content"],
        "the new server's protection refused it: let this machine's address pass there for the time \
         of the move",
    ),
];

/// What to do about a refusal in a server's words.
pub(crate) fn of_words(reason: &str) -> &'static str {
    let lower = reason.to_lowercase();
    let fits = |words: &[&str]| words.iter().any(|word| lower.contains(word));
    WORDS.iter().find(|(words, _)| fits(words)).map_or(
        "look for the server's words in its log or manual, and run the same command again; the \
         message is still at the old server",
        |(_, advice)| advice,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_trouble_has_its_own_advice() {
        for (words, advice) in [
            ("[OVERQUOTA] Quota exceeded (mailbox for user is full)", "storage quota"),
            ("[OVERQUOTA] Not enough disk quota", "storage quota"),
            ("[TOOBIG] message too large", "largest message"),
            ("552 5.3.4 larger than 1000", "largest message"),
            ("3 octets; the new server takes no more than 2", "largest message"),
            ("550 5.1.1 unknown user", "make the account"),
            ("[AUTHENTICATIONFAILED] Invalid credentials", "mail program"),
            ("[CANNOT] Invalid mailbox name", "--renameMailbox"),
            ("Mailbox name contains NUL", "--renameMailbox"),
            ("Invalid character in name", "--renameMailbox"),
            ("Message contains NUL characters", "dislikes its content"),
            ("Message contains invalid header", "dislikes its content"),
            ("[SERVERBUG] Internal error occurred. Refer to server log", "repair the mailbox"),
            ("[INUSE] try again", "later"),
            ("554 5.7.1 spam", "protection"),
            ("[NOPERM] Permission denied", "right"),
            ("something odd", "still at the old server"),
        ] {
            assert!(of_words(words).contains(advice), "{words}: {}", of_words(words));
        }
        let connect = |reason: &str| {
            of_error(&MoveError::Connect {
                side: Side::Source,
                address: "h:1".into(),
                reason: reason.into(),
            })
        };
        assert!(connect("Connection refused (os error 111)").contains("nothing listens"));
        assert!(connect("no answer in time").contains("firewalls"));
        assert!(connect("TLS: invalid peer certificate").contains("--insecure1"));
        assert!(connect("failed to lookup address information").contains("DNS"));
    }

    #[test]
    fn a_wrong_password_and_an_unknown_account_are_both_named_where_nothing_tells() {
        for (side, missing, wrong) in [
            (Side::Source, "no account of this name", "password is wrong"),
            (Side::Target, "no account of this name", "password is another"),
        ] {
            let login = |reason: &str| {
                let (name, reason) = ("joe".into(), reason.into());
                of_error(&MoveError::Login { side, name, reason })
            };
            let open = login("[AUTHENTICATIONFAILED] Authentication failed.");
            assert!(open.contains(missing) && open.contains(wrong), "{open}");
            // Where something tells, one of them is named.
            let unknown = login("no such user here");
            assert!(!unknown.contains("password") && unknown == of_login(side, Known::No));
            assert!(!of_login(side, Known::Yes).contains("no such account"));
            assert!(login("account is locked").contains("switched off"));
        }
    }
}
