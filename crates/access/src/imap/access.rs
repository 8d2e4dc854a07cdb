//! Access rights (RFC 4314): GETACL, SETACL, DELETEACL, LISTRIGHTS, MYRIGHTS. It must never know
//! how rights are evaluated.

use angarium_accounts::mailboxes::{MailError, MailRights};
use angarium_imap::encode;
use angarium_imap::types::AclChange;
use tokio::io::{AsyncRead, AsyncWrite};

use super::answer::{Answer, Outcome};
use super::session::Session;

/// Rights that can be given one by one (RFC 4314 section 3.7): `c` and `k` are one right; `d` is
/// all of `t`, `e` and `x`, which can be given without each other.
const OPTIONAL: [&str; 12] = ["l", "r", "s", "w", "i", "p", "ck", "d", "t", "e", "x", "a"];

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Session<S> {
    pub(super) async fn get_acl(&mut self, mailbox: &str) -> Outcome {
        let mail = self.mail()?;
        let (target, record, rights) = mail.look_up(mailbox).await?;
        if !rights.can(MailRights::ADMIN) {
            return Err(MailError::NoPermission.into());
        }
        let mut entries: Vec<(String, String)> =
            vec![(target.owner.name.clone(), MailRights::ALL.shown())];
        for (identifier, value) in &record.acl {
            let rights = value.as_str().and_then(MailRights::parse).unwrap_or_default();
            entries.push((identifier.clone(), rights.shown()));
        }
        let entries: Vec<(&str, &str)> =
            entries.iter().map(|(i, r)| (i.as_str(), r.as_str())).collect();
        let utf8 = self.enabled.utf8_names();
        encode::acl(self.connection.out(), mailbox, utf8, &entries);
        Ok(Answer::ok("completed"))
    }

    pub(super) async fn set_acl(
        &mut self,
        mailbox: &str,
        identifier: &str,
        change: AclChange,
        letters: &str,
    ) -> Outcome {
        let mail = self.mail()?;
        let Some(rights) = MailRights::parse(letters) else {
            return Err(Answer::bad("there is no such right").into());
        };
        mail.set_acl(mailbox, identifier, move |before| match change {
            AclChange::Replace => rights,
            AclChange::Add => before.with(rights),
            AclChange::Remove => before.without(rights),
        })
        .await?;
        Ok(Answer::ok("completed"))
    }

    pub(super) async fn delete_acl(&mut self, mailbox: &str, identifier: &str) -> Outcome {
        self.mail()?.set_acl(mailbox, identifier, |_| MailRights::NONE).await?;
        Ok(Answer::ok("completed"))
    }

    pub(super) async fn list_rights(&mut self, mailbox: &str, identifier: &str) -> Outcome {
        let mail = self.mail()?;
        let (target, _, rights) = mail.look_up(mailbox).await?;
        if !rights.can(MailRights::ADMIN) {
            return Err(MailError::NoPermission.into());
        }
        let utf8 = self.enabled.utf8_names();
        let out = self.connection.out();
        if target.owner.is_named_by(identifier) {
            // The owner has everything and cannot lose it.
            let all = MailRights::ALL.shown();
            encode::list_rights(out, mailbox, utf8, identifier, &all, &[]);
        } else {
            encode::list_rights(out, mailbox, utf8, identifier, "", &OPTIONAL);
        }
        Ok(Answer::ok("completed"))
    }

    /// Looks whether the selected mailbox of another account may still be read: rights that were
    /// taken away are gone at the next command, and before anything is told unasked (the change
    /// of an access list wakes who is waiting for news). False when the session ends for it.
    ///
    /// # Errors
    /// They cannot be looked up now.
    pub(super) async fn keep_rights(&mut self) -> Result<bool, MailError> {
        let (Ok(mail), Some(selected)) = (self.mail(), self.selected.as_mut()) else {
            return Ok(true);
        };
        let before = selected.opened.rights;
        let now = mail.rights_now(&selected.opened).await?;
        if before.common(now) == before {
            return Ok(true);
        }
        // What was given since is there from the next SELECT on.
        let left = before.common(now);
        let hidden = left.hides().without(before.hides());
        if left.can(MailRights::READ) && !selected.shared().table.may_have(hidden) {
            selected.opened.rights = left;
            return Ok(true);
        }
        self.selected = None;
        self.bye("the rights to the selected mailbox were taken away");
        Ok(false)
    }

    pub(super) async fn my_rights(&mut self, mailbox: &str) -> Outcome {
        let mail = self.mail()?;
        let (_, _, rights) = mail.look_up(mailbox).await?;
        let utf8 = self.enabled.utf8_names();
        encode::my_rights(self.connection.out(), mailbox, utf8, &rights.shown());
        Ok(Answer::ok("completed"))
    }
}
