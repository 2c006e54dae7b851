//! The floor under a run's throughput: below it the faults would meet nothing, and the run would prove nothing.
//!
//! Measured in the same run and with as many callers as the customers. Invariant: what is too slow fails, it isn't told of only.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use amends_inventory::proto as inventory;
use tokio::task::JoinSet;

use crate::fleet::dial;

const BARE: Duration = Duration::from_secs(1);
/// What a saga costs its participants: three actions and a confirm, each a durable write.
const WRITES: f64 = 4.0;
/// The least part of the floor that a run must reach before the faults, or it proves nothing. A third of the least at which customers were
/// seen to be served all the time; where they stood still it was 0.002 and 0.003 (CHAOS.md has the measurements).
const FLOOR_SHARE: f64 = 0.01;
/// The least number of sagas a second: a fault of half a second must meet some.
const RATE_MIN: f64 = 5.0;

/// Whether faults would meet anything at so many sagas a second.
pub(super) fn is_enough(rate: f64, bare: f64) -> bool {
    rate >= RATE_MIN && rate >= FLOOR_SHARE * bare
}

/// Sagas a second for which a participant's durable writes would do, for as many callers and without any coordinator.
pub(super) async fn bare_sagas(address: SocketAddr, callers: usize) -> f64 {
    let channel = dial(address).await;
    let begun = Instant::now();
    let mut set = JoinSet::new();
    for caller in 0..callers {
        let mut shelves = inventory::inventory_client::InventoryClient::new(channel.clone());
        set.spawn(async move {
            let mut done = 0_u32;
            while begun.elapsed() < BARE {
                let set = inventory::SetStockRequest { sku: format!("floor-{caller}"), quantity: 0 };
                shelves.set_stock(set).await.expect("stock");
                done += 1;
            }
            done
        });
    }
    f64::from(set.join_all().await.into_iter().sum::<u32>()) / begun.elapsed().as_secs_f64() / WRITES
}

/// Measured pairs of sagas a second and what bare writes would have allowed: three worlds that worked, two that stood still.
#[test]
fn a_world_that_stands_still_proves_nothing() {
    assert!([(17.3, 211.0), (42.6, 1215.0), (10.3, 899.0)].into_iter().all(|(rate, bare)| is_enough(rate, bare)));
    assert!(![(0.7, 330.0), (0.7, 211.0), (8.0, 1215.0)].into_iter().any(|(rate, bare)| is_enough(rate, bare)));
}
