//! Commands about IMAP URLs: GENURLAUTH, RESETKEY, URLFETCH (RFC 4467, RFC 5524). What a URL
//! means is not looked at here.

use smallvec::SmallVec;

use super::cursor::{Cursor, Parse};
use super::refusal::Fault;
use crate::types::{Command, UrlFetch, UrlItem};
use crate::url::MAX_URL;

pub(super) fn decode(name: &str, cursor: &mut Cursor<'_>) -> Parse<Option<Command>> {
    Ok(Some(match name {
        "GENURLAUTH" => generate(cursor)?,
        "RESETKEY" => reset(cursor)?,
        "URLFETCH" => fetch(cursor)?,
        _ => return Ok(None),
    }))
}

fn url(cursor: &mut Cursor<'_>) -> Parse<String> {
    let text = cursor.text()?;
    if text.len() > MAX_URL { Err(Fault::bad("URL too long")) } else { Ok(text) }
}

/// `GENURLAUTH 1*(url mechanism)`
fn generate(cursor: &mut Cursor<'_>) -> Parse<Command> {
    let mut wanted = Vec::new();
    loop {
        if wanted.len() >= Command::MAX_URLS {
            return Err(Fault::coded("LIMIT", "Too many URLs"));
        }
        cursor.space()?;
        let text = url(cursor)?;
        cursor.space()?;
        wanted.push((text, cursor.upper_atom("Mechanism expected")?));
        if cursor.at_end() {
            return Ok(Command::GenUrlAuth(wanted));
        }
    }
}

/// `RESETKEY [mailbox *(mechanism)]`
fn reset(cursor: &mut Cursor<'_>) -> Parse<Command> {
    if cursor.at_end() {
        return Ok(Command::ResetKey { mailbox: None, mechanisms: Vec::new() });
    }
    cursor.space()?;
    let mailbox = Some(cursor.mailbox()?);
    let mut mechanisms = Vec::new();
    while cursor.eat(b' ') {
        if mechanisms.len() >= Command::MAX_MECHANISMS {
            return Err(Fault::bad("Too many mechanisms"));
        }
        mechanisms.push(cursor.upper_atom("Mechanism expected")?);
    }
    Ok(Command::ResetKey { mailbox, mechanisms })
}

/// `URLFETCH 1*(url / "(" url *(item) ")")`
fn fetch(cursor: &mut Cursor<'_>) -> Parse<Command> {
    let mut wanted = Vec::new();
    loop {
        if wanted.len() >= Command::MAX_URLS {
            return Err(Fault::coded("LIMIT", "Too many URLs"));
        }
        cursor.space()?;
        let mut items = SmallVec::new();
        let extended = cursor.eat(b'(');
        let url = url(cursor)?;
        while extended && cursor.eat(b' ') {
            let item = item(cursor)?;
            if items.contains(&item) {
                return Err(Fault::bad("Item of URLFETCH repeated"));
            }
            items.push(item);
        }
        if extended {
            cursor.expect(b')', "Items of URLFETCH not closed")?;
        }
        wanted.push(UrlFetch { url, items });
        if cursor.at_end() {
            return Ok(Command::UrlFetch(wanted));
        }
    }
}

fn item(cursor: &mut Cursor<'_>) -> Parse<UrlItem> {
    if cursor.eat_word("BODY") {
        Ok(UrlItem::Body)
    } else if cursor.eat_word("BINARY") {
        Ok(UrlItem::Binary)
    } else if cursor.eat_word("BODYPARTSTRUCTURE") {
        Ok(UrlItem::Structure)
    } else {
        Err(Fault::bad("Unknown item of URLFETCH; BODY, BINARY, BODYPARTSTRUCTURE are known"))
    }
}
