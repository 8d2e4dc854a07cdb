//! The keys of token issuers, kept for an hour: fetched by one login at a time, again when a token
//! names a key that is not among them (at most twice a minute), and used for a day longer while the
//! issuer is not to be reached. It must never know how they are fetched.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use async_trait::async_trait;

use super::super::LoginError;
use super::jwt::KeySet;

/// Places whose keys are kept.
const MAX_PLACES: usize = 64;
/// Largest JWK set taken, in octets.
const MAX_SET: usize = 256 * 1024;
/// Seconds for which keys are used without asking again.
const FRESH: i64 = 3600;
/// Seconds for which they are used when nobody answers.
const STALE: i64 = 24 * 3600;
/// Seconds between two fetches from one place.
const AGAIN: i64 = 30;
/// Longest time a fetch may take.
const LONGEST: Duration = Duration::from_secs(15);

/// Fetches what lies at a place.
#[async_trait]
pub trait KeySource: Send + Sync {
    /// The octets at an https URL, or of a file (`file:` and an absolute path); to be bounded in
    /// size and time, and to follow no redirect.
    ///
    /// # Errors
    /// *Later*: why they are not to be had, for the log.
    async fn fetch(&self, place: &str) -> Result<Vec<u8>, String>;
}

struct Kept {
    keys: Arc<KeySet>,
    fetched: i64,
}

/// One place: what is kept, and when it was asked last.
#[derive(Default)]
struct Place {
    kept: ArcSwapOption<Kept>,
    asked: tokio::sync::Mutex<Option<i64>>,
}

impl Place {
    fn younger(&self, than: i64, now: i64) -> Option<Arc<KeySet>> {
        let kept = self.kept.load_full()?;
        (0..than).contains(&now.saturating_sub(kept.fetched)).then(|| Arc::clone(&kept.keys))
    }
}

/// All keys.
#[derive(Default)]
pub(crate) struct TokenKeys {
    source: ArcSwapOption<Box<dyn KeySource>>,
    places: Mutex<HashMap<String, Arc<Place>>>,
}

impl TokenKeys {
    pub(super) fn use_source(&self, source: Box<dyn KeySource>) {
        self.source.store(Some(Arc::new(source)));
    }

    /// The keys at a place, with the one of this name if it can be had.
    ///
    /// # Errors
    /// `Unavailable` when there are none.
    pub(super) async fn of(
        &self,
        place: &str,
        wanted: Option<&str>,
        now: i64,
    ) -> Result<Arc<KeySet>, LoginError> {
        let at = self.place(place);
        if let Some(keys) = at.younger(FRESH, now).filter(|keys| keys.has(wanted)) {
            return Ok(keys);
        }
        let mut asked = at.asked.lock().await;
        // Somebody else may have fetched them meanwhile.
        if let Some(keys) = at.younger(FRESH, now).filter(|keys| keys.has(wanted)) {
            return Ok(keys);
        }
        let lately = asked.is_some_and(|at| (0..AGAIN).contains(&now.saturating_sub(at)));
        if !lately {
            *asked = Some(now);
            match self.fetch(place).await {
                Ok(keys) => at.kept.store(Some(Arc::new(Kept { keys, fetched: now }))),
                Err(why) => {
                    let why: String = why.chars().filter(|c| !c.is_control()).take(300).collect();
                    tracing::warn!("keys of a token issuer at {place} cannot be had: {why}");
                }
            }
        }
        at.younger(STALE, now).ok_or(LoginError::Unavailable)
    }

    fn place(&self, place: &str) -> Arc<Place> {
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        if places.len() >= MAX_PLACES && !places.contains_key(place) {
            places.clear();
        }
        Arc::clone(places.entry(place.to_owned()).or_default())
    }

    async fn fetch(&self, place: &str) -> Result<Arc<KeySet>, String> {
        let source = self.source.load_full().ok_or("nobody fetches keys here")?;
        let text = tokio::time::timeout(LONGEST, source.fetch(place)).await;
        let text = text.map_err(|_| "it takes too long")??;
        if text.len() > MAX_SET {
            return Err("the set is too large".into());
        }
        KeySet::read(&text).map(Arc::new).ok_or_else(|| "it is no JWK set".into())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    struct Source {
        fetched: Arc<AtomicUsize>,
        down_from: usize,
    }

    #[async_trait]
    impl KeySource for Source {
        async fn fetch(&self, _: &str) -> Result<Vec<u8>, String> {
            let turn = self.fetched.fetch_add(1, Ordering::SeqCst);
            if turn >= self.down_from {
                return Err("down".into());
            }
            let key = r#"{"kty":"OKP","crv":"Ed25519","kid":"one","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
            Ok(format!("{{\"keys\":[{key},{{\"kty\":\"odd\"}}]}}").into_bytes())
        }
    }

    #[tokio::test]
    async fn keys_are_fetched_once_and_again_for_a_name_that_is_not_there() {
        let fetched = Arc::new(AtomicUsize::new(0));
        let keys = TokenKeys::default();
        assert!(keys.of("file:/k", None, 0).await.is_err());
        keys.use_source(Box::new(Source { fetched: Arc::clone(&fetched), down_from: 2 }));
        let times = || fetched.load(Ordering::SeqCst);
        let now = 10_000;
        for _ in 0..3 {
            assert!(keys.of("file:/k", Some("one"), now).await.unwrap().has(Some("one")));
        }
        assert_eq!(times(), 1);
        // An unknown name asks anew, but not for every token that an attacker invents.
        for at in [now + 1, now + 2, now + 61, now + 62] {
            assert!(!keys.of("file:/k", Some("two"), at).await.unwrap().has(Some("two")));
        }
        assert_eq!(times(), 2);
        // The issuer is down: the keys are good for a day.
        assert!(keys.of("file:/k", Some("one"), now + 61 + FRESH).await.is_ok());
        assert_eq!(times(), 3);
        let late = keys.of("file:/k", Some("one"), now + 61 + STALE).await;
        assert_eq!(late.unwrap_err(), LoginError::Unavailable);
    }
}
