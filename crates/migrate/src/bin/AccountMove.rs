//! `MoveAccounts` by the other name that old guides give it.

fn main() -> std::process::ExitCode {
    angarium_migrate::move_accounts::main(std::env::args_os().collect())
}
