//! What a server announced in its answer to CAPA.

/// The extensions a server has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "one for each extension")]
pub struct Capabilities {
    /// CAPA was answered at all.
    pub told: bool,
    /// UIDL
    pub uidl: bool,
    /// TOP
    pub top: bool,
    /// USER and PASS are taken.
    pub user: bool,
    /// STLS (RFC 2595)
    pub stls: bool,
    /// UTF8 (RFC 6856)
    pub utf8: bool,
    /// Commands may be sent ahead (RFC 2449).
    pub pipelining: bool,
    /// SASL mechanisms in capitals (RFC 5034).
    pub sasl: Vec<String>,
    /// IMPLEMENTATION: what the server calls itself.
    pub implementation: Option<String>,
}

impl Capabilities {
    /// Most SASL mechanisms that are looked at.
    const MOST_MECHANISMS: usize = 64;

    /// Takes one line of the answer; lines that are not known are passed over.
    pub(super) fn take(&mut self, line: &str) {
        let mut words = line.split_ascii_whitespace();
        let Some(word) = words.next() else { return };
        match word.to_ascii_uppercase().as_str() {
            "UIDL" => self.uidl = true,
            "TOP" => self.top = true,
            "USER" => self.user = true,
            "STLS" => self.stls = true,
            "UTF8" => self.utf8 = true,
            "PIPELINING" => self.pipelining = true,
            "SASL" => {
                self.sasl =
                    words.take(Self::MOST_MECHANISMS).map(str::to_ascii_uppercase).collect();
            }
            "IMPLEMENTATION" => self.implementation = Some(words.collect::<Vec<_>>().join(" ")),
            _ => {}
        }
    }
}
