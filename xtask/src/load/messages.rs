//! Messages of a wanted size, made before the clock runs.
//!
//! It must never make two equal messages in two runs, lest a server that knows duplicates keeps
//! one only.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::corpus::random::Random;

const WORDS: [&str; 24] = [
    "harbour", "ledger", "window", "autumn", "carrier", "station", "paper", "bridge", "garden",
    "letter", "signal", "market", "copper", "winter", "number", "travel", "engine", "island",
    "mirror", "people", "river", "summit", "tunnel", "village",
];

/// Longest line of a body, octets.
const LINE: usize = 72;

/// A number that is different in each run.
pub(crate) fn run_number() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    since.as_nanos() as u64
}

/// So many plain messages of about `size` octets each. Lines end in CRLF and none begins with a
/// dot, so that the same octets serve IMAP and SMTP.
pub(crate) fn make(run: u64, count: usize, size: usize) -> Vec<Vec<u8>> {
    (0..count).map(|number| one(run, number, size)).collect()
}

fn one(run: u64, number: usize, size: usize) -> Vec<u8> {
    let mut random = Random::new(&[run, number as u64]);
    let (first, second) = (random.pick(&WORDS), random.pick(&WORDS));
    let (minute, second_of) = (number / 60 % 60, number % 60);
    let mut text = format!(
        "From: \"Load {number}\" <load{}@example.org>\r\n\
         To: <somebody@bench.example>\r\n\
         Subject: {first} {second} {number}\r\n\
         Date: Tue, 4 Mar 2025 09:{minute:02}:{second_of:02} +0000\r\n\
         Message-ID: <{run:x}.{number}@example.org>\r\n\
         MIME-Version: 1.0\r\n\
         Content-Type: text/plain; charset=us-ascii\r\n\r\n",
        number % 50,
    )
    .into_bytes();
    text.reserve(size);
    let mut column = 0;
    while text.len() + 2 < size {
        let word = random.pick(&WORDS);
        if column + word.len() > LINE {
            text.extend_from_slice(b"\r\n");
            column = 0;
        }
        text.extend_from_slice(word.as_bytes());
        text.push(b' ');
        column += word.len() + 1;
    }
    text.extend_from_slice(b"\r\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_has_about_the_wanted_size_and_needs_no_dot_stuffing() {
        for message in make(1, 20, 4_096) {
            assert!((4_090..4_120).contains(&message.len()), "{}", message.len());
            let text = String::from_utf8(message).unwrap();
            assert!(!text.contains("\n.") && !text.replace("\r\n", "").contains(['\r', '\n']));
        }
    }

    #[test]
    fn no_two_messages_are_equal() {
        assert_ne!(make(1, 1, 500), make(2, 1, 500));
        let two = make(1, 2, 500);
        assert_ne!(two[0], two[1]);
    }
}
