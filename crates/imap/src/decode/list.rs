//! LIST with everything RFC 5258, 5819, 6154, 8440 and the guide put into it, LSUB and XLIST.

use smallvec::SmallVec;

use super::cursor::{Cursor, Parse};
use super::mailbox::status_items;
use super::metadata;
use super::refusal::Fault;
use crate::types::{Command, InlineOption, List, ListKind, ListReturn, ListSelect, ListSelectMode};

/// Most options in one list.
const MAX_OPTIONS: usize = 32;

pub(super) fn decode(kind: ListKind, cursor: &mut Cursor<'_>) -> Parse<Command> {
    let mut list = List {
        kind,
        select: ListSelect::default(),
        reference: String::new(),
        patterns: SmallVec::new(),
        returns: ListReturn::default(),
        extended: false,
    };
    cursor.space()?;
    if kind == ListKind::List && cursor.peek() == Some(b'(') {
        selection(cursor, &mut list)?;
        cursor.space()?;
    }
    list.reference = cursor.mailbox()?;
    cursor.space()?;
    patterns(cursor, &mut list)?;
    if kind == ListKind::List && cursor.eat(b' ') {
        if !cursor.eat_word("RETURN") {
            return Err(Fault::bad("RETURN expected"));
        }
        cursor.space()?;
        returns(cursor, &mut list)?;
    }
    Ok(Command::List(Box::new(list)))
}

fn patterns(cursor: &mut Cursor<'_>, list: &mut List) -> Parse<()> {
    if list.kind != ListKind::List || !cursor.eat(b'(') {
        list.patterns.push(cursor.list_mailbox()?);
        return Ok(());
    }
    list.extended = true;
    loop {
        if list.patterns.len() >= List::MAX_PATTERNS {
            return Err(Fault::coded("LIMIT", "Too many patterns"));
        }
        list.patterns.push(cursor.list_mailbox()?);
        if cursor.eat(b')') {
            return Ok(());
        }
        cursor.space()?;
    }
}

/// The options before the reference: RFC 5258's, and the guide's, which ask for values.
fn selection(cursor: &mut Cursor<'_>, list: &mut List) -> Parse<()> {
    let mut recursive = false;
    options(cursor, |cursor, word| {
        let select = &mut list.select;
        match word {
            _ if word.eq_ignore_ascii_case("SUBSCRIBED") => select.subscribed = true,
            _ if word.eq_ignore_ascii_case("REMOTE") => select.remote = true,
            _ if word.eq_ignore_ascii_case("SPECIAL-USE") => select.special_use = true,
            _ if word.eq_ignore_ascii_case("RECURSIVEMATCH") => recursive = true,
            // In the draft the guide followed, what to return stood here too.
            _ if word.eq_ignore_ascii_case("CHILDREN") => list.returns.children = true,
            _ => return inline(word, &mut list.returns, cursor),
        }
        Ok(())
    })?;
    let based = list.select.subscribed || list.select.special_use;
    if recursive && !based {
        return Err(Fault::bad("RECURSIVEMATCH needs another selection option"));
    }
    if recursive {
        list.select.mode = ListSelectMode::Recursive;
    }
    list.extended = true;
    Ok(())
}

fn returns(cursor: &mut Cursor<'_>, list: &mut List) -> Parse<()> {
    list.extended = true;
    let returns = &mut list.returns;
    options(cursor, |cursor, word| {
        match word {
            _ if word.eq_ignore_ascii_case("SUBSCRIBED") => returns.subscribed = true,
            _ if word.eq_ignore_ascii_case("CHILDREN") => returns.children = true,
            _ if word.eq_ignore_ascii_case("SPECIAL-USE") => returns.special_use = true,
            _ if word.eq_ignore_ascii_case("MYRIGHTS") => returns.my_rights = true,
            _ if word.eq_ignore_ascii_case("STATUS") => {
                cursor.space()?;
                returns.status = Some(status_items(cursor)?);
            }
            _ if word.eq_ignore_ascii_case("METADATA") => {
                cursor.space()?;
                returns.metadata = metadata::entries(cursor)?;
            }
            _ => return inline(word, returns, cursor),
        }
        Ok(())
    })
}

/// One of the guide's own options.
fn inline(word: &str, returns: &mut ListReturn, _cursor: &mut Cursor<'_>) -> Parse<()> {
    let option = InlineOption::ALL.into_iter().find(|o| o.name().eq_ignore_ascii_case(word));
    let option = option.ok_or(Fault::bad("Unknown option of LIST"))?;
    if returns.inline.len() < ListReturn::MAX_INLINE && !returns.inline.contains(&option) {
        returns.inline.push(option);
    }
    Ok(())
}

/// `(word word …)`, possibly empty, each handed to `take`.
fn options<'a>(
    cursor: &mut Cursor<'a>,
    mut take: impl FnMut(&mut Cursor<'a>, &'a str) -> Parse<()>,
) -> Parse<()> {
    cursor.expect(b'(', "List of options expected")?;
    if cursor.eat(b')') {
        return Ok(());
    }
    for _ in 0..MAX_OPTIONS {
        let word = cursor.atom("Option expected")?;
        take(cursor, word)?;
        if cursor.eat(b')') {
            return Ok(());
        }
        cursor.space()?;
    }
    Err(Fault::bad("Too many options"))
}
