//! Decisions: what an operation of the contract means for the shard as it stands, said as records.
//! Run by the writer on the index inside its transaction; nothing is changed but by
//! [`crate::writer::Batch::write`], after everything has been checked.

pub(crate) mod directory;
pub(crate) mod files;
pub(crate) mod mailboxes;
pub(crate) mod messages;
pub(crate) mod queue;

use angarium_store::{AccountId, BodyId, MailboxId, MailboxRecord, Result, StoreError};

use crate::bodies::Source;
use crate::index::references::{body_id, home};
use crate::record::{BodyRef, NewBody};
use crate::writer::{Batch, Part};

pub(crate) fn invalid<T>(why: &str) -> Result<T> {
    Err(StoreError::Invalid(why.to_owned()))
}

/// Refuses an account that has no mail here.
pub(crate) fn check_account(batch: &Batch<'_>, account: AccountId) -> Result<()> {
    let found = batch.tx.one("SELECT 1 FROM mail_accounts WHERE id=?1", [account.0], |_| Ok(()))?;
    found.ok_or(StoreError::NotFound("account"))
}

/// The mailbox of an account.
pub(crate) fn mailbox<'b>(
    batch: &'b mut Batch<'_>,
    account: AccountId,
    id: MailboxId,
) -> Result<&'b MailboxRecord> {
    let known = batch.tx.hot_mailbox(id)?.is_some_and(|hot| hot.account == account);
    if !known {
        check_account(batch, account)?;
        return Err(StoreError::NotFound("mailbox"));
    }
    match batch.tx.hot_mailbox(id)? {
        Some(hot) => Ok(&hot.record),
        None => Err(StoreError::NotFound("mailbox")),
    }
}

/// The bodies of one operation as they are taken in: ids given out, parts collected.
pub(crate) struct Intake {
    next: u64,
    pub(crate) parts: Vec<Part>,
}

impl Intake {
    pub(crate) fn new(batch: &Batch<'_>) -> Self {
        Self { next: batch.tx.hot.counters.next_body, parts: Vec::new() }
    }

    /// What a row will refer to. Refuses a body that is not there.
    pub(crate) fn take(&mut self, batch: &Batch<'_>, source: Source) -> Result<BodyRef> {
        match source {
            Source::New { part, size, digest, summary } => {
                let id = body_id(batch.shard(), self.next);
                self.next += 1;
                let number = self.parts.len() as u32;
                self.parts.push(part);
                Ok(BodyRef::New(NewBody { id, part: number, size, digest, summary }))
            }
            Source::Known { id, foreign: Some((size, digest)) } => {
                Ok(BodyRef::Known { id, size, digest })
            }
            Source::Known { id, foreign: None } => {
                let stored = if home(id) == batch.shard() {
                    batch.tx.stored_body(id)?
                } else {
                    // A foreign body is held in its home before it comes here.
                    None
                };
                let stored = stored.ok_or(StoreError::NotFound("body"))?;
                Ok(BodyRef::Known { id, size: stored.size, digest: stored.digest })
            }
        }
    }
}

/// Takes a hold of another shard on a body of this one; answers its size and digest.
pub(crate) fn hold(
    batch: &mut Batch<'_>,
    body: BodyId,
    holder: u32,
) -> Result<(u64, angarium_store::Digest)> {
    let stored = batch.tx.stored_body(body)?.ok_or(StoreError::NotFound("body"))?;
    if !batch.tx.is_held(body, holder)? {
        batch.write(&[crate::record::Record::Held { body, holder }], Vec::new())?;
    }
    Ok((stored.size, stored.digest))
}
