//! URLs as the standards print them, hostile ones, and the way there and back.

use proptest::prelude::*;

use super::*;
use crate::types::SectionText;

fn read(text: &str) -> ImapUrl {
    ImapUrl::parse(text).unwrap_or_else(|e| panic!("{text}: {e}"))
}

#[test]
fn the_examples_of_the_standards_are_read() {
    let url = read("/Drafts;UIDVALIDITY=385759045/;UID=20/;section=HEADER");
    assert_eq!(url.server, None);
    assert_eq!(url.mailbox.as_deref(), Some("Drafts"));
    assert_eq!((url.uid_validity, url.uid), (Some(385_759_045), Some(20)));
    assert_eq!(url.section.unwrap().text, Some(SectionText::Header));

    let url = read(
        "imap://joe@example.com/INBOX/;uid=20/;section=1.2;urlauth=submit+fred:internal:91354a473744909de610943775f92038",
    );
    let server = url.server.clone().unwrap();
    assert_eq!((server.user.as_deref(), server.host.as_str()), (Some("joe"), "example.com"));
    assert_eq!(url.section.as_ref().unwrap().part.as_slice(), [1, 2]);
    let authorization = url.authorization.unwrap();
    assert_eq!(authorization.access, Access::Submit("fred".into()));
    assert_eq!(authorization.token.unwrap().1.len(), 16);

    let url = read(
        "imap://psicorp.example.org:1143/~peter/%E6%97%A5%E6%9C%AC%E8%AA%9E/%E5%8F%B0%E5%8C%97",
    );
    assert_eq!(url.mailbox.as_deref(), Some("~peter/日本語/台北"));
    assert_eq!(url.server.unwrap().port, Some(1143));

    let url = read(
        "imap://;AUTH=*@minbari.example.org/gray-council;UIDVALIDITY=385759045/;UID=20/;PARTIAL=0.1024",
    );
    assert_eq!(url.partial, Some(UrlRange { offset: 0, length: Some(1024) }));
    assert_eq!(url.server.unwrap().mechanism.as_deref(), Some("*"));

    let url = read(";UID=7/;SECTION=HEADER.FIELDS%20(DATE%20FROM)");
    assert_eq!((url.mailbox.as_deref(), url.uid), (None, Some(7)));
    let url = read("imap://[::1]/inbox");
    assert_eq!(url.server.unwrap().host, "[::1]");
    assert_eq!(url.mailbox.as_deref(), Some("INBOX"));
}

#[test]
fn the_rump_is_all_before_the_token() {
    let rump_text =
        "imap://joe@example.com/INBOX/;uid=20;expire=2006-01-01T00:00:00Z;urlauth=user+a";
    assert_eq!(rump(&format!("{rump_text}:internal:91354a473744909de610943775f92038")), rump_text);
    assert_eq!(rump(rump_text), rump_text);
    let expires = read(rump_text).authorization.unwrap().expires;
    assert_eq!(expires, Some(1_136_073_600));
    assert_eq!(rfc3339("2006-01-01T01:30:00.25+01:30"), Some(1_136_073_600));
}

#[test]
fn what_is_no_url_is_refused() {
    for bad in [
        "",
        "Drafts",
        "http://x/y",
        "imap:/x",
        "imap:///INBOX",
        "imap://host:x/INBOX",
        "imap://host/;UID=1",
        "/INBOX?SUBJECT%20x",
        "/INBOX/;UID=0",
        "/INBOX/;UID=1/;UID=2",
        "/INBOX/;SECTION=1/;UID=2",
        "/INBOX/;SECTION=1",
        "/INBOX/;UID=1/;SECTION=NONSENSE",
        "/INBOX/;UID=1/;SECTION=1]%20BODY[2",
        "/INBOX/;UID=1/;PARTIAL=0.0",
        "/INBOX/;UID=1;EXPIRE=2006-01-01T00:00:00Z",
        "/INBOX/;UID=1;URLAUTH=everybody",
        "/INBOX/;UID=1;URLAUTH=user+:internal:91354a473744909de610943775f92038",
        "/INBOX/;UID=1;URLAUTH=anonymous:internal:91",
        "/INBOX/;UID=1;URLAUTH=anonymous:internal:91354a473744909de610943775f9203g",
        "/IN%BOX/;UID=1",
        "/IN%00BOX/;UID=1",
        "/%FF/;UID=1",
        "/IN BOX/;UID=1",
        "/INBOX/;UID=1;COLOR=red",
    ] {
        assert!(ImapUrl::parse(bad).is_err(), "{bad}");
    }
    assert_eq!(ImapUrl::parse(&"x".repeat(MAX_URL + 1)), Err(UrlError::TooLong));
}

fn urls() -> impl Strategy<Value = ImapUrl> {
    let server = proptest::option::of((
        proptest::option::of("[a-zé@ ;:%/]{1,8}"),
        proptest::option::of("[A-Z*-]{1,6}"),
        "[a-z0-9.-]{1,12}",
        proptest::option::of(1u16..),
    ));
    let message = proptest::option::of((
        1u32..,
        proptest::option::of(prop_oneof![
            Just("HEADER"),
            Just("1.2.MIME"),
            Just("TEXT"),
            Just("3.HEADER.FIELDS (To \"x y\")"),
            Just("1.1")
        ]),
        proptest::option::of((0u64..1 << 62, proptest::option::of(1u64..1 << 62))),
        proptest::option::of((
            proptest::option::of(0i64..200_000_000_000),
            0usize..4,
            proptest::option::of(proptest::collection::vec(any::<u8>(), 16..=64)),
        )),
    ));
    (server, "[ -~é日]{1,12}", proptest::option::of(1u32..), message).prop_map(
        |(server, mailbox, uid_validity, message)| {
            let mut url = ImapUrl {
                server: server.map(|(user, mechanism, host, port)| Server {
                    user,
                    mechanism,
                    host,
                    port,
                }),
                mailbox: Some(mailbox),
                uid_validity,
                ..ImapUrl::default()
            };
            let Some((uid, section, partial, authorization)) = message else { return url };
            url.uid = Some(uid);
            url.section = section.and_then(|s| section_text(s, Options::default()));
            url.partial = partial.map(|(offset, length)| UrlRange { offset, length });
            url.authorization = authorization.map(|(expires, who, token)| Authorization {
                expires,
                access: match who {
                    0 => Access::Submit("a b".into()),
                    1 => Access::User("é@x".into()),
                    2 => Access::AuthUser,
                    _ => Access::Anonymous,
                },
                token: token.map(|octets| ("INTERNAL".to_owned(), octets)),
            });
            url
        },
    )
}

proptest! {
    #[test]
    fn every_url_is_read_back_as_written(url in urls()) {
        let text = url.to_string();
        let again = ImapUrl::parse(&text);
        // A name that is INBOX in other letters is INBOX.
        if url.mailbox.as_deref().is_some_and(|m| m.eq_ignore_ascii_case("INBOX")) {
            prop_assert!(again.is_ok());
        } else {
            prop_assert_eq!(again, Ok(url), "{}", text);
        }
    }

    #[test]
    fn no_text_makes_the_reader_panic(text in "(imap://)?[ -~é]{0,80}") {
        let _ = ImapUrl::parse(&text);
        prop_assert!(rump(&text).len() <= text.len());
    }

    #[test]
    fn no_parameters_make_the_reader_panic(
        text in "/(INBOX)?(/?;(UID|SECTION|PARTIAL|EXPIRE|URLAUTH)=[0-9a-zT:+.%-]{0,30}){0,4}",
    ) {
        let _ = ImapUrl::parse(&text);
    }
}
