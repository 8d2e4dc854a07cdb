//! A name server of one page for the tests: it knows what a test tells it, says that the rest is
//! not there, and fails for names that are broken.

#![allow(dead_code, unreachable_pub, reason = "each test file uses its own part")]
#![allow(clippy::unwrap_used, reason = "a test may")]

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};

use angarium_transfer::dns::{Dns, DnsOptions};
use hickory_resolver::proto::op::{Message, ResponseCode};
use hickory_resolver::proto::rr::rdata::{A, AAAA, MX, PTR, TXT};
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};
use tokio::net::UdpSocket;

#[derive(Default)]
struct Zone {
    records: HashMap<String, Vec<RData>>,
    broken: HashSet<String>,
}

/// Answers on a free port of 127.0.0.1 until the test ends.
#[derive(Clone)]
pub struct Names {
    zone: Arc<Mutex<Zone>>,
    address: SocketAddr,
}

impl Names {
    pub async fn start() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let names = Self { zone: Arc::default(), address: socket.local_addr().unwrap() };
        let zone = Arc::clone(&names.zone);
        tokio::spawn(async move {
            let mut buffer = [0; 4096];
            while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
                let answer = answer(&zone.lock().unwrap(), &buffer[..length]);
                if let Some(answer) = answer {
                    let _ = socket.send_to(&answer, from).await;
                }
            }
        });
        names
    }

    /// A resolver that asks this server.
    pub fn dns(&self) -> Dns {
        Dns::new(&DnsOptions { servers: vec![self.address], ..DnsOptions::default() }).unwrap()
    }

    pub fn port(&self) -> u16 {
        self.address.port()
    }

    fn add(&self, name: &str, data: RData) {
        let mut zone = self.zone.lock().unwrap();
        zone.records.entry(name.to_lowercase()).or_default().push(data);
    }

    pub fn txt(&self, name: &str, text: &str) {
        let pieces = text.as_bytes().chunks(255).collect();
        self.add(name, RData::TXT(TXT::from_bytes(pieces)));
    }

    pub fn mx(&self, name: &str, host: &str) {
        self.mx_at(name, 10, host);
    }

    /// An MX of this preference; the host `` takes no mail.
    pub fn mx_at(&self, name: &str, preference: u16, host: &str) {
        let host = Name::from_utf8(format!("{host}.")).unwrap();
        self.add(name, RData::MX(MX::new(preference, host)));
    }

    /// The name of an address.
    pub fn pointer(&self, ip: &str, name: &str) {
        let reverse = angarium_transfer::dns::reverse_name(ip.parse().unwrap());
        let name = Name::from_utf8(format!("{name}.")).unwrap();
        self.add(&reverse, RData::PTR(PTR(name)));
    }

    pub fn address(&self, name: &str, ip: &str) {
        self.add(
            name,
            match ip.parse().unwrap() {
                IpAddr::V4(ip) => RData::A(A(ip)),
                IpAddr::V6(ip) => RData::AAAA(AAAA(ip)),
            },
        );
    }

    /// The TXT record of a name.
    pub fn text(&self, name: &str) -> String {
        let zone = self.zone.lock().unwrap();
        let data = zone.records.get(&name.to_lowercase()).and_then(|all| all.first());
        let Some(RData::TXT(txt)) = data else { panic!("no text at {name}") };
        let octets: Vec<u8> = txt.txt_data.iter().flat_map(|s| s.iter().copied()).collect();
        String::from_utf8(octets).unwrap()
    }

    /// Nothing is known of this name any more.
    pub fn forget(&self, name: &str) {
        self.zone.lock().unwrap().records.remove(&name.to_lowercase());
    }

    /// Questions for this name fail from now on.
    pub fn broken(&self, name: &str) {
        self.zone.lock().unwrap().broken.insert(name.to_lowercase());
    }
}

fn answer(zone: &Zone, question: &[u8]) -> Option<Vec<u8>> {
    let question = Message::from_vec(question).ok()?;
    let query = question.queries.first()?.clone();
    let key = query.name().to_ascii().trim_end_matches('.').to_lowercase();
    let mut answer = Message::response(question.metadata.id, question.metadata.op_code);
    answer.metadata.recursion_available = true;
    answer.metadata.recursion_desired = question.metadata.recursion_desired;
    answer.add_query(query.clone());
    if let Some(edns) = question.edns {
        answer.set_edns(edns);
    }
    let kind = query.query_type();
    if zone.broken.contains(&key) {
        answer.metadata.response_code = ResponseCode::ServFail;
    } else if let Some(all) = zone.records.get(&key) {
        let wanted = |data: &&RData| data.record_type() == kind || kind == RecordType::ANY;
        for data in all.iter().filter(wanted) {
            answer.add_answer(Record::from_rdata(query.name().clone(), 60, data.clone()));
        }
    } else {
        answer.metadata.response_code = ResponseCode::NXDomain;
    }
    answer.to_vec().ok()
}
