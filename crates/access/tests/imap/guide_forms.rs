//! The guides' own forms of STATUS, LIST and CREATE to the letter (`reference/imap.md` section 7,
//! `reference/mailboxes.md` section 2).
//! Features: IMAP-22, 23, 24, 25, 26.

use crate::client::{World, mail};

#[tokio::test]
async fn status_answers_the_guides_items_in_the_order_asked() {
    let world = World::new().await;
    let mut c = world.login("ann").await;
    c.ok("CREATE mailbox").await;
    let got = c.ok("STATUS mailbox (OLDEST UNSEENMEDIA)").await;
    assert!(got.starts_with("* STATUS mailbox (UNSEENMEDIA 0)\r\n"), "no oldest of none: {got}");
    let text = mail(1);
    c.append("mailbox", "($Media) \"24-Feb-2002 07:59:42 +0000\" ", &text).await;
    c.append("mailbox", "\"23-Feb-2002 07:59:42 +0000\" ", &text).await;
    c.append("mailbox", "(\\Seen $Media) \"25-Feb-2002 07:59:42 +0000\" ", &text).await;
    let got = c.ok("STATUS mailbox (UNSEEN OLDEST INTERNALSIZE UNSEENMEDIA)").await;
    let wanted = format!(
        "* STATUS mailbox (UNSEEN 2 OLDEST \"23-Feb-2002 07:59:42 +0000\" INTERNALSIZE {} \
         UNSEENMEDIA 1)\r\n",
        3 * text.len()
    );
    assert!(got.starts_with(&wanted), "{got}");
    let got = c.ok("STATUS mailbox (UNSEENMEDIA INTERNALSIZE UNSEEN)").await;
    let wanted = format!("(UNSEENMEDIA 1 INTERNALSIZE {} UNSEEN 2)\r\n", 3 * text.len());
    assert!(got.contains(&wanted), "{got}");
}

#[tokio::test]
async fn list_carries_the_guides_values_in_the_order_asked_and_the_mark_last() {
    let world = World::new().await;
    let mut c = world.login("ann").await;
    c.ok("CREATE mailbox").await;
    let text = mail(1);
    c.append("mailbox", "($Media) \"23-Feb-2002 07:59:42 +0000\" ", &text).await;
    c.ok("SELECT mailbox").await;
    c.ok("UNSELECT").await;
    let mut other = world.login("ann").await;
    let got = other.ok("LIST (CHILDREN UNSEEN INTERNALSIZE) \"\" \"ma%\"").await;
    let unmarked = format!(
        "* LIST (\\HasNoChildren \\UNSEEN(1) \\INTERNALSIZE({}) \\Unmarked) \"/\" mailbox\r\n",
        text.len()
    );
    let marked = unmarked.replace("\\Unmarked", "\\Marked");
    assert!(got.starts_with(&unmarked) || got.starts_with(&marked), "{got}");
    let got = other.ok("LIST (UNSEENMEDIA OLDEST MESSAGES UIDNEXT) \"\" \"ma%\"").await;
    let wanted = "\\UNSEENMEDIA(1) \\OLDEST(\"23-Feb-2002 07:59:42 +0000\") \\MESSAGES(1) \
                  \\UIDNEXT(2) ";
    assert!(got.contains(wanted) && got.contains("arked) \"/\" mailbox\r\n"), "{got}");
}

#[tokio::test]
async fn the_ending_of_a_new_mailboxs_name_chooses_a_format_and_is_dropped() {
    let world = World::new().await;
    let mut c = world.login("ann").await;
    for ending in ["mbox", "mdir", "mslc"] {
        c.ok(&format!("CREATE box-{ending}.{ending}")).await;
        c.ok(&format!("SELECT box-{ending}")).await;
        assert!(c.no(&format!("CREATE box-{ending}")).await.contains("[ALREADYEXISTS]"));
    }
    assert!(!c.ok("LIST \"\" *").await.contains(".m"));
}
