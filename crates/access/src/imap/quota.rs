//! GETQUOTA, SETQUOTA and GETQUOTAROOT (RFC 9208): one root per account, `#name` inside one's own
//! domain (`reference/imap.md` section 6). It must never know how use is counted or who may ask.

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
        let quota = mail.quota(owner).await?;
        let mut usage = Vec::new();
        if let Some((used, limit)) = quota.storage {
            let (used, limit) = (used.div_ceil(1024), limit / 1024);
            usage.push(QuotaUsage { resource: "STORAGE", used, limit });
        }
        if let Some((used, limit)) = quota.mailboxes {
            usage.push(QuotaUsage { resource: "MAILBOX", used, limit });
        }
        encode::quota(self.connection.out(), &root, &usage);
        Ok(())
    }

    pub(super) async fn get_quota(&mut self, root: &str) -> Outcome {
        let owner = self.mail()?.quota_owner(root).await.map_err(no_root)?;
        self.tell_quota(&owner).await?;
        Ok(Answer::ok("completed"))
    }

    /// SETQUOTA: the limits named are set. Without any the storage becomes unlimited; a limit of
    /// mailboxes stays until it is named, because scripts of the field name STORAGE alone.
    pub(super) async fn set_quota(&mut self, root: &str, limits: &[QuotaLimit]) -> Outcome {
        let (mut storage, mut mailboxes) = (None, None);
        for limit in limits {
            let slot = match limit.resource.as_str() {
                "STORAGE" => &mut storage,
                "MAILBOX" => &mut mailboxes,
                _ => {
                    let text = "STORAGE and MAILBOX have limits here";
                    return Err(Answer::no(text).word("CANNOT").into());
                }
            };
            if slot.replace(Some(limit.limit)).is_some() {
                return Err(Answer::bad("a resource is named twice").word("CLIENTBUG").into());
            }
        }
        if limits.is_empty() {
            storage = Some(None);
        }
        let storage = storage.map(|limit| limit.map(|kib| kib.saturating_mul(1024)));
        let owner = self.mail()?.set_quota(root, storage, mailboxes).await.map_err(no_root)?;
        self.tell_quota(&owner).await?;
        Ok(Answer::ok("completed"))
    }

    pub(super) async fn get_quota_root(&mut self, mailbox: &str) -> Outcome {
        let mail = self.mail()?;
        let (target, ..) = mail.look_up(mailbox).await?;
        let root = self.quota_root(&target.owner)?;
        let utf8 = self.enabled.utf8_names();
        encode::quota_root(self.connection.out(), mailbox, utf8, &[&root]);
        // Others' use is theirs to know.
        if mail.may_read_quota(&target.owner).await? {
            self.tell_quota(&target.owner).await?;
        }
        Ok(Answer::ok("completed"))
    }

    /// Tells once in a session that the account is nearly full (RFC 9208 section 4.3.3: a soft
    /// limit), after mail was put into one's own account.
    pub(super) async fn warn_of_quota(&mut self) {
        let Ok(mail) = self.mail() else { return };
        if self.quota_told {
            return;
        }
        // A warning that cannot be given now is given the next time.
        if let Ok(Some(percent)) = mail.quota_alert().await {
            self.quota_told = true;
            let text = format!("* NO [OVERQUOTA] {percent}% of the storage limit is used\r\n");
            self.connection.out().extend_from_slice(text.as_bytes());
        }
    }
}

/// The answer for a root that cannot be read or set.
fn no_root(error: MailError) -> Answer {
    match error {
        MailError::NoAccount => Answer::no("there is no such quota root").word("NONEXISTENT"),
        other => other.into(),
    }
}
