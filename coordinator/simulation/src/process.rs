//! One life of a node's process: it runs, it may stand still for a while, and it ends.
//!
//! Everything that a node does to the outside goes through [`Process::runs`], before it is sent and before its answer is
//! heard. Invariant: after a crash nothing of that life reaches store or network any more; what was on its way arrives all the
//! same, as it would from a killed process.

use std::convert::Infallible;
use std::future::pending;
use std::sync::Mutex;

use tokio::sync::Notify;

use crate::trace::lock;

/// How a process stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It runs.
    Runs,
    /// It stands still, and doesn't know it: SIGSTOP, or a machine that was suspended.
    Frozen,
    /// It was killed.
    Dead,
}

/// One life of a node's process.
#[derive(Debug)]
pub(crate) struct Process {
    number: u32,
    machine: u32,
    standing: Mutex<Standing>,
    // Not a `watch`, which wakes its waiters in an order drawn from tokio's own generator.
    changed: Notify,
}

impl Process {
    /// A running process.
    pub(crate) fn new(number: u32, machine: u32) -> Self {
        Self { number, machine, standing: Mutex::new(Standing::Runs), changed: Notify::new() }
    }

    /// Which life this is, from 1.
    pub(crate) fn number(&self) -> u32 {
        self.number
    }

    /// Where it runs.
    pub(crate) fn machine(&self) -> u32 {
        self.machine
    }

    /// Returns while the process runs; after it was killed, never.
    pub(crate) async fn runs(&self) {
        match self.when(|standing| standing != Standing::Frozen).await {
            Standing::Runs => {}
            Standing::Frozen | Standing::Dead => pending().await,
        }
    }

    /// Waits until it no longer runs; says how it stands then.
    pub(crate) async fn stopped(&self) -> Standing {
        self.when(|standing| standing != Standing::Runs).await
    }

    /// Kills it, from within: whoever calls this never hears of anything again.
    pub(crate) async fn die(&self) -> Infallible {
        self.kill();
        pending().await
    }

    /// Kills it, from outside.
    pub(crate) fn kill(&self) {
        self.change(|_| Standing::Dead);
    }

    /// Makes it stand still.
    pub(crate) fn freeze(&self) {
        self.change(|standing| if standing == Standing::Runs { Standing::Frozen } else { standing });
    }

    /// Lets it go on, as if no time had passed.
    pub(crate) fn thaw(&self) {
        self.change(|standing| if standing == Standing::Frozen { Standing::Runs } else { standing });
    }

    fn change(&self, change: impl FnOnce(Standing) -> Standing) {
        let mut standing = lock(&self.standing);
        *standing = change(*standing);
        self.changed.notify_waiters();
    }

    async fn when(&self, is_so: impl Fn(Standing) -> bool) -> Standing {
        loop {
            // Made before the look, so that a change after the look is not missed.
            let changed = self.changed.notified();
            let standing = *lock(&self.standing);
            if is_so(standing) {
                return standing;
            }
            changed.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use tokio::time::{sleep, timeout};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_frozen_process_goes_on_where_it_stood() {
        let process = Arc::new(Process::new(1, 1));
        process.freeze();
        assert_eq!(process.stopped().await, Standing::Frozen);
        let thawing = process.clone();
        tokio::spawn(async move {
            sleep(Duration::from_secs(9)).await;
            thawing.thaw();
        });
        assert!(timeout(Duration::from_secs(8), process.runs()).await.is_err());
        assert!(timeout(Duration::from_secs(2), process.runs()).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_dead_process_stays_dead() {
        let process = Process::new(1, 1);
        process.kill();
        process.thaw();
        process.freeze();
        assert_eq!(process.stopped().await, Standing::Dead);
        assert!(timeout(Duration::from_secs(1_000), process.runs()).await.is_err());
    }
}
