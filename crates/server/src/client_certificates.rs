//! Certificates of clients: asked for when a domain wants them (`ClientCertReq`), never demanded.
//! TLS proves that the client has the key; whose it is and who signed it is decided at the login,
//! so that a certificate nobody knows keeps no connection out. It must never know accounts.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use angarium_accounts::{Accounts, Change, ChangeListener};
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};
use tokio::sync::{Notify, watch};

/// Looked at again after this also when no change was heard of.
const AGAIN: Duration = Duration::from_secs(60);

/// Asks clients for certificates, or not.
#[derive(Debug)]
pub(crate) struct ClientCertificates {
    wanted: AtomicBool,
    provider: CryptoProvider,
}

impl ClientCertificates {
    pub(crate) fn new() -> Self {
        Self { wanted: AtomicBool::new(false), provider: aws_lc_rs::default_provider() }
    }

    /// Asks for them as the domains want it, until the server stops.
    pub(crate) async fn follow(
        self: Arc<Self>,
        accounts: Arc<Accounts>,
        mut stopping: watch::Receiver<bool>,
    ) {
        let changed = Arc::new(Notify::new());
        if !accounts.add_listener(Arc::new(Ear(changed.clone()))) {
            tracing::warn!(tag = "TLS", "changed settings are heard of late");
        }
        loop {
            let wanted = accounts.client_certificates_wanted().await;
            if self.wanted.swap(wanted, Ordering::Relaxed) != wanted {
                let word = if wanted { "asked" } else { "not asked" };
                tracing::info!(tag = "TLS", "clients are {word} for certificates");
            }
            tokio::select! {
                () = changed.notified() => {}
                () = tokio::time::sleep(AGAIN) => {}
                _ = stopping.wait_for(|stop| *stop) => return,
            }
        }
    }
}

/// Hears of changed settings.
struct Ear(Arc<Notify>);

impl ChangeListener for Ear {
    fn changed(&self, change: &Change) {
        if matches!(change, Change::Domain(_) | Change::Settings) {
            self.0.notify_one();
        }
    }
}

impl ClientCertVerifier for ClientCertificates {
    fn offer_client_auth(&self) -> bool {
        self.wanted.load(Ordering::Relaxed)
    }

    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let known = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, known)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let known = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, known)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
