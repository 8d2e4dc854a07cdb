//! Parameters of MAIL and RCPT: SIZE (RFC 1870), BODY (RFC 6152, RFC 3030), SMTPUTF8 (RFC 6531),
//! RET, ENVID, NOTIFY, ORCPT (RFC 3461), AUTH (RFC 4954), BY (RFC 2852), HOLDFOR and HOLDUNTIL
//! (RFC 4865), MT-PRIORITY (RFC 6710), REQUIRETLS (RFC 8689), SOLICIT (RFC 3865), RRVS (RFC 7293),
//! and the xtext they are written in.
//!
//! It must never know whether an extension is announced: the session says that.

use std::fmt;

use crate::command::CommandError;
use crate::limits;
use crate::timing::{DeliverBy, Hold, SameOwner};

/// BODY= of MAIL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BodyKind {
    /// `7BIT`
    SevenBit,
    /// `8BITMIME`
    EightBitMime,
    /// `BINARYMIME`
    BinaryMime,
}

/// RET= of MAIL: how much of the message a failure report returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Return {
    /// `FULL`
    Full,
    /// `HDRS`
    Headers,
}

/// What may follow the path of MAIL.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MailParameters {
    /// SIZE=, octets.
    pub size: Option<u64>,
    /// BODY=
    pub body: Option<BodyKind>,
    /// SMTPUTF8
    pub smtputf8: bool,
    /// RET=
    pub ret: Option<Return>,
    /// ENVID=, decoded.
    pub envelope_id: Option<String>,
    /// AUTH=, decoded; empty for `<>`.
    pub auth: Option<String>,
    /// BY=
    pub by: Option<DeliverBy>,
    /// HOLDFOR= or HOLDUNTIL=
    pub hold: Option<Hold>,
    /// MT-PRIORITY=, -9 to 9.
    pub priority: Option<i8>,
    /// REQUIRETLS
    pub require_tls: bool,
    /// SOLICIT=, as given.
    pub solicit: Option<String>,
}

/// NOTIFY= of RCPT.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Notify {
    /// `SUCCESS`
    pub success: bool,
    /// `FAILURE`
    pub failure: bool,
    /// `DELAY`
    pub delay: bool,
}

impl Notify {
    /// `NEVER`: no report whatever happens.
    pub const NEVER: Self = Self { success: false, failure: false, delay: false };

    /// Reads the value of NOTIFY=.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text.eq_ignore_ascii_case("NEVER") {
            return Some(Self::NEVER);
        }
        let mut notify = Self::default();
        for word in text.split(',') {
            match word.to_ascii_uppercase().as_str() {
                "SUCCESS" => notify.success = true,
                "FAILURE" => notify.failure = true,
                "DELAY" => notify.delay = true,
                _ => return None,
            }
        }
        Some(notify)
    }
}

impl fmt::Display for Notify {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::NEVER {
            return f.write_str("NEVER");
        }
        let words = [(self.success, "SUCCESS"), (self.failure, "FAILURE"), (self.delay, "DELAY")];
        let mut first = true;
        for (_, word) in words.iter().filter(|(on, _)| *on) {
            if !first {
                f.write_str(",")?;
            }
            f.write_str(word)?;
            first = false;
        }
        Ok(())
    }
}

/// ORCPT= of RCPT.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct OriginalRecipient {
    /// Address type such as `rfc822`.
    pub kind: String,
    /// The address, decoded.
    pub address: String,
}

impl OriginalRecipient {
    /// Reads the value of ORCPT=.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (kind, address) = text.split_once(';')?;
        let kind_ok =
            !kind.is_empty() && kind.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        if !kind_ok || text.len() > limits::ORIGINAL_RECIPIENT {
            return None;
        }
        Some(Self { kind: kind.to_owned(), address: decode_xtext(address)? })
    }
}

impl fmt::Display for OriginalRecipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{};{}", self.kind, encode_xtext(&self.address))
    }
}

/// What may follow the path of RCPT.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RcptParameters {
    /// NOTIFY=
    pub notify: Option<Notify>,
    /// ORCPT=
    pub original: Option<OriginalRecipient>,
    /// RRVS=
    pub same_owner: Option<SameOwner>,
}

impl MailParameters {
    /// Reads what follows the path.
    ///
    /// # Errors
    /// [`CommandError::UnknownParameter`] for words nobody knows, [`CommandError::Syntax`] for
    /// known ones with a wrong value or given twice.
    pub fn parse(text: &str) -> Result<Self, CommandError> {
        let mut all = Self::default();
        for word in words(text)? {
            let (name, value) = split(word);
            match (name.to_ascii_uppercase().as_str(), value) {
                ("SIZE", Some(value)) if all.size.is_none() => {
                    let digits = value.len() <= 20 && value.bytes().all(|b| b.is_ascii_digit());
                    // A number too large for us is a message too large for us.
                    all.size = Some(match value.parse() {
                        Ok(size) => size,
                        Err(_) if digits && !value.is_empty() => u64::MAX,
                        Err(_) => return Err(CommandError::Syntax("SIZE takes a number")),
                    });
                }
                ("BODY", Some(value)) if all.body.is_none() => {
                    all.body = Some(match value.to_ascii_uppercase().as_str() {
                        "7BIT" => BodyKind::SevenBit,
                        "8BITMIME" => BodyKind::EightBitMime,
                        "BINARYMIME" => BodyKind::BinaryMime,
                        _ => return Err(CommandError::Syntax("BODY takes 7BIT or 8BITMIME")),
                    });
                }
                ("SMTPUTF8", None) if !all.smtputf8 => all.smtputf8 = true,
                ("RET", Some(value)) if all.ret.is_none() => {
                    all.ret = Some(match value.to_ascii_uppercase().as_str() {
                        "FULL" => Return::Full,
                        "HDRS" => Return::Headers,
                        _ => return Err(CommandError::Syntax("RET takes FULL or HDRS")),
                    });
                }
                ("ENVID", Some(value)) if all.envelope_id.is_none() => {
                    if value.len() > limits::ENVELOPE_ID {
                        return Err(CommandError::Syntax("ENVID is too long"));
                    }
                    let id =
                        decode_xtext(value).ok_or(CommandError::Syntax("ENVID is no xtext"))?;
                    all.envelope_id = Some(id);
                }
                ("AUTH", Some(value)) if all.auth.is_none() => {
                    let who =
                        decode_xtext(value).ok_or(CommandError::Syntax("AUTH is no xtext"))?;
                    all.auth = Some(if who == "<>" { String::new() } else { who });
                }
                ("BY", Some(value)) if all.by.is_none() => {
                    let by = DeliverBy::parse(value);
                    all.by = Some(by.ok_or(CommandError::Syntax("BY takes a time and N or R"))?);
                }
                ("HOLDFOR", Some(value)) if all.hold.is_none() => {
                    let hold = Hold::parse_for(value);
                    all.hold = Some(hold.ok_or(CommandError::Syntax("HOLDFOR takes seconds"))?);
                }
                ("HOLDUNTIL", Some(value)) if all.hold.is_none() => {
                    let hold = Hold::parse_until(value);
                    let wrong = CommandError::Syntax("HOLDUNTIL takes a date and time");
                    all.hold = Some(hold.ok_or(wrong)?);
                }
                ("MT-PRIORITY", Some(value)) if all.priority.is_none() => {
                    all.priority =
                        Some(priority(value).ok_or(CommandError::Syntax(
                            "MT-PRIORITY takes a number from -9 to 9",
                        ))?);
                }
                ("REQUIRETLS", None) if !all.require_tls => all.require_tls = true,
                ("SOLICIT", Some(value)) if all.solicit.is_none() => {
                    if !solicitation(value) {
                        return Err(CommandError::Syntax("SOLICIT takes keywords"));
                    }
                    all.solicit = Some(value.to_owned());
                }
                (
                    "SIZE" | "BODY" | "SMTPUTF8" | "RET" | "ENVID" | "AUTH" | "BY" | "HOLDFOR"
                    | "HOLDUNTIL" | "MT-PRIORITY" | "REQUIRETLS" | "SOLICIT",
                    _,
                ) => {
                    return Err(CommandError::Syntax("parameter given twice or without value"));
                }
                _ => return Err(CommandError::UnknownParameter),
            }
        }
        Ok(all)
    }
}

impl fmt::Display for MailParameters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(size) = self.size {
            write!(f, " SIZE={size}")?;
        }
        if let Some(body) = self.body {
            f.write_str(match body {
                BodyKind::SevenBit => " BODY=7BIT",
                BodyKind::EightBitMime => " BODY=8BITMIME",
                BodyKind::BinaryMime => " BODY=BINARYMIME",
            })?;
        }
        if self.smtputf8 {
            f.write_str(" SMTPUTF8")?;
        }
        if let Some(ret) = self.ret {
            f.write_str(if ret == Return::Full { " RET=FULL" } else { " RET=HDRS" })?;
        }
        if let Some(id) = &self.envelope_id {
            write!(f, " ENVID={}", encode_xtext(id))?;
        }
        if let Some(who) = &self.auth {
            let who = if who.is_empty() { "<>" } else { who };
            write!(f, " AUTH={}", encode_xtext(who))?;
        }
        if let Some(by) = &self.by {
            write!(f, " BY={by}")?;
        }
        if let Some(hold) = &self.hold {
            write!(f, " {hold}")?;
        }
        if let Some(priority) = self.priority {
            write!(f, " MT-PRIORITY={priority}")?;
        }
        if self.require_tls {
            f.write_str(" REQUIRETLS")?;
        }
        if let Some(words) = &self.solicit {
            write!(f, " SOLICIT={words}")?;
        }
        Ok(())
    }
}

impl RcptParameters {
    /// Reads what follows the path.
    ///
    /// # Errors
    /// As [`MailParameters::parse`].
    pub fn parse(text: &str) -> Result<Self, CommandError> {
        let mut all = Self::default();
        for word in words(text)? {
            let (name, value) = split(word);
            match (name.to_ascii_uppercase().as_str(), value) {
                ("NOTIFY", Some(value)) if all.notify.is_none() => {
                    let notify = Notify::parse(value);
                    all.notify = Some(notify.ok_or(CommandError::Syntax("NOTIFY value"))?);
                }
                ("ORCPT", Some(value)) if all.original.is_none() => {
                    let original = OriginalRecipient::parse(value);
                    all.original = Some(original.ok_or(CommandError::Syntax("ORCPT value"))?);
                }
                ("RRVS", Some(value)) if all.same_owner.is_none() => {
                    let same = SameOwner::parse(value);
                    all.same_owner = Some(same.ok_or(CommandError::Syntax("RRVS value"))?);
                }
                ("NOTIFY" | "ORCPT" | "RRVS", _) => {
                    return Err(CommandError::Syntax("parameter given twice or without value"));
                }
                _ => return Err(CommandError::UnknownParameter),
            }
        }
        Ok(all)
    }
}

impl fmt::Display for RcptParameters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(notify) = &self.notify {
            write!(f, " NOTIFY={notify}")?;
        }
        if let Some(original) = &self.original {
            write!(f, " ORCPT={original}")?;
        }
        if let Some(same) = &self.same_owner {
            write!(f, " RRVS={same}")?;
        }
        Ok(())
    }
}

/// MT-PRIORITY's value: a number of one digit, perhaps with a sign.
fn priority(text: &str) -> Option<i8> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let number: i8 = if digits.len() == 1 { digits.parse().ok()? } else { return None };
    Some(if text.starts_with('-') { -number } else { number })
}

/// True for solicitation keywords (RFC 3865 section 2.5): names with a domain in front, separated
/// by commas.
fn solicitation(text: &str) -> bool {
    let word = |w: &str| {
        let good = |b: u8| b.is_ascii_alphanumeric() || b"-_.:".contains(&b);
        w.starts_with(|c: char| c.is_ascii_alphabetic()) && w.bytes().all(good)
    };
    text.len() <= limits::SOLICITATION && text.split(',').all(word)
}

/// The words after a path, each preceded by a space.
fn words(text: &str) -> Result<impl Iterator<Item = &str>, CommandError> {
    if text.is_empty() || text.starts_with(' ') {
        Ok(text.split(' ').filter(|w| !w.is_empty()))
    } else {
        Err(CommandError::Syntax("parameters are parted by spaces"))
    }
}

fn split(word: &str) -> (&str, Option<&str>) {
    match word.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (word, None),
    }
}

/// Decodes xtext (RFC 3461 section 4); also takes plain non-ASCII characters as RFC 6533's
/// `utf-8` type writes them. `None` when it is not xtext or holds control characters.
#[must_use]
pub fn decode_xtext(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(b) = rest.next() {
        match b {
            b'+' => {
                let hex = [rest.next()?, rest.next()?];
                if hex.iter().any(|h| !h.is_ascii_digit() && !(b'A'..=b'F').contains(h)) {
                    return None;
                }
                bytes.push(u8::from_str_radix(std::str::from_utf8(&hex).ok()?, 16).ok()?);
            }
            b'=' => return None,
            b'!'..=b'~' | 0x80.. => bytes.push(b),
            _ => return None,
        }
    }
    let text = String::from_utf8(bytes).ok()?;
    // Decoded text goes into reports and logs; nothing there may start a new line.
    if text.chars().any(char::is_control) { None } else { Some(text) }
}

/// Writes text as xtext.
#[must_use]
pub fn encode_xtext(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for b in text.bytes() {
        match b {
            b'+' | b'=' => out.push_str(if b == b'+' { "+2B" } else { "+3D" }),
            b'!'..=b'~' => out.push(char::from(b)),
            _ => out.push_str(&format!("+{b:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn all_known_parameters_are_read() {
        let text = " SIZE=100 BODY=8BITMIME SMTPUTF8 RET=HDRS ENVID=QQ+2B1 AUTH=<>";
        let read = MailParameters::parse(text).unwrap();
        assert_eq!(read.size, Some(100));
        assert_eq!(read.body, Some(BodyKind::EightBitMime));
        assert!(read.smtputf8);
        assert_eq!(read.ret, Some(Return::Headers));
        assert_eq!(read.envelope_id.as_deref(), Some("QQ+1"));
        assert_eq!(read.auth.as_deref(), Some(""));
        assert_eq!(read.to_string(), text);
        let text = " BY=120;RT HOLDUNTIL=2027-01-15T08:00:00Z MT-PRIORITY=-3 REQUIRETLS SOLICIT=org.example:adv,org.example:x";
        let read = MailParameters::parse(text).unwrap();
        assert_eq!(read.priority, Some(-3));
        assert_eq!(read.hold, Some(Hold::Until(1_800_000_000)));
        assert_eq!(read.to_string(), text);
        let text = " NOTIFY=SUCCESS,DELAY ORCPT=rfc822;a+2Bb@c.example RRVS=2027-01-15T08:00:00Z";
        let read = RcptParameters::parse(text).unwrap();
        assert_eq!(read.original.as_ref().unwrap().address, "a+b@c.example");
        assert_eq!(read.to_string(), text);
    }

    #[test]
    fn wrong_and_unknown_parameters_are_told_apart() {
        assert_eq!(MailParameters::parse(" FOO=1"), Err(CommandError::UnknownParameter));
        for wrong in [
            " SIZE=x",
            " SIZE",
            " SIZE=",
            " SIZE=1 SIZE=2",
            " BODY=9BIT",
            " RET=ALL",
            "SIZE=1",
            " BY=1",
            " BY",
            " HOLDFOR=1 HOLDUNTIL=2027-01-15T08:00:00Z",
            " HOLDFOR=x",
            " MT-PRIORITY=10",
            " MT-PRIORITY=",
            " REQUIRETLS=YES",
            " REQUIRETLS REQUIRETLS",
            " SOLICIT=",
            " SOLICIT=9",
        ] {
            assert!(
                matches!(MailParameters::parse(wrong), Err(CommandError::Syntax(_))),
                "{wrong}"
            );
        }
        for wrong in
            [" RRVS=now", " NOTIFY=NEVER,FAILURE", " NOTIFY=", " ORCPT=x", " ORCPT=rfc822;a+0D+0Ab"]
        {
            assert!(
                matches!(RcptParameters::parse(wrong), Err(CommandError::Syntax(_))),
                "{wrong}"
            );
        }
        assert_eq!(
            MailParameters::parse(" SIZE=99999999999999999999").unwrap().size,
            Some(u64::MAX)
        );
    }

    proptest! {
        #[test]
        fn xtext_comes_back(text in "[ -~é漢]{0,40}") {
            let decoded = decode_xtext(&encode_xtext(&text));
            prop_assert_eq!(decoded, Some(text));
        }
    }
}
