//! APPEND and MULTIAPPEND (RFC 3502): messages stream into the store's staging and are put in
//! together, all or none. It must never know how they are staged.

use angarium_accounts::mailboxes::Intake;
use angarium_accounts::{Flags, InternalDate, MessageBody, NewMessage};
use angarium_imap::flow::server::AppendMessage;
use angarium_imap::types::{Tag, UidSet};
use angarium_imap::view::Moment;
use tokio::io::{AsyncRead, AsyncWrite};

use super::answer::{Answer, Halt, Note};
use super::flags;
use super::session::Session;
use crate::connection::ConnectionError;

/// Octets of one APPEND kept in memory (small messages and all summaries) before it is refused.
const MAX_IN_MEMORY: u64 = 64 << 20;

/// An APPEND on its way.
pub(super) struct Appending {
    tag: Tag,
    mailbox: String,
    /// Largest message the mailbox takes.
    limit: u64,
    messages: Vec<NewMessage>,
    in_memory: u64,
    current: Option<Current>,
    /// Why it is refused already.
    refused: Option<Answer>,
}

struct Current {
    intake: Intake,
    flags: Flags,
    date: Option<InternalDate>,
    binary: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Session<S> {
    /// Looks whether the mailbox takes messages before the client sends any.
    pub(super) async fn append_start(&mut self, tag: Tag, mailbox: String) {
        self.entry.running("APPEND");
        let checked = match self.mail() {
            Err(Halt::Answer(answer)) => Err(answer),
            Err(Halt::Lost(_)) => Err(Answer::no("not now")),
            Ok(mail) => match mail.append_target(&mailbox).await {
                Err(error) => Err(Answer::from(error).or_try_create()),
                Ok((target, ..)) => mail.append_limit(&target).await.map_err(Answer::from),
            },
        };
        let (limit, refused) = match checked {
            Ok(limit) => (limit.unwrap_or(u64::MAX), None),
            Err(answer) => (0, Some(answer)),
        };
        self.appending = Some(Box::new(Appending {
            tag,
            mailbox,
            limit: limit.min(self.context.options.max_append),
            messages: Vec::new(),
            in_memory: 0,
            current: None,
            refused,
        }));
    }

    pub(super) fn append_message(&mut self, message: AppendMessage) {
        let Some(appending) = self.appending.as_mut() else {
            self.flow.refuse_append();
            return;
        };
        let refused = match appending.refused.take() {
            Some(answer) => Some(answer),
            None if message.size == 0 => Some(Answer::no("no message was given")),
            None if message.size > appending.limit => {
                let text = format!("the message is larger than {} octets", appending.limit);
                Some(Answer::no(text).word("TOOBIG"))
            }
            None if appending.in_memory > MAX_IN_MEMORY => {
                Some(Answer::no("too much at once, use several commands").word("LIMIT"))
            }
            None => None,
        };
        if let Some(answer) = refused {
            let tag = appending.tag.clone();
            self.appending = None;
            self.flow.refuse_append();
            answer.write(self.connection.out(), &tag);
            return;
        }
        let date =
            message.date.map(|d| InternalDate { seconds: d.seconds, zone_minutes: d.zone_minutes });
        appending.current = Some(Current {
            intake: self.context.accounts.intake(),
            flags: flags::stored(&message.flags),
            date,
            binary: message.binary,
        });
        self.flow.accept_append(self.connection.out());
    }

    /// Gives an APPEND up in its middle.
    fn give_up(&mut self, answer: &Answer) {
        if let Some(appending) = self.appending.take() {
            self.flow.abandon_append();
            answer.write(self.connection.out(), &appending.tag);
        }
    }

    pub(super) async fn append_data(&mut self, data: &[u8]) {
        let Some(current) = self.appending.as_mut().and_then(|a| a.current.as_mut()) else {
            return;
        };
        if !current.binary && data.contains(&0) {
            self.give_up(&Answer::bad("a message may not hold NUL here"));
            return;
        }
        if let Err(error) = current.intake.write(data).await {
            self.give_up(&error.into());
        }
    }

    pub(super) async fn append_message_end(&mut self) {
        let now = self.context.accounts.now();
        let Some(appending) = self.appending.as_mut() else { return };
        let Some(current) = appending.current.take() else { return };
        let date = current.date.unwrap_or(InternalDate { seconds: now, zone_minutes: 0 });
        match current.intake.into_message(current.flags, date, now).await {
            Ok(message) => {
                appending.in_memory += message.summary.len() as u64;
                if let MessageBody::Staged(staged) = &message.body {
                    appending.in_memory += staged.memory.as_ref().map_or(0, |m| m.len() as u64);
                }
                appending.messages.push(message);
            }
            Err(error) => self.give_up(&error.into()),
        }
    }

    pub(super) async fn append_end(&mut self) -> Result<(), ConnectionError> {
        let Some(appending) = self.appending.take() else { return Ok(()) };
        let Appending { tag, mailbox, messages, .. } = *appending;
        let outcome = match self.mail() {
            Ok(mail) => match mail.append(&mailbox, messages).await {
                Ok(done) => {
                    let uids: UidSet = done.pairs.iter().map(|(_, uid)| uid.0).collect();
                    Ok(Some(
                        Answer::ok("completed").note(Note::AppendUid(done.uid_validity.0, uids)),
                    ))
                }
                Err(error) => Err(Halt::Answer(Answer::from(error).or_try_create())),
            },
            Err(halt) => Err(halt),
        };
        if outcome.is_ok() {
            self.warn_of_quota().await;
        }
        self.announce(Moment::Free, false);
        self.finish(&tag, "APPEND", outcome)?;
        self.entry.waiting(self.status());
        Ok(())
    }
}
