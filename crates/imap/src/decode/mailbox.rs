//! Commands about mailboxes as wholes: SELECT, EXAMINE, CREATE, DELETE, RENAME, SUBSCRIBE,
//! UNSUBSCRIBE, STATUS, CHECK, CLOSE, UNSELECT, EXPUNGE; the listing commands are in `list`.

use smallvec::SmallVec;

use super::cursor::{Cursor, Parse};
use super::list;
use super::refusal::Fault;
use crate::types::{
    Command, Create, ListKind, Qresync, Select, SequenceSet, StatusItem, StatusItems,
};

/// Most USE attributes of one CREATE.
const MAX_SPECIAL_USE: usize = 16;
/// Most parameters of one SELECT.
const MAX_SELECT_PARAMETERS: usize = 8;

pub(super) fn decode(name: &str, cursor: &mut Cursor<'_>) -> Parse<Option<Command>> {
    Ok(Some(match name {
        "CHECK" => Command::Check,
        "CLOSE" => Command::Close,
        "UNSELECT" => Command::Unselect,
        "EXPUNGE" => Command::Expunge(None),
        "SELECT" => select(cursor, false)?,
        "EXAMINE" => select(cursor, true)?,
        "CREATE" => create(cursor)?,
        "DELETE" => Command::Delete(argument(cursor)?),
        "RENAME" => {
            let from = argument(cursor)?;
            Command::Rename { from, to: argument(cursor)? }
        }
        "SUBSCRIBE" => Command::Subscribe(argument(cursor)?),
        "UNSUBSCRIBE" => Command::Unsubscribe(argument(cursor)?),
        "STATUS" => {
            let mailbox = argument(cursor)?;
            cursor.space()?;
            Command::Status { mailbox, items: status_items(cursor)? }
        }
        "LIST" => list::decode(ListKind::List, cursor)?,
        "LSUB" => list::decode(ListKind::Lsub, cursor)?,
        "XLIST" => list::decode(ListKind::Xlist, cursor)?,
        "APPEND" => return Err(Fault::bad("APPEND needs the message as a literal")),
        _ => return Ok(None),
    }))
}

/// A space and a mailbox name.
pub(super) fn argument(cursor: &mut Cursor<'_>) -> Parse<String> {
    cursor.space()?;
    cursor.mailbox()
}

/// `(item item …)` of STATUS; doubles are dropped.
pub(super) fn status_items(cursor: &mut Cursor<'_>) -> Parse<StatusItems> {
    cursor.expect(b'(', "List of status items expected")?;
    let mut items = StatusItems::new();
    loop {
        let word = cursor.atom("Status item expected")?;
        let item = StatusItem::ALL.into_iter().find(|i| i.name().eq_ignore_ascii_case(word));
        let item = item.ok_or(Fault::bad("Unknown status item"))?;
        if !items.contains(&item) {
            items.push(item);
        }
        if cursor.eat(b')') {
            return Ok(items);
        }
        cursor.space()?;
    }
}

fn select(cursor: &mut Cursor<'_>, read_only: bool) -> Parse<Command> {
    let mailbox = argument(cursor)?;
    let mut select = Select { mailbox, read_only, condstore: false, qresync: None };
    if !cursor.eat(b' ') {
        return Ok(Command::Select(select));
    }
    cursor.expect(b'(', "List of parameters expected")?;
    for _ in 0..MAX_SELECT_PARAMETERS {
        if cursor.eat_word("CONDSTORE") {
            select.condstore = true;
        } else if cursor.eat_word("QRESYNC") {
            cursor.space()?;
            select.qresync = Some(Box::new(qresync(cursor)?));
        } else {
            return Err(Fault::bad("Unknown parameter; CONDSTORE and QRESYNC are known"));
        }
        if cursor.eat(b')') {
            return Ok(Command::Select(select));
        }
        cursor.space()?;
    }
    Err(Fault::bad("Too many parameters"))
}

/// `(uidvalidity modseq [known-uids] [(sequence-set uid-set)])` (RFC 7162 section 3.2.5).
fn qresync(cursor: &mut Cursor<'_>) -> Parse<Qresync> {
    cursor.expect(b'(', "`(` expected after QRESYNC")?;
    let uid_validity = cursor.positive()?;
    cursor.space()?;
    let modseq = cursor.modseq()?;
    let mut qresync = Qresync { uid_validity, modseq, known_uids: None, matches: None };
    if cursor.eat(b')') {
        return Ok(qresync);
    }
    cursor.space()?;
    if cursor.peek() != Some(b'(') {
        qresync.known_uids = Some(known(cursor)?);
        if cursor.eat(b')') {
            return Ok(qresync);
        }
        cursor.space()?;
    }
    cursor.expect(b'(', "`(` expected before the sequence match data")?;
    let numbers = known(cursor)?;
    cursor.space()?;
    let uids = known(cursor)?;
    cursor.expect(b')', "Sequence match data not closed")?;
    cursor.expect(b')', "QRESYNC not closed")?;
    qresync.matches = Some((numbers, uids));
    Ok(qresync)
}

/// A set without `*` and `$`.
fn known(cursor: &mut Cursor<'_>) -> Parse<SequenceSet> {
    let set = cursor.sequence_set()?;
    let open = set == SequenceSet::Saved || set.ranges().iter().any(|r| r.from == 0 || r.to == 0);
    if open { Err(Fault::bad("Neither * nor $ may stand here")) } else { Ok(set) }
}

/// `CREATE name [(USE (\Sent …))]` (RFC 6154 section 3).
fn create(cursor: &mut Cursor<'_>) -> Parse<Command> {
    let mailbox = argument(cursor)?;
    let mut special_use = SmallVec::new();
    if cursor.eat(b' ') {
        cursor.expect(b'(', "List of parameters expected")?;
        if !cursor.eat_word("USE") {
            return Err(Fault::bad("Unknown parameter; USE is known"));
        }
        cursor.space()?;
        cursor.expect(b'(', "List of special uses expected")?;
        while !cursor.eat(b')') {
            if special_use.len() >= MAX_SPECIAL_USE {
                return Err(Fault::bad("Too many special uses"));
            }
            if !special_use.is_empty() {
                cursor.space()?;
            }
            cursor.expect(b'\\', "A special use such as \\Sent expected")?;
            let word = cursor.atom("A special use such as \\Sent expected")?;
            special_use.push(format!("\\{word}").into_boxed_str());
        }
        cursor.expect(b')', "List of parameters not closed")?;
    }
    Ok(Command::Create(Create { mailbox, special_use }))
}
