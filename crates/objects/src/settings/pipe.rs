//! The module PIPE: programs that take mail.

use super::Setting;

/// Sorted by key.
pub const PIPE_SETTINGS: &[Setting] = &[];
