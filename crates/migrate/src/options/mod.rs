//! The options the Move programs share, in groups: who the two servers are ([`sides`]), which
//! mailboxes and under which names ([`selection`]), how fast and in what manner ([`pace`]), what
//! of earlier runs counts ([`keeping`]), and what is told and proved at the end ([`proof`]). Each
//! group is flattened into the programs' command lines and becomes a part of a
//! [`crate::run::Move`]. Must never open a connection.

pub mod keeping;
pub mod numbers;
pub mod pace;
pub mod password;
pub mod proof;
pub mod selection;
pub mod sides;
pub mod spelling;

use std::path::Path;

use crate::error::{MoveError, Result};

/// Reads a text file of at most `most` octets.
///
/// # Errors
/// `File`, saying which and why.
pub(crate) fn read_small(path: &Path, most: u64) -> Result<String> {
    let wrong = |reason: String| MoveError::File { path: path.display().to_string(), reason };
    let size = std::fs::metadata(path).map_err(|e| wrong(e.to_string()))?.len();
    if size > most {
        return Err(wrong(format!("larger than {most} bytes")));
    }
    std::fs::read_to_string(path).map_err(|e| wrong(e.to_string()))
}
