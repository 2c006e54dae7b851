//! Every planted bug is caught, twice: by the checker's rules, and, where it can show in the participants' books, by those alone.
//!
//! One test, since the chosen bug is one for the whole process. Invariant: with no bug chosen nothing is caught.

use amends_engine::planted::{Bug, choose};

use crate::world::choices::Choices;
use crate::world::{Judge, World};

/// Cases within which a bug must show.
const CASES: u64 = 3_000;

/// The same numbers for the same seed (SplitMix64).
fn numbers(seed: u64) -> Vec<u16> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        u16::try_from((mixed >> 32) % 1000).expect("below a thousand")
    };
    (0..250).map(|_| next()).collect()
}

/// The name of the first failure, with its seed, and its report.
fn first_failure(judge: Judge) -> Option<(String, String)> {
    (0..CASES).find_map(|seed| {
        let mut world = World::new(Choices::new(numbers(seed)), judge);
        let failure = world.run().err()?;
        Some((format!("{} (seed {seed})", failure.name()), world.report(&failure)))
    })
}

/// Whether the bug can show in the books of these participants. The order in which independent books are put right can't, nor how
/// many attempts there are.
fn shows_in_the_books(bug: Bug) -> bool {
    !matches!(bug, Bug::PredecessorCompensatedFirst | Bug::AcknowledgeGivesAttempts | Bug::BackoffForgottenAtTakeOver)
}

/// The bugs to hunt: the one that `AMENDS_PLANTED` names, or every one. An unknown name panics, since nothing would be hunted.
fn hunted() -> Vec<Bug> {
    let Ok(name) = std::env::var("AMENDS_PLANTED") else { return Bug::ALL.to_vec() };
    let named: Vec<Bug> = Bug::ALL.into_iter().filter(|bug| bug.as_str() == name).collect();
    assert!(!named.is_empty(), "AMENDS_PLANTED={name}: the engine has no such bug");
    named
}

#[test]
fn every_planted_bug_is_caught_and_nothing_else_is() {
    choose(None);
    if let Some((name, report)) = first_failure(Judge::Rules) {
        panic!("a planted build without a bug fails: {name}\n{report}");
    }
    for bug in hunted() {
        choose(Some(bug));
        let by_rules = first_failure(Judge::Rules).map(|(name, _)| name);
        let by_books = first_failure(Judge::Books).map(|(name, _)| name);
        choose(None);
        let Some(rule) = by_rules else { panic!("planted {}: no rule notices", bug.as_str()) };
        println!("planted {}: caught by {rule}", bug.as_str());
        match by_books {
            Some(books) => println!("planted {}: caught by the books alone: {books}", bug.as_str()),
            None => assert!(!shows_in_the_books(bug), "planted {}: the books show nothing", bug.as_str()),
        }
    }
}
