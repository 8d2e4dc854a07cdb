//! Whose something is that accounts, domains and the server can each have: Rules, preferences,
//! alerts. Must never know what it is or who may see it.

/// Whose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose<'a> {
    /// An account's (`*` for one's own).
    Account(&'a str),
    /// A domain's (`""` for one's own): what holds for all of its accounts.
    Domain(&'a str),
    /// The server's: what holds for all accounts here.
    Server,
}
