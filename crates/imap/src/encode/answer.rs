//! Status answers with their codes, the counts of a mailbox, capabilities.

use base64::Engine as _;

use super::text::{astring, human, nstring, number, ordered_set, uid_set};
use crate::types::UidSet;

/// A response code (RFC 9051 section 7.1, RFC 5530, RFC 4315, RFC 7162 and others).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code<'a> {
    /// A code without arguments, or ready with them, such as `NOPERM` or `MAILBOXID (x1)`.
    Word(&'a str),
    /// `ALERT`
    Alert,
    /// `CAPABILITY …`
    Capability(&'a [&'a str]),
    /// `APPENDUID validity uids`
    AppendUid(u32, &'a UidSet),
    /// `COPYUID validity from to`, pairs in the order copied
    CopyUid(u32, &'a [(u32, u32)]),
    /// `MODIFIED set` (RFC 7162 section 3.1.3)
    Modified(&'a UidSet),
    /// `HIGHESTMODSEQ n`
    HighestModSeq(u64),
    /// `UIDVALIDITY n`
    UidValidity(u32),
    /// `UIDNEXT n`
    UidNext(u32),
    /// `UNSEEN n`
    Unseen(u32),
    /// `PERMANENTFLAGS (…)`
    PermanentFlags(&'a [&'a str]),
    /// `REFERRAL url` (RFC 2221)
    Referral(&'a str),
}

impl Code<'_> {
    /// `NONEXISTENT`
    pub const NONEXISTENT: Self = Self::Word("NONEXISTENT");
    /// `ALREADYEXISTS`
    pub const ALREADY_EXISTS: Self = Self::Word("ALREADYEXISTS");
    /// `TRYCREATE`
    pub const TRY_CREATE: Self = Self::Word("TRYCREATE");
    /// `NOPERM`
    pub const NO_PERM: Self = Self::Word("NOPERM");
    /// `OVERQUOTA`
    pub const OVER_QUOTA: Self = Self::Word("OVERQUOTA");
    /// `TOOBIG`
    pub const TOO_BIG: Self = Self::Word("TOOBIG");
    /// `LIMIT`
    pub const LIMIT: Self = Self::Word("LIMIT");
    /// `CANNOT`
    pub const CANNOT: Self = Self::Word("CANNOT");
    /// `INUSE`
    pub const IN_USE: Self = Self::Word("INUSE");
    /// `AUTHENTICATIONFAILED`
    pub const AUTHENTICATION_FAILED: Self = Self::Word("AUTHENTICATIONFAILED");
    /// `AUTHORIZATIONFAILED`
    pub const AUTHORIZATION_FAILED: Self = Self::Word("AUTHORIZATIONFAILED");
    /// `EXPIRED`
    pub const EXPIRED: Self = Self::Word("EXPIRED");
    /// `PRIVACYREQUIRED`
    pub const PRIVACY_REQUIRED: Self = Self::Word("PRIVACYREQUIRED");
    /// `UNAVAILABLE`
    pub const UNAVAILABLE: Self = Self::Word("UNAVAILABLE");
    /// `SERVERBUG`
    pub const SERVER_BUG: Self = Self::Word("SERVERBUG");
    /// `CLIENTBUG`
    pub const CLIENT_BUG: Self = Self::Word("CLIENTBUG");
    /// `EXPUNGEISSUED`
    pub const EXPUNGE_ISSUED: Self = Self::Word("EXPUNGEISSUED");
    /// `READ-ONLY`
    pub const READ_ONLY: Self = Self::Word("READ-ONLY");
    /// `READ-WRITE`
    pub const READ_WRITE: Self = Self::Word("READ-WRITE");
    /// `CLOSED` (RFC 7162 section 3.2.11)
    pub const CLOSED: Self = Self::Word("CLOSED");
    /// `NOMODSEQ`
    pub const NO_MODSEQ: Self = Self::Word("NOMODSEQ");
    /// `UIDNOTSTICKY`
    pub const UID_NOT_STICKY: Self = Self::Word("UIDNOTSTICKY");
    /// `NOTSAVED` (RFC 5182)
    pub const NOT_SAVED: Self = Self::Word("NOTSAVED");
    /// `UNKNOWN-CTE` (RFC 3516)
    pub const UNKNOWN_CTE: Self = Self::Word("UNKNOWN-CTE");
    /// `USEATTR` (RFC 6154)
    pub const USE_ATTR: Self = Self::Word("USEATTR");
    /// `UIDREQUIRED` (RFC 9586)
    pub const UID_REQUIRED: Self = Self::Word("UIDREQUIRED");
    /// `HASCHILDREN` (RFC 9051)
    pub const HAS_CHILDREN: Self = Self::Word("HASCHILDREN");

    /// Appends the code in its brackets.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.push(b'[');
        match *self {
            Self::Word(word) | Self::Referral(word) => {
                if matches!(self, Self::Referral(_)) {
                    out.extend_from_slice(b"REFERRAL ");
                }
                // A stray bracket or line end must not end the code.
                out.extend(word.bytes().filter(|&b| matches!(b, b' '..=b'~') && b != b']'));
            }
            Self::Alert => out.extend_from_slice(b"ALERT"),
            Self::Capability(names) => {
                out.extend_from_slice(b"CAPABILITY");
                words(out, names);
            }
            Self::AppendUid(validity, uids) => {
                labelled(out, "APPENDUID ", u64::from(validity));
                out.push(b' ');
                uid_set(out, uids);
            }
            Self::CopyUid(validity, pairs) => {
                labelled(out, "COPYUID ", u64::from(validity));
                out.push(b' ');
                ordered_set(out, pairs.iter().map(|p| p.0));
                out.push(b' ');
                ordered_set(out, pairs.iter().map(|p| p.1));
            }
            Self::Modified(set) => {
                out.extend_from_slice(b"MODIFIED ");
                uid_set(out, set);
            }
            Self::HighestModSeq(modseq) => labelled(out, "HIGHESTMODSEQ ", modseq),
            Self::UidValidity(validity) => labelled(out, "UIDVALIDITY ", u64::from(validity)),
            Self::UidNext(uid) => labelled(out, "UIDNEXT ", u64::from(uid)),
            Self::Unseen(sequence) => labelled(out, "UNSEEN ", u64::from(sequence)),
            Self::PermanentFlags(names) => {
                out.extend_from_slice(b"PERMANENTFLAGS ");
                flag_list(out, names.iter().copied());
            }
        }
        out.push(b']');
    }
}

fn labelled(out: &mut Vec<u8>, label: &str, n: u64) {
    out.extend_from_slice(label.as_bytes());
    number(out, n);
}

fn words(out: &mut Vec<u8>, names: &[&str]) {
    for name in names {
        out.push(b' ');
        out.extend_from_slice(name.as_bytes());
    }
}

fn status(out: &mut Vec<u8>, tag: &[u8], condition: &str, code: Option<Code<'_>>, text: &str) {
    out.extend_from_slice(tag);
    out.extend_from_slice(condition.as_bytes());
    if let Some(code) = code {
        code.write(out);
        out.push(b' ');
    }
    human(out, text);
    out.extend_from_slice(b"\r\n");
}

/// `tag OK [code] text`
pub fn tagged_ok(out: &mut Vec<u8>, tag: &crate::types::Tag, code: Option<Code<'_>>, text: &str) {
    status(out, tag.as_bytes(), " OK ", code, text);
}

/// `tag NO [code] text`
pub fn tagged_no(out: &mut Vec<u8>, tag: &crate::types::Tag, code: Option<Code<'_>>, text: &str) {
    status(out, tag.as_bytes(), " NO ", code, text);
}

/// `tag BAD [code] text`
pub fn tagged_bad(out: &mut Vec<u8>, tag: &crate::types::Tag, code: Option<Code<'_>>, text: &str) {
    status(out, tag.as_bytes(), " BAD ", code, text);
}

/// `* OK [code] text`
pub fn untagged_ok(out: &mut Vec<u8>, code: Option<Code<'_>>, text: &str) {
    status(out, b"*", " OK ", code, text);
}

/// `* OK [ALERT] text`: for the user's eyes. UTF-8 only to a client that enabled it (RFC 9755
/// section 3, RFC 9051 section 4.3); to others what is not ASCII is `?`, a character each.
pub fn alert(out: &mut Vec<u8>, text: &str, utf8: bool) {
    out.extend_from_slice(b"* OK [ALERT] ");
    let mut bytes = [0; 4];
    for c in text.chars() {
        match c {
            c if c.is_control() => out.push(b' '),
            c if c.is_ascii() || utf8 => {
                out.extend_from_slice(c.encode_utf8(&mut bytes).as_bytes());
            }
            _ => out.push(b'?'),
        }
    }
    out.extend_from_slice(b"\r\n");
}

/// `* PREAUTH [code] text` (RFC 9051 section 7.1.4)
pub fn preauth(out: &mut Vec<u8>, code: Option<Code<'_>>, text: &str) {
    status(out, b"*", " PREAUTH ", code, text);
}

/// `* NO [code] text`
pub fn untagged_no(out: &mut Vec<u8>, code: Option<Code<'_>>, text: &str) {
    status(out, b"*", " NO ", code, text);
}

/// `* BYE [code] text`
pub fn bye(out: &mut Vec<u8>, code: Option<Code<'_>>, text: &str) {
    status(out, b"*", " BYE ", code, text);
}

/// `+ text`
pub fn continuation(out: &mut Vec<u8>, text: &str) {
    status(out, b"+", " ", None, text);
}

/// `+ base64` of a SASL challenge.
pub fn sasl_challenge(out: &mut Vec<u8>, challenge: &[u8]) {
    continuation(out, &base64::engine::general_purpose::STANDARD.encode(challenge));
}

/// `* CAPABILITY …`
pub fn capability(out: &mut Vec<u8>, names: &[&str]) {
    out.extend_from_slice(b"* CAPABILITY");
    words(out, names);
    out.extend_from_slice(b"\r\n");
}

/// `* ENABLED …` (RFC 5161)
pub fn enabled(out: &mut Vec<u8>, names: &[&str]) {
    out.extend_from_slice(b"* ENABLED");
    words(out, names);
    out.extend_from_slice(b"\r\n");
}

/// `* ID (…)`, or NIL without fields (RFC 2971)
pub fn id(out: &mut Vec<u8>, fields: &[(&str, Option<&str>)]) {
    out.extend_from_slice(b"* ID ");
    if fields.is_empty() {
        out.extend_from_slice(b"NIL\r\n");
        return;
    }
    for (i, (field, value)) in fields.iter().enumerate() {
        out.push(if i == 0 { b'(' } else { b' ' });
        super::text::string(out, field.as_bytes());
        out.push(b' ');
        nstring(out, value.map(str::as_bytes));
    }
    out.extend_from_slice(b")\r\n");
}

/// Appends `(\Seen work)`.
pub(super) fn flag_list<'f>(out: &mut Vec<u8>, names: impl IntoIterator<Item = &'f str>) {
    out.push(b'(');
    for (i, name) in names.into_iter().enumerate() {
        if i > 0 {
            out.push(b' ');
        }
        out.extend_from_slice(name.as_bytes());
    }
    out.push(b')');
}

/// `* FLAGS (…)`
pub fn flags<'f>(out: &mut Vec<u8>, names: impl IntoIterator<Item = &'f str>) {
    out.extend_from_slice(b"* FLAGS ");
    flag_list(out, names);
    out.extend_from_slice(b"\r\n");
}

fn count(out: &mut Vec<u8>, n: u32, what: &str) {
    out.extend_from_slice(b"* ");
    number(out, u64::from(n));
    out.extend_from_slice(what.as_bytes());
}

/// `* n EXISTS`
pub fn exists(out: &mut Vec<u8>, messages: u32) {
    count(out, messages, " EXISTS\r\n");
}

/// `* n RECENT` (IMAP4rev1 only)
pub fn recent(out: &mut Vec<u8>, messages: u32) {
    count(out, messages, " RECENT\r\n");
}

/// `* n EXPUNGE`
pub fn expunge(out: &mut Vec<u8>, sequence: u32) {
    count(out, sequence, " EXPUNGE\r\n");
}

/// `* VANISHED [(EARLIER)] set` (RFC 7162 section 3.2.10); nothing for an empty set.
pub fn vanished(out: &mut Vec<u8>, earlier: bool, uids: &UidSet) {
    if uids.is_empty() {
        return;
    }
    out.extend_from_slice(if earlier { b"* VANISHED (EARLIER) " } else { b"* VANISHED " });
    uid_set(out, uids);
    out.extend_from_slice(b"\r\n");
}

/// Appends a name of a right or resource that may need quoting.
pub(super) fn spaced(out: &mut Vec<u8>, text: &str) {
    out.push(b' ');
    astring(out, text.as_bytes());
}
