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

fn main() -> ExitCode {
    // One provider for all of TLS in this process; a second call would only say it is there.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    match commands::moving::parse(std::env::args_os().collect()) {
        Ok(arguments) => commands::run(arguments),
        Err(e) => {
            // Help and version are no errors.
            let _ = e.print();
            ExitCode::from(u8::from(e.use_stderr()))
        }
    }
}
