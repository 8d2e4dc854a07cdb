//! Passwords of the operating system (setting `OSPasswords`, `UseSysPassword` of accounts): asked of
//! a helper program that talks to PAM, so that neither its modules nor the rights they need come
//! into the server. It speaks as every authentication helper, with names of the operating system.

use std::path::Path;

use angarium_accounts::{Asked, Dictionary, Secret, SystemPasswords, Value};
use async_trait::async_trait;
use zeroize::Zeroizing;

use crate::launch;
use crate::process::{HelperError, HelperOptions, HelperProcess};
use crate::words::{self, Word};

/// The tag of its log records.
pub const TAG: &str = "OSAUTH";
/// Our program that talks to PAM; it lies beside the server's.
pub const PROGRAM: &str = "angarium-os-passwords";
/// The service of PAM when none is set.
const SERVICE: &str = "angarium";
/// Passwords checked at a time when nothing is set; PAM waits two seconds after a wrong one.
const AT_ONCE: i64 = 16;
/// Most passwords checked at a time.
pub const MAX_AT_ONCE: i64 = 128;
/// Time limit when none is set, in seconds.
const LIMIT: u64 = 30;

/// The program while it is in use. Dropping it ends the program.
pub struct OsPasswords(HelperProcess);

/// How the program is to be run by the setting.
///
/// # Errors
/// *Never*: why it cannot be, for the log.
pub fn options(base: &Path, settings: &Dictionary) -> Result<HelperOptions, String> {
    let bare = |options| HelperOptions { bare: true, ..options };
    if settings.get("ProgramName").and_then(Value::as_str).is_some_and(|name| !name.is_empty()) {
        return launch::options(base, settings, TAG, LIMIT).map(bare);
    }
    let service = settings.get("Service").and_then(Value::as_str).unwrap_or(SERVICE);
    if !is_service(service) {
        return Err(format!("{service:?} is not the name of a service of PAM"));
    }
    let at_once = settings.get("AtOnce").and_then(Value::as_number).unwrap_or(AT_ONCE);
    let restart = launch::switch(settings, "AutoRestart", true);
    Ok(HelperOptions {
        tag: TAG.to_owned(),
        program: launch::beside_us(PROGRAM).ok_or("the program's own directory is not known")?,
        arguments: vec![
            "--service".to_owned(),
            service.to_owned(),
            "--at-once".to_owned(),
            at_once.clamp(1, MAX_AT_ONCE).to_string(),
        ],
        directory: "/".into(),
        time_limit: launch::seconds(settings, "TimeOut", LIMIT),
        restart: restart.then(|| launch::seconds(settings, "RestartPause", 5)),
        eager: false,
        bare: true,
    })
}

/// The name of a file in `/etc/pam.d`, not a path.
fn is_service(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
        && !name.starts_with('.')
}

impl OsPasswords {
    /// Makes it ready; the program is started when it is first asked. Needs a running tokio
    /// runtime.
    #[must_use]
    pub fn new(options: HelperOptions) -> Self {
        Self(HelperProcess::new(options))
    }
}

#[async_trait]
impl SystemPasswords for OsPasswords {
    async fn check(&self, user: &str, asked: &Asked, password: &Secret) -> Result<bool, String> {
        let mode = format!("VRFY ({}) {user} ", words::mode(asked.service));
        let request = Zeroizing::new([mode.as_bytes(), password.expose()].concat());
        let answer = tokio::time::timeout(launch::LONGEST_WAIT, self.0.request(&*request)).await;
        let response = answer.unwrap_or(Err(HelperError::TimedOut)).map_err(|e| e.to_string())?;
        let said = words::read(&response);
        tracing::debug!(target: "HELPER", tag = TAG, "VRFY {user}: {}", said.shown());
        match said {
            Word::Ok => Ok(true),
            Word::Error(_) => Ok(false),
            later => Err(later.shown()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_program_is_run_with_the_service_of_the_setting() {
        let read = |text: &str| match angarium_objects::text::parse_line(text) {
            Ok(Value::Dictionary(settings)) => options(Path::new("/base"), &settings),
            other => panic!("{text}: {other:?}"),
        };
        let usual = read("{}").unwrap();
        assert!(usual.program.ends_with(PROGRAM) && usual.bare);
        assert_eq!(usual.arguments, ["--service", "angarium", "--at-once", "16"]);
        let other = read("{Service=mail;AtOnce=1000;}").unwrap();
        assert_eq!(other.arguments, ["--service", "mail", "--at-once", "128"]);
        let foreign = read("{ProgramName=\"check -x\";Service=\"../x\";}").unwrap();
        assert_eq!((foreign.arguments, foreign.bare), (vec!["-x".to_owned()], true));
        for service in ["../login", "", ".x", "a b"] {
            assert!(read(&format!("{{Service=\"{service}\";}}")).is_err(), "{service}");
        }
    }
}
