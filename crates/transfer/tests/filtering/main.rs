//! Filters: milters and External Filters look at mail before it is accepted.
//! Filters of the field run as they are installed; where one is missing the test says so.

#![allow(clippy::unwrap_used, reason = "a test may")]
#![allow(missing_docs, unreachable_pub, reason = "each test file uses its own part")]

#[path = "../house/mod.rs"]
mod house;

mod external;
mod milter;
mod programs;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use angarium_accounts::{Actor, Value};
use angarium_objects::text::parse_line;
use house::House;

/// A directory of a test, removed with it.
pub struct Directory(pub PathBuf);

impl Directory {
    pub fn new(name: &str) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("{name}-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    /// A file that can be run.
    pub fn program(&self, name: &str, text: &str) -> PathBuf {
        use std::os::unix::fs::PermissionsExt;
        let path = self.0.join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        path
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Sets the milters and waits until they are in use.
pub async fn use_milters(house: &House, text: &str) {
    let settings = parse_line(&format!("{{Milters={text};}}")).unwrap();
    let Value::Dictionary(settings) = settings else { panic!("{text}") };
    let console = Actor::console();
    house.accounts.update_module_settings(&console, "Protection", settings).await.unwrap();
    in_use(house).await;
}

/// Sets the External Filters and waits until they are in use.
pub async fn use_helpers(house: &House, base: &Path, text: &str) {
    house.transfer.use_base(base);
    let settings = parse_line(&format!("{{ExternalFilters={text};}}")).unwrap();
    let Value::Dictionary(settings) = settings else { panic!("{text}") };
    let console = Actor::console();
    house.accounts.update_server_settings(&console, settings).await.unwrap();
    in_use(house).await;
}

async fn in_use(house: &House) {
    for _ in 0..1_000 {
        if house.transfer.filters().count() > 0 {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    panic!("the filters are not in use");
}

/// Sends a message to alice; answers the last reply.
pub async fn send(house: &House, message: &str) -> String {
    let mut client = house.client().await;
    client.hello().await;
    let content = message.replace('\n', "\r\n");
    client.mail("sender@outside.example", &["alice@main.example"], &content).await
}

/// The only message of alice's INBOX.
pub async fn only(house: &House, address: &str) -> String {
    house.settled().await;
    let mut all = house.inbox(address).await;
    assert_eq!(all.len(), 1, "{address}: {all:#?}");
    all.remove(0)
}

/// A file where a program of the field may be.
pub fn installed(paths: &[&str]) -> Option<PathBuf> {
    let found = paths.iter().map(PathBuf::from).find(|path| path.exists());
    if found.is_none() {
        println!("skipped: {} is not installed", paths[0]);
    }
    found
}
