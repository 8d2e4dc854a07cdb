//! Mail that waits until it is asked for (`reference/smtp.md` section 4): ETRN and ATRN of others,
//! and our own requests to servers that keep mail for us.
//!
//! It must never know the grammar of SMTP.

pub(crate) mod atrn;
pub(crate) mod entitled;
pub(crate) mod etrn;
pub(crate) mod starting;
