//! What the module SMTP is set to for sending (`reference/smtp.md` section 3.1).

use super::Setting;

/// Sorted by key.
pub const SMTP_SENDING: &[Setting] = &[];
