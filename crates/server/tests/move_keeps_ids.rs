//! MIG-77 with a real Dovecot and real programs of users: after the move their state of the old
//! server is right at the new one, so that nobody downloads anything again.

#![allow(clippy::unwrap_used, reason = "a test that cannot set up should fail")]

mod house;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use house::{DOMAIN, House, Imap, PASSWORD, installed};

/// The user, who logs in by the same name at both servers.
const USER: &str = "joe@house.example";
/// Messages of the INBOX and of the other mailbox.
const COUNTS: [(&str, u32); 2] = [("INBOX", 120), ("Archive/2024", 40)];

/// A Dovecot of the test's own on loopback, with IMAP and POP.
struct Dovecot {
    directory: tempfile::TempDir,
    imap: u16,
    pop: u16,
    child: Child,
}

impl Dovecot {
    /// `None` where it is not installed with POP.
    fn start() -> Option<Self> {
        if !installed("dovecot") || !Path::new("/usr/lib/dovecot/pop3").exists() {
            println!("skipped: dovecot-pop3d is not installed");
            return None;
        }
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        let (imap, pop) = (house::ports::free_port(), house::ports::free_port());
        let house::dovecot_start::Users { internal, login, mail, group } =
            house::dovecot_start::users_with_homes(root);
        let at = root.display();
        let text = format!(
            "base_dir = {at}/run\nstate_dir = {at}/state\nlog_path = {at}/log\n\
             listen = 127.0.0.1\nprotocols = imap pop3\nssl = no\ndisable_plaintext_auth = no\n\
             default_internal_user = {internal}\ndefault_login_user = {login}\n\
             first_valid_uid = 1\nmail_uid = {mail}\nmail_gid = {group}\n\
             mail_location = sdbox:~/mail\nmail_fsync = never\nauth_username_format = %Ln\n\
             pop3_uidl_format = %08Xu%08Xv\n\
             passdb {{\n driver = static\n args = password={PASSWORD}\n}}\n\
             userdb {{\n driver = static\n args = uid={mail} gid={group} home={at}/home/%n\n}}\n\
             namespace inbox {{\n inbox = yes\n separator = /\n}}\n\
             service anvil {{\n chroot =\n}}\nservice stats {{\n chroot =\n}}\n\
             service imap-login {{\n chroot =\n inet_listener imap {{\n port = {imap}\n }}\n\
              inet_listener imaps {{\n port = 0\n }}\n}}\n\
             service pop3-login {{\n chroot =\n inet_listener pop3 {{\n port = {pop}\n }}\n\
              inet_listener pop3s {{\n port = 0\n }}\n}}\n"
        );
        let child = house::dovecot_start::started(root, &text, &[imap, pop]);
        Some(Self { directory, imap, pop, child })
    }
}

impl Drop for Dovecot {
    fn drop(&mut self) {
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        let _ = self.child.wait();
        let _ = &self.directory;
    }
}

fn message(mailbox: &str, n: u32) -> Vec<u8> {
    let mut text = format!(
        "From: Sender {n} <s{n}@old.example>\r\nTo: {USER}\r\nSubject: {mailbox} {n}\r\n\
         Date: Tue, {} Nov 2022 10:00:00 +0100\r\nMessage-ID: <{n}.{}@old.example>\r\n\r\n",
        n % 28 + 1,
        mailbox.len()
    );
    for line in 0..n % 7 {
        let _ = write!(text, "Line {line} of message {n}.\r\n");
    }
    text.into_bytes()
}

/// The account at the old server: some messages were there and are gone.
fn fill(dovecot: &Dovecot) {
    let mut imap = Imap::login(dovecot.imap, USER, PASSWORD);
    for (mailbox, count) in COUNTS {
        let _ = imap.command(&format!("CREATE \"{mailbox}\""));
        let all: Vec<Vec<u8>> = (1..=count).map(|n| message(mailbox, n)).collect();
        let flags = |n: usize| if n.is_multiple_of(3) { "\\Seen $Label1" } else { "" };
        let date = |n: usize| format!("{:02}-Nov-2022 12:00:00 +0100", n % 28 + 1);
        let each =
            all.iter().enumerate().map(|(n, m)| (flags(n).to_owned(), date(n), m.as_slice()));
        imap.append_all(mailbox, each);
        imap.ok(&format!("SELECT \"{mailbox}\""));
        imap.ok("UID STORE 2,10:14 +FLAGS.SILENT (\\Deleted)");
        imap.ok("EXPUNGE");
        imap.ok("CLOSE");
    }
}

/// UID and flags of every message, and what SELECT tells.
fn state(imap: &mut Imap, mailbox: &str) -> (BTreeMap<u32, BTreeSet<String>>, u64, u64) {
    let told = imap.ok(&format!("SELECT \"{mailbox}\""));
    let number = |name: &str| -> u64 {
        let start = format!("* OK [{name} ");
        let line = told.iter().map(|l| String::from_utf8_lossy(l)).find(|l| l.starts_with(&start));
        let rest = line.unwrap()[start.len()..].to_owned();
        rest.split(']').next().unwrap().parse().unwrap()
    };
    let (validity, modseq) = (number("UIDVALIDITY"), number("HIGHESTMODSEQ"));
    let mut all = BTreeMap::new();
    for line in imap.ok("UID FETCH 1:* (FLAGS)") {
        let line = String::from_utf8_lossy(&line).into_owned();
        let Some((_, rest)) = line.split_once("UID ") else { continue };
        let uid = rest.split([' ', ')']).next().unwrap().parse().unwrap();
        all.insert(uid, flags(&line));
    }
    (all, validity, modseq)
}

fn flags(line: &str) -> BTreeSet<String> {
    let list = line.split_once("FLAGS (").unwrap().1.split(')').next().unwrap();
    list.split_ascii_whitespace().filter(|f| *f != "\\Recent").map(str::to_owned).collect()
}

/// A program of the user's, with a time limit and a home of its own.
fn run(home: &Path, words: &[&str]) -> Output {
    let out = Command::new("timeout")
        .args(["-k", "5", "60"])
        .args(words)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("HOME", home)
        .env("USER", "joe")
        .env("LANG", "C")
        .current_dir(home)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(
        out.status.success(),
        "{words:?}: {}{}",
        String::from_utf8_lossy(&out.stdout),
        String::from_utf8_lossy(&out.stderr)
    );
    out
}

/// A home of its own.
fn home(root: &Path, name: &str) -> PathBuf {
    let home = root.join(name);
    std::fs::create_dir_all(home.join("mail")).unwrap();
    home
}

/// The files of messages below a directory, by name without their flags, with their flags and what
/// tells one that was fetched again.
fn letters(root: &Path) -> BTreeMap<String, (String, std::time::SystemTime)> {
    let mut found = BTreeMap::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            if !matches!(folder.file_name().unwrap().to_str(), Some("new" | "cur")) {
                continue;
            }
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            let (name, flags) = name.split_once(":2,").unwrap_or((&name, ""));
            let made = std::fs::metadata(&path).unwrap().modified().unwrap();
            let shown = folder.parent().unwrap().strip_prefix(root).unwrap().join(name);
            found.insert(shown.display().to_string(), (flags.to_owned(), made));
        }
    }
    found
}

fn mbsync(home: &Path, port: u16) -> String {
    let text = format!(
        "IMAPAccount old\nHost 127.0.0.1\nPort {port}\nUser {USER}\nPass {PASSWORD}\n\
         SSLType None\nAuthMechs LOGIN\n\nIMAPStore far\nAccount old\n\n\
         MaildirStore near\nPath {at}/mail/\nInbox {at}/mail/INBOX\nSubFolders Verbatim\n\n\
         Channel all\nFar :far:\nNear :near:\nPatterns *\nCreate Near\nSync All\nExpunge Near\n\
         SyncState *\nCopyArrivalDate yes\n",
        at = home.display()
    );
    std::fs::write(home.join("mbsyncrc"), text).unwrap();
    let out = run(home, &["mbsync", "-c", "mbsyncrc", "-V", "-a"]);
    format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr))
}

fn offlineimap(home: &Path, port: u16) -> String {
    let text = format!(
        "[general]\naccounts = a\nmaxsyncaccounts = 1\nui = basic\nmetadata = {at}/state\n\
         [Account a]\nlocalrepository = l\nremoterepository = r\n\
         [Repository l]\ntype = Maildir\nlocalfolders = {at}/mail\nsep = /\n\
         [Repository r]\ntype = IMAP\nremotehost = 127.0.0.1\nremoteport = {port}\n\
         remoteuser = {USER}\nremotepass = {PASSWORD}\nssl = no\nstarttls = no\n\
         auth_mechanisms = LOGIN\nreadonly = True\nfolderfilter = lambda name: True\n",
        at = home.display()
    );
    std::fs::write(home.join("rc"), text).unwrap();
    let out = run(home, &["offlineimap", "-c", "rc", "-o", "-u", "basic"]);
    format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr))
}

fn fetchmail(home: &Path, port: u16) -> String {
    use std::os::unix::fs::PermissionsExt;
    let text = format!(
        "poll old.example via 127.0.0.1 port {port} protocol pop3 uidl auth password\n\
         user \"{USER}\" password \"{PASSWORD}\" keep no rewrite sslproto \"\"\n\
         mda \"/bin/sh -c 'cat >> {}/letters'\"\n",
        home.display()
    );
    let rc = home.join("fetchmailrc");
    std::fs::write(&rc, text).unwrap();
    std::fs::set_permissions(&rc, std::fs::Permissions::from_mode(0o600)).unwrap();
    let words = ["timeout", "-k", "5", "60", "fetchmail", "-f", "fetchmailrc", "-i", "ids", "-v"];
    let out = Command::new(words[0])
        .args(&words[1..])
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .envs([("HOME", home.to_str().unwrap()), ("USER", "joe"), ("LANG", "C")])
        .current_dir(home)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&out.stdout).into_owned();
    // 0: mail was fetched; 1: there was none that is new.
    assert!(matches!(out.status.code(), Some(0 | 1)), "{said}{:?}", out.stderr);
    said
}

fn getmail(home: &Path, port: u16) -> usize {
    // Its own delivery refuses to work for root, so a program of ours takes the letters.
    let text = format!(
        "[retriever]\ntype = SimplePOP3Retriever\nserver = 127.0.0.1\nport = {port}\n\
         username = {USER}\npassword = {PASSWORD}\n\
         [destination]\ntype = MDA_external\npath = /bin/sh\nallow_root_commands = true\n\
         arguments = ('-c', 'cat > {at}/mail/$$')\n\
         [options]\nread_all = false\ndelete = false\ndelivered_to = false\nreceived = false\n",
        at = home.display()
    );
    std::fs::write(home.join("getmailrc"), text).unwrap();
    let at = home.display().to_string();
    let out = run(home, &["getmail", "--getmaildir", &at, "--rcfile", "getmailrc"]);
    // Its state is named by host and port; the user's would be the same name of the server.
    for entry in std::fs::read_dir(home).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if let Some(rest) = name.strip_prefix("oldmail-") {
            let other = rest.replace(&format!("-{port}-"), "-PORT-");
            std::fs::rename(&path, home.join(format!("kept-{other}"))).unwrap();
        }
    }
    let said = String::from_utf8_lossy(&out.stdout).into_owned();
    let count = |word: &str| {
        let (before, _) = said.split_once(word)?;
        before.rsplit([' ', '\n']).next()?.parse().ok()
    };
    count(" messages (").unwrap_or_else(|| panic!("{said}{}", String::from_utf8_lossy(&out.stderr)))
}

/// Gives getmail's state the name it has for another port.
fn getmail_at(home: &Path, port: u16) {
    for entry in std::fs::read_dir(home).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if let Some(rest) = name.strip_prefix("kept-") {
            let here = rest.replace("-PORT-", &format!("-{port}-"));
            std::fs::rename(&path, home.join(format!("oldmail-{here}"))).unwrap();
        }
    }
}

/// Moves the account as a postmaster does; the report.
fn move_in(dovecot: &Dovecot, house: &House, more: &[&str]) -> serde_json::Value {
    let old = format!("127.0.0.1:{}", dovecot.imap);
    let new = format!("127.0.0.1:{}", house.port(143));
    let pop = format!("127.0.0.1:{}", dovecot.pop);
    let journal = house.base.with_extension("journal");
    let into = format!("~{USER}/");
    let out = Command::new("timeout")
        .args(["-k", "5", "120", house::ANGARIUM, "move-imap-mail", "--json", "--verify"])
        .args(["--journal", journal.to_str().unwrap(), "--target", &into, "--popUidls", &pop])
        .args(more)
        .args([&old, USER, PASSWORD, &new, &format!("postmaster@{DOMAIN}"), PASSWORD])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&out.stdout).into_owned();
    assert!(out.status.success(), "{said}{}", String::from_utf8_lossy(&out.stderr));
    serde_json::from_str(said.trim()).unwrap()
}

#[test]
fn mig_77_programs_that_knew_the_old_server_download_nothing_again() {
    let Some(dovecot) = Dovecot::start() else { return };
    fill(&dovecot);
    let house = House::build();
    house.account("joe");
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    // The user's programs know the old server.
    let with = |program: &str| installed(program).then(|| home(root, program));
    let (sync, offline) = (with("mbsync"), with("offlineimap"));
    let (fetch, get) = (with("fetchmail"), with("getmail"));
    let all: u32 = COUNTS.iter().map(|(_, count)| count - 6).sum();
    for at in [&sync, &offline].into_iter().flatten() {
        let first = if Some(at) == sync.as_ref() { mbsync } else { offlineimap };
        first(at, dovecot.imap);
        assert_eq!(letters(&at.join("mail")).len(), all as usize);
    }
    if let Some(at) = &fetch {
        let said = fetchmail(at, dovecot.pop);
        assert_eq!(said.matches("reading message").count(), 114, "{said}");
    }
    if let Some(at) = &get {
        assert_eq!(getmail(at, dovecot.pop), 114);
    }
    let mut there = Imap::login(dovecot.imap, USER, PASSWORD);
    there.ok("ENABLE QRESYNC");
    let known: Vec<_> = COUNTS.iter().map(|(name, _)| state(&mut there, name)).collect();

    // The user goes on working at the old server, the mail is moved, and moved once more.
    let mut other = Imap::login(dovecot.imap, USER, PASSWORD);
    other.ok("SELECT INBOX");
    other.ok("UID STORE 20:29 +FLAGS.SILENT (\\Flagged)");
    drop(other);
    let report = move_in(&dovecot, &house, &[]);
    assert_eq!(report["verify"]["differences"], 0, "{report:#}");
    for one in report["move"]["mailboxes"].as_array().unwrap() {
        if one["found"] != 0 {
            assert_eq!(one["kept"]["uids_kept"], true, "{one:#}");
            assert_eq!(one["kept"]["new_uids"], 0, "{one:#}");
        }
        if one["source"] == "INBOX" {
            assert_eq!(one["kept"]["pop_ids"], one["found"], "{one:#}");
            assert_eq!(one["kept"]["without_pop_id"], 0, "{one:#}");
        }
    }
    let report = move_in(&dovecot, &house, &[]);
    let moved = report["move"]["mailboxes"].as_array().unwrap();
    assert!(moved.iter().all(|one| one["copied"] == 0), "{report:#}");

    // The address leads to the new server now.
    let (imap, pop) = (house.port(143), house.port(110));
    for (at, program) in [(&sync, "mbsync"), (&offline, "offlineimap")] {
        let Some(at) = at else { continue };
        let mail = at.join("mail");
        let before = letters(&mail);
        let said = if program == "mbsync" { mbsync(at, imap) } else { offlineimap(at, imap) };
        let after = letters(&mail);
        assert_eq!(after.len(), all as usize, "{program}: {said}");
        let again: Vec<_> = after
            .iter()
            .filter(|(name, (_, made))| before.get(*name).is_none_or(|(_, then)| then != made))
            .collect();
        assert!(again.is_empty(), "{program} fetched again: {again:?}\n{said}");
        println!("{program} downloads 0 of {all} messages again");
    }
    if let Some(at) = &fetch {
        let said = fetchmail(at, pop);
        assert_eq!(said.matches("reading message").count(), 0, "{said}");
        println!("fetchmail downloads 0 messages again");
    }
    if let Some(at) = &get {
        getmail_at(at, pop);
        assert_eq!(getmail(at, pop), 0);
        println!("getmail downloads 0 messages again");
    }

    // A program that resynchronises is told the same messages and the same flags.
    let mut here = house.imap("joe");
    here.ok("ENABLE QRESYNC");
    for ((mailbox, count), (known, validity, modseq)) in COUNTS.iter().zip(known) {
        let command =
            format!("SELECT \"{mailbox}\" (QRESYNC ({validity} {modseq} 1:{}))", count + 5);
        let told: Vec<String> = here
            .ok(&command)
            .iter()
            .map(|line| String::from_utf8_lossy(line).into_owned())
            .collect();
        let text = told.concat();
        assert!(text.contains(&format!("[UIDVALIDITY {validity}]")), "{text}");
        let gone = format!("* VANISHED (EARLIER) 2,10:14,{}:{}\r\n", count + 1, count + 5);
        // UIDs behind the last are not asked about where UIDNEXT says so.
        let gone_here = "* VANISHED (EARLIER) 2,10:14\r\n";
        assert!(text.contains(&gone) || text.contains(gone_here), "{text}");
        let mut flags_here = known.clone();
        for line in told.iter().filter(|line| line.contains(" FETCH (")) {
            let uid = line.split_once("UID ").unwrap().1.split([' ', ')']).next().unwrap();
            flags_here.insert(uid.parse().unwrap(), flags(line));
        }
        assert_eq!(flags_here, state(&mut there, mailbox).0, "{mailbox}");
    }
}
