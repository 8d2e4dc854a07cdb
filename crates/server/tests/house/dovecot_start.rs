//! How a Dovecot of a test's own comes to run: whom it runs as, where homes are, and the wait until
//! it answers. What it serves is the caller's configuration.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Whom Dovecot runs as.
pub(crate) struct Users {
    pub(crate) internal: String,
    pub(crate) login: String,
    /// Whose the mail is, and its group.
    pub(crate) mail: String,
    pub(crate) group: String,
}

fn id(words: &[&str]) -> String {
    let out = Command::new("id").args(words).output().unwrap().stdout;
    String::from_utf8(out).unwrap().trim().to_owned()
}

/// Makes `home` under `root`. As root Dovecot needs other users to run as; mail belongs to one that
/// is no system user.
pub(crate) fn users_with_homes(root: &Path) -> Users {
    let home = root.join("home");
    std::fs::create_dir(&home).unwrap();
    let is_root = id(&["-u"]) == "0";
    let (internal, login, mail) = if is_root {
        ("dovecot".to_owned(), "dovenull".to_owned(), "nobody".to_owned())
    } else {
        let me = id(&["-un"]);
        (me.clone(), me.clone(), me)
    };
    let group = id(&["-gn", &mail]);
    if is_root {
        let owner = format!("{mail}:{group}");
        Command::new("chown").args([&owner, home.to_str().unwrap()]).status().unwrap();
        Command::new("chmod").args(["755", root.to_str().unwrap()]).status().unwrap();
    }
    Users { internal, login, mail, group }
}

/// Starts Dovecot with this configuration and waits until it answers on these ports.
pub(crate) fn started(root: &Path, configuration: &str, ports: &[u16]) -> Child {
    let conf = root.join("dovecot.conf");
    std::fs::write(&conf, configuration).unwrap();
    let program =
        if Path::new("/usr/sbin/dovecot").exists() { "/usr/sbin/dovecot" } else { "dovecot" };
    let child = Command::new(program)
        .args(["-F", "-c", conf.to_str().unwrap()])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let end = Instant::now() + Duration::from_secs(60);
    for port in ports {
        while std::net::TcpStream::connect(("127.0.0.1", *port)).is_err() {
            assert!(Instant::now() < end, "Dovecot does not start: see its log");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
    child
}
