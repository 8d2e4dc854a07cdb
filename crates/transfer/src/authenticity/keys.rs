//! Keys that sign: made, written as a DNS record, kept as a sealed dictionary.
//!
//! It must never know which mail is signed.

use angarium_objects::value::{Dictionary, Value};
use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::KeyPair as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mail_auth::common::crypto::{DkimKey, Ed25519Key, RsaKey, Sha256};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

/// The kinds of keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// RSA with 2048 bits: every verifier knows it.
    Rsa,
    /// Ed25519 (RFC 8463): short; some verifiers do not know it yet.
    Ed25519,
}

impl Algorithm {
    /// The word in records and settings.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Rsa => "rsa",
            Self::Ed25519 => "ed25519",
        }
    }

    /// Reads the word in any case.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Rsa, Self::Ed25519].into_iter().find(|one| one.word().eq_ignore_ascii_case(word))
    }
}

/// Where a key is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Made; its record is to be published before it signs.
    Waiting,
    /// It signs.
    Signing,
    /// It does not sign any more; its record stays until mail signed with it has arrived.
    Retired,
}

impl State {
    /// The word in listings.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Signing => "signing",
            Self::Retired => "retired",
        }
    }

    /// Reads the word in any case.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Waiting, Self::Signing, Self::Retired]
            .into_iter()
            .find(|one| one.word().eq_ignore_ascii_case(word))
    }
}

/// A key of a domain. Its debug form does not show the secret.
#[derive(Clone)]
pub struct Key {
    /// Which kind.
    pub algorithm: Algorithm,
    /// Where it is in its life.
    pub state: State,
    /// When it was made, seconds since 1970.
    pub created: i64,
    /// The secret in PKCS #8 form.
    secret: Vec<u8>,
    /// What the record publishes, in binary.
    public: Vec<u8>,
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Key")
            .field("algorithm", &self.algorithm)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

impl Key {
    /// Makes a key that waits. Takes up to a second of computing for RSA.
    ///
    /// # Errors
    /// The system has no random numbers.
    pub fn make(algorithm: Algorithm, now: i64) -> Result<Self, String> {
        let broken = |_| "no key could be made".to_owned();
        let secret = match algorithm {
            Algorithm::Rsa => {
                let pair = KeyPair::generate(KeySize::Rsa2048).map_err(broken)?;
                let der: Pkcs8V1Der<'_> = pair.as_der().map_err(broken)?;
                der.as_ref().to_vec()
            }
            Algorithm::Ed25519 => Ed25519Key::generate_pkcs8().map_err(|e| e.to_string())?,
        };
        let key = Self { algorithm, state: State::Waiting, created: now, secret, public: vec![] };
        let public = key.find_public().ok_or("no key could be made")?;
        Ok(Self { public, ..key })
    }

    fn find_public(&self) -> Option<Vec<u8>> {
        match self.algorithm {
            Algorithm::Rsa => {
                let pair = KeyPair::from_pkcs8(&self.secret).ok()?;
                let der: PublicKeyX509Der<'_> = pair.public_key().as_der().ok()?;
                Some(der.as_ref().to_vec())
            }
            Algorithm::Ed25519 => Some(Ed25519Key::from_pkcs8_der(&self.secret).ok()?.public_key()),
        }
    }

    /// The text of the TXT record at `SELECTOR._domainkey.DOMAIN` (RFC 6376 section 3.6.1).
    #[must_use]
    pub fn record(&self) -> String {
        format!("v=DKIM1; k={}; p={}", self.algorithm.word(), STANDARD.encode(&self.public))
    }

    /// The key as the library signs with it.
    pub(super) fn signer(&self) -> Option<DkimKey> {
        match self.algorithm {
            Algorithm::Rsa => {
                let der = PrivatePkcs8KeyDer::from(self.secret.as_slice());
                RsaKey::<Sha256>::from_key_der(PrivateKeyDer::Pkcs8(der)).ok().map(DkimKey::Rsa)
            }
            Algorithm::Ed25519 => {
                Ed25519Key::from_pkcs8_der(&self.secret).ok().map(DkimKey::Ed25519)
            }
        }
    }

    /// The form that is kept; it holds the secret.
    #[must_use]
    pub fn encode(&self) -> Value {
        Value::Dictionary(Dictionary::from([
            ("Algorithm".to_owned(), self.algorithm.word().into()),
            ("State".to_owned(), self.state.word().into()),
            ("Created".to_owned(), Value::Number(self.created)),
            ("Secret".to_owned(), STANDARD.encode(&self.secret).into()),
        ]))
    }

    /// Reads the form that is kept.
    #[must_use]
    pub fn decode(value: &Value) -> Option<Self> {
        let all = value.as_dictionary()?;
        let text = |key: &str| all.get(key).and_then(Value::as_str);
        let key = Self {
            algorithm: Algorithm::parse(text("Algorithm")?)?,
            state: State::parse(text("State")?)?,
            created: all.get("Created").and_then(Value::as_number).unwrap_or(0),
            secret: STANDARD.decode(text("Secret")?).ok()?,
            public: Vec::new(),
        };
        let public = key.find_public()?;
        Some(Self { public, ..key })
    }

    /// What may be shown of it.
    #[must_use]
    pub fn shown(&self) -> Value {
        Value::Dictionary(Dictionary::from([
            ("Algorithm".to_owned(), self.algorithm.word().into()),
            ("State".to_owned(), self.state.word().into()),
            ("Created".to_owned(), Value::Number(self.created)),
            ("Record".to_owned(), self.record().into()),
        ]))
    }
}

/// Whether a text can be a selector: one or more labels (RFC 6376 section 3.1).
#[must_use]
pub fn is_selector(text: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    text.len() <= 100 && text.split('.').all(label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_back_from_their_kept_form_and_never_show_their_secret() {
        for algorithm in [Algorithm::Rsa, Algorithm::Ed25519] {
            let key = Key::make(algorithm, 5).unwrap();
            let back = Key::decode(&key.encode()).unwrap();
            assert_eq!(back.record(), key.record());
            assert_eq!((back.state, back.created), (State::Waiting, 5));
            assert!(back.signer().is_some());
            let secret = STANDARD.encode(&key.secret);
            let shown = angarium_objects::text::line_text(&key.shown());
            assert!(!shown.contains(&secret) && !format!("{key:?}").contains(&secret));
            let start = format!("v=DKIM1; k={}; p=", algorithm.word());
            assert!(key.record().starts_with(&start));
        }
        assert!(Key::decode(&Value::from("x")).is_none());
    }

    #[test]
    fn selectors_are_labels() {
        for good in ["s1", "2026-11", "a.b"] {
            assert!(is_selector(good), "{good}");
        }
        for bad in ["", ".", "a..b", "a b", "-a", "a_b", "\u{e4}"] {
            assert!(!is_selector(bad), "{bad}");
        }
    }
}
