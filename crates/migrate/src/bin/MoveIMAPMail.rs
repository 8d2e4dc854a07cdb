//! The program `MoveIMAPMail` of the migration guides.

fn main() -> std::process::ExitCode {
    angarium_migrate::move_imap_mail::main(std::env::args_os().collect())
}
