//! When deliveries are tried again and what senders hear (`reference/smtp.md` section 3.3).

use super::Setting;

/// Sorted by key.
pub const QUEUE_SETTINGS: &[Setting] = &[];
