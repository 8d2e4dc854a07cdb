//! One digest over the password, perhaps with a salt behind it: the forms of directories, and the
//! MD5 of Netscape's mail server.

use angarium_objects::password::HashMethod;
use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use md5::{Digest as _, Md5};

use super::{hexadecimal, same};

/// Longest salt taken, in octets.
const SALT: usize = 256;

/// Compares a password with what stands behind the label: base64 of digest and salt, or a digest
/// in hexadecimal digits.
pub(super) fn verify(method: HashMethod, text: &str, password: &[u8]) -> bool {
    let length = match method {
        HashMethod::Md5 => 16,
        HashMethod::Sha1 => 20,
        HashMethod::Sha256 => 32,
        HashMethod::Sha512 => 64,
        _ => return netscape(text, password),
    };
    let bare = (text.len() == 2 * length).then(|| hexadecimal(text)).flatten();
    let decoded = bare.or_else(|| STANDARD_NO_PAD.decode(text.trim_end_matches('=')).ok());
    let Some(decoded) = decoded else { return false };
    let Some((hash, salt)) = decoded.split_at_checked(length) else { return false };
    salt.len() <= SALT && same(&salted(method, password, salt), hash)
}

fn salted(method: HashMethod, password: &[u8], salt: &[u8]) -> Vec<u8> {
    let algorithm = match method {
        HashMethod::Sha1 => &digest::SHA1_FOR_LEGACY_USE_ONLY,
        HashMethod::Sha256 => &digest::SHA256,
        HashMethod::Sha512 => &digest::SHA512,
        _ => return Md5::new().chain_update(password).chain_update(salt).finalize().to_vec(),
    };
    let mut context = digest::Context::new(algorithm);
    context.update(password);
    context.update(salt);
    context.finish().as_ref().to_vec()
}

/// 32 hexadecimal digits, then 32 characters of salt taken literally.
fn netscape(text: &str, password: &[u8]) -> bool {
    let Some((hash, salt)) = text.split_at_checked(32) else { return false };
    let Some(hash) = hexadecimal(hash).filter(|_| salt.len() == 32) else { return false };
    let found = Md5::new()
        .chain_update(salt)
        .chain_update([89])
        .chain_update(password)
        .chain_update([247])
        .chain_update(salt)
        .finalize();
    same(&found, &hash)
}
