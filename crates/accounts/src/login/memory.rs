//! The working memory of Argon2, kept from one hash to the next. A hash wants megabytes for a
//! moment; taken from the allocator each time, the pieces stay behind in the pools of every
//! thread that ever computed one: hundreds of megabytes after a burst of log-ins.
//!
//! It must never know passwords or stored forms.

use std::sync::{Mutex, MutexGuard, PoisonError};

use argon2::{Argon2, Block};

/// Pieces of working memory of the usual cost, as many as hashes are computed at once.
pub(crate) struct WorkingMemory {
    /// Blocks of 1 KiB of a piece.
    blocks: usize,
    /// Most pieces kept.
    most: usize,
    kept: Mutex<Vec<Vec<Block>>>,
}

impl WorkingMemory {
    /// Nothing yet: pieces are made when they are first wanted. They are for hashes of this many
    /// KiB; at most `most` are kept.
    pub(crate) fn new(memory_kib: u32, most: usize) -> Self {
        let blocks = usize::try_from(memory_kib).unwrap_or(0);
        Self { blocks, most, kept: Mutex::default() }
    }

    fn kept(&self) -> MutexGuard<'_, Vec<Vec<Block>>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Computes a hash of `out.len()` bytes. One of larger cost than the usual (imported from
    /// elsewhere) has memory of its own.
    ///
    /// # Errors
    /// What [`Argon2`] says of the arguments, or that there is not so much memory.
    pub(super) fn hash(
        &self,
        argon2: &Argon2<'_>,
        password: &[u8],
        salt: &[u8],
        out: &mut [u8],
    ) -> argon2::Result<()> {
        if argon2.params().block_count() > self.blocks {
            return argon2.hash_password_into(password, salt, out);
        }
        let kept = self.kept().pop();
        let mut piece = kept.unwrap_or_else(|| vec![Block::default(); self.blocks]);
        // What the hash before left there is overwritten before it is read.
        let done = argon2.hash_password_into_with_memory(password, salt, out, &mut piece);
        let mut kept = self.kept();
        if kept.len() < self.most {
            kept.push(piece);
        }
        done
    }
}

#[cfg(test)]
mod tests {
    use argon2::{Algorithm, Params, Version};

    use super::*;

    fn hash(memory: &WorkingMemory, kib: u32, passes: u32, password: &[u8]) -> [u8; 32] {
        let params = Params::new(kib, passes, 1, Some(32)).unwrap();
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let mut out = [0; 32];
        memory.hash(&argon2, password, b"saltsaltsalt", &mut out).unwrap();
        out
    }

    #[test]
    fn the_memory_of_a_hash_is_used_again_by_the_next_and_changes_nothing() {
        let memory = WorkingMemory::new(64, 1);
        let first = hash(&memory, 64, 2, b"one");
        let at = memory.kept()[0].as_ptr();
        for (kib, passes) in [(64, 2), (32, 3), (128, 1)] {
            for password in [b"two", b"one"] {
                let fresh = hash(&WorkingMemory::new(64, 1), kib, passes, password);
                assert_eq!(hash(&memory, kib, passes, password), fresh);
            }
        }
        assert_eq!(hash(&memory, 64, 2, b"one"), first);
        assert_eq!(memory.kept()[0].as_ptr(), at);
    }

    #[test]
    fn no_more_pieces_are_kept_than_said() {
        let memory = WorkingMemory::new(64, 2);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| hash(&memory, 64, 50, b"one"));
            }
        });
        assert!((1..=2).contains(&memory.kept().len()));
    }
}
