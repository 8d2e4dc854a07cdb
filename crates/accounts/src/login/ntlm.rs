//! NTLM of the server side (MS-NLMP), version 2 of the response alone: what LM and NTLM 1 answer
//! is refused, because anybody who hears it can find the password. Octets in, octets out; the
//! challenge is an argument.

use md4::{Digest as _, Md4};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::LoginError;
use super::md5_methods::hmac_md5;
use crate::Secret;

/// How every message begins.
const SIGNATURE: &[u8; 8] = b"NTLMSSP\0";
/// Longest message taken, in octets.
const MAX_MESSAGE: usize = 4096;
/// Octets of an NTLM 1 response.
const FIRST_VERSION: usize = 24;
/// Least octets of an NTLM 2 response: the proof, the fixed part of the client's blob.
const LEAST: usize = 16 + 28;

/// Flags of the challenge: Unicode, request of a target, NTLM, always sign, target is a domain,
/// extended session security, target information, 128 and 56 bits.
const FLAGS: u32 = 0x0000_0001
    | 0x0000_0004
    | 0x0000_0200
    | 0x0000_8000
    | 0x0001_0000
    | 0x0008_0000
    | 0x0080_0000
    | 0x2000_0000
    | 0x8000_0000;

const MALFORMED: LoginError = LoginError::Protocol("malformed NTLM message");

/// The hash that Windows keeps of a password.
pub(super) fn nt_hash(password: &Secret) -> Option<Zeroizing<[u8; 16]>> {
    let wide = Zeroizing::new(wide(password.expose_str()?));
    Some(Zeroizing::new(Md4::digest(&*wide).into()))
}

/// Text as UTF-16, the lower octet first.
fn wide(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

/// The octets of a little-endian number at a place.
fn number<const N: usize>(message: &[u8], at: usize) -> Option<[u8; N]> {
    message.get(at..at.checked_add(N)?)?.try_into().ok()
}

/// What a field of a message (length, space, place) points at.
fn field(message: &[u8], at: usize) -> Option<&[u8]> {
    let length = usize::from(u16::from_le_bytes(number(message, at)?));
    let place = usize::try_from(u32::from_le_bytes(number(message, at.checked_add(4)?)?)).ok()?;
    message.get(place..place.checked_add(length)?)
}

fn is(message: &[u8], kind: u32) -> bool {
    message.len() <= MAX_MESSAGE
        && message.starts_with(SIGNATURE)
        && number(message, 8).map(u32::from_le_bytes) == Some(kind)
}

/// The server's challenge.
#[derive(Clone, Debug)]
pub(super) struct Challenge {
    nonce: [u8; 8],
    target: Vec<u8>,
}

impl Challenge {
    /// Answers the client's first message.
    pub(super) fn new(first: &[u8], nonce: [u8; 8], domain: &str) -> Result<Self, LoginError> {
        if !is(first, 1) {
            return Err(MALFORMED);
        }
        Ok(Self { nonce, target: wide(&domain.to_uppercase()) })
    }

    /// The message to send.
    pub(super) fn message(&self) -> Vec<u8> {
        const HEAD: u32 = 48;
        let length = |octets: &[u8]| u16::try_from(octets.len()).unwrap_or(0).to_le_bytes();
        // Our DNS domain name and the end of the list (MS-NLMP section 2.2.2.1).
        let mut about = Vec::new();
        about.extend_from_slice(&2_u16.to_le_bytes());
        about.extend_from_slice(&length(&self.target));
        about.extend_from_slice(&self.target);
        about.extend_from_slice(&[0; 4]);
        let mut out = SIGNATURE.to_vec();
        out.extend_from_slice(&2_u32.to_le_bytes());
        let mut place = HEAD;
        let mut pointer = |out: &mut Vec<u8>, octets: &[u8]| {
            out.extend_from_slice(&length(octets));
            out.extend_from_slice(&length(octets));
            out.extend_from_slice(&place.to_le_bytes());
            place = place.saturating_add(u32::try_from(octets.len()).unwrap_or(0));
        };
        pointer(&mut out, &self.target);
        out.extend_from_slice(&FLAGS.to_le_bytes());
        out.extend_from_slice(&self.nonce);
        out.extend_from_slice(&[0; 8]);
        pointer(&mut out, &about);
        out.extend_from_slice(&self.target);
        out.extend_from_slice(&about);
        out
    }

    /// Reads the client's last message.
    pub(super) fn read(&self, last: &[u8]) -> Result<Answer, LoginError> {
        if !is(last, 3) {
            return Err(MALFORMED);
        }
        let flags = number(last, 60).map(u32::from_le_bytes).ok_or(MALFORMED)?;
        let text = |octets: &[u8]| -> Option<String> {
            if flags & 1 == 0 {
                return std::str::from_utf8(octets).ok().map(str::to_owned);
            }
            let (pairs, rest) = octets.as_chunks::<2>();
            if !rest.is_empty() {
                return None;
            }
            let units = pairs.iter().map(|pair| u16::from_le_bytes(*pair));
            char::decode_utf16(units).collect::<Result<String, _>>().ok()
        };
        let read = |at| field(last, at).ok_or(MALFORMED);
        let (user, domain) = (text(read(36)?), text(read(28)?));
        let response = read(20)?;
        if response.len() <= FIRST_VERSION {
            return Err(LoginError::Protocol("NTLM version 2 is needed"));
        }
        let user = user.filter(|user| !user.is_empty()).ok_or(MALFORMED)?;
        let domain = domain.ok_or(MALFORMED)?;
        if response.len() < LEAST {
            return Err(MALFORMED);
        }
        Ok(Answer { nonce: self.nonce, user, domain, response: response.to_vec() })
    }
}

/// What the client answered.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    nonce: [u8; 8],
    user: String,
    domain: String,
    response: Vec<u8>,
}

impl Answer {
    /// Who logs in: a name without a domain belongs to what looks like one beside it.
    pub(super) fn name(&self) -> String {
        if self.domain.contains('.') && !self.user.contains('@') {
            format!("{}@{}", self.user, self.domain)
        } else {
            self.user.clone()
        }
    }

    /// True when the response was made with the password of this hash.
    pub(super) fn is_of(&self, nt_hash: &[u8; 16]) -> bool {
        let who = wide(&format!("{}{}", self.user.to_uppercase(), self.domain));
        let key = hmac_md5(nt_hash, &who);
        let Some((proof, blob)) = self.response.split_at_checked(16) else { return false };
        let found = hmac_md5(&key, &[&self.nonce[..], blob].concat());
        found.ct_eq(proof).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NONCE: [u8; 8] = [0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef];
    const FIRST: &[u8] = b"NTLMSSP\0\x01\0\0\0\x07\x82\x08\0\0\0\0\0\0\0\0\0";

    fn answer(user: &str, domain: &str, response: &[u8]) -> Vec<u8> {
        let parts =
            [Vec::new(), response.to_vec(), wide(domain), wide(user), Vec::new(), Vec::new()];
        let mut out = b"NTLMSSP\0\x03\0\0\0".to_vec();
        let mut place = 64_u32;
        for part in &parts {
            let length = u16::try_from(part.len()).unwrap().to_le_bytes();
            out.extend_from_slice(&length);
            out.extend_from_slice(&length);
            out.extend_from_slice(&place.to_le_bytes());
            place += u32::try_from(part.len()).unwrap();
        }
        out.extend_from_slice(&FLAGS.to_le_bytes());
        out.extend(parts.concat());
        out
    }

    // MS-NLMP section 4.2.4
    #[test]
    fn the_example_of_the_specification_matches() {
        let hash = nt_hash(&Secret::from("Password")).unwrap();
        let digits: String = hash.iter().map(|o| format!("{o:02x}")).collect();
        assert_eq!(digits, "a4f49c406510bdcab6824ee7c30fd852");
        let mut blob = vec![1, 1, 0, 0, 0, 0, 0, 0];
        blob.extend_from_slice(&[0; 8]);
        blob.extend_from_slice(&[0xaa; 8]);
        blob.extend_from_slice(&[0; 4]);
        for (kind, text) in [(2_u16, "Domain"), (1, "Server")] {
            blob.extend_from_slice(&kind.to_le_bytes());
            blob.extend_from_slice(&u16::try_from(text.len() * 2).unwrap().to_le_bytes());
            blob.extend(wide(text));
        }
        blob.extend_from_slice(&[0; 8]);
        let proof: [u8; 16] = [
            0x68, 0xcd, 0x0a, 0xb8, 0x51, 0xe5, 0x1c, 0x96, 0xaa, 0xbc, 0x92, 0x7b, 0xeb, 0xef,
            0x6a, 0x1c,
        ];
        let challenge = Challenge::new(FIRST, NONCE, "house.example").unwrap();
        let message = answer("User", "Domain", &[&proof[..], &blob].concat());
        let read = challenge.read(&message).unwrap();
        assert_eq!(read.name(), "User");
        assert!(read.is_of(&hash));
        assert!(!read.is_of(&nt_hash(&Secret::from("password")).unwrap()));
        let other = Challenge::new(FIRST, [0; 8], "house.example").unwrap();
        assert!(!other.read(&message).unwrap().is_of(&hash));
    }

    #[test]
    fn the_first_version_is_refused_and_a_domain_completes_a_name() {
        let challenge = Challenge::new(FIRST, NONCE, "house.example").unwrap();
        assert_eq!(challenge.message()[24..32], NONCE);
        let old = challenge.read(&answer("User", "", &[0; 24])).unwrap_err();
        assert_eq!(old, LoginError::Protocol("NTLM version 2 is needed"));
        assert!(challenge.read(&answer("User", "", &[])).is_err());
        for (user, domain, name) in [
            ("joe", "a.dom", "joe@a.dom"),
            ("joe", "WORKGROUP", "joe"),
            ("joe@b.dom", "a.dom", "joe@b.dom"),
        ] {
            assert_eq!(challenge.read(&answer(user, domain, &[0; 60])).unwrap().name(), name);
        }
        assert!(Challenge::new(b"NTLMSSP\0\x03\0\0\0", NONCE, "x").is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]
        #[test]
        fn no_octets_make_the_machine_panic(rest in proptest::collection::vec(any::<u8>(), 0..120)) {
            let challenge = Challenge::new(FIRST, NONCE, "x").unwrap();
            let message = [&b"NTLMSSP\0\x03\0\0\0"[..], &rest].concat();
            if let Ok(answer) = challenge.read(&message) {
                let _ = (answer.name(), answer.is_of(&[0; 16]));
            }
        }
    }
}
