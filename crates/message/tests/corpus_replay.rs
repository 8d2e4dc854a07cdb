//! Replays `data/*` and `corpus/*` into each place that reads a message; the fuzzers (`fuzz/`)
//! start from the same files.

#![allow(clippy::disallowed_methods, reason = "the inputs are files")]

mod feeds;

use std::path::Path;

fn replay(feed: impl Fn(&[u8])) {
    let count = replay_of(&["data", "corpus"], feed);
    assert!(count >= 16, "only {count} inputs");
}

fn replay_of(folders: &[&str], feed: impl Fn(&[u8])) -> usize {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let mut count = 0;
    for folder in folders {
        for file in std::fs::read_dir(root.join(folder)).expect("the folder") {
            let path = file.expect("an input").path();
            if path.is_dir() {
                continue;
            }
            let bytes = std::fs::read(path).expect("a readable input");
            feed(&bytes);
            // Cut short and torn, each input is another one.
            for cut in (0..bytes.len()).step_by(1 + bytes.len() / 200) {
                feed(&bytes[..cut]);
                feed(&bytes[cut..]);
            }
            count += 1;
        }
    }
    count
}

#[test]
fn structures() {
    replay(feeds::structure);
}

#[test]
fn summaries() {
    replay(feeds::summary);
}

#[test]
fn fields() {
    replay(feeds::fields);
}

#[test]
fn mailbox_files() {
    replay(feeds::mailbox_file);
}

#[test]
fn calendars_and_contacts() {
    assert!(replay_of(&["corpus/items"], feeds::items) >= 4);
    replay(feeds::items);
}
