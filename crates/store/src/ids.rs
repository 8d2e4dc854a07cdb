//! Identifiers the store gives out. They are never reused while the store lives.

use std::fmt;

macro_rules! number {
    ($(#[$doc:meta])* $name:ident, $inner:ty) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

number!(
    /// An account, for its whole life: a rename, even into another domain, keeps it.
    AccountId,
    u64
);
number!(
    /// A mailbox, for its whole life: a rename keeps it (RFC 8474 MAILBOXID is made of it).
    MailboxId,
    u64
);
number!(
    /// The stored bytes of a message; shared by all copies of it.
    BodyId,
    u64
);
number!(
    /// A message in the queue: a decimal number that grows over the server's life.
    QueueId,
    u64
);
number!(
    /// A message's unique identifier in its mailbox (RFC 9051 section 2.3.1.1), never 0.
    Uid,
    u32
);
number!(
    /// The validity value of a mailbox's UIDs (RFC 9051 section 2.3.1.1), never 0.
    UidValidity,
    u32
);
number!(
    /// A modification sequence (RFC 7162); grows with every change in a mailbox, below 2^63.
    ModSeq,
    u64
);
