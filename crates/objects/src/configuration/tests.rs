//! The text form of a configuration: what is printed is read back, secrets stay behind.

use proptest::prelude::*;

use super::*;
use crate::text::parse_line;
use crate::value::Value;

fn dictionary(text: &str) -> Dictionary {
    parse_line(text).unwrap().as_dictionary().unwrap().clone()
}

fn gather(text: &str) -> Result<Vec<Stanza>, StanzaError> {
    let mut gatherer = Gatherer::default();
    let mut all = Vec::new();
    for line in text.as_bytes().split_inclusive(|byte| *byte == b'\n') {
        all.extend(gatherer.line(line)?.map(|(_, stanza)| stanza));
    }
    gatherer.finish()?;
    Ok(all)
}

#[test]
fn a_stanza_stands_one_setting_a_line() {
    let contents = dictionary(
        r#"{Aliases=(joseph);Settings={RealName="Joe \"D\"";};Table="; ours\e<a> = b\e";Empty={};}"#,
    );
    let stanza = Stanza::new(kind::ACCOUNT, "joe@example.com", contents);
    let text = stanza_text(&stanza);
    let wanted = "account joe@example.com {\n Aliases = (joseph);\n Empty = {};\n Settings = {\n  \
        RealName = \"Joe \\\"D\\\"\";\n };\n Table =\n  \"; ours\\e\"\n  \"<a> = b\\e\";\n}\n";
    assert_eq!(text, wanted);
    assert_eq!(gather(&text).unwrap(), [stanza]);
}

#[test]
fn what_is_written_by_hand_is_read() {
    let text = "\u{feff}// ours\r\n\r\nrouter { AddMainDomainName = YES; }\r\n\r\n\
        // and\r\ndomain \"example.com\" {\r\n Settings={ // why\r\n  AccountsLimit=5;};\r\n}\r\n";
    let all = gather(text).unwrap();
    assert_eq!(all[0].title(), "router");
    assert_eq!(all[1].title(), "domain example.com");
    assert_eq!(all[1].contents, dictionary("{Settings={AccountsLimit=5;};}"));
}

#[test]
fn what_is_no_stanza_is_told_with_its_line() {
    for (text, line) in [
        ("\nrouter {\n", 2),
        ("router\n", 1),
        ("router {\n A=1\n}\n", 1),
        ("\n\n{A=1;}\n", 3),
        ("account joe (a) }\n", 1),
        ("account joe {A=1;} {}\n", 1),
    ] {
        assert_eq!(gather(text).unwrap_err().line, line, "{text}");
    }
    let mut gatherer = Gatherer::default();
    gatherer.line(b"router {").unwrap();
    let long = vec![b'x'; MAX_STANZA];
    assert!(gatherer.line(&long).unwrap_err().what.contains("more than"));
}

#[test]
fn secrets_are_left_out_and_kept_on_the_other_side() {
    for secret in ["Password", "StoredPassword", "ForwardAUTHPassword", "password", "ClientSecret"]
    {
        assert!(is_secret(secret), "{secret}");
    }
    for plain in ["UseAppPassword", "PasswordEncryption", "UpgradePassword", "PWDAllowed"] {
        assert!(!is_secret(plain), "{plain}");
    }
    let full = dictionary(
        "{Settings={Password=x;RealName=Joe;};Hosts=({Name=a;Password=y;},{Name=b;});Password=z;}",
    );
    let mut open = full.clone();
    without_secrets(&mut open);
    let wanted = "{Hosts=({Name=a;},{Name=b;});Settings={RealName=Joe;};}";
    assert_eq!(open, dictionary(wanted));
    let mut back = open.clone();
    keep_secrets(&full, &mut back);
    assert_eq!(back, full);
    // A secret that is named is the one that counts.
    let mut named = dictionary("{Password=new;}");
    keep_secrets(&full, &mut named);
    assert_eq!(named, dictionary("{Password=new;}"));
}

#[test]
fn differences_are_told_by_setting_and_by_line() {
    let old = dictionary(r#"{A=1;Password=x;S={B=2;C=3;};Table="a\eb\ec\e";}"#);
    let new = dictionary(r#"{D=4;Password=y;S={B=5;C=3;};Table="a\ex\ec\e";}"#);
    let all: Vec<String> = differences(&old, &new).iter().flat_map(Difference::lines).collect();
    assert_eq!(
        all,
        [
            "- A = 1",
            "+ D = 4",
            "  Password (secret, another one)",
            "- S.B = 2",
            "+ S.B = 5",
            "  Table:",
            "-   b",
            "+   x"
        ]
    );
    assert!(differences(&old, &old).is_empty());
    let long = Dictionary::from([("L".to_owned(), Value::from("é".repeat(1000)))]);
    assert!(differences(&long, &old)[1].lines()[0].contains("(2002 bytes)"));
}

fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        "[^\\x00]{0,24}".prop_map(Value::String),
        prop::collection::vec(any::<u8>(), 0..40).prop_map(Value::Data),
        any::<i64>().prop_map(Value::Number),
        Just(Value::Null),
    ];
    leaf.prop_recursive(3, 24, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::Array),
            prop::collection::btree_map("[^\\x00]{0,9}", inner, 0..6).prop_map(Value::Dictionary),
        ]
    })
}

proptest! {
    #[test]
    fn every_stanza_is_read_back_as_it_was(
        name in "[a-z@. \"\\\\]{1,12}",
        contents in prop::collection::btree_map("[^\\x00]{0,9}", values(), 0..6),
    ) {
        let stanza = Stanza::new(kind::MODULE, &name, contents);
        let text = stanza_text(&stanza);
        prop_assert_eq!(gather(&text).unwrap(), [stanza]);
    }

    #[test]
    fn no_text_stops_the_reader(text in "[ -~\n]{0,200}") {
        let _ = gather(&text);
    }
}
