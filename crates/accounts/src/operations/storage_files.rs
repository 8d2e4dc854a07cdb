//! Operations on the file storage of an account: reading, writing in place, directories, names, and
//! the limits of its settings. Must never know how a file is shown to whom over which protocol.

use std::sync::Arc;

use angarium_objects::rights::CAN_ACCESS_WEB_SITES;
use angarium_store::{
    AccountRecord, BodyId, Expected, FileRecord, FileRoom, FileUsage, FileWrite, MessageBody,
    StoreError,
};
use bytes::{Bytes, BytesMut};

use super::OperationError;
use super::authority::{Authority, allowed};
use crate::mailboxes::size_limit;
use crate::{Accounts, Actor, Rights};

/// Tries when others write the same file at the same moment.
const TRIES: usize = 8;

/// Most octets of a file that are read at once.
pub const MAX_FILE_READ: u64 = 16 << 20;

/// Where data goes in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteAt {
    /// It is the whole file; what was there goes.
    Whole,
    /// The file must not be there yet.
    New,
    /// From this octet on, which is not past the end; what is before and behind stays.
    Offset(u64),
    /// Behind what is there.
    End,
}

/// Whose files, and who looks at them.
#[derive(Clone, Copy, Debug)]
pub struct FilesOf<'a> {
    /// The account that has them, `*` for one's own.
    pub account: &'a str,
    /// With this account's rights in place of the actor's (`AUTH`).
    pub eyes: Option<&'a str>,
}

/// The limits of an account's file storage.
struct Limits {
    room: FileRoom,
    file: Option<u64>,
}

impl Limits {
    /// Which limit is in the way, for people.
    fn reached(&self, what: &str) -> OperationError {
        OperationError::LimitExceeded(match (what, self.room) {
            ("files", FileRoom { files: Some(most), .. }) if most < FileRecord::MAX_FILES => {
                format!("the file storage holds at most {most} files and folders (MaxWebFiles)")
            }
            ("files", _) => {
                format!("a file storage holds at most {} files and folders", FileRecord::MAX_FILES)
            }
            (_, FileRoom { octets: Some(most), .. }) => {
                format!("the file storage holds at most {most} bytes (MaxWebSize)")
            }
            _ => format!("a file has at most {} bytes", FileRecord::MAX_SIZE),
        })
    }
}

impl Accounts {
    /// The account whose files are meant, if the actor may get at them: the owner, or who has the
    /// right `CanAccessWebSites` in its domain.
    async fn file_owner(
        &self,
        actor: &Actor,
        of: FilesOf<'_>,
    ) -> Result<Arc<AccountRecord>, OperationError> {
        let authority = self.authority(actor).await?;
        let owner = self.named_account(&authority, of.account).await?;
        self.may_see_files(&authority, &owner).await?;
        if let Some(name) = of.eyes {
            let eyes = self.named_account(&authority, name).await?;
            let eyes = Actor::account(eyes.id, &eyes.name, &eyes.domain, Rights::default());
            self.may_see_files(&self.authority(&eyes).await?, &owner).await?;
        }
        Ok(owner)
    }

    async fn may_see_files(
        &self,
        authority: &Authority,
        owner: &AccountRecord,
    ) -> Result<(), OperationError> {
        let own = owner.id == authority.account;
        let domain = &owner.domain;
        allowed(own || self.may_in_domain(authority, domain, CAN_ACCESS_WEB_SITES).await?)
    }

    async fn file_limits(&self, owner: &AccountRecord) -> Result<Limits, OperationError> {
        let settings = self.effective_settings(owner.id).await?;
        let limit = |key| size_limit(settings.get(key));
        let room = FileRoom { octets: limit("MaxWebSize"), files: limit("MaxWebFiles") };
        Ok(Limits { room, file: limit("MaxFileSize") })
    }

    /// What is in a directory (`""` for the outermost).
    ///
    /// # Errors
    /// See [`OperationError`].
    pub async fn list_storage_files(
        &self,
        actor: &Actor,
        of: FilesOf<'_>,
        directory: &str,
    ) -> Result<Vec<FileRecord>, OperationError> {
        let owner = self.file_owner(actor, of).await?;
        let list = self.store.files.list_files(owner.id, directory).await;
        list.map_err(|error| missing(error, "there is no such directory"))
    }

    /// What there is below a directory (`""` for all).
    ///
    /// # Errors
    /// See [`OperationError`].
    pub async fn storage_file_usage(
        &self,
        actor: &Actor,
        of: FilesOf<'_>,
        directory: &str,
    ) -> Result<FileUsage, OperationError> {
        let owner = self.file_owner(actor, of).await?;
        let usage = self.store.files.file_usage(owner.id, directory).await;
        usage.map_err(|error| missing(error, "there is no such directory"))
    }

    /// Octets of a file from `offset`, fewer at its end, and the file.
    ///
    /// # Errors
    /// `LimitExceeded` for more than [`MAX_FILE_READ`] at once; see [`OperationError`].
    pub async fn read_storage_file(
        &self,
        actor: &Actor,
        of: FilesOf<'_>,
        path: &str,
        offset: u64,
        size: Option<u64>,
    ) -> Result<(Bytes, FileRecord), OperationError> {
        let owner = self.file_owner(actor, of).await?;
        for _ in 0..TRIES {
            let file = self.store.files.file(owner.id, path).await?;
            let file = file.ok_or(StoreError::NotFound("file"))?;
            let Some(pieces) = &file.pieces else {
                return Err(OperationError::General("this is a directory".to_owned()));
            };
            let end = size.map_or(file.size, |size| offset.saturating_add(size).min(file.size));
            if end.saturating_sub(offset) > MAX_FILE_READ {
                let text =
                    format!("at most {MAX_FILE_READ} bytes are read at once; give OFFSET and SIZE");
                return Err(OperationError::LimitExceeded(text));
            }
            match self.read_pieces(pieces, offset, end).await {
                // Written anew meanwhile.
                Err(StoreError::NotFound(_)) => {}
                other => return Ok((other?, file)),
            }
        }
        Err(StoreError::VersionConflict.into())
    }

    /// The octets of a file from `offset` to `end`, which is not past its end.
    async fn read_pieces(
        &self,
        pieces: &[BodyId],
        offset: u64,
        end: u64,
    ) -> Result<Bytes, StoreError> {
        let mut read = BytesMut::new();
        let mut start = 0u64;
        for piece in pieces {
            let next = start.saturating_add(FileRecord::PIECE);
            let (from, to) = (offset.max(start), end.min(next));
            if from < to {
                let part = self.store.bodies.read_range(*piece, from - start, to - from).await?;
                read.extend_from_slice(&part);
            }
            start = next;
        }
        Ok(read.freeze())
    }

    /// Writes data into a file; only the pieces it touches are written anew. Missing directories
    /// above are made.
    ///
    /// # Errors
    /// `LimitExceeded` by `MaxWebSize`, `MaxWebFiles` and `MaxFileSize`; see [`OperationError`].
    pub async fn write_storage_file(
        &self,
        actor: &Actor,
        of: FilesOf<'_>,
        path: &str,
        at: WriteAt,
        data: Bytes,
    ) -> Result<(), OperationError> {
        let owner = self.file_owner(actor, of).await?;
        let limits = self.file_limits(&owner).await?;
        check(path)?;
        for _ in 0..TRIES {
            let there = self.store.files.file(owner.id, path).await?;
            let there = there.and_then(|file| Some((file.size, file.pieces?)));
            let written = match self.merged(at, there.as_ref(), &data).await {
                Err(OperationError::Later(_)) if there.is_some() => continue,
                other => other?,
            };
            if limits.file.is_some_and(|most| written.size > most) {
                let most = limits.file.unwrap_or_default();
                let text = format!("a file has at most {most} bytes (MaxFileSize)");
                return Err(OperationError::LimitExceeded(text));
            }
            let write = FileWrite {
                path: path.to_owned(),
                expected: written.expected,
                pieces: Some(written.pieces),
                modified: self.now(),
                room: limits.room,
            };
            match self.store.files.write_file(owner.id, write).await {
                Err(StoreError::VersionConflict) => {}
                Err(StoreError::NoRoom(what)) => return Err(limits.reached(what)),
                other => {
                    other?;
                    return Ok(());
                }
            }
        }
        Err(StoreError::VersionConflict.into())
    }

    /// What a file is made of once data is written into it.
    async fn merged(
        &self,
        at: WriteAt,
        there: Option<&(u64, Vec<BodyId>)>,
        data: &Bytes,
    ) -> Result<Merged, OperationError> {
        let whole = |expected| Merged {
            expected,
            size: data.len() as u64,
            pieces: in_pieces(data.clone()),
        };
        let (size, old) = match (at, there) {
            (WriteAt::Whole, _) => return Ok(whole(Expected::Anything)),
            (WriteAt::New, Some(_)) => return Err(StoreError::Exists("file").into()),
            (WriteAt::New, None) => return Ok(whole(Expected::Nothing)),
            (WriteAt::Offset(0) | WriteAt::End, None) => return Ok(whole(Expected::Nothing)),
            (WriteAt::Offset(_), None) => return Err(past_the_end()),
            (_, Some((size, old))) => (*size, old),
        };
        let start = if let WriteAt::Offset(offset) = at { offset } else { size };
        if start > size {
            return Err(past_the_end());
        }
        let end = start.saturating_add(data.len() as u64);
        let place = |at: u64| usize::try_from(at / FileRecord::PIECE).unwrap_or(usize::MAX);
        // The pieces from the first that is touched to the last are put together anew.
        let first = place(start).min(old.len());
        let begin = first as u64 * FileRecord::PIECE;
        let untouched = if end >= size { old.len() } else { place(end).saturating_add(1) };
        let until = (untouched as u64).saturating_mul(FileRecord::PIECE).min(size).max(end);
        let mut middle = BytesMut::new();
        middle.extend_from_slice(&self.read_pieces(old, begin, start).await.map_err(raced)?);
        middle.extend_from_slice(data);
        middle.extend_from_slice(&self.read_pieces(old, end, until).await.map_err(raced)?);
        let kept = |pieces: Option<&[BodyId]>| -> Vec<MessageBody> {
            pieces.into_iter().flatten().copied().map(MessageBody::Existing).collect()
        };
        let mut pieces = kept(old.get(..first));
        pieces.append(&mut in_pieces(middle.freeze()));
        pieces.append(&mut kept(old.get(untouched..)));
        Ok(Merged { expected: Expected::Pieces(old.clone()), size: end.max(size), pieces })
    }

    /// Makes a directory, with those above it.
    ///
    /// # Errors
    /// As [`Accounts::write_storage_file`].
    pub async fn make_storage_directory(
        &self,
        actor: &Actor,
        of: FilesOf<'_>,
        path: &str,
    ) -> Result<(), OperationError> {
        let owner = self.file_owner(actor, of).await?;
        let limits = self.file_limits(&owner).await?;
        check(path)?;
        let write = FileWrite {
            path: path.to_owned(),
            expected: Expected::Nothing,
            pieces: None,
            modified: self.now(),
            room: limits.room,
        };
        match self.store.files.write_file(owner.id, write).await {
            Err(StoreError::NoRoom(what)) => Err(limits.reached(what)),
            other => Ok(other.map(drop)?),
        }
    }

    /// Gives a file, or a directory with all in it, another path.
    ///
    /// # Errors
    /// See [`OperationError`].
    pub async fn rename_storage_file(
        &self,
        actor: &Actor,
        of: FilesOf<'_>,
        from: &str,
        to: &str,
    ) -> Result<(), OperationError> {
        let owner = self.file_owner(actor, of).await?;
        let limits = self.file_limits(&owner).await?;
        check(from)?;
        check(to)?;
        let renamed =
            self.store.files.rename_file(owner.id, from, to, self.now(), limits.room).await;
        match renamed {
            Err(StoreError::NoRoom(what)) => Err(limits.reached(what)),
            other => Ok(other?),
        }
    }

    /// Removes a file or an empty directory.
    ///
    /// # Errors
    /// See [`OperationError`].
    pub async fn delete_storage_file(
        &self,
        actor: &Actor,
        of: FilesOf<'_>,
        path: &str,
    ) -> Result<(), OperationError> {
        let owner = self.file_owner(actor, of).await?;
        check(path)?;
        Ok(self.store.files.remove_file(owner.id, path).await?)
    }
}

/// A file as it will be.
struct Merged {
    expected: Expected,
    size: u64,
    pieces: Vec<MessageBody>,
}

/// Full pieces and a last one.
fn in_pieces(mut data: Bytes) -> Vec<MessageBody> {
    let full = usize::try_from(FileRecord::PIECE).unwrap_or(usize::MAX);
    let mut pieces = Vec::new();
    while !data.is_empty() {
        pieces.push(MessageBody::Bytes(data.split_to(full.min(data.len()))));
    }
    pieces
}

fn check(path: &str) -> Result<(), OperationError> {
    FileRecord::fault(path).map_or(Ok(()), |why| Err(OperationError::General(why.to_owned())))
}

fn past_the_end() -> OperationError {
    OperationError::General("the offset is past the end of the file".to_owned())
}

fn missing(error: StoreError, text: &str) -> OperationError {
    match error {
        StoreError::NotFound("file") => OperationError::General(text.to_owned()),
        other => other.into(),
    }
}

/// A piece that is gone: somebody wrote the file anew.
fn raced(error: StoreError) -> OperationError {
    match error {
        StoreError::NotFound(_) => StoreError::VersionConflict.into(),
        other => other.into(),
    }
}
