//! FUZZY (RFC 6203): text keys inside it ask the store for words in any form, all other keys are
//! exact; and how relevant a message is that was found. It must never know how words are kept.

use angarium_accounts::mailboxes::{MailError, Reader, Row};
use angarium_accounts::{AccountId, BodyId, FuzzyText};
use angarium_imap::types::TextField;
use angarium_message::search::{Fields, words_of_text};

use super::search_keys::Key;

/// The relevancy of what was found without words.
pub(super) const EXACT: u8 = 100;

/// A text looked for, and, once the store was asked, the bodies with it and their relevancy.
pub(super) struct Fuzzy {
    text: FuzzyText,
    found: Vec<(BodyId, u8)>,
}

impl Fuzzy {
    /// Nothing if there is no word in the text.
    pub(super) fn new(field: &TextField, text: &str) -> Option<Self> {
        if words_of_text(text, 1).is_empty() {
            return None;
        }
        let fields = match field {
            TextField::Body => Fields::BODY,
            TextField::Text => Fields::ALL,
            TextField::Subject => Fields::SUBJECT,
            TextField::From => Fields::FROM,
            TextField::To => Fields::TO,
            TextField::Cc | TextField::Bcc => Fields::CC,
            TextField::Header(name) => Fields::of_name(name),
        };
        let text = FuzzyText { text: text.to_owned(), fields };
        Some(Self { text, found: Vec::new() })
    }

    fn score(&self, row: Row<'_>) -> Option<u8> {
        let at = self.found.binary_search_by_key(&row.body(), |(body, _)| *body).ok()?;
        self.found.get(at).map(|(_, score)| *score)
    }

    pub(super) fn is_in(&self, row: Row<'_>) -> bool {
        self.score(row).is_some()
    }
}

/// Asks the store for every fuzzy text of a key, in these bodies of the owner's messages.
///
/// # Errors
/// What the store says.
pub(super) async fn look_up(
    reader: &Reader,
    owner: AccountId,
    bodies: impl Iterator<Item = BodyId>,
    key: &mut Key,
) -> Result<(), MailError> {
    let mut asked: Vec<&mut Fuzzy> = Vec::new();
    gather(key, &mut asked);
    if asked.is_empty() {
        return Ok(());
    }
    let bodies: Vec<BodyId> = bodies.collect();
    for fuzzy in asked {
        fuzzy.found = reader.fuzzy(owner, &bodies, &fuzzy.text).await?;
    }
    Ok(())
}

fn gather<'k>(key: &'k mut Key, asked: &mut Vec<&'k mut Fuzzy>) {
    match key {
        Key::Fuzzy(fuzzy) => asked.push(fuzzy),
        Key::And(keys) => keys.iter_mut().for_each(|key| gather(key, asked)),
        Key::Or(one, two) => {
            gather(one, asked);
            gather(two, asked);
        }
        Key::Not(key) => gather(key, asked),
        _ => {}
    }
}

/// How relevant a message is that meets the key, 1 to 100: of several words looked for the mean,
/// of alternatives the best.
pub(super) fn relevancy(key: &Key, row: Row<'_>) -> u8 {
    scored(key, row).unwrap_or(EXACT)
}

fn scored(key: &Key, row: Row<'_>) -> Option<u8> {
    match key {
        Key::Fuzzy(fuzzy) => fuzzy.score(row),
        Key::And(keys) => {
            let scores: Vec<u8> = keys.iter().filter_map(|key| scored(key, row)).collect();
            (!scores.is_empty()).then(|| angarium_message::search::relevancy(&scores))
        }
        Key::Or(one, two) => scored(one, row).max(scored(two, row)),
        _ => None,
    }
}
