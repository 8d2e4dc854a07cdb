//! Router: decides where an address leads (`reference/router.md`). It asks questions as data and
//! is stepped with answers; the trace of its steps answers "why did this go there?".
//!
//! Pure: no storage, no clock, no DNS.

pub mod address;
mod explain;
pub mod facts;
pub mod mx;
pub mod pattern;
pub mod posting;
pub mod protection;
pub mod relay;
pub mod router;
pub mod suffix;
pub mod table;

pub use address::{Address, AddressError};
pub use facts::{
    Answer, Consulted, DomainFacts, Object, Outcome, Question, RelayPermission, RouteKind, Step,
    UnknownPolicy,
};
pub use relay::{RelayDecision, RelayFacts, RelayGrant, RelayRefusal, blacklisted, nested};
pub use router::{Journey, Router};
pub use table::{DEFAULT_TABLE, Remark, Table, TableError};
