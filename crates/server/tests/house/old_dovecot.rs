//! An old server to move from: a Dovecot of the test's own on free ports with IMAP, POP and LMTP,
//! its users in a file, their mail in maildirs that the test fills by hand.

#![allow(dead_code, reason = "each test file uses its part")]
#![allow(clippy::unwrap_used, reason = "a test that cannot set up should fail")]

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

use super::dovecot_start::{Users, started, users_with_homes};
use super::{installed, ports};

/// See the module text.
pub(crate) struct OldDovecot {
    directory: tempfile::TempDir,
    pub(crate) imap: u16,
    pub(crate) pop: u16,
    pub(crate) lmtp: u16,
    /// Owner of the mail.
    owner: Option<(u32, u32)>,
    child: Child,
}

impl OldDovecot {
    /// Starts it with these users and passwords; `None`, said aloud, where it is not installed.
    pub(crate) fn start(users: &[(String, String)]) -> Option<Self> {
        if !installed("dovecot") || !Path::new("/usr/lib/dovecot/pop3").exists() {
            println!("skipped: dovecot's pop3 is not installed");
            return None;
        }
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        let Users { internal, login, mail, group } = users_with_homes(root);
        // Homes are made by whoever the mail belongs to.
        let home = std::fs::metadata(root.join("home")).unwrap();
        let owner = (login != mail).then(|| (home.uid(), home.gid()));
        let lines: String =
            users.iter().map(|(name, password)| format!("{name}:{{PLAIN}}{password}\n")).collect();
        std::fs::write(root.join("users"), lines).unwrap();
        let (imap, pop, lmtp) = (ports::free_port(), ports::free_port(), ports::free_port());
        let text = CONF
            .replace("{at}", root.to_str().unwrap())
            .replace("{internal}", &internal)
            .replace("{login}", &login)
            .replace("{mail}", &mail)
            .replace("{group}", &group)
            .replace("{imap}", &imap.to_string())
            .replace("{pop}", &pop.to_string())
            .replace("{lmtp}", &lmtp.to_string());
        let child = started(root, &text, &[imap, pop, lmtp]);
        Some(Self { directory, imap, pop, lmtp, owner, child })
    }

    /// What it says of its work.
    pub(crate) fn log(&self) -> String {
        let log = std::fs::read(self.directory.path().join("log")).unwrap_or_default();
        String::from_utf8_lossy(&log).into_owned()
    }

    /// A mailbox of a user; the empty name is the INBOX, others have dots between levels.
    pub(crate) fn mailbox(&self, user: &str, name: &str) -> PathBuf {
        let maildir = self.directory.path().join("home").join(user).join("Maildir");
        if name.is_empty() { maildir } else { maildir.join(format!(".{name}")) }
    }

    /// Puts messages into a mailbox that is made if it is missing. Lines may end with LF.
    pub(crate) fn put(&self, user: &str, mailbox: &str, messages: &[Vec<u8>]) {
        let at = self.mailbox(user, mailbox);
        for part in ["cur", "new", "tmp"] {
            std::fs::create_dir_all(at.join(part)).unwrap();
        }
        let before = std::fs::read_dir(at.join("cur")).unwrap().count();
        for (n, message) in messages.iter().enumerate() {
            // Seconds of the arrival rise with the number: that is the order.
            let name = format!("{}.M{n}P1.old:2,S", 1_600_000_000 + before + n);
            std::fs::write(at.join("cur").join(name), message).unwrap();
        }
        let home = self.directory.path().join("home").join(user);
        if let Some((user, group)) = self.owner {
            chown_all(&home, user, group);
        }
    }
}

fn chown_all(at: &Path, user: u32, group: u32) {
    std::os::unix::fs::chown(at, Some(user), Some(group)).unwrap();
    if at.is_dir() {
        for entry in std::fs::read_dir(at).unwrap() {
            chown_all(&entry.unwrap().path(), user, group);
        }
    }
}

impl Drop for OldDovecot {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = self.log();
            let tail: Vec<&str> = log.lines().rev().take(20).collect();
            eprintln!("== what Dovecot says\n{}", tail.join("\n"));
        }
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        let _ = self.child.wait();
    }
}

const CONF: &str = "base_dir = {at}/run
state_dir = {at}/state
log_path = {at}/log
listen = 127.0.0.1
protocols = imap pop3 lmtp
ssl = no
disable_plaintext_auth = no
default_internal_user = {internal}
default_login_user = {login}
default_process_limit = 400
default_client_limit = 2000
first_valid_uid = 1
mail_uid = {mail}
mail_gid = {group}
mail_location = maildir:~/Maildir
mail_fsync = never
auth_mechanisms = plain
auth_failure_delay = 0
mail_max_userip_connections = 50
passdb {
  driver = passwd-file
  args = username_format=%n {at}/users
}
userdb {
  driver = static
  args = uid={mail} gid={group} home={at}/home/%n
}
namespace inbox {
  inbox = yes
  separator = /
}
service anvil {
  chroot =
}
service stats {
  chroot =
}
service imap-login {
  chroot =
  service_count = 0
  inet_listener imap {
    port = {imap}
  }
  inet_listener imaps {
    port = 0
  }
}
service pop3-login {
  chroot =
  service_count = 0
  inet_listener pop3 {
    port = {pop}
  }
  inet_listener pop3s {
    port = 0
  }
}
service imap {
  service_count = 100
}
service lmtp {
  inet_listener lmtp {
    address = 127.0.0.1
    port = {lmtp}
  }
}
";
