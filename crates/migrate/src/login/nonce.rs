//! What makes a login exchange fresh: random octets of the system. Not of the cryptographic
//! library: that gathers its own entropy first, which costs a run with nothing to do more time
//! than all the rest of it. Must never know which exchange.

use std::fs::File;
use std::io::Read;

use aws_lc_rs::rand;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Octets of a nonce before they are spelled.
const OCTETS: usize = 18;
/// Where the kernel gives random octets.
const DEVICE: &str = "/dev/urandom";

/// A fresh nonce, printable and without comma; `None` when the system has no random bytes.
pub(crate) fn nonce() -> Option<String> {
    let mut octets = [0; OCTETS];
    let read = File::open(DEVICE).and_then(|mut device| device.read_exact(&mut octets));
    if read.is_err() {
        rand::fill(&mut octets).ok()?;
    }
    Some(STANDARD.encode(octets))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nonces_are_fresh_and_printable() {
        let (a, b) = (nonce().unwrap(), nonce().unwrap());
        assert_ne!(a, b);
        assert!(a.bytes().all(|b| b.is_ascii_graphic() && b != b','));
    }
}
