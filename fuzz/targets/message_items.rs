//! Fuzzes `items` of the feeds of `message` (see `crates/message/tests/feeds`).
#![no_main]

#[path = "../../crates/message/tests/feeds/mod.rs"]
mod feeds;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| feeds::items(bytes));
