//! What a command comes to: the tagged answer with its code. It must never know which command.

use std::borrow::Cow;

use angarium_accounts::mailboxes::MailError;
use angarium_imap::encode::{self, Code};
use angarium_imap::types::{Tag, UidSet};

use crate::connection::ConnectionError;

/// Condition of a tagged answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Condition {
    Ok,
    No,
    Bad,
}

/// The code of a tagged answer, with what it needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Note {
    None,
    Word(&'static str),
    Text(String),
    Referral(String),
    Capability(Vec<&'static str>),
    AppendUid(u32, UidSet),
    CopyUid(u32, Vec<(u32, u32)>),
    Modified(UidSet),
    HighestModSeq(u64),
}

/// A tagged answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) condition: Condition,
    pub(super) note: Note,
    pub(super) text: Cow<'static, str>,
}

impl Answer {
    pub(super) fn ok(text: impl Into<Cow<'static, str>>) -> Self {
        Self { condition: Condition::Ok, note: Note::None, text: text.into() }
    }

    pub(super) fn no(text: impl Into<Cow<'static, str>>) -> Self {
        Self { condition: Condition::No, note: Note::None, text: text.into() }
    }

    pub(super) fn bad(text: impl Into<Cow<'static, str>>) -> Self {
        Self { condition: Condition::Bad, note: Note::None, text: text.into() }
    }

    pub(super) fn note(mut self, note: Note) -> Self {
        self.note = note;
        self
    }

    pub(super) fn word(self, word: &'static str) -> Self {
        self.note(Note::Word(word))
    }

    /// A mailbox that does not exist, for commands that could be repeated after CREATE.
    pub(super) fn or_try_create(self) -> Self {
        match self.note {
            Note::Word("NONEXISTENT") => self.word("TRYCREATE"),
            _ => self,
        }
    }

    pub(super) fn write(&self, out: &mut Vec<u8>, tag: &Tag) {
        let code = match &self.note {
            Note::None => None,
            Note::Word(word) => Some(Code::Word(word)),
            Note::Text(text) => Some(Code::Word(text)),
            Note::Referral(url) => Some(Code::Referral(url)),
            Note::Capability(names) => Some(Code::Capability(names)),
            Note::AppendUid(validity, uids) => Some(Code::AppendUid(*validity, uids)),
            Note::CopyUid(validity, pairs) => Some(Code::CopyUid(*validity, pairs)),
            Note::Modified(set) => Some(Code::Modified(set)),
            Note::HighestModSeq(modseq) => Some(Code::HighestModSeq(*modseq)),
        };
        match self.condition {
            Condition::Ok => encode::tagged_ok(out, tag, code, &self.text),
            Condition::No => encode::tagged_no(out, tag, code, &self.text),
            Condition::Bad => encode::tagged_bad(out, tag, code, &self.text),
        }
    }
}

impl From<MailError> for Answer {
    fn from(error: MailError) -> Self {
        // Said again later, it may do: no code says it never will.
        if error == MailError::OutOfTurn {
            return Self::no(error.to_string());
        }
        let word = match &error {
            MailError::NotFound | MailError::NoAccount => "NONEXISTENT",
            MailError::Exists => "ALREADYEXISTS",
            MailError::HasChildren => "HASCHILDREN",
            MailError::NoPermission => "NOPERM",
            MailError::OverQuota => "OVERQUOTA",
            MailError::TooManyMailboxes => "LIMIT",
            MailError::SpecialUseTaken => "USEATTR",
            MailError::TooLarge(_) => "TOOBIG",
            MailError::Unavailable(_) => "UNAVAILABLE",
            MailError::Damaged(_) => "SERVERBUG",
            _ => "CANNOT",
        };
        if let MailError::Unavailable(why) | MailError::Damaged(why) = &error {
            tracing::warn!(why, "storage failed a command");
        }
        // Which accounts there are is nobody's business either.
        let shown = if error == MailError::NoAccount { MailError::NotFound } else { error };
        Self::no(shown.to_string()).word(word)
    }
}

/// Why a command ends early.
#[derive(Debug)]
pub(super) enum Halt {
    /// With this answer.
    Answer(Answer),
    /// Because the connection is gone.
    Lost(ConnectionError),
}

impl From<MailError> for Halt {
    fn from(error: MailError) -> Self {
        Self::Answer(error.into())
    }
}

impl From<Answer> for Halt {
    fn from(answer: Answer) -> Self {
        Self::Answer(answer)
    }
}

impl From<ConnectionError> for Halt {
    fn from(error: ConnectionError) -> Self {
        Self::Lost(error)
    }
}

/// The result of carrying out a command.
pub(super) type Outcome = Result<Answer, Halt>;
