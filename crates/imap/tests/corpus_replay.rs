//! Replays `corpus/ENTRY/*` into each place that reads bytes from outside; the fuzzers (`fuzz/`)
//! start from the same files.

#![allow(clippy::disallowed_methods, reason = "the inputs are files")]

mod feeds;

use std::path::Path;

fn replay(entry: &str, least: usize, feed: impl Fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus").join(entry);
    let mut count = 0;
    for file in std::fs::read_dir(folder).expect("the folder of this entry") {
        let bytes = std::fs::read(file.expect("an input").path()).expect("a readable input");
        feed(&bytes);
        // Cut short and torn, each input is another one.
        for cut in 0..bytes.len() {
            feed(&bytes[..cut]);
            feed(&bytes[cut..]);
        }
        count += 1;
    }
    assert!(count >= least, "{entry}: only {count} inputs");
}

#[test]
fn commands() {
    replay("command", 20, feeds::command);
}

#[test]
fn server_flow() {
    replay("server_flow", 12, feeds::server_flow);
}

#[test]
fn mailbox_names() {
    replay("mailbox_name", 10, feeds::mailbox_name);
}

#[test]
fn body_structures() {
    replay("body_structure", 6, feeds::body_structure);
}

#[test]
fn date_times() {
    replay("date_time", 4, feeds::date_time);
}

#[test]
fn servers_answers() {
    replay("client_reader", 8, feeds::client_reader);
}

#[test]
fn our_answers_are_read_back() {
    replay("client_reader", 8, feeds::response_round_trip);
}
