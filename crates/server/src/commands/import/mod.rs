//! Bringing users in from files of other servers: an account list, `passwd` and `shadow`, the
//! `aliases` of sendmail. Reads files and shows what became of each line; what is made, and whether
//! it may be, the commands of the CLI decide.

mod accounts;
mod aliases;
mod lines;
mod passwd;
mod report;

use std::path::PathBuf;

use clap::Args;

pub(super) use accounts::run as accounts;
pub(super) use aliases::run as aliases;
pub(super) use passwd::run as passwd;

/// What every import is asked.
#[derive(Clone, Debug, Args)]
pub(crate) struct Common {
    /// Domain of names without one (default: the main domain).
    #[arg(long, value_name = "NAME")]
    pub(crate) domain: Option<String>,
    /// Look at every line and tell what would become of it; change nothing.
    #[arg(long, visible_alias = "dry-run")]
    pub(crate) check_only: bool,
}

/// Arguments of `import`.
#[derive(Debug, Args)]
pub(crate) struct AccountList {
    /// The file: fields Name, Password or UnixPassword, RealName, Aliases, Mailboxes, settings.
    pub(crate) file: PathBuf,
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
}
