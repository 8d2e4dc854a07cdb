//! LDIF as the RFC's examples and as directories write it, and as nobody should.

use super::*;
use proptest::prelude::*;

fn read(text: &str) -> Vec<Read> {
    let mut ldif = Ldif::default();
    let mut all = Vec::new();
    for (at, line) in text.split('\n').enumerate() {
        all.extend(ldif.line(at as u64 + 1, Some(line)));
    }
    all.extend(ldif.end());
    all
}

// MIG-59
#[test]
fn mig_59_records_with_folded_lines_base64_and_comments_are_read() {
    let text = "version: 1\n# a comment\n  that goes on\ndn: cn=Barbara Jensen,\n  ou=Product \n Development, dc=airius, dc=com\n\
        objectclass: top\nobjectClass:person\ncn: Barbara Jensen\ncn;lang-de: Bärbel\ndescription:: V2hhdCBhIGNhcmVmdWwgcmVhZGVyIHlvdSBhcmUh\n\
        jpegPhoto;binary:: /9j/4AAQ\nuserpassword:: e1NTSEF9RjN0SjhrPQ\nphoto:< file:///etc/shadow\n\n\n\
        # another\ndn:: dWlkPcO2LG89eA==\nuid: \u{f6}\ncn:: 6Q==\n";
    let all = read(text);
    assert_eq!(all.len(), 2, "{all:?}");
    let first = all[0].as_ref().unwrap();
    assert_eq!(first.entry.dn, "cn=Barbara Jensen, ou=Product Development, dc=airius, dc=com");
    assert_eq!((first.entry.line, first.change), (4, Change::Add));
    assert_eq!(first.entry.all("objectclass"), ["top", "person"]);
    assert_eq!(first.entry.first(&["description"]), Some("What a careful reader you are!"));
    assert_eq!(first.entry.first(&["userpassword"]), Some("{SSHA}F3tJ8k="));
    assert_eq!(first.entry.first(&["cn;lang-de"]), Some("Bärbel"));
    assert_eq!(first.entry.lost, ["photo: it stands in another file, not followed"]);
    let second = all[1].as_ref().unwrap();
    assert_eq!((second.entry.dn.as_str(), second.entry.first(&["cn"])), ("uid=ö,o=x", Some("é")));
}

#[test]
fn change_records_are_told_from_contents() {
    let text = "dn: uid=a,o=x\nchangetype: add\nuid: a\n\ndn: uid=b,o=x\nchangetype: delete\n\n\
        dn: uid=c,o=x\nchangetype: modify\nadd: mail\nmail: c@x\n-\n\ndn: uid=d\nchangetype: modrdn\nnewrdn: uid=e\n\n\
        dn: uid=f\nchangetype: explode\n";
    let kinds: Vec<_> = read(text).into_iter().map(|one| one.map(|r| r.change).ok()).collect();
    let (add, delete) = (Some(Change::Add), Some(Change::Delete));
    assert_eq!(kinds, [add, delete, Some(Change::Modify), Some(Change::Rename), None]);
}

// ABU-67
#[test]
fn abu_67_a_broken_record_tells_its_line_and_leaves_the_next_whole() {
    for (broken, line, why) in [
        ("uid: x\n", 1, "begins with dn"),
        (" folded\n", 1, "never began"),
        ("dn: uid=a\nno colon\n", 2, "colon"),
        ("dn: uid=a\nuid:: ***\n", 2, "base64"),
        ("dn: uid=a\na b: c\n", 2, "no attribute"),
        ("dn:< file:///x\n", 1, "distinguished name"),
    ] {
        let all = read(&format!("{broken}\ndn: uid=good\nuid: good\n"));
        let (at, told) = all[0].clone().unwrap_err();
        assert!(at == line && told.contains(why), "{broken:?}: {at} {told}");
        assert_eq!(all[1].as_ref().unwrap().entry.dn, "uid=good", "{broken:?}");
    }
    let picture = read("dn: uid=a\njpegPhoto:: ***\nuid: a\n");
    assert_eq!(picture[0].as_ref().unwrap().entry.lost, ["jpegPhoto: this is no base64"]);
    // A line that is too long loses its value alone, and so does one folded without end.
    let mut ldif = Ldif::default();
    for (number, line) in
        [(1, Some("dn: uid=a")), (2, None), (3, Some(" more")), (4, Some("uid: a"))]
    {
        assert!(ldif.line(number, line).is_none());
    }
    let record = ldif.end().unwrap().unwrap();
    assert_eq!((record.entry.first(&["uid"]), record.entry.lost.len()), (Some("a"), 1));
    let mut ldif = Ldif::default();
    ldif.line(1, Some("dn: uid=a"));
    ldif.line(2, Some("photo: x"));
    let piece = format!(" {}", "y".repeat(60_000));
    (0..40).for_each(|n| drop(ldif.line(3 + n, Some(&piece))));
    let record = ldif.end().unwrap().unwrap();
    assert!(record.entry.all("photo").is_empty() && record.entry.lost.len() == 1);
}

#[test]
fn names_of_the_directory_are_compared_whatever_their_case_and_spaces() {
    assert_eq!(leftmost("uid=joe,ou=People,o=x"), "joe");
    assert_eq!(leftmost("CN=Doe\\, Joe,DC=x"), "Doe, Joe");
    assert_eq!(leftmost("nothing"), "");
    assert_eq!(folded_dn("UID=Joe , OU = People,o=X"), "uid=joe,ou=people,o=x");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]
    #[test]
    fn no_lines_make_the_reader_panic(text in "(dn: .{0,10}\n|[a-z]{1,4}:{1,2}.{0,12}\n| .{0,5}\n|\n|.{0,9}\n){0,20}") {
        for read in read(&text).into_iter().flatten() {
            let _ = (leftmost(&read.entry.dn), folded_dn(&read.entry.dn));
        }
    }
}
