//! How the contract's own types are spelled in records and in packed index columns: flags, dates,
//! mailboxes, domains, accounts, queue entries. Spellings are stored and must never change but by
//! a new record kind.

use std::sync::Arc;

use bytes::Bytes;

use angarium_store::{
    AccountId, AccountKind, AccountRecord, Annotations, DomainObject, DomainRecord, FlagBits,
    Flags, InternalDate, KeptNumbers, Keyword, MailboxId, MailboxRecord, ModSeq, QueuedRecipient,
    RecipientState, RecipientStep, SettingsKey, Step, Uid, UidValidity,
};

use super::code::{Decoded, Get, Malformed, Put};

impl Put {
    pub(crate) fn flags(&mut self, flags: &Flags) {
        self.uint(u64::from(flags.bits.0));
        self.list(flags.keywords(), |put, word| put.text(word));
    }

    pub(crate) fn date(&mut self, date: InternalDate) {
        self.int(date.seconds);
        self.int(i64::from(date.zone_minutes));
    }

    pub(crate) fn mailbox(&mut self, m: &MailboxRecord) {
        self.uint(m.id.0);
        self.text(&m.name);
        self.bool(m.selectable);
        self.uint(u64::from(m.uid_validity.0));
        self.uint(u64::from(m.uid_next.0));
        self.uint(m.highest_modseq.0);
        self.uint(u64::from(m.messages));
        self.uint(u64::from(m.unseen));
        self.uint(u64::from(m.deleted));
        self.uint(m.size);
        self.uint(u64::from(m.first_recent.0));
        self.attributes(m);
    }

    /// What seldom changes of a mailbox.
    pub(crate) fn attributes(&mut self, m: &MailboxRecord) {
        self.text(&m.class);
        self.text(&m.special_use);
        self.dictionary(&m.acl);
    }

    /// A mailbox of record kind 17.
    pub(crate) fn annotated_mailbox(&mut self, m: &MailboxRecord) {
        self.mailbox(m);
        self.annotations(&m.annotations);
    }

    /// A mailbox of record kind 20.
    pub(crate) fn kept_mailbox(&mut self, m: &MailboxRecord) {
        self.annotated_mailbox(m);
        self.bool(m.kept_numbers.is_some());
        if let Some(kept) = m.kept_numbers {
            self.kept_numbers(kept);
        }
    }

    pub(crate) fn kept_numbers(&mut self, kept: KeptNumbers) {
        self.uint(kept.foreign_until.0);
        self.uint(u64::from(kept.own_from.0));
    }

    pub(crate) fn optional_text(&mut self, text: Option<&str>) {
        self.bool(text.is_some());
        if let Some(text) = text {
            self.text(text);
        }
    }

    pub(crate) fn annotations(&mut self, annotations: &Annotations) {
        self.uint(annotations.len() as u64);
        for (name, value) in annotations.iter() {
            self.text(name);
            self.bytes(value);
        }
    }

    pub(crate) fn domain(&mut self, d: &DomainRecord) {
        self.text(&d.name);
        self.list(&d.aliases, |put, a| put.text(a));
        self.dictionary(&d.settings);
        self.dictionary(&d.account_defaults);
        self.dictionary(&d.template);
        self.uint(d.version);
    }

    pub(crate) fn account(&mut self, a: &AccountRecord) {
        self.uint(a.id.0);
        self.text(&a.domain);
        self.text(&a.name);
        self.u8(match a.kind {
            AccountKind::MultiMailbox => 1,
            AccountKind::TextMailbox => 2,
            AccountKind::MailDirMailbox => 3,
            AccountKind::SlicedMailbox => 4,
            AccountKind::AGrade => 5,
            AccountKind::BGrade => 6,
            AccountKind::CGrade => 7,
        });
        self.list(&a.aliases, |put, x| put.text(x));
        self.dictionary(&a.settings);
        self.list(&a.rights, |put, x| put.text(x));
        self.list(&a.subscription, |put, x| put.text(x));
        self.dictionary(&a.mailbox_aliases);
        self.dictionary(&a.info);
        self.uint(a.version);
    }

    pub(crate) fn object(&mut self, object: &DomainObject) {
        match object {
            DomainObject::Account(id) => {
                self.u8(1);
                self.uint(id.0);
            }
            DomainObject::Alias(id) => {
                self.u8(2);
                self.uint(id.0);
            }
            DomainObject::Forwarder(to) => {
                self.u8(3);
                self.text(to);
            }
            DomainObject::Group(settings) => {
                self.u8(4);
                self.dictionary(settings);
            }
            DomainObject::List(list) => {
                self.u8(5);
                self.dictionary(list);
            }
        }
    }

    pub(crate) fn recipient(&mut self, r: &QueuedRecipient) {
        self.text(&r.address);
        self.text(&r.module);
        self.text(&r.queue);
        self.dictionary(&r.facts);
        self.state(&r.state);
    }

    pub(crate) fn state(&mut self, state: &RecipientState) {
        match state {
            RecipientState::Waiting { not_before, attempts, last_error } => {
                self.u8(1);
                self.int(*not_before);
                self.uint(u64::from(*attempts));
                self.text(last_error);
            }
            RecipientState::Done => self.u8(2),
            RecipientState::Failed { error } => {
                self.u8(3);
                self.text(error);
            }
        }
    }

    pub(crate) fn step(&mut self, step: &RecipientStep) {
        self.uint(u64::from(step.recipient));
        match &step.step {
            Step::Done => self.u8(1),
            Step::Failed { error } => {
                self.u8(2);
                self.text(error);
            }
            Step::Retry { not_before, error } => {
                self.u8(3);
                self.int(*not_before);
                self.text(error);
            }
            Step::Rerouted { module, queue } => {
                self.u8(4);
                self.text(module);
                self.text(queue);
            }
            Step::Postponed { not_before } => {
                self.u8(5);
                self.int(*not_before);
            }
        }
    }
}

impl Get<'_> {
    pub(crate) fn flags(&mut self) -> Decoded<Flags> {
        let bits = FlagBits(self.u32()?);
        let words = self.list(|get| get.text().map(Keyword::from))?;
        let keywords: Option<Arc<[Keyword]>> =
            if words.is_empty() { None } else { Some(words.into()) };
        Ok(Flags { bits, keywords })
    }

    pub(crate) fn date(&mut self) -> Decoded<InternalDate> {
        let seconds = self.int()?;
        let zone_minutes = i16::try_from(self.int()?).map_err(|_| Malformed)?;
        Ok(InternalDate { seconds, zone_minutes })
    }

    pub(crate) fn mailbox(&mut self) -> Decoded<MailboxRecord> {
        let mut m = MailboxRecord {
            id: MailboxId(self.uint()?),
            name: self.text()?,
            selectable: self.bool()?,
            uid_validity: UidValidity(self.u32()?),
            uid_next: Uid(self.u32()?),
            highest_modseq: ModSeq(self.uint()?),
            messages: self.u32()?,
            unseen: self.u32()?,
            deleted: self.u32()?,
            size: self.uint()?,
            first_recent: Uid(self.u32()?),
            class: String::new(),
            special_use: String::new(),
            acl: Default::default(),
            annotations: Default::default(),
            kept_numbers: None,
        };
        self.attributes(&mut m)?;
        Ok(m)
    }

    pub(crate) fn attributes(&mut self, m: &mut MailboxRecord) -> Decoded<()> {
        m.class = self.text()?;
        m.special_use = self.text()?;
        m.acl = self.dictionary()?;
        Ok(())
    }

    pub(crate) fn annotated_mailbox(&mut self) -> Decoded<MailboxRecord> {
        let mut m = self.mailbox()?;
        m.annotations = self.annotations()?;
        Ok(m)
    }

    pub(crate) fn kept_mailbox(&mut self) -> Decoded<MailboxRecord> {
        let mut m = self.annotated_mailbox()?;
        if self.bool()? {
            m.kept_numbers = Some(self.kept_numbers()?);
        }
        Ok(m)
    }

    pub(crate) fn kept_numbers(&mut self) -> Decoded<KeptNumbers> {
        Ok(KeptNumbers { foreign_until: ModSeq(self.uint()?), own_from: Uid(self.u32()?) })
    }

    pub(crate) fn optional_text(&mut self) -> Decoded<Option<String>> {
        if self.bool()? { self.text().map(Some) } else { Ok(None) }
    }

    pub(crate) fn annotations(&mut self) -> Decoded<Annotations> {
        let all = self.list(|get| Ok((get.text()?, Bytes::copy_from_slice(get.bytes()?))))?;
        Ok(all.into_iter().collect())
    }

    pub(crate) fn domain(&mut self) -> Decoded<DomainRecord> {
        Ok(DomainRecord {
            name: self.text()?,
            aliases: self.list(Self::text)?,
            settings: self.dictionary()?,
            account_defaults: self.dictionary()?,
            template: self.dictionary()?,
            version: self.uint()?,
        })
    }

    pub(crate) fn account(&mut self) -> Decoded<AccountRecord> {
        Ok(AccountRecord {
            id: AccountId(self.uint()?),
            domain: self.text()?,
            name: self.text()?,
            kind: match self.u8()? {
                1 => AccountKind::MultiMailbox,
                2 => AccountKind::TextMailbox,
                3 => AccountKind::MailDirMailbox,
                4 => AccountKind::SlicedMailbox,
                5 => AccountKind::AGrade,
                6 => AccountKind::BGrade,
                7 => AccountKind::CGrade,
                _ => return Err(Malformed),
            },
            aliases: self.list(Self::text)?,
            settings: self.dictionary()?,
            rights: self.list(Self::text)?,
            subscription: self.list(Self::text)?,
            mailbox_aliases: self.dictionary()?,
            info: self.dictionary()?,
            version: self.uint()?,
        })
    }

    pub(crate) fn object(&mut self) -> Decoded<DomainObject> {
        Ok(match self.u8()? {
            1 => DomainObject::Account(AccountId(self.uint()?)),
            2 => DomainObject::Alias(AccountId(self.uint()?)),
            3 => DomainObject::Forwarder(self.text()?),
            4 => DomainObject::Group(self.dictionary()?),
            5 => DomainObject::List(self.dictionary()?),
            _ => return Err(Malformed),
        })
    }

    pub(crate) fn recipient(&mut self) -> Decoded<QueuedRecipient> {
        Ok(QueuedRecipient {
            address: self.text()?,
            module: self.text()?,
            queue: self.text()?,
            facts: self.dictionary()?,
            state: self.state()?,
        })
    }

    pub(crate) fn state(&mut self) -> Decoded<RecipientState> {
        Ok(match self.u8()? {
            1 => RecipientState::Waiting {
                not_before: self.int()?,
                attempts: self.u32()?,
                last_error: self.text()?,
            },
            2 => RecipientState::Done,
            3 => RecipientState::Failed { error: self.text()? },
            _ => return Err(Malformed),
        })
    }

    /// The priority of a queue entry, written last and only if it is not 0.
    pub(crate) fn priority(&mut self) -> Decoded<i8> {
        if self.is_empty() { Ok(0) } else { i8::try_from(self.int()?).map_err(|_| Malformed) }
    }

    pub(crate) fn step(&mut self) -> Decoded<RecipientStep> {
        let recipient = self.u32()?;
        let step = match self.u8()? {
            1 => Step::Done,
            2 => Step::Failed { error: self.text()? },
            3 => Step::Retry { not_before: self.int()?, error: self.text()? },
            4 => Step::Rerouted { module: self.text()?, queue: self.text()? },
            5 => Step::Postponed { not_before: self.int()? },
            _ => return Err(Malformed),
        };
        Ok(RecipientStep { recipient, step })
    }
}

/// What the stored names of the modules' dictionaries begin with.
pub(crate) const MODULE_NAME: &str = "Module/";

/// The stored name of a server-wide dictionary.
pub(crate) fn settings_name(key: &SettingsKey) -> String {
    match key {
        SettingsKey::Server => "Server".to_owned(),
        SettingsKey::DomainDefaults => "DomainDefaults".to_owned(),
        SettingsKey::AccountDefaults => "AccountDefaults".to_owned(),
        SettingsKey::Router => "Router".to_owned(),
        SettingsKey::Module(name) => format!("{MODULE_NAME}{name}"),
    }
}
