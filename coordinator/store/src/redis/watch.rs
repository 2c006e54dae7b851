//! Looks at the servers again every few seconds, and at once when somebody has become suspicious: `CONFIG SET` can make a good one bad while we run.
//!
//! Judges nothing itself; the guard freezes and frees the store. Invariant: it ends with the store.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::sleep;

use super::failure::Failure;
use super::guard::Guard;
use super::router::Router;

/// How often.
const EVERY: Duration = Duration::from_secs(15);

/// How often while the store is frozen: somebody may be mending it.
const WHILE_FROZEN: Duration = Duration::from_secs(2);

/// Ends its task when it is dropped.
#[derive(Debug)]
pub(super) struct Watching(JoinHandle<()>);

impl Drop for Watching {
    fn drop(&mut self) {
        self.0.abort();
    }
}

pub(super) fn spawn(router: Arc<Router>, guard: Arc<Guard>) -> Watching {
    Watching(tokio::spawn(async move {
        loop {
            let pause = if guard.pass().is_ok() { EVERY } else { WHILE_FROZEN };
            tokio::select! {
                biased;
                () = guard.suspected() => {}
                () = sleep(pause) => {}
            }
            look(&router, &guard).await;
        }
    }))
}

/// One look at every primary.
pub(super) async fn look(router: &Router, guard: &Guard) {
    if let Err(failure) = try_look(router, guard).await {
        tracing::warn!(%failure, "Redis can't be examined");
    }
}

async fn try_look(router: &Router, guard: &Guard) -> Result<(), Failure> {
    let mut seen = Vec::new();
    for link in router.primaries().await? {
        seen.push(link.examine().await?.0);
    }
    // What isn't a primary any more freezes nothing.
    guard.forget_all_but(&seen);
    Ok(())
}
