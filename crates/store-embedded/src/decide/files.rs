//! Decisions on the files of accounts: what a write, another name or a removal means as rows.

use angarium_store::account_files::{FilePlan, plan_removal, plan_rename, plan_write};
use angarium_store::{AccountId, BodyId, FileRecord, FileRoom, FileWrite, Result, StoreError};

use super::{Intake, check_account};
use crate::bodies::Source;
use crate::index::file_rows::FileRows;
use crate::record::files::{FilePiece, FileRow};
use crate::record::{BodyRef, Record};
use crate::writer::Batch;

fn rows<'b>(batch: &'b Batch<'_>, account: AccountId) -> Result<FileRows<'b>> {
    check_account(batch, account)?;
    Ok(FileRows { db: batch.tx.db, account })
}

/// A row whose pieces are all there already.
fn kept(file: FileRecord) -> FileRow {
    let keep = |pieces: Vec<BodyId>| pieces.into_iter().map(FilePiece::Kept).collect();
    let FileRecord { path, modified, size, pieces } = file;
    FileRow { path, modified, size, pieces: pieces.map(keep) }
}

fn change(batch: &mut Batch<'_>, account: AccountId, plan: FilePlan) -> Result<()> {
    let put = plan.put.into_iter().map(kept).collect();
    batch.write(&[Record::Files { account, removed: plan.removed, put }], Vec::new())
}

/// The pieces of `write`, in the same order, are `sources`.
pub(crate) fn write(
    batch: &mut Batch<'_>,
    account: AccountId,
    write: &FileWrite,
    sources: Vec<Source>,
) -> Result<FileRecord> {
    let mut sizes = Vec::with_capacity(sources.len());
    for source in &sources {
        sizes.push(match source {
            Source::New { size, .. } => *size,
            Source::Known { id, .. } => {
                batch.tx.stored_body(*id)?.ok_or(StoreError::NotFound("body"))?.size
            }
        });
    }
    let plan = plan_write(&rows(batch, account)?, write, &sizes)?;
    let mut intake = Intake::new(batch);
    let mut pieces = Vec::with_capacity(sources.len());
    for source in sources {
        pieces.push(match intake.take(batch, source)? {
            BodyRef::New(new) => FilePiece::New(new),
            BodyRef::Known { id, .. } => FilePiece::Kept(id),
        });
    }
    let file = FileRecord {
        path: write.path.clone(),
        modified: write.modified,
        size: sizes.iter().sum(),
        pieces: write.pieces.as_ref().map(|_| pieces.iter().map(FilePiece::id).collect()),
    };
    let row = FileRow {
        path: file.path.clone(),
        modified: file.modified,
        size: file.size,
        pieces: write.pieces.as_ref().map(|_| pieces),
    };
    let put = plan.put.into_iter().map(kept).chain([row]).collect();
    let record = Record::Files { account, removed: plan.removed, put };
    batch.write(&[record], intake.parts)?;
    Ok(file)
}

pub(crate) fn rename(
    batch: &mut Batch<'_>,
    account: AccountId,
    from: &str,
    to: &str,
    now: i64,
    room: FileRoom,
) -> Result<()> {
    let plan = plan_rename(&rows(batch, account)?, from, to, now, room)?;
    change(batch, account, plan)
}

pub(crate) fn remove(batch: &mut Batch<'_>, account: AccountId, path: &str) -> Result<()> {
    let plan = plan_removal(&rows(batch, account)?, path)?;
    change(batch, account, plan)
}
