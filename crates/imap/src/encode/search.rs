//! SEARCH, SORT and ESEARCH answers (RFC 9051 section 7.3.4, RFC 4731, RFC 9394).

use super::text::{number, string, uid_set};
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

/// What an ESEARCH answer holds; what was not asked for stays `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Esearch<'a> {
    /// Numbers are UIDs.
    pub uid: bool,
    /// MIN; also `None` when nothing was found.
    pub min: Option<u32>,
    /// MAX; also `None` when nothing was found.
    pub max: Option<u32>,
    /// COUNT
    pub count: Option<u32>,
    /// ALL; left out when empty.
    pub all: Option<&'a UidSet>,
    /// PARTIAL: the page asked for and what is on it.
    pub partial: Option<(PartialRange, &'a UidSet)>,
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
        uid_set(out, all);
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

fn partial(out: &mut Vec<u8>, page: PartialRange, found: &UidSet) {
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
        false => uid_set(out, found),
    }
    out.push(b')');
}
