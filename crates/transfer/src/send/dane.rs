//! Certificates checked by TLSA records (RFC 6698, RFC 7671, RFC 7672 section 3).
//!
//! Pure: records, certificates and time are arguments.

use aws_lc_rs::digest::{SHA256, SHA512, digest};
use rustls::pki_types::{CertificateDer, SignatureVerificationAlgorithm, UnixTime};
use rustls::{CertificateError, Error};
use webpki::{EndEntityCert, KeyUsage, anchor_from_trusted_cert};

use super::tls::server_name;
use crate::dns::Tlsa;

/// Most records of one host that are looked at.
const MAX_RECORDS: usize = 20;

/// Most certificates of a chain that are looked at.
const MAX_CHAIN: usize = 10;

/// The records that can be used for SMTP: usages 2 and 3 with known selectors and matching types
/// (RFC 7672 section 3.1).
pub(crate) fn usable(records: &[Tlsa]) -> Vec<Tlsa> {
    let good = |t: &&Tlsa| {
        let length = match t.matching {
            // A bare key in the DNS cannot be the end of a chain.
            0 => !t.data.is_empty() && (t.usage == 3 || t.selector == 0),
            1 => t.data.len() == 32,
            2 => t.data.len() == 64,
            _ => false,
        };
        matches!(t.usage, 2 | 3) && t.selector <= 1 && length
    };
    records.iter().filter(good).take(MAX_RECORDS).cloned().collect()
}

fn matches_record(record: &Tlsa, certificate: &CertificateDer<'_>) -> bool {
    let key;
    let selected: &[u8] = if record.selector == 0 {
        certificate.as_ref()
    } else {
        let Ok(parsed) = EndEntityCert::try_from(certificate) else { return false };
        key = parsed.subject_public_key_info();
        key.as_ref()
    };
    match record.matching {
        0 => selected == record.data,
        1 => digest(&SHA256, selected).as_ref() == record.data,
        2 => digest(&SHA512, selected).as_ref() == record.data,
        _ => false,
    }
}

/// Checks what a server showed against usable records. Usage 3 takes the certificate as it is,
/// whatever its names and dates; usage 2 wants a chain to the named authority, and one of `names`.
pub(crate) fn verify(
    records: &[Tlsa],
    names: &[String],
    end_entity: &CertificateDer<'_>,
    intermediates: &[CertificateDer<'_>],
    algorithms: &[&dyn SignatureVerificationAlgorithm],
    now: UnixTime,
) -> Result<(), Error> {
    if records.iter().any(|r| r.usage == 3 && matches_record(r, end_entity)) {
        return Ok(());
    }
    let mut wrong = Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure);
    let chain = intermediates.get(..intermediates.len().min(MAX_CHAIN)).unwrap_or_default();
    for record in records.iter().filter(|r| r.usage == 2) {
        // The authority stands in the chain, or whole in the record.
        let whole = (record.matching == 0).then(|| CertificateDer::from(record.data.as_slice()));
        let shown = chain.iter().filter(|c| matches_record(record, c));
        for authority in shown.chain(whole.iter()) {
            match chains_to(authority, names, end_entity, chain, algorithms, now) {
                Ok(()) => return Ok(()),
                Err(error) => wrong = error,
            }
        }
        // An authority that signs for itself only.
        if matches_record(record, end_entity) {
            match named(end_entity, names) {
                Ok(()) => return Ok(()),
                Err(error) => wrong = error,
            }
        }
    }
    Err(wrong)
}

fn bad(error: CertificateError) -> Error {
    Error::InvalidCertificate(error)
}

fn chains_to(
    authority: &CertificateDer<'_>,
    names: &[String],
    end_entity: &CertificateDer<'_>,
    chain: &[CertificateDer<'_>],
    algorithms: &[&dyn SignatureVerificationAlgorithm],
    now: UnixTime,
) -> Result<(), Error> {
    let encoding = |_| bad(CertificateError::BadEncoding);
    let anchors = [anchor_from_trusted_cert(authority).map_err(encoding)?];
    let leaf = EndEntityCert::try_from(end_entity).map_err(encoding)?;
    let usage = KeyUsage::server_auth();
    leaf.verify_for_usage(algorithms, &anchors, chain, now, usage, None, None).map_err(
        |error| match error {
            webpki::Error::CertExpired { .. } => bad(CertificateError::Expired),
            _ => bad(CertificateError::UnknownIssuer),
        },
    )?;
    named(end_entity, names)
}

fn named(end_entity: &CertificateDer<'_>, names: &[String]) -> Result<(), Error> {
    let leaf =
        EndEntityCert::try_from(end_entity).map_err(|_| bad(CertificateError::BadEncoding))?;
    let fits = names
        .iter()
        .filter_map(|name| server_name(name))
        .any(|name| leaf.verify_is_valid_for_subject_name(&name).is_ok());
    if fits { Ok(()) } else { Err(bad(CertificateError::NotValidForName)) }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

    use super::*;

    struct Chain {
        leaf: CertificateDer<'static>,
        authority: CertificateDer<'static>,
    }

    fn chain(names: &[&str]) -> Chain {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let names: Vec<String> = names.iter().map(|n| (*n).to_owned()).collect();
        let key = KeyPair::generate().unwrap();
        let leaf = CertificateParams::new(names).unwrap().signed_by(&key, &issuer).unwrap();
        Chain { leaf: leaf.der().clone(), authority: issuer.der().clone() }
    }

    fn tlsa(usage: u8, selector: u8, matching: u8, certificate: &CertificateDer<'_>) -> Tlsa {
        let selected = if selector == 0 {
            certificate.to_vec()
        } else {
            let parsed = EndEntityCert::try_from(certificate).unwrap();
            parsed.subject_public_key_info().to_vec()
        };
        let data = match matching {
            1 => digest(&SHA256, &selected).as_ref().to_vec(),
            2 => digest(&SHA512, &selected).as_ref().to_vec(),
            _ => selected,
        };
        Tlsa { usage, selector, matching, data }
    }

    fn check(record: Tlsa, chain: &Chain, name: &str) -> Result<(), Error> {
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        let algorithms = provider.signature_verification_algorithms.all;
        let now = UnixTime::since_unix_epoch(Duration::from_secs(1_800_000_000));
        let shown = [chain.authority.clone()];
        verify(&[record], &[name.to_owned()], &chain.leaf, &shown, algorithms, now)
    }

    #[test]
    fn every_selector_and_matching_type_finds_its_certificate() {
        let chain = chain(&["mx.far.example"]);
        for selector in 0..=1 {
            for matching in 0..=2 {
                let record = tlsa(3, selector, matching, &chain.leaf);
                assert_eq!(usable(std::slice::from_ref(&record)).len(), 1);
                check(record, &chain, "other.example").unwrap();
                let record = tlsa(2, selector, matching, &chain.authority);
                // 2 1 0 is a bare key: not usable, but found in the chain all the same.
                check(record.clone(), &chain, "mx.far.example").unwrap();
                assert!(check(record, &chain, "other.example").is_err());
            }
        }
    }

    #[test]
    fn another_certificate_does_not_pass() {
        let (one, other) = (chain(&["mx.far.example"]), chain(&["mx.far.example"]));
        assert!(check(tlsa(3, 1, 1, &one.leaf), &other, "mx.far.example").is_err());
        assert!(check(tlsa(2, 0, 1, &one.authority), &other, "mx.far.example").is_err());
        assert!(check(tlsa(2, 0, 0, &one.authority), &other, "mx.far.example").is_err());
        // The authority's own record as usage 3 does not speak for the leaf.
        assert!(check(tlsa(3, 1, 1, &one.authority), &one, "mx.far.example").is_err());
    }

    #[test]
    fn records_for_other_uses_are_not_usable() {
        let chain = chain(&["mx.far.example"]);
        let good = tlsa(3, 1, 1, &chain.leaf);
        for wrong in [
            Tlsa { usage: 0, ..good.clone() },
            Tlsa { usage: 1, ..good.clone() },
            Tlsa { selector: 2, ..good.clone() },
            Tlsa { matching: 3, ..good.clone() },
            Tlsa { data: vec![1; 31], ..good.clone() },
            Tlsa { data: Vec::new(), matching: 0, ..good.clone() },
        ] {
            assert_eq!(usable(&[wrong]), []);
        }
        assert_eq!(usable(std::slice::from_ref(&good)), [good]);
    }
}
