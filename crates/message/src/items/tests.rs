//! Calendars and cards as programs write them, and as nobody should.

use super::*;
use crate::address::Mailbox;
use crate::date::Moment;

const ZONED: &str = "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//Mozilla.org/NONSGML Mozilla Calendar V1.1//EN\r\nMETHOD:REQUEST\r\n\
    BEGIN:VTIMEZONE\r\nTZID:Europe/Berlin\r\nBEGIN:STANDARD\r\nDTSTART:19701025T030000\r\nTZOFFSETFROM:+0200\r\nTZOFFSETTO:+0100\r\n\
    RRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=10\r\nEND:STANDARD\r\nEND:VTIMEZONE\r\n\
    BEGIN:VTIMEZONE\r\nTZID:Nowhere\r\nEND:VTIMEZONE\r\n\
    BEGIN:VEVENT\r\nUID:weekly@x\r\nDTSTAMP:20240101T000000Z\r\nSEQUENCE:2\r\nSUMMARY:Besprechung\\, w\u{f6}chentlich\r\n\
    DTSTART;TZID=Europe/Berlin:20240102T100000\r\nRRULE:FREQ=WEEKLY\r\nORGANIZER;CN=\"Doe: Joe\":MAILTO:joe@a.example\r\n\
    DESCRIPTION:A long text that is folded because it has more than seventy-five oc\r\n tets in one line\r\n\
    BEGIN:VALARM\r\nACTION:DISPLAY\r\nTRIGGER:-PT15M\r\nSUMMARY:alarm\r\nUID:alarm\r\nEND:VALARM\r\nEND:VEVENT\r\n\
    BEGIN:VTODO\r\nUID:todo@x\r\nSUMMARY:Taxes\r\nEND:VTODO\r\n\
    BEGIN:VEVENT\r\nUID:weekly@x\r\nDTSTAMP:20240105T000000Z\r\nRECURRENCE-ID;TZID=Europe/Berlin:20240109T100000\r\n\
    DTSTART;TZID=Europe/Berlin:20240109T110000\r\nSUMMARY:Moved\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n";

fn one(text: &str) -> Item {
    let all = read(text.as_bytes());
    assert_eq!((all.items.len(), all.faults.len()), (1, 0), "{all:?}");
    all.items[0].clone()
}

// MIG-72
#[test]
fn mig_72_a_calendar_is_taken_apart_by_uid_with_its_occurrences_and_time_zones() {
    let all = read(ZONED.as_bytes());
    assert!(all.faults.is_empty() && all.items.len() == 2, "{all:?}");
    let event = &all.items[0];
    assert_eq!((event.kind, event.uid.as_str()), (ItemKind::Event, "weekly@x"));
    assert_eq!(event.title, "Besprechung, w\u{f6}chentlich");
    assert_eq!(event.address.as_deref(), Some("joe@a.example"));
    assert_eq!(event.edition, Edition { sequence: 2, changed: "20240101000000".into() });
    for (line, times) in [
        ("BEGIN:VEVENT", 2),
        ("TZID:Europe/Berlin", 1),
        ("TZID:Nowhere", 0),
        ("METHOD", 0),
        ("RRULE:FREQ=WEEKLY", 1),
        ("BEGIN:VALARM", 1),
        ("SUMMARY:Moved", 1),
        ("BEGIN:VTODO", 0),
    ] {
        assert_eq!(event.body.matches(line).count(), times, "{line}\n{}", event.body);
    }
    assert!(event.body.lines().all(|line| line.len() <= 75));
    let task = &all.items[1];
    assert_eq!((task.kind, task.title.as_str()), (ItemKind::Task, "Taxes"));
    assert!(task.body.contains("DTSTAMP:19700101T000000Z") && !task.body.contains("TZID"));
    // What is written is read again as the same.
    assert_eq!(one(&event.body).body, event.body);
}

// MIG-72
#[test]
fn mig_72_vcalendar_of_1996_is_read_as_icalendar() {
    let event = one("BEGIN:VCALENDAR\nVERSION:1.0\nPRODID:-//Palm\nBEGIN:VEVENT\n\
         SUMMARY;ENCODING=QUOTED-PRINTABLE;CHARSET=ISO-8859-1:Gr=FC=DFe, alle=\nzusammen\n\
         DTSTART:19980401T133000Z\nDTEND:19980401T143000Z\nRRULE:W1 MO #4\nCATEGORIES:A;B\n\
         DALARM:19980401T132500Z;PT5M;2;Wake up\nATTENDEE;ROLE=OWNER:Joe Doe <joe@a.example>\nEND:VEVENT\nEND:VCALENDAR\n");
    assert_eq!(event.title, "Gr\u{fc}\u{df}e, allezusammen");
    for line in [
        "VERSION:2.0",
        "RRULE:FREQ=WEEKLY;BYDAY=MO;COUNT=4",
        "CATEGORIES:A,B",
        "TRIGGER;VALUE=DATE-TIME:19980401T132500Z",
        "ATTENDEE;CN=\"Joe Doe\":mailto:joe@a.example",
        &format!("UID:{}", event.uid),
    ] {
        assert!(event.body.contains(&format!("{line}\r\n")), "{line}\n{}", event.body);
    }
    assert_eq!(one(&event.body).uid, event.uid);
}

// MIG-73
#[test]
fn mig_73_cards_of_all_versions_are_read() {
    let old = one(
        "BEGIN:VCARD\r\nVERSION:2.1\r\nN;CHARSET=UTF-8;ENCODING=QUOTED-PRINTABLE:M=C3=BCller;J=C3=B6rg\r\n\
         TEL;HOME;VOICE:+49 30 1\r\nADR;WORK:;;Street 1, back;City\r\nEMAIL;INTERNET:j@a.example\r\n\
         PHOTO;JPEG;ENCODING=BASE64:\r\n  /9j/4AAQ\r\n  SkZJRg==\r\n\r\nEND:VCARD\r\n",
    );
    assert_eq!(
        (old.title.as_str(), old.address.as_deref()),
        ("J\u{f6}rg M\u{fc}ller", Some("j@a.example"))
    );
    for line in [
        "VERSION:3.0",
        "FN:J\u{f6}rg M\u{fc}ller",
        "N:M\u{fc}ller;J\u{f6}rg",
        "TEL;TYPE=HOME,VOICE:+49 30 1",
        "ADR;TYPE=WORK:;;Street 1\\, back;City",
        "PHOTO;ENCODING=b;TYPE=JPEG:/9j/4AAQSkZJRg==",
    ] {
        assert!(old.body.contains(&format!("{line}\r\n")), "{line}\n{}", old.body);
    }
    let three = one(
        "BEGIN:VCARD\nVERSION:3.0\nUID:a-1\nREV:2024-01-02T03:04:05Z\nFN:Ann\\, Poe\nitem1.EMAIL:ann@a.example\n\
                     PHOTO;VALUE=uri:http://192.0.2.1/a.jpg\nEND:VCARD\n",
    );
    assert_eq!((three.uid.as_str(), three.title.as_str()), ("a-1", "Ann, Poe"));
    assert_eq!(three.edition.changed, "20240102030405");
    assert!(three.body.contains("item1.EMAIL:ann@a.example"));
    let four = one(
        "BEGIN:VCARD\nVERSION:4.0\nUID:urn:uuid:4fbe8971\nKIND:group\nFN:Team\nMEMBER:urn:uuid:1\nEND:VCARD\n",
    );
    assert_eq!(four.uid, "4fbe8971");
    // Several in one file, UTF-16, and one that nobody can name.
    let text: Vec<u8> = "\u{feff}BEGIN:VCARD\nVERSION:3.0\nFN:\u{10c}apek\nEND:VCARD\nBEGIN:VCARD\nVERSION:3.0\nNOTE:x\nEND:VCARD\n"
        .encode_utf16().flat_map(u16::to_le_bytes).collect();
    let all = read(&text);
    assert_eq!((all.items[0].title.as_str(), all.faults.len()), ("\u{10c}apek", 1));
}

// ABU-49, ABU-50
#[test]
fn abu_49_hostile_calendars_and_cards_are_bounded_and_nothing_is_expanded() {
    let event = |inside: &str| {
        format!(
            "BEGIN:VCALENDAR\nBEGIN:VEVENT\nUID:u\nDTSTART:20240101T000000Z\n{inside}END:VEVENT\nEND:VCALENDAR\n"
        )
    };
    assert_eq!(one(&event("RRULE:FREQ=SECONDLY\n")).uid, "u");
    for hostile in [
        event(&"EXDATE:20240101T000000Z\n".repeat(1_000_000 / 40)),
        event(&format!("ATTACH;ENCODING=BASE64:{}\n", "A".repeat(MAX_ITEM + 1))),
        event(&format!("{}{}", "BEGIN:VALARM\n".repeat(20), "END:VALARM\n".repeat(20))),
        event("BEGIN:VALARM\n"),
        "BEGIN:VCARD\nFN:x\n".to_owned(),
        format!(
            "BEGIN:VCARD\nVERSION:3.0\nFN:x\nPHOTO;ENCODING=b:{}\nEND:VCARD\n",
            "A".repeat(MAX_ITEM + 1)
        ),
    ] {
        let all = read(hostile.as_bytes());
        assert!(
            all.items.is_empty() && !all.faults.is_empty(),
            "{:.80}: {:?}",
            hostile,
            all.faults
        );
    }
    // Two of one UID: the newer counts, whichever comes first.
    let two = |a: &str, b: &str| {
        format!(
            "BEGIN:VCALENDAR\nBEGIN:VEVENT\nUID:u\nSEQUENCE:{a}\nSUMMARY:{a}\nEND:VEVENT\nEND:VCALENDAR\n\
        BEGIN:VCALENDAR\nBEGIN:VEVENT\nUID:u\nSEQUENCE:{b}\nSUMMARY:{b}\nEND:VEVENT\nEND:VCALENDAR\n"
        )
    };
    assert_eq!(one(&two("1", "2")).title, "2");
    assert_eq!(one(&two("2", "1")).title, "2");
}

#[test]
fn an_object_becomes_a_message_and_is_found_in_it_again() {
    let owner = Mailbox { name: "Joe".into(), local: "joe".into(), domain: "a.example".into() };
    for text in [ZONED, "BEGIN:VCARD\nVERSION:3.0\nFN:Joe\r\nUID:x\u{e4}\nEND:VCARD\n"] {
        for item in read(text.as_bytes()).items {
            let bytes = message(&item, &owner, Moment::utc(1_700_000_000));
            let back = stored(&bytes).unwrap();
            assert_eq!((back.kind, &back.uid, &back.body), (item.kind, &item.uid, &item.body));
            let subject = crate::header::find(&bytes, "Subject").unwrap().text();
            assert_eq!(subject, item.title);
        }
    }
    assert_eq!(stored(b"Subject: x\r\n\r\nhello"), None);
}
