//! Whole IMAP conversations over a stream, with the memory store behind them. Each family of
//! commands has its transcript; `counts` holds what a command may cost.

mod appending;
mod changes;
mod client;
mod counts;
mod fetching;
mod logging_in;
mod naming;
mod searching;
mod sharing;
mod together;
