//! Follows the server settings `ExternalAUTH` and `OSPasswords`: starts, changes and ends their
//! programs as they are changed, without a restart of the server.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use angarium_accounts::{Accounts, Change, ChangeListener, Dictionary, Value};
use tokio::sync::{Notify, watch};

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

/// What runs now.
#[derive(Default)]
struct InUse {
    external: Option<Authenticator>,
    /// How the program for the operating system's passwords is run.
    system: Option<HelperOptions>,
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
        self.accounts.set_unknown_consultant(None);
        self.accounts.set_external_authenticator(None);
        self.accounts.set_provision_listener(None);
        self.accounts.set_system_passwords(None);
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
            if in_use.external.take().is_some() {
                self.accounts.set_unknown_consultant(None);
                self.accounts.set_external_authenticator(None);
                self.accounts.set_provision_listener(None);
            }
            return;
        };
        if in_use.external.as_ref().is_some_and(|old| old.is_as(&options, &settings)) {
            return;
        }
        let fresh = Authenticator::start(options, &settings);
        self.accounts.set_unknown_consultant(Some(Box::new(fresh.clone())));
        self.accounts.set_external_authenticator(Some(Box::new(fresh.clone())));
        self.accounts.set_provision_listener(Some(Box::new(fresh.clone())));
        in_use.external = Some(fresh);
    }

    fn load_system(&self, in_use: &mut InUse, settings: &Dictionary, faults: &mut Vec<String>) {
        (self.level)(os_passwords::TAG, log_level(settings));
        let wanted = switch(settings, "Enabled", true)
            .then(|| os_passwords::options(&self.base, settings).map(launch::for_logins))
            .transpose();
        let wanted = wanted.unwrap_or_else(|why| {
            faults.push(format!("OSPasswords: {why}"));
            None
        });
        if in_use.system == wanted {
            return;
        }
        in_use.system.clone_from(&wanted);
        let fresh = wanted.map(|options| Box::new(OsPasswords::new(options)) as Box<_>);
        self.accounts.set_system_passwords(fresh);
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
