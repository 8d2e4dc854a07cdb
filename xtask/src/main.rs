//! The workshop's own commands, called as `cargo xtask NAME`; no product code.

use std::process::ExitCode;

use angarium_xtask::{corpus, crash, load};
use clap::{Parser, Subcommand};

/// Angarium's workshop: seeded corpora, crash rounds, load.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Write a seeded corpus of mail.
    Corpus(corpus::Options),
    /// Kill the server under load, again and again, and look for lost mail.
    Crash(crash::Args),
    /// Load a server with many connections and measure it.
    Load(load::Options),
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Corpus(options) => corpus::run(&options),
        Command::Crash(options) => return crash::run(&options),
        Command::Load(options) => load::run(&options),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("xtask: {e}");
            ExitCode::FAILURE
        }
    }
}
