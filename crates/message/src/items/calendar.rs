//! One iCalendar stream taken apart: each UID is an object with all its changed occurrences and the
//! time zones it names. A METHOD is left out: what is kept is no request. It must never know when an
//! event happens.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::line::{self, Line, component, digits, fold, made_uid, too_large};
use super::{Edition, Item, ItemKind, Items, MAX_ITEM, MAX_ITEMS, MAX_UNCLOSED};
use super::{old_calendar, old_card};

/// Most time zones of one calendar.
const MAX_ZONES: usize = 1_000;

/// One VEVENT, VTODO or VJOURNAL.
struct Part {
    line: u64,
    /// RECURRENCE-ID of a changed occurrence; empty for the whole.
    occurrence: String,
    edition: Edition,
    lines: Vec<String>,
    zones: BTreeSet<String>,
    title: String,
    organizer: Option<String>,
}

/// The objects of a calendar, of which these lines stand between BEGIN and END.
pub(super) fn read(inside: &[Line], all: &mut Items) -> Vec<Item> {
    let mut calendar = Calendar::default();
    let mut rest = inside;
    let mut unclosed = 0;
    while let Some((first, behind)) = rest.split_first() {
        if first.name() != "BEGIN" {
            calendar.property(first);
            rest = behind;
            continue;
        }
        let (found, after) = component(rest);
        let Some(lines) = found else {
            all.fault(first.number, "it begins and never ends");
            unclosed += 1;
            if unclosed >= MAX_UNCLOSED {
                break;
            }
            rest = behind;
            continue;
        };
        calendar.component(first, lines, all);
        rest = after;
    }
    calendar.items(all)
}

#[derive(Default)]
struct Calendar {
    product: Option<String>,
    scale: Option<String>,
    /// vCalendar 1.0.
    old: bool,
    zones: BTreeMap<String, Vec<String>>,
    /// Objects in the order of the file.
    order: Vec<(ItemKind, String)>,
    parts: HashMap<(ItemKind, String), Vec<Part>>,
}

impl Calendar {
    fn property(&mut self, line: &Line) {
        match line.name().as_str() {
            "VERSION" => self.old = line.value().trim().starts_with('1'),
            "PRODID" => self.product = Some(line.plain()),
            "CALSCALE" => self.scale = Some(line.plain()),
            _ => {}
        }
    }

    fn component(&mut self, begin: &Line, lines: &[Line], all: &mut Items) {
        let word = begin.value().trim().to_ascii_uppercase();
        let kind = match word.as_str() {
            "VEVENT" => ItemKind::Event,
            "VTODO" => ItemKind::Task,
            "VJOURNAL" => ItemKind::Journal,
            "VTIMEZONE" => return self.zone(begin, lines, all),
            _ => {
                let shown: String = word.chars().filter(|c| !c.is_control()).take(40).collect();
                return all.remark(begin.number, format!("{shown} is left out"));
            }
        };
        if let Some(why) = too_large(lines) {
            return all.fault(begin.number, why);
        }
        let lines = if self.old {
            Cow::Owned(old_calendar::converted(lines, all))
        } else {
            old_card::in_the_clear(lines)
        };
        let lines = lines.as_ref();
        let (uid, part) = part(begin.number, &word, lines);
        // In the new form, and with what is made up, it may be more.
        if let Some(why) = part.too_large() {
            return all.fault(begin.number, why);
        }
        if lines.iter().all(|line| line.name() != "DTSTART") && kind == ItemKind::Event {
            all.remark(begin.number, "the event says no beginning");
        }
        let key = (kind, uid);
        if self.order.len() >= MAX_ITEMS && !self.parts.contains_key(&key) {
            return all.fault(begin.number, format!("more than {MAX_ITEMS} objects"));
        }
        let parts = self.parts.entry(key.clone()).or_default();
        if parts.is_empty() {
            self.order.push(key);
        }
        match parts.iter_mut().find(|other| other.occurrence == part.occurrence) {
            Some(there) => {
                all.remark(part.line, "its UID stands in the file twice; the newer counts");
                if part.edition >= there.edition {
                    *there = part;
                }
            }
            None => parts.push(part),
        }
    }

    fn zone(&mut self, begin: &Line, lines: &[Line], all: &mut Items) {
        if too_large(lines).is_some() || self.zones.len() >= MAX_ZONES {
            return all.remark(begin.number, "the time zone is left out: too large, or too many");
        }
        let Some(name) = lines.iter().find(|line| line.name() == "TZID") else {
            return all.remark(begin.number, "the time zone has no name and is left out");
        };
        let name = name.plain();
        let clear = old_card::in_the_clear(lines);
        let lines = clear.iter().map(|line| line.text.clone()).collect();
        self.zones.entry(name).or_insert(lines);
    }

    fn items(mut self, all: &mut Items) -> Vec<Item> {
        let mut items = Vec::new();
        for key in std::mem::take(&mut self.order) {
            let Some(mut parts) = self.parts.remove(&key) else { continue };
            // The whole first, then its changed occurrences in their order.
            parts.sort_by(|a, b| a.occurrence.cmp(&b.occurrence));
            let (kind, uid) = key;
            let Some(first) = parts.first() else { continue };
            let (line, title) = (first.line, first.title.clone());
            let address = parts.iter().find_map(|part| part.organizer.clone());
            let edition = parts.iter().map(|part| part.edition.clone()).max().unwrap_or_default();
            let body = self.body(&parts);
            if body.len() > 2 * MAX_ITEM {
                all.fault(line, "it is too large");
                continue;
            }
            items.push(Item { line, kind, uid, title, address, edition, body });
        }
        items
    }

    fn body(&self, parts: &[Part]) -> String {
        let mut out = String::from("BEGIN:VCALENDAR\r\nVERSION:2.0\r\n");
        let product = self.product.as_deref().unwrap_or("-//Angarium//Import//EN");
        fold(&mut out, &format!("PRODID:{}", line::escaped(product)));
        if let Some(scale) = &self.scale {
            fold(&mut out, &format!("CALSCALE:{}", line::escaped(scale)));
        }
        let named: BTreeSet<&String> = parts.iter().flat_map(|part| &part.zones).collect();
        for zone in named.into_iter().filter_map(|name| self.zones.get(name)) {
            out.push_str("BEGIN:VTIMEZONE\r\n");
            zone.iter().for_each(|line| fold(&mut out, line));
            out.push_str("END:VTIMEZONE\r\n");
        }
        for part in parts {
            part.lines.iter().for_each(|line| fold(&mut out, line));
        }
        out.push_str("END:VCALENDAR\r\n");
        out
    }
}

impl Part {
    /// Why it is not taken, as it would be read again.
    fn too_large(&self) -> Option<&'static str> {
        let inside = self.lines.get(1..self.lines.len().saturating_sub(1)).unwrap_or_default();
        let lines: Vec<Line> =
            inside.iter().filter_map(|text| Line::new(self.line, text.clone())).collect();
        too_large(&lines)
    }
}

/// The UID of a component, and what is known of it.
fn part(number: u64, word: &str, lines: &[Line]) -> (String, Part) {
    let mut part = Part {
        line: number,
        occurrence: String::new(),
        edition: Edition::default(),
        lines: Vec::with_capacity(lines.len() + 4),
        zones: BTreeSet::new(),
        title: String::new(),
        organizer: None,
    };
    let mut uid = None;
    let (mut stamp, mut depth) = (String::new(), 0_usize);
    part.lines.push(format!("BEGIN:{word}"));
    for line in lines {
        let name = line.name();
        depth = match name.as_str() {
            "BEGIN" => depth + 1,
            "END" => depth.saturating_sub(1),
            _ => depth,
        };
        // One that says no moment is none; the one that is made up would stand beside it.
        if name == "DTSTAMP" && depth == 0 && digits(line.value()).is_empty() {
            continue;
        }
        part.zones.extend(line.parameter("TZID"));
        part.lines.push(line.text.clone());
        // What is said of an alarm is not said of the event.
        if depth > 0 || name == "END" {
            continue;
        }
        match name.as_str() {
            "UID" if !line.plain().is_empty() => uid = uid.or_else(|| Some(line.plain())),
            "SUMMARY" => part.title = line.plain(),
            "SEQUENCE" => part.edition.sequence = line.value().trim().parse().unwrap_or(0),
            "LAST-MODIFIED" => part.edition.changed = digits(line.value()),
            "DTSTAMP" if stamp.is_empty() => stamp = digits(line.value()),
            "RECURRENCE-ID" => part.occurrence = digits(line.value()),
            "ORGANIZER" => part.organizer = mail_address(line.value()),
            _ => {}
        }
    }
    if part.edition.changed.is_empty() {
        part.edition.changed.clone_from(&stamp);
    }
    let uid = uid.unwrap_or_else(|| {
        let made = made_uid(&part.lines.iter().map(String::as_str).collect::<Vec<_>>());
        part.lines.insert(1, format!("UID:{made}"));
        made
    });
    if stamp.is_empty() {
        // RFC 5545 wants one; no moment is made up.
        let changed = &part.edition.changed;
        let text = match (changed.get(..8), changed.get(8..14)) {
            (Some(day), Some(time)) => format!("DTSTAMP:{day}T{time}Z"),
            _ => "DTSTAMP:19700101T000000Z".to_owned(),
        };
        part.lines.insert(1, text);
    }
    part.lines.push(format!("END:{word}"));
    (uid, part)
}

/// `a@b` of `mailto:a@b`.
pub(super) fn mail_address(value: &str) -> Option<String> {
    let value = value.trim();
    let start = value.get(..7).filter(|start| start.eq_ignore_ascii_case("mailto:"));
    let address = if start.is_some() { value.get(7..)? } else { value };
    let plain = |c: char| c.is_control() || c.is_whitespace() || matches!(c, '<' | '>' | '"');
    let fits = address.contains('@') && address.len() <= 320 && !address.contains(plain);
    fits.then(|| address.to_owned())
}
