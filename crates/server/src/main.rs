//! The program `angarium`: the server, and what an administrator does by hand.
//!
//! Start-up and wiring only: nothing here decides about mail.

mod administration;
mod arguments;
mod authenticity;
mod base;
mod certificates;
mod client_certificates;
mod commands;
mod configuration_lines;
mod first_start;
mod import_files;
mod json;
mod listeners;
mod logs;
mod own_addresses;
mod queue_lines;
mod sending;
mod serve;
mod services;
mod socket;
mod take_over;
mod token_keys;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    // One provider for all of TLS in this process; a second call would only say it is there.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    // The mover's --filter has one word or two.
    let words = angarium_migrate::move_imap_mail::joined(std::env::args_os().collect());
    match arguments::Arguments::try_parse_from(words) {
        Ok(arguments) => commands::run(arguments),
        Err(e) => {
            // Help and version are no errors.
            let _ = e.print();
            ExitCode::from(u8::from(e.use_stderr()))
        }
    }
}
