//! QUOTA and ACL answers (RFC 9208, RFC 4314).

use super::answer::spaced;
use super::text::{astring, mailbox_name, number};

/// Use and limit of one resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuotaUsage<'a> {
    /// Such as `STORAGE`, counted in KiB.
    pub resource: &'a str,
    /// Used at present.
    pub used: u64,
    /// At most.
    pub limit: u64,
}

/// `* QUOTA root (STORAGE used limit …)`
pub fn quota(out: &mut Vec<u8>, root: &str, usage: &[QuotaUsage<'_>]) {
    out.extend_from_slice(b"* QUOTA ");
    astring(out, root.as_bytes());
    out.extend_from_slice(b" (");
    for (i, part) in usage.iter().enumerate() {
        if i > 0 {
            out.push(b' ');
        }
        out.extend_from_slice(part.resource.as_bytes());
        out.push(b' ');
        number(out, part.used);
        out.push(b' ');
        number(out, part.limit);
    }
    out.extend_from_slice(b")\r\n");
}

/// `* QUOTAROOT mailbox root …`
pub fn quota_root(out: &mut Vec<u8>, mailbox: &str, utf8: bool, roots: &[&str]) {
    out.extend_from_slice(b"* QUOTAROOT ");
    mailbox_name(out, mailbox, utf8);
    roots.iter().for_each(|root| spaced(out, root));
    out.extend_from_slice(b"\r\n");
}

/// `* ACL mailbox identifier rights …`
pub fn acl(out: &mut Vec<u8>, mailbox: &str, utf8: bool, entries: &[(&str, &str)]) {
    out.extend_from_slice(b"* ACL ");
    mailbox_name(out, mailbox, utf8);
    for (identifier, rights) in entries {
        spaced(out, identifier);
        spaced(out, rights);
    }
    out.extend_from_slice(b"\r\n");
}

/// `* MYRIGHTS mailbox rights`
pub fn my_rights(out: &mut Vec<u8>, mailbox: &str, utf8: bool, rights: &str) {
    out.extend_from_slice(b"* MYRIGHTS ");
    mailbox_name(out, mailbox, utf8);
    spaced(out, rights);
    out.extend_from_slice(b"\r\n");
}

/// `* LISTRIGHTS mailbox identifier required optional …`
pub fn list_rights(
    out: &mut Vec<u8>,
    mailbox: &str,
    utf8: bool,
    identifier: &str,
    required: &str,
    optional: &[&str],
) {
    out.extend_from_slice(b"* LISTRIGHTS ");
    mailbox_name(out, mailbox, utf8);
    spaced(out, identifier);
    spaced(out, required);
    optional.iter().for_each(|rights| spaced(out, rights));
    out.extend_from_slice(b"\r\n");
}
