//! The workshop's own commands, called as `cargo xtask NAME`; no product code.

use clap::{Parser, Subcommand};

/// Angarium's workshop: corpus, crash rounds.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {}

fn main() {
    match Arguments::parse().command {}
}
