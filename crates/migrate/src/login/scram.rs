//! The SCRAM client as a machine, with SHA-256 or SHA-1 (RFC 5802, RFC 7677), bound to the TLS
//! session or not: server's text in, client's text out. The nonce and the data of the channel are
//! arguments. Must never know a session.

use std::num::NonZeroU32;

use aws_lc_rs::{constant_time, digest, hmac, pbkdf2};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Most rounds a server may ask for; one that wants more only burns our time.
const MAX_ROUNDS: u32 = 2_000_000;
/// Longest message of a server, octets.
const MAX_MESSAGE: usize = 8 * 1024;

/// The hash an exchange is held with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ScramHash {
    Sha1,
    Sha256,
}

impl ScramHash {
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

    fn salted(self, password: &str, salt: &[u8], rounds: NonZeroU32) -> Vec<u8> {
        let (algorithm, length) = match self {
            Self::Sha1 => (pbkdf2::PBKDF2_HMAC_SHA1, 20),
            Self::Sha256 => (pbkdf2::PBKDF2_HMAC_SHA256, 32),
        };
        let mut out = vec![0; length];
        pbkdf2::derive(algorithm, rounds, salt, password.as_bytes(), &mut out);
        out
    }
}

/// What the client says of channel binding (RFC 5802 section 6).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Binding {
    /// There is no channel to bind to.
    Unknown,
    /// There is one, but the server announced no method that binds: if it did and somebody took
    /// that out on the way, it will notice.
    NotOffered,
    /// Bound by this type with these data.
    By(&'static str, Vec<u8>),
}

/// Why an exchange ended on our side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Broken {
    /// The server's message cannot be read, or is none of this exchange.
    Malformed(&'static str),
    /// The server says no, in its own word.
    Refused(String),
    /// The server could not prove that it knows the password.
    Impostor,
}

enum State {
    Start,
    First,
    Final { server_signature: Vec<u8> },
    Done,
}

/// One exchange.
pub(crate) struct Scram {
    hash: ScramHash,
    header: String,
    binding: Vec<u8>,
    bare: String,
    nonce: String,
    password: String,
    state: State,
}

/// A name in SCRAM's spelling.
fn escape(name: &str) -> String {
    name.replace('=', "=3D").replace(',', "=2C")
}

/// The GS2 header with which OAUTHBEARER begins, too (RFC 5801 section 4).
pub(crate) fn gs2_header(flag: &str, acts_for: Option<&str>) -> String {
    match acts_for {
        Some(name) => format!("{flag},a={},", escape(name)),
        None => format!("{flag},,"),
    }
}

/// A text prepared as RFC 4013 wants it; what cannot be is left as it is.
fn prepared(text: &str) -> String {
    stringprep::saslprep(text).map_or_else(|_| text.to_owned(), std::borrow::Cow::into_owned)
}

impl Scram {
    /// `nonce` must be printable, without comma, and fresh.
    pub(crate) fn new(
        hash: ScramHash,
        binding: Binding,
        name: &str,
        acts_for: Option<&str>,
        password: &str,
        nonce: String,
    ) -> Self {
        let (flag, data) = match binding {
            Binding::Unknown => ("n".to_owned(), Vec::new()),
            Binding::NotOffered => ("y".to_owned(), Vec::new()),
            Binding::By(kind, data) => (format!("p={kind}"), data),
        };
        let header = gs2_header(&flag, acts_for);
        let bare = format!("n={},r={nonce}", escape(&prepared(name)));
        Self {
            hash,
            header,
            binding: data,
            bare,
            nonce,
            password: prepared(password),
            state: State::Start,
        }
    }

    /// The client's first message.
    pub(crate) fn first(&mut self) -> Vec<u8> {
        self.state = State::First;
        format!("{}{}", self.header, self.bare).into_bytes()
    }

    /// The answer to a message of the server.
    pub(crate) fn respond(&mut self, message: &[u8]) -> Result<Vec<u8>, Broken> {
        let text = std::str::from_utf8(message)
            .ok()
            .filter(|text| text.len() <= MAX_MESSAGE)
            .ok_or(Broken::Malformed("no SCRAM message"))?;
        match std::mem::replace(&mut self.state, State::Done) {
            State::Start => Ok(self.first()),
            State::First => self.prove(text),
            State::Final { server_signature } => {
                if let Some(word) = text.strip_prefix("e=") {
                    return Err(Broken::Refused(word.chars().take(100).collect()));
                }
                let signature = text.split(',').next().and_then(|f| f.strip_prefix("v="));
                let signature = signature.and_then(|s| STANDARD.decode(s).ok());
                let signature = signature.ok_or(Broken::Malformed("no SCRAM signature"))?;
                constant_time::verify_slices_are_equal(&signature, &server_signature)
                    .map_err(|_| Broken::Impostor)?;
                Ok(Vec::new())
            }
            State::Done => Err(Broken::Malformed("more SCRAM messages than there are")),
        }
    }

    fn prove(&mut self, server_first: &str) -> Result<Vec<u8>, Broken> {
        if let Some(word) = server_first.strip_prefix("e=") {
            return Err(Broken::Refused(word.chars().take(100).collect()));
        }
        const NONE: Broken = Broken::Malformed("no first SCRAM message");
        let mut fields = server_first.split(',');
        let nonce = fields.next().and_then(|f| f.strip_prefix("r=")).ok_or(NONE)?;
        let salt = fields.next().and_then(|f| f.strip_prefix("s=")).ok_or(NONE)?;
        let rounds = fields.next().and_then(|f| f.strip_prefix("i=")).ok_or(NONE)?;
        if !nonce.starts_with(&self.nonce) || nonce.len() == self.nonce.len() {
            return Err(Broken::Malformed("a SCRAM message of another exchange"));
        }
        let salt = STANDARD.decode(salt).map_err(|_| NONE)?;
        let rounds: u32 = rounds.parse().map_err(|_| NONE)?;
        let rounds = NonZeroU32::new(rounds)
            .filter(|n| n.get() <= MAX_ROUNDS)
            .ok_or(Broken::Malformed("an absurd number of SCRAM rounds"))?;
        let salted = self.hash.salted(&self.password, &salt, rounds);
        let bound = STANDARD.encode([self.header.as_bytes(), &self.binding].concat());
        let without_proof = format!("c={bound},r={nonce}");
        let signed = format!("{},{server_first},{without_proof}", self.bare);
        let client_key = self.hash.hmac(&salted, b"Client Key");
        let stored_key = self.hash.digest(client_key.as_ref());
        let signature = self.hash.hmac(stored_key.as_ref(), signed.as_bytes());
        let proof: Vec<u8> =
            client_key.as_ref().iter().zip(signature.as_ref()).map(|(a, b)| a ^ b).collect();
        let server_key = self.hash.hmac(&salted, b"Server Key");
        let server_signature = self.hash.hmac(server_key.as_ref(), signed.as_bytes());
        self.state = State::Final { server_signature: server_signature.as_ref().to_vec() };
        Ok(format!("{without_proof},p={}", STANDARD.encode(proof)).into_bytes())
    }

    /// True once the server has proved that it knows the password.
    pub(crate) fn server_is_proved(&self) -> bool {
        matches!(self.state, State::Done)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scram(hash: ScramHash, nonce: &str) -> Scram {
        Scram::new(hash, Binding::Unknown, "user", None, "pencil", nonce.into())
    }

    // RFC 7677 section 3
    #[test]
    fn the_example_with_sha_256_is_followed_to_the_letter() {
        let mut scram = scram(ScramHash::Sha256, "rOprNGfwEbeRWgbNEkqO");
        assert_eq!(scram.first(), b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
        let first = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
        let last = scram.respond(first.as_bytes()).unwrap();
        assert_eq!(
            String::from_utf8(last).unwrap(),
            "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
             p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
        );
        assert!(!scram.server_is_proved());
        let end = b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=";
        assert_eq!(scram.respond(end), Ok(Vec::new()));
        assert!(scram.server_is_proved());
    }

    // RFC 5802 section 5
    #[test]
    fn the_example_with_sha_1_is_followed_too() {
        let mut scram = scram(ScramHash::Sha1, "fyko+d2lbbFgONRv9qkxdawL");
        scram.first();
        let first = b"r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096";
        let last = scram.respond(first).unwrap();
        assert!(last.ends_with(b"p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts="));
        assert_eq!(scram.respond(b"v=rmF9pqV8S7suAoZWja4dJRkFsKQ="), Ok(Vec::new()));
    }

    #[test]
    fn a_server_that_lies_is_found_out() {
        let first = b"r=abcX,s=QSXCR+Q6sek8bf92,i=4096";
        let mut impostor = scram(ScramHash::Sha1, "abc");
        impostor.first();
        impostor.respond(first).unwrap();
        let wrong = impostor.respond(b"v=AAAAAAAAAAAAAAAAAAAAAAAAAAA=");
        assert_eq!(wrong, Err(Broken::Impostor));
        for bad in [
            &b"r=other,s=QSXCR+Q6sek8bf92,i=4096"[..],
            b"r=abc,s=QSXCR+Q6sek8bf92,i=4096",
            b"r=abcX,s=!,i=4096",
            b"r=abcX,s=QSXCR+Q6sek8bf92,i=0",
            b"r=abcX,s=QSXCR+Q6sek8bf92,i=4000000000",
            b"m=ext,r=abcX,s=QSXCR+Q6sek8bf92,i=4096",
            b"",
            b"\xff",
        ] {
            let mut one = scram(ScramHash::Sha1, "abc");
            one.first();
            assert!(one.respond(bad).is_err(), "{bad:?}");
        }
        let mut refused = scram(ScramHash::Sha1, "abc");
        refused.first();
        refused.respond(first).unwrap();
        assert_eq!(refused.respond(b"e=other-error"), Err(Broken::Refused("other-error".into())));
    }

    #[test]
    fn names_are_escaped_and_the_channel_is_bound() {
        let binding = Binding::By("tls-exporter", vec![1, 2]);
        let mut scram =
            Scram::new(ScramHash::Sha256, binding, "a,b=c", Some("joe=x"), "p", "abc".into());
        assert_eq!(scram.first(), b"p=tls-exporter,a=joe=3Dx,n=a=2Cb=3Dc,r=abc");
        let last = scram.respond(b"r=abcX,s=QSXCR+Q6sek8bf92,i=1").unwrap();
        let bound = STANDARD.encode(b"p=tls-exporter,a=joe=3Dx,\x01\x02");
        assert!(String::from_utf8(last).unwrap().starts_with(&format!("c={bound},r=abcX,p=")));
    }
}
