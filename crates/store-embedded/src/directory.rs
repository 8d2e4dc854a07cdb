//! The contract's directory. It lives in shard 0; an account's mail lives in the account's own
//! shard. Operations that touch both keep an order that a crash cannot hurt: room for mail is
//! made before the account is known, and mail goes after the account is gone. What a crash
//! leaves between is tidied at the next start.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use angarium_objects::value::Dictionary;
use angarium_store::{
    AccountId, AccountRecord, Directory, DomainObject, DomainRecord, NewMailbox, ObjectCounts,
    ObjectPage, Result, SettingsKey, StoreError, Versioned,
};
use async_trait::async_trait;
use rusqlite::Connection;

use crate::decide::{directory as decisions, mailboxes as trees};
use crate::embedded::Inner;
use crate::index::directory_rows as rows;
use crate::record::parts::settings_name;
use crate::writer::Batch;

/// Handle of the family.
pub(crate) struct EmbeddedDirectory(pub(crate) Arc<Inner>);

impl EmbeddedDirectory {
    async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.0.directory_shard()?.readers.read(work).await
    }

    async fn change<T: Send + 'static>(
        &self,
        decide: impl FnOnce(&mut Batch<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.0.directory_shard()?.submit(decide).await
    }

    /// A page of the names of a domain.
    async fn page(
        &self,
        domain: &str,
        after: Option<&str>,
        limit: usize,
        rows: fn(&Connection, &str, Option<&str>, usize) -> Result<ObjectPage>,
    ) -> Result<ObjectPage> {
        check_page(limit)?;
        let (domain, after) = (domain.to_owned(), after.map(str::to_owned));
        self.read(move |db| {
            must_be_domain(db, &domain)?;
            rows(db, &domain, after.as_deref(), limit)
        })
        .await
    }

    async fn purge(&self, id: AccountId) -> Result<()> {
        self.0.shard_of(id)?.submit(move |batch| trees::purge_account(batch, id)).await
    }
}

fn check_page(limit: usize) -> Result<()> {
    if (1..=ObjectPage::MAX_LIMIT).contains(&limit) {
        return Ok(());
    }
    Err(StoreError::Invalid("a page has 1 to 10,000 objects".to_owned()))
}

fn must_be_domain(db: &Connection, name: &str) -> Result<()> {
    if rows::is_domain(db, name)? { Ok(()) } else { Err(StoreError::NotFound("domain")) }
}

#[async_trait]
impl Directory for EmbeddedDirectory {
    async fn settings(&self, key: &SettingsKey) -> Result<Versioned<Dictionary>> {
        let name = settings_name(key);
        self.read(move |db| rows::settings(db, &name)).await
    }

    async fn set_settings(
        &self,
        key: &SettingsKey,
        value: Dictionary,
        expected: Option<u64>,
    ) -> Result<u64> {
        let name = settings_name(key);
        self.change(move |batch| decisions::set_settings(batch, name, value, expected)).await
    }

    async fn modules(&self) -> Result<Vec<String>> {
        self.read(rows::modules).await
    }

    async fn domains(&self) -> Result<Vec<String>> {
        self.read(rows::domains).await
    }

    async fn domain(&self, name: &str) -> Result<Option<DomainRecord>> {
        let name = name.to_owned();
        self.read(move |db| rows::find_domain(db, &name)).await
    }

    async fn create_domain(&self, record: DomainRecord) -> Result<DomainRecord> {
        self.change(move |batch| decisions::create_domain(batch, record)).await
    }

    async fn update_domain(
        &self,
        record: DomainRecord,
        expected: Option<u64>,
    ) -> Result<DomainRecord> {
        self.change(move |batch| decisions::update_domain(batch, record, expected)).await
    }

    async fn rename_domain(&self, from: &str, to: &str) -> Result<()> {
        let (from, to) = (from.to_owned(), to.to_owned());
        self.change(move |batch| decisions::rename_domain(batch, from, to)).await
    }

    async fn delete_domain(&self, name: &str, force: bool) -> Result<()> {
        let name = name.to_owned();
        let gone = self.change(move |batch| decisions::delete_domain(batch, name, force)).await?;
        for id in gone {
            self.purge(id).await?;
        }
        Ok(())
    }

    async fn lookup(&self, domain: &str, name: &str) -> Result<Option<DomainObject>> {
        let (domain, name) = (domain.to_owned(), name.to_owned());
        self.read(move |db| match rows::object(db, &domain, &name)? {
            None if !rows::is_domain(db, &domain)? => Err(StoreError::NotFound("domain")),
            found => Ok(found),
        })
        .await
    }

    async fn objects(&self, domain: &str, after: Option<&str>, limit: usize) -> Result<ObjectPage> {
        self.page(domain, after, limit, rows::objects).await
    }

    async fn plain_objects(
        &self,
        domain: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<ObjectPage> {
        self.page(domain, after, limit, rows::plain_objects).await
    }

    async fn counts(&self, domain: &str) -> Result<ObjectCounts> {
        let domain = domain.to_owned();
        self.read(move |db| {
            must_be_domain(db, &domain)?;
            rows::counts(db, &domain)
        })
        .await
    }

    async fn put_object(
        &self,
        domain: &str,
        name: &str,
        object: DomainObject,
        replace: bool,
    ) -> Result<()> {
        let (domain, name) = (domain.to_owned(), name.to_owned());
        self.change(move |batch| decisions::put_object(batch, domain, name, object, replace)).await
    }

    async fn remove_object(&self, domain: &str, name: &str) -> Result<()> {
        let (domain, name) = (domain.to_owned(), name.to_owned());
        self.change(move |batch| decisions::remove_object(batch, domain, name)).await
    }

    async fn rename_object(&self, domain: &str, from: &str, to: &str) -> Result<()> {
        let (domain, from, to) = (domain.to_owned(), from.to_owned(), to.to_owned());
        self.change(move |batch| decisions::rename_object(batch, domain, from, to)).await
    }

    async fn create_account_with(
        &self,
        mut record: AccountRecord,
        mailboxes: Vec<NewMailbox>,
        now: i64,
    ) -> Result<AccountRecord> {
        let wanted = record.clone();
        self.change(move |batch| decisions::check_new_account(batch, &wanted)).await?;
        let id = AccountId(self.0.next_account.fetch_add(1, Ordering::Relaxed));
        record.id = id;
        let make = move |batch: &mut Batch<'_>| trees::make_account(batch, id, mailboxes, now);
        self.0.shard_of(id)?.submit(make).await?;
        match self.change(move |batch| decisions::create_account(batch, record)).await {
            Ok(record) => Ok(record),
            Err(error) => {
                // Left behind, it is tidied at the next start.
                let _ = self.purge(id).await;
                Err(error)
            }
        }
    }

    async fn account(&self, id: AccountId) -> Result<Option<AccountRecord>> {
        self.read(move |db| rows::account(db, id)).await
    }

    async fn accounts(
        &self,
        domain: &str,
        after: AccountId,
        limit: usize,
    ) -> Result<Vec<AccountRecord>> {
        check_page(limit)?;
        let domain = domain.to_owned();
        self.read(move |db| {
            must_be_domain(db, &domain)?;
            rows::accounts(db, &domain, after, limit)
        })
        .await
    }

    async fn update_account(
        &self,
        record: AccountRecord,
        expected: Option<u64>,
    ) -> Result<AccountRecord> {
        self.change(move |batch| decisions::update_account(batch, record, expected)).await
    }

    async fn rename_account(
        &self,
        id: AccountId,
        domain: &str,
        name: &str,
    ) -> Result<AccountRecord> {
        let (domain, name) = (domain.to_owned(), name.to_owned());
        self.change(move |batch| decisions::rename_account(batch, id, domain, name)).await
    }

    async fn delete_account(&self, id: AccountId) -> Result<()> {
        self.change(move |batch| decisions::delete_account(batch, id)).await?;
        self.purge(id).await
    }
}
