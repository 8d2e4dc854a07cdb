//! Dictionaries of the server that are kept for programs which read and write them, each under
//! the right its commands ask for: sessions, network, resolver, log, directory integration,
//! trusted certificates.

use angarium_objects::rights::SETTINGS;
use angarium_objects::settings::Scope;
use angarium_objects::value::{Dictionary, Value};
use angarium_store::SettingsKey;

use super::OperationError;
use super::edit::How;
use crate::{Accounts, Actor};

/// Most trusted certificates.
const MAX_CERTIFICATES: usize = 1_000;
/// Largest certificate, in bytes.
const MAX_CERTIFICATE: usize = 64 * 1024;
/// The key they are kept under.
const CERTIFICATES: &str = "Certificates";

/// Those of these modules that GETMODULE does not show: their commands ask for another right.
pub(super) const GUARDED_MODULES: [&str; 2] = ["DirectoryIntegration", "TrustedCerts"];

/// One of the kept dictionaries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// Limits of user sessions.
    Sessions,
    /// Networks.
    Network,
    /// The resolver.
    Resolver,
    /// The log.
    Log,
    /// What is written to the directory.
    DirectoryIntegration,
}

impl Kept {
    fn module(self) -> &'static str {
        match self {
            Self::Sessions => "Session",
            Self::Network => "Network",
            Self::Resolver => "DNR",
            Self::Log => "Log",
            Self::DirectoryIntegration => "DirectoryIntegration",
        }
    }
}

fn key(module: &str) -> SettingsKey {
    SettingsKey::Module(module.to_owned())
}

/// A certificate is at least one DER sequence that fills its octets (X.690 section 8.1).
fn is_certificate(octets: &[u8]) -> bool {
    let [0x30, length, rest @ ..] = octets else { return false };
    if octets.len() > MAX_CERTIFICATE {
        return false;
    }
    let (size, content) = match length {
        0..=127 => (usize::from(*length), rest),
        0x81..=0x83 => {
            let Some((bytes, content)) = rest.split_at_checked(usize::from(length & 0x7F)) else {
                return false;
            };
            (bytes.iter().fold(0usize, |size, byte| (size << 8) | usize::from(*byte)), content)
        }
        _ => return false,
    };
    size > 0 && content.len() == size
}

impl Accounts {
    async fn need_for(&self, actor: &Actor, kept: Kept) -> Result<(), OperationError> {
        let authority = self.authority(actor).await?;
        match kept {
            Kept::DirectoryIntegration => authority.need_all_domains(),
            _ => authority.need_server(SETTINGS),
        }
    }

    /// One of the kept dictionaries.
    ///
    /// # Errors
    /// See [`OperationError`].
    pub async fn kept_settings(
        &self,
        actor: &Actor,
        kept: Kept,
    ) -> Result<Dictionary, OperationError> {
        self.need_for(actor, kept).await?;
        Ok((*self.dictionary(key(kept.module())).await?).clone())
    }

    /// Replaces one of the kept dictionaries, or lays new values over it.
    ///
    /// # Errors
    /// See [`OperationError`].
    pub async fn change_kept_settings(
        &self,
        actor: &Actor,
        kept: Kept,
        settings: Dictionary,
        how: How,
    ) -> Result<(), OperationError> {
        self.need_for(actor, kept).await?;
        let module = kept.module();
        self.edit_dictionary(key(module), |old| {
            Ok(how.apply(Scope::of_module(module), old, &settings)?)
        })
        .await
    }

    /// Certificates of authorities that are trusted beside the system's, as X.509 octets.
    ///
    /// # Errors
    /// See [`OperationError`].
    pub async fn trusted_certificates(&self, actor: &Actor) -> Result<Value, OperationError> {
        self.authority(actor).await?.need_all_domains()?;
        let all = self.dictionary(key("TrustedCerts")).await?;
        Ok(all.get(CERTIFICATES).cloned().unwrap_or(Value::Array(Vec::new())))
    }

    /// Replaces the trusted certificates.
    ///
    /// # Errors
    /// See [`OperationError`]; also for what is no certificate and for too many.
    pub async fn set_trusted_certificates(
        &self,
        actor: &Actor,
        certificates: Vec<Value>,
    ) -> Result<(), OperationError> {
        self.authority(actor).await?.need_all_domains()?;
        if certificates.len() > MAX_CERTIFICATES {
            return Err(OperationError::LimitExceeded(format!("{MAX_CERTIFICATES} certificates")));
        }
        let fine = |one: &Value| matches!(one, Value::Data(octets) if is_certificate(octets));
        if !certificates.iter().all(fine) {
            let text = "an array of X.509 certificates as datablocks is expected";
            return Err(OperationError::Syntax(text.to_owned()));
        }
        let all = Dictionary::from([(CERTIFICATES.to_owned(), Value::Array(certificates))]);
        self.edit_dictionary(key("TrustedCerts"), |old| {
            Ok(How::Replace.apply(Scope::Module, old, &all)?)
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_one_sequence_that_fills_its_octets() {
        assert!(is_certificate(&[0x30, 2, 5, 0]));
        let mut long = vec![0x30, 0x82, 0x01, 0x00];
        long.extend(vec![0; 256]);
        assert!(is_certificate(&long));
        long.push(0);
        assert!(!is_certificate(&long));
        for wrong in [&[][..], &[0x30], &[0x31, 1, 0], &[0x30, 0], &[0x30, 0x82, 1], &[0x30, 0x84]]
        {
            assert!(!is_certificate(wrong), "{wrong:?}");
        }
    }
}
