//! The copy of one account's mail, by the mover as a program of its own. Passwords go over its
//! standard input: neither arguments nor environment show them.

use std::process::Stdio;

use angarium_objects::settings::{OldProtocol, OldServer, OldTls};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::Command;
use zeroize::Zeroizing;

use super::Configuration;
use crate::copying::{IMAP_JOURNAL, POP_JOURNAL};
use crate::line::{Due, due};

/// Most octets read of what the mover says of troubles.
const MAX_SAID: u64 = 64 * 1024;
/// Most characters of its last two lines that are passed on.
const MAX_SHOWN: usize = 300;

/// Copies; the exit code of the mover and, where that is not 0, its last words.
///
/// # Errors
/// Why it cannot be run, for the log.
pub(super) async fn copy(
    with: &Configuration,
    old: &OldServer,
    name: &str,
    domain: &str,
    password: &str,
) -> Result<(i32, String), String> {
    with.book.make(domain).map_err(|e| e.to_string())?;
    // The target is spoken to by IMAP in either case: dates of arrival are kept.
    let (mover, journal, target) = match old.protocol {
        OldProtocol::Imap => (&with.mover, IMAP_JOURNAL, with.target.clone()),
        OldProtocol::Pop => (&with.pop_mover, POP_JOURNAL, format!("imap://{}", with.target)),
    };
    let mut words = mover.iter();
    let program = words.next().ok_or("no mover is named")?;
    let mut command = Command::new(program);
    command.args(words).arg("--journal").arg(with.book.beside(name, domain, journal));
    command.arg(match due(&old.server, old.tls) {
        Due::AtOnce => "--ssl1",
        Due::ByCommand => "--starttls1",
        Due::Never => "--notls1",
    });
    if old.tls == OldTls::Unverified {
        command.arg("--insecure1");
    }
    command
        .args([&old.server.to_string(), &old.login_name(name, domain), "-"])
        .args([&target, &format!("{name}@{domain}"), "-"])
        // A copy goes on when the server ends this program for not answering.
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|e| format!("{program}: {e}"))?;
    if let Some(mut input) = child.stdin.take() {
        let lines = Zeroizing::new(format!("{password}\n{password}\n"));
        // One that ends at once says so by its exit code.
        let _ = input.write_all(lines.as_bytes()).await;
    }
    let mut said = Vec::new();
    if let Some(mut troubles) = child.stderr.take() {
        let _ = (&mut troubles).take(MAX_SAID).read_to_end(&mut said).await;
        // Whoever says more must not wait for us.
        let _ = tokio::io::copy(&mut troubles, &mut tokio::io::sink()).await;
    }
    let status = child.wait().await.map_err(|e| e.to_string())?;
    let said = String::from_utf8_lossy(&said);
    // The trouble itself, and what can be done about it.
    let mut last: Vec<&str> =
        said.lines().rev().map(str::trim).filter(|line| !line.is_empty()).take(2).collect();
    last.reverse();
    let last = last.join("; ").chars().filter(|c| !c.is_control()).take(MAX_SHOWN).collect();
    Ok((status.code().unwrap_or(-1), last))
}
