//! Small files below the base directory for what was learned of other servers: written whole
//! beside and then put in place, so that a reader finds the old or the new one. Losing one costs
//! some asking again, so nothing is synced.

use std::io;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

/// Largest file that is read, octets.
const LARGEST: u64 = 64 * 1024 * 1024;

/// Reads a file; `None` if there is none or it is not one of ours.
pub(crate) fn read<T: DeserializeOwned>(path: &Path) -> Option<T> {
    let length = std::fs::metadata(path).ok()?.len();
    if length > LARGEST {
        return None;
    }
    serde_json::from_slice(&std::fs::read(path).ok()?).ok()
}

/// Writes a file; a failure is said in the log and does no harm.
pub(crate) async fn write<T: Serialize + Send + 'static>(path: PathBuf, value: T) {
    let shown = path.display().to_string();
    let written = tokio::task::spawn_blocking(move || put(&path, &value)).await;
    if let Ok(Err(error)) = written {
        tracing::warn!(target: "SMTP", "{shown} cannot be written: {error}");
    }
}

fn put<T: Serialize>(path: &Path, value: &T) -> io::Result<()> {
    let text = serde_json::to_vec(value).map_err(io::Error::other)?;
    if let Some(above) = path.parent() {
        std::fs::create_dir_all(above)?;
    }
    let beside = path.with_extension("new");
    std::fs::write(&beside, text)?;
    std::fs::rename(&beside, path)
}
