//! Commands about the connection and who is on it: CAPABILITY, NOOP, LOGOUT, ID, STARTTLS,
//! AUTHENTICATE, LOGIN, PROXYAUTH, UNAUTHENTICATE, ENABLE, COMPRESS, IDLE.

use super::cursor::{Cursor, Parse, utf8};
use super::refusal::Fault;
use crate::types::{Command, Secret};

/// Longest ID field name and value, in bytes (RFC 2971 section 3.3).
const MAX_ID_FIELD: usize = 1024;

pub(super) fn decode(name: &str, cursor: &mut Cursor<'_>) -> Parse<Option<Command>> {
    Ok(Some(match name {
        "CAPABILITY" => Command::Capability,
        "NOOP" => Command::Noop,
        "LOGOUT" => Command::Logout,
        "STARTTLS" => Command::StartTls,
        "UNAUTHENTICATE" => Command::Unauthenticate,
        "IDLE" => Command::Idle,
        "NAMESPACE" => Command::Namespace,
        "LOGIN" => login(cursor)?,
        "AUTHENTICATE" => authenticate(cursor)?,
        "PROXYAUTH" => {
            cursor.space()?;
            Command::ProxyAuth { user: cursor.text()? }
        }
        "ENABLE" => enable(cursor)?,
        "COMPRESS" => {
            cursor.space()?;
            Command::Compress(cursor.upper_atom("Compression mechanism expected")?)
        }
        "ID" => id(cursor)?,
        _ => return Ok(None),
    }))
}

fn login(cursor: &mut Cursor<'_>) -> Parse<Command> {
    cursor.space()?;
    let user = cursor.text()?;
    cursor.space()?;
    let password = Secret::new(cursor.astring()?.into_owned());
    Ok(Command::Login { user, password })
}

/// `AUTHENTICATE mechanism [initial]` (RFC 4959): `=` is an empty initial response.
fn authenticate(cursor: &mut Cursor<'_>) -> Parse<Command> {
    cursor.space()?;
    let mechanism = cursor.upper_atom("Authentication mechanism expected")?;
    if !cursor.eat(b' ') {
        return Ok(Command::Authenticate { mechanism, initial: None });
    }
    let initial = if cursor.rest() == b"=" {
        cursor.advance(1);
        Vec::new()
    } else {
        cursor.base64()?
    };
    Ok(Command::Authenticate { mechanism, initial: Some(Secret::new(initial)) })
}

fn enable(cursor: &mut Cursor<'_>) -> Parse<Command> {
    let mut names = Vec::new();
    cursor.space()?;
    loop {
        if names.len() >= Command::MAX_ENABLE {
            return Err(Fault::bad("Too many names to enable"));
        }
        names.push(cursor.upper_atom("Capability name expected")?);
        if !cursor.eat(b' ') {
            return Ok(Command::Enable(names));
        }
    }
}

fn id(cursor: &mut Cursor<'_>) -> Parse<Command> {
    cursor.space()?;
    if cursor.eat_word("NIL") {
        return Ok(Command::Id(None));
    }
    cursor.expect(b'(', "List of fields or NIL expected")?;
    let mut fields = Vec::new();
    if cursor.eat(b')') {
        return Ok(Command::Id(Some(fields)));
    }
    loop {
        if fields.len() >= Command::MAX_ID_PAIRS {
            return Err(Fault::bad("At most 30 fields are allowed in ID"));
        }
        let field = cursor.string()?;
        cursor.space()?;
        let value = cursor.nstring()?;
        if field.len().max(value.as_ref().map_or(0, |v| v.len())) > MAX_ID_FIELD {
            return Err(Fault::bad("Field of ID too long"));
        }
        fields.push((utf8(field)?, value.map(utf8).transpose()?));
        if cursor.eat(b')') {
            return Ok(Command::Id(Some(fields)));
        }
        cursor.space()?;
    }
}
