//! Calendars and cards of any form: what is read of a file is written so that it is read as the
//! same, once and for ever. `PROPTEST_CASES` says how many are tried.

#![allow(clippy::unwrap_used, reason = "a test that cannot read its input should fail")]

use angarium_message::items::{Item, read};
use proptest::prelude::*;

/// Lines as they come, whole or broken, of any form.
fn any_lines() -> impl Strategy<Value = String> {
    let name = "(BEGIN|END|VERSION|UID|FN|N|ORG|SUMMARY|RRULE|EXDATE|TZID|DTSTART|DTSTAMP|LAST-MODIFIED|SEQUENCE|RECURRENCE-ID|ORGANIZER|ATTENDEE|DALARM|STATUS|TEL|EMAIL|REV|X-A|a\\.TEL)";
    let parameter = "(;[AHT]{1,3}(=\"?[a-c:;,=é\t ]{0,9}\"?)?|;(ENCODING=)?\"?(QUOTED-PRINTABLE|BASE64|b)\"?|;CHARSET=(UTF-8|ISO-8859-1)|;TZID=\"?[ab]\"?|;\"){0,3}";
    let value = "([1-4A-Ca-c=;:,\\\\é\"# \t\u{1}\u{a0}]|=[0-9A-F]{2}|=\r?\n|\r?\n[ \t]|\r|20240101T000000Z|VEVENT|VALARM|v@a\\.b|.){0,90}";
    let line = (name, parameter, value).prop_map(|(n, p, v)| format!("{n}{p}:{v}\r\n"));
    let inside = "(BEGIN|END):V(EVENT|ALARM|TODO|CARD|CALENDAR)\r?\n";
    let one = prop_oneof![16 => line, 1 => inside, 1 => "[ \t]?[a-z:é=]{0,90}\n"];
    proptest::collection::vec(one, 0..9).prop_map(|lines| lines.concat())
}

/// Files with objects in them more often than not.
fn any_file() -> impl Strategy<Value = String> {
    let version = "(VERSION:[1-4](\\.[01])?\n)?";
    let component =
        ("VEVENT|VTODO|VTIMEZONE", any_lines()).prop_map(|(word, lines)| match word.as_str() {
            "VTIMEZONE" => format!("BEGIN:{word}\nTZID:a\n{lines}END:{word}\n"),
            _ => format!("BEGIN:{word}\n{lines}DTSTART;TZID=a:20240101\nEND:{word}\n"),
        });
    let calendar = (version, proptest::collection::vec(component, 0..4))
        .prop_map(|(v, all)| format!("BEGIN:VCALENDAR\n{v}{}END:VCALENDAR\n", all.concat()));
    let card =
        (version, any_lines()).prop_map(|(v, l)| format!("BEGIN:VCARD\n{v}FN:x\n{l}END:VCARD\n"));
    let bare = any_lines();
    proptest::collection::vec(prop_oneof![4 => calendar, 3 => card, 1 => bare], 1..3)
        .prop_map(|all| all.concat())
}

/// What is read of a file is written so that it is read as the same, once and for ever.
fn kept(text: &str) -> Result<(), TestCaseError> {
    for item in read(text.as_bytes()).items {
        let again = read(item.body.as_bytes());
        prop_assert_eq!(again.items.len(), 1, "{:?} of {:?}", item.body, text);
        prop_assert_eq!(&again.items[0].uid, &item.uid, "{:?} of {:?}", item.body, text);
        prop_assert_eq!(&again.items[0].body, &item.body, "of {:?}", text);
    }
    Ok(())
}

/// Deepest component that is read.
const DEPTH: usize = 8;

/// What a file holds, which must be kept.
fn held(file: &str) -> Vec<Item> {
    kept(file).unwrap();
    read(file.as_bytes()).items
}

#[test]
fn what_is_read_is_written_so_that_it_is_read_as_the_same() {
    // Of a time zone, a line in quoted-printable that is folded behind one of its signs.
    let coded = format!("X;ENCODING=QUOTED-PRINTABLE:{}=3D{}", "a".repeat(46), "b".repeat(90));
    let zone = format!(
        "BEGIN:VCALENDAR\nBEGIN:VTIMEZONE\nTZID:a\n{coded}\nEND:VTIMEZONE\n\
         BEGIN:VEVENT\nUID:u\nDTSTART;TZID=a:20240101\nEND:VEVENT\nEND:VCALENDAR\n"
    );
    assert!(held(&zone)[0].body.contains("TZID:a"));
    // What only looks like quoted-printable, folded behind such a sign.
    let like = format!("X;A=\"b;QUOTED-PRINTABLE\":{}=3D{}", "a".repeat(50), "b".repeat(90));
    assert_eq!(held(&format!("BEGIN:VCARD\nVERSION:4.0\nFN:x\n{like}\nEND:VCARD\n")).len(), 1);
    // A quotation mark inside a parameter, a line that begins with what no line may hold.
    held("BEGIN:VCARD\nFN:x\nUID;ENCODING=QUOTED-PRINTABLE\";H:\nEND:VCARD\n");
    held("BEGIN:VCALENDAR\nBEGIN:VEVENT\nUID:u\n\u{1} X:1\nEND:VEVENT\nEND:VCALENDAR\n");
    // What becomes more than can be read again when it is written in the new form is not taken.
    let deep = |alarm: &str| {
        format!(
            "BEGIN:VCALENDAR\nVERSION:1.0\nBEGIN:VEVENT\nUID:u\n{}{alarm}{}END:VEVENT\nEND:VCALENDAR\n",
            "BEGIN:X\n".repeat(DEPTH),
            "END:X\n".repeat(DEPTH)
        )
    };
    assert_eq!(held(&deep("")).len(), 1);
    assert!(held(&deep("DALARM:20240101T000000\n")).is_empty());
}

proptest! {
    #[test]
    fn whatever_is_read_is_written_and_read_again_as_the_same(
        text in "((BEGIN|END):V(CALENDAR|CARD|EVENT|TODO|TIMEZONE)\r?\n|(UID|FN|N|SUMMARY|RRULE|VERSION|TZID|DTSTART;TZID=a|TEL;HOME;ENCODING=QUOTED-PRINTABLE|X;\"):[1-4a-c=;,\\\\é\"#W ]{0,12}\r?\n| [a-z:é]{0,6}\n){0,30}",
        file in any_file()
    ) {
        kept(&text)?;
        kept(&file)?;
    }
}
