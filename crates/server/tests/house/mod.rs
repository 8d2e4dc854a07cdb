//! A running house for the tests: the real server on free ports in a temporary directory, a plain
//! client, and foreign programs found or said to be missing.

#![allow(dead_code, reason = "each test file uses its part")]
#![allow(clippy::unwrap_used, reason = "a test that cannot set up should fail")]

pub(crate) mod certificates;
pub(crate) mod courier;
pub(crate) mod cyrus;
pub(crate) mod dovecot_start;
pub(crate) mod foreign;
pub(crate) mod hostile;
pub(crate) mod https;
pub(crate) mod island;
pub(crate) mod mailutils;
pub(crate) mod names;
pub(crate) mod odd_mail;
pub(crate) mod old_dovecot;
pub(crate) mod old_server;
pub(crate) mod ports;
pub(crate) mod recorded;
pub(crate) mod smtp;
pub(crate) mod stand_in;
pub(crate) mod unpacked;

pub(crate) use ports::free_offset;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Password of every account made here.
pub(crate) const PASSWORD: &str = "quite-secret";
/// The main domain.
pub(crate) const DOMAIN: &str = "house.example";

/// The server's program.
pub(crate) const ANGARIUM: &str = env!("CARGO_BIN_EXE_angarium");

/// True when a program can be had; says so aloud when not.
pub(crate) fn installed(program: &str) -> bool {
    let found = std::env::var_os("PATH").is_some_and(|path| {
        std::env::split_paths(&path)
            .chain(["/usr/sbin".into(), "/sbin".into()])
            .any(|directory| directory.join(program).is_file())
    });
    if !found {
        println!("skipped: {program} is not installed");
        eprintln!("skipped: {program} is not installed");
    }
    found
}

/// A running server.
pub(crate) struct House {
    pub(crate) base: PathBuf,
    pub(crate) offset: u16,
    /// Where it listens.
    pub(crate) address: String,
    /// Its main domain.
    pub(crate) domain: String,
    /// What its command line begins with, before the program: where it runs.
    pub(crate) within: Vec<String>,
    /// More words of its command line.
    pub(crate) more: Vec<String>,
    /// What stands in its environment beside the rest.
    pub(crate) environment: Vec<(String, String)>,
    pub(crate) first_words: String,
    child: Option<Child>,
    _directory: Option<tempfile::TempDir>,
}

impl House {
    /// A new base directory with this server on it.
    pub(crate) fn build() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let base = directory.path().join("base");
        let mut house = Self::at(&base);
        house._directory = Some(directory);
        house
    }

    /// A server on this base directory.
    pub(crate) fn at(base: &Path) -> Self {
        let mut house = Self::planned(base, "127.0.0.1", free_offset(), DOMAIN);
        house.start();
        house
    }

    /// A new server on the standard ports of an address, not yet started: settings that stand in
    /// files can be put below `base` first.
    pub(crate) fn alone(address: &str, domain: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut house = Self::planned(&directory.path().join("base"), address, 0, domain);
        house._directory = Some(directory);
        house
    }

    fn planned(base: &Path, address: &str, offset: u16, domain: &str) -> Self {
        Self {
            base: base.to_owned(),
            offset,
            address: address.to_owned(),
            domain: domain.to_owned(),
            within: Vec::new(),
            more: Vec::new(),
            environment: Vec::new(),
            first_words: String::new(),
            child: None,
            _directory: None,
        }
    }

    /// How the server is started.
    pub(crate) fn command(&self) -> Command {
        let secret = self.base.with_extension("password");
        std::fs::write(&secret, PASSWORD).unwrap();
        let mut words = self.within.iter().map(String::as_str).chain([ANGARIUM]);
        let mut command = Command::new(words.next().unwrap());
        command
            .args(words)
            .args(["serve", "--bind", &self.address, "--main-domain", &self.domain])
            .args(["--base", self.base.to_str().unwrap()])
            .args(["--port-offset", &self.offset.to_string()])
            .args(["--postmaster-password-file", secret.to_str().unwrap()])
            .args(&self.more)
            .envs(self.environment.iter().cloned())
            .stdin(Stdio::null());
        command
    }

    /// Starts the server and waits until it says `ready`.
    pub(crate) fn start(&mut self) {
        let mut child = self.command().stdout(Stdio::piped()).spawn().unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        self.first_words.clear();
        loop {
            let mut line = String::new();
            assert!(
                out.read_line(&mut line).unwrap() > 0,
                "the server ended: {}",
                self.first_words
            );
            if line == "ready\n" {
                break;
            }
            self.first_words.push_str(&line);
        }
        self.child = Some(child);
    }

    /// Sends SIGTERM and waits; the exit code.
    pub(crate) fn stop(&mut self) -> Option<i32> {
        let mut child = self.child.take()?;
        Command::new("kill").arg(child.id().to_string()).status().unwrap();
        let end = Instant::now() + Duration::from_secs(20);
        while Instant::now() < end {
            if let Some(status) = child.try_wait().unwrap() {
                return status.code();
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        child.kill().unwrap();
        panic!("the server does not stop");
    }

    /// Kills the server as a power cut would, and waits until it is gone.
    pub(crate) fn kill(&mut self) {
        let mut child = self.child.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }

    /// Most memory the server has used so far, in KiB.
    pub(crate) fn peak_kib(&self) -> u64 {
        peak_kib(self.pid())
    }

    pub(crate) fn port(&self, standard: u16) -> u16 {
        standard + self.offset
    }

    /// Runs a subcommand of `angarium` on this base; standard output.
    pub(crate) fn angarium(&self, arguments: &[&str]) -> (i32, String) {
        let (first, rest) = arguments.split_first().unwrap();
        let out = Command::new(ANGARIUM)
            .arg(first)
            .args(["--base", self.base.to_str().unwrap()])
            .args(rest)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&out.stdout).into_owned();
        let error = String::from_utf8_lossy(&out.stderr);
        if !out.status.success() {
            eprintln!("angarium {arguments:?}: {error}");
        }
        (out.status.code().unwrap_or(-1), text)
    }

    /// Makes an account with the usual password.
    pub(crate) fn account(&self, name: &str) {
        let domain = &self.domain;
        let line = format!("CreateAccount {name}@{domain} {{Password=\"{PASSWORD}\";}}");
        let (code, _) = self.angarium(&["cli", &line]);
        assert_eq!(code, 0, "{line}");
    }

    /// A session logged in to IMAP.
    pub(crate) fn imap(&self, name: &str) -> Imap {
        self.imap_with(name, PASSWORD)
    }

    /// The same with another password.
    pub(crate) fn imap_with(&self, name: &str, password: &str) -> Imap {
        let mut imap = Imap::connect_to(&self.address, self.port(143));
        imap.ok(&format!("LOGIN \"{name}@{}\" \"{password}\"", self.domain));
        imap
    }
}

impl Drop for House {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Most memory a process has used, in KiB.
pub(crate) fn peak_kib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|l| l.starts_with("VmHWM")).unwrap();
    line.split_ascii_whitespace().nth(1).unwrap().parse().unwrap()
}

/// A client that speaks lines and literals, nothing more.
pub(crate) struct Imap {
    read: BufReader<TcpStream>,
    write: TcpStream,
    tag: u32,
}

impl Imap {
    pub(crate) fn connect(port: u16) -> Self {
        Self::connect_to("127.0.0.1", port)
    }

    pub(crate) fn connect_to(address: &str, port: u16) -> Self {
        let stream = TcpStream::connect((address, port)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        stream.set_nodelay(true).unwrap();
        let mut imap =
            Self { read: BufReader::new(stream.try_clone().unwrap()), write: stream, tag: 0 };
        let greeting = imap.line();
        assert!(greeting.starts_with(b"* OK"), "{}", String::from_utf8_lossy(&greeting));
        imap
    }

    pub(crate) fn login(port: u16, name: &str, password: &str) -> Self {
        let mut imap = Self::connect(port);
        imap.ok(&format!("LOGIN \"{name}\" \"{password}\""));
        imap
    }

    /// One line with the literals in it.
    pub(crate) fn line(&mut self) -> Vec<u8> {
        let mut line = Vec::new();
        loop {
            let before = line.len();
            assert!(self.read.read_until(b'\n', &mut line).unwrap() > 0, "closed");
            let text = &line[before..];
            let Some(open) = text.iter().rposition(|b| *b == b'{') else { return line };
            let Some(inner) = text[open + 1..].strip_suffix(b"}\r\n") else { return line };
            let Ok(size) = std::str::from_utf8(inner).unwrap().parse::<usize>() else {
                return line;
            };
            let at = line.len();
            line.resize(at + size, 0);
            self.read.read_exact(&mut line[at..]).unwrap();
        }
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.write.write_all(bytes).unwrap();
    }

    /// Sends a command, gives the untagged lines and the tagged one.
    pub(crate) fn command(&mut self, command: &str) -> (Vec<Vec<u8>>, String) {
        self.tag += 1;
        let tag = format!("t{}", self.tag);
        self.send(format!("{tag} {command}\r\n").as_bytes());
        self.finish(&tag)
    }

    fn finish(&mut self, tag: &str) -> (Vec<Vec<u8>>, String) {
        let mut untagged = Vec::new();
        loop {
            let line = self.line();
            if line.starts_with(tag.as_bytes()) && line.get(tag.len()) == Some(&b' ') {
                let text = String::from_utf8_lossy(&line[tag.len() + 1..]).trim_end().to_owned();
                return (untagged, text);
            }
            untagged.push(line);
        }
    }

    /// Sends a command that must succeed.
    pub(crate) fn ok(&mut self, command: &str) -> Vec<Vec<u8>> {
        let (untagged, end) = self.command(command);
        assert!(end.starts_with("OK"), "{command}: {end}");
        untagged
    }

    /// Appends messages: flags, date, bytes; many in flight.
    pub(crate) fn append_all<'a>(
        &mut self,
        mailbox: &str,
        messages: impl Iterator<Item = (String, String, &'a [u8])>,
    ) {
        let mut tags = Vec::new();
        for (flags, date, bytes) in messages {
            self.tag += 1;
            let tag = format!("t{}", self.tag);
            let head =
                format!("{tag} APPEND \"{mailbox}\" ({flags}) \"{date}\" {{{}+}}\r\n", bytes.len());
            self.send(head.as_bytes());
            self.send(bytes);
            self.send(b"\r\n");
            tags.push(tag);
            if tags.len() == 16 {
                for tag in tags.drain(..) {
                    let (_, end) = self.finish(&tag);
                    assert!(end.starts_with("OK"), "{end}");
                }
            }
        }
        for tag in tags {
            let (_, end) = self.finish(&tag);
            assert!(end.starts_with("OK"), "{end}");
        }
    }

    /// The literal of a line with exactly one.
    pub(crate) fn literal(line: &[u8]) -> &[u8] {
        let open = line.iter().position(|b| *b == b'{').unwrap();
        let close = open + line[open..].iter().position(|b| *b == b'}').unwrap();
        let size: usize = std::str::from_utf8(&line[open + 1..close]).unwrap().parse().unwrap();
        &line[close + 3..close + 3 + size]
    }
}
