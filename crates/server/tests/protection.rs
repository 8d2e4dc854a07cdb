//! `angarium protection` against a running server: what it tells and changes is what a client at
//! the port meets.

#![allow(clippy::unwrap_used, reason = "a test that cannot set up should fail")]

mod house;

use std::io::{BufRead, BufReader};
use std::net::TcpStream;

use house::House;

/// The first line that a client of port 25 reads.
fn greeting(house: &House) -> String {
    let stream = TcpStream::connect((house.address.as_str(), house.port(25))).unwrap();
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).unwrap();
    line
}

#[test]
fn angarium_protection_tells_and_changes_who_is_kept_out() {
    let house = House::build();
    // A name server that answers nobody: nothing is asked outside.
    let dns = r#"{DNSServers="127.0.0.1:9";}"#;
    house.angarium(&["cli", "UpdateModule", "SMTP", dns]);
    let (code, said) = house.angarium(&["protection", "block", "192.0.2.7", "--for", "10m"]);
    assert_eq!((code, said.contains("kept out for 600 seconds")), (0, true), "{said}");
    let (code, said) = house.angarium(&["protection", "check", "192.0.2.7"]);
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("[192.0.2.7] is blocked: the connection is closed with 421"), "{said}");
    let (code, said) = house.angarium(&["protection", "show"]);
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("KeptOut:\n  [192.0.2.7]-"), "{said}");
    let (_, said) = house.angarium(&["protection", "unblock", "192.0.2.7", "--json"]);
    assert!(said.contains(r#""ok":true"#), "{said}");
    let (_, said) = house.angarium(&["protection", "check", "192.0.2.7", "--json"]);
    let told: serde_json::Value = serde_json::from_str(said.trim()).unwrap();
    assert_eq!(told["value"]["Standing"], "stranger", "{said}");
    assert!(greeting(&house).starts_with("220 "));
    house.angarium(&["cli", "SetDeniedIPs", "127.0.0.1"]);
    assert_eq!(greeting(&house), "554 5.7.1 your address is not served here\r\n");
    let (code, _) = house.angarium(&["cli", "SetDeniedIPs", "nonsense"]);
    assert_eq!(code, 1);
    house.angarium(&["cli", "SetDeniedIPs", "\"\""]);
    assert!(greeting(&house).starts_with("220 "));
    let (code, _) = house.angarium(&["protection", "block", "192.0.2.7", "--for", "long"]);
    assert_eq!(code, 1);
}
