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
//! once or not at all), and the participant's SQL. It rests on `crate::committer` having one group under way at a time: two would
//! let an owner hear the numbers of its commits out of their order, and take that for a loss.
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
mod wander;
mod world;

use explore::{after, explore};
use memo::Memo;
use rules::Seen;
use wander::wander;
use world::{Bounds, Clocks};

/// What is explored: where it begins, and what may happen from there.
struct Slice {
    name: &'static str,
    bounds: Bounds,
    /// Steps that are taken first, so that what is far from the beginning is near.
    begins: Vec<&'static str>,
}

/// Bounds that reach what is hard; each is about something else.
fn slices() -> Vec<Slice> {
    let slice = |name, bounds| Slice { name, bounds, begins: Vec::new() };
    let none = Bounds::NONE;
    let fail_over = Bounds { asks: 2, starts: 1, ticks: 1, fail_overs: 1, ..none };
    let words = Bounds { sagas: 2, calls: false, ..fail_over };
    let reads_b = ["node b reads saga 0", "node b's commit", "node b hears of its commit"];
    let floor = Bounds { sagas: 2, asks: 1, starts: 2, ticks: 1, copies: 1, floor: true, ..none };
    vec![
        slice("take-over", Bounds { asks: 2, starts: 1, ticks: 1, lapses: 1, refusals: 1, ..none }),
        slice("two steps, refused", Bounds { steps: 2, asks: 2, starts: 1, ticks: 1, refusals: 1, ..none }),
        slice("cancelled", Bounds { asks: 2, starts: 1, ticks: 1, cancels: 1, ..none }),
        slice("packets that come twice", Bounds { asks: 2, starts: 1, ticks: 1, copies: 1, lapses: 1, ..none }),
        slice("fail-over", fail_over),
        slice("fail-over, no calls", Bounds { calls: false, ..fail_over }),
        slice("fail-over, two sagas", Bounds { starts: 2, ..words }),
        slice("a loss that is told late", Bounds { starts: 3, ..words }),
        slice("a loss that nobody tells", Bounds { asks: 3, starts: 3, ..words }),
        slice("fail-over, crash", Bounds { asks: 3, crashes: 1, calls: false, ..fail_over }),
        slice("an epoch given twice", Bounds { clocks: Clocks::Stand, ticks: 0, starts: 2, calls: false, ..fail_over }),
        slice("floor", floor),
        slice("floor, take-over", Bounds { asks: 2, ticks: 2, copies: 0, lapses: 1, ..floor }),
        Slice {
            name: "begun: both owners call",
            bounds: Bounds { asks: 2, starts: 1, ticks: 1, cancels: 1, lapses: 1, ..none },
            begins: [&has("a")[..], &["a starts saga 0", "commit", "confirmed", "two hours"], &has("b")].concat(),
        },
        Slice {
            name: "begun: both owners call, two steps at once",
            bounds: Bounds { steps: 2, parallel: true, asks: 2, starts: 1, ticks: 1, ..none },
            begins: [&has("a")[..], &starts("a"), &["two hours"], &has("b"), &reads_b].concat(),
        },
        Slice {
            name: "begun: the acquisition may be lost",
            bounds: Bounds { calls: false, ..fail_over },
            begins: [&has("a")[..], &["a starts saga 0", "replica gets", "two hours"], &has("b")].concat(),
        },
        Slice {
            name: "begun: a commit was lost",
            bounds: Bounds { asks: 3, starts: 3, ..words },
            begins: [&has("a")[..], &starts("a"), &["fail-over"], &has("b"), &starts("b")].concat(),
        },
        Slice {
            name: "begun: a successor was lost",
            bounds: Bounds { calls: false, ..fail_over },
            begins: [
                &has("a")[..],
                &starts("a"),
                &["two hours", "a time that saga 0 waits for", "replica gets"],
                &has("b"),
                &["node b reads saga 0", "node b's commit", "node b hears of its commit"],
            ]
            .concat(),
        },
        Slice {
            name: "begun: an epoch given twice",
            bounds: Bounds { clocks: Clocks::Stand, ticks: 0, starts: 2, calls: false, ..fail_over },
            begins: [&has("a")[..], &starts("a"), &["fail-over"], &has("b")].concat(),
        },
        Slice {
            name: "begun: an owner's commit was lost",
            bounds: Bounds { starts: 2, ..words },
            begins: [&has("a")[..], &["replica gets"], &starts("a"), &["fail-over"]].concat(),
        },
        Slice {
            name: "begun: a copy is still on its way",
            bounds: floor,
            begins: [
                &has("a")[..],
                &starts("a"),
                &["will come again", "Succeeded", "node a's commit", "node a hears of its commit", "two hours"],
                &["the store sweeps", "node a works out the floor", "node a starts saga 1"],
            ]
            .concat(),
        },
        Slice {
            name: "begun: the floor, and an open saga",
            bounds: floor,
            begins: [
                &has("a")[..],
                &starts("a"),
                &["comes to the participant", "two hours", "node a works out the floor", "node a starts saga 1"],
            ]
            .concat(),
        },
        Slice {
            name: "begun: the answer to an acquisition is late",
            bounds: Bounds { calls: false, ..fail_over },
            begins: [&["node a asks", "node a's wish", "two hours"][..], &has("b"), &starts("b")].concat(),
        },
        Slice {
            name: "begun: the first call is late",
            bounds: Bounds { asks: 1, starts: 1, cancels: 1, ticks: 1, lapses: 2, ..none },
            begins: [&has("a")[..], &starts("a")].concat(),
        },
    ]
}

/// A node gets the shard.
fn has(node: &str) -> [&'static str; 3] {
    match node {
        "a" => ["node a asks", "node a's wish", "node a has"],
        _ => ["node b asks", "node b's wish", "node b has"],
    }
}

/// A saga of a node is started.
fn starts(node: &str) -> [&'static str; 3] {
    match node {
        "a" => ["node a starts saga 0", "node a's commit", "node a hears of its commit"],
        _ => ["node b starts saga 0", "node b's commit", "node b hears of its commit"],
    }
}

/// So many, by the environment, or else.
fn how_many(variable: &str, or: u64) -> u64 {
    std::env::var(variable).map_or(or, |text| text.parse().expect(variable))
}

/// Each of the slices breadth first up to so many states, and by so many runs that chance picks. Fails with a run where a rule is
/// broken, and where something was never seen.
#[test]
fn no_interleaving_breaks_a_rule() {
    let most = usize::try_from(how_many("AMENDS_MODEL_STATES", 3_000)).expect("states");
    let runs = how_many("AMENDS_MODEL_RUNS", 200);
    let (mut states, mut steps, mut seen, mut all_broken) = (0, 0, [0_u64; Seen::ALL.len()], String::new());
    for Slice { name, bounds, begins } in slices() {
        let mut memo = Memo::new(bounds);
        let first = after(&mut memo, &begins);
        let explored = explore(&mut memo, &first, most);
        println!("{name}: {explored}");
        let wandered = wander(&mut memo, &first, runs);
        println!("{name}: {runs} runs by chance, {} steps", wandered.steps);
        for part in [explored, wandered] {
            states += part.states;
            steps += part.steps;
            let broken = part.broken.map(|broken| format!("{name}, {begins:?}: {broken}\n"));
            all_broken.extend(broken);
            seen.iter_mut().zip(part.seen).for_each(|(sum, more)| *sum += more);
        }
    }
    println!("{states} states and {steps} steps in all; seen so often:");
    for (what, count) in Seen::ALL.into_iter().zip(seen) {
        println!("{count:>12}  {}", what.as_str());
    }
    assert!(all_broken.is_empty(), "{all_broken}");
    let never: Vec<_> = Seen::ALL.into_iter().zip(seen).filter(|(_, count)| *count == 0).collect();
    assert!(never.is_empty(), "never seen, so that this run proves nothing about it: {never:?}");
}
