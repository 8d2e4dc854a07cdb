//! COMPRESS=DEFLATE (RFC 4978). Abuse: ABU-28.

use crate::client::{World, mail};

#[tokio::test]
async fn a_session_goes_on_compressed_in_both_directions() {
    let world = World::new().await;
    let mut c = world.connect().await;
    c.bad("COMPRESS DEFLATE").await;
    assert!(c.ok("LOGIN ann x").await.contains("COMPRESS=DEFLATE"));
    c.no("COMPRESS LZW").await;
    c.ok("COMPRESS DEFLATE").await;
    c.start_deflate();
    assert!(!c.ok("CAPABILITY").await.contains("COMPRESS"));
    assert!(c.no("COMPRESS DEFLATE").await.contains("[COMPRESSIONACTIVE]"));
    for n in 1..=3 {
        c.append("INBOX", "", &mail(n)).await;
    }
    c.ok("SELECT INBOX").await;
    let all = c.ok("FETCH 1:* BODY[]").await;
    assert!(all.contains("Text of 1.") && all.contains("Text of 3."), "{all}");
    // News come in IDLE, each of them whole.
    c.send("i IDLE\r\n").await;
    c.until("+ ").await;
    let mut other = world.login("ann").await;
    other.append("INBOX", "", &mail(4)).await;
    c.until("* 4 EXISTS").await;
    c.send("DONE\r\n").await;
    c.answer("i").await;
    c.ok("LOGOUT").await;
}

#[tokio::test(start_paused = true)]
async fn a_quiet_compressed_session_goes_on_after_its_memory_was_given_back() {
    let world = World::new().await;
    let mut c = world.login("ann").await;
    c.ok("COMPRESS DEFLATE").await;
    c.start_deflate();
    for _ in 0..3 {
        c.ok("LIST \"\" *").await;
        tokio::time::sleep(std::time::Duration::from_secs(60)).await;
    }
    assert!(c.ok("CAPABILITY").await.contains("IMAP4rev1"));
}

#[tokio::test]
async fn a_bomb_costs_what_a_long_command_costs_and_nonsense_ends_the_session() {
    let world = World::new().await;
    let mut c = world.login("ann").await;
    c.ok("COMPRESS DEFLATE").await;
    c.start_deflate();
    // 16 MiB of one command line in a few KiB: it is cut off where any line is.
    c.send(&"x".repeat(16 << 20)).await;
    c.until("* BYE").await;
    assert!(c.closed().await);
    let mut c = world.login("ann").await;
    c.ok("COMPRESS DEFLATE").await;
    c.send("this is no DEFLATE stream at all\r\n").await;
    assert!(c.closed().await);
    let mut innocent = world.login("bob").await;
    innocent.ok("NOOP").await;
}
