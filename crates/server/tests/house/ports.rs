//! Free ports for the tests. They lie below those the system gives to outgoing connections, so that
//! no connection of a test running beside takes one between being found free and being used.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::net::TcpListener;

/// Where offsets for the standard ports lie; with the highest of them added still below 32,768,
/// where outgoing connections begin.
const OFFSETS: std::ops::Range<u16> = 9_000..31_500;
/// The standard ports that servers of the tests listen on, ours and foreign.
const STANDARD: [u16; 11] = [24, 25, 80, 106, 110, 143, 443, 465, 587, 993, 995];

/// An offset so that all standard ports plus it are free now.
pub(crate) fn free_offset() -> u16 {
    for _ in 0..500 {
        let offset = anywhere();
        if STANDARD.iter().all(|port| TcpListener::bind(("127.0.0.1", port + offset)).is_ok()) {
            return offset;
        }
    }
    panic!("no free ports");
}

/// One port of 127.0.0.1 that is free now.
pub(crate) fn free_port() -> u16 {
    for _ in 0..500 {
        let port = anywhere();
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
    panic!("no free port");
}

/// A number of the range, another one each time: two runs side by side must not try the same.
fn anywhere() -> u16 {
    let size = u64::from(OFFSETS.end - OFFSETS.start);
    let drawn = RandomState::new().build_hasher().finish() % size;
    OFFSETS.start + u16::try_from(drawn).expect("less than the size of the range")
}
