//! Stored forms of an account's password (`reference/security.md` section 2): which form a
//! stored string has, and the text of our own form. Recognises and writes text; computes no hash
//! and draws no random bytes.
//!
//! A hash is marked by one byte 002 in front. Our own form of a new password, version 1, is
//!
//! ```text
//! \002{ANGARIUM-1}<Argon2id PHC string>|<rounds>:<salt>$<StoredKey>:<ServerKey>
//! ```
//!
//! The part after `|` holds the SCRAM-SHA-256 keys in the shape of RFC 5803 (base64). It may be
//! empty when the password cannot be prepared for SCRAM (RFC 4013 forbids some characters).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// The byte in front of a hash.
pub const HASH_MARK: char = '\u{2}';
/// The byte in front of a reversibly encrypted password of the old server.
pub const REVERSIBLE_MARK: char = '\u{1}';
/// Label of our own readable form, behind [`REVERSIBLE_MARK`]: base64 of nonce, text and tag, sealed
/// with a key of the server.
pub const SEALED_LABEL: &str = "{ANGARIUM-SEALED-1}";
/// Label of our own form.
pub const OWN_LABEL: &str = "{ANGARIUM-1}";
/// Most PBKDF2 rounds accepted in stored SCRAM keys.
pub const MAX_SCRAM_ROUNDS: u32 = 10_000_000;
/// Longest stored password read as a hash, in bytes.
pub const MAX_STORED: usize = 4096;

/// SCRAM-SHA-256 keys as stored (RFC 5802 section 3, RFC 7677).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScramKeys {
    /// PBKDF2 rounds.
    pub rounds: u32,
    /// The salt.
    pub salt: Vec<u8>,
    /// H(ClientKey).
    pub stored_key: [u8; 32],
    /// For the server's signature.
    pub server_key: [u8; 32],
}

impl ScramKeys {
    /// Reads `rounds:salt$StoredKey:ServerKey`; `None` when it is malformed or its rounds are
    /// over [`MAX_SCRAM_ROUNDS`].
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        let (left, right) = text.split_once('$')?;
        let (rounds, salt) = left.split_once(':')?;
        let (stored, server) = right.split_once(':')?;
        let rounds: u32 = rounds.parse().ok().filter(|r| (1..=MAX_SCRAM_ROUNDS).contains(r))?;
        Some(Self {
            rounds,
            salt: STANDARD.decode(salt).ok().filter(|s| !s.is_empty() && s.len() <= 1024)?,
            stored_key: STANDARD.decode(stored).ok()?.try_into().ok()?,
            server_key: STANDARD.decode(server).ok()?.try_into().ok()?,
        })
    }

    /// The text that [`ScramKeys::read`] reads.
    #[must_use]
    pub fn text(&self) -> String {
        format!(
            "{}:{}${}:{}",
            self.rounds,
            STANDARD.encode(&self.salt),
            STANDARD.encode(self.stored_key),
            STANDARD.encode(self.server_key)
        )
    }
}

/// What a stored string is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoredPassword<'a> {
    /// Nothing: never matches.
    Empty,
    /// Clear text.
    Clear(&'a str),
    /// Our own readable form: what stands behind the label.
    Sealed(&'a str),
    /// An Argon2 hash in PHC form, with SCRAM keys if they were stored beside it.
    Argon2 {
        /// The PHC string, from `$argon2`.
        phc: &'a str,
        /// SCRAM-SHA-256 keys.
        scram: Option<ScramKeys>,
    },
    /// SCRAM-SHA-256 keys alone.
    Scram(ScramKeys),
    /// A hash of another method that is verified.
    Hash {
        /// How it was made.
        method: HashMethod,
        /// What stands behind the method's label; a modular crypt string with its prefix.
        text: &'a str,
    },
    /// A method that is known by this name and cannot be verified: never matches.
    Known(&'static str),
    /// Anything else: never matches.
    Unknown,
}

/// Methods of hashes that other servers made (`reference/security.md` section 2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HashMethod {
    /// Traditional crypt(3): 8 characters of 7 bits.
    DesCrypt,
    /// `_`: BSDI's extended DES crypt.
    BsdiCrypt,
    /// `$1$` and `$apr1$`.
    Md5Crypt,
    /// `$2a$`, `$2b$`, `$2y$`.
    Bcrypt,
    /// `$5$` and `$6$`.
    ShaCrypt,
    /// `$y$`.
    Yescrypt,
    /// `{MD5}`, `{SMD5}`.
    Md5,
    /// `{SHA}`, `{SSHA}`.
    Sha1,
    /// `{SHA256}`, `{SSHA256}`.
    Sha256,
    /// `{SHA512}`, `{SSHA512}`.
    Sha512,
    /// `{NS-MTA-MD5}`.
    NsMtaMd5,
    /// `{LANM}`.
    LanManager,
    /// `{MSNT}`.
    NtHash,
    /// `{PBKDF2}`, `{PBKDF2-SHA1}`, and the form of Dovecot that begins with `$1$`.
    Pbkdf2Sha1,
    /// `{PBKDF2-SHA256}`.
    Pbkdf2Sha256,
    /// `{PBKDF2-SHA512}`.
    Pbkdf2Sha512,
    /// `{PBKDF2_SHA256}` of 389 Directory Server.
    Pbkdf2Directory,
}

impl HashMethod {
    /// The name in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::DesCrypt => "DES-crypt",
            Self::BsdiCrypt => "BSDI-crypt",
            Self::Md5Crypt => "MD5-crypt",
            Self::Bcrypt => "bcrypt",
            Self::ShaCrypt => "SHA-crypt",
            Self::Yescrypt => "yescrypt",
            Self::Md5 => "MD5",
            Self::Sha1 => "SHA",
            Self::Sha256 => "SHA-256",
            Self::Sha512 => "SHA-512",
            Self::NsMtaMd5 => "NS-MTA-MD5",
            Self::LanManager => "LANM",
            Self::NtHash => "MSNT",
            Self::Pbkdf2Sha1 => "PBKDF2-SHA1",
            Self::Pbkdf2Sha256 => "PBKDF2-SHA256",
            Self::Pbkdf2Sha512 => "PBKDF2-SHA512",
            Self::Pbkdf2Directory => "PBKDF2_SHA256",
        }
    }
}

/// Methods named in braces, by their upper-case names, beside those handled apart. Salted and
/// unsalted digests differ in length alone.
const LABELS: [(&str, HashMethod); 15] = [
    ("MD5", HashMethod::Md5),
    ("SMD5", HashMethod::Md5),
    ("SHA", HashMethod::Sha1),
    ("SSHA", HashMethod::Sha1),
    ("SHA256", HashMethod::Sha256),
    ("SSHA256", HashMethod::Sha256),
    ("SHA512", HashMethod::Sha512),
    ("SSHA512", HashMethod::Sha512),
    ("NS-MTA-MD5", HashMethod::NsMtaMd5),
    ("LANM", HashMethod::LanManager),
    ("MSNT", HashMethod::NtHash),
    ("PBKDF2", HashMethod::Pbkdf2Sha1),
    ("PBKDF2-SHA1", HashMethod::Pbkdf2Sha1),
    ("PBKDF2-SHA256", HashMethod::Pbkdf2Sha256),
    ("PBKDF2-SHA512", HashMethod::Pbkdf2Sha512),
];

/// Modular crypt methods, beside Argon2. `{method}` and `$method$` are two spellings of one thing.
const MODULAR: [(&str, HashMethod); 8] = [
    ("$1$", HashMethod::Md5Crypt),
    ("$apr1$", HashMethod::Md5Crypt),
    ("$2a$", HashMethod::Bcrypt),
    ("$2b$", HashMethod::Bcrypt),
    ("$2y$", HashMethod::Bcrypt),
    ("$5$", HashMethod::ShaCrypt),
    ("$6$", HashMethod::ShaCrypt),
    ("$y$", HashMethod::Yescrypt),
];

/// Methods that are refused by name: no implementation that can be trusted is at hand.
const REFUSED: [(&str, &str); 4] =
    [("$2x$", "bcrypt 2x"), ("$7$", "scrypt"), ("$gy$", "gost-yescrypt"), ("$argon2d$", "Argon2d")];

/// Recognises the form of a stored password, by the rules of the reference.
#[must_use]
pub fn recognise(stored: &str) -> StoredPassword<'_> {
    if stored.is_empty() {
        return StoredPassword::Empty;
    }
    if let Some(sealed) = stored.strip_prefix(REVERSIBLE_MARK) {
        return match sealed.strip_prefix(SEALED_LABEL) {
            Some(sealed) if sealed.len() <= MAX_STORED => StoredPassword::Sealed(sealed),
            _ => StoredPassword::Known("A-crpt"),
        };
    }
    let Some(hash) = stored.strip_prefix(HASH_MARK) else {
        return StoredPassword::Clear(stored);
    };
    if hash.len() > MAX_STORED {
        return StoredPassword::Unknown;
    }
    let Some((label, rest)) = hash.strip_prefix('{').and_then(|h| h.split_once('}')) else {
        return modular(hash);
    };
    let label = label.to_ascii_uppercase();
    match label.as_str() {
        "ANGARIUM-1" => {
            let (phc, keys) = rest.split_once('|').unwrap_or((rest, ""));
            StoredPassword::Argon2 { phc, scram: ScramKeys::read(keys) }
        }
        "ARGON2" | "ARGON2ID" | "ARGON2I" => StoredPassword::Argon2 { phc: rest, scram: None },
        "SCRAM-SHA-256" => {
            ScramKeys::read(rest).map_or(StoredPassword::Unknown, StoredPassword::Scram)
        }
        "PLAIN" | "CLEARTEXT" if rest.is_empty() => StoredPassword::Empty,
        "PLAIN" | "CLEARTEXT" => StoredPassword::Clear(rest),
        "CRYPT" | "WM-CRY" | "BLF-CRYPT" | "BCRYPT" | "MD5-CRYPT" | "SHA256-CRYPT"
        | "SHA512-CRYPT" | "DES-CRYPT" => modular(rest),
        "PBKDF2_SHA256" => hashed(HashMethod::Pbkdf2Directory, rest),
        "ARGON2D" => StoredPassword::Known("Argon2d"),
        other => LABELS
            .iter()
            .find(|(known, _)| *known == other)
            .map_or(StoredPassword::Unknown, |(_, method)| hashed(*method, rest)),
    }
}

fn hashed(method: HashMethod, text: &str) -> StoredPassword<'_> {
    StoredPassword::Hash { method, text }
}

fn modular(hash: &str) -> StoredPassword<'_> {
    if hash.starts_with("$argon2id$") || hash.starts_with("$argon2i$") {
        return StoredPassword::Argon2 { phc: hash, scram: None };
    }
    if let Some((_, method)) = MODULAR.iter().find(|(start, _)| hash.starts_with(start)) {
        return hashed(*method, hash);
    }
    if let Some((_, name)) = REFUSED.iter().find(|(start, _)| hash.starts_with(start)) {
        return StoredPassword::Known(name);
    }
    // The other spelling of the methods in braces.
    if let Some((label, rest)) = hash.strip_prefix('$').and_then(|h| h.split_once('$')) {
        let label = label.to_ascii_uppercase();
        if let Some((_, method)) = LABELS.iter().find(|(known, _)| *known == label) {
            return hashed(*method, rest);
        }
    }
    let crypt =
        |text: &str| text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'/'));
    if hash.len() == 20 && hash.strip_prefix('_').is_some_and(crypt) {
        return hashed(HashMethod::BsdiCrypt, hash);
    }
    if hash.len() == 13 && crypt(hash) {
        return hashed(HashMethod::DesCrypt, hash);
    }
    StoredPassword::Unknown
}

/// Our own readable form, of what a key has sealed (base64).
#[must_use]
pub fn sealed_form(sealed: &str) -> String {
    format!("{REVERSIBLE_MARK}{SEALED_LABEL}{sealed}")
}

/// Our own form of a new password.
#[must_use]
pub fn own_form(phc: &str, scram: Option<&ScramKeys>) -> String {
    let keys = scram.map(ScramKeys::text).unwrap_or_default();
    format!("{HASH_MARK}{OWN_LABEL}{phc}|{keys}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PENCIL: &str = "4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=";

    #[test]
    fn clear_text_is_what_has_no_mark() {
        assert_eq!(recognise(""), StoredPassword::Empty);
        assert_eq!(recognise("{SHA}x"), StoredPassword::Clear("{SHA}x"));
        assert_eq!(recognise("\u{2}{plain}x"), StoredPassword::Clear("x"));
        assert_eq!(recognise("\u{1}whatever"), StoredPassword::Known("A-crpt"));
    }

    // PWD-06, PWD-10 to PWD-20
    #[test]
    fn every_method_of_the_reference_is_recognised_and_none_panics() {
        let known = [
            ("abNANd1rDfiNc", "DES-crypt"),
            ("{crypt}abNANd1rDfiNc", "DES-crypt"),
            ("{WM-CRY}$1$saltsalt$9xy1btjgzLYfb7hivXtC//", "MD5-crypt"),
            ("$2a$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a", "bcrypt"),
            ("{MD5}Xr4ilOzQ4PCOq3aQ0qbuaQ==", "MD5"),
            ("{sha}5en6G6MezRroT3XKqkdPOmY/BfQ=", "SHA"),
            ("{SSHA}F3tJ8vk8rDhGy6QRPrvpPoxIffIwMTIzNDU2Nw==", "SHA"),
            ("$SSHA$F3tJ8vk8rDhGy6QRPrvpPoxIffIwMTIzNDU2Nw==", "SHA"),
            ("{LANM}552902031BEDE9EFAAD3B435B51404EE", "LANM"),
            ("$6$saltstring$AIsRs", "SHA-crypt"),
            ("$y$j9T$abcdefghijklmnop$3dL1", "yescrypt"),
            ("{PBKDF2-SHA256}10000$MDEy$6ums", "PBKDF2-SHA256"),
        ];
        for (text, name) in known {
            let stored = format!("\u{2}{text}");
            let StoredPassword::Hash { method, .. } = recognise(&stored) else { panic!("{text}") };
            assert_eq!(method.name(), name, "{text}");
        }
        for (text, name) in [("$2x$05$abc", "bcrypt 2x"), ("$7$C6..../....", "scrypt")] {
            assert_eq!(recognise(&format!("\u{2}{text}")), StoredPassword::Known(name));
        }
        assert_eq!(recognise("\u{2}AslUzT1JkPsocc"), StoredPassword::Unknown);
        assert_eq!(recognise("\u{2}{"), StoredPassword::Unknown);
    }

    #[test]
    fn scram_keys_and_our_own_form_read_back() {
        let stored = format!("\u{2}{{SCRAM-SHA-256}}{PENCIL}");
        let StoredPassword::Scram(keys) = recognise(&stored) else { panic!("not recognised") };
        assert_eq!((keys.rounds, keys.text().as_str()), (4096, PENCIL));
        let own = own_form("$argon2id$v=19$x", Some(&keys));
        assert_eq!(
            recognise(&own),
            StoredPassword::Argon2 { phc: "$argon2id$v=19$x", scram: Some(keys) }
        );
        assert_eq!(
            recognise(&own_form("$argon2id$v=19$x", None)),
            StoredPassword::Argon2 { phc: "$argon2id$v=19$x", scram: None }
        );
    }

    #[test]
    fn absurd_rounds_are_refused() {
        assert_eq!(ScramKeys::read(&PENCIL.replace("4096", "4000000000")), None);
        assert_eq!(ScramKeys::read(&PENCIL.replace("4096", "0")), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]
        #[test]
        fn no_stored_text_makes_recognition_panic(text in "\u{2}?[{}$|:A-Za-z0-9]{0,40}") {
            let _ = recognise(&text);
        }
    }
}
