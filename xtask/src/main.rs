//! The workshop's own commands, called as `cargo xtask NAME`; no product code.

use std::process::ExitCode;

use angarium_xtask::{corpus, crash, load, stress};
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
    /// Play many IMAP sessions on shared mailboxes and hold every answer against the rules.
    Stress(stress::Options),
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Corpus(options) => corpus::run(&options),
        Command::Crash(options) => return crash::run(&options),
        Command::Load(options) => load::run(&options),
        Command::Stress(options) => return stress::run(&options),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("xtask: {e}");
            ExitCode::FAILURE
        }
    }
}
