//! Applying records of the directory. Only shard 0 has them.

use angarium_store::{AccountId, AccountRecord, Change, DomainObject, DomainRecord, StoreError};

use super::{IndexTx, directory_rows, misfit};
use crate::record::Record;
use crate::record::code::Put;

impl IndexTx<'_> {
    pub(crate) fn apply_directory(&mut self, record: &Record) -> Result<(), StoreError> {
        match record {
            Record::Settings { name, version, value } => {
                let mut put = Put::new();
                put.dictionary(value);
                self.run(
                    "INSERT OR REPLACE INTO settings VALUES(?1,?2,?3)",
                    (name, version, &put.bytes),
                )?;
                self.tell(|| Change::Settings);
                Ok(())
            }
            Record::Domain { record } => {
                self.put_domain(record)?;
                self.tell(|| Change::Domain(record.name.clone()));
                Ok(())
            }
            Record::DomainRenamed { from, to } => self.domain_renamed(from, to),
            Record::DomainRemoved { name } => self.domain_removed(name),
            Record::Object { domain, name, object } => {
                self.put_object(domain, name, object)?;
                self.tell(|| Change::Domain(domain.clone()));
                Ok(())
            }
            Record::ObjectRemoved { domain, name } => {
                self.remove_object(domain, name)?;
                self.tell(|| Change::Domain(domain.clone()));
                Ok(())
            }
            Record::Account { record } => {
                if let Some(old) = directory_rows::account(self.db, record.id)? {
                    self.remove_names(&old)?;
                }
                self.put_account(record)?;
                self.tell(|| Change::Account(record.id));
                Ok(())
            }
            Record::AccountRemoved { account } => self.account_removed(*account),
            _ => Err(misfit("a record no function applies")),
        }
    }

    fn put_domain(&mut self, record: &DomainRecord) -> Result<(), StoreError> {
        let mut put = Put::new();
        put.domain(record);
        self.run("INSERT OR REPLACE INTO domains VALUES(?1,?2)", (&record.name, &put.bytes))?;
        self.run("DELETE FROM domain_aliases WHERE domain=?1", [&record.name])?;
        for alias in &record.aliases {
            self.run("INSERT INTO domain_aliases VALUES(?1,?2)", (alias, &record.name))?;
        }
        Ok(())
    }

    fn domain_renamed(&mut self, from: &str, to: &str) -> Result<(), StoreError> {
        let mut record = directory_rows::domain(self.db, from)?
            .ok_or_else(|| misfit("a new name of no domain"))?;
        self.run("DELETE FROM domains WHERE name=?1", [from])?;
        self.run("DELETE FROM domain_aliases WHERE domain=?1", [from])?;
        record.name = to.to_owned();
        record.version += 1;
        self.put_domain(&record)?;
        self.run("UPDATE objects SET domain=?2 WHERE domain=?1", (from, to))?;
        self.tell(|| Change::Domain(from.to_owned()));
        self.tell(|| Change::Domain(to.to_owned()));
        for id in directory_rows::accounts_in(self.db, from)? {
            if let Some(mut account) = directory_rows::account(self.db, id)? {
                account.domain = to.to_owned();
                account.version += 1;
                self.put_account(&account)?;
                self.tell(|| Change::Account(id));
            }
        }
        Ok(())
    }

    fn domain_removed(&mut self, name: &str) -> Result<(), StoreError> {
        for id in directory_rows::accounts_in(self.db, name)? {
            self.account_removed(id)?;
        }
        self.run("DELETE FROM objects WHERE domain=?1", [name])?;
        self.run("DELETE FROM domain_aliases WHERE domain=?1", [name])?;
        self.run("DELETE FROM domains WHERE name=?1", [name])?;
        self.tell(|| Change::Domain(name.to_owned()));
        Ok(())
    }

    fn put_object(
        &mut self,
        domain: &str,
        name: &str,
        object: &DomainObject,
    ) -> Result<(), StoreError> {
        let mut put = Put::new();
        put.object(object);
        // Not a REPLACE, which the triggers that count would not hear of.
        self.run(
            "INSERT INTO objects VALUES(?1,?2,?3)
                ON CONFLICT(domain, name) DO UPDATE SET packed=excluded.packed",
            (domain, name, &put.bytes),
        )
        .map(drop)
    }

    fn remove_object(&mut self, domain: &str, name: &str) -> Result<(), StoreError> {
        self.run("DELETE FROM objects WHERE domain=?1 AND name=?2", [domain, name]).map(drop)
    }

    /// Writes an account and its names.
    fn put_account(&mut self, record: &AccountRecord) -> Result<(), StoreError> {
        let mut put = Put::new();
        put.account(record);
        self.run(
            "INSERT OR REPLACE INTO accounts VALUES(?1,?2,?3)",
            (record.id.0, &record.domain, &put.bytes),
        )?;
        self.put_object(&record.domain, &record.name, &DomainObject::Account(record.id))?;
        for alias in &record.aliases {
            self.put_object(&record.domain, alias, &DomainObject::Alias(record.id))?;
        }
        Ok(())
    }

    fn remove_names(&mut self, record: &AccountRecord) -> Result<(), StoreError> {
        self.remove_object(&record.domain, &record.name)?;
        for alias in &record.aliases {
            self.remove_object(&record.domain, alias)?;
        }
        Ok(())
    }

    fn account_removed(&mut self, id: AccountId) -> Result<(), StoreError> {
        let record = directory_rows::account(self.db, id)?
            .ok_or_else(|| misfit("the removal of no account"))?;
        self.remove_names(&record)?;
        self.run("DELETE FROM accounts WHERE id=?1", [id.0])?;
        self.run("INSERT OR IGNORE INTO removed_accounts VALUES(?1)", [id.0])?;
        self.tell(|| Change::Account(id));
        Ok(())
    }
}
