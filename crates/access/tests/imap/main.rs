//! Whole IMAP conversations over a stream, with the memory store behind them. Each family of
//! commands has its transcript; `counts` holds what a command may cost.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod alerting;
mod annotating;
mod appending;
mod capabilities;
mod changes;
mod classes;
mod client;
mod coming_and_going;
mod compressing;
mod contexts;
mod counts;
mod encrypting;
mod fetching;
mod guide_forms;
mod keeping_ids;
mod limits;
mod logging_in;
mod making;
mod naming;
mod naming_others;
mod notifying;
mod odd_input;
mod rights_matrix;
mod sealing;
mod searching;
mod several_mailboxes;
mod sharing;
mod sorting;
mod together;
mod uid_only;
mod urls;
