//! Mailboxes and their messages: whole, atomic operations on one account.

use async_trait::async_trait;

use crate::annotations::{AnnotationChanges, Annotations};
use crate::error::Result;
#[cfg(doc)]
use crate::flags::FlagBits;
use crate::flags::{FlagPart, Flags};
use crate::ids::{AccountId, MailboxId, ModSeq, Uid, UidValidity};
use crate::message::{MessageEntry, NewMessage, Origin};
use crate::numbers::{KeptNumbers, NumbersPatch};
use angarium_objects::value::Dictionary;

/// A mailbox as an administrator or a client sees it, with counters that are always right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailboxRecord {
    /// Stable identity.
    pub id: MailboxId,
    /// UTF-8 path with `/` between levels; `INBOX` always in capitals.
    pub name: String,
    /// False for a directory entity alone (`\NoSelect`).
    pub selectable: bool,
    /// Validity of the UIDs.
    pub uid_validity: UidValidity,
    /// The UID the next message will get at least.
    pub uid_next: Uid,
    /// Highest change so far (RFC 7162 HIGHESTMODSEQ), at least 1.
    pub highest_modseq: ModSeq,
    /// Messages in it (with `$Service` ones).
    pub messages: u32,
    /// Messages without `\Seen` (with `$Service` ones).
    pub unseen: u32,
    /// Messages with `\Deleted`.
    pub deleted: u32,
    /// Sum of the sizes, octets.
    pub size: u64,
    /// Lowest UID that no session has been told of as `\Recent` yet.
    pub first_recent: Uid,
    /// Mailbox class such as `IPF.Contact`, empty for mail.
    pub class: String,
    /// Special use such as `\Sent`, empty for none (RFC 6154).
    pub special_use: String,
    /// Access rights by identifier (`reference/mailboxes.md` section 9).
    pub acl: Dictionary,
    /// What its users keep with it (RFC 5464); a rename keeps them, INBOX keeps its own.
    pub annotations: Annotations,
    /// Numbers it took over from another server.
    pub kept_numbers: Option<KeptNumbers>,
}

impl MailboxRecord {
    /// A mailbox as it is just made: empty, without attributes and access rights.
    #[must_use]
    pub fn new(
        id: MailboxId,
        name: impl Into<String>,
        selectable: bool,
        uid_validity: UidValidity,
    ) -> Self {
        Self {
            id,
            name: name.into(),
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
            acl: Dictionary::new(),
            annotations: Annotations::default(),
            kept_numbers: None,
        }
    }
}

/// A mailbox to be made.
#[derive(Clone, Debug, Default)]
pub struct NewMailbox {
    /// Full name; parents that do not exist are made as directories (`selectable = false`) with
    /// the same access rights.
    pub name: String,
    /// False makes the directory entity alone.
    pub selectable: bool,
    /// A validity to keep (import, never 0), else one is chosen that this account never used
    /// before, for no name (a rename must not bring a used one back), and that is at least `now`.
    pub uid_validity: Option<UidValidity>,
    /// Seconds since 1970, for `uid_validity`.
    pub now: i64,
    /// Class, special use, access rights.
    pub class: String,
    /// See [`MailboxRecord::special_use`].
    pub special_use: String,
    /// See [`MailboxRecord::acl`].
    pub acl: Dictionary,
}

impl NewMailbox {
    /// Longest full name taken, in bytes. Names with empty levels are refused too.
    pub const MAX_NAME: usize = 4096;
}

/// Attributes to be changed; `None` leaves them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AttributesPatch {
    /// New class.
    pub class: Option<String>,
    /// New special use.
    pub special_use: Option<String>,
    /// New access rights, whole.
    pub acl: Option<Dictionary>,
    /// Annotations to be set or removed, all or none; `Invalid` past a bound of [`Annotations`].
    pub annotations: AnnotationChanges,
    /// Sessions have been told of messages below this UID as `\Recent`. May be lost in a crash.
    pub first_recent: Option<Uid>,
    /// UIDNEXT to keep (import); may only grow.
    pub uid_next: Option<Uid>,
}

/// What became of one message of an append.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Appended {
    /// It is in the mailbox under this UID.
    New(Uid),
    /// Its [`Origin`] had been appended to this account before; nothing was done.
    Repeated,
}

/// How flags change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlagChange {
    /// Add these.
    Add,
    /// Take these away.
    Remove,
    /// Set exactly these.
    Replace,
    /// Of this part of all flags, set exactly these; the others stay as they are.
    ReplacePart(FlagPart),
}

impl FlagChange {
    /// What becomes of a message's flags when it is given these.
    #[must_use]
    pub fn applied(self, old: &Flags, given: &Flags) -> Flags {
        match self {
            Self::Add => old.plus(given),
            Self::Remove => old.minus(given),
            Self::Replace => given.clone(),
            Self::ReplacePart(part) => old.outside(part).plus(&given.within(part)),
        }
    }
}

/// A change of flags of many messages of one mailbox.
#[derive(Clone, Debug)]
pub struct FlagUpdate {
    /// Ascending UIDs; those that do not exist are passed over.
    pub uids: Vec<Uid>,
    /// How.
    pub change: FlagChange,
    /// Which.
    pub flags: Flags,
    /// Messages changed after this are left alone and reported (RFC 7162 UNCHANGEDSINCE).
    pub unchanged_since: Option<ModSeq>,
}

/// Result of a [`FlagUpdate`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FlagOutcome {
    /// The messages whose flags really changed, with their new flags and MODSEQ, ascending.
    pub changed: Vec<(Uid, Flags, ModSeq)>,
    /// The messages left alone because of `unchanged_since`, ascending.
    pub modified: Vec<Uid>,
}

/// From where to where messages of an account go, and as what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transfer {
    /// Where they are.
    pub from: MailboxId,
    /// Where they go; may be the same.
    pub to: MailboxId,
    /// The originals stay.
    pub keep: bool,
    /// The flags that go with them.
    pub flags: FlagPart,
    /// When, as Unix seconds.
    pub save_date: i64,
}

/// Pairs of a copy or move, in the order of the sources.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Copied {
    /// Source UID and the UID in the target.
    pub pairs: Vec<(Uid, Uid)>,
}

/// A mailbox's messages at one moment.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// The mailbox at that moment.
    pub mailbox: MailboxRecord,
    /// Every message, ascending by UID.
    pub entries: Vec<MessageEntry>,
}

/// What changed after a MODSEQ.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Messages that are new or whose flags changed, ascending by UID.
    pub changed: Vec<MessageEntry>,
    /// UIDs that went away, ascending; may name UIDs that went away before.
    pub vanished: Vec<Uid>,
}

/// Operations on mailboxes. Each is whole or not at all and durable when it answers.
///
/// Unknown accounts and mailboxes answer `NotFound("account")` and `NotFound("mailbox")`.
/// An account comes into being by [`crate::Directory::create_account`], which makes its `INBOX`.
#[async_trait]
pub trait Mailboxes: Send + Sync {
    /// All mailboxes and directories of an account, sorted by name.
    async fn list(&self, account: AccountId) -> Result<Vec<MailboxRecord>>;
    /// One mailbox.
    async fn get(&self, account: AccountId, mailbox: MailboxId) -> Result<MailboxRecord>;
    /// Makes a mailbox; `Exists("mailbox")` if it is there. A directory of that name becomes
    /// selectable instead (with a fresh validity).
    async fn create(&self, account: AccountId, new: NewMailbox) -> Result<MailboxRecord>;
    /// Removes a mailbox and its messages. With children it becomes a directory (with an id of its
    /// own and its access rights), and a directory whose last child goes away goes too. `Invalid` for INBOX; `Invalid`
    /// for a directory that has children.
    async fn delete(&self, account: AccountId, mailbox: MailboxId) -> Result<()>;
    /// Renames a mailbox and everything below it; missing parents are made as directories, and
    /// directories that lost their last child go. `Invalid` for a name below `from`.
    /// Ids, UIDs and validities stay. `Exists("mailbox")` if the new name is there. Renaming
    /// INBOX moves its messages to the new name (new mailbox, children stay) and leaves it empty
    /// (RFC 9051 section 6.3.6). Answers the records at their new names.
    async fn rename_tree(
        &self,
        account: AccountId,
        from: &str,
        to: &str,
        now: i64,
    ) -> Result<Vec<MailboxRecord>>;
    /// Changes attributes; answers the new record.
    async fn set_attributes(
        &self,
        account: AccountId,
        mailbox: MailboxId,
        patch: AttributesPatch,
    ) -> Result<MailboxRecord>;
    /// Makes a mailbox keep numbers of another server, all or none; answers the new record. A
    /// changed validity is as if the mailbox were another one, under the same id. `Invalid` for a
    /// directory and for what [`NumbersPatch::fault`] names.
    async fn keep_numbers(
        &self,
        account: AccountId,
        mailbox: MailboxId,
        patch: NumbersPatch,
    ) -> Result<MailboxRecord>;
    /// Puts messages in, all or none, in this order, UIDs ascending. `Invalid` for a directory,
    /// for UID 0 or 2^32-1 and for an id that POP cannot have, `Exists("UID")` for a given UID below UIDNEXT. Answers the mailbox
    /// after it and what became of each message.
    async fn append(
        &self,
        account: AccountId,
        mailbox: MailboxId,
        messages: Vec<NewMessage>,
    ) -> Result<(MailboxRecord, Vec<Appended>)>;
    /// True when this delivery was appended to this account (and not yet forgotten).
    async fn was_delivered(&self, account: AccountId, origin: Origin) -> Result<bool>;
    /// Everything in a mailbox at one moment.
    async fn snapshot(&self, account: AccountId, mailbox: MailboxId) -> Result<Snapshot>;
    /// What changed after `since`.
    async fn changes(
        &self,
        account: AccountId,
        mailbox: MailboxId,
        since: ModSeq,
    ) -> Result<Changes>;
    /// The UIDs that went away after `since`, as [`Changes::vanished`].
    async fn vanished(
        &self,
        account: AccountId,
        mailbox: MailboxId,
        since: ModSeq,
    ) -> Result<Vec<Uid>>;
    /// Changes flags; a change that changes nothing costs no MODSEQ.
    async fn change_flags(
        &self,
        account: AccountId,
        mailbox: MailboxId,
        update: FlagUpdate,
    ) -> Result<FlagOutcome>;
    /// Copies or moves messages inside the account, dates, original UIDs and POP's ids kept, and
    /// the flags as far as [`Transfer::flags`] says, in the given order; UIDs that do not exist (or
    /// come again) are passed over. The target may be the source; `Invalid` if it is a directory. When the
    /// originals do not stay, each message is in exactly one of both.
    async fn transfer(&self, account: AccountId, way: Transfer, uids: &[Uid]) -> Result<Copied>;
    /// Copies messages with all their flags.
    async fn copy(
        &self,
        account: AccountId,
        from: MailboxId,
        uids: &[Uid],
        to: MailboxId,
        save_date: i64,
    ) -> Result<Copied> {
        let way = Transfer { from, to, keep: true, flags: FlagPart::ALL, save_date };
        self.transfer(account, way, uids).await
    }
    /// Moves messages with all their flags.
    async fn move_messages(
        &self,
        account: AccountId,
        from: MailboxId,
        uids: &[Uid],
        to: MailboxId,
        save_date: i64,
    ) -> Result<Copied> {
        let way = Transfer { from, to, keep: false, flags: FlagPart::ALL, save_date };
        self.transfer(account, way, uids).await
    }
    /// Removes these messages whatever their flags; unknown UIDs are passed over. Answers the
    /// UIDs that went away, ascending. With `only_deleted`, those without `\Deleted` stay.
    async fn expunge(
        &self,
        account: AccountId,
        mailbox: MailboxId,
        uids: &[Uid],
        only_deleted: bool,
    ) -> Result<Vec<Uid>>;
    /// The mailboxes of an account that hold messages with a flag of [`FlagBits::KEPT_BACK`], in
    /// no order.
    async fn kept_back(&self, account: AccountId) -> Result<Vec<MailboxId>>;
    /// Sum of the sizes of all messages of an account and their number.
    async fn usage(&self, account: AccountId) -> Result<(u64, u64)>;
}
