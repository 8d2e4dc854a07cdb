//! A certificate authority of the test's own: certificates for hosts, and what the DNS says of them.

#![allow(dead_code, reason = "each test file uses its part")]
#![allow(clippy::unwrap_used, reason = "a test that cannot set up should fail")]

use std::path::PathBuf;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, PublicKeyData,
};

/// Issues certificates.
pub(crate) struct Authority {
    directory: tempfile::TempDir,
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// A host's certificate and key in files, and the TLSA record (3 1 1) that binds its key.
pub(crate) struct Issued {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
    pub(crate) tlsa: String,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "The test's authority");
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("ca.pem"), issuer.pem()).unwrap();
        Self { directory, issuer }
    }

    /// The authority's own certificate.
    pub(crate) fn certificate(&self) -> PathBuf {
        self.directory.path().join("ca.pem")
    }

    /// The certificate of a host: the same one each time it is asked for.
    pub(crate) fn issue(&self, host: &str) -> Issued {
        let certificate = self.directory.path().join(format!("{host}.pem"));
        let key = self.directory.path().join(format!("{host}.key"));
        let pair = if key.exists() {
            KeyPair::from_pem(&std::fs::read_to_string(&key).unwrap()).unwrap()
        } else {
            let pair = KeyPair::generate().unwrap();
            let params = CertificateParams::new(vec![host.to_owned()]).unwrap();
            let made = params.signed_by(&pair, &self.issuer).unwrap();
            std::fs::write(&certificate, made.pem()).unwrap();
            std::fs::write(&key, pair.serialize_pem()).unwrap();
            pair
        };
        Issued { certificate, key, tlsa: tlsa(&pair) }
    }
}

fn tlsa(pair: &KeyPair) -> String {
    use std::fmt::Write as _;
    let digest =
        aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &pair.subject_public_key_info());
    let mut text = String::from("TLSA 3 1 1 ");
    for octet in digest.as_ref() {
        write!(text, "{octet:02x}").unwrap();
    }
    text
}
