//! Fuzzes `server_flow` of the feeds of `imap` (see `crates/imap/tests/feeds`).
#![no_main]

#[path = "../../crates/imap/tests/feeds/mod.rs"]
mod feeds;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| feeds::server_flow(bytes));
