//! The first start: main domain, postmaster and a first password that is shown once, never logged.

use std::io::{self, IsTerminal};
use std::path::Path;

use angarium_accounts::{Accounts, Secret};
use aws_lc_rs::rand;

use crate::base::{BaseDirectory, write_private};

/// Letters and digits that nobody mistakes for each other.
const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
/// Letters of a first password: 100 bits.
const LENGTH: usize = 20;

/// What the first start has to tell.
pub(crate) enum FirstPassword {
    /// Not the first start, or the administrator gave the password.
    None,
    /// To be shown on the terminal.
    Show(String),
    /// Written to a file, because there is no terminal.
    InFile,
}

/// The name of the main domain when nobody says: this host's if it is a full name.
pub(crate) fn usual_domain() -> String {
    let name = rustix::system::uname();
    let host = name.nodename().to_string_lossy().to_ascii_lowercase();
    if host.contains('.') { host } else { "localhost".into() }
}

/// Makes main domain and postmaster if they are not there.
pub(crate) async fn prepare(
    accounts: &Accounts,
    base: &BaseDirectory,
    main_domain: &str,
    password_file: Option<&Path>,
) -> io::Result<FirstPassword> {
    let given = match password_file {
        Some(path) => Some(first_line(path)?),
        None => None,
    };
    let made = match &given {
        Some(password) => password.clone(),
        None => random_password()?,
    };
    let secret = Secret::new(made.clone().into_bytes());
    let first = accounts
        .first_start(main_domain, secret)
        .await
        .map_err(|e| io::Error::other(format!("cannot make the main domain: {}", e.text())))?;
    if !first || given.is_some() {
        return Ok(FirstPassword::None);
    }
    if io::stdout().is_terminal() {
        return Ok(FirstPassword::Show(made));
    }
    write_private(&base.first_password(), format!("{made}\n").as_bytes())?;
    Ok(FirstPassword::InFile)
}

/// The first line of a small file.
pub(crate) fn first_line(path: &Path) -> io::Result<String> {
    let text = if path == Path::new("-") {
        let mut line = String::new();
        io::stdin().read_line(&mut line)?;
        line
    } else {
        std::fs::read_to_string(path)
            .map_err(|e| io::Error::new(e.kind(), format!("{}: {e}", path.display())))?
    };
    let line = text.lines().next().unwrap_or_default().to_owned();
    if line.is_empty() {
        let message = format!("{}: the first line is empty", path.display());
        return Err(io::Error::new(io::ErrorKind::InvalidData, message));
    }
    Ok(line)
}

/// A password nobody has to think of, in groups of five letters.
pub(crate) fn random_password() -> io::Result<String> {
    let mut bytes = [0_u8; LENGTH];
    rand::fill(&mut bytes).map_err(|_| io::Error::other("no randomness"))?;
    let letters = bytes.iter().filter_map(|b| LETTERS.get(usize::from(*b) % LETTERS.len()));
    let mut password = String::new();
    for (n, letter) in letters.enumerate() {
        if n > 0 && n % 5 == 0 {
            password.push('-');
        }
        password.push(char::from(*letter));
    }
    Ok(password)
}
