//! Mailbox files copied into an account: text mailboxes of every dialect, Maildir++ and MH trees,
//! the old server's account directories; and files of calendars and contacts. Runs in the process that has the store open; what is asked
//! for and what came of it are dictionaries, as everything on the administration socket.
//!
//! A second run adds nothing: each message is known by its content, how often that occurs in its
//! mailbox, and a journal of what was imported before, so that mail a user has removed since does
//! not come back.

mod items;
mod journal;
mod reading;
mod target;
mod walk;

use std::path::PathBuf;
use std::sync::Arc;

use angarium_accounts::{Accounts, Dictionary, Value};
use angarium_message::mailbox_files::Dialect;

pub(crate) use target::Progress;

/// What is to be imported where.
#[derive(Clone, Debug)]
pub(crate) struct Order {
    /// File or directory, an absolute path.
    pub(crate) path: PathBuf,
    /// The account.
    pub(crate) account: String,
    /// The mailbox, or the one above all of a tree.
    pub(crate) mailbox: Option<String>,
    /// How text mailboxes are read.
    pub(crate) dialect: Dialect,
    /// Read everything, change nothing.
    pub(crate) dry_run: bool,
    /// Keep UIDs and UIDVALIDITY where they are free.
    pub(crate) keep_uids: bool,
    /// The path is a file of a calendar or of contacts.
    pub(crate) items: bool,
}

impl Order {
    /// The order of a dictionary.
    pub(crate) fn read(words: &Dictionary) -> Result<Self, String> {
        let text = |key: &str| words.get(key).and_then(Value::as_str);
        let path = PathBuf::from(text("path").ok_or("a path is wanted")?);
        if !path.is_absolute() {
            return Err("an absolute path is wanted".into());
        }
        let into = text("into").ok_or("an account is wanted")?;
        let (account, mailbox) = match into.split_once('/') {
            Some((account, mailbox)) => (account, Some(mailbox.to_owned())),
            None => (into, None),
        };
        let dialect = text("dialect").unwrap_or("auto");
        let dialect = Dialect::of_name(dialect).ok_or("this dialect is not known")?;
        let yes = |key: &str| text(key) == Some("YES");
        Ok(Self {
            path,
            account: account.to_owned(),
            mailbox: mailbox.filter(|name| !name.is_empty()),
            dialect,
            dry_run: yes("dryrun"),
            keep_uids: yes("keepuids"),
            items: yes("items"),
        })
    }
}

/// Carries out an order; `journals` is the directory of what was imported before. `Progress` hears
/// how far it is and may stop it.
pub(crate) async fn run(
    accounts: &Arc<Accounts>,
    order: &Order,
    journals: PathBuf,
    progress: &mut dyn Progress,
) -> Result<Dictionary, String> {
    if order.items {
        return Box::pin(items::run(accounts, order)).await;
    }
    let (path, named) = (order.path.clone(), order.mailbox.clone());
    let found = tokio::task::spawn_blocking(move || walk::walk(&path, named.as_deref()));
    let found = found.await.map_err(|e| e.to_string())??;
    let mut target = target::Target::open(accounts, order, journals).await?;
    for mailbox in found.mailboxes {
        Box::pin(target.import(mailbox, order, progress)).await?;
    }
    target.subscribe(&found.subscriptions, order).await?;
    Ok(target.report(found.remarks))
}

/// Most remarks and failures that are reported.
const REMARKS_MAX: usize = 200;

/// Adds a remark while there is room.
fn remark(remarks: &mut Vec<String>, text: String) {
    if remarks.len() < REMARKS_MAX {
        let clean = text.chars().map(|c| if c.is_control() { '?' } else { c }).collect();
        remarks.push(clean);
    }
}
