//! Mail for another system in the crash rounds: a sink stands for it, and a ledger says what it must
//! have had. A message whose delivery was cut off by the kill may come out twice: the server cannot
//! know what became of it (RFC 5321 section 4.5.3.2.6). It is counted, and bounded by what can be
//! under way at a time.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::DOMAIN;
use super::ledger::{Kind, Problem, identity};
use super::wire::Outcome;
use crate::sink;

/// The domain whose mail goes to the sink.
pub(crate) const OUTSIDE: &str = "sink.example";

/// Most messages that may come out again after one kill: those whose delivery was under way, or
/// done and not yet noted on the disk.
const MOST_AGAIN: u64 = 64;

/// Time between two looks.
const LOOK: Duration = Duration::from_millis(20);

#[derive(Default)]
struct Expected {
    acknowledged: bool,
    arrived: u64,
}

/// The sink and what it must have had.
#[derive(Clone)]
pub(crate) struct Relay {
    at: SocketAddr,
    book: Arc<Mutex<BTreeMap<String, Expected>>>,
}

impl Relay {
    /// Opens the sink.
    pub(crate) fn open() -> Outcome<Self> {
        let book: Arc<Mutex<BTreeMap<String, Expected>>> = Arc::default();
        let heard = book.clone();
        let listener: sink::Listener = Arc::new(move |text| {
            let id = identity(text).unwrap_or("a message without a name").to_owned();
            let mut book = heard.lock().unwrap_or_else(PoisonError::into_inner);
            book.entry(id).or_default().arrived += 1;
        });
        let at = sink::open((Ipv4Addr::LOCALHOST, 0).into(), listener)
            .map_err(|error| format!("the sink: {error}"))?;
        Ok(Self { at, book })
    }

    /// The commands that lead the sink's domain to it.
    pub(crate) fn commands(&self) -> [String; 2] {
        let (ip, port) = (self.at.ip(), self.at.port());
        [
            format!("SetRouterTable \"Relay:{OUTSIDE} = {OUTSIDE}@[{ip}]:{port}._via\""),
            "UpdateModule SMTP {AllowPrivateTargets=YES;}".to_owned(),
        ]
    }

    /// A message is about to be sent.
    pub(crate) fn attempt(&self, id: &str) {
        self.change(|book| {
            book.entry(id.to_owned()).or_default();
        });
    }

    /// It was acknowledged.
    pub(crate) fn acknowledge(&self, id: &str) {
        self.change(|book| book.entry(id.to_owned()).or_default().acknowledged = true);
    }

    /// Waits until everything acknowledged has come out, then gives what is wrong and how many
    /// messages came out again, and begins a new page.
    pub(crate) fn settle(&self, patience: Duration) -> (Vec<Problem>, u64) {
        let end = Instant::now() + patience;
        loop {
            let missing = self.change(|book| {
                book.values().filter(|one| one.acknowledged && one.arrived == 0).count()
            });
            if missing == 0 || Instant::now() > end {
                break;
            }
            std::thread::sleep(LOOK);
        }
        let page = self.change(std::mem::take);
        let mut problems: Vec<Problem> = page
            .iter()
            .filter(|(_, one)| one.acknowledged && one.arrived == 0)
            .map(|(id, _)| Problem {
                kind: Kind::Lost,
                text: format!("{id} for {OUTSIDE} was acknowledged at {DOMAIN} and never came out"),
            })
            .collect();
        let again = page.values().map(|one| one.arrived.saturating_sub(1)).sum();
        if again > MOST_AGAIN {
            let text = format!("{again} messages for {OUTSIDE} came out again after one kill");
            problems.push(Problem { kind: Kind::Twice, text });
        }
        (problems, again)
    }

    fn change<T>(&self, with: impl FnOnce(&mut BTreeMap<String, Expected>) -> T) -> T {
        with(&mut self.book.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpStream;

    use super::*;

    fn bring(relay: &Relay, id: &str) {
        let mut stream = TcpStream::connect(relay.at).unwrap();
        let talk = "MAIL FROM:<>\r\nRCPT TO:<a@sink.example>\r\nDATA\r\n";
        stream
            .write_all(format!("{talk}X-Crash-Id: {id}\r\n\r\n.\r\nQUIT\r\n").as_bytes())
            .unwrap();
        stream.read_to_string(&mut String::new()).unwrap();
    }

    #[test]
    fn what_was_acknowledged_and_did_not_come_out_is_lost() {
        let relay = Relay::open().unwrap();
        for id in ["one", "two", "three"] {
            relay.attempt(id);
        }
        relay.acknowledge("one");
        relay.acknowledge("two");
        bring(&relay, "one");
        bring(&relay, "one");
        bring(&relay, "three");
        let (problems, again) = relay.settle(Duration::from_millis(1));
        assert_eq!(again, 1);
        assert_eq!(problems.len(), 1);
        assert!(problems[0].kind == Kind::Lost && problems[0].text.starts_with("two "));
    }
}
