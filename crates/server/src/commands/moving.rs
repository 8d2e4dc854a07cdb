//! `angarium move …`: the Move programs under one roof, in the spelling of today beside that of the
//! guides, and the options of imapsync. Everything is done in `angarium_migrate`, which has exit
//! codes of its own.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use angarium_migrate::options::spelling;
use angarium_migrate::proof::compare;
use angarium_migrate::{
    imapsync, move_accounts, move_imap_mail, move_pop_mail, probe, sync_imap_mail,
};
use clap::{CommandFactory, FromArgMatches, Subcommand};

use super::output;
use crate::arguments::Arguments;

/// What is to be moved.
#[derive(Debug, Subcommand)]
pub(crate) enum MoveAction {
    /// One account from one IMAP server to another (MoveIMAPMail).
    Imap(Box<move_imap_mail::Arguments>),
    /// One account again and again: what is new, what changed (syncIMAPMail).
    Sync(Box<sync_imap_mail::Arguments>),
    /// One account from a POP server into a mail server (MovePOPMail).
    Pop(Box<move_pop_mail::Arguments>),
    /// Every account of a list, by POP or IMAP (MoveAccounts).
    Accounts(Box<move_accounts::Arguments>),
    /// Compare an account on two IMAP servers by content, flags and dates.
    Verify(Box<move_imap_mail::Arguments>),
    /// Show what would happen to each mailbox of an account, and change nothing.
    Plan(Box<move_imap_mail::Arguments>),
    /// Compare two manifests that --manifest1 and --manifest2 have kept.
    Compare {
        /// Manifest of the old server.
        old: PathBuf,
        /// Manifest of the new server.
        new: PathBuf,
        /// Print the report as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Say what a server is, which logins work there, and which command line to use.
    Probe(Box<probe::Arguments>),
    /// One account from one IMAP server to another, described by options of imapsync.
    #[command(disable_help_flag = true)]
    Imapsync {
        /// Options of imapsync: --host1, --user1, --passfile1, --host2 …
        #[arg(value_name = "OPTIONS", trailing_var_arg = true, allow_hyphen_values = true)]
        #[arg(num_args = 0..)]
        words: Vec<OsString>,
    },
}

/// Runs it to its exit code.
pub(crate) fn run(action: &MoveAction) -> u8 {
    match action {
        MoveAction::Imap(arguments) => move_imap_mail::run(arguments),
        MoveAction::Sync(arguments) => sync_imap_mail::run(arguments),
        MoveAction::Pop(arguments) => move_pop_mail::run(arguments),
        MoveAction::Accounts(arguments) => move_accounts::run(arguments),
        MoveAction::Verify(arguments) => move_imap_mail::run(&arguments.clone().verify_only()),
        MoveAction::Plan(arguments) => {
            let mut arguments = arguments.clone();
            arguments.proof.plan = true;
            move_imap_mail::run(&arguments)
        }
        MoveAction::Compare { old, new, json } => compared(old, new, *json),
        MoveAction::Probe(arguments) => probe::run(arguments),
        MoveAction::Imapsync { words } => as_imapsync(words),
    }
}

fn compared(old: &Path, new: &Path, json: bool) -> u8 {
    match compare::manifests(old, new, |_, _| {}) {
        Ok(report) => {
            let text = if json {
                serde_json::to_string_pretty(&report).unwrap_or_default()
            } else {
                report.text()
            };
            output::put(text.trim_end());
            if report.differences == 0 { 0 } else { 4 }
        }
        Err(e) => {
            output::tell(&format!("angarium: {e}"));
            e.exit_code()
        }
    }
}

fn as_imapsync(words: &[OsString]) -> u8 {
    let translated = match imapsync::translate(words) {
        Ok(translated) => translated,
        Err(e) => {
            output::tell(&format!("angarium: {e}"));
            return e.exit_code();
        }
    };
    for note in &translated.notes {
        output::tell(&format!("note: {note}"));
    }
    let line = std::iter::once(OsString::from("MoveIMAPMail")).chain(translated.words).collect();
    match spelling::parse::<move_imap_mail::Arguments, _>(move_imap_mail::joined(line)) {
        Ok(arguments) => move_imap_mail::run(&arguments),
        Err(e) => {
            let _ = e.print();
            u8::from(e.use_stderr())
        }
    }
}

/// The command line of this program with both spellings of the movers' options.
pub(crate) fn command() -> clap::Command {
    let movers = |command: clap::Command| command.mut_subcommands(spelling::modern);
    Arguments::command()
        .mut_subcommand("move", movers)
        .mut_subcommand("move-imap-mail", spelling::modern)
        .mut_subcommand("verify", spelling::modern)
}

/// Parses the program's words.
///
/// # Errors
/// What clap says, help and version among it.
pub(crate) fn parse(words: Vec<OsString>) -> Result<Arguments, clap::Error> {
    let mut command = command();
    let matches = command.try_get_matches_from_mut(prepared(words))?;
    Arguments::from_arg_matches(&matches).map_err(|e| e.format(&mut command))
}

/// Puts words in the order clap wants where the movers are looser: `--filter` has one word or two, a
/// list's own options may stand among those that are handed on, and a command line of imapsync is
/// known by its form.
fn prepared(words: Vec<OsString>) -> Vec<OsString> {
    let words = move_imap_mail::joined(words);
    let is = |at: usize, what: &str| words.get(at).is_some_and(|word| word == what);
    if !is(1, "move") {
        return words;
    }
    let list = if is(2, "sync") { words.get(2..).and_then(move_accounts::of_sync) } else { None };
    let (accounts, imap) = (is(2, "accounts") || list.is_some(), is(2, "imap"));
    let mut head = words;
    if let Some(list) = list {
        head.truncate(2);
        head.push("accounts".into());
        head.extend(list.into_iter().skip(1));
    }
    if accounts {
        // The program's name stands first in what is sorted.
        let tail = head.split_off(2);
        head.extend(move_accounts::sorted(tail));
    } else if imap
        && imapsync::is_imapsync(head.get(3..).unwrap_or_default())
        && let Some(word) = head.get_mut(2)
    {
        *word = "imapsync".into();
    }
    head
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arguments::Command;

    fn parsed(line: &str) -> Command {
        let words = line.split_ascii_whitespace().map(OsString::from).collect();
        parse(words).unwrap().command
    }

    fn action(line: &str) -> MoveAction {
        let Command::Move { action } = parsed(line) else { panic!("{line}") };
        action
    }

    #[test]
    fn the_movers_are_under_one_roof_in_both_spellings() {
        command().debug_assert();
        for flags in ["--skipMailbox Trash --noACL", "--skip-mailbox Trash --no-acl"] {
            let MoveAction::Imap(arguments) =
                action(&format!("angarium move imap {flags} a b - c d -"))
            else {
                panic!("{flags}")
            };
            assert!(arguments.selection.no_acl);
            assert_eq!(arguments.selection.skip_mailbox, ["Trash"]);
        }
        let MoveAction::Pop(arguments) = action("angarium move pop --no-journal a b - c d") else {
            panic!()
        };
        assert!(arguments.no_journal);
        let line = "angarium move accounts list a b --delete --imap --jobs 3 --skip-mailbox x";
        let MoveAction::Accounts(arguments) = action(line) else { panic!() };
        assert!(arguments.imap && arguments.jobs == 3);
        assert_eq!(arguments.parameters, ["--delete", "--skip-mailbox", "x"]);
        let line = "angarium move sync --accounts list --jobs 3 --syncDeletes a b";
        let MoveAction::Accounts(arguments) = action(line) else { panic!() };
        assert!(arguments.imap && arguments.jobs == 3);
        assert_eq!(arguments.parameters, ["--syncDeletes"]);
        assert!(matches!(
            parsed("angarium move-imap-mail --by-one a b - c d -"),
            Command::MoveImapMail(_)
        ));
        assert!(matches!(action("angarium move plan --automap a b - c d -"), MoveAction::Plan(_)));
        assert!(matches!(action("angarium move probe --user joe host"), MoveAction::Probe(_)));
        assert!(matches!(action("angarium move compare a b"), MoveAction::Compare { .. }));
        assert!(matches!(parsed("angarium verify a b - c d -"), Command::Verify(_)));
    }

    #[test]
    fn a_command_line_of_imapsync_is_taken_by_name_and_by_form() {
        for word in ["imapsync", "imap"] {
            let line =
                format!("angarium move {word} --host1 a --user1=b --host2 c --user2 d --dry");
            let MoveAction::Imapsync { words } = action(&line) else { panic!("{line}") };
            assert_eq!(words.len(), 8);
        }
    }
}
