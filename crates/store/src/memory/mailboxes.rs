//! The mailboxes of one account in memory: names, trees, directories, validities.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use async_trait::async_trait;

use super::bodies::HeldBodies;
use super::messages::{self, Mailbox};
use super::{Ids, Memory, State, invalid, mail_of};
use crate::error::{Result, StoreError};
use crate::feed::Change;
use crate::flags::{FlagBits, FlagPart};
use crate::ids::{AccountId, MailboxId, ModSeq, Uid, UidValidity};
use crate::mailboxes::{
    Appended, AttributesPatch, Changes, Copied, FlagOutcome, FlagUpdate, MailboxRecord, Mailboxes,
    NewMailbox, Snapshot, Transfer,
};
use crate::message::{NewMessage, Origin};
use crate::numbers::NumbersPatch;

/// The one mailbox every account has.
const INBOX: &str = "INBOX";

/// All mail of one account.
#[derive(Default)]
pub(super) struct Mail {
    pub(super) boxes: BTreeMap<MailboxId, Mailbox>,
    names: BTreeMap<String, MailboxId>,
    /// Every validity ever used, so that no name sees one again with other mail.
    validities: BTreeSet<UidValidity>,
    /// The deliveries that were appended.
    pub(super) delivered: BTreeSet<Origin>,
}

/// Directories above a name, the outermost first.
fn parents(name: &str) -> impl DoubleEndedIterator<Item = &str> {
    name.match_indices('/').filter_map(move |(at, _)| name.get(..at))
}

/// True when `name` lies below `parent`.
fn is_below(name: &str, parent: &str) -> bool {
    name.strip_prefix(parent).is_some_and(|rest| rest.starts_with('/'))
}

fn check_name(name: &str) -> Result<()> {
    if name.len() > NewMailbox::MAX_NAME || name.split('/').any(str::is_empty) {
        return invalid("a mailbox name has non-empty levels and a bounded length");
    }
    Ok(())
}

impl Mail {
    /// The mail of a new account: an empty INBOX.
    pub(super) fn with_inbox(ids: &mut Ids, now: i64) -> Self {
        let mut mail = Self::default();
        let validity = mail.fresh_validity(now);
        mail.insert(ids, INBOX, true, validity);
        mail
    }

    pub(super) fn get(&self, id: MailboxId) -> Result<&Mailbox> {
        self.boxes.get(&id).ok_or(StoreError::NotFound("mailbox"))
    }

    pub(super) fn get_mut(&mut self, id: MailboxId) -> Result<&mut Mailbox> {
        self.boxes.get_mut(&id).ok_or(StoreError::NotFound("mailbox"))
    }

    fn named(&self, name: &str) -> Option<MailboxId> {
        self.names.get(name).copied()
    }

    fn has_children(&self, name: &str) -> bool {
        let first = format!("{name}/");
        let next = self.names.range::<str, _>((Bound::Included(first.as_str()), Bound::Unbounded));
        next.map(|(name, _)| name).next().is_some_and(|name| name.starts_with(&first))
    }

    fn remove(&mut self, id: MailboxId) -> Option<Mailbox> {
        let gone = self.boxes.remove(&id)?;
        self.names.remove(&gone.facts.name);
        Some(gone)
    }

    fn record(&self, id: MailboxId) -> Result<MailboxRecord> {
        Ok(self.get(id)?.record())
    }

    fn records(&self, ids: &[MailboxId]) -> Result<Vec<MailboxRecord>> {
        let mut all: Vec<_> = ids.iter().map(|id| self.record(*id)).collect::<Result<_>>()?;
        all.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(all)
    }

    /// A validity this account never used, at least `now`.
    fn fresh_validity(&mut self, now: i64) -> UidValidity {
        let mut validity = u32::try_from(now.max(1)).unwrap_or(1);
        while !self.validities.insert(UidValidity(validity)) {
            validity = validity.checked_add(1).unwrap_or(1);
        }
        UidValidity(validity)
    }

    fn insert(
        &mut self,
        ids: &mut Ids,
        name: &str,
        selectable: bool,
        validity: UidValidity,
    ) -> MailboxId {
        let id = MailboxId(ids.take());
        self.boxes.insert(id, Mailbox::new(id, name, selectable, validity));
        self.names.insert(name.to_owned(), id);
        id
    }

    /// Makes the directories above a name that are not there.
    fn make_parents(&mut self, ids: &mut Ids, name: &str, now: i64) -> Vec<MailboxId> {
        let mut made = Vec::new();
        for parent in parents(name) {
            if self.named(parent).is_none() {
                let validity = self.fresh_validity(now);
                made.push(self.insert(ids, parent, false, validity));
            }
        }
        made
    }

    /// Removes the directories above a name that have no children any more.
    fn prune_parents(&mut self, name: &str) -> Vec<MailboxId> {
        let mut removed = Vec::new();
        for parent in parents(name).rev() {
            let Some(id) = self.named(parent) else { continue };
            if self.boxes[&id].facts.selectable || self.has_children(parent) {
                break;
            }
            self.remove(id);
            removed.push(id);
        }
        removed
    }

    /// Makes a mailbox or directory; answers it and everything that is new or changed.
    pub(super) fn create(
        &mut self,
        ids: &mut Ids,
        new: NewMailbox,
    ) -> Result<(MailboxId, Vec<MailboxId>)> {
        check_name(&new.name)?;
        if new.uid_validity == Some(UidValidity(0)) {
            return invalid("a validity is never 0");
        }
        let there = self.named(&new.name);
        if let Some(id) = there
            && (self.get(id)?.facts.selectable || !new.selectable)
        {
            return Err(StoreError::Exists("mailbox"));
        }
        let mut changed = self.make_parents(ids, &new.name, new.now);
        for parent in &changed {
            self.get_mut(*parent)?.facts.acl.clone_from(&new.acl);
        }
        let validity = match new.uid_validity {
            Some(kept) => {
                self.validities.insert(kept);
                kept
            }
            None => self.fresh_validity(new.now),
        };
        let id = there.unwrap_or_else(|| self.insert(ids, &new.name, new.selectable, validity));
        let facts = &mut self.get_mut(id)?.facts;
        facts.selectable = new.selectable;
        facts.uid_validity = validity;
        facts.class = new.class;
        facts.special_use = new.special_use;
        facts.acl = new.acl;
        changed.push(id);
        Ok((id, changed))
    }

    /// Removes a mailbox; answers what is no more and the directory left in its place.
    fn delete(
        &mut self,
        ids: &mut Ids,
        bodies: &mut HeldBodies,
        id: MailboxId,
    ) -> Result<(Vec<MailboxId>, Option<MailboxId>)> {
        let facts = self.get(id)?.facts.clone();
        let parent = self.has_children(&facts.name);
        if facts.name == INBOX {
            return invalid("INBOX cannot be removed");
        }
        if parent && !facts.selectable {
            return invalid("a directory with mailboxes in it cannot be removed");
        }
        if let Some(gone) = self.remove(id) {
            gone.entries.values().for_each(|entry| bodies.release(entry.body));
        }
        let mut removed = vec![id];
        if parent {
            // A new id: nothing that was known of the mailbox holds for the directory.
            let directory = self.insert(ids, &facts.name, false, facts.uid_validity);
            self.get_mut(directory)?.facts.acl = facts.acl;
            return Ok((removed, Some(directory)));
        }
        removed.extend(self.prune_parents(&facts.name));
        Ok((removed, None))
    }
}

/// Renames a tree that is not INBOX.
fn rename(mail: &mut Mail, ids: &mut Ids, from: &str, to: &str, now: i64) -> Result<Renamed> {
    let tree: Vec<MailboxId> = mail
        .boxes
        .values()
        .filter(|mailbox| mailbox.facts.name == from || is_below(&mailbox.facts.name, from))
        .map(|mailbox| mailbox.facts.id)
        .collect();
    let mut changed = mail.make_parents(ids, to, now);
    for id in &tree {
        let old = mail.get(*id)?.facts.name.clone();
        let new = format!("{to}{}", old.strip_prefix(from).unwrap_or_default());
        mail.names.remove(&old);
        mail.names.insert(new.clone(), *id);
        mail.get_mut(*id)?.facts.name = new;
    }
    changed.extend(&tree);
    Ok(Renamed { removed: mail.prune_parents(from), changed, tree })
}

/// What a rename did.
struct Renamed {
    removed: Vec<MailboxId>,
    changed: Vec<MailboxId>,
    tree: Vec<MailboxId>,
}

#[async_trait]
impl Mailboxes for Memory {
    async fn list(&self, account: AccountId) -> Result<Vec<MailboxRecord>> {
        self.read(|state| {
            let mail = state.mail(account)?;
            mail.records(&mail.boxes.keys().copied().collect::<Vec<_>>())
        })
    }

    async fn get(&self, account: AccountId, mailbox: MailboxId) -> Result<MailboxRecord> {
        self.read(|state| state.mail(account)?.record(mailbox))
    }

    async fn create(&self, account: AccountId, new: NewMailbox) -> Result<MailboxRecord> {
        self.change(|state, told| {
            let mail = mail_of(&mut state.mail, account)?;
            let (id, changed) = mail.create(&mut state.ids, new)?;
            let changed = mail.records(&changed)?;
            told.push(Change::Mailboxes { account, removed: Vec::new(), changed });
            mail.record(id)
        })
    }

    async fn delete(&self, account: AccountId, mailbox: MailboxId) -> Result<()> {
        self.change(|state, told| {
            let mail = mail_of(&mut state.mail, account)?;
            let (removed, left) = mail.delete(&mut state.ids, &mut state.bodies, mailbox)?;
            let changed = mail.records(left.as_slice())?;
            told.push(Change::Mailboxes { account, removed, changed });
            Ok(())
        })
    }

    async fn rename_tree(
        &self,
        account: AccountId,
        from: &str,
        to: &str,
        now: i64,
    ) -> Result<Vec<MailboxRecord>> {
        self.change(|state, told| {
            let State { mail, ids, bodies, .. } = state;
            let mail = mail_of(mail, account)?;
            let source = mail.named(from).ok_or(StoreError::NotFound("mailbox"))?;
            check_name(to)?;
            if mail.named(to).is_some() {
                return Err(StoreError::Exists("mailbox"));
            }
            if from == INBOX {
                let new =
                    NewMailbox { name: to.to_owned(), selectable: true, now, ..<_>::default() };
                let (id, changed) = mail.create(ids, new)?;
                let changed = mail.records(&changed)?;
                told.push(Change::Mailboxes { account, removed: Vec::new(), changed });
                let uids: Vec<Uid> = mail.get(source)?.entries.keys().copied().collect();
                let flags = FlagPart::ALL;
                let way = Transfer { from: source, to: id, keep: false, flags, save_date: now };
                messages::transfer(mail, bodies, told, (account, way), &uids)?;
                return mail.records(&[id]);
            }
            if is_below(to, from) {
                return invalid("a mailbox cannot move below itself");
            }
            let longest = mail.boxes.values().map(|mailbox| &mailbox.facts.name);
            let longest = longest.filter(|name| is_below(name, from)).map(String::len).max();
            let growth = longest.map_or(0, |longest| longest - from.len());
            if to.len() + growth > NewMailbox::MAX_NAME {
                return invalid("a mailbox name has a bounded length");
            }
            let renamed = rename(mail, ids, from, to, now)?;
            let changed = mail.records(&renamed.changed)?;
            told.push(Change::Mailboxes { account, removed: renamed.removed, changed });
            mail.records(&renamed.tree)
        })
    }

    async fn set_attributes(
        &self,
        account: AccountId,
        mailbox: MailboxId,
        patch: AttributesPatch,
    ) -> Result<MailboxRecord> {
        self.change(|state, told| {
            let mail = mail_of(&mut state.mail, account)?;
            let facts = &mut mail.get_mut(mailbox)?.facts;
            if patch.uid_next.is_some_and(|next| next < facts.uid_next) {
                return invalid("UIDNEXT may only grow");
            }
            if !patch.annotations.is_empty() {
                let annotations = facts.annotations.changed(&patch.annotations);
                facts.annotations =
                    annotations.map_err(|bound| StoreError::Invalid(bound.to_string()))?;
            }
            facts.uid_next = patch.uid_next.unwrap_or(facts.uid_next);
            facts.first_recent = facts.first_recent.max(patch.first_recent.unwrap_or_default());
            if let Some(class) = patch.class {
                facts.class = class;
            }
            if let Some(special_use) = patch.special_use {
                facts.special_use = special_use;
            }
            if let Some(acl) = patch.acl {
                facts.acl = acl;
            }
            let changed = mail.records(&[mailbox])?;
            told.push(Change::Mailboxes { account, removed: Vec::new(), changed });
            mail.record(mailbox)
        })
    }

    async fn keep_numbers(
        &self,
        account: AccountId,
        id: MailboxId,
        patch: NumbersPatch,
    ) -> Result<MailboxRecord> {
        self.change(|state, told| {
            let mail = mail_of(&mut state.mail, account)?;
            let ids = mail.get_mut(id)?.keep_numbers(&patch)?;
            let changed = mail.records(&[id])?;
            mail.validities.extend(changed.iter().map(|record| record.uid_validity));
            told.push(Change::Mailboxes { account, removed: Vec::new(), changed });
            if !ids.is_empty() {
                told.push(Change::PopIds { account, mailbox: id, ids });
            }
            mail.record(id)
        })
    }

    async fn append(
        &self,
        account: AccountId,
        mailbox: MailboxId,
        new: Vec<NewMessage>,
    ) -> Result<(MailboxRecord, Vec<Appended>)> {
        self.change(|state, told| {
            let mail = mail_of(&mut state.mail, account)?;
            messages::append(mail, &mut state.bodies, told, account, mailbox, new)
        })
    }

    async fn was_delivered(&self, account: AccountId, origin: Origin) -> Result<bool> {
        self.read(|state| Ok(state.mail(account)?.delivered.contains(&origin)))
    }

    async fn snapshot(&self, account: AccountId, mailbox: MailboxId) -> Result<Snapshot> {
        self.read(|state| {
            let mailbox = state.mail(account)?.get(mailbox)?;
            let entries = mailbox.entries.values().cloned().collect();
            Ok(Snapshot { mailbox: mailbox.record(), entries })
        })
    }

    async fn changes(
        &self,
        account: AccountId,
        mailbox: MailboxId,
        since: ModSeq,
    ) -> Result<Changes> {
        self.read(|state| Ok(state.mail(account)?.get(mailbox)?.changes(since)))
    }

    async fn vanished(
        &self,
        account: AccountId,
        mailbox: MailboxId,
        since: ModSeq,
    ) -> Result<Vec<Uid>> {
        self.read(|state| Ok(state.mail(account)?.get(mailbox)?.changes(since).vanished))
    }

    async fn change_flags(
        &self,
        account: AccountId,
        mailbox: MailboxId,
        update: FlagUpdate,
    ) -> Result<FlagOutcome> {
        self.change(|state, told| {
            let mailbox = mail_of(&mut state.mail, account)?.get_mut(mailbox)?;
            let outcome = mailbox.change_flags(&update);
            if !outcome.changed.is_empty() {
                let (mailbox, changed) = (mailbox.record(), outcome.changed.clone());
                told.push(Change::Flags { account, mailbox, changed });
            }
            Ok(outcome)
        })
    }

    async fn transfer(&self, account: AccountId, way: Transfer, uids: &[Uid]) -> Result<Copied> {
        self.change(|state, told| {
            let mail = mail_of(&mut state.mail, account)?;
            messages::transfer(mail, &mut state.bodies, told, (account, way), uids)
        })
    }

    async fn expunge(
        &self,
        account: AccountId,
        mailbox: MailboxId,
        uids: &[Uid],
        only_deleted: bool,
    ) -> Result<Vec<Uid>> {
        self.change(|state, told| {
            let mailbox = mail_of(&mut state.mail, account)?.get_mut(mailbox)?;
            let gone = mailbox.expunge(&mut state.bodies, uids, only_deleted);
            if !gone.is_empty() {
                let (mailbox, uids) = (mailbox.record(), gone.clone());
                let modseq = mailbox.highest_modseq;
                told.push(Change::Expunged { account, mailbox, uids, modseq });
            }
            Ok(gone)
        })
    }

    async fn kept_back(&self, account: AccountId) -> Result<Vec<MailboxId>> {
        self.read(|state| {
            let boxes = state.mail(account)?.boxes.iter();
            let keeps = |mailbox: &Mailbox| {
                mailbox.entries.values().any(|e| e.flags.bits.0 & FlagBits::KEPT_BACK.0 != 0)
            };
            Ok(boxes.filter(|(_, mailbox)| keeps(mailbox)).map(|(id, _)| *id).collect())
        })
    }

    async fn usage(&self, account: AccountId) -> Result<(u64, u64)> {
        self.read(|state| {
            let entries = || {
                let boxes = state.mail.get(&account).into_iter().flat_map(|m| m.boxes.values());
                boxes.flat_map(|mailbox| mailbox.entries.values())
            };
            state.mail(account)?;
            Ok((entries().map(|entry| entry.size).sum(), entries().count() as u64))
        })
    }
}
