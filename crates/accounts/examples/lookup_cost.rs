//! What the directory costs at many names: making accounts, looking them up, what is kept of them
//! in memory and on the disk.
//!
//! ```sh
//! for n in 1000 100000 1000000; do
//!     cargo run --release -p angarium-accounts --example lookup_cost -- $n /var/tmp
//! done
//! ```

#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs, reason = "a measurement")]

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use angarium_accounts::{Accounts, Actor, Dictionary, Imported, ObjectKinds, Options, Secret};
use angarium_objects::import::account_list::{AccountRow, Header};

const DOMAIN: &str = "many.example";
/// Rows in one go.
const ROWS: usize = 2_000;
/// Look-ups measured.
const LOOKUPS: u64 = 20_000;

fn rows(from: u64, to: u64) -> Vec<AccountRow> {
    let header = Header::read(&["Name", "UnixPassword", "RealName", "Aliases"]).unwrap();
    let row = |n: u64| {
        let cells = [
            format!("user{n}@{DOMAIN}"),
            "{SSHA}F3tJ8vk8rDhGy6QRPrvpPoxIffIwMTIzNDU2Nw==".to_owned(),
            format!("User Number {n}"),
            format!("u{n}"),
        ];
        header.row(&cells).unwrap()
    };
    (from..to).map(row).collect()
}

/// Numbers that follow no order, the same in each run.
fn scattered(n: u64, below: u64) -> u64 {
    n.wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(31) % below
}

fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap();
    line.split_ascii_whitespace().nth(1).unwrap().parse().unwrap()
}

fn octets(directory: &Path) -> u64 {
    let entries = std::fs::read_dir(directory).unwrap().map(Result::unwrap);
    entries
        .map(|entry| match entry.metadata().unwrap() {
            facts if facts.is_dir() => octets(&entry.path()),
            facts => facts.len(),
        })
        .sum()
}

/// Median and 99th percentile in microseconds.
async fn timed<F: Future<Output = ()>>(times: u64, mut work: impl FnMut(u64) -> F) -> (f64, f64) {
    let mut all: Vec<Duration> = Vec::with_capacity(times as usize);
    for n in 0..times {
        let begun = Instant::now();
        work(n).await;
        all.push(begun.elapsed());
    }
    all.sort();
    let at = |part: usize| all[(all.len() * part / 100).min(all.len() - 1)].as_secs_f64() * 1e6;
    (at(50), at(99))
}

fn main() {
    let mut words = std::env::args().skip(1);
    let names: u64 = words.next().map_or(1_000, |n| n.parse().unwrap());
    let place = words.next().unwrap_or_else(|| "/var/tmp".to_owned());
    let base = tempfile::tempdir_in(place).unwrap();
    let store = base.path().join("Store");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let embedded =
        angarium_store_embedded::open(angarium_store_embedded::Options::new(&store)).unwrap();
    runtime.block_on(measure(embedded.store(), names));
    embedded.close();
    println!("  on disk: {} octets an account", octets(&store) / names);
    let begun = Instant::now();
    let embedded =
        angarium_store_embedded::open(angarium_store_embedded::Options::new(&store)).unwrap();
    println!(
        "  opened again in {:.0} ms, {} KiB resident",
        begun.elapsed().as_secs_f64() * 1e3,
        resident_kib()
    );
    embedded.close();
}

async fn measure(store: angarium_accounts::Store, names: u64) {
    let accounts: Arc<Accounts> = Accounts::new(store.clone(), Options::default());
    let console = Actor::console();
    accounts.first_start("main.example", Secret::from("a-secret")).await.unwrap();
    accounts.create_domain(&console, DOMAIN, Dictionary::new()).await.unwrap();
    let resident = resident_kib();
    let begun = Instant::now();
    for from in (0..names).step_by(ROWS) {
        let rows = rows(from, names.min(from + ROWS as u64));
        let made = accounts.import_accounts(&console, rows, false).await.unwrap();
        assert!(made.iter().all(|(_, outcome)| *outcome == Ok(Imported::Made)));
    }
    let seconds = begun.elapsed().as_secs_f64();
    println!(
        "{names} accounts with an alias each: made in {seconds:.1} s, {:.0} a second",
        names as f64 / seconds
    );
    println!("  resident: {resident} KiB before, {} KiB after", resident_kib());
    let show = |what: &str, (median, late): (f64, f64)| {
        println!("  {what}: median {median:.0} us, 99 % within {late:.0} us");
    };
    let directory = &store.directory;
    let random = timed(LOOKUPS, |n| async move {
        let name = format!("user{}", scattered(n, names));
        assert!(directory.lookup(DOMAIN, &name).await.unwrap().is_some());
    });
    show("look-up in the store, any name", random.await);
    let door = &accounts;
    let random = timed(LOOKUPS, |n| async move {
        let name = format!("u{}@{DOMAIN}", scattered(n, names));
        assert!(door.find_account(&name, "").await.unwrap().is_some());
    });
    show("account by an alias, any name", random.await);
    let same = timed(LOOKUPS, |_| async move {
        assert!(door.find_account("user7@many.example", "").await.unwrap().is_some());
    });
    show("account by name, the same again", same.await);
    let nobody = timed(LOOKUPS, |n| async move {
        let name = format!("nobody{n}@{DOMAIN}");
        assert!(door.find_account(&name, "").await.unwrap().is_none());
    });
    show("a name that nobody has", nobody.await);
    let counts = timed(200, |_| async move {
        assert_eq!(directory.counts(DOMAIN).await.unwrap().aliases, names);
    });
    show("counting the domain's objects", counts.await);
    let kinds = ObjectKinds { accounts: true, aliases: true, forwarders: true };
    let page = timed(50, |n| {
        let cookie = format!("user{}", scattered(n, names));
        let console = &console;
        async move {
            let page = door.list_domain_objects(console, DOMAIN, "", 20, kinds, Some(&cookie));
            page.await.unwrap();
        }
    });
    show("a page of 20 names from anywhere", page.await);
    let forwarders = timed(20, |_| async {
        assert!(accounts.list_forwarders(&console, DOMAIN).await.unwrap().is_empty());
    });
    show("all forwarders of the domain (none)", forwarders.await);
    let one = timed(20, |n| {
        let (accounts, console) = (&accounts, &console);
        async move {
            let rows = rows(names + n, names + n + 1);
            accounts.import_accounts(console, rows, false).await.unwrap();
        }
    });
    show("one more account", one.await);
    println!("  resident in the end: {} KiB", resident_kib());
}
