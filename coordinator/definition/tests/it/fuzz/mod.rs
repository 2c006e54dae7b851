//! Input that nobody would write by hand: mutated definitions, invented expressions, schemas, inputs and descriptors.
//!
//! A slice runs with the other tests; `make fuzz FUZZ_SECONDS=…` runs as long as it is told to and prints figures. Everything
//! follows from a seed, so that a find can be repeated: `AMENDS_FUZZ_SEED=… make fuzz`. The case that is running is kept in a
//! file, since an overflow of the stack ends the process. Invariants: no case panics, aborts, or takes longer than
//! [`CASE_MAX`]; findings have places and stay few and short; what compiles can be stored and compiled again.

mod cases;
mod generate;
mod mutate;
mod random;
mod run;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use cases::{Case, World};
use random::Random;

/// Most work for one case, by the processor's time. Generous: a case takes milliseconds, even in a debug build on a busy machine.
const CASE_MAX: Duration = Duration::from_secs(20);
/// Cases of each kind in the slice.
const SLICE: u64 = 150;

/// What became of the cases of one kind.
#[derive(Default)]
struct Figures {
    count: u64,
    /// How many got all the way through.
    accepted: u64,
    slowest: Duration,
    seed: u64,
}

#[test]
fn nothing_that_is_handed_in_can_stop_or_stall_the_process() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let limit = number("AMENDS_FUZZ_SECONDS").map(Duration::from_secs);
    let mut seed = number("AMENDS_FUZZ_SEED").unwrap_or(1);
    let world = World::load();
    let began = Instant::now();
    let mut figures: [Figures; Case::ALL.len()] = Default::default();
    let goes_on = |count: u64| limit.map_or(count < SLICE, |limit| began.elapsed() < limit);
    while goes_on(figures[0].count) {
        for (kind, figures) in Case::ALL.iter().zip(&mut figures) {
            let (took, accepted) = run(*kind, seed, &world, limit.is_some());
            figures.count += 1;
            figures.accepted += u64::from(accepted);
            if took > figures.slowest {
                (figures.slowest, figures.seed) = (took, seed);
            }
        }
        seed += 1;
    }
    if limit.is_some() {
        for (kind, Figures { count, accepted, slowest, seed }) in Case::ALL.iter().zip(&figures) {
            println!("{kind:?}: {count} executions ({accepted} accepted), slowest {slowest:.1?} (seed {seed})");
        }
        println!("{} executions in {:.0?}", figures.iter().map(|one| one.count).sum::<u64>(), began.elapsed());
    }
}

fn run(kind: Case, seed: u64, world: &World, keep: bool) -> (Duration, bool) {
    let mut random = Random::new(seed, kind as u64);
    let input = kind.make(&mut random, world);
    let file = keep.then(running);
    if let Some(file) = &file {
        std::fs::write(file, format!("{kind:?} seed {seed}\n{}", input.shown())).expect("written");
    }
    let (began, worked) = (Instant::now(), work());
    let result = catch_unwind(AssertUnwindSafe(|| input.run(world)));
    let took = began.elapsed();
    // Other tests of this process work too, and on a crowded machine a case waits more than it works.
    let worked = work().zip(worked).map_or(took, |(now, before)| now.saturating_sub(before).min(took));
    if let Some(file) = &file {
        std::fs::remove_file(file).expect("removed");
    }
    let Ok(accepted) = result else { panic!("{kind:?} seed {seed} panicked:\n{}", input.shown()) };
    assert!(worked < CASE_MAX, "{kind:?} seed {seed} took {worked:?}:\n{}", input.shown());
    (took, accepted)
}

/// The processor's time that this process has had, to the hundredth of a second; only Linux says so.
fn work() -> Option<Duration> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // The name of the program stands in brackets and may hold anything; proc(5) counts on from there.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<u64>().ok();
    Some(Duration::from_millis(10 * (ticks()? + ticks()?)))
}

/// Where the running case is kept.
fn running() -> PathBuf {
    std::env::temp_dir().join(format!("amends-fuzz-{}.txt", std::process::id()))
}
