//! Decisions on mailboxes: names, trees, directories, validities, attributes.

use std::collections::BTreeMap;

use angarium_objects::value::Dictionary;
use angarium_store::{
    AccountId, AttributesPatch, FlagPart, MailboxId, MailboxRecord, NewMailbox, NumbersPatch,
    PopId, Result, StoreError, Transfer, Uid, UidValidity,
};
use rusqlite::Connection;

use super::messages::{must_be_selectable, transfer_records};
use super::{check_account, invalid, mailbox};
use crate::index::apply_mail::MAILBOX_SHARD_BIT;
use crate::index::{mail_rows, sweep};
use crate::record::Record;
use crate::writer::Batch;

const INBOX: &str = "INBOX";

/// The tree of one account's mailboxes while an operation changes it: what the index holds, and
/// what the operation made of it. Only what is asked for is read, however many there are.
struct Tree<'a> {
    account: AccountId,
    shard: u32,
    index: &'a Connection,
    /// New or changed.
    touched: BTreeMap<MailboxId, MailboxRecord>,
    removed: Vec<MailboxId>,
    next_id: u64,
    validity: u32,
}

/// Directories above a name, the outermost first.
fn parents(name: &str) -> impl DoubleEndedIterator<Item = &str> {
    name.match_indices('/').filter_map(move |(at, _)| name.get(..at))
}

fn is_below(name: &str, parent: &str) -> bool {
    name.strip_prefix(parent).is_some_and(|rest| rest.starts_with('/'))
}

fn check_name(name: &str) -> Result<()> {
    if name.len() > NewMailbox::MAX_NAME || name.split('/').any(str::is_empty) {
        return invalid("a mailbox name has non-empty levels and a bounded length");
    }
    Ok(())
}

impl<'a> Tree<'a> {
    fn open(batch: &mut Batch<'a>, account: AccountId) -> Result<Self> {
        let validity =
            batch.tx.one("SELECT validity FROM mail_accounts WHERE id=?1", [account.0], |row| {
                row.get(0)
            })?;
        let validity: u32 = validity.ok_or(StoreError::NotFound("account"))?;
        batch.tx.flush()?;
        Ok(Self { validity, ..Self::empty(batch, account) })
    }

    fn empty(batch: &Batch<'a>, account: AccountId) -> Self {
        Self {
            account,
            shard: batch.shard(),
            index: batch.tx.db,
            touched: BTreeMap::new(),
            removed: Vec::new(),
            next_id: batch.tx.hot.counters.next_mailbox,
            validity: 0,
        }
    }

    /// True when the index tells how a mailbox is.
    fn is_as_stored(&self, id: MailboxId) -> bool {
        !self.touched.contains_key(&id) && !self.removed.contains(&id)
    }

    fn named(&self, name: &str) -> Result<Option<MailboxRecord>> {
        if let Some(record) = self.touched.values().find(|m| m.name == name) {
            return Ok(Some(record.clone()));
        }
        let stored = mail_rows::mailbox_named(self.index, self.account, name)?;
        Ok(stored.filter(|m| self.is_as_stored(m.id)))
    }

    fn get(&self, id: MailboxId) -> Result<MailboxRecord> {
        if let Some(record) = self.touched.get(&id) {
            return Ok(record.clone());
        }
        match mail_rows::mailbox(self.index, id)? {
            Some((account, record)) if account == self.account && self.is_as_stored(id) => {
                Ok(record)
            }
            _ => Err(StoreError::NotFound("mailbox")),
        }
    }

    fn touch(&mut self, record: MailboxRecord) {
        self.touched.insert(record.id, record);
    }

    fn has_children(&self, name: &str) -> Result<bool> {
        if self.touched.values().any(|m| is_below(&m.name, name)) {
            return Ok(true);
        }
        mail_rows::is_parent(self.index, self.account, name, |id| self.is_as_stored(id))
    }

    /// A validity this account never chose before, at least `now`.
    fn fresh_validity(&mut self, now: i64) -> UidValidity {
        let now = u32::try_from(now.max(1)).unwrap_or(1);
        self.validity = now.max(self.validity.saturating_add(1));
        UidValidity(self.validity)
    }

    fn insert(
        &mut self,
        name: &str,
        selectable: bool,
        uid_validity: UidValidity,
        acl: &Dictionary,
    ) -> MailboxId {
        let id = MailboxId(u64::from(self.shard) << MAILBOX_SHARD_BIT | self.next_id);
        self.next_id += 1;
        self.touch(MailboxRecord {
            acl: acl.clone(),
            ..MailboxRecord::new(id, name, selectable, uid_validity)
        });
        id
    }

    fn make_parents(&mut self, name: &str, now: i64, acl: &Dictionary) -> Result<()> {
        for parent in parents(name) {
            if self.named(parent)?.is_none() {
                let validity = self.fresh_validity(now);
                self.insert(parent, false, validity, acl);
            }
        }
        Ok(())
    }

    fn remove(&mut self, id: MailboxId) {
        self.touched.remove(&id);
        self.removed.push(id);
    }

    /// Removes the directories above a name that have no children any more.
    fn prune_parents(&mut self, name: &str) -> Result<()> {
        for parent in parents(name).rev() {
            let Some(found) = self.named(parent)? else { continue };
            if found.selectable || self.has_children(parent)? {
                break;
            }
            self.remove(found.id);
        }
        Ok(())
    }

    fn create(&mut self, new: NewMailbox) -> Result<MailboxId> {
        check_name(&new.name)?;
        if new.uid_validity == Some(UidValidity(0)) {
            return invalid("a validity is never 0");
        }
        let there = self.named(&new.name)?;
        if there.as_ref().is_some_and(|m| m.selectable || !new.selectable) {
            return Err(StoreError::Exists("mailbox"));
        }
        self.make_parents(&new.name, new.now, &new.acl)?;
        let validity = match new.uid_validity {
            Some(kept) => kept,
            None => self.fresh_validity(new.now),
        };
        let id = match there {
            Some(directory) => directory.id,
            None => self.insert(&new.name, new.selectable, validity, &new.acl),
        };
        let mut record = self.get(id)?;
        record.selectable = new.selectable;
        record.uid_validity = validity;
        record.class = new.class;
        record.special_use = new.special_use;
        record.acl = new.acl;
        self.touch(record);
        Ok(id)
    }

    /// The record that makes the index as this tree is.
    fn record(&self) -> Record {
        let mut put: Vec<MailboxRecord> = self.touched.values().cloned().collect();
        put.sort_by(|a, b| a.name.cmp(&b.name));
        Record::Mailboxes { account: self.account, removed: self.removed.clone(), put }
    }

    fn write(&self, batch: &mut Batch<'_>) -> Result<()> {
        batch.write(&[self.record()], Vec::new())
    }
}

/// Room for a new account's mail: an empty INBOX, and these mailboxes beside it.
pub(crate) fn make_account(
    batch: &mut Batch<'_>,
    account: AccountId,
    mailboxes: Vec<NewMailbox>,
    now: i64,
) -> Result<()> {
    if check_account(batch, account).is_ok() {
        return Err(StoreError::Exists("account"));
    }
    let mut tree = Tree::empty(batch, account);
    let validity = tree.fresh_validity(now);
    tree.insert(INBOX, true, validity, &Dictionary::new());
    for mailbox in mailboxes {
        tree.create(mailbox)?;
    }
    batch.write(&[Record::AccountMade { account }, tree.record()], Vec::new())
}

/// Removes all mail of an account; nothing to do if there is none.
pub(crate) fn purge_account(batch: &mut Batch<'_>, account: AccountId) -> Result<()> {
    match check_account(batch, account) {
        Ok(()) => batch.write(&[Record::AccountPurged { account }], Vec::new()),
        Err(StoreError::NotFound(_)) => Ok(()),
        Err(error) => Err(error),
    }
}

pub(crate) fn create(
    batch: &mut Batch<'_>,
    account: AccountId,
    new: NewMailbox,
) -> Result<MailboxRecord> {
    let mut tree = Tree::open(batch, account)?;
    let id = tree.create(new)?;
    tree.write(batch)?;
    tree.get(id)
}

pub(crate) fn delete(batch: &mut Batch<'_>, account: AccountId, id: MailboxId) -> Result<()> {
    let mut tree = Tree::open(batch, account)?;
    let facts = tree.get(id)?;
    let is_parent = tree.has_children(&facts.name)?;
    if facts.name == INBOX {
        return invalid("INBOX cannot be removed");
    }
    if is_parent && !facts.selectable {
        return invalid("a directory with mailboxes in it cannot be removed");
    }
    tree.remove(id);
    if is_parent {
        // A new id: nothing that was known of the mailbox holds for the directory.
        tree.insert(&facts.name, false, facts.uid_validity, &facts.acl);
    } else {
        tree.prune_parents(&facts.name)?;
    }
    tree.write(batch)
}

pub(crate) fn rename_tree(
    batch: &mut Batch<'_>,
    account: AccountId,
    from: &str,
    to: &str,
    now: i64,
) -> Result<Vec<MailboxRecord>> {
    let mut tree = Tree::open(batch, account)?;
    let source = tree.named(from)?.ok_or(StoreError::NotFound("mailbox"))?;
    check_name(to)?;
    if tree.named(to)?.is_some() {
        return Err(StoreError::Exists("mailbox"));
    }
    if from == INBOX {
        return rename_inbox(batch, tree, source.id, to, now);
    }
    if is_below(to, from) {
        return invalid("a mailbox cannot move below itself");
    }
    let mut moved = vec![source];
    moved.extend(mail_rows::mailboxes_below(batch.tx.db, account, from)?);
    let longest = moved.iter().map(|m| m.name.len()).max();
    let growth = longest.unwrap_or(0).saturating_sub(from.len());
    if to.len() + growth > NewMailbox::MAX_NAME {
        return invalid("a mailbox name has a bounded length");
    }
    tree.make_parents(to, now, &Dictionary::new())?;
    for record in &mut moved {
        let below = record.name.strip_prefix(from).unwrap_or_default();
        record.name = format!("{to}{below}");
        tree.touch(record.clone());
    }
    tree.prune_parents(from)?;
    tree.write(batch)?;
    moved.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(moved)
}

/// RFC 9051 section 6.3.6: the messages go, INBOX and what is below it stays.
fn rename_inbox(
    batch: &mut Batch<'_>,
    mut tree: Tree<'_>,
    source: MailboxId,
    to: &str,
    now: i64,
) -> Result<Vec<MailboxRecord>> {
    let new = NewMailbox { name: to.to_owned(), selectable: true, now, ..<_>::default() };
    let id = tree.create(new)?;
    let target = tree.get(id)?;
    let uids: Vec<Uid> = batch.tx.all(
        "SELECT uid FROM messages WHERE mailbox=?1 ORDER BY uid",
        [source.0],
        |row| row.get(0).map(Uid),
    )?;
    let inbox = tree.get(source)?;
    let flags = FlagPart::ALL;
    let way = Transfer { from: source, to: id, keep: false, flags, save_date: now };
    let mut records = vec![tree.record()];
    let pairs = super::messages::pairs(&uids, &target)?;
    transfer_records(&mut records, tree.account, way, &inbox, &target, &pairs);
    batch.write(&records, Vec::new())?;
    Ok(vec![mailbox(batch, tree.account, id)?.clone()])
}

pub(crate) fn keep_numbers(
    batch: &mut Batch<'_>,
    account: AccountId,
    id: MailboxId,
    patch: &NumbersPatch,
) -> Result<MailboxRecord> {
    let record = mailbox(batch, account, id)?.clone();
    must_be_selectable(&record)?;
    if let Some(fault) = patch.fault(record.uid_validity, record.messages) {
        return invalid(fault);
    }
    let put = vec![patch.applied(&record)];
    let mut records = vec![Record::Mailboxes { account, removed: Vec::new(), put }];
    let given: BTreeMap<Uid, PopId> = patch.pop_ids.iter().cloned().collect();
    let uids: Vec<Uid> = given.keys().copied().collect();
    let there = sweep::flags(batch.tx.db, id, &uids)?;
    let ids: Vec<(Uid, PopId)> =
        there.iter().filter_map(|(uid, ..)| Some((*uid, given.get(uid)?.clone()))).collect();
    if !ids.is_empty() {
        records.push(Record::PopIds { account, mailbox: id, ids });
    }
    batch.write(&records, Vec::new())?;
    Ok(mailbox(batch, account, id)?.clone())
}

pub(crate) fn set_attributes(
    batch: &mut Batch<'_>,
    account: AccountId,
    id: MailboxId,
    patch: AttributesPatch,
) -> Result<MailboxRecord> {
    if let Some(first) = patch.first_recent
        && patch == (AttributesPatch { first_recent: Some(first), ..<_>::default() })
    {
        mailbox(batch, account, id)?;
        batch.write(&[Record::Recent { account, mailbox: id, first }], Vec::new())?;
        return Ok(mailbox(batch, account, id)?.clone());
    }
    let mut record = mailbox(batch, account, id)?.clone();
    if patch.uid_next.is_some_and(|next| next < record.uid_next) {
        return invalid("UIDNEXT may only grow");
    }
    if !patch.annotations.is_empty() {
        let annotations = record.annotations.changed(&patch.annotations);
        record.annotations = annotations.map_err(|bound| StoreError::Invalid(bound.to_string()))?;
    }
    record.uid_next = patch.uid_next.unwrap_or(record.uid_next);
    record.first_recent = record.first_recent.max(patch.first_recent.unwrap_or_default());
    if let Some(class) = patch.class {
        record.class = class;
    }
    if let Some(special_use) = patch.special_use {
        record.special_use = special_use;
    }
    if let Some(acl) = patch.acl {
        record.acl = acl;
    }
    let put = vec![record.clone()];
    batch.write(&[Record::Mailboxes { account, removed: Vec::new(), put }], Vec::new())?;
    Ok(record)
}
