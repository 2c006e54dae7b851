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

/// A broken rule, with a run to it.
#[derive(Debug)]
pub(super) struct Broken {
    pub(super) rule: Rule,
    pub(super) run: Vec<String>,
}

/// Progress is said whenever so many more states are known.
const SAID_EVERY: usize = 1_000_000;

/// What an exploration came to.
#[derive(Debug)]
pub(super) struct Explored {
    pub(super) states: usize,
    pub(super) steps: usize,
    pub(super) depth: usize,
    /// Whether nothing was left out within the bounds.
    is_whole: bool,
    /// How often each was seen, in the order of [`Seen::ALL`].
    pub(super) seen: [u64; Seen::ALL.len()],
    pub(super) broken: Option<Broken>,
}

impl Explored {
    pub(super) const NOTHING: Self =
        Self { states: 1, steps: 0, depth: 0, is_whole: true, seen: [0; Seen::ALL.len()], broken: None };

    /// Takes in a step; a rule that it broke.
    pub(super) fn note(&mut self, notes: &Notes) -> Option<Rule> {
        self.steps += 1;
        notes.seen.iter().for_each(|seen| self.seen[*seen as usize] += 1);
        notes.broken
    }
}

impl fmt::Display for Explored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = if self.is_whole { "all there are" } else { "cut off" };
        write!(f, "{} states ({whole}), {} steps, {} deep", self.states, self.steps, self.depth)
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}. A run to it:", self.rule.as_str())?;
        for (number, line) in (1..).zip(&self.run) {
            writeln!(f, "{number:>4}  {line}")?;
        }
        Ok(())
    }
}

/// Where a world was come to from: the number of the world before, and which of its actions.
type Origin = (u32, u16);

/// The world after steps that are told in words: of what can happen, the first that is shown with them.
pub(super) fn after(memo: &mut Memo, steps: &[&str]) -> World {
    let mut world = memo.first();
    for words in steps {
        let actions = memo.actions(&world);
        let found = actions.into_iter().find(|action| memo.show(&world, action).contains(words));
        world = memo.step(&world, &found.unwrap_or_else(|| panic!("{words:?} can't happen"))).0;
    }
    world
}

/// Explores up to so many worlds that can be come to from this one.
pub(super) fn explore(memo: &mut Memo, first: &World, most: usize) -> Explored {
    let mut visited = HashMap::from([(fingerprint(first), 0_u32)]);
    let mut origins: Vec<Origin> = vec![(0, 0)];
    let mut explored = Explored::NOTHING;
    let mut layer = vec![(0_u32, first.clone())];
    while !layer.is_empty() {
        let mut next = Vec::new();
        for (number, world) in layer {
            for (index, action) in (0_u16..).zip(memo.actions(&world)) {
                let (after, notes) = memo.step(&world, &action);
                if let Some(rule) = explored.note(&notes) {
                    let mut run = replay(memo, first, &origins, number);
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
                    if origins.len().is_multiple_of(SAID_EVERY) {
                        println!("  {} states, {} deep ...", origins.len(), explored.depth + 1);
                    }
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
fn replay(memo: &mut Memo, first: &World, origins: &[Origin], mut number: u32) -> Vec<String> {
    let mut indices = Vec::new();
    while number != 0 {
        let (before, index) = origins[number as usize];
        indices.push(index);
        number = before;
    }
    let (mut world, mut run) = (first.clone(), Vec::new());
    for index in indices.into_iter().rev() {
        let action: Action = memo.actions(&world).swap_remove(usize::from(index));
        run.push(memo.show(&world, &action));
        world = memo.step(&world, &action).0;
    }
    run
}

fn fingerprint(world: &World) -> u128 {
    u128::from(hash(1, world)) << 64 | u128::from(hash(2, world))
}

pub(super) fn hash(salt: u64, what: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    salt.hash(&mut hasher);
    what.hash(&mut hasher);
    hasher.finish()
}
