//! Writing POP3 replies: status, response code, text, numbers. It must never decide anything.

/// Extended response codes (RFC 2449 section 8, RFC 3206, RFC 6856 section 5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResponseCode {
    /// `[IN-USE]`: the mailbox is locked by another session.
    InUse,
    /// `[LOGIN-DELAY]`: logged in too short a time ago.
    LoginDelay,
    /// `[SYS/TEMP]`: try again later.
    SysTemp,
    /// `[SYS/PERM]`: someone must do something first.
    SysPerm,
    /// `[AUTH]`: the name or the password is wrong.
    Auth,
    /// `[UTF8]`: needs UTF8 mode.
    Utf8,
}

impl ResponseCode {
    /// The code as it stands in a reply.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InUse => "[IN-USE]",
            Self::LoginDelay => "[LOGIN-DELAY]",
            Self::SysTemp => "[SYS/TEMP]",
            Self::SysPerm => "[SYS/PERM]",
            Self::Auth => "[AUTH]",
            Self::Utf8 => "[UTF8]",
        }
    }
}

/// Writes `+OK text`.
pub(crate) fn ok(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(b"+OK");
    if !text.is_empty() {
        out.push(b' ');
        push_text(out, text);
    }
    out.extend_from_slice(b"\r\n");
}

/// Writes `-ERR [code] text`.
pub(crate) fn err(out: &mut Vec<u8>, code: Option<ResponseCode>, text: &str) {
    out.extend_from_slice(b"-ERR ");
    if let Some(code) = code {
        out.extend_from_slice(code.as_str().as_bytes());
        out.push(b' ');
    }
    push_text(out, text);
    out.extend_from_slice(b"\r\n");
}

/// Writes text on one line: control characters become spaces, at most 480 octets
/// (RFC 2449 section 4 allows 512 for the line).
pub(crate) fn push_text(out: &mut Vec<u8>, text: &str) {
    let mut room = 480usize;
    for character in text.chars() {
        let mut bytes = [0u8; 4];
        let shown = if character.is_control() { ' ' } else { character };
        let encoded = shown.encode_utf8(&mut bytes).as_bytes();
        let Some(left) = room.checked_sub(encoded.len()) else { return };
        room = left;
        out.extend_from_slice(encoded);
    }
}

/// Writes a decimal number; listings of many thousand lines go through here.
pub(crate) fn push_number(out: &mut Vec<u8>, number: u64) {
    let mut digits = [0u8; 20];
    let mut left = number;
    let mut used = 0;
    for slot in digits.iter_mut().rev() {
        *slot = b'0' + (left % 10) as u8;
        left /= 10;
        used += 1;
        if left == 0 {
            break;
        }
    }
    out.extend_from_slice(digits.get(20 - used..).unwrap_or(&[]));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_in_full() {
        for number in [0, 7, 10, 4_294_967_295, u64::MAX] {
            let mut out = Vec::new();
            push_number(&mut out, number);
            assert_eq!(out, number.to_string().as_bytes());
        }
    }

    #[test]
    fn a_text_cannot_break_out_of_its_line() {
        let mut out = Vec::new();
        err(&mut out, Some(ResponseCode::Auth), "no\r\n+OK yes");
        assert_eq!(out, b"-ERR [AUTH] no  +OK yes\r\n");
        out.clear();
        ok(&mut out, &"x".repeat(2000));
        assert!(out.len() <= 512);
    }
}
