//! SORT and THREAD (RFC 5256, RFC 5267).

use super::cursor::{Cursor, Parse};
use super::refusal::Fault;
use super::search;
use crate::types::{SortCriterion, SortKey, SortThread, ThreadAlgorithm};

/// `SORT [RETURN (…)] (criteria) charset keys`
pub(super) fn sort(cursor: &mut Cursor<'_>, uid: bool) -> Parse<SortThread> {
    cursor.space()?;
    let mut returns = None;
    if cursor.eat_word("RETURN") {
        cursor.space()?;
        returns = Some(search::returns(cursor)?);
        cursor.space()?;
    }
    cursor.expect(b'(', "List of sort criteria expected")?;
    let mut criteria: smallvec::SmallVec<[SortCriterion; 4]> = smallvec::SmallVec::new();
    loop {
        if criteria.len() >= SortCriterion::MAX_LIST {
            return Err(Fault::bad("Too many sort criteria"));
        }
        let reverse = cursor.eat_word("REVERSE");
        if reverse {
            cursor.space()?;
        }
        criteria.push(SortCriterion { key: key(cursor)?, reverse });
        if cursor.eat(b')') {
            break;
        }
        cursor.space()?;
    }
    cursor.space()?;
    let charset = search::charset(cursor)?;
    let key = search::keys(cursor, Some(&charset))?;
    let scored = |criterion: &SortCriterion| criterion.key == SortKey::Relevancy;
    let asked = criteria.iter().any(scored) || returns.as_ref().is_some_and(|r| r.relevancy);
    if asked && !key.has_fuzzy() {
        return Err(Fault::bad("RELEVANCY goes with a FUZZY key"));
    }
    Ok(SortThread { uid, thread: None, criteria, returns, charset, key })
}

/// `THREAD algorithm charset keys`
pub(super) fn thread(cursor: &mut Cursor<'_>, uid: bool) -> Parse<SortThread> {
    cursor.space()?;
    let algorithm = match cursor.upper_atom("Threading algorithm expected")?.as_str() {
        "ORDEREDSUBJECT" => ThreadAlgorithm::OrderedSubject,
        "REFERENCES" => ThreadAlgorithm::References,
        "REFS" => ThreadAlgorithm::Refs,
        _ => return Err(Fault::bad("Unknown threading algorithm")),
    };
    cursor.space()?;
    let charset = search::charset(cursor)?;
    let key = search::keys(cursor, Some(&charset))?;
    let criteria = smallvec::SmallVec::new();
    Ok(SortThread { uid, thread: Some(algorithm), criteria, returns: None, charset, key })
}

fn key(cursor: &mut Cursor<'_>) -> Parse<SortKey> {
    Ok(match cursor.upper_atom("Sort criterion expected")?.as_str() {
        "ARRIVAL" => SortKey::Arrival,
        "CC" => SortKey::Cc,
        "DATE" => SortKey::Date,
        "FROM" => SortKey::From,
        "SIZE" => SortKey::Size,
        "SUBJECT" => SortKey::Subject,
        "TO" => SortKey::To,
        "DISPLAYFROM" => SortKey::DisplayFrom,
        "DISPLAYTO" => SortKey::DisplayTo,
        "RELEVANCY" => SortKey::Relevancy,
        _ => return Err(Fault::bad("Unknown sort criterion")),
    })
}
