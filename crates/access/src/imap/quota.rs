//! GETQUOTA and GETQUOTAROOT (RFC 9208): one root per account, `#name` inside one's own domain
//! (`reference/imap.md` section 6). It must never know how use is counted.

use angarium_accounts::Value;
use angarium_accounts::mailboxes::{MailError, Owner};
use angarium_imap::encode::{self, QuotaUsage};
use angarium_imap::types::QuotaLimit;
use tokio::io::{AsyncRead, AsyncWrite};

use super::answer::{Answer, Halt, Outcome};
use super::session::Session;

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Session<S> {
    fn quota_root(&self, owner: &Owner) -> Result<String, Halt> {
        let home = self.user()?.mail.home();
        Ok(if owner.domain == home.domain {
            format!("#{}", owner.name)
        } else {
            format!("#{}@{}", owner.name, owner.domain)
        })
    }

    async fn tell_quota(&mut self, owner: &Owner) -> Result<(), Halt> {
        let mail = self.mail()?;
        let root = self.quota_root(owner)?;
        let limits = mail.accounts().mail_limits(owner.id).await?;
        let mut usage = Vec::new();
        if let Some(limit) = limits.size {
            let (used, _) = mail.usage(owner).await?;
            usage.push(QuotaUsage {
                resource: "STORAGE",
                used: used.div_ceil(1024),
                limit: limit / 1024,
            });
        }
        encode::quota(self.connection.out(), &root, &usage);
        Ok(())
    }

    pub(super) async fn get_quota(&mut self, root: &str) -> Outcome {
        let mail = self.mail()?;
        let home = mail.home().clone();
        let own = [format!("#{}", home.name), format!("#{}@{}", home.name, home.domain)];
        if own.iter().any(|name| name.eq_ignore_ascii_case(root)) {
            self.tell_quota(&home).await?;
            return Ok(Answer::ok("completed"));
        }
        let Some(account) = root.strip_prefix('#') else {
            return Err(Answer::no("there is no such quota root").word("NONEXISTENT").into());
        };
        // Another account's root: for those who may do everything with its mailboxes.
        let (target, _, rights) = mail.look_up(&format!("~{account}/INBOX")).await?;
        if rights != angarium_accounts::mailboxes::MailRights::ALL {
            return Err(MailError::NoPermission.into());
        }
        self.tell_quota(&target.owner).await?;
        Ok(Answer::ok("completed"))
    }

    /// SETQUOTA: the storage limit, for those whose rights allow it (`reference/imap.md`
    /// section 6). Without a STORAGE limit it becomes unlimited.
    pub(super) async fn set_quota(&mut self, root: &str, limits: &[QuotaLimit]) -> Outcome {
        let mail = self.mail()?;
        let Some(account) = root.strip_prefix('#') else {
            return Err(Answer::no("there is no such quota root").word("NONEXISTENT").into());
        };
        if limits.iter().any(|limit| limit.resource != "STORAGE") {
            return Err(Answer::no("only STORAGE has a limit here").word("CANNOT").into());
        }
        let size = match limits.last() {
            Some(limit) => format!("{}K", limit.limit),
            None => "unlimited".to_owned(),
        };
        let settings = [("MaxAccountSize".to_owned(), Value::from(size))].into();
        let accounts = mail.accounts();
        if let Err(error) =
            Box::pin(accounts.update_account_settings(mail.actor(), account, settings)).await
        {
            let word = if error.is_temporary() { "UNAVAILABLE" } else { "NOPERM" };
            return Err(Answer::no(error.text()).word(word).into());
        }
        self.get_quota(root).await
    }

    pub(super) async fn get_quota_root(&mut self, mailbox: &str) -> Outcome {
        let mail = self.mail()?;
        let (target, ..) = mail.look_up(mailbox).await?;
        let root = self.quota_root(&target.owner)?;
        let utf8 = self.enabled.utf8_names();
        encode::quota_root(self.connection.out(), mailbox, utf8, &[&root]);
        // Others' use is theirs to know.
        if target.owner.id == mail.home().id {
            self.tell_quota(&target.owner).await?;
        }
        Ok(Answer::ok("completed"))
    }
}
