//! MIG-10 to MIG-34 live: each flag of MoveIMAPMail against a real Dovecot as the old server, or
//! ours where the flag wants one, and what it does seen at the new server.

#![allow(clippy::unwrap_used, reason = "a test that cannot set up should fail")]

mod house;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use house::{DOMAIN, House, Imap, PASSWORD, installed};

/// A Dovecot of the test's own on loopback: any name gets in, with access rights.
struct Dovecot {
    _directory: tempfile::TempDir,
    port: u16,
    child: Child,
}

impl Dovecot {
    /// `space` is the namespace: prefix and separator.
    fn start(space: (&str, &str)) -> Option<Self> {
        if !installed("dovecot") {
            return None;
        }
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        let port = house::ports::free_port();
        let house::dovecot_start::Users { internal, login, mail, group } =
            house::dovecot_start::users_with_homes(root);
        let (at, (prefix, separator)) = (root.display(), space);
        let text = format!(
            "base_dir = {at}/run\nstate_dir = {at}/state\nlog_path = {at}/log\n\
             listen = 127.0.0.1\nprotocols = imap\nssl = no\ndisable_plaintext_auth = no\n\
             default_internal_user = {internal}\ndefault_login_user = {login}\n\
             first_valid_uid = 1\nmail_uid = {mail}\nmail_gid = {group}\n\
             mail_location = sdbox:~/mail\nmail_fsync = never\n\
             mail_plugins = acl\nprotocol imap {{\n mail_plugins = acl imap_acl\n}}\n\
             plugin {{\n acl = vfile\n}}\n\
             passdb {{\n driver = static\n args = password={PASSWORD}\n}}\n\
             userdb {{\n driver = static\n args = uid={mail} gid={group} home={at}/home/%u\n}}\n\
             namespace inbox {{\n inbox = yes\n separator = {separator}\n prefix = {prefix}\n\
              mailbox Gesendet {{\n special_use = \\Sent\n}}\n}}\n\
             service anvil {{\n chroot =\n}}\nservice stats {{\n chroot =\n}}\n\
             service imap-login {{\n chroot =\n inet_listener imap {{\n port = {port}\n }}\n\
              inet_listener imaps {{\n port = 0\n }}\n}}\n"
        );
        let child = house::dovecot_start::started(root, &text, &[port]);
        Some(Self { _directory: directory, port, child })
    }

    /// A session of a user, with these mailboxes made, one message in each.
    fn filled(&self, user: &str, mailboxes: &[&str]) -> Imap {
        let mut imap = Imap::login(self.port, user, PASSWORD);
        for name in mailboxes {
            if *name != "INBOX" {
                imap.ok(&format!("CREATE \"{name}\""));
            }
            let text = letter(name);
            imap.append_all(name, [(String::new(), DATE.to_owned(), text.as_slice())].into_iter());
        }
        imap
    }
}

impl Drop for Dovecot {
    fn drop(&mut self) {
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        let _ = self.child.wait();
    }
}

const DATE: &str = "01-Mar-2021 12:00:00 +0000";

fn letter(subject: &str) -> Vec<u8> {
    format!(
        "From: a@b.example\r\nSubject: {subject}\r\nMessage-ID: <{subject}@b.example>\r\n\r\nText\r\n"
    )
    .into_bytes()
}

/// Runs MoveIMAPMail from one address to the house; exit code, standard output and error.
fn moved_as(flags: &[&str], old: (u16, &str), new: (&House, &str)) -> (i32, String, String) {
    let child = Command::new("timeout")
        .args(["-k", "5", "120", house::ANGARIUM, "move-imap-mail", "--noJournal"])
        .args(flags)
        .args([&format!("127.0.0.1:{}", old.0), old.1, PASSWORD])
        .args([&format!("127.0.0.1:{}", new.0.port(143)), new.1, PASSWORD])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (child.status.code().unwrap_or(-1), text(&child.stdout), text(&child.stderr))
}

/// A house, and how often it was moved into.
struct Rig {
    house: House,
    accounts: std::sync::atomic::AtomicU32,
}

impl Rig {
    fn new() -> Self {
        Self { house: House::build(), accounts: std::sync::atomic::AtomicU32::new(0) }
    }

    fn fresh(&self) -> String {
        let made = self.accounts.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let name = format!("new{}", made + 1);
        self.house.account(&name);
        name
    }

    /// Moves into a fresh account, which must succeed; the account.
    fn moved(&self, flags: &[&str], port: u16, user: &str) -> String {
        let name = self.fresh();
        let full = format!("{name}@{DOMAIN}");
        let (code, out, error) = moved_as(flags, (port, user), (&self.house, &full));
        assert_eq!(code, 0, "{flags:?}: {out}{error}");
        name
    }

    /// Mailboxes with messages in them, and how many.
    fn mailboxes(&self, name: &str) -> BTreeMap<String, u32> {
        contents(&mut self.house.imap(name))
    }
}

/// The name at the end of a line such as `* LIST (\Marked) "/" "a b"`.
fn quoted(line: &str) -> String {
    let rest = line.trim_end().split_once(") \"").unwrap().1;
    rest.split_once("\" ").unwrap().1.trim_matches('"').to_owned()
}

fn names(imap: &mut Imap, command: &str) -> BTreeSet<String> {
    let lines = imap.ok(command);
    lines
        .iter()
        .map(|l| String::from_utf8_lossy(l).into_owned())
        .filter(|l| l.starts_with("* L") && !l.contains("oselect"))
        .map(|l| quoted(&l))
        .collect()
}

fn contents(imap: &mut Imap) -> BTreeMap<String, u32> {
    let mut found = BTreeMap::new();
    for name in names(imap, "LIST \"\" \"*\"") {
        // A name that holds only others has no state.
        let (status, end) = imap.command(&format!("STATUS \"{name}\" (MESSAGES)"));
        if let Some(line) = status.first().filter(|_| end.starts_with("OK")) {
            let line = String::from_utf8_lossy(line).into_owned();
            let number = line.rsplit_once("MESSAGES ").unwrap().1.trim_end().trim_end_matches(')');
            found.insert(name, number.parse().unwrap());
        }
    }
    found.retain(|_, n| *n > 0);
    found
}

fn keys(map: &BTreeMap<String, u32>) -> Vec<&str> {
    map.keys().map(String::as_str).collect()
}

#[test]
fn mig_12_progress_is_told_on_standard_output_when_asked_for() {
    let Some(old) = Dovecot::start(("", "/")) else { return };
    let rig = Rig::new();
    old.filled("joe", &["INBOX", "Work"]);
    let told = |flags: &[&str]| {
        let full = format!("{}@{DOMAIN}", rig.fresh());
        let (code, out, error) = moved_as(flags, (old.port, "joe"), (&rig.house, &full));
        assert_eq!(code, 0, "{out}{error}");
        out
    };
    let lines = told(&["--verbose"]);
    for words in ["connected to", "Work -> Work: 1 messages", "2 messages ("] {
        assert!(lines.contains(words), "{words}: {lines}");
    }
    assert_eq!(told(&[]), "");
}

#[test]
fn mig_13_14_16_18_mailboxes_are_chosen_and_prefixes_come_off_and_on() {
    let Some(old) = Dovecot::start(("", "/")) else { return };
    let rig = Rig::new();
    old.filled("joe", &["INBOX", "abc/mail1", "abc/mail2", "Other", "Trash", "M&APw-ll"]);
    let at = |flags: &[&str]| rig.mailboxes(&rig.moved(flags, old.port, "joe"));
    assert_eq!(keys(&at(&["--list", "abc/*"])), ["abc/mail1", "abc/mail2"]);
    assert_eq!(keys(&at(&["--source", "abc/"])), ["mail1", "mail2"]);
    let all = at(&["--target", "Old/"]);
    let wanted =
        ["Old/INBOX", "Old/M&APw-ll", "Old/Other", "Old/Trash", "Old/abc/mail1", "Old/abc/mail2"];
    assert_eq!(keys(&all), wanted);
    let left = at(&["--skipMailbox", "Trash", "--skipMailbox", "Müll", "--skipMailbox", "abc/*"]);
    assert_eq!(keys(&left), ["INBOX", "Other"]);
}

#[test]
fn mig_15_17_28_a_postmaster_moves_accounts_of_others() {
    let rig = Rig::new();
    let joe = rig.fresh();
    let mut imap = rig.house.imap(&joe);
    imap.ok("CREATE Work");
    let text = letter("hello");
    for name in ["INBOX", "Work"] {
        imap.append_all(name, [(String::new(), DATE.to_owned(), text.as_slice())].into_iter());
    }
    let port = rig.house.port(143);
    let postmaster = format!("postmaster@{DOMAIN}");
    // Out of an account by its name in front of the mailboxes, and into one.
    let read = rig.moved(&["--source", &format!("~{joe}/")], port, &postmaster);
    assert_eq!(keys(&rig.mailboxes(&read)), ["INBOX", "Work"]);
    let written = rig.fresh();
    let target = format!("~{written}/");
    let full = format!("{joe}@{DOMAIN}");
    let (code, out, error) =
        moved_as(&["--target", &target], (port, &full), (&rig.house, &postmaster));
    assert_eq!(code, 0, "{out}{error}");
    assert_eq!(keys(&rig.mailboxes(&written)), ["INBOX", "Work"]);
    // By PROXYAUTH after the administrator's login.
    let proxied = rig.moved(&["--proxyAuth", &full], port, &postmaster);
    assert_eq!(keys(&rig.mailboxes(&proxied)), ["INBOX", "Work"]);
}

#[test]
fn mig_19_a_server_that_thinks_long_is_waited_for_with_notimeout() {
    // It greets after 22 seconds and then refuses the login: whoever waits hears that.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming().take(2) {
            std::thread::spawn(move || {
                let mut stream = stream.unwrap();
                std::thread::sleep(Duration::from_secs(22));
                let _ = stream.write_all(b"* BYE the old server is closed\r\n");
            });
        }
    });
    let rig = Rig::new();
    let full = format!("{}@{DOMAIN}", rig.fresh());
    let new = format!("127.0.0.1:{}", rig.house.port(143));
    std::thread::scope(|scope| {
        let short = scope.spawn(|| run_against(port, &[], &new, &full));
        let long = scope.spawn(|| run_against(port, &["--notimeout"], &new, &full));
        let (code, error) = short.join().unwrap();
        assert!(code != 0 && error.contains("in time"), "{code} {error}");
        let (code, error) = long.join().unwrap();
        assert!(code == 2 && error.contains("the old server is closed"), "{code} {error}");
    });
}

fn run_against(port: u16, flags: &[&str], new: &str, full: &str) -> (i32, String) {
    let old = format!("127.0.0.1:{port}");
    let out = Command::new("timeout")
        .args(["-k", "5", "120", house::ANGARIUM, "move-imap-mail", "--noJournal", "--retry", "0"])
        .args(flags)
        .args([&old, "joe", PASSWORD, new, full, PASSWORD])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    (out.status.code().unwrap_or(-1), String::from_utf8_lossy(&out.stderr).into_owned())
}

#[test]
fn mig_20_31_only_what_was_copied_is_deleted_and_only_what_is_wanted_copied() {
    let Some(old) = Dovecot::start(("", "/")) else { return };
    let rig = Rig::new();
    let mut imap = Imap::login(old.port, "joe", PASSWORD);
    let texts: Vec<Vec<u8>> = (0..3).map(|n| letter(&n.to_string())).collect();
    let dates = ["31-Dec-2019 23:59:59 +0000", "01-Jan-2020 00:00:00 +0000", DATE];
    let all = dates.iter().zip(&texts);
    imap.append_all("INBOX", all.map(|(d, t)| (String::new(), (*d).to_owned(), t.as_slice())));
    // The user marked one and did not expunge it: that is not the mover's business.
    imap.ok("SELECT INBOX");
    imap.ok("STORE 1 +FLAGS (\\Deleted)");
    let at = |flags: &[&str]| rig.mailboxes(&rig.moved(flags, old.port, "joe"));
    assert_eq!(at(&["--filter", "before", "01-Jan-2020"])["INBOX"], 1);
    assert_eq!(at(&["--filter", "after", "01-Jan-2020 00:00:00"])["INBOX"], 2);
    assert_eq!(at(&["--filter", "01-Jan-2021"])["INBOX"], 1);
    assert_eq!(at(&["--filter", "after", "1-Jan-2020", "--delete"])["INBOX"], 2);
    let left = contents(&mut Imap::login(old.port, "joe", PASSWORD));
    assert_eq!(left["INBOX"], 1, "what was filtered out stays, marked or not");
    assert_eq!(at(&["--delete"])["INBOX"], 1);
    assert!(contents(&mut Imap::login(old.port, "joe", PASSWORD)).is_empty());
}

#[test]
fn mig_09_21_22_the_subscription_list_goes_over_under_the_new_names() {
    let Some(old) = Dovecot::start(("", "/")) else { return };
    let rig = Rig::new();
    let mut imap = old.filled("joe", &["INBOX", "A", "B.mbox", "C"]);
    for name in ["A", "B.mbox", "gone"] {
        let _ = imap.command(&format!("SUBSCRIBE \"{name}\""));
    }
    let lsub = |name: &str| names(&mut rig.house.imap(name), "LSUB \"\" \"*\"");
    let set = |all: &[&str]| all.iter().map(|n| (*n).to_owned()).collect::<BTreeSet<_>>();
    let inboxless = |mut all: BTreeSet<String>| {
        all.remove("INBOX");
        all
    };
    let plain = rig.moved(&["--verify"], old.port, "joe");
    let found = inboxless(lsub(&plain));
    assert!(found == set(&["A", "B-mbox"]) || found == set(&["A", "B-mbox", "gone"]), "{found:?}");
    let none = rig.moved(&["--nosubscription"], old.port, "joe");
    assert_eq!(inboxless(lsub(&none)), set(&[]));
    let only = rig.moved(&["--subscribed"], old.port, "joe");
    assert_eq!(keys(&rig.mailboxes(&only)), ["A", "B-mbox"]);
}

#[test]
fn mig_23_24_old_ways_of_fetching_are_used_when_asked_for() {
    let Some(old) = Dovecot::start(("", "/")) else { return };
    let rig = Rig::new();
    let mut imap = Imap::login(old.port, "joe", PASSWORD);
    let texts: Vec<Vec<u8>> = (0..5).map(|n| letter(&n.to_string())).collect();
    imap.append_all("INBOX", texts.iter().map(|t| (String::new(), DATE.to_owned(), t.as_slice())));
    let fetches = |flags: &[&str]| {
        let (port, said) = house::recorded::recorded(old.port);
        let name = rig.moved(flags, port, "joe");
        assert_eq!(rig.mailboxes(&name)["INBOX"], 5);
        let said = String::from_utf8_lossy(&said.lock().unwrap()).into_owned();
        said.lines().filter(|l| l.contains("UID FETCH")).map(str::to_owned).collect::<Vec<_>>()
    };
    let plain = fetches(&[]);
    assert!(plain.len() == 1 && plain[0].contains("BODY.PEEK[]"), "{plain:?}");
    let one = fetches(&["--byOne"]);
    assert!(one.len() == 5 && one.iter().all(|l| !l.contains(':')), "{one:?}");
    // Dovecot knows no RFC822.PEEK: what follows the refusal is another way, and all arrives.
    let elder = fetches(&["--fetchRFC822"]);
    assert!(elder[0].contains("RFC822.PEEK"), "{elder:?}");
}

#[test]
fn mig_10_25_access_rights_go_over_unless_told_not_to() {
    let Some(old) = Dovecot::start(("", "/")) else { return };
    let rig = Rig::new();
    let mut imap = old.filled("joe", &["INBOX", "Team"]);
    imap.ok("SETACL Team ann lrswip");
    imap.ok("SETACL Team bob lr");
    for name in ["ann", "robert"] {
        rig.house.account(name);
    }
    let acl = |name: &str| {
        let lines = rig.house.imap(name).ok("GETACL Team");
        String::from_utf8_lossy(&lines.concat()).into_owned()
    };
    let plain = rig.moved(&["--mapIdentifier", "bob", "robert"], old.port, "joe");
    let told = acl(&plain);
    assert!(told.contains("ann") && told.contains("lrswip"), "{told}");
    assert!(told.contains("robert") && !told.contains("bob"), "{told}");
    let none = acl(&rig.moved(&["--noACL"], old.port, "joe"));
    assert!(!none.contains("ann"), "{none}");
    // Nobody is granted anything at a second run, and nothing is told.
    let full = format!("{plain}@{DOMAIN}");
    let flags = ["--json", "--mapIdentifier", "bob", "robert"];
    let (code, out, _) = moved_as(&flags, (old.port, "joe"), (&rig.house, &full));
    let report: serde_json::Value = serde_json::from_str(out.trim()).unwrap();
    assert_eq!((code, &report["move"]["access_rights"]), (0, &0.into()), "{out}");
}

#[test]
fn mig_26_mailbox_classes_go_over_between_servers_that_tell_them() {
    let rig = Rig::new();
    let joe = rig.fresh();
    let account = format!("{joe}@{DOMAIN}");
    let (code, _) = rig
        .house
        .angarium(&["cli", &format!("UpdateAccountSettings {account} {{IMAPSeesNonMail=YES;}}")]);
    assert_eq!(code, 0);
    let mut imap = rig.house.imap(&joe);
    imap.ok("CREATE People");
    imap.ok("SETMETADATA People (/shared/vendor/angarium/class \"IPF.Contact\")");
    let class = |name: &str| {
        let mut imap = rig.house.imap(name);
        let lines = imap.ok("GETMETADATA People /shared/vendor/angarium/class");
        String::from_utf8_lossy(&lines.concat()).into_owned()
    };
    let port = rig.house.port(143);
    let with = rig.moved(&["--copyMailboxClass"], port, &account);
    assert!(class(&with).contains("IPF.Contact"), "{}", class(&with));
    let without = rig.moved(&[], port, &account);
    assert!(!class(&without).contains("IPF.Contact"));
}

#[test]
fn mig_27_lines_are_broken_and_the_comparison_knows() {
    let Some(old) = Dovecot::start(("", "/")) else { return };
    let rig = Rig::new();
    let mut imap = Imap::login(old.port, "joe", PASSWORD);
    let text = format!("Subject: long\r\n\r\n{}\r\nshort\r\n", "x".repeat(3000)).into_bytes();
    imap.append_all("INBOX", [(String::new(), DATE.to_owned(), text.as_slice())].into_iter());
    let name = rig.moved(&["--fixLongLines", "998", "--verify"], old.port, "joe");
    let mut imap = rig.house.imap(&name);
    imap.ok("SELECT INBOX");
    let lines = imap.ok("FETCH 1 BODY.PEEK[TEXT]");
    let longest = lines.concat().split(|b| *b == b'\n').map(<[u8]>::len).max().unwrap();
    assert!(longest <= 999, "{longest}");
}

#[test]
fn mig_29_30_32_33_34_names_are_given_mapped_and_made_fit() {
    let Some(old) = Dovecot::start(("", ".")) else { return };
    let rig = Rig::new();
    let made = ["INBOX", "Gesendet", "Listen.&AMQ-rger", "Alt", "#hash", "\\\\back"];
    old.filled("joe", &made);
    let folder = tempfile::tempdir().unwrap();
    let (list, map) = (folder.path().join("list"), folder.path().join("map"));
    std::fs::write(&list, "Alt\tNeu/Älter\n").unwrap();
    std::fs::write(&map, "; lists\nListen/*\tLists/*\n\\Sent\tSent Items\n").unwrap();
    let (list, map) = (list.to_str().unwrap(), map.to_str().unwrap());
    let at = |flags: &[&str]| {
        let name = rig.moved(flags, old.port, "joe");
        let all = rig.mailboxes(&name);
        all.into_keys().collect::<BTreeSet<_>>()
    };
    let plain = at(&[]);
    for name in ["Gesendet", "Listen/&AMQ-rger", "Alt", "_hash", "_back"] {
        assert!(plain.contains(name), "{name} of {plain:?}");
    }
    let named = at(&["--renameMailbox", "Gesendet", "Ausgang", "--renameMailboxList", list]);
    assert!(named.contains("Ausgang") && named.contains("Neu/&AMQ-lter"), "{named:?}");
    let mapped = at(&["--mapFile", map]);
    assert!(mapped.contains("Sent Items") && mapped.contains("Lists/&AMQ-rger"), "{mapped:?}");
}

#[test]
fn mig_32_33_endings_and_beginnings_are_rewritten() {
    let Some(old) = Dovecot::start(("", "/")) else { return };
    let rig = Rig::new();
    old.filled("joe", &["a.mbox", "b.mdir", ".x", "y/.z", " lead"]);
    let all = rig.mailboxes(&rig.moved(&[], old.port, "joe"));
    assert_eq!(keys(&all), ["_lead", "_x", "a-mbox", "b-mdir", "y/_z"]);
}

#[test]
fn the_namespace_of_cyrus_and_courier_is_taken_off_and_uses_go_over() {
    let Some(old) = Dovecot::start(("INBOX.", ".")) else { return };
    let rig = Rig::new();
    old.filled("joe", &["INBOX", "INBOX.Gesendet", "INBOX.Work.2024"]);
    let name = rig.moved(&["--verify"], old.port, "joe");
    assert_eq!(keys(&rig.mailboxes(&name)), ["Gesendet", "INBOX", "Work/2024"]);
    let listed = rig.house.imap(&name).ok("LIST \"\" \"Gesendet\" RETURN (SPECIAL-USE)");
    let listed = String::from_utf8_lossy(&listed.concat()).into_owned();
    assert!(listed.contains("\\Sent"), "{listed}");
    // With --automap it goes where the account keeps what it sent.
    let own = rig.fresh();
    rig.house.imap(&own).ok("CREATE \"Sent Items\"");
    let full = format!("{own}@{DOMAIN}");
    let (code, out, error) = moved_as(&["--automap"], (old.port, "joe"), (&rig.house, &full));
    assert_eq!(code, 0, "{out}{error}");
    assert_eq!(rig.mailboxes(&own)["Sent Items"], 1);
    let kept = rig.moved(&["--noNamespace"], old.port, "joe");
    assert!(rig.mailboxes(&kept).contains_key("INBOX/Gesendet"));
}
