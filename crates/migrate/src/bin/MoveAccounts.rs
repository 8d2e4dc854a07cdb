//! The program `MoveAccounts` of the migration guides.

fn main() -> std::process::ExitCode {
    angarium_migrate::move_accounts::main(std::env::args_os().collect())
}
