//! Many runs, on all cores: what tests, `make sim` and `amends simulate` have in common.
//!
//! Invariant: the sums don't depend on how many cores there are, since each run is alone with its seed.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::faults::FaultPlan;
use crate::harness::{CannotRun, Report, Run};
use crate::library::Library;
use crate::participants::Conduct;
use crate::totals::Totals;

/// Runs of consecutive seeds.
#[derive(Debug)]
pub struct Campaign<'a> {
    /// The definitions.
    pub library: &'a Library,
    /// The first seed.
    pub first: u64,
    /// How many.
    pub seeds: u64,
}

impl Campaign<'_> {
    /// The run of a seed: the seed decides everything; even seeds have the whole barrier, odd ones refusals that aren't final.
    pub fn run(library: &Library, seed: u64) -> Result<Report, CannotRun> {
        let conduct = if seed.is_multiple_of(2) { Conduct::Barrier } else { Conduct::RefusalsNotFinal };
        Run { library, conduct, faults: FaultPlan::Random, sagas: None, seed }.make()
    }

    /// Makes them all on this many threads; gives each to `each`, in no order. The first that can't be begun ends it.
    pub fn make(&self, threads: usize, each: impl Fn(&Report) + Sync) -> Result<Totals, CannotRun> {
        let next = AtomicU64::new(0);
        let sum = Mutex::new(Ok(Totals::from(self.first)));
        std::thread::scope(|scope| {
            for _ in 0..threads.max(1) {
                scope.spawn(|| {
                    let part = self.part(&next, &each);
                    let mut sum = sum.lock().unwrap_or_else(PoisonError::into_inner);
                    match (&mut *sum, part) {
                        (Ok(sum), Ok(part)) => sum.merge(&part),
                        (sum, Err(error)) => *sum = Err(error),
                        (Err(_), Ok(_)) => {}
                    }
                });
            }
        });
        let sum = sum.into_inner().unwrap_or_else(PoisonError::into_inner);
        sum.map(|mut sum| {
            sum.violations.sort_unstable();
            sum
        })
    }

    fn part(&self, next: &AtomicU64, each: &(impl Fn(&Report) + Sync)) -> Result<Totals, CannotRun> {
        let mut sum = Totals::from(self.first);
        loop {
            let index = next.fetch_add(1, Ordering::SeqCst);
            if index >= self.seeds {
                return Ok(sum);
            }
            let report = Self::run(self.library, self.first + index)?;
            sum.add(&report);
            each(&report);
        }
    }
}
