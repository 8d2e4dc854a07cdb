//! What was seen of each domain in a day, kept in one file a day until it is reported.
//!
//! A line is one message. The files are bounded; what does not fit is not counted. It must never
//! know how a report looks.

use std::io::{self, BufRead, Write};
use std::path::{Path, PathBuf};

use mail_auth::report::{PolicyPublished, Record};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

/// Largest file of a day, octets.
const MAX_FILE: u64 = 64 << 20;

/// Lines on their way to the file.
const WAITING: usize = 1024;

/// The first line of each file.
const HEAD: &str = "{\"version\":1}";

/// One message.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(in super::super) struct Seen {
    /// The policy, with the domain it stands at.
    pub(in super::super) published: PolicyPublished,
    /// Where reports are wanted, with size limits (0 for none).
    pub(in super::super) wanted: Vec<(String, usize)>,
    /// What was found.
    pub(in super::super) record: Record,
}

/// The files below one directory.
#[derive(Clone)]
pub(super) struct Journal {
    directory: PathBuf,
    lines: mpsc::Sender<(i64, Seen)>,
}

impl Journal {
    /// Opens the directory, making it if need be, and begins to write.
    pub(super) fn open(directory: PathBuf) -> io::Result<Self> {
        std::fs::create_dir_all(&directory)?;
        let (lines, mut waiting) = mpsc::channel::<(i64, Seen)>(WAITING);
        let own = directory.clone();
        tokio::spawn(async move {
            let mut batch = Vec::new();
            while waiting.recv_many(&mut batch, WAITING).await > 0 {
                let (directory, lines) = (own.clone(), std::mem::take(&mut batch));
                let written = tokio::task::spawn_blocking(move || append(&directory, &lines)).await;
                if let Ok(Err(error)) = written {
                    tracing::warn!(target: "SMTP", "what DMARC found cannot be kept: {error}");
                }
            }
        });
        Ok(Self { directory, lines })
    }

    /// Notes a message seen in a day (counted from 1970); dropped if too many wait.
    pub(super) fn note(&self, day: i64, seen: Seen) {
        if self.lines.try_send((day, seen)).is_err() {
            tracing::debug!(target: "SMTP", "what DMARC found is not counted: too many wait");
        }
    }

    /// The days something is known of, oldest first.
    pub(super) fn days(&self) -> Vec<i64> {
        let Ok(entries) = std::fs::read_dir(&self.directory) else { return Vec::new() };
        let mut days: Vec<i64> = entries
            .filter_map(|entry| {
                let name = entry.ok()?.file_name();
                name.to_str()?.strip_prefix("dmarc-")?.strip_suffix(".jsonl")?.parse().ok()
            })
            .collect();
        days.sort_unstable();
        days
    }

    /// What was seen in a day; lines that cannot be read are left out.
    pub(super) fn read(&self, day: i64) -> Vec<Seen> {
        let Ok(file) = std::fs::File::open(path(&self.directory, day)) else { return Vec::new() };
        let lines = io::BufReader::new(io::Read::take(file, MAX_FILE)).lines();
        lines.map_while(Result::ok).filter_map(|line| serde_json::from_str(&line).ok()).collect()
    }

    /// The domains of a day that have their report.
    pub(super) fn told(&self, day: i64) -> Vec<String> {
        let text = std::fs::read_to_string(self.told_path(day)).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// Notes that a domain has its report of a day.
    pub(super) fn tell(&self, day: i64, domain: &str) -> io::Result<()> {
        let mut file = private(&self.told_path(day))?;
        writeln!(file, "{domain}")?;
        file.sync_data()
    }

    /// Forgets a day.
    pub(super) fn forget(&self, day: i64) {
        for path in [path(&self.directory, day), self.told_path(day)] {
            let _ = std::fs::remove_file(path);
        }
    }

    fn told_path(&self, day: i64) -> PathBuf {
        path(&self.directory, day).with_extension("told")
    }
}

fn path(directory: &Path, day: i64) -> PathBuf {
    directory.join(format!("dmarc-{day}.jsonl"))
}

fn private(path: &Path) -> io::Result<std::fs::File> {
    use std::os::unix::fs::OpenOptionsExt;
    std::fs::OpenOptions::new().append(true).create(true).mode(0o600).open(path)
}

fn append(directory: &Path, lines: &[(i64, Seen)]) -> io::Result<()> {
    let mut rest = lines;
    while let Some(((day, _), _)) = rest.split_first() {
        let (same, other) = rest.split_at(rest.iter().take_while(|(d, _)| d == day).count());
        rest = other;
        let mut file = private(&path(directory, *day))?;
        let length = file.metadata()?.len();
        let mut text = if length == 0 { format!("{HEAD}\n") } else { String::new() };
        for (_, seen) in same {
            text.push_str(&serde_json::to_string(seen).map_err(io::Error::other)?);
            text.push('\n');
        }
        if length.saturating_add(text.len() as u64) <= MAX_FILE {
            file.write_all(text.as_bytes())?;
            file.sync_data()?;
        }
    }
    Ok(())
}
