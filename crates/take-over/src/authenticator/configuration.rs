//! The helper's configuration file: one dictionary in the textual format.

use std::collections::BTreeMap;
use std::path::PathBuf;

use angarium_objects::settings::{OldServer, old_server};
use angarium_objects::text::{self, Layout};
use angarium_objects::value::{Dictionary, Value};
use zeroize::Zeroizing;

use crate::book::Book;

/// Where the command language is spoken when nothing is said.
const USUAL_PWD: &str = "127.0.0.1:106";
/// Where mail is copied to when nothing is said.
const USUAL_TARGET: &str = "127.0.0.1:143";

/// Everything the helper wants to know.
pub struct Configuration {
    /// The old server of each domain.
    pub(super) domains: BTreeMap<String, OldServer>,
    /// `host:port` of PWD.
    pub(super) pwd: String,
    /// Who logs in there.
    pub(super) account: String,
    /// With which password.
    pub(super) password: Zeroizing<String>,
    /// `host:port` of the new server's IMAP.
    pub(super) target: String,
    /// The mover by IMAP and its first arguments.
    pub(super) mover: Vec<String>,
    /// The mover by POP likewise.
    pub(super) pop_mover: Vec<String>,
    /// Where lists and journals lie.
    pub(super) book: Book,
    /// What the helper calls itself at the old server.
    pub(super) hello: String,
}

fn word(all: &Dictionary, key: &str, usual: &str) -> Result<String, String> {
    match all.get(key) {
        None => Ok(usual.to_owned()),
        Some(value) => {
            let text = value.as_str().filter(|text| !text.trim().is_empty());
            text.map(str::to_owned).ok_or_else(|| format!("{key} is no text"))
        }
    }
}

/// A program and its first arguments: what is written, else ours by its words, else by its old name.
fn mover(all: &Dictionary, key: &str, words: &[&str], name: &str) -> Result<Vec<String>, String> {
    match all.get(key) {
        None => Ok(match std::env::current_exe() {
            Ok(path) => {
                let path = path.display().to_string();
                std::iter::once(path).chain(words.iter().map(|word| (*word).to_owned())).collect()
            }
            Err(_) => vec![name.to_owned()],
        }),
        Some(Value::String(program)) => Ok(vec![program.clone()]),
        Some(Value::Array(words)) => {
            let words: Option<Vec<String>> =
                words.iter().map(|word| word.as_str().map(str::to_owned)).collect();
            words
                .filter(|words| !words.is_empty())
                .ok_or_else(|| format!("{key} is no array of texts"))
        }
        Some(_) => Err(format!("{key} is a program, or an array of it and arguments")),
    }
}

impl Configuration {
    /// Reads a file's text; files it names are read relative to where the program runs.
    ///
    /// # Errors
    /// *Never*: what is wrong in it.
    pub fn read(text: &str) -> Result<Self, String> {
        let known = [
            "Domains",
            "PWD",
            "Account",
            "PasswordFile",
            "Target",
            "Mover",
            "PopMover",
            "Directory",
            "Hello",
        ];
        let all = match text::parse(text.as_bytes(), Layout::File) {
            Ok(Value::Dictionary(all)) => all,
            Ok(_) => return Err("a dictionary is expected".to_owned()),
            Err(error) => return Err(error.to_string()),
        };
        if let Some(key) = all.keys().find(|key| !known.contains(&key.as_str())) {
            return Err(format!("{key} is not known; known are {}", known.join(", ")));
        }
        let mut domains = BTreeMap::new();
        let given = all.get("Domains").and_then(Value::as_dictionary);
        for (domain, value) in given.ok_or("Domains is no dictionary")? {
            let old = old_server(value).flatten();
            let old = old.ok_or_else(|| format!("Domains: {domain} names no old server"))?;
            domains.insert(domain.to_ascii_lowercase(), old);
        }
        let file = word(&all, "PasswordFile", "")?;
        let password = if file.is_empty() {
            return Err("PasswordFile is missing: a file whose first line is the password".into());
        } else {
            let text = std::fs::read_to_string(&file).map_err(|e| format!("{file}: {e}"))?;
            let text = Zeroizing::new(text);
            Zeroizing::new(text.lines().next().unwrap_or_default().to_owned())
        };
        Ok(Self {
            domains,
            pwd: word(&all, "PWD", USUAL_PWD)?,
            account: word(&all, "Account", "postmaster")?,
            password,
            target: word(&all, "Target", USUAL_TARGET)?,
            mover: mover(&all, "Mover", &["move-imap-mail"], "MoveIMAPMail")?,
            pop_mover: mover(&all, "PopMover", &["move", "pop"], "MovePOPMail")?,
            book: Book::at(PathBuf::from(word(&all, "Directory", "TakeOver")?)),
            hello: word(&all, "Hello", "localhost")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_has_usual_values_and_no_misspelled_ones() {
        let room = tempfile::tempdir().unwrap();
        let file = room.path().join("secret");
        std::fs::write(&file, "tanstaaf\n").unwrap();
        let file = file.display();
        let good =
            format!("{{Domains={{A.dom={{Server=old.example;}};}};PasswordFile=\"{file}\";}}");
        let read = Configuration::read(&good).unwrap();
        assert_eq!(read.domains["a.dom"].server.to_string(), "old.example:143");
        assert_eq!((read.password.as_str(), read.pwd.as_str()), ("tanstaaf", USUAL_PWD));
        for (from, to) in [
            ("Domains=", "Domain="),
            ("Server=", "server="),
            ("PasswordFile=", "Password="),
            ("secret", "nowhere"),
            ("{Domains", "(Domains"),
        ] {
            assert!(Configuration::read(&good.replacen(from, to, 1)).is_err(), "{from} {to}");
        }
    }
}
