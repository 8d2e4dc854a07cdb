//! Which message of one listing is which of another, when no journal says so. Pure: content is
//! asked for where the listings do not decide.
//!
//! As many equal messages as are on both sides are matched, never more: two at the source and one
//! at the target leave one to be copied.

use super::entries::Entry;

/// What two listings alone decide.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Matched {
    /// Indexes at the source and at the target.
    pub(crate) pairs: Vec<(u32, u32)>,
    /// Messages of the source that are not matched, ascending.
    pub(crate) source: Vec<u32>,
    /// Those of the target.
    pub(crate) target: Vec<u32>,
}

/// What counts as equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    /// Message-ID, size and arrival.
    All,
    /// Message-ID and size: a server kept another date, or none.
    IdAndSize,
    /// Message-ID and arrival: a server changed the content, or is wrong about the size.
    IdAndDate,
}

impl By {
    fn key(self, entry: &Entry) -> Option<(u64, u32, u32)> {
        let key = match self {
            Self::All => (entry.id, entry.size, entry.date),
            Self::IdAndSize => (entry.id, entry.size, 0),
            Self::IdAndDate => (entry.id, 0, entry.date),
        };
        let dated = self == Self::IdAndSize || entry.date != 0;
        (entry.id != 0 && dated).then_some(key)
    }
}

impl Matched {
    /// Begins with nothing matched.
    pub(crate) fn new(source: &[Entry], target: &[Entry]) -> Self {
        let indexes = |all: &[Entry]| (0..u32::try_from(all.len()).unwrap_or(u32::MAX)).collect();
        Self { pairs: Vec::new(), source: indexes(source), target: indexes(target) }
    }

    /// Matches what the listings decide. `changing`: sizes do not count, because this run changes
    /// the content of messages.
    pub(crate) fn by_listing(&mut self, source: &[Entry], target: &[Entry], changing: bool) {
        if changing {
            self.pass(source, target, By::IdAndDate, true);
        } else {
            self.pass(source, target, By::All, false);
            self.pass(source, target, By::IdAndSize, false);
        }
    }

    /// After content was asked for: what is left and has Message-ID and arrival in common, a server
    /// has changed.
    pub(crate) fn by_what_is_left(&mut self, source: &[Entry], target: &[Entry]) {
        self.pass(source, target, By::IdAndDate, true);
    }

    /// Matches equal keys. Where their numbers differ and there are several, content decides which
    /// are which, unless `any`.
    fn pass(&mut self, source: &[Entry], target: &[Entry], by: By, any: bool) {
        let ours = in_order(&self.source, source, by);
        let theirs = in_order(&self.target, target, by);
        let (mut a, mut b) = (0, 0);
        let before = self.pairs.len();
        while let (Some(our), Some(their)) = (ours.get(a), theirs.get(b)) {
            let (key, their_key) = (key(source, *our, by), key(target, *their, by));
            match key.cmp(&their_key) {
                std::cmp::Ordering::Less => a += 1,
                std::cmp::Ordering::Greater => b += 1,
                std::cmp::Ordering::Equal => {
                    let run = |left: &[u32], all: &[Entry], from: usize| {
                        let rest = left.iter().skip(from);
                        rest.take_while(|i| self::key(all, **i, by) == key).count()
                    };
                    let (n, m) = (run(&ours, source, a), run(&theirs, target, b));
                    if n == m || any {
                        let both = ours.iter().skip(a).zip(theirs.iter().skip(b)).take(n.min(m));
                        self.pairs.extend(both.map(|(our, their)| (*our, *their)));
                    }
                    a += n;
                    b += m;
                }
            }
        }
        drop((ours, theirs));
        let new = self.pairs.get(before..).unwrap_or_default();
        let gone = marked(source.len(), new.iter().map(|(our, _)| *our));
        let taken = marked(target.len(), new.iter().map(|(_, their)| *their));
        self.source.retain(|i| !is_marked(&gone, *i));
        self.target.retain(|i| !is_marked(&taken, *i));
    }

    /// Those left whose content could be equal to one on the other side: indexes at the source and
    /// at the target. Sizes must agree, or else the Message-ID.
    pub(crate) fn unclear(&self, source: &[Entry], target: &[Entry]) -> (Vec<u32>, Vec<u32>) {
        let sides = [(&self.source, source), (&self.target, target)];
        let [(mut our_sizes, mut our_ids), (mut their_sizes, mut their_ids)] =
            sides.map(|(left, all)| {
                let there = || left.iter().filter_map(|i| at(all, *i));
                let sizes: Vec<u32> = there().map(|e| e.size).collect();
                let ids: Vec<u64> = there().map(|e| e.id).filter(|id| *id != 0).collect();
                (sizes, ids)
            });
        for sizes in [&mut our_sizes, &mut their_sizes] {
            sizes.sort_unstable();
        }
        for ids in [&mut our_ids, &mut their_ids] {
            ids.sort_unstable();
        }
        let pick = |left: &[u32], all: &[Entry], sizes: &[u32], ids: &[u64]| {
            let could = |e: &Entry| {
                sizes.binary_search(&e.size).is_ok() || ids.binary_search(&e.id).is_ok()
            };
            left.iter().copied().filter(|i| at(all, *i).is_some_and(could)).collect()
        };
        (
            pick(&self.source, source, &their_sizes, &their_ids),
            pick(&self.target, target, &our_sizes, &our_ids),
        )
    }

    /// Matches by content: digests of messages of the source and of the target, by index.
    pub(crate) fn by_content<D: Ord + Copy>(&mut self, ours: &[(u32, D)], theirs: &[(u32, D)]) {
        let mut ours: Vec<(D, u32)> = ours.iter().map(|(i, d)| (*d, *i)).collect();
        let mut theirs: Vec<(D, u32)> = theirs.iter().map(|(i, d)| (*d, *i)).collect();
        ours.sort_unstable();
        theirs.sort_unstable();
        let mut theirs = theirs.into_iter().peekable();
        let (mut gone, mut taken) = (Vec::new(), Vec::new());
        for (digest, index) in ours {
            while theirs.next_if(|(d, _)| *d < digest).is_some() {}
            if let Some((_, there)) = theirs.next_if(|(d, _)| *d == digest) {
                self.pairs.push((index, there));
                gone.push(index);
                taken.push(there);
            }
        }
        gone.sort_unstable();
        taken.sort_unstable();
        self.source.retain(|i| gone.binary_search(i).is_err());
        self.target.retain(|i| taken.binary_search(i).is_err());
    }
}

fn at(all: &[Entry], index: u32) -> Option<&Entry> {
    all.get(usize::try_from(index).ok()?)
}

/// A mark for each of so many entries, set for these.
fn marked(entries: usize, indexes: impl Iterator<Item = u32>) -> Vec<bool> {
    let mut marks = vec![false; entries];
    for index in indexes {
        if let Some(mark) = usize::try_from(index).ok().and_then(|i| marks.get_mut(i)) {
            *mark = true;
        }
    }
    marks
}

fn is_marked(marks: &[bool], index: u32) -> bool {
    usize::try_from(index).ok().and_then(|i| marks.get(i)).is_some_and(|mark| *mark)
}

fn key(all: &[Entry], index: u32, by: By) -> Option<(u64, u32, u32)> {
    by.key(at(all, index)?)
}

/// Those that have a key, in its order. Indexes alone: the keys of a million messages would be six
/// times as much.
fn in_order(left: &[u32], all: &[Entry], by: By) -> Vec<u32> {
    let mut found: Vec<u32> = left.iter().copied().filter(|i| key(all, *i, by).is_some()).collect();
    found.sort_unstable_by_key(|i| (key(all, *i, by), *i));
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(uid: u32, id: u64, size: u32, date: u32) -> Entry {
        Entry { id, size, date, uid, flags: 0 }
    }

    fn matched(source: &[Entry], target: &[Entry]) -> Matched {
        let mut matched = Matched::new(source, target);
        matched.by_listing(source, target, false);
        matched.pairs.sort_unstable();
        matched
    }

    #[test]
    fn equal_copies_keep_their_number() {
        let twice = [entry(1, 7, 100, 5), entry(2, 7, 100, 5)];
        let both = matched(&twice, &twice);
        assert_eq!(both.pairs, [(0, 0), (1, 1)]);
        // Two here and one there: content says which, and one is left.
        let mut one = matched(&twice, &twice[..1]);
        assert_eq!((one.pairs.len(), one.source.len(), one.target.len()), (0, 2, 1));
        assert_eq!(one.unclear(&twice, &twice[..1]), (vec![0, 1], vec![0]));
        one.by_content(&[(0, 'x'), (1, 'x')], &[(0, 'x')]);
        assert_eq!(one.pairs, [(0, 0)]);
        assert_eq!(one.source, [1]);
        // Equal in the listing, not in content: the right one is left.
        let mut other = matched(&twice, &twice[..1]);
        other.by_content(&[(0, 'x'), (1, 'y')], &[(0, 'y')]);
        assert_eq!(other.pairs, [(1, 0)]);
        assert_eq!(other.source, [0]);
    }

    #[test]
    fn the_same_message_with_another_date_is_the_same_but_its_twin_goes_first() {
        let source = [entry(1, 7, 100, 5), entry(2, 7, 100, 6)];
        let target = [entry(9, 7, 100, 6)];
        let found = matched(&source, &target);
        assert_eq!(found.pairs, [(1, 0)]);
        assert_eq!(found.source, [0]);
        let found = matched(&source[..1], &target);
        assert_eq!(found.pairs, [(0, 0)]);
    }

    #[test]
    fn what_has_no_message_id_is_left_to_content() {
        let source = [entry(1, 0, 100, 5), entry(2, 0, 200, 5), entry(3, 4, 300, 5)];
        let target = [entry(1, 0, 100, 5), entry(2, 0, 250, 5), entry(3, 4, 310, 5)];
        let mut found = matched(&source, &target);
        assert!(found.pairs.is_empty());
        // The same size, or the same Message-ID with another size.
        assert_eq!(found.unclear(&source, &target), (vec![0, 2], vec![0, 2]));
        found.by_content(&[(0, 1), (2, 2)], &[(0, 1), (2, 3)]);
        found.by_what_is_left(&source, &target);
        assert_eq!(found.pairs, [(0, 0), (2, 2)]);
        assert_eq!((found.source, found.target), (vec![1], vec![1]));
    }

    #[test]
    fn a_run_that_changes_messages_does_not_go_by_size() {
        let source = [entry(1, 7, 100, 5), entry(2, 8, 100, 5)];
        let target = [entry(1, 7, 104, 5)];
        let mut found = Matched::new(&source, &target);
        found.by_listing(&source, &target, true);
        assert_eq!(found.pairs, [(0, 0)]);
    }
}
