//! `COPY … ENCRYPTED certificate|*` (`reference/imap.md` section 7): copies that only the holder of
//! a certificate's key can read. It must never know how they are encrypted.

use std::sync::Arc;

use angarium_accounts::{NewMessage, Uid};
use angarium_imap::types::{Copy, Encryption};
use angarium_message::smime::{self, Recipient};
use tokio::io::{AsyncRead, AsyncWrite};

use super::answer::{Answer, Halt, Note, Outcome};
use super::append::{MAX_IN_MEMORY, held};
use super::session::Session;

fn refused(error: smime::SmimeError) -> Halt {
    Answer::no(error.to_string()).word("CANNOT").into()
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Session<S> {
    /// Copies all or none of the messages, encrypted. One message at a time is in memory.
    pub(super) async fn copy_encrypted(&mut self, copy: &Copy, wanted: &Encryption) -> Outcome {
        let mail = self.mail()?;
        let now = mail.accounts().now();
        let certificate = match wanted {
            Encryption::Certificate(bytes) => bytes.clone(),
            Encryption::Own => mail.personal_certificate().await?.ok_or_else(|| {
                Answer::no("the account has no personal certificate").word("CANNOT")
            })?,
        };
        let recipient = Arc::new(Recipient::of_certificate(&certificate, now).map_err(refused)?);
        let selected = self.selected()?;
        let uids: Vec<Uid> = selected.resolve(&copy.set, copy.uid)?.uids().map(Uid).collect();
        let shared = selected.shared();
        let rows = shared.table.select(&uids);
        if rows.is_empty() {
            return Ok(Answer::ok("completed"));
        }
        // What cannot be is said before any work is done.
        mail.append_target(&copy.mailbox)
            .await
            .map_err(|error| Answer::from(error).or_try_create())?;
        if rows.iter().any(|row| row.size() > smime::MAX_MESSAGE as u64) {
            return Err(refused(smime::SmimeError::TooLarge));
        }
        let reader = mail.accounts().reader();
        let mut messages: Vec<NewMessage> = Vec::with_capacity(rows.len());
        let mut sources = Vec::with_capacity(rows.len());
        let mut in_memory = 0;
        for row in &rows {
            let body = reader.body(row.body()).await?;
            let recipient = Arc::clone(&recipient);
            let sealed =
                tokio::task::spawn_blocking(move || smime::encrypt(&body, &recipient)).await;
            let sealed =
                sealed.map_err(|_| refused(smime::SmimeError::Failed))?.map_err(refused)?;
            let mut intake = mail.accounts().intake();
            intake.write(&sealed).await?;
            drop(sealed);
            let message = intake.into_message(row.flags(), row.internal_date(), now).await?;
            in_memory += held(&message);
            if in_memory > MAX_IN_MEMORY {
                let answer = Answer::no("too much at once, use several commands");
                return Err(answer.word("LIMIT").into());
            }
            messages.push(message);
            sources.push(row.uid());
        }
        let done = mail
            .append(&copy.mailbox, messages)
            .await
            .map_err(|error| Answer::from(error).or_try_create())?;
        let pairs = sources.iter().zip(&done.pairs).map(|(from, (_, to))| (from.0, to.0));
        let note = Note::CopyUid(done.uid_validity.0, pairs.collect());
        Ok(Answer::ok("completed").note(note))
    }
}
