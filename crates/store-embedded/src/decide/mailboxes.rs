//! Decisions on mailboxes: names, trees, directories, validities, attributes.

use angarium_store::{
    AccountId, AttributesPatch, MailboxId, MailboxRecord, ModSeq, NewMailbox, Result, StoreError,
    Uid, UidValidity,
};

use super::messages::{Way, transfer_records};
use super::{check_account, invalid, mailbox};
use crate::index::apply_mail::MAILBOX_SHARD_BIT;
use crate::index::mail_rows;
use crate::record::Record;
use crate::writer::Batch;

const INBOX: &str = "INBOX";

/// The mailboxes of one account while an operation changes their tree.
struct Tree {
    account: AccountId,
    shard: u32,
    all: Vec<MailboxRecord>,
    next_id: u64,
    validity: u32,
    removed: Vec<MailboxId>,
    changed: Vec<MailboxId>,
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

impl Tree {
    fn load(batch: &mut Batch<'_>, account: AccountId) -> Result<Self> {
        let validity =
            batch.tx.one("SELECT validity FROM mail_accounts WHERE id=?1", [account.0], |row| {
                row.get(0)
            })?;
        let validity: u32 = validity.ok_or(StoreError::NotFound("account"))?;
        batch.tx.flush()?;
        Ok(Self {
            account,
            shard: batch.shard(),
            all: mail_rows::mailboxes(batch.tx.db, account)?,
            next_id: batch.tx.hot.counters.next_mailbox,
            validity,
            removed: Vec::new(),
            changed: Vec::new(),
        })
    }

    fn empty(batch: &Batch<'_>, account: AccountId) -> Self {
        Self {
            account,
            shard: batch.shard(),
            all: Vec::new(),
            next_id: batch.tx.hot.counters.next_mailbox,
            validity: 0,
            removed: Vec::new(),
            changed: Vec::new(),
        }
    }

    fn named(&self, name: &str) -> Option<&MailboxRecord> {
        self.all.iter().find(|m| m.name == name)
    }

    fn get(&self, id: MailboxId) -> Result<&MailboxRecord> {
        self.all.iter().find(|m| m.id == id).ok_or(StoreError::NotFound("mailbox"))
    }

    fn get_mut(&mut self, id: MailboxId) -> Result<&mut MailboxRecord> {
        self.all.iter_mut().find(|m| m.id == id).ok_or(StoreError::NotFound("mailbox"))
    }

    fn has_children(&self, name: &str) -> bool {
        self.all.iter().any(|m| is_below(&m.name, name))
    }

    /// A validity this account never chose before, at least `now`.
    fn fresh_validity(&mut self, now: i64) -> UidValidity {
        let now = u32::try_from(now.max(1)).unwrap_or(1);
        self.validity = now.max(self.validity.saturating_add(1));
        UidValidity(self.validity)
    }

    fn insert(&mut self, name: &str, selectable: bool, uid_validity: UidValidity) -> MailboxId {
        let id = MailboxId(u64::from(self.shard) << MAILBOX_SHARD_BIT | self.next_id);
        self.next_id += 1;
        self.all.push(MailboxRecord {
            id,
            name: name.to_owned(),
            selectable,
            uid_validity,
            uid_next: Uid(1),
            highest_modseq: ModSeq(1),
            messages: 0,
            unseen: 0,
            deleted: 0,
            size: 0,
            first_recent: Uid(1),
            class: String::new(),
            special_use: String::new(),
            acl: Default::default(),
            annotations: Default::default(),
        });
        self.changed.push(id);
        id
    }

    fn make_parents(&mut self, name: &str, now: i64) {
        for parent in parents(name) {
            if self.named(parent).is_none() {
                let validity = self.fresh_validity(now);
                self.insert(parent, false, validity);
            }
        }
    }

    fn remove(&mut self, id: MailboxId) {
        self.all.retain(|m| m.id != id);
        self.removed.push(id);
    }

    /// Removes the directories above a name that have no children any more.
    fn prune_parents(&mut self, name: &str) {
        for parent in parents(name).rev() {
            let Some(found) = self.named(parent) else { continue };
            if found.selectable || self.has_children(parent) {
                break;
            }
            let id = found.id;
            self.remove(id);
        }
    }

    fn create(&mut self, new: NewMailbox) -> Result<MailboxId> {
        check_name(&new.name)?;
        if new.uid_validity == Some(UidValidity(0)) {
            return invalid("a validity is never 0");
        }
        let there = self.named(&new.name).map(|m| (m.id, m.selectable));
        if there.is_some_and(|(_, selectable)| selectable || !new.selectable) {
            return Err(StoreError::Exists("mailbox"));
        }
        self.make_parents(&new.name, new.now);
        let validity = match new.uid_validity {
            Some(kept) => kept,
            None => self.fresh_validity(new.now),
        };
        let id = match there {
            Some((id, _)) => {
                self.changed.push(id);
                id
            }
            None => self.insert(&new.name, new.selectable, validity),
        };
        let record = self.get_mut(id)?;
        record.selectable = new.selectable;
        record.uid_validity = validity;
        record.class = new.class;
        record.special_use = new.special_use;
        record.acl = new.acl;
        Ok(id)
    }

    /// The record that makes the index as this tree is.
    fn record(&self) -> Result<Record> {
        let mut put: Vec<MailboxRecord> =
            self.changed.iter().map(|id| self.get(*id).cloned()).collect::<Result<_>>()?;
        put.sort_by(|a, b| a.name.cmp(&b.name));
        put.dedup_by_key(|m| m.id);
        Ok(Record::Mailboxes { account: self.account, removed: self.removed.clone(), put })
    }

    fn write(&self, batch: &mut Batch<'_>) -> Result<()> {
        batch.write(&[self.record()?], Vec::new())
    }
}

/// Room for a new account's mail: an empty INBOX.
pub(crate) fn make_account(batch: &mut Batch<'_>, account: AccountId, now: i64) -> Result<()> {
    if check_account(batch, account).is_ok() {
        return Err(StoreError::Exists("account"));
    }
    let mut tree = Tree::empty(batch, account);
    let validity = tree.fresh_validity(now);
    tree.insert(INBOX, true, validity);
    batch.write(&[Record::AccountMade { account }, tree.record()?], Vec::new())
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
    let mut tree = Tree::load(batch, account)?;
    let id = tree.create(new)?;
    tree.write(batch)?;
    tree.get(id).cloned()
}

pub(crate) fn delete(batch: &mut Batch<'_>, account: AccountId, id: MailboxId) -> Result<()> {
    let mut tree = Tree::load(batch, account)?;
    let facts = tree.get(id)?.clone();
    let is_parent = tree.has_children(&facts.name);
    if facts.name == INBOX {
        return invalid("INBOX cannot be removed");
    }
    if is_parent && !facts.selectable {
        return invalid("a directory with mailboxes in it cannot be removed");
    }
    tree.remove(id);
    if is_parent {
        // A new id: nothing that was known of the mailbox holds for the directory.
        tree.insert(&facts.name, false, facts.uid_validity);
    } else {
        tree.prune_parents(&facts.name);
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
    let mut tree = Tree::load(batch, account)?;
    let source = tree.named(from).ok_or(StoreError::NotFound("mailbox"))?.id;
    check_name(to)?;
    if tree.named(to).is_some() {
        return Err(StoreError::Exists("mailbox"));
    }
    if from == INBOX {
        return rename_inbox(batch, tree, source, to, now);
    }
    if is_below(to, from) {
        return invalid("a mailbox cannot move below itself");
    }
    let moved: Vec<MailboxId> = tree
        .all
        .iter()
        .filter(|m| m.name == from || is_below(&m.name, from))
        .map(|m| m.id)
        .collect();
    let longest = moved.iter().filter_map(|id| tree.get(*id).ok()).map(|m| m.name.len()).max();
    let growth = longest.unwrap_or(0).saturating_sub(from.len());
    if to.len() + growth > NewMailbox::MAX_NAME {
        return invalid("a mailbox name has a bounded length");
    }
    tree.make_parents(to, now);
    for id in &moved {
        let name = &mut tree.get_mut(*id)?.name;
        let below = name.strip_prefix(from).unwrap_or_default();
        *name = format!("{to}{below}");
        tree.changed.push(*id);
    }
    tree.prune_parents(from);
    tree.write(batch)?;
    let mut records: Vec<MailboxRecord> =
        moved.iter().map(|id| tree.get(*id).cloned()).collect::<Result<_>>()?;
    records.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(records)
}

/// RFC 9051 section 6.3.6: the messages go, INBOX and what is below it stays.
fn rename_inbox(
    batch: &mut Batch<'_>,
    mut tree: Tree,
    source: MailboxId,
    to: &str,
    now: i64,
) -> Result<Vec<MailboxRecord>> {
    let new = NewMailbox { name: to.to_owned(), selectable: true, now, ..<_>::default() };
    let id = tree.create(new)?;
    let target = tree.get(id)?.clone();
    let uids: Vec<Uid> = batch.tx.all(
        "SELECT uid FROM messages WHERE mailbox=?1 ORDER BY uid",
        [source.0],
        |row| row.get(0).map(Uid),
    )?;
    let inbox = tree.get(source)?.clone();
    let way = Way { account: tree.account, from: source, to: id, keep: false, save_date: now };
    let mut records = vec![tree.record()?];
    let pairs = super::messages::pairs(&uids, &target)?;
    transfer_records(&mut records, way, &inbox, &target, &pairs);
    batch.write(&records, Vec::new())?;
    Ok(vec![mailbox(batch, tree.account, id)?.clone()])
}

pub(crate) fn set_attributes(
    batch: &mut Batch<'_>,
    account: AccountId,
    id: MailboxId,
    patch: AttributesPatch,
) -> Result<MailboxRecord> {
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
