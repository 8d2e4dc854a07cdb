//! The same odd messages read by another parser: where both can be right they must agree.

use angarium_message::address;
use angarium_message::header;
use angarium_message::structure::{Inside, Part};
use angarium_message::summary::Summary;
use mail_parser::{MessageParser, PartType};

/// Names and bytes of the odd messages kept in `tests/data`.
const MESSAGES: [(&str, &[u8]); 8] = [
    ("plain", include_bytes!("data/plain.eml")),
    ("mixed", include_bytes!("data/mixed.eml")),
    ("forwarded", include_bytes!("data/forwarded.eml")),
    ("raw-8bit", include_bytes!("data/raw-8bit.eml")),
    ("no-header", include_bytes!("data/no-header.eml")),
    ("unclosed", include_bytes!("data/unclosed.eml")),
    ("odd-header", include_bytes!("data/odd-header.eml")),
    ("japanese", include_bytes!("data/japanese.eml")),
];

fn leaves(part: &Part) -> usize {
    part.walk().filter(|p| p.inside == Inside::Leaf).count()
}

fn their_leaves(message: &mail_parser::Message<'_>) -> usize {
    message
        .parts
        .iter()
        .map(|part| match &part.body {
            PartType::Multipart(_) => 0,
            PartType::Message(inner) => their_leaves(inner),
            _ => 1,
        })
        .sum()
}

#[test]
fn both_parsers_find_the_same_parts_and_subject() {
    for (name, message) in MESSAGES {
        let theirs = MessageParser::default().parse(message).unwrap();
        assert_eq!(leaves(&Part::of(message)), their_leaves(&theirs), "{name}");
        // The other parser guesses raw 8-bit text differently and is built without the
        // Japanese charsets.
        if name != "raw-8bit" && name != "japanese" {
            let subject = theirs.subject().unwrap_or_default();
            assert_eq!(Summary::of(message).subject, subject, "{name}");
        }
        let date = theirs.date().map(|d| d.to_timestamp());
        assert_eq!(Summary::of(message).sent_date, date, "{name}");
    }
}

#[test]
fn both_parsers_find_the_same_addresses() {
    for (name, message) in MESSAGES.iter().filter(|(name, _)| *name != "raw-8bit") {
        let theirs = MessageParser::default().parse(*message).unwrap();
        let block = message.get(..header::header_length(message)).unwrap();
        for field in ["From", "To", "Cc"] {
            let ours: Vec<String> = header::fields(block)
                .filter(|f| f.is(field))
                .flat_map(|f| address::mailboxes(f.value))
                .map(|m| m.address())
                .collect();
            let list = theirs.header(field).and_then(|value| value.as_address());
            let theirs: Vec<String> = list
                .map(|list| list.iter().filter_map(|a| a.address().map(str::to_owned)).collect())
                .unwrap_or_default();
            assert_eq!(ours, theirs, "{name} {field}");
        }
    }
}

#[test]
fn previews_of_odd_messages_are_readable() {
    let preview = |index: usize| Summary::of(MESSAGES[index].1).preview;
    assert_eq!(preview(0), "Hello Bob, the report is ready. Alice");
    assert_eq!(preview(1), "Die Übersicht für März liegt bei.");
    assert_eq!(preview(7), "こんにちは");
    assert!(Summary::of(MESSAGES[1].1).has_attachments);
    assert!(!Summary::of(MESSAGES[0].1).has_attachments);
}
