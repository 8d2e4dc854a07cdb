//! SORT, THREAD, ESORT, pages of results, threads by identity.
//! Features: IMAP-02.

use crate::client::{Client, World};

/// A message with these header lines.
async fn put(c: &mut Client, between: &str, head: &str) {
    c.append("INBOX", between, &format!("{head}\r\n\r\nText.\r\n")).await;
}

/// Four messages whose order differs by every criterion.
async fn mixed(world: &World) -> Client {
    let mut c = world.login("ann").await;
    let to = "To: =?utf-8?q?=C3=84nne?= <z@x>\r\nCc: b@x";
    put(
        &mut c,
        "\"14-Nov-2023 10:00:00 +0000\" ",
        &format!(
            "From: zoe@x\r\n{to}\r\nSubject: Re: pear\r\nDate: Wed, 15 Nov 2023 10:00:00 +0000"
        ),
    )
    .await;
    put(
        &mut c,
        "\"13-Nov-2023 10:00:00 +0000\" ",
        "From: Zoe <adam@x>\r\nTo: Bea <c@x>\r\nCc: a@x\r\nSubject: Apple and a long tail of words\r\n\
         Date: Tue, 14 Nov 2023 10:00:00 +0000",
    )
    .await;
    put(
        &mut c,
        "\"12-Nov-2023 10:00:00 +0000\" ",
        "From: \"adam\" <Mia@x>\r\nTo: a@x\r\nSubject: PEAR\r\nDate: Tue, 14 Nov 2023 11:00:00 +0200",
    )
    .await;
    // Without a date it is as old as its arrival.
    put(&mut c, "\"11-Nov-2023 10:00:00 +0000\" ", "From: bob@x\r\nSubject: [list] Zebra").await;
    c.ok("SELECT INBOX").await;
    c
}

#[tokio::test]
async fn messages_are_sorted_by_every_criterion() {
    let world = World::new().await;
    let mut c = mixed(&world).await;
    assert!(c.ok("CAPABILITY").await.contains(" SORT SORT=DISPLAY "));
    for (criteria, found) in [
        ("(ARRIVAL)", "4 3 2 1"),
        ("(REVERSE ARRIVAL)", "1 2 3 4"),
        ("(DATE)", "4 3 2 1"),
        ("(SUBJECT)", "2 1 3 4"),
        ("(REVERSE SUBJECT)", "4 1 3 2"),
        ("(SUBJECT REVERSE DATE)", "2 1 3 4"),
        ("(SUBJECT DATE)", "2 3 1 4"),
        ("(FROM)", "2 4 3 1"),
        ("(TO)", "4 3 2 1"),
        ("(CC)", "3 4 2 1"),
        ("(SIZE)", "4 3 1 2"),
        ("(DISPLAYFROM)", "3 4 2 1"),
        ("(DISPLAYTO)", "4 3 1 2"),
    ] {
        let got = c.ok(&format!("SORT {criteria} UTF-8 ALL")).await;
        assert_eq!(got, format!("* SORT {found}\r\nx OK SORT completed\r\n"), "{criteria}");
    }
    assert!(c.ok("UID SORT (SUBJECT) US-ASCII 2:3").await.starts_with("* SORT 2 3\r\n"));
    assert_eq!(c.ok("SORT (DATE) UTF-8 SEEN").await, "* SORT\r\nx OK SORT completed\r\n");
    c.bad("SORT (NOTHING) UTF-8 ALL").await;
    c.no("SORT (DATE) X-NONE ALL").await;
    c.bad("SORT (RELEVANCY) UTF-8 ALL").await;
    // What comes later finds its place.
    put(&mut c, "\"10-Nov-2023 10:00:00 +0000\" ", "From: c@x\r\nSubject: banana").await;
    c.ok("NOOP").await;
    assert!(c.ok("SORT (SUBJECT) UTF-8 ALL").await.starts_with("* SORT 2 5 1 3 4\r\n"));
    c.ok("STORE 2 +FLAGS.SILENT (\\Deleted)").await;
    c.ok("EXPUNGE").await;
    assert!(c.ok("SORT (SUBJECT) UTF-8 ALL").await.starts_with("* SORT 4 1 2 3\r\n"));
    assert!(c.ok("UID SORT (FROM) UTF-8 ALL").await.starts_with("* SORT 4 5 3 1\r\n"));
}

#[tokio::test]
async fn sorted_results_are_counted_cut_and_saved() {
    let world = World::new().await;
    let mut c = mixed(&world).await;
    assert!(c.ok("CAPABILITY").await.contains(" ESORT "));
    let got = c.ok("SORT RETURN (MIN MAX COUNT ALL) (SUBJECT) UTF-8 ALL").await;
    assert!(got.contains("\") MIN 2 MAX 4 COUNT 4 ALL 2,1,3:4\r\n"), "{got}");
    let got = c.ok("UID SORT RETURN (PARTIAL 2:3 COUNT) (ARRIVAL) UTF-8 ALL").await;
    assert!(got.contains("\") UID COUNT 4 PARTIAL (2:3 3,2)\r\n"), "{got}");
    let got = c.ok("SORT RETURN () (ARRIVAL) UTF-8 1:2").await;
    assert!(got.contains("\") ALL 2,1\r\n"), "{got}");
    assert_eq!(c.ok("SORT RETURN (SAVE) (DATE) UTF-8 2:3").await, "x OK SORT completed\r\n");
    assert!(c.ok("SEARCH $").await.starts_with("* SEARCH 2 3\r\n"));
    let got = c.ok("SORT RETURN (COUNT) (DATE) UTF-8 MODSEQ 1").await;
    assert!(got.contains("COUNT 4 MODSEQ "), "{got}");
}

#[tokio::test]
async fn pages_of_results_and_of_messages_are_given() {
    let world = World::new().await;
    let mut c = world.inbox("ann", 6).await;
    assert!(c.ok("CAPABILITY").await.contains(" PARTIAL "));
    c.ok("STORE 2 +FLAGS.SILENT (\\Deleted)").await;
    c.ok("EXPUNGE").await;
    let got = c.ok("UID SEARCH RETURN (PARTIAL -1:-2) ALL").await;
    assert!(got.contains("\") UID PARTIAL (-1:-2 5:6)\r\n"), "{got}");
    let got = c.ok("UID SEARCH RETURN (PARTIAL 100:200 COUNT) ALL").await;
    assert!(got.contains("\") UID COUNT 5 PARTIAL (100:200 NIL)\r\n"), "{got}");
    c.bad("UID SEARCH RETURN (ALL PARTIAL 1:2) ALL").await;
    c.bad("UID SEARCH RETURN (PARTIAL 1:2 PARTIAL 3:4) ALL").await;
    c.ok("UID SEARCH RETURN (SAVE PARTIAL 2:3) ALL").await;
    assert!(c.ok("UID SEARCH $").await.starts_with("* SEARCH 3 4\r\n"));
    let got = c.ok("UID FETCH 1:* (FLAGS) (PARTIAL 2:3)").await;
    let seen: Vec<&str> = got.lines().filter(|l| l.contains("FETCH (")).collect();
    assert!(seen.len() == 2 && seen[0].contains("UID 3 ") && seen[1].contains("UID 4 "), "{got}");
    let got = c.ok("UID FETCH 1:* (FLAGS) (PARTIAL -1:-1)").await;
    assert!(got.contains("UID 6 ") && !got.contains("UID 5 "), "{got}");
}

/// A thread of three, a reply by subject alone, and one that stands alone.
async fn talking(world: &World) -> Client {
    let mut c = world.login("ann").await;
    for (n, head) in [
        "Message-ID: <root@x>\r\nSubject: plan",
        "Message-ID: <a@x>\r\nSubject: Re: plan\r\nReferences: <root@x>",
        "Message-ID: <b@x>\r\nSubject: Re: plan\r\nIn-Reply-To: <root@x>",
        "Message-ID: <other@x>\r\nSubject: other",
        "Message-ID: <c@x>\r\nSubject: Re: plan\r\nReferences: <root@x> <a@x>",
        "Message-ID: <late@x>\r\nSubject: Re: other",
    ]
    .into_iter()
    .enumerate()
    {
        let day = n + 1;
        let arrived = format!("\"{day:02}-Nov-2023 12:00:00 +0000\" ");
        let head = format!("{head}\r\nDate: Wed, {day} Nov 2023 10:00:00 +0000");
        put(&mut c, &arrived, &head).await;
    }
    c.ok("SELECT INBOX").await;
    c
}

#[tokio::test]
async fn threads_are_made_by_every_algorithm() {
    let world = World::new().await;
    let mut c = talking(&world).await;
    let names = c.ok("CAPABILITY").await;
    assert!(names.contains(" THREAD=ORDEREDSUBJECT THREAD=REFERENCES THREAD=REFS "));
    for (command, threads) in [
        ("THREAD REFERENCES UTF-8 ALL", "(1 (2 5)(3))(4 6)"),
        ("THREAD REFS UTF-8 ALL", "(4)(1 (2 5)(3))(6)"),
        ("THREAD ORDEREDSUBJECT UTF-8 ALL", "(1 (2)(3)(5))(4 6)"),
        ("UID THREAD REFERENCES UTF-8 2:5", "((2 5)(3))(4)"),
    ] {
        let name = if command.starts_with("UID") { "UID THREAD" } else { "THREAD" };
        let got = c.ok(command).await;
        assert_eq!(got, format!("* THREAD {threads}\r\nx OK {name} completed\r\n"), "{command}");
    }
    assert_eq!(c.ok("THREAD REFERENCES UTF-8 SEEN").await, "* THREAD\r\nx OK THREAD completed\r\n");
    c.bad("THREAD NOBODY UTF-8 ALL").await;
    // What comes later joins its thread.
    put(&mut c, "", "Message-ID: <d@x>\r\nReferences: <root@x> <a@x> <c@x>\r\nSubject: Re: plan")
        .await;
    c.ok("NOOP").await;
    let got = c.ok("THREAD REFERENCES UTF-8 ALL").await;
    assert!(got.starts_with("* THREAD (1 (2 5 7)(3))(4 6)\r\n"), "{got}");
}

#[tokio::test]
async fn a_thread_has_one_identity_and_is_found_by_it() {
    let world = World::new().await;
    let mut c = talking(&world).await;
    let got = c.ok("FETCH 1:6 (THREADID)").await;
    let ids: Vec<&str> = got
        .lines()
        .filter_map(|l| l.split_once("THREADID (")?.1.split_once(')'))
        .map(|x| x.0)
        .collect();
    assert_eq!(ids.len(), 6, "{got}");
    assert!(ids[0] == ids[1] && ids[0] == ids[2] && ids[0] == ids[4] && ids[0] != ids[3], "{got}");
    let got = c.ok(&format!("SEARCH THREADID {}", ids[0])).await;
    assert!(got.starts_with("* SEARCH 1 2 3 5\r\n"), "{got}");
    assert!(c.ok("SEARCH THREADID Tnone").await.starts_with("* SEARCH\r\n"));
    c.append("INBOX", "", "Subject: nameless\r\n\r\nText.\r\n").await;
    c.ok("CREATE Other").await;
    c.ok("NOOP").await;
    c.ok("COPY 1,7 Other").await;
    let got = c.ok("FETCH 7 (THREADID)").await;
    let own = got.split_once("THREADID (").unwrap().1.split_once(')').unwrap().0.to_owned();
    assert!(c.ok(&format!("SEARCH THREADID {own}")).await.starts_with("* SEARCH 7\r\n"));
    let root = ids[0].to_owned();
    c.ok("SELECT Other").await;
    let got = c.ok("FETCH 1:2 (THREADID)").await;
    assert!(got.contains(&root) && got.contains(&own), "a copy is in the same thread: {got}");
}

#[tokio::test]
async fn the_most_relevant_come_first_when_sorted_by_relevancy() {
    let world = World::new().await;
    let mut c = world.login("ann").await;
    c.append("INBOX", "", "Subject: other\r\n\r\nOne pear among many other words.\r\n").await;
    c.append("INBOX", "", "Subject: pears\r\n\r\nPear, pear, pears.\r\n").await;
    c.append("INBOX", "", "Subject: apples\r\n\r\nNone.\r\n").await;
    c.ok("SELECT INBOX").await;
    let got = c.ok("SEARCH RETURN (ALL RELEVANCY) FUZZY TEXT pear").await;
    let scores = got.split_once("RELEVANCY (").unwrap().1.split_once(')').unwrap().0;
    let scores: Vec<u8> = scores.split(' ').map(|s| s.parse().unwrap()).collect();
    assert!(scores.len() == 2 && scores[0] < scores[1], "{got}");
    let got = c.ok("SORT (RELEVANCY) UTF-8 FUZZY TEXT pear").await;
    assert!(got.starts_with("* SORT 2 1\r\n"), "{got}");
    let got = c.ok("SORT RETURN (ALL RELEVANCY) (REVERSE RELEVANCY) UTF-8 FUZZY TEXT pear").await;
    assert!(got.contains(&format!(" ALL 1:2 RELEVANCY ({} {})", scores[0], scores[1])), "{got}");
    let got = c.ok("SORT RETURN (UPDATE) (RELEVANCY) UTF-8 FUZZY TEXT pear").await;
    assert!(got.contains("NOUPDATE"), "{got}");
}
