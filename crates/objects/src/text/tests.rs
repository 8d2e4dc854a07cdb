//! The examples of `reference/data-format.md` section 8, the tolerance of section 4.2, and the
//! round trip for any value.

use proptest::prelude::*;

use super::*;
use crate::value::Dictionary;

fn line(text: &str) -> Value {
    parse_line(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[test]
fn every_example_of_the_reference_reads_and_prints_as_shown() {
    let s = |t: &str| Value::from(t);
    let cases = [
        ("MyName", s("MyName"), "MyName"),
        ("\"MyName\"", s("MyName"), "MyName"),
        ("\"\"", s(""), "\"\""),
        (
            "\"My Name with spaces and the . symbol\"",
            s("My Name with spaces and the . symbol"),
            "\"My Name with spaces and the . symbol\"",
        ),
        (
            r#""a \"string\" within string""#,
            s("a \"string\" within string"),
            r#""a \"string\" within string""#,
        ),
        (r#""Single \\ backslash""#, s("Single \\ backslash"), r#""Single \\ backslash""#),
        (r#""Line1\eLine2""#, s("Line1\nLine2"), r#""Line1\eLine2""#),
        (r#""Line1:\tF1\tF2""#, s("Line1:\tF1\tF2"), r#""Line1:\tF1\tF2""#),
        (r#""\002AslUzT1JkPsocc""#, s("\u{2}AslUzT1JkPsocc"), r#""\002AslUzT1JkPsocc""#),
        (r#""\127""#, s("\u{7f}"), r#""\127""#),
        (r#""\195\169""#, s("é"), "\"é\""),
        ("-1", s("-1"), "\"-1\""),
        ("user@client1.com", s("user@client1.com"), "user@client1.com"),
        ("[HcqHfHI=]", Value::Data(vec![0x1D, 0xCA, 0x87, 0x7C, 0x72]), "[HcqHfHI=]"),
        ("[]", Value::Data(vec![]), "[]"),
        ("#50", Value::Number(50), "#50"),
        ("#-50", Value::Number(-50), "#-50"),
        ("#T22-10-2009_15:24:45", Value::Time(1_256_225_085), "#T22-10-2009_15:24:45"),
        ("#T22-10-2009", Value::Time(1_256_169_600), "#T22-10-2009"),
        ("#I[127.0.0.1]:25", Value::Socket("127.0.0.1:25".parse().unwrap()), "#I[127.0.0.1]:25"),
        (
            "( Name , LastName , \"Full Name\" )",
            Value::Array(vec![s("Name"), s("LastName"), s("Full Name")]),
            "(Name,LastName,\"Full Name\")",
        ),
    ];
    for (text, value, canonical) in cases {
        assert_eq!(line(text), value, "{text}");
        assert_eq!(line_text(&value), canonical, "{text}");
    }
    for (text, canonical) in [
        ("{Name=Unit;LastName=\"Test da Silva\";}", "{LastName=\"Test da Silva\";Name=Unit;}"),
        (
            "{Folders=(INBOX, \"Sent Items\");Source=#I[127.0.0.1];Max=#20;}",
            "{Folders=(INBOX,\"Sent Items\");Max=#20;Source=#I[127.0.0.1];}",
        ),
        (
            r##"(1,"#Redirect",(),(("Mirror to",a@b.com),(Discard,"---")))"##,
            r##"(1,"#Redirect",(),(("Mirror to",a@b.com),(Discard,"---")))"##,
        ),
    ] {
        assert_eq!(line_text(&line(text)), canonical);
    }
}

#[test]
fn every_wrong_example_of_the_reference_is_refused() {
    for text in [
        "{Name=\"x\"}",
        "(Name]",
        "(Name LastName)",
        "{Name}",
        "\"abc",
        "#T1-1-2009",
        "#-12.34",
        "\"a\"b\"",
        "\"\\000\"",
        "\"\\256\"",
        "\"\\12\"",
        "#99999999999999999999",
        "",
        "   ",
        "#(Mailbox:1)",
        "(a,)",
        "[a",
        "<vCard>",
        "#I[nonsense]",
        "#I[127.0.0.1]:70000",
    ] {
        assert!(parse_line(text).is_err(), "{text}");
    }
}

#[test]
fn client_habits_are_read() {
    // Raw control bytes and ISO-8859-1 bytes inside quotes, as the Java client sends them.
    assert_eq!(parse(b"\"\x02abNAN\"", Layout::Line), Ok(Value::from("\u{2}abNAN")));
    assert_eq!(parse(b"\"caf\xE9\"", Layout::Line), Ok(Value::from("café")));
    assert_eq!(line("\"abc\" \"def\""), Value::from("abcdef"));
    assert_eq!(line("[HcqH] [fHI=]"), line("[HcqHfHI=]"));
    assert_eq!(line("#0x1F"), Value::Number(31));
    assert_eq!(line("#0b101"), Value::Number(5));
    assert_eq!(line("#0o17"), Value::Number(15));
    assert_eq!(line("#TPAST"), Value::Time(i64::MIN));
    assert_eq!(line("\"\\u'00e9'\""), Value::from("é"));
    assert_eq!(line("<vCard/>"), Value::Xml("<vCard/>".into()));
    assert_eq!(
        line("{a=<x y=\"/>\"><z/>t</x>;}"),
        Value::Dictionary(Dictionary::from([(
            "a".into(),
            Value::Xml("<x y=\"/>\"><z/>t</x>".into())
        )]))
    );
    assert_eq!(line("#NULL#"), Value::Null);
    assert_eq!(line("\"#NULL#\""), Value::from("#NULL#"));
    assert_eq!(line("{a=1;a=2;}"), line("{a=2;}"));
    assert_eq!(line("*"), Value::from("*"));
}

#[test]
fn a_settings_file_has_one_pair_a_line_and_may_have_comments() {
    let text = "\u{FEFF}// made by hand\r\n{\n b = {Enabled=NO;LogLevel=3;}; /* why */\n a = \"x y\";\n}\n";
    let value = parse(text.as_bytes(), Layout::File).unwrap();
    assert_eq!(file_text(&value), "{\n a = \"x y\";\n b = {Enabled=NO;LogLevel=3;};\n}\n");
    assert!(parse(b"{ /* open", Layout::File).is_err());
    assert!(parse(b"{\na=1;}", Layout::Line).is_err());
}

#[test]
fn depth_and_length_are_bounded() {
    let deep = "(".repeat(MAX_DEPTH) + &")".repeat(MAX_DEPTH);
    assert!(parse_line(&deep).is_ok());
    let deeper = "(".repeat(MAX_DEPTH + 1) + &")".repeat(MAX_DEPTH + 1);
    assert!(parse_line(&deeper).is_err());
    assert!(parse_line(&"(".repeat(500_000)).is_err());
    assert!(parse_line(&"a".repeat(MAX_LINE + 1)).is_err());
}

#[test]
fn command_words_and_parameters_are_read_one_after_the_other() {
    let text = br#"CreateAccount "user1@client1.com" TextMailbox {Password="x";} "a" "b""#;
    let mut reader = Reader::new(text, Layout::Line).unwrap();
    assert_eq!(reader.word(), Some("CreateAccount"));
    assert_eq!(reader.word(), None);
    assert_eq!(reader.parameter(), Ok(Value::from("user1@client1.com")));
    assert_eq!(reader.word(), Some("TextMailbox"));
    assert!(matches!(reader.parameter(), Ok(Value::Dictionary(_))));
    assert_eq!(reader.parameter(), Ok(Value::from("a")));
    assert_eq!(reader.parameter(), Ok(Value::from("b")));
    assert!(reader.at_end());
    assert!(Reader::new(b"\"a\"b", Layout::Line).unwrap().parameter().is_err());
    // One library leaves out the space before a dictionary.
    let mut reader = Reader::new(b"team@x.dom{\"Members\" = (\"a\");}", Layout::Line).unwrap();
    assert_eq!(reader.parameter(), Ok(Value::from("team@x.dom")));
    assert_eq!(reader.parameter(), Ok(line("{Members=(a);}")));
    assert!(reader.at_end());
}

fn any_value() -> impl Strategy<Value = Value> {
    let text = "[^\0]{0,12}";
    let leaf = prop_oneof![
        text.prop_map(Value::String),
        prop::collection::vec(any::<u8>(), 0..20).prop_map(Value::Data),
        any::<i64>().prop_map(Value::Number),
        (-62_167_219_200_i64..253_402_300_799).prop_map(Value::Time),
        any::<[u8; 4]>().prop_map(|a| Value::Ip(a.into())),
        (any::<[u8; 16]>(), any::<u16>()).prop_map(|(a, p)| {
            Value::Socket(std::net::SocketAddr::new(std::net::IpAddr::from(a), p))
        }),
        Just(Value::Null),
        "[a-z]{1,5}".prop_map(|t| Value::Xml(format!("<{t} a=\"b\">x</{t}>"))),
    ];
    leaf.prop_recursive(4, 32, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::Array),
            prop::collection::btree_map(text, inner, 0..6).prop_map(Value::Dictionary),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn whatever_is_printed_reads_back_the_same(value in any_value()) {
        let line = line_text(&value);
        prop_assert!(!line.contains(['\r', '\n']));
        prop_assert_eq!(parse(line.as_bytes(), Layout::Line), Ok(value.clone()));
        prop_assert_eq!(parse(file_text(&value).as_bytes(), Layout::File), Ok(value));
    }

    #[test]
    fn no_bytes_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
        let _ = parse(&bytes, Layout::Line);
        let _ = parse(&bytes, Layout::File);
    }

    #[test]
    fn no_text_of_format_characters_makes_the_reader_panic(text in r#"[\[\](){}<>#TI"\\,;=0-9aA/* !-]{0,60}"#) {
        if let Ok(value) = parse(text.as_bytes(), Layout::Line) {
            prop_assert_eq!(parse(line_text(&value).as_bytes(), Layout::Line), Ok(value));
        }
        let _ = parse(text.as_bytes(), Layout::File);
    }

    #[test]
    fn raw_octets_inside_quotes_are_utf_8_or_else_iso_8859_1(
        bytes in prop::collection::vec(any::<u8>().prop_filter("no end of the string",
            |b| !matches!(b, 0 | b'\r' | b'\n' | b'"' | b'\\')), 0..40)
    ) {
        let quoted = [b"\"", bytes.as_slice(), b"\""].concat();
        let expected = match std::str::from_utf8(&bytes) {
            Ok(text) => text.to_owned(),
            Err(_) => bytes.iter().map(|&b| char::from(b)).collect(),
        };
        prop_assert_eq!(parse(&quoted, Layout::Line), Ok(Value::String(expected.clone())));
        // What is given back reads the same, in UTF-8.
        let printed = line_text(&Value::String(expected.clone()));
        prop_assert_eq!(parse(printed.as_bytes(), Layout::Line), Ok(Value::String(expected)));
    }

    #[test]
    fn octets_as_decimal_escapes_are_the_octets(bytes in prop::collection::vec(1_u8.., 0..40)) {
        let escaped: String = bytes.iter().map(|b| format!("\\{b:03}")).collect();
        let quoted = format!("\"{escaped}\"");
        let raw = match std::str::from_utf8(&bytes) {
            Ok(text) => text.to_owned(),
            Err(_) => bytes.iter().map(|&b| char::from(b)).collect(),
        };
        prop_assert_eq!(parse(quoted.as_bytes(), Layout::Line), Ok(Value::String(raw)));
    }

    #[test]
    fn a_dictionary_or_array_that_is_cut_off_is_never_taken(value in any_value(), at in 0.0..1.0) {
        let text = line_text(&Value::Array(vec![value]));
        let at = (text.len() as f64 * at) as usize;
        let cut = text.as_bytes().get(..at).unwrap_or_default();
        prop_assert!(parse(cut, Layout::Line).is_err());
    }

    #[test]
    fn one_octet_changed_gives_an_object_or_an_error_and_stays_on_its_line(
        value in any_value(), at in any::<prop::sample::Index>(), octet in any::<u8>()
    ) {
        let mut text = line_text(&value).into_bytes();
        let at = at.index(text.len());
        text[at] = octet;
        if let Ok(read) = parse(&text, Layout::Line) {
            prop_assert!(!line_text(&read).contains(['\r', '\n']));
        }
    }

    #[test]
    fn command_lines_of_any_octets_end(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let mut steps = 0;
        if let Ok(mut reader) = Reader::new(&bytes, Layout::Line) {
            while !reader.at_end() && reader.parameter().is_ok() {
                steps += 1;
                prop_assert!(steps <= bytes.len());
            }
        }
    }
}
