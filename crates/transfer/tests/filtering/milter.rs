//! Milters that the tests play themselves: every step and every answer of the protocol.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::house::House;
use crate::{only, send, use_milters};

/// Commands with their data.
type Heard = Vec<(u8, Vec<u8>)>;

/// What a milter that plays says at the end of a message, and what it was told.
struct Play {
    steps: u32,
    answers: Vec<(u8, Vec<u8>)>,
    heard: Arc<Mutex<Heard>>,
}

async fn read(stream: &mut TcpStream) -> Option<(u8, Vec<u8>)> {
    let length = stream.read_u32().await.ok()? as usize;
    let mut packet = vec![0; length];
    stream.read_exact(&mut packet).await.ok()?;
    Some((packet[0], packet[1..].to_vec()))
}

async fn write(stream: &mut TcpStream, kind: u8, data: &[u8]) {
    let length = u32::try_from(data.len() + 1).unwrap();
    let packet = [&length.to_be_bytes()[..], &[kind], data].concat();
    // The server may have heard enough.
    let _ = stream.write_all(&packet).await;
}

/// Answers connections; `silent` steps are not answered, as was negotiated.
async fn play(steps: u32, answers: &[(u8, &[u8])]) -> (String, Arc<Mutex<Heard>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let heard = Arc::<Mutex<Vec<(u8, Vec<u8>)>>>::default();
    let answers = answers.iter().map(|(kind, data)| (*kind, data.to_vec())).collect();
    let play = Arc::new(Play { steps, answers, heard: heard.clone() });
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(session(stream, play.clone()));
        }
    });
    (address, heard)
}

async fn session(mut stream: TcpStream, play: Arc<Play>) {
    while let Some((kind, data)) = read(&mut stream).await {
        play.heard.lock().unwrap().push((kind, data));
        let silent = |bit: u32| play.steps & bit != 0;
        match kind {
            b'O' => {
                let offer = [6_u32, 0x3f, play.steps].map(u32::to_be_bytes).concat();
                write(&mut stream, b'O', &offer).await;
            }
            b'E' => {
                for (kind, data) in &play.answers {
                    write(&mut stream, *kind, data).await;
                }
            }
            b'L' if silent(0x80) => {}
            b'D' | b'Q' | b'A' => {}
            _ => write(&mut stream, b'c', b"").await,
        }
    }
}

fn number(n: u32, rest: &[u8]) -> Vec<u8> {
    [&n.to_be_bytes()[..], rest].concat()
}

#[tokio::test]
async fn a_milter_is_told_everything_and_its_changes_are_made() {
    let house = House::new().await;
    let insert = number(1, b"X-First\0one\0");
    let change = number(1, b"Subject\0[marked] hello\0");
    let remove = number(1, b"X-Bad\0\0");
    let (address, heard) = play(
        0x80 | 0x10_0000,
        &[
            (b'p', b""),
            (b'i', &insert),
            (b'm', &change),
            (b'm', &remove),
            (b'h', b"X-Last\0 end\0"),
            (b'b', b"another body\n"),
            (b'+', b"<bob@main.example>\0"),
            (b'-', b"<alice@main.example>\0"),
            (b'e', b"<new@outside.example>\0"),
            (b'c', b""),
        ],
    )
    .await;
    use_milters(&house, &format!("({{Address=\"inet:{address}\";}})")).await;
    let reply = send(&house, "Subject: hello\nX-Bad: 1\n folded\n\nbody\n").await;
    assert!(reply.starts_with("250 "), "{reply}");
    let text = only(&house, "bob@main.example").await;
    assert!(house.inbox("alice@main.example").await.is_empty());
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    assert_eq!(body, "another body\r\n");
    assert!(
        head.contains("\r\nX-First:one\r\n") || head.contains("\r\nX-First: one\r\n"),
        "{head}"
    );
    assert!(head.contains("\r\nSubject:[marked] hello\r\n"), "{head}");
    assert!(head.ends_with("\r\nX-Last: end") && !head.contains("X-Bad"), "{head}");
    let heard = heard.lock().unwrap().clone();
    let order: String = heard.iter().map(|(kind, _)| char::from(*kind)).collect();
    // Its end may not have been heard yet.
    assert_eq!(order.trim_end_matches('Q'), "ODCDHDMDRDTLLNBDE");
    let data = |kind: u8| heard.iter().find(|(k, _)| *k == kind).unwrap().1.clone();
    assert_eq!(data(b'C'), b"[192.0.2.9]\x004\0\x00192.0.2.9\0");
    assert_eq!(data(b'H'), b"client.example\0");
    assert_eq!(data(b'M'), b"<sender@outside.example>\0");
    assert_eq!(data(b'R'), b"<alice@main.example>\0");
    assert_eq!(data(b'L'), b"Subject\0 hello\0");
    assert_eq!(data(b'B'), b"body\r\n");
}

#[tokio::test]
async fn a_milters_word_is_the_answer_to_the_message() {
    for (answer, reply, arrives) in [
        (&[(b'r', &b""[..])][..], "550 5.7.1 refused by a filter", false),
        (&[(b't', b"")], "451 4.7.1 ", false),
        (&[(b'y', b"554 5.6.0 no such thing\0")], "550 5.6.0 no such thing", false),
        (&[(b'y', b"421 4.3.2 later please\0")], "451 4.3.2 later please", false),
        (&[(b'd', b"")], "250 ", false),
        (&[(b'a', b"")], "250 ", true),
        (&[(b'-', b"alice@main.example\0"), (b'c', b"")], "250 ", false),
        (&[(b'f', b"")], "451 4.7.1 ", false),
        (&[(b'Z', b"")], "451 4.7.1 ", false),
    ] {
        let house = House::new().await;
        let (address, _) = play(0, answer).await;
        use_milters(&house, &format!("({{Address=\"inet:{address}\";}})")).await;
        let got = send(&house, "Subject: x\n\nbody\n").await;
        assert!(got.starts_with(reply), "{answer:?}: {got}");
        house.settled().await;
        let here = house.inbox("alice@main.example").await.len();
        assert_eq!(here, usize::from(arrives), "{answer:?}");
    }
}

#[tokio::test]
async fn a_quarantined_message_is_set_aside() {
    let house = House::new().await;
    let (address, _) = play(0, &[(b'q', b"odd\0"), (b'c', b"")]).await;
    use_milters(&house, &format!("({{Address=\"inet:{address}\";}})")).await;
    assert!(send(&house, "Subject: x\n\nbody\n").await.starts_with("250 "));
    house.settled().await;
    let all = house.mailbox("alice@main.example", "Junk").await.len()
        + house.inbox("alice@main.example").await.len();
    assert_eq!(all, 1);
}

#[tokio::test]
async fn a_milter_that_does_not_work_holds_mail_up_or_not_as_it_is_set() {
    // A port that nobody listens on.
    let closed = {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap()
    };
    // One that takes connections and says nothing.
    let mute = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mute = (mute.local_addr().unwrap(), mute);
    for address in [closed, mute.0] {
        for (on_failure, reply) in
            [("later", "451 4.7.1 "), ("accept", "250 "), ("reject", "550 5.7.1 ")]
        {
            let house = House::new().await;
            let settings =
                format!("({{Address=\"inet:{address}\";TimeOut=1s;OnFailure={on_failure};}})");
            use_milters(&house, &settings).await;
            let got = send(&house, "Subject: x\n\nbody\n").await;
            assert!(got.starts_with(reply), "{on_failure}: {got}");
        }
    }
}

#[tokio::test]
async fn a_milter_sees_only_the_mail_it_is_for() {
    let house = House::new().await;
    let (address, heard) = play(0, &[(b'r', b"")]).await;
    use_milters(&house, &format!("({{Address=\"inet:{address}\";For=clients;}})")).await;
    assert!(send(&house, "Subject: x\n\nbody\n").await.starts_with("250 "));
    assert!(heard.lock().unwrap().is_empty());
    assert_eq!(only(&house, "alice@main.example").await.matches("Subject: x").count(), 1);
}
