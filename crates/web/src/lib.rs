//! HTTP over any stream: one connection with its limits, and what is served on it. So far that is
//! the command language (`reference/cli.md` section 1). It must never know the store.

mod authorization;
mod command;
mod form;
mod serve;

pub use serve::{WebContext, serve};
