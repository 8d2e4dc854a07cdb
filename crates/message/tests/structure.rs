//! Parts and sections: exact byte ranges, as FETCH BODY[…] wants them.

use angarium_message::section::What;
use angarium_message::structure::{Inside, Part, StructureScanner};
use proptest::prelude::*;

const NESTED: &[u8] = b"From: o@x\r\nContent-Type: multipart/mixed; boundary=b1\r\n\r\n\
pre\r\n--b1\r\nContent-Type: text/plain; charset=iso-8859-1\r\n\
Content-Transfer-Encoding: quoted-printable\r\n\r\nf=E9=\r\nte\r\n\
--b1\r\nContent-Type: message/rfc822\r\nX-M: 1\r\n\r\n\
Subject: inner\r\nTo: a@b\r\nContent-Type: multipart/alternative; boundary=b2\r\n\r\n\
--b2\r\n\r\none\r\n--b2\r\nContent-Type: text/html\r\n\r\n<b>\r\n--b2--\r\n\
--b1\r\nContent-Type: message/rfc822\r\n\r\nSubject: flat\r\n\r\nbody\r\n\
--b1\r\nContent-Type: application/x; name=\"=?utf-8?Q?=C3=A9?=.x\"\r\n\
Content-Disposition: attachment; filename*=utf-8''%C3%A9.pdf\r\n\r\n--b1--\r\n";

fn section(path: &[u32], what: What<'_>) -> Option<String> {
    let part = Part::of(NESTED);
    part.section(NESTED, path, &what).map(|s| String::from_utf8_lossy(&s).into_owned())
}

fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

#[test]
fn sections_are_the_exact_bytes() {
    let whole = String::from_utf8_lossy(NESTED);
    assert_eq!(section(&[], What::Whole), some(&whole));
    assert_eq!(
        section(&[], What::Header),
        some("From: o@x\r\nContent-Type: multipart/mixed; boundary=b1\r\n\r\n")
    );
    assert!(section(&[], What::Text).unwrap().starts_with("pre\r\n--b1\r\n"));
    assert_eq!(section(&[], What::Mime), None);
    assert_eq!(section(&[1], What::Whole), some("f=E9=\r\nte"));
    assert_eq!(section(&[1], What::Text), None);
    assert_eq!(section(&[1], What::Header), None);
    assert!(section(&[1], What::Mime).unwrap().ends_with("quoted-printable\r\n\r\n"));
    assert_eq!(section(&[2], What::Mime), some("Content-Type: message/rfc822\r\nX-M: 1\r\n\r\n"));
    assert!(section(&[2], What::Whole).unwrap().starts_with("Subject: inner\r\n"));
    assert!(section(&[2], What::Whole).unwrap().ends_with("\r\n--b2--"));
    assert_eq!(
        section(&[2], What::HeaderFields(&["SUBJECT", "X"])),
        some("Subject: inner\r\n\r\n")
    );
    assert!(!section(&[2], What::HeaderFieldsNot(&["subject"])).unwrap().contains("Subject"));
    assert!(section(&[2], What::Text).unwrap().starts_with("--b2\r\n"));
    assert_eq!(section(&[2, 1], What::Whole), some("one"));
    assert_eq!(section(&[2, 1], What::Mime), some("\r\n"));
    assert_eq!(section(&[2, 2], What::Whole), some("<b>"));
    assert_eq!(section(&[2, 3], What::Whole), None);
    assert_eq!(section(&[3, 1], What::Whole), some("body"));
    assert_eq!(section(&[3], What::Header), some("Subject: flat\r\n\r\n"));
    assert_eq!(section(&[3, 2], What::Whole), None);
    assert_eq!(section(&[4], What::Whole), some(""));
    assert_eq!(section(&[5], What::Whole), None);
    assert_eq!(section(&[0], What::Whole), None);
    assert_eq!(section(&[1, 1], What::Whole), None);
}

#[test]
fn a_message_without_parts_has_part_one() {
    let message = b"Subject: x\r\n\r\nbody\r\n";
    let part = Part::of(message);
    assert_eq!(&*part.section(message, &[1], &What::Whole).unwrap(), b"body\r\n");
    assert_eq!(part.section(message, &[2], &What::Whole), None);
    assert_eq!(part.section(message, &[1, 1], &What::Whole), None);
}

#[test]
fn contents_and_names_are_decoded() {
    let root = Part::of(NESTED);
    assert_eq!(root.children[0].text_of(NESTED).unwrap(), "féte");
    assert_eq!(root.children[3].file_name(NESTED).unwrap(), "é.pdf");
    assert_eq!(root.children[3].text_of(NESTED), None);
    assert_eq!(root.walk().count(), 9);
}

#[test]
fn hostile_messages_have_bounded_trees() {
    // ABU-45
    let parts = [
        b"Content-Type: multipart/mixed; boundary=x\r\n\r\n".to_vec(),
        b"--x\r\n\r\n".repeat(100_000),
    ]
    .concat();
    let root = Part::of(&parts);
    assert!(root.walk().count() <= angarium_message::PARTS_MAX);
    assert_eq!(root.children.last().unwrap().body.end, parts.len());
    let nested = Part::of(&b"Content-Type: message/rfc822\r\n\r\n".repeat(10_000));
    assert_eq!(nested.walk().count(), angarium_message::DEPTH_MAX + 1);
}

fn check(part: &Part, around: &Part) {
    assert!(part.header.start <= part.header.end && part.header.end == part.body.start);
    assert!(part.body.start <= part.body.end);
    assert!(around.body.start <= part.header.start && part.body.end <= around.body.end);
    assert_eq!(part.children.is_empty(), part.inside == Inside::Leaf);
    for child in &part.children {
        check(child, part);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn parts_lie_inside_each_other_in_any_message(
        lines in prop::collection::vec(
            prop::sample::select(vec![
                "Content-Type: multipart/mixed; boundary=x\r\n",
                "Content-Type: multipart/digest; boundary=xy\n",
                "Content-Type: message/rfc822\r\n",
                "--x\r\n", "--xy\n", "--x--\r\n", "\r\n", "\n", "text\r\n", "a: b\n", "--x",
            ]),
            0..40,
        ),
    ) {
        let message = lines.concat();
        let root = Part::of(message.as_bytes());
        prop_assert_eq!(root.body.end, message.len());
        let mut scanner = StructureScanner::new();
        for piece in message.as_bytes().chunks(3) {
            scanner.push(piece);
        }
        prop_assert_eq!(&scanner.finish(), &root);
        for child in &root.children {
            check(child, &root);
        }
        for part in root.walk() {
            let _ = part.content_of(message.as_bytes());
        }
    }
}
