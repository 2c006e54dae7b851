//! The way of a request to the node that it is for: clients, operators and participants that call back.
//!
//! A caller that goes away drops its waiting and nothing else, as at the real server. Invariant: what isn't answered isn't known, and whoever asked asks again.

use std::sync::Arc;
use std::time::Duration;

use amends_engine::ids::SagaKey;
use amends_runtime::Coordinator;
use amends_store::{Store, shard_of};
use futures::future::BoxFuture;
use tokio::time::{sleep, timeout};

use crate::faults::{Boundary, Channel, Fault};
use crate::world::World;

/// How long anybody waits for an answer of the coordinator.
const PATIENCE: Duration = Duration::from_secs(3);

impl World {
    /// Asks a saga's node for something; `None` where nobody knows what came of it.
    pub(crate) async fn request<T, F>(self: &Arc<Self>, at: Boundary, key: &SagaKey, make: F) -> Option<T>
    where
        T: Send + 'static,
        F: Fn(Coordinator) -> BoxFuture<'static, T>,
    {
        let node = self.node_for(key)?;
        let (process, copy) = (node.process, make(node.coordinator.clone()));
        let asked = make(node.coordinator);
        let fault = self.faults.at(at);
        if let Some(fault) = fault {
            self.trace.note(format_args!("client of {key} {at}: {fault}"));
            let shard = shard_of(key, self.store.info().shards);
            self.strike(fault, at, 0, Some(shard)).await;
        }
        if self.is_cut(Channel::Request, 0) {
            return None;
        }
        match fault {
            Some(Fault::Drop | Fault::Refused) => return None,
            Some(Fault::CrashBefore) => {
                process.kill();
                return None;
            }
            Some(Fault::NodeClock) => {
                self.set_clock(process.machine());
                process.kill();
                return None;
            }
            Some(Fault::Pause) => process.freeze(),
            Some(Fault::Delay) => sleep(self.wire.millis(300, 4_000)).await,
            Some(Fault::CrashDuring) => {
                self.run(async move { _ = timeout(PATIENCE, asked).await });
                sleep(self.wire.millis(0, 3)).await;
                process.kill();
                return None;
            }
            Some(Fault::LateCopy) => {
                let after = self.wire.millis(5, 5_000);
                self.run(async move {
                    sleep(after).await;
                    let _ = timeout(PATIENCE, copy).await;
                });
            }
            Some(Fault::Twice) => {
                let both = async { tokio::join!(copy, asked).1 };
                return timeout(PATIENCE, both).await.ok();
            }
            // The caller goes away in the middle.
            Some(Fault::Misled) => {
                let _ = timeout(self.wire.millis(0, 12), asked).await;
                return None;
            }
            _ => {}
        }
        let answer = timeout(PATIENCE, asked).await.ok();
        match fault {
            Some(Fault::CrashAfter) => {
                process.kill();
                None
            }
            Some(Fault::DropAnswer) => None,
            _ => answer,
        }
    }
}
