//! Whether a server has an account, asked by SMTP where a login was refused (`--askNames1`,
//! `--askNames2`): `MAIL FROM:<>`, `RCPT`, and no message. A name that cannot exist is asked about
//! too, so that a server which takes every name says nothing. It must never show a password.

use std::time::Duration;

use aws_lc_rs::rand;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::advice::Known;
use crate::endpoint::Endpoint;

/// How long one question may take.
const LIMIT: Duration = Duration::from_secs(20);
/// Most octets of the server's replies that are read.
const MAX_REPLIES: usize = 64 * 1024;
/// Longest address that is asked about, in octets (RFC 5321 section 4.5.3.1).
const MAX_ADDRESS: usize = 254;

/// Where names are asked about at each server.
#[derive(Clone, Debug, Default)]
pub struct Asking {
    /// At the old server.
    pub source: Option<Endpoint>,
    /// At the new one.
    pub target: Option<Endpoint>,
}

struct Talk {
    stream: TcpStream,
    kept: Vec<u8>,
    read: usize,
}

impl Talk {
    /// The next reply: its code and its last line.
    async fn reply(&mut self) -> Option<(u16, String)> {
        loop {
            while let Some(end) = self.kept.iter().position(|octet| *octet == b'\n') {
                let line: Vec<u8> = self.kept.drain(..=end).collect();
                let line = String::from_utf8_lossy(&line).trim_end().to_owned();
                let code = line.get(..3)?.parse().ok()?;
                if line.as_bytes().get(3) != Some(&b'-') {
                    return Some((code, line));
                }
            }
            let mut piece = [0; 1_024];
            let got = self.stream.read(&mut piece).await.ok().filter(|got| *got > 0)?;
            self.read = self.read.saturating_add(got);
            if self.read > MAX_REPLIES {
                return None;
            }
            self.kept.extend_from_slice(piece.get(..got)?);
        }
    }

    async fn say(&mut self, line: &str) -> Option<(u16, String)> {
        self.stream.write_all(format!("{line}\r\n").as_bytes()).await.ok()?;
        self.reply().await
    }
}

/// What a reply to RCPT says of the name.
fn judged((code, line): &(u16, String)) -> Known {
    // A refusal of us, or of how the address is written, is no word about the name (RFC 3463).
    let word = line.get(4..).and_then(|rest| rest.split(' ').next()).unwrap_or_default();
    let of_us = ["5.7.", "5.5.", "5.1.3", "5.1.7"].iter().any(|class| word.starts_with(class));
    match code {
        250 | 251 => Known::Yes,
        550 | 551 | 553 if !of_us => Known::No,
        _ => Known::Open,
    }
}

async fn talk(at: &Endpoint, name: &str) -> Option<Known> {
    let stream = TcpStream::connect((at.host.as_str(), at.port)).await.ok()?;
    let mut talk = Talk { stream, kept: Vec::new(), read: 0 };
    if talk.reply().await?.0 != 220
        || talk.say("HELO localhost").await?.0 / 100 != 2
        || talk.say("MAIL FROM:<>").await?.0 / 100 != 2
    {
        return None;
    }
    let known = judged(&talk.say(&format!("RCPT TO:<{name}>")).await?);
    let mut octets = [0; 12];
    rand::fill(&mut octets).ok()?;
    let mut nobody: String = octets.iter().map(|octet| format!("{octet:02x}")).collect();
    nobody.insert_str(0, "nobody-");
    if let Some((_, domain)) = name.rsplit_once('@') {
        nobody.push_str(&format!("@{domain}"));
    }
    let control = judged(&talk.say(&format!("RCPT TO:<{nobody}>")).await?);
    let _ = talk.stream.write_all(b"QUIT\r\n").await;
    Some(match (known, control) {
        (Known::Yes, Known::No) => Known::Yes,
        (Known::No, Known::No) => Known::No,
        _ => Known::Open,
    })
}

/// Whether the server takes mail for a name; open where it says nothing of use.
pub(super) async fn knows(at: &Endpoint, name: &str) -> Known {
    let plain = |c: char| !c.is_control() && !c.is_whitespace() && !"<>\"\\".contains(c);
    if name.is_empty() || name.len() > MAX_ADDRESS || !name.is_ascii() || !name.chars().all(plain) {
        return Known::Open;
    }
    match tokio::time::timeout(LIMIT, talk(at, name)).await {
        Ok(Some(known)) => known,
        _ => Known::Open,
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncBufReadExt, BufReader};
    use tokio::net::TcpListener;

    use super::*;

    /// A server that knows joe, or everybody, or nobody at all.
    async fn asked(greeting: &'static str, others: &'static str, name: &str) -> Known {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            let mut lines = BufReader::new(stream);
            let mut say = greeting.to_owned();
            loop {
                lines.get_mut().write_all(format!("{say}\r\n").as_bytes()).await.unwrap();
                let mut line = String::new();
                if lines.read_line(&mut line).await.unwrap_or(0) == 0 {
                    return;
                }
                say = match line.as_str() {
                    line if line.starts_with("RCPT TO:<joe") => "250-yes\r\n250 yes".into(),
                    line if line.starts_with("RCPT") => others.into(),
                    _ => "250 well".into(),
                };
            }
        });
        let at = Endpoint::parse(&format!("127.0.0.1:{port}"), 25).unwrap();
        knows(&at, name).await
    }

    #[tokio::test]
    async fn a_name_is_known_unknown_or_nothing_is_learned() {
        assert_eq!(asked("220 here", "550 5.1.1 no", "joe@a.dom").await, Known::Yes);
        assert_eq!(asked("220 here", "550 5.1.1 no", "jim").await, Known::No);
        assert_eq!(asked("220 here", "250 everybody", "joe@a.dom").await, Known::Open);
        assert_eq!(asked("220 here", "450 greylisted", "joe@a.dom").await, Known::Open);
        assert_eq!(asked("220 here", "550 5.7.1 no relay", "jim@a.dom").await, Known::Open);
        assert_eq!(asked("220 here", "553 5.1.3 no domain", "jim").await, Known::Open);
        assert_eq!(asked("554 not you", "550 no", "joe@a.dom").await, Known::Open);
        assert_eq!(asked("220 here", "550 no", "joe>\r\nDATA").await, Known::Open);
        let nobody = Endpoint::parse("127.0.0.1:1", 25).unwrap();
        assert_eq!(knows(&nobody, "joe").await, Known::Open);
    }
}
