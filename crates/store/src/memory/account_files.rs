//! Files of accounts in memory: a map of paths for each account.

use std::collections::BTreeMap;

use async_trait::async_trait;
use bytes::Bytes;

use super::{Memory, State};
use crate::account_files::{
    AccountFiles, FilePlan, FileRecord, FileRoom, FileTree, FileUsage, FileWrite, plan_removal,
    plan_rename, plan_write,
};
use crate::error::{Result, StoreError};
use crate::ids::{AccountId, BodyId};
use crate::memory::bodies::Source;

type Files = BTreeMap<String, FileRecord>;

impl FileTree for Files {
    fn at(&self, path: &str) -> Result<Option<FileRecord>> {
        Ok(self.get(path).cloned())
    }

    fn below(&self, path: &str) -> Result<Vec<FileRecord>> {
        let start = if path.is_empty() { String::new() } else { format!("{path}/") };
        let all = self.range(start.clone()..).take_while(|(path, _)| path.starts_with(&start));
        Ok(all.map(|(_, file)| file.clone()).collect())
    }

    fn usage(&self) -> Result<FileUsage> {
        Ok(FileUsage::of(self.values()))
    }
}

impl State {
    fn files_of(&self, account: AccountId) -> Result<Files> {
        self.mail(account)?;
        Ok(self.files.get(&account).cloned().unwrap_or_default())
    }

    /// The directory, `""` always being there.
    fn check_directory(files: &Files, directory: &str) -> Result<()> {
        match files.get(directory) {
            Some(FileRecord { pieces: None, .. }) => Ok(()),
            None if directory.is_empty() => Ok(()),
            _ => Err(StoreError::NotFound("file")),
        }
    }

    /// Changes rows; bodies of the rows that go are the caller's matter.
    fn change_files(&mut self, account: AccountId, plan: FilePlan) {
        let files = self.files.entry(account).or_default();
        for path in &plan.removed {
            files.remove(path);
        }
        for file in plan.put {
            files.insert(file.path.clone(), file);
        }
    }
}

#[async_trait]
impl AccountFiles for Memory {
    async fn file(&self, account: AccountId, path: &str) -> Result<Option<FileRecord>> {
        self.read(|state| Ok(state.files_of(account)?.remove(path)))
    }

    async fn list_files(&self, account: AccountId, directory: &str) -> Result<Vec<FileRecord>> {
        self.read(|state| {
            let files = state.files_of(account)?;
            State::check_directory(&files, directory)?;
            let start = if directory.is_empty() { 0 } else { directory.len() + 1 };
            let mut below = files.below(directory)?;
            below.retain(|file| file.path.get(start..).is_some_and(|rest| !rest.contains('/')));
            Ok(below)
        })
    }

    async fn file_usage(&self, account: AccountId, directory: &str) -> Result<FileUsage> {
        self.read(|state| {
            let files = state.files_of(account)?;
            State::check_directory(&files, directory)?;
            Ok(FileUsage::of(&files.below(directory)?))
        })
    }

    async fn write_file(&self, account: AccountId, write: FileWrite) -> Result<FileRecord> {
        self.change(|state, _| {
            let files = state.files_of(account)?;
            let mut sources = Vec::new();
            let mut sizes = Vec::new();
            for piece in write.pieces.iter().flatten() {
                let source = state.bodies.check(piece.clone(), Bytes::new())?;
                sizes.push(match &source {
                    Source::New { bytes, .. } => bytes.len() as u64,
                    Source::Existing(id) => state.bodies.facts(*id)?.0,
                });
                sources.push(source);
            }
            let mut plan = plan_write(&files, &write, &sizes)?;
            let mut pieces: Vec<BodyId> = Vec::new();
            for source in sources {
                pieces.push(state.bodies.hold(source)?.id);
            }
            let old = plan.removed.iter().filter_map(|path| files.get(path)?.pieces.clone());
            for piece in old.flatten() {
                state.bodies.release(piece);
            }
            let file = FileRecord {
                path: write.path,
                modified: write.modified,
                size: sizes.iter().sum(),
                pieces: write.pieces.is_some().then_some(pieces),
            };
            plan.put.push(file.clone());
            state.change_files(account, plan);
            Ok(file)
        })
    }

    async fn rename_file(
        &self,
        account: AccountId,
        from: &str,
        to: &str,
        now: i64,
        room: FileRoom,
    ) -> Result<()> {
        self.change(|state, _| {
            let plan = plan_rename(&state.files_of(account)?, from, to, now, room)?;
            state.change_files(account, plan);
            Ok(())
        })
    }

    async fn remove_file(&self, account: AccountId, path: &str) -> Result<()> {
        self.change(|state, _| {
            let mut files = state.files_of(account)?;
            let plan = plan_removal(&files, path)?;
            for piece in files.remove(path).and_then(|file| file.pieces).into_iter().flatten() {
                state.bodies.release(piece);
            }
            state.change_files(account, plan);
            Ok(())
        })
    }
}
