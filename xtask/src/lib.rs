//! What the workshop offers to its commands (`main.rs`) and to tests of the whole workspace.

pub mod corpus;
pub mod crash;
pub mod load;
pub(crate) mod sink;
pub mod stress;
