//! Rows of the files that accounts keep beside their mail: reading them, and applying records of
//! them. The pieces of a file are bodies, referred to as messages refer to theirs.

use angarium_store::account_files::FileTree;
use angarium_store::{AccountId, BodyId, FileRecord, FileUsage, StoreError};
use rusqlite::{Connection, Row};

use super::{IndexTx, Place, all, misfit, one};
use crate::record::code::{Decoded, Get, Malformed, Put};
use crate::record::files::{FilePiece, FileRow};

/// The files of one account as they stand in the index.
pub(crate) struct FileRows<'a> {
    pub(crate) db: &'a Connection,
    pub(crate) account: AccountId,
}

fn read_pieces(packed: &[u8]) -> Result<Vec<BodyId>, StoreError> {
    let read = |packed| -> Decoded<Vec<BodyId>> {
        let mut get = Get::new(packed);
        let pieces = get.list(|get| get.uint().map(BodyId))?;
        if get.is_empty() { Ok(pieces) } else { Err(Malformed) }
    };
    read(packed).map_err(|Malformed| misfit("unreadable pieces of a file"))
}

type Packed = (String, i64, u64, Option<Vec<u8>>);

fn packed(row: &Row<'_>) -> rusqlite::Result<Packed> {
    Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
}

fn unpack((path, modified, size, pieces): Packed) -> Result<FileRecord, StoreError> {
    let pieces = pieces.map(|packed| read_pieces(&packed)).transpose()?;
    Ok(FileRecord { path, modified, size, pieces })
}

/// Where what is below a directory begins and ends in the order of the paths, the end not being
/// part of it.
fn range(directory: &str) -> (String, String) {
    if directory.is_empty() {
        // No UTF-8 text is greater.
        return (String::new(), char::MAX.to_string());
    }
    // '0' follows '/'.
    (format!("{directory}/"), format!("{directory}0"))
}

impl FileRows<'_> {
    /// Refuses what is not a directory.
    fn check_directory(&self, directory: &str) -> Result<(), StoreError> {
        if directory.is_empty() {
            return Ok(());
        }
        match self.at(directory)? {
            Some(FileRecord { pieces: None, .. }) => Ok(()),
            _ => Err(StoreError::NotFound("file")),
        }
    }

    /// What is in a directory itself.
    pub(crate) fn list(&self, directory: &str) -> Result<Vec<FileRecord>, StoreError> {
        self.check_directory(directory)?;
        let (start, end) = range(directory);
        let rest = start.chars().count() as u64 + 1;
        let text = "SELECT path, modified, size, pieces FROM account_files
            WHERE account=?1 AND path>=?2 AND path<?3 AND instr(substr(path, ?4), '/')=0
            ORDER BY path";
        let rows = all(self.db, text, (self.account.0, start, end, rest), packed)?;
        rows.into_iter().map(unpack).collect()
    }

    /// What is below a directory, counted.
    pub(crate) fn counted(&self, directory: &str) -> Result<FileUsage, StoreError> {
        self.check_directory(directory)?;
        let (start, end) = range(directory);
        let text = "SELECT coalesce(sum(size), 0), count(pieces), count(*) - count(pieces)
            FROM account_files WHERE account=?1 AND path>=?2 AND path<?3";
        let counted = one(self.db, text, (self.account.0, start, end), |row| {
            Ok(FileUsage { octets: row.get(0)?, files: row.get(1)?, directories: row.get(2)? })
        })?;
        Ok(counted.unwrap_or_default())
    }
}

impl FileTree for FileRows<'_> {
    fn at(&self, path: &str) -> Result<Option<FileRecord>, StoreError> {
        let text = "SELECT path, modified, size, pieces FROM account_files
            WHERE account=?1 AND path=?2";
        one(self.db, text, (self.account.0, path), packed)?.map(unpack).transpose()
    }

    fn below(&self, path: &str) -> Result<Vec<FileRecord>, StoreError> {
        let (start, end) = range(path);
        let text = "SELECT path, modified, size, pieces FROM account_files
            WHERE account=?1 AND path>=?2 AND path<?3 ORDER BY path";
        let rows = all(self.db, text, (self.account.0, start, end), packed)?;
        rows.into_iter().map(unpack).collect()
    }

    fn usage(&self) -> Result<FileUsage, StoreError> {
        self.counted("")
    }
}

/// The bodies that files of this shard are made of, each as often as it is.
pub(crate) fn bodies(db: &Connection) -> Result<Vec<BodyId>, StoreError> {
    let text = "SELECT pieces FROM account_files WHERE pieces IS NOT NULL";
    let mut found = Vec::new();
    for packed in all(db, text, [], |row| row.get::<_, Vec<u8>>(0))? {
        found.append(&mut read_pieces(&packed)?);
    }
    Ok(found)
}

impl IndexTx<'_> {
    pub(crate) fn files_changed(
        &mut self,
        account: AccountId,
        removed: &[String],
        put: &[FileRow],
        place: &Place<'_>,
    ) -> Result<(), StoreError> {
        // What stays is referred to anew before the old rows let it go.
        for piece in put.iter().filter_map(|row| row.pieces.as_ref()).flatten() {
            match piece {
                FilePiece::New(new) => self.store_body(new, place)?,
                FilePiece::Kept(id) => self.add_reference(*id)?,
            }
        }
        for path in removed.iter().chain(put.iter().map(|row| &row.path)) {
            let text = "DELETE FROM account_files WHERE account=?1 AND path=?2 RETURNING pieces";
            let gone = self.one(text, (account.0, path), |row| row.get::<_, Option<Vec<u8>>>(0))?;
            if let Some(packed) = gone.flatten() {
                self.drop_references(read_pieces(&packed)?)?;
            }
        }
        for row in put {
            let pieces = row.pieces.as_ref().map(|pieces| {
                let mut packed = Put::new();
                packed.list(pieces, |put, piece| put.uint(piece.id().0));
                packed.bytes
            });
            self.run(
                "INSERT INTO account_files VALUES(?1,?2,?3,?4,?5)",
                (account.0, &row.path, row.modified, row.size, pieces),
            )?;
        }
        Ok(())
    }

    /// Removes all files of an account.
    pub(crate) fn files_purged(&mut self, account: AccountId) -> Result<(), StoreError> {
        let text = "DELETE FROM account_files WHERE account=?1 RETURNING pieces";
        let gone = self.all(text, [account.0], |row| row.get::<_, Option<Vec<u8>>>(0))?;
        for packed in gone.into_iter().flatten() {
            self.drop_references(read_pieces(&packed)?)?;
        }
        Ok(())
    }
}
