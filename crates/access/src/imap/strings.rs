//! Texts kept once each and put in order, so that sorting compares numbers. Knows no message.

use std::collections::HashMap;
use std::collections::hash_map::{Entry, RandomState};
use std::hash::{BuildHasher, BuildHasherDefault, Hasher};

/// A hash of 64 bits is its own hash: it was made with a random key already.
#[derive(Default)]
pub(super) struct Ready(u64);

impl Hasher for Ready {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, n: u64) {
        self.0 = n;
    }
}

/// Names as numbers from 0, by their hash alone: two names with one hash of 64 bits, whose key
/// nobody knows, are taken for one.
#[derive(Default)]
pub(super) struct Names {
    key: RandomState,
    numbers: HashMap<u64, u32, BuildHasherDefault<Ready>>,
}

impl Names {
    /// The number of a name.
    pub(super) fn number(&mut self, name: &str) -> u32 {
        let next = u32::try_from(self.numbers.len()).unwrap_or(u32::MAX);
        *self.numbers.entry(self.key.hash_one(name.as_bytes())).or_insert(next)
    }

    pub(super) fn len(&self) -> usize {
        self.numbers.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.numbers.capacity() * 20
    }
}

/// Texts as numbers; 0 is the empty one.
pub(super) struct Strings {
    key: RandomState,
    numbers: HashMap<u64, u32, BuildHasherDefault<Ready>>,
    text: String,
    /// Where each text ends.
    ends: Vec<usize>,
    /// The numbers in the order of their texts, as far as [`Strings::rank`] has come.
    sorted: Vec<u32>,
    ranks: Vec<u32>,
}

impl Default for Strings {
    fn default() -> Self {
        Self {
            key: RandomState::new(),
            numbers: HashMap::default(),
            text: String::new(),
            ends: vec![0],
            sorted: Vec::new(),
            ranks: Vec::new(),
        }
    }
}

impl Strings {
    fn get(&self, number: u32) -> &str {
        let at = number as usize;
        let start = at.checked_sub(1).and_then(|before| self.ends.get(before)).copied();
        let end = self.ends.get(at).copied().unwrap_or(0);
        self.text.get(start.unwrap_or(0)..end).unwrap_or_default()
    }

    /// The number of a text.
    pub(super) fn number(&mut self, text: &str) -> u32 {
        if text.is_empty() {
            return 0;
        }
        let next = u32::try_from(self.ends.len()).unwrap_or(u32::MAX);
        let hash = self.key.hash_one(text.as_bytes());
        if let Some(&known) = self.numbers.get(&hash)
            && self.get(known) == text
        {
            return known;
        }
        if let Entry::Vacant(place) = self.numbers.entry(hash) {
            place.insert(next);
        }
        self.text.push_str(text);
        self.ends.push(self.text.len());
        next
    }

    /// Puts all texts in order; cheap when few are new.
    pub(super) fn rank(&mut self) {
        let known = self.sorted.len();
        if known == self.ends.len() {
            return;
        }
        let mut sorted = std::mem::take(&mut self.sorted);
        sorted.extend((known..self.ends.len()).filter_map(|n| u32::try_from(n).ok()));
        // A stable sort makes use of the part that is in order.
        sorted.sort_by(|a, b| self.get(*a).as_bytes().cmp(self.get(*b).as_bytes()));
        self.ranks.resize(self.ends.len(), 0);
        for (&number, rank) in sorted.iter().zip(0u32..) {
            if let Some(slot) = self.ranks.get_mut(number as usize) {
                *slot = rank;
            }
        }
        self.sorted = sorted;
    }

    /// The place of a text among all, as [`Strings::rank`] found it.
    pub(super) fn rank_of(&self, number: u32) -> u32 {
        self.ranks.get(number as usize).copied().unwrap_or(0)
    }

    pub(super) fn bytes(&self) -> usize {
        self.text.capacity() + self.ends.capacity() * 16 + self.numbers.capacity() * 20
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_kept_once_and_ranked_however_they_come() {
        let mut strings = Strings::default();
        let banana = strings.number("BANANA");
        let cherry = strings.number("CHERRY");
        strings.rank();
        assert!(strings.rank_of(banana) < strings.rank_of(cherry));
        let apple = strings.number("APPLE");
        assert_eq!(strings.number("BANANA"), banana);
        strings.rank();
        assert!(strings.rank_of(apple) < strings.rank_of(banana));
        assert!(strings.rank_of(0) < strings.rank_of(apple));
        assert_eq!(strings.number(""), 0);
        let mut names = Names::default();
        assert_eq!((names.number("a"), names.number("b"), names.number("a")), (0, 1, 0));
    }
}
