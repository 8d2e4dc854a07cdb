//! The state behind all logins: the bounded pool for slow hashes, passwords verified a moment
//! ago, failed logins. All in memory; a restart forgets it.

use std::net::IpAddr;
use std::sync::{Arc, OnceLock};

use angarium_objects::value::Dictionary;
use angarium_store::AccountId;
use aws_lc_rs::{hmac, rand};
use quick_cache::sync::Cache;
use subtle::ConstantTimeEq;
use tokio::sync::Semaphore;

use super::channel::OwnCertificates;
use super::failures::FailureCounters;
use super::hash;
use super::last_logins::LastLogins;
use super::memory::WorkingMemory;
use super::token::TokenKeys;
use crate::Secret;
use crate::options::Hashing;

/// How long a verified password is remembered, in seconds.
pub(crate) const REMEMBERED_SECONDS: i64 = 300;
/// Verified passwords remembered.
const REMEMBERED: usize = 10_000;
/// Logins waiting for a slow hash; more are sent away with "later".
const MAX_WAITING: usize = 4_096;

#[derive(Clone)]
struct Verified {
    tag: [u8; 32],
    until: i64,
}

/// Why a slow hash was not computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Busy;

/// The state behind all logins.
pub(crate) struct Gate {
    pub(crate) hashing: Hashing,
    process_key: hmac::Key,
    /// One for each hash computed at a time, taken by the computation itself: a client that goes
    /// away meanwhile makes no room for another.
    slots: Arc<Semaphore>,
    memory: Arc<WorkingMemory>,
    waiting: Semaphore,
    /// By account and application password (`""` for the password itself).
    verified: Cache<(AccountId, String), Verified>,
    pub(crate) failures: FailureCounters,
    pub(crate) last: LastLogins,
    /// Hears of logins that read mail.
    pub(super) reading: OnceLock<Arc<dyn super::ReadingWatcher>>,
    /// Hears of addresses with too many failed logins.
    pub(super) guessing: OnceLock<Arc<dyn super::GuessingWatcher>>,
    /// The certificates this server shows.
    pub(super) certificates: OwnCertificates,
    /// Keys of the issuers of access tokens.
    pub(super) token_keys: TokenKeys,
    /// A hash nobody's password has, so that unknown names take as long as known ones.
    dummy: Arc<str>,
}

impl Gate {
    pub(crate) fn new(hashing: Hashing) -> Self {
        let processors = std::thread::available_parallelism().map_or(2, usize::from);
        let slots = if hashing.at_once == 0 { processors } else { hashing.at_once };
        let slots = slots.clamp(1, 256);
        let mut key = [0_u8; 32];
        let mut salt = [0_u8; 48];
        // Without random bytes nothing here is safe; the key stays unusable for an attacker only
        // if it is unpredictable, so a failing source must stop the start.
        rand::fill(&mut key).expect("the operating system gives random bytes");
        rand::fill(&mut salt).expect("the operating system gives random bytes");
        Self {
            hashing,
            process_key: hmac::Key::new(hmac::HMAC_SHA256, &key),
            slots: Arc::new(Semaphore::new(slots)),
            memory: Arc::new(WorkingMemory::new(hashing.memory_kib, slots)),
            waiting: Semaphore::new(MAX_WAITING),
            verified: Cache::new(REMEMBERED),
            failures: FailureCounters::new(),
            last: LastLogins::default(),
            reading: OnceLock::new(),
            guessing: OnceLock::new(),
            certificates: OwnCertificates::default(),
            token_keys: TokenKeys::default(),
            dummy: hash::dummy_phc(hashing, &salt).into(),
        }
    }

    /// Runs a slow computation on the bounded pool.
    pub(crate) async fn slow<T: Send + 'static>(
        &self,
        work: impl FnOnce(&WorkingMemory) -> T + Send + 'static,
    ) -> Result<T, Busy> {
        let _waiting = self.waiting.try_acquire().map_err(|_| Busy)?;
        let slot = Arc::clone(&self.slots).acquire_owned().await.map_err(|_| Busy)?;
        let memory = Arc::clone(&self.memory);
        let work = move || {
            let done = work(&memory);
            drop(slot);
            done
        };
        tokio::task::spawn_blocking(work).await.map_err(|_| Busy)
    }

    /// Compares a password with a stored one. Whatever the stored form, a comparison that fails
    /// costs at least one slow hash.
    pub(crate) async fn verify(
        &self,
        id: AccountId,
        stored: &str,
        password: &Secret,
        now: i64,
    ) -> Result<bool, Busy> {
        self.verify_one(id, "", stored, password, now).await
    }

    /// As [`Gate::verify`] for the application password of this tag.
    pub(crate) async fn verify_one(
        &self,
        id: AccountId,
        tag_of_password: &str,
        stored: &str,
        password: &Secret,
        now: i64,
    ) -> Result<bool, Busy> {
        if password.is_empty() || password.expose().len() > Secret::MAX_LENGTH {
            return self.pretend(password).await;
        }
        let tag = self.tag(id, stored, password);
        let place = (id, tag_of_password.to_owned());
        if let Some(verified) = self.verified.get(&place)
            && now < verified.until
            && now >= verified.until - REMEMBERED_SECONDS
            && bool::from(verified.tag.ct_eq(&tag))
        {
            return Ok(true);
        }
        match hash::quick(stored, password) {
            hash::Quick::Match => return Ok(true),
            hash::Quick::Never => return self.pretend(password).await,
            hash::Quick::Slow => {}
        }
        let (owned, secret) = (stored.to_owned(), password.clone());
        let (dummy, hashing) = (Arc::clone(&self.dummy), self.hashing);
        let compare = move |memory: &WorkingMemory| {
            let matches = hash::verify(memory, &owned, &secret);
            if !matches && hash::is_quicker(&owned, hashing) {
                hash::verify_argon2(memory, &dummy, &secret);
            }
            matches
        };
        let matches = self.slow(compare).await?;
        if matches {
            self.verified
                .insert(place, Verified { tag, until: now.saturating_add(REMEMBERED_SECONDS) });
        }
        Ok(matches)
    }

    /// Takes as long as a comparison and never matches: for names that do not exist.
    pub(crate) async fn pretend(&self, password: &Secret) -> Result<bool, Busy> {
        let (dummy, secret) = (Arc::clone(&self.dummy), password.clone());
        self.slow(move |memory| {
            hash::verify_argon2(memory, &dummy, &secret);
        })
        .await?;
        Ok(false)
    }

    /// A keyed hash of account, stored form and password: a changed stored form makes another.
    fn tag(&self, id: AccountId, stored: &str, password: &Secret) -> [u8; 32] {
        let mut context = hmac::Context::with_key(&self.process_key);
        context.update(&id.0.to_be_bytes());
        context.update(&(stored.len() as u64).to_be_bytes());
        context.update(stored.as_bytes());
        context.update(password.expose());
        let mut tag = [0; 32];
        tag.copy_from_slice(context.sign().as_ref());
        tag
    }

    /// Forgets a verified password.
    pub(crate) fn forget(&self, id: AccountId) {
        self.verified.remove(&(id, String::new()));
    }

    /// Notes a login that succeeded: costs no write to the store now.
    pub(crate) fn entered(&self, id: AccountId, peer: Option<IpAddr>, now: i64) {
        self.last.entered(id, peer, now);
    }

    /// Lays the logins that are not written yet over an account's facts.
    pub(crate) fn lay_logins_over(&self, id: AccountId, facts: &mut Dictionary) {
        self.last.lay_over(id, facts);
    }
}
