//! The command line of `angarium`. What each command does is in `commands`.

use std::net::IpAddr;
use std::path::PathBuf;

use crate::commands::app_passwords::AppPasswordAction;
use crate::commands::config::ConfigAction;
use crate::commands::dkim::DkimAction;
use crate::commands::dns::{DnsArguments, ReportAction};
use crate::commands::import::{AliasesFile, ImportArguments, PasswdFile};
use clap::{Args, Parser, Subcommand};

/// An open mail server: domains, accounts, mail in and out, and every old server moved in.
#[derive(Debug, Parser)]
#[command(name = "angarium", version, max_term_width = 100)]
#[command(
    after_help = "Exit codes: 0 done; 1 wrong usage or refused; 2 the base directory or the \
running server cannot be used; 4 check or verify found something wrong."
)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Where the server's files are.
#[derive(Clone, Debug, Args)]
pub(crate) struct Base {
    /// Base directory (default: /var/lib/angarium for root, else ~/.local/share/angarium).
    #[arg(long, value_name = "DIR", env = "ANGARIUM_BASE", global = true)]
    pub(crate) base: Option<PathBuf>,
    /// Print machine-readable JSON.
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the server in the foreground. Makes everything it needs at the first start.
    Serve(Serve),
    /// Domains: list, create, rename, delete, settings.
    Domain {
        #[command(flatten)]
        base: Base,
        #[command(subcommand)]
        action: DomainAction,
    },
    /// Accounts: list, create, rename, delete, settings.
    Account {
        #[command(flatten)]
        base: Base,
        #[command(subcommand)]
        action: AccountAction,
    },
    /// Set an account's password, read from a file or standard input.
    Password {
        #[command(flatten)]
        base: Base,
        /// Account, such as joe@example.com.
        account: String,
        /// File whose first line is the password.
        #[arg(long, value_name = "FILE")]
        password_file: Option<PathBuf>,
    },
    /// Application passwords of an account: one for each program, taken away alone.
    AppPassword {
        #[command(flatten)]
        base: Base,
        #[command(subcommand)]
        action: AppPasswordAction,
    },
    /// Other names of an account.
    Alias {
        #[command(flatten)]
        base: Base,
        #[command(subcommand)]
        action: AliasAction,
    },
    /// Make many accounts from a tab-delimited file whose first line names the fields, or bring in
    /// files of another server.
    #[command(subcommand_precedence_over_arg = true, subcommand_negates_reqs = true)]
    Import {
        #[command(flatten)]
        base: Base,
        #[command(flatten)]
        arguments: Box<ImportArguments>,
    },
    /// Make accounts of the users of a Unix system, with their password hashes.
    ImportPasswd {
        #[command(flatten)]
        base: Base,
        #[command(flatten)]
        arguments: Box<PasswdFile>,
    },
    /// Make aliases, forwarders, groups and Router records of sendmail's file of aliases.
    ImportAliases {
        #[command(flatten)]
        base: Base,
        #[command(flatten)]
        arguments: AliasesFile,
    },
    /// Show how passwords are stored: how far old hashes have been replaced.
    Passwords {
        #[command(flatten)]
        base: Base,
        /// The domain (default: all).
        domain: Option<String>,
    },
    /// Copy mailbox files into an account: text mailboxes, Maildir++ and MH trees, directories of
    /// the old server. A second run adds nothing.
    ImportFiles {
        #[command(flatten)]
        base: Base,
        /// File or directory, readable for the server.
        path: PathBuf,
        /// The account, or account/mailbox (default: INBOX for a file, the tree's own names below).
        #[arg(long, value_name = "ACCOUNT[/MAILBOX]")]
        into: String,
        /// How text mailboxes are written: auto, mboxo, mboxrd, mboxcl, mboxcl2, mmdf.
        #[arg(long, value_name = "NAME", default_value = "auto")]
        dialect: String,
        /// Read everything and count, change nothing.
        #[arg(long)]
        dry_run: bool,
        /// Keep UIDs where they are free, and UIDVALIDITY of mailboxes that are made.
        #[arg(long)]
        keep_uids: bool,
    },
    /// Ask the Router where an address or login name goes, with every step; or check its table.
    Route {
        #[command(flatten)]
        base: Base,
        /// Address or login name.
        #[arg(required_unless_present = "check", conflicts_with = "check")]
        address: Option<String>,
        /// mail, access or signal.
        #[arg(long, default_value = "mail")]
        kind: String,
        /// Tell what is wrong or odd in the Router's table, or in a table read from a file before
        /// it is set: refused lines, and records that are never reached.
        #[arg(long, value_name = "FILE", num_args = 0..=1)]
        check: Option<Option<PathBuf>>,
    },
    /// Keys that sign a domain's mail (DKIM): make, list, show, test, rotate, remove.
    Dkim {
        #[command(flatten)]
        base: Base,
        #[command(subcommand)]
        action: DkimAction,
    },
    /// Print every DNS record a mail domain wants, or check what is published.
    Dns {
        #[command(flatten)]
        base: Base,
        #[command(flatten)]
        arguments: DnsArguments,
    },
    /// DMARC aggregate reports from others.
    Dmarc {
        #[command(subcommand)]
        action: ReportAction,
    },
    /// TLS reports from others.
    Tlsrpt {
        #[command(subcommand)]
        action: ReportAction,
    },
    /// Every setting with its value, where that comes from, its range and what it means; or set some.
    #[command(subcommand_precedence_over_arg = true)]
    Settings {
        #[command(flatten)]
        base: Base,
        /// Whose: server, router, domains, accounts (defaults of all), a module such as SMTP,
        /// example.com, @example.com (its account defaults), template:example.com,
        /// joe@example.com (default: everything server-wide).
        scope: Option<String>,
        /// Only this setting.
        key: Option<String>,
        /// Only those that somebody set.
        #[arg(long)]
        set_only: bool,
        #[command(subcommand)]
        action: Option<SettingsAction>,
    },
    /// The whole configuration as text: export it, compare it with this server, apply it.
    Config {
        #[command(flatten)]
        base: Base,
        #[command(subcommand)]
        action: ConfigAction,
    },
    /// Execute one command of the CLI, such as: angarium cli GetAccountSettings joe
    Cli {
        #[command(flatten)]
        base: Base,
        /// The command and its parameters, spelled as on the PWD port.
        #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
        words: Vec<String>,
    },
    /// Serve one session of a protocol on standard input and output, for tunnels and mbsync.
    Exec {
        #[command(flatten)]
        base: Base,
        #[command(subcommand)]
        action: ExecAction,
    },
    /// Who may relay and who is kept out: show the lists, keep an address out, check one.
    Protection {
        #[command(flatten)]
        base: Base,
        #[command(subcommand)]
        action: ProtectionAction,
    },
    /// Show the sessions of the running server.
    Sessions {
        #[command(flatten)]
        base: Base,
        /// Only those of a service: imap, pop, pwd, smtpi.
        #[arg(long, value_name = "NAME")]
        service: Option<String>,
    },
    /// Show the queue of mail on its way, or act on it.
    Queue {
        #[command(flatten)]
        base: Base,
        #[command(subcommand)]
        action: Option<QueueAction>,
    },
    /// Copy the base directory, also of a running server, to an empty directory.
    Backup {
        #[command(flatten)]
        base: Base,
        /// Where to.
        to: PathBuf,
    },
    /// Make an empty base directory what a backup holds, after checking it.
    Restore {
        #[command(flatten)]
        base: Base,
        /// The backup.
        from: PathBuf,
        /// Do not check it first.
        #[arg(long)]
        unchecked: bool,
    },
    /// Verify every checksum and invariant of a stopped server's base directory or of a backup.
    Check {
        #[command(flatten)]
        base: Base,
        /// Directory to check instead of the base directory, such as a backup.
        directory: Option<PathBuf>,
    },
    /// Make the index of a stopped server anew from its journal.
    RebuildIndex {
        #[command(flatten)]
        base: Base,
    },
    /// Give back the room of messages that are no more.
    Compact {
        #[command(flatten)]
        base: Base,
    },
    /// Show the server's log.
    Log {
        #[command(flatten)]
        base: Base,
        /// Go on as records come.
        #[arg(long, short)]
        follow: bool,
        /// Most detailed level shown, 1 (failures) to 5 (everything).
        #[arg(long, default_value_t = 5)]
        level: u8,
        /// Only records with this tag, such as IMAP or IMAP-00042.
        #[arg(long)]
        tag: Option<String>,
        /// Only records that contain this text.
        #[arg(long)]
        text: Option<String>,
        /// How many records of the newest file are shown first.
        #[arg(long, default_value_t = 50)]
        last: usize,
    },
    /// Move mail from other servers: one account or a list of them, by IMAP or POP.
    Move {
        #[command(subcommand)]
        action: crate::commands::moving::MoveAction,
    },
    /// Move an account in from another IMAP server (the program MoveIMAPMail).
    MoveImapMail(Box<angarium_migrate::move_imap_mail::Arguments>),
    /// Compare an account on two IMAP servers by content, flags and dates.
    Verify(Box<angarium_migrate::move_imap_mail::Arguments>),
    /// Take users over from an old server: prepare, rehearse, watch, switch.
    Takeover {
        #[command(flatten)]
        base: Base,
        #[command(subcommand)]
        action: Box<crate::commands::takeover::TakeoverAction>,
    },
    /// Print a completion script for a shell.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// Write the manual pages into a directory.
    Man {
        /// Where to.
        directory: PathBuf,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum QueueAction {
    /// Show the messages, of one queue or of all.
    List {
        /// Name of a queue, such as example.com or LOCAL/joe@example.com.
        queue: Option<String>,
    },
    /// Show the queues again and again until stopped.
    Watch {
        /// Seconds between two looks.
        #[arg(long, value_name = "N", default_value_t = 2)]
        every: u64,
    },
    /// Show one message with its recipients.
    Show {
        /// Its number.
        id: u64,
    },
    /// Hold a message until it is released.
    Hold {
        /// Its number.
        id: u64,
    },
    /// Send a message, or all of a queue, now.
    Release {
        /// The number of a message or the name of a queue.
        what: String,
    },
    /// Take a message out of the queue and tell its sender.
    Reject {
        /// Its number.
        id: u64,
        /// What the sender is told.
        #[arg(long)]
        text: Option<String>,
        /// Tell nobody.
        #[arg(long, conflicts_with = "text")]
        silent: bool,
    },
    /// Send a message to another address instead.
    Redirect {
        /// Its number.
        id: u64,
        /// The address.
        address: String,
    },
}

/// How the server runs. Everything else is a setting in the base directory.
#[derive(Clone, Debug, Args)]
pub(crate) struct Serve {
    /// Base directory (default: /var/lib/angarium for root, else ~/.local/share/angarium).
    #[arg(long, value_name = "DIR", env = "ANGARIUM_BASE")]
    pub(crate) base: Option<PathBuf>,
    /// Name of the main domain at the first start (default: this host's name).
    #[arg(long, value_name = "NAME")]
    pub(crate) main_domain: Option<String>,
    /// Address to listen on (default: all).
    #[arg(long, value_name = "ADDR")]
    pub(crate) bind: Option<IpAddr>,
    /// Added to every standard port: with 20000, IMAP is 20143.
    #[arg(long, value_name = "N")]
    pub(crate) port_offset: Option<u16>,
    /// File with the postmaster's password for the first start (default: one is made and shown).
    #[arg(long, value_name = "FILE")]
    pub(crate) postmaster_password_file: Option<PathBuf>,
    /// Log level of the files: 1 failures, 2 major, 3 problems, 4 low-level, 5 everything.
    #[arg(long, value_name = "N", default_value_t = 3)]
    pub(crate) log_level: u8,
    /// Take passwords in clear also from other machines without TLS. Unsafe.
    #[arg(long)]
    pub(crate) clear_text_logins: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ProtectionAction {
    /// The settings, the lists, and the addresses that are kept out or count as clients for a time.
    Show,
    /// Keep an address out for a time (of IPv6, its network of 64 bits).
    Block {
        /// The address.
        ip: IpAddr,
        /// How long, such as 30m, 2h or 1d.
        #[arg(long = "for", value_name = "TIME", default_value = "1h")]
        time: String,
    },
    /// Let an address in again.
    Unblock {
        /// The address.
        ip: IpAddr,
    },
    /// Tell what would happen to a connection from an address now, and why.
    Check {
        /// The address.
        ip: IpAddr,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum SettingsAction {
    /// Change settings: KEY=VALUE, with default for VALUE to remove one.
    Set {
        /// Whose, as above.
        scope: String,
        /// Settings.
        #[arg(required = true, value_name = "KEY=VALUE")]
        settings: Vec<String>,
        /// The value of the one KEY named is the first line of this file (- is standard input).
        #[arg(long, value_name = "FILE")]
        value_file: Option<PathBuf>,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum ExecAction {
    /// An IMAP session that is logged in already (PREAUTH).
    Imap {
        /// The account, such as joe@example.com.
        account: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum DomainAction {
    /// All domains.
    List,
    /// Make a domain.
    Create {
        /// Its name.
        name: String,
    },
    /// Give a domain another name.
    Rename {
        /// Old name.
        from: String,
        /// New name.
        to: String,
    },
    /// Remove a domain.
    Delete {
        /// Its name.
        name: String,
        /// With all its accounts and their mail.
        #[arg(long)]
        force: bool,
    },
    /// Settings that are in effect.
    Show {
        /// Its name.
        name: String,
        /// Only those set explicitly.
        #[arg(long)]
        explicit: bool,
    },
    /// Change settings: KEY=VALUE, with default for VALUE to remove one.
    Set {
        /// Its name.
        name: String,
        /// Settings.
        #[arg(required = true, value_name = "KEY=VALUE")]
        settings: Vec<String>,
    },
    /// Other names of the domain; with names given, exactly these from now on.
    Aliases {
        /// Its name.
        name: String,
        /// New list.
        aliases: Vec<String>,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum AccountAction {
    /// Accounts of a domain.
    List {
        /// The domain (default: the main domain).
        domain: Option<String>,
    },
    /// Make an account; the password is read from a file, or from standard input with -.
    Create {
        /// Its name, such as joe@example.com.
        name: String,
        /// File whose first line is the password; - is standard input.
        #[arg(long, value_name = "FILE")]
        password_file: Option<PathBuf>,
        /// Settings.
        #[arg(value_name = "KEY=VALUE")]
        settings: Vec<String>,
    },
    /// Give an account another name, also in another domain.
    Rename {
        /// Old name.
        from: String,
        /// New name.
        to: String,
    },
    /// Remove an account with its mail.
    Delete {
        /// Its name.
        name: String,
    },
    /// Settings that are in effect.
    Show {
        /// Its name.
        name: String,
        /// Only those set explicitly.
        #[arg(long)]
        explicit: bool,
    },
    /// Change settings: KEY=VALUE, with default for VALUE to remove one.
    Set {
        /// Its name.
        name: String,
        /// Settings.
        #[arg(required = true, value_name = "KEY=VALUE")]
        settings: Vec<String>,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum AliasAction {
    /// Aliases of an account.
    List {
        /// The account.
        account: String,
    },
    /// Add an alias.
    Add {
        /// The account.
        account: String,
        /// The new local name.
        alias: String,
    },
    /// Remove an alias.
    Remove {
        /// The account.
        account: String,
        /// The local name.
        alias: String,
    },
}
