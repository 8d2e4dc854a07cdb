//! Many sessions on shared mailboxes, every answer held against the rules of the RFCs, and a
//! server whose memory stays bounded meanwhile. `ANGARIUM_STRESS_SECONDS=3600 cargo test
//! -p angarium-server --test stress` runs an hour; `ANGARIUM_STRESS_SEED` chooses other dice.

#![expect(clippy::unwrap_used, reason = "a test that cannot set up should fail")]

mod house;

use angarium_xtask::stress::{Options, stress};
use house::{DOMAIN, House, PASSWORD};

/// Most memory the server may ever have used, in KiB: far above what it needs, far below what a
/// leak of a few octets a command would make of an hour.
const MOST_MEMORY: u64 = 400 * 1024;

fn number(variable: &str, usual: u64) -> u64 {
    std::env::var(variable).map_or(usual, |text| text.parse().unwrap())
}

#[test]
fn every_session_sees_shared_mailboxes_by_the_rules_whatever_the_others_do() {
    let house = House::build();
    house.account("first");
    house.account("second");
    let options = Options {
        seed: number("ANGARIUM_STRESS_SEED", 20_261_122),
        seconds: number("ANGARIUM_STRESS_SECONDS", 120),
        second_user: Some(format!("second@{DOMAIN}")),
        ..Options::new(house.port(143), &format!("first@{DOMAIN}"), PASSWORD)
    };
    let report = stress(&options).unwrap();
    println!("{} commands in {:.0} s: {:?}", report.total(), report.seconds, report.commands);
    println!("answered NO: {:?}", report.refused);
    assert!(report.fault.is_none(), "{}", report.fault.unwrap_or_default());
    for kind in [
        "APPEND",
        "FETCH",
        "IDLE",
        "SEARCH (SAVE)",
        "SELECT (QRESYNC)",
        "STORE (UNCHANGEDSINCE)",
        "UID EXPUNGE",
        "UID MOVE",
        "cut in APPEND",
    ] {
        assert!(report.commands.contains_key(kind), "no {kind} was tried");
    }
    let memory = house.peak_kib();
    println!("most memory of the server: {memory} KiB");
    assert!(memory < MOST_MEMORY, "the server has used {memory} KiB");
}
