//! Wanders through runs that chance picks, each to its end, where breadth doesn't get in little time.
//!
//! Invariant: the same slice gives the same runs.

use std::mem::{discriminant, replace};

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use super::action::Action;
use super::explore::{Broken, Explored, hash};
use super::memo::Memo;
use super::world::World;

/// A run is cut off after so many steps: words and looks never run out.
const STEPS_MAX: usize = 120;

/// Wanders through so many runs; of each the steps are picked by a seed of its own.
pub(super) fn wander(memo: &mut Memo, first: &World, runs: u64) -> Explored {
    let mut explored = Explored::NOTHING;
    for seed in 0..runs {
        let mut random = SmallRng::seed_from_u64(seed);
        let mut mood = Mood::draw(&mut random);
        let (mut world, mut taken) = (first.clone(), Vec::new());
        while taken.len() < STEPS_MAX {
            let mut actions = memo.actions(&world);
            mood.sort(&mut actions, &mut random);
            let moved = actions.into_iter().find_map(|action| {
                let (after, notes) = memo.step(&world, &action);
                (after != world || notes.broken.is_some()).then_some((action, after, notes))
            });
            let Some((action, after, notes)) = moved else { break };
            let rule = explored.note(&notes);
            taken.push((replace(&mut world, after), action));
            if let Some(rule) = rule {
                let run = taken.iter().map(|(world, action)| memo.show(world, action)).collect();
                explored.broken = Some(Broken { rule, run });
                return explored;
            }
        }
        explored.depth = explored.depth.max(taken.len());
    }
    explored
}

/// What is done first in a run.
#[derive(Debug)]
struct Mood {
    /// Of twenty steps, how many hinder nothing if they can.
    calm: u32,
    /// Of ten steps, how many let the nodes hear nothing of each other if they can.
    deafness: u32,
    /// What is left out if it can be: a run in which only some things go wrong reaches more than one in which everything does.
    swarm: u64,
    /// For how many steps what is late stays late.
    patience: u32,
    salt: u64,
}

impl Mood {
    fn draw(random: &mut SmallRng) -> Self {
        Self {
            calm: random.random_range(0..20),
            deafness: random.random_range(0..10),
            swarm: random.random(),
            patience: random.random_range(1..80),
            salt: random.random(),
        }
    }

    fn sort(&mut self, actions: &mut [Action], random: &mut SmallRng) {
        if random.random_range(0..self.patience) == 0 {
            self.salt = random.random();
        }
        let is_calm = random.random_range(0..20) < self.calm;
        let is_deaf = random.random_range(0..10) < self.deafness;
        let is_left_out = |action: &Action| hash(self.swarm, &discriminant(action)).is_multiple_of(2);
        actions.sort_by_key(|action| match action {
            Action::Say(..) | Action::Look(_) => (is_deaf, hash(self.salt, action)),
            _ => (action.disturbs() && (is_calm || is_left_out(action)), hash(self.salt, action)),
        });
    }
}
