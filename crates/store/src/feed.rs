//! The change feed: what happened, told in order to one listener.
//!
//! An edition calls the listener after a change is durable and applied, before the operation
//! answers, from its writer; the changes of one mailbox arrive in MODSEQ order. The listener must
//! be quick and must not call the store. A change may be told without its operation being seen to
//! succeed (the caller went away).

use std::sync::{Arc, OnceLock};

use crate::flags::Flags;
use crate::ids::{AccountId, MailboxId, ModSeq, QueueId, Uid};
use crate::mailboxes::MailboxRecord;
use crate::message::MessageEntry;
use crate::numbers::PopId;

/// Something that happened.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Change {
    /// Messages came into a mailbox; the record is the mailbox after it.
    Appended {
        /// Whose.
        account: AccountId,
        /// The mailbox after it.
        mailbox: MailboxRecord,
        /// The new messages, ascending by UID.
        entries: Vec<MessageEntry>,
    },
    /// Flags changed.
    Flags {
        /// Whose.
        account: AccountId,
        /// The mailbox after it.
        mailbox: MailboxRecord,
        /// New flags, ascending by UID.
        changed: Vec<(Uid, Flags, ModSeq)>,
    },
    /// Messages went away.
    Expunged {
        /// Whose.
        account: AccountId,
        /// The mailbox after it.
        mailbox: MailboxRecord,
        /// Their UIDs, ascending.
        uids: Vec<Uid>,
        /// The MODSEQ of it.
        modseq: ModSeq,
    },
    /// Messages were given unique ids of POP.
    PopIds {
        /// Whose.
        account: AccountId,
        /// The mailbox.
        mailbox: MailboxId,
        /// New ids, ascending by UID.
        ids: Vec<(Uid, PopId)>,
    },
    /// Mailboxes were made, renamed, removed or changed their attributes.
    Mailboxes {
        /// Whose.
        account: AccountId,
        /// Mailboxes that are no more.
        removed: Vec<MailboxId>,
        /// Mailboxes that are new or changed.
        changed: Vec<MailboxRecord>,
    },
    /// An account's record changed, or it was made, renamed or removed.
    Account(AccountId),
    /// A domain, or an object in it that is not an account.
    Domain(String),
    /// A server-wide dictionary.
    Settings,
    /// A message entered the queue, or a recipient fell due again at `not_before`.
    Queued {
        /// The message.
        id: QueueId,
        /// When it is due, seconds since 1970.
        not_before: i64,
    },
}

/// Who is told.
pub trait ChangeListener: Send + Sync {
    /// Called for each change; see the module text for the rules.
    fn changed(&self, change: &Change);
}

/// The place a listener registers at; an edition holds a clone and calls [`Feed::publish`].
#[derive(Clone, Default)]
pub struct Feed {
    listener: Arc<OnceLock<Arc<dyn ChangeListener>>>,
}

impl Feed {
    /// Registers the one listener; a second one is refused with `false`.
    pub fn listen(&self, listener: Arc<dyn ChangeListener>) -> bool {
        self.listener.set(listener).is_ok()
    }

    /// True when somebody listens (an edition may save itself making changes nobody wants).
    #[must_use]
    pub fn is_heard(&self) -> bool {
        self.listener.get().is_some()
    }

    /// Tells the listener, if there is one.
    pub fn publish(&self, change: &Change) {
        if let Some(listener) = self.listener.get() {
            listener.changed(change);
        }
    }
}
