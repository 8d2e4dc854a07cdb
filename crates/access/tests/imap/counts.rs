//! What commands may cost in calls to the store, whatever the size of the mailbox.
//! Features: P3 to P7.

use crate::client::{World, mail};

async fn filled(world: &World, count: u32) -> crate::client::Client {
    let mut c = world.login("ann").await;
    let mut left = count;
    while left > 0 {
        let now = left.min(1000);
        let mut command = String::from("APPEND INBOX");
        for n in 0..now {
            let text = mail(n);
            command.push_str(&format!(" {{{}+}}\r\n{text}", text.len()));
        }
        c.ok(&command).await;
        left -= now;
    }
    c.ok("SELECT INBOX").await;
    c
}

#[tokio::test]
async fn fetching_twenty_thousand_messages_takes_few_calls() {
    let world = World::new().await;
    let mut c = filled(&world, 20_000).await;
    let mut calls = world.plan.all_calls();
    let mut cost = || {
        let now = world.plan.all_calls();
        let cost = now - calls;
        calls = now;
        cost
    };
    let got = c.ok("FETCH 1:* (UID FLAGS INTERNALDATE RFC822.SIZE)").await;
    assert_eq!(got.lines().filter(|l| l.starts_with("* ")).count(), 20_000);
    assert_eq!(cost(), 0);
    c.ok("FETCH 1:* (ENVELOPE BODYSTRUCTURE)").await;
    assert!(cost() <= 40);
    c.ok("FETCH 1:* (BODY.PEEK[HEADER])").await;
    assert!(cost() <= 40);
    c.ok("FETCH 1:* (BODY.PEEK[])").await;
    assert!(cost() <= 100);
    c.ok("SEARCH UNSEEN 5000:*").await;
    assert_eq!(cost(), 0);
    c.ok("SEARCH SUBJECT nothing").await;
    assert!(cost() <= 40);
    c.ok("STORE 1:* +FLAGS.SILENT (\\Seen)").await;
    assert_eq!(cost(), 1);
    c.ok("FETCH 1:1000 (BODY[TEXT])").await;
    assert!(cost() <= 10);
    let mut again = world.login("ann").await;
    let before = world.plan.all_calls();
    again.ok("SELECT INBOX").await;
    assert_eq!(world.plan.all_calls() - before, 0);
}
