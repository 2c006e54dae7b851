//! Real states for the tests of the rules: made by the machine, then bent by hand until a rule must notice.
//!
//! The definition: `hold` (TCC), then `pay` (the pivot), then `ship`, which has no compensation; or, without a pivot, `hold`,
//! `note` (needs no compensation) and `stock`.

use std::sync::Arc;
use std::time::Duration;

use amends_engine::apply::Changed;
use amends_engine::definition::{Compensation, Definition, Policy, Step};
use amends_engine::effect::Effect;
use amends_engine::event::Event;
use amends_engine::ids::{
    DefinitionName, Namespace, Operation, ParticipantName, SagaId, SagaKey, StepIndex, StepName, Version,
};
use amends_engine::outcome::{CallFacts, Doubt, Outcome, Why};
use amends_engine::payload::{Digest, Payload};
use amends_engine::saga::{OperationState, Saga, SagaHead};
use amends_engine::time::Timestamp;
use amends_engine::{Applied, apply, begin, outstanding};

use crate::{check_state, check_step};

pub(crate) const HOLD: StepIndex = StepIndex(0);
pub(crate) const PAY: StepIndex = StepIndex(1);
pub(crate) const SHIP: StepIndex = StepIndex(2);

fn step(name: &str, after: &[StepIndex]) -> Step {
    Step {
        name: StepName::parse(name).expect("name"),
        participant: ParticipantName::parse(name).expect("name"),
        after: after.to_vec(),
        pivot: false,
        conditional: false,
        within: None,
        action: Policy::action(),
        compensate: Compensation::Call(Policy::finishing()),
        confirm: None,
        query: None,
    }
}

fn definition(steps: Vec<Step>) -> Arc<Definition> {
    let name = DefinitionName::parse("sample").expect("name");
    Arc::new(Definition::new(name, Version(1), Duration::from_secs(60), steps).expect("valid"))
}

pub(crate) fn with_pivot() -> Arc<Definition> {
    let hold = Step { confirm: Some(Policy::finishing()), ..step("hold", &[]) };
    let pay =
        Step { pivot: true, compensate: Compensation::Absent, query: Some(Policy::action()), ..step("pay", &[HOLD]) };
    let ship = Step { compensate: Compensation::Absent, ..step("ship", &[PAY]) };
    definition(vec![hold, pay, ship])
}

pub(crate) fn without_pivot() -> Arc<Definition> {
    let note = Step { compensate: Compensation::None { reason: "a note".to_owned() }, ..step("note", &[HOLD]) };
    definition(vec![step("hold", &[]), note, step("stock", &[StepIndex(1)])])
}

pub(crate) fn key(id: &str) -> SagaKey {
    SagaKey { namespace: Namespace::default_namespace(), id: SagaId::parse(id).expect("id") }
}

/// A saga with its first attempt out.
pub(crate) fn begun(definition: Arc<Definition>) -> Saga {
    let head = SagaHead {
        key: key("order-1"),
        definition: definition.name().clone(),
        version: definition.version(),
        input: Digest::of(b"{}"),
        labels: Vec::new(),
        principal: "shop".to_owned(),
        traceparent: String::new(),
    };
    let begun = begin(head, definition, Payload::json("{}"), Timestamp(0));
    prepared(begun.saga)
}

fn prepared(mut saga: Saga) -> Saga {
    while let Some((step, operation)) = outstanding(&saga).into_iter().find_map(|effect| match effect {
        Effect::Prepare { step, operation } => Some((step, operation)),
        Effect::Call { .. } => None,
    }) {
        let requests = vec![(operation, Payload::json("1"))];
        saga = change(&saga, &Event::Prepared { step, operation, requests }).saga;
    }
    saga
}

/// What an event changes; it must change something, and pass the rules.
pub(crate) fn change(saga: &Saga, event: &Event) -> Changed {
    match apply(saga, event, Timestamp(10_000)) {
        Ok(Applied::Changed(changed)) => {
            check_step(saga, event, &changed).expect("a real step");
            check_state(&changed.saga).expect("a real state");
            *changed
        }
        other => panic!("{event:?}: {other:?}"),
    }
}

pub(crate) fn ok() -> Outcome {
    Outcome::Succeeded(Payload::json("{}"))
}

pub(crate) fn refused() -> Outcome {
    Outcome::Rejected { why: Why::default(), last_word: false }
}

pub(crate) fn unknown() -> Outcome {
    Outcome::Unknown { doubt: Doubt::NoAnswer, why: Why::default() }
}

/// The answer of the outstanding attempt.
pub(crate) fn answer(saga: &Saga, step: StepIndex, operation: Operation, outcome: Outcome) -> Event {
    let attempt = saga.operation(step, operation).attempt;
    let retry_after = Duration::from_millis(100);
    Event::Answered { step, operation, attempt, outcome, retry_after, call: CallFacts::default() }
}

/// The saga after these answers, everything prepared.
pub(crate) fn after(saga: Saga, answers: &[(StepIndex, Operation, Outcome)]) -> Saga {
    answers.iter().fold(saga, |saga, (step, operation, outcome)| {
        let event = answer(&saga, *step, *operation, outcome.clone());
        prepared(change(&saga, &event).saga)
    })
}

/// With the pivot passed and confirmed to the end.
pub(crate) fn completed() -> Saga {
    use Operation::{Action, Confirm};
    after(
        begun(with_pivot()),
        &[(HOLD, Action, ok()), (PAY, Action, ok()), (SHIP, Action, ok()), (HOLD, Confirm, ok())],
    )
}

/// Turned back by a refused pivot, with the compensation of `hold` out.
pub(crate) fn compensating() -> Saga {
    after(begun(with_pivot()), &[(HOLD, Operation::Action, ok()), (PAY, Operation::Action, refused())])
}

pub(crate) fn compensated() -> Saga {
    after(compensating(), &[(HOLD, Operation::Compensate, ok())])
}

/// An operation of a saga, to be bent.
pub(crate) fn op(saga: &mut Saga, step: StepIndex, operation: Operation) -> &mut OperationState {
    saga.state.steps[step.get()].operation_mut(operation)
}
