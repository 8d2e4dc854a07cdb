//! XKEEPIDS, our own extension: the command, and what APPEND takes along as an `append-ext` of
//! RFC 4466.
//!
//! ```text
//! command-auth =/ "XKEEPIDS" SP mailbox SP "(" [keep *(SP keep)] ")"
//! keep         = "UIDVALIDITY" SP nz-number / "UIDNEXT" SP nz-number /
//!                "HIGHESTMODSEQ" SP mod-sequence-valzer / "RESERVE" SP nz-number /
//!                "POPID" SP "(" nz-number SP astring *(SP nz-number SP astring) ")"
//! append-ext   =/ "XKEEPIDS" SP "(" [along *(SP along)] ")"
//! along        = "UID" SP nz-number / "AFTER" SP number / "POPID" SP astring
//! ```

use super::cursor::{Cursor, Parse};
use super::mailbox::argument;
use super::refusal::Fault;
use crate::types::{AppendNumbers, Command, KEEP_IDS, KeepNumbers};

/// The command behind its name.
pub(super) fn decode(cursor: &mut Cursor<'_>) -> Parse<Command> {
    let mut keep = KeepNumbers { mailbox: argument(cursor)?, ..KeepNumbers::default() };
    cursor.space()?;
    cursor.expect(b'(', "List of numbers to keep expected")?;
    if !cursor.eat(b')') {
        loop {
            item(cursor, &mut keep)?;
            if cursor.eat(b')') {
                break;
            }
            cursor.space()?;
        }
    }
    Ok(Command::KeepNumbers(Box::new(keep)))
}

fn item(cursor: &mut Cursor<'_>, keep: &mut KeepNumbers) -> Parse<()> {
    let name = cursor.upper_atom("UIDVALIDITY, UIDNEXT and the like expected")?;
    cursor.space()?;
    let twice = match name.as_str() {
        "UIDVALIDITY" => keep.uid_validity.replace(cursor.positive()?).is_some(),
        "UIDNEXT" => keep.uid_next.replace(cursor.positive()?).is_some(),
        "HIGHESTMODSEQ" => keep.highest_modseq.replace(cursor.modseq()?).is_some(),
        "RESERVE" => keep.reserve.replace(cursor.positive()?).is_some(),
        "POPID" => {
            let known = !keep.pop_ids.is_empty();
            pop_ids(cursor, &mut keep.pop_ids)?;
            known
        }
        _ => return Err(Fault::bad("Unknown number to keep")),
    };
    if twice { Err(Fault::bad("A number to keep is given twice")) } else { Ok(()) }
}

fn pop_ids(cursor: &mut Cursor<'_>, ids: &mut Vec<(u32, String)>) -> Parse<()> {
    cursor.expect(b'(', "List of UIDs and ids expected")?;
    loop {
        if ids.len() >= KeepNumbers::MAX_POP_IDS {
            return Err(Fault::coded("LIMIT", "Too many ids"));
        }
        let uid = cursor.positive()?;
        cursor.space()?;
        ids.push((uid, pop_id(cursor)?));
        if cursor.eat(b')') {
            return Ok(());
        }
        cursor.space()?;
    }
}

/// RFC 1939 section 7: 1 to 70 printable characters.
fn pop_id(cursor: &mut Cursor<'_>) -> Parse<String> {
    let id = cursor.text()?;
    let fits = (1..=KeepNumbers::MAX_POP_ID).contains(&id.len());
    if fits && id.bytes().all(|b| b.is_ascii_graphic()) {
        return Ok(id);
    }
    Err(Fault::bad("A unique id of POP has 1 to 70 printable characters"))
}

/// `XKEEPIDS (…) ` before a message of APPEND, if it is there.
pub(super) fn append(cursor: &mut Cursor<'_>) -> Parse<Option<Box<AppendNumbers>>> {
    if !cursor.eat_word(KEEP_IDS) {
        return Ok(None);
    }
    cursor.space()?;
    cursor.expect(b'(', "List of numbers to keep expected")?;
    let mut numbers = AppendNumbers::default();
    if !cursor.eat(b')') {
        loop {
            let name = cursor.upper_atom("UID, AFTER or POPID expected")?;
            cursor.space()?;
            let twice = match name.as_str() {
                "UID" => numbers.uid.replace(cursor.positive()?).is_some(),
                "AFTER" => numbers.after.replace(cursor.number()?).is_some(),
                "POPID" => numbers.pop_id.replace(pop_id(cursor)?).is_some(),
                _ => return Err(Fault::bad("UID, AFTER or POPID expected")),
            };
            if twice {
                return Err(Fault::bad("A number to keep is given twice"));
            }
            if cursor.eat(b')') {
                break;
            }
            cursor.space()?;
        }
    }
    cursor.space()?;
    Ok(Some(Box::new(numbers)))
}

#[cfg(test)]
mod tests {
    use crate::decode::{Options, command};
    use crate::types::{Command, KeepNumbers};

    fn read(line: &str) -> Result<Command, String> {
        let read = command(format!("a {line}").as_bytes(), Options::default());
        read.map(|request| request.command).map_err(|refusal| refusal.text.into_owned())
    }

    #[test]
    fn numbers_to_keep_are_read_in_any_order() {
        let line = "xkeepids INBOX (HIGHESTMODSEQ 9223372036854775807 POPID (3 \"a\\\"b\" 4 c) \
                    uidnext 7 UIDVALIDITY 4294967295 RESERVE 10)";
        let expected = KeepNumbers {
            mailbox: "INBOX".into(),
            uid_validity: Some(u32::MAX),
            uid_next: Some(7),
            highest_modseq: Some(u64::MAX >> 1),
            reserve: Some(10),
            pop_ids: vec![(3, "a\"b".into()), (4, "c".into())],
        };
        assert_eq!(read(line), Ok(Command::KeepNumbers(Box::new(expected))));
        let asked = KeepNumbers { mailbox: "a b".into(), ..KeepNumbers::default() };
        assert_eq!(read("XKEEPIDS \"a b\" ()"), Ok(Command::KeepNumbers(Box::new(asked))));
    }

    #[test]
    fn numbers_nobody_can_keep_are_refused() {
        let long = "x".repeat(71);
        for line in [
            "INBOX",
            "INBOX (",
            "INBOX (UIDNEXT)",
            "INBOX (UIDNEXT 0)",
            "INBOX (UIDNEXT 1 UIDNEXT 2)",
            "INBOX (UIDVALIDITY 4294967296)",
            "INBOX (HIGHESTMODSEQ 9223372036854775808)",
            "INBOX (POPID ())",
            "INBOX (POPID (1 \"\"))",
            "INBOX (POPID (1 \"a b\"))",
            &format!("INBOX (POPID (1 {long}))"),
            "INBOX (POPID (1 a) POPID (2 b))",
            "INBOX (UIDS 1)",
            "INBOX () x",
        ] {
            assert!(read(&format!("XKEEPIDS {line}")).is_err(), "{line}");
        }
    }
}
