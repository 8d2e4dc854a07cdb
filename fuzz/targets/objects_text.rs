//! Fuzzes `object_text` of the feeds of `objects` (see `crates/objects/tests/feeds`).
#![no_main]

#[path = "../../crates/objects/tests/feeds/mod.rs"]
mod feeds;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| feeds::object_text(bytes));
