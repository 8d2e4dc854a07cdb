//! The modular crypt methods of today, by libraries: bcrypt, SHA-crypt, yescrypt. What a stored
//! hash may cost is looked at before it is computed.

use sha_crypt::PasswordVerifier as _;
use yescrypt::Yescrypt;

use super::MAX_ROUNDS;

/// Highest cost of bcrypt.
const BCRYPT_COST: u32 = 16;
/// Most memory of yescrypt, in octets: 1 GiB.
const YESCRYPT_MEMORY: u64 = 1 << 30;
/// Most lanes of yescrypt.
const YESCRYPT_LANES: u32 = 64;

/// `$2a$`, `$2b$` and `$2y$`; of the password 72 octets count.
pub(super) fn bcrypt(text: &str, password: &[u8]) -> bool {
    let cost = text.get(4..6).and_then(|cost| cost.parse::<u32>().ok());
    cost.is_some_and(|cost| cost <= BCRYPT_COST) && bcrypt::verify(password, text).unwrap_or(false)
}

/// `$5$` and `$6$`, with or without `rounds=`.
pub(super) fn sha_crypt(text: &str, password: &[u8]) -> bool {
    let rounds = text.get(3..).and_then(|rest| rest.strip_prefix("rounds="));
    let rounds = rounds.map(|rest| rest.split('$').next().and_then(|n| n.parse::<u32>().ok()));
    match rounds {
        Some(Some(rounds)) if rounds <= MAX_ROUNDS => {}
        None => {}
        Some(_) => return false,
    }
    sha_crypt::ShaCrypt::default().verify_password(password, text).is_ok()
}

/// `$y$`
pub(super) fn yescrypt(text: &str, password: &[u8]) -> bool {
    let parameters = text.split('$').nth(2).and_then(|p| p.parse::<yescrypt::Params>().ok());
    let affordable = parameters.is_some_and(|p| {
        let memory = p.n().checked_mul(128).and_then(|m| m.checked_mul(u64::from(p.r())));
        memory.is_some_and(|memory| memory <= YESCRYPT_MEMORY) && p.p() <= YESCRYPT_LANES
    });
    affordable && Yescrypt::default().verify_password(password, text).is_ok()
}
