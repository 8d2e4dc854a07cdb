//! The random operations: thrown by seeded dice, done on both sides, answers compared.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use super::super::scene::{DOMAIN, NOW, account, delivery, mail, queued};
use super::side::{Side, error_words};
use crate::{
    AnnotationChanges, AttributesPatch, DomainObject, FlagBits, FlagChange, FlagUpdate, Flags,
    MessageBody, NewMailbox, NewMessage, NumbersPatch, RecipientState, RecipientStep, SettingsKey,
    Step, StoreError, Uid, UidValidity,
};

/// Names that get in each other's way.
const NAMES: [&str; 9] = ["INBOX", "a", "a/b", "a/b/c", "ab", "b", "b/a", "INBOX/x", "c/d/e"];

/// Names of objects.
const OBJECTS: [&str; 5] = ["user", "info", "staff", "sales", "other"];

/// Longest lease asked for, seconds.
const LEASE: i64 = 300;

/// Seeded dice (SplitMix64).
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % n.max(1) as u64) as usize
    }

    fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }

    fn flags(&mut self) -> Flags {
        let bits = FlagBits(self.below(32) as u32);
        let words = ["Work", "WORK", "Later", "$Label1"];
        let count = self.below(3);
        Flags::with_keywords(bits, (0..count).map(|_| self.of(&words)).collect::<Vec<_>>())
    }

    /// Some UIDs near those that exist, in any order, each once.
    fn uids(&mut self) -> Vec<Uid> {
        let first = self.below(30);
        let mut all: Vec<_> = (first..first + 1 + self.below(8)).map(|n| Uid(n as u32)).collect();
        if self.one_in(2) {
            all.reverse();
        }
        all
    }
}

/// Plays on both sides.
pub(super) struct Player {
    pub(super) model: Side,
    pub(super) tested: Side,
    dice: Dice,
    seed: u64,
    step: usize,
    now: i64,
    /// Leased recipients: place of the message in the order and index.
    held: BTreeSet<(usize, u32)>,
}

/// Does the same on both sides and compares the words of the answers.
macro_rules! both {
    ($player:ident, |$side:ident| $work:expr) => {{
        let expected: String = {
            let $side = &mut $player.model;
            $work
        };
        let found: String = {
            let $side = &mut $player.tested;
            $work
        };
        let (step, seed) = ($player.step, $player.seed);
        assert!(found == expected, "step {step} of seed {seed}: {found} instead of {expected}");
        expected
    }};
}

fn words<T>(answer: crate::Result<T>, say: impl FnOnce(T) -> String) -> String {
    answer.map_or_else(|error| error_words(&error), say)
}

impl Player {
    pub(super) fn new(seed: u64, model: Side, tested: Side) -> Self {
        let (dice, held) = (Dice(seed), BTreeSet::new());
        Self { model, tested, dice, seed, step: 0, now: NOW, held }
    }

    /// One random operation; now and then everything is compared.
    pub(super) async fn step(&mut self) {
        self.step += 1;
        match self.dice.below(20) {
            0..=4 => self.append().await,
            5..=6 => self.flags().await,
            7..=8 => self.transfer().await,
            9 => self.expunge().await,
            10..=11 => self.mailboxes().await,
            12 if self.dice.one_in(2) => self.numbers().await,
            12 => self.attributes().await,
            13..=14 => self.objects().await,
            15 => self.accounts().await,
            16 => self.settings().await,
            17 => self.enqueue().await,
            _ => self.work().await,
        }
        if self.dice.one_in(25) {
            self.compare_everything().await;
        }
    }

    /// Lets time pass until no lease holds.
    pub(super) fn let_leases_end(&mut self) {
        self.now += LEASE + 1;
        self.held.clear();
    }

    pub(super) async fn compare_everything(&mut self) {
        let expected = self.model.everything(self.now).await;
        let found = self.tested.everything(self.now).await;
        let (step, seed) = (self.step, self.seed);
        for (found, expected) in found.iter().zip(&expected) {
            assert!(
                found == expected,
                "after step {step} of seed {seed}:\n   found {found}\nexpected {expected}"
            );
        }
        assert_eq!(found.len(), expected.len(), "after step {step} of seed {seed}");
    }

    fn account(&mut self) -> usize {
        self.dice.below(self.model.accounts.len())
    }

    async fn append(&mut self) {
        let (a, name) = (self.account(), self.dice.of(&NAMES));
        let mut batch = Vec::new();
        for i in 0..self.dice.below(4) {
            let text = format!("message {} {i} {}", self.step, "x".repeat(self.dice.below(3000)));
            let mut new = mail(&text);
            if self.dice.one_in(3) {
                new = delivery(&text, 1 + self.dice.below(30) as u64, self.dice.below(2) as u32);
            }
            new.flags = self.dice.flags();
            new.uid = self.dice.one_in(12).then(|| Uid(self.dice.below(40) as u32));
            new.original_uid = self.dice.one_in(12).then(|| self.dice.below(1000) as u32);
            batch.push(new);
        }
        both!(self, |side| {
            let to = side.mailbox_id(a, name).await;
            let answer = side.store.mailboxes.append(side.accounts[a], to, batch.clone()).await;
            match answer {
                Err(StoreError::Exists(_) | StoreError::Invalid(_)) => "refused".to_owned(),
                answer => words(answer, |(record, new)| format!("{} {new:?}", record.uid_next)),
            }
        });
    }

    async fn flags(&mut self) {
        let (a, name) = (self.account(), self.dice.of(&NAMES));
        let change = self.dice.of(&[FlagChange::Add, FlagChange::Remove, FlagChange::Replace]);
        let (flags, mut uids) = (self.dice.flags(), self.dice.uids());
        uids.sort();
        let key = (a, name.to_owned());
        let mut since = self.dice.one_in(2);
        for side in [&self.model, &self.tested] {
            let id = side.mailbox_id(a, name).await;
            since &= side.known.get(&key).is_some_and(|(known, _)| *known == id);
        }
        both!(self, |side| {
            let unchanged_since = side.known.get(&key).filter(|_| since).map(|known| known.1);
            let update =
                FlagUpdate { uids: uids.clone(), change, flags: flags.clone(), unchanged_since };
            let mailbox = side.mailbox_id(a, name).await;
            let answer = side.store.mailboxes.change_flags(side.accounts[a], mailbox, update).await;
            words(answer, |outcome| {
                let changed: Vec<_> =
                    outcome.changed.iter().map(|(uid, flags, _)| (uid, flags)).collect();
                format!("{changed:?} {:?}", outcome.modified)
            })
        });
    }

    async fn transfer(&mut self) {
        let (a, from, to) = (self.account(), self.dice.of(&NAMES), self.dice.of(&NAMES));
        let (uids, stay) = (self.dice.uids(), self.dice.one_in(2));
        let date = NOW + self.step as i64;
        both!(self, |side| {
            let (source, target) = (side.mailbox_id(a, from).await, side.mailbox_id(a, to).await);
            let (m, account) = (&side.store.mailboxes, side.accounts[a]);
            let answer = if stay {
                m.copy(account, source, &uids, target, date).await
            } else {
                m.move_messages(account, source, &uids, target, date).await
            };
            words(answer, |copied| format!("{:?}", copied.pairs))
        });
    }

    async fn expunge(&mut self) {
        let (a, name) = (self.account(), self.dice.of(&NAMES));
        let (mut uids, only) = (self.dice.uids(), self.dice.one_in(2));
        uids.sort();
        both!(self, |side| {
            let mailbox = side.mailbox_id(a, name).await;
            let m = &side.store.mailboxes;
            words(m.expunge(side.accounts[a], mailbox, &uids, only).await, |g| format!("{g:?}"))
        });
    }

    async fn mailboxes(&mut self) {
        let (a, name, to) = (self.account(), self.dice.of(&NAMES), self.dice.of(&NAMES));
        let (what, now) = (self.dice.below(6), self.now);
        both!(self, |side| {
            let (m, account) = (&side.store.mailboxes, side.accounts[a]);
            match what {
                0..=2 => {
                    let (name, selectable) = (name.to_owned(), what > 0);
                    let new = NewMailbox { name, selectable, now, ..<_>::default() };
                    words(m.create(account, new).await, |record| record.name)
                }
                3..=4 => words(m.rename_tree(account, name, to, now).await, |records| {
                    let names: Vec<_> = records.into_iter().map(|r| r.name).collect();
                    names.join(" ")
                }),
                _ => {
                    let mailbox = side.mailbox_id(a, name).await;
                    words(m.delete(account, mailbox).await, |()| String::new())
                }
            }
        });
    }

    /// Sets or removes some of a few annotations.
    fn annotation_changes(&mut self, value: &str) -> AnnotationChanges {
        let mut changes = AnnotationChanges::new();
        for name in ["/shared/comment", "1/private/comment"] {
            if self.dice.one_in(4) {
                let value = self.dice.one_in(2).then(|| Bytes::copy_from_slice(value.as_bytes()));
                changes.push((name.to_owned(), value));
            }
        }
        changes
    }

    async fn attributes(&mut self) {
        let (a, name) = (self.account(), self.dice.of(&NAMES));
        let word = format!("word {}", self.step);
        let patch = AttributesPatch {
            class: self.dice.one_in(2).then(|| word.clone()),
            special_use: self.dice.one_in(2).then(|| word.clone()),
            acl: self.dice.one_in(2).then(|| BTreeMap::from([(word.clone(), "lr".into())])),
            first_recent: None,
            annotations: self.annotation_changes(&word),
            uid_next: self.dice.one_in(4).then(|| Uid(1 + self.dice.below(40) as u32)),
        };
        both!(self, |side| {
            let mailbox = side.mailbox_id(a, name).await;
            let m = &side.store.mailboxes;
            words(m.set_attributes(side.accounts[a], mailbox, patch.clone()).await, |record| {
                format!("{} {} {} {:?}", record.uid_next, record.class, record.name, record.acl)
            })
        });
    }

    async fn objects(&mut self) {
        let domain = self.dice.of(&[DOMAIN, "second.example", "no.example"]);
        let (name, to) = (self.dice.of(&OBJECTS), self.dice.of(&OBJECTS));
        // A forwarder is never replaced by a group: which kind a name has depends on the name.
        let object = if name < "o" {
            DomainObject::Forwarder(format!("x{}@y.example", self.step))
        } else {
            let number = self.step.to_string().into();
            DomainObject::Group(BTreeMap::from([("Members".to_owned(), number)]))
        };
        let (what, replace) = (self.dice.below(4), self.dice.one_in(2));
        let same_kind = (name < "o") == (to < "o");
        both!(self, |side| {
            let d = &side.store.directory;
            let answer = match what {
                0..=1 => d.put_object(domain, name, object.clone(), replace).await,
                2 if same_kind => d.rename_object(domain, name, to).await,
                _ => d.remove_object(domain, name).await,
            };
            words(answer, |()| String::new())
        });
    }

    async fn accounts(&mut self) {
        let a = self.account();
        let domain = self.dice.of(&[DOMAIN, "second.example"]);
        let (name, alias) = (self.dice.of(&OBJECTS), self.dice.of(&OBJECTS));
        let aliases = if self.dice.one_in(2) { vec![alias.to_owned()] } else { Vec::new() };
        let (what, now) = (self.dice.below(8), self.now);
        both!(self, |side| {
            let d = side.store.directory.clone();
            let id = side.accounts[a];
            match what {
                0..=1 => {
                    let mut record = account(domain, name);
                    record.aliases = aliases.clone();
                    words(d.create_account(record, now).await, |record| {
                        side.accounts.push(record.id);
                        record.name
                    })
                }
                2..=4 => match d.account(id).await.unwrap() {
                    None => "gone".to_owned(),
                    Some(mut record) => {
                        record.aliases = aliases.clone();
                        record.settings.insert("RealName".to_owned(), alias.into());
                        words(d.update_account(record, None).await, |r| format!("{:?}", r.aliases))
                    }
                },
                // Renames to itself and onto its own alias are left out: either answer is right.
                5..=6 => {
                    let record = d.account(id).await.unwrap();
                    if record.is_some_and(|r| r.name == name || r.aliases.iter().any(|n| n == name))
                    {
                        "its own".to_owned()
                    } else {
                        words(d.rename_account(id, domain, name).await, |record| record.name)
                    }
                }
                _ if a < 2 => "stays".to_owned(),
                _ => words(d.delete_account(id).await, |()| String::new()),
            }
        });
    }

    async fn numbers(&mut self) {
        let (a, name) = (self.account(), self.dice.of(&NAMES));
        // Chosen validities are near `NOW`; these are the same on both sides.
        let uid_validity = self.dice.one_in(2).then(|| UidValidity(self.dice.below(4) as u32));
        let mut number = || self.dice.one_in(3).then(|| Uid(self.dice.below(60) as u32));
        let (uid_next, own_from) = (number(), number());
        let pop_ids = self.dice.uids().into_iter();
        let pop_ids = pop_ids.map(|uid| (uid, format!("{}.{uid}", self.step).into())).collect();
        let patch = NumbersPatch { uid_validity, uid_next, own_from, pop_ids, ..<_>::default() };
        both!(self, |side| {
            let to = side.mailbox_id(a, name).await;
            let answer = side.store.mailboxes.keep_numbers(side.accounts[a], to, patch.clone());
            words(answer.await, |record| record.uid_next.to_string())
        });
    }

    async fn settings(&mut self) {
        let key = self.dice.of(&["SMTP", "IMAP"]);
        let key = SettingsKey::Module(key.to_owned());
        let value = BTreeMap::from([("Step".to_owned(), self.step.to_string().into())]);
        let expected = self.dice.one_in(2).then(|| self.dice.below(5) as u64);
        both!(self, |side| {
            let d = &side.store.directory;
            let answer = d.set_settings(&key, value.clone(), expected).await;
            let stored = d.settings(&key).await.unwrap();
            format!("{} {stored:?}", words(answer, |version| version.to_string()))
        });
    }

    async fn enqueue(&mut self) {
        let due: Vec<_> =
            (0..self.dice.below(4)).map(|_| self.now - 50 + self.dice.below(100) as i64).collect();
        let new = queued(&format!("queued {}", self.step), &due);
        both!(self, |side| {
            let answer = side.store.queue.enqueue(new.clone()).await;
            words(answer, |(id, _)| {
                side.queued.push(id);
                side.queued.len().to_string()
            })
        });
    }

    /// Leases what is due, settles some of what is held, and delivers now and then.
    async fn work(&mut self) {
        self.now += self.dice.below(80) as i64;
        let (now, seconds) = (self.now, 1 + self.dice.below(LEASE as usize) as i64);
        if self.dice.one_in(2) {
            let leased = both!(self, |side| {
                let work = side.store.queue.lease(now, 10_000, seconds).await.unwrap();
                let mut got = BTreeSet::new();
                for one in work {
                    let place = side.queued.iter().position(|id| *id == one.message.id).unwrap();
                    got.extend(one.recipients.iter().map(|recipient| (place, *recipient)));
                }
                got.iter().map(|(place, recipient)| format!("{place}:{recipient} ")).collect()
            });
            for one in leased.split_whitespace() {
                let (place, recipient) = one.split_once(':').unwrap();
                self.held.insert((place.parse().unwrap(), recipient.parse().unwrap()));
            }
        }
        let held: Vec<_> = self.held.iter().copied().collect();
        if held.is_empty() {
            return;
        }
        let (place, recipient) = self.dice.of(&held);
        self.held.remove(&(place, recipient));
        let step = match self.dice.below(6) {
            0..=1 => Step::Done,
            2 => Step::Failed { error: "never".to_owned() },
            3 => {
                let not_before = now + 1 + self.dice.below(200) as i64;
                Step::Retry { not_before, error: format!("later {}", self.step) }
            }
            4 => Step::Postponed { not_before: now + self.dice.below(50) as i64 },
            _ => Step::Rerouted { module: "SMTP".to_owned(), queue: format!("h{}", self.step) },
        };
        let a = self.account();
        let deliver = step == Step::Done && self.dice.one_in(2);
        both!(self, |side| {
            let id = side.queued[place];
            let message = side.store.queue.message(id).await.unwrap();
            let recipients = message.as_ref().map(|m| m.recipients.as_slice()).unwrap_or_default();
            let waits = recipients
                .get(recipient as usize)
                .is_some_and(|r| matches!(r.state, RecipientState::Waiting { .. }));
            let mut said = String::new();
            if let Some(message) = message.filter(|_| waits) {
                if deliver {
                    let body = MessageBody::Existing(message.body);
                    let origin = delivery("", 1000 + place as u64, recipient).origin;
                    let new = NewMessage { body, origin, ..mail("") };
                    let to = side.mailbox_id(a, "INBOX").await;
                    let m = &side.store.mailboxes;
                    let answer = m.append(side.accounts[a], to, vec![new]).await;
                    said = words(answer, |(_, appended)| format!("{appended:?}"));
                }
                let steps = vec![RecipientStep { recipient, step: step.clone() }];
                side.store.queue.settle(id, steps).await.unwrap();
            }
            format!("{waits} {said}")
        });
    }
}
