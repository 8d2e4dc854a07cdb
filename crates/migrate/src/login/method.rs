//! The ways to prove who one is, and which of them are tried in what order. Pure.

use std::str::FromStr;

/// A login method of IMAP or POP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Method {
    /// The LOGIN command (RFC 9051 section 6.2.3); USER and PASS of POP.
    Login,
    /// SASL PLAIN (RFC 4616).
    Plain,
    /// SASL CRAM-MD5 (RFC 2195).
    CramMd5,
    /// SASL SCRAM-SHA-1 (RFC 5802).
    ScramSha1,
    /// The same, bound to the TLS session.
    ScramSha1Plus,
    /// SASL SCRAM-SHA-256 (RFC 7677).
    ScramSha256,
    /// The same, bound to the TLS session.
    ScramSha256Plus,
    /// SASL XOAUTH2, as Google and Microsoft describe it.
    XOAuth2,
    /// SASL OAUTHBEARER (RFC 7628).
    OAuthBearer,
}

impl Method {
    /// All of them, the best first.
    pub const ALL: [Self; 9] = [
        Self::ScramSha256Plus,
        Self::ScramSha256,
        Self::ScramSha1Plus,
        Self::ScramSha1,
        Self::Plain,
        Self::Login,
        Self::CramMd5,
        Self::OAuthBearer,
        Self::XOAuth2,
    ];

    /// Its name as servers announce it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Login => "LOGIN",
            Self::Plain => "PLAIN",
            Self::CramMd5 => "CRAM-MD5",
            Self::ScramSha1 => "SCRAM-SHA-1",
            Self::ScramSha1Plus => "SCRAM-SHA-1-PLUS",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha256Plus => "SCRAM-SHA-256-PLUS",
            Self::XOAuth2 => "XOAUTH2",
            Self::OAuthBearer => "OAUTHBEARER",
        }
    }

    /// True for those that take a token instead of a password.
    #[must_use]
    pub const fn takes_token(self) -> bool {
        matches!(self, Self::XOAuth2 | Self::OAuthBearer)
    }

    /// True for those that are bound to the TLS session.
    #[must_use]
    pub const fn is_bound(self) -> bool {
        matches!(self, Self::ScramSha1Plus | Self::ScramSha256Plus)
    }

    /// True where the server needs the password, or something made of it beforehand, so that it
    /// may fail though the password is right.
    #[must_use]
    pub const fn needs_stored_form(self) -> bool {
        matches!(
            self,
            Self::CramMd5
                | Self::ScramSha1
                | Self::ScramSha1Plus
                | Self::ScramSha256
                | Self::ScramSha256Plus
        )
    }

    /// True for those that can name somebody to act for.
    const fn takes_authorization_identity(self) -> bool {
        !matches!(self, Self::Login | Self::CramMd5 | Self::XOAuth2)
    }
}

impl std::fmt::Display for Method {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Method {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = Self::ALL.into_iter().find(|m| m.name().eq_ignore_ascii_case(text.trim()));
        known.ok_or_else(|| {
            let names: Vec<&str> = Self::ALL.iter().map(|m| m.name()).collect();
            format!("\"{text}\" is no login method; one of {}", names.join(", "))
        })
    }
}

/// What a server offers and what is asked of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Offer<'a> {
    /// The mechanisms announced, upper case, without `AUTH=`.
    pub(crate) mechanisms: &'a [&'a str],
    /// The plain command of the protocol is refused (`LOGINDISABLED`).
    pub(crate) login_disabled: bool,
    /// A mechanism's first words go with the command (`SASL-IR`).
    pub(crate) initial_response: bool,
    /// The channel is one nobody reads along.
    pub(crate) protected: bool,
    /// The channel gives something to bind a login to.
    pub(crate) binds: bool,
    /// The secret is a token.
    pub(crate) token: bool,
    /// Somebody logs in for somebody else, named in the exchange.
    pub(crate) acts_for: bool,
    /// LOGIN can carry name and password between quotes.
    pub(crate) plain_words: bool,
}

impl Offer<'_> {
    fn has(&self, method: Method) -> bool {
        self.mechanisms.contains(&method.name())
    }
}

/// The methods worth trying, the best first; never empty.
///
/// # Errors
/// What stands in the way, for people.
pub(crate) fn order(offer: &Offer<'_>, wish: Option<Method>) -> Result<Vec<Method>, String> {
    if let Some(wish) = wish {
        return wished(offer, wish).map(|()| vec![wish]);
    }
    if offer.token {
        // A server that announces neither may still take the older one.
        let mut all: Vec<Method> =
            [Method::OAuthBearer, Method::XOAuth2].into_iter().filter(|m| offer.has(*m)).collect();
        if all.is_empty() {
            all.push(Method::XOAuth2);
        }
        return Ok(all);
    }
    let mut all: Vec<Method> = [
        (Method::ScramSha256Plus, offer.binds),
        (Method::ScramSha256, true),
        (Method::ScramSha1Plus, offer.binds),
        (Method::ScramSha1, true),
        // Beside TLS it adds nothing and asks the server to know the password itself.
        (Method::CramMd5, !offer.protected),
    ]
    .into_iter()
    .filter_map(|(method, sensible)| (sensible && offer.has(method)).then_some(method))
    .collect();
    let plain = offer.has(Method::Plain);
    let login = !offer.login_disabled;
    // Without SASL-IR the command spares a round trip; odd bytes go safest in PLAIN.
    if plain && login && !offer.initial_response && offer.plain_words {
        all.extend([Method::Login, Method::Plain]);
    } else {
        all.extend(plain.then_some(Method::Plain));
        all.extend(login.then_some(Method::Login));
    }
    if offer.protected && offer.has(Method::CramMd5) {
        all.push(Method::CramMd5);
    }
    if offer.acts_for {
        all.retain(|m| m.takes_authorization_identity());
        if all.is_empty() && login {
            // Not announced, but nothing else can name the account.
            all.push(Method::Plain);
        }
    }
    if all.is_empty() {
        return Err(none_is_left(offer));
    }
    Ok(all)
}

fn wished(offer: &Offer<'_>, wish: Method) -> Result<(), String> {
    if wish == Method::Login && offer.login_disabled {
        return Err("it says LOGINDISABLED: without TLS it takes no LOGIN".into());
    }
    if wish.is_bound() && !offer.binds {
        return Err(format!("{wish} wants a TLS session it can be bound to"));
    }
    if wish.takes_token() && !offer.token {
        return Err(format!("{wish} wants a token: add --oauth or --tokenCommand"));
    }
    if offer.token && !wish.takes_token() {
        return Err(format!("{wish} takes a password and no token"));
    }
    if offer.acts_for && !wish.takes_authorization_identity() {
        return Err(format!("{wish} cannot name the account to act for; leave --auth away"));
    }
    Ok(())
}

fn none_is_left(offer: &Offer<'_>) -> String {
    let announced = if offer.mechanisms.is_empty() {
        "none".to_owned()
    } else {
        offer.mechanisms.iter().take(20).copied().collect::<Vec<_>>().join(", ")
    };
    if offer.login_disabled && !offer.protected {
        return "it takes no passwords on this connection; use TLS".into();
    }
    if ["XOAUTH2", "OAUTHBEARER"].iter().any(|m| offer.mechanisms.contains(m)) {
        return "it takes no passwords, only OAuth tokens: add --oauth or --tokenCommand".into();
    }
    format!("none of its login methods is known here (it announces {announced})")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offer<'a>(mechanisms: &'a [&'a str]) -> Offer<'a> {
        Offer {
            mechanisms,
            login_disabled: false,
            initial_response: true,
            protected: true,
            binds: false,
            token: false,
            acts_for: false,
            plain_words: true,
        }
    }

    #[test]
    fn the_best_method_comes_first_and_the_plain_ones_last() {
        let all = ["PLAIN", "CRAM-MD5", "SCRAM-SHA-1", "SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"];
        let bound = Offer { binds: true, ..offer(&all) };
        assert_eq!(
            order(&bound, None).unwrap(),
            [
                Method::ScramSha256Plus,
                Method::ScramSha256,
                Method::ScramSha1,
                Method::Plain,
                Method::Login,
                Method::CramMd5
            ]
        );
        let open = Offer { protected: false, ..offer(&["PLAIN", "CRAM-MD5"]) };
        assert_eq!(order(&open, None).unwrap()[0], Method::CramMd5);
        assert_eq!(order(&offer(&[]), None).unwrap(), [Method::Login]);
        let no_ir = Offer { initial_response: false, ..offer(&["PLAIN"]) };
        assert_eq!(order(&no_ir, None).unwrap(), [Method::Login, Method::Plain]);
        let odd = Offer { plain_words: false, ..no_ir };
        assert_eq!(order(&odd, None).unwrap(), [Method::Plain, Method::Login]);
    }

    #[test]
    fn login_disabled_is_obeyed_and_said() {
        let closed = Offer { login_disabled: true, protected: false, ..offer(&[]) };
        assert!(order(&closed, None).unwrap_err().contains("use TLS"));
        assert!(order(&closed, Some(Method::Login)).is_err());
        let closed = Offer { login_disabled: true, ..offer(&["PLAIN"]) };
        assert_eq!(order(&closed, None).unwrap(), [Method::Plain]);
        let tokens = Offer { login_disabled: true, ..offer(&["XOAUTH2"]) };
        assert!(order(&tokens, None).unwrap_err().contains("--oauth"));
    }

    #[test]
    fn tokens_and_masters_have_their_own_methods() {
        let token = Offer { token: true, ..offer(&["PLAIN", "XOAUTH2", "OAUTHBEARER"]) };
        assert_eq!(order(&token, None).unwrap(), [Method::OAuthBearer, Method::XOAuth2]);
        let silent = Offer { token: true, ..offer(&["PLAIN"]) };
        assert_eq!(order(&silent, None).unwrap(), [Method::XOAuth2]);
        let master = Offer { acts_for: true, ..offer(&["PLAIN", "CRAM-MD5", "SCRAM-SHA-1"]) };
        assert_eq!(order(&master, None).unwrap(), [Method::ScramSha1, Method::Plain]);
        let bare = Offer { acts_for: true, ..offer(&[]) };
        assert_eq!(order(&bare, None).unwrap(), [Method::Plain]);
        assert!(order(&bare, Some(Method::Login)).is_err());
        assert!(order(&offer(&[]), Some(Method::XOAuth2)).is_err());
        assert!(order(&offer(&[]), Some(Method::ScramSha1Plus)).is_err());
        assert_eq!(order(&offer(&[]), Some(Method::CramMd5)).unwrap(), [Method::CramMd5]);
    }

    #[test]
    fn names_are_taken_in_any_case() {
        for method in Method::ALL {
            assert_eq!(method.name().to_ascii_lowercase().parse(), Ok(method));
        }
        assert!("NTLM".parse::<Method>().unwrap_err().contains("SCRAM-SHA-256"));
    }
}
