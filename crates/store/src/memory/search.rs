//! Search in memory: every question looks through the bodies anew, which is what the other
//! editions' answers must come to.

use angarium_message::search::{
    Probe, ReadableText, Wanted, relevancy, signature, word_score, words_of, words_of_text,
};
use async_trait::async_trait;

use super::Memory;
use crate::error::Result;
use crate::ids::{AccountId, BodyId};
use crate::search::{FUZZY_WORDS_MAX, FuzzyText, Search, Sifted};

#[async_trait]
impl Search for Memory {
    async fn sift(&self, bodies: &[BodyId], probes: &[Probe]) -> Result<Vec<Sifted>> {
        let sift = |bytes: &[u8]| Sifted::by(&signature(&ReadableText::of(bytes)), probes);
        self.read(|state| {
            let found = bodies.iter().map(|id| match state.bodies.bytes(*id) {
                Some(bytes) => sift(&bytes),
                None => Sifted::MAY_HOLD_ANYTHING,
            });
            Ok(found.collect())
        })
    }

    async fn fuzzy(
        &self,
        account: AccountId,
        bodies: &[BodyId],
        text: &FuzzyText,
    ) -> Result<Vec<(BodyId, u8)>> {
        let words = words_of_text(&text.text, FUZZY_WORDS_MAX);
        let wanted: Vec<Wanted> = words.iter().map(|word| Wanted::new(word)).collect();
        self.read(|state| {
            state.mail(account)?;
            let mut found: Vec<(BodyId, u8)> = bodies
                .iter()
                .filter_map(|id| Some((*id, score(&state.bodies.bytes(*id)?, &wanted, text)?)))
                .collect();
            found.sort_unstable();
            found.dedup();
            Ok(found)
        })
    }
}

fn score(message: &[u8], wanted: &[Wanted], text: &FuzzyText) -> Option<u8> {
    let words = words_of(message);
    let best = |wanted: &Wanted| {
        let scores = words
            .iter()
            .filter_map(|(word, mark)| word_score(wanted.closeness(word)?, *mark, text.fields));
        scores.max()
    };
    let scores: Option<Vec<u8>> = wanted.iter().map(best).collect();
    scores.filter(|scores| !scores.is_empty()).map(|scores| relevancy(&scores))
}
