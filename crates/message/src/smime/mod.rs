//! S/MIME encryption (RFC 8551 with CMS of RFC 5652, RFC 5753): a stored message becomes one that
//! only the holder of a certificate's key can read. Its MIME entity goes inside, its other header
//! fields stay outside.
//!
//! AES-256 in CBC mode, which every S/MIME reader knows. RSA keys get the content key by PKCS #1
//! v1.5, or by OAEP where the certificate says so; keys on P-256, P-384 and P-521 by one-pass
//! ECDH. Whether a certificate is trusted is for who chose it to say: its issuer is not looked at.
//!
//! Time is an argument. Random octets are the cryptographic library's own: nobody could pass
//! better ones in, and worse ones would be worth nothing.

mod certificate;
mod entity;
mod envelope;

use thiserror::Error;

pub use certificate::Recipient;

/// Largest certificate read, octets (ABU-31).
pub const MAX_CERTIFICATE: usize = 64 << 10;
/// Largest message encrypted, octets. While one is made, about three times its size is in memory.
pub const MAX_MESSAGE: usize = 64 << 20;

/// Why a message is not encrypted.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum SmimeError {
    /// Larger than [`MAX_CERTIFICATE`].
    #[error("the certificate is too large")]
    CertificateTooLarge,
    /// No certificate in DER.
    #[error("the certificate cannot be read")]
    Unreadable,
    /// Before its first day.
    #[error("the certificate is not valid yet")]
    NotYet,
    /// After its last day.
    #[error("the certificate has expired")]
    Expired,
    /// Its key usage names other purposes only.
    #[error("the certificate is not for encryption of mail")]
    Purpose,
    /// Neither RSA nor one of the three curves, or broken.
    #[error("the certificate's key is of a kind that is not known here")]
    Key,
    /// RSA below 2048 or above 8192 bits.
    #[error("the certificate's RSA key must have 2048 to 8192 bits")]
    KeySize,
    /// Larger than [`MAX_MESSAGE`].
    #[error("the message is too large to be encrypted")]
    TooLarge,
    /// The cryptographic library failed.
    #[error("encryption failed")]
    Failed,
}

/// The message encrypted for a recipient: the header fields that are not about content, then
/// `application/pkcs7-mime` in base64. Line ends are CRLF.
///
/// # Errors
/// `TooLarge`, `Failed`.
pub fn encrypt(message: &[u8], recipient: &Recipient) -> Result<Vec<u8>, SmimeError> {
    if message.len() > MAX_MESSAGE {
        return Err(SmimeError::TooLarge);
    }
    let (mut outer, inner) = entity::split(message);
    let envelope = envelope::seal(inner, recipient)?;
    entity::close(&mut outer, &envelope);
    Ok(outer)
}

#[cfg(test)]
mod tests;
