//! Which message of the file is which of the mirror: by UID and content, else by content alone.
//! Pure.

use std::collections::{HashMap, VecDeque};

use angarium_store::{Digest, Uid};

/// A UID that a file asks for may be this much above the next one; a larger one is a mistake, or
/// meant to use up all there are.
const LEAP_MAX: u32 = 10_000_000;

/// What is to be done.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Plan {
    /// For each message of the file the one of the mirror that it is, or none for a new one.
    pub(super) known: Vec<Option<Uid>>,
    /// Messages of the mirror that the file does not hold, ascending.
    pub(super) missing: Vec<Uid>,
}

/// Compares the file (UID that is asked for, and content, in its order) with the mirror (ascending).
/// Content is never taken for another: a message changed by another program is a new one.
pub(super) fn compare(file: &[(Option<Uid>, Digest)], mirror: &[(Uid, Digest)]) -> Plan {
    let by_uid: HashMap<Uid, Digest> = mirror.iter().copied().collect();
    let mut free: HashMap<Uid, ()> = mirror.iter().map(|(uid, _)| (*uid, ())).collect();
    let mut known = vec![None; file.len()];
    for ((asked, digest), known) in file.iter().zip(&mut known) {
        if let Some(uid) = asked
            && by_uid.get(uid) == Some(digest)
            && free.remove(uid).is_some()
        {
            *known = Some(*uid);
        }
    }
    let mut by_digest: HashMap<Digest, VecDeque<Uid>> = HashMap::new();
    for (uid, digest) in mirror.iter().filter(|(uid, _)| free.contains_key(uid)) {
        by_digest.entry(*digest).or_default().push_back(*uid);
    }
    for ((_, digest), known) in file.iter().zip(&mut known).filter(|(_, known)| known.is_none()) {
        if let Some(uid) = by_digest.get_mut(digest).and_then(VecDeque::pop_front) {
            free.remove(&uid);
            *known = Some(uid);
        }
    }
    let missing = mirror.iter().map(|(uid, _)| *uid).filter(|uid| free.contains_key(uid)).collect();
    Plan { known, missing }
}

/// The UID of the next new message: the one it asks for, if that is not used up and not absurd.
pub(super) fn next_uid(asked: Option<Uid>, next: Uid) -> Uid {
    match asked {
        Some(uid) if uid >= next && uid.0 - next.0 <= LEAP_MAX && uid.0 < u32::MAX - 1 => uid,
        _ => next,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(n: u8) -> Digest {
        [n; 32]
    }

    #[test]
    fn messages_are_known_by_uid_and_content_or_by_content_alone() {
        let mirror =
            [(Uid(1), digest(1)), (Uid(2), digest(2)), (Uid(4), digest(2)), (Uid(7), digest(9))];
        // Read by nobody before: in order of the file.
        let plan = compare(&[(None, digest(1)), (None, digest(2)), (None, digest(2))], &mirror);
        assert_eq!(plan.known, [Some(Uid(1)), Some(Uid(2)), Some(Uid(4))]);
        assert_eq!(plan.missing, [Uid(7)]);
        // The UID tells which of two equal ones went.
        let plan = compare(&[(Some(Uid(4)), digest(2)), (Some(Uid(1)), digest(1))], &mirror);
        assert_eq!(
            (plan.known, plan.missing),
            (vec![Some(Uid(4)), Some(Uid(1))], vec![Uid(2), Uid(7)])
        );
        // A UID with other content is another message; a UID that comes twice is one message.
        let file =
            [(Some(Uid(1)), digest(5)), (Some(Uid(7)), digest(9)), (Some(Uid(7)), digest(9))];
        let plan = compare(&file, &mirror);
        assert_eq!(plan.known, [None, Some(Uid(7)), None]);
    }

    #[test]
    fn uids_that_are_asked_for_are_given_where_they_are_free_and_sane() {
        assert_eq!(next_uid(Some(Uid(9)), Uid(5)), Uid(9));
        assert_eq!(next_uid(Some(Uid(4)), Uid(5)), Uid(5));
        assert_eq!(next_uid(Some(Uid(u32::MAX - 1)), Uid(5)), Uid(5));
        assert_eq!(next_uid(None, Uid(5)), Uid(5));
    }
}
