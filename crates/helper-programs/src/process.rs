//! A helper program and its numbered lines (`reference/helpers.md` section 1): requests go to its
//! standard input, responses come from its standard output, in any order. It is started at once or
//! when it is first wanted, started again when it ends, and stopped with all it has started when it
//! does not answer.
//!
//! Bounds: [`MAX_OPEN`] requests at a time, [`MAX_LINE`] octets of a response, [`MAX_SENT`] times a
//! request is sent, [`INFORMATION`] lines of information logged a second. It must never know what a
//! request means, nor write one into a log: there may be a password in it.

use std::collections::HashMap;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use thiserror::Error;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout};
use zeroize::Zeroizing;

use crate::group::ProcessGroup;

/// Requests open at a time; more wait.
pub const MAX_OPEN: usize = 256;
/// Longest response line, in octets without its end.
pub const MAX_LINE: usize = 4_096;
/// Times a request is sent before it is given up: it may be what ends the program.
const MAX_SENT: u32 = 3;
/// Lines of information that are logged in a second.
const INFORMATION: u32 = 20;
/// Octets of standard error that are kept.
const MAX_ERRORS: usize = 4_096;
/// Responses to nothing that was asked, before the program is stopped.
const MAX_UNASKED: u32 = 1_000;
/// How long a program may take to end after QUIT.
const FAREWELL: Duration = Duration::from_secs(5);
/// The version of the interface that is offered.
const INTERFACE: u32 = 3;
/// How long answers of a program that has ended are waited for, from what it had started.
const LAST_ANSWERS: Duration = Duration::from_millis(500);
/// Lines that wait between the reader and us.
const LINES: usize = 64;

/// How a helper is run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HelperOptions {
    /// Tag of its log records, such as `EXTFILTER(spam)`.
    pub tag: String,
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// Its working directory.
    pub directory: PathBuf,
    /// A request not answered within this stops the program.
    pub time_limit: Duration,
    /// Pause before it is started again; `None` does not start it again.
    pub restart: Option<Duration>,
    /// Started at once, not when it is first asked.
    pub eager: bool,
    /// Started with an empty environment.
    pub bare: bool,
}

/// Why there is no response. Always *later*.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum HelperError {
    /// It did not answer in time.
    #[error("the helper does not answer")]
    TimedOut,
    /// It ended, or could not be started, and is not started again (for this request).
    #[error("the helper does not run")]
    Ended,
    /// It broke the rules of the protocol.
    #[error("the helper does not speak the protocol")]
    Protocol,
    /// The request cannot be a line.
    #[error("the request is no line")]
    NoLine,
}

struct Request {
    text: Zeroizing<Vec<u8>>,
    answer: oneshot::Sender<Result<String, HelperError>>,
    sent: u32,
    deadline: Instant,
}

/// A helper program. Dropping it ends the program.
pub struct HelperProcess {
    requests: mpsc::Sender<Request>,
    options: HelperOptions,
    starts: std::sync::Arc<AtomicU64>,
}

impl HelperProcess {
    /// The helper. Needs a running tokio runtime.
    #[must_use]
    pub fn new(options: HelperOptions) -> Self {
        let (requests, incoming) = mpsc::channel(MAX_OPEN);
        let starts = std::sync::Arc::<AtomicU64>::default();
        let keeper = Keeper {
            options: options.clone(),
            incoming,
            open: HashMap::new(),
            next: 1,
            starts: starts.clone(),
        };
        tokio::spawn(Box::pin(keeper.live()));
        Self { requests, options, starts }
    }

    /// How it is run.
    #[must_use]
    pub fn options(&self) -> &HelperOptions {
        &self.options
    }

    /// How often the program was started.
    #[must_use]
    pub fn starts(&self) -> u64 {
        self.starts.load(Ordering::Relaxed)
    }

    /// Sends a request, without its number, and waits for the response, without its number.
    ///
    /// # Errors
    /// See [`HelperError`].
    pub async fn request(&self, text: impl AsRef<[u8]>) -> Result<String, HelperError> {
        let text = text.as_ref();
        if text.iter().any(|octet| matches!(octet, b'\r' | b'\n' | 0)) {
            return Err(HelperError::NoLine);
        }
        let (answer, response) = oneshot::channel();
        let deadline = Instant::now() + self.options.time_limit;
        let request = Request { text: Zeroizing::new(text.to_vec()), answer, sent: 0, deadline };
        self.requests.send(request).await.map_err(|_| HelperError::Ended)?;
        response.await.map_err(|_| HelperError::Ended)?
    }
}

/// What the reader tells.
enum Output {
    Line(String),
    TooLong,
    Ended,
}

/// Why a run of the program is over.
enum Over {
    /// Nobody wants it any more.
    Unwanted,
    /// It ended by itself.
    Ended,
    /// A request was not answered in time.
    TimedOut,
    /// It broke the rules.
    Protocol,
}

/// The task that keeps the program running.
struct Keeper {
    options: HelperOptions,
    incoming: mpsc::Receiver<Request>,
    open: HashMap<u64, Request>,
    next: u64,
    starts: std::sync::Arc<AtomicU64>,
}

impl Keeper {
    async fn live(mut self) {
        let tag = self.options.tag.clone();
        loop {
            if self.options.eager && self.incoming.is_closed() {
                return;
            }
            if self.open.is_empty() && !self.options.eager {
                match self.incoming.recv().await {
                    Some(request) => {
                        self.enter(request);
                    }
                    None => return,
                }
            }
            let over = match self.start() {
                Ok((child, input, output, errors)) => {
                    Box::pin(self.run(child, input, output, errors)).await
                }
                Err(error) => {
                    let program = self.options.program.display();
                    tracing::error!(target: "HELPER", %tag, "{program} cannot be started: {error}");
                    Over::Ended
                }
            };
            match over {
                Over::Unwanted => return,
                Over::Ended => tracing::error!(target: "HELPER", %tag, "the program has ended"),
                Over::TimedOut => {
                    tracing::error!(target: "HELPER", %tag, "no response in time, the program is stopped");
                }
                Over::Protocol => {
                    tracing::error!(target: "HELPER", %tag, "not the protocol, the program is stopped");
                }
            }
            let Some(pause) = self.options.restart else {
                self.give_up(HelperError::Ended);
                // Not started again: whatever is asked is answered so.
                while let Some(request) = self.incoming.recv().await {
                    let _ = request.answer.send(Err(HelperError::Ended));
                }
                return;
            };
            tokio::time::sleep(pause).await;
            self.expire();
        }
    }

    /// Gives up what was sent too often; the others get their time anew.
    fn expire(&mut self) {
        let limit = self.options.time_limit;
        let all = std::mem::take(&mut self.open);
        for (number, mut request) in all {
            if request.sent >= MAX_SENT {
                let _ = request.answer.send(Err(HelperError::Ended));
            } else if !request.answer.is_closed() {
                request.deadline = Instant::now() + limit;
                self.open.insert(number, request);
            }
        }
    }

    fn give_up(&mut self, why: HelperError) {
        for (_, request) in self.open.drain() {
            let _ = request.answer.send(Err(why));
        }
    }

    fn enter(&mut self, request: Request) -> u64 {
        let number = self.next;
        self.next = self.next.wrapping_add(1).max(1);
        self.open.insert(number, request);
        number
    }

    fn start(
        &self,
    ) -> std::io::Result<(Child, ChildStdin, mpsc::Receiver<Output>, mpsc::Receiver<String>)> {
        let mut command = Command::new(&self.options.program);
        if self.options.bare {
            command.env_clear();
        }
        let mut child = ProcessGroup::prepare(&mut command)
            .args(&self.options.arguments)
            .current_dir(&self.options.directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        self.starts.fetch_add(1, Ordering::Relaxed);
        let missing = || std::io::Error::other("no pipe");
        let input = child.stdin.take().ok_or_else(missing)?;
        let output = child.stdout.take().ok_or_else(missing)?;
        let errors = child.stderr.take().ok_or_else(missing)?;
        let (lines, coming) = mpsc::channel(LINES);
        tokio::spawn(read_lines(output, lines));
        let (last_words, said) = mpsc::channel(1);
        tokio::spawn(read_errors(errors, last_words));
        Ok((child, input, coming, said))
    }

    /// One run of the program.
    async fn run(
        &mut self,
        mut child: Child,
        mut input: ChildStdin,
        mut output: mpsc::Receiver<Output>,
        mut errors: mpsc::Receiver<String>,
    ) -> Over {
        let mut group = ProcessGroup::of(&child);
        let over = match self.greet(&mut input, &mut output).await {
            Ok(()) => self.serve(&mut child, &mut input, &mut output).await,
            Err(over) => over,
        };
        if matches!(over, Over::Unwanted) {
            let line = format!("{} QUIT\n", self.next);
            let _ = timeout(FAREWELL, input.write_all(line.as_bytes())).await;
        }
        drop(input);
        let patience = if matches!(over, Over::Unwanted) { FAREWELL } else { Duration::ZERO };
        if matches!(over, Over::TimedOut | Over::Protocol) {
            group.end();
        }
        if timeout(patience, child.wait()).await.is_err() {
            group.end();
            let _ = child.kill().await;
        }
        // Whatever it left behind, such as a copy that goes on, is meant to stay.
        group.let_go();
        if let Ok(Some(said)) = timeout(Duration::from_millis(200), errors.recv()).await
            && !said.is_empty()
        {
            tracing::warn!(target: "HELPER", tag = %self.options.tag, "standard error: {said}");
        }
        over
    }

    /// INTF goes first; a smaller number in the answer is the older interface, which has the same
    /// requests. A bare OK is how some say that they know none of this.
    async fn greet(
        &mut self,
        input: &mut ChildStdin,
        output: &mut mpsc::Receiver<Output>,
    ) -> Result<(), Over> {
        let number = self.next;
        self.next = self.next.wrapping_add(1).max(1);
        send(input, number, format!("INTF {INTERFACE}").as_bytes(), self.options.time_limit)
            .await?;
        let until = Instant::now() + self.options.time_limit;
        let mut seen = 0;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let line = match timeout(left, output.recv()).await {
                Err(_) => return Err(Over::TimedOut),
                Ok(None | Some(Output::Ended)) => return Err(Over::Ended),
                Ok(Some(Output::TooLong)) => return Err(Over::Protocol),
                Ok(Some(Output::Line(line))) => line,
            };
            seen += 1;
            if seen > MAX_UNASKED {
                return Err(Over::Protocol);
            }
            if line.starts_with('*') {
                self.inform(&line, seen);
                continue;
            }
            let Some((answered, rest)) = numbered(&line) else { continue };
            if answered != number {
                continue;
            }
            let mut words = rest.split(' ');
            let version = match words.next().map(str::to_ascii_uppercase).as_deref() {
                Some("INTF") => words.next().and_then(|v| v.parse::<u32>().ok()),
                Some("OK") => Some(1),
                _ => None,
            };
            return match version {
                Some(version) if version > 0 => {
                    let version = version.min(INTERFACE);
                    tracing::debug!(target: "HELPER", tag = %self.options.tag, "interface {version}");
                    Ok(())
                }
                _ => Err(Over::Protocol),
            };
        }
    }

    fn inform(&self, line: &str, number: u32) {
        if number <= INFORMATION {
            let text = line.trim_start_matches('*').trim();
            tracing::info!(target: "HELPER", tag = %self.options.tag, "{text}");
        }
    }

    async fn serve(
        &mut self,
        child: &mut Child,
        input: &mut ChildStdin,
        output: &mut mpsc::Receiver<Output>,
    ) -> Over {
        let limit = self.options.time_limit;
        let waiting: Vec<u64> = self.open.keys().copied().collect();
        for number in waiting {
            if let Err(over) = self.submit(input, number).await {
                return over;
            }
        }
        let (mut informed, mut second) = (0_u32, Instant::now());
        let mut unasked = 0;
        // What it has started may hold its output open after its end.
        let mut ended: Option<Instant> = None;
        loop {
            let due = self.open.values().map(|request| request.deadline).min();
            let due = due.unwrap_or_else(|| Instant::now() + limit);
            tokio::select! {
                biased;
                line = output.recv() => match line {
                    None | Some(Output::Ended) => return Over::Ended,
                    Some(Output::TooLong) => return Over::Protocol,
                    Some(Output::Line(line)) if line.starts_with('*') => {
                        if second.elapsed() >= Duration::from_secs(1) {
                            (informed, second) = (0, Instant::now());
                        }
                        informed = informed.saturating_add(1);
                        self.inform(&line, informed);
                    }
                    Some(Output::Line(line)) => {
                        let request = numbered(&line)
                            .and_then(|(number, rest)| Some((self.open.remove(&number)?, rest)));
                        match request {
                            Some((request, rest)) => {
                                let _ = request.answer.send(Ok(rest.to_owned()));
                            }
                            None => unasked += 1,
                        }
                        if unasked > MAX_UNASKED {
                            return Over::Protocol;
                        }
                    }
                },
                _ = child.wait(), if ended.is_none() => {
                    ended = Some(Instant::now() + LAST_ANSWERS);
                }
                () = tokio::time::sleep_until(ended.unwrap_or(due)), if ended.is_some() => {
                    return Over::Ended;
                }
                request = self.incoming.recv(),
                    if ended.is_none() && self.open.len() < MAX_OPEN => match request {
                    None => return Over::Unwanted,
                    Some(request) => {
                        let number = self.enter(request);
                        if let Err(over) = self.submit(input, number).await {
                            return over;
                        }
                    }
                },
                () = tokio::time::sleep_until(due) => {
                    if self.late() {
                        return Over::TimedOut;
                    }
                }
            }
        }
    }

    /// True when a request is past its time; it is answered so. One whose asker has gone away is
    /// forgotten when its time is over, without blame.
    fn late(&mut self) -> bool {
        let now = Instant::now();
        let late: Vec<u64> =
            self.open.iter().filter(|(_, r)| r.deadline <= now).map(|(n, _)| *n).collect();
        let mut blamed = false;
        for number in late {
            if let Some(request) = self.open.remove(&number) {
                blamed |= !request.answer.is_closed();
                let _ = request.answer.send(Err(HelperError::TimedOut));
            }
        }
        blamed
    }

    async fn submit(&mut self, input: &mut ChildStdin, number: u64) -> Result<(), Over> {
        let Some(request) = self.open.get_mut(&number) else { return Ok(()) };
        request.sent += 1;
        send(input, number, &request.text, self.options.time_limit).await
    }
}

async fn send(
    input: &mut ChildStdin,
    number: u64,
    text: &[u8],
    limit: Duration,
) -> Result<(), Over> {
    // One write for a line; the room it takes is wiped afterwards.
    let mut line = Zeroizing::new(Vec::with_capacity(text.len().saturating_add(24)));
    line.extend_from_slice(number.to_string().as_bytes());
    line.push(b' ');
    line.extend_from_slice(text);
    line.push(b'\n');
    let sending = async {
        input.write_all(&line).await?;
        input.flush().await
    };
    match timeout(limit, sending).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) => Err(Over::Ended),
        Err(_) => Err(Over::TimedOut),
    }
}

/// The number of a response and what follows it; a password at its end keeps its blanks.
fn numbered(line: &str) -> Option<(u64, &str)> {
    let (number, rest) = line.split_once(' ').unwrap_or((line, ""));
    Some((number.parse().ok()?, rest.trim_start()))
}

/// Reads lines, each as far as it is taken.
async fn read_lines(mut from: impl AsyncRead + Unpin, to: mpsc::Sender<Output>) {
    let mut kept: Vec<u8> = Vec::new();
    let mut chunk = vec![0; MAX_LINE];
    loop {
        let got = match from.read(&mut chunk).await {
            Ok(got) if got > 0 => got,
            _ => break,
        };
        for byte in chunk.get(..got).unwrap_or_default() {
            if *byte != b'\n' {
                kept.push(*byte);
                if kept.len() > MAX_LINE + 1 {
                    let _ = to.send(Output::TooLong).await;
                    return;
                }
                continue;
            }
            let line = kept.strip_suffix(b"\r").unwrap_or(&kept);
            if line.len() > MAX_LINE {
                let _ = to.send(Output::TooLong).await;
                return;
            }
            let line = String::from_utf8_lossy(line);
            let line: String =
                line.chars().map(|c| if c.is_control() && c != '\t' { ' ' } else { c }).collect();
            kept.clear();
            if to.send(Output::Line(line)).await.is_err() {
                return;
            }
        }
    }
    let _ = to.send(Output::Ended).await;
}

/// Reads standard error to its end, so that nobody blocks on it, and keeps the beginning.
async fn read_errors(mut from: impl AsyncRead + Unpin, to: mpsc::Sender<String>) {
    let mut kept = Vec::new();
    let mut chunk = [0; 1024];
    while let Ok(got @ 1..) = from.read(&mut chunk).await {
        let room = MAX_ERRORS.saturating_sub(kept.len()).min(got);
        kept.extend_from_slice(chunk.get(..room).unwrap_or_default());
    }
    let text = String::from_utf8_lossy(&kept);
    let _ = to.send(text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()).await;
}
