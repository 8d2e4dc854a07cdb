//! A queued message as it is given to other servers: its content by pieces, what is said of it in
//! MAIL and RCPT, and whether a server with these abilities can take it.
//!
//! It must never know connections.

use std::sync::Arc;

use angarium_accounts::{Bodies, BodyId, StoreError};
use angarium_message::{header, seven_bit};
use angarium_smtp::Protocol;
use angarium_smtp::address::{Mailbox, Path};
use angarium_smtp::parameters::{
    BodyKind, MailParameters, OriginalRecipient, RcptParameters, Return,
};
use angarium_smtp::send::Capabilities;
use angarium_store::QueuedMessage;
use bytes::Bytes;

use crate::deliver::Outcome;
use crate::envelope::{MessageFacts, RecipientFacts};

/// Octets read from the store at a time; a message not larger is read whole, its checksum with it.
const PIECE: u64 = 256 * 1024;

/// Octets in which the lines of final delivery stand.
const DELIVERY_LINES: u64 = 4096;

/// Octets of a message that are looked at for its header.
const HEADER: u64 = 256 * 1024;

/// Largest message that is rewritten for a server that does not take it as it is: it is held in
/// memory for that.
const REWRITTEN: u64 = 64 * 1024 * 1024;

/// The bytes of a message.
#[derive(Clone)]
pub enum Content {
    /// In the store.
    Stored {
        /// Where.
        bodies: Arc<dyn Bodies>,
        /// Which.
        body: BodyId,
        /// Octets.
        size: u64,
        /// Octets in front that are not sent.
        front: u64,
    },
    /// Rewritten.
    Memory(Bytes),
}

impl Content {
    /// Octets.
    #[must_use]
    pub fn size(&self) -> u64 {
        match self {
            Self::Stored { size, front, .. } => size.saturating_sub(*front),
            Self::Memory(bytes) => bytes.len() as u64,
        }
    }

    /// The next octets from here; empty at the end.
    pub(crate) async fn piece(&self, at: u64) -> Result<Bytes, StoreError> {
        match self {
            Self::Memory(bytes) => {
                let at = usize::try_from(at).unwrap_or(usize::MAX).min(bytes.len());
                Ok(bytes.slice(at..))
            }
            Self::Stored { .. } if at >= self.size() => Ok(Bytes::new()),
            Self::Stored { bodies, body, front, .. } => {
                let piece = bodies.read_range(*body, front.saturating_add(at), PIECE).await?;
                if piece.is_empty() {
                    return Err(StoreError::Damaged("a body is shorter than it was".to_owned()));
                }
                Ok(piece)
            }
        }
    }

    async fn whole(&self) -> Result<Bytes, StoreError> {
        match self {
            Self::Memory(bytes) => Ok(bytes.clone()),
            Self::Stored { bodies, body, front, .. } => {
                let whole = bodies.read(*body).await?;
                Ok(whole.slice(usize::try_from(*front).unwrap_or(usize::MAX).min(whole.len())..))
            }
        }
    }

    async fn header(&self) -> Result<Bytes, StoreError> {
        let start = match self {
            Self::Memory(bytes) => bytes.clone(),
            Self::Stored { bodies, body, front, .. } => {
                bodies.read_range(*body, *front, HEADER).await?
            }
        };
        let end = header::header_length(&start);
        Ok(start.slice(..end.min(start.len())))
    }
}

/// A message to be sent.
pub(crate) struct Letter {
    pub(crate) content: Content,
    facts: MessageFacts,
}

/// A message in the form that one server takes.
pub(crate) struct Fitted {
    pub(crate) parameters: MailParameters,
    pub(crate) content: Content,
}

/// One recipient.
#[derive(Clone, Debug)]
pub(crate) struct Addressee {
    /// Place in the message.
    pub(crate) index: u32,
    /// Where to.
    pub(crate) path: Path,
    /// What is said of it.
    pub(crate) parameters: RcptParameters,
}

impl Letter {
    /// Without the lines that belong to final delivery alone (RFC 5321 section 4.4): they were
    /// written in front of it when it was accepted.
    ///
    /// # Errors
    /// As the store.
    pub(crate) async fn open(
        message: &QueuedMessage,
        bodies: &Arc<dyn Bodies>,
    ) -> Result<Self, StoreError> {
        let (body, size) = (message.body, message.size);
        let content = if size <= PIECE {
            let whole = bodies.read(body).await?;
            Content::Memory(whole.slice(delivery_lines(&whole)..))
        } else {
            let start = bodies.read_range(body, 0, DELIVERY_LINES).await?;
            let front = delivery_lines(&start) as u64;
            Content::Stored { bodies: Arc::clone(bodies), body, size, front }
        };
        Ok(Self { content, facts: MessageFacts::decode(&message.facts) })
    }

    /// `TLS-Required: No` in the header (RFC 8689 section 5).
    pub(crate) async fn tls_optional(&self) -> Result<bool, StoreError> {
        let header = self.content.header().await?;
        let field = header::find(&header, "TLS-Required");
        Ok(field.is_some_and(|field| field.text().trim().eq_ignore_ascii_case("no")))
    }

    /// It came with REQUIRETLS (RFC 8689).
    pub(crate) fn requires_tls(&self) -> bool {
        self.facts.require_tls
    }

    /// The message for a server with these abilities, at `now`.
    ///
    /// # Errors
    /// What becomes of it when it cannot be sent there at all.
    pub(crate) async fn fit(
        &self,
        able: &Capabilities,
        from: &Path,
        to: &[Addressee],
        now: i64,
    ) -> Result<Fitted, Outcome> {
        let unreadable = |error: StoreError| Outcome::later("4.3.0", error.to_string());
        let mut parameters = MailParameters {
            body: self.facts.body,
            smtputf8: self.facts.smtputf8,
            ret: if self.facts.headers_only { Some(Return::Headers) } else { None },
            envelope_id: self.facts.envelope_id.clone(),
            by: self.facts.by.map(|by| by.left(now)),
            priority: Some(self.facts.priority).filter(|n| *n != 0),
            require_tls: self.facts.require_tls,
            ..MailParameters::default()
        };
        if self.facts.by.is_some_and(|by| by.give_back) && able.deliver_by.is_none() {
            // Nobody would give it back in time (RFC 2852 section 4.1.4.2).
            let text = "the message has a deadline, and the other server keeps none (DELIVERBY)";
            return Err(Outcome::failed("5.3.3", text));
        }
        if self.facts.smtputf8 {
            let plain = |path: &Path| path.mailbox.as_ref().is_none_or(Mailbox::is_ascii);
            let needed = !plain(from)
                || to.iter().any(|one| !plain(&one.path))
                || !self.content.header().await.map_err(unreadable)?.is_ascii();
            parameters.smtputf8 = needed;
            if needed && !able.smtputf8 {
                let text = "the other server does not take international mail (SMTPUTF8)";
                return Err(Outcome::failed("5.6.7", text));
            }
        } else if from.mailbox.as_ref().is_some_and(|m| !m.is_ascii())
            || to.iter().any(|one| one.path.mailbox.as_ref().is_some_and(|m| !m.is_ascii()))
        {
            parameters.smtputf8 = true;
            if !able.smtputf8 {
                let text = "the other server does not take international addresses (SMTPUTF8)";
                return Err(Outcome::failed("5.6.7", text));
            }
        }
        let mut content = self.content.clone();
        let binary = self.facts.body == Some(BodyKind::BinaryMime);
        let unfit = binary && !(able.binary_mime && able.chunking);
        if unfit || !able.eight_bit_mime {
            if content.size() > REWRITTEN {
                let text = "the other server does not take 8-bit mail, and it is too large to \
                            be rewritten";
                return Err(Outcome::failed("5.6.3", text));
            }
            let whole = content.whole().await.map_err(unreadable)?;
            match seven_bit::convert(&whole, able.eight_bit_mime) {
                Ok(None) => {}
                Ok(Some(made)) => content = Content::Memory(made.into()),
                Err(why) => return Err(Outcome::failed("5.6.3", why.to_string())),
            }
            parameters.body = able.eight_bit_mime.then_some(BodyKind::EightBitMime);
        }
        if let Some(limit) = able.size.filter(|limit| *limit > 0)
            && content.size() > limit
        {
            let text = format!(
                "the message has {} octets, the other server takes {limit}",
                content.size()
            );
            return Err(Outcome::failed("5.3.4", text));
        }
        Ok(Fitted { parameters, content })
    }
}

impl Addressee {
    /// The recipient for the envelope, or why there can be none.
    pub(crate) fn of(
        index: u32,
        address: &str,
        facts: &RecipientFacts,
        protocol: Protocol,
    ) -> Result<Self, Outcome> {
        let to = facts.to.as_deref().unwrap_or(address);
        let path = path(to).ok_or_else(|| {
            Outcome::failed("5.1.3", format!("<{to}> cannot be written in an envelope"))
        })?;
        let mut parameters = RcptParameters { notify: facts.notify, ..RcptParameters::default() };
        parameters.original.clone_from(&facts.original);
        // Where the address changed on the way, the one that was given is told (RFC 3461
        // section 5.2.1).
        if parameters.original.is_none()
            && facts.forwarded
            && address.is_ascii()
            && protocol == Protocol::Smtp
        {
            let (kind, address) = ("rfc822".to_owned(), address.to_owned());
            parameters.original = Some(OriginalRecipient { kind, address });
        }
        Ok(Self { index, path, parameters })
    }
}

/// Octets of the lines of final delivery in front of a message.
fn delivery_lines(start: &[u8]) -> usize {
    header::pieces(start)
        .take_while(|piece| piece.is("Return-Path") || piece.is("X-Real-To"))
        .map(|piece| piece.raw.len())
        .sum()
}

/// An address for the envelope; an international domain is written in its ASCII form, so that as
/// little as possible needs SMTPUTF8. The empty address is `<>`.
pub(crate) fn path(address: &str) -> Option<Path> {
    if address.is_empty() {
        return Some(Path::default());
    }
    let mut mailbox = Mailbox::parse(address).ok()?;
    if !mailbox.domain.is_ascii() {
        mailbox.domain = idna::domain_to_ascii(&mailbox.domain).ok()?;
    }
    Some(Path::of(mailbox))
}
