//! Many accounts moved by one list: read row by row ([`list`]), moved by several workers in one
//! process ([`crew`]), shown while it goes on ([`table`]), and told in one report ([`report`]) with
//! what can be done about each account that was not moved ([`outcome`]). Where a login was refused, [`asking`] may tell whether the account is
//! there at all. What is done for a single
//! account is that of the single programs, with the same parameters ([`mover`]).

mod asking;
mod crew;
mod lines;
mod list;
mod mover;
mod outcome;
mod report;
mod rows;
mod table;

pub use asking::Asking;
pub use crew::Crew;
pub use list::Row;
pub use mover::Mover;
pub use outcome::{Outcome, State, Trouble};
pub use report::{AccountsReport, Totals};
pub use table::Telling;
