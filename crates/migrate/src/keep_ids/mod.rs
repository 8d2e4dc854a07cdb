//! The numbers of the old server kept at the new one, where that takes them (XKEEPIDS, announced to
//! administrators alone): UIDs, UIDVALIDITY, MODSEQs above the old ones, POP's unique ids. A
//! program that knew the old server then fetches nothing again. Mailbox by mailbox; where it
//! cannot be, the report says why and messages get new numbers. Must never decide which messages
//! are copied.

pub(crate) mod numbering;
pub mod pop_ids;
mod pop_lists;
pub mod report;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use angarium_imap::client::{Code, Untagged, write};

use crate::endpoint::{Endpoint, TlsPolicy};
use crate::error::Result;
use crate::lanes::prepare::Ready;
use crate::login::Credentials;
use crate::options::numbers::Numbers;
use crate::options::sides::Sides;
use crate::plan::Planned;
use crate::session::{Answer, Session};
use numbering::{Here, Numbering, There, beginning, quoted};
use report::KeptReport;

/// The capability.
const KEEP_IDS: &str = "XKEEPIDS";
/// Unique ids of POP given in one command.
const IDS_AT_ONCE: usize = 500;

/// What all mailboxes of a run share.
#[derive(Clone, Debug)]
pub(crate) struct KeepIds {
    numbers: Numbers,
    pop: Option<PopServer>,
    /// Which mailbox of the source each target keeps the numbers of.
    taken: Arc<Mutex<HashMap<Vec<u8>, String>>>,
}

/// The POP server of the old server and who logs in there.
#[derive(Clone, Debug)]
struct PopServer {
    endpoint: Endpoint,
    who: Credentials,
    timeout: Duration,
}

/// The numbers of one mailbox.
#[derive(Clone, Debug, Default)]
pub(crate) struct MailboxIds {
    uids: bool,
    pop_ids: Arc<HashMap<u32, String>>,
    /// UIDs are given from this one.
    first: u32,
    /// What was known of the target mailbox before is so no more.
    changed: bool,
    pub(crate) report: KeptReport,
    lost: Arc<Mutex<u64>>,
}

impl KeepIds {
    /// `timeout`: of every wait for the POP server.
    pub(crate) fn new(numbers: &Numbers, sides: &Sides, timeout: Duration) -> Self {
        let (source, who) = &sides.source;
        let pop = numbers.pop_server.as_ref().map(|asked| {
            let tls = match (asked.port, source.tls) {
                (995, _) => TlsPolicy::Implicit,
                (_, TlsPolicy::Implicit) => TlsPolicy::WhenOffered,
                (_, other) => other,
            };
            // What is trusted at the one is trusted at the other.
            let (host, port) = (asked.host.clone(), asked.port);
            PopServer {
                endpoint: Endpoint {
                    host,
                    port,
                    tls,
                    learned: Default::default(),
                    ..source.clone()
                },
                who: who.clone(),
                timeout,
            }
        });
        Self { numbers: numbers.clone(), pop, taken: Arc::default() }
    }

    /// Prepares a mailbox that is there, before anything is copied into it. It is not open at
    /// the target.
    ///
    /// # Errors
    /// `Lost`; what the POP server says, if one is asked.
    pub(crate) async fn prepare(
        &self,
        source: &mut Session,
        target: &mut Session,
        planned: &Planned,
        ready: &Ready,
    ) -> Result<MailboxIds> {
        if !target.has(KEEP_IDS) || self.numbers.none {
            let asked = self.numbers.asks_for_pop_ids() && is_inbox(planned);
            let why = asked.then(|| {
                "POP's ids are not kept: the new server does not announce XKEEPIDS to this login"
                    .to_owned()
            });
            return Ok(MailboxIds {
                report: KeptReport { why, ..KeptReport::default() },
                ..MailboxIds::default()
            });
        }
        let there = match ready.source {
            Some(state) => There {
                uid_validity: state.uid_validity,
                uid_next: state.uid_next.unwrap_or(0),
                highest_modseq: state.highest_modseq.unwrap_or(0),
            },
            None => told_by_source(source, planned).await?,
        };
        let mut ids = MailboxIds::default();
        match self.take_over(target, planned, there).await? {
            Ok((here, changed)) => {
                (ids.uids, ids.first, ids.changed) = (true, here.uid_next, changed);
                ids.report.uids_kept = Some(true);
            }
            Err(why) => {
                ids.report.uids_kept = Some(false);
                ids.report.why = Some(why);
            }
        }
        if is_inbox(planned) && self.numbers.asks_for_pop_ids() {
            let found = pop_lists::of(self, source, planned, there.uid_validity).await?;
            ids.report.pop_ids = Some(found.ids.len() as u64);
            ids.report.without_pop_id = found.without;
            ids.pop_ids = Arc::new(found.ids);
        }
        Ok(ids)
    }

    /// Makes the target mailbox begin with the numbers of the source, or says why it does not.
    async fn take_over(
        &self,
        target: &mut Session,
        planned: &Planned,
        there: There,
    ) -> Result<std::result::Result<(Here, bool), String>> {
        {
            let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
            let first = taken.entry(planned.target_wire.clone());
            let first = first.or_insert_with(|| planned.source.clone());
            if *first != planned.source {
                return Ok(Err(format!("it keeps the numbers of {first}, which goes into it too")));
            }
        }
        let mut here = match keep(target, planned, "").await? {
            Ok(here) => here,
            Err(why) => return Ok(Err(why)),
        };
        let mut changed = false;
        match beginning(there, here) {
            Err(why) => return Ok(Err(why.to_owned())),
            Ok(items) if items.is_empty() => {}
            Ok(items) => match keep(target, planned, &items).await? {
                Ok(then) => (here, changed) = (then, true),
                Err(why) => return Ok(Err(why)),
            },
        }
        Ok(Ok((here, changed)))
    }

    /// Stands for what is asked for: a mailbox that was finished without it is not finished with.
    pub(crate) fn what(&self) -> &'static str {
        match (self.numbers.none, self.numbers.asks_for_pop_ids()) {
            (false, false) => "",
            (true, false) => " new",
            (_, true) => " pop",
        }
    }
}

impl MailboxIds {
    /// True when the target mailbox has other numbers than before.
    pub(crate) fn has_changed(&self) -> bool {
        self.changed
    }

    /// The numbers for one pass over messages in the order of their UIDs; `single`: messages that
    /// were refused before, one by one.
    ///
    /// # Errors
    /// `Lost`.
    pub(crate) async fn pass(
        &self,
        target: &mut Session,
        planned: &Planned,
        single: bool,
    ) -> Result<Mutex<Numbering>> {
        let mut next = None;
        if self.uids {
            next = keep(target, planned, "").await?.ok().map(|here| here.uid_next);
        }
        let pop_ids = Arc::clone(&self.pop_ids);
        Ok(Mutex::new(Numbering { next, chained: !single, pop_ids, lost: 0 }))
    }

    /// After a pass.
    pub(crate) fn passed(&self, numbering: &Mutex<Numbering>) {
        let late = numbering.lock().unwrap_or_else(PoisonError::into_inner).lost;
        *self.lost.lock().unwrap_or_else(PoisonError::into_inner) += late;
    }

    /// After all messages: UIDs the old server has given and that are gone are never given again
    /// here, and messages copied in earlier runs get their ids of POP.
    ///
    /// # Errors
    /// `Lost`.
    pub(crate) async fn finish(
        &mut self,
        source: &mut Session,
        target: &mut Session,
        planned: &Planned,
    ) -> Result<()> {
        self.report.new_uids = *self.lost.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.uids {
            return Ok(());
        }
        let there = told_by_source(source, planned).await?;
        if there.uid_next > 0
            && let Err(why) = keep(target, planned, &format!("UIDNEXT {}", there.uid_next)).await?
        {
            self.report.why = Some(why);
        }
        let mut earlier: Vec<(&u32, &String)> =
            self.pop_ids.iter().filter(|(uid, _)| **uid < self.first).collect();
        earlier.sort_unstable();
        for part in earlier.chunks(IDS_AT_ONCE) {
            let ids: Vec<String> =
                part.iter().map(|(uid, id)| format!("{uid} {}", quoted(id))).collect();
            let items = format!("POPID ({})", ids.join(" "));
            if let Err(why) = keep(target, planned, &items).await? {
                self.report.why = Some(why);
                break;
            }
        }
        Ok(())
    }
}

/// UIDVALIDITY, UIDNEXT and HIGHESTMODSEQ of the source mailbox, as far as it tells.
async fn told_by_source(source: &mut Session, planned: &Planned) -> Result<There> {
    let modseq = source.has("CONDSTORE") || source.has("QRESYNC");
    let items = if modseq { "UIDVALIDITY UIDNEXT HIGHESTMODSEQ" } else { "UIDVALIDITY UIDNEXT" };
    let told = source.status(&planned.source_wire, items).await?;
    let here = Here::of(&told);
    Ok(There {
        uid_validity: here.uid_validity,
        uid_next: here.uid_next,
        highest_modseq: here.highest_modseq,
    })
}

/// POP sees one mailbox.
fn is_inbox(planned: &Planned) -> bool {
    planned.source.eq_ignore_ascii_case("INBOX")
}

/// XKEEPIDS with these items: the mailbox as it is then, or the server's words.
async fn keep(
    target: &mut Session,
    planned: &Planned,
    items: &str,
) -> Result<std::result::Result<Here, String>> {
    let mut line = format!("{KEEP_IDS} ").into_bytes();
    if write::string(&mut line, &planned.target_wire, false).is_some() {
        return Ok(Err("its name cannot be sent in one line".into()));
    }
    line.extend_from_slice(format!(" ({items})").as_bytes());
    let answer = target.command(&line).await?;
    if !answer.is_ok() {
        return Ok(Err(words(&answer)));
    }
    let told = answer.untagged.into_iter().find_map(|untagged| match untagged {
        Untagged::StatusOf(_, items) if items.iter().any(|(name, _)| name == KEEP_IDS) => {
            Some(Here::of(&items))
        }
        _ => None,
    });
    Ok(told.ok_or_else(|| "the new server does not tell how the mailbox is".into()))
}

/// A refusal in bounded, printable words.
fn words(answer: &Answer) -> String {
    let text: String = answer.text.chars().filter(|c| !c.is_control()).take(200).collect();
    match &answer.code {
        Some(Code::Other(name, _)) if name.len() <= 40 => format!("[{name}] {text}"),
        _ => text,
    }
}
