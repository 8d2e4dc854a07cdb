//! METADATA answers (RFC 5464) and LIST answers that tell of a change (RFC 5465, RFC 9051). Knows
//! nothing of what annotations mean.

use super::text::{astring, mailbox_name, nstring};

/// `* METADATA mailbox (entry value …)`; nothing without entries. A value of `None` is NIL.
pub fn metadata(out: &mut Vec<u8>, mailbox: &str, utf8: bool, entries: &[(&str, Option<&[u8]>)]) {
    if entries.is_empty() {
        return;
    }
    out.extend_from_slice(b"* METADATA ");
    mailbox_name(out, mailbox, utf8);
    for (i, (entry, value)) in entries.iter().enumerate() {
        out.extend_from_slice(if i == 0 { b" (" } else { b" " });
        astring(out, entry.as_bytes());
        out.push(b' ');
        nstring(out, *value);
    }
    out.extend_from_slice(b")\r\n");
}

/// `* METADATA mailbox entry …`: these have changed; nothing without entries.
pub fn metadata_changed(out: &mut Vec<u8>, mailbox: &str, utf8: bool, entries: &[String]) {
    if entries.is_empty() {
        return;
    }
    out.extend_from_slice(b"* METADATA ");
    mailbox_name(out, mailbox, utf8);
    for entry in entries {
        out.push(b' ');
        astring(out, entry.as_bytes());
    }
    out.extend_from_slice(b"\r\n");
}

/// `* LIST (…) "/" name`, with `("OLDNAME" (old))` for a mailbox that had another name
/// (RFC 9051 section 6.3.9.7).
pub fn list_change(
    out: &mut Vec<u8>,
    attributes: &[&str],
    name: &str,
    old: Option<&str>,
    utf8: bool,
) {
    out.extend_from_slice(b"* LIST (");
    out.extend_from_slice(attributes.join(" ").as_bytes());
    out.extend_from_slice(b") \"/\" ");
    mailbox_name(out, name, utf8);
    if let Some(old) = old {
        out.extend_from_slice(b" (\"OLDNAME\" (");
        mailbox_name(out, old, utf8);
        out.extend_from_slice(b"))");
    }
    out.extend_from_slice(b"\r\n");
}
