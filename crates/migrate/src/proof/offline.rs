//! Two manifests compared from their files, without a server (`angarium move compare`).

use std::path::PathBuf;

use crate::proof::compare;

/// Which manifests are compared.
#[derive(Clone, Debug, clap::Args)]
pub struct Arguments {
    /// The manifest of the old server.
    #[arg(value_name = "OLD")]
    pub old: PathBuf,
    /// The manifest of the new one.
    #[arg(value_name = "NEW")]
    pub new: PathBuf,
    /// Print the outcome as JSON.
    #[arg(long)]
    pub json: bool,
}

/// Compares and prints; the exit code: 0 equal, 4 differences, 1 a manifest cannot be read.
#[must_use]
pub fn run(arguments: &Arguments) -> u8 {
    match compare::manifests(&arguments.old, &arguments.new, |_, _| {}) {
        Ok(report) => {
            if arguments.json {
                println!("{}", serde_json::to_value(&report).unwrap_or_default());
            } else {
                print!("{}", report.text());
            }
            if report.differences > 0 { 4 } else { 0 }
        }
        Err(e) => {
            eprintln!("compare: {e}");
            e.exit_code()
        }
    }
}
