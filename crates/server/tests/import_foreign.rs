//! Users, groups, calendars and contacts of other servers brought in by the program into a running
//! server, and read back by its command language, POP and IMAP.

#![allow(clippy::unwrap_used, reason = "tests")]

mod house;

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use house::{House, Imap, PASSWORD, installed};

fn sample(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/import").join(name);
    path.to_str().unwrap().to_owned()
}

fn write(path: &Path, text: impl AsRef<[u8]>) -> String {
    std::fs::write(path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

fn cli(house: &House, line: &str) -> String {
    let (code, text) = house.angarium(&["cli", line]);
    assert_eq!(code, 0, "{line}: {text}");
    text
}

fn pop_login(house: &House, name: &str, password: &str) -> bool {
    let mut write = TcpStream::connect(("127.0.0.1", house.port(110))).unwrap();
    write.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let mut read = BufReader::new(write.try_clone().unwrap());
    let mut answer = || {
        let mut line = String::new();
        read.read_line(&mut line).unwrap();
        line.starts_with("+OK")
    };
    assert!(answer());
    write.write_all(format!("USER {name}\r\n").as_bytes()).unwrap();
    assert!(answer());
    write.write_all(format!("PASS {password}\r\n").as_bytes()).unwrap();
    answer()
}

fn has(text: &str, wanted: &[&str]) {
    for one in wanted {
        assert!(text.contains(one), "{one} is not in:\n{text}");
    }
}

// MIG-59
#[test]
fn mig_59_a_directory_of_iplanet_comes_in_with_aliases_rules_groups_and_hashes() {
    let house = House::build();
    let file = sample("iplanet.ldif");
    let (code, plan) = house.angarium(&["import", "ldif", &file, "--plan"]);
    assert_eq!(code, 1, "one record is broken\n{plan}");
    has(
        &plan,
        &[
            "jdoe@house.example: can be made",
            "4 accounts can be made, 4 left out, 1 lines failed",
            "this is no base64",
            "marked as deleted",
            "closed@house.example: warning: without a password: it is marked as closed",
            "staff: group of 3: consultant@far.example, jdoe, ann",
            "everybody: forwarder to staff@house.example",
            "away: forwarder to away@new-job.example",
            "john@old.example: not made: the domain old.example is not here",
        ],
    );
    assert_eq!(cli(&house, "ListAccounts house.example").matches("jdoe").count(), 0);

    cli(&house, "CreateDomain old.example");
    let (code, text) = house.angarium(&["import", "ldif", &file]);
    assert_eq!(code, 1, "{text}");
    has(&text, &["4 accounts made, 4 left out, 1 lines failed"]);
    let joe = cli(&house, "GetAccountSettings jdoe");
    has(&joe, &["RealName = John Doe", "MaxAccountSize = 20M"]);
    has(&cli(&house, "GetAccountMailRules jdoe"), &["#Vacation", "Ann reads my mail."]);
    has(&cli(&house, "GetAccountAliases jdoe"), &["john.doe", "jd"]);
    has(
        &cli(&house, "GetAccountMailRules ann"),
        &["#Redirect", "ann@phone.example,jdoe@house.example"],
    );
    has(&cli(&house, "GetAccountSettings ann"), &["Ann P\u{f6}e"]);
    has(&cli(&house, "GetForwarder away"), &["away@new-job.example"]);
    has(&cli(&house, "GetForwarder john@old.example"), &["jdoe@house.example"]);
    let staff = cli(&house, "GetGroup staff");
    has(&staff, &["jdoe", "ann", "consultant@far.example"]);
    for (name, ok) in
        [("jdoe", true), ("jd", true), ("ann", true), ("md5", true), ("closed", false)]
    {
        assert_eq!(pop_login(&house, name, "secret"), ok, "{name}");
    }
    let (_, again) = house.angarium(&["import", "ldif", &file]);
    has(&again, &["0 accounts made, 4 there already, 4 left out, 1 lines failed"]);
    has(
        &again,
        &[
            "0 aliases, 0 forwarders, 0 groups, 0 lists, 0 records made, 3 there already, 0 not made",
        ],
    );

    // As an account list, which the other commands take; into another domain.
    let directory = tempfile::tempdir().unwrap();
    let list = directory.path().join("list");
    let list_name = list.to_str().unwrap();
    let words = ["import", "ldif", &file, "--to-list", list_name, "--domain", "new.example"];
    let (code, text) = house.angarium(&words);
    assert_eq!(code, 1, "{text}");
    assert_eq!(std::fs::metadata(&list).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(house.angarium(&words).0, 2, "nothing is overwritten");
    cli(&house, "CreateDomain new.example");
    let (code, text) = house.angarium(&["import", list_name]);
    assert!(code == 0 && text.contains("4 accounts made, 0 lines failed"), "{text}");
    let aliases = format!("{list_name}.new.example.aliases");
    let (_, text) = house.angarium(&["import-aliases", &aliases, "--domain", "new.example"]);
    has(&text, &["staff: group of 3: consultant@far.example, jdoe, ann", "1 groups"]);
    has(&cli(&house, "GetAccountMailRules ann@new.example"), &["jdoe@new.example"]);
    assert!(!text.contains("SSHA"), "no hash is told");
}

// MIG-63, MIG-64
#[test]
fn mig_63_mailboxes_contacts_and_groups_of_exchange_come_in_and_leave_an_address_book() {
    let house = House::build();
    let directory = tempfile::tempdir().unwrap();
    let (book, cards) = (directory.path().join("book.ldif"), directory.path().join("book.vcf"));
    let text = std::fs::read_to_string(sample("exchange.csv")).unwrap();
    let wide: Vec<u8> = format!("\u{feff}{}", text.replace('\n', "\r\n"))
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    let wide = write(&directory.path().join("wide.csv"), wide);
    let (code, text) = house.angarium(&[
        "import",
        "exchange",
        &wide,
        "--each",
        "--address-book",
        book.to_str().unwrap(),
    ]);
    assert_eq!(code, 0, "{text}");
    has(
        &text,
        &[
            "8 entries of an address book",
            "read as UTF-16",
            "4 accounts made, 2 left out, 0 lines failed",
            "far@far.example), which belongs into an address book",
            "its members are found by a search",
            "supplier: forwarder to sales@supplier.example",
            "sales: group of 3: joe.doe, maria, far@far.example",
        ],
    );
    has(&cli(&house, "GetAccountSettings joe.doe"), &["Doe, Joe \"JD\"", "MaxAccountSize = 2G"]);
    has(&cli(&house, "GetAccountAliases joe.doe"), &["jd"]);
    has(&cli(&house, "GetAccountMailRules maria"), &["maria@phone.example"]);
    has(&cli(&house, "GetAccountSettings formula"), &["Formula"]);
    let ldif = std::fs::read_to_string(&book).unwrap();
    has(&ldif, &["mail: far@far.example", "objectClass: inetOrgPerson"]);
    // The same file in its own charset, as vCards, which an account takes as contacts.
    let (code, text) = house.angarium(&[
        "import",
        "exchange",
        &sample("exchange.csv"),
        "--plan",
        "--address-book",
        cards.to_str().unwrap(),
    ]);
    assert_eq!(code, 0, "{text}");
    has(&text, &["4 there already"]);
    let (code, text) =
        house.angarium(&["import", "contacts", cards.to_str().unwrap(), "joe.doe@house.example"]);
    assert!(code == 0 && text.contains("Contacts: 8 added"), "{text}");
    let (_, text) = house.angarium(&["import", "contacts", cards.to_str().unwrap(), "joe.doe"]);
    has(&text, &["Contacts: 0 added, 8 there already"]);
}

// MIG-57, MIG-58, MIG-60, MIG-61, MIG-62
#[test]
fn mig_57_to_62_accounts_of_post_office_imail_sims_and_any_table_come_in() {
    let house = House::build();
    let (code, text) =
        house.angarium(&["import", "post-office", &sample("post-office-accounts.txt")]);
    assert_eq!(code, 0, "{text}");
    has(
        &text,
        &["2 accounts made, 0 lines failed", "gardeners: mailing list of paula with 3 subscribers"],
    );
    assert!(pop_login(&house, "p.post", "postpass"));
    has(&cli(&house, "GetAccountSettings peter"), &["MaxAccountSize = 10M"]);
    has(&cli(&house, "ListSubscribers gardeners"), &["rose@garden.example", "paula"]);
    let directory = tempfile::tempdir().unwrap();
    let list = "# subscribers\nPeter <peter@house.example>\nrose@garden.example\nROSE@garden.example\nnobody\n";
    let list = write(&directory.path().join("list"), list);
    let (code, text) = house.angarium(&["import", "subscribers", "roses", &list]);
    assert_eq!(code, 1, "{text}");
    has(&text, &["line 5: there is no address", "roses: group of 2"]);
    // With an owner it is a mailing list; again, it lacks nobody.
    let words = ["import", "subscribers", "blooms", &list, "--owner", "peter"];
    let (_, text) = house.angarium(&words);
    has(&text, &["blooms: mailing list of peter with 2 subscribers", "1 lists"]);
    has(&cli(&house, "ListSubscribers blooms"), &["rose@garden.example", "peter@house.example"]);
    let (_, text) = house.angarium(&words);
    has(&text, &["blooms: there already", "0 lists"]);

    let (code, text) = house.angarium(&["import", "imail", &sample("imail.reg"), "--each"]);
    assert_eq!(code, 0, "{text}");
    has(
        &text,
        &[
            "2 accounts made, 2 left out, 0 lines failed",
            "strange@house.example: warning: without a password: it does not decode",
            "micky: another name of mike",
            "team: group of 3",
        ],
    );
    assert!(pop_login(&house, "micky", "rocks"));
    assert!(!text.contains("rocks") && !text.contains("DFD8CED0E0"), "no password is told");

    let (code, text) = house.angarium(&["import", "sims", &sample("sims.txt")]);
    assert_eq!(code, 0, "{text}");
    has(&text, &["3 accounts made", "sven: warning: without a password: it is switched off"]);
    has(&cli(&house, "GetAccountSettings simon"), &["Simon M\u{fc}ller", "MaxAccountSize = 200K"]);
    has(&cli(&house, "GetAccountSettings siri"), &["MaxAccountSize = unlimited"]);
    assert!(pop_login(&house, "siri", "\"quoted\""));

    // ABU-67: any table, hostile.
    let mut bytes = b"\xef\xbb\xbfLogin,Password,Full Name,Quota,E-Mail\r\n".to_vec();
    bytes.extend_from_slice(b"one,\"pa,ss\",\"One, \"\"1\"\"\",10M,one@house.example\r\n");
    bytes.extend_from_slice(b"two,pw,\"Two\r\nlines\",lots,two@house.example\r\n");
    bytes.extend_from_slice(
        b"bad\0,x,,,\r\nfive,pw,a,b,c,d,e\r\none,pw,again,,one@house.example\r\n=cmd|'/C calc'!A0,pw,,,\r\n",
    );
    bytes.extend_from_slice(b"open,\"pw,,\r\n");
    let table = write(&directory.path().join("table.csv"), &bytes);
    let (code, text) = house.angarium(&["import", "table", &table]);
    assert_eq!(code, 1, "{text}");
    has(
        &text,
        &[
            "2 accounts made, 5 lines failed",
            "line 3: two@house.example: warning: its quota is left out: lots",
            "line 5: : the column uid: it holds a control character",
            "line 6: : the row has more cells",
            "line 7: one@house.example: the list has this name twice",
            "line 9: : a quotation mark is not closed",
        ],
    );
    assert!(pop_login(&house, "one", "pa,ss"));
    for (wrong, why) in [
        ("a,b\nx,y\n", "must name the columns"),
        ("Login,login\nx,y\n", "twice"),
        ("", "nothing was found"),
    ] {
        let wrong = write(&directory.path().join("wrong"), wrong);
        assert_eq!(house.angarium(&["import", "table", &wrong]).0, 2, "{why}");
    }
    assert_eq!(house.angarium(&["import", "ldif", &table]).0, 2);
}

fn fetched(imap: &mut Imap, mailbox: &str) -> Vec<String> {
    imap.ok(&format!("SELECT \"{mailbox}\""));
    let lines = imap.ok("FETCH 1:* (FLAGS BODY.PEEK[])");
    lines
        .iter()
        .map(|line| String::from_utf8_lossy(line).into_owned())
        .filter(|l| l.contains("FETCH"))
        .collect()
}

// MIG-72, MIG-73, MIG-74
#[test]
fn mig_72_calendars_and_contacts_are_one_message_an_object_and_come_once() {
    let mut house = House::build();
    ["joe", "ann"].iter().for_each(|name| house.account(name));
    cli(&house, "UpdateAccountSettings joe {IMAPSeesNonMail=YES;}");
    let (calendar, contacts) = (sample("calendar.ics"), sample("contacts.vcf"));
    let (code, text) = house.angarium(&["import", "calendar", &calendar, "joe", "--plan"]);
    assert!(code == 0 && text.contains("Calendar: 2 to be added"), "{text}");
    let (code, text) = house.angarium(&["import", "calendar", &calendar, "joe"]);
    assert_eq!(code, 0, "{text}");
    has(&text, &["Calendar: 2 added", "Tasks: 1 added"]);
    let mut imap = house.imap("joe");
    let listed = imap.ok("LIST \"\" *").concat();
    has(&String::from_utf8_lossy(&listed), &["Calendar", "Tasks"]);
    has(&cli(&house, "GetMailboxInfo joe MAILBOX Calendar"), &["IPF.Appointment"]);
    let all = fetched(&mut imap, "Calendar");
    assert_eq!(all.len(), 2, "{all:?}");
    has(
        &all[0],
        &[
            "\\Seen",
            "From: ann@house.example",
            "Content-Type: text/calendar; charset=utf-8; component=VEVENT",
            "X-Item-UID: 5f0c7a9e-weekly@calendar.example",
            "03 Jan 2024 08:00:00 +0000",
            "TZID:Europe/Berlin",
            "RECURRENCE-ID;TZID=Europe/Berlin:20240109T100000",
        ],
    );
    let summary = imap.ok("FETCH 1 (ENVELOPE BODYSTRUCTURE)").concat();
    let summary = String::from_utf8_lossy(&summary).to_ascii_uppercase();
    has(&summary, &["\"TEXT\" \"CALENDAR\"", "=?UTF-8?"]);
    // Again: nothing twice; a newer edition takes the place of the old one, an older one does not.
    let (_, text) = house.angarium(&["import", "calendar", &calendar, "joe"]);
    has(&text, &["Calendar: 0 added, 2 there already", "Tasks: 0 added, 1 there already"]);
    let directory = tempfile::tempdir().unwrap();
    let newer = std::fs::read_to_string(&calendar).unwrap();
    let newer = newer.replace("SUMMARY:Birthday", "SUMMARY:Name day\nSEQUENCE:3");
    let newer = write(&directory.path().join("newer.ics"), newer);
    let (_, text) = house.angarium(&["import", "calendar", &newer, "joe"]);
    has(&text, &["Calendar: 0 added, 1 replaced by newer ones, 1 there already"]);
    let (_, text) = house.angarium(&["import", "calendar", &calendar, "joe"]);
    has(&text, &["1 there already, 1 newer there"]);
    let all = fetched(&mut house.imap("joe"), "Calendar");
    assert_eq!(
        (all.len(), all.iter().filter(|one| one.contains("SUMMARY:Name day")).count()),
        (2, 1)
    );

    // Contacts of three versions of the form, into a mailbox that is named; no picture is fetched.
    let (code, text) =
        house.angarium(&["import", "contacts", &contacts, "joe@house.example", "People", "--json"]);
    assert_eq!(code, 0, "{text}");
    let row: serde_json::Value = serde_json::from_str(text.trim()).unwrap();
    assert_eq!((&row["added"], &row["failed"]), (&3.into(), &0.into()));
    let all = fetched(&mut house.imap("joe"), "People").concat();
    has(
        &all,
        &["FN:J\u{f6}rg M\u{fc}ller", "PHOTO;ENCODING=b;TYPE=JPEG:/9j/4AAQSkZJRg==", "VERSION:4.0"],
    );

    // A list of many users; without a running server.
    let list = format!(
        "Account\tMailbox\tFile\njoe\t\t{calendar}\nann\tTeam/Dates\t{calendar}\nghost\t\t{calendar}\nann\t\tnone.ics\n\n\
         joe\t\t/dev/zero\n"
    );
    let list = write(&directory.path().join("list"), list);
    let old = format!("127.0.0.1\tann\tsecret\tCalendar\t{newer}\n");
    let old = write(&directory.path().join("old"), old);
    let run = |house: &House| {
        let (code, text) = house.angarium(&["import", "calendars", &list]);
        assert_eq!(code, 1, "{text}");
        has(
            &text,
            &[
                "line 3: ann: Team/Dates: ",
                "line 4: ghost: ",
                "line 5: ann: ",
                "line 7: joe: ",
                "5 files",
            ],
        );
        text
    };
    has(&run(&house), &["line 3: ann: Team/Dates: 2 added"]);
    assert_eq!(house.stop(), Some(0));
    has(&run(&house), &["line 3: ann: Team/Dates: 0 added, 2 there already"]);
    let (code, text) = house.angarium(&["import", "calendars", &old]);
    assert!(code == 0 && text.contains("line 1: ann: Calendar: 2 added"), "{text}");
    let (code, text) = house.angarium(&["check"]);
    assert_eq!(code, 0, "{text}");
}

// ABU-63, ABU-66
#[test]
fn abu_66_links_pipes_and_files_of_other_kinds_are_not_read_as_calendars() {
    let house = House::build();
    house.account("joe");
    let directory = tempfile::tempdir().unwrap();
    let link = directory.path().join("link.ics");
    std::os::unix::fs::symlink(sample("calendar.ics"), &link).unwrap();
    let pipe = directory.path().join("pipe.ics");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let text = write(&directory.path().join("letter"), "Subject: x\n\nhello\n");
    let paths = [link.to_str().unwrap(), pipe.to_str().unwrap(), &text, "/etc", "/dev/zero"];
    for path in paths {
        let (code, told) = house.angarium(&["import", "calendar", path, "joe"]);
        assert_eq!(code, 1, "{path}: {told}");
    }
    assert!(!cli(&house, "ListMailboxes joe").contains("Calendar"));
}

/// A stand-in that writes what readpst writes, and notes how it was called.
fn stand_in(directory: &Path) -> PathBuf {
    let script = format!(
        "#!/bin/sh\nprintf '%s\\n' \"$@\" >'{0}/words'\nenv >'{0}/environment'\n\
         while [ $# -gt 1 ]; do [ \"$1\" = -o ] && out=$2; shift; done\n\
         case \"$1\" in *hang*) exec sleep 600 ;; *broken*) exit 1 ;; esac\n\
         top=\"$out/Top of Outlook data file\"\n\
         mkdir -p \"$top/Inbox\" \"$top/Work/Plans\" \"$top/Contacts\" \"$top/Calendar\"\n\
         mail() {{ printf 'From \"x\" Mon Jan  1 10:00:00 2024\\nSubject: %s\\nFrom: a@b.example\\n\\nbody\\n\\n' \"$1\"; }}\n\
         {{ mail one; mail two; }} >\"$top/Inbox/mbox\"\nmail three >\"$top/Work/mbox\"\nmail four >\"$top/Work/Plans/mbox\"\n\
         ln -s /etc/passwd \"$top/Work/contacts\"\n\
         cp '{1}' \"$top/Contacts/contacts\"\ncp '{2}' \"$top/Calendar/calendar\"\n",
        directory.display(),
        sample("contacts.vcf"),
        sample("calendar.ics"),
    );
    let path = directory.join("readpst");
    std::fs::write(&path, script).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path
}

// MIG-63
#[test]
fn mig_63_a_pst_file_comes_in_by_way_of_readpst_with_its_folders() {
    let house = House::build();
    house.account("joe");
    let directory = tempfile::tempdir().unwrap();
    let program = stand_in(directory.path());
    let program = program.to_str().unwrap();
    let pst = write(&directory.path().join("a b'c.pst"), b"!BDN");
    let (code, text) =
        house.angarium(&["import", "pst", &pst, "--into", "joe", "--readpst", program]);
    assert_eq!(code, 0, "{text}");
    has(
        &text,
        &[
            "INBOX: 2 messages, 2 added",
            "Work: 1 messages",
            "Work/Plans: 1 messages",
            "Contacts: 3 added",
            "Calendar: 2 added",
            "not followed",
        ],
    );
    let words = std::fs::read_to_string(directory.path().join("words")).unwrap();
    assert!(words.lines().next_back() == Some(pst.as_str()) && words.contains("-cv"), "{words}");
    let environment = std::fs::read_to_string(directory.path().join("environment")).unwrap();
    assert!(!environment.contains("CARGO"), "{environment}");
    assert_eq!(fetched(&mut house.imap("joe"), "INBOX").len(), 2);
    let (_, text) = house.angarium(&["import", "pst", &pst, "--into", "joe", "--readpst", program]);
    has(
        &text,
        &["INBOX: 2 messages, 0 added, 2 there already", "Contacts: 0 added, 3 there already"],
    );
    // One that readpst refuses, one on which it hangs, one that is none, no program at all.
    let broken = write(&directory.path().join("broken.pst"), b"x");
    let (code, text) =
        house.angarium(&["import", "pst", &broken, "--into", "joe", "--readpst", program]);
    assert!(code == 1 && text.contains("no PST file"), "{text}");
    let hang = write(&directory.path().join("hang.pst"), b"x");
    let words = ["import", "pst", &hang, "--into", "joe", "--readpst", program, "--minutes", "0"];
    let (code, text) = house.angarium(&words);
    assert!(code == 1 && text.contains("stopped after 0 minutes"), "{text}");
    let (code, text) =
        house.angarium(&["import", "pst", &pst, "--into", "joe", "--readpst", "/none/readpst"]);
    assert!(code == 1 && text.contains("not installed"), "{text}");
    let left: Vec<_> = std::fs::read_dir(house.base.join("Imports")).unwrap().flatten().collect();
    assert!(left.iter().all(|entry| !entry.file_name().to_string_lossy().starts_with("pst-")));
    // The real program, on something that is no store.
    if installed("readpst") {
        let (code, text) = house.angarium(&["import", "pst", &broken, "--into", "joe"]);
        assert!(code == 1 && text.contains("no PST file"), "{text}");
    }
    assert!(pop_login(&house, "joe", PASSWORD));
}
