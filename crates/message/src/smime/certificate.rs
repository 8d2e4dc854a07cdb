//! A certificate as the recipient of encrypted mail: read, judged, and reduced to what the
//! envelope needs. It must never know messages.

use cms::cert::IssuerAndSerialNumber;
use der::asn1::ObjectIdentifier;
use der::{Any, Decode as _, Encode as _};
use x509_cert::Certificate;
use x509_cert::ext::pkix::{ExtendedKeyUsage, KeyUsage, KeyUsages};
use x509_cert::spki::{AlgorithmIdentifierOwned, SubjectPublicKeyInfoOwned};

use super::{MAX_CERTIFICATE, SmimeError};

pub(super) const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
pub(super) const RSA_OAEP: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.7");
pub(super) const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
const P521: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.35");
const FOR_MAIL: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.4");
const FOR_ANYTHING: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.37.0");

/// Bits an RSA key may have.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

/// Curves keys may lie on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Curve {
    P256,
    P384,
    P521,
}

/// A recipient's public key.
#[derive(Clone, Debug)]
pub(super) enum Key {
    /// As `SubjectPublicKeyInfo` of `rsaEncryption`; with the parameters of OAEP if it wants it.
    Rsa { info: Vec<u8>, oaep: Option<Option<Any>> },
    /// As an uncompressed or compressed point.
    Ec { curve: Curve, point: Vec<u8> },
}

/// Somebody for whom mail can be encrypted.
#[derive(Clone, Debug)]
pub struct Recipient {
    pub(super) id: IssuerAndSerialNumber,
    pub(super) key: Key,
}

impl Recipient {
    /// The recipient a certificate (in DER) stands for, at a moment (seconds since 1970).
    ///
    /// # Errors
    /// What is wrong with the certificate.
    pub fn of_certificate(der: &[u8], now: i64) -> Result<Self, SmimeError> {
        if der.len() > MAX_CERTIFICATE {
            return Err(SmimeError::CertificateTooLarge);
        }
        let certificate = Certificate::from_der(der).map_err(|_| SmimeError::Unreadable)?;
        let tbs = certificate.tbs_certificate();
        let seconds = |t: &x509_cert::time::Time| {
            i64::try_from(t.to_unix_duration().as_secs()).unwrap_or(i64::MAX)
        };
        if now < seconds(&tbs.validity().not_before) {
            return Err(SmimeError::NotYet);
        }
        if now > seconds(&tbs.validity().not_after) {
            return Err(SmimeError::Expired);
        }
        let key = key(tbs.subject_public_key_info())?;
        let wanted = match key {
            Key::Rsa { .. } => KeyUsages::KeyEncipherment,
            Key::Ec { .. } => KeyUsages::KeyAgreement,
        };
        let usage = tbs.get_extension::<KeyUsage>().map_err(|_| SmimeError::Unreadable)?;
        if usage.is_some_and(|(_, usage)| !usage.0.contains(wanted)) {
            return Err(SmimeError::Purpose);
        }
        let purposes =
            tbs.get_extension::<ExtendedKeyUsage>().map_err(|_| SmimeError::Unreadable)?;
        let for_mail = |oid: &ObjectIdentifier| *oid == FOR_MAIL || *oid == FOR_ANYTHING;
        if purposes.is_some_and(|(_, purposes)| !purposes.0.iter().any(for_mail)) {
            return Err(SmimeError::Purpose);
        }
        let id = IssuerAndSerialNumber {
            issuer: tbs.issuer().clone(),
            serial_number: tbs.serial_number().clone(),
        };
        Ok(Self { id, key })
    }
}

fn key(info: &SubjectPublicKeyInfoOwned) -> Result<Key, SmimeError> {
    let point = info.subject_public_key.as_bytes().ok_or(SmimeError::Key)?;
    match info.algorithm.oid {
        RSA => rsa(info.clone(), None),
        RSA_OAEP => {
            let oaep = info.algorithm.parameters.clone();
            let plain = AlgorithmIdentifierOwned { oid: RSA, parameters: Some(Any::null()) };
            rsa(SubjectPublicKeyInfoOwned { algorithm: plain, ..info.clone() }, Some(oaep))
        }
        EC => {
            let named = info.algorithm.parameters.as_ref();
            let named = named.and_then(|p| p.decode_as::<ObjectIdentifier>().ok());
            let curve = match named {
                Some(P256) => Curve::P256,
                Some(P384) => Curve::P384,
                Some(P521) => Curve::P521,
                _ => return Err(SmimeError::Key),
            };
            Ok(Key::Ec { curve, point: point.to_vec() })
        }
        _ => Err(SmimeError::Key),
    }
}

fn rsa(info: SubjectPublicKeyInfoOwned, oaep: Option<Option<Any>>) -> Result<Key, SmimeError> {
    let info = info.to_der().map_err(|_| SmimeError::Key)?;
    // Its size is looked at before any reckoning with it.
    let public =
        aws_lc_rs::rsa::PublicEncryptingKey::from_der(&info).map_err(|_| SmimeError::KeySize)?;
    if !RSA_BITS.contains(&public.key_size_bits()) {
        return Err(SmimeError::KeySize);
    }
    Ok(Key::Rsa { info, oaep })
}
