//! Router: decides where an address leads (`reference/router.md`). It asks questions as data and
//! is stepped with answers; the trace of its steps answers "why did this go there?".
//!
//! Pure: no storage, no clock, no DNS.

pub mod address;
pub mod mx;
pub mod pattern;
pub mod protection;
pub mod router;
pub mod suffix;
pub mod table;

pub use address::{Address, AddressError};
pub use router::{
    Answer, DomainFacts, Journey, Object, Outcome, Question, RelayPermission, RouteKind, Router,
    Step, UnknownPolicy,
};
pub use table::{DEFAULT_TABLE, Table, TableError};
