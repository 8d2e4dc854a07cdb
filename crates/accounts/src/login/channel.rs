//! What a TLS session says of itself, as far as logins ask: data that bind an exchange to it
//! (RFC 5929, RFC 9266), and the certificate the client proved to have the key of. It must never
//! know TLS: the drivers take these data out of it.

use std::sync::Arc;

use arc_swap::ArcSwap;
use aws_lc_rs::digest;
use x509_cert::Certificate;
use x509_cert::der::Decode as _;

/// Octets of a binding of the type `tls-exporter` (RFC 9266 section 2).
pub const EXPORTER_LENGTH: usize = 32;
/// The exporter's label.
pub const EXPORTER_LABEL: &[u8] = b"EXPORTER-Channel-Binding";
/// Most certificates of a client's chain that are looked at.
const MAX_CHAIN: usize = 10;
/// Most of our own certificates that clients may have seen.
const MAX_OWN: usize = 64;

/// One TLS session, as seen from the server.
#[derive(Clone, Debug, Default)]
pub struct Channel {
    exporter: Option<[u8; EXPORTER_LENGTH]>,
    chain: Vec<Vec<u8>>,
}

impl Channel {
    /// `exporter` is what the session exports under [`EXPORTER_LABEL`] with an empty context, of
    /// sessions of TLS 1.3 alone; `chain` are the client's certificates in DER, its own first.
    #[must_use]
    pub fn new(exporter: Option<[u8; EXPORTER_LENGTH]>, mut chain: Vec<Vec<u8>>) -> Self {
        chain.truncate(MAX_CHAIN);
        chain.shrink_to_fit();
        Self { exporter, chain }
    }

    /// The client's certificates in DER, its own first; empty when it showed none. TLS proved
    /// that it has the key; who signed them is another question.
    pub(super) fn chain(&self) -> &[Vec<u8>] {
        &self.chain
    }

    /// True when logins can be bound to this session.
    pub(super) fn binds(&self) -> bool {
        self.exporter.is_some()
    }
}

/// The hashes of the certificates this server shows (RFC 5929 section 4.1).
#[derive(Default)]
pub(crate) struct OwnCertificates(ArcSwap<Vec<Vec<u8>>>);

impl OwnCertificates {
    /// Sets them anew, in DER.
    pub(crate) fn set(&self, certificates: &[Vec<u8>]) {
        let hashes = certificates.iter().take(MAX_OWN).filter_map(|der| end_point(der)).collect();
        self.0.store(Arc::new(hashes));
    }

    /// What a client may have bound its login to by a binding's name: any one of these. `None`
    /// for types that are not known here. A man in the middle shows another certificate than any
    /// of ours, so it does not matter which of them the client saw.
    pub(super) fn bindings(&self, name: &str, channel: &Channel) -> Option<Vec<Vec<u8>>> {
        match name {
            "tls-exporter" => Some(channel.exporter.iter().map(|data| data.to_vec()).collect()),
            "tls-server-end-point" => Some(self.0.load().to_vec()),
            _ => None,
        }
    }
}

/// Hash of a certificate by the algorithm of its signature; MD5 and SHA-1 give way to SHA-256.
/// `None` where the RFC defines none (EdDSA, RSA-PSS with its parameters).
fn end_point(der: &[u8]) -> Option<Vec<u8>> {
    let certificate = Certificate::from_der(der).ok()?;
    let algorithm = match certificate.signature_algorithm().oid.to_string().as_str() {
        // md5, sha1 and sha256 with RSA; SHA-1 and SHA-256 with ECDSA
        "1.2.840.113549.1.1.4"
        | "1.2.840.113549.1.1.5"
        | "1.2.840.113549.1.1.11"
        | "1.2.840.10045.4.1"
        | "1.2.840.10045.4.3.2" => &digest::SHA256,
        "1.2.840.113549.1.1.12" | "1.2.840.10045.4.3.3" => &digest::SHA384,
        "1.2.840.113549.1.1.13" | "1.2.840.10045.4.3.4" => &digest::SHA512,
        _ => return None,
    };
    Some(digest::digest(algorithm, der).as_ref().to_vec())
}
