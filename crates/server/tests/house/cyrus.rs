//! A Cyrus of the test's own: IMAP and POP on free ports of loopback, its accounts in a file of
//! SASL's. Mailboxes are named in its old way, `INBOX.Work.2024`.

#![allow(dead_code, reason = "each test file uses its part")]
#![allow(clippy::unwrap_used, reason = "a test that cannot set up should fail")]

use std::io::Write as _;
use std::process::{Command, Stdio};

use super::unpacked::{Running, libraries, unpacked};
use super::{Imap, PASSWORD, installed, ports};

/// The administrator, who may act for anyone.
pub(crate) const ADMIN: &str = "cyrus";
const DOMAIN: &str = "old.example";

/// See the module text.
pub(crate) struct Cyrus {
    running: Running,
    pub(crate) imap: u16,
    pub(crate) pop: u16,
}

impl Cyrus {
    /// Starts it with these accounts and the usual password; `None`, said aloud, where it cannot be
    /// had.
    pub(crate) fn start(users: &[&str]) -> Option<Self> {
        if !installed("saslpasswd2") {
            return None;
        }
        let master = unpacked("cyrus/usr/lib/cyrus/bin/master")?;
        let bin = master.parent().unwrap().to_owned();
        let root = bin.ancestors().nth(4).unwrap().to_owned();
        let mut running = Running::room();
        let at = running.path().to_owned();
        let parts = ["run", "spool", "proc", "lock"].map(str::to_owned).into_iter().chain(
            ["db", "proc", "socket", "user", "quota", "msg", "log", "sieve"]
                .map(|part| format!("config/{part}")),
        );
        for part in parts {
            std::fs::create_dir_all(at.join(part)).unwrap();
        }
        let id = |words: &[&str]| {
            let out = Command::new("id").args(words).output().unwrap().stdout;
            String::from_utf8(out).unwrap().trim().to_owned()
        };
        // It does not run as root.
        let is_root = id(&["-u"]) == "0";
        let user = if is_root { "nobody".to_owned() } else { id(&["-un"]) };
        let group = id(&["-gn", &user]);
        for name in users.iter().chain([&ADMIN]) {
            let file = at.join("config/sasldb2");
            let mut child = Command::new("saslpasswd2")
                .args(["-p", "-c", "-u", DOMAIN, "-f", file.to_str().unwrap(), name])
                .stdin(Stdio::piped())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            child.stdin.take().unwrap().write_all(PASSWORD.as_bytes()).unwrap();
            assert!(child.wait().unwrap().success(), "saslpasswd2 makes no account");
        }
        let (imap, pop) = (ports::free_port(), ports::free_port());
        let fill = |text: &str| {
            text.replace("{at}", at.to_str().unwrap())
                .replace("{bin}", bin.to_str().unwrap())
                .replace("{user}", &user)
                .replace("{group}", &group)
                .replace("{imap}", &imap.to_string())
                .replace("{pop}", &pop.to_string())
        };
        std::fs::write(at.join("imapd.conf"), fill(IMAPD)).unwrap();
        std::fs::write(at.join("cyrus.conf"), fill(SERVICES)).unwrap();
        if is_root {
            let owner = format!("{user}:{group}");
            Command::new("chown").args(["-R", &owner, at.to_str().unwrap()]).status().unwrap();
        }
        let path = |name: &str| at.join(name).to_str().unwrap().to_owned();
        let words = [
            master.to_str().unwrap(),
            "-C",
            &path("imapd.conf"),
            "-M",
            &path("cyrus.conf"),
            "-p",
            &path("run/master.pid"),
        ];
        running.start(&words, &[("LD_LIBRARY_PATH", &libraries(&root))]);
        running.until_answers(&[imap, pop]);
        // Not by the first login: of two mailboxes made that way at once, one may lie in the other.
        let mut admin = Imap::login(imap, ADMIN, PASSWORD);
        for name in users {
            admin.ok(&format!("CREATE user.{name}"));
        }
        Some(Self { running, imap, pop })
    }
}

const IMAPD: &str = "configdirectory: {at}/config
partition-default: {at}/spool
proc_path: {at}/proc
mboxname_lockpath: {at}/lock
sievedir: {at}/config/sieve
cyrus_user: {user}
cyrus_group: {group}
admins: cyrus
proxyservers: cyrus
servername: old.example
unixhierarchysep: no
altnamespace: no
virtdomains: off
allowplaintext: yes
munge8bit: no
sasl_pwcheck_method: auxprop
sasl_auxprop_plugin: sasldb
sasl_sasldb_path: {at}/config/sasldb2
sasl_mech_list: PLAIN LOGIN
conversations: yes
delete_mode: immediate
search_engine: none
popminpoll: 0
maxlogins_per_host: 0
maxlogins_per_user: 0
";

const SERVICES: &str = "START {
  recover cmd=\"{bin}/ctl_cyrusdb -C {at}/imapd.conf -r\"
}
SERVICES {
  imap cmd=\"{bin}/imapd -C {at}/imapd.conf -U 200\" listen=\"127.0.0.1:{imap}\" proto=tcp4 prefork=1 maxchild=100
  pop3 cmd=\"{bin}/pop3d -C {at}/imapd.conf -U 200\" listen=\"127.0.0.1:{pop}\" proto=tcp4 prefork=0 maxchild=100
}
EVENTS {
  checkpoint cmd=\"{bin}/ctl_cyrusdb -C {at}/imapd.conf -c\" period=1440
}
";
