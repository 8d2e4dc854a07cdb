//! Reports of others that arrive at the address we publish (`rua=mailto:postmaster@…`): recognised,
//! read beside the delivery, and what they say kept in one line each. The message itself goes to the
//! mailbox as always.
//!
//! Anybody may send a report: whether its author is who he says is kept with it, sizes and numbers
//! are bounded. It must never know how a report is written.

use std::io::{self, BufRead, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use angarium_message::header;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use super::read;
use crate::submit::Recipient;

/// Largest message that is taken for a report, octets.
const MAX_MESSAGE: usize = 10 << 20;

/// Octets of a header that are looked at.
const MAX_HEADER: usize = 64 * 1024;

/// Reports read at a time; another one that comes then is only delivered.
const AT_A_TIME: usize = 2;

/// Largest file of what was received, octets; then it becomes the older one and a new one begins.
const MAX_FILE: u64 = 8 << 20;

/// Sources that failed, of one report.
const MAX_FAILING: usize = 20;

/// The local part of the address that is published.
const ADDRESS: &str = "postmaster";

/// The files, newest first.
const FILES: [&str; 2] = ["received.jsonl", "received.older.jsonl"];

/// Reads reports and keeps what they say.
pub(super) struct Received {
    directory: PathBuf,
    room: Arc<Semaphore>,
}

/// What a message is taken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Dmarc,
    Tls,
}

/// Recognises a report by its header (RFC 7489 section 7.2.1.1, RFC 8460 section 5.3).
fn kind(message: &[u8]) -> Option<Kind> {
    let head = message.get(..header::header_length(message).min(MAX_HEADER))?;
    if header::find(head, "TLS-Report-Domain").is_some() {
        return Some(Kind::Tls);
    }
    let subject = header::find(head, "Subject")?.text().to_ascii_lowercase();
    subject.contains("report domain:").then_some(Kind::Dmarc)
}

/// True when one of these is the address that asks for reports.
fn is_asked_for(recipients: &[Recipient]) -> bool {
    recipients.iter().any(|recipient| {
        let local = recipient.address.rsplit_once('@').map(|(local, _)| local);
        local.is_some_and(|local| local.eq_ignore_ascii_case(ADDRESS))
    })
}

impl Received {
    pub(super) fn new(directory: PathBuf) -> Self {
        Self { directory, room: Arc::new(Semaphore::new(AT_A_TIME)) }
    }

    /// Looks at a message that has come; a report is read beside its delivery. `verified` says
    /// that DMARC passed for its author.
    pub(super) fn look(&self, recipients: &[Recipient], message: &[u8], verified: bool, now: i64) {
        if message.len() > MAX_MESSAGE || !is_asked_for(recipients) {
            return;
        }
        let Some(kind) = kind(message) else { return };
        let Ok(permit) = Arc::clone(&self.room).try_acquire_owned() else {
            tracing::debug!(target: "SMTP", "a report is not read: too many at a time");
            return;
        };
        let (message, directory) = (message.to_vec(), self.directory.clone());
        tokio::task::spawn_blocking(move || {
            let _permit = permit;
            let line = match line(kind, &message, verified, now) {
                Ok(line) => line,
                Err(why) => {
                    tracing::warn!(target: "SMTP", "a report cannot be read: {why}");
                    return;
                }
            };
            if let Err(error) = append(&directory, &line) {
                tracing::warn!(target: "SMTP", "a report cannot be kept: {error}");
            }
        });
    }
}

/// What is kept of a report.
fn line(kind: Kind, message: &[u8], verified: bool, now: i64) -> Result<Value, String> {
    let (word, read) = match kind {
        Kind::Dmarc => ("dmarc", read::dmarc(message)?.json),
        Kind::Tls => ("tls", read::tls(message)?.json),
    };
    let passes = |row: &Value| row["dkim"] == "pass" || row["spf"] == "pass";
    let rows = read["rows"].as_array().map(Vec::as_slice).unwrap_or_default();
    let failing: Vec<Value> = rows
        .iter()
        .filter(|row| !passes(row))
        .take(MAX_FAILING)
        .map(|row| json!({ "address": row["address"], "count": row["count"] }))
        .collect();
    let of_tls = |key: &str| -> u64 {
        let policies = read["policies"].as_array().map(Vec::as_slice).unwrap_or_default();
        policies.iter().filter_map(|policy| policy[key].as_u64()).fold(0, u64::saturating_add)
    };
    let (domain, messages, pass) = match kind {
        Kind::Dmarc => (&read["domain"], read["messages"].clone(), read["pass"].clone()),
        Kind::Tls => {
            let good = of_tls("success");
            let all = good.saturating_add(of_tls("failure"));
            (&read["policies"][0]["domain"], json!(all), json!(good))
        }
    };
    let (year, month, day) = angarium_message::date::day_of(now.div_euclid(86_400));
    Ok(json!({
        "kind": word, "received": now, "verified": verified,
        "day": format!("{year:04}-{month:02}-{day:02}"),
        "organization": read["organization"], "domain": domain, "id": read["id"],
        "begin": read["begin"], "end": read["end"],
        "messages": messages, "pass": pass, "failing": failing,
    }))
}

fn append(directory: &Path, line: &Value) -> io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    let [new, older] = FILES.map(|name| directory.join(name));
    if std::fs::metadata(&new).is_ok_and(|found| found.len() > MAX_FILE) {
        std::fs::rename(&new, older)?;
    }
    let mut file = std::fs::OpenOptions::new().append(true).create(true).mode(0o600).open(new)?;
    writeln!(file, "{line}")
}

/// The reports received so far that are still kept, oldest first; `tls` for those on TLS. Lines
/// that cannot be read are left out.
///
/// # Errors
/// A file is there and cannot be read.
pub fn received(directory: &Path, tls: bool) -> io::Result<Vec<Value>> {
    let wanted = if tls { "tls" } else { "dmarc" };
    let mut all = Vec::new();
    for name in FILES.iter().rev() {
        let file = match std::fs::File::open(directory.join(name)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        // A line more than the largest file may have been written.
        let lines = io::BufReader::new(io::Read::take(file, MAX_FILE.saturating_mul(2))).lines();
        let read = lines.map_while(Result::ok);
        let values = read.filter_map(|line| serde_json::from_str::<Value>(&line).ok());
        all.extend(values.filter(|value| value["kind"] == wanted));
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_known_by_its_header_and_the_address_we_publish() {
        let dmarc = b"From: a@b\r\nSubject: =?utf-8?q?x?=\r\n Report Domain: a.example\r\n\r\nx";
        assert_eq!(kind(dmarc), Some(Kind::Dmarc));
        assert_eq!(kind(b"TLS-Report-Domain: a\r\nSubject: x\r\n\r\n"), Some(Kind::Tls));
        assert_eq!(kind(b"Subject: Re: your report\r\n\r\nReport Domain: a"), None);
        let to = |address: &str| vec![Recipient::new("joe@a.example"), Recipient::new(address)];
        assert!(is_asked_for(&to("Postmaster@a.example")));
        assert!(!is_asked_for(&to("postmaster.x@a.example")));
    }

    #[test]
    fn a_full_file_becomes_the_older_one() {
        let directory = tempfile::tempdir().unwrap();
        let at = directory.path();
        let one = json!({ "kind": "dmarc", "id": "1" });
        append(at, &one).unwrap();
        let long = " ".repeat(usize::try_from(MAX_FILE).unwrap());
        let mut file = std::fs::OpenOptions::new().append(true).open(at.join(FILES[0])).unwrap();
        writeln!(file, "{long}\nnonsense").unwrap();
        append(at, &json!({ "kind": "tls", "id": "2" })).unwrap();
        append(at, &json!({ "kind": "dmarc", "id": "3" })).unwrap();
        let all = received(at, false).unwrap();
        assert_eq!(all.iter().map(|r| r["id"].as_str().unwrap()).collect::<Vec<_>>(), ["1", "3"]);
        assert_eq!(received(at, true).unwrap().len(), 1);
        assert!(received(&at.join("none"), true).unwrap().is_empty());
    }
}
