//! Hostile clients for the tests, and the innocent session that must stay served beside them.

#![allow(dead_code, reason = "each test file uses its part")]

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use super::{House, Imap};

pub(crate) fn connect(house: &House, port: u16) -> TcpStream {
    let stream = TcpStream::connect((house.address.as_str(), house.port(port))).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream.set_write_timeout(Some(Duration::from_secs(10))).unwrap();
    stream
}

/// Waits for the greeting, says EHLO or LHLO on ports 25 and 24 and waits for its answer (what is sent ahead of
/// it would be refused for that alone), then sends bytes until all are taken or the server closes;
/// gives everything it said after that, at most 1 MiB.
pub(crate) fn shout(house: &House, port: u16, bytes: &[u8]) -> String {
    let mut stream = connect(house, port);
    if port != 993 {
        hear(&mut stream, "\r\n");
    }
    if port == 25 || port == 24 {
        let hello = if port == 24 { b"LHLO x\r\n" } else { b"EHLO x\r\n" };
        stream.write_all(hello).unwrap();
        hear(&mut stream, "\r\n250 ");
    }
    let mut hearing = stream.try_clone().unwrap();
    let listener = std::thread::spawn(move || {
        let mut said = Vec::new();
        let mut buffer = [0; 65536];
        while let Ok(n) = hearing.read(&mut buffer) {
            if n == 0 {
                break;
            }
            if said.len() < 1 << 20 {
                said.extend_from_slice(&buffer[..n]);
            }
        }
        String::from_utf8_lossy(&said).into_owned()
    });
    for piece in bytes.chunks(65536) {
        if stream.write_all(piece).is_err() {
            break;
        }
    }
    let _ = stream.shutdown(std::net::Shutdown::Write);
    listener.join().unwrap()
}

/// Reads until this was said.
pub(crate) fn hear(stream: &mut TcpStream, end: &str) {
    let mut said = Vec::new();
    let mut buffer = [0; 4096];
    while !String::from_utf8_lossy(&said).contains(end) {
        let n = stream.read(&mut buffer).unwrap();
        assert!(n > 0, "closed after: {}", String::from_utf8_lossy(&said));
        said.extend_from_slice(&buffer[..n]);
    }
}

/// A session that does nothing wrong.
pub(crate) struct Innocent(pub(crate) Imap);

impl Innocent {
    pub(crate) fn arrive(house: &House) -> Self {
        house.account("innocent");
        let mut imap = house.imap("innocent");
        imap.ok("SELECT INBOX");
        Self(imap)
    }

    pub(crate) fn is_served(&mut self, after: &str) {
        let begun = Instant::now();
        self.0.ok("NOOP");
        let took = begun.elapsed();
        assert!(took < Duration::from_secs(5), "NOOP took {took:?} after {after}");
    }
}
