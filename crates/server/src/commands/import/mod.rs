//! Bringing users in from files of other servers: an account list, `passwd` and `shadow`, the
//! `aliases` of sendmail, LDIF, tables and registries of other products, calendars, contacts and PST
//! files. Reads files and shows what became of each line; what is made, and whether
//! it may be, the commands of the CLI decide.

mod accounts;
mod aliases;
mod foreign;
mod items;
mod lines;
mod list_files;
mod passwd;
mod pst;
mod report;
mod sources;
mod subscribers;

use std::path::PathBuf;

use clap::{Args, Subcommand};

pub(super) use aliases::run as aliases;
pub(super) use passwd::run as passwd;

use std::io;

use crate::arguments::Base;
use foreign::ForeignFile;
use items::{ItemFile, ItemList};
use pst::PstFile;
use sources::Product;
use subscribers::SubscriberFile;

/// `angarium import`: an account list, or a file of a kind that is named.
pub(super) fn run(base: &Base, arguments: &ImportArguments) -> io::Result<u8> {
    let foreign = |product, file| foreign::run(base, product, file);
    match &arguments.from {
        None => accounts::run(base, &arguments.list),
        Some(ImportFrom::Ldif(file)) => foreign(Product::Ldif, file),
        Some(ImportFrom::PostOffice(file)) => foreign(Product::PostOffice, file),
        Some(ImportFrom::Imail(file)) => foreign(Product::Imail, file),
        Some(ImportFrom::Sims(file)) => foreign(Product::Sims, file),
        Some(ImportFrom::Exchange(file)) => foreign(Product::Exchange, file),
        Some(ImportFrom::Table(file)) => foreign(Product::Table, file),
        Some(ImportFrom::Subscribers(file)) => subscribers::run(base, file),
        Some(ImportFrom::Calendar(file)) => items::run(base, file),
        Some(ImportFrom::Contacts(file)) => items::run(base, file),
        Some(ImportFrom::Calendars(list)) => items::run_list(base, list),
        Some(ImportFrom::Pst(file)) => pst::run(base, file),
    }
}

/// Arguments of `import`.
#[derive(Debug, Args)]
pub(crate) struct ImportArguments {
    #[command(flatten)]
    pub(crate) list: AccountList,
    #[command(subcommand)]
    pub(crate) from: Option<ImportFrom>,
}

/// Files of other servers.
#[derive(Debug, Subcommand)]
pub(crate) enum ImportFrom {
    /// People, groups and forwarders of a directory as LDIF: Netscape and iPlanet Messaging,
    /// OpenLDAP, qmail-ldap, Active Directory.
    Ldif(ForeignFile),
    /// Accounts and mailing lists of Post.Office: a table or a listing of labels and values.
    PostOffice(ForeignFile),
    /// Accounts and aliases of IMail: its exported registry, or a table.
    Imail(ForeignFile),
    /// Accounts of SIMS or CommuniGate for MacOS: the table of their loader or extractor.
    #[command(visible_alias = "communigate-macos")]
    Sims(ForeignFile),
    /// Mailboxes, contacts and groups of Exchange: LDIF, csvde, or Export-Csv of its shell.
    Exchange(ForeignFile),
    /// Accounts of any table whose first line names the columns.
    Table(ForeignFile),
    /// A mailing list of another server, or a group: one address a line.
    Subscribers(SubscriberFile),
    /// Events and tasks of an iCalendar or vCalendar file into an account.
    Calendar(ItemFile),
    /// Contacts of a vCard file into an account.
    Contacts(ItemFile),
    /// Calendar and contact files of many users, by a list of account, mailbox and file.
    Calendars(ItemList),
    /// A personal store of Outlook into an account, read by the program readpst.
    Pst(PstFile),
}

/// What every import is asked.
#[derive(Clone, Debug, Args)]
pub(crate) struct Common {
    /// Domain of names without one (default: the main domain).
    #[arg(long, value_name = "NAME")]
    pub(crate) domain: Option<String>,
    /// Look at every line and tell what would become of it; change nothing.
    #[arg(long, visible_aliases = ["dry-run", "plan"])]
    pub(crate) check_only: bool,
}

/// Arguments of `import` for an account list.
#[derive(Debug, Args)]
pub(crate) struct AccountList {
    /// The file: fields Name, Password or UnixPassword, RealName, Aliases, Mailboxes, settings.
    #[arg(required = true)]
    pub(crate) file: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) common: Common,
    /// Stop at the first line that fails.
    #[arg(long)]
    pub(crate) stop_at_first_error: bool,
    #[command(flatten)]
    pub(crate) telling: Telling,
}

/// How much of a long import is told.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Telling {
    /// Tell what became of every line, not only of those that failed or are odd.
    #[arg(long)]
    pub(crate) each: bool,
    /// Tell how far it has come also where nobody sits at a terminal.
    #[arg(long)]
    pub(crate) progress: bool,
}

/// Arguments of `import-passwd`.
#[derive(Debug, Args)]
pub(crate) struct PasswdFile {
    /// The file: passwd, or master.passwd of a BSD.
    pub(crate) file: PathBuf,
    /// The file with the hashes, where they stand apart.
    #[arg(long, value_name = "FILE")]
    pub(crate) shadow: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) common: Common,
    /// Least number of a user who is a person.
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    pub(crate) least_uid: u64,
    /// Greatest number of a user who is a person.
    #[arg(long, value_name = "N", default_value_t = 60_000)]
    pub(crate) greatest_uid: u64,
    /// Also users whose login program lets nobody in.
    #[arg(long)]
    pub(crate) any_shell: bool,
    /// Only this user, whatever its number; may be given again.
    #[arg(long, value_name = "USER")]
    pub(crate) only: Vec<String>,
    /// Not this user; may be given again.
    #[arg(long, value_name = "USER")]
    pub(crate) skip: Vec<String>,
    /// Take no hashes: the accounts use the password of the operating system (UseSysPassword).
    #[arg(long, conflicts_with = "shadow")]
    pub(crate) os_passwords: bool,
    #[command(flatten)]
    pub(crate) telling: Telling,
}

/// Arguments of `import-aliases`.
#[derive(Debug, Args)]
pub(crate) struct AliasesFile {
    /// The file, such as /etc/aliases.
    pub(crate) file: PathBuf,
    #[command(flatten)]
    pub(crate) common: Common,
    /// Programs (`|program`) become records of the Router that lead to the module PIPE, which
    /// starts only what its settings allow.
    #[arg(long)]
    pub(crate) programs: bool,
    /// Where the old system's files lie: `:include:/etc/list` is read as DIR/etc/list.
    #[arg(long, value_name = "DIR", default_value = "/")]
    pub(crate) root: PathBuf,
    /// Account that owns mailing lists whose owner (`owner-LIST`) is no account here; included files
    /// become mailing lists then, too.
    #[arg(long, value_name = "NAME")]
    pub(crate) list_owner: Option<String>,
}
