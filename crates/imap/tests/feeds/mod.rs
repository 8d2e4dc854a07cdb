//! What is done with bytes from outside, wherever they come from: a file of the corpus (replayed by
//! the tests) or a fuzzer (`fuzz/`). Nothing may panic, run long or keep more than its bounds.

#![allow(dead_code, reason = "a fuzzer uses one of them")]

use angarium_imap::client::{Event as Heard, Reader};
use angarium_imap::decode::{Options, command as decode_command};
use angarium_imap::encode::{FetchWriter, body_without_extensions};
use angarium_imap::flow::server::{Event, Session};
use angarium_imap::mailbox_name as names;
use angarium_imap::types::{Command, DateTime};

/// One whole command: understood, or refused in few words.
pub(crate) fn command(bytes: &[u8]) {
    let line = bytes.strip_suffix(b"\r\n").unwrap_or(bytes);
    for utf8 in [false, true] {
        if let Err(refusal) = decode_command(line, Options { utf8 }) {
            let mut out = Vec::new();
            refusal.write(&mut out);
            assert!(out.len() < 400);
        }
    }
}

fn events(pieces: &[&[u8]], authenticated: bool) -> (Vec<Event>, u64) {
    let mut session = Session::new();
    session.set_authenticated(authenticated);
    let (mut out, mut events, mut octets) = (Vec::new(), Vec::new(), 0);
    for piece in pieces {
        session.receive(piece);
        while let Some(event) = session.next_event(&mut out) {
            match &event {
                Event::Command(request) => match request.command {
                    Command::Idle => session.expect_done(),
                    Command::Authenticate { .. } => session.expect_sasl(),
                    _ => {}
                },
                Event::AppendMessage(message) if message.size > 1000 => session.refuse_append(),
                Event::AppendMessage(_) | Event::AppendText(_) => session.accept_append(&mut out),
                Event::AppendData(data) => {
                    octets += data.len() as u64;
                    continue;
                }
                _ => {}
            }
            events.push(event);
        }
    }
    (events, octets)
}

/// A client's bytes: any split of them means the same.
pub(crate) fn server_flow(bytes: &[u8]) {
    for authenticated in [false, true] {
        let single: Vec<&[u8]> = bytes.chunks(1).collect();
        let whole = events(&[bytes], authenticated);
        assert_eq!(whole, events(&single, authenticated));
        if let Some(first) = bytes.first() {
            // Torn where the input itself says.
            let (a, b) = bytes.split_at(usize::from(*first) % bytes.len());
            assert_eq!(whole, events(&[a, b], authenticated));
        }
    }
}

/// A mailbox name from the wire: taken only if it is written back the same.
pub(crate) fn mailbox_name(bytes: &[u8]) {
    if let Some(name) = names::decode(bytes) {
        let mut wire = Vec::new();
        names::encode(&name, &mut wire);
        assert_eq!(wire, bytes);
    }
    if let Some(name) = names::decode_tolerant(bytes) {
        let mut wire = Vec::new();
        names::encode(&name, &mut wire);
        assert_eq!(names::decode(&wire), Some(name));
    }
}

/// A stored body structure, perhaps damaged.
pub(crate) fn body_structure(bytes: &[u8]) {
    body_without_extensions(&mut Vec::new(), bytes);
}

/// A date-time: written back, it means the same.
pub(crate) fn date_time(bytes: &[u8]) {
    if let Some(moment) = DateTime::parse(bytes) {
        assert_eq!(DateTime::parse(&moment.format()), Some(moment));
    }
}

fn read_all(pieces: &[&[u8]]) -> (Vec<Heard>, bool) {
    let mut reader = Reader::default();
    let mut events = Vec::new();
    for piece in pieces {
        reader.feed(piece);
        loop {
            match reader.next_event() {
                Ok(Some(event)) => events.push(event),
                Ok(None) => break,
                Err(_) => return (events, false),
            }
        }
    }
    (events, true)
}

/// A server's bytes, perhaps hostile, read by our client: bounded, and nothing panics.
pub(crate) fn client_reader(bytes: &[u8]) {
    let _ = read_all(&[bytes]);
    let single: Vec<&[u8]> = bytes.chunks(1).collect();
    let _ = read_all(&single);
}

/// What our encoder writes of any octets, our client reads as one response.
pub(crate) fn response_round_trip(bytes: &[u8]) {
    let (number, text) = bytes.split_at(bytes.len().min(4));
    let number = number.iter().fold(0u32, |n, b| n << 8 | u32::from(*b)).max(1);
    let mut out = Vec::new();
    let mut fetch = FetchWriter::new(&mut out, number);
    fetch.uid(number);
    fetch.modseq(u64::from(number));
    fetch.size(u64::from(number));
    fetch.preview(std::str::from_utf8(text).ok());
    fetch.text("RFC822.HEADER", text);
    fetch.finish();
    let (events, good) = read_all(&[&out]);
    assert!(good, "our own answer is not understood: {:?}", String::from_utf8_lossy(&out));
    assert!(!events.is_empty());
}
