//! Random worlds: the checker after every change, an end for every saga, and books that agree with it.
//!
//! An ordinary run is the same every time. `AMENDS_CASES` asks for more cases, and for others each time. A failure prints the
//! case, shrunk, as a list of numbers.

use std::cell::RefCell;
use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};

use crate::world::choices::Choices;
use crate::world::{Judge, World};

/// Cases of an ordinary run.
const CASES: u32 = 6_000;

/// Cases that whoever runs the tests asks for.
#[expect(clippy::disallowed_methods, reason = "tests are a shell: how long they run is for whoever runs them to say")]
fn asked_for() -> Option<u32> {
    std::env::var("AMENDS_CASES").ok()?.parse().ok()
}

fn runner() -> TestRunner {
    let cases = asked_for();
    let config = Config {
        cases: cases.unwrap_or(CASES),
        failure_persistence: None,
        max_shrink_iters: 4_000,
        ..Config::default()
    };
    match cases {
        Some(_) => TestRunner::new(config),
        None => TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha)),
    }
}

/// What a run must have met at least once, or it has shown nothing.
const MUST_BE_SEEN: [&str; 31] = [
    "completed",
    "compensated",
    "force-stopped",
    "sealed",
    "owner lost",
    "held back",
    "old answer",
    "call repeated",
    "died on the wire",
    "called back",
    "undone later",
    "condition false",
    "prepare failed",
    "cancel",
    "retry",
    "pause",
    "resume",
    "skip",
    "resolve",
    "force-stop",
    "park",
    "acknowledge",
    "repin",
    "repaired",
    "retries_exhausted",
    "rejected_after_pivot",
    "pivot_unknown",
    "key_reused",
    "expression_failed",
    "misconfigured",
    "poison",
];

#[test]
fn every_saga_ends_and_its_end_is_what_the_books_say() {
    let seen: RefCell<BTreeMap<&'static str, u32>> = RefCell::default();
    let result = runner().run(&vec(0u16..1000, 10..260), |list| {
        let mut world = World::new(Choices::new(list), Judge::Rules);
        let result = world.run();
        let mut seen = seen.borrow_mut();
        for what in world.seen.iter().chain(&["case"]) {
            *seen.entry(what).or_default() += 1;
        }
        result.map_err(|failure| TestCaseError::fail(format!("{}\n{}", failure.name(), world.report(&failure))))
    });
    if let Err(failure) = result {
        panic!("{failure}");
    }
    let seen = seen.into_inner();
    println!("{seen:?}");
    let missing: Vec<_> = MUST_BE_SEEN.iter().filter(|what| !seen.contains_key(*what)).collect();
    assert!(missing.is_empty(), "never met: {missing:?}");
}
