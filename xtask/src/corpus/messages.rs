//! Ordinary mail: plain and HTML text in several encodings, attachments, forwarded messages,
//! replies.
//!
//! It must never make mail that breaks a standard; that is the business of the odd kinds.

use super::random::Random;
use super::texts::{self, Tongue};

/// Octets of the content of a large attachment.
const LARGE: usize = 5 * 1024 * 1024;

/// What is needed to make one message.
pub(crate) struct Recipe<'r> {
    /// Random numbers of this message alone.
    pub(crate) random: &'r mut Random,
    /// In which words it is written.
    pub(crate) tongue: Tongue,
    /// When it was sent, in seconds since 1970.
    pub(crate) sent: i64,
    /// Its own identifier.
    pub(crate) id: String,
    /// The identifier of the message it answers, if it answers one.
    pub(crate) answers: Option<String>,
}

impl Recipe<'_> {
    /// The identifier of the message of this key.
    pub(crate) fn id_of(key: &[u64]) -> String {
        let mut random = Random::new(key);
        format!("<{}.{}@{}>", random.token(12), random.token(6), texts::host(&mut random))
    }

    /// Octets of text, by a distribution with a mean of about five thousand.
    fn text_size(&mut self) -> usize {
        match self.random.below(100) {
            0..62 => self.random.between(300, 2_500),
            62..91 => self.random.between(2_500, 9_000),
            91..99 => self.random.between(9_000, 30_000),
            _ => self.random.between(30_000, 90_000),
        }
    }

    /// Trace fields and those of sender, subject and date.
    pub(crate) fn head(&mut self) -> String {
        let (random, tongue, sent) = (&mut *self.random, self.tongue, self.sent);
        let zone = random.between(0, 11) as i64 - 5;
        let mut head = String::new();
        if random.percent(80) {
            head +=
                &format!("Return-Path: <bounce-{}@{}>\r\n", random.token(6), texts::host(random));
            for hop in 0..random.between(1, 3) {
                head += &format!(
                    "Received: from {} ([192.0.2.{}])\r\n\tby {} with ESMTPS id {}\r\n\tfor <user@example.com>; {}\r\n",
                    texts::host(random),
                    random.between(1, 254),
                    texts::host(random),
                    random.token(10),
                    texts::field_date(sent + 5 - hop as i64, zone)
                );
            }
        }
        head += &format!("Message-ID: {}\r\n", self.id);
        head += &format!("Date: {}\r\n", texts::field_date(sent, zone));
        head += &format!("From: {}\r\n", texts::address(random));
        let mut to: Vec<String> = Vec::new();
        for _ in 0..random.between(1, 3) {
            to.push(texts::address(random));
        }
        head += &format!("To: {}\r\n", to.join(",\r\n "));
        if random.percent(20) {
            head +=
                &format!("Cc: Team: {}, {};\r\n", texts::address(random), texts::address(random));
        }
        let words = random.between(1, 7);
        let mut subject = texts::header_text(&tongue.phrase(random, words), random);
        if let Some(answers) = &self.answers {
            subject = format!("Re: {subject}");
            head += &format!("In-Reply-To: {answers}\r\nReferences: {answers}\r\n");
        }
        head += &format!("Subject: {subject}\r\nMIME-Version: 1.0\r\n");
        head
    }

    /// One ordinary message.
    pub(crate) fn ordinary(&mut self) -> Vec<u8> {
        let size = self.text_size();
        match self.random.below(100) {
            0..40 => self.plain(size),
            40..62 => self.alternative(size),
            62..78 => self.html(size),
            78..93 => {
                let content = self.random.between(500, 10_000);
                self.attachment(size / 4, content)
            }
            _ => self.forwarded(size / 2),
        }
    }

    /// A message with an attachment of five mebibytes.
    pub(crate) fn large(&mut self) -> Vec<u8> {
        self.attachment(500, LARGE)
    }

    fn plain(&mut self, size: usize) -> Vec<u8> {
        let mut message = self.head().into_bytes();
        message.extend(self.text_part("plain", size));
        message
    }

    fn html(&mut self, size: usize) -> Vec<u8> {
        let mut message = self.head().into_bytes();
        message.extend(self.text_part("html", size));
        message
    }

    /// The fields and the body of a text, in one of the encodings.
    fn text_part(&mut self, subtype: &str, size: usize) -> Vec<u8> {
        let mut text = self.tongue.text(self.random, size);
        if subtype == "html" {
            text = format!(
                "<html><head><style>p {{ margin: 0 }}</style></head><body>\r\n<p>{}</p>\r\n</body></html>\r\n",
                text.replace("\r\n\r\n", "</p>\r\n<p>")
            );
        }
        let form = self.random.below(4);
        let charset =
            if form == 3 && self.tongue == Tongue::Latin { "iso-8859-1" } else { "utf-8" };
        let encoding = ["8bit", "quoted-printable", "base64", "8bit"][form];
        let mut part = format!(
            "Content-Type: text/{subtype}; charset={charset}\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n"
        )
        .into_bytes();
        match form {
            1 => part.extend(texts::quoted_printable(&text).into_bytes()),
            2 => part.extend(texts::base64_lines(text.as_bytes()).into_bytes()),
            3 if charset == "iso-8859-1" => part.extend(texts::latin1(&text)),
            _ => part.extend(text.into_bytes()),
        }
        part
    }

    /// A multipart of finished parts.
    fn multipart(&mut self, subtype: &str, parts: Vec<Vec<u8>>) -> Vec<u8> {
        let boundary = format!("=_{}", self.random.token(16));
        let mut body = format!(
            "Content-Type: multipart/{subtype};\r\n\tboundary=\"{boundary}\"\r\n\r\nThis is a message in several parts.\r\n"
        )
        .into_bytes();
        for part in parts {
            body.extend(format!("--{boundary}\r\n").into_bytes());
            body.extend(part);
            body.extend(b"\r\n");
        }
        body.extend(format!("--{boundary}--\r\n").into_bytes());
        body
    }

    fn alternative(&mut self, size: usize) -> Vec<u8> {
        let mut message = self.head().into_bytes();
        let parts = vec![self.text_part("plain", size / 2), self.text_part("html", size / 2)];
        message.extend(self.multipart("alternative", parts));
        message
    }

    fn attachment(&mut self, text: usize, content: usize) -> Vec<u8> {
        let mut message = self.head().into_bytes();
        let (kind, name) = self.random.pick(&[
            ("application/pdf; name=\"report.pdf\"", "filename=\"report.pdf\""),
            ("image/jpeg", "filename*=utf-8''%C3%9Cbersicht.jpg"),
            ("application/octet-stream", "filename*0*=utf-8''%E8%A6%8B;\r\n filename*1=\"x.bin\""),
            ("application/zip", "filename=\"a b; c.zip\""),
        ]);
        let mut part = format!(
            "Content-Type: {kind}\r\nContent-Disposition: attachment; {name}\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        )
        .into_bytes();
        part.extend(texts::base64_lines(&self.random.bytes(content)).into_bytes());
        let parts = vec![self.text_part("plain", text), part];
        message.extend(self.multipart("mixed", parts));
        message
    }

    fn forwarded(&mut self, size: usize) -> Vec<u8> {
        let mut message = self.head().into_bytes();
        let id = std::mem::replace(&mut self.id, "<inner@example.org>".to_owned());
        let mut part = b"Content-Type: message/rfc822\r\n\r\n".to_vec();
        part.extend(self.alternative(size));
        self.id = id;
        let parts = vec![self.text_part("plain", 300), part];
        message.extend(self.multipart("mixed", parts));
        message
    }
}
