//! DIGEST-MD5 of the server side (RFC 2831), `qop=auth` alone: the client's answer read and held
//! against a password. Randomness is an argument.

use std::collections::HashMap;

use md5::{Digest as _, Md5};
use subtle::ConstantTimeEq;

use super::LoginError;
use super::md5_methods::digits;
use crate::Secret;

/// Longest answer taken, in octets (RFC 2831 section 2.1.2).
const MAX_ANSWER: usize = 4096;

const MALFORMED: LoginError = LoginError::Protocol("malformed DIGEST-MD5 message");

/// The server's challenge.
#[derive(Clone, Debug)]
pub(super) struct Challenge {
    realm: String,
    nonce: String,
}

impl Challenge {
    /// A challenge for a realm (a host's name without quotes) with a fresh nonce.
    pub(super) fn new(realm: &str, nonce: String) -> Self {
        let realm = realm.replace(['"', '\\'], "");
        Self { realm, nonce }
    }

    /// The text to send.
    pub(super) fn text(&self) -> String {
        format!(
            "realm=\"{}\",nonce=\"{}\",qop=\"auth\",charset=utf-8,algorithm=md5-sess",
            self.realm, self.nonce
        )
    }

    /// Reads the client's answer to this challenge.
    pub(super) fn read(&self, message: &[u8]) -> Result<Answer, LoginError> {
        if message.len() > MAX_ANSWER {
            return Err(MALFORMED);
        }
        let mut all = directives(message).ok_or(MALFORMED)?;
        let mut take = |key: &str| all.remove(key);
        let answer = Answer {
            name: take("username").ok_or(MALFORMED)?,
            realm: take("realm").unwrap_or_default(),
            nonce: take("nonce").ok_or(MALFORMED)?,
            cnonce: take("cnonce").ok_or(MALFORMED)?,
            count: take("nc").ok_or(MALFORMED)?,
            uri: take("digest-uri").ok_or(MALFORMED)?,
            response: take("response").ok_or(MALFORMED)?,
            authorize_as: take("authzid"),
            utf8: take("charset").is_some_and(|charset| charset.eq_ignore_ascii_case(b"utf-8")),
        };
        let plain = take("qop").is_none_or(|qop| qop == b"auth");
        if answer.nonce != self.nonce.as_bytes() || answer.count != b"00000001" || !plain {
            return Err(LoginError::Protocol("DIGEST-MD5 messages do not belong together"));
        }
        Ok(answer)
    }
}

/// What the client answered.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    name: Vec<u8>,
    realm: Vec<u8>,
    nonce: Vec<u8>,
    cnonce: Vec<u8>,
    count: Vec<u8>,
    uri: Vec<u8>,
    response: Vec<u8>,
    authorize_as: Option<Vec<u8>>,
    utf8: bool,
}

impl Answer {
    fn text(&self, octets: &[u8]) -> Result<String, LoginError> {
        match std::str::from_utf8(octets) {
            Ok(text) => Ok(text.to_owned()),
            Err(_) if self.utf8 => Err(MALFORMED),
            Err(_) => Ok(octets.iter().map(|octet| char::from(*octet)).collect()),
        }
    }

    /// Who authenticates.
    pub(super) fn name(&self) -> Result<String, LoginError> {
        self.text(&self.name)
    }

    /// Whom it wants to act for.
    pub(super) fn authorize_as(&self) -> Result<Option<String>, LoginError> {
        self.authorize_as.as_deref().map(|name| self.text(name)).transpose()
    }

    /// The server's proof (`rspauth=…`) if the answer was made with this password.
    pub(super) fn check(&self, password: &Secret) -> Option<String> {
        // Text that ISO 8859-1 can write is hashed so (section 2.1.2.1); many clients hash UTF-8.
        let narrow = |octets: &[u8]| -> Option<Vec<u8>> {
            std::str::from_utf8(octets).ok()?.chars().map(|c| u8::try_from(c).ok()).collect()
        };
        let whole = [self.name.clone(), self.realm.clone(), password.expose().to_vec()];
        let latin: Option<Vec<Vec<u8>>> = whole.iter().map(|part| narrow(part)).collect();
        let tries = std::iter::once(whole.to_vec()).chain(latin);
        tries.into_iter().find_map(|parts| self.proof(&parts))
    }

    fn proof(&self, parts: &[Vec<u8>]) -> Option<String> {
        let secret = Md5::digest(parts.join(&b':'));
        let mut first = Md5::new();
        first.update(secret);
        for part in [&self.nonce, &self.cnonce] {
            first.update(b":");
            first.update(part);
        }
        if let Some(name) = &self.authorize_as {
            first.update(b":");
            first.update(name);
        }
        let first = digits(&first.finalize());
        let respond = |method: &[u8]| {
            let second = Md5::new().chain_update(method).chain_update(b":").chain_update(&self.uri);
            let second = digits(&second.finalize());
            let mut all = Md5::new();
            all.update(&first);
            for part in
                [&self.nonce, &self.count, &self.cnonce, b"auth".as_slice(), second.as_bytes()]
                    as [&[u8]; 5]
            {
                all.update(b":");
                all.update(part);
            }
            digits(&all.finalize())
        };
        let right: bool = respond(b"AUTHENTICATE").as_bytes().ct_eq(&self.response).into();
        right.then(|| format!("rspauth={}", respond(b"")))
    }
}

/// `key=value` with commas between, values perhaps in quotation marks. `None` for what is said
/// twice or has no end.
fn directives(message: &[u8]) -> Option<HashMap<String, Vec<u8>>> {
    let mut all = HashMap::new();
    let mut rest = message;
    loop {
        while let [b',' | b' ' | b'\t' | b'\r' | b'\n', after @ ..] = rest {
            rest = after;
        }
        if rest.is_empty() {
            return Some(all);
        }
        let equals = rest.iter().position(|octet| *octet == b'=')?;
        let key = std::str::from_utf8(rest.get(..equals)?).ok()?.trim().to_ascii_lowercase();
        rest = rest.get(equals + 1..)?;
        let mut value = Vec::new();
        if let [b'"', after @ ..] = rest {
            rest = after;
            loop {
                match rest {
                    [b'"', after @ ..] => {
                        rest = after;
                        break;
                    }
                    [b'\\', octet, after @ ..] | [octet, after @ ..] => {
                        value.push(*octet);
                        rest = after;
                    }
                    [] => return None,
                }
            }
        } else {
            let end = rest.iter().position(|octet| *octet == b',').unwrap_or(rest.len());
            let (token, after) = rest.split_at_checked(end)?;
            value.extend_from_slice(token.trim_ascii());
            rest = after;
        }
        if all.insert(key, value).is_some() {
            return None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ANSWER: &str = "charset=utf-8,username=\"chris\",realm=\"elwood.innosoft.com\",nonce=\"OA6MG9tEQGm2hh\",nc=00000001,cnonce=\"OA6MHXh6VqTrRk\",digest-uri=\"imap/elwood.innosoft.com\",response=d388dad90d4bbd760a152321f2143af7,qop=auth";

    fn challenge() -> Challenge {
        Challenge::new("elwood.innosoft.com", "OA6MG9tEQGm2hh".into())
    }

    // RFC 2831 section 4
    #[test]
    fn the_example_of_the_rfc_matches_and_the_server_proves_itself() {
        assert_eq!(
            challenge().text(),
            "realm=\"elwood.innosoft.com\",nonce=\"OA6MG9tEQGm2hh\",qop=\"auth\",charset=utf-8,algorithm=md5-sess"
        );
        let answer = challenge().read(ANSWER.as_bytes()).unwrap();
        assert_eq!(answer.name().unwrap(), "chris");
        assert_eq!(
            answer.check(&Secret::from("secret")).as_deref(),
            Some("rspauth=ea40f60335c427b5527b84dbabcdfffd")
        );
        assert_eq!(answer.check(&Secret::from("Secret")), None);
    }

    #[test]
    fn an_answer_to_another_challenge_is_refused() {
        let other = Challenge::new("x", "other".into());
        assert!(other.read(ANSWER.as_bytes()).is_err());
        for change in [("nc=00000001", "nc=00000002"), ("qop=auth", "qop=auth-int")] {
            assert!(challenge().read(ANSWER.replace(change.0, change.1).as_bytes()).is_err());
        }
        assert!(challenge().read(format!("{ANSWER},username=\"two\"").as_bytes()).is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]
        #[test]
        fn no_bytes_make_it_panic(text in "[a-z=,\"\\\\ é0-9]{0,80}") {
            if let Ok(answer) = challenge().read(text.as_bytes()) {
                let _ = answer.check(&Secret::from("x"));
            }
            let _ = directives(text.as_bytes());
        }
    }
}
