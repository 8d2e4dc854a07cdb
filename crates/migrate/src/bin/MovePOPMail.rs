//! The program `MovePOPMail` of the migration guides.

fn main() -> std::process::ExitCode {
    angarium_migrate::move_pop_mail::main(std::env::args_os().collect())
}
