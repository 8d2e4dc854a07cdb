//! One password, checked with PAM: authentication, then whether the account may be used now
//! (expired, locked, not at this hour). No session is opened and nothing is changed.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

use nonstick::{
    AuthnFlags, ConversationAdapter, ErrorCode, Result as PamResult, Transaction,
    TransactionBuilder,
};

use crate::lines::Verdict;

/// Answers what PAM's modules ask: the name where it is shown, the password where it is not.
struct Answers {
    user: OsString,
    password: OsString,
}

impl ConversationAdapter for Answers {
    fn prompt(&self, _: impl AsRef<OsStr>) -> PamResult<OsString> {
        Ok(self.user.clone())
    }

    fn masked_prompt(&self, _: impl AsRef<OsStr>) -> PamResult<OsString> {
        Ok(self.password.clone())
    }

    fn error_msg(&self, _: impl AsRef<OsStr>) {}

    fn info_msg(&self, _: impl AsRef<OsStr>) {}
}

/// Whether this is the user's password by the service's rules.
pub(crate) fn check(service: &str, user: &[u8], password: &[u8]) -> Verdict {
    let (user, password) = (OsStr::from_bytes(user), OsStr::from_bytes(password));
    let answers = Answers { user: user.to_owned(), password: password.to_owned() };
    match passes(service, user, answers) {
        Ok(()) => Verdict::Right,
        Err(error) if is_temporary(error) => Verdict::Later(error.to_string()),
        Err(error) => Verdict::Wrong(error.to_string()),
    }
}

fn passes(service: &str, user: &OsStr, answers: Answers) -> PamResult<()> {
    let start = TransactionBuilder::new_with_service(service).username(user);
    let mut transaction = start.build(answers.into_conversation())?;
    let quiet = AuthnFlags::SILENT | AuthnFlags::DISALLOW_NULL_AUTHTOK;
    transaction.authenticate(quiet)?;
    transaction.account_management(quiet)
}

/// Whether the same password may be right another time: PAM itself, or what it asks, is at fault.
fn is_temporary(error: ErrorCode) -> bool {
    !matches!(
        error,
        ErrorCode::AuthenticationError
            | ErrorCode::PermissionDenied
            | ErrorCode::UserUnknown
            | ErrorCode::MaxTries
            | ErrorCode::NewAuthTokRequired
            | ErrorCode::AuthTokExpired
            | ErrorCode::AccountExpired
            | ErrorCode::CredentialsExpired
    )
}
