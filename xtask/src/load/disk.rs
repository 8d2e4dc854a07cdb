//! How long the disk takes to make a little durable: the step below which no durable figure can
//! fall unless messages share it.
//!
//! It must never leave its file behind.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Args;
use serde::Serialize;

use super::spread::Spread;

/// Most steps of one probe.
const STEPS_MAX: usize = 100_000;

/// Where to look.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// A directory on the disk.
    #[arg(long)]
    dir: PathBuf,
    /// How long, in milliseconds.
    #[arg(long, default_value_t = 300)]
    ms: u64,
}

/// What came out.
#[derive(Debug, Serialize)]
pub(crate) struct Outcome {
    work: &'static str,
    each: Spread,
}

/// Appends 4 KiB to a file and syncs its data, again and again.
pub(crate) fn run(options: &Options) -> io::Result<Outcome> {
    let path = options.dir.join(format!("probe-{}", std::process::id()));
    let mut file = OpenOptions::new().create_new(true).append(true).open(&path)?;
    let until = Instant::now() + Duration::from_millis(options.ms);
    let mut steps = Vec::new();
    let outcome = loop {
        let start = Instant::now();
        if let Err(error) = file.write_all(&[b'x'; 4_096]).and_then(|()| file.sync_data()) {
            break Err(error);
        }
        steps.push(start.elapsed());
        if Instant::now() > until || steps.len() >= STEPS_MAX {
            break Ok(());
        }
    };
    fs::remove_file(&path)?;
    outcome?;
    Ok(Outcome { work: "disk", each: Spread::of(steps) })
}
