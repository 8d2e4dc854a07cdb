//! Objects as messages, one each: a header that mail programs show, and the object as the body. And
//! the way back: which object a message of a mailbox holds. It must never know the mailbox.

use super::{Edition, Item, ItemKind, MAX_FILE};
use crate::address::Mailbox;
use crate::compose::{self, HeaderBuilder};
use crate::date::Moment;
use crate::structure::{Inside, Part};

/// The object of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// What it is.
    pub kind: ItemKind,
    /// Its identifier.
    pub uid: String,
    /// How new it is.
    pub edition: Edition,
    /// As [`Item::body`].
    pub body: String,
}

/// The message of an object. `owner` stands as its sender where the object names nobody.
#[must_use]
pub fn message(item: &Item, owner: &Mailbox, moment: Moment) -> Vec<u8> {
    let organizer = item.address.as_deref().filter(|_| item.kind != ItemKind::Contact);
    let from = organizer.and_then(|address| address.rsplit_once('@')).map_or_else(
        || owner.clone(),
        |(local, domain)| Mailbox {
            name: String::new(),
            local: local.to_owned(),
            domain: domain.to_owned(),
        },
    );
    let (class, kind) = match item.kind {
        ItemKind::Event => ("appointment", "text/calendar; charset=utf-8; component=VEVENT"),
        ItemKind::Task => ("task", "text/calendar; charset=utf-8; component=VTODO"),
        ItemKind::Journal => ("journal", "text/calendar; charset=utf-8; component=VJOURNAL"),
        ItemKind::Contact => ("person", "text/vcard; charset=utf-8"),
    };
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, item.uid.as_bytes());
    let mut random = [0; 16];
    random.iter_mut().zip(digest.as_ref()).for_each(|(to, from)| *to = *from);
    let encoding = if item.body.is_ascii() { "7bit" } else { "8bit" };
    let header = HeaderBuilder::new()
        .addresses("From", std::slice::from_ref(&from))
        .date("Date", moment)
        .text("Subject", if item.title.is_empty() { "(no title)" } else { &item.title })
        .field("Message-ID", &compose::message_id(&random, &owner.domain))
        .field("MIME-Version", "1.0")
        .field("Content-Class", &format!("urn:content-classes:{class}"))
        .text("X-Item-UID", &item.uid)
        .field("Content-Type", kind)
        .field("Content-Transfer-Encoding", encoding)
        .finish();
    let mut bytes = header.into_bytes();
    bytes.extend_from_slice(item.body.as_bytes());
    bytes
}

/// The object a message holds: the first of a part with a type of calendars or cards.
#[must_use]
pub fn stored(message: &[u8]) -> Option<Stored> {
    let root = Part::of(message);
    let types = [
        ("text", "calendar"),
        ("text", "x-vcalendar"),
        ("text", "vcard"),
        ("text", "x-vcard"),
        ("text", "directory"),
        ("application", "ics"),
    ];
    let is_item = |part: &&Part| {
        part.inside == Inside::Leaf && types.iter().any(|(kind, of)| part.content.is(kind, of))
    };
    let part = root.walk().find(is_item)?;
    let text = part
        .text_of(message)
        .map_or_else(|| part.content_of(message).into_owned(), String::into_bytes);
    if text.len() as u64 > MAX_FILE {
        return None;
    }
    let item = super::read(&text).items.into_iter().next()?;
    Some(Stored { kind: item.kind, uid: item.uid, edition: item.edition, body: item.body })
}
