//! A real name server for the tests: BIND's `named` with zones written by the test, signed or not,
//! below a root zone of our own whose key is the trust anchor. A second one answers questions of
//! every kind, with validation, for programs that cannot validate themselves.

#![allow(dead_code, reason = "each test file uses its part")]
#![allow(clippy::unwrap_used, reason = "a test that cannot set up should fail")]

use std::fmt::Write as _;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::installed;
use super::island::run;

/// Seconds that answers live: nothing is remembered for long in a test.
const TTL: u32 = 2;

/// How a zone is signed: with the number of the DNSSEC algorithm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seal {
    /// Not at all, and the zone above says so.
    None,
    /// As it should be.
    Signed(u8),
    /// Every signature over the records of the test is wrong.
    Broken(u8),
}

/// A zone: its name without the last point, and its records with full names.
#[derive(Clone, Debug)]
pub(crate) struct Zone {
    name: String,
    records: String,
    seal: Seal,
}

impl Zone {
    pub(crate) fn new(name: &str, seal: Seal) -> Self {
        Self { name: name.to_owned(), records: String::new(), seal }
    }

    /// Adds a record of a name in the zone; an empty one is the zone itself.
    pub(crate) fn with(mut self, name: &str, data: &str) -> Self {
        let point = if name.is_empty() { "" } else { "." };
        writeln!(self.records, "{name}{point}{}. {TTL} IN {data}", self.name).unwrap();
        self
    }
}

/// Running name servers.
pub(crate) struct Names {
    directory: tempfile::TempDir,
    authority: (String, u16),
    resolver: Option<String>,
    zones: Vec<Zone>,
    running: Vec<Child>,
}

impl Names {
    /// Zones served on 127.0.0.1 by a server that only tells what it knows. `None`, said aloud,
    /// without `named`.
    pub(crate) fn on_loopback(zones: Vec<Zone>) -> Option<Self> {
        let port = super::ports::free_port();
        Self::start(("127.0.0.1", port), None, zones)
    }

    /// Zones served at an address of the island, and a validating resolver at another.
    pub(crate) fn on_island(authority: &str, resolver: &str, zones: Vec<Zone>) -> Option<Self> {
        super::island::address(authority);
        super::island::address(resolver);
        Self::start((authority, 53), Some(resolver), zones)
    }

    fn start(authority: (&str, u16), resolver: Option<&str>, zones: Vec<Zone>) -> Option<Self> {
        if !installed("named") || !installed("dnssec-signzone") || !installed("dnssec-keygen") {
            return None;
        }
        let mut names = Self {
            directory: tempfile::tempdir().unwrap(),
            authority: (authority.0.to_owned(), authority.1),
            resolver: resolver.map(str::to_owned),
            zones,
            running: Vec::new(),
        };
        std::fs::create_dir(names.file("keys")).unwrap();
        names.write_zones();
        names.go();
        Some(names)
    }

    /// Starts the servers again after [`Names::stop`].
    pub(crate) fn go(&mut self) {
        let (ip, port) = self.authority.clone();
        let mut zones = String::from("zone \".\" { type primary; file \"root.served\"; };\n");
        for zone in &self.zones {
            let name = &zone.name;
            writeln!(zones, "zone \"{name}\" {{ type primary; file \"{name}.served\"; }};")
                .unwrap();
        }
        let conf = self.configuration(
            "authority",
            &ip,
            port,
            "recursion no; dnssec-validation no; max-records-per-type 0;",
        );
        std::fs::write(self.file("authority.conf"), conf + &zones).unwrap();
        self.run("authority", &ip, port);
        let Some(resolver) = self.resolver.clone() else { return };
        let hints = format!(". 3600 IN NS ns.\nns. 3600 IN A {ip}\n");
        std::fs::write(self.file("hints"), hints).unwrap();
        let anchor = std::fs::read_to_string(self.anchor()).unwrap();
        let words: Vec<&str> = anchor.split_ascii_whitespace().collect();
        let key = words[7..].concat();
        let more = format!(
            "recursion yes; allow-recursion {{ any; }}; dnssec-validation yes; servfail-ttl 0; \
             max-cache-ttl {TTL}; max-ncache-ttl {TTL}; query-source address {resolver};"
        );
        let conf = self.configuration("resolver", &resolver, 53, &more)
            + &format!(
                "trust-anchors {{ . static-key {} {} {} \"{key}\"; }};\n\
                 zone \".\" {{ type hint; file \"hints\"; }};\n",
                words[4], words[5], words[6]
            );
        std::fs::write(self.file("resolver.conf"), conf).unwrap();
        self.run("resolver", &resolver, 53);
    }

    /// Nobody answers any more.
    pub(crate) fn stop(&mut self) {
        for mut child in self.running.drain(..) {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// A zone has other records from now on.
    pub(crate) fn change(&mut self, zone: Zone) {
        self.stop();
        self.zones.retain(|old| old.name != zone.name);
        self.zones.push(zone);
        self.write_zones();
        self.go();
    }

    /// The key of the root, in the form of a zone file.
    pub(crate) fn anchor(&self) -> PathBuf {
        self.file("anchor.key")
    }

    /// Address and port of the server that tells what it knows.
    pub(crate) fn authority(&self) -> String {
        format!("{}:{}", self.authority.0, self.authority.1)
    }

    /// A file for `/etc/resolv.conf` that leads to the resolver, whose word is trusted.
    pub(crate) fn resolv_conf(&self) -> PathBuf {
        let path = self.file("resolv.conf");
        let ip = self.resolver.as_deref().unwrap();
        std::fs::write(&path, format!("nameserver {ip}\noptions edns0 trust-ad\n")).unwrap();
        path
    }

    fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn configuration(&self, who: &str, ip: &str, port: u16, more: &str) -> String {
        format!(
            "options {{ directory \"{at}\"; pid-file none; session-keyfile \"{at}/{who}.session\"; \
             listen-on port {port} {{ {ip}; }}; listen-on-v6 {{ none; }}; empty-zones-enable no; \
             allow-query {{ any; }}; max-cache-size 16M; managed-keys-directory \"{at}\"; {more} }};\n\
             controls {{ }};\n",
            at = self.directory.path().display()
        )
    }

    fn run(&mut self, who: &str, ip: &str, port: u16) {
        let log = std::fs::File::create(self.file(&format!("{who}.log"))).unwrap();
        let child = Command::new("named")
            .args(["-n", "1", "-g", "-c"])
            .arg(self.file(&format!("{who}.conf")))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        self.running.push(child);
        let end = Instant::now() + Duration::from_secs(20);
        while TcpStream::connect((ip, port)).is_err() {
            let log = std::fs::read_to_string(self.file(&format!("{who}.log"))).unwrap();
            assert!(Instant::now() < end, "named does not answer: {log}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn write_zones(&self) {
        let mut below = String::new();
        for zone in &self.zones {
            let Zone { name, records, seal } = zone;
            let head = format!(
                "{name}. {TTL} IN SOA ns. host. 1 60 60 86400 {TTL}\n{name}. {TTL} IN NS ns.\n"
            );
            writeln!(below, "{name}. {TTL} IN NS ns.").unwrap();
            self.write_zone(name, &format!("{name}."), &(head + records), *seal);
            if *seal != Seal::None {
                let set = self.file(&format!("dsset-{name}."));
                below.push_str(&std::fs::read_to_string(set).unwrap());
            }
        }
        let root = format!(
            ". {TTL} IN SOA ns. host. 1 60 60 86400 {TTL}\n. {TTL} IN NS ns.\n\
             ns. {TTL} IN A {}\n{below}",
            self.authority.0
        );
        let key = self.write_zone("root", ".", &root, Seal::Signed(13)).unwrap();
        let anchor = std::fs::read_to_string(key).unwrap();
        let line = anchor.lines().find(|line| !line.starts_with(';')).unwrap();
        let rest = line.split_once(" IN DNSKEY ").unwrap().1;
        std::fs::write(self.anchor(), format!(". 3600 IN DNSKEY {rest}\n")).unwrap();
    }

    /// Writes the file that is served; the file of its key, if it is signed.
    fn write_zone(&self, name: &str, origin: &str, records: &str, seal: Seal) -> Option<PathBuf> {
        let served = self.file(&format!("{name}.served"));
        let (Seal::Signed(algorithm) | Seal::Broken(algorithm)) = seal else {
            std::fs::write(served, format!("$TTL {TTL}\n{records}")).unwrap();
            return None;
        };
        let plain = self.file(&format!("{name}.plain"));
        std::fs::write(&plain, format!("$TTL {TTL}\n{records}")).unwrap();
        let keys = self.file("keys");
        let key = self.key(&keys, origin, algorithm);
        let out = Command::new("dnssec-signzone")
            .current_dir(self.directory.path())
            .args(["-q", "-S", "-z", "-O", "full", "-K", "keys", "-o", origin, "-f"])
            .args([&served, &plain])
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert!(out.status.success(), "{name}: {}", String::from_utf8_lossy(&out.stderr));
        if matches!(seal, Seal::Broken(_)) {
            let text = std::fs::read_to_string(&served).unwrap();
            std::fs::write(&served, broken(&text)).unwrap();
        }
        Some(key)
    }

    /// The key of a zone, made once.
    fn key(&self, keys: &Path, origin: &str, algorithm: u8) -> PathBuf {
        let start = format!("K{origin}+{algorithm:03}+");
        let found =
            std::fs::read_dir(keys).unwrap().map(|entry| entry.unwrap().path()).find(|path| {
                let name = path.file_name().unwrap().to_string_lossy();
                name.starts_with(&start) && name.ends_with(".key")
            });
        if let Some(path) = found {
            return path;
        }
        let (number, at) = (algorithm.to_string(), keys.to_str().unwrap());
        let mut arguments = vec!["-q", "-a", &number, "-f", "KSK", "-K", at];
        if algorithm == 8 {
            arguments.extend(["-b", "2048"]);
        }
        arguments.push(origin);
        let name = run("dnssec-keygen", &arguments);
        keys.join(format!("{}.key", name.trim()))
    }
}

impl Drop for Names {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Changes every signature but those that hold the zone together.
fn broken(zone: &str) -> String {
    let mut text = String::with_capacity(zone.len());
    for line in zone.lines() {
        let signature = line.split_once("\tIN RRSIG\t").map(|(_, rest)| rest);
        let kept = ["SOA", "NS", "DNSKEY"];
        let of = signature.and_then(|rest| rest.split(' ').next());
        match line.rsplit_once(' ') {
            Some((front, last)) if of.is_some_and(|of| !kept.contains(&of)) => {
                // The length stays what it was.
                let first = if last.starts_with('A') { 'B' } else { 'A' };
                let rest = last.get(1..).unwrap_or_default();
                writeln!(text, "{front} {first}{rest}").unwrap();
            }
            _ => writeln!(text, "{line}").unwrap(),
        }
    }
    text
}
