//! Where an OAuth token comes from: the command line, a file, the environment, or a program that
//! makes a fresh one for each connection. Must never print a token.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _};

use crate::command_words;
use crate::options::read_small;

/// Longest token, octets. Those of large providers have up to 4 KiB.
const MAX_TOKEN: u64 = 64 * 1024;
/// How long a program may take to make one.
const PROGRAM_TIME: Duration = Duration::from_secs(60);
/// What is shown of a failing program's complaints, octets.
const MAX_COMPLAINT: u64 = 2 * 1024;

/// Where a token comes from.
#[derive(Clone, PartialEq, Eq)]
pub enum TokenSource {
    /// As it stands on the command line.
    Given(String),
    /// First line of a file, read again for each connection.
    File(PathBuf),
    /// A variable of the environment.
    Environment(String),
    /// First line a program prints; run again for each connection. `%u` in its words is the login
    /// name.
    Program(Vec<String>),
}

impl std::fmt::Debug for TokenSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Given(_) => f.write_str("Given"),
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
            Self::Environment(name) => f.debug_tuple("Environment").field(name).finish(),
            Self::Program(words) => f.debug_tuple("Program").field(&words.first()).finish(),
        }
    }
}

impl TokenSource {
    /// Reads `--oauth`: `@FILE`, `env:NAME`, or the token itself.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        if let Some(path) = text.strip_prefix('@') {
            return Self::File(path.into());
        }
        match text.strip_prefix("env:") {
            Some(name) => Self::Environment(name.to_owned()),
            None => Self::Given(text.to_owned()),
        }
    }

    /// Reads `--tokenCommand`.
    ///
    /// # Errors
    /// What is wrong with the command, for people.
    pub fn command(text: &str) -> Result<Self, String> {
        command_words::split(text).map(Self::Program)
    }

    /// True where asking again may bring another token.
    pub(crate) fn can_be_renewed(&self) -> bool {
        matches!(self, Self::File(_) | Self::Program(_))
    }

    /// The token for this login name.
    ///
    /// # Errors
    /// Why there is none, for people.
    pub(crate) async fn fetch(&self, name: &str) -> Result<String, String> {
        let text = match self {
            Self::Given(token) => token.clone(),
            Self::File(path) => read_small(path, MAX_TOKEN).map_err(|e| e.to_string())?,
            Self::Environment(variable) => std::env::var(variable)
                .map_err(|_| format!("the variable {variable} with the token is not set"))?,
            Self::Program(words) => run(words, name).await?,
        };
        let token = text.lines().next().unwrap_or_default().trim();
        if token.is_empty() {
            return Err("the token is empty".into());
        }
        if !token.bytes().all(|b| b.is_ascii_graphic()) {
            return Err("the token holds characters no token has".into());
        }
        Ok(token.to_owned())
    }
}

async fn run(words: &[String], name: &str) -> Result<String, String> {
    let words = command_words::filled(words, &[('u', name)]);
    let Some((program, rest)) = words.split_first() else {
        return Err("the token command is empty".into());
    };
    let wrong = |reason: String| format!("the token command {program}: {reason}");
    let mut child = tokio::process::Command::new(program)
        .args(rest)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|e| wrong(e.to_string()))?;
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let work = async {
        let (out, complaint) = tokio::join!(gathered(out, MAX_TOKEN), gathered(err, MAX_COMPLAINT));
        let status = child.wait().await.map_err(|e| e.to_string())?;
        if !status.success() {
            let complaint = complaint.split_whitespace().collect::<Vec<_>>().join(" ");
            return Err(format!("it ended with {status}: {complaint}"));
        }
        Ok(out)
    };
    let done = tokio::time::timeout(PROGRAM_TIME, work).await;
    done.map_err(|_| wrong(format!("it took longer than {} s", PROGRAM_TIME.as_secs())))?
        .map_err(wrong)
}

/// The first `most` octets of a stream; what comes after them is read and thrown away, so that
/// the program never waits for us.
async fn gathered(stream: Option<impl AsyncRead + Unpin>, most: u64) -> String {
    let mut text = Vec::new();
    if let Some(mut stream) = stream {
        let _ = (&mut stream).take(most).read_to_end(&mut text).await;
        let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
    }
    String::from_utf8_lossy(&text).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_token_comes_from_where_it_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        std::fs::write(&path, "ya29.abc\n").unwrap();
        let file = TokenSource::parse(&format!("@{}", path.display()));
        assert_eq!(file.fetch("joe").await.unwrap(), "ya29.abc");
        // The program's own %s stays as it is.
        let made = TokenSource::command("printf '%s-token\\nmore' %u").unwrap();
        assert_eq!(made.fetch("joe").await.unwrap(), "joe-token");
        assert_eq!(TokenSource::parse("abc").fetch("joe").await.unwrap(), "abc");
    }

    #[tokio::test]
    async fn a_program_that_fails_is_told_with_its_words_and_tokens_are_not_printed() {
        let failing = TokenSource::command("sh -c 'echo no grant >&2; exit 3'").unwrap();
        let why = failing.fetch("joe").await.unwrap_err();
        assert!(why.contains("no grant") && why.contains("sh"), "{why}");
        let missing = TokenSource::command("/no/such/program").unwrap();
        assert!(missing.fetch("joe").await.is_err());
        let empty = TokenSource::command("true").unwrap();
        assert!(empty.fetch("joe").await.unwrap_err().contains("empty"));
        assert_eq!(format!("{:?}", TokenSource::parse("secret")), "Given");
    }

    #[tokio::test]
    async fn a_program_that_prints_without_end_is_bounded() {
        let endless = TokenSource::command("sh -c 'yes | head -c 10000000'").unwrap();
        assert_eq!(endless.fetch("joe").await.unwrap(), "y");
    }
}
