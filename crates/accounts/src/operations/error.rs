//! Why an administrative operation was refused, with the codes and wordings of
//! `reference/cli.md` section 2.5 that client programs compare.

use thiserror::Error;

use angarium_store::StoreError;

/// Why an operation was not done. Nothing of it was done then.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum OperationError {
    /// 500: the parameters make no sense.
    #[error("{0}")]
    Syntax(String),
    /// 501: anything else, said in the text.
    #[error("{0}")]
    General(String),
    /// 500, an oddity of the field.
    #[error("domain with this name already exists")]
    DomainExists,
    /// 510
    #[error("insufficient access rights")]
    AccessDenied,
    /// 511
    #[error("this command is not available in this mode")]
    NotAvailable,
    /// 511, for commands of the field that this server does not have.
    #[error("{0} is not supported")]
    NotSupported(String),
    /// 512
    #[error("unknown secondary domain name")]
    UnknownDomain,
    /// 513
    #[error("unknown user account")]
    UnknownAccount,
    /// 514
    #[error("the account or its domain is disabled")]
    Disabled,
    /// 515
    #[error("incorrect password")]
    WrongPassword,
    /// 520
    #[error("account with this name already exists")]
    AccountExists,
    /// 521
    #[error("mailing list with this name already exists")]
    ListExists,
    /// 522
    #[error("alias with this name already exists")]
    AliasExists,
    /// 523
    #[error("group with this name already exists")]
    GroupExists,
    /// 524
    #[error("forwarder with this name already exists")]
    ForwarderExists,
    /// 530
    #[error("mailbox does not exist")]
    UnknownMailbox,
    /// 531
    #[error("access to the mailbox is denied")]
    MailboxDenied,
    /// 532
    #[error("mailbox already exists")]
    MailboxExists,
    /// 540
    #[error("limit exceeded: {0}")]
    LimitExceeded(String),
    /// 550
    #[error("Unknown Mailing List")]
    UnknownList,
    /// 551
    #[error("group is not found")]
    UnknownGroup,
    /// 553
    #[error("forwarder is not found")]
    UnknownForwarder,
    /// 555
    #[error("account is in use")]
    AccountInUse,
    /// 599, *later*: storage is not available now, or somebody else changed the object at the
    /// same moment too often.
    #[error("temporary failure: {0}")]
    Later(String),
    /// 599
    #[error("internal failure: {0}")]
    Internal(String),
}

impl OperationError {
    /// The code of `reference/cli.md` section 2.5.
    #[must_use]
    pub fn code(&self) -> u16 {
        match self {
            Self::Syntax(_) | Self::DomainExists => 500,
            Self::General(_) => 501,
            Self::AccessDenied => 510,
            Self::NotAvailable | Self::NotSupported(_) => 511,
            Self::UnknownDomain => 512,
            Self::UnknownAccount => 513,
            Self::Disabled => 514,
            Self::WrongPassword => 515,
            Self::AccountExists => 520,
            Self::ListExists => 521,
            Self::AliasExists => 522,
            Self::GroupExists => 523,
            Self::ForwarderExists => 524,
            Self::UnknownMailbox => 530,
            Self::MailboxDenied => 531,
            Self::MailboxExists => 532,
            Self::LimitExceeded(_) => 540,
            Self::UnknownList => 550,
            Self::UnknownGroup => 551,
            Self::UnknownForwarder => 553,
            Self::AccountInUse => 555,
            Self::Later(_) | Self::Internal(_) => 599,
        }
    }

    /// The text after the code, one line.
    #[must_use]
    pub fn text(&self) -> String {
        self.to_string().replace(['\r', '\n'], " ")
    }

    /// True when the same operation may succeed later.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        matches!(self, Self::Later(_))
    }
}

impl From<StoreError> for OperationError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(why) => Self::Later(why),
            StoreError::NotFound("domain") => Self::UnknownDomain,
            StoreError::NotFound("account") => Self::UnknownAccount,
            StoreError::NotFound("mailbox") => Self::UnknownMailbox,
            StoreError::NotFound(what) => Self::General(format!("there is no such {what}")),
            StoreError::Exists("domain") => Self::DomainExists,
            StoreError::Exists("account") => Self::AccountExists,
            StoreError::Exists("alias") => Self::AliasExists,
            StoreError::Exists("list") => Self::ListExists,
            StoreError::Exists("group") => Self::GroupExists,
            StoreError::Exists("forwarder") => Self::ForwarderExists,
            StoreError::Exists("mailbox") => Self::MailboxExists,
            StoreError::Exists(what) => Self::General(format!("{what} already exists")),
            StoreError::VersionConflict => {
                Self::Later("the object was changed at the same moment".to_owned())
            }
            StoreError::NoRoom(what) => {
                Self::LimitExceeded(format!("there is no room for more {what}"))
            }
            StoreError::Invalid(why) => Self::General(why),
            other => Self::Internal(other.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wordings_that_clients_compare_are_kept() {
        let cases = [
            (OperationError::DomainExists, 500, "domain with this name already exists"),
            (OperationError::UnknownDomain, 512, "unknown secondary domain name"),
            (OperationError::UnknownAccount, 513, "unknown user account"),
            (OperationError::AccountExists, 520, "account with this name already exists"),
            (OperationError::UnknownForwarder, 553, "forwarder is not found"),
            (OperationError::UnknownGroup, 551, "group is not found"),
            (OperationError::UnknownList, 550, "Unknown Mailing List"),
        ];
        for (error, code, text) in cases {
            assert_eq!((error.code(), error.text().as_str()), (code, text));
        }
    }

    #[test]
    fn an_error_text_is_one_line() {
        assert_eq!(OperationError::General("a\r\nb".into()).text(), "a  b");
    }
}
