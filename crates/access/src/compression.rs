//! DEFLATE over a connection (RFC 4978), both directions, without knowing a protocol.
//!
//! Memory of a compressed session: about 45 KiB for what comes in, all the time (the client may
//! refer back to the last 32 KiB it sent), and about 270 KiB for what goes out, only while
//! something is said: a flushed stream is at a byte boundary, so that the compressor is dropped
//! when the session is quiet and a new one goes on with an empty window.

use std::io;

use bytes::{Buf as _, BytesMut};
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

/// Level of compression: replies are made once and sent once, speed counts more than the last
/// percent.
const LEVEL: u32 = 3;
/// Most octets that one step gives to the reader, however much a small input stands for: a bomb
/// waits in its compressed form until the reader has room.
const MOST_AT_ONCE: usize = 16 * 1024;
/// Octets of output made room for at a time.
const CHUNK: usize = 16 * 1024;
/// An emptied input buffer larger than this is given back.
const KEPT_INPUT: usize = 4 * 1024;

/// Both directions of a compressed connection.
pub(crate) struct Deflate {
    inflate: Decompress,
    /// Received and not expanded yet.
    input: BytesMut,
    /// `None` until there is something to say.
    compress: Option<Compress>,
    output: Vec<u8>,
    /// The last step filled all the room it was given: there may be more without more input.
    more: bool,
}

fn broken(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

impl Deflate {
    /// Begins; `early` is what was received already after the command that began it.
    pub(crate) fn new(early: BytesMut) -> Self {
        Self {
            inflate: Decompress::new(false),
            input: early,
            compress: None,
            output: Vec::new(),
            more: false,
        }
    }

    /// Where received bytes are put.
    pub(crate) fn input(&mut self) -> &mut BytesMut {
        &mut self.input
    }

    /// Expands what was received, at most a bounded step of it; 0 says that more must be
    /// received first.
    pub(crate) fn expand(&mut self, into: &mut BytesMut) -> io::Result<usize> {
        while self.more || !self.input.is_empty() {
            let mut room = [0; MOST_AT_ONCE];
            let (before_in, before_out) = (self.inflate.total_in(), self.inflate.total_out());
            let status = self
                .inflate
                .decompress(&self.input, &mut room, FlushDecompress::Sync)
                .map_err(|_| broken("what came in is no DEFLATE stream"))?;
            let taken = usize::try_from(self.inflate.total_in() - before_in).unwrap_or(usize::MAX);
            let given = usize::try_from(self.inflate.total_out() - before_out).unwrap_or(0);
            self.input.advance(taken.min(self.input.len()));
            self.more = given == MOST_AT_ONCE;
            if status == Status::StreamEnd && given == 0 {
                return Err(broken("the compressed stream was ended"));
            }
            if given > 0 {
                into.extend_from_slice(room.get(..given).unwrap_or_default());
                return Ok(given);
            }
            if taken == 0 {
                break;
            }
        }
        if self.input.is_empty() && self.input.capacity() > KEPT_INPUT {
            self.input = BytesMut::new();
        }
        Ok(0)
    }

    /// Compresses replies so that the client can read all of them (a flush after each batch).
    pub(crate) fn shrink(&mut self, replies: &[u8]) -> io::Result<&[u8]> {
        self.output.clear();
        let compress =
            self.compress.get_or_insert_with(|| Compress::new(Compression::new(LEVEL), false));
        let mut rest = replies;
        loop {
            self.output.reserve(CHUNK);
            let before = compress.total_in();
            compress
                .compress_vec(rest, &mut self.output, FlushCompress::Sync)
                .map_err(|_| broken("compression failed"))?;
            let taken = usize::try_from(compress.total_in() - before).unwrap_or(usize::MAX);
            rest = rest.get(taken..).unwrap_or_default();
            // Room that was left says that the flush is whole.
            if rest.is_empty() && self.output.len() < self.output.capacity() {
                return Ok(&self.output);
            }
        }
    }

    /// Gives back what is only needed while something is said.
    pub(crate) fn rest(&mut self) {
        self.compress = None;
        self.output = Vec::new();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bomb_is_expanded_in_bounded_steps() {
        let bomb = {
            let mut from = Deflate::new(BytesMut::new());
            from.shrink(&vec![b'x'; 64 << 20]).unwrap().to_vec()
        };
        assert!(bomb.len() < 1 << 20);
        let mut deflate = Deflate::new(BytesMut::from(bomb.as_slice()));
        let mut all = 0;
        loop {
            let mut into = BytesMut::new();
            let given = deflate.expand(&mut into).unwrap();
            assert!(given <= MOST_AT_ONCE && into.capacity() <= 2 * MOST_AT_ONCE);
            if given == 0 {
                break;
            }
            all += given;
        }
        assert_eq!(all, 64 << 20);
    }

    #[test]
    fn a_compressor_given_back_goes_on_with_the_same_stream() {
        let mut from = Deflate::new(BytesMut::new());
        let mut to = Deflate::new(BytesMut::new());
        for round in 0..50_u32 {
            let text =
                format!("* {round} FETCH (FLAGS (\\Seen))\r\n").repeat(round as usize * 40 + 1);
            let bytes = from.shrink(text.as_bytes()).unwrap().to_vec();
            if round % 3 == 0 {
                from.rest();
            }
            let mut got = BytesMut::new();
            // Any split of the input gives the same text.
            for piece in bytes.chunks(1 + round as usize * 7) {
                to.input().extend_from_slice(piece);
                while to.expand(&mut got).unwrap() > 0 {}
            }
            assert_eq!(got, text.as_bytes(), "{round}");
        }
    }

    #[test]
    fn nonsense_is_an_error_and_no_panic() {
        for seed in 0..64_u8 {
            let bytes: Vec<u8> = (0..200_u8).map(|n| n.wrapping_mul(31) ^ seed).collect();
            let mut deflate = Deflate::new(BytesMut::from(bytes.as_slice()));
            let mut into = BytesMut::new();
            while deflate.expand(&mut into).is_ok_and(|given| given > 0) {}
        }
    }
}
