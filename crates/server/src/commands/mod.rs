//! What each command of `angarium` does, and the exit codes.

pub(crate) mod app_passwords;
mod backup;
pub(crate) mod config;
pub(crate) mod dkim;
pub(crate) mod dns;
pub(crate) mod import;
mod import_files;
mod maintenance;
pub(crate) mod moving;
mod objects;
pub(crate) mod output;
mod passwords;
mod protection;
mod queue;
mod route;
mod sessions;
mod settings;
pub(crate) mod takeover;

use std::io;
use std::path::Path;
use std::process::ExitCode;

use clap::CommandFactory;

use crate::arguments::{Arguments, Base, Command, SettingsAction};
use crate::base::BaseDirectory;
use crate::{logs, serve};

/// The command was refused or misspelled.
const REFUSED: u8 = 1;
/// The base directory or the server cannot be used.
const UNUSABLE: u8 = 2;
/// `check` found something wrong.
const WRONG: u8 = 4;

/// Runs the command to its exit code.
pub(crate) fn run(arguments: Arguments) -> ExitCode {
    match execute(arguments.command) {
        Ok(code) => ExitCode::from(code),
        // Whoever read our output has had enough.
        Err(e) if e.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(e) => {
            output::tell(&format!("angarium: {e}"));
            ExitCode::from(UNUSABLE)
        }
    }
}

fn execute(command: Command) -> io::Result<u8> {
    match command {
        Command::Serve(serve) => serve::run(&serve).map(|()| 0),
        Command::Domain { base, action } => objects::domain(&base, action),
        Command::Account { base, action } => objects::account(&base, action),
        Command::Password { base, account, password_file } => {
            objects::password(&base, &account, password_file.as_deref())
        }
        Command::AppPassword { base, action } => app_passwords::run(&base, action),
        Command::Alias { base, action } => objects::alias(&base, action),
        Command::Import { base, arguments } => import::run(&base, &arguments),
        Command::ImportPasswd { base, arguments } => import::passwd(&base, &arguments),
        Command::ImportAliases { base, arguments } => import::aliases(&base, &arguments),
        Command::Passwords { base, domain } => passwords::run(&base, domain.as_deref()),
        Command::ImportFiles { base, path, into, dialect, dry_run, keep_uids } => {
            let how = import_files::How { into, dialect, dry_run, keep_uids };
            import_files::run(&base, &path, &how)
        }
        Command::Dkim { base, action } => dkim::run(&base, action),
        Command::Dns { base, arguments } => dns::run(&base, &arguments),
        Command::Dmarc { action } => dns::dmarc(action),
        Command::Tlsrpt { action } => dns::tlsrpt(action),
        Command::Route { base, check: Some(file), .. } => route::check(&base, file.as_deref()),
        Command::Route { base, address, kind, .. } => {
            route::show(&base, &address.unwrap_or_default(), &kind)
        }
        Command::Settings {
            base,
            action: Some(SettingsAction::Set { scope, settings, value_file }),
            ..
        } => {
            let changes = settings::Changes { words: &settings, value_file: value_file.as_deref() };
            settings::set(&base, &scope, &changes)
        }
        Command::Settings { base, scope, key, set_only, action: None } => {
            let shown = settings::Shown { scope: scope.as_deref(), key: key.as_deref(), set_only };
            settings::run(&base, &shown)
        }
        Command::Config { base, action } => config::run(&base, action),
        Command::Cli { base, words } => objects::cli(&base, &words),
        Command::Exec { base, action } => sessions::exec(&base, action),
        Command::Protection { base, action } => protection::run(&base, &action),
        Command::Sessions { base, service } => sessions::list(&base, service.as_deref()),
        Command::Queue { base, action } => queue::run(&base, action),
        Command::Backup { base, to } => backup::backup(&base, &to),
        Command::Restore { base, from, unchecked } => backup::restore(&base, &from, unchecked),
        Command::Check { base, directory } => maintenance::check(&base, directory.as_deref()),
        Command::RebuildIndex { base } => maintenance::rebuild_index(&base),
        Command::Compact { base } => maintenance::compact(&base),
        Command::Log { base, follow, level, tag, text, last } => {
            let filter = logs::Filter { level, tag, text };
            logs::show(&directory(&base)?.logs(), &filter, last, follow).map(|()| 0)
        }
        // These speak protocols only and have exit codes of their own.
        Command::Move { action } => Ok(moving::run(&action)),
        Command::MoveImapMail(arguments) => Ok(angarium_migrate::move_imap_mail::run(&arguments)),
        Command::Verify(arguments) => {
            Ok(angarium_migrate::move_imap_mail::run(&arguments.verify_only()))
        }
        Command::Takeover { base, action } => takeover::run(&base, &action),
        Command::Completions { shell } => {
            let mut command = moving::command();
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut command, "angarium", &mut script);
            output::put(String::from_utf8_lossy(&script).trim_end());
            Ok(0)
        }
        Command::Man { directory } => manual(&directory),
    }
}

fn directory(base: &Base) -> io::Result<BaseDirectory> {
    BaseDirectory::choose(base.base.as_deref())
}

fn manual(directory: &Path) -> io::Result<u8> {
    std::fs::create_dir_all(directory)?;
    clap_mangen::generate_to(moving::command(), directory)?;
    for program in [
        angarium_migrate::move_imap_mail::Arguments::command(),
        angarium_migrate::move_pop_mail::Arguments::command(),
        angarium_migrate::move_accounts::Arguments::command(),
    ] {
        clap_mangen::generate_to(program, directory)?;
    }
    Ok(0)
}
