//! NOTIFY (RFC 5465): which events of which mailboxes a client wants to hear of.

use smallvec::SmallVec;

use super::fetch::FetchItem;

/// NOTIFY.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notify {
    /// `NONE`
    None,
    /// `SET`
    Set {
        /// STATUS answers for all watched mailboxes first.
        status: bool,
        /// 1 to [`Notify::MAX_GROUPS`]; the first that a mailbox fits counts.
        groups: Vec<EventGroup>,
    },
}

impl Notify {
    /// Most event groups taken.
    pub const MAX_GROUPS: usize = 32;
    /// Most mailboxes taken in one `subtree` or `mailboxes`.
    pub const MAX_MAILBOXES: usize = 256;
    /// The events that can be asked for, as BADEVENT names them.
    pub const BAD_EVENT: &'static str = "BADEVENT (MessageNew MessageExpunge FlagChange \
        MailboxName SubscriptionChange MailboxMetadataChange ServerMetadataChange)";
}

/// Mailboxes and what is wanted of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventGroup {
    /// Which mailboxes.
    pub filter: MailboxFilter,
    /// Which events; all false for NONE.
    pub events: Events,
}

/// Which mailboxes (RFC 5465 section 6). Names are UTF-8.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MailboxFilter {
    /// `selected`: told at once, EXPUNGE too.
    Selected,
    /// `selected-delayed`: told at once, EXPUNGE only where commands allow it.
    SelectedDelayed,
    /// `inboxes`
    Inboxes,
    /// `personal`
    Personal,
    /// `subscribed`
    Subscribed,
    /// `subtree`: these and all below them.
    Subtree(Vec<String>),
    /// `mailboxes`: exactly these.
    Mailboxes(Vec<String>),
}

impl MailboxFilter {
    /// True for both ways of naming the selected mailbox.
    #[must_use]
    pub fn is_selected(&self) -> bool {
        matches!(self, Self::Selected | Self::SelectedDelayed)
    }
}

/// Events (RFC 5465 section 5).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Events {
    /// `MessageNew` and `MessageExpunge`, which go together.
    pub messages: bool,
    /// What to fetch of new messages in the selected mailbox.
    pub fetch: SmallVec<[FetchItem; 6]>,
    /// `FlagChange`
    pub flags: bool,
    /// `MailboxName`
    pub names: bool,
    /// `SubscriptionChange`
    pub subscription: bool,
    /// `MailboxMetadataChange`
    pub metadata: bool,
    /// `ServerMetadataChange`
    pub server_metadata: bool,
}
