//! Which mailboxes are copied, under which names, and what belongs to them beside messages.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::error::{MoveError, Result};
use crate::names::NameRules;
use crate::names::map::NameMap;
use crate::options::read_small;
use crate::presets::{GmailLabels, Preset};

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
    /// Do not copy this mailbox; * and % stand for anything (repeatable).
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
    /// File of lines OLD<TAB>NEW with patterns (*, %) and uses (\\Sent); an empty NEW leaves out.
    #[arg(long = "mapFile", value_name = "FILE")]
    pub map_file: Option<PathBuf>,
    /// Copy Sent, Drafts, Trash, Junk and Archive into what the new server uses for them,
    /// whatever it is called there.
    #[arg(long)]
    pub automap: bool,
    /// Take names as they are listed: do not take off the prefix NAMESPACE tells (INBOX.).
    #[arg(long = "noNamespace")]
    pub no_namespace: bool,
    /// Do not rewrite .mbox, a leading dot and the like: for other servers than ours.
    #[arg(long = "keepNames")]
    pub keep_names: bool,
    /// Copy mailboxes of other users and shared ones, too, if they are listed.
    #[arg(long)]
    pub others: bool,
    /// What is known of the old server beforehand.
    #[arg(long, value_enum, value_name = "SERVICE")]
    pub preset: Option<Preset>,
    /// Labels of Gmail as mailboxes, or as keywords of messages that come once each.
    #[arg(long = "gmailLabels", value_enum, value_name = "HOW")]
    pub gmail_labels: Option<GmailLabels>,
    /// Access rights of OLD are given to NEW; * stands for anything, an empty NEW for nobody
    /// (repeatable).
    #[arg(long = "mapIdentifier", num_args = 2, value_names = ["OLD", "NEW"], allow_hyphen_values = true)]
    pub map_identifier: Vec<String>,
    /// File of lines OLD<TAB>NEW for identifiers of access rights.
    #[arg(long = "mapIdentifierFile", value_name = "FILE")]
    pub map_identifier_file: Option<PathBuf>,
}

/// The mailboxes of one run.
#[derive(Clone, Debug, Default)]
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
    /// Copy mailbox classes (MIG-26).
    pub classes: bool,
    /// `--automap`
    pub automap: bool,
    /// `--noNamespace`
    pub no_namespace: bool,
    /// `--others`
    pub others: bool,
    /// `--preset`
    pub preset: Option<Preset>,
    /// `--gmailLabels`
    pub labels: Option<GmailLabels>,
    /// `--mapIdentifier`
    pub identifiers: NameMap,
}

impl SelectionOptions {
    /// What the options say.
    ///
    /// # Errors
    /// `File` for a list of renames or a map that cannot be read, `Usage` for nonsense.
    pub fn choice(&self) -> Result<Choice> {
        let rules = NameRules {
            source_prefix: self.source.clone(),
            target_prefix: self.target.clone(),
            renamed: self.renames()?,
            map: match &self.map_file {
                Some(path) => map_of(path)?,
                None => NameMap::default(),
            },
            keep: self.keep_names,
        };
        Ok(Choice {
            pattern: self.list.clone(),
            skip: self.skip_mailbox.iter().cloned().collect(),
            only_subscribed: self.subscribed,
            rules,
            subscriptions: !self.nosubscription,
            access_rights: !self.no_acl,
            classes: self.copy_mailbox_class,
            automap: self.automap,
            no_namespace: self.no_namespace,
            others: self.others,
            preset: self.preset,
            labels: self.gmail_labels,
            identifiers: self.identifiers()?,
        })
    }

    /// What is given on the command line comes before what is in the file.
    fn identifiers(&self) -> Result<NameMap> {
        let mut map = NameMap::default();
        for pair in self.map_identifier.chunks(2) {
            if let [old, new] = pair {
                map.add(old, new, 0).map_err(|reason| {
                    MoveError::Usage(format!("--mapIdentifier {old} {new}: {reason}"))
                })?;
            }
        }
        if let Some(path) = &self.map_identifier_file {
            map.append(map_of(path)?);
        }
        Ok(map)
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

fn map_of(path: &Path) -> Result<NameMap> {
    NameMap::parse(&read_small(path, MAX_RENAME_LIST)?)
        .map_err(|reason| MoveError::File { path: path.display().to_string(), reason })
}
