//! The address of an old server that may send through this one while its queue drains (MIG-55): put
//! among the client addresses, remembered beside the book, and taken out again when it has drained.
//! It must never take out what somebody else put in.

use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use angarium_accounts::Value;

use crate::administration::{Administrator, Answer, parameter};
use crate::base::write_private;

/// Longest list of addresses that is read back, in octets.
const MAX_LIST: usize = 16 * 1024;

/// See the module text.
pub(super) struct OldQueue(PathBuf);

impl OldQueue {
    /// That of the domain whose part of the book lies there.
    pub(super) fn of(domain: &Path) -> Self {
        Self(domain.join("old-queue.list"))
    }

    fn noted(&self) -> Vec<String> {
        let text = std::fs::read_to_string(&self.0).unwrap_or_default();
        let lines = text.get(..MAX_LIST.min(text.len())).unwrap_or_default().lines();
        lines.map(str::to_owned).collect()
    }

    /// Lets an address send through this server; why it cannot, if not.
    pub(super) fn let_in(
        &self,
        server: &mut Administrator,
        ip: IpAddr,
    ) -> io::Result<Option<String>> {
        let (mut known, ip) = (clients(server)?, ip.to_string());
        if known.iter().any(|line| line.trim() == ip) {
            return Ok(None);
        }
        // Noted first: what is cut off in between is taken out later all the same.
        let mut noted = self.noted();
        noted.push(ip.clone());
        write_private(&self.0, noted.join("\n").as_bytes())?;
        known.push(ip);
        set(server, &known)
    }

    /// Takes out what was let in here; why it cannot, if not.
    pub(super) fn shut_out(&self, server: &mut Administrator) -> io::Result<Option<String>> {
        let noted = self.noted();
        if noted.is_empty() {
            return Ok(None);
        }
        let mut known = clients(server)?;
        known.retain(|line| !noted.iter().any(|ip| ip == line.trim()));
        let failed = set(server, &known)?;
        if failed.is_none() {
            std::fs::remove_file(&self.0)?;
        }
        Ok(failed)
    }
}

/// The lines of the client addresses.
fn clients(server: &mut Administrator) -> io::Result<Vec<String>> {
    Ok(match server.execute("GetClientIPs")? {
        Answer::Done(Some(Value::String(text))) => text.lines().map(str::to_owned).collect(),
        _ => Vec::new(),
    })
}

fn set(server: &mut Administrator, lines: &[String]) -> io::Result<Option<String>> {
    let text = parameter(lines.join("\n").trim()).replace('\n', "\\e");
    let text = if text.is_empty() { "\"\"".to_owned() } else { text };
    Ok(match server.execute(&format!("SetClientIPs {text}"))? {
        Answer::Failed(code, text) => Some(format!("{text} ({code})")),
        Answer::Done(_) => None,
    })
}
