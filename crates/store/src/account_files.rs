//! The files that an account keeps beside its mail: paths, directories, contents in pieces, and
//! how much of it there may be. It must never know who may see a file or what is in it.

use std::collections::BTreeSet;

use async_trait::async_trait;

use crate::bodies::MessageBody;
use crate::error::{Result, StoreError};
use crate::ids::{AccountId, BodyId};

/// A file or a directory of an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileRecord {
    /// UTF-8 path with `/` between levels, none in front and none at the end.
    pub path: String,
    /// When it was made or last written, seconds since 1970.
    pub modified: i64,
    /// Octets; 0 for a directory.
    pub size: u64,
    /// The bytes, to be read with [`crate::Bodies`]: [`FileRecord::PIECE`] octets each, but for the
    /// last one. `None` for a directory.
    pub pieces: Option<Vec<BodyId>>,
}

impl FileRecord {
    /// Octets of every piece of a file but its last: what a change in the middle of a large file
    /// has to write anew.
    pub const PIECE: u64 = 1 << 20;
    /// Most octets of one file, whatever the account's settings say.
    pub const MAX_SIZE: u64 = 2 << 30;
    /// Longest path, in bytes.
    pub const MAX_PATH: usize = 1024;
    /// Longest name of one level, in bytes.
    pub const MAX_NAME: usize = 255;
    /// Most levels of a path.
    pub const MAX_DEPTH: usize = 16;
    /// Most files and directories of one account, whatever its settings say.
    pub const MAX_FILES: u64 = 50_000;

    /// What is wrong with a path: it has to be short enough, not too deep, and each level a name
    /// that is not empty, not `.` or `..`, and free of control characters and backslashes.
    #[must_use]
    pub fn fault(path: &str) -> Option<&'static str> {
        if path.len() > Self::MAX_PATH || path.split('/').count() > Self::MAX_DEPTH {
            return Some("the path is too long");
        }
        for level in path.split('/') {
            if level.is_empty() || level.len() > Self::MAX_NAME {
                return Some("each level of a path has a name of 1 to 255 octets");
            }
            if level == "." || level == ".." {
                return Some("a path never leads up");
            }
            if level.chars().any(|c| c.is_control() || c == '\\') {
                return Some("a path has a forbidden character");
            }
        }
        None
    }

    /// The directories above a path, the outermost first.
    pub fn parents(path: &str) -> impl DoubleEndedIterator<Item = &str> {
        path.match_indices('/').filter_map(move |(at, _)| path.get(..at))
    }
}

/// What has to stand where a file is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expected {
    /// A file, or nothing.
    Anything,
    /// Nothing.
    Nothing,
    /// A file of exactly these pieces.
    Pieces(Vec<BodyId>),
}

/// How much an account may keep after an operation that makes it more; what is there already
/// stays, however much it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FileRoom {
    /// Octets of all files.
    pub octets: Option<u64>,
    /// Files and directories.
    pub files: Option<u64>,
}

/// A file to be written, or a directory to be made.
#[derive(Clone, Debug)]
pub struct FileWrite {
    /// Where.
    pub path: String,
    /// What has to stand there.
    pub expected: Expected,
    /// The whole content; `None` makes a directory. A piece that is there already is named with
    /// [`MessageBody::Existing`]: it must be one of the file as it stands.
    pub pieces: Option<Vec<MessageBody>>,
    /// The date, seconds since 1970.
    pub modified: i64,
    /// How much there may be afterwards.
    pub room: FileRoom,
}

/// What an account keeps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FileUsage {
    /// Octets of all files.
    pub octets: u64,
    /// Files.
    pub files: u64,
    /// Directories.
    pub directories: u64,
}

impl FileUsage {
    /// What some files and directories are together.
    #[must_use]
    pub fn of<'a>(all: impl IntoIterator<Item = &'a FileRecord>) -> Self {
        let mut sum = Self::default();
        for one in all {
            sum.octets = sum.octets.saturating_add(one.size);
            match one.pieces {
                Some(_) => sum.files += 1,
                None => sum.directories += 1,
            }
        }
        sum
    }

    /// Refuses what makes use grow from this beyond the room.
    ///
    /// # Errors
    /// `NoRoom`, naming what there is too much of.
    pub fn grow(&self, after: &Self, room: FileRoom) -> Result<()> {
        let (before, then) = (self.files + self.directories, after.files + after.directories);
        let most = room.files.unwrap_or(u64::MAX).min(FileRecord::MAX_FILES);
        if then > before && then > most {
            return Err(StoreError::NoRoom("files"));
        }
        if after.octets > self.octets && room.octets.is_some_and(|most| after.octets > most) {
            return Err(StoreError::NoRoom("octets"));
        }
        Ok(())
    }
}

/// What an edition has to look up to know what a change of files means.
pub trait FileTree {
    /// The file or directory of a path.
    ///
    /// # Errors
    /// As the edition.
    fn at(&self, path: &str) -> Result<Option<FileRecord>>;
    /// Everything below a directory, in the order of the paths; `""` for all.
    ///
    /// # Errors
    /// As the edition.
    fn below(&self, path: &str) -> Result<Vec<FileRecord>>;
    /// What there is.
    ///
    /// # Errors
    /// As the edition.
    fn usage(&self) -> Result<FileUsage>;
}

/// What a change means: rows that go, and directories that come. Rows that move are in both.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FilePlan {
    /// Paths that go.
    pub removed: Vec<String>,
    /// Rows that come or change, but for the file that is written.
    pub put: Vec<FileRecord>,
}

/// The directories above a path that have to be made.
fn missing_parents(tree: &dyn FileTree, path: &str, modified: i64) -> Result<Vec<FileRecord>> {
    let mut made = Vec::new();
    for parent in FileRecord::parents(path) {
        match tree.at(parent)? {
            Some(FileRecord { pieces: None, .. }) => {}
            Some(_) => return invalid("a file is in the way of a directory"),
            None => {
                let path = parent.to_owned();
                made.push(FileRecord { path, modified, size: 0, pieces: None });
            }
        }
    }
    Ok(made)
}

fn invalid<T>(why: &str) -> Result<T> {
    Err(StoreError::Invalid(why.to_owned()))
}

fn check(path: &str) -> Result<()> {
    FileRecord::fault(path).map_or(Ok(()), invalid)
}

/// What writing means, the pieces' sizes given.
///
/// # Errors
/// Those of [`AccountFiles::write`].
pub fn plan_write(tree: &dyn FileTree, write: &FileWrite, sizes: &[u64]) -> Result<FilePlan> {
    check(&write.path)?;
    let there = tree.at(&write.path)?;
    let old = match (&there, &write.pieces) {
        (None, _) => None,
        (Some(FileRecord { pieces: Some(old), .. }), Some(_)) => Some(old),
        (Some(FileRecord { pieces: None, .. }), _) => return Err(StoreError::Exists("directory")),
        (Some(_), None) => return Err(StoreError::Exists("file")),
    };
    match (&write.expected, old) {
        (Expected::Nothing, Some(_)) => return Err(StoreError::Exists("file")),
        (Expected::Pieces(expected), Some(old)) if expected == old => {}
        (Expected::Pieces(_), _) => return Err(StoreError::VersionConflict),
        (Expected::Anything | Expected::Nothing, _) => {}
    }
    let known: BTreeSet<BodyId> = old.into_iter().flatten().copied().collect();
    let kept = write.pieces.iter().flatten().filter_map(|piece| match piece {
        MessageBody::Existing(id) => Some(id),
        _ => None,
    });
    if kept.clone().any(|id| !known.contains(id)) {
        return invalid("a file keeps pieces of its own only");
    }
    let size = check_sizes(sizes)?;
    let put = missing_parents(tree, &write.path, write.modified)?;
    let before = tree.usage()?;
    let mut after = before;
    after.directories += put.len() as u64 + u64::from(write.pieces.is_none());
    if write.pieces.is_some() {
        after.files += u64::from(there.is_none());
        let replaced = there.as_ref().map_or(0, |file| file.size);
        after.octets = after.octets.saturating_sub(replaced).saturating_add(size);
    }
    before.grow(&after, write.room)?;
    let removed = there.map(|file| file.path).into_iter().collect();
    Ok(FilePlan { removed, put })
}

/// All pieces but the last are full, none is empty; answers the size of the file.
fn check_sizes(sizes: &[u64]) -> Result<u64> {
    let full = sizes.split_last().map_or(&[][..], |(_, full)| full);
    let last = sizes.last().copied().unwrap_or(FileRecord::PIECE);
    if full.iter().any(|size| *size != FileRecord::PIECE)
        || !(1..=FileRecord::PIECE).contains(&last)
    {
        return invalid("a file is made of full pieces and a last one");
    }
    let size = sizes.iter().sum();
    if size > FileRecord::MAX_SIZE { Err(StoreError::NoRoom("octets")) } else { Ok(size) }
}

/// What another name means for a file, or for a directory with everything below it.
///
/// # Errors
/// Those of [`AccountFiles::rename`].
pub fn plan_rename(
    tree: &dyn FileTree,
    from: &str,
    to: &str,
    now: i64,
    room: FileRoom,
) -> Result<FilePlan> {
    check(from)?;
    check(to)?;
    let there = tree.at(from)?.ok_or(StoreError::NotFound("file"))?;
    if tree.at(to)?.is_some() {
        return Err(StoreError::Exists("file"));
    }
    if to.strip_prefix(from).is_some_and(|rest| rest.starts_with('/')) {
        return invalid("a directory does not go below itself");
    }
    let mut moving = vec![there];
    if moving.iter().any(|one| one.pieces.is_none()) {
        moving.append(&mut tree.below(from)?);
    }
    let mut plan = FilePlan { put: missing_parents(tree, to, now)?, ..FilePlan::default() };
    let before = tree.usage()?;
    let mut after = before;
    after.directories += plan.put.len() as u64;
    before.grow(&after, room)?;
    for one in moving {
        let path = format!("{to}{}", one.path.strip_prefix(from).unwrap_or_default());
        check(&path)?;
        plan.removed.push(one.path.clone());
        plan.put.push(FileRecord { path, ..one });
    }
    Ok(plan)
}

/// What the removal of a file or an empty directory means.
///
/// # Errors
/// Those of [`AccountFiles::remove`].
pub fn plan_removal(tree: &dyn FileTree, path: &str) -> Result<FilePlan> {
    check(path)?;
    let there = tree.at(path)?.ok_or(StoreError::NotFound("file"))?;
    if there.pieces.is_none() && !tree.below(path)?.is_empty() {
        return invalid("the directory is not empty");
    }
    Ok(FilePlan { removed: vec![there.path], put: Vec::new() })
}

/// Operations on the files of an account. Each is whole or not at all and durable when it answers.
/// Files go with their account, and stay with it when it is renamed.
///
/// Unknown accounts answer `NotFound("account")`, unknown files and directories `NotFound("file")`,
/// paths with a [`FileRecord::fault`] `Invalid`.
#[async_trait]
pub trait AccountFiles: Send + Sync {
    /// The file or directory of a path, if there is one.
    async fn file(&self, account: AccountId, path: &str) -> Result<Option<FileRecord>>;
    /// What is in a directory (`""` for the outermost), not what is below its directories, in the
    /// order of the paths.
    async fn list_files(&self, account: AccountId, directory: &str) -> Result<Vec<FileRecord>>;
    /// What is below a directory (`""` for all there is), counted.
    async fn file_usage(&self, account: AccountId, directory: &str) -> Result<FileUsage>;
    /// Writes a file, or makes a directory; missing directories above are made. `Exists("file")` or
    /// `Exists("directory")` for what is in the way, `VersionConflict` if other pieces stand there
    /// than expected, `NoRoom` for more than there may be, `Invalid` for a file above and for
    /// pieces that are not full. Answers what stands there then.
    async fn write_file(&self, account: AccountId, write: FileWrite) -> Result<FileRecord>;
    /// Gives a file, or a directory with everything below it, another path; missing directories
    /// above are made within the room. `Exists("file")` if the path is taken, `Invalid` below itself.
    async fn rename_file(
        &self,
        account: AccountId,
        from: &str,
        to: &str,
        now: i64,
        room: FileRoom,
    ) -> Result<()>;
    /// Removes a file or an empty directory; `Invalid` for a directory with something in it.
    async fn remove_file(&self, account: AccountId, path: &str) -> Result<()>;
}
