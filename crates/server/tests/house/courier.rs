//! A Courier of the test's own: IMAP and POP on free ports of loopback. Its paths are built in, so it
//! runs in a root directory of its own, which `./test` has unpacked whole.

#![allow(dead_code, reason = "each test file uses its part")]
#![allow(clippy::unwrap_used, reason = "a test that cannot set up should fail")]

use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::Path;
use std::process::{Command, Stdio};

use super::unpacked::{Running, crypted, is_root, unpacked};
use super::{PASSWORD, installed, ports};

/// Whose the mail is: nobody's.
const OWNER: u32 = 65_534;
const LIBRARIES: &str = "/usr/lib:/usr/lib/courier-authlib:/usr/lib/x86_64-linux-gnu";

/// See the module text.
pub(crate) struct Courier {
    running: Running,
    pub(crate) imap: u16,
    pub(crate) pop: u16,
}

impl Courier {
    /// Starts it with these accounts and the usual password; `None`, said aloud, where it cannot be
    /// had.
    pub(crate) fn start(users: &[&str]) -> Option<Self> {
        let program = unpacked("courier/usr/sbin/couriertcpd")?;
        if !is_root("courier") || !installed("openssl") || !installed("chroot") {
            return None;
        }
        let from = program.ancestors().nth(3).unwrap();
        let mut running = Running::room();
        let at = running.path().join("root");
        let words = [from.to_str().unwrap(), at.to_str().unwrap()];
        assert!(Command::new("cp").arg("-a").args(words).status().unwrap().success());
        for part in ["run/courier/authdaemon", "dev", "tmp", "home", "etc/courier/shared"] {
            std::fs::create_dir_all(at.join(part)).unwrap();
        }
        for device in ["null", "urandom"] {
            let (from, to) = (format!("/dev/{device}"), at.join("dev").join(device));
            Command::new("cp").args(["-a", &from, to.to_str().unwrap()]).status().unwrap();
        }
        std::fs::write(at.join("etc/courier/authdaemonrc"), AUTHENTICATION).unwrap();
        let (mut homes, mut passwords) = (String::new(), String::new());
        let hash = crypted(PASSWORD);
        for name in users {
            let home = at.join("home").join(name);
            for part in ["Maildir/cur", "Maildir/new", "Maildir/tmp"] {
                std::fs::create_dir_all(home.join(part)).unwrap();
            }
            for path in ["", "Maildir", "Maildir/cur", "Maildir/new", "Maildir/tmp"] {
                chown(home.join(path), Some(OWNER), Some(OWNER)).unwrap();
            }
            let owner = format!("uid={OWNER}|gid={OWNER}");
            homes += &format!("{name}\t{owner}|home=/home/{name}|mail=/home/{name}/Maildir\n");
            passwords += &format!("{name}\tsystempw={hash}\n");
        }
        table(&at, "userdb", &homes);
        table(&at, "userdbshadow", &passwords);
        let (imap, pop) = (ports::free_port(), ports::free_port());
        let inside = |words: &[&str]| -> Vec<String> {
            let root = ["/usr/sbin/chroot", at.to_str().unwrap()];
            root.iter().chain(words).map(|word| (*word).to_owned()).collect()
        };
        let mut start = |words: &[&str], environment: &[(&str, &str)]| {
            let words = inside(words);
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            let all: Vec<(&str, &str)> =
                environment.iter().copied().chain([("LD_LIBRARY_PATH", LIBRARIES)]).collect();
            running.start(&words, &all);
        };
        start(&["/usr/lib/courier/courier-authlib/authdaemond"], &[]);
        let tcp = |port: u16, words: &[&'static str]| {
            let mut all = vec!["/usr/sbin/couriertcpd".to_owned(), "-address=127.0.0.1".to_owned()];
            let more = ["-maxprocs=60", "-maxperip=60", "-nodnslookup", "-noidentlookup"];
            all.extend(more.map(str::to_owned));
            all.push(port.to_string());
            all.extend(words.iter().map(|word| (*word).to_owned()));
            all
        };
        let words = tcp(imap, &["/usr/lib/courier/courier/imaplogin", "/usr/bin/imapd", "Maildir"]);
        start(&words.iter().map(String::as_str).collect::<Vec<_>>(), IMAP);
        let (login, server) =
            ("/usr/lib/courier/courier/courierpop3login", "/usr/lib/courier/courier/courierpop3d");
        let words = tcp(pop, &[login, server, "Maildir"]);
        start(
            &words.iter().map(String::as_str).collect::<Vec<_>>(),
            &[("POP3AUTH", "PLAIN LOGIN")],
        );
        running.until_answers(&[imap, pop]);
        Some(Self { running, imap, pop })
    }
}

/// Makes one of the tables that authdaemond reads.
fn table(root: &Path, name: &str, lines: &str) {
    let (new, made) = (format!("/etc/courier/{name}.tmp"), format!("/etc/courier/{name}.dat"));
    let mut child = Command::new("chroot")
        .arg(root)
        .args(["/usr/lib/courier/courier-authlib/makedatprog", "-", &new, &made])
        .env("LD_LIBRARY_PATH", LIBRARIES)
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(format!("{lines}.\n").as_bytes()).unwrap();
    assert!(child.wait().unwrap().success(), "makedatprog makes no table");
    let secret = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(root.join(&made[1..]), secret).unwrap();
}

const AUTHENTICATION: &str = "authmodulelist=\"authuserdb\"
authmodulelistorig=\"authuserdb\"
daemons=3
authdaemonvar=/run/courier/authdaemon
DEBUG_LOGIN=0
DEFAULTOPTIONS=\"\"
LOGGEROPTS=\"\"
";

/// As Debian sets it, but without the service that watches files.
const IMAP: &[(&str, &str)] = &[
    (
        "IMAP_CAPABILITY",
        "IMAP4rev1 UIDPLUS CHILDREN NAMESPACE THREAD=ORDEREDSUBJECT THREAD=REFERENCES SORT QUOTA IDLE",
    ),
    ("IMAP_KEYWORDS", "1"),
    ("IMAP_ACL", "1"),
    ("IMAP_IDLE_TIMEOUT", "60"),
    ("IMAP_MAILBOX_SANITY_CHECK", "1"),
    ("IMAP_USELOCKS", "0"),
    ("IMAP_TRASHFOLDERNAME", "Trash"),
    ("IMAP_EMPTYTRASH", "Trash:7"),
    ("MAILDIRPATH", "Maildir"),
];
