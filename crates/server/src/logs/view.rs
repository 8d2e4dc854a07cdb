//! Showing the log: the last records of the newest file, filtered, and what comes after.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Seek, SeekFrom, Write};
use std::path::Path;
use std::time::Duration;

use super::writer::days;

/// Which records are shown.
pub(crate) struct Filter {
    pub(crate) level: u8,
    pub(crate) tag: Option<String>,
    pub(crate) text: Option<String>,
}

impl Filter {
    fn takes(&self, line: &str) -> bool {
        let mut words = line.splitn(4, ' ');
        let (_, level, tag) = (words.next(), words.next(), words.next());
        let Some(level) = level.and_then(|l| l.parse::<u8>().ok()) else { return false };
        level <= self.level
            && self.tag.as_ref().is_none_or(|t| {
                tag.is_some_and(|have| {
                    have.get(..t.len()).is_some_and(|start| start.eq_ignore_ascii_case(t))
                })
            })
            && self.text.as_ref().is_none_or(|t| line.contains(t.as_str()))
    }
}

/// Prints the last `last` matching records of the newest file, then, with `follow`, for ever what
/// comes.
pub(crate) fn show(directory: &Path, filter: &Filter, last: usize, follow: bool) -> io::Result<()> {
    let Some(newest) = days(directory)?.pop() else {
        return Err(io::Error::new(io::ErrorKind::NotFound, "there is no log file yet"));
    };
    let mut path = newest;
    let mut file = BufReader::new(File::open(&path)?);
    let mut kept = std::collections::VecDeque::new();
    let mut line = String::new();
    while file.read_line(&mut line)? > 0 {
        if filter.takes(line.trim_end()) {
            if kept.len() == last {
                kept.pop_front();
            }
            kept.push_back(line.trim_end().to_owned());
        }
        line.clear();
    }
    let mut out = io::stdout().lock();
    for line in kept {
        writeln!(out, "{line}")?;
    }
    if !follow {
        return Ok(());
    }
    loop {
        line.clear();
        if file.read_line(&mut line)? > 0 && line.ends_with('\n') {
            if filter.takes(line.trim_end()) {
                writeln!(out, "{}", line.trim_end())?;
                out.flush()?;
            }
            continue;
        }
        // A line that is not whole yet is read again when it is.
        let back = i64::try_from(line.len()).unwrap_or(0);
        file.seek(SeekFrom::Current(-back))?;
        std::thread::sleep(Duration::from_millis(200));
        if let Some(newest) = days(directory)?.pop()
            && newest != path
        {
            path = newest;
            file = BufReader::new(File::open(&path)?);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_chosen_by_level_tag_and_text() {
        let filter = Filter { level: 3, tag: Some("imap".into()), text: Some("joe".into()) };
        assert!(filter.takes("09:00:00.000 2 IMAP-00042 login joe"));
        assert!(!filter.takes("09:00:00.000 4 IMAP-00042 login joe"));
        assert!(!filter.takes("09:00:00.000 2 POP-00042 login joe"));
        assert!(!filter.takes("09:00:00.000 2 IMAP-00042 login jim"));
        assert!(!filter.takes("nonsense"));
    }
}
