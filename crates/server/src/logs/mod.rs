//! The server's log (`reference/monitoring.md` section 1): one plain-text file a day, a record a
//! line: time, level digit, tag, text.
//!
//! Records are handed to a thread of their own through a bounded channel: a slow disk never holds
//! up mail. What does not fit is counted and told.

mod layer;
mod view;
mod writer;

use std::path::Path;

use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

pub(crate) use view::{Filter, show};
pub(crate) use writer::LogWriter;

/// Starts logging into `directory`; records up to `level` go to the file. Keep the writer until
/// the end: dropping it writes what is left.
pub(crate) fn start(directory: &Path, level: u8) -> std::io::Result<LogWriter> {
    let writer = LogWriter::start(directory)?;
    let layer = layer::LogLayer::new(writer.sender(), level);
    let filter = tracing_subscriber::filter::LevelFilter::from_level(layer::most_detailed(level));
    let started = tracing_subscriber::registry().with(filter).with(layer).try_init();
    started.map_err(std::io::Error::other)?;
    Ok(writer)
}
