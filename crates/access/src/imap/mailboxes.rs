//! Commands on mailboxes by name: CREATE, DELETE, RENAME, SUBSCRIBE, STATUS, NAMESPACE. It must
//! never know name rules or rights.

use angarium_accounts::mailboxes::{MailError, MailRights, SpecialUse, Table, Target};
use angarium_accounts::{FlagBits, MailboxRecord};
use angarium_imap::encode::{self, StatusWriter};
use angarium_imap::types::{Create, DateTime, StatusItem};
use tokio::io::{AsyncRead, AsyncWrite};

use super::answer::{Answer, Halt, Note, Outcome};
use super::session::Session;

/// What STATUS says beyond the record, when asked.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Looked {
    pub(super) oldest: Option<DateTime>,
    pub(super) unseen_media: u32,
    pub(super) deleted_size: u64,
}

/// Items for which the messages must be looked at.
pub(super) fn needs_messages(item: StatusItem) -> bool {
    matches!(item, StatusItem::Oldest | StatusItem::UnseenMedia | StatusItem::DeletedStorage)
}

/// Looks at the messages that somebody with these rights sees.
pub(super) fn look(table: &Table, rights: MailRights) -> Looked {
    let hidden = rights.hides();
    let mut looked = Looked::default();
    let mut oldest: Option<DateTime> = None;
    for row in table.iter().filter(|row| row.bits().0 & hidden.0 == 0) {
        let date = row.internal_date();
        if oldest.is_none_or(|o| date.seconds < o.seconds) {
            oldest = Some(DateTime { seconds: date.seconds, zone_minutes: date.zone_minutes });
        }
        let bits = row.bits();
        if bits.contains(FlagBits::MEDIA) && !bits.contains(FlagBits::SEEN) {
            looked.unseen_media += 1;
        }
        if bits.contains(FlagBits::DELETED) {
            looked.deleted_size += row.size();
        }
    }
    looked.oldest = oldest;
    looked
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Session<S> {
    pub(super) async fn create(&mut self, create: Create) -> Outcome {
        let mail = self.mail()?;
        let mut special_use = None;
        for attribute in &create.special_use {
            let Some(known) = SpecialUse::parse(attribute) else {
                return Err(Answer::no("this special use is not known").word("USEATTR").into());
            };
            if special_use.replace(known).is_some() {
                let answer = Answer::no("a mailbox has one special use here");
                return Err(answer.word("USEATTR").into());
            }
        }
        let record = mail.create(&create.mailbox, special_use, "").await?;
        Ok(Answer::ok("completed").note(Note::Text(format!("MAILBOXID (M{})", record.id.0))))
    }

    pub(super) async fn delete(&mut self, name: &str) -> Outcome {
        let mail = self.mail()?;
        // One's own selected mailbox is left first; others that have it open are told.
        if let Some(selected) = self.selected.as_ref() {
            let target = mail.target(name).await?;
            let record = selected.shared().record;
            if selected.opened.owner.id == target.owner.id && record.name == target.path {
                self.leave_mailbox();
                let mail = self.mail()?;
                mail.delete(name).await?;
                return Ok(Answer::ok("completed").word("CLOSED"));
            }
        }
        mail.delete(name).await?;
        Ok(Answer::ok("completed"))
    }

    pub(super) async fn rename(&mut self, from: &str, to: &str) -> Outcome {
        self.mail()?.rename(from, to).await?;
        Ok(Answer::ok("completed"))
    }

    pub(super) async fn subscribe(&mut self, name: &str, wanted: bool) -> Outcome {
        self.mail()?.subscribe(name, wanted).await?;
        Ok(Answer::ok("completed"))
    }

    pub(super) fn namespace(&mut self) -> Outcome {
        self.user()?;
        let utf8 = self.enabled.utf8_names();
        encode::namespace(self.connection.out(), &[""], &["~"], &["~public/"], utf8);
        Ok(Answer::ok("completed"))
    }

    pub(super) async fn mailbox_status(&mut self, name: &str, items: &[StatusItem]) -> Outcome {
        let mail = self.mail()?;
        let (target, record, _) = mail.status(name).await?;
        if !record.selectable {
            return Err(MailError::NotSelectable.into());
        }
        self.tell_status(name, &target, &record, items).await?;
        Ok(Answer::ok("completed"))
    }

    /// Writes one STATUS answer.
    pub(super) async fn tell_status(
        &mut self,
        name: &str,
        target: &Target,
        record: &MailboxRecord,
        items: &[StatusItem],
    ) -> Result<(), Halt> {
        let mail = self.mail()?;
        let looked = if items.iter().any(|item| needs_messages(*item)) {
            let opened = mail.open(name).await?;
            look(&opened.mailbox.shared().table, opened.rights)
        } else {
            Looked::default()
        };
        let mut append_limit = None;
        if items.contains(&StatusItem::AppendLimit) {
            let most = self.context.options.max_append;
            append_limit = Some(mail.append_limit(target).await?.unwrap_or(most).min(most));
        }
        if items.contains(&StatusItem::HighestModSeq) {
            self.enabled.condstore = true;
        }
        let utf8 = self.enabled.utf8_names();
        let mut status = StatusWriter::new(self.connection.out(), name, utf8);
        for item in items {
            let number = match item {
                StatusItem::Messages => u64::from(record.messages),
                StatusItem::Recent => recent(record),
                StatusItem::UidNext => u64::from(record.uid_next.0),
                StatusItem::UidValidity => u64::from(record.uid_validity.0),
                StatusItem::Unseen => u64::from(record.unseen),
                StatusItem::Deleted => u64::from(record.deleted),
                StatusItem::Size | StatusItem::InternalSize => record.size,
                StatusItem::HighestModSeq => record.highest_modseq.0,
                StatusItem::AppendLimit => append_limit.unwrap_or_default(),
                StatusItem::DeletedStorage => looked.deleted_size.div_ceil(1024),
                StatusItem::UnseenMedia => u64::from(looked.unseen_media),
                StatusItem::MailboxId => {
                    status.mailbox_id(&format!("M{}", record.id.0));
                    continue;
                }
                StatusItem::Oldest => {
                    // Left out for an empty mailbox.
                    if let Some(oldest) = looked.oldest {
                        status.date(*item, oldest);
                    }
                    continue;
                }
            };
            status.number(*item, number);
        }
        status.finish();
        Ok(())
    }
}

/// How many messages nobody has been told of: not more than there are.
fn recent(record: &MailboxRecord) -> u64 {
    let new = record.uid_next.0.saturating_sub(record.first_recent.0);
    u64::from(new.min(record.messages))
}

/// True when a listing may show counters of a mailbox.
pub(super) fn may_count(rights: MailRights) -> bool {
    rights.can(MailRights::READ)
}
