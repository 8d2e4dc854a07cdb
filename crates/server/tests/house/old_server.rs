//! Old servers that accounts are moved away from: a Dovecot of the test's own, and mail to fill it.

#![allow(dead_code, reason = "each test file uses its part")]
#![allow(clippy::unwrap_used, reason = "a test that cannot set up should fail")]

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use angarium_xtask::corpus;

use super::{Imap, PASSWORD};

/// A Dovecot of the test's own on loopback.
pub(crate) struct Dovecot {
    directory: tempfile::TempDir,
    pub(crate) port: u16,
    child: Child,
}

impl Dovecot {
    /// Dovecot with one password for every name.
    pub(crate) fn start() -> Self {
        Self::with("")
    }

    /// The same with more lines of configuration.
    pub(crate) fn with(more: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        let port = super::ports::free_port();
        let home = root.join("home");
        std::fs::create_dir(&home).unwrap();
        // As root Dovecot needs other users to run as; mail belongs to one that is no system user.
        let root_user = Command::new("id").arg("-u").output().unwrap().stdout == b"0\n";
        let (internal, login, mail) = if root_user {
            ("dovecot".to_owned(), "dovenull".to_owned(), "nobody".to_owned())
        } else {
            let me = Command::new("id").arg("-un").output().unwrap().stdout;
            let me = String::from_utf8(me).unwrap().trim().to_owned();
            (me.clone(), me.clone(), me)
        };
        let group = Command::new("id").args(["-gn", &mail]).output().unwrap().stdout;
        let group = String::from_utf8(group).unwrap().trim().to_owned();
        if root_user {
            let owner = format!("{mail}:{group}");
            Command::new("chown").args([&owner, home.to_str().unwrap()]).status().unwrap();
            Command::new("chmod").args(["755", root.to_str().unwrap()]).status().unwrap();
        }
        let at = root.display();
        let text = format!(
            "base_dir = {at}/run\nstate_dir = {at}/state\nlog_path = {at}/log\n\
             listen = 127.0.0.1\nprotocols = imap\nssl = no\ndisable_plaintext_auth = no\n\
             default_internal_user = {internal}\ndefault_login_user = {login}\n\
             first_valid_uid = 1\nmail_uid = {mail}\nmail_gid = {group}\n\
             mail_location = sdbox:~/mail\nmail_fsync = never\n\
             passdb {{\n driver = static\n args = password={PASSWORD}\n}}\n\
             userdb {{\n driver = static\n args = uid={mail} gid={group} home={at}/home/%u\n}}\n\
             namespace inbox {{\n inbox = yes\n separator = /\n}}\n\
             service anvil {{\n chroot =\n}}\nservice stats {{\n chroot =\n}}\n\
             service imap-login {{\n chroot =\n inet_listener imap {{\n port = {port}\n }}\n\
              inet_listener imaps {{\n port = 0\n }}\n}}\n{more}"
        );
        let conf = root.join("dovecot.conf");
        std::fs::write(&conf, text).unwrap();
        let program =
            if Path::new("/usr/sbin/dovecot").exists() { "/usr/sbin/dovecot" } else { "dovecot" };
        let child = Command::new(program)
            .args(["-F", "-c", conf.to_str().unwrap()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let end = Instant::now() + Duration::from_secs(20);
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < end, "Dovecot does not start: see its log");
            std::thread::sleep(Duration::from_millis(50));
        }
        Self { directory, port, child }
    }

    /// A session of its own.
    pub(crate) fn imap(&self, user: &str) -> Imap {
        Imap::login(self.port, user, PASSWORD)
    }
}

impl Drop for Dovecot {
    fn drop(&mut self) {
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        let _ = self.child.wait();
        let _ = &self.directory;
    }
}

/// Modified UTF-7 by way of the crate under test's own neighbour would prove nothing: names go in
/// as Dovecot takes them and come out by its own LIST.
pub(crate) fn wire(name: &str) -> String {
    let mut out = Vec::new();
    angarium_imap::mailbox_name::encode(name, &mut out);
    String::from_utf8(out).unwrap()
}

/// Fills the account of a Dovecot with a seeded corpus; how many messages each mailbox got.
pub(crate) fn fill(
    dovecot: &Dovecot,
    user: &str,
    messages: usize,
    mailboxes: usize,
) -> BTreeMap<String, usize> {
    let mut by_mailbox: BTreeMap<String, Vec<corpus::Generated>> = BTreeMap::new();
    for message in corpus::generate(7, messages, mailboxes) {
        by_mailbox.entry(message.mailbox.clone()).or_default().push(message);
    }
    let mut imap = dovecot.imap(user);
    let mut counts = BTreeMap::new();
    for (name, all) in by_mailbox {
        let name = wire(&name);
        if name != "INBOX" {
            let _ = imap.command(&format!("CREATE \"{name}\""));
            imap.ok(&format!("SUBSCRIBE \"{name}\""));
        }
        counts.insert(name.clone(), all.len());
        imap.append_all(
            &name,
            all.iter().map(|m| (m.flags.join(" "), m.internal_date(), m.bytes.as_slice())),
        );
    }
    counts
}
