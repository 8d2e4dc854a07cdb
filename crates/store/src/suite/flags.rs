//! Promises about changing flags.

use super::scene::{Scene, flagged, mail, scene, uids};
use crate::{FlagBits, FlagChange, FlagOutcome, FlagPart, FlagUpdate, Flags, ModSeq, Store, Uid};

impl Scene {
    /// Changes flags in INBOX.
    async fn flag(
        &self,
        numbers: &[u32],
        change: FlagChange,
        flags: &Flags,
        unchanged_since: Option<ModSeq>,
    ) -> FlagOutcome {
        let uids = uids(numbers);
        let update = FlagUpdate { uids, change, flags: flags.clone(), unchanged_since };
        self.store.mailboxes.change_flags(self.account, self.inbox, update).await.unwrap()
    }

    /// The flags of a message in INBOX.
    async fn flags(&self, uid: u32) -> Flags {
        self.entry(self.inbox, Uid(uid)).await.flags
    }
}

const SEEN: Flags = Flags::of(FlagBits::SEEN);
const FLAGGED: Flags = Flags::of(FlagBits::FLAGGED);

fn keyword(word: &str) -> Flags {
    Flags::with_keywords(FlagBits::default(), [word])
}

pub async fn flags_are_added(store: Store) {
    let s = scene(&store).await;
    s.append(s.inbox, vec![flagged("x", SEEN)]).await;
    s.flag(&[1], FlagChange::Add, &FLAGGED, None).await;
    s.flag(&[1], FlagChange::Add, &keyword("Work"), None).await;
    assert_eq!(s.flags(1).await, SEEN.plus(&FLAGGED).plus(&keyword("Work")));
}

pub async fn flags_are_removed(store: Store) {
    let s = scene(&store).await;
    let all = SEEN.plus(&FLAGGED).plus(&keyword("Work")).plus(&keyword("Home"));
    s.append(s.inbox, vec![flagged("x", all)]).await;
    s.flag(&[1], FlagChange::Remove, &FLAGGED.plus(&keyword("work")), None).await;
    assert_eq!(s.flags(1).await, SEEN.plus(&keyword("Home")));
    s.flag(&[1], FlagChange::Remove, &SEEN.plus(&keyword("Home")), None).await;
    assert_eq!(s.flags(1).await, Flags::default());
}

pub async fn flags_are_replaced(store: Store) {
    let s = scene(&store).await;
    s.append(s.inbox, vec![flagged("x", SEEN.plus(&keyword("Work")))]).await;
    let new = FLAGGED.plus(&keyword("Home"));
    s.flag(&[1], FlagChange::Replace, &new, None).await;
    assert_eq!(s.flags(1).await, new);
    s.flag(&[1], FlagChange::Replace, &Flags::default(), None).await;
    assert_eq!(s.flags(1).await, Flags::default());
}

pub async fn a_part_of_the_flags_is_replaced_in_one_change(store: Store) {
    let s = scene(&store).await;
    s.append(s.inbox, vec![flagged("x", SEEN.plus(&FLAGGED).plus(&keyword("Work")))]).await;
    let bits = FlagBits::SEEN.union(FlagBits::ANSWERED);
    let new = Flags::of(FlagBits::ANSWERED.union(FlagBits::DELETED)).plus(&keyword("Home"));
    let part = FlagPart { bits, keywords: false };
    let outcome = s.flag(&[1], FlagChange::ReplacePart(part), &new, None).await;
    let left = FLAGGED.plus(&Flags::of(FlagBits::ANSWERED)).plus(&keyword("Work"));
    assert_eq!((outcome.changed.len(), s.flags(1).await), (1, left.clone()));
    let part = FlagPart { bits: FlagBits(0), keywords: true };
    s.flag(&[1], FlagChange::ReplacePart(part), &new, None).await;
    assert_eq!(s.flags(1).await, Flags::of(left.bits).plus(&keyword("Home")));
}

pub async fn a_change_that_changes_nothing_costs_no_modseq(store: Store) {
    let s = scene(&store).await;
    let flags = SEEN.plus(&keyword("Work"));
    s.append(s.inbox, vec![flagged("x", flags.clone())]).await;
    let before = (s.record(s.inbox).await, s.entries(s.inbox).await);
    for (change, these) in [
        (FlagChange::Add, &SEEN),
        (FlagChange::Add, &keyword("WORK")),
        (FlagChange::Remove, &FLAGGED),
        (FlagChange::Replace, &flags),
    ] {
        let outcome = s.flag(&[1], change, these, None).await;
        assert_eq!(outcome, FlagOutcome::default(), "{change:?} {these:?}");
    }
    assert_eq!((s.record(s.inbox).await, s.entries(s.inbox).await), before);
}

pub async fn unknown_uids_are_passed_over(store: Store) {
    let s = scene(&store).await;
    s.fill(s.inbox, &["1", "2"]).await;
    let outcome =
        s.flag(&[0, 2, 3, 900], FlagChange::Add, &SEEN, Some(ModSeq(u64::MAX >> 1))).await;
    let changed: Vec<_> = outcome.changed.iter().map(|(uid, ..)| *uid).collect();
    assert_eq!((changed, outcome.modified), (uids(&[2]), Vec::new()));
    assert_eq!(s.flags(1).await, Flags::default());
}

pub async fn a_message_changed_since_is_left_alone_and_reported(store: Store) {
    let s = scene(&store).await;
    s.fill(s.inbox, &["1", "2", "3"]).await;
    let known = s.record(s.inbox).await.highest_modseq;
    s.flag(&[2], FlagChange::Add, &FLAGGED, None).await;
    let outcome = s.flag(&[1, 2, 3], FlagChange::Add, &SEEN, Some(known)).await;
    let changed: Vec<_> = outcome.changed.iter().map(|(uid, ..)| *uid).collect();
    assert_eq!((changed, outcome.modified), (uids(&[1, 3]), uids(&[2])));
    assert_eq!(s.flags(2).await, FLAGGED);
    assert_eq!(s.flags(3).await, SEEN);
}

pub async fn unchanged_since_lets_older_messages_change(store: Store) {
    let s = scene(&store).await;
    s.fill(s.inbox, &["1"]).await;
    let modseq = s.entry(s.inbox, Uid(1)).await.modseq;
    let outcome = s.flag(&[1], FlagChange::Add, &SEEN, Some(modseq)).await;
    assert_eq!(outcome.changed.len(), 1);
    let outcome = s.flag(&[1], FlagChange::Remove, &SEEN, Some(modseq)).await;
    assert_eq!(outcome.modified, [Uid(1)]);
    let outcome = s.flag(&[1], FlagChange::Remove, &SEEN, Some(ModSeq(0))).await;
    assert_eq!(outcome.modified, [Uid(1)]);
    assert_eq!(s.flags(1).await, SEEN);
}

pub async fn keywords_are_compared_without_regard_to_case(store: Store) {
    let s = scene(&store).await;
    s.append(s.inbox, vec![flagged("x", keyword("Work"))]).await;
    s.flag(&[1], FlagChange::Add, &keyword("wORK").plus(&keyword("home")), None).await;
    assert_eq!(s.flags(1).await.keywords().len(), 2);
    s.flag(&[1], FlagChange::Remove, &keyword("WORK"), None).await;
    assert_eq!(s.flags(1).await, keyword("home"));
}

pub async fn keywords_are_kept_as_first_written(store: Store) {
    let s = scene(&store).await;
    s.append(s.inbox, vec![flagged("x", keyword("Work"))]).await;
    s.flag(&[1], FlagChange::Add, &keyword("WORK").plus(&SEEN), None).await;
    assert_eq!(s.flags(1).await, keyword("Work").plus(&SEEN));
}

pub async fn well_known_flags_and_keywords_do_not_disturb_each_other(store: Store) {
    let s = scene(&store).await;
    let bits = [FlagBits::SEEN, FlagBits::ANSWERED, FlagBits::JUNK, FlagBits::PHISHING];
    let words: Vec<String> = (0..Flags::MAX_KEYWORDS).map(|i| format!("k{i:03}")).collect();
    for bit in bits {
        let flags = Flags::with_keywords(bit, words.iter().map(String::as_str));
        let uid = s.append(s.inbox, vec![flagged("x", flags.clone())]).await[0];
        assert_eq!(s.flags(uid.0).await, flags);
        s.flag(&[uid.0], FlagChange::Remove, &Flags::of(bit), None).await;
        let left = s.flags(uid.0).await;
        assert_eq!((left.bits, left.keywords().len()), (FlagBits(0), Flags::MAX_KEYWORDS));
    }
}

pub async fn changed_messages_are_reported_with_their_new_modseq(store: Store) {
    let s = scene(&store).await;
    s.append(s.inbox, vec![mail("1"), flagged("2", SEEN), mail("3")]).await;
    let before = s.record(s.inbox).await.highest_modseq;
    let outcome = s.flag(&[1, 2, 3], FlagChange::Add, &SEEN, None).await;
    assert_eq!(outcome.changed.len(), 2);
    let mut told = outcome.changed.iter();
    for uid in uids(&[1, 3]) {
        let entry = s.entry(s.inbox, uid).await;
        assert!(entry.modseq > before);
        assert_eq!(told.next(), Some(&(uid, entry.flags, entry.modseq)));
    }
    assert!(s.entry(s.inbox, Uid(2)).await.modseq <= before);
}

pub async fn flags_of_many_messages_change_at_once(store: Store) {
    let s = scene(&store).await;
    s.append(s.inbox, (0..300).map(|i| mail(&format!("{i}"))).collect()).await;
    let all: Vec<u32> = (1..=300).collect();
    let outcome = s.flag(&all, FlagChange::Add, &keyword("Work").plus(&SEEN), None).await;
    assert_eq!(outcome.changed.len(), 300);
    assert!(outcome.changed.is_sorted_by_key(|(uid, ..)| *uid));
    let entries = s.entries(s.inbox).await;
    assert!(entries.iter().all(|entry| entry.flags == keyword("Work").plus(&SEEN)));
}

pub async fn the_unseen_counter_follows_the_flags(store: Store) {
    let s = scene(&store).await;
    s.append(s.inbox, vec![mail("1"), mail("2"), flagged("3", SEEN)]).await;
    assert_eq!(s.record(s.inbox).await.unseen, 2);
    s.flag(&[1, 2, 3], FlagChange::Add, &SEEN, None).await;
    assert_eq!(s.record(s.inbox).await.unseen, 0);
    s.flag(&[1, 3], FlagChange::Replace, &FLAGGED, None).await;
    assert_eq!(s.record(s.inbox).await.unseen, 2);
}
