//! The client's message of OAUTHBEARER (RFC 7628 section 3.1) and XOAUTH2, and the server's words
//! when it refuses. It must never know what a token holds.

use super::super::LoginError;

/// What separates the parts of a message.
const SEPARATOR: char = '\u{1}';

const MALFORMED: LoginError = LoginError::Protocol("malformed token message");

/// Which of the two mechanisms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::login) enum Form {
    OAuthBearer,
    XOAuth2,
}

/// What the client sent. Its token is never printed.
#[derive(Clone)]
pub(in crate::login) struct Request {
    /// The account it asks for.
    pub(in crate::login) user: Option<String>,
    /// The access token.
    pub(in crate::login) token: String,
}

/// A name in the header of a GS2 mechanism (RFC 5801 section 4).
fn unescape(name: &str) -> String {
    name.replace("=2C", ",").replace("=3D", "=")
}

impl Form {
    /// The mechanism's name.
    pub(in crate::login) const fn mechanism(self) -> &'static str {
        match self {
            Self::OAuthBearer => "OAUTHBEARER",
            Self::XOAuth2 => "XOAUTH2",
        }
    }

    /// Reads the client's message.
    pub(in crate::login) fn read(self, message: &[u8]) -> Result<Request, LoginError> {
        let text = std::str::from_utf8(message).map_err(|_| MALFORMED)?;
        let (head, pairs) = text.split_once(SEPARATOR).ok_or(MALFORMED)?;
        let user = match self {
            Self::OAuthBearer => {
                let mut parts = head.split(',');
                if !matches!(parts.next(), Some("n" | "y")) {
                    return Err(LoginError::Protocol("channel binding is not known with tokens"));
                }
                let name = parts.next().ok_or(MALFORMED)?;
                name.strip_prefix("a=").map(unescape)
            }
            Self::XOAuth2 => Some(head.strip_prefix("user=").ok_or(MALFORMED)?.to_owned()),
        };
        let pairs = pairs.strip_suffix("\u{1}\u{1}").ok_or(MALFORMED)?;
        let mut all = pairs.split(SEPARATOR).filter_map(|pair| pair.split_once('='));
        let (_, credentials) =
            all.find(|(key, _)| key.eq_ignore_ascii_case("auth")).ok_or(MALFORMED)?;
        let (scheme, token) = credentials.split_once(' ').ok_or(MALFORMED)?;
        let token = token.trim();
        if !scheme.eq_ignore_ascii_case("Bearer") || token.is_empty() {
            return Err(MALFORMED);
        }
        let user = user.filter(|user| !user.is_empty());
        Ok(Request { user, token: token.to_owned() })
    }

    /// What is said of every token that is refused, before the login fails (RFC 7628 section
    /// 3.2.2): nothing that tells one reason from another.
    pub(in crate::login) const fn refusal(self) -> &'static [u8] {
        match self {
            Self::OAuthBearer => br#"{"status":"invalid_token"}"#,
            Self::XOAuth2 => br#"{"status":"400","schemes":"Bearer"}"#,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // RFC 7628 section 4.1
    #[test]
    fn the_message_of_the_rfc_is_read() {
        let message = b"n,a=user@example.com,\x01host=server.example.com\x01port=143\x01auth=Bearer vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==\x01\x01";
        let read = Form::OAuthBearer.read(message).unwrap();
        assert_eq!(read.user.as_deref(), Some("user@example.com"));
        assert_eq!(read.token, "vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==");
        let nobody = Form::OAuthBearer.read(b"n,,\x01auth=bearer abc\x01\x01").unwrap();
        assert_eq!((nobody.user, nobody.token.as_str()), (None, "abc"));
        let comma = Form::OAuthBearer.read(b"y,a=a=2Cb=3D,\x01auth=Bearer t\x01\x01").unwrap();
        assert_eq!(comma.user.as_deref(), Some("a,b="));
    }

    #[test]
    fn the_older_form_is_read_and_others_are_refused() {
        let read = Form::XOAuth2.read(b"user=joe@a.dom\x01auth=Bearer abc\x01\x01").unwrap();
        assert_eq!((read.user.as_deref(), read.token.as_str()), (Some("joe@a.dom"), "abc"));
        for (form, bad) in [
            (Form::XOAuth2, &b"user=joe"[..]),
            (Form::XOAuth2, b"user=joe\x01auth=Basic abc\x01\x01"),
            (Form::XOAuth2, b"user=joe\x01auth=Bearer \x01\x01"),
            (Form::XOAuth2, b"user=joe\x01auth=Bearer abc\x01"),
            (Form::OAuthBearer, b"p=tls-exporter,,\x01auth=Bearer abc\x01\x01"),
            (Form::OAuthBearer, b"n\x01auth=Bearer abc\x01\x01"),
            (Form::OAuthBearer, b"n,,\x01host=x\x01\x01"),
            (Form::OAuthBearer, b"n,,\x01auth=Bearer \xff\x01\x01"),
        ] {
            assert!(form.read(bad).is_err());
        }
    }
}
