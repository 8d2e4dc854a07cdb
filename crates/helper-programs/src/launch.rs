//! How a helper program is started, out of its setting: `{Enabled; ProgramName; TimeOut;
//! RestartPause; AutoRestart;}` (`reference/helpers.md` section 1). A line of a setting is a program
//! and its arguments, never a line for a shell.

use std::path::{Path, PathBuf};
use std::time::Duration;

use angarium_objects::spelling;
use angarium_objects::value::{Dictionary, Value};

use crate::process::HelperOptions;

/// Most octets of a program's path and arguments.
const MAX_PROGRAM: usize = 4_096;
/// Longest time limit, in seconds.
const MAX_TIME: u64 = 3_600;
/// Longest time limit where a mail program or a mail server waits for us, in seconds.
const MAX_LOGIN_TIME: u64 = 50;
/// Longest wait of such, the program being started again included: they wait longer for us.
pub const LONGEST_WAIT: Duration = Duration::from_secs(MAX_LOGIN_TIME + 5);
/// Pause before a program is started again, in seconds.
const PAUSE: u64 = 5;
/// The file with the beginnings of paths that may be started, below the base directory.
pub const ALLOWED: &str = "Settings/ChildProcs.data";

/// The value of a duration in a setting, from one second to an hour.
#[must_use]
pub fn seconds(settings: &Dictionary, key: &str, usual: u64) -> Duration {
    let seconds = settings.get(key).and_then(spelling::duration).unwrap_or(usual);
    Duration::from_secs(seconds.clamp(1, MAX_TIME))
}

/// A switch in a setting.
#[must_use]
pub fn switch(settings: &Dictionary, key: &str, usual: bool) -> bool {
    settings.get(key).and_then(spelling::boolean).unwrap_or(usual)
}

/// How a program is to be run by its setting.
///
/// # Errors
/// *Never*: why it cannot be, for the log.
pub fn options(
    base: &Path,
    settings: &Dictionary,
    tag: &str,
    usual_limit: u64,
) -> Result<HelperOptions, String> {
    // A path relative to the program's working directory would be taken twice.
    let base = std::path::absolute(base).unwrap_or_else(|_| base.to_owned());
    let line = settings.get("ProgramName").and_then(Value::as_str).unwrap_or_default();
    let mut words = arguments(line).into_iter();
    let Some(program) = words.next().filter(|_| line.len() <= MAX_PROGRAM) else {
        return Err("no program is named".to_owned());
    };
    let program = match program.strip_prefix('$') {
        Some(rest) => beside_us(rest).ok_or("the program's own directory is not known")?,
        None => base.join(&program),
    };
    if !allowed(&base, &program) {
        return Err(format!("{} is not allowed by {ALLOWED}", program.display()));
    }
    let restarts = switch(settings, "AutoRestart", true);
    Ok(HelperOptions {
        tag: tag.to_owned(),
        program,
        arguments: words.collect(),
        directory: base,
        time_limit: seconds(settings, "TimeOut", usual_limit),
        restart: restarts.then(|| seconds(settings, "RestartPause", PAUSE)),
        eager: false,
        bare: false,
    })
}

/// The same program, with a time limit that those who log in can wait for.
#[must_use]
pub fn for_logins(options: HelperOptions) -> HelperOptions {
    let time_limit = options.time_limit.min(Duration::from_secs(MAX_LOGIN_TIME));
    HelperOptions { time_limit, ..options }
}

/// A file in the directory of the running program.
#[must_use]
pub fn beside_us(name: &str) -> Option<PathBuf> {
    Some(std::env::current_exe().ok()?.parent()?.join(name.trim_start_matches('/')))
}

/// Where there is a list of paths that may be started, a program's path begins with one of them.
fn allowed(base: &Path, path: &Path) -> bool {
    match std::fs::read_to_string(base.join(ALLOWED)) {
        Ok(list) => {
            let plain = !path.components().any(|c| c == std::path::Component::ParentDir);
            let lines = list.lines().map(str::trim).filter(|line| !line.is_empty());
            plain && lines.into_iter().any(|line| path.to_string_lossy().starts_with(line))
        }
        Err(error) => error.kind() == std::io::ErrorKind::NotFound,
    }
}

/// A program and its arguments, quotation marks around those with spaces.
fn arguments(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let (mut word, mut quoted, mut begun) = (String::new(), false, false);
    for c in line.chars() {
        match c {
            '"' => (quoted, begun) = (!quoted, true),
            ' ' | '\t' if !quoted => {
                if begun {
                    words.push(std::mem::take(&mut word));
                }
                begun = false;
            }
            c if c.is_control() => {}
            c => {
                word.push(c);
                begun = true;
            }
        }
    }
    if begun {
        words.push(word);
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(base: &Path, text: &str) -> Result<HelperOptions, String> {
        match angarium_objects::text::parse_line(text) {
            Ok(Value::Dictionary(settings)) => options(base, &settings, "TEST", 20),
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn a_program_and_its_arguments_are_never_a_shell_line() {
        assert_eq!(arguments("Filter -a \"b c\" \"\" ;rm"), ["Filter", "-a", "b c", "", ";rm"]);
        assert!(arguments("  ").is_empty());
    }

    #[test]
    fn a_setting_says_how_a_program_is_run() {
        let base = Path::new("/no/such/base");
        let usual = read(base, "{ProgramName=\"auth.pl -x\";}").unwrap();
        assert_eq!(usual.program, base.join("auth.pl"));
        assert_eq!(
            (usual.arguments.as_slice(), usual.tag.as_str()),
            (&["-x".to_owned()][..], "TEST")
        );
        assert_eq!(usual.time_limit.as_secs(), 20);
        assert_eq!(usual.restart.map(|pause| pause.as_secs()), Some(5));
        let other = "{ProgramName=\"/opt/auth\";TimeOut=2m;RestartPause=0s;AutoRestart=YES;}";
        let other = read(base, other).unwrap();
        assert_eq!(other.program, Path::new("/opt/auth"));
        assert_eq!(other.time_limit.as_secs(), 120);
        assert_eq!(other.restart.map(|pause| pause.as_secs()), Some(1));
        let beside = read(base, "{ProgramName=\"$auth\";AutoRestart=NO;}").unwrap();
        assert!(beside.program.ends_with("auth") && !beside.program.starts_with(base));
        assert_eq!(beside.restart, None);
        assert!(read(base, "{ProgramName=\"\";}").is_err());
        assert!(read(base, &format!("{{ProgramName=\"{}\";}}", "x".repeat(5_000))).is_err());
    }
}
