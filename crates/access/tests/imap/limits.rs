//! Quota (RFC 9208), counters that leave out what is kept back, and names by the hundred thousand.
//! Features: IMAP-15, IMAP-16, IMAP-28; ABU-21, ABU-22.

use angarium_accounts::{AccountKind, Actor, Dictionary, NewAccount, Value};

use crate::client::{Client, World, mail};

async fn rights(world: &World, account: &str, rights: &[&str]) {
    let all = rights.iter().map(|right| (*right).to_owned()).collect();
    world.context.accounts.set_account_rights(&Actor::console(), account, all).await.unwrap();
}

async fn make(world: &World, name: &str) {
    let settings = [("Password".to_owned(), Value::from("x"))].into();
    let kind = Some(AccountKind::MultiMailbox);
    let new = NewAccount { name: name.to_owned(), settings, kind, ..NewAccount::default() };
    world.context.accounts.create_account(&Actor::console(), new).await.unwrap();
}

// IMAP-15, IMAP-16
#[tokio::test]
async fn administrators_read_and_set_the_quota_their_rights_reach() {
    let world = World::new().await;
    let (accounts, console) = (&world.context.accounts, Actor::console());
    accounts.create_domain(&console, "other.example", Dictionary::new()).await.unwrap();
    for name in ["joe@other.example", "dora@other.example", "adam"] {
        make(&world, name).await;
    }
    let mut dora = world.login("dora@other.example").await;
    // Without rights nobody learns which roots there are.
    let there = dora.no("GETQUOTA #joe").await;
    assert!(there.contains("[NOPERM]"));
    assert_eq!(there, dora.no("GETQUOTA #nobody").await);
    assert_eq!(there, dora.no("GETQUOTA #ann@test.example").await);
    rights(&world, "dora@other.example", &["Domain"]).await;
    assert!(dora.ok("GETQUOTA #joe").await.contains("* QUOTA #joe ()\r\n"));
    assert!(dora.no("GETQUOTA #nobody").await.contains("[NONEXISTENT]"));
    assert!(dora.no("GETQUOTA #ann@test.example").await.contains("[NOPERM]"));
    assert!(dora.no("SETQUOTA #joe (STORAGE 9)").await.contains("[NOPERM]"));
    assert!(dora.ok("GETQUOTA #joe").await.contains("* QUOTA #joe ()\r\n"));
    rights(&world, "dora@other.example", &["Domain", "MaxAccountSize"]).await;
    let got = dora.ok("SETQUOTA #joe (STORAGE 900)").await;
    assert!(got.contains("* QUOTA #joe (STORAGE 0 900)\r\n"), "{got}");
    assert!(dora.no("SETQUOTA #joe (STORAGE 9 MAILBOX 3)").await.contains("[NOPERM]"));
    assert!(dora.no("SETQUOTA #ann@test.example (STORAGE 9)").await.contains("[NOPERM]"));
    let mut joe = world.login("joe@other.example").await;
    let got = joe.ok("GETQUOTAROOT INBOX").await;
    assert!(got.contains("* QUOTAROOT INBOX #joe\r\n* QUOTA #joe (STORAGE 0 900)\r\n"), "{got}");
    assert!(joe.ok("GETQUOTA #joe@other.example").await.contains("(STORAGE 0 900)"));
    assert!(joe.no("SETQUOTA #joe (STORAGE 9000)").await.contains("[NOPERM]"));
    rights(&world, "adam", &["Users"]).await;
    let mut adam = world.login("adam").await;
    let got = adam.ok("SETQUOTA #joe@other.example (STORAGE 2 MAILBOX 2)").await;
    assert!(got.contains("* QUOTA #joe@other.example (STORAGE 0 2 MAILBOX 1 2)\r\n"), "{got}");
    assert!(adam.no("SETQUOTA #joe@other.example (MESSAGE 5)").await.contains("[CANNOT]"));
    let got = adam.ok("GETQUOTAROOT ~joe@other.example/INBOX").await;
    assert!(got.contains("* QUOTAROOT ~joe@other.example/INBOX #joe@other.example\r\n"), "{got}");
    assert!(got.contains("* QUOTA "), "{got}");
    joe.ok("CREATE one").await;
    assert!(joe.no("CREATE two").await.contains("[LIMIT]"));
    joe.ok("CREATE one/only-a-directory/").await;
    let text = mail(1).repeat(20);
    let big = format!("APPEND INBOX {{{}+}}\r\n{text}", text.len());
    assert!(joe.no(&big).await.contains("[TOOBIG]"));
    // Without limits everything goes; the number of mailboxes stays until it is named.
    let got = adam.ok("SETQUOTA #joe@other.example ()").await;
    assert!(got.contains("* QUOTA #joe@other.example (MAILBOX 2 2)\r\n"), "{got}");
    joe.ok(&big).await;
}

// IMAP-15
#[tokio::test]
async fn a_full_account_says_overquota_and_warns_once_before() {
    let world = World::new().await;
    let size = mail(1).len();
    let limit = (size * 5).to_string();
    world.account("tom", &[("MaxAccountSize", &limit), ("QuotaAlert", "60")]).await;
    let mut tom = world.login("tom").await;
    let warned = |got: &str| got.contains("* NO [OVERQUOTA] ");
    for n in 1..=2 {
        assert!(!warned(&tom.append("INBOX", "", &mail(n)).await));
    }
    assert!(warned(&tom.append("INBOX", "", &mail(3)).await));
    tom.ok("SELECT INBOX").await;
    assert!(!warned(&tom.ok("COPY 1 INBOX").await));
    assert!(tom.no("COPY 1:4 INBOX").await.contains("x NO [OVERQUOTA]"));
    tom.append("INBOX", "", &mail(4)).await;
    let text = mail(5);
    let more = format!("APPEND INBOX {{{}+}}\r\n{text}", text.len());
    assert!(tom.no(&more).await.contains("x NO [OVERQUOTA]"));
    tom.ok("CREATE Here").await;
    tom.ok("MOVE 1:* Here").await;
    let mut ann = world.login("ann").await;
    ann.ok("CREATE Drop").await;
    ann.ok("SETACL Drop tom lrsi").await;
    // A foreign mailbox is held against its owner's limit.
    tom.ok("SELECT Here").await;
    tom.ok("COPY 1:* ~ann/Drop").await;
    tom.ok("STORE 1:2 +FLAGS (\\Deleted)").await;
    let got = tom.ok("STATUS Here (DELETED DELETED-STORAGE)").await;
    let kib = (size * 2).div_ceil(1024);
    assert!(got.contains(&format!("DELETED 2 DELETED-STORAGE {kib}")), "{got}");
}

async fn figures(client: &mut Client, name: &str) -> String {
    let got = client.ok(&format!("STATUS {name} (MESSAGES UNSEEN DELETED SIZE)")).await;
    let got = got.lines().next().unwrap_or_default().to_owned();
    got.split_once('(').map(|(_, rest)| rest.to_owned()).unwrap_or_default()
}

// IMAP-28
#[tokio::test]
async fn what_is_kept_back_is_counted_for_nobody_who_does_not_see_it() {
    let world = World::new().await;
    let mut ann = world.login("ann").await;
    ann.ok("CREATE Box").await;
    for n in 1..=4 {
        ann.append("Box", "", &mail(n)).await;
    }
    ann.ok("SETACL Box bob lrsw").await;
    let mut bob = world.login("bob").await;
    let size = mail(1).len();
    let all = format!("MESSAGES 4 UNSEEN 4 DELETED 0 SIZE {})", 4 * size);
    assert_eq!(figures(&mut ann, "Box").await, all);
    assert_eq!(figures(&mut bob, "~ann/Box").await, all);
    ann.ok("SELECT Box").await;
    ann.ok("STORE 1 +FLAGS ($Service \\Deleted)").await;
    ann.ok("STORE 2 +FLAGS ($Hidden \\Deleted)").await;
    let own = format!("MESSAGES 3 UNSEEN 3 DELETED 1 SIZE {})", 3 * size);
    let others = format!("MESSAGES 2 UNSEEN 2 DELETED 0 SIZE {})", 2 * size);
    assert_eq!(figures(&mut ann, "Box").await, own);
    assert_eq!(figures(&mut bob, "~ann/Box").await, others);
    let got = bob.ok("LIST (MESSAGES UNSEEN INTERNALSIZE UNSEENMEDIA) \"\" ~ann/Box").await;
    assert!(got.contains("\\MESSAGES(2) \\UNSEEN(2) "), "{got}");
    let got = bob.ok("LIST \"\" ~ann/% RETURN (STATUS (MESSAGES))").await;
    assert!(got.contains("(MESSAGES 2)"), "{got}");
    let got = bob.ok("STATUS ~ann/Box (DELETED-STORAGE)").await;
    assert!(got.contains("DELETED-STORAGE 0"), "{got}");
    assert!(bob.ok("SELECT ~ann/Box").await.contains("* 2 EXISTS"));
    // Who does not see hidden messages hides none.
    let got = bob.no("STORE 1 +FLAGS ($Hidden)").await;
    assert!(got.contains("[NOPERM]"), "{got}");
    assert_eq!(bob.ok("SEARCH ALL").await.lines().next(), Some("* SEARCH 1 2"));
    // A server that has just started counts the same.
    let fresh = World::over(&world);
    let mut again = fresh.login("bob").await;
    assert_eq!(figures(&mut again, "~ann/Box").await, others);
}

// ABU-21, ABU-22
#[tokio::test]
async fn names_that_are_typed_in_two_ways_are_one_mailbox() {
    let world = World::new().await;
    let mut c = world.login("ann").await;
    c.ok("ENABLE IMAP4rev2").await;
    c.ok("CREATE \"Entwu\u{308}rfe\"").await;
    assert!(c.no("CREATE \"Entw\u{fc}rfe\"").await.contains("[ALREADYEXISTS]"));
    assert!(c.ok("LIST \"\" \"Entwu\u{308}%\"").await.contains("\"Entw\u{fc}rfe\""));
    c.ok("SELECT \"Entwu\u{308}rfe\"").await;
    for name in ["a\u{200b}b", "a\u{202e}b", "\u{feff}a"] {
        assert!(c.no(&format!("CREATE \"{name}\"")).await.contains("[CANNOT]"), "{name:?}");
    }
    let deep = vec!["x"; 1000].join("/");
    c.no(&format!("CREATE {deep}")).await;
    let deepest = vec!["x"; 64].join("/");
    c.ok(&format!("CREATE {deepest}")).await;
    assert!(c.no("RENAME x y/x").await.contains("x NO"));
    assert!(c.no("DELETE x").await.contains("[HASCHILDREN]"));
    c.ok(&format!("DELETE {deepest}")).await;
    assert!(c.no("RENAME INBOX INBOX").await.contains("[ALREADYEXISTS]"));
    c.ok("RENAME INBOX INBOX/old").await;
    assert!(c.no("RENAME INBOX/old INBOX/old/older").await.contains("[CANNOT]"));
    assert!(c.no("RENAME INBOX/old ~bob/old").await.contains("[NOPERM]"));
}

// ABU-22
#[tokio::test]
async fn making_and_removing_a_mailbox_costs_the_same_however_many_there_are() {
    let world = World::new().await;
    let mut c = world.login("ann").await;
    c.ok("CREATE first").await;
    let mut cost = Vec::new();
    for round in 0..2 {
        let before = world.plan.all_calls();
        c.ok(&format!("CREATE new{round}")).await;
        c.ok(&format!("RENAME new{round} old{round}")).await;
        c.ok(&format!("STATUS old{round} (MESSAGES UNSEEN)")).await;
        c.ok("LIST \"\" *").await;
        c.ok(&format!("DELETE old{round}")).await;
        cost.push(world.plan.all_calls() - before);
        for n in 0..3000 * (1 - round) {
            c.ok(&format!("CREATE many/{n}")).await;
        }
    }
    assert_eq!(cost, [3, 3]);
    let got = c.ok("LIST \"\" many/%").await;
    assert_eq!(got.matches("* LIST").count(), 3000);
}
