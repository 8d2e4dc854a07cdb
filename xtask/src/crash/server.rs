//! The real server as a process: started on a base directory, killed, stopped, checked.

use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use super::wire::{Outcome, Wire};

/// How long the server may take until it says that it is ready, or until it has stopped.
const PATIENCE: Duration = Duration::from_secs(30);

/// The standard ports that the crash rounds use: SMTP, PWD and IMAP among all the server opens.
const PORTS: [u16; 8] = [25, 106, 110, 143, 465, 587, 993, 995];

/// The offsets used.
const LOWEST: u16 = 20_000;
const HIGHEST: u16 = 31_000;

/// Where the server is and what it is told.
#[derive(Clone, Debug)]
pub(crate) struct Site {
    /// The program.
    pub(crate) binary: PathBuf,
    /// The base directory.
    pub(crate) base: PathBuf,
    /// The file with the first password of `postmaster`.
    pub(crate) password_file: PathBuf,
    /// Added to every standard port.
    pub(crate) offset: u16,
}

/// A running server, killed when dropped.
pub(crate) struct Server {
    child: Child,
}

/// An offset at which all ports are free now; `start` makes different runs begin elsewhere. All
/// ports stay below the ones a system takes for outgoing connections, so that none of the load's
/// own connections sits on a port when the server comes back.
pub(crate) fn free_offset(start: u64) -> Outcome<u16> {
    let mut offset = LOWEST + u16::try_from(start % u64::from(HIGHEST - LOWEST)).unwrap_or(0);
    for _ in 0..200 {
        let free = |port: &u16| TcpListener::bind((Ipv4Addr::LOCALHOST, port + offset)).is_ok();
        if PORTS.iter().all(free) {
            return Ok(offset);
        }
        offset = if offset + 101 > HIGHEST { LOWEST } else { offset + 101 };
    }
    Err("no free ports".to_owned())
}

impl Site {
    /// A port of the server.
    pub(crate) fn port(&self, standard: u16) -> u16 {
        standard + self.offset
    }

    /// Starts the server and waits until it is ready.
    pub(crate) fn start(&self) -> Outcome<Server> {
        let mut command = Command::new(&self.binary);
        command.arg("serve").arg("--base").arg(&self.base);
        command.args(["--main-domain", super::DOMAIN, "--bind", "127.0.0.1"]);
        command.arg("--port-offset").arg(self.offset.to_string());
        command.arg("--postmaster-password-file").arg(&self.password_file);
        let log = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.base.with_extension("log"))
            .map_err(|error| format!("the server's log: {error}"))?;
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log);
        let mut child = command
            .spawn()
            .map_err(|error| format!("{} does not start: {error}", self.binary.display()))?;
        let output = child.stdout.take().ok_or("no standard output")?;
        let mut server = Server { child };
        let (tell, told) = mpsc::channel();
        // Reads on to the end, so that the server is never held up by a full pipe.
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if line.trim() == "ready" {
                    let _ = tell.send(());
                }
            }
        });
        if told.recv_timeout(PATIENCE).is_err() {
            let ended = server.child.try_wait();
            return Err(format!("the server did not get ready; it ended: {ended:?}"));
        }
        Ok(server)
    }

    /// Runs `angarium check` on the stopped store; an error says what it found.
    pub(crate) fn check(&self) -> Outcome<()> {
        let output = Command::new(&self.binary)
            .arg("check")
            .arg("--base")
            .arg(&self.base)
            .stdin(Stdio::null())
            .output()
            .map_err(|error| format!("angarium check: {error}"))?;
        if output.status.success() {
            return Ok(());
        }
        let said = [output.stdout, output.stderr].concat();
        Err(format!("angarium check: {}: {}", output.status, String::from_utf8_lossy(&said)))
    }

    /// Makes accounts over the CLI.
    pub(crate) fn make_accounts(&self, password: &str, names: &[String]) -> Outcome<()> {
        let made = names.iter().map(|name| {
            let settings = format!("{{Password=\"{}\";}}", super::PASSWORD);
            format!("CreateAccount {name}@{} {settings}", super::DOMAIN)
        });
        self.tell(password, &made.collect::<Vec<_>>())
    }

    /// Executes commands of the CLI as postmaster.
    pub(crate) fn tell(&self, password: &str, commands: &[String]) -> Outcome<()> {
        let mut wire = Wire::connect(self.port(106))?;
        let (code, greeting) = wire.reply()?;
        if code != 200 {
            return Err(format!("PWD greets with {greeting}"));
        }
        wire.ask("USER postmaster")?;
        wire.ask(&format!("PASS {password}"))?;
        for command in commands {
            wire.ask(command)?;
        }
        wire.ask("QUIT").map(drop)
    }
}

impl Server {
    /// Kills it with SIGKILL and waits until it is gone.
    pub(crate) fn kill(mut self) -> Outcome<()> {
        self.child.kill().map_err(|error| format!("kill: {error}"))?;
        self.child.wait().map(drop).map_err(|error| format!("wait: {error}"))
    }

    /// Asks it with SIGTERM to stop and waits until it has.
    pub(crate) fn stop(mut self) -> Outcome<()> {
        let id = self.child.id().to_string();
        let asked = Command::new("kill").args(["-TERM", &id]).status();
        asked.map_err(|error| format!("kill: {error}"))?;
        let begin = Instant::now();
        while begin.elapsed() < PATIENCE {
            match self.child.try_wait().map_err(|error| format!("wait: {error}"))? {
                Some(status) if status.success() => return Ok(()),
                Some(status) => return Err(format!("stopped by SIGTERM with {status}")),
                None => std::thread::sleep(Duration::from_millis(5)),
            }
        }
        Err("the server does not stop on SIGTERM".to_owned())
    }

    /// True while it runs.
    pub(crate) fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Writes the password file.
pub(crate) fn write_password(path: &Path, password: &str) -> Outcome<()> {
    std::fs::write(path, format!("{password}\n")).map_err(|error| error.to_string())
}
