//! Replays `corpus/ENTRY/*` into each place that reads bytes from outside: nothing may panic,
//! run long or keep more than its bounds. The fuzzers start from the same files.

#![allow(clippy::disallowed_methods, reason = "the inputs are files")]

use std::path::Path;

use angarium_imap::decode::{Options, command};
use angarium_imap::encode::body_without_extensions;
use angarium_imap::flow::server::{Event, Session};
use angarium_imap::mailbox_name;
use angarium_imap::types::{Command, DateTime};

fn replay(entry: &str, least: usize, feed: impl Fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus").join(entry);
    let mut count = 0;
    for file in std::fs::read_dir(folder).expect("the folder of this entry") {
        let bytes = std::fs::read(file.expect("an input").path()).expect("a readable input");
        feed(&bytes);
        // Cut short and torn, each input is another one.
        for cut in 0..bytes.len() {
            feed(&bytes[..cut]);
            feed(&bytes[cut..]);
        }
        count += 1;
    }
    assert!(count >= least, "{entry}: only {count} inputs");
}

#[test]
fn commands() {
    replay("command", 20, |bytes| {
        let line = bytes.strip_suffix(b"\r\n").unwrap_or(bytes);
        for utf8 in [false, true] {
            if let Err(refusal) = command(line, Options { utf8 }) {
                let mut out = Vec::new();
                refusal.write(&mut out);
                assert!(out.len() < 400);
            }
        }
    });
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
                Event::AppendMessage(_) => session.accept_append(&mut out),
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

#[test]
fn server_flow() {
    replay("server_flow", 12, |bytes| {
        for authenticated in [false, true] {
            let single: Vec<&[u8]> = bytes.chunks(1).collect();
            assert_eq!(events(&[bytes], authenticated), events(&single, authenticated));
        }
    });
}

#[test]
fn mailbox_names() {
    replay("mailbox_name", 10, |bytes| {
        if let Some(name) = mailbox_name::decode(bytes) {
            let mut wire = Vec::new();
            mailbox_name::encode(&name, &mut wire);
            assert_eq!(wire, bytes);
        }
        if let Some(name) = mailbox_name::decode_tolerant(bytes) {
            let mut wire = Vec::new();
            mailbox_name::encode(&name, &mut wire);
            assert_eq!(mailbox_name::decode(&wire), Some(name));
        }
    });
}

#[test]
fn body_structures() {
    replay("body_structure", 6, |bytes| body_without_extensions(&mut Vec::new(), bytes));
}

#[test]
fn date_times() {
    replay("date_time", 4, |bytes| {
        if let Some(moment) = DateTime::parse(bytes) {
            assert_eq!(DateTime::parse(&moment.format()), Some(moment));
        }
    });
}
