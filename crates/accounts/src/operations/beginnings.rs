//! The names a new account begins with: its other names and its mailboxes. Spelling and limits only;
//! whether a name is free, the store says.

use angarium_objects::name;

use super::OperationError;
use super::authority::bad_name;
use crate::mailboxes::canonical;

/// Most other names of one account.
const MAX_ALIASES: usize = 1_000;
/// Most mailboxes a template, or a list of accounts, gives a new account.
pub(super) const MAX_INITIAL: usize = 100;

/// The names a new account begins with, beside its own.
#[derive(Debug, Default)]
pub(super) struct Beginnings {
    pub(super) aliases: Vec<String>,
    /// In canonical form.
    pub(super) mailboxes: Vec<String>,
}

/// The stored forms of the other names of an account called `own`, sorted, each once.
pub(super) fn alias_names(aliases: &[String], own: &str) -> Result<Vec<String>, OperationError> {
    if aliases.len() > MAX_ALIASES {
        return Err(OperationError::LimitExceeded(format!("{MAX_ALIASES} aliases")));
    }
    let mut names = Vec::with_capacity(aliases.len());
    for alias in aliases {
        names.push(name::object_name(alias.trim()).map_err(bad_name)?);
    }
    names.sort();
    names.dedup();
    names.retain(|alias| alias != own);
    Ok(names)
}

/// The canonical names of the mailboxes of a new account.
pub(super) fn mailbox_names(names: &[String]) -> Result<Vec<String>, OperationError> {
    if names.len() > MAX_INITIAL {
        return Err(OperationError::LimitExceeded(format!("{MAX_INITIAL} mailboxes")));
    }
    let canonical = |name: &String| {
        canonical(name).map_err(|error| {
            OperationError::Syntax(format!("mailbox {}: {error}", name.escape_debug()))
        })
    };
    names.iter().map(canonical).collect()
}
