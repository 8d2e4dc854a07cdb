//! Writing messages to the new server: APPEND after APPEND without waiting for answers, several
//! messages a command where it has MULTIAPPEND, no waiting for literals where it has LITERAL+.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use angarium_imap::client::{Code, Event, Reader, Response, Status, Untagged, write};
use tokio::sync::mpsc;

use crate::connection::{ReadHalf, WriteHalf};
use crate::error::{MoveError, Result, Side};
use crate::keep_ids::numbering::Numbering;
use crate::lanes::pieces::Pieces;
use crate::lanes::quirks::{Belief, Quirks};
use crate::long_lines;
use crate::session::{Session, next_event_unless};
use crate::source::{Meta, Piece};

/// APPEND commands under way at once.
const COMMANDS_AHEAD: usize = 8;
/// Octets gathered before they are written.
const WRITE_SIZE: usize = 128 * 1024;
/// Largest message that is folded: it has to be in memory for that.
const MOST_FOLDED: u64 = 64 * 1024 * 1024;

/// Largest message that is looked through for NUL before it is sent (RFC 3516 wants those said).
const MOST_LOOKED_THROUGH: u64 = 1024 * 1024;

/// What is left out of a message's flags and date so that the target may take it.
#[derive(Clone, Debug, Default)]
pub(crate) struct LeaveOut {
    /// This keyword.
    pub(crate) keyword: Option<String>,
    /// All flags that do not begin with a backslash.
    pub(crate) keywords: bool,
    /// All flags.
    pub(crate) flags: bool,
    /// The date of arrival.
    pub(crate) date: bool,
    /// The word that it holds NUL.
    pub(crate) binary: bool,
}

/// How messages are put in.
#[derive(Clone, Debug)]
pub(crate) struct AppendStyle<'a> {
    /// The mailbox in the target's spelling.
    pub(crate) mailbox: Vec<u8>,
    /// One APPEND a message, each waited for.
    pub(crate) by_one: bool,
    /// `--fixLongLines`
    pub(crate) fold_at: Option<usize>,
    /// Most messages of one APPEND.
    pub(crate) batch: usize,
    /// Most octets of one, the last message not counted.
    pub(crate) batch_bytes: u64,
    /// What is left out.
    pub(crate) leave_out: LeaveOut,
    /// What the target is known not to take.
    pub(crate) quirks: &'a Quirks,
    /// Numbers the messages bring along.
    pub(crate) numbers: &'a Mutex<Numbering>,
}

/// What became of messages in the end: index in the window, and UID at the target if it told.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// Accepted.
    pub(crate) done: Vec<(usize, Option<u32>)>,
    /// Not copied, with the words of the server that refused.
    pub(crate) failed: Vec<(usize, String)>,
    /// Left out because the command line says so, with the reason.
    pub(crate) left_out: Vec<(usize, String)>,
    /// Validity of the target's UIDs, if it told.
    pub(crate) uid_validity: Option<u32>,
}

/// A message the target did not take.
#[derive(Clone, Debug)]
pub(crate) struct Refusal {
    /// Index in the window.
    pub(crate) index: usize,
    /// The code of the refusal.
    pub(crate) code: Option<Code>,
    /// Its words.
    pub(crate) reason: String,
}

/// What became of messages in one pass.
#[derive(Debug, Default)]
pub(crate) struct Passed {
    /// Accepted.
    pub(crate) done: Vec<(usize, Option<u32>)>,
    /// Refused by the target.
    pub(crate) refused: Vec<Refusal>,
    /// Not given by the source, or not to be sent.
    pub(crate) failed: Vec<(usize, String)>,
    /// Validity of the target's UIDs, if it told.
    pub(crate) uid_validity: Option<u32>,
}

/// Hears of each accepted batch: indexes with the UIDs at the target, and their validity.
pub(crate) type Told<'a> =
    dyn FnMut(&[(usize, Option<u32>)], Option<u32>) -> Result<()> + Send + 'a;

/// One APPEND on its way; the indexes grow while it is written.
struct Sent {
    tag: String,
    indexes: Arc<Mutex<Vec<usize>>>,
    /// Sent without waiting for leave.
    plus: bool,
    /// Not all of it is written yet.
    open: Arc<AtomicBool>,
}

/// What the answer side tells a writer that waits to send a literal of the command `tag`.
struct Go {
    tag: String,
    on: bool,
}

/// Takes the stream of pieces and appends every message. `told` hears of each accepted batch at
/// once (journal, progress).
///
/// # Errors
/// `Lost`; `Refused` when the account is over its quota.
pub(crate) async fn append_all(
    session: &mut Session,
    metas: &[Meta],
    style: &AppendStyle<'_>,
    pieces: Pieces,
    told: &mut Told<'_>,
) -> Result<Passed> {
    let (literals, multi) = {
        let known = style.quirks.known();
        let literals = Literals::of(session, known.plus);
        let multi = session.has("MULTIAPPEND") && known.multi != Belief::Refuted;
        (literals, multi && !style.by_one)
    };
    let binary = session.has("BINARY") && !style.leave_out.binary;
    let first_tag = session.next_tag();
    let ahead = if style.by_one { 1 } else { COMMANDS_AHEAD };
    let (sent, sent_queue) = mpsc::channel(ahead);
    // At most one word for each refused command and each literal waited for.
    let (go, go_queue) = mpsc::unbounded_channel();
    let go = (!matches!(literals, Literals::Plus)).then_some(go);
    let writer = Writer {
        write: &mut session.write,
        metas,
        style,
        literals,
        multi,
        binary,
        sent,
        go: go_queue,
        tags: (first_tag, 0),
        out: Vec::with_capacity(WRITE_SIZE + 4096),
        batch: None,
        failed: Vec::new(),
        body: Body::None,
    };
    let quirks = style.quirks;
    let answers = answers(&mut session.read, &mut session.reader, sent_queue, go, told, quirks);
    let (written, mut passed) = tokio::try_join!(writer.run(pieces), answers)?;
    passed.failed.extend(written);
    Ok(passed)
}

/// Which literals need no waiting.
#[derive(Clone, Copy)]
enum Literals {
    /// LITERAL+
    Plus,
    /// LITERAL-: up to 4096 octets.
    Minus,
    /// None.
    Waiting,
}

impl Literals {
    fn of(session: &Session, plus: Belief) -> Self {
        if plus == Belief::Refuted {
            Self::Waiting
        } else if session.has("LITERAL+") {
            Self::Plus
        } else if session.has("LITERAL-") {
            Self::Minus
        } else {
            Self::Waiting
        }
    }

    fn without_waiting(self, size: u64) -> bool {
        match self {
            Self::Plus => true,
            Self::Minus => size <= 4096,
            Self::Waiting => false,
        }
    }
}

struct Batch {
    tag: String,
    indexes: Arc<Mutex<Vec<usize>>>,
    open: Arc<AtomicBool>,
    messages: usize,
    bytes: u64,
}

enum Body {
    None,
    /// Octets go straight out.
    Passing,
    /// The message was refused before its octets: they are dropped.
    Dropping,
    /// Gathered to be folded, or looked through.
    Gathering(usize, Vec<u8>),
}

struct Writer<'a> {
    write: &'a mut WriteHalf,
    metas: &'a [Meta],
    style: &'a AppendStyle<'a>,
    literals: Literals,
    multi: bool,
    /// Messages with NUL are sent as such.
    binary: bool,
    sent: mpsc::Sender<Sent>,
    go: mpsc::UnboundedReceiver<Go>,
    tags: (String, u32),
    out: Vec<u8>,
    batch: Option<Batch>,
    failed: Vec<(usize, String)>,
    body: Body,
}

impl Writer<'_> {
    /// Writes until the stream ends. Consumes the writer: that the channel of sent commands closes
    /// tells the reader of answers that nothing more will come.
    async fn run(mut self, mut pieces: Pieces) -> Result<Vec<(usize, String)>> {
        while let Some(piece) = self.next_piece(&mut pieces).await? {
            match piece {
                Piece::Begin { index, size }
                    if self.style.fold_at.is_some() && size > MOST_FOLDED =>
                {
                    let reason = format!("{size} octets are too many to be folded");
                    self.failed.push((index, reason));
                    self.body = Body::Dropping;
                }
                Piece::Begin { index, size }
                    if self.style.fold_at.is_some()
                        || (self.binary && size <= MOST_LOOKED_THROUGH) =>
                {
                    let room = usize::try_from(size).unwrap_or(0).min(1 << 20);
                    self.body = Body::Gathering(index, Vec::with_capacity(room));
                }
                Piece::Begin { index, size } => self.begin(index, size, false).await?,
                Piece::Data(data) => match &mut self.body {
                    Body::Passing => self.put(&data).await?,
                    Body::Gathering(_, gathered) => gathered.extend_from_slice(&data),
                    Body::Dropping | Body::None => {}
                },
                Piece::End => {
                    if let Body::Gathering(index, mut text) =
                        std::mem::replace(&mut self.body, Body::None)
                    {
                        if let Some(limit) = self.style.fold_at {
                            text = long_lines::fold(&text, limit);
                        }
                        let nul = self.binary && text.contains(&0);
                        self.begin(index, text.len() as u64, nul).await?;
                        if matches!(self.body, Body::Passing) {
                            self.put(&text).await?;
                        }
                    }
                    self.body = Body::None;
                }
                Piece::Failed { index, reason } => self.failed.push((index, reason)),
            }
        }
        self.close().await?;
        self.push_out().await?;
        Ok(self.failed)
    }

    /// The next piece. When none is there yet, what was gathered is written first: the target has
    /// work while the source thinks, and an APPEND that is full is not left open.
    async fn next_piece(&mut self, pieces: &mut Pieces) -> Result<Option<Piece>> {
        match pieces.try_recv() {
            Ok(piece) => Ok(Some(piece)),
            Err(mpsc::error::TryRecvError::Disconnected) => Ok(None),
            Err(mpsc::error::TryRecvError::Empty) => {
                self.push_out().await?;
                Ok(pieces.recv().await)
            }
        }
    }

    /// Writes what stands before a message's octets; `nul`: they hold NUL.
    async fn begin(&mut self, index: usize, size: u64, nul: bool) -> Result<()> {
        let Some(meta) = self.metas.get(index) else { return Ok(()) };
        let full = self.batch.as_ref().is_some_and(|batch| {
            !self.multi
                || batch.messages >= self.style.batch
                || batch.bytes.saturating_add(size) > self.style.batch_bytes
        });
        if full {
            self.close().await?;
        }
        if self.batch.is_none() {
            self.open().await?;
        }
        if let Some(batch) = &mut self.batch {
            batch.messages += 1;
            batch.bytes = batch.bytes.saturating_add(size);
            batch.indexes.lock().unwrap_or_else(PoisonError::into_inner).push(index);
        }
        let at_once = self.literals.without_waiting(size);
        let plus = if at_once { "+" } else { "" };
        let mut head = self.flags_and_date(meta);
        let numbers = self.style.numbers;
        let item = numbers.lock().unwrap_or_else(PoisonError::into_inner).item(meta.uid);
        let literal8 = if nul { "~" } else { "" };
        head.push_str(&format!("{item}{literal8}{{{size}{plus}}}\r\n"));
        self.out.extend_from_slice(head.as_bytes());
        self.body = Body::Passing;
        if !at_once {
            self.push_out().await?;
            if !self.may_go_on().await {
                // The command has ended with a refusal; the answer side knows its messages.
                self.batch = None;
                self.body = Body::Dropping;
            }
        }
        Ok(())
    }

    /// ` (flags) "date"`, without what the target is known not to take.
    fn flags_and_date(&self, meta: &Meta) -> String {
        let leave_out = &self.style.leave_out;
        let (flags, no_dates) = {
            let mut known = self.style.quirks.known();
            let (flags, fewer) = known.kept(&meta.flags);
            if fewer > 0 {
                known.changed("keywords the new server refuses were left out", 1);
            }
            (flags, known.no_dates)
        };
        let flags: Vec<&str> = flags
            .split(' ')
            .filter(|flag| !leave_out.flags && (!leave_out.keywords || flag.starts_with('\\')))
            .filter(|flag| leave_out.keyword.as_ref().is_none_or(|k| !k.eq_ignore_ascii_case(flag)))
            .collect();
        let mut head = format!(" ({})", flags.join(" "));
        let date = &meta.date;
        if !no_dates
            && !leave_out.date
            && !date.is_empty()
            && !date.contains(['"', '\\', '\r', '\n'])
        {
            head.push_str(&format!(" \"{date}\""));
        }
        head
    }

    /// Waits until the target asks for the literal (true) or has refused the command.
    async fn may_go_on(&mut self) -> bool {
        let Some(batch) = &self.batch else { return false };
        // The target has the word now, and only so long to take it.
        batch.open.store(false, Ordering::Relaxed);
        loop {
            match self.go.recv().await {
                None => return false,
                // Words for commands before this one are of no interest any more.
                Some(go) if go.tag == batch.tag => {
                    batch.open.store(go.on, Ordering::Relaxed);
                    return go.on;
                }
                Some(_) => {}
            }
        }
    }

    async fn open(&mut self) -> Result<()> {
        self.tags.1 += 1;
        let tag = format!("{}-{}", self.tags.0, self.tags.1);
        let indexes = Arc::new(Mutex::new(Vec::new()));
        let plus = matches!(self.literals, Literals::Plus);
        let open = Arc::new(AtomicBool::new(true));
        let sent = Sent { tag: tag.clone(), indexes: indexes.clone(), plus, open: open.clone() };
        // Registered before its first octet is written, so that the answer is always expected.
        // While the window of commands is full, what was written must be on its way.
        if self.sent.capacity() == 0 {
            self.push_out().await?;
        }
        if self.sent.send(sent).await.is_err() {
            return Err(lost("the answers ended"));
        }
        self.out.extend_from_slice(format!("{tag} APPEND ").as_bytes());
        let at = write::string(&mut self.out, &self.style.mailbox, false);
        if at.is_some() {
            // A name that needs a literal needs waiting; such names do not come from us.
            return Err(lost("the mailbox name cannot be sent"));
        }
        self.batch = Some(Batch { tag, indexes, open, messages: 0, bytes: 0 });
        Ok(())
    }

    async fn close(&mut self) -> Result<()> {
        if let Some(batch) = self.batch.take() {
            self.put(b"\r\n").await?;
            batch.open.store(false, Ordering::Relaxed);
        }
        Ok(())
    }

    async fn put(&mut self, data: &[u8]) -> Result<()> {
        if self.out.len() + data.len() > WRITE_SIZE {
            self.push_out().await?;
            if data.len() > WRITE_SIZE / 2 {
                return self.write.write(data).await;
            }
        }
        self.out.extend_from_slice(data);
        Ok(())
    }

    async fn push_out(&mut self) -> Result<()> {
        if !self.out.is_empty() {
            self.write.write(&self.out).await?;
            self.out.clear();
        }
        self.write.flush().await
    }
}

fn lost(reason: &str) -> MoveError {
    MoveError::Lost { side: Side::Target, reason: reason.into() }
}

async fn answers(
    read: &mut ReadHalf,
    reader: &mut Reader,
    mut sent: mpsc::Receiver<Sent>,
    go: Option<mpsc::UnboundedSender<Go>>,
    told: &mut Told<'_>,
    quirks: &Quirks,
) -> Result<Passed> {
    let mut outcome = Passed::default();
    while let Some(batch) = sent.recv().await {
        let (status, code, text) = answer_of(read, reader, &batch, go.as_ref()).await?;
        let indexes =
            std::mem::take(&mut *batch.indexes.lock().unwrap_or_else(PoisonError::into_inner));
        if status != Status::Ok {
            if code == Some(Code::OverQuota) {
                return Err(MoveError::Refused {
                    side: Side::Target,
                    what: "APPEND".into(),
                    reason: format!("the account is over its quota ({text})"),
                });
            }
            if status == Status::Bad
                && let Some(reason) = quirks.known().suspect(batch.plus, indexes.len() > 1)
            {
                return Err(lost(reason));
            }
            outcome.refused.extend(indexes.into_iter().map(|index| Refusal {
                index,
                code: code.clone(),
                reason: text.clone(),
            }));
            if let Some(go) = &go {
                let _ = go.send(Go { tag: batch.tag, on: false });
            }
            continue;
        }
        quirks.known().proven(batch.plus, indexes.len() > 1);
        let (validity, uids) = match code {
            Some(Code::AppendUid(validity, uids)) if uids.len() == indexes.len() => {
                (Some(validity), uids)
            }
            _ => (None, Vec::new()),
        };
        let done: Vec<(usize, Option<u32>)> = indexes
            .into_iter()
            .enumerate()
            .map(|(n, index)| (index, uids.get(n).copied()))
            .collect();
        told(&done, validity)?;
        outcome.uid_validity = validity.or(outcome.uid_validity);
        outcome.done.extend(done);
    }
    Ok(outcome)
}

async fn answer_of(
    read: &mut ReadHalf,
    reader: &mut Reader,
    sent: &Sent,
    go: Option<&mpsc::UnboundedSender<Go>>,
) -> Result<(Status, Option<Code>, String)> {
    let tag = sent.tag.as_str();
    let busy = || sent.open.load(Ordering::Relaxed);
    loop {
        match next_event_unless(read, reader, Side::Target, busy).await? {
            Event::Response(Response::Continuation(_)) => {
                if let Some(go) = go {
                    let _ = go.send(Go { tag: tag.to_owned(), on: true });
                }
            }
            Event::Response(Response::Tagged { tag: got, status, code, text }) if got == tag => {
                return Ok((status, code, text));
            }
            Event::Response(Response::Untagged(Untagged::Status {
                status: Status::Bye,
                text,
                ..
            })) => return Err(MoveError::Lost { side: Side::Target, reason: text }),
            _ => {}
        }
    }
}
