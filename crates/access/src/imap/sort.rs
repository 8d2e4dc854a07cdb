//! SORT (RFC 5256, RFC 5957): the found messages put in order. It must never know how an answer
//! looks.

use angarium_accounts::Uid;
use angarium_accounts::mailboxes::{MailError, Row, Shared};
use angarium_imap::types::{SortCriterion, SortKey};

use super::columns::{Columns, Wants, columns};
use super::search::{Found, Mailbox};

/// More messages than this are put in order away from the threads that serve sessions.
const HEAVY: usize = 4096;

/// Runs work on this many messages where it does not keep other sessions waiting.
pub(super) async fn heavy<T: Send + 'static>(
    messages: usize,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, MailError> {
    if messages <= HEAVY {
        return Ok(work());
    }
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| MailError::Unavailable(error.to_string()))
}

fn wants(criteria: &[SortCriterion]) -> Wants {
    let mut wants = Wants::default();
    for criterion in criteria {
        match criterion.key {
            SortKey::Date | SortKey::Subject => wants.subjects = true,
            SortKey::Cc
            | SortKey::From
            | SortKey::To
            | SortKey::DisplayFrom
            | SortKey::DisplayTo => wants.people = true,
            SortKey::Arrival | SortKey::Size | SortKey::Relevancy => {}
        }
    }
    wants
}

/// The found messages (ascending) in the order of the criteria; those that are equal in all of
/// them stay in the order of the mailbox, also with REVERSE (RFC 5256 section 3).
pub(super) async fn sorted(
    mailbox: &Mailbox<'_>,
    found: Vec<Found>,
    criteria: &[SortCriterion],
) -> Result<Vec<Found>, MailError> {
    let uids: Vec<Uid> = found.iter().map(|f| Uid(f.uid)).collect();
    let wants = wants(criteria);
    // What is compared a second time decides nothing; so there are no more keys than kinds.
    let mut deciding: Vec<SortCriterion> = Vec::new();
    for criterion in criteria {
        if deciding.iter().all(|known| known.key != criterion.key) {
            deciding.push(*criterion);
        }
    }
    let criteria = deciding;
    let shared = mailbox.shared.clone();
    if !wants.any() {
        return heavy(found.len(), move || put(&shared, None, &found, &uids, &criteria)).await;
    }
    let Mailbox { reader, registry, open, .. } = *mailbox;
    let mut columns = columns(reader, registry, open, mailbox.shared, &uids, wants).await?;
    let work = move || {
        columns.subject_texts.rank();
        columns.people_texts.rank();
        put(&shared, Some(&*columns), &found, &uids, &criteria)
    };
    // Ranking looks at the whole mailbox.
    heavy(mailbox.shared.table.len(), work).await
}

/// Puts messages in order by keys made of numbers.
fn put(
    shared: &Shared,
    columns: Option<&Columns>,
    found: &[Found],
    uids: &[Uid],
    criteria: &[SortCriterion],
) -> Vec<Found> {
    // What went away meanwhile is left out of the table.
    let here = shared.table.select(uids);
    let mut here = here.iter().copied().peekable();
    let rows: Vec<Option<Row<'_>>> =
        uids.iter().map(|uid| here.next_if(|row| row.uid() == *uid)).collect();
    let arrived = |at: usize| rows.get(at).copied().flatten().map(|r| r.internal_date().seconds);
    let places = columns.map(|c| c.rows(uids.iter().map(|uid| uid.0))).unwrap_or_default();
    let key = |at: usize, criterion: &SortCriterion| -> u64 {
        let place = places.get(at).copied().unwrap_or(usize::MAX);
        let person = |which: usize| {
            let columns = columns?;
            let number = *columns.people.get(which)?.get(place)?;
            Some(u64::from(columns.people_texts.rank_of(number)))
        };
        let key = match criterion.key {
            SortKey::Arrival => ordered(arrived(at).unwrap_or(0)),
            SortKey::Size => rows.get(at).copied().flatten().map_or(0, |row| row.size()),
            SortKey::Date => {
                let sent = columns.and_then(|c| c.sent.get(place).copied().flatten());
                ordered(sent.or_else(|| arrived(at)).unwrap_or(0))
            }
            SortKey::Subject => columns
                .and_then(|c| Some(c.subject_texts.rank_of(*c.subjects.get(place)?)))
                .map_or(0, u64::from),
            SortKey::From => person(0).unwrap_or(0),
            SortKey::To => person(1).unwrap_or(0),
            SortKey::Cc => person(2).unwrap_or(0),
            SortKey::DisplayFrom => person(3).unwrap_or(0),
            SortKey::DisplayTo => person(4).unwrap_or(0),
            // The most relevant come first.
            SortKey::Relevancy => found.get(at).map_or(0, |f| u64::from(u8::MAX - f.relevancy)),
        };
        if criterion.reverse { !key } else { key }
    };
    let count = u32::try_from(found.len()).unwrap_or(u32::MAX);
    let order: Vec<u32> = if let [only] = criteria {
        let mut keyed: Vec<(u64, u32)> =
            (0..count).map(|at| (key(at as usize, only), at)).collect();
        keyed.sort_unstable();
        keyed.into_iter().map(|(_, at)| at).collect()
    } else {
        let width = criteria.len();
        let mut keys: Vec<u64> = Vec::with_capacity(found.len().saturating_mul(width));
        for at in 0..found.len() {
            keys.extend(criteria.iter().map(|criterion| key(at, criterion)));
        }
        let of = |at: u32| {
            let start = at as usize * width;
            keys.get(start..start + width).unwrap_or_default()
        };
        let mut order: Vec<u32> = (0..count).collect();
        order.sort_unstable_by(|a, b| of(*a).cmp(of(*b)).then(a.cmp(b)));
        order
    };
    order.into_iter().filter_map(|at| found.get(at as usize).copied()).collect()
}

/// A signed number as an unsigned one of the same order.
fn ordered(number: i64) -> u64 {
    number.cast_unsigned() ^ (1 << 63)
}
