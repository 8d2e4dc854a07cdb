//! PBKDF2 in the spellings of OpenLDAP, Dovecot and 389 Directory Server.

use std::num::NonZeroU32;

use angarium_objects::password::HashMethod;
use aws_lc_rs::pbkdf2::{self, Algorithm};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;

use super::{MAX_ROUNDS, hexadecimal};

/// Octets of rounds, salt and key of 389 Directory Server.
const DIRECTORY: (usize, usize, usize) = (4, 64, 256);

/// Compares a password with what stands behind the label.
pub(super) fn verify(method: HashMethod, text: &str, password: &[u8]) -> bool {
    let algorithm = match method {
        HashMethod::Pbkdf2Sha1 => pbkdf2::PBKDF2_HMAC_SHA1,
        HashMethod::Pbkdf2Sha512 => pbkdf2::PBKDF2_HMAC_SHA512,
        _ => pbkdf2::PBKDF2_HMAC_SHA256,
    };
    let read = match method {
        HashMethod::Pbkdf2Directory => directory(text),
        _ => text.strip_prefix("$1$").map_or_else(|| open_ldap(text), dovecot),
    };
    read.is_some_and(|(rounds, salt, hash)| check(algorithm, rounds, &salt, password, &hash))
}

type Parts = (u32, Vec<u8>, Vec<u8>);

/// `rounds$salt$hash`, in base64 with `.` for `+`.
fn open_ldap(text: &str) -> Option<Parts> {
    let mut parts = text.split('$');
    let rounds = parts.next()?.parse().ok()?;
    let mut next = || {
        let text = parts.next()?.replace('.', "+");
        STANDARD_NO_PAD.decode(text.trim_end_matches('=')).ok()
    };
    Some((rounds, next()?, next()?))
}

/// `salt$rounds$hash`, the salt literally, the hash in hexadecimal digits.
fn dovecot(text: &str) -> Option<Parts> {
    let mut parts = text.split('$');
    let salt = parts.next()?.as_bytes().to_vec();
    let rounds = parts.next()?.parse().ok()?;
    Some((rounds, salt, hexadecimal(parts.next()?)?))
}

/// Base64 of all three in a row.
fn directory(text: &str) -> Option<Parts> {
    let all = STANDARD_NO_PAD.decode(text.trim_end_matches('=')).ok()?;
    let (rounds, rest) = all.split_at_checked(DIRECTORY.0)?;
    let (salt, hash) = rest.split_at_checked(DIRECTORY.1)?;
    let rounds = u32::from_be_bytes(rounds.try_into().ok()?);
    (hash.len() == DIRECTORY.2).then(|| (rounds, salt.to_vec(), hash.to_vec()))
}

fn check(algorithm: Algorithm, rounds: u32, salt: &[u8], password: &[u8], hash: &[u8]) -> bool {
    // Each block of output costs all the rounds again.
    let blocks = u32::try_from(hash.len().div_ceil(20)).unwrap_or(u32::MAX);
    let affordable = rounds.checked_mul(blocks).is_some_and(|work| work <= MAX_ROUNDS);
    match NonZeroU32::new(rounds) {
        Some(rounds) if affordable && !hash.is_empty() => {
            pbkdf2::verify(algorithm, rounds, salt, password, hash).is_ok()
        }
        _ => false,
    }
}
