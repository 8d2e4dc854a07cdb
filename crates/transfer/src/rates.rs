//! Rates of many at once: a meter for each address or account, the least used forgotten first. In
//! memory only. What a rate is stands in `angarium_routing::protection`.
//!
//! It must never know what is counted.

use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

use angarium_objects::spelling::Flow;
use angarium_routing::protection::Meter;
use quick_cache::sync::Cache;

/// The meters.
pub(crate) struct Rates<K> {
    meters: Cache<K, Arc<Mutex<Meter>>>,
}

impl<K: Eq + Hash + Clone> Rates<K> {
    /// Room for so many, about 100 octets each.
    pub(crate) fn new(most: usize) -> Self {
        Self { meters: Cache::new(most) }
    }

    /// Counts one event if the rate allows it at `now`, seconds since 1970.
    ///
    /// # Errors
    /// Seconds until it would.
    pub(crate) fn take(&self, key: &K, flow: Flow, now: i64) -> Result<(), u64> {
        let made = self.meters.get_or_insert_with::<_, ()>(key, || Ok(Arc::default()));
        let Ok(meter) = made else { return Ok(()) };
        let mut meter = meter.lock().unwrap_or_else(PoisonError::into_inner);
        meter.take(flow, now)
    }
}
