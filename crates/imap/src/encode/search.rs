//! SEARCH, SORT and ESEARCH answers (RFC 9051 section 7.3.4, RFC 4731, RFC 9394).

use super::text::{mailbox_name, number, ordered_set, string, uid_set};
use crate::types::{PartialRange, Tag, UidSet};

/// `* SEARCH n n … [(MODSEQ n)]`
pub fn search(out: &mut Vec<u8>, numbers: impl IntoIterator<Item = u32>, modseq: Option<u64>) {
    listed(out, b"* SEARCH", numbers, modseq);
}

/// `* SORT n n … [(MODSEQ n)]`
pub fn sort(out: &mut Vec<u8>, numbers: impl IntoIterator<Item = u32>, modseq: Option<u64>) {
    listed(out, b"* SORT", numbers, modseq);
}

fn listed(
    out: &mut Vec<u8>,
    label: &[u8],
    numbers: impl IntoIterator<Item = u32>,
    modseq: Option<u64>,
) {
    out.extend_from_slice(label);
    for n in numbers {
        out.push(b' ');
        number(out, u64::from(n));
    }
    if let Some(modseq) = modseq {
        out.extend_from_slice(b" (MODSEQ ");
        number(out, modseq);
        out.push(b')');
    }
    out.extend_from_slice(b"\r\n");
}

/// Numbers of an ESEARCH answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Numbers<'a> {
    /// In the order of the mailbox.
    Set(&'a UidSet),
    /// In the order SORT asks for (RFC 5267 section 3.2).
    Ordered(&'a [u32]),
}

impl Numbers<'_> {
    fn is_empty(&self) -> bool {
        match self {
            Self::Set(set) => set.is_empty(),
            Self::Ordered(numbers) => numbers.is_empty(),
        }
    }

    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Set(set) => uid_set(out, set),
            Self::Ordered(numbers) => ordered_set(out, numbers.iter().copied()),
        }
    }
}

/// The mailbox an ESEARCH answer is about, where that is not the selected one (RFC 7377).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SearchedMailbox<'a> {
    /// Its name in UTF-8.
    pub name: &'a str,
    /// The session takes names in UTF-8.
    pub utf8: bool,
    /// Its UIDVALIDITY.
    pub uid_validity: u32,
}

/// What an ESEARCH answer holds; what was not asked for stays `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Esearch<'a> {
    /// MAILBOX and UIDVALIDITY
    pub mailbox: Option<SearchedMailbox<'a>>,
    /// Numbers are UIDs.
    pub uid: bool,
    /// MIN; also `None` when nothing was found.
    pub min: Option<u32>,
    /// MAX; also `None` when nothing was found.
    pub max: Option<u32>,
    /// COUNT
    pub count: Option<u32>,
    /// ALL; left out when empty.
    pub all: Option<Numbers<'a>>,
    /// PARTIAL: the page asked for and what is on it.
    pub partial: Option<(PartialRange, Numbers<'a>)>,
    /// MODSEQ
    pub modseq: Option<u64>,
    /// RELEVANCY (RFC 6203): a score, 1 to 100, for each message of ALL or PARTIAL in its order;
    /// left out when empty.
    pub relevancy: Option<&'a [u8]>,
}

/// `* ESEARCH (TAG "t") [UID] …`
pub fn esearch(out: &mut Vec<u8>, tag: &Tag, result: &Esearch<'_>) {
    out.extend_from_slice(b"* ESEARCH (TAG ");
    string(out, tag.as_bytes());
    if let Some(mailbox) = result.mailbox {
        out.extend_from_slice(b" MAILBOX ");
        mailbox_name(out, mailbox.name, mailbox.utf8);
        out.extend_from_slice(b" UIDVALIDITY ");
        number(out, u64::from(mailbox.uid_validity));
    }
    out.push(b')');
    if result.uid {
        out.extend_from_slice(b" UID");
    }
    let numbers = [
        (&b" MIN "[..], result.min.map(u64::from)),
        (b" MAX ", result.max.map(u64::from)),
        (b" COUNT ", result.count.map(u64::from)),
        (b" MODSEQ ", result.modseq),
    ];
    for (label, n) in numbers {
        if let Some(n) = n {
            out.extend_from_slice(label);
            number(out, n);
        }
    }
    if let Some(all) = result.all.filter(|all| !all.is_empty()) {
        out.extend_from_slice(b" ALL ");
        all.write(out);
    }
    if let Some((page, found)) = result.partial {
        partial(out, page, found);
    }
    if let Some(scores) = result.relevancy.filter(|scores| !scores.is_empty()) {
        relevancy(out, scores);
    }
    out.extend_from_slice(b"\r\n");
}

fn relevancy(out: &mut Vec<u8>, scores: &[u8]) {
    out.extend_from_slice(b" RELEVANCY (");
    for (at, score) in scores.iter().enumerate() {
        if at > 0 {
            out.push(b' ');
        }
        number(out, u64::from(*score));
    }
    out.push(b')');
}

fn partial(out: &mut Vec<u8>, page: PartialRange, found: Numbers<'_>) {
    let sign: &[u8] = if page.from_end { b"-" } else { b"" };
    out.extend_from_slice(b" PARTIAL (");
    out.extend_from_slice(sign);
    number(out, u64::from(page.first));
    out.push(b':');
    out.extend_from_slice(sign);
    number(out, u64::from(page.last));
    out.push(b' ');
    match found.is_empty() {
        true => out.extend_from_slice(b"NIL"),
        false => found.write(out),
    }
    out.push(b')');
}

/// One step by which a result a client keeps changes (RFC 5267 section 4.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Update {
    /// ADDTO; else REMOVEFROM.
    pub adds: bool,
    /// Position of the first, from 1; 0 where order does not count.
    pub position: u32,
    /// UIDs or sequence numbers, in the order asked for.
    pub numbers: Vec<u32>,
}

/// `* ESEARCH (TAG "t") [UID] REMOVEFROM (…) ADDTO (…)`: updates of one kind that follow each
/// other share a list. Nothing without updates.
pub fn search_update(out: &mut Vec<u8>, tag: &Tag, uid: bool, updates: &[Update]) {
    if updates.is_empty() {
        return;
    }
    out.extend_from_slice(b"* ESEARCH (TAG ");
    string(out, tag.as_bytes());
    out.push(b')');
    if uid {
        out.extend_from_slice(b" UID");
    }
    for of_a_kind in updates.chunk_by(|a, b| a.adds == b.adds) {
        let adds = of_a_kind.first().is_some_and(|update| update.adds);
        out.extend_from_slice(if adds { b" ADDTO (" } else { b" REMOVEFROM (" });
        for (i, update) in of_a_kind.iter().enumerate() {
            if i > 0 {
                out.push(b' ');
            }
            number(out, u64::from(update.position));
            out.push(b' ');
            ordered_set(out, update.numbers.iter().copied());
        }
        out.push(b')');
    }
    out.extend_from_slice(b"\r\n");
}

/// `* NO [NOUPDATE "t"] text`: there will be no updates for this search.
pub fn no_update(out: &mut Vec<u8>, tag: &Tag, text: &str) {
    out.extend_from_slice(b"* NO [NOUPDATE ");
    string(out, tag.as_bytes());
    out.extend_from_slice(b"] ");
    super::text::human(out, text);
    out.extend_from_slice(b"\r\n");
}
