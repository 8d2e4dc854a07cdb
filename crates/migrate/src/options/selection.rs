//! Which mailboxes are copied, under which names, and what belongs to them beside messages.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use crate::error::{MoveError, Result};
use crate::names::NameRules;
use crate::options::read_small;

/// Longest list of renames read from a file, octets.
const MAX_RENAME_LIST: u64 = 16 * 1024 * 1024;

/// The options on mailboxes and names.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct SelectionOptions {
    /// Search pattern of LIST at the old server.
    #[arg(long, value_name = "SEARCH", default_value = "*")]
    pub list: String,
    /// First argument of LIST; names lose it at the new server.
    #[arg(long, value_name = "PREFIX", default_value = "", allow_hyphen_values = true)]
    pub source: String,
    /// Put in front of every name at the new server.
    #[arg(long, value_name = "PREFIX", default_value = "", allow_hyphen_values = true)]
    pub target: String,
    /// Do not copy this mailbox (repeatable).
    #[arg(long = "skipMailbox", value_name = "NAME")]
    pub skip_mailbox: Vec<String>,
    /// Do not copy the subscription list.
    #[arg(long)]
    pub nosubscription: bool,
    /// Copy only subscribed mailboxes.
    #[arg(long)]
    pub subscribed: bool,
    /// Do not copy access rights.
    #[arg(long = "noACL")]
    pub no_acl: bool,
    /// Copy mailbox classes (both servers must tell of them).
    #[arg(long = "copyMailboxClass")]
    pub copy_mailbox_class: bool,
    /// Give a mailbox another name (repeatable).
    #[arg(long = "renameMailbox", num_args = 2, value_names = ["OLD", "NEW"])]
    pub rename_mailbox: Vec<String>,
    /// File of lines OLD<TAB>NEW.
    #[arg(long = "renameMailboxList", value_name = "FILE")]
    pub rename_mailbox_list: Option<PathBuf>,
}

/// The mailboxes of one run.
#[derive(Clone, Debug)]
pub struct Choice {
    /// `--list` (MIG-13)
    pub pattern: String,
    /// `--skipMailbox` (MIG-18)
    pub skip: BTreeSet<String>,
    /// `--subscribed` (MIG-22)
    pub only_subscribed: bool,
    /// Prefixes and renames.
    pub rules: NameRules,
    /// Copy the subscription list (MIG-09).
    pub subscriptions: bool,
    /// Copy access rights (MIG-10).
    pub access_rights: bool,
}

impl SelectionOptions {
    /// What the options say.
    ///
    /// # Errors
    /// `File` for a list of renames that cannot be read.
    pub fn choice(&self) -> Result<Choice> {
        if self.copy_mailbox_class {
            eprintln!("note: neither server tells of mailbox classes over IMAP; none are copied");
        }
        let rules = NameRules {
            source_prefix: self.source.clone(),
            target_prefix: self.target.clone(),
            renamed: self.renames()?,
        };
        Ok(Choice {
            pattern: self.list.clone(),
            skip: self.skip_mailbox.iter().cloned().collect(),
            only_subscribed: self.subscribed,
            rules,
            subscriptions: !self.nosubscription,
            access_rights: !self.no_acl,
        })
    }

    fn renames(&self) -> Result<BTreeMap<String, String>> {
        let mut renamed = BTreeMap::new();
        if let Some(path) = &self.rename_mailbox_list {
            let text = read_small(path, MAX_RENAME_LIST)?;
            for (n, line) in text.lines().enumerate() {
                if line.trim().is_empty() {
                    continue;
                }
                let (old, new) = line.split_once('\t').ok_or_else(|| MoveError::File {
                    path: path.display().to_string(),
                    reason: format!("line {}: write OLD<TAB>NEW", n + 1),
                })?;
                renamed.insert(old.to_owned(), new.to_owned());
            }
        }
        for pair in self.rename_mailbox.chunks(2) {
            if let [old, new] = pair {
                renamed.insert(old.clone(), new.clone());
            }
        }
        Ok(renamed)
    }
}
