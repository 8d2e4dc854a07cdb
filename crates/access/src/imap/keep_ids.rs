//! XKEEPIDS, our own extension for administrators: a mailbox is made to keep the numbers of another
//! server, so that a client that knew it finds here what it knows. What it means for clients that
//! come back is here too. It must never know where the numbers come from.

use std::sync::Arc;

use angarium_accounts::mailboxes::{MailAccount, Shared};
use angarium_accounts::{ModSeq, NewMessage, NumbersPatch, Uid, UidValidity};
use angarium_imap::encode;
use angarium_imap::types::{AppendNumbers, KEEP_IDS, KeepNumbers, UidSet};
use tokio::io::{AsyncRead, AsyncWrite};

use super::answer::{Answer, Halt, Outcome};
use super::selected::Selected;
use super::session::Session;

/// The numbers of a command as the store keeps them.
fn patch(keep: KeepNumbers) -> NumbersPatch {
    NumbersPatch {
        uid_validity: keep.uid_validity.map(UidValidity),
        uid_next: keep.uid_next.map(Uid),
        highest_modseq: keep.highest_modseq.map(ModSeq),
        own_from: keep.reserve.map(Uid),
        pop_ids: keep.pop_ids.into_iter().map(|(uid, id)| (Uid(uid), Arc::from(id))).collect(),
    }
}

/// Gives a message the numbers it brings along.
pub(super) fn give(message: &mut NewMessage, numbers: Option<Box<AppendNumbers>>) {
    let Some(numbers) = numbers else { return };
    message.uid = numbers.uid.map(Uid);
    message.pop_id = numbers.pop_id.map(Arc::from);
}

/// The UIDs a client may know that are gone since a MODSEQ, of those it asks about. Where MODSEQs
/// of another server are kept, what went away there is not known one by one: it is all that is not
/// here, as RFC 7162 section 5.1 lets a server answer that remembers no more.
pub(super) async fn gone_since(
    mail: &MailAccount,
    selected: &Selected,
    shared: &Shared,
    since: ModSeq,
    asked: &UidSet,
) -> Result<UidSet, Halt> {
    if shared.record.kept_numbers.is_some_and(|kept| since < kept.foreign_until) {
        let there = shared.table.iter().map(|row| row.uid().0);
        let there: UidSet = there.filter(|uid| selected.view.sequence_of(*uid).is_some()).collect();
        return Ok(asked.minus(&there));
    }
    let gone = mail.vanished_since(&selected.opened, since).await?;
    Ok(gone
        .iter()
        .map(|uid| uid.0)
        .filter(|uid| asked.contains(*uid) && selected.view.sequence_of(*uid).is_none())
        .collect())
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Session<S> {
    /// Looks whether the extension is announced to whoever has just come in.
    pub(super) async fn look_at_keeping(&mut self) {
        let Some(user) = &mut self.user else { return };
        let mail = user.mail.clone();
        user.keeps_ids = mail.may_keep_numbers(mail.home()).await.unwrap_or(false);
    }

    /// True when the extension is announced; else its words are as unknown as any.
    pub(super) fn keeps_ids(&self) -> bool {
        self.user.as_ref().is_some_and(|user| user.keeps_ids)
    }

    /// XKEEPIDS: keeps what is named, and tells how the mailbox is then.
    pub(super) async fn keep_ids(&mut self, keep: KeepNumbers) -> Outcome {
        let mail = self.mail()?;
        if !self.keeps_ids() {
            return Err(Answer::bad("Unknown command XKEEPIDS").into());
        }
        let name = keep.mailbox.clone();
        let (target, mut record) = mail.numbers(&name).await?;
        let patch = patch(keep);
        if patch != NumbersPatch::default() {
            // One's own selected mailbox would be lost in the middle of its own command.
            let selected =
                self.selected.as_ref().map(|s| (s.opened.owner.id, s.opened.mailbox.id()));
            if patch.uid_validity.is_some_and(|new| new != record.uid_validity)
                && selected == Some((target.owner.id, record.id))
            {
                return Err(Answer::no("leave the mailbox first").word("INUSE").into());
            }
            record = mail.keep_numbers(&name, patch).await?;
        }
        let out = self.connection.out();
        out.extend_from_slice(b"* STATUS ");
        encode::mailbox_name(out, &name, self.enabled.utf8_names());
        let reserved = record.kept_numbers.map_or(0, |kept| kept.own_from.0);
        let text = format!(
            " (MESSAGES {} UIDVALIDITY {} UIDNEXT {} HIGHESTMODSEQ {} RESERVE {reserved} \
             {KEEP_IDS} {})\r\n",
            record.messages,
            record.uid_validity,
            record.uid_next,
            record.highest_modseq,
            u8::from(record.kept_numbers.is_some()),
        );
        self.connection.out().extend_from_slice(text.as_bytes());
        Ok(Answer::ok("completed"))
    }
}
