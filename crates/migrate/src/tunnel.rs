//! A connection through a program: its standard input and output are the wire. For servers that
//! only speak TLS of old, and for those reached by ssh. Knows bytes, not mail.

use std::pin::Pin;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::Instant;

use crate::command_words;

/// What is kept of the program's complaints, octets.
const MAX_COMPLAINT: usize = 1024;

/// The last words of the program on standard error.
pub(crate) type LastWords = Arc<Mutex<Vec<u8>>>;

/// A running program. It ends when this is dropped.
pub(crate) struct Tunnel {
    to: ChildStdin,
    from: ChildStdout,
    /// What it said last.
    pub(crate) said: LastWords,
    _child: Child,
}

impl Tunnel {
    /// Starts the program, without a shell; `%h` and `%p` in its words are host and port.
    ///
    /// # Errors
    /// Why it does not start, for people.
    pub(crate) fn start(words: &[String], host: &str, port: u16) -> Result<Self, String> {
        let words = command_words::filled(words, &[('h', host), ('p', &port.to_string())]);
        let Some((program, rest)) = words.split_first() else {
            return Err("the tunnel command is empty".into());
        };
        let mut child = Command::new(program)
            .args(rest)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|e| format!("the tunnel {program} does not start: {e}"))?;
        let (Some(to), Some(from), Some(mut complaints)) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return Err(format!("the tunnel {program} has no standard input and output"));
        };
        let said = LastWords::default();
        let keep = said.clone();
        tokio::spawn(async move {
            let mut buffer = [0; 512];
            while let Ok(count @ 1..) = complaints.read(&mut buffer).await {
                let mut kept = keep.lock().unwrap_or_else(PoisonError::into_inner);
                kept.extend_from_slice(buffer.get(..count).unwrap_or_default());
                let surplus = kept.len().saturating_sub(MAX_COMPLAINT);
                kept.drain(..surplus);
            }
        });
        Ok(Self { to, from, said, _child: child })
    }
}

/// How long a program that has ended is given for its last words to arrive.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// Waits a moment for the last words of a program that has ended.
pub(crate) async fn settled(said: &LastWords) {
    let end = Instant::now() + LAST_WORDS;
    while one_line(said).is_empty() && Instant::now() < end {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Last words as one line, for people.
pub(crate) fn one_line(said: &LastWords) -> String {
    let kept = said.lock().unwrap_or_else(PoisonError::into_inner);
    let text = String::from_utf8_lossy(&kept);
    let clean: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    clean.split_whitespace().collect::<Vec<_>>().join(" ")
}

impl AsyncRead for Tunnel {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.from).poll_read(context, buffer)
    }
}

impl AsyncWrite for Tunnel {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.to).poll_write(context, data)
    }

    fn poll_flush(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.to).poll_flush(context)
    }

    fn poll_shutdown(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.to).poll_shutdown(context)
    }
}
