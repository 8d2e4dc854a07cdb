//! The program `angarium-os-passwords`: checks passwords of the operating system with PAM, asked in
//! numbered lines on standard input (`reference/helpers.md`). The server starts it when an account
//! with `UseSysPassword` logs in; PAM's modules run here, not in the server.
//!
//! A password comes by standard input only. None is written anywhere, and a crash leaves no image
//! of the memory behind.

mod lines;
mod pam;

use std::io::{self, BufReader};
use std::process::ExitCode;

use clap::Parser;
use rustix::process::{DumpableBehavior, Resource, Rlimit};

/// Most passwords checked at a time.
const MAX_AT_ONCE: u16 = 128;

/// Checks passwords of the operating system for the mail server.
#[derive(Debug, Parser)]
#[command(name = "angarium-os-passwords", version)]
struct Arguments {
    /// Service of PAM: the name of a file in /etc/pam.d.
    #[arg(long, value_name = "NAME", default_value = "angarium")]
    service: String,
    /// Passwords checked at a time; more wait.
    #[arg(long, value_name = "N", default_value_t = 16,
          value_parser = clap::value_parser!(u16).range(1..=i64::from(MAX_AT_ONCE)))]
    at_once: u16,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    keep_to_ourselves();
    let service = arguments.service;
    let check = move |user: &[u8], password: &[u8]| pam::check(&service, user, password);
    let requests = BufReader::new(io::stdin().lock());
    match lines::serve(requests, io::stdout(), usize::from(arguments.at_once), check) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("angarium-os-passwords: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Nobody of the same user looks into our memory, and no crash writes it to a disk.
fn keep_to_ourselves() {
    let _ = rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable);
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    let _ = rustix::process::setrlimit(Resource::Core, none);
}
