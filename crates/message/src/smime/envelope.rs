//! The EnvelopedData of CMS (RFC 5652 section 6) around an entity: content encrypted with a key of
//! its own, that key encrypted for the recipient. It must never know MIME.

use aws_lc_rs::agreement::{self, ECDH_P256, ECDH_P384, ECDH_P521, PrivateKey, UnparsedPublicKey};
use aws_lc_rs::cipher::{AES_256, DecryptionContext, PaddedBlockEncryptingKey, UnboundCipherKey};
use aws_lc_rs::digest;
use aws_lc_rs::key_wrap::{self, AesKek, KeyWrap as _};
use aws_lc_rs::rsa::{
    OAEP_SHA1_MGF1SHA1, OAEP_SHA256_MGF1SHA256, OAEP_SHA384_MGF1SHA384, OAEP_SHA512_MGF1SHA512,
    OaepAlgorithm, OaepPublicEncryptingKey, Pkcs1PublicEncryptingKey, PublicEncryptingKey,
};
use cms::content_info::{CmsVersion, ContentInfo};
use cms::enveloped_data::{
    EncryptedContentInfo, EnvelopedData, KeyAgreeRecipientIdentifier, KeyAgreeRecipientInfo,
    KeyTransRecipientInfo, OriginatorIdentifierOrKey, OriginatorPublicKey, RecipientEncryptedKey,
    RecipientIdentifier, RecipientInfo, RecipientInfos,
};
use der::asn1::{BitString, ObjectIdentifier, OctetString};
use der::{Any, Decode as _, Encode as _, Sequence};
use x509_cert::spki::AlgorithmIdentifierOwned;

use super::SmimeError;
use super::certificate::{Curve, EC, Key, RSA, RSA_OAEP, Recipient};

const DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.1");
const ENVELOPED: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.3");
const AES256_CBC: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.1.42");
const AES256_WRAP: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.1.45");
const ECDH_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.1.11.1");
const ECDH_SHA384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.1.11.2");
const ECDH_SHA512: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.1.11.3");
const SHA1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.14.3.2.26");
const SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.1");
const SHA384: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.2");
const SHA512: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.3");

/// Octets of an AES-256 key.
const KEY: usize = 32;
/// Octets of a wrapped AES-256 key (RFC 3394).
const WRAPPED: usize = KEY + 8;

fn failed<E>(_: E) -> SmimeError {
    SmimeError::Failed
}

/// The entity encrypted for the recipient, as ContentInfo in DER.
pub(super) fn seal(entity: Vec<u8>, recipient: &Recipient) -> Result<Vec<u8>, SmimeError> {
    let mut key = [0; KEY];
    aws_lc_rs::rand::fill(&mut key).map_err(failed)?;
    let encrypted_content = encrypt(entity, &key)?;
    let info = recipient_info(recipient, &key)?;
    // RFC 5652 section 6.1: 2 as soon as a recipient is no version 0.
    let version = match info {
        RecipientInfo::Ktri(_) => CmsVersion::V0,
        _ => CmsVersion::V2,
    };
    let data = EnvelopedData {
        version,
        originator_info: None,
        recip_infos: RecipientInfos::try_from(vec![info]).map_err(failed)?,
        encrypted_content,
        unprotected_attrs: None,
    };
    let content =
        ContentInfo { content_type: ENVELOPED, content: Any::encode_from(&data).map_err(failed)? };
    content.to_der().map_err(failed)
}

/// AES-256-CBC with a fresh initialisation vector, in place.
fn encrypt(mut entity: Vec<u8>, key: &[u8; KEY]) -> Result<EncryptedContentInfo, SmimeError> {
    let cipher = UnboundCipherKey::new(&AES_256, key).map_err(failed)?;
    let cipher = PaddedBlockEncryptingKey::cbc_pkcs7(cipher).map_err(failed)?;
    let DecryptionContext::Iv128(iv) = cipher.encrypt(&mut entity).map_err(failed)? else {
        return Err(SmimeError::Failed);
    };
    let iv = OctetString::new(iv.as_ref().to_vec()).map_err(failed)?;
    Ok(EncryptedContentInfo {
        content_type: DATA,
        content_enc_alg: AlgorithmIdentifierOwned {
            oid: AES256_CBC,
            parameters: Some(Any::encode_from(&iv).map_err(failed)?),
        },
        encrypted_content: Some(OctetString::new(entity).map_err(failed)?),
    })
}

fn recipient_info(recipient: &Recipient, key: &[u8; KEY]) -> Result<RecipientInfo, SmimeError> {
    match &recipient.key {
        Key::Rsa { info, oaep } => {
            let (algorithm, enc_key) = transport(info, oaep.as_ref(), key)?;
            Ok(RecipientInfo::Ktri(KeyTransRecipientInfo {
                version: CmsVersion::V0,
                rid: RecipientIdentifier::IssuerAndSerialNumber(recipient.id.clone()),
                key_enc_alg: algorithm,
                enc_key: OctetString::new(enc_key).map_err(failed)?,
            }))
        }
        Key::Ec { curve, point } => agree(recipient, *curve, point, key),
    }
}

/// The key encrypted with an RSA key.
fn transport(
    info: &[u8],
    oaep: Option<&Option<Any>>,
    key: &[u8; KEY],
) -> Result<(AlgorithmIdentifierOwned, Vec<u8>), SmimeError> {
    let public = PublicEncryptingKey::from_der(info).map_err(failed)?;
    let mut sealed = vec![0; public.key_size_bytes()];
    let (oid, parameters) = match oaep {
        None => {
            let public = Pkcs1PublicEncryptingKey::new(public).map_err(failed)?;
            public.encrypt(key, &mut sealed).map_err(failed)?;
            (RSA, Some(Any::null()))
        }
        Some(parameters) => {
            let algorithm = oaep_algorithm(parameters.as_ref())?;
            let public = OaepPublicEncryptingKey::new(public).map_err(failed)?;
            public.encrypt(algorithm, key, &mut sealed, None).map_err(failed)?;
            // Without parameters the defaults of RFC 4055 section 4.1 hold, written as empty.
            let written = match parameters {
                Some(written) => written.clone(),
                None => Any::from_der(&[0x30, 0]).map_err(failed)?,
            };
            (RSA_OAEP, Some(written))
        }
    };
    Ok((AlgorithmIdentifierOwned { oid, parameters }, sealed))
}

/// `RSAES-OAEP-params` (RFC 4055 section 4.1).
#[derive(Sequence)]
struct OaepParameters {
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT", optional = "true")]
    hash: Option<AlgorithmIdentifierOwned>,
    #[asn1(context_specific = "1", tag_mode = "EXPLICIT", optional = "true")]
    mask: Option<AlgorithmIdentifierOwned>,
    #[asn1(context_specific = "2", tag_mode = "EXPLICIT", optional = "true")]
    label: Option<AlgorithmIdentifierOwned>,
}

/// The OAEP that a certificate's parameters want: one hash for both uses, no label.
fn oaep_algorithm(parameters: Option<&Any>) -> Result<&'static OaepAlgorithm, SmimeError> {
    let read = match parameters {
        None => return Ok(&OAEP_SHA1_MGF1SHA1),
        Some(any) => any.decode_as::<OaepParameters>().map_err(|_| SmimeError::Key)?,
    };
    let hash = read.hash.map_or(SHA1, |h| h.oid);
    let mask = match read.mask.as_ref().map(|m| &m.parameters) {
        None => SHA1,
        Some(Some(any)) => {
            any.decode_as::<AlgorithmIdentifierOwned>().map_err(|_| SmimeError::Key)?.oid
        }
        Some(None) => return Err(SmimeError::Key),
    };
    if hash != mask || read.label.is_some() {
        return Err(SmimeError::Key);
    }
    match hash {
        SHA1 => Ok(&OAEP_SHA1_MGF1SHA1),
        SHA256 => Ok(&OAEP_SHA256_MGF1SHA256),
        SHA384 => Ok(&OAEP_SHA384_MGF1SHA384),
        SHA512 => Ok(&OAEP_SHA512_MGF1SHA512),
        _ => Err(SmimeError::Key),
    }
}

/// `ECC-CMS-SharedInfo` (RFC 5753 section 7.2), without `entityUInfo`.
#[derive(Sequence)]
struct SharedInfo {
    key_info: AlgorithmIdentifierOwned,
    #[asn1(context_specific = "2", tag_mode = "EXPLICIT")]
    length: OctetString,
}

/// The key wrapped by one that a fresh key pair and the recipient's agree on (RFC 5753).
fn agree(
    recipient: &Recipient,
    curve: Curve,
    point: &[u8],
    key: &[u8; KEY],
) -> Result<RecipientInfo, SmimeError> {
    let (algorithm, scheme, hash) = match curve {
        Curve::P256 => (&ECDH_P256, ECDH_SHA256, &digest::SHA256),
        Curve::P384 => (&ECDH_P384, ECDH_SHA384, &digest::SHA384),
        Curve::P521 => (&ECDH_P521, ECDH_SHA512, &digest::SHA512),
    };
    let wrap = AlgorithmIdentifierOwned { oid: AES256_WRAP, parameters: None };
    let bits = u32::try_from(KEY * 8).map_err(failed)?;
    let shared = SharedInfo {
        key_info: wrap.clone(),
        length: OctetString::new(bits.to_be_bytes().to_vec()).map_err(failed)?,
    };
    let shared = shared.to_der().map_err(failed)?;
    let own = PrivateKey::generate(algorithm).map_err(failed)?;
    let public = own.compute_public_key().map_err(failed)?;
    let theirs = UnparsedPublicKey::new(algorithm, point);
    // X9.63: one round of the hash gives at least the 32 octets wanted.
    let kek = agreement::agree(&own, theirs, SmimeError::Key, |secret| {
        let mut round = digest::Context::new(hash);
        round.update(secret);
        round.update(&1_u32.to_be_bytes());
        round.update(&shared);
        round.finish().as_ref().get(..KEY).map(<[u8]>::to_vec).ok_or(SmimeError::Failed)
    })?;
    let mut wrapped = vec![0; WRAPPED];
    let kek = AesKek::new(&key_wrap::AES_256, &kek).map_err(failed)?;
    kek.wrap(key, &mut wrapped).map_err(failed)?;
    let originator = OriginatorPublicKey {
        algorithm: AlgorithmIdentifierOwned { oid: EC, parameters: None },
        public_key: BitString::from_bytes(public.as_ref()).map_err(failed)?,
    };
    Ok(RecipientInfo::Kari(KeyAgreeRecipientInfo {
        version: CmsVersion::V3,
        originator: OriginatorIdentifierOrKey::OriginatorKey(originator),
        ukm: None,
        key_enc_alg: AlgorithmIdentifierOwned {
            oid: scheme,
            parameters: Some(Any::encode_from(&wrap).map_err(failed)?),
        },
        recipient_enc_keys: vec![RecipientEncryptedKey {
            rid: KeyAgreeRecipientIdentifier::IssuerAndSerialNumber(recipient.id.clone()),
            enc_key: OctetString::new(wrapped).map_err(failed)?,
        }],
    }))
}
