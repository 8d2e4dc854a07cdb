//! SEARCH: RETURN options, CHARSET and keys, bounded in number and depth (ABU-20, ABU-27).

use super::cursor::{Cursor, Parse, utf8};
use super::refusal::Fault;
use crate::types::{
    Date, DateKind, Flag, PartialRange, Search, SearchKey, SearchReturn, SystemFlag, TextField,
};

/// Longest EMAILID or THREADID, in bytes (RFC 8474 section 5).
const MAX_OBJECT_ID: usize = 255;
/// Longest name of a charset, in bytes.
const MAX_CHARSET: usize = 64;

/// `SEARCH [RETURN (…)] [CHARSET name] keys`
pub(super) fn decode(cursor: &mut Cursor<'_>, uid: bool) -> Parse<Search> {
    let before = cursor.clone();
    cursor.space()?;
    let mut search = Search { uid, returns: None, charset: None, key: SearchKey::All };
    if cursor.eat_word("RETURN") {
        cursor.space()?;
        search.returns = Some(returns(cursor)?);
    } else {
        *cursor = before;
    }
    let before = cursor.clone();
    cursor.space()?;
    if cursor.eat_word("CHARSET") {
        cursor.space()?;
        search.charset = Some(charset(cursor)?);
    } else {
        *cursor = before;
    }
    search.key = keys(cursor, search.charset.as_deref())?;
    if search.returns.as_ref().is_some_and(|r| r.relevancy) && !search.key.has_fuzzy() {
        return Err(Fault::bad("RELEVANCY goes with a FUZZY key"));
    }
    Ok(search)
}

/// `(MIN MAX ALL COUNT SAVE PARTIAL a:b RELEVANCY)`
pub(super) fn returns(cursor: &mut Cursor<'_>) -> Parse<SearchReturn> {
    cursor.expect(b'(', "List of options expected after RETURN")?;
    let mut options = SearchReturn::default();
    if cursor.eat(b')') {
        options.all = true;
        return Ok(options);
    }
    loop {
        match cursor.upper_atom("Option of RETURN expected")?.as_str() {
            "MIN" => options.min = true,
            "MAX" => options.max = true,
            "ALL" => options.all = true,
            "COUNT" => options.count = true,
            "SAVE" => options.save = true,
            "RELEVANCY" => options.relevancy = true,
            "UPDATE" => options.update = true,
            // A hint that the client will ask again (RFC 5267 section 4.2).
            "CONTEXT" => {}
            "PARTIAL" if options.partial.is_some() => {
                return Err(Fault::bad("PARTIAL is asked for twice"));
            }
            "PARTIAL" => {
                cursor.space()?;
                options.partial = Some(partial_range(cursor)?);
            }
            _ => return Err(Fault::bad("Unknown option of RETURN")),
        }
        if cursor.eat(b')') {
            break;
        }
        cursor.space()?;
    }
    if options.partial.is_some() && options.all {
        return Err(Fault::bad("ALL and PARTIAL exclude each other"));
    }
    Ok(options)
}

/// `1:50` or `-1:-50` (RFC 9394 section 3.1).
pub(super) fn partial_range(cursor: &mut Cursor<'_>) -> Parse<PartialRange> {
    let from_end = cursor.eat(b'-');
    let a = cursor.positive()?;
    cursor.expect(b':', "Pages are written 1:50 or -1:-50")?;
    if cursor.eat(b'-') != from_end {
        return Err(Fault::bad("Both ends of a page count from the same side"));
    }
    let b = cursor.positive()?;
    Ok(PartialRange { first: a.min(b), last: a.max(b), from_end })
}

/// A charset's name, in upper case. Whether it is known is for those to say who know charsets.
pub(super) fn charset(cursor: &mut Cursor<'_>) -> Parse<Box<str>> {
    let mut name = utf8(cursor.astring()?)?;
    if name.len() > MAX_CHARSET {
        return Err(Fault::no(
            Some("BADCHARSET (UTF-8 US-ASCII)"),
            "This charset is not offered for searching",
        ));
    }
    name.make_ascii_uppercase();
    Ok(name.into_boxed_str())
}

/// One or more keys, each after a space, to the end; their text is in this charset.
pub(super) fn keys(cursor: &mut Cursor<'_>, charset: Option<&str>) -> Parse<SearchKey> {
    let ours = charset.is_none_or(|c| matches!(c, "US-ASCII" | "ASCII" | "UTF-8" | "UTF8"));
    let mut budget = Budget { keys: 0, depth: 0, foreign: !ours };
    cursor.space()?;
    let first = key(cursor, &mut budget)?;
    if cursor.at_end() {
        return Ok(first);
    }
    let mut all = vec![first];
    while !cursor.at_end() {
        cursor.space()?;
        all.push(key(cursor, &mut budget)?);
    }
    Ok(SearchKey::And(all))
}

/// What one command may still use.
struct Budget {
    keys: usize,
    depth: usize,
    /// Text is in another charset than UTF-8.
    foreign: bool,
}

impl Budget {
    fn enter(&mut self) -> Parse<()> {
        self.keys += 1;
        self.depth += 1;
        if self.depth > SearchKey::MAX_DEPTH {
            return Err(Fault::coded("LIMIT", "Search keys nested too deep"));
        }
        if self.keys > SearchKey::MAX_KEYS {
            return Err(Fault::coded("LIMIT", "Too many search keys"));
        }
        Ok(())
    }
}

fn key(cursor: &mut Cursor<'_>, budget: &mut Budget) -> Parse<SearchKey> {
    budget.enter()?;
    let key = match cursor.peek() {
        Some(b'(') => list(cursor, budget),
        Some(b'0'..=b'9' | b'*' | b'$') => cursor.sequence_set().map(SearchKey::Sequence),
        _ => word(cursor, budget),
    };
    budget.depth -= 1;
    key
}

fn list(cursor: &mut Cursor<'_>, budget: &mut Budget) -> Parse<SearchKey> {
    cursor.advance(1);
    let first = key(cursor, budget)?;
    if cursor.eat(b')') {
        return Ok(first);
    }
    let mut all = vec![first];
    loop {
        cursor.space()?;
        all.push(key(cursor, budget)?);
        if cursor.eat(b')') {
            return Ok(SearchKey::And(all));
        }
    }
}

fn word(cursor: &mut Cursor<'_>, budget: &mut Budget) -> Parse<SearchKey> {
    let name = cursor.atom("Search key expected")?;
    let mut upper = [0; 20];
    let Some(space) = upper.get_mut(..name.len()) else {
        return Err(Fault::bad("Unknown search key"));
    };
    space.copy_from_slice(name.as_bytes());
    space.make_ascii_uppercase();
    let name = std::str::from_utf8(space).unwrap_or_default();
    if let Some(key) = flag_key(name) {
        return Ok(key);
    }
    let key = match name {
        "ALL" => SearchKey::All,
        "NEW" => SearchKey::And(vec![
            SearchKey::Has(Flag::System(SystemFlag::Recent)),
            SearchKey::HasNot(Flag::System(SystemFlag::Seen)),
        ]),
        "SAVEDATESUPPORTED" => SearchKey::SaveDateSupported,
        _ => {
            if !takes_argument(name) {
                return Err(Fault::bad("Unknown search key"));
            }
            cursor.space()?;
            return with_argument(name, cursor, budget);
        }
    };
    Ok(key)
}

/// Keys that ask for one flag.
fn flag_key(name: &str) -> Option<SearchKey> {
    let system = |name: &str| {
        Some(Flag::System(match name {
            "ANSWERED" => SystemFlag::Answered,
            "DELETED" => SystemFlag::Deleted,
            "DRAFT" => SystemFlag::Draft,
            "FLAGGED" => SystemFlag::Flagged,
            "SEEN" => SystemFlag::Seen,
            _ => return None,
        }))
    };
    match name {
        "RECENT" => Some(SearchKey::Has(Flag::System(SystemFlag::Recent))),
        "OLD" => Some(SearchKey::HasNot(Flag::System(SystemFlag::Recent))),
        _ => match name.strip_prefix("UN") {
            Some(rest) => system(rest).map(SearchKey::HasNot),
            None => system(name).map(SearchKey::Has),
        },
    }
}

fn takes_argument(name: &str) -> bool {
    matches!(
        name,
        "BCC"
            | "CC"
            | "FROM"
            | "TO"
            | "SUBJECT"
            | "BODY"
            | "TEXT"
            | "HEADER"
            | "BEFORE"
            | "ON"
            | "SINCE"
            | "SENTBEFORE"
            | "SENTON"
            | "SENTSINCE"
            | "SAVEDBEFORE"
            | "SAVEDON"
            | "SAVEDSINCE"
            | "KEYWORD"
            | "UNKEYWORD"
            | "LARGER"
            | "SMALLER"
            | "OLDER"
            | "YOUNGER"
            | "NOT"
            | "OR"
            | "FUZZY"
            | "UID"
            | "MODSEQ"
            | "EMAILID"
            | "THREADID"
    )
}

fn with_argument(name: &str, cursor: &mut Cursor<'_>, budget: &mut Budget) -> Parse<SearchKey> {
    use DateKind::{Internal, Saved, Sent};
    Ok(match name {
        "BCC" => contains(TextField::Bcc, cursor, budget)?,
        "CC" => contains(TextField::Cc, cursor, budget)?,
        "FROM" => contains(TextField::From, cursor, budget)?,
        "TO" => contains(TextField::To, cursor, budget)?,
        "SUBJECT" => contains(TextField::Subject, cursor, budget)?,
        "BODY" => contains(TextField::Body, cursor, budget)?,
        "TEXT" => contains(TextField::Text, cursor, budget)?,
        "HEADER" => {
            let field = utf8(cursor.astring()?)?.into_boxed_str();
            cursor.space()?;
            contains(TextField::Header(field), cursor, budget)?
        }
        "BEFORE" => SearchKey::Before(Internal, date(cursor)?),
        "ON" => SearchKey::On(Internal, date(cursor)?),
        "SINCE" => SearchKey::Since(Internal, date(cursor)?),
        "SENTBEFORE" => SearchKey::Before(Sent, date(cursor)?),
        "SENTON" => SearchKey::On(Sent, date(cursor)?),
        "SENTSINCE" => SearchKey::Since(Sent, date(cursor)?),
        "SAVEDBEFORE" => SearchKey::Before(Saved, date(cursor)?),
        "SAVEDON" => SearchKey::On(Saved, date(cursor)?),
        "SAVEDSINCE" => SearchKey::Since(Saved, date(cursor)?),
        "KEYWORD" => SearchKey::Has(keyword(cursor)?),
        "UNKEYWORD" => SearchKey::HasNot(keyword(cursor)?),
        "LARGER" => SearchKey::Larger(cursor.number64()?),
        "SMALLER" => SearchKey::Smaller(cursor.number64()?),
        "OLDER" => SearchKey::Older(cursor.positive()?),
        "YOUNGER" => SearchKey::Younger(cursor.positive()?),
        "NOT" => SearchKey::Not(Box::new(key(cursor, budget)?)),
        "FUZZY" => SearchKey::Fuzzy(Box::new(key(cursor, budget)?)),
        "OR" => {
            let first = key(cursor, budget)?;
            cursor.space()?;
            SearchKey::Or(Box::new(first), Box::new(key(cursor, budget)?))
        }
        "UID" => SearchKey::Uid(cursor.sequence_set()?),
        "MODSEQ" => modseq(cursor)?,
        "EMAILID" => SearchKey::EmailId(object_id(cursor)?),
        "THREADID" => SearchKey::ThreadId(object_id(cursor)?),
        _ => return Err(Fault::bad("Unknown search key")),
    })
}

fn contains(field: TextField, cursor: &mut Cursor<'_>, budget: &Budget) -> Parse<SearchKey> {
    let text = cursor.astring()?;
    if budget.foreign {
        return Ok(SearchKey::ContainsOctets(field, text.into_owned().into_boxed_slice()));
    }
    let text = String::from_utf8(text.into_owned());
    let text = text.map_err(|_| Fault::bad("Search text is not in the charset of the command"))?;
    Ok(SearchKey::Contains(field, text))
}

fn date(cursor: &mut Cursor<'_>) -> Parse<Date> {
    let text = cursor.astring()?;
    Date::parse(&text).ok_or(Fault::bad("Date expected, as 1-Feb-1994"))
}

fn keyword(cursor: &mut Cursor<'_>) -> Parse<Flag> {
    match cursor.flag()? {
        flag @ Flag::Keyword(_) => Ok(flag),
        _ => Err(Fault::bad("Keyword expected")),
    }
}

/// `MODSEQ ["/flags/\\Seen" all|priv|shared] n` (RFC 7162 section 3.1.5).
fn modseq(cursor: &mut Cursor<'_>) -> Parse<SearchKey> {
    if cursor.peek() == Some(b'"') {
        let entry = cursor.string()?;
        if !entry.get(..7).is_some_and(|p| p.eq_ignore_ascii_case(b"/flags/")) {
            return Err(Fault::bad("MODSEQ entries begin with /flags/"));
        }
        cursor.space()?;
        if !["all", "priv", "shared"].iter().any(|kind| cursor.eat_word(kind)) {
            return Err(Fault::bad("MODSEQ entry type is all, priv or shared"));
        }
        cursor.space()?;
    }
    Ok(SearchKey::ModSeq(cursor.modseq()?))
}

fn object_id(cursor: &mut Cursor<'_>) -> Parse<Box<str>> {
    let id = cursor.take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'));
    if id.is_empty() || id.len() > MAX_OBJECT_ID {
        return Err(Fault::bad("Object identifier expected"));
    }
    Ok(String::from_utf8_lossy(id).into_owned().into_boxed_str())
}
