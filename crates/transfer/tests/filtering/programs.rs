//! Milters of the field, run as they are installed: OpenDKIM and Rspamd's proxy.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::house::House;
use crate::{Directory, installed, only, send, use_milters};

/// A program of a test, ended with it.
struct Program(Child);

impl Program {
    fn start(command: &mut Command) -> Self {
        let quiet = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Self(quiet.spawn().unwrap())
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// True when something listens on a socket.
async fn answers(path: &Path) -> bool {
    for _ in 0..600 {
        if tokio::net::UnixStream::connect(path).await.is_ok() {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    false
}

#[tokio::test]
async fn opendkim_signs_as_a_milter() {
    let Some(opendkim) = installed(&["/usr/sbin/opendkim"]) else { return };
    if installed(&["/usr/bin/openssl"]).is_none() {
        return;
    }
    let directory = Directory::new("opendkim");
    let (key, socket) = (directory.path().join("key.pem"), directory.path().join("milter.sock"));
    let ours = directory.path().join("hosts");
    std::fs::write(&ours, "192.0.2.9\n").unwrap();
    let made = Command::new("openssl")
        .args(["genrsa", "-out", key.to_str().unwrap(), "2048"])
        .stderr(Stdio::null())
        .status()
        .unwrap();
    assert!(made.success());
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
    let here = directory.path().display();
    let config = directory.path().join("opendkim.conf");
    let text = format!(
        "Mode s\nDomain outside.example\nSelector test\nKeyFile {here}/key.pem\n\
         Canonicalization relaxed/relaxed\nInternalHosts {here}/hosts\nBackground no\n\
         Socket local:{here}/milter.sock\nSyslog no\nUMask 007\nPidFile {here}/pid\n\
         RequireSafeKeys no\n"
    );
    std::fs::write(&config, text).unwrap();
    let _milter =
        Program::start(Command::new(opendkim).args(["-f", "-x", config.to_str().unwrap()]));
    if !answers(&socket).await {
        println!("skipped: opendkim does not start here");
        return;
    }
    let house = House::new().await;
    let settings =
        format!("({{Name=opendkim;Address=\"unix:{}\";TimeOut=60s;}})", socket.display());
    use_milters(&house, &settings).await;
    let message = "From: Joe <joe@outside.example>\nTo: alice@main.example\nSubject: x\n\
                   Date: Thu, 1 Jan 2026 00:00:00 +0000\nMessage-ID: <1@outside.example>\n\nhello\n";
    let reply = send(&house, message).await;
    assert!(reply.starts_with("250 "), "{reply}");
    let text = only(&house, "alice@main.example").await;
    assert!(text.contains("DKIM-Signature: v=1; a=rsa-sha256;"), "{text}");
    assert!(text.contains("Subject: x\r\n") && text.ends_with("\r\n\r\nhello\r\n"), "{text}");
}

#[tokio::test]
async fn rspamd_marks_and_refuses_as_a_milter() {
    let Some(rspamd) = installed(&["/usr/bin/rspamd"]) else { return };
    let directory = Directory::new("rspamd");
    let socket = directory.path().join("milter.sock");
    let here = directory.path().display();
    let config = format!(
        "options {{ pidfile = \"{here}/pid\"; tempdir = \"{here}\"; url_tld = \"/usr/share/rspamd/effective_tld_names.dat\"; filters = \"\"; dns {{ nameserver = [\"127.0.0.1:9\"]; timeout = 0.1s; retransmits = 1; }} history_rows = 1; control_socket = \"{here}/control.sock mode=0600\"; hs_cache_dir = \"{here}\"; cache_file = \"{here}/cache\"; map_file_watch_multiplier = 1; }}\n\
         logging {{ type = \"file\"; filename = \"{here}/log\"; level = \"error\"; }}\n\
         metric {{ name = \"default\"; actions {{ reject = 15; add_header = 6; }} group {{ name = \"test\"; symbol {{ name = \"GTUBE\"; weight = 100; }} }} }}\n\
         worker \"rspamd_proxy\" {{ bind_socket = \"{socket} mode=0666\"; milter = yes; timeout = 60s; count = 1; upstream \"local\" {{ default = yes; self_scan = yes; }} }}\n",
        socket = socket.display(),
    );
    let file = directory.path().join("rspamd.conf");
    std::fs::write(&file, config).unwrap();
    let _milter =
        Program::start(Command::new(rspamd).args(["-f", "-i", "-c", file.to_str().unwrap()]));
    if !answers(&socket).await {
        let log = std::fs::read_to_string(directory.path().join("log")).unwrap_or_default();
        println!("skipped: rspamd does not start here: {log}");
        return;
    }
    let house = House::new().await;
    let settings = format!("({{Name=rspamd;Address=\"unix:{}\";TimeOut=60s;}})", socket.display());
    use_milters(&house, &settings).await;
    let head = "From: Joe <joe@outside.example>\nTo: alice@main.example\nSubject: x\n\
                Date: Thu, 1 Jan 2026 00:00:00 +0000\nMessage-ID: <1@outside.example>\n\n";
    let reply = send(&house, &format!("{head}hello\n")).await;
    assert!(reply.starts_with("250 "), "{reply}");
    only(&house, "alice@main.example").await;
    // The test string that every spam filter knows.
    let bad = "XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X";
    let reply = send(&house, &format!("{head}{bad}\n")).await;
    assert!(reply.starts_with("550 "), "{reply}");
}
