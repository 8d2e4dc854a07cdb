//! The memory edition keeps the contract, bare and through a wrapper that has nothing to do.

use angarium_store::{contract_suite, faulty, memory};

contract_suite!(|| async { memory::open() });

mod wrapped {
    use super::*;

    contract_suite!(|| async { faulty::wrap(memory::open(), faulty::Plan::new()) });
}
