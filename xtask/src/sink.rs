//! A mail host that takes everything and keeps nothing: where outgoing mail ends in measurements and
//! crash rounds.
//!
//! It must never answer a message before it has told who listens.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

/// How long a silent client is waited for.
const SILENCE: Duration = Duration::from_secs(120);

/// Longest line taken, octets.
const LINE_MAX: u64 = 64 * 1024;

/// Hears of each message before it is answered.
pub(crate) type Listener = Arc<dyn Fn(&[u8]) + Send + Sync>;

/// Listens at an address of this machine until the process ends; port 0 is any free one.
pub(crate) fn open(at: SocketAddr, listener: Listener) -> io::Result<SocketAddr> {
    let socket = TcpListener::bind(at)?;
    let address = socket.local_addr()?;
    std::thread::spawn(move || {
        for stream in socket.incoming().map_while(Result::ok) {
            let listener = listener.clone();
            // A client that is cut off is no concern of the sink's.
            std::thread::spawn(move || drop(serve(stream, &listener)));
        }
    });
    Ok(address)
}

/// Commands sent ahead are answered in one write.
fn serve(stream: TcpStream, listener: &Listener) -> io::Result<()> {
    stream.set_read_timeout(Some(SILENCE))?;
    stream.set_nodelay(true)?;
    let mut write = stream.try_clone()?;
    let mut read = BufReader::with_capacity(64 * 1024, stream);
    let mut replies = b"220 sink.example ESMTP\r\n".to_vec();
    let mut line = Vec::new();
    loop {
        if read.buffer().is_empty() && !replies.is_empty() {
            write.write_all(&replies)?;
            replies.clear();
        }
        line.clear();
        if read.by_ref().take(LINE_MAX).read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        let verb = line.get(..4).unwrap_or_default().to_ascii_uppercase();
        let reply: &[u8] = match verb.as_slice() {
            b"EHLO" => b"250-sink.example\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 SIZE\r\n",
            b"DATA" => {
                replies.extend_from_slice(b"354 go on\r\n");
                write.write_all(&replies)?;
                replies.clear();
                listener(&text(&mut read)?);
                b"250 2.0.0 gone\r\n"
            }
            b"QUIT" => {
                replies.extend_from_slice(b"221 2.0.0 bye\r\n");
                return write.write_all(&replies);
            }
            b"MAIL" | b"RCPT" | b"RSET" | b"NOOP" | b"HELO" => b"250 2.0.0 well\r\n",
            _ => b"502 5.5.2 unknown\r\n",
        };
        replies.extend_from_slice(reply);
    }
}

/// Everything up to the line with the dot, as it was sent.
fn text(read: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    loop {
        let begin = text.len();
        if read.read_until(b'\n', &mut text)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if text.get(begin..) == Some(b".\r\n") {
            text.truncate(begin);
            return Ok(text);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[test]
    fn a_message_is_told_before_it_is_answered() {
        let told = Arc::new(Mutex::new(Vec::new()));
        let heard = told.clone();
        let listener: Listener = Arc::new(move |text| heard.lock().unwrap().push(text.to_vec()));
        let at = open(([127, 0, 0, 1], 0).into(), listener).unwrap();
        let mut stream = TcpStream::connect(at).unwrap();
        let talk = "EHLO a\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\n";
        stream.write_all(format!("{talk}x\r\n..\r\n.\r\nQUIT\r\n").as_bytes()).unwrap();
        let mut said = String::new();
        stream.read_to_string(&mut said).unwrap();
        assert!(said.contains("250 2.0.0 gone\r\n221 "), "{said}");
        assert_eq!(*told.lock().unwrap(), [b"x\r\n..\r\n"]);
    }
}
