//! Files of calendars and contacts: iCalendar (RFC 5545) and vCalendar 1.0, vCard 4.0, 3.0 (RFC 6350,
//! RFC 2426) and 2.1, taken apart into one object each, in the form in which objects are kept as
//! messages. Nothing is repeated, expanded or fetched: a rule that repeats every second is a line of
//! text here, and an address of a picture too.

mod calendar;
mod card;
mod line;
mod old_calendar;
mod old_card;
mod stored;

use std::collections::HashMap;

pub use stored::{Stored, message, stored};

/// Largest file that is read, in octets.
pub const MAX_FILE: u64 = 64 << 20;
/// Most objects of one file.
pub const MAX_ITEMS: usize = 100_000;
/// Largest object, in octets.
pub const MAX_ITEM: usize = 8 << 20;
/// Most lines of one object.
pub const MAX_LINES: usize = 20_000;
/// Most objects that begin and never end: each is looked for to the end of the file.
const MAX_UNCLOSED: usize = 16;
/// Deepest component.
const MAX_DEPTH: usize = 8;
/// Most faults and remarks that are told.
const MAX_TOLD: usize = 1_000;

/// What an object is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ItemKind {
    /// VEVENT.
    Event,
    /// VTODO.
    Task,
    /// VJOURNAL.
    Journal,
    /// VCARD.
    Contact,
}

/// What is newer of two objects with one UID: SEQUENCE, then the moment it was changed, as written.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Edition {
    /// SEQUENCE of an event.
    pub sequence: u64,
    /// LAST-MODIFIED, DTSTAMP or REV, digits alone.
    pub changed: String,
}

/// One object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// Line of the file at which it begins.
    pub line: u64,
    /// What it is.
    pub kind: ItemKind,
    /// Its identifier; made from its content where it has none.
    pub uid: String,
    /// What it is called.
    pub title: String,
    /// Address of who called the meeting, or of the person.
    pub address: Option<String>,
    /// How new it is.
    pub edition: Edition,
    /// The object alone, with the time zones it names: a whole iCalendar stream or vCard, lines
    /// folded and ended by CR LF.
    pub body: String,
}

/// What a file holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Items {
    /// The objects, in the order of the file, each UID once.
    pub items: Vec<Item>,
    /// Objects that cannot be had: line and reason.
    pub faults: Vec<(u64, String)>,
    /// What is lost or odd: line and text.
    pub remarks: Vec<(u64, String)>,
}

impl Items {
    fn fault(&mut self, line: u64, why: impl Into<String>) {
        if self.faults.len() < MAX_TOLD {
            self.faults.push((line, why.into()));
        }
    }

    fn remark(&mut self, line: u64, text: impl Into<String>) {
        if self.remarks.len() < MAX_TOLD {
            self.remarks.push((line, text.into()));
        }
    }
}

/// Reads a file, whatever of the forms it is in; several calendars and cards may follow each other.
#[must_use]
pub fn read(file: &[u8]) -> Items {
    let text = line::text_of(file);
    let lines = line::logical(&text);
    let mut all = Items::default();
    let mut by_uid: HashMap<(ItemKind, String), usize> = HashMap::new();
    let mut rest = lines.as_slice();
    let mut unclosed = 0;
    while let Some((first, behind)) = rest.split_first() {
        let begins = first.is("BEGIN", "VCALENDAR") || first.is("BEGIN", "VCARD");
        let found = begins.then(|| line::component(rest));
        let Some((inside, after)) = found else {
            // Between objects nothing has a meaning.
            rest = behind;
            continue;
        };
        let Some(inside) = inside else {
            all.fault(first.number, "it begins and never ends");
            unclosed += 1;
            if unclosed >= MAX_UNCLOSED {
                all.fault(first.number, "too much never ends: the rest is not read");
                break;
            }
            rest = behind;
            continue;
        };
        let items = if first.is("BEGIN", "VCARD") {
            card::read(first.number, inside, &mut all).into_iter().collect()
        } else {
            calendar::read(inside, &mut all)
        };
        for item in items {
            keep(item, &mut all, &mut by_uid);
        }
        rest = after;
    }
    all
}

/// Of two objects with one UID the newer stays.
fn keep(item: Item, all: &mut Items, by_uid: &mut HashMap<(ItemKind, String), usize>) {
    let key = (item.kind, item.uid.clone());
    if let Some(at) = by_uid.get(&key) {
        all.remark(item.line, "its UID stands in the file twice; the newer counts");
        if let Some(there) = all.items.get_mut(*at).filter(|there| item.edition >= there.edition) {
            *there = item;
        }
    } else if all.items.len() >= MAX_ITEMS {
        all.fault(item.line, format!("more than {MAX_ITEMS} objects in one file"));
    } else {
        by_uid.insert(key, all.items.len());
        all.items.push(item);
    }
}

#[cfg(test)]
mod tests;
