//! Password hashes that other servers made, one family a file, compared in constant time
//! (`reference/security.md` section 2; its vectors are the tests). Nothing new is stored in these
//! forms. How much work a stored hash may ask for is bounded: it came from outside.
//!
//! Slow functions: run them on the gate's pool. They must never know accounts.

mod des_crypt;
mod digests;
mod md5_crypt;
mod modular;
mod pbkdf2;
mod windows;

use angarium_objects::password::HashMethod;
use subtle::ConstantTimeEq;

/// Most rounds of a hash that are computed.
const MAX_ROUNDS: u32 = 10_000_000;

/// The 64 characters of crypt(3) in the order of their values.
const ALPHABET: &[u8; 64] = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// The value of a character of crypt(3).
fn value(character: u8) -> Option<u32> {
    let at = ALPHABET.iter().position(|known| *known == character)?;
    u32::try_from(at).ok()
}

/// A number written with the lowest six bits first.
fn lowest_first(out: &mut String, mut number: u32, characters: usize) {
    for _ in 0..characters {
        let at = usize::try_from(number & 63).unwrap_or(0);
        out.extend(ALPHABET.get(at).map(|b| char::from(*b)));
        number >>= 6;
    }
}

fn same(found: &[u8], stored: &[u8]) -> bool {
    found.ct_eq(stored).into()
}

/// Octets written in hexadecimal digits of either case.
pub(super) fn hexadecimal(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) {
        return None;
    }
    let digit = |b: u8| char::from(b).to_digit(16).and_then(|d| u8::try_from(d).ok());
    text.as_bytes().chunks(2).map(|pair| Some(digit(pair[0])? << 4 | digit(pair[1])?)).collect()
}

/// Compares a password with the text of a hash.
pub(super) fn verify(method: HashMethod, text: &str, password: &[u8]) -> bool {
    match method {
        HashMethod::DesCrypt => des_crypt::verify(text, password),
        HashMethod::BsdiCrypt => des_crypt::verify_extended(text, password),
        HashMethod::Md5Crypt => md5_crypt::verify(text, password),
        HashMethod::Bcrypt => modular::bcrypt(text, password),
        HashMethod::ShaCrypt => modular::sha_crypt(text, password),
        HashMethod::Yescrypt => modular::yescrypt(text, password),
        HashMethod::Md5
        | HashMethod::Sha1
        | HashMethod::Sha256
        | HashMethod::Sha512
        | HashMethod::NsMtaMd5 => digests::verify(method, text, password),
        HashMethod::LanManager => windows::lan_manager(text, password),
        HashMethod::NtHash => windows::nt_hash(text, password),
        HashMethod::Pbkdf2Sha1
        | HashMethod::Pbkdf2Sha256
        | HashMethod::Pbkdf2Sha512
        | HashMethod::Pbkdf2Directory => pbkdf2::verify(method, text, password),
    }
}

#[cfg(test)]
mod tests;
