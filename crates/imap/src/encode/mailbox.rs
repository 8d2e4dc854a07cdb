//! LIST, STATUS and NAMESPACE answers. Knows nothing of which mailboxes there are.

use super::text::{mailbox_name, number, string};
use crate::types::{DateTime, InlineOption, ListKind, StatusItem};

/// One `* LIST (…) "/" name` being written.
#[derive(Debug)]
pub struct ListWriter<'a> {
    out: &'a mut Vec<u8>,
    first: bool,
}

impl<'a> ListWriter<'a> {
    /// Begins the answer.
    #[must_use]
    pub fn new(out: &'a mut Vec<u8>, kind: ListKind) -> Self {
        out.extend_from_slice(match kind {
            ListKind::List => b"* LIST (",
            ListKind::Lsub => b"* LSUB (",
            ListKind::Xlist => b"* XLIST (",
        });
        Self { out, first: true }
    }

    fn separate(&mut self) {
        if !self.first {
            self.out.push(b' ');
        }
        self.first = false;
    }

    /// An attribute with its backslash, such as `\HasNoChildren`.
    pub fn attribute(&mut self, name: &str) {
        self.separate();
        self.out.extend_from_slice(name.as_bytes());
    }

    /// One of the guide's values, such as `\UNSEEN(14)` (`reference/imap.md` section 7).
    pub fn inline_number(&mut self, option: InlineOption, value: u64) {
        self.inline(option);
        number(self.out, value);
        self.out.push(b')');
    }

    /// `\OLDEST("…")`
    pub fn inline_date(&mut self, option: InlineOption, date: DateTime) {
        self.inline(option);
        string(self.out, &date.format());
        self.out.push(b')');
    }

    fn inline(&mut self, option: InlineOption) {
        self.separate();
        self.out.push(b'\\');
        self.out.extend_from_slice(option.name().as_bytes());
        self.out.push(b'(');
    }

    /// Ends the answer: delimiter `/` (or NIL for none), the name, and, for RECURSIVEMATCH,
    /// which selection options the children match (RFC 5258 section 3.5), such as `SUBSCRIBED`.
    pub fn finish(self, name: &str, delimiter: bool, utf8: bool, child_info: &[&str]) {
        self.out.extend_from_slice(if delimiter { b") \"/\" " } else { b") NIL " });
        mailbox_name(self.out, name, utf8);
        for (i, option) in child_info.iter().enumerate() {
            self.out.extend_from_slice(if i == 0 { b" (\"CHILDINFO\" (" } else { b" " });
            string(self.out, option.as_bytes());
        }
        if !child_info.is_empty() {
            self.out.extend_from_slice(b"))");
        }
        self.out.extend_from_slice(b"\r\n");
    }
}

/// One `* STATUS name (…)` being written.
#[derive(Debug)]
pub struct StatusWriter<'a> {
    out: &'a mut Vec<u8>,
    first: bool,
}

impl<'a> StatusWriter<'a> {
    /// Begins the answer.
    #[must_use]
    pub fn new(out: &'a mut Vec<u8>, mailbox: &str, utf8: bool) -> Self {
        out.extend_from_slice(b"* STATUS ");
        mailbox_name(out, mailbox, utf8);
        out.extend_from_slice(b" (");
        Self { out, first: true }
    }

    fn label(&mut self, item: StatusItem) {
        if !self.first {
            self.out.push(b' ');
        }
        self.first = false;
        self.out.extend_from_slice(item.name().as_bytes());
        self.out.push(b' ');
    }

    /// An item with a number.
    pub fn number(&mut self, item: StatusItem, value: u64) {
        self.label(item);
        number(self.out, value);
    }

    /// `OLDEST "…"`
    pub fn date(&mut self, item: StatusItem, date: DateTime) {
        self.label(item);
        string(self.out, &date.format());
    }

    /// `MAILBOXID (id)` (RFC 8474)
    pub fn mailbox_id(&mut self, id: &str) {
        self.label(StatusItem::MailboxId);
        self.out.push(b'(');
        self.out.extend_from_slice(id.as_bytes());
        self.out.push(b')');
    }

    /// Ends the answer.
    pub fn finish(self) {
        self.out.extend_from_slice(b")\r\n");
    }
}

/// One kind of namespace: prefixes, all with the delimiter `/`.
pub type Namespace<'a> = &'a [&'a str];

/// `* NAMESPACE personal others shared` (RFC 2342); an empty kind is NIL.
pub fn namespace(
    out: &mut Vec<u8>,
    personal: Namespace<'_>,
    others: Namespace<'_>,
    shared: Namespace<'_>,
    utf8: bool,
) {
    out.extend_from_slice(b"* NAMESPACE");
    for kind in [personal, others, shared] {
        out.push(b' ');
        if kind.is_empty() {
            out.extend_from_slice(b"NIL");
            continue;
        }
        out.push(b'(');
        for prefix in kind {
            out.push(b'(');
            match utf8 || crate::mailbox_name::is_plain(prefix) {
                true => string(out, prefix.as_bytes()),
                false => {
                    let mut wire = Vec::new();
                    crate::mailbox_name::encode(prefix, &mut wire);
                    string(out, &wire);
                }
            }
            out.extend_from_slice(b" \"/\")");
        }
        out.push(b')');
    }
    out.extend_from_slice(b"\r\n");
}
