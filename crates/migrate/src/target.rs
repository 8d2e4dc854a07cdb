//! Writing messages to the new server: APPEND after APPEND without waiting for answers, several
//! messages a command where it has MULTIAPPEND, no waiting for literals where it has LITERAL+.

use std::sync::{Arc, Mutex, PoisonError};

use angarium_imap::client::{Code, Event, Reader, Response, Status, Untagged, write};
use tokio::sync::mpsc;

use crate::connection::{ReadHalf, WriteHalf};
use crate::error::{MoveError, Result, Side};
use crate::long_lines;
use crate::session::{Session, next_event};
use crate::source::{Meta, Piece};

/// Most messages of one MULTIAPPEND.
const APPEND_MESSAGES: usize = 100;
/// Most octets of one MULTIAPPEND, the last message not counted.
const APPEND_BYTES: u64 = 8 * 1024 * 1024;
/// APPEND commands under way at once.
const COMMANDS_AHEAD: usize = 8;
/// Octets gathered before they are written.
const WRITE_SIZE: usize = 128 * 1024;

/// How messages are put in.
#[derive(Clone, Debug)]
pub(crate) struct AppendStyle {
    /// The mailbox in the target's spelling.
    pub(crate) mailbox: Vec<u8>,
    /// One APPEND a message, each waited for.
    pub(crate) by_one: bool,
    /// `--fixLongLines`
    pub(crate) fold_at: Option<usize>,
}

/// What became of messages: index in the window, and UID at the target if it told.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// Accepted.
    pub(crate) done: Vec<(usize, Option<u32>)>,
    /// Refused, with the server's words.
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
}

/// What the answer side tells a writer that waits to send a literal of the command `tag`.
struct Go {
    tag: String,
    on: bool,
}

/// Takes the stream of pieces and appends every message. `told` hears of each accepted batch at
/// once (journal, progress).
pub(crate) async fn append_all(
    session: &mut Session,
    metas: &[Meta],
    style: &AppendStyle,
    pieces: mpsc::Receiver<Piece>,
    told: &mut Told<'_>,
) -> Result<Outcome> {
    let literals = Literals::of(session);
    let multi = session.has("MULTIAPPEND") && !style.by_one;
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
        sent,
        go: go_queue,
        tags: (first_tag, 0),
        out: Vec::with_capacity(WRITE_SIZE + 4096),
        batch: None,
        failed: Vec::new(),
        body: Body::None,
    };
    let answers = answers(&mut session.read, &mut session.reader, sent_queue, go, told);
    let (written, mut outcome) = tokio::try_join!(writer.run(pieces), answers)?;
    outcome.failed.extend(written);
    Ok(outcome)
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
    fn of(session: &Session) -> Self {
        if session.has("LITERAL+") {
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
    messages: usize,
    bytes: u64,
}

enum Body {
    None,
    /// Octets go straight out.
    Passing,
    /// The message was refused before its octets: they are dropped.
    Dropping,
    /// Gathered to be folded.
    Folding(usize, Vec<u8>),
}

struct Writer<'a> {
    write: &'a mut WriteHalf,
    metas: &'a [Meta],
    style: &'a AppendStyle,
    literals: Literals,
    multi: bool,
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
    async fn run(mut self, mut pieces: mpsc::Receiver<Piece>) -> Result<Vec<(usize, String)>> {
        while let Some(piece) = self.next_piece(&mut pieces).await? {
            match piece {
                Piece::Begin { index, size } if self.style.fold_at.is_some() => {
                    let room = usize::try_from(size).unwrap_or(0).min(1 << 20);
                    self.body = Body::Folding(index, Vec::with_capacity(room));
                }
                Piece::Begin { index, size } => self.begin(index, size).await?,
                Piece::Data(data) => match &mut self.body {
                    Body::Passing => self.put(&data).await?,
                    Body::Folding(_, gathered) => gathered.extend_from_slice(&data),
                    Body::Dropping | Body::None => {}
                },
                Piece::End => {
                    if let Body::Folding(index, gathered) =
                        std::mem::replace(&mut self.body, Body::None)
                    {
                        let limit = self.style.fold_at.unwrap_or(usize::MAX);
                        let folded = long_lines::fold(&gathered, limit);
                        self.begin(index, folded.len() as u64).await?;
                        if matches!(self.body, Body::Passing) {
                            self.put(&folded).await?;
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
    async fn next_piece(&mut self, pieces: &mut mpsc::Receiver<Piece>) -> Result<Option<Piece>> {
        match pieces.try_recv() {
            Ok(piece) => Ok(Some(piece)),
            Err(mpsc::error::TryRecvError::Disconnected) => Ok(None),
            Err(mpsc::error::TryRecvError::Empty) => {
                self.push_out().await?;
                Ok(pieces.recv().await)
            }
        }
    }

    async fn begin(&mut self, index: usize, size: u64) -> Result<()> {
        let Some(meta) = self.metas.get(index) else { return Ok(()) };
        let full = self.batch.as_ref().is_some_and(|batch| {
            !self.multi || batch.messages >= APPEND_MESSAGES || batch.bytes + size > APPEND_BYTES
        });
        if full {
            self.close().await?;
        }
        if self.batch.is_none() {
            self.open().await?;
        }
        if let Some(batch) = &mut self.batch {
            batch.messages += 1;
            batch.bytes += size;
            batch.indexes.lock().unwrap_or_else(PoisonError::into_inner).push(index);
        }
        let at_once = self.literals.without_waiting(size);
        let plus = if at_once { "+" } else { "" };
        let mut head = format!(" ({})", meta.flags);
        if !meta.date.is_empty() && !meta.date.contains(['"', '\\', '\r', '\n']) {
            head.push_str(&format!(" \"{}\"", meta.date));
        }
        head.push_str(&format!(" {{{size}{plus}}}\r\n"));
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

    /// Waits until the target asks for the literal (true) or has refused the command.
    async fn may_go_on(&mut self) -> bool {
        let Some(tag) = self.batch.as_ref().map(|batch| batch.tag.clone()) else { return false };
        loop {
            match self.go.recv().await {
                None => return false,
                // Words for commands before this one are of no interest any more.
                Some(go) if go.tag == tag => return go.on,
                Some(_) => {}
            }
        }
    }

    async fn open(&mut self) -> Result<()> {
        self.tags.1 += 1;
        let tag = format!("{}-{}", self.tags.0, self.tags.1);
        let indexes = Arc::new(Mutex::new(Vec::new()));
        let sent = Sent { tag: tag.clone(), indexes: indexes.clone() };
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
        self.batch = Some(Batch { tag, indexes, messages: 0, bytes: 0 });
        Ok(())
    }

    async fn close(&mut self) -> Result<()> {
        if self.batch.take().is_some() {
            self.put(b"\r\n").await?;
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
) -> Result<Outcome> {
    let mut outcome = Outcome::default();
    while let Some(batch) = sent.recv().await {
        let (status, code, text) = answer_of(read, reader, &batch.tag, go.as_ref()).await?;
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
            outcome.failed.extend(indexes.into_iter().map(|i| (i, text.clone())));
            if let Some(go) = &go {
                let _ = go.send(Go { tag: batch.tag, on: false });
            }
            continue;
        }
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
    tag: &str,
    go: Option<&mpsc::UnboundedSender<Go>>,
) -> Result<(Status, Option<Code>, String)> {
    loop {
        match next_event(read, reader, Side::Target).await? {
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
