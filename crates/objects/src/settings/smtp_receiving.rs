//! What the module SMTP is set to for receiving (`reference/smtp.md` section 2.1).

use super::Setting;

/// Sorted by key.
pub const SMTP_RECEIVING: &[Setting] = &[];
