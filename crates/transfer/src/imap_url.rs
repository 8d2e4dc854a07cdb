//! IMAP URLs resolved on this server (RFC 4467, RFC 5092): for CATENATE and URLFETCH of IMAP and
//! BURL of SMTP. Content comes in pieces; a message is never held as a whole.
//!
//! It must never know which command asks.

use std::sync::Arc;

use angarium_accounts::mailboxes::{MailAccount, MailError, Opened, Reader, shows};
use angarium_accounts::{Accounts, Actor, BodyId, Uid};
use angarium_imap::types::{Section, SectionText};
use angarium_imap::url::{self, Access, ImapUrl, Server};
use angarium_message::decode::{self, TransferEncoding};
use angarium_message::section::What;
use angarium_message::structure::{Part, StructureScanner};
use angarium_message::summary::Scanner;
use angarium_message::{HEADER_MAX, header};
use bytes::Bytes;
use thiserror::Error;

/// Octets of one piece.
const PIECE: u64 = 256 << 10;
/// Largest part whose transfer encoding is undone, octets: as many are held in memory.
const MAX_DECODED: u64 = 64 << 20;
/// The one mechanism of authorization offered.
pub const MECHANISM: &str = "INTERNAL";

/// Why a URL leads to nothing. Whoever has no right to know is not told more than that.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum UrlError {
    /// It is no URL, not of this server, not authorised, or there is no such message.
    #[error("the URL leads to nothing here")]
    Nothing,
    /// *Later*: storage is not available.
    #[error("{0}")]
    Later(MailError),
}

impl From<MailError> for UrlError {
    fn from(error: MailError) -> Self {
        if error.is_temporary() { Self::Later(error) } else { Self::Nothing }
    }
}

/// A message that a URL names.
pub struct UrlMessage {
    reader: Reader,
    body: BodyId,
    size: u64,
    section: Option<Section>,
}

/// Content that a URL names, piece by piece.
pub struct UrlContent {
    reader: Reader,
    source: Source,
}

enum Source {
    Range { body: BodyId, offset: u64, left: u64 },
    Bytes(Bytes),
}

/// The server a URL names, if it is this one: its local domain.
async fn here(accounts: &Accounts, server: &Server) -> Result<String, UrlError> {
    accounts.domain_of_host(&server.host).await?.ok_or(UrlError::Nothing)
}

/// Opens the mailbox of an absolute URL with the user of the URL, who must be this one.
///
/// # Errors
/// `Nothing` for other servers and users, for mailboxes that cannot be read and for old
/// UIDVALIDITYs; `Later`.
pub async fn open_own(mail: &MailAccount, url: &ImapUrl) -> Result<Opened, UrlError> {
    if let Some(server) = &url.server {
        let domain = here(mail.accounts(), server).await?;
        let user = server.user.as_deref().ok_or(UrlError::Nothing)?;
        let owner = mail.accounts().url_user(user, &domain).await?;
        if owner.id != mail.home().id {
            return Err(UrlError::Nothing);
        }
    }
    let name = url.mailbox.as_deref().ok_or(UrlError::Nothing)?;
    checked(mail.open(name).await?, url)
}

/// The mailbox, if its UIDs are those the URL was made with.
pub fn checked(opened: Opened, url: &ImapUrl) -> Result<Opened, UrlError> {
    let shared = opened.mailbox.shared();
    let known = url.uid_validity.is_none_or(|known| known == shared.record.uid_validity.0);
    if known && !shared.gone { Ok(opened) } else { Err(UrlError::Nothing) }
}

/// Who wants to use an authorised URL.
pub enum Bearer<'a> {
    /// A session of this user.
    Session(&'a Actor),
    /// Our submission server for this user.
    Submission(&'a Actor),
}

/// The message of an authorised URL, seen with the eyes of who made it.
///
/// # Errors
/// `Nothing` for everything that is not right with it, `Later`.
pub async fn authorised(
    accounts: &Arc<Accounts>,
    text: &str,
    bearer: Bearer<'_>,
) -> Result<(UrlMessage, ImapUrl), UrlError> {
    let url = ImapUrl::parse(text).map_err(|_| UrlError::Nothing)?;
    let (Some(server), Some(authorization), Some(name)) =
        (&url.server, &url.authorization, &url.mailbox)
    else {
        return Err(UrlError::Nothing);
    };
    let domain = here(accounts, server).await?;
    let Some((mechanism, token)) = &authorization.token else { return Err(UrlError::Nothing) };
    if mechanism != MECHANISM || authorization.expires.is_some_and(|end| accounts.now() >= end) {
        return Err(UrlError::Nothing);
    }
    let (actor, submitting) = match bearer {
        Bearer::Session(actor) => (actor, false),
        Bearer::Submission(actor) => (actor, true),
    };
    match &authorization.access {
        Access::Submit(user) if submitting => is_user(accounts, user, &domain, actor).await?,
        Access::Submit(_) => return Err(UrlError::Nothing),
        Access::User(user) => is_user(accounts, user, &domain, actor).await?,
        Access::AuthUser | Access::Anonymous => {}
    }
    let user = server.user.as_deref().ok_or(UrlError::Nothing)?;
    let mail = accounts.open_for_url(user, &domain).await?;
    let opened = checked(mail.open(name).await?, &url)?;
    if !mail.is_url_token(&opened, url::rump(text).as_bytes(), token).await? {
        return Err(UrlError::Nothing);
    }
    let message = UrlMessage::of(&mail, &opened, &url)?;
    Ok((message, url))
}

async fn is_user(
    accounts: &Accounts,
    user: &str,
    domain: &str,
    actor: &Actor,
) -> Result<(), UrlError> {
    let owner = accounts.url_user(user, domain).await?;
    if owner.id == actor.account { Ok(()) } else { Err(UrlError::Nothing) }
}

impl UrlMessage {
    /// The message a URL names in an open mailbox.
    ///
    /// # Errors
    /// `Nothing` when there is none that may be seen.
    pub fn of(mail: &MailAccount, opened: &Opened, url: &ImapUrl) -> Result<Self, UrlError> {
        let shared = opened.mailbox.shared();
        let row = url.uid.and_then(|uid| shared.table.get(Uid(uid)));
        let row = row.filter(|row| shows(opened.rights, row.bits())).ok_or(UrlError::Nothing)?;
        Ok(Self {
            reader: mail.accounts().reader(),
            body: row.body(),
            size: row.size(),
            section: url.section.clone(),
        })
    }

    /// The octets of the message or section, of them those of `;PARTIAL=`.
    ///
    /// # Errors
    /// `Nothing` when there is no such section, `Later`.
    pub async fn content(&self, url: &ImapUrl) -> Result<UrlContent, UrlError> {
        let Some(section) = &self.section else {
            return Ok(self.range(0, self.size, url));
        };
        let root = self.structure().await?;
        let names: Vec<&str> = match &section.text {
            Some(SectionText::HeaderFields(names) | SectionText::HeaderFieldsNot(names)) => {
                names.iter().map(|name| &**name).collect()
            }
            _ => Vec::new(),
        };
        let what = match &section.text {
            None => What::Whole,
            Some(SectionText::Header) => What::Header,
            Some(SectionText::HeaderFields(_)) => What::HeaderFields(&names),
            Some(SectionText::HeaderFieldsNot(_)) => What::HeaderFieldsNot(&names),
            Some(SectionText::Text) => What::Text,
            Some(SectionText::Mime) => What::Mime,
        };
        let place = root.locate(&section.part, &what).ok_or(UrlError::Nothing)?;
        let (offset, length) = (place.start as u64, place.len() as u64);
        let included = match what {
            What::HeaderFields(_) => true,
            What::HeaderFieldsNot(_) => false,
            _ => return Ok(self.range(offset, length, url)),
        };
        if length > HEADER_MAX as u64 {
            return Err(UrlError::Nothing);
        }
        let head = self.read(offset, length).await?;
        Ok(self.bytes(header::filter(&head, &names, included), url))
    }

    /// The octets with their transfer encoding undone (RFC 5524).
    ///
    /// # Errors
    /// As [`UrlMessage::content`]; `Nothing` too for an unknown encoding and for parts of more
    /// than 64 MiB.
    pub async fn decoded(&self, url: &ImapUrl) -> Result<UrlContent, UrlError> {
        let Some(section) = self.section.as_ref().filter(|s| !s.part.is_empty()) else {
            return self.content(url).await;
        };
        let root = self.structure().await?;
        let part = root.at(&section.part).filter(|_| section.text.is_none());
        let part = part.ok_or(UrlError::Nothing)?;
        let (offset, length) = (part.body.start as u64, part.body.len() as u64);
        match part.encoding {
            TransferEncoding::Identity => Ok(self.range(offset, length, url)),
            TransferEncoding::Unknown => Err(UrlError::Nothing),
            _ if length > MAX_DECODED => Err(UrlError::Nothing),
            encoding => {
                let body = self.read(offset, length).await?;
                Ok(self.bytes(decode::content(&body, encoding).into_owned(), url))
            }
        }
    }

    /// The summary (as stored with messages) of the part alone, for its body structure.
    ///
    /// # Errors
    /// As [`UrlMessage::content`].
    pub async fn summary(&self) -> Result<Vec<u8>, UrlError> {
        let section = self.section.clone().unwrap_or_default();
        if section.text.is_some() {
            return Err(UrlError::Nothing);
        }
        let mut place = (0, self.size);
        if !section.part.is_empty() {
            let root = self.structure().await?;
            let part = root.at(&section.part).ok_or(UrlError::Nothing)?;
            let start = part.header.start as u64;
            place = (start, (part.body.end as u64).saturating_sub(start));
        }
        let mut scanner = Scanner::new();
        let source = Source::Range { body: self.body, offset: place.0, left: place.1 };
        let mut content = UrlContent { reader: self.reader.clone(), source };
        while let Some(piece) = content.piece().await? {
            scanner.push(&piece);
        }
        Ok(scanner.finish().encode())
    }

    async fn structure(&self) -> Result<Part, UrlError> {
        let mut scanner = StructureScanner::new();
        let source = Source::Range { body: self.body, offset: 0, left: self.size };
        let mut content = UrlContent { reader: self.reader.clone(), source };
        while let Some(piece) = content.piece().await? {
            scanner.push(&piece);
        }
        Ok(scanner.finish())
    }

    async fn read(&self, offset: u64, length: u64) -> Result<Bytes, UrlError> {
        Ok(self.reader.range(self.body, offset, length).await?)
    }

    fn range(&self, offset: u64, length: u64, url: &ImapUrl) -> UrlContent {
        let (skip, left) = partial(length, url);
        let source = Source::Range { body: self.body, offset: offset + skip, left };
        UrlContent { reader: self.reader.clone(), source }
    }

    fn bytes(&self, bytes: Vec<u8>, url: &ImapUrl) -> UrlContent {
        let (skip, left) = partial(bytes.len() as u64, url);
        let at = |n: u64| usize::try_from(n).unwrap_or(usize::MAX).min(bytes.len());
        let range = at(skip)..at(skip.saturating_add(left));
        let source = Source::Bytes(Bytes::from(bytes).slice(range));
        UrlContent { reader: self.reader.clone(), source }
    }
}

/// Where `;PARTIAL=` begins in so many octets, and how long it is.
fn partial(length: u64, url: &ImapUrl) -> (u64, u64) {
    let Some(range) = url.partial else { return (0, length) };
    let skip = range.offset.min(length);
    (skip, range.length.unwrap_or(u64::MAX).min(length - skip))
}

impl UrlContent {
    /// Octets still to come.
    #[must_use]
    pub fn size(&self) -> u64 {
        match &self.source {
            Source::Range { left, .. } => *left,
            Source::Bytes(bytes) => bytes.len() as u64,
        }
    }

    /// The next octets, at most 256 KiB of a stored message; `None` at the end.
    ///
    /// # Errors
    /// `Nothing` when the message went away, `Later`.
    pub async fn piece(&mut self) -> Result<Option<Bytes>, UrlError> {
        match &mut self.source {
            Source::Bytes(bytes) if bytes.is_empty() => Ok(None),
            Source::Bytes(bytes) => Ok(Some(std::mem::take(bytes))),
            Source::Range { left: 0, .. } => Ok(None),
            Source::Range { body, offset, left } => {
                let want = PIECE.min(*left);
                let mut piece = self.reader.range(*body, *offset, want).await?;
                piece.truncate(usize::try_from(want).unwrap_or(usize::MAX));
                if piece.is_empty() {
                    return Err(UrlError::Nothing);
                }
                *offset += piece.len() as u64;
                *left -= piece.len() as u64;
                Ok(Some(piece))
            }
        }
    }
}
