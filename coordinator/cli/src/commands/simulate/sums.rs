//! Sums over the runs of a simulation: how sagas ended, why they got stuck, what could stand, what broke.
//!
//! Pure. Invariant: the sums don't depend on the order in which runs are added; an example is the lowest seed.

use std::collections::BTreeMap;

use amends_definition::Compiled;
use amends_engine::ids::{Operation, StepName};
use amends_engine::saga::StuckReason;
use amends_engine::standing::StatusWord;
use amends_simulation::{Outcome, Report};

/// How often something was, and where it can be seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Often {
    /// Sagas; of what broke, runs.
    pub(super) times: u64,
    /// The lowest seed with it.
    pub(super) seed: u64,
}

/// Why a saga is stuck, and where; nowhere: as a whole.
pub(super) type Stuck = (StuckReason, Option<(StepName, Operation)>);

/// An effect that stands, or may, though its saga wasn't completed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Standing {
    pub(super) participant: String,
    pub(super) step: StepName,
    /// Whether it certainly stands.
    pub(super) certain: bool,
    /// How its saga stood.
    pub(super) status: StatusWord,
}

/// The sums.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Sums {
    pub(super) runs: u64,
    pub(super) sagas: u64,
    pub(super) faults: u64,
    pub(super) ends: BTreeMap<StatusWord, Often>,
    pub(super) stuck: BTreeMap<String, (Stuck, Often)>,
    pub(super) standing: BTreeMap<Standing, Often>,
    /// By seed, what broke.
    pub(super) broken: BTreeMap<u64, Vec<String>>,
}

impl Sums {
    /// Adds a run. Sagas count as they stood when all had come to rest, before anybody repaired what was stuck.
    pub(super) fn add(&mut self, report: &Report, compiled: &Compiled) {
        self.runs += 1;
        self.faults += report.faults.total();
        for saga in &report.rested {
            self.saga(saga, report.seed, compiled);
        }
        if !report.violations.is_empty() {
            let what = report.violations.iter().map(ToString::to_string).collect();
            self.broken.insert(report.seed, what);
        }
    }

    /// In how many runs something broke.
    pub(super) fn broken_seeds(&self) -> usize {
        self.broken.len()
    }

    fn saga(&mut self, saga: &Outcome, seed: u64, compiled: &Compiled) {
        self.sagas += 1;
        more(self.ends.entry(saga.status).or_insert(NEVER), seed);
        if let Some(stuck) = &saga.stuck {
            more(&mut self.stuck.entry(format!("{stuck:?}")).or_insert_with(|| (stuck.clone(), NEVER)).1, seed);
        }
        for (step, certain) in &saga.residue {
            let of = compiled.engine().find(step).map(|index| compiled.engine().step(index));
            let standing = Standing {
                participant: of.map(|step| step.participant.to_string()).unwrap_or_default(),
                step: step.clone(),
                certain: *certain,
                status: saga.status,
            };
            more(self.standing.entry(standing).or_insert(NEVER), seed);
        }
    }
}

const NEVER: Often = Often { times: 0, seed: u64::MAX };

fn more(often: &mut Often, seed: u64) {
    often.times += 1;
    often.seed = often.seed.min(seed);
}
