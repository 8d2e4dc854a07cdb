//! Hosts whose addresses are dead: another takes the mail within a bounded time, and a dead one
//! costs its time once, not with every message.
#![allow(clippy::unwrap_used, reason = "a test may")]

mod far;
mod house;

use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::time::Duration;

use angarium_accounts::{Dictionary, Value};
use angarium_transfer::send::Phases;
use angarium_transfer::{SendingOptions, Source, Submit};
use far::{Far, Names, Script};
use house::House;
use tokio::net::{TcpListener, TcpSocket, TcpStream};

/// Longer than any test waits.
const FOR_EVER: Duration = Duration::from_secs(600);

/// An address where the machine takes no more connections: it lets them wait without a word.
struct Dead {
    _listener: TcpListener,
    _waiting: Vec<TcpStream>,
}

impl Dead {
    async fn at(at: SocketAddr) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_reuseaddr(true).unwrap();
        socket.bind(at).unwrap();
        let listener = socket.listen(1).unwrap();
        let mut waiting = Vec::new();
        for _ in 0..64 {
            let connecting = TcpStream::connect(at);
            match tokio::time::timeout(Duration::from_millis(500), connecting).await {
                Ok(stream) => waiting.push(stream.unwrap()),
                Err(_) => return Self { _listener: listener, _waiting: waiting },
            }
        }
        panic!("{at} takes connections without end");
    }
}

async fn house(mut settings: Dictionary, port: u16) -> House {
    let phases = Phases {
        connect: FOR_EVER,
        connect_first: Duration::from_millis(300),
        ..Phases::default()
    };
    settings.insert("MessagesPerChannel".to_owned(), Value::Number(1));
    let options = SendingOptions { port: Some(port), phases, ..SendingOptions::default() };
    House::sending(settings, &options).await
}

async fn submit(house: &House) {
    let submit = Submit::new(Source::Pop, "alice@main.example", &["x@far.example"]);
    let text = b"Subject: out\r\n\r\nbody\r\n";
    house.transfer.submitter().submit_message(submit, text).await.unwrap();
}

#[tokio::test]
async fn a_dead_host_is_not_waited_for_and_asked_last_for_a_while() {
    let names = Names::new().await;
    names.mx("far.example", 10, "dead.far.example");
    names.mx("far.example", 20, "good.far.example");
    names.a("dead.far.example", "127.0.0.61");
    names.a("good.far.example", "127.0.0.62");
    let good = Far::at("127.0.0.62:0", Script::default()).await;
    let at = SocketAddr::from(([127, 0, 0, 61], good.port));
    let dead = Dead::at(at).await;
    let house = house(names.settings(), good.port).await;
    submit(&house).await;
    good.has(1).await;
    house.settled().await;
    // It is well again, and still behind the other for those minutes.
    drop(dead);
    let well = Far::at(&at.to_string(), Script::default()).await;
    submit(&house).await;
    good.has(2).await;
    house.settled().await;
    assert_eq!(well.connections.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_dead_address_of_a_host_does_not_keep_mail_from_the_others() {
    let names = Names::new().await;
    names.mx("far.example", 10, "mx.far.example");
    let good = Far::at("127.0.0.66:0", Script::default()).await;
    let mut dead = Vec::new();
    for last in [63, 64, 65] {
        names.a("mx.far.example", &format!("127.0.0.{last}"));
        dead.push(Dead::at(SocketAddr::from(([127, 0, 0, last], good.port))).await);
    }
    names.a("mx.far.example", "127.0.0.66");
    let house = house(names.settings(), good.port).await;
    for n in 1..=3 {
        submit(&house).await;
        good.has(n).await;
        house.settled().await;
    }
}
