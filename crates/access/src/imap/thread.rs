//! THREAD (RFC 5256): the found messages made into threads. It must never know how the threads
//! are found, nor how the answer looks.

use angarium_accounts::Uid;
use angarium_accounts::mailboxes::MailError;
use angarium_imap::types::ThreadAlgorithm;
use angarium_message::thread::{Member, NONE, Placed, ordered_subject, references, refs};

use super::columns::{Wants, columns};
use super::search::{Found, Mailbox};
use super::sort::heavy;

/// The found messages (ascending) as threads.
pub(super) async fn threaded(
    mailbox: &Mailbox<'_>,
    found: Vec<Found>,
    algorithm: ThreadAlgorithm,
    uid: bool,
) -> Result<Vec<Placed>, MailError> {
    let uids: Vec<Uid> = found.iter().map(|f| Uid(f.uid)).collect();
    let links = algorithm != ThreadAlgorithm::OrderedSubject;
    let wants = Wants { subjects: true, links, people: false };
    let Mailbox { reader, registry, open, .. } = *mailbox;
    let columns = columns(reader, registry, open, mailbox.shared, &uids, wants).await?;
    let shared = mailbox.shared.clone();
    let work = move || {
        let rows = columns.rows(uids.iter().map(|uid| uid.0));
        let table = shared.table.select(&uids);
        let mut table = table.iter().peekable();
        let members: Vec<Member> = found
            .iter()
            .zip(&rows)
            .map(|(found, &row)| {
                // What went away meanwhile is left out of the table.
                let here = table.next_if(|here| here.uid().0 == found.uid);
                let arrived = here.map_or(0, |row| row.internal_date().seconds);
                Member {
                    number: found.number(uid),
                    sent: columns.sent.get(row).copied().flatten().unwrap_or(arrived),
                    arrived,
                    id: columns.ids.get(row).copied().unwrap_or(NONE),
                    subject: columns.subjects.get(row).copied().unwrap_or(0),
                    is_reply: columns.replies.get(row).copied().unwrap_or(false),
                }
            })
            .collect();
        let referred =
            |at: usize| rows.get(at).map(|row| columns.references(*row)).unwrap_or_default();
        let identifiers = columns.identifiers();
        match algorithm {
            ThreadAlgorithm::OrderedSubject => ordered_subject(&members),
            ThreadAlgorithm::References => references(&members, identifiers, referred),
            ThreadAlgorithm::Refs => refs(&members, identifiers, referred),
        }
    };
    heavy(mailbox.shared.table.len(), work).await
}
