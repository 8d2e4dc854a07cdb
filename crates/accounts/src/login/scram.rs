//! The SCRAM server as a machine, with SHA-256 or SHA-1 (RFC 5802, RFC 7677), bound to the TLS
//! session or not: client's text in, server's text out. Randomness, keys and the data of the
//! channel are arguments.

use angarium_objects::password::ScramKeys;
use aws_lc_rs::{digest, hmac};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use subtle::ConstantTimeEq;

use super::LoginError;

/// Longest client nonce taken, in bytes.
const MAX_NONCE: usize = 512;

/// The hash an exchange is held with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ScramHash {
    Sha1,
    Sha256,
}

impl ScramHash {
    /// The mechanism's name.
    pub(super) const fn mechanism(self) -> &'static str {
        match self {
            Self::Sha1 => "SCRAM-SHA-1",
            Self::Sha256 => "SCRAM-SHA-256",
        }
    }

    fn hmac(self, key: &[u8], text: &[u8]) -> hmac::Tag {
        let algorithm = match self {
            Self::Sha1 => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
            Self::Sha256 => hmac::HMAC_SHA256,
        };
        hmac::sign(&hmac::Key::new(algorithm, key), text)
    }

    fn digest(self, octets: &[u8]) -> digest::Digest {
        let algorithm = match self {
            Self::Sha1 => &digest::SHA1_FOR_LEGACY_USE_ONLY,
            Self::Sha256 => &digest::SHA256,
        };
        digest::digest(algorithm, octets)
    }
}

/// What a server knows of a password for one exchange.
#[derive(Clone, Debug)]
pub(super) struct Keys {
    pub(super) hash: ScramHash,
    pub(super) rounds: u32,
    pub(super) salt: Vec<u8>,
    pub(super) stored_key: Vec<u8>,
    pub(super) server_key: Vec<u8>,
    /// StoredKey and ServerKey of other passwords with the same salt that are as good.
    pub(super) others: Vec<[Vec<u8>; 2]>,
}

impl Keys {
    /// The same with further passwords; all have the salt that the client is told.
    pub(super) fn beside<'a>(mut self, others: impl IntoIterator<Item = &'a ScramKeys>) -> Self {
        let pair = |keys: &ScramKeys| [keys.stored_key.to_vec(), keys.server_key.to_vec()];
        self.others = others.into_iter().map(pair).collect();
        self
    }
}

/// A proof that was right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Proved {
    /// The server's final message, with its own proof.
    pub(super) verifier: String,
    /// Which of the other passwords it was; `None` is the first.
    pub(super) by: Option<usize>,
}

impl From<ScramKeys> for Keys {
    fn from(keys: ScramKeys) -> Self {
        Self {
            hash: ScramHash::Sha256,
            rounds: keys.rounds,
            salt: keys.salt,
            stored_key: keys.stored_key.to_vec(),
            server_key: keys.server_key.to_vec(),
            others: Vec::new(),
        }
    }
}

const MALFORMED: LoginError = LoginError::Protocol("malformed SCRAM message");

/// What the client says of channel binding (RFC 5802 section 6).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Binding {
    /// It knows none.
    Unknown,
    /// It knows some and was offered none.
    NotOffered,
    /// It binds the login by this type.
    By(String),
}

/// What the client's first message says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ClientFirst {
    /// Who authenticates.
    pub(super) name: String,
    /// Whom it wants to act for.
    pub(super) authorize_as: Option<String>,
    /// Whether it binds the login to the channel.
    pub(super) binding: Binding,
    nonce: String,
    header: String,
    bare: String,
}

/// A name in SCRAM's spelling: `=2C` is a comma, `=3D` an equals sign.
fn unescape(text: &str) -> Option<String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('=') {
        out.push_str(before);
        out.push(match after.get(..2)? {
            "2C" => ',',
            "3D" => '=',
            _ => return None,
        });
        rest = after.get(2..)?;
    }
    out.push_str(rest);
    (!out.is_empty()).then_some(out)
}

impl ClientFirst {
    /// Reads the client's first message.
    pub(super) fn read(message: &[u8]) -> Result<Self, LoginError> {
        let text = std::str::from_utf8(message).map_err(|_| MALFORMED)?;
        let mut parts = text.splitn(3, ',');
        let (Some(binding), Some(authzid), Some(bare)) = (parts.next(), parts.next(), parts.next())
        else {
            return Err(MALFORMED);
        };
        let header = format!("{binding},{authzid},");
        let binding = match (binding, binding.strip_prefix("p=")) {
            ("n", _) => Binding::Unknown,
            ("y", _) => Binding::NotOffered,
            (_, Some(name)) => Binding::By(name.to_owned()),
            _ => return Err(MALFORMED),
        };
        let authorize_as = match authzid.strip_prefix("a=") {
            Some(name) => Some(unescape(name).ok_or(MALFORMED)?),
            None if authzid.is_empty() => None,
            None => return Err(MALFORMED),
        };
        let mut fields = bare.split(',');
        let name = fields.next().and_then(|f| f.strip_prefix("n=")).and_then(unescape);
        let nonce = fields.next().and_then(|f| f.strip_prefix("r="));
        let (Some(name), Some(nonce)) = (name, nonce) else { return Err(MALFORMED) };
        let printable = nonce.bytes().all(|b| (0x21..=0x7e).contains(&b));
        if nonce.is_empty() || nonce.len() > MAX_NONCE || !printable {
            return Err(MALFORMED);
        }
        Ok(Self {
            name,
            authorize_as,
            binding,
            nonce: nonce.to_owned(),
            header,
            bare: bare.to_owned(),
        })
    }

    /// The server's first message. With a binding, the client must prove that it saw the same
    /// channel: any one of the data of `channel`.
    pub(super) fn challenge(
        self,
        keys: Keys,
        server_nonce: &str,
        channel: &[Vec<u8>],
    ) -> Challenge {
        let nonce = format!("{}{server_nonce}", self.nonce);
        let text = format!("r={nonce},s={},i={}", STANDARD.encode(&keys.salt), keys.rounds);
        let header = self.header.as_bytes();
        let bound = match self.binding {
            Binding::By(_) => channel.iter().map(|data| [header, data].concat()).collect(),
            Binding::Unknown | Binding::NotOffered => vec![header.to_vec()],
        };
        Challenge { first: self, keys, nonce, text, bound }
    }
}

/// The state between the server's first message and the client's final one.
#[derive(Clone, Debug)]
pub(super) struct Challenge {
    first: ClientFirst,
    keys: Keys,
    nonce: String,
    text: String,
    /// What the client may have bound its answer to.
    bound: Vec<Vec<u8>>,
}

impl Challenge {
    /// The mechanism's name.
    pub(super) fn mechanism(&self) -> &'static str {
        self.keys.hash.mechanism()
    }

    /// The text to send.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Checks the client's final message; the server's final message when it is right, `None`
    /// when the proof is wrong.
    pub(super) fn finish(&self, message: &[u8]) -> Result<Option<Proved>, LoginError> {
        let text = std::str::from_utf8(message).map_err(|_| MALFORMED)?;
        let (without_proof, proof) = text.rsplit_once(",p=").ok_or(MALFORMED)?;
        let mut fields = without_proof.split(',');
        let binding = fields.next().and_then(|f| f.strip_prefix("c=")).ok_or(MALFORMED)?;
        let nonce = fields.next().and_then(|f| f.strip_prefix("r=")).ok_or(MALFORMED)?;
        let binding = STANDARD.decode(binding).map_err(|_| MALFORMED)?;
        if nonce != self.nonce {
            return Err(LoginError::Protocol("SCRAM messages do not belong together"));
        }
        if !self.bound.contains(&binding) {
            return Err(LoginError::Protocol("the login is bound to another connection"));
        }
        let length = self.keys.stored_key.len();
        let proof = STANDARD.decode(proof).ok().filter(|proof| proof.len() == length);
        let proof = proof.ok_or(MALFORMED)?;
        let signed = format!("{},{},{without_proof}", self.first.bare, self.text);
        let (first, others) = (&self.keys, self.keys.others.iter());
        let own = self.answer(&first.stored_key, &first.server_key, &proof, &signed);
        let own = own.map(|verifier| Proved { verifier, by: None });
        // All are compared, whichever is right.
        let others = others.enumerate().filter_map(|(index, [stored, server])| {
            let verifier = self.answer(stored, server, &proof, &signed)?;
            Some(Proved { verifier, by: Some(index) })
        });
        Ok(others.fold(own, |found, other| found.or(Some(other))))
    }

    /// The server's final message, if the proof is made with the password of these keys.
    fn answer(&self, stored: &[u8], server: &[u8], proof: &[u8], signed: &str) -> Option<String> {
        let hash = self.keys.hash;
        let mut client_key = proof.to_vec();
        let signature = hash.hmac(stored, signed.as_bytes());
        for (byte, mask) in client_key.iter_mut().zip(signature.as_ref()) {
            *byte ^= mask;
        }
        if !bool::from(hash.digest(&client_key).as_ref().ct_eq(stored)) {
            return None;
        }
        let verifier = hash.hmac(server, signed.as_bytes());
        Some(format!("v={}", STANDARD.encode(verifier.as_ref())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::login::hash;
    use proptest::prelude::*;

    fn exchange() -> Challenge {
        let first = ClientFirst::read(b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO").unwrap();
        assert_eq!(first.name, "user");
        let salt = STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
        let keys = hash::scram_keys("pencil", &salt, 4096).unwrap();
        first.challenge(keys.into(), "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0", &[])
    }

    // RFC 7677 section 3
    #[test]
    fn the_example_of_the_rfc_is_followed_to_the_letter() {
        let challenge = exchange();
        assert_eq!(
            challenge.text(),
            "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
        );
        let last = b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
        assert_eq!(
            challenge.finish(last).unwrap().map(|proved| proved.verifier).as_deref(),
            Some("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=")
        );
        let wrong = b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=AHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
        assert_eq!(challenge.finish(wrong), Ok(None));
    }

    // RFC 5802 section 5
    #[test]
    fn the_example_with_sha_1_is_followed_too() {
        let first = ClientFirst::read(b"n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL").unwrap();
        let salt = STANDARD.decode("QSXCR+Q6sek8bf92").unwrap();
        let [stored_key, server_key] = hash::scram_sha1_keys("pencil", &salt, 4096).unwrap();
        let keys = Keys {
            hash: ScramHash::Sha1,
            rounds: 4096,
            salt,
            stored_key,
            server_key,
            others: Vec::new(),
        };
        let challenge = first.challenge(keys, "3rfcNHYJY1ZVvWVs7j", &[]);
        assert_eq!(
            challenge.text(),
            "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096"
        );
        let last =
            b"c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=";
        assert_eq!(
            challenge.finish(last).unwrap().map(|proved| proved.verifier).as_deref(),
            Some("v=rmF9pqV8S7suAoZWja4dJRkFsKQ=")
        );
    }

    // ABU-39
    #[test]
    fn one_challenge_does_for_all_passwords_with_its_salt() {
        let salt = STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
        let keys = |password| hash::scram_keys(password, &salt, 4096).unwrap();
        let first = || ClientFirst::read(b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO").unwrap();
        let nonce = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
        let last = b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
        let (phone, pencil, desk) = (keys("phone"), keys("pencil"), keys("desk"));
        let told = Keys::from(keys("main")).beside([&phone, &pencil, &desk]);
        let proved = first().challenge(told, nonce, &[]).finish(last).unwrap().unwrap();
        assert_eq!(proved.by, Some(1));
        assert_eq!(proved.verifier, "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
        let told = Keys::from(keys("main")).beside([&phone, &desk]);
        assert_eq!(first().challenge(told, nonce, &[]).finish(last), Ok(None));
    }

    #[test]
    fn a_changed_nonce_or_header_ends_the_exchange() {
        let challenge = exchange();
        assert!(challenge.finish(b"c=biws,r=other,p=AAAA").is_err());
        assert!(challenge.finish(b"c=eSws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=").is_err());
    }

    #[test]
    fn names_are_unescaped_and_malformed_headers_refused() {
        assert!(ClientFirst::read(b"x,,n=user,r=abc").is_err());
        let first = ClientFirst::read(b"y,a=joe=40,n=a=2Cb=3D,r=x");
        assert!(first.is_err());
        let first = ClientFirst::read(b"y,a=joe,n=a=2Cb=3D,r=x").unwrap();
        assert_eq!((first.name.as_str(), first.authorize_as.as_deref()), ("a,b=", Some("joe")));
        for bad in [&b"n,,m=x,n=user,r=a"[..], b"n,,n=,r=a", b"n,,n=u,r=", b"", b"n,,n=u"] {
            assert!(ClientFirst::read(bad).is_err());
        }
    }

    // RFC 5802 section 6, ABU-41
    #[test]
    fn a_login_bound_to_another_connection_has_no_proof() {
        let first = ClientFirst::read(b"p=tls-exporter,,n=user,r=rOprNGfwEbeRWgbNEkqO").unwrap();
        assert_eq!(first.binding, Binding::By("tls-exporter".into()));
        let salt = STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
        let keys = hash::scram_keys("pencil", &salt, 4096).unwrap();
        let ours = vec![vec![7; 32]];
        let challenge = first.challenge(keys.into(), "x", &ours);
        let last = |data: &[u8]| {
            let bound = STANDARD.encode([b"p=tls-exporter,,", data].concat());
            format!("c={bound},r=rOprNGfwEbeRWgbNEkqOx,p={}", STANDARD.encode([0; 32]))
        };
        let other = challenge.finish(last(&[8; 32]).as_bytes()).unwrap_err();
        assert_eq!(other, LoginError::Protocol("the login is bound to another connection"));
        assert_eq!(challenge.finish(last(&[7; 32]).as_bytes()), Ok(None), "the proof is asked");
        assert!(challenge.finish(last(&[]).as_bytes()).is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]
        #[test]
        fn no_bytes_make_the_machine_panic(text in "(p=[a-z]{0,3}|[ny])?,(a=)?[a-c=2CD3]{0,6},(n=)?[ab=,2C]{0,8},?(r=)?[a-z,]{0,6}", last in "(c=biws,)?(r=)?[a-zA-Z+/=,%]{0,20}(,p=)?[A-Za-z+/=]{0,50}") {
            let _ = ClientFirst::read(text.as_bytes());
            let _ = exchange().finish(last.as_bytes());
        }
    }
}
