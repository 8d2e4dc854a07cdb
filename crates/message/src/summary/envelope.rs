//! ENVELOPE in wire form (RFC 9051 7.5.2).
//!
//! It must never know about bodies.

use crate::address::{self, ADDRESSES_MAX, Item};
use crate::header::{Head, Values};
use crate::wire;

/// Appends the ENVELOPE of a header.
pub(super) fn write(out: &mut Vec<u8>, head: &Head<'_>) {
    out.push(b'(');
    wire::field(out, head.date);
    out.push(b' ');
    wire::field(out, head.subject);
    out.push(b' ');
    let from_start = out.len();
    addresses(out, &head.from);
    let from = from_start..out.len();
    // An absent sender or reply-to is the author (RFC 9051 7.5.2).
    for values in [&head.sender, &head.reply_to] {
        out.push(b' ');
        if !addresses(out, values) {
            out.truncate(out.len() - b"NIL".len());
            out.extend_from_within(from.clone());
        }
    }
    for values in [&head.to, &head.cc, &head.bcc] {
        out.push(b' ');
        addresses(out, values);
    }
    out.push(b' ');
    wire::field(out, head.in_reply_to);
    out.push(b' ');
    wire::field(out, head.message_id);
    out.push(b')');
}

/// Appends a list of addresses; `NIL` and false if there is none.
fn addresses(out: &mut Vec<u8>, values: &Values<'_>) -> bool {
    let start = out.len();
    out.push(b'(');
    let mut left = ADDRESSES_MAX;
    for value in values.iter() {
        address::parse(value, &mut left, |item| write_item(out, item));
    }
    if out.len() == start + 1 {
        out.truncate(start);
        wire::nil(out);
        return false;
    }
    out.push(b')');
    true
}

fn write_item(out: &mut Vec<u8>, item: Item<'_>) {
    let optional = |out: &mut Vec<u8>, text: &[u8]| {
        if text.is_empty() { wire::nil(out) } else { wire::string(out, text) }
    };
    match item {
        Item::Mailbox { name, route, local, domain } => {
            out.push(b'(');
            optional(out, name);
            out.push(b' ');
            optional(out, route);
            out.push(b' ');
            // NIL would mean the end of a group, or its beginning.
            wire::string(out, local);
            out.push(b' ');
            wire::string(out, domain);
            out.push(b')');
        }
        Item::GroupStart(name) => {
            out.extend_from_slice(b"(NIL NIL ");
            wire::string(out, name);
            out.extend_from_slice(b" NIL)");
        }
        Item::GroupEnd => out.extend_from_slice(b"(NIL NIL NIL NIL)"),
    }
}
