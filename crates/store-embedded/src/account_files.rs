//! The contract's files of accounts: they live in their account's shard, beside its mail.

use std::sync::Arc;

use angarium_store::account_files::FileTree;
use angarium_store::{AccountFiles, AccountId, FileRecord, FileRoom, FileUsage, FileWrite, Result};
use async_trait::async_trait;
use bytes::Bytes;
use rusqlite::Connection;

use crate::bodies::{Source, prepare};
use crate::decide::files as decisions;
use crate::embedded::Inner;
use crate::index::file_rows::FileRows;
use crate::mailboxes::check_account;

/// Handle of the family.
pub(crate) struct EmbeddedFiles(pub(crate) Arc<Inner>);

impl EmbeddedFiles {
    async fn look<T: Send + 'static>(
        &self,
        account: AccountId,
        path: &str,
        work: impl FnOnce(&FileRows<'_>, &str) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let path = path.to_owned();
        let read = move |db: &Connection| {
            check_account(db, account)?;
            work(&FileRows { db, account }, &path)
        };
        self.0.shard_of(account)?.readers.read(read).await
    }
}

#[async_trait]
impl AccountFiles for EmbeddedFiles {
    async fn file(&self, account: AccountId, path: &str) -> Result<Option<FileRecord>> {
        self.look(account, path, |rows, path| rows.at(path)).await
    }

    async fn list_files(&self, account: AccountId, directory: &str) -> Result<Vec<FileRecord>> {
        self.look(account, directory, |rows, directory| rows.list(directory)).await
    }

    async fn file_usage(&self, account: AccountId, directory: &str) -> Result<FileUsage> {
        self.look(account, directory, |rows, directory| rows.counted(directory)).await
    }

    async fn write_file(&self, account: AccountId, write: FileWrite) -> Result<FileRecord> {
        let pieces = write.pieces.iter().flatten().cloned();
        let sources: Vec<Source> =
            pieces.map(|piece| prepare(piece, Bytes::new())).collect::<Result<_>>()?;
        let shard = self.0.shard_of(account)?;
        shard.submit(move |batch| decisions::write(batch, account, &write, sources)).await
    }

    async fn rename_file(
        &self,
        account: AccountId,
        from: &str,
        to: &str,
        now: i64,
        room: FileRoom,
    ) -> Result<()> {
        let (from, to) = (from.to_owned(), to.to_owned());
        let shard = self.0.shard_of(account)?;
        shard.submit(move |batch| decisions::rename(batch, account, &from, &to, now, room)).await
    }

    async fn remove_file(&self, account: AccountId, path: &str) -> Result<()> {
        let path = path.to_owned();
        let shard = self.0.shard_of(account)?;
        shard.submit(move |batch| decisions::remove(batch, account, &path)).await
    }
}
