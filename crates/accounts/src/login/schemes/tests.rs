//! The vectors of `reference/security.md` section 2, each through the whole way from the stored
//! text.

use angarium_objects::password::{StoredPassword, recognise};
use proptest::prelude::*;

use super::*;

fn matches(stored: &str, password: &str) -> bool {
    let stored = format!("\u{2}{stored}");
    match recognise(&stored) {
        StoredPassword::Hash { method, text } => verify(method, text, password.as_bytes()),
        other => panic!("{stored}: {other:?}"),
    }
}

// PWD-06, PWD-10 to PWD-20
#[test]
fn every_hash_of_the_reference_matches_its_password_and_no_other() {
    for stored in [
        "abNANd1rDfiNc",
        "{crypt}abNANd1rDfiNc",
        "{WM-CRY}$1$saltsalt$9xy1btjgzLYfb7hivXtC//",
        "$2a$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a",
        "{BLF-CRYPT}$2y$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a",
        "$2b$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a",
        "{MD5}Xr4ilOzQ4PCOq3aQ0qbuaQ==",
        "{MD5}5ebe2294ecd0e0f08eab7690d2a6ee69",
        "{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=",
        "{sha}5en6G6MezRroT3XKqkdPOmY/BfQ",
        "{SSHA}F3tJ8vk8rDhGy6QRPrvpPoxIffIwMTIzNDU2Nw==",
        "{NS-MTA-MD5}df52ce3881015fdeaff84ddfc1b25fd80123456789abcdef0123456789abcdef",
        "{LANM}552902031BEDE9EFAAD3B435B51404EE",
        "{MSNT}878D8014606CDA29677A44EFA1353FC7",
        "$5$saltstring$C3o4O1TC6aRHF4FI.QSZMXtHbaj2gSXr4sUc/3NcUi.",
        "$5$rounds=1000$saltstring$AH5PD0i.riCRu4BNDy9v7OPV7u3dfLBApcXI6khquVA",
        "$6$saltstring$AIsRs/Ee56G/tC8MEHhvReZTfx8u3rXXMl6eYrjCG9ibix19DxoMBLogdTET5Ukw9Sf7eZTITsuk0Ry5qulYz.",
        "$y$j9T$abcdefghijklmnop$3dL1LkYnZM.OVXuVdnnaKVDlLYT92dRwOzDZ5XiVCe.",
        "$apr1$saltsalt$LrttParrLPdxvgutaSXWJ0",
        "{SMD5}DvXMUipLUn9+lvu/EEb2+TAxMjM0NTY3",
        "{SHA256}K7gNU3sdo+OL0wNhqoVWhr3g6s1xYv72ol/pe/Unols=",
        "{SSHA256}DYEdB8uIfCgNjmc5Uli2DlA40W229Bjjyr16oC3dsQcwMTIzNDU2Nw==",
        "{SSHA512}RohY1U1Wo4dsGt6wd/84+lodxbb0BYLdUL51TMm/2y/xWL3FLEot7DliNC0l+93SxkbikQVZsUl2QlC/oo0xqzAxMjM0NTY3",
        "{PBKDF2}10000$MDEyMzQ1Njc4OWFiY2RlZg$QVljdW66hKXEevyu3tfWz0W/tzo",
        "{PBKDF2-SHA256}10000$MDEyMzQ1Njc4OWFiY2RlZg$6umsHhz0yhb.YIJ/FUgCrsOB.tK.gGdB.tvI2KPIHns",
        "{PBKDF2-SHA512}10000$MDEyMzQ1Njc4OWFiY2RlZg$vmRQw0BpocKqrhRKR3m3G/IeOsJdowFFKr1BqQJRowa7rT6Pmm2h2hOQOkeCI6snZ9iO2b2vBKBYyAogx9T2vA",
        "{PBKDF2}$1$saltsalt$5000$9d0487892cf650c51cd61d0b11d60b9c5114b27e",
    ] {
        assert!(matches(stored, "secret"), "{stored}");
        assert!(!matches(stored, "secreT1"), "{stored}");
        assert!(!matches(stored, ""), "{stored}");
    }
}

#[test]
fn further_vectors_of_single_methods() {
    for (stored, password) in [
        ("ab1iBa.N.U2C6", "12345678"),
        ("ab1iBa.N.U2C6", "123456789"),
        ("$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW", "U*U"),
        ("{NS-MTA-MD5}6fc4c745d96d0553d8953933817538feabcdefghijklmnopABCDEFGHIJKLMNOP", "wibble"),
        ("_J9..rasmz0.F/jqjWck", "secret"),
        ("_J9..rasmiZEakrOUeNo", "a long password over eight"),
        ("{LANM}e52cac67419a9a224a3b108f3fa6cb6d", "password"),
        ("{LANM}AAD3B435B51404EEAAD3B435B51404EE", ""),
        ("{MSNT}8846F7EAEE8FB117AD06BDD830B7586C", "password"),
    ] {
        assert!(matches(stored, password), "{stored}");
    }
    // The other order of salt and password is not taken.
    assert!(!matches("{SSHA}5V9/s3Eg24amyE4yM5bMuFkUjFswMTIzNDU2Nw==", "secret"));
}

#[test]
fn hashes_that_ask_for_too_much_work_never_match() {
    for stored in [
        "$2a$31$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a",
        "$6$rounds=999999999$saltstring$AIsRs",
        "$y$jzT$abcdefghijklmnop$3dL1LkYnZM.OVXuVdnnaKVDlLYT92dRwOzDZ5XiVCe.",
        "{PBKDF2}4000000000$MDEy$QVljdW66hKXEevyu3tfWz0W/tzo",
    ] {
        assert!(!matches(stored, "secret"), "{stored}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]
    #[test]
    fn no_stored_text_makes_the_comparison_panic(
        label in prop::sample::select(vec![
            "", "_", "$1$", "$apr1$", "$2a$04$", "$5$rounds=1000$", "$6$rounds=1000$", "$y$j75$",
            "{MD5}", "{SSHA}", "{NS-MTA-MD5}", "{LANM}", "{MSNT}", "{PBKDF2}", "{PBKDF2}$1$",
            "{PBKDF2-SHA256}", "{PBKDF2_SHA256}",
        ]),
        rest in "[./0-9A-Za-z$+=é]{0,80}",
        password in "\\PC{0,40}",
    ) {
        let stored = format!("\u{2}{label}{rest}");
        if let StoredPassword::Hash { method, text } = recognise(&stored) {
            let many = |text: &str| text.split('$').any(|n| n.parse::<u64>().is_ok_and(|n| n > 5000));
            prop_assume!(!many(text));
            let _ = verify(method, text, password.as_bytes());
        }
    }
}
