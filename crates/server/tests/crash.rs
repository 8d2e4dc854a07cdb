//! CR-02: the real server under load is killed with −9 at random moments, 50 times; every message
//! it acknowledged is there afterwards, once, and what was for others has gone out.
//! `cargo xtask crash --rounds 1000` is the long run.

mod house;

#[test]
fn cr_02_nothing_acknowledged_is_lost_or_doubled_over_50_kills() {
    let options = angarium_xtask::crash::Args {
        rounds: 50,
        seed: 20_261_121,
        binary: house::ANGARIUM.into(),
        directory: None,
        check_every: 10,
        json: false,
    };
    let report = angarium_xtask::crash::rounds(&options).expect("the harness could not run");
    println!(
        "{} rounds, {} acknowledged by SMTP, {} for outside ({} came out again), {} by APPEND, \
         slowest start {} ms",
        report.rounds,
        report.smtp[1],
        report.relayed[1],
        report.relayed[2],
        report.append[1],
        report.slowest_start
    );
    assert!(report.is_clean(), "{:#?}", report.problems);
    assert_eq!(report.rounds, 50);
}
