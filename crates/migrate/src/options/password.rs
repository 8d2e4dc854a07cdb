//! Where a password comes from: the command line (with a warning), a file, the environment,
//! standard input, or a person at the terminal, without an echo.

use std::io::{BufRead, IsTerminal, Read, Write};
use std::path::Path;

use crate::error::{MoveError, Result};
use crate::options::read_small;

/// Longest password, octets.
const MAX_PASSWORD: usize = 4096;
/// Keys of a terminal: interrupt, end, erase, erase all.
const INTERRUPT: u8 = 0x03;
const END: u8 = 0x04;
const ERASE: [u8; 2] = [0x08, 0x7f];
const ERASE_ALL: u8 = 0x15;

/// Where a password is looked for when the command line does not hold it.
#[derive(Clone, Copy, Debug)]
pub struct Places<'a> {
    /// A file whose first line it is.
    pub file: Option<&'a Path>,
    /// A variable of the environment.
    pub variable: &'a str,
    /// Whose it is, as the person at the terminal is asked.
    pub whose: &'a str,
}

/// The password. `argument` is the word of the command line, `-` for none.
///
/// # Errors
/// `Usage` or `File`, saying what to write instead.
pub fn password(argument: &str, places: Places<'_>) -> Result<String> {
    if let Some(path) = places.file {
        warn_if_open(path);
        let text = read_small(path, MAX_PASSWORD as u64)?;
        return Ok(text.lines().next().unwrap_or_default().to_owned());
    }
    if argument != "-" {
        warn_of_command_line("password", places.variable);
        return Ok(argument.to_owned());
    }
    if let Ok(value) = std::env::var(places.variable) {
        return Ok(value);
    }
    let stdin = std::io::stdin();
    if stdin.is_terminal() {
        return asked(places.whose);
    }
    let mut line = String::new();
    let most = MAX_PASSWORD as u64 + 2;
    let read = stdin.lock().take(most).read_line(&mut line);
    let nothing = |why: &str| {
        MoveError::Usage(format!(
            "no password for {} on standard input{why}; set {} or use a password file",
            places.whose, places.variable
        ))
    };
    match read {
        Ok(0) => Err(nothing("")),
        Ok(_) => Ok(line.trim_end_matches(['\r', '\n']).to_owned()),
        Err(e) => Err(nothing(&format!(": {e}"))),
    }
}

/// Says that a secret on the command line is none.
pub(crate) fn warn_of_command_line(what: &str, variable: &str) {
    eprintln!(
        "warning: a {what} on the command line can be seen by other users; write - and set \
         {variable}, or use a file"
    );
}

/// Says so when others may read a file with a secret.
fn warn_if_open(path: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    let open =
        std::fs::metadata(path).is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o077 != 0);
    if open {
        eprintln!("warning: {} can be read by other users (chmod 600)", path.display());
    }
}

/// Asks at the terminal. The terminal is as it was afterwards, also when the person gives up.
fn asked(whose: &str) -> Result<String> {
    use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
    let wrong = |why: String| MoveError::Usage(format!("no password for {whose}: {why}"));
    let stdin = std::io::stdin();
    let before = tcgetattr(&stdin).map_err(|e| wrong(e.to_string()))?;
    let mut silent = before.clone();
    // Keys come one by one and are none of the system's business: an interrupt must find its way
    // back to a terminal with an echo.
    silent.local_modes.remove(LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG);
    let _ = write!(std::io::stderr().lock(), "Password for {whose}: ");
    tcsetattr(&stdin, OptionalActions::Flush, &silent).map_err(|e| wrong(e.to_string()))?;
    let typed = typed(stdin.lock().bytes().map_while(std::result::Result::ok));
    let restored = tcsetattr(&stdin, OptionalActions::Flush, &before);
    eprintln!();
    restored.map_err(|e| wrong(e.to_string()))?;
    typed.ok_or_else(|| wrong("interrupted".into()))
}

/// What was typed up to the return key; `None` when the person gave up.
fn typed(keys: impl Iterator<Item = u8>) -> Option<String> {
    let mut line: Vec<u8> = Vec::new();
    for key in keys {
        match key {
            b'\r' | b'\n' => return Some(String::from_utf8_lossy(&line).into_owned()),
            INTERRUPT => return None,
            END if line.is_empty() => return None,
            ERASE_ALL => line.clear(),
            key if ERASE.contains(&key) => {
                // A character of UTF-8 goes as a whole.
                while line.pop().is_some_and(|b| b & 0xc0 == 0x80) {}
            }
            key if line.len() < MAX_PASSWORD => line.push(key),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(text: &str) -> Option<String> {
        typed(text.bytes())
    }

    #[test]
    fn keys_become_a_password() {
        assert_eq!(keys("secret\r"), Some("secret".into()));
        assert_eq!(keys("sex\x7fcret\n"), Some("secret".into()));
        assert_eq!(keys("aü\x08b\n"), Some("ab".into()));
        assert_eq!(keys("wrong\x15right\n"), Some("right".into()));
        assert_eq!(keys("sec\x03"), None);
        assert_eq!(keys("\x04"), None);
        assert_eq!(keys("no end"), None);
    }

    #[test]
    fn a_file_comes_first_and_the_environment_before_anything_is_asked() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("password");
        std::fs::write(&path, "of the file\r\nmore\n").unwrap();
        let places = |file| Places { file, variable: "ANGARIUM_NO_SUCH_VARIABLE", whose: "joe" };
        assert_eq!(password("-", places(Some(&path))).unwrap(), "of the file");
        assert_eq!(password("argument", places(None)).unwrap(), "argument");
        let named = Places { variable: "PATH", ..places(None) };
        assert_eq!(password("-", named).unwrap(), std::env::var("PATH").unwrap());
        assert!(password("-", places(Some(&folder.path().join("none")))).is_err());
    }
}
