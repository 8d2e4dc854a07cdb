//! Bytes no honest client sends: the session answers or closes, and never does anything else.

use proptest::prelude::*;

use crate::client::World;

/// Pieces commands are made of, so that odd ones get far.
fn piece() -> impl Strategy<Value = String> {
    prop_oneof![
        "[ -~]{0,12}",
        Just("FETCH 1:* ".to_owned()),
        Just("UID STORE 1:4294967295 ".to_owned()),
        Just("+FLAGS (\\Seen ".to_owned()),
        Just("SEARCH OR NOT ".to_owned()),
        Just("(BODY.PEEK[1.1.1.HEADER.FIELDS (a)]<0.1> ENVELOPE)".to_owned()),
        Just("{3+}\r\nabc".to_owned()),
        Just("APPEND INBOX {5+}\r\n\0a: b".to_owned()),
        Just("LIST (SUBSCRIBED RECURSIVEMATCH) \"\" (% *) RETURN (STATUS (SIZE))".to_owned()),
        Just("SELECT INBOX (QRESYNC (1 1 1:* (1 1)))".to_owned()),
        Just("\r\n".to_owned()),
        Just(" ".to_owned()),
        Just("$".to_owned()),
        Just("*".to_owned()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]
    #[test]
    fn a_session_outlives_any_command(lines in prop::collection::vec(
        prop::collection::vec(piece(), 1..5), 1..12,
    )) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let world = World::new().await;
            let mut c = world.inbox("ann", 2).await;
            for line in lines {
                c.send(&format!("a {}\r\n", line.concat())).await;
            }
            c.hang_up().await;
            // The session ended in order, without a panic.
            c.task.await.unwrap();
        });
    }
}
