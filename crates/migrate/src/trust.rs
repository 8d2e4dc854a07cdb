//! Which certificate of a server is believed: the system's authorities, those of a file, one
//! certificate by its fingerprint, or any. What is refused is told in plain words, with the
//! fingerprint, so that it can be pinned. Must never know a connection.

use std::path::Path;
use std::str::FromStr;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use aws_lc_rs::digest;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{WebPkiSupportedAlgorithms, aws_lc_rs as provider};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, OtherError, RootCertStore,
    SignatureScheme,
};

use crate::error::{MoveError, Result};

/// Largest file of authorities, octets.
const MAX_AUTHORITIES: u64 = 16 * 1024 * 1024;
/// Names of a certificate that are told.
const NAMES_TOLD: usize = 5;

/// SHA-256 of a certificate in DER.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// The fingerprint of a certificate.
    #[must_use]
    pub fn of(certificate: &[u8]) -> Self {
        let mut octets = [0; 32];
        octets.copy_from_slice(digest::digest(&digest::SHA256, certificate).as_ref());
        Self(octets)
    }
}

impl std::fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("sha256:")?;
        self.0.iter().try_for_each(|b| write!(f, "{b:02x}"))
    }
}

impl std::fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self}")
    }
}

impl FromStr for Fingerprint {
    type Err = String;

    /// Reads 64 hex digits, with `sha256:` before them or not, with colons between them or not, as
    /// `openssl x509 -fingerprint -sha256` prints them.
    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let wrong = || format!("\"{text}\" is no SHA-256 fingerprint: 64 hex digits are wanted");
        let bare = text.rsplit_once('=').map_or(text, |(_, digits)| digits);
        let bare = match bare.get(..7) {
            Some(kind) if kind.eq_ignore_ascii_case("sha256:") => bare.get(7..).unwrap_or_default(),
            _ => bare,
        };
        let digits: Vec<u8> = bare.bytes().filter(|b| !matches!(b, b':' | b' ')).collect();
        if digits.len() != 64 {
            return Err(wrong());
        }
        let mut octets = [0; 32];
        for (octet, pair) in octets.iter_mut().zip(digits.chunks(2)) {
            let pair = std::str::from_utf8(pair).map_err(|_| wrong())?;
            *octet = u8::from_str_radix(pair, 16).map_err(|_| wrong())?;
        }
        Ok(Self(octets))
    }
}

/// Which certificate is believed.
#[derive(Clone, Debug, Default)]
pub enum Trust {
    /// One signed by an authority the system trusts, for the name that was asked for.
    #[default]
    System,
    /// Any (`--insecure`). Signatures of the handshake are still checked.
    Any,
    /// One signed by an authority of a file, or one of the file itself (`--ca`).
    Authorities(Arc<Vec<CertificateDer<'static>>>),
    /// This one and no other, whatever it says (`--pin`).
    Pinned(Fingerprint),
}

impl Trust {
    /// Reads a file of certificates in PEM.
    ///
    /// # Errors
    /// `File` if it cannot be read or holds none.
    pub fn authorities(path: &Path) -> Result<Self> {
        let wrong = |reason: String| MoveError::File { path: path.display().to_string(), reason };
        let text = crate::options::read_small(path, MAX_AUTHORITIES)?;
        let all: std::result::Result<Vec<_>, _> =
            CertificateDer::pem_slice_iter(text.as_bytes()).collect();
        let all = all.map_err(|e| wrong(e.to_string()))?;
        if all.is_empty() {
            return Err(wrong("it holds no certificate in PEM".into()));
        }
        Ok(Self::Authorities(Arc::new(all)))
    }
}

/// Why a certificate was not believed.
#[derive(Debug, thiserror::Error)]
#[error("{why} (its fingerprint is {fingerprint})")]
pub(crate) struct Disbelieved {
    /// In plain words.
    pub(crate) why: String,
    /// Its fingerprint.
    pub(crate) fingerprint: Fingerprint,
}

/// What an observer was shown: the end certificate and why it would not be believed.
pub(crate) type Seen = Arc<Mutex<Option<(CertificateDer<'static>, Option<String>)>>>;

/// The configuration for a connection. Those of the system's authorities are read once for the
/// whole process.
pub fn config(trust: &Trust) -> std::result::Result<Arc<ClientConfig>, String> {
    static SYSTEM: OnceLock<Arc<ClientConfig>> = OnceLock::new();
    static ANY: OnceLock<Arc<ClientConfig>> = OnceLock::new();
    let kept = match trust {
        Trust::System => &SYSTEM,
        Trust::Any => &ANY,
        Trust::Authorities(_) | Trust::Pinned(_) => return built(trust, None),
    };
    if let Some(config) = kept.get() {
        return Ok(config.clone());
    }
    let made = built(trust, None)?;
    Ok(kept.get_or_init(|| made).clone())
}

/// A configuration that goes on with any certificate and notes what this trust would have said.
pub(crate) fn observing(trust: &Trust) -> std::result::Result<(Arc<ClientConfig>, Seen), String> {
    let seen = Seen::default();
    Ok((built(trust, Some(seen.clone()))?, seen))
}

fn built(trust: &Trust, seen: Option<Seen>) -> std::result::Result<Arc<ClientConfig>, String> {
    let crypto = Arc::new(provider::default_provider());
    let rule = match trust {
        Trust::Any => Rule::Any,
        Trust::Pinned(fingerprint) => Rule::Pinned(*fingerprint),
        Trust::System => {
            let verifier = rustls_platform_verifier::Verifier::new(crypto.clone());
            Rule::Chain(Arc::new(verifier.map_err(|e| e.to_string())?), Arc::default())
        }
        Trust::Authorities(all) => {
            let mut roots = RootCertStore::empty();
            roots.add_parsable_certificates(all.iter().cloned());
            let verifier =
                WebPkiServerVerifier::builder_with_provider(roots.into(), crypto.clone()).build();
            Rule::Chain(verifier.map_err(|e| e.to_string())?, all.clone())
        }
    };
    let algorithms = crypto.signature_verification_algorithms;
    let config = ClientConfig::builder_with_provider(crypto)
        .with_safe_default_protocol_versions()
        .map_err(|e| e.to_string())?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Believer { rule, algorithms, seen }))
        .with_no_client_auth();
    Ok(Arc::new(config))
}

#[derive(Debug)]
enum Rule {
    Any,
    Pinned(Fingerprint),
    /// By its chain, or because it is one of these itself.
    Chain(Arc<dyn ServerCertVerifier>, Arc<Vec<CertificateDer<'static>>>),
}

#[derive(Debug)]
struct Believer {
    rule: Rule,
    algorithms: WebPkiSupportedAlgorithms,
    seen: Option<Seen>,
}

impl ServerCertVerifier for Believer {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> std::result::Result<ServerCertVerified, Error> {
        let fingerprint = Fingerprint::of(end_entity);
        let judged = match &self.rule {
            Rule::Any => Ok(()),
            Rule::Pinned(wanted) if *wanted == fingerprint => Ok(()),
            Rule::Pinned(wanted) => Err(format!("its certificate is not the pinned one, {wanted}")),
            Rule::Chain(_, listed) if listed.iter().any(|one| one == end_entity) => Ok(()),
            Rule::Chain(verifier, _) => verifier
                .verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
                .map(|_| ())
                .map_err(|e| plain(&e)),
        };
        if let Some(seen) = &self.seen {
            let found = (end_entity.clone().into_owned(), judged.err());
            *seen.lock().unwrap_or_else(PoisonError::into_inner) = Some(found);
            return Ok(ServerCertVerified::assertion());
        }
        judged.map(|()| ServerCertVerified::assertion()).map_err(|why| {
            let disbelieved = Disbelieved { why, fingerprint };
            Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(disbelieved))))
        })
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls12_signature(message, cert, dss, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// Why a certificate is not believed, in plain words.
fn plain(error: &Error) -> String {
    use CertificateError as Wrong;
    let Error::InvalidCertificate(wrong) = error else { return error.to_string() };
    match wrong {
        Wrong::UnknownIssuer => {
            "its certificate is signed by no authority that is trusted here".into()
        }
        Wrong::Expired | Wrong::ExpiredContext { .. } => "its certificate has expired".into(),
        Wrong::NotValidYet | Wrong::NotValidYetContext { .. } => {
            "its certificate is not valid yet; is the clock right?".into()
        }
        Wrong::Revoked => "its certificate was revoked".into(),
        Wrong::NotValidForName => "its certificate is for another name".into(),
        Wrong::NotValidForNameContext { expected, presented } => {
            let names: Vec<String> = presented
                .iter()
                .take(NAMES_TOLD)
                .map(|n| bare(n).chars().filter(|c| !c.is_control()).take(255).collect())
                .collect();
            format!(
                "its certificate is not for {} but for {}",
                expected.to_str(),
                if names.is_empty() { "no name".to_owned() } else { names.join(", ") }
            )
        }
        _ => format!("its certificate is not good: {error}"),
    }
}

/// A name of a certificate, which the verifier tells as `DnsName("…")`.
fn bare(told: &str) -> &str {
    let inside = told.split_once('"').and_then(|(_, rest)| rest.rsplit_once('"'));
    inside.map_or(told, |(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_is_read_as_tools_print_it() {
        let one = Fingerprint::of(b"certificate");
        let text = one.to_string();
        assert_eq!(text.parse(), Ok(one));
        let digits = text.trim_start_matches("sha256:").to_ascii_uppercase();
        assert_eq!(digits.parse(), Ok(one));
        let pairs: Vec<String> =
            digits.as_bytes().chunks(2).map(|p| String::from_utf8_lossy(p).into_owned()).collect();
        assert_eq!(format!("sha256 Fingerprint={}", pairs.join(":")).parse(), Ok(one));
        for bad in ["", "sha256:", "abc", &"g".repeat(64), &"ü".repeat(32)] {
            assert!(bad.parse::<Fingerprint>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_file_without_certificates_is_no_file_of_authorities() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ca.pem");
        std::fs::write(&path, "nothing\n").unwrap();
        assert!(Trust::authorities(&path).is_err());
        assert!(Trust::authorities(&folder.path().join("none")).is_err());
    }
}
