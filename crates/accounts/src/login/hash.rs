//! Password hashes: making our own form, comparing with the stored forms of
//! `reference/security.md` section 2: clear text, Argon2 and SCRAM keys here, what other servers
//! made in [`super::schemes`]. Slow functions: run them on the gate's pool.

use std::num::NonZeroU32;

use angarium_objects::password::{self, ScramKeys, StoredPassword};
use argon2::{Algorithm, Argon2, Params, Version};
use aws_lc_rs::{digest, hmac, pbkdf2, rand};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::memory::WorkingMemory;
use super::schemes;
use crate::Secret;
use crate::options::Hashing;

/// Most memory of an Argon2 hash that is computed, in KiB: 1 GiB.
const MAX_MEMORY: u32 = 1024 * 1024;
/// Most memory times passes, so that an imported hash cannot stall the server: 4 GiB in all.
const MAX_WORK: u64 = 4 * 1024 * 1024;
/// Most lanes.
const MAX_LANES: u32 = 64;
/// Bytes of a new salt.
const SALT: usize = 16;

/// What can be said without a slow hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Quick {
    Match,
    Never,
    Slow,
}

/// Compares forms that need no slow hash.
pub(super) fn quick(stored: &str, password: &Secret) -> Quick {
    match password::recognise(stored) {
        StoredPassword::Clear(clear) if password.matches(clear.as_bytes()) => Quick::Match,
        StoredPassword::Argon2 { .. } | StoredPassword::Scram(_) | StoredPassword::Hash { .. } => {
            Quick::Slow
        }
        _ => Quick::Never,
    }
}

/// Compares a password with a stored one of any form.
pub(super) fn verify(memory: &WorkingMemory, stored: &str, password: &Secret) -> bool {
    match password::recognise(stored) {
        StoredPassword::Clear(clear) => password.matches(clear.as_bytes()),
        StoredPassword::Argon2 { phc, .. } => verify_argon2(memory, phc, password),
        StoredPassword::Scram(keys) => {
            let Some(prepared) = prepare(password) else { return false };
            let found = scram_keys(&prepared, &keys.salt, keys.rounds);
            found.is_some_and(|found| found.stored_key.ct_eq(&keys.stored_key).into())
        }
        StoredPassword::Hash { method, text } => schemes::verify(method, text, password.expose()),
        // Opened by whoever has the key, before it comes here.
        StoredPassword::Sealed(_)
        | StoredPassword::Empty
        | StoredPassword::Known(_)
        | StoredPassword::Unknown => false,
    }
}

/// True when a stored form may be compared faster than a new one of our own: a failure must then
/// take as long.
pub(super) fn is_quicker(stored: &str, hashing: Hashing) -> bool {
    match password::recognise(stored) {
        StoredPassword::Hash { .. } | StoredPassword::Scram(_) => true,
        StoredPassword::Argon2 { phc, .. } => read_phc(phc).is_none_or(|phc| {
            let work = |memory, passes| u64::from(memory) * u64::from(passes);
            work(phc.params.m_cost(), phc.params.t_cost())
                < work(hashing.memory_kib, hashing.passes)
        }),
        _ => false,
    }
}

/// Holds an answer of a client against a readable password. Without one a password that nobody
/// has is used, so that nobody sees the difference.
pub(super) fn secret_matches(
    password: Option<&Secret>,
    matches: impl FnOnce(&Secret) -> bool,
) -> bool {
    let mut nobody = [0; 32];
    // Without random octets the answer is still no.
    let _ = rand::fill(&mut nobody);
    let right = matches(password.unwrap_or(&Secret::new(nobody.to_vec())));
    right && password.is_some()
}

/// The parts of an Argon2 PHC string within the limits of this module.
struct Phc {
    algorithm: Algorithm,
    version: Version,
    params: Params,
    salt: Vec<u8>,
    hash: Vec<u8>,
}

fn read_phc(text: &str) -> Option<Phc> {
    let mut parts = text.strip_prefix('$')?.split('$');
    let algorithm = match parts.next()? {
        "argon2id" => Algorithm::Argon2id,
        "argon2i" => Algorithm::Argon2i,
        _ => return None,
    };
    let mut next = parts.next()?;
    let version = match next.strip_prefix("v=") {
        Some(version) => {
            next = parts.next()?;
            match version {
                "19" => Version::V0x13,
                "16" => Version::V0x10,
                _ => return None,
            }
        }
        None => Version::V0x10,
    };
    let (mut memory, mut passes, mut lanes) = (None, None, None);
    for pair in next.split(',') {
        let (key, value) = pair.split_once('=')?;
        let value: u32 = value.parse().ok()?;
        match key {
            "m" => memory = Some(value),
            "t" => passes = Some(value),
            "p" => lanes = Some(value),
            _ => return None,
        }
    }
    let (memory, passes, lanes) = (memory?, passes?, lanes?);
    if memory > MAX_MEMORY || lanes > MAX_LANES || u64::from(memory) * u64::from(passes) > MAX_WORK
    {
        return None;
    }
    let salt = STANDARD_NO_PAD.decode(parts.next()?.trim_end_matches('=')).ok()?;
    let hash = STANDARD_NO_PAD.decode(parts.next()?.trim_end_matches('=')).ok()?;
    if parts.next().is_some() || !(16..=64).contains(&hash.len()) || salt.len() > 64 {
        return None;
    }
    let params = Params::new(memory, passes, lanes, Some(hash.len())).ok()?;
    Some(Phc { algorithm, version, params, salt, hash })
}

/// Compares a password with an Argon2 hash in PHC form.
pub(super) fn verify_argon2(memory: &WorkingMemory, phc: &str, password: &Secret) -> bool {
    let Some(phc) = read_phc(phc) else { return false };
    let mut found = Zeroizing::new(vec![0_u8; phc.hash.len()]);
    let argon2 = Argon2::new(phc.algorithm, phc.version, phc.params);
    memory.hash(&argon2, password.expose(), &phc.salt, &mut found).is_ok()
        && found.as_slice().ct_eq(&phc.hash).into()
}

fn phc_text(hashing: Hashing, salt: &[u8], hash: &[u8]) -> String {
    format!(
        "$argon2id$v=19$m={},t={},p=1${}${}",
        hashing.memory_kib,
        hashing.passes,
        STANDARD_NO_PAD.encode(salt),
        STANDARD_NO_PAD.encode(hash)
    )
}

/// A PHC string with the usual costs whose hash is random: nobody knows a password for it.
pub(super) fn dummy_phc(hashing: Hashing, random: &[u8; 48]) -> String {
    let (salt, hash) = random.split_at(SALT);
    phc_text(hashing, salt, hash)
}

/// What a server tells a SCRAM client before it knows which password is meant: one salt and one
/// number of rounds for all passwords of an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ScramSalt {
    pub(crate) salt: Vec<u8>,
    pub(crate) rounds: u32,
}

impl ScramSalt {
    /// Of the keys in a stored form, if it holds some.
    pub(crate) fn of_stored(stored: &str) -> Option<Self> {
        scram_keys_in(stored).map(|keys| Self { salt: keys.salt, rounds: keys.rounds })
    }
}

/// The SCRAM keys in a stored form, if it holds some.
pub(super) fn scram_keys_in(stored: &str) -> Option<ScramKeys> {
    match password::recognise(stored) {
        StoredPassword::Argon2 { scram: Some(keys), .. } | StoredPassword::Scram(keys) => {
            Some(keys)
        }
        _ => None,
    }
}

/// Our own stored form of a new password, its SCRAM keys with the salt that the account's other
/// passwords have; `None` only when memory or random bytes are out.
pub(crate) fn new_stored(
    memory: &WorkingMemory,
    hashing: Hashing,
    password: &Secret,
    beside: Option<ScramSalt>,
) -> Option<String> {
    let mut salts = [0_u8; 2 * SALT];
    rand::fill(&mut salts).ok()?;
    let (salt, scram_salt) = salts.split_at(SALT);
    let fresh = || ScramSalt { salt: scram_salt.to_vec(), rounds: hashing.scram_rounds };
    let scram = beside.unwrap_or_else(fresh);
    let params = Params::new(hashing.memory_kib, hashing.passes, 1, Some(32)).ok()?;
    let mut hash = [0_u8; 32];
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    memory.hash(&argon2, password.expose(), salt, &mut hash).ok()?;
    let phc = phc_text(hashing, salt, &hash);
    let keys =
        prepare(password).and_then(|prepared| scram_keys(&prepared, &scram.salt, scram.rounds));
    Some(password::own_form(&phc, keys.as_ref()))
}

/// A password prepared for SCRAM (RFC 4013); `None` when it holds what SCRAM forbids.
pub(super) fn prepare(password: &Secret) -> Option<Zeroizing<String>> {
    let text = password.expose_str()?;
    stringprep::saslprep(text)
        .ok()
        .map(|p| Zeroizing::new(p.into_owned()))
        .filter(|p| !p.is_empty())
}

/// SCRAM-SHA-1 keys of a prepared password (RFC 5802 section 3): StoredKey and ServerKey.
pub(super) fn scram_sha1_keys(prepared: &str, salt: &[u8], rounds: u32) -> Option<[Vec<u8>; 2]> {
    let count = NonZeroU32::new(rounds.min(password::MAX_SCRAM_ROUNDS))?;
    let mut salted = Zeroizing::new([0_u8; 20]);
    pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA1, count, salt, prepared.as_bytes(), &mut *salted);
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &*salted);
    let client_key = hmac::sign(&key, b"Client Key");
    let stored = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, client_key.as_ref());
    let server = hmac::sign(&key, b"Server Key");
    Some([stored.as_ref().to_vec(), server.as_ref().to_vec()])
}

/// SCRAM-SHA-256 keys of a prepared password (RFC 5802 section 3).
pub(super) fn scram_keys(prepared: &str, salt: &[u8], rounds: u32) -> Option<ScramKeys> {
    let count = NonZeroU32::new(rounds.min(password::MAX_SCRAM_ROUNDS))?;
    let mut salted = Zeroizing::new([0_u8; 32]);
    pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, count, salt, prepared.as_bytes(), &mut *salted);
    let key = hmac::Key::new(hmac::HMAC_SHA256, &*salted);
    let client_key = hmac::sign(&key, b"Client Key");
    let stored = digest::digest(&digest::SHA256, client_key.as_ref());
    let server = hmac::sign(&key, b"Server Key");
    Some(ScramKeys {
        rounds: count.get(),
        salt: salt.to_vec(),
        stored_key: stored.as_ref().try_into().ok()?,
        server_key: server.as_ref().try_into().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn memory() -> WorkingMemory {
        WorkingMemory::new(Hashing::weak_for_tests().memory_kib, 1)
    }

    // security.md section 2
    #[test]
    fn the_argon2_and_scram_vectors_of_the_reference_match() {
        let secret = Secret::from("secret");
        for stored in [
            "\u{2}$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$OD2fERKj0oKywKI0F6KiQYoP5zImk1vgezgv6L1ANx4",
            "\u{2}{ARGON2I}$argon2i$v=19$m=65536,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$l+ebEsHeU7DHDyI+MNPIB3FXsfJMmsO5dqin6JuKRdw",
            "secret",
            "\u{2}{PLAIN}secret",
        ] {
            assert!(verify(&memory(), stored, &secret), "{stored}");
            assert!(!verify(&memory(), stored, &Secret::from("Secret")), "{stored}");
        }
        let pencil = "\u{2}{SCRAM-SHA-256}4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=";
        assert!(verify(&memory(), pencil, &Secret::from("pencil")));
        assert!(!verify(&memory(), pencil, &Secret::from("pen")));
    }

    // ABU-35
    #[test]
    fn a_form_that_is_compared_faster_than_our_own_is_known() {
        let hashing = Hashing { memory_kib: 64, passes: 2, ..Hashing::weak_for_tests() };
        let own = new_stored(&memory(), hashing, &Secret::from("secret"), None).unwrap();
        assert!(!is_quicker(&own, hashing));
        assert!(is_quicker(&own, Hashing { passes: 3, ..hashing }), "the costs have grown");
        for stored in [
            "\u{2}abNANd1rDfiNc",
            "\u{2}$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHRzb21lc2FsdA$OD2fERKj0oKywKI0F6KiQYoP5zImk1vgezgv6L1ANx4",
            "\u{2}$argon2id$v=19$m=4294967295,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$OD2f",
            "\u{2}{SCRAM-SHA-256}4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=",
        ] {
            assert!(is_quicker(stored, hashing), "{stored}");
        }
    }

    #[test]
    fn other_methods_and_nonsense_never_match() {
        for stored in [
            "\u{2}abNANd1rDfiNd",
            "\u{2}{SHA}5en6G6MezRroT3XKqkdPOmY/BfA=",
            "\u{1}secret",
            "\u{2}$argon2id$",
            "\u{2}$argon2id$v=19$m=4294967295,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$OD2f",
            "\u{2}$argon2id$v=19$m=1048576,t=100,p=1$c29tZXNhbHQ$OD2fERKj0oKywKI0F6KiQYoP5zImk1vgezgv6L1ANx4",
            "\u{2}{ANGARIUM-1}",
            "",
        ] {
            assert!(!verify(&memory(), stored, &Secret::from("secret")), "{stored}");
        }
    }

    #[test]
    fn a_new_password_is_stored_with_scram_keys_and_matches() {
        let stored =
            new_stored(&memory(), Hashing::weak_for_tests(), &Secret::from("päss"), None).unwrap();
        assert!(stored.starts_with("\u{2}{ANGARIUM-1}$argon2id$"));
        assert!(verify(&memory(), &stored, &Secret::from("päss")));
        assert!(!verify(&memory(), &stored, &Secret::from("pass")));
        let StoredPassword::Argon2 { scram: Some(keys), .. } = password::recognise(&stored) else {
            panic!("no keys")
        };
        assert_eq!(keys.rounds, 4096);
        let bytes = Secret::new(vec![0xFF, 0xFE]);
        let stored = new_stored(&memory(), Hashing::weak_for_tests(), &bytes, None).unwrap();
        assert!(verify(&memory(), &stored, &bytes));
    }
}
