//! Programs of others that cannot be installed beside each other: where `./test` unpacks them, how
//! they are started with their own libraries, and how all of their processes end with the test.

#![allow(dead_code, reason = "each test file uses its part")]
#![allow(clippy::unwrap_used, reason = "a test that cannot set up should fail")]

use std::net::TcpStream;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Longest life of a server of a test, in seconds.
const LIFE: &str = "900";
/// How long a server may take until it answers.
const PATIENCE: Duration = Duration::from_secs(30);

/// A program below where `./test` unpacks; what is not there is said aloud.
pub(crate) fn unpacked(program: &str) -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/foreign");
    let own = std::env::var_os("ANGARIUM_FOREIGN").map(PathBuf::from);
    let found = own.into_iter().chain([beside]).map(|at| at.join(program)).find(|p| p.is_file());
    if found.is_none() {
        let name = program.split('/').next().unwrap_or_default();
        println!("skipped: {name} is not unpacked below target/foreign");
        eprintln!("skipped: {name} is not unpacked below target/foreign");
    }
    found.map(|path| path.canonicalize().unwrap())
}

/// True for root; else it is said aloud that these are skipped.
pub(crate) fn is_root(who: &str) -> bool {
    let out = Command::new("id").arg("-u").output().unwrap().stdout;
    let root = out == b"0\n";
    if !root {
        println!("skipped: {who} runs as root only");
        eprintln!("skipped: {who} runs as root only");
    }
    root
}

/// Where the libraries of an unpacked tree are, as the loader wants it.
pub(crate) fn libraries(root: &Path) -> String {
    let mut all = Vec::new();
    for below in ["usr/lib", "lib"] {
        let Ok(entries) = std::fs::read_dir(root.join(below)) else { continue };
        let paths = entries.map(|entry| entry.unwrap().path());
        all.extend(paths.filter(|path| path.to_string_lossy().contains("-linux-")));
    }
    all.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(":")
}

/// The `crypt` form of a password.
pub(crate) fn crypted(password: &str) -> String {
    let out = Command::new("openssl").args(["passwd", "-6", password]).output().unwrap().stdout;
    String::from_utf8(out).unwrap().trim().to_owned()
}

/// Processes of one server, in a directory that goes with them.
pub(crate) struct Running {
    pub(crate) directory: tempfile::TempDir,
    children: Vec<Child>,
}

impl Running {
    /// A directory that other users may enter.
    pub(crate) fn room() -> Self {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().unwrap();
        let open = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(directory.path(), open).unwrap();
        Self { directory, children: Vec::new() }
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Runs a program for as long as this lives, in a group of its own and with nothing of the
    /// caller's environment; what it says goes into a file.
    pub(crate) fn start(&mut self, words: &[&str], environment: &[(&str, &str)]) {
        let log = self.path().join(format!("out{}", self.children.len()));
        let out = std::fs::File::create(log).unwrap();
        let child = Command::new("timeout")
            .args(["-k", "5", LIFE])
            .args(words)
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .env("HOME", self.path())
            .envs(environment.iter().copied())
            .current_dir(self.path())
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(out.try_clone().unwrap())
            .stderr(out)
            .spawn()
            .unwrap();
        self.children.push(child);
    }

    /// Waits until it answers on these ports.
    pub(crate) fn until_answers(&self, ports: &[u16]) {
        let end = Instant::now() + PATIENCE;
        for port in ports {
            while TcpStream::connect(("127.0.0.1", *port)).is_err() {
                assert!(Instant::now() < end, "it does not start: {}", self.log());
                std::thread::sleep(Duration::from_millis(50));
            }
        }
    }

    /// What its processes say.
    pub(crate) fn log(&self) -> String {
        (0..self.children.len())
            .filter_map(|n| std::fs::read(self.path().join(format!("out{n}"))).ok())
            .map(|octets| String::from_utf8_lossy(&octets).into_owned())
            .collect()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = self.log();
            let tail: Vec<&str> = log.lines().rev().take(20).collect();
            eprintln!("== what the old server says, the last first\n{}", tail.join("\n"));
        }
        for signal in ["-TERM", "-KILL"] {
            for child in &self.children {
                let group = format!("-{}", child.id());
                let _ = Command::new("kill")
                    .args([signal, "--", &group])
                    .stderr(Stdio::null())
                    .status();
            }
            let end = Instant::now() + Duration::from_secs(3);
            let ended = |child: &mut Child| !matches!(child.try_wait(), Ok(None));
            while signal == "-TERM" && Instant::now() < end {
                if self.children.iter_mut().all(ended) {
                    break;
                }
                std::thread::sleep(Duration::from_millis(20));
            }
        }
        for child in &mut self.children {
            let _ = child.wait();
        }
    }
}
