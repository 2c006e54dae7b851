//! Every interleaving of the ownership protocol, within bounds: two nodes, one shard, a store that fails over and loses its tail.
//!
//! ```text
//!   World ── Action ──► World'      explored breadth first, so that what breaks a rule is shown by a shortest run (`explore.rs`)
//! ```
//!
//! What decides is the product's own code: a saga's turn and its commit (`shard::turn`, the engine), what is accepted (the memory
//! store, to whose answers the conformance suite holds the others), what a rejected commit means (`shard::rejected`), what loss is
//! noticed (`cluster::marks`), when a tenure ends because a participant has seen a newer owner (`shard::overtaken`), the floor
//! (`floor.rs`) and what the participant lets through (the SDK's `decide`). Only what carries it out is this module's: packets,
//! and the order in which an owner does things.
//!
//! It is more hostile than the world. No node ever notices that its lease ran out, so that nothing may rest on clocks; a pause is
//! every interleaving in which a node does nothing; a packet may come at any later time or never; the placement is left out, both
//! nodes ask for the shard whenever they like. Not in it: more than one shard, groups of commits, words under way (one is heard at
//! once or not at all), and the participant's SQL.
//!
//! `make model` goes deep, `make test` a slice of it. Invariant: a run that has not reached all that [`Seen`] lists proves
//! nothing, and fails.

#![expect(clippy::disallowed_types, reason = "what was visited is only ever looked up, never walked")]

mod action;
mod committer;
mod desk;
mod explore;
mod memo;
mod node;
mod packet;
mod rules;
mod world;

use explore::explore;
use memo::Memo;
use rules::Seen;
use world::{Bounds, Clocks};

/// Bounds that reach what is hard in little time; each is about something else.
fn slices() -> Vec<(&'static str, Bounds)> {
    let none = Bounds::NONE;
    vec![
        ("take-over", Bounds { asks: 2, starts: 1, ticks: 1, lapses: 1, refusals: 1, ..none }),
        ("two steps, refused", Bounds { steps: 2, asks: 2, starts: 1, ticks: 1, refusals: 1, ..none }),
        ("cancelled", Bounds { asks: 2, starts: 1, ticks: 1, cancels: 1, ..none }),
        ("packets that come twice", Bounds { asks: 2, starts: 1, ticks: 1, copies: 1, lapses: 1, ..none }),
        ("fail-over", Bounds { asks: 2, starts: 1, ticks: 1, fail_overs: 1, ..none }),
        (
            "fail-over, two sagas",
            Bounds { sagas: 2, asks: 2, starts: 2, ticks: 1, fail_overs: 1, calls: false, ..none },
        ),
        (
            "a loss that is told late",
            Bounds { sagas: 2, asks: 2, starts: 3, ticks: 1, fail_overs: 1, calls: false, ..none },
        ),
        ("fail-over, crash", Bounds { asks: 3, starts: 1, ticks: 1, fail_overs: 1, crashes: 1, calls: false, ..none }),
        (
            "an epoch given twice",
            Bounds { clocks: Clocks::Stand, asks: 2, starts: 2, fail_overs: 1, calls: false, ..none },
        ),
        ("floor", Bounds { asks: 2, starts: 1, ticks: 2, copies: 1, floor: true, ..none }),
    ]
}

/// Explores all of these; fails with a shortest run where a rule is broken, and where something was never seen.
fn run_all(all: Vec<(&'static str, Bounds)>, most: usize) {
    let (mut states, mut seen, mut all_broken) = (0, [0_u64; Seen::ALL.len()], String::new());
    for (name, bounds) in all {
        let explored = explore(&mut Memo::new(bounds), most);
        println!("{name}: {explored}");
        if let Some(broken) = &explored.broken {
            all_broken += &format!("{name}: {broken}\n");
        }
        states += explored.states;
        seen.iter_mut().zip(explored.seen).for_each(|(sum, more)| *sum += more);
    }
    println!("{states} states in all; seen so often:");
    for (what, count) in Seen::ALL.into_iter().zip(seen) {
        println!("{count:>12}  {}", what.as_str());
    }
    assert!(all_broken.is_empty(), "{all_broken}");
    let never: Vec<_> = Seen::ALL.into_iter().zip(seen).filter(|(_, count)| *count == 0).collect();
    assert!(never.is_empty(), "never seen, so that this run proves nothing about it: {never:?}");
}

/// A slice: each of the bounds breadth first, up to so many states.
#[test]
fn no_interleaving_breaks_a_rule() {
    let most =
        std::env::var("AMENDS_MODEL_STATES").ok().map_or(15_000, |text| text.parse().expect("AMENDS_MODEL_STATES"));
    run_all(slices(), most);
}
