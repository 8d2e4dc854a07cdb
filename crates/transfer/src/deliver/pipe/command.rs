//! From the words of an address to a program and its parameters. It must never start anything.

use std::path::{Path, PathBuf};

use super::PipeSettings;

/// Most parameters of a program.
const MAX_WORDS: usize = 64;

/// A program that may be started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Command {
    /// Its name in the directory.
    pub(super) program: String,
    /// Its file, with all links followed.
    pub(super) file: PathBuf,
    /// Its parameters.
    pub(super) parameters: Vec<String>,
    /// Where it runs.
    pub(super) directory: PathBuf,
}

impl Command {
    /// Finds the program of a command: a name of the setting, a file of the directory itself that
    /// can be executed.
    pub(super) async fn of(text: &str, settings: &PipeSettings) -> Result<Self, &'static str> {
        let mut words = text.split_whitespace().map(str::to_owned);
        let program = words.next().ok_or("the address names no program")?;
        let parameters: Vec<String> = words.take(MAX_WORDS + 1).collect();
        if parameters.len() > MAX_WORDS {
            return Err("the program has too many parameters");
        }
        if !is_name(&program) || !settings.allows(&program) {
            return Err("this program takes no mail");
        }
        if settings.directory.is_empty() {
            return Err("no programs take mail here");
        }
        let directory = Path::new(&settings.directory);
        if !directory.is_absolute() {
            return Err("the directory of programs is not an absolute path");
        }
        let missing = |_| "the program does not exist";
        let directory = tokio::fs::canonicalize(directory).await.map_err(missing)?;
        let file = tokio::fs::canonicalize(directory.join(&program)).await.map_err(missing)?;
        if file.parent() != Some(directory.as_path()) {
            return Err("the program is a link out of its directory");
        }
        let about = tokio::fs::metadata(&file).await.map_err(missing)?;
        if !about.is_file() || !executable(&about) {
            return Err("the program cannot be executed");
        }
        let directory = match settings.working_directory.as_str() {
            "" => directory,
            other => PathBuf::from(other),
        };
        Ok(Self { program, file, parameters, directory })
    }
}

/// A plain file name.
fn is_name(text: &str) -> bool {
    !text.starts_with(['.', '-'])
        && text.len() <= 255
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
}

fn executable(about: &std::fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt;
    about.permissions().mode() & 0o111 != 0
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::time::Duration;

    use angarium_objects::spelling::Services;

    use super::*;

    fn settings(directory: &Path, programs: Services) -> PipeSettings {
        PipeSettings {
            directory: directory.to_string_lossy().into_owned(),
            programs,
            working_directory: String::new(),
            time_limit: Duration::from_secs(5),
            max_size: None,
            processors: 1,
        }
    }

    // ABU-07
    #[tokio::test]
    async fn only_named_programs_of_the_directory_are_found() {
        let place = tempfile::tempdir().unwrap();
        let directory = place.path().join("programs");
        std::fs::create_dir(&directory).unwrap();
        let write = |path: &Path, mode: u32| {
            std::fs::write(path, "#!/bin/sh\n").unwrap();
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
        };
        write(&directory.join("store"), 0o755);
        write(&directory.join("other"), 0o755);
        write(&directory.join("text"), 0o644);
        write(&place.path().join("outside"), 0o755);
        symlink("../outside", directory.join("link")).unwrap();
        symlink("store", directory.join("name")).unwrap();
        std::fs::create_dir(directory.join("folder")).unwrap();
        let all = settings(&directory, Services::All);
        let found = Command::of("store -a  $(id) 'b", &all).await.unwrap();
        assert_eq!(found.program, "store");
        assert_eq!(found.parameters, ["-a", "$(id)", "'b"]);
        assert_eq!(found.directory, directory.canonicalize().unwrap());
        assert!(Command::of("name", &all).await.is_ok());
        for text in [
            "",
            "link",
            "text",
            "folder",
            "missing",
            "../outside",
            "/bin/sh",
            "-c",
            ".",
            "..",
            "store;id",
            "|store",
            "st\u{f6}re",
        ] {
            assert!(Command::of(text, &all).await.is_err(), "{text}");
        }
        let many = format!("store {}", "x ".repeat(MAX_WORDS + 1));
        assert!(Command::of(&many, &all).await.is_err());
        let one = settings(&directory, Services::Only(vec!["store".into()]));
        assert!(Command::of("store", &one).await.is_ok());
        assert!(Command::of("other", &one).await.is_err());
        let none = settings(&directory, Services::Only(Vec::new()));
        assert!(Command::of("store", &none).await.is_err());
        let nowhere = settings(Path::new(""), Services::All);
        assert!(Command::of("store", &nowhere).await.is_err());
        let relative = settings(Path::new("programs"), Services::All);
        assert!(Command::of("store", &relative).await.is_err());
    }
}
