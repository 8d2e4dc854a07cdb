//! A plain SMTP client for the tests: says lines, hears replies.

#![allow(dead_code, reason = "each test file uses its part")]

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::time::Duration;

/// A connection.
pub(crate) struct Smtp {
    read: BufReader<TcpStream>,
    write: TcpStream,
}

impl Smtp {
    /// Connects and says EHLO.
    pub(crate) fn connect(address: &str, port: u16) -> Self {
        let stream = TcpStream::connect((address, port)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        stream.set_nodelay(true).unwrap();
        let mut smtp = Self { read: BufReader::new(stream.try_clone().unwrap()), write: stream };
        let greeting = smtp.hear();
        assert!(greeting.starts_with("220"), "{greeting}");
        smtp.ok("EHLO client.example");
        smtp
    }

    /// One reply with all of its lines; empty when the server has closed.
    pub(crate) fn hear(&mut self) -> String {
        let mut reply = String::new();
        loop {
            let mut line = Vec::new();
            let length = self.read.read_until(b'\n', &mut line).unwrap_or(0);
            reply.push_str(&String::from_utf8_lossy(&line));
            if length == 0 || line.get(3) != Some(&b'-') {
                return reply;
            }
        }
    }

    /// One line; empty when the other side has closed.
    pub(crate) fn hear_line(&mut self) -> String {
        let mut line = Vec::new();
        let _ = self.read.read_until(b'\n', &mut line);
        String::from_utf8_lossy(&line).into_owned()
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.write.write_all(bytes).unwrap();
    }

    pub(crate) fn say(&mut self, line: &str) -> String {
        self.send(format!("{line}\r\n").as_bytes());
        self.hear()
    }

    /// Says what must be taken.
    pub(crate) fn ok(&mut self, line: &str) -> String {
        let reply = self.say(line);
        assert!(reply.starts_with(['2', '3']), "{line}: {reply}");
        reply
    }

    /// Logs in by AUTH PLAIN.
    pub(crate) fn login(&mut self, name: &str, password: &str) {
        use base64::Engine as _;
        let secret = format!("\0{name}\0{password}");
        let secret = base64::engine::general_purpose::STANDARD.encode(secret);
        self.ok(&format!("AUTH PLAIN {secret}"));
    }

    /// Sends a letter; the reply that decided, that is the first refusal or the one to the data.
    pub(crate) fn letter(&mut self, from: &str, to: &[&str], text: &str) -> String {
        let reply = self.say(&format!("MAIL FROM:<{from}>"));
        if !reply.starts_with('2') {
            return reply;
        }
        let mut taken = false;
        let mut refusal = String::new();
        for recipient in to {
            let reply = self.say(&format!("RCPT TO:<{recipient}>"));
            taken |= reply.starts_with('2');
            if !reply.starts_with('2') {
                refusal = reply;
            }
        }
        if !taken {
            self.ok("RSET");
            return refusal;
        }
        self.ok("DATA");
        self.send(format!("{}\r\n.\r\n", text.replace("\r\n.", "\r\n..")).as_bytes());
        self.hear()
    }
}

/// A letter that can be found again by its token.
pub(crate) fn letter(from: &str, to: &str, token: &str) -> String {
    format!(
        "From: <{from}>\r\nTo: <{to}>\r\nSubject: {token}\r\nDate: Sun, 22 Nov 2026 10:00:00 +0000\r\n\
         Message-ID: <{token}@test.example>\r\n\r\nThe text of {token}.\r\n"
    )
}
