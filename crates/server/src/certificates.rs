//! The server's certificate: the administrator's own (`Settings/tls-certificate.pem` and
//! `Settings/tls-key.pem`), or a self-signed one made at the first start.

use std::io;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

use crate::base::{BaseDirectory, write_private};
use crate::client_certificates::ClientCertificates;

/// TLS as this server offers it.
pub(crate) struct Tls {
    pub(crate) acceptor: TlsAcceptor,
    /// The certificate that is shown, in DER.
    pub(crate) certificate: Vec<u8>,
    /// Whether clients are asked for certificates.
    pub(crate) clients: Arc<ClientCertificates>,
}

/// Loads the certificate, making one for these names if there is none.
pub(crate) fn load(base: &BaseDirectory, names: &[String]) -> io::Result<Tls> {
    let certificate = base.settings().join("tls-certificate.pem");
    let key = base.settings().join("tls-key.pem");
    if !certificate.exists() && !key.exists() {
        make(base, names)?;
    }
    let wrong = |path: &std::path::Path, reason: String| {
        io::Error::new(io::ErrorKind::InvalidData, format!("{}: {reason}", path.display()))
    };
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(&certificate)
        .map_err(|e| wrong(&certificate, e.to_string()))?
        .collect::<Result<_, _>>()
        .map_err(|e| wrong(&certificate, e.to_string()))?;
    let secret = PrivateKeyDer::from_pem_file(&key).map_err(|e| wrong(&key, e.to_string()))?;
    let own = chain.first().map(|own| own.to_vec()).unwrap_or_default();
    let clients = Arc::new(ClientCertificates::new());
    let config = ServerConfig::builder()
        .with_client_cert_verifier(clients.clone())
        .with_single_cert(chain, secret)
        .map_err(|e| wrong(&certificate, e.to_string()))?;
    Ok(Tls { acceptor: TlsAcceptor::from(Arc::new(config)), certificate: own, clients })
}

fn make(base: &BaseDirectory, names: &[String]) -> io::Result<()> {
    let made = rcgen::generate_simple_self_signed(names.to_vec()).map_err(io::Error::other)?;
    write_private(
        &base.settings().join("tls-key.pem"),
        made.signing_key.serialize_pem().as_bytes(),
    )?;
    write_private(&base.settings().join("tls-certificate.pem"), made.cert.pem().as_bytes())
}
