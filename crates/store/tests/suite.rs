//! The suite itself: nothing in it is forgotten, its second half runs, and it finds faults.

use std::sync::{Arc, Mutex};

use angarium_store::faulty::{Family, Fault, Plan, wrap};
use angarium_store::suite::{Edition, model, run};
use angarium_store::{Bodies, BodyId, BodyWriter, HeadLength, Result, Store, Top, memory};
use async_trait::async_trait;
use bytes::Bytes;

/// The memory edition that is only put aside when it is closed.
struct PutAside(Mutex<Store>);

impl PutAside {
    fn new() -> Self {
        Self(Mutex::new(memory::open()))
    }
}

#[async_trait]
impl Edition for PutAside {
    async fn open(&self) -> Store {
        self.0.lock().expect("no test panics while it holds the lock").clone()
    }

    async fn close(&self, store: Store) {
        // Each store holds its edition by six handles: ours and the one given are all there is.
        assert_eq!(Arc::strong_count(&store.mailboxes), 12, "the test kept a handle");
    }
}

/// Leases live on in a store that is put aside; all else is promised.
macro_rules! put_aside_tests {
    ([$($nothing:tt)*] $($promise:ident,)*) => {
        $(
            #[test]
            fn $promise() {
                if stringify!($promise) != "leases_end_with_reopening" {
                    run(angarium_store::suite::reopen::$promise(&PutAside::new()));
                }
            }
        )*
        const REOPENING: &[&str] = &[$(stringify!($promise)),*];
    };
}

mod put_aside {
    use super::*;
    angarium_store::every_reopen_promise!(put_aside_tests,);

    #[test]
    fn every_promise_about_reopening_is_in_the_suite() {
        let source = include_str!("../src/suite/reopen.rs");
        assert_eq!(super::promises(source), REOPENING.iter().copied().collect());
    }
}

/// The promises written in a source file.
fn promises(source: &str) -> std::collections::BTreeSet<&str> {
    let lines = source.lines().filter_map(|line| line.strip_prefix("pub async fn "));
    lines.filter_map(|line| line.split(['(', '<']).next()).collect()
}

macro_rules! listed {
    ([$($nothing:tt)*] $($family:ident { $($promise:ident,)* })*) => {
        #[test]
        fn every_promise_written_is_in_the_suite() {
            let mut count = 0;
            $(
                let source = include_str!(concat!("../src/suite/", stringify!($family), ".rs"));
                let listed = [$(stringify!($promise)),*];
                count += listed.len();
                assert_eq!(promises(source), listed.into_iter().collect());
            )*
            assert!(count >= 80, "{count} promises");
        }
    };
}

mod list {
    use super::promises;
    // `model` is a folder and has one promise beside its longer runs.
    macro_rules! without_model {
        ([$($nothing:tt)*] $($family:ident { $($promise:ident,)* })*) => {
            without_model! { @take [] $($family { $($promise,)* })* }
        };
        (@take [$($taken:tt)*] model { $($promise:ident,)* }) => { listed! { [] $($taken)* } };
        (@take [$($taken:tt)*] $family:ident { $($promise:ident,)* } $($rest:tt)*) => {
            without_model! { @take [$($taken)* $family { $($promise,)* }] $($rest)* }
        };
    }
    angarium_store::every_promise!(without_model,);
}

#[test]
fn the_memory_edition_agrees_with_itself_whatever_the_seed() {
    for seed in 1..=8 {
        run(model::agrees(memory::open(), seed, 300));
    }
}

/// Bodies that are read in the wrong order.
struct Reversed(Arc<dyn Bodies>);

#[async_trait]
impl Bodies for Reversed {
    fn stage(&self) -> Box<dyn BodyWriter> {
        self.0.stage()
    }
    async fn read(&self, body: BodyId) -> Result<Bytes> {
        self.0.read(body).await
    }
    async fn read_many(&self, bodies: &[BodyId]) -> Result<Vec<Bytes>> {
        self.0.read_many(&bodies.iter().rev().copied().collect::<Vec<_>>()).await
    }
    async fn read_range(&self, body: BodyId, offset: u64, length: u64) -> Result<Bytes> {
        self.0.read_range(body, offset, length).await
    }
    async fn read_heads(&self, bodies: &[(BodyId, u32)]) -> Result<Vec<Bytes>> {
        self.0.read_heads(bodies).await
    }
    async fn summaries(&self, bodies: &[BodyId]) -> Result<Vec<Bytes>> {
        self.0.summaries(bodies).await
    }
    async fn tops(&self, bodies: &[BodyId], head: HeadLength, room: usize) -> Result<Vec<Top>> {
        self.0.tops(bodies, head, room).await
    }
}

#[test]
#[should_panic(expected = "left == right")]
fn the_model_notices_bodies_in_the_wrong_order() {
    let mut store = memory::open();
    store.bodies = Arc::new(Reversed(store.bodies));
    run(model::agrees(store, 3, 1000));
}

#[test]
fn a_stalled_call_waits_and_then_works() {
    run(async {
        let plan = Plan::new();
        let store = wrap(memory::open(), plan.clone());
        let time = std::time::Duration::from_millis(30);
        plan.strike(Some(Family::Queue), 2, 1, Fault::Stall(time));
        store.queue.count().await.unwrap();
        let begin = std::time::Instant::now();
        assert_eq!(store.queue.count().await.unwrap(), 0);
        assert!(begin.elapsed() >= time);
        assert_eq!((plan.calls(Family::Queue), plan.all_calls(), plan.struck()), (2, 2, 1));
    });
}
