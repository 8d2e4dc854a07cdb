//! Replays `corpus/import`, `corpus/configuration` and `corpus/text` into each place that reads such a file; the
//! fuzzers (`fuzz/`) start from the same files.

#![allow(clippy::disallowed_methods, reason = "the inputs are files")]

mod feeds;

use std::path::Path;

fn replay(folder: &str, least: usize, feed: impl Fn(&[u8])) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus").join(folder);
    let mut count = 0;
    for file in std::fs::read_dir(root).expect("the folder") {
        let bytes = std::fs::read(file.expect("an input").path()).expect("a readable input");
        feed(&bytes);
        // Cut short and torn, each input is another one.
        for cut in (0..bytes.len()).step_by(1 + bytes.len() / 50) {
            feed(&bytes[..cut]);
            feed(&bytes[cut..]);
        }
        count += 1;
    }
    assert!(count >= least, "only {count} inputs");
}

#[test]
fn import_files() {
    replay("import", 8, feeds::import_file);
}

#[test]
fn configurations() {
    replay("configuration", 1, feeds::configuration);
}

// ABU-61
#[test]
fn object_texts() {
    replay("text", 3, feeds::object_text);
}
