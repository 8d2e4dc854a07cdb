//! `angarium config`: the whole configuration as text, what is different on this server, and
//! making this server so. Objects stream through: a configuration of any size needs the room of
//! a few objects.

mod apply;
mod export;
mod files;
mod strays;

use std::io;
use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::directory;
use crate::arguments::Base;

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigAction {
    /// Write the configuration of this server as text.
    Export {
        /// The file (default: standard output). It is readable by this user alone.
        file: Option<PathBuf>,
        /// With passwords in their stored form, and the key that opens those kept readable.
        #[arg(long, requires = "file")]
        with_passwords: bool,
        /// With the keys that sign mail (DKIM) and the files of certificates and their keys.
        #[arg(long, requires = "file")]
        with_keys: bool,
    },
    /// Show what applying a file would change; exit code 4 when there is something.
    Diff {
        /// The file.
        file: PathBuf,
        #[command(flatten)]
        removing: Removing,
    },
    /// Make this server as a file says: what differs is shown first. Of an object in the file
    /// what stands there is the whole; objects that it does not name stay, unless --remove is given.
    Apply {
        /// The file.
        file: PathBuf,
        /// Do it without asking.
        #[arg(long)]
        yes: bool,
        #[command(flatten)]
        removing: Removing,
    },
}

/// What becomes of objects that a whole configuration does not name.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Removing {
    /// Remove objects that the file, a whole configuration, does not name; but no account that
    /// holds mail or files.
    #[arg(long)]
    remove: bool,
    /// Remove such accounts too, with their mail and files.
    #[arg(long, requires = "remove")]
    with_mail: bool,
}

pub(super) fn run(base: &Base, action: ConfigAction) -> io::Result<u8> {
    let directory = directory(base)?;
    match action {
        ConfigAction::Export { file, with_passwords, with_keys } => {
            let parts = export::Parts { passwords: with_passwords, keys: with_keys };
            export::run(base, &directory, file.as_deref(), parts)
        }
        ConfigAction::Diff { file, removing } => apply::diff(base, &directory, &file, removing),
        ConfigAction::Apply { file, yes, removing } => {
            apply::run(base, &directory, &file, yes, removing)
        }
    }
}
