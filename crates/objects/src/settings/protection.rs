//! Who may relay and who is kept out (`reference/smtp.md` section 5).

use super::Setting;

/// Sorted by key.
pub const PROTECTION_SETTINGS: &[Setting] = &[];
