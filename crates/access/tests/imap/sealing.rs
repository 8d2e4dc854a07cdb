//! `COPY … ENCRYPTED`: copies are opened again by `openssl` and hold exactly the message's entity.
//! Features: IMAP-19, 20 (ABU-31).

use std::path::PathBuf;
use std::process::Command;

use angarium_accounts::Actor;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::client::{World, mail};

/// Keys made by `openssl` in a directory of their own.
struct Keys(PathBuf);

impl Keys {
    /// A key of this kind and its certificate, in base64; valid at any time.
    fn new(name: &str, kind: &[&str]) -> (Self, String) {
        let path =
            std::env::temp_dir().join(format!("angarium-copy-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        let keys = Self(path);
        keys.openssl(&[&["genpkey", "-out", "key.pem"], kind].concat());
        keys.openssl(&[
            "pkcs8", "-topk8", "-nocrypt", "-in", "key.pem", "-outform", "DER", "-out", "key.der",
        ]);
        let der = std::fs::read(keys.0.join("key.der")).unwrap();
        let key = rcgen::KeyPair::try_from(der).unwrap();
        let certificate = rcgen::CertificateParams::default().self_signed(&key).unwrap();
        let certificate = STANDARD.encode(certificate.der());
        (keys, certificate)
    }

    fn openssl(&self, arguments: &[&str]) -> Vec<u8> {
        let done = Command::new("openssl").args(arguments).current_dir(&self.0).output().unwrap();
        let said = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success(), "openssl {arguments:?}: {said}");
        done.stdout
    }

    fn open(&self, message: &str) -> Vec<u8> {
        std::fs::write(self.0.join("mail.eml"), message).unwrap();
        self.openssl(&["cms", "-decrypt", "-in", "mail.eml", "-inkey", "key.pem"])
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

const RSA: &[&str] = &["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"];
const P256: &[&str] = &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"];
const P384: &[&str] = &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"];

/// What is inside an encrypted copy of a message without content fields.
fn entity(message: &str) -> String {
    message[message.find("\r\n\r\n").unwrap() + 2..].to_owned()
}

#[tokio::test]
async fn an_encrypted_copy_is_opened_by_openssl_and_keeps_flags_and_date() {
    let world = World::new().await;
    let mut c = world.login("ann").await;
    let date = "\"01-Feb-2020 03:04:05 -0730\" ";
    c.append("INBOX", &format!("(\\Seen \\Flagged Work) {date}"), &mail(1)).await;
    c.append("INBOX", "", &mail(2)).await;
    c.ok("CREATE Safe").await;
    c.ok("SELECT INBOX").await;
    for (n, kind) in [RSA, P256, P384].into_iter().enumerate() {
        let (keys, certificate) = Keys::new(&format!("kind{n}"), kind);
        let from = n * 2 + 1;
        let ok = c.ok(&format!("COPY 1:2 Safe ENCRYPTED {certificate}")).await;
        assert!(ok.contains(&format!(" 1:2 {from}:{}] COPY completed", from + 1)), "{ok}");
        let mut reader = world.login("ann").await;
        reader.ok("SELECT Safe").await;
        for (at, text) in [(from, mail(1)), (from + 1, mail(2))] {
            let got = reader.ok(&format!("FETCH {at} BODY.PEEK[]")).await;
            let start = got.find("}\r\n").unwrap() + 3;
            let sealed = &got[start..got.rfind(")\r\nx OK").unwrap()];
            assert!(sealed.contains("smime-type=enveloped-data") && !sealed.contains("Text of"));
            let head = &text[..text.find("\r\n\r\n").unwrap()];
            assert!(sealed.starts_with(head), "{sealed}");
            assert_eq!(keys.open(sealed), entity(&text).into_bytes());
        }
        let got = reader.ok(&format!("FETCH {from} (FLAGS INTERNALDATE)")).await;
        assert!(
            got.contains("\\Seen") && got.contains("\\Flagged") && got.contains("Work"),
            "{got}"
        );
        assert!(got.contains("01-Feb-2020 03:04:05 -0730"), "{got}");
    }
    // By UID, the certificate as a literal.
    let (_keys, certificate) = Keys::new("literal", P256);
    let ok = c
        .ok(&format!("UID COPY 2 Safe ENCRYPTED {{{}+}}\r\n{certificate}", certificate.len()))
        .await;
    assert!(ok.contains(" 2 7] UID COPY completed"), "{ok}");
}

#[tokio::test]
async fn the_users_own_certificate_is_an_account_setting() {
    let world = World::new().await;
    let mut c = world.inbox("ann", 1).await;
    let no = c.no("COPY 1 INBOX ENCRYPTED *").await;
    assert!(no.contains("no personal certificate"), "{no}");
    let (keys, certificate) = Keys::new("own", RSA);
    let settings = [("PersonalCertificate".to_owned(), certificate.as_str().into())].into();
    let console = Actor::console_in("test.example");
    world.context.accounts.update_account_settings(&console, "ann", settings).await.unwrap();
    c.ok("COPY 1 INBOX ENCRYPTED *").await;
    let got = c.ok("FETCH 2 BODY.PEEK[]").await;
    let sealed = &got[got.find("}\r\n").unwrap() + 3..got.rfind(")\r\nx OK").unwrap()];
    assert_eq!(keys.open(sealed), entity(&mail(1)).into_bytes());
    let settings = [("PersonalCertificate".to_owned(), "no certificate".into())].into();
    world.context.accounts.update_account_settings(&console, "ann", settings).await.unwrap();
    c.no("COPY 1 INBOX ENCRYPTED *").await;
}

// ABU-31
#[tokio::test]
async fn a_bad_certificate_or_target_makes_no_copy_and_costs_little() {
    let world = World::new().await;
    world.account("small", &[("MaxAccountSize", "1K")]).await;
    let mut c = world.inbox("small", 2).await;
    let (_keys, certificate) = Keys::new("bad", RSA);
    let junk = STANDARD.encode(vec![0x30; 40_000]);
    for (bad, why) in [
        (junk.as_str(), "cannot be read"),
        (&certificate[..400], "cannot be read"),
        ("AAAA", "cannot be read"),
    ] {
        let no = c.no(&format!("COPY 1:2 INBOX ENCRYPTED {bad}")).await;
        assert!(no.contains("[CANNOT]") && no.contains(why), "{no}");
    }
    let huge = STANDARD.encode(vec![0x30; 70_000]);
    c.bad(&format!("COPY 1 INBOX ENCRYPTED {huge}")).await;
    c.bad("COPY 1 INBOX ENCRYPTED !").await;
    c.bad("MOVE 1 INBOX ENCRYPTED *").await;
    let no = c.no(&format!("COPY 1 Nowhere ENCRYPTED {certificate}")).await;
    assert!(no.contains("[TRYCREATE]"), "{no}");
    let no = c.no(&format!("COPY 1:2 INBOX ENCRYPTED {certificate}")).await;
    assert!(no.contains("[OVERQUOTA]") || no.contains("[TOOBIG]"), "{no}");
    assert!(c.ok("STATUS INBOX (MESSAGES)").await.contains("MESSAGES 2"));
}
