//! Ledgers of a run that was found good, doctored as each bug would have left them: the judge has to see every one.
//!
//! Nothing is written; what was read is changed. Invariant: each doctoring finds something to change, or is overlooked.

use amends_checker::EffectSeen;
use amends_engine::ids::{Operation, SagaId, SagaKey};
use amends_engine::saga::{Phase, Saga};

use super::judge::Evidence;

/// Changes one thing, and says whether there was such a thing.
type Doctoring = fn(&mut Evidence) -> Option<()>;

const ALL: &[(&str, Doctoring)] = &[
    ("an action that took effect twice", |it| it.again(Phase::Completed, "charge", Operation::Action)),
    ("a compensation that took effect twice", |it| {
        it.again(Phase::Compensated, "reserve-stock", Operation::Compensate)
    }),
    ("a completed saga whose pivot never took effect", |it| it.lose(Phase::Completed, "charge", Operation::Action)),
    ("a hold that was never confirmed", |it| it.lose(Phase::Completed, "hold-funds", Operation::Confirm)),
    ("an undoing that never happened", |it| it.lose(Phase::Compensated, "reserve-stock", Operation::Compensate)),
    ("a completed saga that was undone", |it| it.undo(Phase::Completed, "charge")),
    ("a paid code that was cancelled", |it| it.undo(Phase::Completed, "pay-by-qr")),
    ("a code that was paid after its cancellation", |it| it.pay_late()),
    ("a code that was cancelled twice", |it| it.again(Phase::Compensated, "pay-by-qr", Operation::Compensate)),
    ("an effect of no saga", |it| {
        let mut effect = it.effects.first()?.clone();
        effect.saga = stranger(&effect.saga);
        it.effects.push(effect);
        Some(())
    }),
    ("an acknowledged saga that is gone", |it| it.sagas.pop_first().map(drop)),
    ("an acknowledged saga that left nothing at all", |it| {
        let lost = stranger(it.accepted.first()?);
        it.accepted.push(lost);
        Some(())
    }),
    ("a saga that never ended", |it| {
        it.sagas.values_mut().next()?.state.phase = Phase::Running;
        Some(())
    }),
];

/// Which doctorings the judge doesn't see.
pub(super) fn overlooked(evidence: &Evidence) -> Vec<&'static str> {
    let is_overlooked = |doctoring: &Doctoring| {
        let mut evidence = evidence.clone();
        doctoring(&mut evidence).is_none() || evidence.judge().is_empty()
    };
    ALL.iter().filter(|(_, doctoring)| is_overlooked(doctoring)).map(|(what, _)| *what).collect()
}

fn stranger(key: &SagaKey) -> SagaKey {
    SagaKey { id: SagaId::parse("order-of-nobody").expect("an id"), ..key.clone() }
}

impl Evidence {
    /// Where a saga that ended so has this effect.
    fn place(&self, phase: Phase, step: &str, operation: Operation) -> Option<usize> {
        let ended = |key: &SagaKey| self.sagas.get(key).is_some_and(|saga: &Saga| saga.state.phase == phase);
        let is_meant = |it: &EffectSeen| it.step.as_str() == step && it.operation == operation && ended(&it.saga);
        self.effects.iter().position(is_meant)
    }

    fn again(&mut self, phase: Phase, step: &str, operation: Operation) -> Option<()> {
        let effect = self.effects[self.place(phase, step, operation)?].clone();
        self.effects.push(effect);
        Some(())
    }

    fn lose(&mut self, phase: Phase, step: &str, operation: Operation) -> Option<()> {
        let place = self.place(phase, step, operation)?;
        self.effects.remove(place);
        Some(())
    }

    fn undo(&mut self, phase: Phase, step: &str) -> Option<()> {
        let done = self.effects[self.place(phase, step, Operation::Action)?].clone();
        self.effects.push(EffectSeen { operation: Operation::Compensate, ..done });
        Some(())
    }

    fn pay_late(&mut self) -> Option<()> {
        let cancelled = self.effects[self.place(Phase::Compensated, "pay-by-qr", Operation::Compensate)?].clone();
        self.effects.push(EffectSeen { operation: Operation::Action, ..cancelled });
        Some(())
    }
}
