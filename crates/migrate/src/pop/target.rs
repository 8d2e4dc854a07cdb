//! Where messages go, whatever it speaks: mail servers ([`super::delivery`]) or an IMAP server
//! ([`super::appending`]).

use std::time::Duration;

use angarium_smtp::address::Mailbox;

use super::appending::Appending;
use super::delivery::Delivery;
use super::letter::Letter;
use crate::endpoint::Endpoint;
use crate::error::Result;
use crate::login::Credentials;

/// Where messages go.
#[derive(Clone, Debug)]
pub struct Recipient {
    /// The server.
    pub endpoint: Endpoint,
    /// What it speaks, and to whom.
    pub way: Way,
    /// Who logs in, if anybody; IMAP wants it.
    pub login: Option<Credentials>,
    /// What we call ourselves.
    pub hello: String,
}

/// What the new server speaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Way {
    /// SMTP, to this address.
    Smtp(Mailbox),
    /// LMTP, to this address.
    Lmtp(Mailbox),
    /// IMAP, into the INBOX of who logs in.
    Imap,
}

/// What became of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// The server has it.
    Taken,
    /// The server refused it.
    Refused {
        /// The same may work later.
        later: bool,
        /// Its words.
        reason: String,
    },
}

/// A connection that is ready for messages.
pub(crate) enum Target {
    Mail(Box<Delivery>),
    Imap(Box<Appending>),
}

impl Target {
    /// Connects and logs in as far as wanted.
    pub(crate) async fn open(to: &Recipient, timeout: Duration) -> Result<Self> {
        Ok(match &to.way {
            Way::Smtp(address) => {
                Self::Mail(Box::new(Delivery::open(to, address, false, timeout).await?))
            }
            Way::Lmtp(address) => {
                Self::Mail(Box::new(Delivery::open(to, address, true, timeout).await?))
            }
            Way::Imap => Self::Imap(Box::new(Appending::open(to, timeout).await?)),
        })
    }

    /// The largest message that is taken, octets; `None` for no stated limit.
    pub(crate) fn size_limit(&self) -> Option<u64> {
        match self {
            Self::Mail(delivery) => delivery.size_limit(),
            Self::Imap(appending) => appending.size_limit(),
        }
    }

    /// What may happen to this message on its way; `None` when nothing.
    pub(crate) fn trouble(&self, letter: &Letter) -> Option<String> {
        match self {
            Self::Mail(delivery) if !delivery.takes_binary() => letter.facts.trouble(),
            // APPEND carries any octets but NUL, which is refused there.
            Self::Mail(_) | Self::Imap(_) => None,
        }
    }

    /// True when the connection should be made anew before the next message.
    pub(crate) fn is_used_up(&self) -> bool {
        matches!(self, Self::Mail(delivery) if delivery.is_used_up())
    }

    /// True when the session cannot take another word.
    pub(crate) fn is_spent(&self) -> bool {
        matches!(self, Self::Mail(delivery) if delivery.is_spent())
    }

    /// Gives one message. The letter is read from its beginning.
    pub(crate) async fn give(&mut self, letter: &mut Letter) -> Result<Fate> {
        match self {
            Self::Mail(delivery) => delivery.give(letter).await,
            Self::Imap(appending) => appending.give(letter).await,
        }
    }

    /// Says goodbye.
    pub(crate) async fn quit(self) {
        match self {
            Self::Mail(delivery) => delivery.quit().await,
            Self::Imap(appending) => appending.quit().await,
        }
    }
}
