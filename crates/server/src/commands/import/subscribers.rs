//! A mailing list of another server (MIG-58): a file with one subscriber a line becomes a list of an
//! owner here, or a group where none is named.

use std::collections::{BTreeMap, HashSet};
use std::io;
use std::path::PathBuf;

use angarium_message::address;
use angarium_objects::import::sendmail::{Entry, MAX_TARGETS, Target};
use clap::Args;

use super::Common;
use super::aliases::{self, Faults, How};
use super::lines::Lines;
use crate::administration::Administrator;
use crate::arguments::Base;
use crate::commands::directory;

/// Arguments of `import subscribers`.
#[derive(Debug, Args)]
pub(crate) struct SubscriberFile {
    /// Name of the list or group, such as staff or staff@example.com.
    pub(crate) group: String,
    /// The file: one address a line, with or without a name.
    pub(crate) file: PathBuf,
    /// The account that owns the list; without it the addresses become a group.
    #[arg(long, value_name = "NAME")]
    pub(crate) owner: Option<String>,
    #[command(flatten)]
    pub(crate) common: Common,
}

pub(in crate::commands) fn run(base: &Base, file: &SubscriberFile) -> io::Result<u8> {
    let (name, of) = match file.group.rsplit_once('@') {
        Some((name, domain)) => (name, Some(domain)),
        None => (file.group.as_str(), None),
    };
    let mut lines = Lines::open(&file.file)?;
    let mut entry = Entry { line: 1, name: name.to_lowercase(), targets: Vec::new() };
    let (mut seen, mut faults) = (HashSet::new(), Faults::new());
    while let Some((number, line)) = lines.next()? {
        let Some(line) = line else {
            faults.push((number, "the line is too long".to_owned()));
            continue;
        };
        let text = line.trim();
        if text.is_empty() || text.starts_with('#') {
            continue;
        }
        // Cells of a table behind the address say what the list did with it.
        let text = text.split(['\t', ';']).next().unwrap_or_default();
        let found = address::mailboxes(text.as_bytes()).into_iter().find(|m| !m.domain.is_empty());
        match found.map(|found| found.address()) {
            Some(address) if entry.targets.len() >= MAX_TARGETS => {
                faults.push((number, format!("{address}: more than {MAX_TARGETS} members")));
            }
            Some(address) => {
                if seen.insert(address.to_lowercase()) {
                    entry.targets.push(Target::Address(address));
                }
            }
            None => faults.push((number, "there is no address in this line".to_owned())),
        }
    }
    let mut server = Administrator::reach(&directory(base)?)?;
    let how = How {
        domain: of.or(file.common.domain.as_deref()),
        check_only: file.common.check_only,
        programs: false,
        root: None,
        promised: BTreeMap::new(),
        lists: file.owner.iter().map(|owner| (entry.name.clone(), Some(owner.clone()))).collect(),
        list_owner: None,
    };
    let (steps, outcomes) = aliases::bring(&mut server, &[entry], how)?;
    let remark = lines.remark();
    Ok(aliases::show(base, file.common.check_only, &steps, &outcomes, &faults, remark))
}
