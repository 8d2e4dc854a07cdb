//! Calendars and contacts put into an account, one message an object: events, tasks and journals
//! into their mailboxes, contacts into theirs. What is there by its UID is left, or replaced where
//! the file has a newer edition.

use std::collections::{BTreeMap, HashMap};
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use angarium_accounts::mailboxes::{MailAccount, MailError, Opened, batches, canonical};
use angarium_accounts::{
    Accounts, BodyId, Dictionary, FlagBits, Flags, InternalDate, MailboxRecord, NewMessage, Uid,
    Value,
};
use angarium_message::address::Mailbox;
use angarium_message::date::Moment;
use angarium_message::items::{self, Edition, Item, ItemKind, MAX_FILE};

use super::{Order, reading, remark};

/// Messages and octets read or appended at once.
const BATCH: (usize, u64) = (100, 16 << 20);
/// Most messages of a mailbox that are looked at.
const LOOKED_AT: usize = 500_000;

/// The mailbox and its class for each kind of object.
const PLACES: [(ItemKind, &str, &str); 4] = [
    (ItemKind::Event, "Calendar", "IPF.Appointment"),
    (ItemKind::Task, "Tasks", "IPF.Task"),
    (ItemKind::Journal, "Journal", "IPF.Journal"),
    (ItemKind::Contact, "Contacts", "IPF.Contact"),
];

/// What came of the objects of one mailbox.
#[derive(Clone, Copy, Default)]
struct Count {
    objects: u64,
    added: u64,
    replaced: u64,
    present: u64,
    newer_there: u64,
    failed: u64,
}

/// An object that is in the mailbox.
struct There {
    uid: Uid,
    edition: Edition,
    body: String,
}

/// Reads a file and puts its objects into the account.
pub(super) async fn run(accounts: &Arc<Accounts>, order: &Order) -> Result<Dictionary, String> {
    let path = order.path.clone();
    let found = tokio::task::spawn_blocking(move || whole(&path).map(|file| items::read(&file)));
    let found = found.await.map_err(|e| e.to_string())??;
    let actor = accounts.act_at_console(&order.account).await.map_err(|e| e.text())?;
    let mail = accounts.open_account(&actor);
    let mut remarks = Vec::new();
    for (line, why) in &found.faults {
        remark(&mut remarks, format!("line {line}: left out: {why}"));
    }
    for (line, text) in &found.remarks {
        remark(&mut remarks, format!("line {line}: {text}"));
    }
    if found.items.is_empty() && found.faults.is_empty() {
        return Err(format!("{}: no calendar and no contact was found", order.path.display()));
    }
    let mut by_place: BTreeMap<usize, Vec<Item>> = BTreeMap::new();
    for item in found.items {
        let place = PLACES.iter().position(|(kind, ..)| *kind == item.kind).unwrap_or(0);
        by_place.entry(place).or_default().push(item);
    }
    let mut rows = Vec::new();
    let mut total = Count { failed: found.faults.len() as u64, ..Count::default() };
    for (place, items) in by_place {
        let Some((_, standard, class)) = PLACES.get(place) else { continue };
        let name = order.mailbox.as_deref().unwrap_or(standard);
        let name = canonical(name).map_err(|e| format!("{name}: {e}"))?;
        let mut filling = Filling { accounts, mail: &mail, name, class, remarks: &mut remarks };
        let count = Box::pin(filling.fill(items, order)).await?;
        rows.push(Value::Dictionary(count.row(Some(&filling.name))));
        total.add(&count);
    }
    let mut all = total.row(None);
    all.insert("mailboxes".into(), Value::Array(rows));
    let remarks = remarks.into_iter().map(Value::String).collect();
    all.insert("remarks".into(), Value::Array(remarks));
    Ok(all)
}

/// A file as a whole: a regular file of bounded size, through no symbolic link.
fn whole(path: &Path) -> Result<Vec<u8>, String> {
    let told = |e: std::io::Error| format!("{}: {e}", path.display());
    let file = reading::open(path).map_err(told)?;
    let mut bytes = Vec::new();
    file.take(MAX_FILE + 1).read_to_end(&mut bytes).map_err(told)?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(format!("{}: larger than {} MiB", path.display(), MAX_FILE >> 20));
    }
    Ok(bytes)
}

impl Count {
    fn add(&mut self, other: &Self) {
        self.objects += other.objects;
        self.added += other.added;
        self.replaced += other.replaced;
        self.present += other.present;
        self.newer_there += other.newer_there;
        self.failed += other.failed;
    }

    fn row(&self, mailbox: Option<&str>) -> Dictionary {
        let number = |n: u64| Value::Number(i64::try_from(n).unwrap_or(i64::MAX));
        let mut row: Dictionary = [
            ("objects", self.objects),
            ("added", self.added),
            ("replaced", self.replaced),
            ("present", self.present),
            ("newerthere", self.newer_there),
            ("failed", self.failed),
        ]
        .into_iter()
        .map(|(key, n)| (key.to_owned(), number(n)))
        .collect();
        if let Some(mailbox) = mailbox {
            row.insert("mailbox".into(), mailbox.into());
        }
        row
    }
}

/// One mailbox being filled.
struct Filling<'a> {
    accounts: &'a Arc<Accounts>,
    mail: &'a MailAccount,
    name: String,
    class: &'a str,
    remarks: &'a mut Vec<String>,
}

impl Filling<'_> {
    async fn fill(&mut self, items: Vec<Item>, order: &Order) -> Result<Count, String> {
        let mut count = Count { objects: items.len() as u64, ..Count::default() };
        let there = match self.prepare(order.dry_run).await? {
            Some(record) => self.there(&record).await?,
            None => HashMap::new(),
        };
        let opened = if order.dry_run || there.is_empty() {
            None
        } else {
            Some(self.mail.open(&self.name).await.map_err(|e| self.told(&e))?)
        };
        let (mut batch, mut octets) = (Vec::new(), 0);
        for item in items {
            let known = there.get(&item.uid);
            match known {
                Some(there) if there.body == item.body => count.present += 1,
                Some(there) if there.edition > item.edition => {
                    count.newer_there += 1;
                    let text = format!("line {}: the account has a newer edition, left", item.line);
                    remark(self.remarks, text);
                }
                Some(there) => {
                    count.replaced += 1;
                    if let Some(opened) = &opened {
                        self.replace(opened, there.uid, &item, &mut count).await?;
                    }
                }
                None => {
                    count.added += 1;
                    if !order.dry_run {
                        let message = self.message(&item).await?;
                        octets += item.body.len() as u64;
                        batch.push((item.line, message));
                        if batch.len() >= BATCH.0 || octets >= BATCH.1 {
                            octets = 0;
                            self.append(std::mem::take(&mut batch), &mut count).await?;
                        }
                    }
                }
            }
        }
        self.append(batch, &mut count).await?;
        Ok(count)
    }

    fn told(&self, error: &MailError) -> String {
        format!("{}: {error}", self.name)
    }

    /// Finds the mailbox, or makes it with its class; `None` where a dry run does not.
    async fn prepare(&mut self, dry_run: bool) -> Result<Option<MailboxRecord>, String> {
        match self.mail.look_up(&self.name).await {
            Ok((_, record, _)) if record.selectable => {
                let wanted = self.class;
                if record.class != wanted {
                    let text = format!(
                        "{}: its class is {}, not {wanted}; it stays as it is",
                        self.name,
                        if record.class.is_empty() { "mail" } else { record.class.as_str() }
                    );
                    remark(self.remarks, text);
                }
                Ok(Some(record))
            }
            Ok(_) | Err(MailError::NotFound) if dry_run => Ok(None),
            Ok(_) | Err(MailError::NotFound) => {
                let made = self.mail.create(&self.name, None, self.class).await;
                made.map(Some).map_err(|e| self.told(&e))
            }
            Err(e) => Err(self.told(&e)),
        }
    }

    /// The objects of the mailbox by their UIDs.
    async fn there(&mut self, record: &MailboxRecord) -> Result<HashMap<String, There>, String> {
        let (target, ..) = self.mail.look_up(&self.name).await.map_err(|e| self.told(&e))?;
        let mailboxes = &self.accounts.store().mailboxes;
        let snapshot = mailboxes.snapshot(target.owner.id, record.id).await;
        let entries = snapshot.map_err(|e| e.to_string())?.entries;
        if entries.len() > LOOKED_AT {
            return Err(format!("{}: more than {LOOKED_AT} messages", self.name));
        }
        let reader = self.accounts.reader();
        let (mut all, mut at) = (HashMap::new(), 0);
        for run in batches(entries.iter().map(|entry| entry.size), BATCH.0, BATCH.1) {
            let some = entries.get(at..at + run).unwrap_or_default();
            at += run;
            let bodies: Vec<BodyId> = some.iter().map(|entry| entry.body).collect();
            let bodies = reader.bodies(&bodies).await.map_err(|e| self.told(&e))?;
            for (entry, body) in some.iter().zip(bodies) {
                let Some(stored) = items::stored(&body) else { continue };
                let there = There { uid: entry.uid, edition: stored.edition, body: stored.body };
                all.insert(stored.uid, there);
            }
        }
        Ok(all)
    }

    async fn message(&self, item: &Item) -> Result<NewMessage, String> {
        let now = self.accounts.now();
        let moment = moment(&item.edition.changed).unwrap_or(now);
        let owner = self.mail.home();
        let owner = Mailbox {
            name: String::new(),
            local: owner.name.clone(),
            domain: owner.domain.clone(),
        };
        let bytes = items::message(item, &owner, Moment::utc(moment));
        let mut intake = self.accounts.intake();
        intake.write(&bytes).await.map_err(|e| e.to_string())?;
        let date = InternalDate { seconds: moment, zone_minutes: 0 };
        // Nobody wants a thousand unread events.
        let flags = Flags::with_keywords(FlagBits::SEEN, std::iter::empty::<String>());
        intake.into_message(flags, date, now).await.map_err(|e| e.to_string())
    }

    async fn replace(
        &mut self,
        opened: &Opened,
        old: Uid,
        item: &Item,
        count: &mut Count,
    ) -> Result<(), String> {
        let message = self.message(item).await?;
        let name = self.name.clone();
        match self.mail.replace(opened, old, &name, message).await {
            Ok(_) => Ok(()),
            Err(e @ (MailError::OverQuota | MailError::Unavailable(_))) => Err(self.told(&e)),
            Err(e) => {
                count.replaced -= 1;
                count.failed += 1;
                remark(self.remarks, format!("line {}: not replaced: {e}", item.line));
                Ok(())
            }
        }
    }

    /// Puts objects in; one that cannot be taken does not keep the others out.
    async fn append(
        &mut self,
        batch: Vec<(u64, NewMessage)>,
        count: &mut Count,
    ) -> Result<(), String> {
        if batch.is_empty() {
            return Ok(());
        }
        let all = batch.iter().map(|(_, message)| message.clone()).collect();
        if self.mail.append(&self.name, all).await.is_ok() {
            return Ok(());
        }
        for (line, message) in batch {
            match self.mail.append(&self.name, vec![message]).await {
                Ok(_) => {}
                Err(e @ (MailError::OverQuota | MailError::Unavailable(_))) => {
                    return Err(self.told(&e));
                }
                Err(e) => {
                    count.added -= 1;
                    count.failed += 1;
                    remark(self.remarks, format!("line {line}: not added: {e}"));
                }
            }
        }
        Ok(())
    }
}

/// Seconds since 1970 of `20131211232400`.
fn moment(digits: &str) -> Option<i64> {
    let part = |from: usize, to: usize| digits.get(from..to).and_then(|d| d.parse::<u32>().ok());
    let (year, month, day) = (part(0, 4)?, part(4, 6)?, part(6, 8)?);
    if !(1970..=9999).contains(&year) || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let time = part(8, 10).unwrap_or(0) * 3600 + part(10, 12).unwrap_or(0) * 60;
    let days = angarium_message::date::days_of(i64::from(year), month, day);
    Some(days * 86_400 + i64::from(time.min(86_399)))
}
