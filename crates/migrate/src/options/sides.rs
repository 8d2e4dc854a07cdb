//! Who the two servers are, how safely they are talked to, and who logs in there.

use std::io::{BufRead, IsTerminal};
use std::path::{Path, PathBuf};

use crate::endpoint::{Endpoint, TlsPolicy};
use crate::error::{MoveError, Result};
use crate::options::read_small;
use crate::session::Credentials;

/// The six words after the flags.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct SideNames {
    /// Old server: HOST[:PORT].
    #[arg(value_name = "oldServer")]
    pub old_server: String,
    /// Login name there.
    #[arg(value_name = "oldName")]
    pub old_name: String,
    /// Password there, or -.
    #[arg(value_name = "oldPassword", allow_hyphen_values = true)]
    pub old_password: String,
    /// New server: HOST[:PORT].
    #[arg(value_name = "newServer")]
    pub new_server: String,
    /// Login name there.
    #[arg(value_name = "newName")]
    pub new_name: String,
    /// Password there, or -.
    #[arg(value_name = "newPassword", allow_hyphen_values = true)]
    pub new_password: String,
    /// The passwords did not come by the command line: nothing is said about that.
    #[arg(skip)]
    pub from_list: bool,
}

/// The options on the two servers.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct SideOptions {
    /// Send PROXYAUTH with this name after the login at the old server.
    #[arg(long = "proxyAuth", value_name = "USERNAME")]
    pub proxy_auth: Option<String>,
    /// File with the old server's password.
    #[arg(long = "oldPasswordFile", value_name = "FILE")]
    pub old_password_file: Option<PathBuf>,
    /// File with the new server's password.
    #[arg(long = "newPasswordFile", value_name = "FILE")]
    pub new_password_file: Option<PathBuf>,
    /// TLS from the first byte to the old server.
    #[arg(long)]
    pub ssl1: bool,
    /// TLS from the first byte to the new server.
    #[arg(long)]
    pub ssl2: bool,
    /// Insist on STARTTLS at the old server.
    #[arg(long)]
    pub starttls1: bool,
    /// Insist on STARTTLS at the new server.
    #[arg(long)]
    pub starttls2: bool,
    /// No TLS to the old server, even if it offers it.
    #[arg(long)]
    pub notls1: bool,
    /// No TLS to the new server, even if it offers it.
    #[arg(long)]
    pub notls2: bool,
    /// Do not verify the old server's certificate.
    #[arg(long)]
    pub insecure1: bool,
    /// Do not verify the new server's certificate.
    #[arg(long)]
    pub insecure2: bool,
}

/// Both servers of one run.
#[derive(Clone, Debug)]
pub struct Sides {
    /// The old server and who logs in there.
    pub source: (Endpoint, Credentials),
    /// The new server and who logs in there.
    pub target: (Endpoint, Credentials),
}

impl SideOptions {
    /// What the options and the six words say; asks for passwords where they say so.
    ///
    /// # Errors
    /// `Usage` or `File`, saying what to write instead.
    pub fn sides(&self, names: &SideNames) -> Result<Sides> {
        let mut source = Endpoint::parse(&names.old_server, 143)?;
        let mut target = Endpoint::parse(&names.new_server, 143)?;
        source.tls = policy(self.ssl1, self.starttls1, self.notls1)?;
        target.tls = policy(self.ssl2, self.starttls2, self.notls2)?;
        source.insecure = self.insecure1;
        target.insecure = self.insecure2;
        let old = password(
            &names.old_password,
            names.from_list,
            self.old_password_file.as_deref(),
            "ANGARIUM_OLD_PASSWORD",
        )?;
        let new = password(
            &names.new_password,
            names.from_list || names.new_password.is_empty(),
            self.new_password_file.as_deref(),
            "ANGARIUM_NEW_PASSWORD",
        )?;
        Ok(Sides {
            source: (
                source,
                Credentials {
                    name: names.old_name.clone(),
                    password: old,
                    proxy_auth: self.proxy_auth.clone(),
                },
            ),
            target: (
                target,
                Credentials { name: names.new_name.clone(), password: new, proxy_auth: None },
            ),
        })
    }
}

fn policy(ssl: bool, starttls: bool, never: bool) -> Result<TlsPolicy> {
    match (ssl, starttls, never) {
        (false, false, false) => Ok(TlsPolicy::WhenOffered),
        (true, false, false) => Ok(TlsPolicy::Implicit),
        (false, true, false) => Ok(TlsPolicy::StartTls),
        (false, false, true) => Ok(TlsPolicy::Never),
        _ => Err(MoveError::Usage("choose one of --ssl, --starttls and --notls a side".into())),
    }
}

fn password(argument: &str, unseen: bool, file: Option<&Path>, variable: &str) -> Result<String> {
    if let Some(path) = file {
        let text = read_small(path, 4096)?;
        return Ok(text.lines().next().unwrap_or_default().to_owned());
    }
    if unseen {
        return Ok(argument.to_owned());
    }
    if argument != "-" {
        eprintln!(
            "warning: a password on the command line can be seen by other users; \
             write - and set {variable}, or use a password file"
        );
        return Ok(argument.to_owned());
    }
    if let Ok(value) = std::env::var(variable) {
        return Ok(value);
    }
    let stdin = std::io::stdin();
    if stdin.is_terminal() {
        return Err(MoveError::Usage(format!(
            "no password: set {variable}, use a password file or pipe it into standard input"
        )));
    }
    let mut line = String::new();
    let read = stdin.lock().read_line(&mut line);
    read.map_err(|e| MoveError::Usage(format!("no password on standard input: {e}")))?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}
