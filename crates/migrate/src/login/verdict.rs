//! What a server's answer to a login means: wrong, not now, or not this way. Pure.

use angarium_imap::client::{Code, Status};

use super::method::Method;

/// What to do after a login that was not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// *Never* this way: another method may do.
    NextMethod,
    /// *Never*: name and secret do not go together.
    Wrong,
    /// *Never*: the one who logged in may not act for the account.
    MayNot,
    /// *Never* without TLS.
    WantsTls,
    /// *Later*: the server is busy, or has as many connections of ours as it will take.
    Later,
}

/// Judges the answer to a login by `method`.
pub(crate) fn judge(status: Status, code: Option<&Code>, text: &str, method: Method) -> Verdict {
    let word = match code {
        Some(Code::Other(word, _)) => word.as_str(),
        _ => "",
    };
    let text = text.to_ascii_lowercase();
    let says = |words: &[&str]| words.iter().any(|w| text.contains(w));
    match word {
        "UNAVAILABLE" | "LIMIT" | "INUSE" | "THROTTLED" | "OVERLOADED" | "SYS/TEMP"
        | "LOGIN-DELAY" | "IN-USE" => return Verdict::Later,
        // A method that shows no password needs no privacy: it is the method that is not wanted.
        "PRIVACYREQUIRED" if method.needs_stored_form() => return Verdict::NextMethod,
        "PRIVACYREQUIRED" => return Verdict::WantsTls,
        "AUTHORIZATIONFAILED" => return Verdict::MayNot,
        "CANNOT" => return Verdict::NextMethod,
        _ => {}
    }
    let busy = [
        "too many",
        "maximum number of connections",
        "try again later",
        "temporar",
        "server busy",
        "overload",
        "throttl",
        "concurrent",
        "user is authenticated but not connected",
    ];
    if says(&busy) {
        return Verdict::Later;
    }
    // A server that announces what it does not have.
    let unable = [
        "unsupported",
        "not supported",
        "not implemented",
        "unknown auth",
        "no mechanism",
        "mechanism not",
        "unrecognized authentication",
        "unrecognised authentication",
        "unknown command",
        "not enabled",
        "method is disabled",
        "mechanism is disabled",
        "method is not allowed",
        "mechanism is not allowed",
    ];
    if status == Status::Bad || says(&unable) {
        return Verdict::NextMethod;
    }
    if says(&[
        "requires tls",
        "ssl required",
        "tls required",
        "starttls first",
        "encryption required",
    ]) {
        return Verdict::WantsTls;
    }
    // The password may be right and yet not be stored in the form the method needs.
    if method.needs_stored_form() { Verdict::NextMethod } else { Verdict::Wrong }
}

/// What a postmaster can do about a refusal, by what the server said; empty when nothing is known.
pub(crate) fn advice(text: &str, side: u8) -> String {
    let text = text.to_ascii_lowercase();
    let has = |word: &str| text.contains(word);
    if has("application-specific password") || has("app password") {
        return "make an application password for this account and use it here".into();
    }
    if has("basic auth") || has("basicauth") || has("invalid_grant") || has("invalid_token") {
        return format!("it wants an OAuth token: --oauth{side} or --tokenCommand{side}");
    }
    if has("web browser") || has("weblogin") || has("web login") {
        return format!(
            "the provider wants the user to log in with a browser first, or an application \
             password, or a token (--tokenCommand{side})"
        );
    }
    if has("imap access is disabled") || has("not enabled for imap") || has("imap is disabled") {
        return "switch IMAP on for this account at that server".into();
    }
    if has("expired") {
        return "the password or token has expired there".into();
    }
    String::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn no(code: &str, text: &str, method: Method) -> Verdict {
        let code = (!code.is_empty()).then(|| Code::Other(code.into(), String::new()));
        judge(Status::No, code.as_ref(), text, method)
    }

    #[test]
    fn answers_of_the_field_are_understood() {
        let login = Method::Login;
        let privacy = "a secure login method is required";
        assert_eq!(no("PRIVACYREQUIRED", privacy, Method::Plain), Verdict::WantsTls);
        assert_eq!(no("PRIVACYREQUIRED", privacy, Method::ScramSha256), Verdict::NextMethod);
        assert_eq!(no("AUTHENTICATIONFAILED", "Authentication failed.", login), Verdict::Wrong);
        assert_eq!(no("", "Login failed: authentication failure", login), Verdict::Wrong);
        assert_eq!(
            no("", "Unsupported authentication mechanism.", Method::Plain),
            Verdict::NextMethod
        );
        assert_eq!(judge(Status::Bad, None, "what?", Method::Plain), Verdict::NextMethod);
        assert_eq!(
            no("LIMIT", "Maximum number of connections from user+IP exceeded", login),
            Verdict::Later
        );
        assert_eq!(no("", "Too many simultaneous connections. (Failure)", login), Verdict::Later);
        assert_eq!(no("UNAVAILABLE", "Temporary authentication failure.", login), Verdict::Later);
        assert_eq!(no("PRIVACYREQUIRED", "no", login), Verdict::WantsTls);
        // Our own words, by IMAP with a code and by POP without.
        let not_allowed = "this login method is not allowed for the account";
        assert_eq!(no("CANNOT", not_allowed, login), Verdict::NextMethod);
        assert_eq!(no("", not_allowed, Method::Plain), Verdict::NextMethod);
        assert_eq!(no("AUTHORIZATIONFAILED", "no", Method::Plain), Verdict::MayNot);
    }

    #[test]
    fn a_stored_form_that_is_missing_is_no_wrong_password() {
        let failed = "Authentication failed.";
        assert_eq!(no("AUTHENTICATIONFAILED", failed, Method::CramMd5), Verdict::NextMethod);
        assert_eq!(no("AUTHENTICATIONFAILED", failed, Method::ScramSha256), Verdict::NextMethod);
        assert_eq!(no("AUTHENTICATIONFAILED", failed, Method::Plain), Verdict::Wrong);
    }

    #[test]
    fn known_refusals_come_with_advice() {
        assert!(advice("Application-specific password required: https://…", 1).contains("make an"));
        assert!(advice("LOGIN failed. BasicAuthBlocked", 2).contains("--oauth2"));
        assert!(advice("Please log in via your web browser", 1).contains("--tokenCommand1"));
        assert_eq!(advice("no", 1), "");
    }
}
