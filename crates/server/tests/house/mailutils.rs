//! The servers of GNU Mailutils: IMAP and POP on free ports of loopback, mail in plain mailbox files,
//! accounts in a password file of a domain. IMAP4rev1 and little more: what an old server knew.

#![allow(dead_code, reason = "each test file uses its part")]
#![allow(clippy::unwrap_used, reason = "a test that cannot set up should fail")]

use std::os::unix::fs::chown;

use super::unpacked::{Running, crypted, is_root, libraries, unpacked};
use super::{PASSWORD, installed, ports};

/// Whose the mail is: nobody's.
const OWNER: u32 = 65_534;
/// The domain of its accounts, which is part of their login names.
pub(crate) const DOMAIN: &str = "old.example";

/// See the module text.
pub(crate) struct Mailutils {
    running: Running,
    pub(crate) imap: u16,
    pub(crate) pop: u16,
}

impl Mailutils {
    /// Starts it with these accounts and the usual password; `None`, said aloud, where it cannot be
    /// had.
    pub(crate) fn start(users: &[&str]) -> Option<Self> {
        let program = unpacked("mailutils/usr/sbin/imap4d")?;
        if !is_root("mailutils") || !installed("openssl") {
            return None;
        }
        let root = program.ancestors().nth(3).unwrap();
        let mut running = Running::room();
        let at = running.path().to_owned();
        for part in ["home", "domains", "spool"] {
            std::fs::create_dir(at.join(part)).unwrap();
        }
        let (hash, mut lines) = (crypted(PASSWORD), String::new());
        for name in users {
            let home = at.join("home").join(name);
            std::fs::create_dir(&home).unwrap();
            // What is not there takes no message.
            std::fs::write(home.join("INBOX"), "").unwrap();
            for path in [&home, &home.join("INBOX")] {
                chown(path, Some(OWNER), Some(OWNER)).unwrap();
            }
            let home = home.display();
            lines += &format!("{name}:{hash}:{OWNER}:{OWNER}:{name}:{home}:/bin/false\n");
        }
        std::fs::write(at.join("domains").join(DOMAIN), lines).unwrap();
        let (imap, pop) = (ports::free_port(), ports::free_port());
        for (name, port) in [("imap4d", imap), ("pop3d", pop)] {
            let text = CONF
                .replace("{at}", at.to_str().unwrap())
                .replace("{name}", name)
                .replace("{port}", &port.to_string());
            let conf = at.join(format!("{name}.conf"));
            std::fs::write(&conf, text).unwrap();
            let program = root.join("usr/sbin").join(name);
            let conf = format!("--config-file={}", conf.display());
            running.start(
                &[program.to_str().unwrap(), &conf],
                &[("LD_LIBRARY_PATH", &libraries(root))],
            );
        }
        running.until_answers(&[imap, pop]);
        Some(Self { running, imap, pop })
    }
}

const CONF: &str = "mode daemon;
foreground yes;
max-children 60;
pidfile {at}/{name}.pid;
tcp-wrappers { enable no; };
auth { authentication \"generic:virtdomain\"; authorization \"virtdomain\"; };
virtdomain { passwd-dir {at}/domains; };
mailbox { mail-spool \"{at}/spool\"; };
locking { type kernel; };
logging { syslog no; };
server 127.0.0.1:{port} { transcript no; };
";
