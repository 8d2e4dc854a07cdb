//! The thread that writes the log files.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use jiff::Zoned;

/// Records waiting to be written.
const WAITING: usize = 16 * 1024;
/// Days of log files that are kept.
const KEPT_DAYS: usize = 30;

enum Message {
    Record(Zoned, String),
    End,
}

/// Hands records to the writer.
#[derive(Clone)]
pub(super) struct Sender {
    channel: SyncSender<Message>,
    lost: Arc<AtomicU64>,
}

impl Sender {
    pub(super) fn send(&self, text: String) {
        if let Err(TrySendError::Full(_)) =
            self.channel.try_send(Message::Record(Zoned::now(), text))
        {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Owns the thread; dropping it writes what is left.
pub(crate) struct LogWriter {
    sender: Sender,
    thread: Option<JoinHandle<()>>,
}

impl LogWriter {
    pub(super) fn start(directory: &Path) -> io::Result<Self> {
        let (channel, queue) = sync_channel(WAITING);
        let lost = Arc::new(AtomicU64::new(0));
        let mut files = Files::open(directory)?;
        let counter = lost.clone();
        let thread = std::thread::Builder::new()
            .name("log".into())
            .spawn(move || files.run(&queue, &counter))?;
        Ok(Self { sender: Sender { channel, lost }, thread: Some(thread) })
    }

    pub(super) fn sender(&self) -> Sender {
        self.sender.clone()
    }
}

impl Drop for LogWriter {
    fn drop(&mut self) {
        // The subscriber keeps a sender for ever; the word END ends the thread.
        let _ = self.sender.channel.send(Message::End);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Files {
    directory: PathBuf,
    day: String,
    file: Option<BufWriter<File>>,
}

impl Files {
    fn open(directory: &Path) -> io::Result<Self> {
        let mut files = Self { directory: directory.to_owned(), day: String::new(), file: None };
        files.turn(&Zoned::now())?;
        Ok(files)
    }

    fn run(&mut self, queue: &Receiver<Message>, lost: &AtomicU64) {
        loop {
            // Written out when nothing has come for a moment, so that a reader sees it soon and a
            // busy server does not write record by record.
            let message = match queue.recv_timeout(Duration::from_millis(100)) {
                Ok(message) => message,
                Err(RecvTimeoutError::Timeout) => {
                    self.flush();
                    match queue.recv() {
                        Ok(message) => message,
                        Err(_) => return,
                    }
                }
                Err(RecvTimeoutError::Disconnected) => return self.flush(),
            };
            match message {
                Message::Record(when, text) => {
                    self.write(&when, &text);
                    let missing = lost.swap(0, Ordering::Relaxed);
                    if missing > 0 {
                        self.write(&when, &format!("1 SYSTEM {missing} log records were lost"));
                    }
                }
                Message::End => return self.flush(),
            }
        }
    }

    fn write(&mut self, when: &Zoned, text: &str) {
        // A log that cannot be written must not stop the server; the next record tries again.
        if self.turn(when).is_err() {
            return;
        }
        if let Some(file) = &mut self.file {
            let time = when.strftime("%H:%M:%S%.3f");
            let _ = writeln!(file, "{time} {text}");
        }
    }

    fn flush(&mut self) {
        if let Some(file) = &mut self.file {
            let _ = file.flush();
        }
    }

    /// Opens the file of the day if it is another one, and lets go of the oldest.
    fn turn(&mut self, when: &Zoned) -> io::Result<()> {
        let day = when.strftime("%Y-%m-%d").to_string();
        if day == self.day && self.file.is_some() {
            return Ok(());
        }
        self.flush();
        let path = self.directory.join(format!("{day}.log"));
        let file = {
            use std::os::unix::fs::OpenOptionsExt;
            OpenOptions::new().create(true).append(true).mode(0o600).open(path)?
        };
        self.file = Some(BufWriter::new(file));
        self.day = day;
        let mut all = days(&self.directory)?;
        while all.len() > KEPT_DAYS {
            let _ = std::fs::remove_file(all.remove(0));
        }
        Ok(())
    }
}

/// The log files of a directory, oldest first.
pub(super) fn days(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut all: Vec<PathBuf> = std::fs::read_dir(directory)?
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|e| e == "log"))
        .collect();
    all.sort();
    Ok(all)
}
