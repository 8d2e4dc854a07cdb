//! MIG-07 and MIG-42: a move is killed with -9, mover and target in turn, at random moments; what
//! is there in the end is what was at the old server, once, and a further run copies nothing.
//!
//! `ANGARIUM_KILLS_MESSAGES=20000 ANGARIUM_KILLS=20 ANGARIUM_KILLS_SLOWER=6` runs it whole.

#![allow(clippy::unwrap_used, reason = "a test that cannot set up should fail")]

mod house;

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use house::old_server::{Dovecot, fill};
use house::{DOMAIN, House, PASSWORD, installed};

const MAILBOXES: usize = 12;

/// A number from the environment, for the long run.
fn number(variable: &str, usual: usize) -> usize {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
}

struct Moving<'a> {
    journal: &'a Path,
    six: [String; 6],
}

impl Moving<'_> {
    fn start(&self, more: &[&str]) -> Child {
        Command::new(house::ANGARIUM)
            .arg("move-imap-mail")
            .args(["--journal", self.journal.to_str().unwrap()])
            .args(more)
            .args(&self.six)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    fn finish(child: Child) -> (i32, String, String) {
        let limit = Instant::now() + Duration::from_secs(500);
        let pid = child.id();
        let watch = std::thread::spawn(move || {
            while Instant::now() < limit && Path::new(&format!("/proc/{pid}")).exists() {
                std::thread::sleep(Duration::from_millis(100));
            }
            if Instant::now() >= limit {
                let _ = Command::new("kill").args(["-9", &pid.to_string()]).status();
            }
        });
        let out = child.wait_with_output().unwrap();
        watch.join().unwrap();
        (
            out.status.code().unwrap_or(-1),
            String::from_utf8_lossy(&out.stdout).into_owned(),
            String::from_utf8_lossy(&out.stderr).into_owned(),
        )
    }
}

fn copied(report: &serde_json::Value) -> u64 {
    let all = report["move"]["mailboxes"].as_array().unwrap();
    all.iter().map(|m| m["copied"].as_u64().unwrap()).sum()
}

#[test]
fn mig_07_forty_kills_of_mover_and_target_lose_and_double_nothing() {
    if !installed("dovecot") {
        return;
    }
    let messages = number("ANGARIUM_KILLS_MESSAGES", 2_000);
    let kills = number("ANGARIUM_KILLS", 20);
    let dovecot = Dovecot::start();
    fill(&dovecot, "old", messages, MAILBOXES);
    let mut house = House::build();
    house.account("new");
    let journal = house.base.with_extension("journal");
    let moving = Moving {
        journal: &journal,
        six: [
            format!("127.0.0.1:{}", dovecot.port),
            "old".into(),
            PASSWORD.into(),
            format!("127.0.0.1:{}", house.port(143)),
            format!("new@{DOMAIN}"),
            PASSWORD.into(),
        ],
    };
    // Slowed so that every kill falls into the work: about the same share of it each time.
    let octets = 7_000 * messages;
    // The longer between the kills, the less of it goes into connecting again.
    let slower = number("ANGARIUM_KILLS_SLOWER", 1).max(1);
    let rate = (octets / (2 * kills) * 4 / slower).max(1).to_string();
    let slowly = ["--maxRate", rate.as_str(), "--retry", "30"];
    let mut seed = 0x2545_F491_4F6C_DD1D_u64;
    let mut chance = |most: u64| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed % most
    };
    let mut child = moving.start(&slowly);
    let (mut movers, mut targets) = (0, 0);
    for round in 0..2 * kills {
        std::thread::sleep(Duration::from_millis((100 + chance(500)) * slower as u64));
        if round % 2 == 0 {
            movers += usize::from(child.try_wait().unwrap().is_none());
            child.kill().unwrap();
            child.wait().unwrap();
            child = moving.start(&slowly);
        } else {
            targets += usize::from(child.try_wait().unwrap().is_none());
            // The mover stays and comes back by itself.
            house.kill();
            house.start();
        }
    }
    println!("killed at work: the mover {movers} times, the target {targets} times");
    child.kill().unwrap();
    child.wait().unwrap();
    let (code, out, err) = Moving::finish(moving.start(&["--json", "--verify"]));
    assert_eq!(code, 0, "{out}{err}");
    let report: serde_json::Value = serde_json::from_str(out.trim()).unwrap();
    println!("the run after the kills copied {} of {messages}", copied(&report));
    assert_eq!(report["verify"]["messages"], messages, "{out}");
    assert_eq!(report["verify"]["differences"], 0, "{out}");
    assert_eq!(report["verify"]["only_at_target"], 0, "{out}");
    let (code, out, err) = Moving::finish(moving.start(&["--json", "--verify"]));
    assert_eq!(code, 0, "{out}{err}");
    let report: serde_json::Value = serde_json::from_str(out.trim()).unwrap();
    assert_eq!(copied(&report), 0, "{out}");
    assert_eq!(report["verify"]["differences"], 0, "{out}");
}
