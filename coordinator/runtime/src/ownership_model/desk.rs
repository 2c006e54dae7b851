//! The participant: the SDK's own `decide` over rows that share a database with the business.
//!
//! The few lines around it say what `barrier/rows.rs` and `sweep.rs` of the SDK say in SQL. Invariant: every effect is noted.

use amends_engine::ids::Operation;
use amends_engine::time::Timestamp;
use amends_participant::answer::Refusal;
use amends_participant::barrier::decide::{Bar, Call as BarrierCall, Decision, decide};
use amends_participant::barrier::row::{Ran, Row};
use amends_participant::key::Operation as BarrierOperation;

use super::explore::Notes;
use super::memo::Memo;
use super::packet::{Call, Ended};
use super::rules::{Rule, Seen};
use super::world::{Clocks, Id, World};

/// What it knows of one saga.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
struct Met {
    /// The highest epoch of its calls; `None`: it wasn't met.
    epoch: Option<u64>,
    begun: Option<u64>,
    /// By step.
    rows: Vec<Id>,
    /// Noted, and kept when the rows are swept.
    noted: Noted,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
struct Noted {
    highest: u64,
    newest: u8,
    /// By step.
    done: Vec<u8>,
    undone: Vec<u8>,
}

/// The participant's database.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(super) struct Desk {
    sagas: Vec<Met>,
    /// The floor that was heard.
    heard: u64,
    /// The floor that rows were swept by.
    swept: u64,
}

impl Desk {
    pub(super) fn new(sagas: u8, steps: u8) -> Self {
        let steps = usize::from(steps);
        let noted = Noted { done: vec![0; steps], undone: vec![0; steps], ..Noted::default() };
        let met = Met { rows: vec![0; steps], noted, ..Met::default() };
        Self { sagas: vec![met; usize::from(sagas)], ..Self::default() }
    }

    /// Whether a sweep would remove something.
    pub(super) fn may_sweep(&self) -> bool {
        self.heard > self.swept
    }
}

impl Memo {
    /// Carries a call out, or not. `refuses`: the handler, should it run.
    pub(super) fn receive(&mut self, world: &mut World, call: &Call, refuses: bool, notes: &mut Notes) -> Ended {
        let desk = &mut world.desk;
        desk.heard = call.origin.map_or(desk.heard, |(_, floor)| desk.heard.max(floor));
        let met = &mut desk.sagas[usize::from(call.saga)];
        if met.epoch.is_none() && call.origin.is_some_and(|(begun, _)| begun < desk.swept) {
            notes.saw(Seen::CameTooLate);
            return Ended::Unclear;
        }
        let epoch_seen = met.epoch.unwrap_or(0);
        met.epoch = Some(epoch_seen.max(call.epoch));
        met.begun = met.begun.or(call.origin.map(|(begun, _)| begun));
        let step = call.id.0.get();
        let operation = match call.operation() {
            Operation::Action | Operation::Query => BarrierOperation::Action,
            Operation::Confirm => BarrierOperation::Confirm,
            Operation::Compensate => BarrierOperation::Compensate,
        };
        let digest = [operation as u8; 32];
        let (epoch, expects_succeeded) = (call.epoch, call.expects_succeeded);
        let row = self.row(met.rows[step]).clone();
        let decision = decide(&row, epoch_seen, &BarrierCall { operation, epoch, expects_succeeded, digest });
        let (ended, after) = match decision {
            Decision::Run if refuses => {
                let refusal = Refusal { reason: "NO".to_owned(), message: String::new() };
                (Ended::Refused, row.after(operation, digest, Ran::Refused(refusal)))
            }
            Decision::Run => {
                takes_effect(met, call, self.bounds.clocks, notes);
                (Ended::Succeeded, row.after(operation, digest, Ran::Done(Vec::new())))
            }
            Decision::Replay(_) => {
                notes.saw(Seen::Replayed);
                (Ended::Succeeded, row)
            }
            Decision::ReplayRefusal(_) => {
                notes.saw(Seen::RefusedForGood);
                (Ended::Refused, row)
            }
            Decision::EmptyCompensation { seal } => {
                notes.saw(Seen::SealedFirst);
                met.noted.undone[step] = 1;
                (Ended::Succeeded, if seal { Row::Sealed { compensate: digest } } else { row })
            }
            Decision::Barred(bar) => (barred(bar, call, notes), row),
            Decision::ReplayPending => (Ended::Unclear, row),
        };
        met.noted.highest = met.noted.highest.max(call.epoch);
        met.noted.newest = met.noted.newest.max(call.grant);
        let id = self.name_row(after);
        world.desk.sagas[usize::from(call.saga)].rows[step] = id;
        ended
    }

    /// Removes the rows of sagas that began before the floor.
    pub(super) fn sweep_desk(&mut self, world: &mut World, notes: &mut Notes) {
        world.desk.swept = world.desk.heard;
        for number in 0..self.bounds.sagas {
            let is_open = self.load(world.store.store, number).is_some();
            let met = &mut world.desk.sagas[usize::from(number)];
            if met.begun.is_some_and(|begun| begun < world.desk.swept) {
                notes.saw(Seen::Swept);
                // A store that lost the saga's end has it open again.
                notes.must(!is_open || world.lost != 0, Rule::OpenSagaKeepsItsRows);
                (met.epoch, met.begun) = (None, None);
                met.rows.fill(0);
            }
        }
    }

    /// The floor that a node tells from now on.
    pub(super) fn refresh_floor(&self, world: &World, node: usize) -> Timestamp {
        let reached = crate::floor::reached(self.oldest_start(world.store.store), world.now, crate::floor::LAG_MIN);
        world.nodes[node].floor.max(reached)
    }
}

fn barred(bar: Bar, call: &Call, notes: &mut Notes) -> Ended {
    match bar {
        Bar::StaleEpoch { .. } => {
            notes.saw(Seen::StaleEpoch);
            Ended::StaleEpoch
        }
        Bar::AfterCompensate => {
            if call.operation() == Operation::Action {
                notes.saw(Seen::BarredAfterUndoing);
            }
            Ended::Refused
        }
        Bar::RowMissing => Ended::RowMissing,
        Bar::AfterConfirm | Bar::NotTried => Ended::Refused,
        Bar::CompensationPending | Bar::SagaOver | Bar::KeyReused => Ended::Unclear,
    }
}

fn takes_effect(met: &mut Met, call: &Call, clocks: Clocks, notes: &mut Notes) {
    let step = call.id.0.get();
    let noted = &mut met.noted;
    let is_newest = call.epoch >= noted.highest && (call.grant >= noted.newest || clocks == Clocks::Stand);
    notes.must(is_newest, Rule::ReplacedOwnerIsBarred);
    if call.operation() == Operation::Compensate {
        noted.undone[step] += 1;
        notes.must(noted.undone[step] == 1, Rule::NoEffectTwice);
    } else {
        noted.done[step] += 1;
        notes.must(noted.done[step] == 1, Rule::NoEffectTwice);
        notes.must(noted.undone[step] == 0, Rule::NothingAfterItsUndoing);
    }
}
