//! Quota (RFC 2087, RFC 9208) and access rights (RFC 2086, RFC 4314).

use super::cursor::{Cursor, Parse};
use super::mailbox::argument;
use super::refusal::Fault;
use crate::types::{AclChange, Command, QuotaLimit};

/// Longest identifier, quota root or list of rights, in bytes.
const MAX_WORD: usize = 1024;

pub(super) fn decode(name: &str, cursor: &mut Cursor<'_>) -> Parse<Option<Command>> {
    Ok(Some(match name {
        "GETQUOTA" => Command::GetQuota(word(cursor)?),
        "GETQUOTAROOT" => Command::GetQuotaRoot(argument(cursor)?),
        "SETQUOTA" => set_quota(cursor)?,
        "GETACL" => Command::GetAcl(argument(cursor)?),
        "MYRIGHTS" => Command::MyRights(argument(cursor)?),
        "SETACL" => set_acl(cursor)?,
        "DELETEACL" => {
            let mailbox = argument(cursor)?;
            Command::DeleteAcl { mailbox, identifier: word(cursor)? }
        }
        "LISTRIGHTS" => {
            let mailbox = argument(cursor)?;
            Command::ListRights { mailbox, identifier: word(cursor)? }
        }
        _ => return Ok(None),
    }))
}

/// A space and a short UTF-8 astring.
fn word(cursor: &mut Cursor<'_>) -> Parse<String> {
    cursor.space()?;
    let word = cursor.text()?;
    if word.len() > MAX_WORD { Err(Fault::bad("Argument too long")) } else { Ok(word) }
}

fn set_quota(cursor: &mut Cursor<'_>) -> Parse<Command> {
    let root = word(cursor)?;
    cursor.space()?;
    cursor.expect(b'(', "List of limits expected")?;
    let mut limits = Vec::new();
    if cursor.eat(b')') {
        return Ok(Command::SetQuota { root, limits });
    }
    loop {
        if limits.len() >= Command::MAX_QUOTA_LIMITS {
            return Err(Fault::bad("Too many limits"));
        }
        let resource = cursor.upper_atom("Quota resource such as STORAGE expected")?;
        cursor.space()?;
        limits.push(QuotaLimit { resource, limit: cursor.number64()? });
        if cursor.eat(b')') {
            return Ok(Command::SetQuota { root, limits });
        }
        cursor.space()?;
    }
}

fn set_acl(cursor: &mut Cursor<'_>) -> Parse<Command> {
    let mailbox = argument(cursor)?;
    let identifier = word(cursor)?;
    let mut rights = word(cursor)?;
    let change = match rights.bytes().next() {
        Some(b'+') => AclChange::Add,
        Some(b'-') => AclChange::Remove,
        _ => AclChange::Replace,
    };
    if change != AclChange::Replace {
        rights.remove(0);
    }
    Ok(Command::SetAcl { mailbox, identifier, change, rights })
}
