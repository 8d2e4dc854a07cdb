//! Follows the server settings `ExternalAUTH` and `OSPasswords`: starts, changes and ends their
//! programs as they are changed, without a restart of the server.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use angarium_accounts::{Accounts, Change, ChangeListener, Dictionary, Value};
use tokio::sync::{Notify, watch};

use crate::absent::Absent;
use crate::authenticator::{self, Authenticator};
use crate::launch::{self, switch};
use crate::os_passwords::{self, OsPasswords};
use crate::process::HelperOptions;

/// Time limit of the external authenticator when none is set, in seconds.
const LIMIT: u64 = 20;
/// How often settings are read again though nobody said that they changed.
const LOOK_AGAIN: Duration = Duration::from_secs(60);

/// Sets how much is logged under a tag; `None` is as usual.
pub type SetLevel = Box<dyn Fn(&'static str, Option<u8>) + Send + Sync>;

/// The external authenticator as it stands.
enum External {
    Runs(Authenticator),
    Absent(Absent),
}

/// What runs now.
#[derive(Default)]
struct InUse {
    /// `None` before the settings were read.
    external: Option<External>,
    /// How the program for the operating system's passwords is run, or why it is not.
    system: Option<Result<HelperOptions, Absent>>,
    /// What could not be run, so that it is told once.
    told: Vec<String>,
}

/// The helper programs that logins ask.
pub struct HelperPrograms {
    accounts: Arc<Accounts>,
    base: PathBuf,
    level: SetLevel,
    in_use: Mutex<InUse>,
}

struct Ear(Arc<Notify>);

impl ChangeListener for Ear {
    fn changed(&self, change: &Change) {
        if matches!(change, Change::Settings) {
            self.0.notify_one();
        }
    }
}

impl HelperPrograms {
    /// Starts what the settings name, and follows them until `stopping` says so; then the programs
    /// are ended.
    pub async fn start(
        accounts: Arc<Accounts>,
        base: &Path,
        level: SetLevel,
        stopping: watch::Receiver<bool>,
    ) {
        let changed = Arc::new(Notify::new());
        if !accounts.add_listener(Arc::new(Ear(changed.clone()))) {
            tracing::error!(target: "HELPER", "changed settings of helper programs are not heard of");
        }
        let (base, in_use) = (base.to_owned(), Mutex::default());
        let programs = Self { accounts, base, level, in_use };
        programs.load().await;
        tokio::spawn(programs.follow(changed, stopping));
    }

    async fn follow(self, changed: Arc<Notify>, mut stopping: watch::Receiver<bool>) {
        loop {
            tokio::select! {
                () = told(&mut stopping) => break,
                _ = tokio::time::timeout(LOOK_AGAIN, changed.notified()) => self.load().await,
            }
        }
        // Whoever still asks is to ask again when the server is back.
        self.set_absent(Absent::Stopping);
        self.accounts.set_system_passwords(Some(Box::new(Absent::Stopping)));
    }

    /// Nobody is asked outside; the programs of before end.
    fn set_absent(&self, absent: Absent) {
        let consultant = (absent != Absent::Off).then(|| Box::new(absent) as Box<_>);
        self.accounts.set_unknown_consultant(consultant);
        self.accounts.set_external_authenticator(Some(Box::new(absent)));
        self.accounts.set_provision_listener(None);
    }

    async fn load(&self) {
        let settings = match self.accounts.read_server_settings().await {
            Ok(settings) => settings,
            Err(error) => {
                tracing::error!(target: "HELPER", "settings of helper programs cannot be read: {error}");
                return;
            }
        };
        let mut in_use = self.in_use.lock().unwrap_or_else(PoisonError::into_inner);
        let mut faults = Vec::new();
        let own = |key: &str| settings.get(key).and_then(Value::as_dictionary).cloned();
        self.load_external(&mut in_use, own("ExternalAUTH"), &mut faults);
        self.load_system(&mut in_use, &own("OSPasswords").unwrap_or_default(), &mut faults);
        for fault in faults.iter().filter(|fault| !in_use.told.contains(fault)) {
            tracing::error!(target: "HELPER", "{fault}");
        }
        in_use.told = faults;
    }

    fn load_external(
        &self,
        in_use: &mut InUse,
        settings: Option<Dictionary>,
        faults: &mut Vec<String>,
    ) {
        let settings = settings.filter(|settings| switch(settings, "Enabled", true));
        let absent = if settings.is_some() { Absent::Unable } else { Absent::Off };
        (self.level)(authenticator::TAG, settings.as_ref().and_then(log_level));
        let wanted = settings.and_then(|settings| {
            match launch::options(&self.base, &settings, authenticator::TAG, LIMIT) {
                Ok(options) => {
                    let options = launch::for_logins(options);
                    Some((HelperOptions { eager: true, ..options }, settings))
                }
                Err(why) => {
                    faults.push(format!("ExternalAUTH: {why}"));
                    None
                }
            }
        });
        let Some((options, settings)) = wanted else {
            if !matches!(&in_use.external, Some(External::Absent(old)) if *old == absent) {
                self.set_absent(absent);
                in_use.external = Some(External::Absent(absent));
            }
            return;
        };
        if matches!(&in_use.external, Some(External::Runs(old)) if old.is_as(&options, &settings)) {
            return;
        }
        let fresh = Authenticator::start(options, &settings);
        self.accounts.set_unknown_consultant(Some(Box::new(fresh.clone())));
        self.accounts.set_external_authenticator(Some(Box::new(fresh.clone())));
        self.accounts.set_provision_listener(Some(Box::new(fresh.clone())));
        in_use.external = Some(External::Runs(fresh));
    }

    fn load_system(&self, in_use: &mut InUse, settings: &Dictionary, faults: &mut Vec<String>) {
        (self.level)(os_passwords::TAG, log_level(settings));
        let wanted = match os_passwords::options(&self.base, settings) {
            _ if !switch(settings, "Enabled", true) => Err(Absent::Off),
            Ok(options) => Ok(launch::for_logins(options)),
            Err(why) => {
                faults.push(format!("OSPasswords: {why}"));
                Err(Absent::Unable)
            }
        };
        if in_use.system.as_ref() == Some(&wanted) {
            return;
        }
        in_use.system = Some(wanted.clone());
        self.accounts.set_system_passwords(Some(match wanted {
            Ok(options) => Box::new(OsPasswords::new(options)),
            Err(absent) => Box::new(absent),
        }));
    }
}

/// Waits for the word to stop.
async fn told(stopping: &mut watch::Receiver<bool>) {
    // Whoever gives it may also just go away.
    let _ = stopping.wait_for(|stop| *stop).await;
}

fn log_level(settings: &Dictionary) -> Option<u8> {
    let level = settings.get("LogLevel").and_then(Value::as_number)?;
    u8::try_from(level.clamp(0, 5)).ok()
}
