//! SELECT and EXAMINE, with CONDSTORE and QRESYNC (RFC 7162), CLOSE and UNSELECT. It must never
//! know how a mailbox is loaded.

use angarium_accounts::mailboxes::{MailRights, Shared};
use angarium_accounts::{FlagBits, ModSeq, Uid};
use angarium_imap::encode::{self, Code};
use angarium_imap::types::{Qresync, Select, UidSet};
use tokio::io::{AsyncRead, AsyncWrite};

use super::answer::{Answer, Halt, Outcome};
use super::capability::Enabled;
use super::flags::{self, SHOWN_KEYWORDS};
use super::keep_ids::gone_since;
use super::selected::Selected;
use super::session::Session;

/// True when the rights let somebody change anything in a mailbox.
pub(super) fn may_write(rights: MailRights) -> bool {
    [MailRights::SEEN, MailRights::WRITE, MailRights::DELETE_MESSAGES, MailRights::EXPUNGE]
        .into_iter()
        .any(|right| rights.can(right))
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Session<S> {
    pub(super) async fn select(&mut self, select: Select) -> Outcome {
        let mail = self.mail()?;
        if select.qresync.is_some() && !self.enabled.qresync {
            return Err(Answer::bad("enable QRESYNC first").into());
        }
        // The old mailbox is left even when the new one cannot be selected.
        if self.selected.is_some() {
            self.leave_mailbox();
            if self.enabled.qresync || self.enabled.rev2 {
                encode::untagged_ok(self.connection.out(), Some(Code::CLOSED), "left");
            }
        }
        self.enabled.condstore |= select.condstore || select.qresync.is_some();
        let opened = mail.open(&select.mailbox).await?;
        let read_only = select.read_only || !may_write(opened.rights);
        let (selected, shared) =
            Selected::new(opened, select.mailbox.clone(), read_only, self.enabled);
        if shared.gone {
            return Err(Answer::no("there is no such mailbox").word("NONEXISTENT").into());
        }
        let mut selected = Box::new(selected);
        self.tell_selected(&selected, &shared);
        if let Some(qresync) = &select.qresync
            && let Err(error) = self.resynchronise(&mail, &mut selected, &shared, qresync).await
        {
            return Err(error);
        }
        self.selected = Some(selected);
        let word = if read_only { "READ-ONLY" } else { "READ-WRITE" };
        Ok(Answer::ok("completed").word(word))
    }

    fn tell_selected(&mut self, selected: &Selected, shared: &Shared) {
        let rev2 = self.enabled.rev2;
        let rights = selected.opened.rights;
        let keywords = shared.table.keywords(SHOWN_KEYWORDS);
        let names = flags::names(&keywords);
        let unseen = shared
            .table
            .first_without(FlagBits::SEEN)
            .and_then(|uid| selected.view.sequence_of(uid.0));
        let out = self.connection.out();
        encode::flags(out, names.iter().copied());
        let mut permanent: Vec<&str> = Vec::new();
        if !selected.read_only {
            permanent.extend(names.iter().filter(|name| match **name {
                "\\Seen" => rights.can(MailRights::SEEN),
                "\\Deleted" => rights.can(MailRights::DELETE_MESSAGES),
                "$Hidden" | "$Service" => rights.can(MailRights::WRITE.with(MailRights::ADMIN)),
                _ => rights.can(MailRights::WRITE),
            }));
            if rights.can(MailRights::WRITE) {
                permanent.push("\\*");
            }
        }
        encode::untagged_ok(out, Some(Code::PermanentFlags(&permanent)), "limited");
        encode::exists(out, selected.view.exists());
        if rev2 {
            out.extend_from_slice(b"* LIST () \"/\" ");
            encode::mailbox_name(out, &selected.name, true);
            out.extend_from_slice(b"\r\n");
        } else {
            encode::recent(out, selected.view.recent());
            if let Some(sequence) = unseen.filter(|_| !self.enabled.uid_only) {
                encode::untagged_ok(out, Some(Code::Unseen(sequence)), "first unseen");
            }
        }
        let record = &shared.record;
        encode::untagged_ok(out, Some(Code::UidValidity(record.uid_validity.0)), "valid");
        encode::untagged_ok(out, Some(Code::UidNext(record.uid_next.0)), "predicted");
        let highest = Code::HighestModSeq(record.highest_modseq.0);
        encode::untagged_ok(out, Some(highest), "highest");
        let id = format!("MAILBOXID (M{})", record.id.0);
        encode::untagged_ok(out, Some(Code::Word(&id)), "identity");
        encode::untagged_ok(out, Some(Code::Word("URLMECH INTERNAL")), "mechanisms");
    }

    /// Tells a client that comes back what changed while it was away (RFC 7162 section 3.2.5).
    async fn resynchronise(
        &mut self,
        mail: &angarium_accounts::mailboxes::MailAccount,
        selected: &mut Selected,
        shared: &Shared,
        known: &Qresync,
    ) -> Result<(), Halt> {
        if known.uid_validity != shared.record.uid_validity.0
            || known.modseq >= shared.record.highest_modseq.0
        {
            return Ok(());
        }
        let last = shared.record.uid_next.0.saturating_sub(1);
        // Only what the client says it knows; all it can know when it does not say.
        let asked: UidSet = match &known.known_uids {
            Some(set) => UidSet::from_ranges(
                set.ranges()
                    .iter()
                    .filter_map(|r| r.resolve(last))
                    .map(|(low, high)| (low, high.min(last)))
                    .collect(),
            ),
            None => UidSet::from_ranges(vec![(1, last.max(1))]),
        };
        let since = ModSeq(known.modseq);
        let gone = gone_since(mail, selected, shared, since, &asked).await?;
        encode::vanished(self.connection.out(), true, &gone);
        let (mut joined, enabled) = (Vec::new(), self.enabled);
        for row in shared.table.iter() {
            let uid = row.uid().0;
            if row.modseq().0 <= known.modseq || !asked.contains(uid) {
                continue;
            }
            let Some(sequence) = selected.view.sequence_of(uid) else { continue };
            joined.clear();
            flags::join_row(&mut joined, row, selected.view.is_recent(uid));
            let mut answer = enabled.fetch_answer(self.connection.out(), sequence, uid);
            if !enabled.uid_only {
                answer.uid(uid);
            }
            answer.flags_joined(&joined);
            answer.modseq(row.modseq().0);
            answer.finish();
            self.connection.flush_full().await?;
        }
        Ok(())
    }

    /// CLOSE (with `expunge`) or UNSELECT.
    pub(super) async fn close_mailbox(&mut self, expunge: bool) -> Outcome {
        let mail = self.mail()?;
        let selected = self.selected()?;
        if expunge && !selected.read_only && selected.opened.rights.can(MailRights::EXPUNGE) {
            let uids = deleted(selected);
            if !uids.is_empty() {
                mail.expunge(&selected.opened, &uids, true).await?;
            }
        }
        self.leave_mailbox();
        Ok(Answer::ok("completed"))
    }

    /// Something was enabled while a mailbox is selected.
    pub(super) fn habits_changed(&mut self, enabled: Enabled) {
        if let Some(selected) = self.selected.as_mut() {
            selected.view.set_habits(enabled.habits());
        }
    }
}

/// UIDs of the messages the session sees as `\Deleted`.
pub(super) fn deleted(selected: &Selected) -> Vec<Uid> {
    let shared = selected.shared();
    if !shared.table.may_have(FlagBits::DELETED) {
        return Vec::new();
    }
    let hidden = super::selected::invisible(selected.opened.rights);
    shared
        .table
        .iter()
        .filter(|row| row.bits().contains(FlagBits::DELETED) && row.bits().0 & hidden.0 == 0)
        .map(|row| row.uid())
        .collect()
}
