//! Protection, the deciding half (`reference/smtp.md` section 5): address lists and name lists,
//! what a client is to be held for, rates, greylisting, banned lines.
//!
//! Pure: what was looked up in the DNS or remembered from before is an argument, so is the time.

pub mod banned;
pub mod greylist;
pub mod lists;
pub mod names;
pub mod rates;
pub mod standing;
pub mod turns;

pub use banned::Banned;
pub use lists::{AddressList, ListError, Match};
pub use names::NameList;
pub use rates::Meter;
pub use standing::{Facts, Standing, Whom};
pub use turns::Turns;
