//! TLS towards other servers: which certificates are good enough, and how a failure is named in
//! reports (RFC 8460 section 4.3).
//!
//! It must never know why a check was chosen: that is [`super::policy`]'s business.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
use rustls_platform_verifier::Verifier;

use super::dane;
use crate::dns::Tlsa;

/// What a certificate must show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Check {
    /// Nothing: encryption against listeners only.
    None,
    /// A chain to a trusted root, and one of these names.
    Names(Vec<String>),
    /// What TLSA records say; the names count for usage 2.
    Dane {
        /// Usable ones.
        records: Vec<Tlsa>,
        /// The host, and the domain.
        names: Vec<String>,
    },
}

/// What is needed to speak TLS as a client; made once.
pub struct TlsClient {
    provider: Arc<CryptoProvider>,
    any: Arc<ClientConfig>,
    roots: Result<Arc<dyn ServerCertVerifier>, String>,
}

impl TlsClient {
    /// Trusts what the system trusts, and these roots.
    ///
    /// # Errors
    /// The TLS library has no protocol version in common with itself; for people.
    pub fn new(extra_roots: Vec<CertificateDer<'static>>) -> Result<Self, String> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let any: Arc<dyn ServerCertVerifier> =
            Arc::new(Checked { provider: Arc::clone(&provider), roots: None, check: Check::None });
        let any = config(&provider, any).map_err(|error| error.to_string())?;
        // A machine without roots can still send: only what asks for a good certificate waits.
        let roots = Verifier::new_with_extra_roots(extra_roots, Arc::clone(&provider))
            .map(|verifier| -> Arc<dyn ServerCertVerifier> { Arc::new(verifier) })
            .map_err(|error| error.to_string());
        Ok(Self { provider, any: Arc::new(any), roots })
    }

    /// A configuration for one connection. Those that check share nothing with others, so that no
    /// session that was checked less is taken up again.
    pub(crate) fn config(&self, check: &Check) -> Result<Arc<ClientConfig>, String> {
        if *check == Check::None {
            return Ok(Arc::clone(&self.any));
        }
        let roots = match (check, &self.roots) {
            (Check::Names(_), Err(error)) => return Err(format!("no trusted roots: {error}")),
            (_, roots) => roots.as_ref().ok().map(Arc::clone),
        };
        let provider = Arc::clone(&self.provider);
        let verifier = Arc::new(Checked { provider, roots, check: check.clone() });
        config(&self.provider, verifier).map(Arc::new).map_err(|error| error.to_string())
    }

    /// A configuration for HTTPS, where the name is the URL's.
    pub(crate) fn https(&self) -> Result<ClientConfig, String> {
        let roots = self.roots.clone().map_err(|error| format!("no trusted roots: {error}"))?;
        config(&self.provider, roots).map_err(|error| error.to_string())
    }
}

fn config(
    provider: &Arc<CryptoProvider>,
    verifier: Arc<dyn ServerCertVerifier>,
) -> Result<ClientConfig, Error> {
    Ok(ClientConfig::builder_with_provider(Arc::clone(provider))
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth())
}

/// The name for SNI; an address literal has none that helps, but the library wants one.
pub(crate) fn server_name(host: &str) -> Option<ServerName<'static>> {
    ServerName::try_from(host.to_owned()).ok()
}

#[derive(Debug)]
struct Checked {
    provider: Arc<CryptoProvider>,
    roots: Option<Arc<dyn ServerCertVerifier>>,
    check: Check,
}

impl ServerCertVerifier for Checked {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        match &self.check {
            Check::None => Ok(ServerCertVerified::assertion()),
            Check::Dane { records, names } => {
                let algorithms = self.provider.signature_verification_algorithms.all;
                dane::verify(records, names, end_entity, intermediates, algorithms, now)?;
                Ok(ServerCertVerified::assertion())
            }
            Check::Names(names) => {
                let unknown = || Error::InvalidCertificate(CertificateError::UnknownIssuer);
                let roots = self.roots.as_ref().ok_or_else(unknown)?;
                let mut first = None;
                for name in names.iter().filter_map(|n| server_name(n)) {
                    let answer = roots.verify_server_cert(
                        end_entity,
                        intermediates,
                        &name,
                        ocsp_response,
                        now,
                    );
                    match answer {
                        Ok(verified) => return Ok(verified),
                        Err(error) => first = first.or(Some(error)),
                    }
                }
                Err(first.unwrap_or_else(unknown))
            }
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, cert, dss, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// How reports name a failed handshake (RFC 8460 section 4.3).
pub(crate) fn failure_type(error: &std::io::Error) -> &'static str {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>());
    let Some(Error::InvalidCertificate(wrong)) = inner else { return "validation-failure" };
    match wrong {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "certificate-expired"
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "certificate-host-mismatch"
        }
        CertificateError::UnknownIssuer => "certificate-not-trusted",
        CertificateError::ApplicationVerificationFailure => "validation-failure",
        _ => "certificate-not-trusted",
    }
}
