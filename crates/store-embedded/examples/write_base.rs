//! Writes the small base directory that later versions are tested with, and what is in it:
//! `cargo run -p angarium-store-embedded --example write_base -- tests/data/base-v2`.

#[path = "../tests/house/mod.rs"]
mod house;

use std::path::PathBuf;

use angarium_store::suite;
use angarium_store_embedded::{Options, open};
use house::House;

fn main() {
    let base = PathBuf::from(std::env::args_os().nth(1).expect("a directory to be made"));
    assert!(!base.exists(), "{} is there already", base.display());
    let embedded = open(Options { shards: 2, ..Options::new(&base) }).expect("a new base");
    let store = embedded.store();
    let picture = suite::run(async {
        let house = House::build(&store, 2).await;
        house.live_with(&store, 3_000).await;
        house.picture(&store).await
    });
    drop(store);
    embedded.close();
    std::fs::remove_dir_all(base.join("spool")).expect("an empty spool");
    // What is kept for search is derived: a base is kept without it, to see that it is made again.
    for shard in ["shard-0", "shard-1"] {
        let _ = std::fs::remove_file(base.join(shard).join("search.sqlite"));
    }
    std::fs::remove_file(base.join("LOCK")).expect("a lock nobody holds");
    std::fs::write(base.with_extension("txt"), picture.lines()).expect("the list of contents");
}
