//! Who refers to a body. A body lives in the shard its id names; a row in `bodies` is one
//! reference, `more_refs` counts those beyond. References from another shard are one hold there
//! and a count in `borrowed` here: taken in the home shard before the first use and given back
//! after the last, so that a crash can leave a hold too many, never one too few.

use angarium_store::{BodyId, StoreError};

use super::{Effect, IndexTx, Place, misfit};
use crate::record::files::FilePiece;
use crate::record::{BodyRef, NewBody};

/// Body ids carry their shard above this bit.
const SHARD_BIT: u32 = 48;

/// The shard a body lives in.
pub(crate) fn home(body: BodyId) -> u32 {
    (body.0 >> SHARD_BIT) as u32
}

/// The id of the n-th body of a shard.
pub(crate) fn body_id(shard: u32, number: u64) -> BodyId {
    BodyId(u64::from(shard) << SHARD_BIT | number)
}

/// What is known of a stored body.
pub(crate) struct StoredBody {
    pub(crate) size: u64,
    pub(crate) digest: [u8; 32],
}

impl IndexTx<'_> {
    /// A body of this shard.
    pub(crate) fn stored_body(&self, body: BodyId) -> Result<Option<StoredBody>, StoreError> {
        self.one("SELECT size, digest FROM bodies WHERE id=?1", [body.0], |row| {
            Ok(StoredBody { size: row.get(0)?, digest: row.get(1)? })
        })
    }

    /// Takes the reference a new row has to its body, storing the body if it is new.
    pub(crate) fn refer(&mut self, body: &BodyRef, place: &Place<'_>) -> Result<(), StoreError> {
        match body {
            BodyRef::New(new) => self.store_body(new, place),
            BodyRef::Known { id, .. } => self.add_reference(*id),
        }
    }

    pub(crate) fn store_body(
        &mut self,
        new: &NewBody,
        place: &Place<'_>,
    ) -> Result<(), StoreError> {
        let part = place.parts.get(new.part as usize).ok_or_else(|| misfit("a missing part"))?;
        self.run(
            "INSERT OR REPLACE INTO bodies VALUES(?1,?2,?3,?4,?5,?6,?7)",
            (
                new.id.0,
                place.segment,
                part.offset,
                part.length,
                part.crc,
                new.digest.as_slice(),
                new.summary.as_ref(),
            ),
        )?;
        *self.hot.live.entry(place.segment).or_default() += part.length as i64;
        let number = new.id.0 & ((1 << SHARD_BIT) - 1);
        let next = &mut self.hot.counters.next_body;
        *next = (*next).max(number + 1);
        Ok(())
    }

    pub(crate) fn add_reference(&mut self, body: BodyId) -> Result<(), StoreError> {
        let text = if home(body) == self.hot.shard {
            "INSERT INTO more_refs VALUES(?1, 1) ON CONFLICT(body) DO UPDATE SET refs = refs + 1"
        } else {
            "INSERT INTO borrowed VALUES(?1, 1) ON CONFLICT(body) DO UPDATE SET refs = refs + 1"
        };
        self.run(text, [body.0]).map(drop)
    }

    pub(crate) fn drop_reference(&mut self, body: BodyId) -> Result<(), StoreError> {
        if home(body) != self.hot.shard {
            self.run("UPDATE borrowed SET refs = refs - 1 WHERE body=?1", [body.0])?;
            let left = self.borrowed(body)?;
            if left == Some(0) {
                self.effects.push(Effect::Unborrowed { body });
            }
            return Ok(());
        }
        let more: Option<u64> =
            self.one("SELECT refs FROM more_refs WHERE body=?1", [body.0], |row| row.get(0))?;
        match more {
            Some(1) => self.run("DELETE FROM more_refs WHERE body=?1", [body.0]).map(drop),
            Some(_) => {
                self.run("UPDATE more_refs SET refs = refs - 1 WHERE body=?1", [body.0]).map(drop)
            }
            None => self.free(body),
        }
    }

    fn free(&mut self, body: BodyId) -> Result<(), StoreError> {
        let lay: Option<(u64, u64)> =
            self.one("DELETE FROM bodies WHERE id=?1 RETURNING segment, size", [body.0], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })?;
        let (segment, size) = lay.ok_or_else(|| misfit("a body that is let go twice"))?;
        *self.hot.live.entry(segment).or_default() -= size as i64;
        Ok(())
    }

    /// How often this shard refers to a foreign body; `None` if it has no hold on it.
    pub(crate) fn borrowed(&self, body: BodyId) -> Result<Option<u64>, StoreError> {
        self.one("SELECT refs FROM borrowed WHERE body=?1", [body.0], |row| row.get(0))
    }

    /// True if this shard has a hold of `holder` on its body.
    pub(crate) fn is_held(&self, body: BodyId, holder: u32) -> Result<bool, StoreError> {
        let found =
            self.one("SELECT 1 FROM holds WHERE body=?1 AND holder=?2", (body.0, holder), |_| {
                Ok(())
            })?;
        Ok(found.is_some())
    }

    pub(crate) fn held(&mut self, body: BodyId, holder: u32) -> Result<(), StoreError> {
        if self.run("INSERT OR IGNORE INTO holds VALUES(?1, ?2)", (body.0, holder))? == 1 {
            self.add_reference(body)?;
        }
        Ok(())
    }

    pub(crate) fn released(&mut self, body: BodyId, holder: u32) -> Result<(), StoreError> {
        if self.run("DELETE FROM holds WHERE body=?1 AND holder=?2", (body.0, holder))? == 1 {
            self.drop_reference(body)?;
        }
        Ok(())
    }

    pub(crate) fn returned(&mut self, body: BodyId) -> Result<(), StoreError> {
        self.run("DELETE FROM borrowed WHERE body=?1 AND refs=0", [body.0]).map(drop)
    }

    /// A body has been copied forward. One that is not there any more stays away.
    pub(crate) fn relocated(
        &mut self,
        body: &NewBody,
        place: &Place<'_>,
    ) -> Result<(), StoreError> {
        let part = place.parts.get(body.part as usize).ok_or_else(|| misfit("a missing part"))?;
        let old: Option<u64> =
            self.one("SELECT segment FROM bodies WHERE id=?1", [body.id.0], |row| row.get(0))?;
        let Some(old) = old else { return Ok(()) };
        self.run(
            "UPDATE bodies SET segment=?2, offset=?3 WHERE id=?1",
            (body.id.0, place.segment, part.offset),
        )?;
        *self.hot.live.entry(old).or_default() -= part.length as i64;
        *self.hot.live.entry(place.segment).or_default() += part.length as i64;
        Ok(())
    }
}

/// Making an index anew from a checkpoint.
impl IndexTx<'_> {
    /// Takes in only the bodies a record brings, wherever the index stands.
    pub(crate) fn body_of(
        &mut self,
        record: &crate::record::Record,
        place: &Place<'_>,
    ) -> Result<(), StoreError> {
        use crate::record::Record;
        match record {
            Record::Appended { arrivals, .. } => {
                for arrival in arrivals {
                    if let BodyRef::New(new) = &arrival.body {
                        self.store_body(new, place)?;
                    }
                }
                Ok(())
            }
            Record::Enqueued { entry } => match &entry.body {
                BodyRef::New(new) => self.store_body(new, place),
                BodyRef::Known { .. } => Ok(()),
            },
            Record::Files { put, .. } => {
                for piece in put.iter().filter_map(|row| row.pieces.as_ref()).flatten() {
                    if let FilePiece::New(new) = piece {
                        self.store_body(new, place)?;
                    }
                }
                Ok(())
            }
            Record::Relocated { body } => self.store_body(body, place),
            _ => Ok(()),
        }
    }

    /// Removes the bodies nothing refers to after a checkpoint was loaded: they were let go
    /// before it.
    pub(crate) fn drop_unreferenced(&mut self) -> Result<(), StoreError> {
        let mut live: std::collections::HashSet<u64> = std::collections::HashSet::new();
        for text in ["SELECT body FROM queue", "SELECT body FROM holds"] {
            live.extend(self.all(text, [], |row| row.get::<_, u64>(0))?);
        }
        live.extend(super::mail_rows::bodies(self.db)?.into_iter().map(|body| body.0));
        live.extend(super::file_rows::bodies(self.db)?.into_iter().map(|body| body.0));
        for body in self.all("SELECT id FROM bodies", [], |row| row.get::<_, u64>(0))? {
            if !live.contains(&body) {
                self.run("DELETE FROM bodies WHERE id=?1", [body])?;
            }
        }
        Ok(())
    }
}
