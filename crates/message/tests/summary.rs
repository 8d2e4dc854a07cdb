//! What the summary says of messages, good and bad: ENVELOPE, BODYSTRUCTURE, sizes, texts.

use angarium_message::summary::{Scanner, Summary, SummaryError, SummaryView, without_extensions};
use proptest::prelude::*;

fn structure(message: &[u8]) -> String {
    String::from_utf8_lossy(&Summary::of(message).bodystructure).into_owned()
}

fn envelope(message: &[u8]) -> String {
    String::from_utf8_lossy(&Summary::of(message).envelope).into_owned()
}

const SIMPLE: &str = "Date: Sat, 22 Nov 2008 19:42:42 +0200\r\nFrom: A B <a@b.c>\r\n\
    To: c@d, G: e@f;\r\nSubject: Re: =?utf-8?Q?Gr=C3=B6=C3=9Fe?=\r\nMessage-ID: <1@b.c>\r\n\
    In-Reply-To: <0@b.c>\r\nReferences: <x@y> <0@b.c>\r\n\r\nHello,\r\nworld\r\n";

#[test]
fn a_simple_message_has_its_envelope_and_structure() {
    let summary = Summary::of(SIMPLE.as_bytes());
    assert_eq!(
        String::from_utf8_lossy(&summary.envelope),
        "(\"Sat, 22 Nov 2008 19:42:42 +0200\" \"Re: =?utf-8?Q?Gr=C3=B6=C3=9Fe?=\" \
         ((\"A B\" NIL \"a\" \"b.c\")) ((\"A B\" NIL \"a\" \"b.c\")) ((\"A B\" NIL \"a\" \"b.c\")) \
         ((NIL NIL \"c\" \"d\")(NIL NIL \"G\" NIL)(NIL NIL \"e\" \"f\")(NIL NIL NIL NIL)) \
         NIL NIL \"<0@b.c>\" \"<1@b.c>\")"
    );
    assert_eq!(
        String::from_utf8_lossy(&summary.bodystructure),
        "(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 15 2 NIL NIL NIL NIL)"
    );
    assert_eq!(summary.header_size as usize, SIMPLE.find("\r\n\r\n").unwrap() + 4);
    assert_eq!(summary.subject, "Re: Größe");
    assert_eq!(summary.base_subject().text, "Größe");
    assert_eq!(summary.from, "A B <a@b.c>");
    assert_eq!(summary.to, "c@d, G, e@f");
    assert_eq!(summary.message_id, "1@b.c");
    assert_eq!(summary.in_reply_to, "0@b.c");
    assert_eq!(summary.references, ["x@y", "0@b.c"]);
    assert_eq!((summary.sent_date, summary.sent_zone), (Some(1_227_375_762), 120));
    assert_eq!(summary.preview, "Hello, world");
    assert!(summary.complete && !summary.has_attachments);
}

#[test]
fn absent_fields_are_nil_and_empty_ones_are_empty() {
    assert_eq!(envelope(b"\r\n"), "(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)");
    assert_eq!(envelope(b""), "(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)");
    assert_eq!(
        envelope(b"Subject:\r\nDate: \r\nFrom:\r\nTo: \r\nMessage-ID:\r\n\r\n"),
        "(\"\" \"\" NIL NIL NIL NIL NIL NIL NIL \"\")"
    );
    assert_eq!(
        envelope(b"From: a@b\r\nSender: c@d\r\nReply-To: \r\nTo: x\r\nTo: y@z\r\n\r\n"),
        "(NIL NIL ((NIL NIL \"a\" \"b\")) ((NIL NIL \"c\" \"d\")) ((NIL NIL \"a\" \"b\")) \
         ((NIL NIL \"x\" \"\")(NIL NIL \"y\" \"z\")) NIL NIL NIL NIL)"
    );
}

#[test]
fn strings_that_cannot_be_quoted_are_literals() {
    let long = "x".repeat(2000);
    let message =
        format!("Subject: caf\u{e9} \"q\"\r\nFrom: \"a\\\"b\" <c@d>\r\nTo: {long}@y\r\n\r\n");
    let wanted = format!(
        "(NIL {{9}}\r\ncaf\u{e9} \"q\" ((\"a\\\"b\" NIL \"c\" \"d\")) ((\"a\\\"b\" NIL \"c\" \"d\")) \
         ((\"a\\\"b\" NIL \"c\" \"d\")) ((NIL NIL {{2000}}\r\n{long} \"y\")) NIL NIL NIL NIL)"
    );
    assert_eq!(envelope(message.as_bytes()), wanted);
}

const MIXED: &str = "Content-Type: multipart/mixed; boundary=\"b1\"\r\n\
    Content-Language: en, de\r\n\r\n\
    preamble\r\n--b1\r\n\
    Content-Type: multipart/alternative; boundary=b12\r\n\r\n\
    --b12\r\n\r\nplain text\r\n--b12 \t\r\n\
    Content-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: Quoted-Printable\r\n\r\n\
    <p>html=\r\n</p>\r\n\r\n--b12--\r\nepilogue\r\n--b1\r\n\
    Content-Type: application/pdf; name=\"a.pdf\"\r\nContent-ID: <i@d>\r\n\
    Content-Description: a file\r\nContent-Transfer-Encoding: base64\r\nContent-MD5: abc=\r\n\
    Content-Disposition: attachment; filename*0*=utf-8''%C3%A9; filename*1=x\r\n\
    Content-Location: http://x/y\r\nContent-Language: fr\r\n\r\nAAAA\r\n--b1\r\n\
    Content-Type: message/rfc822\r\n\r\n\
    Subject: inner\r\nFrom: i@j\r\n\r\nline 1\r\nline 2\r\n\r\n--b1--\r\n";

#[test]
fn multiparts_attachments_and_messages_are_described() {
    assert_eq!(
        structure(MIXED.as_bytes()),
        "(((\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 10 0 NIL NIL NIL NIL)\
         (\"text\" \"html\" (\"charset\" \"utf-8\") NIL NIL \"quoted-printable\" 16 2 NIL NIL NIL NIL) \
         \"alternative\" (\"boundary\" \"b12\") NIL NIL NIL)\
         (\"application\" \"pdf\" (\"name\" \"a.pdf\") \"<i@d>\" \"a file\" \"base64\" 4 \"abc=\" \
         (\"attachment\" (\"filename*0*\" \"utf-8''%C3%A9\" \"filename*1\" \"x\")) (\"fr\") \"http://x/y\")\
         (\"message\" \"rfc822\" NIL NIL NIL \"7bit\" 45 \
         (NIL \"inner\" ((NIL NIL \"i\" \"j\")) ((NIL NIL \"i\" \"j\")) ((NIL NIL \"i\" \"j\")) \
         NIL NIL NIL NIL NIL) \
         (\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 16 2 NIL NIL NIL NIL) \
         5 NIL NIL NIL NIL) \
         \"mixed\" (\"boundary\" \"b1\") NIL (\"en\" \"de\") NIL)"
    );
    let summary = Summary::of(MIXED.as_bytes());
    assert!(summary.has_attachments);
    assert_eq!(summary.preview, "plain text");
}

#[test]
fn body_is_bodystructure_without_extension_data() {
    let summary = Summary::of(MIXED.as_bytes());
    assert_eq!(
        String::from_utf8_lossy(&without_extensions(&summary.bodystructure)),
        "(((\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 10 0)\
         (\"text\" \"html\" (\"charset\" \"utf-8\") NIL NIL \"quoted-printable\" 16 2) \
         \"alternative\")\
         (\"application\" \"pdf\" (\"name\" \"a.pdf\") \"<i@d>\" \"a file\" \"base64\" 4)\
         (\"message\" \"rfc822\" NIL NIL NIL \"7bit\" 45 \
         (NIL \"inner\" ((NIL NIL \"i\" \"j\")) ((NIL NIL \"i\" \"j\")) ((NIL NIL \"i\" \"j\")) \
         NIL NIL NIL NIL NIL) \
         (\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 16 2) 5) \
         \"mixed\")"
    );
    let status = b"Content-Type: message/delivery-status; x=\"a b\"\r\n\r\nx\r\n";
    assert_eq!(
        without_extensions(&Summary::of(status).bodystructure),
        b"(\"message\" \"delivery-status\" (\"x\" \"a b\") NIL NIL \"7bit\" 3)"
    );
    let literal = "Content-Type: text/plain; x=\"\u{e9})\"\r\n\r\nx\r\n";
    assert_eq!(
        String::from_utf8_lossy(&without_extensions(
            &Summary::of(literal.as_bytes()).bodystructure
        )),
        "(\"text\" \"plain\" (\"x\" {3}\r\n\u{e9}) \"charset\" \"us-ascii\") NIL NIL \"7bit\" 3 1)"
    );
}

#[test]
fn broken_multiparts_are_text() {
    let text = |size: usize, lines: usize| {
        format!(
            "(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" {size} {lines} NIL NIL NIL NIL)"
        )
    };
    assert_eq!(structure(b"Content-Type: multipart/mixed\r\n\r\na\r\n"), text(3, 1));
    let no_part = b"Content-Type: multipart/mixed; boundary=x\r\n\r\n--xy\r\n-- x\r\n";
    assert_eq!(structure(no_part), text(12, 2));
    let closed = b"Content-Type: multipart/mixed; boundary=x\r\n\r\n--x--\r\nz";
    assert_eq!(structure(closed), text(8, 1));
}

#[test]
fn a_boundary_that_is_a_prefix_of_another_does_not_end_it() {
    // ABU-45
    let message = b"Content-Type: multipart/mixed; boundary=a\n\n--a\n\
        Content-Type: multipart/mixed; boundary=ab\n\n--ab\n\nx\n--ab\n\ny\n--a\n\nz";
    let wanted = "((\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 1 0 NIL NIL NIL NIL)\
        (\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 1 0 NIL NIL NIL NIL) \
        \"mixed\" (\"boundary\" \"ab\") NIL NIL NIL)";
    let got = structure(message);
    assert!(got.starts_with(&format!("({wanted}(\"text\"")), "{got}");
}

#[test]
fn headers_cut_off_by_a_boundary_or_the_end_are_answered() {
    let cut = b"Content-Type: multipart/digest; boundary=x\r\n\r\n--x\r\nSubject: s\r\n--x--";
    assert_eq!(
        structure(cut),
        "((\"message\" \"rfc822\" NIL NIL NIL \"7bit\" 0 \
         (NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL) \
         (\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 0 0 NIL NIL NIL NIL) \
         0 NIL NIL NIL NIL) \"digest\" (\"boundary\" \"x\") NIL NIL NIL)"
    );
    let summary = Summary::of(b"Subject: only a header");
    assert_eq!((summary.header_size, summary.subject.as_str()), (22, "only a header"));
    let summary = Summary::of(b"no header here\r\nat all\r\n\r\nbody");
    assert_eq!(summary.header_size, 26);
}

fn balanced(wire: &[u8]) -> bool {
    let (mut depth, mut at) = (0i64, 0);
    while at < wire.len() {
        match wire[at] {
            b'(' => depth += 1,
            b')' => depth -= 1,
            b'"' => {
                at += 1;
                while wire[at] != b'"' {
                    at += 1 + usize::from(wire[at] == b'\\');
                }
            }
            b'{' => {
                let end = at + wire[at..].iter().take_while(|b| **b != b'}').count();
                let size = std::str::from_utf8(&wire[at + 1..end]).unwrap_or_default();
                at = end + 2 + size.parse::<usize>().unwrap_or(usize::MAX / 2);
            }
            _ => {}
        }
        at += 1;
        if depth == 0 && at < wire.len() {
            return false;
        }
    }
    depth == 0
}

#[test]
fn hostile_messages_have_bounded_summaries() {
    // ABU-45, ABU-46
    let parts = [
        b"Content-Type: multipart/mixed; boundary=x\r\n\r\n".to_vec(),
        b"--x\r\n\r\n".repeat(200_000),
    ]
    .concat();
    let mut deep = Vec::new();
    for level in 0..10_000 {
        deep.extend_from_slice(
            format!("Content-Type: multipart/mixed; boundary=b{level}\r\n\r\n--b{level}\r\n")
                .as_bytes(),
        );
    }
    let nested = b"Content-Type: message/rfc822\r\n\r\n".repeat(10_000);
    let received = [b"Received: x\r\n".repeat(10_000), b"Subject: s\r\n\r\n".to_vec()].concat();
    let addresses = [b"To: ".to_vec(), b"a@b, ".repeat(300_000), b"\r\n\r\n".to_vec()].concat();
    let header = [b"X: ".to_vec(), vec![b'y'; 5 << 20], b"\r\n\r\nbody".to_vec()].concat();
    let parameters =
        [b"Content-Type: a/b".to_vec(), b"; p*1*=x".repeat(100_000), b"\r\n\r\n".to_vec()].concat();
    let words = [b"Subject: ".to_vec(), b"=?utf-8?Q?=C3?= ".repeat(20_000)].concat();
    let comments = [b"From: ".to_vec(), b"(".repeat(100_000), b"\r\n\r\n".to_vec()].concat();
    for (name, message) in [
        ("parts", parts),
        ("deep", deep),
        ("nested", nested),
        ("received", received),
        ("addresses", addresses),
        ("header", header),
        ("parameters", parameters),
        ("words", words),
        ("comments", comments),
    ] {
        let summary = Summary::of(&message);
        assert!(summary.bodystructure.len() <= 4 << 20, "{name}");
        assert!(summary.envelope.len() <= 4 << 20, "{name}");
        assert!(balanced(&summary.bodystructure), "{name}");
        assert!(balanced(&summary.envelope), "{name}");
        assert_eq!(Summary::decode(&summary.encode()).unwrap(), summary, "{name}");
    }
}

#[test]
fn damaged_and_newer_stored_forms_are_refused() {
    let stored = Summary::of(MIXED.as_bytes()).encode();
    for end in 0..stored.len() {
        let cut = SummaryView::new(&stored[..end]);
        assert_eq!(cut.err(), Some(SummaryError::Damaged), "{end}");
    }
    assert_eq!(SummaryView::new(&[9, 0]).err(), Some(SummaryError::Version(9)));
}

fn splits(message: &[u8], sizes: &[usize]) -> Summary {
    let mut scanner = Scanner::new();
    let mut rest = message;
    for size in sizes.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (piece, tail) = rest.split_at((*size).min(rest.len()));
        scanner.push(piece);
        rest = tail;
    }
    scanner.finish()
}

/// Lines as they occur in mail, put together at random.
fn mail() -> impl Strategy<Value = Vec<u8>> {
    let line = prop_oneof![
        Just("Subject: =?utf-8?Q?a?= b"),
        Just("From: A <a@b>, c@d (x)"),
        Just("Content-Type: multipart/mixed; boundary=x"),
        Just("Content-Type: multipart/digest; boundary=\"xy\""),
        Just("Content-Type: message/rfc822"),
        Just("Content-Type: text/html; charset=utf-8"),
        Just("Content-Transfer-Encoding: base64"),
        Just("--x"),
        Just("--xy"),
        Just("--x--"),
        Just("--xy--  "),
        Just(""),
        Just(""),
        Just(" folded"),
        Just("text \u{e9}"),
        Just("\0--x"),
    ];
    let end = prop_oneof![Just("\r\n"), Just("\r\n"), Just("\n"), Just("\r"), Just("\r\r\n")];
    prop::collection::vec((line, end), 0..40).prop_map(|lines| {
        lines.iter().flat_map(|(l, e)| [l.as_bytes(), e.as_bytes()].concat()).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_split_gives_the_same_summary(
        message in mail(),
        sizes in prop::collection::vec(1usize..9, 1..6),
    ) {
        let whole = Summary::of(&message);
        prop_assert_eq!(&splits(&message, &sizes), &whole);
        prop_assert!(balanced(&whole.bodystructure));
        prop_assert!(balanced(&whole.envelope));
        prop_assert!(balanced(&without_extensions(&whole.bodystructure)));
    }

    #[test]
    fn any_bytes_have_a_summary_that_is_read_back(
        message in prop::collection::vec(any::<u8>(), 0..600),
        sizes in prop::collection::vec(1usize..50, 1..6),
    ) {
        let whole = Summary::of(&message);
        prop_assert_eq!(&splits(&message, &sizes), &whole);
        prop_assert_eq!(Summary::decode(&whole.encode()).unwrap(), whole);
    }

    #[test]
    fn any_stored_bytes_are_answered(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Summary::decode(&[&[1u8][..], &bytes].concat());
    }
}
