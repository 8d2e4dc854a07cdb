//! The messages of the stress: each is made from its token alone, so that whoever reads one knows
//! every octet it must have. It must never know mailboxes.

use crate::crash::dice::Dice;

/// The octets of the message of a token.
pub(super) fn bytes(token: &str) -> Vec<u8> {
    let mut dice = Dice::new(token.bytes().fold(7, |hash: u64, b| {
        (hash ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3).rotate_left(5)
    }));
    let mut text = format!(
        "From: stress@test.example\r\nTo: all@test.example\r\nSubject: stress {token}\r\n\
         Message-ID: <{token}@test.example>\r\nX-Stress: {token}\r\n\
         Date: Sat, 21 Nov 2026 10:00:00 +0000\r\n"
    );
    let multipart = dice.below(4) == 0;
    if multipart {
        text.push_str("MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=cut\r\n");
        text.push_str("\r\n--cut\r\nContent-Type: text/plain\r\n");
    }
    text.push_str("\r\n");
    for line in 0..dice.below(40) {
        text.push_str(&format!("{line} {token} {:016x} and more words\r\n", dice.next()));
    }
    if multipart {
        text.push_str("\r\n--cut\r\nContent-Type: application/octet-stream\r\n");
        text.push_str("Content-Transfer-Encoding: base64\r\n\r\nAAECAwQF\r\n--cut--\r\n");
    }
    text.into_bytes()
}

/// The token in a header.
pub(super) fn token_in(header: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(header);
    text.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("X-Stress").then(|| value.trim().to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_carries_its_token_and_is_always_the_same() {
        assert_eq!(token_in(&bytes("s1-2-3")).as_deref(), Some("s1-2-3"));
        assert_eq!(bytes("a"), bytes("a"));
        assert_ne!(bytes("a"), bytes("b"));
    }
}
