//! How the passwords of a domain are stored: how far the upgrade to our own form has come. Looks
//! at forms alone; no hash leaves it.

use std::collections::BTreeMap;

use angarium_objects::password::{HashMethod, StoredPassword, recognise};
use angarium_objects::value::Value;

use super::OperationError;
use crate::{Accounts, Actor};

/// How many accounts have which form of password.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PasswordForms {
    /// Accounts in all.
    pub accounts: u64,
    /// In our own form, with keys for SCRAM or without.
    pub own: u64,
    /// Readable by the server by choice: clear or sealed.
    pub readable: u64,
    /// Without a password of their own.
    pub none: u64,
    /// Hashes of other servers that give way to our own form at the next good login, by method.
    pub foreign: BTreeMap<&'static str, u64>,
    /// What never matches: no method that is verified here.
    pub never: u64,
}

impl PasswordForms {
    fn count(&mut self, stored: &str) {
        self.accounts += 1;
        match recognise(stored) {
            StoredPassword::Empty => self.none += 1,
            StoredPassword::Clear(_) | StoredPassword::Sealed(_) => self.readable += 1,
            StoredPassword::Argon2 { .. } => self.own += 1,
            StoredPassword::Scram(_) => *self.foreign.entry("SCRAM-SHA-256").or_default() += 1,
            StoredPassword::Hash { method, .. } => {
                *self.foreign.entry(HashMethod::name(method)).or_default() += 1;
            }
            StoredPassword::Known(_) | StoredPassword::Unknown => self.never += 1,
        }
    }

    /// Hashes that are still to be replaced.
    #[must_use]
    pub fn waiting(&self) -> u64 {
        self.foreign.values().sum()
    }
}

impl Accounts {
    /// The forms in which the passwords of a domain (`""`: one's own) are stored.
    ///
    /// # Errors
    /// See [`OperationError`].
    pub async fn password_forms(
        &self,
        actor: &Actor,
        domain: &str,
    ) -> Result<PasswordForms, OperationError> {
        let facts = self.readable_domain(actor, domain).await?;
        let mut forms = PasswordForms::default();
        self.each_account(&facts.record.name, |record| {
            let stored = record.settings.get("Password").and_then(Value::as_str);
            forms.count(stored.unwrap_or_default());
        })
        .await?;
        Ok(forms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form_is_counted_under_its_method() {
        let mut forms = PasswordForms::default();
        for stored in [
            "",
            "clear",
            "\u{1}{ANGARIUM-SEALED-1}abc",
            "\u{2}{ANGARIUM-1}$argon2id$v=19$x|",
            "\u{2}{SSHA}F3tJ8vk8rDhGy6QRPrvpPoxIffIwMTIzNDU2Nw==",
            "\u{2}{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=",
            "\u{2}$1$saltsalt$9xy1btjgzLYfb7hivXtC//",
            "\u{2}nonsense",
            "\u{2}$7$C6..../....",
        ] {
            forms.count(stored);
        }
        assert_eq!((forms.accounts, forms.none, forms.readable, forms.own), (9, 1, 2, 1));
        assert_eq!((forms.waiting(), forms.never), (3, 2));
        assert_eq!(forms.foreign, BTreeMap::from([("MD5-crypt", 1), ("SHA", 2)]));
    }
}
