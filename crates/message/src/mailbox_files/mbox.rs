//! Text mailboxes taken apart into messages, in every dialect: where a message begins and ends,
//! whatever its lengths claim. It must never know what a file is.

use super::LINE_MAX;
use super::separator::Separator;
use super::view::Quoting;

/// Octets asked for at once.
const WINDOW: usize = 128 * 1024;
/// Octets looked at behind the end that a length claims.
const PROBE: usize = 4096;
/// The line that frames messages of MMDF.
const MMDF: &[u8] = b"\x01\x01\x01\x01";
/// Empty lines passed over before the first message.
const BLANK_MAX: usize = 64 * 1024;

/// Where octets come from.
pub trait Octets {
    /// What may go wrong.
    type Error;
    /// Reads octets from `offset` on; 0 at the end and only there.
    ///
    /// # Errors
    /// Whatever the source says.
    fn read_at(&mut self, offset: u64, into: &mut [u8]) -> Result<usize, Self::Error>;
}

impl Octets for &[u8] {
    type Error = std::convert::Infallible;

    fn read_at(&mut self, offset: u64, into: &mut [u8]) -> Result<usize, Self::Error> {
        let rest = usize::try_from(offset).ok().and_then(|at| self.get(at..)).unwrap_or_default();
        let length = rest.len().min(into.len());
        into.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
        Ok(length)
    }
}

/// A way to write text mailboxes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dialect {
    /// Told from the file: MMDF by its first line, else a length is believed where a separator or
    /// the end stands behind it, and quoting is taken back as in mboxrd.
    #[default]
    Auto,
    /// `From ` is quoted once, lengths do not count.
    Mboxo,
    /// `From ` is quoted reversibly, lengths do not count.
    Mboxrd,
    /// `Content-Length`, and `From ` is quoted.
    Mboxcl,
    /// `Content-Length`, nothing is quoted.
    Mboxcl2,
    /// Messages framed by lines of four control-A.
    Mmdf,
}

impl Dialect {
    /// The dialect of a name: `auto`, `mboxo`, `mboxrd`, `mboxcl`, `mboxcl2`, `mmdf`.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        Some(match name.to_ascii_lowercase().as_str() {
            "auto" => Self::Auto,
            "mboxo" => Self::Mboxo,
            "mboxrd" | "mbox" => Self::Mboxrd,
            "mboxcl" => Self::Mboxcl,
            "mboxcl2" => Self::Mboxcl2,
            "mmdf" => Self::Mmdf,
            _ => return None,
        })
    }

    /// How its messages are quoted.
    #[must_use]
    pub fn quoting(self) -> Quoting {
        match self {
            Self::Auto | Self::Mboxrd => Quoting::Any,
            Self::Mboxo | Self::Mboxcl => Quoting::One,
            Self::Mboxcl2 | Self::Mmdf => Quoting::None,
        }
    }

    fn believes_lengths(self) -> bool {
        matches!(self, Self::Auto | Self::Mboxcl | Self::Mboxcl2)
    }
}

/// One message of a mailbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its separator; none in MMDF without one.
    pub separator: Option<Separator>,
    /// Where its separator begins.
    pub begins: u64,
    /// Where its own octets begin, behind the separator.
    pub content: u64,
    /// Where the next message begins, or the file ends.
    pub ends: u64,
    /// Its separator did not follow an empty line.
    pub unannounced: bool,
}

/// Why a mailbox cannot be read.
#[derive(Debug, PartialEq, Eq)]
pub enum MboxError<E> {
    /// Where octets come from failed.
    Source(E),
    /// *Never*: it does not begin as a text mailbox does.
    NoMailbox,
}

impl<E> From<E> for MboxError<E> {
    fn from(error: E) -> Self {
        Self::Source(error)
    }
}

/// Reads the messages of a text mailbox one after the other.
#[derive(Debug)]
pub struct Mbox<S> {
    source: S,
    dialect: Dialect,
    /// Octets read and not used yet.
    window: Vec<u8>,
    used: usize,
    /// Where the window's unused part begins.
    position: u64,
    /// The next message's separator, already read: where it begins and whether it was announced.
    next: Option<(Option<Separator>, u64, bool)>,
    begun: bool,
}

/// A line, or a piece of one that is too long.
#[derive(Clone, Copy, Debug)]
struct Line {
    length: usize,
    /// It begins here.
    first: bool,
    /// It ends here.
    last: bool,
}

impl<S: Octets> Mbox<S> {
    /// From the beginning of a mailbox.
    pub fn new(source: S, dialect: Dialect) -> Self {
        Self::from(source, dialect, 0)
    }

    /// From a message that begins at `offset`.
    pub fn from(source: S, dialect: Dialect, offset: u64) -> Self {
        let (window, next) = (Vec::new(), None);
        Self { source, dialect, window, used: 0, position: offset, next, begun: false }
    }

    /// The dialect, once the beginning is read.
    pub fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// Reads the beginning, so that the dialect is known before the first message.
    ///
    /// # Errors
    /// See [`MboxError`].
    pub fn begin(&mut self) -> Result<(), MboxError<S::Error>> {
        if self.begun { Ok(()) } else { self.first() }
    }

    fn rest(&self) -> &[u8] {
        self.window.get(self.used..).unwrap_or_default()
    }

    /// Reads more behind what is there; false at the end.
    fn fill(&mut self) -> Result<bool, S::Error> {
        self.window.drain(..self.used.min(self.window.len()));
        self.used = 0;
        let old = self.window.len();
        self.window.resize(old + WINDOW, 0);
        let at = self.position.saturating_add(old as u64);
        let into = self.window.get_mut(old..).unwrap_or_default();
        let got = match self.source.read_at(at, into) {
            Ok(got) => got.min(WINDOW),
            Err(error) => {
                self.window.truncate(old);
                return Err(error);
            }
        };
        self.window.truncate(old + got);
        Ok(got > 0)
    }

    /// The next line in the window; `middle` when the one before was a piece.
    fn line(&mut self, middle: bool) -> Result<Option<Line>, S::Error> {
        let mut looked = 0;
        loop {
            let rest = self.rest();
            if let Some(at) = memchr::memchr(b'\n', rest.get(looked..).unwrap_or_default()) {
                return Ok(Some(Line { length: looked + at + 1, first: !middle, last: true }));
            }
            looked = rest.len();
            if looked >= LINE_MAX {
                return Ok(Some(Line { length: looked, first: !middle, last: false }));
            }
            if !self.fill()? {
                let length = self.rest().len();
                return Ok((length > 0).then_some(Line { length, first: !middle, last: true }));
            }
        }
    }

    fn skip(&mut self, length: usize) {
        self.used += length;
        self.position = self.position.saturating_add(length as u64);
    }

    fn text(&self, line: Line) -> &[u8] {
        self.rest().get(..line.length).unwrap_or_default()
    }

    /// Finds the first separator.
    fn first(&mut self) -> Result<(), MboxError<S::Error>> {
        self.begun = true;
        let mut blank = 0;
        while let Some(line) = self.line(false)? {
            let text = self.text(line);
            if matches!(text, b"\n" | b"\r\n") && blank < BLANK_MAX {
                blank += text.len();
                self.skip(line.length);
                continue;
            }
            let framed = bare(text) == MMDF;
            if framed && self.dialect == Dialect::Auto {
                self.dialect = Dialect::Mmdf;
            }
            if self.dialect == Dialect::Mmdf {
                if !framed {
                    return Err(MboxError::NoMailbox);
                }
                return Ok(self.begin_framed()?);
            }
            let text = self.text(line);
            let Some(separator) = Separator::parse(text) else { return Err(MboxError::NoMailbox) };
            self.next = Some((Some(separator), self.position, false));
            self.skip(line.length);
            return Ok(());
        }
        Ok(())
    }

    /// Behind the frame before a message: its separator, if it has one.
    fn begin_framed(&mut self) -> Result<(), S::Error> {
        let begins = self.position;
        // One frame before each message and one behind it.
        while let Some(line) = self.line(false)? {
            if bare(self.text(line)) != MMDF {
                break;
            }
            self.skip(line.length);
        }
        let Some(line) = self.line(false)? else { return Ok(()) };
        let separator = Separator::parse(self.text(line));
        if separator.is_some() {
            self.skip(line.length);
        }
        self.next = Some((separator, begins, false));
        Ok(())
    }

    /// The next message. Its octets as they stand in the file, without the empty line before the
    /// next separator, go to `sink` in pieces before it is answered. Nothing at the end.
    ///
    /// # Errors
    /// See [`MboxError`].
    pub fn next(
        &mut self,
        sink: &mut dyn FnMut(&[u8]),
    ) -> Result<Option<Found>, MboxError<S::Error>> {
        self.begin()?;
        let Some((separator, begins, unannounced)) = self.next.take() else { return Ok(None) };
        let content = self.position;
        if self.dialect == Dialect::Mmdf {
            self.framed(sink)?;
        } else {
            self.separated(sink)?;
        }
        let ends = self.next.as_ref().map_or(self.position, |(_, begins, _)| *begins);
        Ok(Some(Found { separator, begins, content, ends, unannounced }))
    }

    fn framed(&mut self, sink: &mut dyn FnMut(&[u8])) -> Result<(), S::Error> {
        let mut middle = false;
        while let Some(line) = self.line(middle)? {
            if line.first && bare(self.text(line)) == MMDF {
                return self.begin_framed();
            }
            sink(self.text(line));
            middle = !line.last;
            self.skip(line.length);
        }
        Ok(())
    }

    fn separated(&mut self, sink: &mut dyn FnMut(&[u8])) -> Result<(), S::Error> {
        let (mut middle, mut header, mut first) = (false, true, true);
        let mut length = None;
        // An empty line that may belong to the next separator.
        let mut held: &'static [u8] = b"";
        let mut after_empty = false;
        while let Some(line) = self.line(middle)? {
            let text = self.text(line);
            let whole = line.first && line.last;
            if whole && text.starts_with(b"From ") {
                let separator = Separator::parse(text);
                let own = separator.as_ref().is_some_and(|s| s.fields.is_some());
                if separator.is_some() && (after_empty || own || first) {
                    self.next = Some((separator, self.position, !after_empty));
                    self.skip(line.length);
                    return Ok(());
                }
            }
            first = false;
            if !held.is_empty() {
                sink(held);
                held = b"";
            }
            let empty: &'static [u8] = match text {
                b"\n" => b"\n",
                b"\r\n" => b"\r\n",
                _ => b"",
            };
            let is_empty = !empty.is_empty() && line.first;
            after_empty = is_empty;
            if header && is_empty {
                header = false;
                sink(empty);
                self.skip(line.length);
                if let Some(length) = length
                    && self.stands_behind(length)?
                {
                    return self.counted(length, sink);
                }
                continue;
            }
            if is_empty {
                held = empty;
            } else {
                if header && whole && self.dialect.believes_lengths() {
                    length = content_length(text).or(length);
                }
                sink(text);
            }
            middle = !line.last;
            self.skip(line.length);
        }
        Ok(())
    }

    /// True when the file ends, or another message begins, `length` octets from here.
    fn stands_behind(&mut self, length: u64) -> Result<bool, S::Error> {
        let Some(at) = self.position.checked_add(length) else { return Ok(false) };
        let mut probe = vec![0; PROBE];
        let mut got = 0;
        while let Some(into) = probe.get_mut(got..).filter(|into| !into.is_empty()) {
            match self.source.read_at(at.saturating_add(got as u64), into)? {
                0 => break,
                more => got += more.min(into.len()),
            }
        }
        let seen = probe.get(..got).unwrap_or_default();
        if seen.is_empty() {
            // The end, and not beyond it.
            let mut last = [0];
            return Ok(length == 0 || self.source.read_at(at - 1, &mut last)? == 1);
        }
        let text = seen.trim_ascii_start();
        if text.is_empty() {
            return Ok(got < PROBE);
        }
        let blank = seen.get(..seen.len() - text.len()).unwrap_or_default();
        let lines = blank.iter().all(|b| matches!(b, b'\n' | b'\r'));
        let end = memchr::memchr(b'\n', text).unwrap_or(text.len());
        // An empty line must stand there, unless the length counts it.
        let line = text.get(..end).unwrap_or_default();
        Ok(lines && Separator::parse(line).is_some())
    }

    /// Takes `length` octets as they are, then what stands before the next separator.
    fn counted(&mut self, length: u64, sink: &mut dyn FnMut(&[u8])) -> Result<(), S::Error> {
        let mut left = length;
        while left > 0 {
            if self.rest().is_empty() && !self.fill()? {
                return Ok(());
            }
            let now = usize::try_from(left).unwrap_or(usize::MAX).min(self.rest().len());
            sink(self.rest().get(..now).unwrap_or_default());
            left -= now as u64;
            self.skip(now);
        }
        while let Some(line) = self.line(false)? {
            let text = self.text(line);
            if let Some(separator) = Separator::parse(text) {
                self.next = Some((Some(separator), self.position, false));
                self.skip(line.length);
                return Ok(());
            }
            self.skip(line.length);
        }
        Ok(())
    }
}

fn bare(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

fn content_length(line: &[u8]) -> Option<u64> {
    const NAME: &[u8] = b"Content-Length:";
    let (name, value) = line.split_at_checked(NAME.len())?;
    if !name.eq_ignore_ascii_case(NAME) {
        return None;
    }
    std::str::from_utf8(value.trim_ascii()).ok()?.parse().ok()
}
