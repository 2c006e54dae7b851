//! Walks through all worlds, breadth first: what breaks a rule is found by a shortest run.
//!
//! A visited world is kept as 128 bits of its hash; the chance that two of ten million share them is one in 10^24. Runs are played
//! again from the beginning to be shown. Why not `stateright`: it gives one example of what sometimes happens but not how often,
//! its fingerprints have 64 bits, and it brings an HTTP server and 38 more crates for what is one page here. Invariant: the same
//! bounds give the same worlds in the same order.

use std::collections::HashMap;
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};

use super::action::Action;
use super::memo::Memo;
use super::rules::{Rule, Seen};
use super::world::World;

/// What a step was beside its new world.
#[derive(Debug, Default)]
pub(super) struct Notes {
    pub(super) seen: Vec<Seen>,
    pub(super) broken: Option<Rule>,
}

impl Notes {
    pub(super) fn saw(&mut self, what: Seen) {
        self.seen.push(what);
    }

    /// A rule must hold; the first one that doesn't is kept.
    pub(super) fn must(&mut self, holds: bool, rule: Rule) {
        if !holds {
            self.broken.get_or_insert(rule);
        }
    }
}

/// A broken rule, with a shortest run to it.
#[derive(Debug)]
pub(super) struct Broken {
    rule: Rule,
    run: Vec<String>,
}

/// What an exploration came to.
#[derive(Debug)]
pub(super) struct Explored {
    pub(super) states: usize,
    steps: usize,
    depth: usize,
    /// Whether nothing was left out within the bounds.
    is_whole: bool,
    /// How often each was seen, in the order of [`Seen::ALL`].
    pub(super) seen: [u64; Seen::ALL.len()],
    pub(super) broken: Option<Broken>,
}

impl fmt::Display for Explored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = if self.is_whole { "all there are" } else { "cut off" };
        write!(f, "{} states ({whole}), {} steps, {} deep", self.states, self.steps, self.depth)
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}. The shortest run to it:", self.rule.as_str())?;
        for (number, line) in (1..).zip(&self.run) {
            writeln!(f, "{number:>4}  {line}")?;
        }
        Ok(())
    }
}

/// Where a world was come to from: the number of the world before, and which of its actions.
type Origin = (u32, u16);

/// Explores up to so many worlds.
pub(super) fn explore(memo: &mut Memo, most: usize) -> Explored {
    let first = memo.first();
    let mut visited = HashMap::from([(fingerprint(&first), 0_u32)]);
    let mut origins: Vec<Origin> = vec![(0, 0)];
    let mut explored =
        Explored { states: 1, steps: 0, depth: 0, is_whole: true, seen: [0; Seen::ALL.len()], broken: None };
    let mut layer = vec![(0_u32, first)];
    while !layer.is_empty() {
        let mut next = Vec::new();
        for (number, world) in layer {
            for (index, action) in (0_u16..).zip(memo.actions(&world)) {
                let (after, notes) = memo.step(&world, &action);
                explored.steps += 1;
                notes.seen.iter().for_each(|seen| explored.seen[*seen as usize] += 1);
                if let Some(rule) = notes.broken {
                    let mut run = replay(memo, &origins, number);
                    run.push(memo.show(&world, &action));
                    explored.broken = Some(Broken { rule, run });
                    return explored;
                }
                let Ok(count) = u32::try_from(origins.len()) else { return explored };
                if origins.len() >= most {
                    explored.is_whole = false;
                    continue;
                }
                if let std::collections::hash_map::Entry::Vacant(vacant) = visited.entry(fingerprint(&after)) {
                    vacant.insert(count);
                    origins.push((number, index));
                    next.push((count, after));
                }
            }
        }
        explored.depth += usize::from(!next.is_empty());
        explored.states = origins.len();
        layer = next;
    }
    explored
}

/// The run to a world, in words.
fn replay(memo: &mut Memo, origins: &[Origin], mut number: u32) -> Vec<String> {
    let mut indices = Vec::new();
    while number != 0 {
        let (before, index) = origins[number as usize];
        indices.push(index);
        number = before;
    }
    let (mut world, mut run) = (memo.first(), Vec::new());
    for index in indices.into_iter().rev() {
        let action: Action = memo.actions(&world).swap_remove(usize::from(index));
        run.push(memo.show(&world, &action));
        world = memo.step(&world, &action).0;
    }
    run
}

fn fingerprint(world: &World) -> u128 {
    let half = |salt: u64| {
        let mut hasher = DefaultHasher::new();
        salt.hash(&mut hasher);
        world.hash(&mut hasher);
        hasher.finish()
    };
    u128::from(half(1)) << 64 | u128::from(half(2))
}
