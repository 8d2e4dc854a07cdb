//! The server's log (`reference/monitoring.md` section 1): one plain-text file a day, a record a
//! line: time, level digit, tag, text.
//!
//! Records are handed to a thread of their own through a bounded channel: a slow disk never holds
//! up mail. What does not fit is counted and told.

mod layer;
mod levels;
mod view;
mod writer;

use std::path::Path;

use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

pub(crate) use levels::Levels;
pub(crate) use view::{Filter, show};
pub(crate) use writer::LogWriter;

/// Starts logging into `directory`; records up to `level` go to the file, and what the levels
/// answered say for single modules. Keep the writer until
/// the end: dropping it writes what is left.
pub(crate) fn start(directory: &Path, level: u8) -> std::io::Result<(LogWriter, Levels)> {
    let writer = LogWriter::start(directory)?;
    let levels = Levels::new(level);
    let filter = tracing_subscriber::filter::LevelFilter::from_level(layer::most_detailed(level));
    let (filter, handle) = tracing_subscriber::reload::Layer::new(filter);
    let levels = levels.with_filter(handle);
    let layer = layer::LogLayer::new(writer.sender(), levels.clone());
    let started = tracing_subscriber::registry().with(filter).with(layer).try_init();
    started.map_err(std::io::Error::other)?;
    Ok((writer, levels))
}
