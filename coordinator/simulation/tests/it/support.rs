//! What the tests share: running, printing a failure so that it can be replayed, and using both cores.

use std::sync::atomic::{AtomicUsize, Ordering};

use amends_simulation::{Campaign, Conduct, FaultPlan, Library, Report, Run, SagaPlan, history, scenarios};

/// All shapes, compiled once per test.
pub(crate) fn library() -> Library {
    Library::new(scenarios()).unwrap()
}

/// A run of these sagas with at most one fault.
pub(crate) fn run(library: &Library, conduct: Conduct, faults: FaultPlan, sagas: Vec<SagaPlan>) -> Report {
    Run { library, conduct, faults, sagas: Some(sagas), seed: 1 }.make().unwrap()
}

/// A run in which the seed decides everything; even seeds have the whole barrier, odd ones refusals that aren't final.
pub(crate) fn run_seed(library: &Library, seed: u64) -> Report {
    Campaign::run(library, seed).unwrap()
}

/// Fails with the whole trace where an invariant was broken.
pub(crate) fn assert_clean(what: &str, report: &Report) {
    if report.violations.is_empty() {
        return;
    }
    println!("{what}\n{}", history::table(&report.trace));
    for violation in &report.violations {
        println!("{violation}");
    }
    panic!("{what}: {}", report.violations[0]);
}

/// Calls `each` with every index below `count`, on all cores; a run itself has one thread.
pub(crate) fn on_all_cores(count: usize, each: impl Fn(usize) + Sync) {
    let next = AtomicUsize::new(0);
    /// One failure ends the others' work too.
    struct StopOthers<'a>(&'a AtomicUsize, usize);
    impl Drop for StopOthers<'_> {
        fn drop(&mut self) {
            if std::thread::panicking() {
                self.0.store(self.1, Ordering::SeqCst);
            }
        }
    }
    std::thread::scope(|scope| {
        for _ in 0..cores() {
            scope.spawn(|| {
                let _guard = StopOthers(&next, count);
                loop {
                    let index = next.fetch_add(1, Ordering::SeqCst);
                    if index >= count {
                        return;
                    }
                    each(index);
                }
            });
        }
    });
}

/// How many runs can be made at once.
pub(crate) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// A number from the environment.
pub(crate) fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number")))
}
