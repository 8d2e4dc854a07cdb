//! Packets of the milter protocol: a length of four octets in network order, which counts a letter
//! and what follows it. Strings end with a zero octet.
//!
//! Pure. It must never know what a packet is about.

use bytes::{Buf, BytesMut};

use super::MilterError;

/// Longest packet taken from a filter, in octets.
pub const MAX_PACKET: usize = 1024 * 1024;
/// Octets of a message's body in one packet (what every filter takes).
pub const BODY_CHUNK: usize = 65_535;

/// A packet from a filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    /// Its letter.
    pub kind: u8,
    /// What follows.
    pub data: Vec<u8>,
}

/// Adds a packet to what is to be sent.
pub fn write(out: &mut Vec<u8>, kind: u8, data: &[&[u8]]) {
    let length = data.iter().map(|part| part.len()).sum::<usize>().saturating_add(1);
    let length = u32::try_from(length).unwrap_or(u32::MAX);
    out.extend_from_slice(&length.to_be_bytes());
    out.push(kind);
    data.iter().for_each(|part| out.extend_from_slice(part));
}

/// Takes the first whole packet out of what has come.
///
/// # Errors
/// One that is empty or too long.
pub fn read(input: &mut BytesMut) -> Result<Option<Packet>, MilterError> {
    let Some(length) = input.first_chunk::<4>() else { return Ok(None) };
    let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
    if length == 0 || length > MAX_PACKET {
        return Err(MilterError::Protocol("a packet is empty or too long"));
    }
    if input.len() < length.saturating_add(4) {
        return Ok(None);
    }
    input.advance(4);
    let packet = input.split_to(length);
    let (kind, data) = packet.split_first().ok_or(MilterError::Protocol("an empty packet"))?;
    Ok(Some(Packet { kind: *kind, data: data.to_vec() }))
}

/// Takes a number of four octets off the front.
pub fn number(data: &mut &[u8]) -> Result<u32, MilterError> {
    let (number, rest) =
        data.split_first_chunk::<4>().ok_or(MilterError::Protocol("a number is missing"))?;
    *data = rest;
    Ok(u32::from_be_bytes(*number))
}

/// Takes a string off the front; the last one may lack its zero octet.
pub fn string<'a>(data: &mut &'a [u8]) -> &'a [u8] {
    let end = data.iter().position(|b| *b == 0);
    let (string, rest) = match end {
        Some(end) => (
            data.get(..end).unwrap_or_default(),
            data.get(end.saturating_add(1)..).unwrap_or_default(),
        ),
        None => (*data, &b""[..]),
    };
    *data = rest;
    string
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_are_read_in_any_pieces_and_wrong_lengths_refused() {
        let mut out = Vec::new();
        write(&mut out, b'h', &[b"A", b"\0", b"b\0"]);
        write(&mut out, b'c', &[]);
        let mut input = BytesMut::new();
        let mut packets = Vec::new();
        for byte in out {
            input.extend_from_slice(&[byte]);
            packets.extend(read(&mut input).unwrap());
        }
        assert_eq!(packets.len(), 2);
        assert_eq!(packets[0], Packet { kind: b'h', data: b"A\0b\0".to_vec() });
        let mut data = &packets[0].data[..];
        assert_eq!(
            (string(&mut data), string(&mut data), string(&mut data)),
            (&b"A"[..], &b"b"[..], &b""[..])
        );
        for wrong in [&[0, 0, 0, 0][..], &[255, 255, 255, 255], &[0, 16, 0, 1]] {
            assert!(read(&mut BytesMut::from(wrong)).is_err());
        }
        assert!(number(&mut &[1, 2, 3][..]).is_err());
    }
}
