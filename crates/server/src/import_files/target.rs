//! The account that messages are imported into: mailboxes made, messages left out that are there or
//! were there, the others appended in batches, and the proof at the end.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use angarium_accounts::mailboxes::{MailAccount, MailError, canonical};
use angarium_accounts::{
    Accounts, Dictionary, Digest, Flags, InternalDate, MailboxId, MailboxRecord, MessageBody,
    NewMailbox, NewMessage, Uid, UidValidity, Value, bits_of_marks,
};
use tokio::sync::mpsc;

use super::journal::Journal;
use super::reading::{self, Event, Facts};
use super::walk::Found;
use super::{Order, remark};

/// Messages and octets appended at once.
const BATCH: (usize, u64) = (100, 16 << 20);
/// Pieces that may wait to be taken.
const WAITING: usize = 16;
/// Messages between two words of progress.
const PROGRESS: u64 = 500;
/// Different messages of one mailbox: each is remembered for the time of the import.
const MESSAGES_MAX: u64 = 8_000_000;

/// Hears how far it is.
pub(crate) trait Progress: Send {
    /// Mailbox, messages of it read so far. False when nobody listens any more: the import stops.
    fn tell(&mut self, mailbox: &str, messages: u64) -> bool;
}

/// What came of one mailbox.
#[derive(Default)]
struct Count {
    messages: u64,
    added: u64,
    present: u64,
    removed_since: u64,
    failed: u64,
}

/// The account being filled.
pub(super) struct Target {
    accounts: Arc<Accounts>,
    mail: MailAccount,
    journal: Option<Journal>,
    mailboxes: Vec<Value>,
    total: Count,
    remarks: Vec<String>,
    verified: bool,
}

/// One mailbox being filled.
struct Filling {
    name: String,
    record: Option<MailboxRecord>,
    /// How often each content was there before.
    there: HashMap<Digest, u32>,
    /// How often it came from the source so far.
    come: HashMap<Digest, u32>,
    batch: Vec<NewMessage>,
    octets: u64,
    count: Count,
    keep_uids: bool,
    next: Uid,
    /// Of the contents of the source, whatever their order.
    sum: [u64; 4],
}

impl Target {
    pub(super) async fn open(
        accounts: &Arc<Accounts>,
        order: &Order,
        journals: PathBuf,
    ) -> Result<Self, String> {
        let actor = accounts.act_at_console(&order.account).await.map_err(|e| e.text())?;
        let mail = accounts.open_account(&actor);
        let id = mail.home().id;
        let journal = if order.dry_run {
            None
        } else {
            let opened = tokio::task::spawn_blocking(move || Journal::open(&journals, id)).await;
            Some(opened.map_err(|e| e.to_string())?.map_err(|e| e.to_string())?)
        };
        Ok(Self {
            accounts: accounts.clone(),
            mail,
            journal,
            mailboxes: Vec::new(),
            total: Count::default(),
            remarks: Vec::new(),
            verified: true,
        })
    }

    /// Imports one mailbox.
    pub(super) async fn import(
        &mut self,
        found: Found,
        order: &Order,
        progress: &mut dyn Progress,
    ) -> Result<(), String> {
        let (send, mut events) = mpsc::channel(WAITING);
        let (source, dialect) = (found.clone(), order.dialect);
        let reading = tokio::task::spawn_blocking(move || reading::read(&source, dialect, send));
        let mut filling = Filling {
            name: canonical(&found.name).map_err(|e| format!("{}: {e}", found.name))?,
            record: None,
            there: HashMap::new(),
            come: HashMap::new(),
            batch: Vec::new(),
            octets: 0,
            count: Count::default(),
            keep_uids: order.keep_uids,
            next: Uid(0),
            sum: [0; 4],
        };
        let mut validity = None;
        let mut intake = self.accounts.intake();
        let mut digest = blake3::Hasher::new();
        while let Some(event) = events.recv().await {
            match event {
                Event::Validity(number) => validity = Some(number),
                Event::Remark(text) => remark(&mut self.remarks, text),
                Event::Piece(piece) => {
                    digest.update(&piece);
                    // A dry run keeps nothing.
                    if !order.dry_run {
                        intake.write(&piece).await.map_err(|e| e.to_string())?;
                    }
                }
                Event::End(facts) => {
                    let taken = std::mem::replace(&mut intake, self.accounts.intake());
                    let content = *digest.finalize().as_bytes();
                    digest = blake3::Hasher::new();
                    if facts.is_note {
                        continue;
                    }
                    self.prepare(&mut filling, validity, order).await?;
                    if self.wants(&mut filling, &content)? && !order.dry_run {
                        let message = self.message(&filling, facts, taken).await?;
                        self.add(&mut filling, message).await?;
                    }
                    if filling.count.messages.is_multiple_of(PROGRESS)
                        && !progress.tell(&filling.name, filling.count.messages)
                    {
                        return Err("stopped: nobody listens any more".into());
                    }
                }
            }
        }
        let read = reading.await.map_err(|e| e.to_string())?;
        self.prepare(&mut filling, validity, order).await?;
        self.flush(&mut filling).await?;
        if let Err(e) = read {
            self.verified = false;
            remark(&mut self.remarks, format!("{}: {e}", found.path.display()));
        }
        self.prove(filling, order).await
    }

    /// Finds the mailbox, or makes it, once.
    async fn prepare(
        &self,
        filling: &mut Filling,
        validity: Option<u32>,
        order: &Order,
    ) -> Result<(), String> {
        if filling.record.is_some() {
            return Ok(());
        }
        let told = |e: MailError| format!("{}: {e}", filling.name);
        let mut there = self.find(&filling.name).await.map_err(told)?;
        if there.as_ref().is_none_or(|record| !record.selectable) {
            let new = NewMailbox {
                name: filling.name.clone(),
                selectable: true,
                uid_validity: validity.filter(|_| order.keep_uids).map(UidValidity),
                now: self.accounts.now(),
                ..NewMailbox::default()
            };
            if order.dry_run {
                let none = MailboxRecord::new(MailboxId(0), &filling.name, true, UidValidity(1));
                filling.record = Some(none);
                return Ok(());
            }
            let mailboxes = &self.accounts.store().mailboxes;
            let made = mailboxes.create(self.mail.home().id, new).await;
            there = Some(made.map_err(|e| format!("{}: {e}", filling.name))?);
        }
        let Some(record) = there else { return Ok(()) };
        filling.there = self.contents(record.id).await?;
        filling.next = record.uid_next;
        filling.record = Some(record);
        Ok(())
    }

    async fn find(&self, name: &str) -> Result<Option<MailboxRecord>, MailError> {
        match self.mail.look_up(name).await {
            Ok((_, record, _)) => Ok(Some(record)),
            Err(MailError::NotFound) => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// How often each content is in a mailbox.
    async fn contents(&self, mailbox: MailboxId) -> Result<HashMap<Digest, u32>, String> {
        let mailboxes = &self.accounts.store().mailboxes;
        let snapshot = mailboxes.snapshot(self.mail.home().id, mailbox).await;
        let mut all = HashMap::new();
        for entry in snapshot.map_err(|e| e.to_string())?.entries {
            *all.entry(entry.digest).or_insert(0) += 1;
        }
        Ok(all)
    }

    /// True for a message that is neither there nor was there.
    fn wants(&self, filling: &mut Filling, content: &Digest) -> Result<bool, String> {
        if filling.count.messages >= MESSAGES_MAX {
            return Err(format!("{}: too many messages for one mailbox", filling.name));
        }
        filling.count.messages += 1;
        for (sum, part) in filling.sum.iter_mut().zip(content.chunks_exact(8)) {
            *sum = sum.wrapping_add(u64::from_le_bytes(part.try_into().unwrap_or_default()));
        }
        let come = filling.come.entry(*content).or_insert(0);
        *come += 1;
        let there = filling.there.get(content).copied().unwrap_or(0);
        let mailbox = filling.record.as_ref().map_or(MailboxId(0), |record| record.id);
        let before = self.journal.as_ref().map_or(0, |journal| journal.count(mailbox, content));
        if *come <= there {
            filling.count.present += 1;
            return Ok(false);
        }
        if *come <= before {
            filling.count.removed_since += 1;
            return Ok(false);
        }
        filling.count.added += 1;
        Ok(true)
    }

    async fn message(
        &self,
        filling: &Filling,
        facts: Facts,
        taken: angarium_accounts::mailboxes::Intake,
    ) -> Result<NewMessage, String> {
        let atom = |word: &String| {
            let special = |b: u8| !b.is_ascii_graphic() || b"(){%*\"\\]".contains(&b);
            (1..=128).contains(&word.len()) && !word.bytes().any(special)
        };
        let words = facts.keywords.into_iter().filter(atom);
        let flags = Flags::with_keywords(bits_of_marks(facts.marks), words);
        let (seconds, zone) = facts.arrived;
        let date = InternalDate { seconds, zone_minutes: zone.clamp(-1439, 1439) };
        let message = taken.into_message(flags, date, self.accounts.now()).await;
        let mut message = message.map_err(|e| e.to_string())?;
        if filling.keep_uids {
            let free = |uid: &u32| *uid >= filling.next.0 && *uid < u32::MAX - 1;
            message.uid = facts.uid.filter(free).map(Uid);
            message.original_uid = facts.original_uid.or(facts.uid).filter(|uid| *uid > 0);
        }
        Ok(message)
    }

    async fn add(&mut self, filling: &mut Filling, message: NewMessage) -> Result<(), String> {
        let uid = message.uid.unwrap_or(filling.next);
        filling.next = Uid(uid.0.saturating_add(1));
        filling.octets += match &message.body {
            MessageBody::Staged(staged) => staged.size,
            _ => 0,
        };
        filling.batch.push(message);
        if filling.batch.len() >= BATCH.0 || filling.octets >= BATCH.1 {
            self.flush(filling).await?;
        }
        Ok(())
    }

    /// Appends what is gathered; a message that cannot be taken does not keep the others out.
    async fn flush(&mut self, filling: &mut Filling) -> Result<(), String> {
        let batch = std::mem::take(&mut filling.batch);
        filling.octets = 0;
        let Some(record) = filling.record.as_ref().filter(|_| !batch.is_empty()) else {
            return Ok(());
        };
        let mailbox = record.id;
        match self.mail.append(&filling.name, batch.clone()).await {
            Ok(_) => return self.note(mailbox, &batch),
            Err(e @ (MailError::OverQuota | MailError::Unavailable(_))) => {
                return Err(format!("{}: {e}", filling.name));
            }
            Err(_) => {}
        }
        for message in batch {
            match self.mail.append(&filling.name, vec![message.clone()]).await {
                Ok(_) => self.note(mailbox, &[message])?,
                Err(e @ (MailError::OverQuota | MailError::Unavailable(_))) => {
                    return Err(format!("{}: {e}", filling.name));
                }
                Err(e) => {
                    filling.count.failed += 1;
                    filling.count.added -= 1;
                    let number = filling.count.messages;
                    let text = format!("{}: a message before no. {number}: {e}", filling.name);
                    remark(&mut self.remarks, text);
                }
            }
        }
        Ok(())
    }

    fn note(&mut self, mailbox: MailboxId, batch: &[NewMessage]) -> Result<(), String> {
        let digests: Vec<Digest> = batch
            .iter()
            .filter_map(|message| match &message.body {
                MessageBody::Staged(staged) => Some(staged.digest),
                _ => None,
            })
            .collect();
        let Some(journal) = &mut self.journal else { return Ok(()) };
        journal.note(mailbox, &digests).map_err(|e| e.to_string())
    }

    /// Reads the mailbox again and holds it against what came from the source.
    async fn prove(&mut self, filling: Filling, order: &Order) -> Result<(), String> {
        let count = &filling.count;
        let mut proved = count.failed == 0;
        if let (Some(journal), Some(record)) = (&self.journal, &filling.record) {
            journal.sync().map_err(|e| e.to_string())?;
            let there = self.contents(record.id).await?;
            let missing: u64 = filling
                .come
                .iter()
                .map(|(content, come)| {
                    come.saturating_sub(there.get(content).copied().unwrap_or(0))
                })
                .map(u64::from)
                .sum();
            proved &= missing <= count.removed_since;
        }
        self.verified &= proved;
        let number = |n: u64| Value::Number(i64::try_from(n).unwrap_or(i64::MAX));
        let mut row = Dictionary::new();
        row.insert("mailbox".into(), filling.name.as_str().into());
        row.insert("messages".into(), number(count.messages));
        row.insert("added".into(), number(count.added));
        row.insert("present".into(), number(count.present));
        row.insert("removedsince".into(), number(count.removed_since));
        row.insert("failed".into(), number(count.failed));
        let sum: String = filling.sum.iter().map(|part| format!("{part:016x}")).collect();
        row.insert("digest".into(), sum.into());
        if !order.dry_run {
            row.insert("verified".into(), if proved { "YES" } else { "NO" }.into());
        }
        self.mailboxes.push(Value::Dictionary(row));
        self.total.messages += count.messages;
        self.total.added += count.added;
        self.total.present += count.present;
        self.total.removed_since += count.removed_since;
        self.total.failed += count.failed;
        Ok(())
    }

    /// Subscribes to what was subscribed to.
    pub(super) async fn subscribe(&self, names: &[String], order: &Order) -> Result<(), String> {
        for name in names.iter().filter(|_| !order.dry_run) {
            match self.mail.subscribe(name, true).await {
                Ok(()) | Err(MailError::Name(_)) => {}
                Err(e) => return Err(format!("{name}: {e}")),
            }
        }
        Ok(())
    }

    /// What came of it all.
    pub(super) fn report(self, mut remarks: Vec<String>) -> Dictionary {
        self.remarks.into_iter().for_each(|text| remark(&mut remarks, text));
        let number = |n: u64| Value::Number(i64::try_from(n).unwrap_or(i64::MAX));
        let mut all = Dictionary::new();
        all.insert("mailboxes".into(), Value::Array(self.mailboxes));
        all.insert("messages".into(), number(self.total.messages));
        all.insert("added".into(), number(self.total.added));
        all.insert("present".into(), number(self.total.present));
        all.insert("removedsince".into(), number(self.total.removed_since));
        all.insert("failed".into(), number(self.total.failed));
        all.insert(
            "remarks".into(),
            Value::Array(remarks.into_iter().map(Value::String).collect()),
        );
        let verified = self.verified && self.total.failed == 0;
        all.insert("verified".into(), if verified { "YES" } else { "NO" }.into());
        all
    }
}
