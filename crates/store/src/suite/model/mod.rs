//! Random operations on an edition and on the memory edition, whose answers and whose whole
//! state must stay the same. Numbers an edition is free to choose (ids, validities, MODSEQs) are
//! compared by what they say, not by their value.

mod side;
mod steps;

use super::Edition;
use crate::{Store, memory};

use side::Side;
use steps::Player;

/// The promise of the suite: 1,500 operations of one seed.
pub async fn random_operations_agree_with_the_memory_edition(store: Store) {
    agrees(store, 7, 1500).await;
}

/// Plays `steps` random operations of a seed on a fresh store and on the memory edition.
///
/// # Panics
/// At the first difference, saying the step.
pub async fn agrees(store: Store, seed: u64, steps: usize) {
    let mut player = Player::new(seed, Side::new(memory::open()).await, Side::new(store).await);
    for _ in 0..steps {
        Box::pin(player.step()).await;
    }
    player.compare_everything().await;
}

/// As [`agrees`], closing the edition and opening it again after every `stretch` operations.
///
/// # Panics
/// At the first difference, saying the step.
pub async fn survives<E: Edition>(edition: &E, seed: u64, steps: usize, stretch: usize) {
    let fresh = Side::new(edition.open().await).await;
    let mut player = Player::new(seed, Side::new(memory::open()).await, fresh);
    for step in 1..=steps {
        Box::pin(player.step()).await;
        if step % stretch == 0 {
            player.compare_everything().await;
            player = reopen(edition, player).await;
            player.compare_everything().await;
        }
    }
    player.compare_everything().await;
    edition.close(player.tested.store).await;
}

async fn reopen<E: Edition>(edition: &E, mut player: Player) -> Player {
    player.let_leases_end();
    let Side { store, accounts, queued, known } = player.tested;
    edition.close(store).await;
    player.tested = Side { store: edition.open().await, accounts, queued, known };
    player
}
