//! One connection of the stress client: octets out, whole responses in, each wait with an end.
//! It must never know what a response means.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// Largest response taken, octets.
const LARGEST: usize = 64 * 1024 * 1024;

/// How long writing may take.
const WRITING: Duration = Duration::from_secs(30);

/// A connection.
pub(super) struct Wire {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Wire {
    /// Connects.
    pub(super) fn connect(host: &str, port: u16) -> Result<Self, String> {
        let stream = TcpStream::connect((host, port)).map_err(|e| e.to_string())?;
        stream.set_nodelay(true).map_err(|e| e.to_string())?;
        stream.set_write_timeout(Some(WRITING)).map_err(|e| e.to_string())?;
        Ok(Self { stream, buffer: Vec::new() })
    }

    /// Sends octets.
    pub(super) fn send(&mut self, bytes: &[u8]) -> Result<(), String> {
        self.stream.write_all(bytes).map_err(|e| e.to_string())
    }

    /// The next whole response with its line end, or nothing within the time.
    pub(super) fn next(&mut self, within: Duration) -> Result<Option<Vec<u8>>, String> {
        let end = Instant::now() + within;
        let mut read = [0; 16 * 1024];
        loop {
            if let Some(length) = whole(&self.buffer) {
                return Ok(Some(self.buffer.drain(..length).collect()));
            }
            if self.buffer.len() > LARGEST {
                return Err("a response without an end".to_owned());
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(None);
            }
            let left = left.max(Duration::from_millis(1));
            self.stream.set_read_timeout(Some(left)).map_err(|e| e.to_string())?;
            match self.stream.read(&mut read) {
                Ok(0) => return Err("the server closed the connection".to_owned()),
                Ok(n) => self.buffer.extend_from_slice(read.get(..n).unwrap_or_default()),
                Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    return Ok(None);
                }
                Err(e) => return Err(e.to_string()),
            }
        }
    }
}

/// Length of the first response when it is whole.
fn whole(buffer: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        let rest = buffer.get(at..)?;
        let line = rest.iter().position(|b| *b == b'\n')?;
        let end = at + line + 1;
        match literal(rest.get(..line)?) {
            Some(length) => at = end.checked_add(length)?,
            None => return Some(end),
        }
    }
}

/// Length of the literal that a line announces.
fn literal(line: &[u8]) -> Option<usize> {
    let line = line.strip_suffix(b"\r")?.strip_suffix(b"}")?;
    let open = line.iter().rposition(|b| *b == b'{')?;
    std::str::from_utf8(line.get(open + 1..)?).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_is_whole_with_its_literals() {
        assert_eq!(whole(b"* OK\r\nrest"), Some(6));
        assert_eq!(whole(b"* 1 FETCH (X {3}\r\nab"), None);
        assert_eq!(whole(b"* 1 FETCH (X {3}\r\na\r\n)\r\n"), Some(24));
        assert_eq!(whole(b"* OK {x}\r\n"), Some(10));
    }
}
