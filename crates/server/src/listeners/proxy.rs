//! The PROXY protocol, versions 1 and 2: a load balancer's first words on a connection say who the
//! true client is. They are read before anything else, also before TLS, and only from addresses
//! that are trusted with it.
//!
//! It must never know who is trusted.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

/// How long a load balancer may take to say who its client is.
const PATIENCE: Duration = Duration::from_secs(10);

/// Longest header of version 1, octets with CRLF.
const LINE: usize = 107;

/// Longest header of version 2, octets: addresses and what else is said beside them.
const MOST: usize = 16 + 2_048;

/// The beginning of version 2.
const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// The beginning of version 1.
const WORD: &[u8] = b"PROXY ";

/// What a header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Header {
    /// The client, and what it connected to.
    Addresses(SocketAddr, SocketAddr),
    /// The load balancer speaks for itself (a check), or cannot tell.
    Itself,
}

/// Where reading a header stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Read {
    /// So many octets are needed before more can be said.
    More(usize),
    /// The header and its length.
    Whole(Header, usize),
    Wrong,
}

/// Reads the header at the beginning of a connection and nothing behind it; answers the client's
/// address and the one it connected to.
pub(super) async fn read(
    stream: &mut TcpStream,
    peer: SocketAddr,
    local: SocketAddr,
) -> io::Result<(SocketAddr, SocketAddr)> {
    let header = tokio::time::timeout(PATIENCE, header(stream)).await??;
    Ok(match header {
        Header::Addresses(client, to) => (client, to),
        Header::Itself => (peer, local),
    })
}

async fn header(stream: &mut TcpStream) -> io::Result<Header> {
    let mut bytes = Vec::with_capacity(LINE);
    loop {
        match parse(&bytes) {
            Read::Whole(header, length) if length == bytes.len() => return Ok(header),
            Read::More(needed) if (bytes.len() + 1..=MOST).contains(&needed) => {
                // Never an octet more than the header has: TLS or a command may follow.
                let have = bytes.len();
                bytes.resize(needed, 0);
                let rest = bytes.get_mut(have..).unwrap_or_default();
                stream.read_exact(rest).await?;
            }
            _ => return Err(io::Error::other("no PROXY header")),
        }
    }
}

fn parse(bytes: &[u8]) -> Read {
    // Both forms are told apart by as many octets as the shorter mark has.
    let Some(start) = bytes.get(..WORD.len()) else { return Read::More(WORD.len()) };
    if start == WORD {
        return version_1(bytes);
    }
    if !SIGNATURE.starts_with(start) {
        return Read::Wrong;
    }
    version_2(bytes)
}

fn version_1(bytes: &[u8]) -> Read {
    let Some(line) = bytes.strip_suffix(b"\r\n") else {
        // Octet by octet, because the length is not told.
        return if bytes.len() < LINE { Read::More(bytes.len() + 1) } else { Read::Wrong };
    };
    let Ok(line) = std::str::from_utf8(line) else { return Read::Wrong };
    let words: Vec<&str> = line.split(' ').skip(1).collect();
    let header = match words[..] {
        ["UNKNOWN", ..] => Some(Header::Itself),
        ["TCP4" | "TCP6", client, to, from_port, to_port] => {
            let family = words.first() == Some(&"TCP4");
            let address = |ip: &str, port: &str| -> Option<SocketAddr> {
                let ip: IpAddr = ip.parse().ok()?;
                let digits = !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit());
                (ip.is_ipv4() == family && digits)
                    .then(|| port.parse().ok())?
                    .map(|port| SocketAddr::new(ip, port))
            };
            address(client, from_port)
                .zip(address(to, to_port))
                .map(|(client, to)| Header::Addresses(client, to))
        }
        _ => None,
    };
    header.map_or(Read::Wrong, |header| Read::Whole(header, bytes.len()))
}

fn version_2(bytes: &[u8]) -> Read {
    let Some((start, rest)) = bytes.split_at_checked(SIGNATURE.len()) else {
        return Read::More(16);
    };
    if start != SIGNATURE {
        return Read::Wrong;
    }
    let Some((&[command, family, high, low], body)) = rest.split_first_chunk::<4>() else {
        return Read::More(16);
    };
    let length = 16 + usize::from(u16::from_be_bytes([high, low]));
    if length > MOST {
        return Read::Wrong;
    }
    if bytes.len() < length {
        return Read::More(length);
    }
    match (command, family) {
        (0x20, _) => Read::Whole(Header::Itself, length),
        (0x21, 0x11) => match body.first_chunk::<12>() {
            Some(&[a, b, c, d, e, f, g, h, p, q, r, s]) => {
                let client = SocketAddr::from((Ipv4Addr::new(a, b, c, d), word(p, q)));
                let to = SocketAddr::from((Ipv4Addr::new(e, f, g, h), word(r, s)));
                Read::Whole(Header::Addresses(client, to), length)
            }
            None => Read::Wrong,
        },
        (0x21, 0x21) => {
            let six = |from: usize| -> Option<IpAddr> {
                let octets: [u8; 16] = body.get(from..from + 16)?.try_into().ok()?;
                Some(IpAddr::V6(Ipv6Addr::from(octets)))
            };
            match (six(0), six(16), body.get(32..36)) {
                (Some(client), Some(to), Some(&[p, q, r, s])) => {
                    let client = SocketAddr::new(client, word(p, q));
                    Read::Whole(Header::Addresses(client, SocketAddr::new(to, word(r, s))), length)
                }
                _ => Read::Wrong,
            }
        }
        // Other families tell no address of use here.
        (0x21, _) => Read::Whole(Header::Itself, length),
        _ => Read::Wrong,
    }
}

fn word(high: u8, low: u8) -> u16 {
    u16::from_be_bytes([high, low])
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt;
    use tokio::net::TcpListener;

    use super::*;

    fn version_2_of(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
        let mut bytes = SIGNATURE.to_vec();
        bytes.extend_from_slice(&[command, family]);
        bytes.extend_from_slice(&u16::try_from(body.len()).unwrap().to_be_bytes());
        bytes.extend_from_slice(body);
        bytes
    }

    /// What is read when these octets come, one by one, and what is left on the connection.
    async fn over_a_socket(bytes: &[u8]) -> (io::Result<(SocketAddr, SocketAddr)>, Vec<u8>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let to = listener.local_addr().unwrap();
        let bytes = bytes.to_vec();
        let writer = tokio::spawn(async move {
            let mut stream = TcpStream::connect(to).await.unwrap();
            for byte in bytes {
                if stream.write_all(&[byte]).await.is_err() {
                    return;
                }
            }
        });
        let (mut stream, peer) = listener.accept().await.unwrap();
        let found = read(&mut stream, peer, to).await;
        let mut rest = Vec::new();
        if found.is_ok() {
            stream.read_to_end(&mut rest).await.unwrap();
        }
        drop(stream);
        writer.await.unwrap();
        (found, rest)
    }

    #[tokio::test]
    async fn both_versions_tell_the_client_and_take_nothing_else() {
        let four = [192, 0, 2, 7, 198, 51, 100, 1, 0x10, 0xE1, 0, 25, 0xEE, 0, 1, 9];
        let mut six = Vec::new();
        for last in [7, 1] {
            six.extend_from_slice(&[0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last]);
        }
        six.extend_from_slice(&[0x10, 0xE1, 0, 25]);
        for (header, client, to) in [
            (
                b"PROXY TCP4 192.0.2.7 198.51.100.1 4321 25\r\n".to_vec(),
                "192.0.2.7:4321",
                "198.51.100.1:25",
            ),
            (
                b"PROXY TCP6 2001:db8::7 2001:db8::1 4321 25\r\n".to_vec(),
                "[2001:db8::7]:4321",
                "[2001:db8::1]:25",
            ),
            (version_2_of(0x21, 0x11, &four), "192.0.2.7:4321", "198.51.100.1:25"),
            (version_2_of(0x21, 0x21, &six), "[2001:db8::7]:4321", "[2001:db8::1]:25"),
        ] {
            let (found, rest) = over_a_socket(&[&header[..], b"EHLO x\r\n"].concat()).await;
            assert_eq!(found.unwrap(), (client.parse().unwrap(), to.parse().unwrap()));
            assert_eq!(rest, b"EHLO x\r\n");
        }
        for header in [b"PROXY UNKNOWN\r\n".to_vec(), version_2_of(0x20, 0, &[])] {
            let (found, _) = over_a_socket(&header).await;
            assert!(found.unwrap().0.ip().is_loopback());
        }
    }

    #[tokio::test]
    async fn what_is_no_header_is_not_taken_for_one() {
        let long = [b"PROXY UNKNOWN ".as_slice(), &[b'x'; 200], b"\r\n"].concat();
        let mut huge = version_2_of(0x21, 0x11, &[]);
        huge[14..16].copy_from_slice(&[0xFF, 0xFF]);
        for wrong in [
            b"EHLO client.example\r\n".to_vec(),
            b"PROXY TCP4 192.0.2.7 ::1 1 2\r\n".to_vec(),
            b"PROXY TCP4 192.0.2.7 192.0.2.8 1 70000\r\n".to_vec(),
            b"PROXY TCP4 192.0.2.7 192.0.2.8 +1 2\r\n".to_vec(),
            b"PROXY \r\n".to_vec(),
            b"\x16\x03\x01\x02\x00\x01".to_vec(),
            version_2_of(0x22, 0x11, &[0; 12]),
            version_2_of(0x21, 0x11, &[0; 4]),
            long,
            huge,
        ] {
            let (found, _) = over_a_socket(&wrong).await;
            assert!(found.is_err(), "{wrong:?}");
        }
    }
}
