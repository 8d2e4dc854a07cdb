//! SEARCH criteria prepared for many messages: a condition answers yes, no, or "not with what is
//! known so far", so that summaries, headers and bodies are read only for messages that need
//! them. Knows no storage.

use angarium_accounts::mailboxes::Row;
use angarium_accounts::{BodyId, FlagBits, Sifted};
use angarium_imap::types::{DateKind, SearchKey, SequenceSet, TextField, UidSet};
use angarium_imap::view::View;
use angarium_message::search::{Place, Probe};
use angarium_message::summary::SummaryView;
use angarium_message::thread::thread_id;

use super::answer::Answer;
use super::flags::{self, Known};
use super::search_fuzzy::Fuzzy;
use super::search_headers::Headers;
use super::search_sift::rules_out;
use super::search_text::{BodyTexts, Held, Needle};

/// Texts that rule messages out in one search; those of further keys are read for.
const PROBES_MAX: usize = 64;
/// Texts one search may look for, those in bodies among them, and those in any form (ABU-27).
const TEXTS_MAX: usize = 2000;
/// Those in bodies have a bit each, of 128.
const BODY_TEXTS_MAX: usize = 100;
const FUZZY_MAX: usize = 16;
/// Seconds of a day.
const DAY: i64 = 86_400;

/// A prepared condition.
pub(super) enum Key {
    All,
    Never,
    And(Vec<Key>),
    Or(Box<Key>, Box<Key>),
    Not(Box<Key>),
    Uids(UidSet),
    Bit(FlagBits),
    Keyword(String),
    Recent,
    Before(DateKind, i64),
    On(DateKind, i64),
    Since(DateKind, i64),
    /// Arrived at or before this second.
    ArrivedBy(i64),
    /// Arrived at or after this second.
    ArrivedFrom(i64),
    Larger(u64),
    Smaller(u64),
    ModSeq(u64),
    Body(u64),
    /// The identity of a thread, see [`thread_of`].
    Thread(Box<str>),
    Text(TextField, Box<Needle>),
    /// Words in any form; nothing is found before [`super::search_fuzzy::look_up`].
    Fuzzy(Box<Fuzzy>),
}

/// What is known of a message so far.
#[derive(Clone, Copy)]
pub(super) struct Facts<'a> {
    pub(super) row: Row<'a>,
    pub(super) recent: bool,
    /// What the store told of the texts looked for.
    pub(super) sifted: Option<Sifted>,
    pub(super) headers: Option<Headers<'a>>,
    pub(super) summary: Option<&'a SummaryView<'a>>,
    pub(super) head: Option<&'a [u8]>,
    /// Which of the texts looked for in whole messages it holds.
    pub(super) held: Option<Held>,
}

impl Key {
    /// Prepares a condition for the messages of a view at a moment (seconds since 1970).
    pub(super) fn prepare(key: &SearchKey, view: &View, now: i64) -> Result<Self, Answer> {
        let mut key = Self::prepare_as(key, view, now, false)?;
        let (texts, in_bodies, fuzzy) = key.texts();
        if texts > TEXTS_MAX || in_bodies > BODY_TEXTS_MAX || fuzzy > FUZZY_MAX {
            return Err(Answer::no("Too many texts to look for at once").word("LIMIT"));
        }
        key.give_bits(&mut 0);
        Ok(key)
    }

    /// How many texts it looks for, how many of them in bodies, and how many in any form.
    pub(super) fn texts(&self) -> (usize, usize, usize) {
        let add =
            |a: (usize, usize, usize), b: (usize, usize, usize)| (a.0 + b.0, a.1 + b.1, a.2 + b.2);
        match self {
            Self::And(keys) => keys.iter().map(Self::texts).fold((0, 0, 0), add),
            Self::Or(a, b) => add(a.texts(), b.texts()),
            Self::Not(key) => key.texts(),
            Self::Text(TextField::Body | TextField::Text, _) => (1, 1, 0),
            Self::Text(..) => (1, 0, 0),
            Self::Fuzzy(_) => (0, 0, 1),
            _ => (0, 0, 0),
        }
    }

    fn prepare_as(key: &SearchKey, view: &View, now: i64, fuzzy: bool) -> Result<Self, Answer> {
        let set = |set: &SequenceSet, uid: bool| {
            let resolved = view.resolve(set, uid).map_err(|e| Answer::bad(e.to_string()))?;
            Ok::<_, Answer>(Self::Uids(resolved.uid_set()))
        };
        Ok(match key {
            SearchKey::All | SearchKey::SaveDateSupported => Self::All,
            SearchKey::And(keys) => {
                let keys: Result<Vec<_>, _> =
                    keys.iter().map(|k| Self::prepare_as(k, view, now, fuzzy)).collect();
                Self::And(keys?)
            }
            SearchKey::Or(a, b) => Self::Or(
                Box::new(Self::prepare_as(a, view, now, fuzzy)?),
                Box::new(Self::prepare_as(b, view, now, fuzzy)?),
            ),
            SearchKey::Not(key) => Self::Not(Box::new(Self::prepare_as(key, view, now, fuzzy)?)),
            SearchKey::Fuzzy(key) => Self::prepare_as(key, view, now, true)?,
            SearchKey::Sequence(numbers) => set(numbers, false)?,
            SearchKey::Uid(numbers) => set(numbers, true)?,
            SearchKey::Has(flag) => Self::flag(flag),
            SearchKey::HasNot(flag) => Self::Not(Box::new(Self::flag(flag))),
            SearchKey::Before(kind, date) => Self::Before(*kind, date.days),
            SearchKey::On(kind, date) => Self::On(*kind, date.days),
            SearchKey::Since(kind, date) => Self::Since(*kind, date.days),
            SearchKey::Older(seconds) => Self::ArrivedBy(now.saturating_sub(i64::from(*seconds))),
            SearchKey::Younger(seconds) => {
                Self::ArrivedFrom(now.saturating_sub(i64::from(*seconds)))
            }
            SearchKey::Larger(size) => Self::Larger(*size),
            SearchKey::Smaller(size) => Self::Smaller(*size),
            SearchKey::ModSeq(modseq) => Self::ModSeq(*modseq),
            SearchKey::EmailId(id) => {
                id.strip_prefix('E').and_then(|n| n.parse().ok()).map_or(Self::Never, Self::Body)
            }
            SearchKey::ThreadId(id) => Self::Thread(id.clone()),
            SearchKey::Contains(field, text) => {
                match fuzzy.then(|| Fuzzy::new(field, text)).flatten() {
                    Some(fuzzy) => Self::Fuzzy(Box::new(fuzzy)),
                    None => Self::Text(field.clone(), Box::new(Needle::new(text))),
                }
            }
            // Commands with such text are decoded before.
            SearchKey::ContainsOctets(..) => Self::Never,
        })
    }

    fn flag(flag: &angarium_imap::types::Flag) -> Self {
        match flags::known(flag) {
            Known::Bit(bit) => Self::Bit(bit),
            Known::Keyword(word) => Self::Keyword(word.to_owned()),
            Known::Recent => Self::Recent,
            Known::Never => Self::Never,
        }
    }

    /// Does the message meet it? `None`: more must be known.
    pub(super) fn test(&self, facts: &Facts<'_>) -> Option<bool> {
        let row = facts.row;
        Some(match self {
            Self::All => true,
            Self::Never => false,
            Self::And(keys) => return all(keys, facts),
            Self::Or(a, b) => {
                return match a.test(facts) {
                    Some(true) => Some(true),
                    first => match (first, b.test(facts)) {
                        (_, Some(true)) => Some(true),
                        (Some(false), second) => second,
                        (_, _) => None,
                    },
                };
            }
            Self::Not(key) => return key.test(facts).map(|yes| !yes),
            Self::Uids(set) => set.contains(row.uid().0),
            Self::Bit(bit) => row.bits().contains(*bit),
            Self::Keyword(word) => row.keywords().iter().any(|k| k.eq_ignore_ascii_case(word)),
            Self::Recent => facts.recent,
            Self::Before(kind, day) => {
                return day_of(*kind, facts).map(|d| d.is_some_and(|d| d < *day));
            }
            Self::On(kind, day) => return day_of(*kind, facts).map(|d| d == Some(*day)),
            Self::Since(kind, day) => {
                return day_of(*kind, facts).map(|d| d.is_some_and(|d| d >= *day));
            }
            Self::ArrivedBy(second) => row.internal_date().seconds <= *second,
            Self::ArrivedFrom(second) => row.internal_date().seconds >= *second,
            Self::Larger(size) => row.size() > *size,
            Self::Smaller(size) => row.size() < *size,
            Self::ModSeq(modseq) => row.modseq().0 >= *modseq,
            Self::Body(body) => row.body().0 == *body,
            Self::Thread(id) => {
                return facts.summary.map(|summary| thread_of(summary, row.body()) == **id);
            }
            Self::Text(field, needle) => return text(field, needle, facts),
            Self::Fuzzy(fuzzy) => fuzzy.is_in(row),
        })
    }

    /// Does it ask for what every summary has: subject, addresses, date?
    pub(super) fn asks_headers(&self) -> bool {
        match self {
            Self::And(keys) => keys.iter().any(Self::asks_headers),
            Self::Or(a, b) => a.asks_headers() || b.asks_headers(),
            Self::Not(key) => key.asks_headers(),
            Self::Before(kind, _) | Self::On(kind, _) | Self::Since(kind, _) => {
                *kind == DateKind::Sent
            }
            Self::Text(field, _) => place(field).is_none(),
            _ => false,
        }
    }

    /// Is nothing asked that the header or the summary answers?
    pub(super) fn asks_bodies_alone(&self) -> bool {
        match self {
            Self::And(keys) => keys.iter().all(Self::asks_bodies_alone),
            Self::Or(a, b) => a.asks_bodies_alone() && b.asks_bodies_alone(),
            Self::Not(key) => key.asks_bodies_alone(),
            Self::Before(kind, _) | Self::On(kind, _) | Self::Since(kind, _) => {
                *kind != DateKind::Sent
            }
            Self::Text(field, _) => matches!(field, TextField::Body | TextField::Text),
            Self::Thread(_) => false,
            _ => true,
        }
    }

    /// The texts looked for in whole messages.
    pub(super) fn body_texts(&self) -> BodyTexts {
        let mut texts = BodyTexts::default();
        self.add_body_texts(&mut texts);
        texts
    }

    fn add_body_texts(&self, texts: &mut BodyTexts) {
        match self {
            Self::And(keys) => keys.iter().for_each(|key| key.add_body_texts(texts)),
            Self::Or(a, b) => {
                a.add_body_texts(texts);
                b.add_body_texts(texts);
            }
            Self::Not(key) => key.add_body_texts(texts),
            Self::Text(TextField::Body, needle) => texts.add(false, needle),
            Self::Text(TextField::Text, needle) => texts.add(true, needle),
            _ => {}
        }
    }

    fn give_bits(&mut self, next: &mut u32) {
        match self {
            Self::And(keys) => keys.iter_mut().for_each(|key| key.give_bits(next)),
            Self::Or(a, b) => {
                a.give_bits(next);
                b.give_bits(next);
            }
            Self::Not(key) => key.give_bits(next),
            Self::Text(TextField::Body | TextField::Text, needle) => {
                needle.bit = *next;
                *next += 1;
            }
            _ => {}
        }
    }

    /// Does it ask for words in any form?
    pub(super) fn has_fuzzy(&self) -> bool {
        match self {
            Self::Fuzzy(_) => true,
            Self::And(keys) => keys.iter().any(Self::has_fuzzy),
            Self::Or(a, b) => a.has_fuzzy() || b.has_fuzzy(),
            Self::Not(key) => key.has_fuzzy(),
            _ => false,
        }
    }

    /// The texts that can rule messages out unread, as many as are looked at in one search; each
    /// needle learns its number.
    pub(super) fn probes(&mut self) -> Vec<Probe> {
        let mut probes = Vec::new();
        self.number(&mut probes);
        probes
    }

    fn number(&mut self, probes: &mut Vec<Probe>) {
        match self {
            Self::And(keys) => keys.iter_mut().for_each(|key| key.number(probes)),
            Self::Or(a, b) => {
                a.number(probes);
                b.number(probes);
            }
            Self::Not(key) => key.number(probes),
            Self::Text(field, needle) if probes.len() < PROBES_MAX => {
                if let Some(probe) = place(field).and_then(|place| needle.as_probe(place)) {
                    needle.probe = Some(probes.len());
                    probes.push(probe);
                }
            }
            _ => {}
        }
    }
}

/// Where in a message a field is; nothing for those every summary has.
fn place(field: &TextField) -> Option<Place> {
    match field {
        TextField::Body => Some(Place::Body),
        TextField::Text => Some(Place::Anywhere),
        TextField::Bcc | TextField::Header(_) => Some(Place::Header),
        TextField::Subject | TextField::From | TextField::To | TextField::Cc => None,
    }
}

/// The identity of a message's thread (RFC 8474); a message that names no other and has no name
/// itself is a thread of its own.
pub(super) fn thread_of(summary: &SummaryView<'_>, body: BodyId) -> String {
    let first = summary.references().next();
    let named = thread_id(summary.message_id(), summary.in_reply_to(), first);
    named.unwrap_or_else(|| format!("TE{}", body.0))
}

/// True when all hold; false as soon as one certainly does not.
fn all(keys: &[Key], facts: &Facts<'_>) -> Option<bool> {
    let mut certain = true;
    for key in keys {
        match key.test(facts) {
            Some(true) => {}
            Some(false) => return Some(false),
            None => certain = false,
        }
    }
    certain.then_some(true)
}

/// The day of a date as it was written; the outer `None` says that more must be known, the inner
/// that there is no date.
#[expect(clippy::option_option, reason = "not known yet, and known not to be there, differ")]
fn day_of(kind: DateKind, facts: &Facts<'_>) -> Option<Option<i64>> {
    let day =
        |seconds: i64, zone: i16| seconds.saturating_add(i64::from(zone) * 60).div_euclid(DAY);
    match kind {
        DateKind::Internal => {
            let date = facts.row.internal_date();
            Some(Some(day(date.seconds, date.zone_minutes)))
        }
        DateKind::Saved => Some(Some(day(facts.row.save_date(), 0))),
        DateKind::Sent => {
            if let Some(headers) = facts.headers {
                return Some(headers.sent.map(|(seconds, zone)| day(seconds, zone)));
            }
            let summary = facts.summary?;
            Some(summary.sent_date().map(|seconds| day(seconds, summary.sent_zone())))
        }
    }
}

fn text(field: &TextField, needle: &Needle, facts: &Facts<'_>) -> Option<bool> {
    if rules_out(facts.sifted, needle.probe) {
        return Some(false);
    }
    if let Some(headers) = facts.headers {
        let found = match field {
            TextField::Subject => headers.subject,
            TextField::From => headers.from,
            TextField::To => headers.to,
            TextField::Cc => headers.cc,
            _ => return None,
        };
        if needle.is_empty() {
            // A field that is there and empty looks like one that is not.
            return (!found.is_empty()).then_some(true);
        }
        return Some(needle.is_in_folded(found));
    }
    type Kept = for<'s> fn(&SummaryView<'s>) -> &'s str;
    let (kept, name): (Option<Kept>, &str) = match field {
        TextField::Body | TextField::Text => return facts.held.map(|held| held.has(needle)),
        TextField::Subject => (Some(|s| s.subject()), "Subject"),
        TextField::From => (Some(|s| s.from()), "From"),
        TextField::To => (Some(|s| s.to()), "To"),
        TextField::Cc => (Some(|s| s.cc()), "Cc"),
        TextField::Bcc => (None, "Bcc"),
        TextField::Header(name) => (None, name),
    };
    if let Some(head) = facts.head {
        return Some(needle.is_in_field(head, name));
    }
    let (kept, summary) = (kept?, facts.summary?);
    let found = kept(summary);
    if needle.is_empty() {
        // A field that is there and empty looks like one that is not.
        return (!found.is_empty()).then_some(true);
    }
    if needle.is_in(found) {
        return Some(true);
    }
    summary.complete().then_some(false)
}
