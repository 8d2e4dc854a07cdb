//! APPEND made of parts and REPLACE in the flow: the same events however the input is cut, strings
//! as literals in their place, and a way out at each event.

use angarium_imap::flow::server::{Event, Session};
use proptest::prelude::*;

/// Runs the machine, accepting all; at the `stop`-th event of an APPEND it is abandoned.
fn drive(pieces: &[&[u8]], stop: Option<usize>) -> (Vec<String>, Vec<u8>) {
    let mut session = Session::new();
    session.set_authenticated(true);
    let (mut events, mut data, mut out) = (Vec::new(), Vec::new(), Vec::new());
    let mut count = 0;
    for piece in pieces {
        session.receive(piece);
        while let Some(event) = session.next_event(&mut out) {
            if let Event::AppendData(bytes) = &event {
                data.extend_from_slice(bytes);
            } else if !data.is_empty() {
                events.push(format!("data {}", String::from_utf8_lossy(&data)));
                data.clear();
            }
            let of_append = !matches!(event, Event::Command(_) | Event::Bad(_));
            count += usize::from(of_append);
            let stopping = of_append && stop == Some(count);
            if stopping {
                session.abandon_append();
                data.clear();
                events.push("abandoned".into());
            } else if matches!(event, Event::AppendMessage(_) | Event::AppendText(_)) {
                session.accept_append(&mut out);
            }
            match event {
                Event::AppendData(_) => {}
                Event::AppendUrl(url) => events.push(format!("url {url}")),
                Event::AppendMessage(message) => events.push(format!(
                    "message {} {}",
                    if message.catenate { "parts" } else { "whole" },
                    message.size
                )),
                Event::AppendText(text) => events.push(format!("text {}", text.size)),
                Event::AppendMessageEnd => events.push("end".into()),
                Event::AppendEnd => events.push("all".into()),
                Event::AppendStart { mailbox, replaces, .. } => {
                    let replaced = replaces.map(|r| (r.uid, r.number));
                    events.push(format!("start {mailbox} {replaced:?}"));
                }
                Event::Command(request) => events.push(format!("command {}", request.tag)),
                Event::Bad(refusal) => events.push(format!("bad {}", refusal.text)),
                other => events.push(format!("{other:?}")),
            }
        }
    }
    (events, out)
}

const INPUT: &[u8] = b"a APPEND {2+}\r\nDr (\\Seen) CATENATE (URL {5+}\r\n/x)(1 TEXT {4+}\r\nab) \
URL \"/y\" TEXT {2}\r\nURURL /no) {3+}\r\nxyz CATENATE (URL /z)\r\nb NOOP\r\n";

const WELL: &[u8] = b"a APPEND {2+}\r\nDr (\\Seen) CATENATE (URL {5+}\r\n/x)(1 TEXT {4+}\r\nab)  \
URL \"/y\" TEXT {2}\r\nUR URL /no) {3+}\r\nxyz CATENATE (URL /z)\r\nb REPLACE 7 x CATENATE \
(TEXT {0+}\r\n)\r\nc UID REPLACE * x {1+}\r\ny\r\nd NOOP\r\n";

#[test]
fn parts_come_in_their_order_and_end_their_message() {
    let (events, out) = drive(&[WELL], None);
    assert_eq!(
        events,
        [
            "start Dr None",
            "message parts 0",
            "url /x)(1",
            "text 4",
            "data ab) ",
            "url /y",
            "text 2",
            "data UR",
            "url /no",
            "end",
            "message whole 3",
            "data xyz",
            "end",
            "message parts 0",
            "url /z",
            "end",
            "all",
            "start x Some((false, 7))",
            "message parts 0",
            "text 0",
            "end",
            "all",
            "start x Some((true, 0))",
            "message whole 1",
            "data y",
            "end",
            "all",
            "command d",
        ]
    );
    assert_eq!(out, b"+ OK\r\n");
    let (events, _) = drive(&[INPUT], None);
    assert!(events.contains(&"bad CATENATE not closed".to_owned()), "{events:?}");
    assert_eq!(events.last().unwrap(), "command b");
}

#[test]
fn an_append_can_be_given_up_at_each_of_its_events() {
    let whole = drive(&[WELL], None).0.len();
    for stop in 1..whole {
        let (events, _) = drive(&[WELL], Some(stop));
        assert_eq!(events.last().unwrap(), "command d", "{stop}: {events:?}");
    }
}

proptest! {
    #[test]
    fn no_cut_of_the_input_changes_anything(
        cuts in proptest::collection::vec(0..WELL.len(), 0..6), broken: bool,
    ) {
        let input = if broken { INPUT } else { WELL };
        let mut cuts: Vec<usize> = cuts.into_iter().map(|at| at.min(input.len())).collect();
        cuts.sort_unstable();
        let mut pieces = Vec::new();
        let mut from = 0;
        for cut in cuts {
            pieces.push(&input[from..cut]);
            from = cut;
        }
        pieces.push(&input[from..]);
        prop_assert_eq!(drive(&pieces, None), drive(&[input], None));
    }

    #[test]
    fn no_text_makes_the_machine_panic(
        text in "a (APPEND x|REPLACE 1 x|UID REPLACE 2 x) [ ()A-Z{}0-9+\"]{0,10}(CATENATE \\()?\
                 ((URL|TEXT) (\\{[0-9]\\+\\}\r\n|/x|\"y\")[ )a]{0,3}){0,4}\r\nb NOOP\r\n",
    ) {
        let _ = drive(&[text.as_bytes()], None);
    }
}
