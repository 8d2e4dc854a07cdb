//! What is done with a message from outside, wherever it comes from: a file of the corpus (replayed
//! by the tests) or a fuzzer (`fuzz/`). Nothing may panic, and offsets must lie inside the message.

#![allow(dead_code, reason = "a fuzzer uses one of them")]

use angarium_message::items;
use angarium_message::mailbox_files::{Dialect, Mbox, Quoter, View};
use angarium_message::structure::{Part, StructureScanner};
use angarium_message::summary::{Scanner, Summary, SummaryView};
use angarium_message::{address, date, encoded_word, header};

/// Longest input looked at, in octets: a fuzzer wins nothing beyond it.
const LONGEST: usize = 64 << 10;

/// The tree of parts: offsets inside each other, text decoded, any split the same.
pub(crate) fn structure(message: &[u8]) {
    let message = &message[..message.len().min(LONGEST)];
    let root = Part::of(message);
    assert_eq!(root.body.end, message.len());
    for part in root.walk() {
        assert!(part.header.start <= part.header.end && part.body.end <= message.len());
        let _ = part.header_of(message);
        let _ = part.content_of(message);
        let _ = part.text_of(message);
    }
    let mut scanner = StructureScanner::new();
    for piece in message.chunks(7) {
        scanner.push(piece);
    }
    assert_eq!(scanner.finish(), root);
}

/// What is kept of a message at delivery: any split the same, read back the same.
pub(crate) fn summary(message: &[u8]) {
    let message = &message[..message.len().min(LONGEST)];
    let whole = Summary::of(message);
    let mut scanner = Scanner::new();
    for piece in message.chunks(5) {
        scanner.push(piece);
    }
    assert_eq!(scanner.finish(), whole);
    let stored = whole.encode();
    assert_eq!(Summary::decode(&stored).expect("what was stored is read"), whole);
    let _ = SummaryView::new(&stored);
    // And bytes that nobody stored.
    let _ = Summary::decode(message);
    let _ = SummaryView::new(message);
}

/// Header fields, addresses, dates, encoded words.
pub(crate) fn fields(message: &[u8]) {
    let message = &message[..message.len().min(LONGEST)];
    for field in header::fields(message).take(200) {
        let _ = field.text();
        let _ = address::mailboxes(field.value);
        let _ = date::parse(field.value);
        let _ = encoded_word::decode_text(field.value);
    }
}

/// A file of calendars or contacts: what is read of it is written and read again as the same.
pub(crate) fn items(bytes: &[u8]) {
    let bytes = &bytes[..bytes.len().min(LONGEST)];
    for item in items::read(bytes).items {
        let again = items::read(item.body.as_bytes());
        assert_eq!(again.items.len(), 1, "{}", item.body);
        assert_eq!((&again.items[0].uid, &again.items[0].body), (&item.uid, &item.body));
    }
    let _ = items::stored(bytes);
}

/// A mailbox file, whatever it is: its messages follow each other and lie inside it, and what is read
/// of one is written and read again as the same.
pub(crate) fn mailbox_file(bytes: &[u8]) {
    let bytes = &bytes[..bytes.len().min(LONGEST)];
    let framed = [b"From a Tue Mar  7 10:15:00 2006\n", bytes].concat();
    for (file, dialect) in [
        (bytes, Dialect::Auto),
        (&framed, Dialect::Auto),
        (&framed, Dialect::Mboxcl2),
        (&framed, Dialect::Mboxo),
    ] {
        let mut mbox = Mbox::new(file, dialect);
        if mbox.begin().is_err() {
            continue;
        }
        let mut at = None;
        loop {
            let (mut view, mut wire) = (View::new(mbox.dialect().quoting()), Vec::new());
            let Ok(Some(found)) = mbox.next(&mut |piece| view.push(piece, &mut wire)) else {
                break;
            };
            view.finish(&mut wire);
            assert!(at.is_none_or(|at| at == found.begins));
            assert!(found.begins <= found.content && found.content <= found.ends);
            assert!(found.ends <= file.len() as u64);
            at = Some(found.ends);
            let (mut quoter, mut form) = (Quoter::new(), Vec::new());
            wire.chunks(11).for_each(|piece| quoter.push(piece, &mut form));
            quoter.finish(&mut form);
            let again = [b"From a Tue Mar  7 10:15:00 2006\n", form.as_slice()].concat();
            let mut count = 0;
            let mut again = Mbox::new(again.as_slice(), Dialect::Auto);
            while let Ok(Some(_)) = again.next(&mut |_| {}) {
                count += 1;
            }
            assert_eq!(count, 1, "a message written is one message");
        }
    }
}
