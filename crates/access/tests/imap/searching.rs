//! SEARCH, ESEARCH, SEARCHRES, FUZZY: what is found, and what is not read for it.
//! Features: IMAP-02.

use angarium_store::faulty::{Family, Fault};

use crate::client::World;

/// A letter with this subject and text.
fn letter(subject: &str, text: &str) -> String {
    format!(
        "From: Ann Miller <ann@test.example>\r\nTo: bob@test.example\r\nSubject: {subject}\r\n\
         Content-Type: text/plain; charset=utf-8\r\n\r\n{text}\r\n"
    )
}

/// The numbers of a SEARCH answer.
fn found(answer: &str) -> Vec<u32> {
    let line = answer.lines().find_map(|line| line.strip_prefix("* SEARCH")).unwrap();
    line.split_ascii_whitespace().map(|n| n.parse().unwrap()).collect()
}

#[tokio::test]
async fn every_kind_of_criterion_finds_its_messages() {
    let world = World::new().await;
    let mut c = world.inbox("ann", 4).await;
    c.ok("STORE 2 +FLAGS.SILENT (\\Flagged Work)").await;
    c.ok("STORE 3 +FLAGS.SILENT (\\Seen)").await;
    for (criteria, found) in [
        ("ALL", " 1 2 3 4"),
        ("FLAGGED", " 2"),
        ("KEYWORD work", " 2"),
        ("NOT SEEN", " 1 2 4"),
        ("2:3 UNSEEN", " 2"),
        ("UID 3:*", " 3 4"),
        ("SUBJECT \"number 2\"", " 2"),
        ("FROM s3@", " 3"),
        ("FROM \"sender 4\"", " 4"),
        ("TO ann@TEST.example", " 1 2 3 4"),
        ("CC x", ""),
        ("BCC x", ""),
        ("BODY \"text of 1\"", " 1"),
        ("TEXT \"number 3\"", " 3"),
        ("TEXT nowhere", ""),
        ("HEADER Message-ID m2@", " 2"),
        ("HEADER X-None \"\"", ""),
        ("HEADER From \"\"", " 1 2 3 4"),
        ("OR SUBJECT \"number 1\" BODY \"text of 4\"", " 1 4"),
        ("SENTON 3-Nov-2023", " 2"),
        ("SENTSINCE 4-Nov-2023", " 3 4"),
        ("ON 14-Nov-2023", " 1 2 3 4"),
        ("BEFORE 14-Nov-2023", ""),
        ("LARGER 10 SMALLER 1000", " 1 2 3 4"),
        ("YOUNGER 60", " 1 2 3 4"),
        ("OLDER 60", ""),
        ("SENTSINCE 1-Jan-2020 NOT TEXT \"text of 2\" HEADER To ann", " 1 3 4"),
    ] {
        let got = c.ok(&format!("SEARCH {criteria}")).await;
        assert_eq!(got, format!("* SEARCH{found}\r\nx OK SEARCH completed\r\n"), "{criteria}");
    }
    assert!(c.ok("UID SEARCH CHARSET UTF-8 SUBJECT NUMBER").await.starts_with("* SEARCH 1 2 3 4"));
}

#[tokio::test]
async fn results_are_counted_saved_and_used() {
    let world = World::new().await;
    let mut c = world.inbox("ann", 4).await;
    c.ok("STORE 2:3 +FLAGS.SILENT (\\Flagged)").await;
    let got = c.ok("SEARCH RETURN (MIN MAX COUNT ALL) FLAGGED").await;
    assert!(got.starts_with("* ESEARCH (TAG \"t"), "{got}");
    assert!(got.contains(" MIN 2 MAX 3 COUNT 2 ALL 2:3\r\n"), "{got}");
    assert_eq!(c.ok("UID SEARCH RETURN (SAVE) FLAGGED").await, "x OK UID SEARCH completed\r\n");
    let got = c.ok("FETCH $ (UID)").await;
    assert!(got.contains("* 2 FETCH (UID 2)\r\n* 3 FETCH (UID 3)"), "{got}");
    let got = c.ok("SEARCH RETURN (COUNT) SEEN").await;
    assert!(got.contains(" COUNT 0\r\n"), "{got}");
    c.ok("ENABLE IMAP4rev2").await;
    let got = c.ok("SEARCH FLAGGED").await;
    assert!(got.contains("* ESEARCH ") && got.contains(" ALL 2:3\r\n"), "{got}");
}

#[tokio::test]
async fn fuzzy_finds_words_in_any_form_and_says_how_relevant_each_message_is() {
    let world = World::new().await;
    let mut c = world.inbox("ann", 0).await;
    for (subject, text) in [
        ("Quarterly invoices", "Please pay."),
        ("Lunch", "About the invoice of May: the invoise was wrong."),
        ("Lunch", "The cafe opens."),
        ("Lunch", "The invoyce, at last."),
    ] {
        c.append("INBOX", "", &letter(subject, text)).await;
    }
    c.ok("NOOP").await;
    assert!(c.ok("CAPABILITY").await.contains(" SEARCH=FUZZY"));
    assert_eq!(found(&c.ok("SEARCH FUZZY TEXT \"INVOICED\"").await), [1, 2]);
    assert_eq!(found(&c.ok("SEARCH FUZZY BODY invoice").await), [2, 4]);
    assert_eq!(found(&c.ok("SEARCH FUZZY SUBJECT invoice").await), [1]);
    assert_eq!(found(&c.ok("SEARCH FUZZY (BODY \"café\" FROM \"möller\") 4").await), [0u32; 0]);
    assert_eq!(found(&c.ok("SEARCH FUZZY (BODY \"CAFÉ\" FROM miler)").await), [3]);
    assert_eq!(found(&c.ok("SEARCH NOT FUZZY TEXT invoice").await), [3]);
    // Keys that are no texts, and texts without words, are exact.
    assert_eq!(found(&c.ok("SEARCH FUZZY 2:3 FUZZY TEXT \": \"").await), [2, 3]);
    assert!(found(&c.ok("SEARCH BODY invoiced").await).is_empty());
    let got = c.ok("SEARCH RETURN (ALL RELEVANCY) FUZZY TEXT invoice").await;
    let list = got.split(" ALL 1:2,4 RELEVANCY (").nth(1).and_then(|l| l.split(')').next());
    let scores: Vec<u32> =
        list.expect(&got).split(' ').map(|score| score.parse().unwrap()).collect();
    assert!(scores.len() == 3 && scores.iter().all(|s| (1..=100).contains(s)), "{got}");
    assert!(scores[1] > scores[2], "the right word is more relevant than a slip: {got}");
    let got = c.ok("SEARCH RETURN (ALL RELEVANCY) FUZZY TEXT zebra").await;
    assert!(!got.contains("RELEVANCY"), "{got}");
    c.bad("SEARCH RETURN (ALL RELEVANCY) TEXT invoice").await;
}

#[tokio::test]
async fn search_text_may_come_in_any_charset() {
    let world = World::new().await;
    let mut c = world.inbox("ann", 1).await;
    c.append("INBOX", "", &letter("x", "あさ")).await;
    c.ok("NOOP").await;
    let text = "\x1b$B$\"\x1b(B";
    let command = format!("SEARCH CHARSET iso-2022-jp BODY {{{}+}}\r\n{text}", text.len());
    assert_eq!(found(&c.ok(&command).await), [2]);
    assert_eq!(found(&c.ok("SEARCH CHARSET windows-1251 OR NOT TEXT x SUBJECT number").await), [1]);
    let refused = c.no("SEARCH CHARSET x-nobody TEXT x").await;
    assert!(refused.contains("x NO [BADCHARSET (UTF-8 US-ASCII ISO-8859-1 "), "{refused}");
    c.bad("SEARCH CHARSET iso-2022-jp TEXT {4+}\r\n\x1b$B$").await;
}

#[tokio::test]
async fn a_search_reads_no_message_that_cannot_hold_the_text() {
    let world = World::new().await;
    let mut c = world.inbox("ann", 30).await;
    assert_eq!(found(&c.ok("SEARCH SUBJECT \"number 17\"").await), [17]);
    // From here on nothing can be read.
    world.plan.strike(Some(Family::Bodies), 1, 1000, Fault::Fail);
    for criteria in ["BODY nowhere", "TEXT nowhere", "HEADER X-Nothing here", "BCC nobody"] {
        assert!(found(&c.ok(&format!("SEARCH {criteria}")).await).is_empty(), "{criteria}");
    }
    assert_eq!(found(&c.ok("SEARCH SUBJECT \"number 23\" NOT BODY nowhere").await), [23]);
    assert_eq!(found(&c.ok("SEARCH FROM \"sender 9\" SENTSINCE 1-Nov-2023").await), [9]);
    assert_eq!(found(&c.ok("SEARCH OR SUBJECT \"number 5\" TEXT nowhere").await), [5]);
    c.no("SEARCH BODY \"text of 3\"").await;
    world.plan.calm();
    assert_eq!(found(&c.ok("SEARCH BODY \"text of 3.\"").await), [3]);
    // New mail is found, removed mail is not.
    c.append("INBOX", "", &letter("number 23 again", "text of 3.")).await;
    c.ok("STORE 23 +FLAGS.SILENT (\\Deleted)").await;
    c.ok("EXPUNGE").await;
    assert_eq!(found(&c.ok("SEARCH SUBJECT \"number 23\"").await), [30]);
    assert_eq!(found(&c.ok("SEARCH BODY \"text of 3.\"").await), [3, 30]);
}

#[tokio::test]
async fn a_search_finds_the_same_with_and_without_what_the_store_knows() {
    let world = World::new().await;
    let mut c = world.inbox("ann", 0).await;
    let mut state = 11u64;
    let mut next = |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 33) % below
    };
    let mut word = |longest: u64| -> String {
        let letters = ["a", "e", "N", "t", "ü", "Ж", "Σ", "都", " ", "<", "&", "."];
        (0..=next(longest)).map(|_| letters[next(12) as usize]).collect()
    };
    for n in 0..40u32 {
        let html = if n % 3 == 0 { "text/html" } else { "text/plain" };
        let mail = letter(&word(12), &word(300)).replace("text/plain", html);
        c.append("INBOX", "", &format!("X-Odd: {}\r\n{mail}", word(5))).await;
    }
    c.ok("NOOP").await;
    let mut told = Vec::new();
    for _ in 0..60 {
        let quoted = |word: String| format!("\"{}\"", word.replace('"', ""));
        let (one, two) = (quoted(word(3)), quoted(word(2)));
        for criteria in [
            format!("BODY {one}"),
            format!("OR TEXT {one} NOT BODY {two}"),
            format!("HEADER X-Odd {two} NOT TEXT {one}"),
            format!("OR SUBJECT {one} BCC {two}"),
        ] {
            let command = format!("SEARCH CHARSET UTF-8 {criteria}");
            let with = c.ok(&command).await;
            world.plan.strike(Some(Family::Search), 1, 100, Fault::Fail);
            let without = c.ok(&command).await;
            world.plan.calm();
            assert_eq!(with, without, "{criteria}");
            told.push(found(&with).len());
        }
    }
    assert!(told.contains(&0) && told.iter().any(|n| *n > 5), "{told:?}");
}

#[tokio::test]
async fn a_search_for_too_many_texts_is_refused_and_many_are_bounded() {
    // ABU-27
    let world = World::new().await;
    let mut c = world.inbox("ann", 20).await;
    let keys =
        |kind: &str, n: usize| -> String { (0..n).map(|n| format!(" NOT {kind} q{n}x")).collect() };
    let refused = c.no(&format!("SEARCH{}", keys("BODY", 101))).await;
    assert!(refused.contains("[LIMIT]"), "{refused}");
    let refused = c.no(&format!("SEARCH{}", keys("SUBJECT", 2001))).await;
    assert!(refused.contains("[LIMIT]"), "{refused}");
    let refused = c.no(&format!("SEARCH{}", keys("FUZZY TEXT", 17))).await;
    assert!(refused.contains("[LIMIT]"), "{refused}");
    assert_eq!(found(&c.ok(&format!("SEARCH{}", keys("BODY", 100))).await).len(), 20);
    assert_eq!(found(&c.ok(&format!("SEARCH{}", keys("HEADER X-A", 1500))).await).len(), 20);
    assert_eq!(found(&c.ok("SEARCH TEXT \"(a+)+$.*[\"").await).len(), 0);
}
