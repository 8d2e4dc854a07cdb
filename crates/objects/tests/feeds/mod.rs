//! What is done with a file from outside, wherever it comes from: a file of the corpus (replayed by
//! the tests) or a fuzzer (`fuzz/`). Nothing may panic, and what is read as a person must be a row
//! that the account list takes or refuses with a reason.

#![allow(dead_code, reason = "a fuzzer uses one of them")]

use angarium_objects::configuration::{Gatherer, stanza_text};
use angarium_objects::import::account_list::Header;
use angarium_objects::import::blocks::Blocks;
use angarium_objects::import::directory::{Reading, contact_references, newcomers};
use angarium_objects::import::encoding::Detector;
use angarium_objects::import::entry::{Entry, attribute_of};
use angarium_objects::import::imail::Imail;
use angarium_objects::import::ldif::Ldif;
use angarium_objects::import::newcomer::{FIELDS, Newcomer, folded_reference};
use angarium_objects::import::registry::Registry;
use angarium_objects::import::table::{Table, separator_of, tab_cell};
use angarium_objects::import::{address_book, passwd, sendmail};
use angarium_objects::password::recognise;
use angarium_objects::text::{Layout, Reader, line_text, parse_line};
use angarium_objects::value::Value;

/// Longest input looked at, in octets: a fuzzer wins nothing beyond it.
const LONGEST: usize = 64 << 10;

/// A file of users in every form that is read.
pub(crate) fn import_file(bytes: &[u8]) {
    let bytes = &bytes[..bytes.len().min(LONGEST)];
    let mut detector = Detector::default();
    bytes.chunks(7).for_each(|piece| detector.feed(piece));
    let text = detector.encoding().text(bytes);
    let lines: Vec<&str> = text.split('\n').map(|line| line.trim_end_matches('\r')).collect();
    let numbered = || lines.iter().enumerate().map(|(at, line)| (at as u64 + 1, *line));

    let mut ldif = Ldif::default();
    for (number, line) in numbered() {
        ldif.line(number, Some(line))
            .into_iter()
            .flatten()
            .for_each(|record| person(&record.entry));
    }
    ldif.end().into_iter().flatten().for_each(|record| person(&record.entry));

    let mut blocks = Blocks::default();
    for (number, line) in numbered() {
        blocks.line(number, Some(line)).into_iter().flatten().for_each(|entry| person(&entry));
    }
    blocks.end().into_iter().flatten().for_each(|entry| person(&entry));

    let (mut registry, mut imail) = (Registry::default(), Imail::default());
    for (number, line) in numbered() {
        if let Some(Ok(key)) = registry.line(number, Some(line)) {
            imail.key(&key).iter().for_each(row);
        }
    }

    table(&lines);
    let mut joiner = sendmail::Joiner::default();
    for (number, line) in numbered() {
        if let Ok(Some((number, entry))) = joiner.next(number, line) {
            let _ = sendmail::entry(number, &entry);
        }
        let _ = (passwd::user(line), passwd::shadow(line));
    }
}

fn table(lines: &[&str]) {
    let Some((first, rest)) = lines.split_first() else { return };
    let mut table = Table::new(separator_of(first));
    let Some((_, Ok(names))) = table.line(1, Some(first)) else { return };
    let header = Header::read(&names);
    for (at, line) in rest.iter().enumerate() {
        let Some((number, Ok(cells))) = table.line(at as u64 + 2, Some(line)) else { continue };
        if let Ok(header) = &header {
            let _ = header.row(&cells);
        }
        let mut entry = Entry::new(number, "");
        for (name, cell) in names.iter().zip(&cells) {
            entry.add_cell(&attribute_of(name), &tab_cell(cell));
        }
        person(&entry);
    }
}

fn person(entry: &Entry) {
    let everybody = Reading { all_people: true, bare_crypt: true, ..Reading::default() };
    let here = Reading { domain: Some("here.example".into()), ..Reading::default() };
    for reading in [Reading::default(), everybody, here] {
        newcomers(entry, &reading).iter().for_each(row);
    }
    let _ = (contact_references(entry), address_book::vcard(entry));
    if let Some(text) = address_book::ldif(entry) {
        assert!(text.lines().all(|line| line.len() <= 76 && line.is_ascii()), "{text}");
    }
}

fn row(newcomer: &Newcomer) {
    match newcomer {
        Newcomer::Account(person) => {
            let header = Header::read(&FIELDS).expect("our own fields");
            let cells = person.cells(&person.forward);
            // What would tear a list is refused.
            let torn = cells.iter().any(|cell| cell.contains(['\t', '\n']));
            assert!(!torn || header.row(&cells).is_err(), "{cells:?}");
            let _ = header.row(&cells);
            person.references.iter().for_each(|one| drop(folded_reference(one)));
        }
        Newcomer::Address(address) => assert!(!address.name.is_empty()),
        Newcomer::LeftOut(..) | Newcomer::Failed(..) => {}
    }
}

/// A configuration as text: what is read of it is written and read again as the same.
pub(crate) fn configuration(bytes: &[u8]) {
    let bytes = &bytes[..bytes.len().min(LONGEST)];
    let mut gatherer = Gatherer::default();
    for line in bytes.split(|b| *b == b'\n') {
        let Ok(Some((_, stanza))) = gatherer.line(line) else { continue };
        let text = stanza_text(&stanza);
        let mut again = Gatherer::default();
        let mut found = None;
        for line in text.lines() {
            if let Ok(Some((_, read))) = again.line(line.as_bytes()) {
                found = Some(read);
            }
        }
        assert_eq!(found.as_ref(), Some(&stanza), "{text}");
    }
}

/// Objects as text: each line as a command line, the whole as a file. What is read is printed on one
/// line and read again as the same (ABU-61).
pub(crate) fn object_text(bytes: &[u8]) {
    let bytes = &bytes[..bytes.len().min(LONGEST)];
    let whole = Reader::new(bytes, Layout::File).map(|mut reader| reader.object());
    if let Ok(Ok(value)) = whole {
        printed(&value);
    }
    for line in bytes.split(|byte| *byte == b'\n') {
        let Ok(mut reader) = Reader::new(line, Layout::Line) else { continue };
        while !reader.at_end() {
            let before = reader.position();
            let Ok(value) = reader.parameter() else { break };
            assert!(reader.position() > before, "a parameter takes something");
            if let Value::String(text) = &value {
                let _ = recognise(text);
            }
            printed(&value);
        }
    }
}

fn printed(value: &Value) {
    let text = line_text(value);
    assert!(!text.contains(['\r', '\n']), "{text:?}");
    // Line ends inside XML become spaces, so the texts are compared.
    let again = parse_line(&text).map(|again| line_text(&again));
    assert_eq!(again.as_ref(), Ok(&text));
}
