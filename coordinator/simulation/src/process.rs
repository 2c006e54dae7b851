//! One life of a node's process: it runs, it may stand still for a while, and it ends.
//!
//! Everything that a node does to the outside goes through [`Process::runs`], before it is sent and before its answer is
//! heard. Invariant: after a crash nothing of that life reaches store or network any more; what was on its way arrives all the
//! same, as it would from a killed process.

use std::convert::Infallible;
use std::future::pending;

use tokio::sync::watch;

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
    standing: watch::Sender<Standing>,
}

impl Process {
    /// A running process.
    pub(crate) fn new(number: u32) -> Self {
        Self { number, standing: watch::Sender::new(Standing::Runs) }
    }

    /// Which life this is, from 1.
    pub(crate) fn number(&self) -> u32 {
        self.number
    }

    /// Returns while the process runs; after it was killed, never.
    pub(crate) async fn runs(&self) {
        let mut standing = self.standing.subscribe();
        let found = standing.wait_for(|standing| *standing != Standing::Frozen).await.map(|found| *found);
        if found != Ok(Standing::Runs) {
            pending::<Infallible>().await;
        }
    }

    /// Kills it, from within: whoever calls this never hears of anything again.
    pub(crate) async fn die(&self) -> Infallible {
        self.kill();
        pending().await
    }

    /// Kills it, from outside.
    pub(crate) fn kill(&self) {
        self.standing.send_replace(Standing::Dead);
    }

    /// Makes it stand still.
    pub(crate) fn freeze(&self) {
        self.standing.send_if_modified(|standing| {
            let runs = *standing == Standing::Runs;
            if runs {
                *standing = Standing::Frozen;
            }
            runs
        });
    }

    /// Lets it go on, as if no time had passed.
    pub(crate) fn thaw(&self) {
        self.standing.send_if_modified(|standing| {
            let frozen = *standing == Standing::Frozen;
            if frozen {
                *standing = Standing::Runs;
            }
            frozen
        });
    }

    /// Waits until it no longer runs; says how it stands then.
    pub(crate) async fn stopped(&self) -> Standing {
        let mut standing = self.standing.subscribe();
        let found = standing.wait_for(|standing| *standing != Standing::Runs).await.map(|found| *found);
        found.unwrap_or(Standing::Dead)
    }
}
