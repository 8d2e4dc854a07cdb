//! Old servers that accounts are moved away from: a Dovecot of the test's own, and mail to fill it.

#![allow(dead_code, reason = "each test file uses its part")]
#![allow(clippy::unwrap_used, reason = "a test that cannot set up should fail")]

use std::collections::BTreeMap;
use std::process::{Child, Command};

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
        let super::dovecot_start::Users { internal, login, mail, group } =
            super::dovecot_start::users_with_homes(root);
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
        let child = super::dovecot_start::started(root, &text, &[port]);
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
