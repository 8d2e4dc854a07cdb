//! SEARCH, ESEARCH, SEARCHRES.
//! Features: IMAP-02.

use crate::client::World;

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
