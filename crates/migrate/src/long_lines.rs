//! `--fixLongLines`: breaks lines that the new server would refuse. Pure.

/// The message with no line of more than `limit` bytes (line ends not counted), a break put in
/// where a line is too long. Changes the message: only done when asked for (MIG-27).
#[must_use]
pub fn fold(message: &[u8], limit: usize) -> Vec<u8> {
    let limit = limit.max(1);
    let mut out = Vec::with_capacity(message.len() + message.len() / limit * 2);
    for line in message.split_inclusive(|b| *b == b'\n') {
        let ending = if line.ends_with(b"\r\n") { 2 } else { usize::from(line.ends_with(b"\n")) };
        let (text, ending) = line.split_at(line.len() - ending);
        for (n, piece) in text.chunks(limit).enumerate() {
            if n > 0 {
                out.extend_from_slice(b"\r\n");
            }
            out.extend_from_slice(piece);
        }
        out.extend_from_slice(ending);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mig_27_only_lines_that_are_too_long_are_broken() {
        assert_eq!(fold(b"abcd\r\nabcdefgh\r\n\r\nx", 4), b"abcd\r\nabcd\r\nefgh\r\n\r\nx");
        assert_eq!(fold(b"", 4), b"");
        assert_eq!(fold(b"ab\ncde", 2), b"ab\ncd\r\ne");
    }
}
