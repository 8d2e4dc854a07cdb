//! The module LOCAL (`reference/smtp.md` section 2.4).

use super::Setting;

/// Sorted by key.
pub const LOCAL_SETTINGS: &[Setting] = &[];
