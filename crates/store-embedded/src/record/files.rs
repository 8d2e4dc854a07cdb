//! How changes of an account's files are spelled: record kind 23. Spellings are stored and must
//! never change but by a new kind.

use angarium_store::BodyId;

use super::code::{Decoded, Get, Malformed, Put};
use super::{NewBody, get_new_body, put_new_body};

/// A piece of a file.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum FilePiece {
    /// Stored by this frame.
    New(NewBody),
    /// Stored before, in this shard, as a piece of the same file.
    Kept(BodyId),
}

impl FilePiece {
    pub(crate) fn id(&self) -> BodyId {
        match self {
            Self::New(new) => new.id,
            Self::Kept(id) => *id,
        }
    }
}

/// A file or directory as it is from now on.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct FileRow {
    pub(crate) path: String,
    pub(crate) modified: i64,
    pub(crate) size: u64,
    /// `None` for a directory.
    pub(crate) pieces: Option<Vec<FilePiece>>,
}

pub(super) fn put_row(put: &mut Put, row: &FileRow) {
    put.text(&row.path);
    put.int(row.modified);
    put.uint(row.size);
    put.bool(row.pieces.is_some());
    if let Some(pieces) = &row.pieces {
        put.list(pieces, |put, piece| match piece {
            FilePiece::New(new) => {
                put.u8(1);
                put_new_body(put, new);
            }
            FilePiece::Kept(id) => {
                put.u8(2);
                put.uint(id.0);
            }
        });
    }
}

pub(super) fn get_row(get: &mut Get<'_>) -> Decoded<FileRow> {
    let (path, modified, size) = (get.text()?, get.int()?, get.uint()?);
    let pieces = if get.bool()? {
        Some(get.list(|get| match get.u8()? {
            1 => get_new_body(get).map(FilePiece::New),
            2 => Ok(FilePiece::Kept(BodyId(get.uint()?))),
            _ => Err(Malformed),
        })?)
    } else {
        None
    };
    Ok(FileRow { path, modified, size, pieces })
}
