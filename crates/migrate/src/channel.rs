//! What a TLS session gives a login to be bound to (RFC 5929, RFC 9266), and what a certificate
//! says. Pure but for the session it is taken from.

use aws_lc_rs::digest;
use rustls::ProtocolVersion;
use x509_cert::Certificate;
use x509_cert::der::Decode as _;

use crate::login::scram::Binding;

/// Octets of a binding of the type `tls-exporter` (RFC 9266 section 2).
const EXPORTER_LENGTH: usize = 32;
/// The exporter's label.
const EXPORTER_LABEL: &[u8] = b"EXPORTER-Channel-Binding";

/// What one session can be known by.
#[derive(Clone, Debug, Default)]
pub(crate) struct Channel {
    /// TLS runs.
    pub(crate) encrypted: bool,
    exporter: Option<[u8; EXPORTER_LENGTH]>,
    end_point: Option<Vec<u8>>,
}

impl Channel {
    /// Takes it out of a session.
    pub(crate) fn of(session: &rustls::ClientConnection) -> Self {
        let modern = session.protocol_version() == Some(ProtocolVersion::TLSv1_3);
        let exporter = modern.then(|| {
            session.export_keying_material([0; EXPORTER_LENGTH], EXPORTER_LABEL, Some(b"")).ok()
        });
        let first = session.peer_certificates().and_then(|all| all.first());
        Self {
            encrypted: true,
            exporter: exporter.flatten(),
            end_point: first.and_then(|der| end_point(der)),
        }
    }

    /// True when a login can be bound to it.
    pub(crate) fn binds(&self) -> bool {
        self.exporter.is_some() || self.end_point.is_some()
    }

    /// What a login says of the channel: bound by the best there is, or why not.
    pub(crate) fn binding(&self, bound: bool, server_offers: bool) -> Binding {
        if bound {
            if let Some(data) = self.exporter {
                return Binding::By("tls-exporter", data.to_vec());
            }
            if let Some(data) = &self.end_point {
                return Binding::By("tls-server-end-point", data.clone());
            }
        }
        // A server that does offer it must not hear that it did not.
        if self.encrypted && self.binds() && !server_offers {
            Binding::NotOffered
        } else {
            Binding::Unknown
        }
    }
}

/// Hash of a certificate by the algorithm of its signature; MD5 and SHA-1 give way to SHA-256
/// (RFC 5929 section 4.1). `None` where the RFC defines none.
fn end_point(der: &[u8]) -> Option<Vec<u8>> {
    let certificate = Certificate::from_der(der).ok()?;
    let algorithm = match certificate.signature_algorithm().oid.to_string().as_str() {
        // RSA with MD5, SHA-1, SHA-256; ECDSA with SHA-1, SHA-256
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

/// What a certificate says of itself, for people.
#[derive(Clone, Debug, Default, serde::Serialize)]
pub struct CertificateFacts {
    /// Whose it is.
    pub subject: String,
    /// Who signed it.
    pub issuer: String,
    /// Until when it is good.
    pub not_after: String,
    /// Its SHA-256 fingerprint, as `--pin` takes it.
    pub fingerprint: String,
}

/// Reads them; a certificate that cannot be read has a fingerprint all the same.
pub(crate) fn facts(der: &[u8]) -> CertificateFacts {
    let fingerprint = crate::trust::Fingerprint::of(der).to_string();
    let Ok(certificate) = Certificate::from_der(der) else {
        return CertificateFacts { fingerprint, ..CertificateFacts::default() };
    };
    let tbs = certificate.tbs_certificate();
    let short = |text: String| text.chars().filter(|c| !c.is_control()).take(300).collect();
    CertificateFacts {
        subject: short(tbs.subject().to_string()),
        issuer: short(tbs.issuer().to_string()),
        not_after: tbs.validity().not_after.to_date_time().to_string(),
        fingerprint,
    }
}
