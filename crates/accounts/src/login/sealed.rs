//! Passwords kept readable, sealed with a key of this server: AES-256-GCM, the key kept apart from
//! the accounts. Whoever has the whole base directory can open them; whoever has an account's
//! settings, a dump or an export cannot. It must never know accounts.

use angarium_objects::password::sealed_form;
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::rand;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroize as _;

use crate::Secret;

/// What the sealed text belongs to, so that it cannot be taken for another.
const PURPOSE: &[u8] = b"angarium sealed password 1";

/// The key.
pub(crate) struct SealingKey(LessSafeKey);

impl SealingKey {
    /// Octets of a key.
    pub(crate) const LENGTH: usize = 32;

    /// `None` when the octets are not [`SealingKey::LENGTH`].
    pub(crate) fn new(octets: &[u8]) -> Option<Self> {
        UnboundKey::new(&AES_256_GCM, octets).ok().map(LessSafeKey::new).map(Self)
    }

    /// The stored form of a password; `None` only when random octets are out.
    pub(crate) fn seal(&self, password: &Secret) -> Option<String> {
        let mut nonce = [0; NONCE_LEN];
        rand::fill(&mut nonce).ok()?;
        let mut text = password.expose().to_vec();
        let unique = Nonce::assume_unique_for_key(nonce);
        self.0.seal_in_place_append_tag(unique, Aad::from(PURPOSE), &mut text).ok()?;
        Some(sealed_form(&STANDARD.encode([&nonce[..], &text].concat())))
    }

    /// The password; `None` when another key sealed it or it was changed.
    pub(crate) fn open(&self, sealed: &str) -> Option<Secret> {
        let all = STANDARD.decode(sealed).ok()?;
        let (nonce, text) = all.split_at_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut text = text.to_vec();
        let opened = self.0.open_in_place(nonce, Aad::from(PURPOSE), &mut text).ok()?;
        let secret = Secret::new(opened.to_vec());
        text.zeroize();
        Some(secret)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use angarium_objects::password::{StoredPassword, recognise};

    #[test]
    fn a_sealed_password_opens_with_its_key_alone() {
        let key = SealingKey::new(&[7; 32]).unwrap();
        let stored = key.seal(&Secret::from("tanstaaf")).unwrap();
        assert_ne!(stored, key.seal(&Secret::from("tanstaaf")).unwrap(), "no two are alike");
        let StoredPassword::Sealed(sealed) = recognise(&stored) else { panic!("{stored}") };
        assert!(key.open(sealed).unwrap().matches(b"tanstaaf"));
        assert!(SealingKey::new(&[8; 32]).unwrap().open(sealed).is_none());
        assert!(key.open(&sealed.replace(&sealed[20..24], "AAAA")).is_none());
        for nonsense in ["", "AAAA", "=", "é"] {
            assert!(key.open(nonsense).is_none());
        }
        assert!(SealingKey::new(&[7; 31]).is_none());
    }
}
