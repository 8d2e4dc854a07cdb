//! What is written is read back, and what is read is never a reason to fail.

use angarium_message::address::{self, Mailbox};
use angarium_message::compose::HeaderBuilder;
use angarium_message::date::{self, Moment};
use angarium_message::{content, decode, encoded_word, header, identifier, subject};
use base64::Engine as _;
use proptest::prelude::*;

fn word() -> impl Strategy<Value = String> {
    "[a-zA-Z0-9 .,;:<>@\"\\\\()äß日€=?_-]{0,30}"
        .prop_map(|s| s.split(' ').filter(|w| !w.is_empty()).collect::<Vec<_>>().join(" "))
}

/// Seconds between the years 1 and 9999.
fn moment() -> impl Strategy<Value = Moment> {
    (-62_000_000_000i64..253_000_000_000, -1439i16..=1439)
        .prop_map(|(seconds, zone)| Moment { seconds, zone })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn dates_are_read_as_they_were_written(moment in moment()) {
        let imap = date::format_imap(moment);
        prop_assert_eq!(date::parse_imap(imap.as_bytes()), Some(moment), "{}", imap);
        let field = date::format(moment);
        prop_assert_eq!(date::parse(field.as_bytes()), Some(moment), "{}", field);
    }

    #[test]
    fn days_and_calendar_agree(days in -700_000i64..2_900_000) {
        let (year, month, day) = date::day_of(days);
        prop_assert_eq!(date::days_of(year, month, day), days);
    }

    #[test]
    fn texts_are_read_as_they_were_written(text in word()) {
        let block = HeaderBuilder::new().text("Subject", &text).field("X", "y").finish();
        prop_assert_eq!(header::find(block.as_bytes(), "subject").unwrap().text(), text);
        prop_assert!(block.lines().all(|line| line.len() <= 98));
    }

    #[test]
    fn addresses_are_read_as_they_were_written(
        list in prop::collection::vec((word(), "[a-z\"\\\\ @.]{1,9}", "[a-z.]{1,9}"), 1..4),
    ) {
        let list: Vec<Mailbox> = list
            .into_iter()
            .map(|(name, local, domain)| Mailbox { name, local: local.replace(' ', ""), domain })
            .filter(|mailbox| !mailbox.local.is_empty())
            .collect();
        let block = HeaderBuilder::new().addresses("To", &list).finish();
        let field = header::find(block.as_bytes(), "to").unwrap();
        prop_assert_eq!(address::mailboxes(field.value), list);
    }

    #[test]
    fn base64_and_quoted_printable_give_the_bytes_back(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let coded = base64::engine::general_purpose::STANDARD.encode(&bytes);
        let lines: Vec<u8> = coded.as_bytes().chunks(7).flat_map(|l| [l, b"\r\n"].concat()).collect();
        prop_assert_eq!(&decode::base64(&lines), &bytes);
        let quoted: String = bytes.iter().map(|b| format!("={b:02X}")).collect();
        prop_assert_eq!(&decode::quoted_printable(quoted.as_bytes()), &bytes);
    }

    #[test]
    fn nothing_read_from_outside_can_fail(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        // ABU-46, ABU-48
        let _ = address::mailboxes(&bytes);
        let _ = date::parse(&bytes);
        let _ = date::parse_imap(&bytes);
        let _ = date::parse_imap_date(&bytes);
        let _ = content::content_type(&bytes).map(|c| encoded_word::parameter(&c.parameters, "a"));
        let _ = content::disposition(&bytes);
        let _ = content::words(&bytes);
        let _ = identifier::list(&bytes, 10);
        let _ = decode::quoted_printable(&bytes);
        let text = encoded_word::decode_text(&bytes);
        let _ = subject::base_subject(&text);
        let whole: Vec<u8> = header::pieces(&bytes).flat_map(|p| p.raw.to_vec()).collect();
        prop_assert!(bytes.starts_with(&whole));
    }

    #[test]
    fn grammar_like_texts_are_answered(
        pieces in prop::collection::vec(
            prop::sample::select(vec![
                "a", "@", "<", ">", ",", ";", ":", "(", ")", "\"", "\\", " ", "\r\n ", ".", "[", "]",
                "=?utf-8?q?", "?=", "*", "'", "%41", "=", "1 Jan", "2020", "+0100", "-", "/",
            ]),
            0..30,
        ),
    ) {
        let text = pieces.concat();
        let mut left = 100;
        address::parse(text.as_bytes(), &mut left, |_| {});
        let _ = encoded_word::decode_text(text.as_bytes());
        let _ = date::parse(text.as_bytes());
        let _ = content::content_type(format!("a/b; {text}").as_bytes())
            .map(|c| encoded_word::parameter(&c.parameters, "a"));
    }
}
