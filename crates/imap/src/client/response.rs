//! What a response means: status, code, and the data of the untagged responses a mover needs.

use bytes::Bytes;

use super::account::{self, About};
use super::node::{self, Node, Source};
use crate::mailbox_name;

/// OK, NO, BAD, and the two a greeting or farewell may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the words of RFC 9051 section 7.1")]
pub enum Status {
    Ok,
    No,
    Bad,
    PreAuth,
    Bye,
}

/// A response code in brackets (RFC 9051 section 7.1), those a mover acts on taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Code {
    /// CAPABILITY with its words, upper case.
    Capability(Vec<String>),
    /// APPENDUID: validity and the UIDs in order.
    AppendUid(u32, Vec<u32>),
    /// UIDVALIDITY
    UidValidity(u32),
    /// UIDNEXT
    UidNext(u32),
    /// HIGHESTMODSEQ
    HighestModSeq(u64),
    /// TRYCREATE
    TryCreate,
    /// ALREADYEXISTS
    AlreadyExists,
    /// OVERQUOTA
    OverQuota,
    /// Any other, its word in upper case and the rest as it came.
    Other(String, String),
}

/// One response that is whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Response {
    /// `+ text`
    Continuation(String),
    /// `tag OK …`
    Tagged {
        /// The command's tag.
        tag: String,
        /// How it ended.
        status: Status,
        /// The code, if any.
        code: Option<Code>,
        /// The text for people.
        text: String,
    },
    /// `* …`
    Untagged(Untagged),
}

/// An untagged response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Untagged {
    /// `* OK …` and its kin.
    Status {
        /// Which.
        status: Status,
        /// The code, if any.
        code: Option<Code>,
        /// The text for people.
        text: String,
    },
    /// `* CAPABILITY`, words in upper case.
    Capability(Vec<String>),
    /// `* LIST`
    List(ListItem),
    /// `* LSUB`
    Lsub(ListItem),
    /// `* n EXISTS`
    Exists(u32),
    /// `* n EXPUNGE`
    Expunge(u32),
    /// `* VANISHED` (RFC 7162 section 3.2.10).
    Vanished {
        /// It is about the past (EARLIER), not about what is open.
        earlier: bool,
        /// Ranges of UIDs, each from the lower to the higher one, at most 1,000,000 of them; a range
        /// may span numbers that never were.
        uids: Vec<(u32, u32)>,
    },
    /// `* n FETCH`
    Fetch(Fetch),
    /// `* SEARCH` or the ALL set of `* ESEARCH`.
    Search(Vec<u32>),
    /// `* ACL`: mailbox and identifier/rights pairs.
    Acl(String, Vec<(String, String)>),
    /// `* STATUS`: mailbox, and names with numbers.
    StatusOf(String, Vec<(String, u64)>),
    /// Something about the account as a whole.
    About(About),
    /// Anything else: its first word, upper case.
    Other(String),
}

/// A mailbox of LIST or LSUB.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListItem {
    /// Attributes as sent, such as `\Noselect`.
    pub attributes: Vec<String>,
    /// Hierarchy delimiter, if there is one.
    pub delimiter: Option<char>,
    /// The name as the server spells it, to be sent back to it byte for byte.
    pub wire_name: Vec<u8>,
    /// The name in UTF-8 (modified UTF-7 decoded where it is such).
    pub name: String,
}

impl ListItem {
    /// True when it has this attribute, in any case.
    #[must_use]
    pub fn has(&self, attribute: &str) -> bool {
        self.attributes.iter().any(|a| a.eq_ignore_ascii_case(attribute))
    }
}

/// What a FETCH response told of one message, its body excepted (that is streamed).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fetch {
    /// Message sequence number.
    pub seq: u32,
    /// UID
    pub uid: Option<u32>,
    /// FLAGS as sent, `\Recent` included.
    pub flags: Option<Vec<String>>,
    /// INTERNALDATE as sent.
    pub internal_date: Option<String>,
    /// RFC822.SIZE
    pub size: Option<u64>,
    /// MODSEQ
    pub modseq: Option<u64>,
    /// X-GM-LABELS, Gmail's names of a message's labels, as sent.
    pub labels: Option<Vec<String>>,
    /// Size of the body that was streamed, if there was one.
    pub body: Option<u64>,
    /// Other pieces by name, such as `BODY[HEADER.FIELDS (MESSAGE-ID)]`; EMAILID (RFC 8474) without
    /// its parentheses.
    pub others: Vec<(String, Bytes)>,
}

/// Reads one whole response; `line` is without its CRLF.
pub(super) fn read(line: &Bytes, literals: &[Bytes]) -> Response {
    let source = Source { line, literals };
    if line.first() == Some(&b'+') {
        let text = line.get(1..).unwrap_or_default();
        return Response::Continuation(String::from_utf8_lossy(text).trim().to_owned());
    }
    let (tag, rest) = word(line, 0);
    if tag == b"*" {
        return Response::Untagged(untagged(&source, rest));
    }
    let (status_word, after) = word(line, rest);
    let status = status(status_word).unwrap_or(Status::Bad);
    let (code, text) = code_and_text(line, after);
    Response::Tagged { tag: String::from_utf8_lossy(tag).into_owned(), status, code, text }
}

/// The sequence number and UID of a FETCH whose body is about to come, from the line so far.
pub(super) fn fetch_so_far(line: &[u8]) -> Option<(u32, Option<u32>)> {
    let rest = line.strip_prefix(b"* ")?;
    let digits = rest.iter().take_while(|b| b.is_ascii_digit()).count();
    let seq: u32 = std::str::from_utf8(rest.get(..digits)?).ok()?.parse().ok()?;
    let rest = rest.get(digits..)?;
    if !rest.get(..7)?.eq_ignore_ascii_case(b" FETCH ") {
        return None;
    }
    let body = rest.get(7..)?;
    let ends_with = |name: &[u8]| {
        let upto = body.iter().rposition(|b| *b == b'{').unwrap_or(body.len());
        let head = body.get(..upto).unwrap_or_default().trim_ascii_end();
        head.len() >= name.len()
            && head.get(head.len() - name.len()..).is_some_and(|t| t.eq_ignore_ascii_case(name))
    };
    if !(ends_with(b"BODY[]") || ends_with(b"RFC822") || ends_with(b"RFC822.PEEK")) {
        return None;
    }
    let uid = body
        .windows(4)
        .position(|w| w.eq_ignore_ascii_case(b"UID "))
        .and_then(|at| body.get(at + 4..))
        .and_then(|digits| {
            let n = digits.iter().take_while(|b| b.is_ascii_digit()).count();
            std::str::from_utf8(digits.get(..n)?).ok()?.parse().ok()
        });
    Some((seq, uid))
}

fn word(line: &[u8], from: usize) -> (&[u8], usize) {
    let rest = line.get(from..).unwrap_or_default();
    let end = memchr::memchr(b' ', rest).unwrap_or(rest.len());
    (rest.get(..end).unwrap_or_default(), (from + end + 1).min(line.len()))
}

fn status(word: &[u8]) -> Option<Status> {
    Some(match word.to_ascii_uppercase().as_slice() {
        b"OK" => Status::Ok,
        b"NO" => Status::No,
        b"BAD" => Status::Bad,
        b"PREAUTH" => Status::PreAuth,
        b"BYE" => Status::Bye,
        _ => return None,
    })
}

fn code_and_text(line: &[u8], from: usize) -> (Option<Code>, String) {
    let rest = line.get(from..).unwrap_or_default();
    if rest.first() != Some(&b'[') {
        return (None, for_people(rest));
    }
    let end = memchr::memchr(b']', rest).unwrap_or(rest.len());
    let inside = rest.get(1..end).unwrap_or_default();
    let text = rest.get(end + 1..).unwrap_or_default();
    (Some(code(inside)), for_people(text))
}

/// Longest text for people that is kept, octets.
const MAX_TEXT: usize = 1000;

/// A server's words in a form that may stand in logs and reports: bounded, one line, without
/// control characters.
pub(super) fn for_people(text: &[u8]) -> String {
    let kept = String::from_utf8_lossy(text.get(..MAX_TEXT).unwrap_or(text));
    let clean: String = kept.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    clean.trim().to_owned()
}

fn code(inside: &[u8]) -> Code {
    let text = String::from_utf8_lossy(inside);
    let mut words = text.split(' ');
    let name = words.next().unwrap_or_default().to_ascii_uppercase();
    let first_number = || text.split(' ').nth(1).and_then(|w| w.parse::<u64>().ok());
    let small = || first_number().and_then(|n| u32::try_from(n).ok());
    match name.as_str() {
        "CAPABILITY" => Code::Capability(words.map(str::to_ascii_uppercase).collect()),
        "APPENDUID" => match (small(), text.split(' ').nth(2)) {
            (Some(validity), Some(set)) => Code::AppendUid(validity, numbers_of_set(set)),
            _ => Code::Other(name, text.into_owned()),
        },
        "UIDVALIDITY" => small().map_or(Code::Other(name, String::new()), Code::UidValidity),
        "UIDNEXT" => small().map_or(Code::Other(name, String::new()), Code::UidNext),
        "HIGHESTMODSEQ" => {
            first_number().map_or(Code::Other(name, String::new()), Code::HighestModSeq)
        }
        "TRYCREATE" => Code::TryCreate,
        "ALREADYEXISTS" => Code::AlreadyExists,
        "OVERQUOTA" => Code::OverQuota,
        _ => {
            let rest = words.collect::<Vec<_>>().join(" ");
            Code::Other(name, rest)
        }
    }
}

/// The numbers of a set such as `4,7:9`, at most a million of them (a server that claims more is
/// not believed).
fn numbers_of_set(set: &str) -> Vec<u32> {
    let mut all = Vec::new();
    for part in set.split(',') {
        let (low, high) = part.split_once(':').unwrap_or((part, part));
        let (Ok(a), Ok(b)) = (low.parse::<u32>(), high.parse::<u32>()) else { continue };
        let (low, high) = (a.min(b), a.max(b));
        if all.len() as u64 + u64::from(high - low) >= 1_000_000 {
            break;
        }
        all.extend(low..=high);
    }
    all
}

fn untagged(source: &Source<'_>, from: usize) -> Untagged {
    let line = source.line;
    let (first, after) = word(line, from);
    if let Some(status) = status(first) {
        let (code, text) = code_and_text(line, after);
        return Untagged::Status { status, code, text };
    }
    if let Some(number) = std::str::from_utf8(first).ok().and_then(|w| w.parse::<u32>().ok()) {
        return numbered(source, number, after);
    }
    let name = String::from_utf8_lossy(first).to_ascii_uppercase();
    match name.as_str() {
        "CAPABILITY" => Untagged::Capability(
            String::from_utf8_lossy(line.get(after..).unwrap_or_default())
                .split_ascii_whitespace()
                .map(str::to_ascii_uppercase)
                .collect(),
        ),
        "LIST" | "XLIST" => list_item(source, after).map_or(Untagged::Other(name), Untagged::List),
        "LSUB" => list_item(source, after).map_or(Untagged::Other(name), Untagged::Lsub),
        "SEARCH" => Untagged::Search(
            node::read(source, after)
                .iter()
                .filter_map(|n| n.number().and_then(|n| u32::try_from(n).ok()))
                .collect(),
        ),
        "ESEARCH" => Untagged::Search(
            node::read(source, after)
                .windows(2)
                .find(|pair| pair[0].is("ALL"))
                .and_then(|pair| pair[1].text())
                .map(|set| numbers_of_set(&set))
                .unwrap_or_default(),
        ),
        "VANISHED" => vanished(line.get(after..).unwrap_or_default()),
        "ACL" => acl(source, after),
        "STATUS" => status_of(source, after),
        _ => account::about(&name, source, after).map_or(Untagged::Other(name), Untagged::About),
    }
}

/// Most ranges of a VANISHED that are believed.
const MOST_RANGES: usize = 1_000_000;

fn vanished(rest: &[u8]) -> Untagged {
    let text = String::from_utf8_lossy(rest);
    let text = text.trim();
    let (earlier, set) = match text.strip_prefix('(').and_then(|rest| rest.split_once(')')) {
        Some((word, set)) => (word.trim().eq_ignore_ascii_case("EARLIER"), set.trim()),
        None => (false, text),
    };
    let range = |part: &str| {
        let (low, high) = part.split_once(':').unwrap_or((part, part));
        let (a, b) = (low.parse::<u32>().ok()?, high.parse::<u32>().ok()?);
        Some((a.min(b), a.max(b)))
    };
    let uids = set.split(',').filter_map(range).take(MOST_RANGES).collect();
    Untagged::Vanished { earlier, uids }
}

fn numbered(source: &Source<'_>, number: u32, from: usize) -> Untagged {
    let (kind, after) = word(source.line, from);
    match kind.to_ascii_uppercase().as_slice() {
        b"EXISTS" => Untagged::Exists(number),
        b"EXPUNGE" => Untagged::Expunge(number),
        b"FETCH" => Untagged::Fetch(fetch(&node::read(source, after), number)),
        other => Untagged::Other(String::from_utf8_lossy(other).into_owned()),
    }
}

/// No message is larger, whatever a server says: sums of sizes stay within their bounds.
const MAX_SIZE: u64 = 1 << 40;

/// Reads the attributes of a FETCH. The streamed body, if any, left an empty literal behind.
pub(super) fn fetch(nodes: &[Node], seq: u32) -> Fetch {
    let mut fetch = Fetch { seq, ..Fetch::default() };
    let Some(Node::List(pairs)) = nodes.first() else { return fetch };
    for pair in pairs.chunks(2) {
        let [name, value] = pair else { break };
        let Some(name) = name.bytes() else { continue };
        match name.to_ascii_uppercase().as_slice() {
            b"UID" => fetch.uid = value.number().and_then(|n| u32::try_from(n).ok()),
            b"RFC822.SIZE" => fetch.size = value.number().map(|n| n.min(MAX_SIZE)),
            b"INTERNALDATE" => fetch.internal_date = value.text(),
            b"FLAGS" => {
                fetch.flags =
                    value.list().map(|flags| flags.iter().filter_map(Node::text).collect());
            }
            b"X-GM-LABELS" => {
                fetch.labels =
                    value.list().map(|labels| labels.iter().filter_map(Node::text).collect());
            }
            b"MODSEQ" => {
                fetch.modseq = value.list().and_then(|l| l.first()).and_then(Node::number);
            }
            b"EMAILID" => {
                if let Some(id) = value.list().and_then(|l| l.first()).and_then(Node::bytes) {
                    fetch.others.push(("EMAILID".to_owned(), id.clone()));
                }
            }
            other => {
                if let Some(bytes) = value.bytes() {
                    let name = String::from_utf8_lossy(other).into_owned();
                    fetch.others.push((name, bytes.clone()));
                }
            }
        }
    }
    fetch
}

fn list_item(source: &Source<'_>, from: usize) -> Option<ListItem> {
    let nodes = node::read(source, from);
    let [Node::List(attributes), delimiter, name, ..] = nodes.as_slice() else { return None };
    let wire = name.bytes()?.clone();
    let delimiter = match delimiter {
        Node::Text(text) => std::str::from_utf8(text).ok().and_then(|t| t.chars().next()),
        _ => None,
    };
    Some(ListItem {
        attributes: attributes.iter().filter_map(Node::text).collect(),
        delimiter,
        name: name_of(&wire),
        wire_name: wire.to_vec(),
    })
}

/// A mailbox name in UTF-8; a spelling that is none is shown as it came.
pub(super) fn name_of(wire: &[u8]) -> String {
    mailbox_name::decode_tolerant(wire)
        .unwrap_or_else(|| String::from_utf8_lossy(wire).into_owned())
}

fn acl(source: &Source<'_>, from: usize) -> Untagged {
    let nodes = node::read(source, from);
    let Some(mailbox) = nodes.first().and_then(Node::bytes) else {
        return Untagged::Other("ACL".into());
    };
    let pairs = nodes
        .get(1..)
        .unwrap_or_default()
        .chunks(2)
        .filter_map(|pair| Some((pair.first()?.text()?, pair.get(1)?.text()?)))
        .collect();
    Untagged::Acl(name_of(mailbox), pairs)
}

/// No mailbox has more messages or octets, whatever a server says: sums over all mailboxes stay
/// within their bounds.
const MAX_STATUS: u64 = 1 << 46;

fn status_of(source: &Source<'_>, from: usize) -> Untagged {
    let nodes = node::read(source, from);
    let (Some(name), Some(Node::List(items))) = (nodes.first(), nodes.get(1)) else {
        return Untagged::Other("STATUS".into());
    };
    let items = items
        .chunks(2)
        .filter_map(|pair| {
            let name = pair.first()?.text()?.to_ascii_uppercase();
            let number = pair.get(1)?.number()?;
            let most = if name == "HIGHESTMODSEQ" { u64::MAX } else { MAX_STATUS };
            Some((name, number.min(most)))
        })
        .collect();
    let name = name.bytes().map(|b| name_of(b)).unwrap_or_default();
    Untagged::StatusOf(name, items)
}

/// The sequence number at the start of a FETCH response.
pub(super) fn fetch_so_far_seq(line: &[u8]) -> Option<u32> {
    let rest = line.strip_prefix(b"* ")?;
    let digits = rest.iter().take_while(|b| b.is_ascii_digit()).count();
    std::str::from_utf8(rest.get(..digits)?).ok()?.parse().ok()
}
