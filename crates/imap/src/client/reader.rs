//! The flow of a client: a server's bytes in, responses out. The body of a fetched message is
//! handed on in pieces as it comes, so that a message of any size passes in bounded memory.

use bytes::{Buf, Bytes, BytesMut};
use thiserror::Error;

use super::node;
use super::response::{self, Fetch, Response, Untagged};

/// Longest line taken from a server, literals not counted.
pub const MAX_LINE: usize = 8 * 1024 * 1024;
/// Most octets of literals gathered in one response; message bodies are streamed and not counted.
pub const MAX_GATHERED: usize = 32 * 1024 * 1024;

/// What the server said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A whole response without a message body.
    Response(Response),
    /// A message body of `size` octets begins. The UID is known if the server told it before.
    BodyBegin {
        /// Sequence number.
        seq: u32,
        /// UID, if told already.
        uid: Option<u32>,
        /// Octets to come.
        size: u64,
    },
    /// The next piece of the body.
    BodyData(Bytes),
    /// The response that held the body is whole; `fetch.body` is the body's size.
    BodyEnd(Fetch),
}

/// The server broke a bound; the connection is of no use any more.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum ReaderError {
    /// A line beyond [`MAX_LINE`].
    #[error("the server sent a line of more than {MAX_LINE} bytes")]
    LongLine,
    /// Literals beyond [`MAX_GATHERED`].
    #[error("the server sent literals of more than {MAX_GATHERED} bytes in one response")]
    LargeLiteral,
}

#[derive(Debug)]
enum State {
    /// Looking for the end of a line.
    Line,
    /// Gathering a literal.
    Literal(usize),
    /// Passing a body through.
    Body(u64),
}

/// The machine. Give it bytes with [`Reader::feed`], take events with [`Reader::next_event`] until
/// there is none.
#[derive(Debug)]
pub struct Reader {
    input: BytesMut,
    scanned: usize,
    line: BytesMut,
    literals: Vec<Bytes>,
    gathered: usize,
    body: Option<u64>,
    state: State,
}

impl Default for Reader {
    fn default() -> Self {
        Self {
            input: BytesMut::new(),
            scanned: 0,
            line: BytesMut::new(),
            literals: Vec::new(),
            gathered: 0,
            body: None,
            state: State::Line,
        }
    }
}

impl Reader {
    /// Adds what came from the server.
    pub fn feed(&mut self, data: &[u8]) {
        self.input.extend_from_slice(data);
    }

    /// The buffer to read into directly, which saves the copy of [`Reader::feed`].
    pub fn buffer(&mut self) -> &mut BytesMut {
        &mut self.input
    }

    /// The next thing the server said, or `None` when more bytes are needed.
    ///
    /// # Errors
    /// A bound was broken; the reader must not be used again.
    pub fn next_event(&mut self) -> Result<Option<Event>, ReaderError> {
        loop {
            match self.state {
                State::Body(0) => self.state = State::Line,
                State::Body(left) => return Ok(self.pass_body(left)),
                State::Literal(size) => {
                    if self.input.len() < size {
                        return Ok(None);
                    }
                    let literal = self.input.split_to(size).freeze();
                    self.literals.push(literal);
                    self.state = State::Line;
                }
                State::Line => match self.take_line()? {
                    None => return Ok(None),
                    Some(Some(event)) => return Ok(Some(event)),
                    Some(None) => {}
                },
            }
        }
    }

    fn pass_body(&mut self, left: u64) -> Option<Event> {
        if self.input.is_empty() {
            return None;
        }
        let take = usize::try_from(left).unwrap_or(usize::MAX).min(self.input.len());
        self.state = State::Body(left - take as u64);
        Some(Event::BodyData(self.input.split_to(take).freeze()))
    }

    /// Takes one line end. `Some(None)`: a literal follows.
    #[expect(clippy::option_option, reason = "three outcomes: more bytes, go on, an event")]
    fn take_line(&mut self) -> Result<Option<Option<Event>>, ReaderError> {
        let unseen = self.input.get(self.scanned..).unwrap_or_default();
        let Some(found) = memchr::memchr(b'\n', unseen) else {
            self.scanned = self.input.len();
            if self.scanned + self.line.len() > MAX_LINE {
                return Err(ReaderError::LongLine);
            }
            return Ok(None);
        };
        let end = self.scanned + found;
        self.scanned = 0;
        let mut piece = self.input.split_to(end);
        self.input.advance(1);
        if piece.last() == Some(&b'\r') {
            piece.truncate(piece.len() - 1);
        }
        // Only what follows the last literal can announce another one.
        let announced = literal_at_end(&piece);
        if self.line.is_empty() {
            self.line = piece;
        } else {
            self.line.extend_from_slice(&piece);
        }
        if self.line.len() > MAX_LINE {
            return Err(ReaderError::LongLine);
        }
        let Some(size) = announced else { return Ok(Some(Some(self.finish()))) };
        if self.body.is_none()
            && let Some((seq, uid)) = response::fetch_so_far(&self.line)
        {
            self.body = Some(size);
            self.literals.push(Bytes::new());
            self.state = State::Body(size);
            return Ok(Some(Some(Event::BodyBegin { seq, uid, size })));
        }
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        self.gathered = self.gathered.saturating_add(size);
        if self.gathered > MAX_GATHERED {
            return Err(ReaderError::LargeLiteral);
        }
        self.state = State::Literal(size);
        Ok(Some(None))
    }

    fn finish(&mut self) -> Event {
        let line = std::mem::take(&mut self.line).freeze();
        let literals = std::mem::take(&mut self.literals);
        self.gathered = 0;
        if let Some(size) = self.body.take() {
            let start = memchr::memchr(b'(', &line).unwrap_or(line.len());
            let seq = response::fetch_so_far_seq(&line).unwrap_or(0);
            let nodes = node::read(&node::Source { line: &line, literals: &literals }, start);
            let mut fetch = response::fetch(&nodes, seq);
            fetch.others.clear();
            fetch.body = Some(size);
            return Event::BodyEnd(fetch);
        }
        // A server may answer BODY[] with a quoted string or NIL instead of a literal.
        match response::read(&line, &literals) {
            Response::Untagged(Untagged::Fetch(mut fetch)) => {
                if let Some(at) = fetch.others.iter().position(|(n, _)| is_body(n)) {
                    let (_, body) = fetch.others.swap_remove(at);
                    let body = if body.eq_ignore_ascii_case(b"NIL") { Bytes::new() } else { body };
                    fetch.others.push((INLINE_BODY.to_owned(), body));
                }
                Event::Response(Response::Untagged(Untagged::Fetch(fetch)))
            }
            other => Event::Response(other),
        }
    }
}

/// The name under which a body that came as a quoted string is found in [`Fetch::others`].
pub const INLINE_BODY: &str = "BODY[]";

fn is_body(name: &str) -> bool {
    ["BODY[]", "RFC822", "RFC822.PEEK"].iter().any(|n| name.eq_ignore_ascii_case(n))
}

/// The size in `{n}` or `{n+}` at the end of a line.
fn literal_at_end(line: &[u8]) -> Option<u64> {
    let inside = line.strip_suffix(b"}")?;
    let open = inside.iter().rposition(|b| *b == b'{')?;
    let digits = inside.get(open + 1..)?;
    let digits = digits.strip_suffix(b"+").unwrap_or(digits);
    if digits.is_empty() || digits.len() > 19 {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::response::{Code, Status};

    fn events(input: &[u8], step: usize) -> Vec<Event> {
        let mut reader = Reader::default();
        let mut all: Vec<Event> = Vec::new();
        for piece in input.chunks(step.max(1)) {
            reader.feed(piece);
            while let Some(event) = reader.next_event().unwrap() {
                // Pieces of a body depend on the split; joined they must not.
                if let (Event::BodyData(more), Some(Event::BodyData(last))) =
                    (&event, all.last_mut())
                {
                    *last = [last.as_ref(), more.as_ref()].concat().into();
                    continue;
                }
                all.push(event);
            }
        }
        all
    }

    const SESSION: &[u8] = b"* OK [CAPABILITY IMAP4rev1 LITERAL+] hello\r\n\
        * LIST (\\HasNoChildren) \"/\" \"Entw&APw-rfe\"\r\n\
        * LIST () \"/\" {5}\r\na {1}\r\n\
        * 1 FETCH (UID 7 FLAGS (\\Seen $x) BODY[] {11}\r\nFrom: a\r\n\r\n INTERNALDATE \"d\")\r\n\
        * 2 FETCH (BODY[] \"quoted\" UID 8)\r\n\
        A1 OK [APPENDUID 5 3:4,9] done\r\n+ go on\r\n";

    #[test]
    fn any_split_of_the_input_gives_the_same_events() {
        let whole = events(SESSION, SESSION.len());
        for step in 1..40 {
            assert_eq!(events(SESSION, step), whole, "step {step}");
        }
    }

    #[test]
    fn a_session_is_read_as_it_is_meant() {
        let all = events(SESSION, SESSION.len());
        let Event::Response(Response::Untagged(Untagged::List(item))) = &all[1] else { panic!() };
        assert_eq!(item.name, "Entwürfe");
        let Event::Response(Response::Untagged(Untagged::List(item))) = &all[2] else { panic!() };
        assert_eq!(item.wire_name, b"a {1}");
        assert_eq!(all[3], Event::BodyBegin { seq: 1, uid: Some(7), size: 11 });
        assert_eq!(all[4], Event::BodyData(Bytes::from_static(b"From: a\r\n\r\n")));
        let Event::BodyEnd(fetch) = &all[5] else { panic!("{all:?}") };
        assert_eq!(fetch.uid, Some(7));
        assert_eq!(fetch.flags.as_deref().unwrap(), ["\\Seen", "$x"]);
        assert_eq!(fetch.internal_date.as_deref(), Some("d"));
        let Event::Response(Response::Untagged(Untagged::Fetch(fetch))) = &all[6] else { panic!() };
        assert_eq!(fetch.others, [("BODY[]".to_owned(), Bytes::from_static(b"quoted"))]);
        let Event::Response(Response::Tagged { code, status, .. }) = &all[7] else { panic!() };
        assert_eq!(*status, Status::Ok);
        assert_eq!(*code, Some(Code::AppendUid(5, vec![3, 4, 9])));
        assert_eq!(all[8], Event::Response(Response::Continuation("go on".into())));
    }

    #[test]
    fn a_server_that_never_ends_a_line_is_cut_off() {
        let mut reader = Reader::default();
        reader.feed(&vec![b'a'; MAX_LINE + 1]);
        assert_eq!(reader.next_event(), Err(ReaderError::LongLine));
    }

    #[test]
    fn a_literal_of_absurd_size_is_refused_without_waiting_for_it() {
        let mut reader = Reader::default();
        reader.feed(b"* LIST () \"/\" {9999999999999}\r\n");
        assert_eq!(reader.next_event(), Err(ReaderError::LargeLiteral));
    }
}
