//! What a server announced in its answer to EHLO.

use crate::reply::Reply;

/// The extensions a server has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "one for each extension")]
pub struct Capabilities {
    /// PIPELINING (RFC 2920)
    pub pipelining: bool,
    /// 8BITMIME (RFC 6152)
    pub eight_bit_mime: bool,
    /// SMTPUTF8 (RFC 6531)
    pub smtputf8: bool,
    /// CHUNKING (RFC 3030)
    pub chunking: bool,
    /// BINARYMIME (RFC 3030)
    pub binary_mime: bool,
    /// DSN (RFC 3461)
    pub dsn: bool,
    /// STARTTLS (RFC 3207)
    pub starttls: bool,
    /// SIZE: the limit in octets, 0 for none stated (RFC 1870).
    pub size: Option<u64>,
    /// AUTH mechanisms in capitals.
    pub auth: Vec<String>,
}

impl Capabilities {
    /// Reads a positive answer to EHLO.
    #[must_use]
    pub fn of(reply: &Reply) -> Self {
        let mut all = Self::default();
        for line in reply.lines.iter().skip(1) {
            let mut words = line.split([' ', '=']).filter(|w| !w.is_empty());
            let Some(word) = words.next() else { continue };
            match word.to_ascii_uppercase().as_str() {
                "PIPELINING" => all.pipelining = true,
                "8BITMIME" => all.eight_bit_mime = true,
                "SMTPUTF8" => all.smtputf8 = true,
                "CHUNKING" => all.chunking = true,
                "BINARYMIME" => all.binary_mime = true,
                "DSN" => all.dsn = true,
                "STARTTLS" => all.starttls = true,
                "SIZE" => all.size = Some(words.next().and_then(|w| w.parse().ok()).unwrap_or(0)),
                "AUTH" => {
                    for word in words {
                        let word = word.to_ascii_uppercase();
                        if !all.auth.contains(&word) {
                            all.auth.push(word);
                        }
                    }
                }
                _ => {}
            }
        }
        all
    }
}
