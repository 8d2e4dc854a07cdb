//! A blocking connection: whole buffers out, lines and counted octets in.
//!
//! It must never know a protocol.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::time::Duration;

/// How long a server may be silent before the run is given up.
const SILENCE: Duration = Duration::from_secs(180);

/// Longest line taken from a server, octets.
const LINE_MAX: u64 = 16 * 1024 * 1024;

/// Largest counted block kept in memory, octets.
const BLOCK_MAX: u64 = 256 * 1024 * 1024;

/// Octets at the end of the input that are looked at for the closing line.
const TAIL: usize = 2_048;

/// The address of `HOST:PORT`; only of this machine unless `far`, so that a slip of the finger
/// loads nobody else's server.
pub(crate) fn resolve(address: &str, far: bool) -> io::Result<SocketAddr> {
    let found = address
        .to_socket_addrs()
        .map_err(|error| io::Error::other(format!("{address}: {error}")))?
        .next()
        .ok_or_else(|| io::Error::other(format!("{address}: no address")))?;
    if !far && !found.ip().is_loopback() {
        let text = format!("{address} is another machine: say --far to send load there");
        return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
    }
    Ok(found)
}

/// A connection to a server.
pub(crate) struct Connection {
    reader: BufReader<TcpStream>,
    /// Octets received, of lines, blocks and drained input.
    pub(crate) received: u64,
}

impl Connection {
    /// Connects; `buffer` is the octets read at once.
    pub(crate) fn open(address: SocketAddr, buffer: usize) -> io::Result<Connection> {
        let socket = TcpStream::connect(address)
            .map_err(|error| io::Error::new(error.kind(), format!("{address}: {error}")))?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(SILENCE))?;
        socket.set_write_timeout(Some(SILENCE))?;
        Ok(Connection { reader: BufReader::with_capacity(buffer, socket), received: 0 })
    }

    /// Sends all of it.
    pub(crate) fn send(&mut self, octets: &[u8]) -> io::Result<()> {
        self.reader.get_mut().write_all(octets)
    }

    /// Reads one line into `line`, without its line end.
    pub(crate) fn line(&mut self, line: &mut Vec<u8>) -> io::Result<()> {
        line.clear();
        let read = (&mut self.reader).take(LINE_MAX).read_until(b'\n', line)?;
        self.received += read as u64;
        if line.pop() != Some(b'\n') {
            return Err(closed());
        }
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        Ok(())
    }

    /// Reads that many octets.
    pub(crate) fn block(&mut self, size: u64) -> io::Result<Vec<u8>> {
        if size > BLOCK_MAX {
            return Err(io::Error::other(format!("the server announces {size} octets")));
        }
        let mut block = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
        (&mut self.reader).take(size).read_to_end(&mut block)?;
        self.received += size;
        if block.len() as u64 == size { Ok(block) } else { Err(closed()) }
    }

    /// Throws that many octets away.
    pub(crate) fn skip(&mut self, size: u64) -> io::Result<()> {
        let skipped = io::copy(&mut (&mut self.reader).take(size), &mut io::sink())?;
        self.received += skipped;
        if skipped == size { Ok(()) } else { Err(closed()) }
    }

    /// Throws everything away up to a line, the last one sent, that begins with `start`; returns
    /// that line. Nothing is looked at on the way, so that the client costs next to nothing.
    pub(crate) fn drain(&mut self, start: &[u8]) -> io::Result<Vec<u8>> {
        let mut tail: Vec<u8> = Vec::with_capacity(2 * TAIL);
        loop {
            let chunk = self.reader.fill_buf()?;
            if chunk.is_empty() {
                return Err(closed());
            }
            let size = chunk.len();
            tail.extend_from_slice(&chunk[size.saturating_sub(TAIL)..]);
            tail.drain(..tail.len().saturating_sub(TAIL));
            self.reader.consume(size);
            self.received += size as u64;
            if let Some(text) = tail.strip_suffix(b"\r\n") {
                let from = text.iter().rposition(|octet| *octet == b'\n').map_or(0, |at| at + 1);
                if text[from..].starts_with(start) {
                    return Ok(text[from..].to_vec());
                }
            }
        }
    }
}

fn closed() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "the server closed the connection")
}
