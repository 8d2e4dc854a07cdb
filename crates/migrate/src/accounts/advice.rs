//! What a postmaster can do about what went wrong: from an error or a server's words to a sentence.
//! Pure. It must never promise that something helps, and never quote a password.

use crate::error::{MoveError, Side};

/// What to do about a line of the list.
pub(crate) const LIST: &str = "mend this line of the list and run the same command again: accounts \
                               that are done cost nothing";

/// What to do about what ended an account.
pub(crate) fn of_error(error: &MoveError) -> &'static str {
    match error {
        MoveError::Connect { side, reason, .. } => unreachable_server(*side, reason),
        MoveError::Login { side: Side::Source, .. } => {
            "the old server does not take the name and password of this line: ask the user, set a \
             new password there, or log in as a master user (--master1)"
        }
        MoveError::Login { side: Side::Target, .. } => {
            "see that the account is there at the new server under this name, and that its password \
             is the one of the list (NewPassword, else Password)"
        }
        MoveError::Lost { side: Side::Source, .. } => {
            "the old server broke off: look into its log; run the same command again, which goes on \
             where this one stopped"
        }
        MoveError::Lost { side: Side::Target, .. } => {
            "the new server broke off: look into its log; run the same command again, which goes on \
             where this one stopped"
        }
        MoveError::Refused { reason, .. } => of_words(reason),
        MoveError::Usage(_) => LIST,
        MoveError::File { .. } => {
            "see that the file is there, that there is room, and that only one \
                                   run at a time moves the account"
        }
        _ => "run the same command again; it goes on where this one stopped",
    }
}

fn unreachable_server(side: Side, reason: &str) -> &'static str {
    let lower = reason.to_ascii_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| lower.contains(word));
    if has(&["tls", "certificate"]) {
        return match side {
            Side::Source => {
                "the old server's TLS does not hold: see the options --insecure1, \
                             --notls1, --starttls1 and --ssl1"
            }
            Side::Target => {
                "the new server's TLS does not hold: see the options --insecure2, \
                             --notls2, --starttls2 and --ssl2"
            }
        };
    }
    if has(&["refused"]) {
        return "nothing listens at this address and port: see that the server runs and that the \
                port is right; accounts of other servers are not concerned";
    }
    if has(&["in time", "timed out", "unreachable", "no route"]) {
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

/// What to do about a refusal in a server's words.
pub(crate) fn of_words(reason: &str) -> &'static str {
    let lower = reason.to_ascii_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| lower.contains(word));
    if has(&["overquota", "quota", "mailbox full", "5.2.2", "4.2.2", "exceeded storage"]) {
        return "raise the account's storage quota at the new server and run the same command again: \
                the rest follows";
    }
    if has(&[
        "toobig",
        "too big",
        "too large",
        "larger than",
        "no more than",
        "5.3.4",
        "5.2.3",
        "exceeds",
        "maximum",
    ]) {
        return "raise the largest message size that the new server takes, or save this message by \
                hand";
    }
    if has(&[
        "unknown user",
        "no such user",
        "user unknown",
        "5.1.1",
        "no such account",
        "does not exist",
    ]) {
        return "make the account at the new server, or mend the name in the list (NewName)";
    }
    if has(&["noperm", "permission", "access denied", "not allowed", "acl"]) {
        return "give the login the right to this mailbox, or leave it out with --skipMailbox";
    }
    if has(&["corrupt", "internal error", "serverbug", "failed to open", "broken"]) {
        return "the server cannot read its own files: look into its log and repair the mailbox there \
                (its index, above all), then run the same command again";
    }
    if has(&["cannot", "invalid", "illegal", "mailbox name", "character", "create"]) {
        return "give the mailbox another name with --renameMailbox OLD NEW, or leave it out with \
                --skipMailbox";
    }
    if has(&["inuse", "in use", "try again", "later", "unavailable", "busy", "throttl"]) {
        return "run the same command again later";
    }
    if has(&["spam", "virus", "policy", "5.7", "relay", "spf", "blocked", "content"]) {
        return "the new server's protection refused it: let this machine's address pass there for \
                the time of the move";
    }
    "look for the server's words in its log or manual; the message is still at the old server"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_trouble_has_its_own_advice() {
        for (words, advice) in [
            ("[OVERQUOTA] Quota exceeded (mailbox for user is full)", "storage quota"),
            ("[TOOBIG] message too large", "largest message"),
            ("552 5.3.4 larger than 1000", "largest message"),
            ("3 octets; the new server takes no more than 2", "largest message"),
            ("550 5.1.1 unknown user", "make the account"),
            ("[CANNOT] Invalid mailbox name", "--renameMailbox"),
            ("[SERVERBUG] Internal error occurred. Refer to server log", "repair the mailbox"),
            ("[INUSE] try again", "later"),
            ("554 5.7.1 spam", "protection"),
            ("[NOPERM] Permission denied", "right"),
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
}
