//! The program `syncIMAPMail` of the migration guides.

fn main() -> std::process::ExitCode {
    angarium_migrate::sync_imap_mail::main(std::env::args_os().collect())
}
