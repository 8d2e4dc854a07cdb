//! What is sealed here is opened by `openssl`, for every kind of key; and bad certificates.

use std::path::{Path, PathBuf};
#[expect(clippy::disallowed_types, reason = "a test asks another program")]
use std::process::Command;

use der::{Any, Decode as _, Encode as _};

use super::*;

const NOW: i64 = 1_800_000_000;

const MESSAGE: &str = "From: Ann <ann@test.example>\r\nTo: bob@test.example\r\n\
    MIME-Version: 1.0\r\nSubject: Gr=?utf-8?q?=C3=BC?=\r\n sse\r\nMessage-ID: <1@test.example>\r\n\
    Content-Type: text/plain;\r\n charset=utf-8\r\nReferences: <0@test.example>\r\n\
    Content-Transfer-Encoding: 8bit\r\n\r\nGr\u{fc}\u{df}e\r\n.\r\nend without line end";

const ENTITY: &str = "Content-Type: text/plain;\r\n charset=utf-8\r\n\
    Content-Transfer-Encoding: 8bit\r\n\r\nGr\u{fc}\u{df}e\r\n.\r\nend without line end";

struct Keys(PathBuf);

impl Keys {
    fn new(name: &str) -> Self {
        let path =
            std::env::temp_dir().join(format!("angarium-smime-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    #[expect(clippy::disallowed_types, reason = "a test asks another program")]
    fn openssl(&self, arguments: &[&str]) -> Vec<u8> {
        let done = Command::new("openssl").args(arguments).current_dir(&self.0).output().unwrap();
        let said = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success(), "openssl {arguments:?}: {said}");
        done.stdout
    }

    /// A certificate in DER made with these options.
    fn certificate(&self, options: &[&str]) -> Vec<u8> {
        let mut all = vec!["req", "-x509", "-nodes", "-keyout", "key.pem", "-out", "cert.der"];
        all.extend(["-outform", "DER", "-subj", "/CN=Ann", "-days", "3650"]);
        all.extend(options);
        self.openssl(&all);
        read(&self.0.join("cert.der"))
    }

    fn open(&self, message: &[u8]) -> Vec<u8> {
        write(&self.0.join("mail.eml"), message);
        self.openssl(&["cms", "-decrypt", "-in", "mail.eml", "-inkey", "key.pem"])
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[expect(clippy::disallowed_methods, reason = "a test exchanges files with another program")]
fn read(path: &Path) -> Vec<u8> {
    std::fs::read(path).unwrap()
}

#[expect(clippy::disallowed_methods, reason = "a test exchanges files with another program")]
fn write(path: &Path, bytes: &[u8]) {
    std::fs::write(path, bytes).unwrap();
}

const RSA: &[&str] = &["-newkey", "rsa:2048"];

#[test]
fn openssl_opens_what_was_sealed_for_rsa_and_elliptic_keys() {
    let kinds: [&[&str]; 5] = [
        RSA,
        &["-newkey", "rsa:4096"],
        &["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"],
        &["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-384"],
        &["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-521"],
    ];
    for (n, options) in kinds.iter().enumerate() {
        let keys = Keys::new(&format!("kind{n}"));
        let recipient = Recipient::of_certificate(&keys.certificate(options), NOW).unwrap();
        let sealed = encrypt(MESSAGE.as_bytes(), &recipient).unwrap();
        assert_eq!(keys.open(&sealed), ENTITY.as_bytes(), "{options:?}");
        assert_ne!(
            sealed,
            encrypt(MESSAGE.as_bytes(), &recipient).unwrap(),
            "a fresh key each time"
        );
    }
}

#[test]
fn fields_about_the_content_go_inside_and_the_others_stay() {
    let keys = Keys::new("fields");
    let recipient = Recipient::of_certificate(&keys.certificate(RSA), NOW).unwrap();
    let sealed = String::from_utf8(encrypt(MESSAGE.as_bytes(), &recipient).unwrap()).unwrap();
    let (head, body) = sealed.split_once("\r\n\r\n").unwrap();
    assert_eq!(
        head,
        "From: Ann <ann@test.example>\r\nTo: bob@test.example\r\n\
         Subject: Gr=?utf-8?q?=C3=BC?=\r\n sse\r\nMessage-ID: <1@test.example>\r\n\
         References: <0@test.example>\r\nMIME-Version: 1.0\r\n\
         Content-Type: application/pkcs7-mime; smime-type=enveloped-data;\r\n name=smime.p7m\r\n\
         Content-Transfer-Encoding: base64\r\n\
         Content-Disposition: attachment; filename=smime.p7m"
    );
    assert!(body.split("\r\n").all(|line| line.len() <= 76));
    // Without a header, without a body: still something that opens.
    for odd in [&b""[..], b"\r\nonly text", b"Subject: only a header\r\n"] {
        let sealed = encrypt(odd, &recipient).unwrap();
        let body = odd.strip_prefix(b"\r\n").unwrap_or_default();
        assert_eq!(keys.open(&sealed), [b"\r\n", body].concat());
    }
}

#[test]
fn a_certificate_that_wants_oaep_gets_oaep() {
    let keys = Keys::new("oaep");
    let der = keys.certificate(RSA);
    let mut recipient = Recipient::of_certificate(&der, NOW).unwrap();
    // SHA-256 for both uses, as RFC 4055 writes it.
    let sha256 = "300b0609608648016503040201";
    let mask = format!("301806092a864886f70d010108{sha256}");
    let parameters = format!("302ba00d{sha256}a11a{mask}");
    let bytes: Vec<u8> = (0..parameters.len() / 2)
        .map(|n| u8::from_str_radix(&parameters[2 * n..2 * n + 2], 16).unwrap())
        .collect();
    for oaep in [None, Some(Any::from_der(&bytes).unwrap())] {
        let certificate::Key::Rsa { info, .. } = recipient.key.clone() else { panic!() };
        recipient.key = certificate::Key::Rsa { info, oaep: Some(oaep) };
        let sealed = encrypt(MESSAGE.as_bytes(), &recipient).unwrap();
        assert_eq!(keys.open(&sealed), ENTITY.as_bytes());
    }
    assert!(Any::null().to_der().is_ok());
}

// ABU-31
#[test]
fn bad_certificates_are_refused_with_what_is_wrong() {
    let keys = Keys::new("bad");
    let of = |options: &[&str], now: i64| {
        Recipient::of_certificate(&keys.certificate(options), now).map(|_| ())
    };
    let with = |extra: &'static str| [RSA, &["-addext", extra]].concat();
    assert_eq!(of(RSA, 0), Err(SmimeError::NotYet));
    assert_eq!(of(RSA, NOW + 400_000_000), Err(SmimeError::Expired));
    assert_eq!(of(&["-newkey", "rsa:1024"], NOW), Err(SmimeError::KeySize));
    assert_eq!(of(&["-newkey", "ed25519"], NOW), Err(SmimeError::Key));
    assert_eq!(of(&with("keyUsage=digitalSignature"), NOW), Err(SmimeError::Purpose));
    assert_eq!(of(&with("extendedKeyUsage=serverAuth"), NOW), Err(SmimeError::Purpose));
    assert_eq!(of(&with("keyUsage=keyEncipherment"), NOW), Ok(()));
    assert_eq!(of(&with("extendedKeyUsage=emailProtection"), NOW), Ok(()));
    let huge = vec![0x30; MAX_CERTIFICATE + 1];
    assert_eq!(Recipient::of_certificate(&huge, NOW).err(), Some(SmimeError::CertificateTooLarge));
    let good = keys.certificate(RSA);
    // Cut anywhere, or with any octet changed: an answer, never a panic.
    for at in 0..good.len() {
        assert!(Recipient::of_certificate(&good[..at], NOW).is_err());
        let mut changed = good.clone();
        changed[at] ^= 0x41;
        if let Ok(recipient) = Recipient::of_certificate(&changed, NOW) {
            let _ = encrypt(b"x", &recipient);
        }
    }
}
