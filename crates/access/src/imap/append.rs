//! APPEND, MULTIAPPEND (RFC 3502), CATENATE (RFC 4469) and REPLACE (RFC 8508): messages stream
//! into the store's staging and are put in together, all or none. It must never know how they are
//! staged.

use angarium_accounts::mailboxes::{Intake, MailError};
use angarium_accounts::{Flags, InternalDate, MessageBody, NewMessage, Uid};
use angarium_imap::encode::{self, Code};
use angarium_imap::flow::server::{AppendMessage, AppendText};
use angarium_imap::types::{AppendNumbers, Replaces, SequenceSet, Tag, UidSet};
use angarium_imap::view::Moment;
use tokio::io::{AsyncRead, AsyncWrite};

use super::answer::{Answer, Halt, Note};
use super::flags;
use super::session::Session;
use crate::connection::ConnectionError;

/// Octets of one APPEND kept in memory (small messages and all summaries) before it is refused.
pub(super) const MAX_IN_MEMORY: u64 = 64 << 20;

/// An APPEND or REPLACE on its way.
pub(super) struct Appending {
    tag: Tag,
    mailbox: String,
    /// Largest message the mailbox takes.
    limit: u64,
    messages: Vec<NewMessage>,
    in_memory: u64,
    current: Option<Current>,
    /// The UID that must be the last given before these messages.
    after: Option<Uid>,
    /// The message that is replaced, and whether it was named by its UID.
    replaces: Option<(Uid, bool)>,
    /// Why it is refused already.
    refused: Option<Answer>,
}

struct Current {
    intake: Intake,
    flags: Flags,
    date: Option<InternalDate>,
    numbers: Option<Box<AppendNumbers>>,
    binary: bool,
}

/// Octets a message yet to be stored keeps in memory.
pub(super) fn held(message: &NewMessage) -> u64 {
    let body = match &message.body {
        MessageBody::Staged(staged) => staged.memory.as_ref().map_or(0, |m| m.len() as u64),
        _ => 0,
    };
    body + message.summary.len() as u64
}

impl Appending {
    fn name(&self) -> &'static str {
        match self.replaces {
            None => "APPEND",
            Some((_, false)) => "REPLACE",
            Some((_, true)) => "UID REPLACE",
        }
    }

    fn too_big(&self) -> Answer {
        let text = format!("the message is larger than {} octets", self.limit);
        Answer::no(text).word("TOOBIG")
    }

    /// True when the present message may grow by so many octets.
    fn takes(&self, octets: u64) -> bool {
        let size = self.current.as_ref().map_or(0, |current| current.intake.size());
        size.saturating_add(octets) <= self.limit
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Session<S> {
    /// Looks whether the mailbox takes messages before the client sends any.
    pub(super) async fn append_start(
        &mut self,
        tag: Tag,
        mailbox: String,
        replaces: Option<Replaces>,
    ) {
        self.entry.running(if replaces.is_some() { "REPLACE" } else { "APPEND" });
        let checked = match self.mail() {
            Err(Halt::Answer(answer)) => Err(answer),
            Err(Halt::Lost(_)) => Err(Answer::no("not now")),
            Ok(mail) => match mail.append_target(&mailbox).await {
                Err(error) => Err(Answer::from(error).or_try_create()),
                Ok((target, ..)) => mail.append_limit(&target).await.map_err(Answer::from),
            },
        };
        let (limit, mut refused) = match checked {
            Ok(limit) => (limit.unwrap_or(u64::MAX), None),
            Err(answer) => (0, Some(answer)),
        };
        let replaces = match (replaces, &refused) {
            (Some(wanted), None) => match self.replaced(wanted) {
                Ok(uid) => Some((uid, wanted.uid)),
                Err(answer) => {
                    refused = Some(answer);
                    None
                }
            },
            _ => None,
        };
        self.appending = Some(Box::new(Appending {
            tag,
            mailbox,
            limit: limit.min(self.context.options.max_append),
            messages: Vec::new(),
            in_memory: 0,
            current: None,
            after: None,
            replaces,
            refused,
        }));
    }

    /// The message of the selected mailbox that a REPLACE names, if it may be removed.
    fn replaced(&mut self, wanted: Replaces) -> Result<Uid, Answer> {
        if self.enabled.uid_only && !wanted.uid {
            return Err(Answer::bad("messages are named by UID alone").word("UIDREQUIRED"));
        }
        let answer = |halt| match halt {
            Halt::Answer(answer) => answer,
            Halt::Lost(_) => Answer::no("not now"),
        };
        let mail = self.mail().map_err(answer)?;
        let selected = self.selected().map_err(answer)?;
        if selected.read_only {
            return Err(Answer::no("the mailbox is open for reading only"));
        }
        let set = SequenceSet::single(wanted.number);
        let resolved = selected.resolve(&set, wanted.uid).map_err(answer)?;
        let uid = resolved.uids().next().map(Uid);
        let uid = uid.ok_or_else(|| Answer::no("there is no such message"))?;
        mail.may_replace(&selected.opened, uid)?;
        Ok(uid)
    }

    pub(super) fn append_message(&mut self, message: AppendMessage) {
        let keeps_ids = self.keeps_ids();
        let Some(appending) = self.appending.as_mut() else {
            self.flow.refuse_append();
            return;
        };
        let refused = match appending.refused.take() {
            Some(answer) => Some(answer),
            None if message.size == 0 && !message.catenate => {
                Some(Answer::no("no message was given"))
            }
            None if message.numbers.is_some() && (!keeps_ids || appending.replaces.is_some()) => {
                Some(Answer::bad("XKEEPIDS is not known here"))
            }
            None if message.size > appending.limit => Some(appending.too_big()),
            None if appending.in_memory > MAX_IN_MEMORY => {
                Some(Answer::no("too much at once, use several commands").word("LIMIT"))
            }
            None => None,
        };
        if let Some(answer) = refused {
            return self.give_up(&answer);
        }
        let date =
            message.date.map(|d| InternalDate { seconds: d.seconds, zone_minutes: d.zone_minutes });
        appending.current = Some(Current {
            intake: self.context.accounts.intake(),
            flags: flags::stored(&message.flags),
            date,
            numbers: message.numbers,
            binary: message.binary,
        });
        if !message.catenate {
            self.flow.accept_append(self.connection.out());
        }
    }

    /// A TEXT part of a message made of parts.
    pub(super) fn append_text(&mut self, text: AppendText) {
        let Some(appending) = self.appending.as_mut() else {
            self.flow.refuse_append();
            return;
        };
        if !appending.takes(text.size) {
            let answer = appending.too_big();
            return self.give_up(&answer);
        }
        if let Some(current) = appending.current.as_mut() {
            current.binary = text.binary;
        }
        self.flow.accept_append(self.connection.out());
    }

    /// A URL part: its octets go from the store into the new message, piece by piece.
    pub(super) async fn append_url(&mut self, url: &str) {
        let mut content = match self.part_of(url).await {
            Ok(content) => content,
            Err(answer) => return self.give_up(&answer),
        };
        let Some(appending) = self.appending.as_mut() else { return };
        if !appending.takes(content.size()) {
            let answer = appending.too_big();
            return self.give_up(&answer);
        }
        let Some(current) = appending.current.as_mut() else { return };
        loop {
            let written = match content.piece().await {
                Ok(Some(piece)) => current.intake.write(&piece).await.map_err(Answer::from),
                Ok(None) => return,
                Err(error) => Err(super::urlauth::bad_url(url, &error)),
            };
            if let Err(answer) = written {
                return self.give_up(&answer);
            }
        }
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
        if current.intake.size() == 0 {
            return self.give_up(&Answer::no("the message is empty"));
        }
        let date = current.date.unwrap_or(InternalDate { seconds: now, zone_minutes: 0 });
        match current.intake.into_message(current.flags, date, now).await {
            Ok(mut message) => {
                if appending.messages.is_empty() {
                    appending.after = current.numbers.as_ref().and_then(|n| n.after).map(Uid);
                }
                super::keep_ids::give(&mut message, current.numbers);
                appending.in_memory += held(&message);
                appending.messages.push(message);
            }
            Err(error) => self.give_up(&error.into()),
        }
    }

    pub(super) async fn append_end(&mut self) -> Result<(), ConnectionError> {
        let Some(appending) = self.appending.take() else { return Ok(()) };
        let name = appending.name();
        let by_uid = matches!(appending.replaces, Some((_, true)));
        let tag = appending.tag.clone();
        let outcome = match self.put_in(*appending).await {
            Ok(answer) => Ok(Some(answer)),
            Err(Halt::Answer(answer)) => Err(Halt::Answer(answer.or_try_create())),
            Err(halt) => Err(halt),
        };
        if outcome.is_ok() {
            self.warn_of_quota().await;
        }
        self.announce(Moment::Free, by_uid);
        self.finish(&tag, name, outcome)?;
        self.entry.waiting(self.status());
        Ok(())
    }

    async fn put_in(&mut self, appending: Appending) -> super::answer::Outcome {
        let Appending { mailbox, mut messages, replaces, after, .. } = appending;
        let mail = self.mail()?;
        let Some((old, _)) = replaces else {
            let done = mail.append_after(&mailbox, after, messages).await?;
            let uids: UidSet = done.pairs.iter().map(|(_, uid)| uid.0).collect();
            let note = Note::AppendUid(done.uid_validity.0, uids);
            return Ok(Answer::ok("completed").note(note));
        };
        let Some(message) = messages.pop() else {
            return Err(MailError::Invalid("no message was given".to_owned()).into());
        };
        let selected = self.selected()?;
        let done = mail.replace(&selected.opened, old, &mailbox, message).await?;
        // APPENDUID goes before the EXPUNGE (RFC 8508 section 3.3).
        let uids: UidSet = done.pairs.iter().map(|(_, uid)| uid.0).collect();
        let code = Code::AppendUid(done.uid_validity.0, &uids);
        encode::untagged_ok(self.connection.out(), Some(code), "replacement stored");
        Ok(Answer::ok("completed"))
    }
}
