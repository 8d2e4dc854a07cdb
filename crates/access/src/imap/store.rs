//! STORE, COPY, MOVE and EXPUNGE on the selected mailbox. It must never know how they are made
//! whole.

use angarium_accounts::mailboxes::{MailError, MailRights, Shared, Transferred};
use angarium_accounts::{FlagChange, FlagOutcome, FlagUpdate, Flags, ModSeq, Uid};
use angarium_imap::encode::{self, Code};
use angarium_imap::types::{Copy, SequenceSet, Store, StoreMode, UidSet};
use angarium_imap::view::{Moment, Resolved};
use tokio::io::{AsyncRead, AsyncWrite};

use super::answer::{Answer, Halt, Note, Outcome};
use super::flags::{self, Known};
use super::select::{deleted, may_write};
use super::selected::Selected;
use super::session::Session;

impl Selected {
    /// The messages a set names.
    pub(super) fn resolve(&self, set: &SequenceSet, uid: bool) -> Result<Resolved, Halt> {
        self.view.resolve(set, uid).map_err(|error| Answer::bad(error.to_string()).into())
    }
}

impl Selected {
    /// Why nothing may be changed in a mailbox that is open for reading only.
    fn refusal(&self) -> Answer {
        if may_write(self.opened.rights) {
            Answer::no("the mailbox is open for reading only").word("CANNOT")
        } else {
            MailError::NoPermission.into()
        }
    }
}

fn uids_of(resolved: &Resolved) -> Vec<Uid> {
    resolved.uids().map(Uid).collect()
}

/// What the client could know of the flags before a STORE. After `.SILENT` it reckons the new
/// ones itself, so it must be told where another session had its hand in between (RFC 3501
/// section 6.4.6).
struct Before(Option<(Shared, UidSet)>);

impl Before {
    fn look(selected: &mut Selected, silent: bool) -> Self {
        if !silent {
            return Self(None);
        }
        selected.refresh();
        Self(Some((selected.shared(), selected.view.changes_waiting())))
    }

    /// True when the client reckons these flags to be what they are, or is told them anyway.
    fn foresees(&self, uid: Uid, change: FlagChange, given: &Flags, now: &Flags) -> bool {
        let Some((shared, waiting)) = &self.0 else { return true };
        if waiting.contains(uid.0) {
            return false;
        }
        let Some(row) = shared.table.get(uid) else { return false };
        let old = Flags::with_keywords(row.bits(), row.keywords().iter().cloned());
        now.is_same(&change.applied(&old, given))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Session<S> {
    pub(super) async fn store(&mut self, store: Store) -> Outcome {
        let mail = self.mail()?;
        self.enabled.condstore |= store.unchanged_since.is_some();
        let selected = self.selected()?;
        if selected.read_only {
            return Err(selected.refusal().into());
        }
        let unknown = store.flags.iter().any(|f| matches!(flags::known(f), Known::Recent));
        if unknown {
            return Err(Answer::bad("\\Recent is set by the server alone").into());
        }
        let resolved = selected.resolve(&store.set, store.uid)?;
        let update = FlagUpdate {
            uids: uids_of(&resolved),
            change: match store.mode {
                StoreMode::Replace => FlagChange::Replace,
                StoreMode::Add => FlagChange::Add,
                StoreMode::Remove => FlagChange::Remove,
            },
            flags: flags::stored(&store.flags),
            unchanged_since: store.unchanged_since.map(ModSeq),
        };
        let before = Before::look(selected, store.silent);
        let (change, given) = (update.change, update.flags.clone());
        let outcome = if update.uids.is_empty() {
            FlagOutcome::default()
        } else {
            mail.change_flags(&selected.opened, update).await?
        };
        selected.refresh();
        let changed = outcome.changed.iter();
        let foreseen = changed.filter(|(uid, now, _)| before.foresees(*uid, change, &given, now));
        selected.told(foreseen.map(|(uid, _, modseq)| (*uid, *modseq)));
        let enabled = self.enabled;
        let modified: UidSet = outcome.modified.iter().map(|uid| uid.0).collect();
        if !store.silent {
            self.tell_flags(&resolved, &modified, store.uid).await?;
        } else if enabled.condstore {
            self.tell_modseqs(&outcome.changed, store.uid || enabled.qresync).await?;
        }
        let answer = Answer::ok("completed");
        if modified.is_empty() {
            return Ok(answer);
        }
        let set = if store.uid {
            modified
        } else {
            let selected = self.selected()?;
            modified.iter().filter_map(|uid| selected.view.sequence_of(uid)).collect()
        };
        Ok(answer.note(Note::Modified(set)))
    }

    /// The flags of all messages of a STORE as they are now, changed or not.
    async fn tell_flags(
        &mut self,
        resolved: &Resolved,
        modified: &UidSet,
        uid_command: bool,
    ) -> Result<(), Halt> {
        let enabled = self.enabled;
        let shared = self.selected()?.shared();
        let mut joined = Vec::new();
        for (sequence, uid) in resolved.iter() {
            let Some(row) = shared.table.get(Uid(uid)) else { continue };
            let recent = self.selected()?.view.is_recent(uid);
            joined.clear();
            flags::join_row(&mut joined, row, recent);
            let mut answer = enabled.fetch_answer(self.connection.out(), sequence, uid);
            if (uid_command || enabled.qresync) && !enabled.uid_only {
                answer.uid(uid);
            }
            // What was left alone is told with its MODSEQ, so that the client can try again.
            if enabled.condstore || modified.contains(uid) {
                answer.modseq(row.modseq().0);
            }
            answer.flags_joined(&joined);
            answer.finish();
            self.connection.flush_full().await?;
        }
        Ok(())
    }

    /// After `.SILENT` only the new MODSEQs (RFC 7162 section 3.1.3).
    async fn tell_modseqs(
        &mut self,
        changed: &[(Uid, angarium_accounts::Flags, ModSeq)],
        uids: bool,
    ) -> Result<(), Halt> {
        let enabled = self.enabled;
        for (uid, _, modseq) in changed {
            let Some(sequence) = self.selected()?.view.sequence_of(uid.0) else { continue };
            let mut answer = enabled.fetch_answer(self.connection.out(), sequence, uid.0);
            if uids && !enabled.uid_only {
                answer.uid(uid.0);
            }
            answer.modseq(modseq.0);
            answer.finish();
            self.connection.flush_full().await?;
        }
        Ok(())
    }

    pub(super) async fn copy(&mut self, copy: Copy) -> Outcome {
        let mail = self.mail()?;
        if let Some(encryption) = &copy.encryption {
            return Box::pin(self.copy_encrypted(&copy, encryption)).await;
        }
        let selected = self.selected()?;
        let uids = uids_of(&selected.resolve(&copy.set, copy.uid)?);
        if uids.is_empty() {
            return Ok(Answer::ok("completed"));
        }
        let opened = selected.opened.clone();
        let done = self
            .working(mail.copy(&opened, &uids, &copy.mailbox))
            .await?
            .map_err(|error| self.not_copied(error))?;
        self.warn_of_quota().await;
        Ok(with_copied(Answer::ok("completed"), done))
    }

    /// Why nothing was copied: CREATE helps only when it is the target that is missing.
    fn not_copied(&mut self, error: MailError) -> Answer {
        if let Some(selected) = self.selected.as_mut() {
            selected.refresh();
            if selected.gone {
                return error.into();
            }
        }
        Answer::from(error).or_try_create()
    }

    pub(super) async fn move_messages(&mut self, copy: Copy) -> Outcome {
        let mail = self.mail()?;
        let selected = self.selected()?;
        if selected.read_only {
            return Err(selected.refusal().into());
        }
        let uids = uids_of(&selected.resolve(&copy.set, copy.uid)?);
        if uids.is_empty() {
            return Ok(Answer::ok("completed"));
        }
        let opened = selected.opened.clone();
        let done = self
            .working(mail.move_messages(&opened, &uids, &copy.mailbox))
            .await?
            .map_err(|error| self.not_copied(error))?;
        // COPYUID goes before the EXPUNGEs (RFC 6851 section 4.3).
        let pairs: Vec<(u32, u32)> = done.pairs.iter().map(|(a, b)| (a.0, b.0)).collect();
        if !pairs.is_empty() {
            let code = Code::CopyUid(done.uid_validity.0, &pairs);
            encode::untagged_ok(self.connection.out(), Some(code), "moved");
        }
        self.announce(Moment::Free, copy.uid);
        Ok(self.with_highest(Answer::ok("completed")))
    }

    pub(super) async fn expunge(&mut self, set: Option<SequenceSet>) -> Outcome {
        let mail = self.mail()?;
        let selected = self.selected()?;
        if selected.read_only {
            return Err(selected.refusal().into());
        }
        if !selected.opened.rights.can(MailRights::EXPUNGE) {
            return Err(MailError::NoPermission.into());
        }
        // What arrived and is deleted already counts too.
        selected.refresh();
        let mut uids = deleted(selected);
        if let Some(set) = set {
            let named = selected.resolve(&set, true)?.uid_set();
            uids.retain(|uid| named.contains(uid.0));
        }
        if !uids.is_empty() {
            mail.expunge(&selected.opened, &uids, true).await?;
        }
        self.announce(Moment::Free, false);
        Ok(self.with_highest(Answer::ok("completed")))
    }

    /// With CONDSTORE the MODSEQ after messages went away (RFC 7162 section 3.2.8).
    fn with_highest(&self, answer: Answer) -> Answer {
        match &self.selected {
            Some(selected) if self.enabled.qresync => {
                let highest = selected.shared().record.highest_modseq;
                answer.note(Note::HighestModSeq(highest.0))
            }
            _ => answer,
        }
    }
}

fn with_copied(answer: Answer, done: Transferred) -> Answer {
    if done.pairs.is_empty() {
        return answer;
    }
    let pairs = done.pairs.iter().map(|(a, b)| (a.0, b.0)).collect();
    answer.note(Note::CopyUid(done.uid_validity.0, pairs))
}
