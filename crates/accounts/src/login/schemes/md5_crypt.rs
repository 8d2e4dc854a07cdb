//! MD5-crypt (`$1$`) and Apache's spelling of it (`$apr1$`): a thousand rounds of MD5.

use md5::{Digest as _, Md5};

use super::{lowest_first, same};

/// Rounds, fixed by the method.
const ROUNDS: u32 = 1000;
/// Longest salt that counts, in octets.
const SALT: usize = 8;

/// Compares a password with the whole text from its first `$`.
pub(super) fn verify(text: &str, password: &[u8]) -> bool {
    let Some((magic, rest)) = ["$1$", "$apr1$"]
        .iter()
        .find_map(|magic| text.strip_prefix(magic).map(|rest| (*magic, rest)))
    else {
        return false;
    };
    let Some((salt, hash)) = rest.split_once('$') else { return false };
    let salt = salt.as_bytes().get(..SALT).unwrap_or(salt.as_bytes());
    same(characters(&digest(magic.as_bytes(), salt, password)).as_bytes(), hash.as_bytes())
}

fn digest(magic: &[u8], salt: &[u8], password: &[u8]) -> [u8; 16] {
    let inner = Md5::new().chain_update(password).chain_update(salt).chain_update(password);
    let inner: [u8; 16] = inner.finalize().into();
    let mut start = Md5::new().chain_update(password).chain_update(magic).chain_update(salt);
    for piece in password.chunks(inner.len()) {
        start.update(&inner[..piece.len()]);
    }
    // One octet for each bit of the length: of the password, or zero.
    let mut length = password.len();
    while length > 0 {
        let first = password.first().copied().unwrap_or(0);
        start.update([if length & 1 == 1 { 0 } else { first }]);
        length >>= 1;
    }
    let mut last: [u8; 16] = start.finalize().into();
    for round in 0..ROUNDS {
        let mut next = Md5::new();
        let odd = round % 2 == 1;
        next.update(if odd { password } else { &last });
        if round % 3 != 0 {
            next.update(salt);
        }
        if round % 7 != 0 {
            next.update(password);
        }
        next.update(if odd { &last } else { password });
        last = next.finalize().into();
    }
    last
}

fn characters(digest: &[u8; 16]) -> String {
    let at = |place: usize| u32::from(digest[place]);
    let mut out = String::with_capacity(22);
    for (a, b, c) in [(0, 6, 12), (1, 7, 13), (2, 8, 14), (3, 9, 15), (4, 10, 5)] {
        lowest_first(&mut out, at(a) << 16 | at(b) << 8 | at(c), 4);
    }
    lowest_first(&mut out, at(11), 2);
    out
}
